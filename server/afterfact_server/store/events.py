"""Events in the store: written, and counted. Every write is durable when it returns (the tables fsync).

A day's events are dropped with its sessions (days.py); which session an event belongs to is found when it is shown
(server/events.py), so nothing here must be set right when a session comes late.
"""

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.event import EVENT_FIELDS, EVENT_ROW, Events
from afterfact_server.store.schema import EVENTS, EVENTS_QUARANTINE

_NAMES = [field.name for field in EVENT_FIELDS]


def insert_events(client: Client, rows: Events) -> None:
    """Insert EVENT_ROW rows of one UTC day: an insert over several days is not atomic."""
    if len(rows):
        client.raw_insert(EVENTS, _NAMES, rows.tobytes(), fmt="RowBinary")


def insert_events_quarantined(client: Client, rows: Events) -> None:
    """Insert EVENT_ROW rows whose time cannot be; they lie in the partition of their ingest day."""
    if len(rows):
        client.raw_insert(EVENTS_QUARANTINE, _NAMES, rows.tobytes(), fmt="RowBinary")


def counts(client: Client) -> dict[int, tuple[int, int]]:
    """By sensor, events stored and events set aside (one that was sent twice may count twice until it is merged)."""
    counted: dict[int, tuple[int, int]] = {}
    for sensor, stored in client.query(f"SELECT sensor, count() FROM {EVENTS} GROUP BY sensor").result_rows:
        counted[int(sensor)] = (int(stored), 0)
    for sensor, aside in client.query(f"SELECT sensor, count() FROM {EVENTS_QUARANTINE} GROUP BY sensor").result_rows:
        counted[int(sensor)] = (counted.get(int(sensor), (0, 0))[0], int(aside))
    return counted


def stored_since(client: Client, ingest_time: int, limit: int) -> Events:
    """EVENT_ROWs stored then or later (microseconds), those stored first; one may come twice."""
    data = client.raw_query(
        f"SELECT {', '.join(_NAMES)} FROM {EVENTS} WHERE ingest_time >= fromUnixTimestamp64Micro({{since:Int64}}) "
        "ORDER BY ingest_time, sensor, event_id LIMIT {limit:UInt64}",
        parameters={"since": ingest_time, "limit": limit},
        fmt="RowBinary",
    )
    return np.frombuffer(data, EVENT_ROW)
