"""afterfact watch: conditions whose sessions come into the queue."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.cli.lengths import expiry
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import QueryWatch
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import columns, time_text


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    words = commands.add_parser(
        "watch", help="conditions whose sessions come into the queue: add, list, pause, remove"
    ).add_subparsers(required=True, metavar="COMMAND")  # fmt: skip

    def command(name: str, text: str, work: Callable[[Client, argparse.Namespace], str]) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
        login.add_arguments(made)
        made.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return made

    listing = command("list", "watches, with what they found", _list)
    listing.add_argument("--all", action="store_true", help="removed ones too")
    listing.add_argument("--format", choices=("table", "jsonl"), default="table")
    add = command("add", "watch for what a condition finds, in what is stored and in all that comes", _add)
    add.add_argument("name", metavar="NAME")
    add.add_argument("text", metavar="QUERY", help='"WHERE dst_port = 1034 AND established"')
    add.add_argument("--severity", type=int, choices=range(1, 5), default=3, help="1 is the most severe; default 3")
    add.add_argument("--comment", metavar="TEXT", default="")
    add.add_argument("--notify", action="store_true", help="tell syslog and webhook of its matches")
    add.add_argument("--no-history", action="store_true", help="only what comes from now on")
    add.add_argument("--expires", metavar="LENGTH", default="never", help="after 24h, 30d; default never")
    for name, text, work in (
        ("show", "all about a watch", _show),
        ("pause", "let a watch rest", _pause),
        ("resume", "let it go on; what was stored meanwhile is looked through", _resume),
        ("remove", "end a watch; what it found stays", _remove),
    ):
        command(name, text, work).add_argument("number", metavar="N", type=int)


def _work(
    arguments: argparse.Namespace, password: Callable[[str], str], work: Callable[[Client, argparse.Namespace], str]
) -> int:
    with login.logged_in(arguments, password) as client, output(None) as out:
        try:
            out.write(work(client, arguments))
        except RequestFailed as error:
            where = f"query, column {error.start + 1}: " if error.start >= 0 else ""
            code = WRONG_CALL if error.code in ("request", "query") else FAILED
            raise Failure(f"{where}{error}", code) from None
    return DONE


def _list(client: Client, arguments: argparse.Namespace) -> str:
    found = [watch for watch in client.watches.all() if arguments.all or watch.state != "removed"]
    if arguments.format == "jsonl":
        return "".join(json.dumps(asdict(watch), ensure_ascii=False) + "\n" for watch in found)
    rows = [
        [str(watch.number), printable(watch.name), watch.state, str(watch.severity), f"{watch.matches:,}",
         time_text(watch.last_match), watch.owner, printable(watch.text), printable(watch.problem)]
        for watch in found
    ]  # fmt: skip
    titles = ["No", "Name", "State", "Sev", "Matches", "Last (UTC)", "Owner", "Query", "Problem"]
    return "".join(line + "\n" for line in columns([titles, *rows]))


def _add(client: Client, arguments: argparse.Namespace) -> str:
    made = client.watches.add(
        arguments.name, arguments.text, arguments.severity, arguments.comment, arguments.notify,
        not arguments.no_history, expiry(arguments.expires),
    )  # fmt: skip
    return f"watch {made.number} made\n"


def _watch(client: Client, arguments: argparse.Namespace) -> QueryWatch:
    found = next((watch for watch in client.watches.all() if watch.number == arguments.number), None)
    if found is None:
        raise Failure(f"there is no watch {arguments.number}", WRONG_CALL)
    return found


def _show(client: Client, arguments: argparse.Namespace) -> str:
    watch = _watch(client, arguments)
    told = asdict(watch) | {name: time_text(getattr(watch, name)) for name in ("created", "expires", "last_match")}
    return "".join(f"{name}: {printable(str(value))}\n" for name, value in told.items())


def _pause(client: Client, arguments: argparse.Namespace) -> str:
    client.watches.pause(arguments.number)
    return f"watch {arguments.number} rests\n"


def _resume(client: Client, arguments: argparse.Namespace) -> str:
    client.watches.resume(arguments.number)
    return f"watch {arguments.number} goes on\n"


def _remove(client: Client, arguments: argparse.Namespace) -> str:
    client.watches.remove(arguments.number)
    return f"watch {arguments.number} is removed\n"
