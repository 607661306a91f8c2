# needs: argus=argus-server racount=argus-client tcpreplay=tcpreplay ip=iproute2
"""Live capture: `afterfact-agent run --interface` beside Argus, each on its own replay of the same generated capture at
top speed over a veth pair into a network namespace: packets received and lost, CPU seconds.

Needs root. The agent is the real program with its spool; no server listens, so nothing is delivered. Prints a table,
writes bench/live.json. --packets and --rounds for smaller runs.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMESPACE, HERE, THERE = "aft-bench", "aftbencha", "aftbenchb"
SETTLE_SECONDS = 2.0
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def cable() -> Iterator[None]:
    """HERE in this namespace, THERE in NAMESPACE, both up, neither with an address."""
    subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True)
    run("ip", "netns", "add", NAMESPACE)
    try:
        run("ip", "link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", NAMESPACE)
        run("sysctl", "-qw", f"net.ipv6.conf.{HERE}.disable_ipv6=1")
        inside("sysctl", "-qw", f"net.ipv6.conf.{THERE}.disable_ipv6=1")
        run("ip", "link", "set", HERE, "up")
        inside("ip", "link", "set", THERE, "up")
        yield
    finally:
        run("ip", "netns", "del", NAMESPACE)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"live: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def inside(*command: str) -> str:
    return run("ip", "netns", "exec", NAMESPACE, *command)


def replay(capture: Path) -> tuple[int, float]:
    """Packets sent and packets a second."""
    told = run("tcpreplay", "-q", "--topspeed", "-i", HERE, str(capture))
    sent = re.search(r"Successful packets:\s+(\d+)", told)
    rate = re.search(r"Rated: .*?([\d.]+) pps", told)
    assert sent is not None and rate is not None, told
    return int(sent[1]), float(rate[1])


def cpu_seconds(pid: int) -> float:
    """Of a process, all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measured(command: list[str], ready: str, capture: Path) -> dict[str, float]:
    """Start a meter in the namespace, replay, stop it; CPU is that between the start and the end of the replay."""
    child = subprocess.Popen(
        ["ip", "netns", "exec", NAMESPACE, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout is not None
    while ready and ready not in (line := child.stdout.readline()):
        if not line:
            raise SystemExit(f"live: {command[0]} did not start")
    time.sleep(SETTLE_SECONDS)
    before = cpu_seconds(child.pid)
    sent, rate = replay(capture)
    time.sleep(SETTLE_SECONDS)
    used = cpu_seconds(child.pid) - before
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    return {"sent": sent, "pps": rate, "cpu": used}


def ours(folder: Path, capture: Path) -> dict[str, float]:
    from afterfact_protocol.codec import decode
    from afterfact_protocol.joinfile import Join
    from afterfact_protocol.messages import Batch
    from afterfact_protocol.records import from_bytes
    from afterfact_protocol.transport import KeyPair

    server, own = KeyPair.generate(), KeyPair.generate()
    join = Join(
        kind="sensor", name="bench", address="tcp://127.0.0.1:9", server_key=server.public, public_key=own.public,
        secret_key=own.secret,
    )  # fmt: skip
    (folder / "join.toml").write_text(join.to_toml())
    spool = folder / "spool"
    command = [sys.executable, "-m", "afterfact_agent", "run", "--join", str(folder / "join.toml"), "--spool",
               str(spool), "--interface", THERE, "--user", "root", "--duplicates", "keep"]  # fmt: skip
    result = measured(command, "ready", capture)
    received = lost = sessions = 0
    for file in spool.rglob("*.batch"):
        batch = decode(file.read_bytes(), (Batch,))
        assert isinstance(batch, Batch)
        rows = from_bytes(batch.columns, batch.rows)
        ended = rows[rows["end_reason"] != 0]
        sessions += len(ended)
        received += int(ended["src_pkts"].sum() + ended["dst_pkts"].sum())
        lost += sum(interval.lost for interval in batch.observed)
    return {**result, "received": received, "lost": lost, "sessions": sessions}


def argus(folder: Path, capture: Path) -> dict[str, float]:
    out = folder / "argus.out"
    result = measured(["argus", "-i", THERE, "-w", str(out)], "", capture)
    totals = run("racount", "-r", str(out)).splitlines()[1].split()
    return {**result, "received": int(totals[2]), "lost": result["sent"] - int(totals[2]), "sessions": int(totals[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("live: skipped: needs root, for a network namespace and to capture")
        return
    from made.traffic import Traffic

    meters = {"afterfact-agent run": ours, **({"argus": argus} if shutil.which("argus") else {})}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in meters}
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder, cable():
        capture = Path(folder) / "traffic.pcap"
        Traffic(arguments.packets).write(capture)
        for _ in range(arguments.rounds):
            for name, work in meters.items():
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    taken[name].append(work(Path(own), capture))
    report: dict[str, Any] = {}
    print(f"{'':22}{'sent':>10}{'M/s':>7}{'received':>10}{'lost':>9}{'CPU s':>8}{'us/packet':>11}{'sessions':>10}")
    for name, runs in taken.items():
        report[name] = middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        each, rate = middle["cpu"] / middle["sent"] * 1e6, middle["pps"] / 1e6
        print(f"{name:22}{middle['sent']:10.0f}{rate:7.2f}{middle['received']:10.0f}{middle['lost']:9.0f}"
              f"{middle['cpu']:8.2f}{each:11.2f}{middle['sessions']:10.0f}")  # fmt: skip
    target = ROOT / "bench" / "live.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"rounds": arguments.rounds, "results": report}, indent=2) + "\n")


if __name__ == "__main__":
    main()
