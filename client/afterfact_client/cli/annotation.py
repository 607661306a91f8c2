"""afterfact annotation: what is said of hosts, ports and sessions wherever they show."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import Annotation
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import columns, time_text


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    words = commands.add_parser(
        "annotation", help="what is said of hosts, ports and sessions wherever they show: add, list, change, remove"
    ).add_subparsers(required=True, metavar="COMMAND")  # fmt: skip

    def command(name: str, text: str, work: Callable[[Client, argparse.Namespace], str]) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
        login.add_arguments(made)
        made.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return made

    listing = command("list", "all annotations, those changed last first", _list)
    listing.add_argument("--format", choices=("table", "jsonl"), default="table")
    add = command("add", "say something of a host, a port or a session", _add)
    add.add_argument("kind", choices=("host", "port", "session"))
    add.add_argument("subject", metavar="SUBJECT",
                     help="10.1.2.3; 1034; SENSOR/START/SESSION_ID, START in microseconds since 1970")  # fmt: skip
    add.add_argument("text", metavar="TEXT")
    add.add_argument("--case", metavar="N", type=int, default=0, help="in which case it matters")
    change = command("change", "another text", _change)
    change.add_argument("number", metavar="NUMBER", type=int)
    change.add_argument("text", metavar="TEXT")
    command("remove", "take one away", _remove).add_argument("number", metavar="NUMBER", type=int)


def _work(
    arguments: argparse.Namespace, password: Callable[[str], str], work: Callable[[Client, argparse.Namespace], str]
) -> int:
    with login.logged_in(arguments, password) as client, output(None) as out:
        try:
            out.write(work(client, arguments))
        except RequestFailed as error:
            raise Failure(str(error), WRONG_CALL if error.code == "request" else FAILED) from None
    return DONE


def _list(client: Client, arguments: argparse.Namespace) -> str:
    found = client.annotations.all()
    if arguments.format == "jsonl":
        return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    rows = [
        [str(one.number), one.kind, printable(one.subject), printable(one.text), str(one.case or "-"), one.changed_by,
         time_text(one.changed_at)]
        for one in found
    ]  # fmt: skip
    titles = ["No", "Kind", "Of", "Text", "Case", "By", "Changed (UTC)"]
    return "".join(line + "\n" for line in columns([titles, *rows]))


def _add(client: Client, arguments: argparse.Namespace) -> str:
    made = client.annotations.put(Annotation(0, arguments.kind, arguments.subject, arguments.text, arguments.case))
    return f"annotation {made.number} of {made.kind} {printable(made.subject)}\n"


def _standing(client: Client, number: int) -> Annotation:
    found = next((one for one in client.annotations.all() if one.number == number), None)
    if found is None:
        raise Failure(f"there is no annotation {number}", WRONG_CALL)
    return found


def _change(client: Client, arguments: argparse.Namespace) -> str:
    made = client.annotations.change(_standing(client, arguments.number), arguments.text)
    return f"annotation {made.number} is changed\n"


def _remove(client: Client, arguments: argparse.Namespace) -> str:
    client.annotations.remove(_standing(client, arguments.number))
    return f"annotation {arguments.number} is removed\n"
