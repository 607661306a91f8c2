"""afterfact saved: queries that the team saved under a name."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import SavedItem
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import columns, time_text


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    words = commands.add_parser(
        "saved", help="queries that the team saved: list, show, add, remove"
    ).add_subparsers(required=True, metavar="COMMAND")  # fmt: skip

    def command(name: str, text: str, work: Callable[[Client, argparse.Namespace], str]) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
        login.add_arguments(made)
        made.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return made

    listing = command("list", "all of them", _list)
    listing.add_argument("--format", choices=("table", "jsonl"), default="table")
    show = command("show", 'the text of one, for: afterfact query "$(afterfact saved show NAME)"', _show)
    add = command("add", "save a query for the team", _add)
    remove = command("remove", "remove one; its versions are kept", _remove)
    for each in (show, add, remove):
        each.add_argument("name", metavar="NAME", help="NAME or 'FOLDER / NAME'")
    add.add_argument("text", metavar="QUERY")
    add.add_argument("--comment", metavar="TEXT", default="")
    add.add_argument("--replace", action="store_true", help="in place of one of that name")


def _work(
    arguments: argparse.Namespace, password: Callable[[str], str], work: Callable[[Client, argparse.Namespace], str]
) -> int:
    with login.logged_in(arguments, password) as client, output(None) as out:
        try:
            out.write(work(client, arguments))
        except RequestFailed as error:
            where = f"query, column {error.start + 1}: " if error.start >= 0 else ""
            code = WRONG_CALL if error.code in ("request", "query", "forbidden") else FAILED
            raise Failure(f"{where}{error}", code) from None
    return DONE


def _list(client: Client, arguments: argparse.Namespace) -> str:
    found = client.saved.all()
    if arguments.format == "jsonl":
        return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    rows = [[printable(_path(one)), printable(one.by), time_text(one.made), printable(" ".join(one.text.split())),
             printable(one.comment)] for one in found]  # fmt: skip
    return "".join(f"{line}\n" for line in columns([["query", "by", "saved (UTC)", "asks", ""], *rows]))


def _path(one: SavedItem) -> str:
    return f"{one.folder} / {one.name}" if one.folder else one.name


def _find(client: Client, path: str) -> SavedItem | None:
    folder, name = _parts(path)
    return next((one for one in client.saved.all() if (one.folder, one.name) == (folder, name)), None)


def _parts(path: str) -> tuple[str, str]:
    folder, slash, name = path.rpartition(" / ")
    return (" ".join(folder.split()), " ".join(name.split())) if slash else ("", " ".join(path.split()))


def _needed(client: Client, path: str) -> SavedItem:
    found = _find(client, path)
    if found is None:
        raise Failure(f"the team saved no query {path!a:.140}; see: afterfact saved list", WRONG_CALL)
    return found


def _show(client: Client, arguments: argparse.Namespace) -> str:
    return f"{_needed(client, arguments.name).text}\n"


def _add(client: Client, arguments: argparse.Namespace) -> str:
    folder, name = _parts(arguments.name)
    before = _find(client, arguments.name) if arguments.replace else None
    client.saved.save(name, arguments.text, folder, arguments.comment, number=before.number if before else 0)
    return f"saved for the team: {printable(arguments.name)}\n"


def _remove(client: Client, arguments: argparse.Namespace) -> str:
    client.saved.remove(_needed(client, arguments.name))
    return f"removed for the team: {printable(arguments.name)}\n"
