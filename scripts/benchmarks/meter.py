# needs: argus=argus-server racount=argus-client softflowd=softflowd nfpcapd=nfdump tcpdump=tcpdump
"""Packets a second: `afterfact-agent read` beside argus, softflowd, nfpcapd, nfstream and `tcpdump --count` (which
meters nothing) on one generated capture, whole and with the headers only, and on a real one repeated if there is one
(--real FILE, by default of the corpus beside the repository).

Each is run as a whole process, from a file in the page cache, with one thread of work; the median of several rounds
counts, in which they take turns. nfstream, the slowest, runs once, in an environment of its own that is made in bench/.
Prints tables, writes bench/meter.json. --packets and --rounds for smaller runs.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
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
CORPUS = ROOT.parent / "shared" / "corpus" / "pcap"
SNAPLEN = 96
Result = TypeVar("Result")
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


NFSTREAM = """
import sys
from nfstream import NFStreamer
print(sum(1 for _ in NFStreamer(source=sys.argv[1], n_dissections=0, statistical_analysis=False, n_meters=1)))
"""


def peers(capture: Path, out: Path) -> dict[str, list[str]]:
    """What is run, by name; those that are not installed are left out."""
    agent = [sys.executable, "-m", "afterfact_agent", "read"]
    commands = {
        "afterfact-agent read": [*agent, str(capture), "-o", str(out / "sessions.csv")],
        "argus": ["argus", "-r", str(capture), "-w", str(out / "argus.out")],
        "softflowd": ["softflowd", "-d", "-m", "400000", "-n", "127.0.0.1:9", "-r", str(capture)],
        "nfpcapd": ["nfpcapd", "-r", str(capture), "-w", str(out)],
        "tcpdump --count": ["tcpdump", "--count", "-nr", str(capture)],
    }
    return {name: command for name, command in commands.items() if shutil.which(command[0], path=SEARCH)}


def nfstream() -> Path | None:
    """A Python that has nfstream; None, with the reason, if it cannot be had."""
    python = ROOT / "bench" / "nfstream" / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], capture_output=True, text=True)
        pip = [str(python), "-m", "pip", "install", "-q", "nfstream"]
        done = subprocess.run(pip, capture_output=True, text=True) if made.returncode == 0 else made
        if done.returncode:
            print(f"meter: without nfstream, which cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
            shutil.rmtree(python.parents[1], ignore_errors=True)
            return None
    return python


def sessions_of(name: str, out: Path) -> int | None:
    """How many sessions a meter wrote, where that can be told."""
    if name == "afterfact-agent read":
        with (out / "sessions.csv").open("rb") as file:
            return sum(1 for _ in file) - 1
    if name == "argus" and shutil.which("racount", path=SEARCH):
        told = subprocess.run(
            ["racount", "-r", str(out / "argus.out")],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": SEARCH},
        )
        return int(told.stdout.splitlines()[1].split()[1])
    return None


def repeated(capture: Path, packets: int, target: Path) -> int:
    """A pcap file again and again, each time later than the last; how many packets."""
    data = capture.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1", "a little-endian pcap of microseconds"
    at, records = 24, []
    while at + 16 <= len(data):
        seconds, micros, caplen, wirelen = struct.unpack("<IIII", data[at : at + 16])
        if at + 16 + caplen > len(data) or caplen > 262_144:
            break
        records.append((seconds, micros, caplen, wirelen, data[at + 16 : at + 16 + caplen]))
        at += 16 + caplen
    span = records[-1][0] - records[0][0] + 4000  # past every idle time: sessions begin anew
    times = -(-packets // len(records))
    with target.open("wb") as file:
        file.write(data[:24])
        for number in range(times):
            file.write(b"".join(
                struct.pack("<IIII", seconds + (number * span) % 2_000_000_000, *rest) + packet
                for seconds, *rest, packet in records
            ))  # fmt: skip
    return times * len(records)


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


def make(packets: int, capture: Path, headers: Path) -> int:
    """Write the capture, and the same as a sensor would keep it that captures headers; how many sessions are in it."""
    from made.traffic import Traffic

    traffic = Traffic(packets)
    traffic.write(capture)
    traffic.write(headers, SNAPLEN)
    return traffic.sessions


def elsewhere(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a process of its own: what is measured as a child's memory begins with this process's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:
        return worker.submit(function, *arguments).result()


def measure(capture: Path, packets: int, rounds: int) -> dict[str, Any]:
    """All meters on one capture: what each took, by name."""
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-out-") as folder:
        out = Path(folder)
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
        if (python := nfstream()) is not None:
            results["nfstream"] = [run([str(python), "-c", NFSTREAM, str(capture)])]
        table: dict[str, Any] = {}
        for name, taken in results.items():
            middle = {key: statistics.median(run[key] for run in taken) for key in taken[0]}
            count = sessions_of(name, out)
            table[name] = {**middle, "packets_per_second": packets / middle["wall"], "sessions": count}
    return {"packets": packets, "bytes": capture.stat().st_size, "rounds": rounds, "results": table}


def show(title: str, report: dict[str, Any]) -> None:
    size = f"{report['packets']:,} packets, {report['bytes'] / 1e6:,.0f} MB"
    print(f"{title}: {size}; median of {report['rounds']}")
    reference = report["results"].get("argus")
    print(f"{'':22}{'M packets/s':>12}{'seconds':>9}{'CPU s':>8}{'MB':>7}{'argus x':>9}{'sessions':>10}")
    for name, result in sorted(report["results"].items(), key=lambda item: -item[1]["packets_per_second"]):
        times = f"{reference['wall'] / result['wall']:.1f}" if reference else "-"
        memory = f"{result['memory_mb']:.0f}" if "memory_mb" in result else "-"
        speed = result["packets_per_second"] / 1e6
        count = "-" if result["sessions"] is None else f"{result['sessions']:,}"
        print(f"{name:22}{speed:12.2f}{result['wall']:9.2f}{result['cpu']:8.2f}{memory:>7}{times:>9}{count:>10}")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", type=Path, default=CORPUS / "suricata-http-mime-truncated-input.pcap")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"processors": os.cpu_count(), "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder:
        capture, headers = Path(folder) / "traffic.pcap", Path(folder) / "headers.pcap"
        sessions = elsewhere(make, arguments.packets, capture, headers)
        for name, file in (("generated", capture), ("headers", headers)):
            report[name] = {**measure(file, arguments.packets, arguments.rounds), "made": sessions}
            cut = f", {SNAPLEN} bytes of a packet" if file is headers else ""
            show(f"generated, {sessions:,} sessions{cut}", report[name])
            file.unlink()
        if arguments.real.exists():
            packets = elsewhere(repeated, arguments.real, arguments.packets, capture)
            report["real"] = measure(capture, packets, arguments.rounds)
            show(f"{arguments.real.name}, repeated", report["real"])
        else:
            print(f"no real capture: there is no {arguments.real}\n")
    report["start_up_cold_seconds"], report["start_up_warm_seconds"] = start_up(cold=True), start_up(cold=False)
    cold, warm = report["start_up_cold_seconds"], report["start_up_warm_seconds"]
    print(f"start-up: {cold:.1f} s compiling everything, {warm:.1f} s with compiled kernels; "
          f"load {report['load']:.1f} on {report['processors']} processors")  # fmt: skip
    target = ROOT / "bench" / "meter.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
