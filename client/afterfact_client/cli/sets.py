"""afterfact set: named result sets, which the server keeps and all accounts share."""

import argparse
import csv
import re
import sys
from collections.abc import Callable
from typing import Any, TextIO

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.cli.setlists import Listed, read_list
from afterfact_client.client import Client, SavedValues
from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import SetInfo, SetKind, SetMode
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.sets import KINDS, SetError, texts, told
from afterfact_protocol.statustext import columns, time_text

SHOWN = 20
"""Values that `show` prints."""
MAX_BAD_SHOWN = 5
_TWO = re.compile(r"@?(\w+)\s*([-+&])\s*@?(\w+)", re.ASCII)


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser("set", help="named result sets",
                                 description="Named result sets, @NAME in queries; see docs/query.md.")  # fmt: skip
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, words: str, work: Callable[[Client, argparse.Namespace], None]) -> argparse.ArgumentParser:
        found: argparse.ArgumentParser = actions.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}."
        )
        login.add_arguments(found)
        found.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return found

    action("list", "all sets", _list)
    show = action("show", "a set, where it is from, its versions and first values", _show)
    show.add_argument("name", metavar="@NAME")
    save = action("save", "save a field of what a query finds", _save)
    save.add_argument("name", metavar="@NAME")
    save.add_argument("text", metavar="QUERY")
    save.add_argument("field", metavar="FIELD", help="src_ip, dst_port, endpoint, community_id, ...; session")
    save.add_argument("--live", action="store_true", help="ask the query anew whenever the set is used")
    puts: tuple[tuple[str, str, SetMode], ...] = (
        ("import", "save the values of a file", "new"),
        ("add", "add values to a set", "add"),
        ("remove", "remove values from a set", "remove"),
    )
    for name, words, mode in puts:
        put = action(name, words, _putting(mode))
        put.add_argument("name", metavar="@NAME")
        put.add_argument("values", metavar="VALUE", nargs="*")
        put.add_argument("--file", metavar="F", help="values and comments, one a line, or CSV; - is stdin")
        put.add_argument("--kind", choices=[kind for kind in KINDS if kind != "session"],
                         help="what the values are; else told by the first")  # fmt: skip
        put.add_argument("--skip-bad", action="store_true", help="pass over lines that are no values, and count them")
        if name == "import":
            put.add_argument("--replace", action="store_true", help="in place of what the set is now")
        put.add_argument("--note", metavar="TEXT", default="")
    combine = action("combine", "save the values of two sets together", _combine)
    combine.add_argument("name", metavar="@NAME")
    combine.add_argument("how", metavar="'@A & @B'", help="+ in either, & in both, - only in the first")
    combine.add_argument("--replace", action="store_true", help="in place of what the set is now")
    combine.add_argument("--note", metavar="TEXT", default="")
    save.add_argument("--replace", action="store_true", help="in place of what the set is now, which its history keeps")
    save.add_argument("--note", metavar="TEXT", default="")
    export = action("export", "write a set's values as CSV", _export)
    export.add_argument("name", metavar="@NAME")
    export.add_argument("--version", metavar="N", type=int, default=0, help="an older version")
    export.add_argument("-o", metavar="F", dest="out", help="to F instead of stdout")
    delete = action("delete", "delete a set; its history stays", _delete)
    delete.add_argument("name", metavar="@NAME")


def _work(
    arguments: argparse.Namespace, password: Callable[[str], str], work: Callable[[Client, argparse.Namespace], None]
) -> int:
    with login.logged_in(arguments, password) as client:
        try:
            work(client, arguments)
        except RequestFailed as error:
            raise Failure(
                str(error), WRONG_CALL if error.code in ("query", "request", "forbidden") else FAILED
            ) from None
    return DONE


def _list(client: Client, _: argparse.Namespace) -> None:
    found = client.sets()
    rows = [[f"@{one.name}", told(one.kind, one.count, one.networks), "live" if one.live else "frozen", one.by,
             time_text(one.made), _origin(one)] for one in found]  # fmt: skip
    with output(None) as out:
        for line in columns([["set", "holds", "", "by", "saved (UTC)", "from"], *rows]):
            out.write(line + "\n")


def _origin(one: SetInfo) -> str:
    if one.query:
        return f"{one.field} of {printable(one.query)[:60]}"
    return printable(one.note)[:60] or one.action


def _show(client: Client, arguments: argparse.Namespace) -> None:
    name = arguments.name.removeprefix("@")
    history = client.sets(name)
    newest = history[-1]
    with output(None) as out:
        for one in history:
            out.write(_version(one))
        if newest.action == "delete":
            return
        found = client.set_values(name)
        out.write(f"values: {told(newest.kind, found.info.count, found.info.networks)}\n")
        for at, text in enumerate(texts(newest.kind, found.values[:SHOWN], found.sensors)):
            comment = printable(found.comments.get(at, ""))
            out.write(f"  {text}{f'  # {comment}' if comment else ''}\n")
        if len(found.values) > SHOWN:
            out.write(f"  and {len(found.values) - SHOWN:,} more: afterfact set export @{name}\n")


