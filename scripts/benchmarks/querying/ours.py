"""Our store filled with the month, and what runs in it alone. Each function runs in a process of its own: the embedded
engine keeps one store a process (ingesting.store.alone)."""

import statistics
import time
from pathlib import Path

import numpy as np
from clickhouse_connect.driver.client import Client
from made import month
from made.sessions import DAY_US

from afterfact_protocol.messages import Batch, Observed
from afterfact_server.ingest import stamp
from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.schema import SESSIONS, prepare
from afterfact_server.store.write import insert_observed, insert_sessions

BLOCK = 250_000
INTERVAL_US = 10_000_000
"""A live sensor tells every ten seconds that it watched."""
ARRIVED_US = 3_000_000
INTERVALS = 100_000
"""Inserted at a time."""


def fill(path: Path, count: int, settle: bool = True) -> tuple[int, int, float]:
    """A month of sessions, and of two live sensors' intervals; bytes of the sessions' table on disk, parts, seconds of
    inserting. With `settle` days are one part each, as the server makes them once they are over."""
    engine = StoreEngine(path, "")
    client = engine.client()
    prepare(client)
    seconds = 0.0
    for day in month.days(count):
        batch = Batch(day.number.to_bytes(16, "little"), 0, 0, 0, (), b"", ())
        rows = stamp(day.rows, 1, batch, day.first + DAY_US)
        rows["sensor"] = day.sensors
        began = time.monotonic()
        for first in range(0, len(rows), BLOCK):
            insert_sessions(client, rows[first : first + BLOCK])
        seconds += time.monotonic() - began
    _watch(client)
    if settle:
        client.command(f"OPTIMIZE TABLE {SESSIONS} FINAL")
    size, parts, stored = client.query(
        "SELECT sum(bytes_on_disk), count(), sum(rows) FROM system.parts WHERE active AND table = {table:String}",
        parameters={"table": SESSIONS},
    ).result_rows[0]
    engine.close()
    if int(stored) != count:
        raise RuntimeError(f"the store has {stored:,} of {count:,} sessions")
    return int(size), int(parts), seconds


def _watch(client: Client) -> None:
    starts = np.arange(month.FIRST_US, month.FIRST_US + month.DAYS * DAY_US, INTERVAL_US).tolist()
    for sensor in range(1, month.SENSORS + 1):
        stream = b"live" + bytes(11) + bytes([sensor])
        for at in range(0, len(starts), INTERVALS):
            some = enumerate(starts[at : at + INTERVALS], at)
            insert_observed(
                client,
                [(sensor, stream, seq, 0, Observed(start, start + INTERVAL_US, "live", "eth1", 100_000, 0, ""))
                 for seq, start in some],
                starts[min(at + INTERVALS, len(starts)) - 1] + ARRIVED_US,
            )  # fmt: skip


def aggregates(path: Path, asked: dict[str, str], runs: int) -> dict[str, tuple[list[float], list[float], int]]:
    """SQL in the store alone: milliseconds cold (once) and hot, and rows of the answer, by name."""
    found = {}
    for name, sql in asked.items():
        Path("/proc/sys/vm/drop_caches").write_text("3")
        engine = StoreEngine(path, "")
        client = engine.client()
        took = []
        rows = 0
        for _ in range(runs + 1):
            began = time.perf_counter()
            rows = len(client.query(sql).result_rows)
            took.append((time.perf_counter() - began) * 1000)
        found[name] = (took[:1], took[1:], rows)
        engine.close()
    return found


def middle_and_worst(took: list[float]) -> tuple[float, float]:
    """p50 and p95."""
    if len(took) < 2:
        return took[0], took[0]
    return statistics.median(took), statistics.quantiles(took, n=20, method="inclusive")[-1]
