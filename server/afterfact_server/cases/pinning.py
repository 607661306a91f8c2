"""Pins the evidence of cases, so that retention leaves it in the store."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.records import Records
from afterfact_server.ingest import now_us
from afterfact_server.store import pins
from afterfact_server.store.schema import MICROSECONDS_A_DAY

AT_ONCE, DAYS_AT_ONCE = 2000, 8
"""Sessions, and days of them, pinned by one piece of work: ingest waits meanwhile."""
Between = Callable[[Callable[[Client], int]], "Future[int]"]
"""Ingest.between: while it works no day is dropped, nor taken in."""


def pin(between: Between, rows: Records, label: str, who: str) -> None:
    """Pin ROWs under a label, in order of their days. StoreFailure."""
    ordered = rows[np.argsort(rows["start_time"], kind="stable")]
    days = ordered["start_time"] // MICROSECONDS_A_DAY
    at = 0
    while at < len(ordered):
        end = min(at + AT_ONCE, int(np.searchsorted(days, days[at] + DAYS_AT_ONCE)))
        work = partial(pins.pin, keys=ordered[at:end], label=label, who=who, now=now_us())
        between(work).result()
        at = end
