"""afterfact status: sensors, last data, backlog, losses."""

import argparse
from collections.abc import Callable
from typing import Any

from afterfact_client.cli.failure import DONE
from afterfact_client.client import connect
from afterfact_protocol.output import output
from afterfact_protocol.statustext import status_json, status_table


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser("status", help="sensors: last data, backlog, losses")
    parser.add_argument("--join", metavar="CONSOLE.toml", required=True)
    parser.add_argument("--user", metavar="NAME", required=True)
    parser.add_argument("--format", choices=("table", "json"), default="table")

    def work(arguments: argparse.Namespace) -> int:
        with connect(arguments.join, arguments.user, password(arguments.user)) as client:
            status = client.status()
        with output(None) as out:
            out.write(status_json(status) if arguments.format == "json" else status_table(status))
        return DONE

    parser.set_defaults(work=work)
