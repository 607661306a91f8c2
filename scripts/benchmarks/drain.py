# needs: mariadbd=mariadb-server mariadb=mariadb-client
"""How long a backlog takes: sensors that were cut off for long deliver all they have at once, while an analyst asks;
beside MariaDB, which loads a part as large as one of its files, again and again, into Sguil's table.

    .venv/bin/python scripts/benchmarks/drain.py [--quick] [--sessions N] [--sensors N]

docs/benchmarks.md says what is measured. Prints a table and writes bench/drain.json.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import ingest  # as a script: its folder is searched first
import numpy as np
from helpers.processes import Server
from ingest import ROOT, Load, machine, serving
from ingesting import store
from ingesting.mariadb import MariaDB
from made.sessions import WORM_PORT, make_sessions

SESSIONS, QUICK_SESSIONS, SENSORS = 20_000_000, 300_000, 4
PEER_SESSIONS = 2_000_000
NEEDLE = f"port = {WORM_PORT} and start_time > '2004-07-20' and not port in (80, 443) LIMIT {ingest.LIMIT}"


def ours(folder: Path, count: int, sensors: int) -> Load:
    folder.mkdir()
    load = Load(f"Afterfact, {sensors} sensors", count)
    server = Server(folder)
    with serving(server) as pid:
        ingest.deliver(server, pid, count // sensors, sensors, NEEDLE, load)
    held = store.alone(store.held, server.dir / "sessions")
    # Until days are merged a session that came twice would show.
    if held.rows != count:
        raise RuntimeError(f"the store has {held.rows:,} of {count:,} sessions")
    load.bytes = load.bytes_at_first = held.bytes
    return load


def peers(folder: Path, count: int) -> list[Load]:
    """MariaDB with the first of as many sessions: into empty tables, its best."""
    folder.mkdir()
    np.save(folder / "sessions.npy", make_sessions(count))
    store.alone(store.insert_all, folder / "alone", folder / "sessions.npy", 1)
    files = store.alone(store.write_sguil_files, folder / "alone", folder / "files")
    loads = []
    with MariaDB(folder / "mariadb") as peer:
        for name, work in (("InnoDB", peer.load_innodb), ("MyISAM", peer.load_myisam)):
            busy = peer.cpu_seconds()
            seconds, size = work(files)
            loads.append(
                Load(f"MariaDB {peer.version}, {name}", count, [seconds], [peer.cpu_seconds() - busy], size, size,
                     peer.peak_bytes())
            )  # fmt: skip
    return loads


def show(loads: list[Load]) -> None:
    print(f"{'':28} {'sessions':>12} {'minutes':>8} {'a second':>9} {'CPU s/M':>8} {'bytes each':>11} {'peak MB':>8}")
    for load in loads:
        minutes, cpu = load.seconds[0] / 60, load.cpu_seconds[0] / load.sessions * 1e6
        print(f"{load.name:28} {load.sessions:12,} {minutes:8.1f} {load.rate:9,.0f} {cpu:8.1f} "
              f"{load.bytes / load.sessions:11.1f} {load.peak_bytes / 1e6:8.0f}")  # fmt: skip
    (asked,) = [load.asked_ms for load in loads if load.asked_ms]
    worst = statistics.quantiles(asked, n=20)[-1] if len(asked) > 1 else asked[0]
    print(f"a needle was asked {len(asked)} times meanwhile: median {statistics.median(asked):.0f} ms, 95 % within "
          f"{worst:.0f} ms, the longest {max(asked):.0f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="A backlog's delivery, beside MariaDB's loading.")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"default {SESSIONS:,}, 9 GB of disk")
    parser.add_argument("--sensors", type=int, default=SENSORS, help=f"default {SENSORS}")
    parser.add_argument("--quick", action="store_true", help=f"does it run: {QUICK_SESSIONS:,} sessions")
    arguments = parser.parse_args()
    count = QUICK_SESSIONS if arguments.quick else arguments.sessions
    busy = os.getloadavg()[0]
    bench = ROOT / "bench"
    bench.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("drain: stopped"))  # by way of what cleans up
    try:
        with tempfile.TemporaryDirectory(prefix="drain-", dir=bench) as folder:
            count -= count % arguments.sensors
            loads = [ours(Path(folder) / "ours", count, arguments.sensors)]
            loads += peers(Path(folder) / "peer", min(count, PEER_SESSIONS))
    except RuntimeError as error:
        sys.exit(f"drain: {error}")
    show(loads)
    if busy > ingest.BUSY:
        print(f"Other programs ran (load {busy:.1f} at the start): read the ratios, not the figures.")
    result = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "load_average_at_start": busy,
        "loads": [{**asdict(load), "sessions_per_second": load.rate} for load in loads],
    }
    (bench / "drain.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
