"""Writes to the session store. Every function returns once what it wrote is durable (the tables fsync).

Times go in as the integers that the store keeps, microseconds since 1970: a datetime ends with the year 9999, and
making one is a price for every value.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from clickhouse_connect.driver.client import Client

from afterfact_protocol.messages import Observed
from afterfact_protocol.records import Records
from afterfact_protocol.session import FIELDS, KEY
from afterfact_server.store import packed
from afterfact_server.store.eventnumbers import remember
from afterfact_server.store.layout import SINGLE, Layout
from afterfact_server.store.ledger import Stream
from afterfact_server.store.schema import (
    BUILT_BY_MERGES,
    EVENTS,
    EVENTS_QUARANTINE,
    MICROSECONDS_A_DAY,
    QUARANTINE,
    SESSIONS,
)

_NAMES = [field.name for field in FIELDS]

_INSERT = {
    # The indexes of ends and of conversations are built when parts are merged, not for every small part: a third of
    # what an insert took. Parts that have none yet are few and small, and read whole.
    "exclude_materialize_skip_indexes_on_insert": ", ".join(BUILT_BY_MERGES),
    # Rows come sorted and once each, see newest_by_key.
    "optimize_on_insert": 0,
    "max_insert_threads": 1,
    "max_threads": 1,
}

BatchEntry = tuple[bytes, int, int, int, int, int, int]
"""A ledger entry: stream, seq, sensor, sessions stored, quarantined, newest end_time, sessions expired."""


def _opaque(rows: Records) -> Records:
    """numpy joins and picks rows field by field; as opaque bytes they are copied whole, at a fortieth of the price."""
    return rows.view(f"V{rows.dtype.itemsize}")


def joined(parts: Sequence[Records]) -> Records:
    """Rows of several arrays of one dtype in one; there must be an array."""
    return np.concatenate([_opaque(part) for part in parts]).view(parts[0].dtype)


def picked(rows: Records, mask: npt.NDArray[np.bool_]) -> Records:
    """The rows where `mask` holds: `rows` itself where it holds everywhere."""
    return rows if mask.all() else _opaque(rows)[mask].view(rows.dtype)


def by_day(rows: Records, time: str = "start_time") -> list[Records]:
    """Rows apart by the UTC day of a field, oldest first, each day's in the order given."""
    days = rows[time] // MICROSECONDS_A_DAY
    if not len(rows) or days.min() == days.max():
        return [rows] if len(rows) else []
    order = np.argsort(days, kind="stable")
    cuts = np.flatnonzero(np.diff(days[order])) + 1
    return [part.view(rows.dtype) for part in np.split(_opaque(rows)[order], cuts)]


def newest_by_key(rows: Records) -> Records:
    """ROW records in the order of KEY, of each session the newest revision: what the store would make of them, at a
    third of its price, since it sorts and picks column by column."""
    order = np.lexsort((rows["revision"], *(rows[name] for name in reversed(KEY))))
    last = np.zeros(len(rows), np.bool_)
    last[-1:] = True
    for name in KEY:
        column = rows[name][order]
        last[:-1] |= column[1:] != column[:-1]
    return _opaque(rows)[order[last]].view(rows.dtype)


def insert_day(client: Client, rows: Records) -> None:
    """Insert ROW records of one UTC day: an insert over several days is not atomic, over 100 it is refused."""
    data = packed.with_packed(newest_by_key(rows))
    client.raw_insert(SESSIONS, [*_NAMES, packed.COLUMN], data, fmt="RowBinary", settings=_INSERT)


def insert_sessions(client: Client, rows: Records) -> None:
    """Insert ROW records of any days, one insert a day."""
    for day in by_day(rows):
        insert_day(client, day)


def insert_quarantined(client: Client, rows: Records) -> None:
    """Insert ROW records whose time cannot be; they lie in the partition of their ingest day."""
    if len(rows):
        client.raw_insert(QUARANTINE, _NAMES, rows.tobytes(), fmt="RowBinary")


def insert_stream(client: Client, stream: Stream, changed: int, replaced: bool = False) -> None:
    """Record that a stream was opened, or replaced. `changed` is from Ledger.next_change: the latest counts."""
    client.insert(
        "streams",
        [[stream.stream, stream.sensor, stream.kind, stream.content, stream.meter, changed, int(replaced)]],
        column_names=["stream", "sensor", "kind", "content", "meter", "changed", "replaced"],
    )


def delete_stream(client: Client, stream: bytes, layout: Layout = SINGLE) -> None:
    """Remove what a stream brought: sessions, events, intervals and its batches' ledger entries. Pinned sessions
    stay."""
    pinned = client.query("SELECT count() FROM pins").result_rows[0][0]
    spared = f" AND ({', '.join(KEY)}) NOT IN (SELECT {', '.join(KEY)} FROM pins)" if pinned else ""
    remember(client)
    for table in (SESSIONS, QUARANTINE, EVENTS, EVENTS_QUARANTINE, "observed", "batches"):
        client.command(
            f"DELETE FROM {layout.local(table)}{layout.on_cluster} WHERE stream = unhex({{stream:String}})"
            + (spared if table == SESSIONS else ""),
            parameters={"stream": stream.hex()},
            settings={"lightweight_deletes_sync": 2},
        )


def insert_observed(client: Client, items: Iterable[tuple[int, bytes, int, int, Observed]], now: int) -> None:
    """Intervals as (sensor, stream, seq, place in the batch, interval)."""
    rows = [
        [sensor, o.start, o.end, o.kind, o.what, o.packets, o.lost, o.note, stream, seq, item, now]
        for sensor, stream, seq, item, o in items
    ]
    names = ["sensor", "start", "end", "kind", "what", "packets", "lost", "note", "stream", "seq", "item",
             "ingest_time"]  # fmt: skip
    if rows:
        client.insert("observed", rows, column_names=names)


def insert_batches(client: Client, entries: Sequence[BatchEntry], now: int) -> None:
    """Say in the ledger that these batches are durable."""
    rows = [
        [stream, seq, sensor, stored, quarantined, newest, expired, now]
        for stream, seq, sensor, stored, quarantined, newest, expired in entries
    ]
    names = ["stream", "seq", "sensor", "stored", "quarantined", "newest", "expired", "ingest_time"]
    if rows:
        client.insert("batches", rows, column_names=names)
