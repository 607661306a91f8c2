"""200 watches asked of what comes in, beside 200 statements over the same rows in the embedded store.

    scripts/bench watches

What the thread of the watches spends on a batch, while ingest goes on. Prints a table, writes bench/watches.json.
"""

import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from afterfact_protocol.query import parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.session import IPV4_PREFIX, ROW
from afterfact_server.query.compile import compile_where
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine

WATCHES = 200
SIZES = (100, 1_000, 10_000)
KINDS = (
    "dst_port = {port} AND established",
    "ip = 10.{a}.{b}.0/24 AND dst_port != {port}",
    "dst_ip = 192.0.{a}.{b} OR src_ip = 192.0.{a}.{b}",
    "src_bytes > {port} * 1000 AND proto = 6",
    "src_ip = 10.{a}.0.0/16 AND dst_port IN ({port}, 443, 8443)",
)


def conditions() -> list[str]:
    """So many different conditions."""
    return [
        "WHERE " + KINDS[at % len(KINDS)].format(port=1000 + at, a=at % 250, b=at * 7 % 250) for at in range(WATCHES)
    ]


def sessions(count: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Rows of a plausible mixture."""
    random = np.random.default_rng(count)
    rows = np.zeros(count, ROW)
    rows["start_time"] = 1_700_000_000_000_000 + np.arange(count) * 1000
    rows["end_time"], rows["ingest_time"] = rows["start_time"] + 1000, rows["start_time"] + 2000
    rows["session_id"] = random.integers(0, 1 << 63, count)
    rows["sensor"], rows["revision"], rows["proto"] = 1, 2, 6
    rows["dst_port"], rows["src_port"] = random.integers(1, 2000, count), random.integers(1024, 65536, count)
    rows["src_bytes"] = random.integers(0, 1 << 20, count)
    for name in ("src_ip", "dst_ip"):
        ends = random.integers(0, 256, (count, 4), dtype=np.uint8)
        ends[:, 0] = 10
        whole = np.concatenate([np.tile(np.frombuffer(IPV4_PREFIX, np.uint8), (count, 1)), ends], axis=1)
        rows[name] = np.ascontiguousarray(whole).view("V16").reshape(count)
    return rows


def main() -> None:
    queries = [parse(text, datetime.now(UTC)) for text in conditions()]
    sensors = {"border": 1}
    results = []
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder:
        engine = StoreEngine(Path(folder) / "store", "")
        client = engine.client()
        schema.prepare(client)
        print(f"{WATCHES} watches; microseconds a session, and milliseconds a batch")
        print(f"{'batch':>8} {'in memory':>22} {'statements':>22} {'found':>8}")
        for size in SIZES:
            rows = sessions(size)
            begun = time.perf_counter()
            found = sum(int(matches(query.where, rows, sensors).sum()) for query in queries)
            ours = time.perf_counter() - begun
            client.command("TRUNCATE TABLE sessions")
            write.insert_sessions(client, rows)
            begun = time.perf_counter()
            same = 0
            for query in queries:
                where = compile_where(query, sensors)
                same += client.query(
                    f"SELECT count() FROM sessions WHERE {where.sql}", parameters=where.parameters
                ).result_rows[0][0]
            theirs = time.perf_counter() - begun
            if found != same:
                sys.exit(f"{found} by the matcher, {same} by the store")
            results.append({"sessions": size, "seconds": ours, "statements_seconds": theirs, "found": found})
            print(f"{size:>8,} {ours / size * 1e6:>10.1f} us {ours * 1e3:>6.0f} ms {theirs / size * 1e6:>10.1f} us "
                  f"{theirs * 1e3:>6.0f} ms {found:>8,}")  # fmt: skip
        engine.close()
    target = Path(__file__).parents[2] / "bench" / "watches.json"
    target.parent.mkdir(exist_ok=True)
    report = {"watches": WATCHES, "load": os.getloadavg()[0], "results": results}
    target.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
