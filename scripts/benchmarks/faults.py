# needs: ip=iproute2
"""Faults, at length: a hundred kills under load, cut cables, full disks, damaged spools, sensors by the hundred.

    .venv/bin/python scripts/benchmarks/faults.py [--kills N] [--sensors N] [--rate N]

Each trial (tests/helpers/trials.py) breaks something while sensors deliver, mends it, and compares every session that
was spooled with every session that is stored, field by field. The first difference ends it with exit code 1. There is
no peer to compare with: what others lose under the same faults is in docs/reliability.md, from their own sources.
Prints a table and writes bench/faults.json. Cables and full disks need root.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the helpers that run the real programs

from helpers import trials  # noqa: E402
from helpers.network import cable, reason_not_to  # noqa: E402
from helpers.processes import Server  # noqa: E402

Trial = Callable[[Server, Path], int]


def on_a_small_disk(folder: Path) -> int:
    with trials.small_disk(folder / "disk", 600) as disk:
        server = started(disk)
        try:
            return trials.full_disk_at_the_server(server, folder, disk, rate=4000)
        finally:
            server.stop()


def over_a_cable(folder: Path, cuts: list[float]) -> int:
    with cable(f"b{os.getpid() % 100_000}") as wire:
        server = started(folder, "0.0.0.0")
        try:
            return trials.cut_link(server, folder, wire, cuts)
        finally:
            server.stop()


def started(folder: Path, host: str = "127.0.0.1") -> Server:
    server = Server(folder)
    server.host = host
    server.start()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--rate", type=float, default=4000, help="sessions a second of each sensor")
    arguments = parser.parse_args()

    def plain(trial: Trial) -> Callable[[Path], int]:
        def run(folder: Path) -> int:
            server = started(folder)
            try:
                return trial(server, folder)
            finally:
                server.stop()

        return run

    cuts = [1.0, 5.0, 14.0, 16.0, 40.0, 90.0]
    wanted: list[tuple[str, Callable[[Path], int], bool]] = [
        (
            f"{arguments.kills} kills -9 of server and two sensors",
            plain(lambda server, folder: trials.kills(server, folder, arguments.kills, arguments.rate)),
            False,
        ),
        (f"cable cut for {', '.join(f'{cut:.0f}' for cut in cuts)} s", lambda folder: over_a_cable(folder, cuts), True),
        ("the spool's disk full", plain(trials.full_disk_at_the_agent), True),
        ("the store's disk full", on_a_small_disk, True),
        ("every batch three times, in any order", plain(trials.shuffled), False),
        ("a third of the spool's files damaged", plain(trials.corrupt_spool), False),
        (
            f"{arguments.sensors} sensors at once",
            plain(lambda server, folder: trials.many_sensors(server, folder, arguments.sensors)),
            False,
        ),
    ]
    no_root = reason_not_to()
    results: list[dict[str, Any]] = []
    for name, trial, needs_root in wanted:
        if needs_root and no_root:
            print(f"{name:50} left out: {no_root}", flush=True)
            results.append({"trial": name, "left_out": no_root})
            continue
        with tempfile.TemporaryDirectory(prefix="afterfact-faults-") as folder:
            began = time.monotonic()
            try:
                sessions = trial(Path(folder))
            except AssertionError as error:
                sys.exit(f"faults: {name}: {error}")
            took = time.monotonic() - began
        print(f"{name:50} {sessions:10,} sessions, all stored once   {took:6.0f} s", flush=True)
        results.append({"trial": name, "sessions": sessions, "seconds": took})
    target = ROOT / "bench" / "faults.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"processors": os.cpu_count(), "trials": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
