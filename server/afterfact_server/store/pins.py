"""Pinned sessions: evidence that retention must not take.

A pin is a session's key under a label, with who pinned it. The sessions stay where queries find them; PINNED has
copies, from which a day that is dropped is made anew. Which sessions a query finds is not here.
"""

from dataclasses import dataclass

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.records import Records
from afterfact_protocol.session import KEY
from afterfact_server.store.days import COLUMNS, DroppedDays, log
from afterfact_server.store.layout import Layout
from afterfact_server.store.schema import MICROSECONDS_A_DAY, PINNED, SESSIONS

_KEYS = ", ".join(KEY)
_BATCH = 65_536
"""Pins written by one insert."""


@dataclass(frozen=True, slots=True)
class PinLabel:
    """What is pinned under one label. Times in microseconds UTC."""

    label: str
    pinned_by: str
    sessions: int
    oldest: int
    newest: int
    pinned: int


def pin(client: Client, keys: Records, label: str, who: str, now: int) -> int:
    """Pin the sessions with these keys (at least the fields of KEY) under a label; how many there are. Done again, it
    adds nothing."""
    for at in range(0, len(keys), _BATCH):
        part = keys[at : at + _BATCH]
        rows = [
            [label, start, sensor, session_id, who, now]
            for start, sensor, session_id in zip(*(part[name].tolist() for name in KEY), strict=True)
        ]
        client.insert("pins", rows, column_names=["label", *KEY, "pinned_by", "pinned"])
    days = np.unique(keys["start_time"] // MICROSECONDS_A_DAY).tolist()
    for day in days:  # one day an insert, as everywhere
        span = {"first": day * MICROSECONDS_A_DAY, "last": (day + 1) * MICROSECONDS_A_DAY - 1, "label": label}
        within = "start_time BETWEEN fromUnixTimestamp64Micro({first:Int64}) AND fromUnixTimestamp64Micro({last:Int64})"
        client.command(
            f"INSERT INTO {PINNED} ({COLUMNS}) SELECT {COLUMNS} FROM {SESSIONS} WHERE {within} AND ({_KEYS}) IN "
            f"(SELECT {_KEYS} FROM pins WHERE label = {{label:String}} AND {within})",
            parameters=span,
        )
    log(client, now, "pin", rows=len(keys), note=f"{label} by {who}")
    return len(keys)


def labels(client: Client) -> list[PinLabel]:
    """What is pinned."""
    return [
        PinLabel(*row)
        for row in client.query(
            "SELECT label, any(pinned_by), count(), toUnixTimestamp64Micro(min(start_time)), "
            "toUnixTimestamp64Micro(max(start_time)), toUnixTimestamp64Micro(max(pinned)) "
            "FROM pins FINAL GROUP BY label ORDER BY label"
        ).result_rows
    ]


def unpin(client: Client, layout: Layout, dropped: DroppedDays, label: str, now: int) -> int:
    """Take a label's pins away; how many. A session that no other label pins goes with its day: at once, where the day
    was dropped already."""
    named = {"label": label}
    count = client.query("SELECT count() FROM pins FINAL WHERE label = {label:String}", parameters=named)
    sessions = int(count.result_rows[0][0])
    if not sessions:
        return 0
    log(client, now, "unpin", rows=sessions, note=label)
    # GLOBAL IN: on a cluster each node would else look only among its own pins.
    only_here = (
        f"({_KEYS}) GLOBAL IN (SELECT {_KEYS} FROM pins WHERE label = {{label:String}}) AND "
        f"({_KEYS}) GLOBAL NOT IN (SELECT {_KEYS} FROM pins WHERE label != {{label:String}})"
    )
    gone = dropped.all()
    for table, days in ((SESSIONS, gone), (PINNED, None)):
        if days == []:
            continue
        of_dropped = f" AND intDiv(toUnixTimestamp64Micro(start_time), {MICROSECONDS_A_DAY}) IN {{days:Array(Int64)}}"
        client.command(
            f"DELETE FROM {layout.local(table)}{layout.on_cluster} WHERE {only_here}{of_dropped if days else ''}",
            parameters=named | ({"days": days} if days else {}),
            settings={"lightweight_deletes_sync": 2},
        )
    client.command(
        f"DELETE FROM {layout.local('pins')}{layout.on_cluster} WHERE label = {{label:String}}",
        parameters=named,
        settings={"lightweight_deletes_sync": 2},
    )
    return sessions
