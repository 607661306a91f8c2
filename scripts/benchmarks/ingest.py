# needs: mariadbd=mariadb-server mariadb=mariadb-client
"""Sessions into the store, a second: Afterfact from agents' spools to durable rows, beside MariaDB with Sguil's table,
and the store alone; then a few queries on the same sessions in Afterfact and in MariaDB.

    .venv/bin/python scripts/benchmarks/ingest.py [--quick] [--sessions N] [--runs N] [--agents N...]

docs/benchmarks.md says what is measured and what is not. Prints a table and writes bench/ingest.json.
"""

import argparse
import contextlib
import ipaddress
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the helpers that run the real programs

import numpy as np  # noqa: E402
from helpers.processes import PASSWORD, Server  # noqa: E402
from ingesting import store  # noqa: E402
from ingesting.mariadb import BUFFERS, SHOWN, MariaDB  # noqa: E402
from ingesting.proc import cpu_seconds, peak_bytes  # noqa: E402
from made.sessions import ABSENT_ADDRESS, WORM_PORT, busiest_outside, make_sessions  # noqa: E402

from afterfact_client.client import connect  # noqa: E402

SESSIONS, QUICK_SESSIONS = 2_000_000, 60_000
AGENTS = (1, 4, 16)
RUNS, ALONE_RUNS = 1, 3
QUERY_RUNS = 9
LIMIT = 500
ASK_EVERY = 0.25
BUSY = 0.5
"""Load average at the start from which figures are said to be disturbed."""


@dataclass(slots=True)
class Load:
    """One line of the table: how fast sessions went in."""

    name: str
    sessions: int
    seconds: list[float] = field(default_factory=list)
    """One a run."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Of the server, one a run."""
    bytes: int = 0
    """On disk, settled: after merges."""
    bytes_at_first: int = 0
    """On disk before them."""
    peak_bytes: int = 0
    spool_seconds: list[float] = field(default_factory=list)
    """What the agents took to fill their spools, before the clock ran."""
    asked_ms: list[float] = field(default_factory=list)
    """How long a needle query took each time while sessions came in."""

    @property
    def rate(self) -> float:
        return self.sessions / statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Timing:
    """One query at one place: median milliseconds, and how many rows came."""

    query: str
    where: str
    milliseconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class Question:
    """The same question to both."""

    name: str
    ours: str
    conditions: tuple[str, str]
    """Sguil's: one a side, since OR uses no index; the answers are united."""

    @property
    def theirs(self) -> str:
        sides = " UNION ".join(f"(SELECT {SHOWN} FROM {{table}} WHERE {side})" for side in self.conditions)
        return f"{sides} ORDER BY start_time DESC LIMIT {LIMIT}"


def questions(host: str) -> list[Question]:
    """A port that few sessions have, an address that none has, and one that many have."""
    worm = "start_time > '2004-07-20' AND {} = {} AND src_port NOT IN (80, 443) AND dst_port NOT IN (80, 443)"

    def either(name: str, address: str) -> Question:
        number = int(ipaddress.IPv4Address(address))
        return Question(name, f"WHERE ip = '{address}' LIMIT {LIMIT}", (f"src_ip = {number}", f"dst_ip = {number}"))

    return [
        Question(
            f"port {WORM_PORT}, not web",
            f"WHERE start_time > '2004-07-20' AND (src_port = {WORM_PORT} OR dst_port = {WORM_PORT}) "
            f"AND dst_port != 80 AND src_port != 80 AND dst_port != 443 AND src_port != 443 LIMIT {LIMIT}",
            (worm.format("src_port", WORM_PORT), worm.format("dst_port", WORM_PORT)),
        ),
        either("address that no session has", ABSENT_ADDRESS),
        either("address of a busy host", host),
    ]


# --- Afterfact --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(server: Server) -> Iterator[int]:
    """Run it; its process id."""
    server.start()
    assert server.process is not None
    try:
        yield server.process.popen.pid
        server.stop()
    finally:
        if server.process is not None:
            server.process.popen.kill()


@contextlib.contextmanager
def asking(server: Server, text: str, load: Load) -> Iterator[None]:
    """An analyst asks again and again meanwhile, rows fetched and decoded, four times a second at most."""
    done = threading.Event()

    def ask() -> None:
        with connect(server.console_file(), "ana", PASSWORD) as client:
            while not done.wait(ASK_EVERY):
                began = time.perf_counter()
                result = client.query(text)
                result.fetch()
                result.drop()
                load.asked_ms.append((time.perf_counter() - began) * 1000)

    analyst = threading.Thread(target=ask)
    analyst.start()
    try:
        yield
    finally:
        done.set()
        analyst.join()


