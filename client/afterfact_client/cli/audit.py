"""afterfact audit: who did what, newest first; for leads and administrators."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, Failure
from afterfact_client.link import RequestFailed
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import columns

COLUMNS = ("n", "time", "kind", "user", "address")
TABLE_LIMIT = 200


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser("audit", help="who did what (leads and administrators)",
                                 description="Records of the server's audit, newest first.")  # fmt: skip
    login.add_arguments(parser)
    parser.add_argument("--kind", default="", help="query, export, login, change, ...")
    parser.add_argument("--of", metavar="NAME", dest="of_user", default="", help="what this account did")
    parser.add_argument("--since", metavar="T", default="", help="'2026-11-24' or '2026-11-24 17:30', UTC")
    parser.add_argument("--until", metavar="T", default="", help="the same; a day is whole")
    parser.add_argument("--limit", metavar="N", type=int, default=TABLE_LIMIT)
    parser.add_argument("--format", choices=("table", "jsonl"), default="table")
    parser.set_defaults(work=lambda arguments: _work(arguments, password))


def _work(arguments: argparse.Namespace, password: Callable[[str], str]) -> int:
    first, last = (text.replace(" ", "T") for text in (arguments.since, arguments.until))
    with login.logged_in(arguments, password) as client, output(None) as out:
        try:
            found = client.audit(arguments.kind, arguments.of_user, first, last and f"{last}~", arguments.limit)
            if arguments.format == "jsonl":
                for record in found:
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
                return DONE
            rows = [[printable(str(record.get(name, ""))) for name in COLUMNS] + [_rest(record)] for record in found]
        except RequestFailed as error:
            raise Failure(str(error), FAILED) from None
        for line in columns([[*COLUMNS, ""], *rows]):
            out.write(line + "\n")
    return DONE


def _rest(record: dict[str, Any]) -> str:
    return printable("; ".join(f"{name}: {value}" for name, value in record.items()
                               if name not in COLUMNS and value not in ("", None)))  # fmt: skip
