"""The session store by itself: what it takes with no delivery before it, and what it holds.

Each function runs in a process of its own (`alone`): the embedded engine keeps one store a process. The same tables and
the same inserts as the server's, from the server's own modules.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from clickhouse_connect.driver.client import Client
from ingesting.proc import peak_bytes

from afterfact_protocol.messages import Batch
from afterfact_server.ingest import stamp
from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.schema import SESSIONS, prepare
from afterfact_server.store.write import insert_sessions

BLOCK = 250_000
"""Sessions an insert, in the order they came: mostly of one day."""
SGUIL_FILE_ROWS = 50_000
"""Sessions a file for Sguil's loader: what a busy site's sensors bring in five minutes."""

P, T = ParamSpec("P"), TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """Active parts of the sessions' table."""

    rows: int
    bytes: int
    parts: int


@dataclass(frozen=True, slots=True)
class Inserted:
    """Medians over the runs."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def alone(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Run a function of this module in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **named).result()


def insert_all(path: Path, sessions: Path, runs: int) -> Inserted:
    """Insert all sessions into a new store, in large blocks, each durable before the next."""
    rows = stamp(np.load(sessions), 1, Batch(b"ceiling of store", 0, 0, 0, (), b"", ()), time.time_ns() // 1000)
    engine = StoreEngine(path, "")
    client = engine.client()
    prepare(client)
    seconds, cpu = [], []
    for _ in range(runs):
        client.command(f"TRUNCATE TABLE {SESSIONS}")
        began, busy = time.monotonic(), time.process_time()
        for first in range(0, len(rows), BLOCK):
            insert_sessions(client, rows[first : first + BLOCK])
        seconds.append(time.monotonic() - began)
        cpu.append(time.process_time() - busy)
    if _held(client).rows != len(rows):
        raise RuntimeError(f"the store has {_held(client).rows} of {len(rows)} sessions")
    engine.close()
    return Inserted(statistics.median(seconds), statistics.median(cpu), peak_bytes(os.getpid()))


def write_sguil_files(path: Path, folder: Path) -> list[tuple[str, Path]]:
    """A store's sessions as the files Sguil's agent makes of them: 16 fields a line, one sensor, one day of start_time
    a file, in the order in which the sessions ended. As (YYYYMMDD, file).

    Sguil knows IPv4 alone; an IPv6 address is written as the number in its last four bytes, so as to have every row.
    The ids rise with time, as SANCP's do: random ones like ours would scatter the primary key and double its size.
    """
    engine = StoreEngine(path, "")
    client = engine.client()
    address = "reinterpretAsUInt32(reverse(unhex(substring(hex({}), 25))))"
    fields = (
        "'1'", "bitShiftLeft(toUInt64(toUnixTimestamp(start_time)), 32) + rowNumberInAllBlocks()",
        "formatDateTime(start_time, '%F %T')", "formatDateTime(end_time, '%F %T')",
        "dateDiff('second', start_time, end_time)", "proto", address.format("src_ip"), "src_port",
        address.format("dst_ip"), "dst_port", "src_pkts", "src_bytes", "dst_pkts", "dst_bytes", "src_flags",
        "dst_flags",
    )  # fmt: skip
    line = ", ".join(f"toString({field})" for field in fields)
    folder.mkdir()
    files = []
    days = client.query(f"SELECT DISTINCT toDate(start_time) AS day FROM {SESSIONS} ORDER BY day").result_rows
    for (day,) in days:
        lines = client.raw_query(
            f"SELECT concatWithSeparator('|', {line}) FROM {SESSIONS} WHERE toDate(start_time) = {{day:Date}} "
            "ORDER BY end_time",
            parameters={"day": day},
            fmt="TSVRaw",
        ).splitlines(keepends=True)
        for first in range(0, len(lines), SGUIL_FILE_ROWS):
            file = folder / f"parsed.sensor.stats.eth0.{first}.{day:%Y%m%d}"
            file.write_bytes(b"".join(lines[first : first + SGUIL_FILE_ROWS]))
            files.append((f"{day:%Y%m%d}", file))
    engine.close()
    return files


def settle(path: Path) -> tuple[Held, Held]:
    """What the store holds as it is, and after the merges that the server lets it do with days that are over: one part
    a day. The server must have stopped."""
    engine = StoreEngine(path, "")
    client = engine.client()
    before = _held(client)
    client.command(f"OPTIMIZE TABLE {SESSIONS} FINAL")
    after = _held(client)
    engine.close()
    return before, after


def held(path: Path) -> Held:
    """What the store holds as it is. The server must have stopped."""
    engine = StoreEngine(path, "")
    answer = _held(engine.client())
    engine.close()
    return answer


def _held(client: Client) -> Held:
    answer = client.query(
        "SELECT sum(rows), sum(bytes_on_disk), count() FROM system.parts WHERE active AND table = {table:String}",
        parameters={"table": SESSIONS},
    )
    return Held(*answer.result_rows[0])
