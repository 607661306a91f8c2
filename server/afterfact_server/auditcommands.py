"""afterfact-server audit: verify, show, export. They read DIR/audit, beside a running server or without one."""

import argparse
import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_server.audit.chain import verify
from afterfact_server.audit.reading import Filter, all_of, words
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError
from afterfact_server.texttable import table

SHOWN = 200
_TIME = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?)?)?")


def add(commands: Any, command: Callable[[Any, str, str, Any], argparse.ArgumentParser]) -> None:
    """Add them to the program's commands."""
    group = commands.add_parser("audit", help="who did what: verify, show, export")
    words_of = group.add_subparsers(required=True, metavar="COMMAND")
    checked = command(words_of, "verify", "whether the audit is as it was written; 1 if not, and where", _verify)
    checked.add_argument("--head", metavar="N:HASH", help="a head that an earlier verify told: it must be in the chain")
    for name, text, work in (("show", f"the newest {SHOWN} records", _show),
                             ("export", "all records, a JSON object a line, oldest first", _export)):  # fmt: skip
        made = command(words_of, name, text, work)
        made.add_argument("--user", metavar="NAME", default="", help="of this account or operator")
        made.add_argument("--kind", metavar="KIND", default="", help="query, export, login, change, ...")
        made.add_argument("--since", metavar="T", type=_time, help="'2026-11-24' or '2026-11-24 17:30'")
        made.add_argument("--until", metavar="T", type=_time, help="the same; a day is whole")
        if name == "show":
            made.add_argument("--limit", metavar="N", type=int, default=SHOWN, help="how many")
        else:
            made.add_argument("-o", metavar="F", dest="out", help="write them to F instead of stdout")


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a:.40} is no time: say '2026-11-24' or '2026-11-24 17:30'")
    return text.replace(" ", "T")


def _wanted(arguments: argparse.Namespace) -> Filter:
    until = f"{arguments.until}~" if arguments.until else ""  # "~" sorts after what may follow
    return Filter(arguments.kind, arguments.user, arguments.since or "", until)


def _folder(arguments: argparse.Namespace) -> Any:
    directory: ServerDir = arguments.dir
    directory.config()
    return directory.audit


def _verify(arguments: argparse.Namespace) -> None:
    folder = _folder(arguments)
    try:
        last, faults, seams = verify(folder)
        if arguments.head:
            faults += _missing_head(arguments)
    except OSError as error:
        raise ConfigError(f"{error.filename or folder}: the audit cannot be read: {error.strerror}") from None
    with output(None) as out:
        for seam in seams:
            out.write(f"seam: {printable(seam)}\n")
        for fault in faults:
            out.write(f"{printable(fault)}\n")
        out.write(f"{last.number:,} records; head {last.number}:{last.hash}\n")
    if faults:
        raise ConfigError(f"{folder}: the audit is not as it was written")


def _missing_head(arguments: argparse.Namespace) -> list[str]:
    from afterfact_server.audit.chain import files, parsed

    number, _, own = arguments.head.partition(":")
    for _, path in files(_folder(arguments)):
        with path.open("rb") as file:
            for text in file:
                found = parsed(text.rstrip(b"\n"))
                if found is not None and str(found[2]["n"]) == number and found[0] == own:
                    return []
    return [f"record {printable(number)[:20]} with this hash is not in it: another chain was put in its place"]


def _show(arguments: argparse.Namespace) -> None:
    try:
        found = deque(all_of(_folder(arguments), _wanted(arguments)), max(1, arguments.limit))
    except OSError as error:
        raise ConfigError(f"the audit cannot be read: {error.strerror}") from None
    rows = [
        (str(each["n"]), *(printable(str(each.get(name, ""))) for name in ("time", "kind", "user", "address")),
         words(each))
        for each in found
    ]  # fmt: skip
    with output(None) as out:
        out.write(table(("n", "time", "kind", "user", "address", ""), rows))


def _export(arguments: argparse.Namespace) -> None:
    try:
        with output(arguments.out) as out:
            for record in all_of(_folder(arguments), _wanted(arguments)):
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"the audit cannot be read: {error.strerror}") from None
