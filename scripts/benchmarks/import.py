# needs: mariadbd=mariadb-server mariadb=mariadb-client
"""Lines a second: other meters' logs read by `afterfact-agent` beside pandas, and SANCP's beside MariaDB's LOAD DATA
into Sguil's table.

    .venv/bin/python scripts/benchmarks/import.py [--quick] [--lines N] [--rounds N] [FORMAT...]

Ours is from the file to records, every cell checked, with ids and outcomes; pandas' is the plainest reader, which only
gives each column a type (addresses stay text); MariaDB stores and indexes, which ours does not. The logs are made, one
million lines each, and lie in the page cache. One thread each, processor time beside the clock; the median of several
rounds, in which they take turns. A format is a line of FORMATS. Prints a table, writes bench/import.json.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
import pandas  # noqa: E402
from ingesting.mariadb import MariaDB  # noqa: E402
from made import logs  # noqa: E402
from made.sessions import make_sessions  # noqa: E402

from afterfact_agent.importing.columns import warm  # noqa: E402
from afterfact_agent.importing.run import import_files  # noqa: E402
from afterfact_protocol.records import Records  # noqa: E402
from afterfact_protocol.session import IPV4_PREFIX, Proto  # noqa: E402

LINES, QUICK_LINES = 1_000_000, 20_000
ROUNDS = 3
BUSY = 0.5
"""Load average at the start from which figures are said to be disturbed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A format that is measured."""

    format: str
    """Its name, as `--format` has it."""
    line: Callable[[int, logs.Session], str]
    plain: Callable[[Path], int]
    """The peer: reads a file and gives the number of its lines."""
    head: str = ""
    tcp_only: bool = False
    mariadb: bool = False
    a_session: int = 1
    """Lines of a session: a router tells of each direction apart."""


SANCP_COLUMNS = ("sid", "sancpid", "start_time", "end_time", "duration", "ip_proto", "src_ip", "src_port", "dst_ip",
                 "dst_port", "src_pkts", "src_bytes", "dst_pkts", "dst_bytes", "src_flags", "dst_flags")  # fmt: skip
STREAM4_COLUMNS = ("xid", "start_time", "end_time", "src_ip", "dst_ip", "src_port", "dst_port", "ip_proto", "src_pckts",
                   "dst_pckts", "src_bytes", "dst_bytes")  # fmt: skip


def bars(names: tuple[str, ...]) -> Callable[[Path], int]:
    def read(path: Path) -> int:
        frame = pandas.read_csv(path, sep="|", names=names, engine="c")
        for name in ("start_time", "end_time"):
            frame[name] = pandas.to_datetime(frame[name], format="%Y-%m-%d %H:%M:%S", utc=True)
        return len(frame)

    return read


def tabs(path: Path) -> int:
    frame = pandas.read_csv(path, sep="\t", names=logs.ZEEK_FIELDS, comment="#", na_values="-", engine="c")
    frame["ts"] = pandas.to_datetime(frame["ts"], unit="s", utc=True)
    return len(frame)


def json_lines(path: Path) -> int:
    with pandas.read_json(path, lines=True, chunksize=20_000) as chunks:
        return sum(map(len, chunks))


def alert_lines(path: Path) -> int:
    """Snort's times have no year: pandas would try each as a date, for ten times as long."""
    with pandas.read_json(path, lines=True, chunksize=20_000, dtype=False) as chunks:
        return sum(map(len, chunks))


def commas(path: Path) -> int:
    frame = pandas.read_csv(path, engine="c")
    for name in ("ts", "te"):
        frame[name] = pandas.to_datetime(frame[name], format="%Y-%m-%d %H:%M:%S.%f", utc=True)
    return len(frame)


def plain_commas(path: Path) -> int:
    frame = pandas.read_csv(path, engine="c")
    for name in ("StartTime", "LastTime"):
        frame[name] = pandas.to_datetime(frame[name], unit="s", utc=True)
    return len(frame)


FORMATS = {
    "SANCP": Kind("sancp", logs.sancp, bars(SANCP_COLUMNS), mariadb=True),
    "stream4": Kind("stream4", logs.stream4, bars(STREAM4_COLUMNS), tcp_only=True),
    "Zeek text": Kind("zeek", logs.zeek_text, tabs, logs.ZEEK_HEAD),
    "Zeek JSON": Kind("zeek", logs.zeek_json, json_lines),
    "EVE flow": Kind("suricata", logs.eve_flow, json_lines),
    "Snort 3 JSON": Kind("snort", logs.snort_alert, alert_lines),
    "ra's CSV": Kind("argus", logs.ra_csv, plain_commas, logs.RA_HEAD, tcp_only=True),
    "nfdump CSV": Kind("netflow", logs.nfdump, commas, logs.NFDUMP_HEAD, a_session=2),
}


