"""Short numbers of events, for people to type: given when an event is stored, never to another, kept when the same
event comes again.
"""

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.event import EVENT_FIELDS, EVENT_KEY, EVENT_ROW, Events
from afterfact_server.store.layout import Layout

EVENTS = "events"
HIGHEST = "event_numbers"
_NAMES = [field.name for field in EVENT_FIELDS]
_NUMBERED = np.dtype([*((name, EVENT_ROW[name]) for name in EVENT_KEY), ("number", "<u4")])
_WITHOUT = "number = 0"


class EventNumbers:
    """The next number. For the one thread that stores events."""

    def __init__(self) -> None:
        self._next = 0
        """0 before the store was asked."""

    def numbered(self, client: Client, rows: Events) -> Events:
        """The same EVENT_ROWs with their numbers: those that an event has in the store, else new ones. StoreFailure."""
        if not len(rows):
            return rows
        self._next = self._next or _highest(client) + 1
        known = _known(client, rows)
        found = rows.copy()
        for at, key in enumerate(zip(*(rows[name].tolist() for name in EVENT_KEY), strict=True)):
            if key not in known:
                known[key] = self._next
                self._next += 1
            found["number"][at] = known[key]
        return found


def _highest(client: Client) -> int:
    given = f"(SELECT max(number) FROM {EVENTS})"
    return int(client.query(f"SELECT greatest({given}, max(highest)) FROM {HIGHEST}").result_rows[0][0])


def remember(client: Client) -> None:
    """Keep the highest number that was given, before events are dropped. StoreFailure."""
    client.command(f"INSERT INTO {HIGHEST} SELECT max(number), now64(6) FROM {EVENTS} HAVING max(number) > 0")


def _known(client: Client, rows: Events) -> dict[tuple[int, ...], int]:
    """Numbers by key of those that are stored already; what else begins between them under the same id does no harm."""
    data = client.raw_query(
        f"SELECT {', '.join(_NUMBERED.names or ())} FROM {EVENTS} WHERE time BETWEEN "
        "fromUnixTimestamp64Micro({first:Int64}, 'UTC') AND fromUnixTimestamp64Micro({last:Int64}, 'UTC') "
        "AND event_id IN {ids:Array(UInt64)} AND number > 0",
        parameters={"first": int(rows["time"].min()), "last": int(rows["time"].max()),
                    "ids": np.unique(rows["event_id"]).tolist()},
        fmt="RowBinary",
    )  # fmt: skip
    return {tuple(row[:-1]): row[-1] for row in np.frombuffer(data, _NUMBERED).tolist()}


def number_events(client: Client, layout: Layout) -> None:
    """Numbers for what an older program stored without: a step of the store's versions, day by day; may be repeated."""
    for table in (EVENTS, f"{EVENTS}_quarantine"):
        for statement in layout.add_column(table, "number", "UInt32 CODEC(Delta, ZSTD(1))"):
            client.command(statement)
    numbers = EventNumbers()
    days = client.query(f"SELECT DISTINCT toDate(time) AS day FROM {EVENTS} WHERE {_WITHOUT} ORDER BY day").result_rows
    for (day,) in days:
        of_day = f"toDate(time) = toDate('{day}')"
        data = client.raw_query(
            f"SELECT {', '.join(_NAMES)} FROM {EVENTS} FINAL WHERE {of_day} AND {_WITHOUT} "
            f"ORDER BY {', '.join(EVENT_KEY)}",
            fmt="RowBinary",
        )
        rows = np.frombuffer(data, EVENT_ROW).copy()
        if not len(rows):
            continue
        rows["ingest_time"] += 1  # of two rows of an event the later stored counts
        _insert(client, numbers.numbered(client, rows))


def _insert(client: Client, rows: Events) -> None:
    client.raw_insert(EVENTS, _NAMES, rows.tobytes(), fmt="RowBinary")