def _version(one: SetInfo) -> str:
    what = "deleted" if one.action == "delete" else told(one.kind, one.count, one.networks)
    lines = [f"version {one.number}: {one.action} by {printable(one.by)}, {time_text(one.made)} UTC: {what}"
             f"{', live' * one.live}"]  # fmt: skip
    if one.query and one.action != "delete":
        lines.append(f"  {one.field} of: {printable(one.query)}")
        lines.append(f"  watched then: {one.coverage}")
    if one.note:
        lines.append(f"  note: {printable(one.note)}")
    return "\n".join(lines) + "\n"


def _save(client: Client, arguments: argparse.Namespace) -> None:
    _tell(client.save_set(arguments.name, arguments.text, arguments.field, live=arguments.live,
                          replace=arguments.replace, note=arguments.note))  # fmt: skip


def _combine(client: Client, arguments: argparse.Namespace) -> None:
    found = _TWO.fullmatch(arguments.how.strip())
    if found is None:
        raise Failure(f"{arguments.how!a:.60} is no two sets such as '@a & @b', '@a + @b' or '@a - @b'", WRONG_CALL)
    left, how, right = found.groups()
    _tell(client.combine_sets(arguments.name, left, how, right, replace=arguments.replace, note=arguments.note))  # type: ignore[arg-type]


def _putting(mode: SetMode) -> Callable[[Client, argparse.Namespace], None]:
    def put(client: Client, arguments: argparse.Namespace) -> None:
        kind: SetKind | None = arguments.kind
        if kind is None and mode != "new":
            kind = next(
                (one.kind for one in client.sets() if one.name == arguments.name.removeprefix("@").lower()), None
            )
        listed = _listed(arguments, kind)
        if listed.bad and not arguments.skip_bad:
            shown = "; ".join(listed.bad[:MAX_BAD_SHOWN])
            more = f" and {len(listed.bad) - MAX_BAD_SHOWN:,} more lines" if len(listed.bad) > MAX_BAD_SHOWN else ""
            raise Failure(f"{shown}{more}: put them right, or say --skip-bad", WRONG_CALL)
        for line in listed.bad[:MAX_BAD_SHOWN]:
            sys.stderr.write(f"afterfact: passed over {line}\n")
        if listed.bad:
            sys.stderr.write(f"afterfact: passed over {len(listed.bad):,} lines\n")
        how: SetMode = "replace" if mode == "new" and arguments.replace else mode
        _tell(client.put_set(arguments.name, listed.kind, listed.values, comments=listed.comments, mode=how,
                             note=arguments.note))  # fmt: skip

    return put


def _listed(arguments: argparse.Namespace, kind: SetKind | None) -> Listed:
    if bool(arguments.values) == bool(arguments.file):
        raise Failure("give the values either as arguments or with --file", WRONG_CALL)
    try:
        if arguments.values:
            return read_list(arguments.values, kind)
        if arguments.file == "-":
            return read_list(sys.stdin, kind)
        with open(arguments.file, encoding="utf-8") as lines:
            return read_list(lines, kind)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{arguments.file}: cannot read it: {error}", WRONG_CALL) from None
    except SetError as error:
        raise Failure(f"{arguments.file or 'the values'}: {error}", WRONG_CALL) from None


def _export(client: Client, arguments: argparse.Namespace) -> None:
    found = client.set_values(arguments.name, arguments.version)
    with output(arguments.out) as out:
        write_values(out, found)


def write_values(out: TextIO, found: SavedValues) -> None:
    """The values as CSV with their comments, as `import` reads them; sessions as time, sensor and id."""
    writer = csv.writer(out, lineterminator="\n")
    said = bool(found.comments)
    if found.info.kind == "session":
        writer.writerow(("start_time", "sensor", "session_id"))
        for text in texts("session", found.values, found.sensors):
            day, clock, *sensor, number = text.split(" ")
            writer.writerow((f"{day} {clock}", " ".join(sensor), number))
        return
    writer.writerow((found.info.kind, "comment") if said else (found.info.kind,))
    for at, text in enumerate(texts(found.info.kind, found.values, found.sensors)):
        writer.writerow((text, found.comments.get(at, "")) if said else (text,))


def _delete(client: Client, arguments: argparse.Namespace) -> None:
    _tell(client.remove_set(arguments.name))


def _tell(info: SetInfo) -> None:
    what = "deleted" if info.action == "delete" else told(info.kind, info.count, info.networks)
    how = ", live" if info.live else ""
    sys.stdout.write(f"@{info.name}: {what}{how}, version {info.number}\n")
