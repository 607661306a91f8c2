"""Sessions that were set aside for a time that cannot be: listed, shown, released with their times put right, dropped.

Why one was set aside is told from its times, as ingest judged them. A release is the same sessions in SESSIONS under
their new times; done again, after the sensor sent them again, it adds nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.records import Records
from afterfact_protocol.session import EARLIEST_US, ROW
from afterfact_server.store.days import COLUMNS, DroppedDays, day_text, log
from afterfact_server.store.layout import Layout
from afterfact_server.store.schema import MICROSECONDS_A_DAY, QUARANTINE
from afterfact_server.store.write import insert_sessions

REASONS = ("before-1990", "future", "agent-clock")
"""Began before 1990; ended more than a day after it was stored; live, later than the agent's own clock allowed."""

_REASON = (
    f"multiIf(toUnixTimestamp64Micro(start_time) < {EARLIEST_US}, '{REASONS[0]}', "
    f"toUnixTimestamp64Micro(end_time) > toUnixTimestamp64Micro(ingest_time) + {MICROSECONDS_A_DAY}, '{REASONS[1]}', "
    f"'{REASONS[2]}')"
)
ROUND = 5000
"""Sessions released at a time: their keys go with a statement, and a server takes one of a megabyte."""
LATEST_US = 10_382_256_000_000_000
"""The store's times end with the year 2298."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the quarantined sessions; None: any."""

    sensor: int | None = None
    reason: str | None = None
    day: int | None = None
    """UTC day on which they were stored, days since 1970-01-01."""

    def where(self) -> tuple[str, dict[str, Any]]:
        parts = ["1"]
        parameters: dict[str, Any] = {}
        if self.sensor is not None:
            parts.append("sensor = {sensor:UInt16}")
            parameters["sensor"] = self.sensor
        if self.reason is not None:
            parts.append(f"{_REASON} = {{reason:String}}")
            parameters["reason"] = self.reason
        if self.day is not None:
            parts.append(f"intDiv(toUnixTimestamp64Micro(ingest_time), {MICROSECONDS_A_DAY}) = {{day:Int64}}")
            parameters["day"] = self.day
        return " AND ".join(parts), parameters


@dataclass(frozen=True, slots=True)
class SetAside:
    """Sessions of one sensor, set aside on one day for one reason. Times in microseconds UTC."""

    sensor: int
    reason: str
    day: int
    sessions: int
    earliest: int
    latest: int


def summary(client: Client) -> list[SetAside]:
    """What lies in quarantine."""
    return [
        SetAside(*row)
        for row in client.query(
            f"SELECT sensor, {_REASON} AS reason, intDiv(toUnixTimestamp64Micro(ingest_time), {MICROSECONDS_A_DAY}) "
            "AS day, count(), toUnixTimestamp64Micro(min(start_time)), toUnixTimestamp64Micro(max(start_time)) "
            f"FROM {QUARANTINE} FINAL GROUP BY sensor, reason, day ORDER BY sensor, day, reason"
        ).result_rows
    ]


def rows(client: Client, selection: Selection, limit: int) -> Records:
    """Quarantined sessions (ROW), at most `limit`, in the order of their key."""
    where, parameters = selection.where()
    data = client.raw_query(
        f"SELECT {COLUMNS} FROM {QUARANTINE} FINAL WHERE {where} ORDER BY start_time, sensor, session_id LIMIT {limit}",
        parameters=parameters,
        fmt="RowBinary",
    )
    return np.frombuffer(data, ROW)


def release(client: Client, layout: Layout, dropped: DroppedDays, selection: Selection, shift: int, now: int) -> int:
    """Put the selected sessions, ROUND of them at most, among the others, their times moved by `shift` microseconds;
    how many they were. ValueError if a moved time cannot be, or its day was dropped."""
    found = rows(client, selection, ROUND)
    if not len(found):
        return 0
    moved = found.copy()
    for name in ("start_time", "end_time"):
        if int(found[name].min()) + shift < 0 or int(found[name].max()) + shift >= LATEST_US:
            raise ValueError(f"moved by {shift / 1e6:g} s, some of these sessions would lie outside 1970 to 2298")
        moved[name] += shift
    gone = dropped.holds(moved)
    if gone.any():
        day = day_text(int(moved["start_time"][gone][0]) // MICROSECONDS_A_DAY)
        raise ValueError(f"{int(gone.sum())} of these sessions would fall on days that were dropped, {day} among them: "
                         "choose others, or admit the day again first")  # fmt: skip
    insert_sessions(client, moved)  # first: a crash leaves them in both, and doing it again puts that right
    log(client, now, "release quarantined", rows=len(found), note=f"{_said(selection)}; moved by {shift / 1e6:g} s")
    _delete(client, layout, found)
    return len(found)


def drop(client: Client, layout: Layout, selection: Selection, now: int) -> int:
    """Drop the selected sessions; how many."""
    where, parameters = selection.where()
    counted = client.query(f"SELECT count() FROM {QUARANTINE} FINAL WHERE {where}", parameters=parameters)
    count = int(counted.result_rows[0][0])
    if count:
        log(client, now, "drop quarantined", rows=count, note=_said(selection))
        client.command(
            f"DELETE FROM {layout.local(QUARANTINE)}{layout.on_cluster} WHERE {where}",
            parameters=parameters,
            settings={"lightweight_deletes_sync": 2},
        )
    return count


def _delete(client: Client, layout: Layout, found: Records) -> None:
    """Delete these sessions, all their revisions, from quarantine."""
    first, last = int(found["start_time"].min()), int(found["start_time"].max())
    client.command(
        f"DELETE FROM {layout.local(QUARANTINE)}{layout.on_cluster} WHERE start_time BETWEEN "
        "fromUnixTimestamp64Micro({first:Int64}) AND fromUnixTimestamp64Micro({last:Int64}) "
        "AND (toUnixTimestamp64Micro(start_time), sensor, session_id) IN {keys:Array(Tuple(Int64, UInt16, UInt64))}",
        parameters={
            "first": first,
            "last": last,
            "keys": list(zip(*(found[name].tolist() for name in ("start_time", "sensor", "session_id")), strict=True)),
        },
        settings={"lightweight_deletes_sync": 2},
    )


def _said(selection: Selection) -> str:
    parts = [
        f"{name} {value}"
        for name, value in (("sensor", selection.sensor), ("reason", selection.reason), ("day", selection.day))
        if value is not None
    ]
    return ", ".join(parts) or "all"
