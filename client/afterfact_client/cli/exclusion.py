"""afterfact exclusion: what analysts agreed to leave out of answers, by whom, until when."""

import argparse
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import ExclusionInfo
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.lexer import Lexeme, Token
from afterfact_protocol.query.values import time_value
from afterfact_protocol.statustext import columns, time_text

_LENGTH = re.compile(r"(\d{1,6})(h|d|w)", re.ASCII)
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser("exclusion", help="shared exclusions", description="Shared exclusions: conditions by "
                                 "name, which queries leave out with EXCLUDING NAME. See docs/query.md.")  # fmt: skip
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, words: str, work: Callable[[Client, argparse.Namespace], None]) -> argparse.ArgumentParser:
        found: argparse.ArgumentParser = actions.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}."
        )
        login.add_arguments(found)
        found.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return found

    action("list", "all exclusions", _list)
    add = action("add", "make an exclusion", _add)
    add.add_argument("name", metavar="NAME")
    add.add_argument("condition", metavar="CONDITION", help='"port IN (80, 443)"')
    add.add_argument("--until", metavar="T", required=True, help="when it ends: a time, '2004-08-01', or how long from "
                     "now: 12h, 30d, 8w; or never")  # fmt: skip
    add.add_argument("--default", action="store_true", help="leave it out of every query that does not say EXCLUDING")
    add.add_argument("--replace", action="store_true", help="in place of what the exclusion is now")
    add.add_argument("--note", metavar="TEXT", default="")
    remove = action("remove", "take an exclusion away for all", _remove)
    remove.add_argument("name", metavar="NAME")


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
    now = time.time_ns() // 1000
    rows = [[one.name, "by default" if one.by_default else "on request", _until(one, now), one.by, time_text(one.made),
             printable(one.condition), printable(one.note)] for one in client.exclusions()]  # fmt: skip
    with output(None) as out:
        for line in columns([["exclusion", "acts", "until (UTC)", "by", "made (UTC)", "leaves out", ""], *rows]):
            out.write(line + "\n")


def _until(one: ExclusionInfo, now: int) -> str:
    if not one.expires:
        return "for ever"
    return f"expired {time_text(one.expires)}" if one.expires <= now else time_text(one.expires)


def _add(client: Client, arguments: argparse.Namespace) -> None:
    made = client.save_exclusion(
        arguments.name, arguments.condition, expires=_time(arguments.until), by_default=arguments.default,
        replace=arguments.replace, note=arguments.note,
    )  # fmt: skip
    acts = "left out by default" if made.by_default else f"left out with EXCLUDING {made.name}"
    until = f"until {time_text(made.expires)} UTC" if made.expires else "for ever"
    sys.stdout.write(f"exclusion {made.name}: {acts}, {until}\n")


def _time(text: str) -> int:
    if text == "never":
        return 0
    if found := _LENGTH.fullmatch(text):
        return time.time_ns() // 1000 + int(found[1]) * _SECONDS[found[2]] * 1_000_000
    try:
        return max(1, time_value(Token(Lexeme.STRING, text, 0, len(text)), datetime.now(UTC)).us)
    except QueryError:
        raise Failure(f"--until: {text!a:.40} is no time: say '2004-08-01', 30d for that long from now, or never",
                      WRONG_CALL) from None  # fmt: skip


def _remove(client: Client, arguments: argparse.Namespace) -> None:
    sys.stdout.write(f"exclusion {client.remove_exclusion(arguments.name).name} is removed for all\n")
