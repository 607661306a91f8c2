# needs: mariadbd=mariadb-server mariadb=mariadb-client nfdump=nfdump
"""Twelve standing questions over a month of made sessions: Afterfact over an analyst's socket, hot and cold, with one
and with eight analysts, and while sessions pour in; beside MariaDB with Sguil's table, nfdump and Tenzir on the same
sessions.

    .venv/bin/python scripts/benchmarks/query.py [--quick] [--sessions N] [--runs N] [--without PEER...]

docs/performance.md says what is measured and what is not. Prints a table and writes bench/query.json.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the helpers that run the real programs

import numpy as np  # noqa: E402
from helpers.processes import PASSWORD, Server  # noqa: E402
from ingesting import store  # noqa: E402
from ingesting.mariadb import MariaDB  # noqa: E402
from made import month  # noqa: E402
from made.sessions import DAY_US, make_sessions  # noqa: E402
from querying import ours, tenzir  # noqa: E402
from querying.nfdump import Nfdump  # noqa: E402
from querying.questions import LIMIT, QUESTIONS, Question  # noqa: E402

from afterfact_client.client import Client, connect  # noqa: E402

SESSIONS, QUICK_SESSIONS = 10_000_000, 100_000
RUNS, COLD_RUNS, PEER_RUNS = 20, 3, 5
ANALYSTS = 8
INGEST_RATE, INGEST_SECONDS = 50_000, 40
BUSY = 0.5
"""Load average at the start from which figures are said to be disturbed."""
PEERS = ("mariadb", "nfdump", "tenzir")


@dataclass(frozen=True, slots=True)
class Timing:
    """One question in one place."""

    question: str
    where: str
    p50_ms: float
    p95_ms: float
    runs: int
    rows: int


@dataclass(frozen=True, slots=True)
class Size:
    """What the sessions take in one place."""

    where: str
    bytes_each: float
    load_seconds: float


def timing(question: Question, where: str, took: list[float], rows: int) -> Timing:
    return Timing(question.name, where, *ours.middle_and_worst(took), len(took), rows)


def timed(ask: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    rows = ask()
    return (time.perf_counter() - began) * 1000, rows


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


# --- Afterfact --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(server: Server) -> Iterator[None]:
    server.start()
    try:
        yield
        server.stop()
    finally:
        if server.process is not None:
            server.process.popen.kill()


def ask(client: Client, question: Question) -> int:
    """The answer and all rows it may have, decoded."""
    result = client.query(question.ours)
    rows = len(result.fetch())
    result.drop()
    return rows


def _connected(server: Server) -> Client:
    return connect(server.console_file(), "ana", PASSWORD)


def hot(server: Server, asked: list[Question], runs: int) -> list[Timing]:
    found = []
    with _connected(server) as client:
        for question in asked:
            ask(client, question)
            took, rows = zip(
                *(timed(lambda question=question: ask(client, question)) for _ in range(runs)), strict=True
            )
            found.append(timing(question, "hot", list(took), rows[0]))
    return found


def cold(server: Server, asked: list[Question], runs: int) -> list[Timing]:
    """Nothing of the sessions in any cache: the server is started anew for every question, the page cache emptied."""
    found = []
    for question in asked:
        took, rows = [], 0
        for _ in range(runs):
            drop_caches()
            with serving(server), _connected(server) as client:
                drop_caches()
                milliseconds, rows = timed(partial(ask, client, question))
                took.append(milliseconds)
        found.append(timing(question, "cold", took, rows))
    return found


def together(server: Server, asked: list[Question], runs: int, where: str, analysts: int = ANALYSTS,
             until: threading.Event | None = None) -> list[Timing]:  # fmt: skip
    """So many analysts ask all of them in turn, each beginning with another; so often, or until told."""
    took: dict[str, list[float]] = {question.name: [] for question in asked}
    rows: dict[str, int] = {}
    faults: list[BaseException] = []

    def analyst(number: int) -> None:
        try:
            with _connected(server) as client:
                turns = 0
                while turns < runs or (until is not None and not until.is_set()):
                    for at in range(len(asked)):
                        question = asked[(at + number) % len(asked)]
                        milliseconds, rows[question.name] = timed(lambda question=question: ask(client, question))
                        took[question.name].append(milliseconds)
                    turns += 1
        except BaseException as fault:  # told where it is waited for
            faults.append(fault)

    threads = [threading.Thread(target=analyst, args=(number,)) for number in range(analysts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"an analyst's question failed: {faults[0]}")
    return [timing(question, where, took[question.name], rows[question.name]) for question in asked]


def while_ingesting(server: Server, asked: list[Question], folder: Path, seconds: int) -> tuple[list[Timing], float]:
    """One analyst asks in turn while an agent delivers 50,000 sessions a second of the days after the month; and how
    many a second it were."""
    rows = make_sessions(INGEST_RATE * seconds, 99, month.FIRST_US + month.DAYS * DAY_US, 1)
    sessions = folder / "more.npy"
    np.save(sessions, rows)
    script = Path(__file__).parent / "ingesting" / "agent.py"
    agent = subprocess.Popen(
        [sys.executable, script, server.enrol("busy"), folder / "spool", sessions, "0", "1", str(INGEST_RATE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert agent.stdin is not None and agent.stdout is not None
    done = threading.Event()
    try:
        agent.stdout.readline()
        agent.stdin.write("deliver\n")
        agent.stdin.flush()
        told: dict[str, float] = {}

        def wait() -> None:
            told.update(json.loads(agent.stdout.readline() or "{}"))
            done.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        found = together(server, asked, 1, f"{INGEST_RATE:,}/s coming in", 1, done)
        waiting.join()
        agent.communicate()
    finally:
        agent.kill()
    if "last" not in told:
        raise RuntimeError("the agent did not deliver")
    return found, len(rows) / (told["last"] - told["first"])


# --- peers ------------------------------------------------------------------------------------------------------------


def ask_peer(where: str, asked: list[Question], ask_one: Callable[[Question], int], forget: Callable[[], object],
             runs: int) -> list[Timing]:  # fmt: skip
    found = []
    for question in asked:
        say(f"{where}: {question.name}")
        drop_caches()
        forget()
        first, rows = timed(lambda question=question: ask_one(question))
        found.append(timing(question, f"{where}, cold", [first], rows))
        # What takes long is not repeated so often.
        took = [timed(lambda question=question: ask_one(question))[0] for _ in range(runs if first < 3000 else 2)]
        found.append(timing(question, where, took, rows))
    return found


def mariadb(folder: Path, path: Path, count: int, runs: int) -> tuple[list[Timing], Size]:
    files = store.alone(store.write_sguil_files, path, folder / "files")
    with MariaDB(folder / "mariadb") as peer:
        seconds, size = peer.load_at_once(files)
        stored = int(peer.run("SELECT COUNT(*) FROM sancp_at_once")[0])
        if stored != count:
            raise RuntimeError(f"MariaDB has {stored:,} of {count:,} sessions")
        found = ask_peer(
            "MariaDB", [question for question in QUESTIONS if question.mariadb],
            lambda question: len(peer.run(question.mariadb.replace("FROM sancp", "FROM sancp_at_once"))),
            lambda: peer.run("FLUSH TABLES"), runs,
        )  # fmt: skip
        return found, Size(f"MariaDB {peer.version}, MyISAM", size / count, seconds)


def nfdump(folder: Path, path: Path, count: int, runs: int) -> tuple[list[Timing], Size]:
    peer = Nfdump(folder / "nfdump", count)
    asked = [question for question in QUESTIONS if question.nfdump]
    return (ask_peer("nfdump", asked, peer.ask, lambda: None, runs),
            Size(f"nfdump {peer.version}", peer.bytes / count, peer.seconds))  # fmt: skip


def ask_tenzir(folder: Path, path: Path, count: int, runs: int) -> tuple[list[Timing], Size]:
    store.alone(tenzir.write_parquet, path, folder / "sessions.parquet")
    peer = tenzir.Tenzir(folder / "tenzir", folder / "sessions.parquet", count)
    try:
        asked = [question for question in QUESTIONS if question.tenzir]
        return (ask_peer("Tenzir", asked, peer.ask, lambda: None, runs),
                Size(f"Tenzir {peer.version}", peer.bytes / count, peer.seconds))  # fmt: skip
    finally:
        peer.close()


# --- the whole --------------------------------------------------------------------------------------------------------


def measure(folder: Path, count: int, runs: int, cold_runs: int, without: list[str], seconds: int) -> dict[str, Any]:
    needles = [question for question in QUESTIONS if question.needle]
    server = Server(folder)
    for name in ("border", "inside"):
        server.enrol(name)
    path = server.dir / "sessions"
    say(f"making and storing {count:,} sessions")
    size, parts, took = store.alone(ours.fill, path, count)
    sizes = [Size(f"Afterfact, {parts} parts", size / count, took)]
    timings: list[Timing] = []
    say("aggregates, in the store alone")
    told = store.alone(ours.aggregates, path, {q.name: q.store for q in QUESTIONS if q.store}, min(runs, 5))
    for question in QUESTIONS:
        if question.store:
            first, then, rows = told[question.name]
            timings += [timing(question, "hot", then, rows), timing(question, "cold", first, rows)]
    say("one analyst, hot")
    with serving(server):
        timings += hot(server, needles, runs)
        say(f"{ANALYSTS} analysts")
        timings += together(server, needles, max(2, runs // 4), f"{ANALYSTS} analysts")
    say("cold")
    timings += cold(server, needles, cold_runs)
    for name, peer in (("mariadb", mariadb), ("nfdump", nfdump), ("tenzir", ask_tenzir)):
        if name in without:
            continue
        if name == "tenzir" and not tenzir.program("tenzir"):
            say("tenzir is not installed (pip install tenzir; TENZIR_BIN): left out")
            continue
        say(name)
        of_peer, its_size = peer(folder, path, count, min(runs, PEER_RUNS))
        timings += of_peer
        sizes.append(its_size)
    agree(timings)
    say(f"while {INGEST_RATE:,} a second come in")
    with serving(server):
        of_busy, rate = while_ingesting(server, needles, folder, seconds)
        timings += of_busy
    return {"timings": timings, "sizes": sizes, "ingested_per_second": rate}


def agree(timings: list[Timing]) -> None:
    """All must have found the same number of rows. RuntimeError if not."""
    for question in QUESTIONS:
        found = {one.where: one.rows for one in timings if one.question == question.name}
        if len(set(found.values())) > 1:
            raise RuntimeError(f"{question.name}: not all found the same number of rows: {found}")


def say(text: str) -> None:
    print(f"query: {text}", file=sys.stderr, flush=True)


def show(found: dict[str, Any]) -> None:
    timings: list[Timing] = found["timings"]
    places = list(dict.fromkeys(one.where for one in timings))
    print(f"\n{'p50 / p95 ms, LIMIT ' + str(LIMIT):30} {'rows':>5}" + "".join(f"{place:>19}" for place in places))
    for question in QUESTIONS:
        own = {one.where: one for one in timings if one.question == question.name}
        cells = [f"{own[place].p50_ms:.0f} / {own[place].p95_ms:.0f}" if place in own else "-" for place in places]
        rows = next(iter(own.values())).rows
        name = question.name + ("" if question.needle else " *")
        print(f"{name:30} {rows:5}" + "".join(f"{cell:>19}" for cell in cells))
    print("* in the store's SQL, in the store alone: not over the socket")
    for size in found["sizes"]:
        print(f"{size.where}: {size.bytes_each:.1f} bytes a session, {size.load_seconds:.0f} s to load")
    print(f"sessions came in at {found['ingested_per_second']:,.0f} a second")


def main() -> None:
    parser = argparse.ArgumentParser(description="Twelve standing questions, beside peers.")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help=f"default {SESSIONS:,}; 100000000 takes hours")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each question; default {RUNS}")
    parser.add_argument("--without", nargs="*", choices=PEERS, default=[], help="peers to leave out")
    parser.add_argument("--quick", action="store_true", help=f"does it run: {QUICK_SESSIONS:,} sessions")
    arguments = parser.parse_args()
    cold_runs, seconds = COLD_RUNS, INGEST_SECONDS
    if arguments.quick:
        arguments.sessions, arguments.runs, cold_runs, seconds = QUICK_SESSIONS, 2, 1, 5
    if os.getuid():
        sys.exit("query: caches are dropped for what is measured cold: run it as root")
    busy = os.getloadavg()[0]
    bench = ROOT / "bench"
    bench.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("query: stopped"))  # by way of what cleans up
    try:
        with tempfile.TemporaryDirectory(prefix="query-", dir=bench) as folder:
            found = measure(Path(folder), arguments.sessions, arguments.runs, cold_runs, arguments.without, seconds)
    except RuntimeError as error:
        sys.exit(f"query: {error}")
    show(found)
    if busy > BUSY:
        print(f"Other programs ran (load {busy:.1f} at the start): read the ratios, not the figures.")
    report = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpus": os.cpu_count(),
        "load_average_at_start": busy,
        "sessions": arguments.sessions,
        "timings": [asdict(one) for one in found["timings"]],
        "sizes": [asdict(one) for one in found["sizes"]],
        "ingested_per_second": found["ingested_per_second"],
    }
    (bench / "query.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
