# needs: argus=argus-server ra=argus-client softflowd=softflowd nfpcapd=nfdump
"""Packets a second: `afterfact-agent read` beside argus, softflowd and nfpcapd on one generated capture.

Each is run as a whole process, from a file in the page cache, with one thread of work; the median of several rounds
counts, in which they take turns. Prints a table, writes bench/meter.json. --packets and --rounds for smaller runs.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
Result = TypeVar("Result")
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def peers(capture: Path, out: Path) -> dict[str, list[str]]:
    """What is run, by name; those that are not installed are left out."""
    agent = [sys.executable, "-m", "afterfact_agent", "read"]
    commands = {
        "afterfact-agent read": [*agent, str(capture), "-o", str(out / "sessions.csv")],
        "argus": ["argus", "-r", str(capture), "-w", str(out / "argus.out")],
        "softflowd": ["softflowd", "-d", "-m", "100000", "-n", "127.0.0.1:9", "-r", str(capture)],
        "nfpcapd": ["nfpcapd", "-r", str(capture), "-w", str(out)],
    }
    return {name: command for name, command in commands.items() if shutil.which(command[0], path=SEARCH)}


def run(command: list[str]) -> dict[str, float]:
    """Seconds by the clock and of the processor, and the peak of memory in MB."""
    began = time.monotonic()
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PATH": SEARCH}, cwd=ROOT
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    wall = time.monotonic() - began
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory_mb": usage.ru_maxrss / 1024}


def bare(capture: Path) -> dict[str, float]:
    """The same for metering alone: no start of a program, no text."""
    from afterfact_agent.capture.pcapfile import CaptureFile
    from afterfact_agent.meter.meter import Meter, warm

    warm()
    began, cpu = time.monotonic(), time.thread_time()
    meter = Meter()
    with CaptureFile(capture) as file:
        for _ in meter.feed_file(file):
            pass
    for _ in meter.finish():
        pass
    return {"wall": time.monotonic() - began, "cpu": time.thread_time() - cpu}


def start_up(cold: bool) -> float:
    """Seconds from nothing to compiled kernels: with an empty cache, or a full one."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, **({"AFTERFACT_KERNEL_CACHE": empty} if cold else {})}
        began = time.monotonic()
        program = "from afterfact_agent.meter.meter import warm; warm()"
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)
        return time.monotonic() - began


def make(packets: int, capture: Path) -> int:
    """Write the capture; how many sessions are in it."""
    from made.traffic import Traffic

    traffic = Traffic(packets)
    traffic.write(capture)
    return traffic.sessions


def elsewhere(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a process of its own: what is measured as a child's memory begins with this process's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:
        return worker.submit(function, *arguments).result()


def measure(packets: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder:
        capture, out = Path(folder) / "traffic.pcap", Path(folder) / "out"
        out.mkdir()
        sessions = elsewhere(make, packets, capture)
        runs: dict[str, Callable[[], dict[str, float]]] = {
            name: (lambda command=command: run(command))  # type: ignore[misc]
            for name, command in peers(capture, out).items()
        }
        runs["metering alone"] = lambda: elsewhere(bare, capture)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        subprocess.run(["cat", str(capture)], stdout=subprocess.DEVNULL, check=True)
        start_up(cold=False)  # compiled once
        for _ in range(rounds):
            for name, once in runs.items():
                results[name].append(once())
        size = capture.stat().st_size
    table = {}
    for name, taken in results.items():
        middle = {key: statistics.median(run[key] for run in taken) for key in taken[0]}
        table[name] = {**middle, "packets_per_second": packets / middle["wall"]}
    return {
        "packets": packets,
        "sessions": sessions,
        "bytes": size,
        "rounds": rounds,
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "start_up_cold_seconds": start_up(cold=True),
        "start_up_warm_seconds": start_up(cold=False),
        "results": table,
    }


def show(report: dict[str, Any]) -> None:
    size = f"{report['packets']:,} packets, {report['sessions']:,} sessions, {report['bytes'] / 1e6:,.0f} MB"
    print(f"{size}; median of {report['rounds']}, load {report['load']:.1f} on {report['processors']} processors")
    reference = report["results"].get("argus")
    print(f"{'':22}{'M packets/s':>12}{'seconds':>9}{'CPU s':>8}{'MB':>7}{'argus x':>9}")
    for name, result in sorted(report["results"].items(), key=lambda item: -item[1]["packets_per_second"]):
        times = f"{reference['wall'] / result['wall']:.1f}" if reference else "-"
        memory = f"{result['memory_mb']:.0f}" if "memory_mb" in result else "-"
        speed = result["packets_per_second"] / 1e6
        print(f"{name:22}{speed:12.2f}{result['wall']:9.2f}{result['cpu']:8.2f}{memory:>7}{times:>9}")
    cold, warm = report["start_up_cold_seconds"], report["start_up_warm_seconds"]
    print(f"start-up: {cold:.1f} s compiling everything, {warm:.1f} s with compiled kernels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    report = measure(arguments.packets, arguments.rounds)
    show(report)
    target = ROOT / "bench" / "meter.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