@dataclass(slots=True)
class Taken:
    """What one way to read a file took."""

    lines: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.lines / statistics.median(self.wall)


def ours(path: Path, kind: Kind) -> int:
    run = import_files([path], kind.format)
    count = sum(len(records) + len(events) for records, events in run)
    (report,) = run.reports
    if report.rejected or run.damage or not count:
        raise SystemExit(f"import: the made log is not read whole: {report.summary()}")
    # Of flows that follow one another between the same ends one session is made.
    return report.lines - kind.head.count("\n") if kind.a_session > 1 else count


def measure(kind: Kind, rows: Records, rounds: int, folder: Path) -> dict[str, Taken]:
    path = folder / "made.log"
    size = logs.write(rows, kind.line, path, kind.head)
    ways: dict[str, Callable[[], int]] = {
        "afterfact": lambda: ours(path, kind),
        "pandas": lambda: kind.plain(path),
    }
    lines = len(rows) * kind.a_session
    taken = {name: Taken(lines) for name in ways}
    for _ in range(rounds):
        for name, read in ways.items():
            began, cpu = time.monotonic(), time.process_time()
            count = read()
            taken[name].wall.append(time.monotonic() - began)
            taken[name].cpu.append(time.process_time() - cpu)
            if count != lines:
                raise SystemExit(f"import: {name} read {count} of {lines} lines")
    print(f"{kind.format}: {size / lines:.0f} bytes a line", file=sys.stderr)
    if kind.mariadb:
        taken |= mariadb(path, len(rows), rounds, folder)
    return taken


def mariadb(path: Path, lines: int, rounds: int, folder: Path) -> dict[str, Taken]:
    """Into an empty table of each kind, again and again; its processor time is the server's."""
    taken = {name: Taken(lines) for name in ("MariaDB, InnoDB", "MariaDB, MyISAM at once")}
    for number in range(rounds):
        with MariaDB(folder / f"mariadb-{number}") as server:
            for name, load in zip(taken, (server.load_innodb, server.load_at_once), strict=True):
                cpu = server.cpu_seconds()
                seconds, _ = load([("", path)])
                taken[name].wall.append(seconds)
                taken[name].cpu.append(server.cpu_seconds() - cpu)
    return taken


def made(lines: int) -> tuple[Records, Records]:
    """Sessions that all of the formats can tell of, and as many that stream4 can: TCP only."""
    rows = make_sessions(lines * 3)
    octets = np.ascontiguousarray(rows["src_ip"]).view(np.uint8).reshape(len(rows), 16)
    four = (octets[:, :12] == np.frombuffer(IPV4_PREFIX, np.uint8)).all(axis=1)
    told = four & np.isin(rows["proto"], (Proto.TCP, Proto.UDP, Proto.ICMP))
    return rows[told][:lines], rows[told & (rows["proto"] == Proto.TCP)][:lines]


def main() -> None:
    parser = argparse.ArgumentParser(description="Lines of other meters' logs, a second, beside peers.")
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}; default all")
    parser.add_argument("--lines", type=int, default=LINES, help=f"default {LINES:,}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help=f"does it run: {QUICK_LINES:,} lines, one round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.lines, arguments.rounds = QUICK_LINES, 1
    if unknown := set(arguments.formats) - set(FORMATS):
        parser.error(f"no such format: {', '.join(unknown)}; there are {', '.join(FORMATS)}")
    busy = os.getloadavg()[0]
    warm()
    every, tcp = made(arguments.lines)
    results: dict[str, dict[str, Taken]] = {}
    print(f"{'':12} {'':24} {'lines/s':>11} {'CPU us/line':>12} {'beside pandas':>14}")
    for name in arguments.formats or FORMATS:
        kind = FORMATS[name]
        with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder:
            rows = (tcp if kind.tcp_only else every)[: arguments.lines // kind.a_session]
            results[name] = measure(kind, rows, arguments.rounds, Path(folder))
        for way, taken in results[name].items():
            cpu = statistics.median(taken.cpu) / taken.lines * 1e6
            ratio = taken.rate / results[name]["pandas"].rate
            print(f"{name:12} {way:24} {taken.rate:11,.0f} {cpu:12.2f} {ratio:14.2f}", flush=True)
    if busy > BUSY:
        print(f"Other programs ran (load {busy:.1f} at the start): read the ratios, not the figures.")
    report = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load_average_at_start": busy,
        "rounds": arguments.rounds,
        "results": {
            name: {way: {**asdict(taken), "lines_per_second": taken.rate} for way, taken in ways.items()}
            for name, ways in results.items()
        },
    }
    target = ROOT / "bench" / "import.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
