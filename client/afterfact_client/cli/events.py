"""afterfact events: alerts, newest first, each with the key of the session that it belongs to."""

import argparse
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import numpy as np

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_protocol.event import EVENT_BY_NAME, EVENT_FOUND, Events, event_absent_bits
from afterfact_protocol.output import output
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.lexer import Lexeme, Token
from afterfact_protocol.query.values import time_value
from afterfact_protocol.statustext import columns
from afterfact_protocol.text import CsvWriter, JsonLinesWriter, JsonWriter, column_text

DAY = 86_400_000_000
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"(\d{1,6})(s|min|m|h|d)")
_SESSIONLESS = event_absent_bits("session_id")
TABLE_LIMIT = 1000
"""Without --limit: a table is looked through by eye, and its widths need all of it at once."""
TABLE_COLUMNS = (
    "number", "time", "sensor", "severity", "signature_id", "signature", "action", "proto", "src_ip", "src_port",
    "dst_ip", "dst_port", "session_start", "session_sensor", "session_id",
)  # fmt: skip


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser(
        "events",
        help="alerts, each with its session",
        description="Alerts that sensors delivered, newest first, each with the key of its session: start_time, "
        "sensor and session_id, by which `afterfact query` finds it. No session: those fields are empty.",
    )
    login.add_arguments(parser)
    parser.add_argument("--since", metavar="T", help="a time, '2004-07-20' or '2004-07-20 17:30:00', or how long ago: "
                        "90min, 24h, 7d; without it from the first")  # fmt: skip
    parser.add_argument("--until", metavar="T", help="the same; without it to the last")
    parser.add_argument("--sensor", metavar="NAME", default="", help="those of this sensor")
    parser.add_argument("--signature", metavar="N", type=_number, help="those with this signature's number")
    parser.add_argument("--limit", metavar="N", type=_count, help=f"the newest so many; {TABLE_LIMIT:,} in a table")
    parser.add_argument("--format", choices=("table", "csv", "json", "jsonl"), default="table")
    parser.add_argument("-o", metavar="F", dest="out", help="write them to F instead of stdout")
    parser.set_defaults(work=lambda arguments: _work(arguments, password))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!a:.40} is no signature's number: 0 to {(1 << 32) - 1}")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!a:.40} is no number of alerts: 1 or more")
    return int(text)


def _time(option: str, text: str) -> int:
    """Microseconds since 1970."""
    if found := _LENGTH.fullmatch(text):
        return max(0, time.time_ns() // 1000 - int(found[1]) * UNITS[found[2]] * 1_000_000)
    try:
        return max(0, time_value(Token(Lexeme.STRING, text, 0, len(text)), datetime.now(UTC)).us)
    except QueryError:
        shown = f"{option}: {text!a:.40} is no time"
        raise Failure(f"{shown}: say '2004-07-20', '2004-07-20 17:30:00', or 24h for a day ago", WRONG_CALL) from None


def _work(arguments: argparse.Namespace, password: Callable[[str], str]) -> int:
    start = _time("--since", arguments.since) if arguments.since else 0
    # What is stored may be a day ahead of the server's clock, which may be ahead of ours.
    end = _time("--until", arguments.until) if arguments.until else time.time_ns() // 1000 + 2 * DAY
    if end < start:
        raise Failure("--until is before --since", WRONG_CALL)
    with login.logged_in(arguments, password) as client, output(arguments.out) as out:
        try:
            _write(client, arguments, start, end, out)
        except RequestFailed as error:
            raise Failure(str(error), WRONG_CALL if error.code == "request" else FAILED) from None
    return DONE


def _write(client: Client, arguments: argparse.Namespace, start: int, end: int, out: TextIO) -> None:
    limit = arguments.limit
    if arguments.format == "table":
        _write_table(client, arguments, start, end, limit or TABLE_LIMIT, out)
        return
    make: dict[str, type[CsvWriter] | type[JsonWriter] | type[JsonLinesWriter]]
    make = {"csv": CsvWriter, "json": JsonWriter, "jsonl": JsonLinesWriter}
    sensors: dict[int, str] = {}
    fields = [EVENT_BY_NAME[name] for name in EVENT_FOUND.names or ()]
    writer = make[arguments.format](out, fields, sensors)
    for rows, names in client.events(start, end, arguments.sensor, arguments.signature, limit):
        sensors.update(names)
        writer.write(rows)
    writer.close()


def _write_table(client: Client, arguments: argparse.Namespace, start: int, end: int, limit: int, out: TextIO) -> None:
    """One more is asked for, to say whether there are more."""
    parts: list[Events] = [np.zeros(0, EVENT_FOUND)]
    sensors: dict[int, str] = {}
    for rows, names in client.events(start, end, arguments.sensor, arguments.signature, limit + 1):
        parts.append(rows)
        sensors.update(names)
    found = np.concatenate(parts)
    shown = found[:limit]
    fields = [EVENT_BY_NAME[name] for name in TABLE_COLUMNS]
    texts = [column_text(shown, field, sensors, "-") for field in fields]
    for line in columns([[field.label for field in fields], *zip(*texts, strict=True)]):
        out.write(line + "\n")
    count, without = len(shown), int(((shown["absent"] & np.uint64(_SESSIONLESS)) != 0).sum())
    told = f"{count:,} {'alert' if count == 1 else 'alerts'}" + (f", {without:,} without a session" if without else "")
    if len(found) > limit:
        told += f"; older ones follow: raise --limit, or go on with --until {texts[1][-1]!r}"
    sys.stderr.write(told + "\n")
