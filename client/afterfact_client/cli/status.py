"""afterfact status: sensors, last data, backlog, losses, alarms; or the past of one sensor."""

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, WRONG_CALL, Failure
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_protocol.healthtext import health_json, health_table
from afterfact_protocol.output import output
from afterfact_protocol.statustext import status_json, status_table

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"(\d{1,6})(s|min|m|h|d)")
POINTS = {"table": 48, "json": 1000}
"""Steps in which the past is told: as many as one looks through, or as a message holds."""
STEPS = (10, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400)
"""Seconds. Agents report every ten: finer steps would be empty."""


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser("status", help="sensors: state, last data, backlog, losses, alarms")
    login.add_arguments(parser)
    parser.add_argument("--sensor", metavar="NAME", help="the past of this sensor, from its reports")
    parser.add_argument("--since", metavar="LENGTH", help="with --sensor: how far back, 90min, 24h, 7d; default 24h")
    parser.add_argument("--format", choices=("table", "json"), default="table")

    def work(arguments: argparse.Namespace) -> int:
        if arguments.since and not arguments.sensor:
            raise Failure("--since needs --sensor NAME, whose past it asks for", WRONG_CALL)
        seconds = _seconds(arguments.since or "24h")
        with login.logged_in(arguments, password) as client:
            text = (
                _past(client, arguments.sensor, seconds, arguments.format)
                if arguments.sensor
                else _now(client, arguments.format)
            )
        with output(None) as out:
            out.write(text)
        return DONE

    parser.set_defaults(work=work)


def _seconds(length: str) -> int:
    found = _LENGTH.fullmatch(length)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not seconds:
        raise Failure(f"--since: {length!r} is no length of time: say 90min, 24h or 7d", WRONG_CALL)
    return seconds


def _now(client: Client, form: str) -> str:
    status = client.status()
    return status_json(status) if form == "json" else status_table(status)


def _past(client: Client, sensor: str, seconds: int, form: str) -> str:
    step = next((each for each in STEPS if each * POINTS[form] >= seconds), STEPS[-1])
    points = min(-(-seconds // step), POINTS[form])
    end = int(time.time()) // step * step + step
    try:
        health = client.health(sensor, max(0, end - points * step) * 1_000_000, end * 1_000_000, points)
    except RequestFailed as error:
        raise Failure(str(error), WRONG_CALL if error.code == "request" else 1) from None
    return health_json(health) if form == "json" else health_table(health)
