"""What can be asked next from a cell: the right-click menu's entries, each with the query that it runs.

Depends on the column, the row and the query that found it; knows no menu. The time that the query asked about is kept
unless the entry brings its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from afterfact_client.state import querytext
from afterfact_client.state.columns import BY_NAME, Column, address
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.canonical import endpoint as _endpoint_text
from afterfact_protocol.query.canonical import instant, quoted
from afterfact_protocol.query.nodes import Endpoint, Network
from afterfact_protocol.query.operators import Type

MINUTE = 60_000_000
AROUND = 30 * MINUTE
"""Sguil's "/1 Hour": half an hour each side of the row."""


@dataclass(frozen=True, slots=True)
class Pivot:
    """One entry: `text` is the whole query it asks."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """Entries that belong together, with a heading."""

    heading: str
    entries: tuple[Pivot, ...]
    folded: bool = False
    """Whether they open from the heading, in a menu of their own."""


_WIDTHS = (("5 min", 5 * MINUTE), ("1 hour", 60 * MINUTE), ("1 day", 1440 * MINUTE))


def pivots(column: Column, row: np.void, sensors: Mapping[int, str], asked: str) -> list[Section]:
    """The menu of a cell of a row that the query `asked` found."""
    kept = _kept_times(asked)
    sections: list[Section] = []
    if column.name in _SIDES:
        side = column.name.partition("_")[0]
        if column.type is Type.ADDRESS:
            sections += _of_address(side, row, kept)
        elif not column.absent(np.array([row]))[0]:
            sections += _of_port(side, row, kept)
    elif column.type is Type.ADDRESS and not column.absent(np.array([row]))[0]:
        value = address(bytes(row[column.name]))
        sections.append(Section(value, (_ask(f"{value}, either side", f"ip = {value}", kept),)))
    elif column.type is Type.TIME and column.name != "ingest_time":
        sections.append(_of_time(column, row, asked))
    sections += _near(column, row, sensors, asked)
    sections.append(_refine(column, row, sensors, asked))
    return [section for section in sections if section.entries]


_SIDES = ("src_ip", "dst_ip", "src_port", "dst_port")


def _kept_times(asked: str) -> list[str]:
    try:
        return querytext.time_terms(asked)
    except QueryError:
        return []


def _ask(label: str, condition: str, times: list[str]) -> Pivot:
    return Pivot(label, "WHERE " + " AND ".join([*times, condition]))


def around(us: int, width: int = AROUND) -> str:
    """The condition that a session starts within `width` microseconds of a time."""
    return f"start_time BETWEEN {quoted(instant(us - width))} AND {quoted(instant(us + width))}"


def _there_around(us: int, width: int) -> str:
    """The condition that a session was there within `width` microseconds of a time, whenever it began."""
    return f"DURING {quoted(instant(us - width))} .. {quoted(instant(us + width))}"


def _of_address(side: str, row: np.void, kept: list[str]) -> list[Section]:
    this = address(bytes(row[f"{side}_ip"]))
    src, dst = address(bytes(row["src_ip"])), address(bytes(row["dst_ip"]))
    near = [around(int(row["start_time"]))]
    alone = Section(
        this,
        (
            _ask(f"{this}, &either side", f"ip = {this}", kept),
            _ask(f"{this} as &source", f"src_ip = {this}", kept),
            _ask(f"{this} as &destination", f"dst_ip = {this}", kept),
            _ask(f"{this}, ± 3&0 min around this row", f"ip = {this}", near),
        ),
    )
    both = f"ip = {src} AND ip = {dst}" if src != dst else f"src_ip = {src} AND dst_ip = {dst}"
    pair = Section(
        "The pair",
        (
            _ask(f"{src} &to {dst}", f"src_ip = {src} AND dst_ip = {dst}", kept),
            _ask(f"{src} and {dst}, &both directions", both, kept),
            _ask(f"{src} and {dst}, ± 30 &min around this row", both, near),
        ),
    )
    return [alone, pair]


def _of_port(side: str, row: np.void, kept: list[str]) -> list[Section]:
    other = "dst" if side == "src" else "src"
    port = int(row[f"{side}_port"])
    here, there = bytes(row[f"{side}_ip"]), bytes(row[f"{other}_ip"])
    near = [around(int(row["start_time"]))]
    alone = Section(
        f"Port {port}",
        (
            _ask(f"port {port}, &either side", f"port = {port}", kept),
            _ask(f"port {port} as &destination port", f"dst_port = {port}", kept),
            _ask(f"port {port} as &source port", f"src_port = {port}", kept),
            _ask(f"port {port}, ± 3&0 min around this row", f"port = {port}", near),
        ),
    )
    # Who called in there, and the same at the other host: how a backdoor is looked for on who carries the worm.
    called = [_endpoint(host, port) for host in dict.fromkeys((here, there))]
    hosts = Section(
        "Port and host",
        (
            _ask(f"{called[0]}, eit&her side", f"endpoint = '{called[0]}'", kept),
            *(
                _ask(f"{key}onnections to {name}", f"dst_ip = {address(host)} AND dst_port = {port}", kept)
                for key, name, host in zip(("&c", "c&"), called, dict.fromkeys((here, there)), strict=False)
            ),
        ),
    )
    return [alone, hosts]


def _of_time(column: Column, row: np.void, asked: str) -> Section:
    us = int(row[column.name])
    try:
        rest = querytext.without_times(asked)
    except QueryError:
        return Section("", ())
    # A session may have begun long before its end: what starts around that need not be the row itself.
    near = around if column.name == "start_time" else _there_around
    heading = f"Around {instant(us)[:19]} UTC"
    return Section(
        heading,
        tuple(
            Pivot(f"{what}, ± {label}", querytext.refined(base, near(us, minutes * MINUTE)))
            for what, base in (("this query", rest), ("everything", ""))
            for label, minutes in (("&5 min", 5), ("3&0 min", 30))
        ),
    )


def _near(column: Column, row: np.void, sensors: Mapping[int, str], asked: str) -> list[Section]:
    """Other lengths of time around the row: the value, the pair, the conversation, everything, the query itself."""
    src, dst = address(bytes(row["src_ip"])), address(bytes(row["dst_ip"]))
    bases = []
    if column.name in _SIDES and not column.absent(np.array([row]))[0]:
        either = "ip" if column.type is Type.ADDRESS else "port"
        bases.append((f"{either} {column.literal(row, sensors)}", f"WHERE {either} = {column.literal(row, sensors)}"))
    bases.append((f"{src} and {dst}", f"WHERE ip = {src} AND ip = {dst}"))
    community = BY_NAME["community_id"].condition(row, sensors)
    bases.append(("this conversation", f"WHERE ip = {src} AND ip = {dst} AND {community}"))
    bases.append(("everything", ""))
    try:
        bases.append(("this query", querytext.without_times(asked)))
        entries = tuple(
            Pivot(f"{what}, ± {length}", querytext.refined(base, around(int(row["start_time"]), width)))
            for what, base in bases
            for length, width in _WIDTHS
        )
    except (QueryError, OverflowError):
        return []
    return [Section("Around this row's time", entries, folded=True)]


def _refine(column: Column, row: np.void, sensors: Mapping[int, str], asked: str) -> Section:
    condition = column.condition(row, sensors)
    try:
        both = querytext.refined(asked, condition), querytext.refined(asked, condition, negated=True)
    except QueryError:
        return Section("", ())
    entries = Pivot(f"&AND {condition}", both[0]), Pivot(f"AND &NOT {condition}", both[1])
    return Section("Add to the query", entries)


def _endpoint(packed: bytes, port: int) -> str:
    return _endpoint_text(Endpoint(Network(int.from_bytes(packed), 128), port))


def sensor_condition(name: str) -> str:
    """The condition that a sensor of this name observed the session."""
    return f"{BY_NAME['sensor'].name} = {quoted(name)}"
