"""Days of sessions: which there are, what dropping one does, and which were dropped.

A day is dropped from SESSIONS at a stroke: its partition gives way to the pinned sessions of that day, or to nothing.
So queries look into one table and find what is pinned once. Its events go with it. A day stays dropped until somebody
admits it again: what comes for it is acknowledged and not stored. Deciding which day goes is not here.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from clickhouse_connect.driver.client import Client

from afterfact_protocol.messages import Observed
from afterfact_protocol.records import Records
from afterfact_protocol.session import FIELDS, KEY
from afterfact_server.store.eventnumbers import remember
from afterfact_server.store.layout import Layout
from afterfact_server.store.schema import (
    EVENTS,
    EVENTS_QUARANTINE,
    MICROSECONDS_A_DAY,
    PINNED,
    QUARANTINE,
    SESSIONS,
)

DROPPED, ADMITTED, DROPPED_QUARANTINE = "drop day", "admit day", "drop quarantined day"
"""Actions in store_log."""

_EVENTS_BESIDE = {SESSIONS: EVENTS, QUARANTINE: EVENTS_QUARANTINE}
"""What goes with a day of a table."""
COLUMNS = ", ".join(field.name for field in FIELDS)
_KEY = f"({', '.join(KEY)})"


def day_text(day: int) -> str:
    """YYYY-MM-DD of a day number."""
    return str(np.datetime64(day, "D"))


def day_number(text: str) -> int:
    """Days since 1970-01-01 of YYYY-MM-DD. ValueError if it is no such day."""
    if len(text) != 10:
        raise ValueError(f"{text!a:.40} is no day; write it as 2004-07-26")
    try:
        return int(np.datetime64(text, "D").astype(np.int64))
    except ValueError:
        raise ValueError(f"{text!a:.40} is no day; write it as 2004-07-26") from None


@dataclass(frozen=True, slots=True)
class Day:
    """A day of SESSIONS, or of QUARANTINE by its days of ingest."""

    day: int
    """Days since 1970-01-01 UTC."""
    rows: int
    """Records, several revisions of a session singly until they are merged."""
    bytes: int
    """With its events."""
    newest_ingest: int
    """Microseconds UTC, of sessions and events."""
    events: int = 0


class DroppedDays:
    """Day numbers that were dropped and not admitted again. Safe from several threads."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.Lock()
        self._days = {
            row[0]
            for row in client.query(
                "SELECT day FROM store_log WHERE action IN ({drop:String}, {admit:String}) "
                "GROUP BY day HAVING argMax(action, time) = {drop:String}",
                parameters={"drop": DROPPED, "admit": ADMITTED},
            ).result_rows
        }

    def __contains__(self, day: int) -> bool:
        with self._lock:
            return day in self._days

    def all(self) -> list[int]:
        with self._lock:
            return sorted(self._days)

    def add(self, day: int) -> None:
        with self._lock:
            self._days.add(day)

    def discard(self, day: int) -> None:
        with self._lock:
            self._days.discard(day)

    def holds(self, rows: Records, time: str = "start_time") -> npt.NDArray[np.bool_]:
        """Mask of the rows that began, or are, on a dropped day."""
        gone = self.all()
        if not gone:  # mostly, and this is asked of every batch
            return np.zeros(len(rows), np.bool_)
        return np.isin(rows[time] // MICROSECONDS_A_DAY, gone)

    def cut(self, observed: Observed) -> list[Observed]:
        """What is left of an interval outside the dropped days; its counts stay with the first piece."""
        return _cut(observed, self.all())


def _cut(observed: Observed, days: Iterable[int]) -> list[Observed]:
    pieces = [(observed.start, observed.end)]
    for day in days:
        first, after = day * MICROSECONDS_A_DAY, (day + 1) * MICROSECONDS_A_DAY
        if observed.end < first or observed.start >= after:
            continue
        sides = [side for start, end in pieces for side in ((start, min(end, first - 1)), (max(start, after), end))]
        pieces = [(start, end) for start, end in sides if start <= end]
    made = []
    for at, (start, end) in enumerate(pieces):
        packets, lost = (0, 0) if at else (observed.packets, observed.lost)
        made.append(Observed(start, end, observed.kind, observed.what, packets, lost, observed.note))
    return made


def log(
    client: Client, now: int, action: str, day: int = 0, rows: int = 0, size: int = 0, kept: int = 0, note: str = ""
) -> None:
    """An entry of store_log; durable when it returns."""
    client.insert("store_log", [[now, action, day, rows, size, kept, note]],
                  column_names=["time", "action", "day", "rows", "bytes", "kept", "note"])  # fmt: skip


def days(client: Client, layout: Layout, table: str = SESSIONS) -> list[Day]:
    """What there is of SESSIONS or QUARANTINE and the events beside, by day. Reads a column of the whole tables: not
    for ingest's thread."""
    sessions = {day.day: day for day in _days(client, layout, table)}
    for day in _days(client, layout, _EVENTS_BESIDE[table]):
        has = sessions.get(day.day, Day(day.day, 0, 0, 0))
        newest = max(has.newest_ingest, day.newest_ingest)
        sessions[day.day] = Day(day.day, has.rows, has.bytes + day.bytes, newest, day.rows)
    return [sessions[day] for day in sorted(sessions)]


def _days(client: Client, layout: Layout, table: str) -> list[Day]:
    found = client.query(
        f"SELECT _partition_id, count(), toUnixTimestamp64Micro(max(ingest_time)) FROM {table} GROUP BY _partition_id"
    ).result_rows
    known = {str(name): (int(rows), int(newest)) for name, rows, newest in found}
    return [
        Day(int(partition), known[name][0], size, known[name][1])
        for partition, name, size in _parts(client, layout, table)
        if name in known
    ]


def _parts(client: Client, layout: Layout, table: str) -> list[tuple[str, str, int]]:
    """(partition, its id, bytes on disk) by day."""
    found = client.query(
        f"SELECT any(partition) AS day, partition_id, sum(bytes_on_disk) FROM {layout.system('parts')} "
        "WHERE active AND database = currentDatabase() AND table = {table:String} "
        "GROUP BY partition_id ORDER BY toInt32(day)",
        parameters={"table": layout.local(table)},
    ).result_rows
    return [(str(row[0]), str(row[1]), int(row[2])) for row in found]


def drop_day(client: Client, layout: Layout, dropped: DroppedDays, day: int, reason: str, now: int) -> tuple[int, int]:
    """Drop a day of SESSIONS but for its pinned sessions, its events, and what was watched on it: records gone and
    kept. On the thread that takes sessions in, or with none running."""
    name, size = next((part[1:] for part in _parts(client, layout, SESSIONS) if int(part[0]) == day), (None, 0))
    counted = client.query(f"SELECT count() FROM {SESSIONS} WHERE {_WITHIN}", parameters=_span(day))
    rows = int(counted.result_rows[0][0])
    kept = _refresh_pinned(client, day)
    log(client, now, DROPPED, day, max(0, rows - kept), size, kept, reason)
    dropped.add(day)  # said first: a crash leaves a day that is dropped and to be dropped, see finish_drops
    # Before the sessions: a day without sessions that counts as watched would be a lie, should this be cut off here.
    _forget_watching(client, layout, day, now)
    remember(client)
    _drop_partition(client, layout, EVENTS, day)
    if name is not None:
        _replace(client, layout, name, kept)
    return max(0, rows - kept), kept


def finish_drops(client: Client, layout: Layout, dropped: DroppedDays, now: int) -> list[int]:
    """Days that were said to be dropped before a crash, dropped to the end."""
    ids = {name: int(partition) for partition, name, _ in _parts(client, layout, SESSIONS) if int(partition) in dropped}
    stored, pinned = (_counts(client, table, list(ids)) for table in (SESSIONS, f"{PINNED} FINAL"))
    unfinished = [int(partition) for partition, _, _ in _parts(client, layout, EVENTS) if int(partition) in dropped]
    for day in unfinished:
        _drop_partition(client, layout, EVENTS, day)
    for name, rows in stored.items():
        if rows > pinned.get(name, 0):
            _forget_watching(client, layout, ids[name], now)
            _replace(client, layout, name, pinned.get(name, 0))
            unfinished.append(ids[name])
    return sorted(set(unfinished))


def _counts(client: Client, table: str, names: list[str]) -> dict[str, int]:
    """Records by partition id. Not those of system.parts, which counts deleted ones until they are merged away."""
    found = client.query(
        f"SELECT _partition_id, count() FROM {table} WHERE _partition_id IN {{names:Array(String)}} "
        "GROUP BY _partition_id",
        parameters={"names": names},
    ).result_rows
    return {str(name): int(rows) for name, rows in found}


def admit_day(client: Client, dropped: DroppedDays, day: int, now: int) -> None:
    """What comes for the day is stored again."""
    log(client, now, ADMITTED, day)
    dropped.discard(day)


def drop_quarantined_day(client: Client, layout: Layout, day: Day, reason: str, now: int) -> None:
    """Drop what was set aside on a day of ingest."""
    log(client, now, DROPPED_QUARANTINE, day.day, day.rows, day.bytes, 0, reason)
    for table in (EVENTS_QUARANTINE, QUARANTINE):
        _drop_partition(client, layout, table, day.day)


def _drop_partition(client: Client, layout: Layout, table: str, day: int) -> None:
    for partition, name, _ in _parts(client, layout, table):
        if int(partition) == day:
            client.command(f"ALTER TABLE {layout.local(table)}{layout.on_cluster} DROP PARTITION ID '{name}'")


def _span(day: int) -> dict[str, int]:
    return {"first": day * MICROSECONDS_A_DAY, "last": (day + 1) * MICROSECONDS_A_DAY - 1}


_WITHIN = "start_time BETWEEN fromUnixTimestamp64Micro({first:Int64}) AND fromUnixTimestamp64Micro({last:Int64})"


def _refresh_pinned(client: Client, day: int) -> int:
    """Bring the copies of the day's pinned sessions to their newest revisions; how many sessions there are."""
    span = _span(day)
    pins = client.query(f"SELECT count() FROM pins WHERE {_WITHIN}", parameters=span).result_rows[0][0]
    if pins:
        client.command(
            f"INSERT INTO {PINNED} ({COLUMNS}) SELECT {COLUMNS} FROM {SESSIONS} WHERE {_WITHIN} AND {_KEY} IN "
            f"(SELECT {', '.join(KEY)} FROM pins WHERE {_WITHIN})",
            parameters=span,
        )
    return int(client.query(f"SELECT count() FROM {PINNED} FINAL WHERE {_WITHIN}", parameters=span).result_rows[0][0])


def _replace(client: Client, layout: Layout, name: str, kept: int) -> None:
    """A day's pinned copies in place of all that SESSIONS has of it, at a stroke; `name` is its partition's id."""
    change = f"ALTER TABLE {layout.local(SESSIONS)}{layout.on_cluster} "
    if not kept:
        client.command(f"{change}DROP PARTITION ID '{name}'")
        return
    # On a cluster some nodes may have none of the day's pinned sessions.
    settings = {"allow_replace_partition_from_empty_source": 1} if layout.cluster else {}
    pinned = layout.local(PINNED)
    client.command(f"OPTIMIZE TABLE {pinned}{layout.on_cluster} PARTITION ID '{name}' FINAL")  # one row a session
    client.command(f"{change}REPLACE PARTITION ID '{name}' FROM {pinned}", settings=settings)


def _forget_watching(client: Client, layout: Layout, day: int, now: int) -> None:
    """Nobody watched what is not here any more: a dropped day counts as a gap. What is left of intervals goes in
    before the intervals go: of two with one key the later counts."""
    span = _span(day)
    first, last = "fromUnixTimestamp64Micro({first:Int64})", "fromUnixTimestamp64Micro({last:Int64})"
    over = f"end >= {first} AND start <= {last}"
    partly = f"{over} AND (start < {first} OR end > {last})"
    found = client.query(
        "SELECT sensor, toUnixTimestamp64Micro(start), toUnixTimestamp64Micro(end), kind, what, packets, lost, note, "
        f"stream, seq, item, toUnixTimestamp64Micro(ingest_time) FROM observed FINAL WHERE {partly}",
        parameters=span,
    ).result_rows
    pieces = [
        [sensor, piece.start, piece.end, kind, what, piece.packets, piece.lost, note, bytes(stream), seq, item, ingest]
        for sensor, start, end, kind, what, packets, lost, note, stream, seq, item, ingest in found
        for piece in _cut(Observed(start, end, kind, what, packets, lost, note), [day])
    ]
    if pieces:
        client.insert("observed", pieces, column_names=["sensor", "start", "end", "kind", "what", "packets", "lost",
                                                        "note", "stream", "seq", "item", "ingest_time"])  # fmt: skip
    client.command(
        f"DELETE FROM {layout.local('observed')}{layout.on_cluster} WHERE {over}",
        parameters=span,
        settings={"lightweight_deletes_sync": 2},
    )