def deliver(server: Server, pid: int, sessions: Path | int, agents: int, needle: str, load: Load) -> None:
    """Have so many agents fill their spools, then deliver all at once; adds a run to `load`.

    sessions: the file of which each takes its share, or how many each makes.
    """
    script = Path(__file__).parent / "ingesting" / "agent.py"
    processes = []
    try:
        for number in range(agents):
            join, spool = server.enrol(f"sensor{number}"), server.folder / f"spool{number}"
            processes.append(
                subprocess.Popen(
                    [sys.executable, script, join, spool, str(sessions), str(number), str(agents)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
        filled = [_told(process) for process in processes]
        busy = cpu_seconds(pid)
        with asking(server, needle, load):
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("deliver\n")
                process.stdin.flush()
            done = [_told(process) for process in processes]
        load.seconds.append(max(each["last"] for each in done) - min(each["first"] for each in done))
        load.cpu_seconds.append(cpu_seconds(pid) - busy)
        load.spool_seconds.append(max(each["filled"] for each in filled))
        load.peak_bytes = max(load.peak_bytes, peak_bytes(pid))
        for process in processes:
            process.communicate()
    finally:
        for process in processes:
            process.kill()


def _told(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"an agent ended: {process.communicate()[1][-500:]}")
    told: dict[str, float] = json.loads(line)
    return told


def ask_ours(server: Server, asked: list[Question], where: str) -> list[Timing]:
    """Over an analyst's connection, rows fetched and decoded."""
    with connect(server.console_file(), "ana", PASSWORD) as client:

        def ask(text: str) -> int:
            result = client.query(text)
            rows = len(result.fetch())
            result.drop()
            return rows

        return [_timed(question.name, where, lambda text=question.ours: ask(text)) for question in asked]


def _timed(name: str, where: str, ask: Callable[[], int]) -> Timing:
    ask()  # what is read once and then kept belongs to no run
    took = []
    for _ in range(QUERY_RUNS):
        began = time.perf_counter()
        rows = ask()
        took.append((time.perf_counter() - began) * 1000)
    return Timing(name, where, statistics.median(took), rows)


# --- the whole --------------------------------------------------------------------------------------------------------


def measure(folder: Path, count: int, agent_counts: list[int], runs: int) -> tuple[list[Load], list[Timing]]:
    say(f"making {count:,} sessions")
    rows = make_sessions(count)
    asked = questions(str(ipaddress.ip_address(busiest_outside(rows)[12:])))
    sessions = folder / "sessions.npy"
    np.save(sessions, rows)
    del rows

    loads = [Load(f"Afterfact, {_agents(agents)}", count) for agents in agent_counts]
    timings: list[Timing] = []
    for run in range(runs):
        for agents, load in zip(agent_counts, loads, strict=True):
            say(f"{load.name}, run {run + 1} of {runs}")
            here = folder / f"{agents}-{run}"
            here.mkdir()
            server = Server(here)
            last = run == runs - 1 and agents == agent_counts[-1]
            with serving(server) as pid:
                deliver(server, pid, sessions, agents, asked[0].ours, load)
                if last:
                    timings += ask_ours(server, asked, "Afterfact, just stored")
            before, after = store.alone(store.settle, server.dir / "sessions")
            if after.rows != count:
                raise RuntimeError(f"{load.name}: the store has {after.rows:,} of {count:,} sessions")
            load.bytes_at_first, load.bytes = before.bytes, after.bytes
            if last:
                with serving(server):
                    timings += ask_ours(server, asked, "Afterfact, settled")

    say("the store alone")
    alone = store.alone(store.insert_all, folder / "alone", sessions, max(runs, ALONE_RUNS))
    before, after = store.alone(store.settle, folder / "alone")
    loads.append(Load("the store alone, large inserts", count, [alone.seconds], [alone.cpu_seconds], after.bytes,
                      before.bytes, alone.peak_bytes))  # fmt: skip
    files = store.alone(store.write_sguil_files, folder / "alone", folder / "files")

    say("MariaDB")
    with MariaDB(folder / "mariadb") as peer:
        for name, table, work in (
            ("InnoDB", "sancp", peer.load_innodb),
            ("MyISAM", "sancp_merged", peer.load_myisam),
            ("MyISAM, one file", "sancp_at_once", peer.load_at_once),
        ):
            busy = peer.cpu_seconds()
            seconds, size = work(files)
            stored = int(peer.run(f"SELECT COUNT(*) FROM {table}")[0])
            if stored != count:
                raise RuntimeError(f"MariaDB's {table} has {stored:,} of {count:,} sessions")
            loads.append(Load(f"MariaDB {peer.version}, Sguil's table, {name}", count, [seconds],
                              [peer.cpu_seconds() - busy], size, size, peer.peak_bytes()))  # fmt: skip
            if work == peer.load_at_once:
                break  # it holds what Sguil's own tables hold, and answers as they do
            timings += [
                _timed(question.name, f"MariaDB {name}", lambda sql=sql: len(peer.run(sql)))
                for question in asked
                for sql in [question.theirs.format(table=table)]
            ]
    for question in asked:
        found = {timing.rows for timing in timings if timing.query == question.name}
        if len(found) > 1:
            raise RuntimeError(f"{question.name}: not all found the same number of rows: {found}")
    return loads, timings


def _agents(count: int) -> str:
    return f"{count} agent" + "s" * (count > 1)


def say(text: str) -> None:
    print(f"ingest: {text}", file=sys.stderr, flush=True)


def show(loads: list[Load], timings: list[Timing]) -> None:
    print(f"\n{'into the store':54} {'sessions/s':>11} {'runs':>17} {'CPU s/M':>8} {'bytes each':>11} {'peak MB':>8}")
    for load in loads:
        runs = " ".join(f"{load.sessions / seconds / 1000:.0f}k" for seconds in load.seconds)
        cpu = statistics.median(load.cpu_seconds) / load.sessions * 1e6
        print(f"{load.name:54} {load.rate:11,.0f} {runs:>17} {cpu:8.1f} {load.bytes / load.sessions:11.1f} "
              f"{load.peak_bytes / 1e6:8.0f}")  # fmt: skip
    for load in loads:
        if len(load.asked_ms) > 1:
            middle, worst = statistics.median(load.asked_ms), statistics.quantiles(load.asked_ms, n=20)[-1]
            print(f"{load.name}: a needle asked {len(load.asked_ms)} times meanwhile: median {middle:.0f} ms, "
                  f"95 % within {worst:.0f} ms")  # fmt: skip
        if load.spool_seconds:
            rate = load.sessions / statistics.median(load.spool_seconds)
            print(f"{load.name}: spools filled before at {rate:,.0f} sessions/s; "
                  f"{load.bytes_at_first / load.sessions:.1f} bytes each before merges")  # fmt: skip
    places = list(dict.fromkeys(timing.where for timing in timings))
    title = f"query, LIMIT {LIMIT}: median ms of {QUERY_RUNS}"
    print(f"\n{title:32} {'rows':>5}" + "".join(f"{place:>24}" for place in places))
    for name in dict.fromkeys(timing.query for timing in timings):
        of = {timing.where: timing for timing in timings if timing.query == name}
        print(f"{name:32} {of[places[0]].rows:5}" + "".join(f"{of[place].milliseconds:24.1f}" for place in places))


def machine() -> dict[str, Any]:
    model = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]  # fmt: skip
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cpus": os.cpu_count(), "model": (model or ["unknown"])[0], "memory_bytes": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description="Sessions into the store, a second, beside peers.")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"default {SESSIONS:,}")
    parser.add_argument("--agents", type=int, nargs="+", default=list(AGENTS), help="numbers of agents to try")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each number of agents; default {RUNS}")
    parser.add_argument("--quick", action="store_true", help=f"does it run: {QUICK_SESSIONS:,} sessions, one run")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sessions, arguments.runs, arguments.agents = QUICK_SESSIONS, 1, [1, 4]
    busy = os.getloadavg()[0]
    bench = ROOT / "bench"
    bench.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ingest: stopped"))  # by way of what cleans up
    try:
        with tempfile.TemporaryDirectory(prefix="ingest-", dir=bench) as folder:
            loads, timings = measure(Path(folder), arguments.sessions, arguments.agents, arguments.runs)
    except RuntimeError as error:
        sys.exit(f"ingest: {error}")
    show(loads, timings)
    print(f"\n{arguments.sessions:,} sessions; MariaDB: InnoDB pool {BUFFERS}; {os.cpu_count()} CPUs")
    if busy > BUSY:
        print(f"Other programs ran (load {busy:.1f} at the start): read the ratios, not the figures.")
    result = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "load_average_at_start": busy,
        "sessions": arguments.sessions,
        "loads": [{**asdict(load), "sessions_per_second": load.rate} for load in loads],
        "queries": [asdict(timing) for timing in timings],
    }
    (bench / "ingest.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
