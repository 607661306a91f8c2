"""What is asked to tell of a host: its peers, the ports it called and answered on, when it was seen, its bytes by day.
Queries and words; nothing here knows a window. Times in UTC.

Nothing is left out by default: a host is told of whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.table import Table
from afterfact_client.state.timeline import Top
from afterfact_client.state.wording import count
from afterfact_protocol.session import BY_NAME as FIELD_BY_NAME
from afterfact_protocol.statustext import time_text

FIELDS = {name: column for name, column in BY_NAME.items() if name in FIELD_BY_NAME}
"""Columns that are fields of the record."""
MOST = 8
"""Values of a kind that are named."""


@dataclass(frozen=True, slots=True)
class Part:
    """One question. `base` is the query whose sessions it is of, `field` what they are counted by."""

    key: str
    title: str
    base: str
    field: str
    stage: str

    @property
    def text(self) -> str:
        """The whole question."""
        return f"{self.base} | {self.stage}"


def parts(address: str, times: Sequence[str]) -> list[Part]:
    """All that is asked of an address, within conditions on time; what matters most first."""

    def base(condition: str) -> str:
        return f"WHERE {' AND '.join([*times, condition])} EXCLUDING NONE"

    ends = "count, first, last, distinct({0}) AS hosts, sum({1}) AS sent, sum({2}) AS received"
    by = f"count BY {{}} TOP {MOST}"
    called, answered = base(f"src_ip = {address}"), base(f"dst_ip = {address} AND established")
    return [
        Part("source", "", called, "", ends.format("dst_ip", "src_bytes", "dst_bytes")),
        Part("destination", "", base(f"dst_ip = {address}"), "", ends.format("src_ip", "dst_bytes", "src_bytes")),
        Part("days", "Bytes by day", base(f"ip = {address}"), "", "sum(bytes) AS b, count EVERY 1d"),
        Part("peers", "Peers", base(f"ip = {address}"), "other_ip", by.format("other_ip")),
        Part("called", "Ports it called", called, "dst_port", by.format("dst_port")),
        Part("asked", "Ports it was called on", base(f"dst_ip = {address}"), "dst_port", by.format("dst_port")),
        Part("answered", "Ports it answered on", answered, "dst_port", by.format("dst_port")),
    ]


def ends_words(key: str, table: Table) -> str:
    """What the host did as a source, or as a destination."""
    value = {name: int(table.numbers(table.index(name))[0]) for name in ("count", "hosts", "sent", "received")}
    who = "Called" if key == "source" else "Was called by"
    if not value["count"]:
        return f"{who} nobody."
    first, last = (time_text(int(table.numbers(table.index(name))[0])) for name in ("first", "last"))
    unknown = any(table.null(table.index(name))[0] for name in ("sent", "received"))
    volume = "bytes not known" if unknown else f"sent {value['sent']:,} bytes, received {value['received']:,}"
    return (f"{who} {count(value['hosts'], 'host')} in {count(value['count'], 'session')}, first {first}, last {last}; "
            f"{volume}.")  # fmt: skip


def tops_of(table: Table, field: str) -> tuple[list[Top], int]:
    """The values of a table by one field, each with the condition that finds it, and how many there are in all."""
    at = next(place for place, column in enumerate(table.columns) if column.role == "key")
    found = []
    rows = zip(table.texts(at), table.array("count").tolist(), table.other.tolist(), strict=True)
    for row, (text, number, other) in enumerate(rows):
        if not other:
            found.append(Top(text or "\N{EN DASH}", int(number), key_condition(table, at, row, field, text)))
    return found, table.answer.groups


def known_tops(table: Table, field: str, most: int) -> tuple[list[Top], int]:
    """The same without those that are not known."""
    found, different = tops_of(table, field)
    known = [top for top in found if not top.condition.endswith(" IS NULL")]
    return known[:most], different - (len(found) - len(known))


def key_condition(table: Table, at: int, row: int, field: str, text: str | None) -> str:
    """The condition of the sessions with the value of a cell, which is shown as `text`; None: it is not known."""
    if text is None:
        return f"{field} IS NULL"
    column = FIELDS.get(field)
    told = column.literal(table.as_field(at, field)[row], table.answer.sensors) if column is not None else None
    return f"{field} = {text if told is None else told}"


def days_of(table: Table) -> list[tuple[int, int, int]]:
    """Start (microseconds), bytes and sessions of each day that has some."""
    of = (table.numbers(table.index(name)).tolist() for name in ("b", "count"))
    starts = table.numbers(next(at for at, column in enumerate(table.columns) if column.role == "time")).tolist()
    return [(int(start), int(size), int(number)) for start, size, number in zip(starts, *of, strict=True)]
