"""Other meters' files from a sensor to an analyst's answer: the founding question over each."""

import csv
import gzip
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
from helpers.argus import ARGUS, RA
from helpers.case import CAPTURES, WORM
from helpers.foreign import CASE, KNOWN, QUESTION, WRITTEN
from helpers.processes import Process, Server, agent, ask, call, deliver, module

from afterfact_protocol.session import RECORD_FIELDS

Ends = tuple[str, str, str, str]

ASKED = sorted((m.src, str(m.sport), m.dst, str(m.dport)) for m in CASE if m.asked)


NULLABLE = frozenset(field.name for field in RECORD_FIELDS if field.nullable)
SHAPES: dict[str, Callable[[str], Iterable[dict[str, object]]]] = {
    "csv": lambda text: [{**row} for row in csv.DictReader(io.StringIO(text))],
    "jsonl": lambda text: map(json.loads, text.splitlines()),
    "table": lambda text: [
        dict(zip(sorted(NULLABLE), line.split(), strict=True)) for line in text.splitlines()[1:] if line
    ],
}


def found(console: Path, text: str) -> list[Ends]:
    done = ask(console, text, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return sorted(
        (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"])
        for row in csv.DictReader(io.StringIO(done.stdout))
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_the_founding_question_over_each_format(site: Server, tmp_path: Path, name: str) -> None:
    form, text = WRITTEN[name]
    sensor = name.replace(".", "-")
    console, join = site.console_file(), site.enrol(sensor)
    path = tmp_path / name
    path.write_text(text())
    command = agent(join, tmp_path / "spool", "--import", form, path, "--until-delivered")
    done = call(command)
    assert done.returncode == 0, done.stderr
    assert f"{len(CASE)} sessions" in done.stderr
    question = QUESTION.replace("\nLIMIT", f"\nand sensor = '{sensor}' LIMIT")
    assert found(console, question) == ASKED
    # What it does not tell is NULL: in the query, and in all that answers are written as.
    unknown = sorted(NULLABLE - KNOWN[name])
    condition = f"sensor = '{sensor}' and " + " and ".join(f"{field} is null" for field in unknown)
    for shape in ("csv", "jsonl", "table") if name == "eve.json" else ("csv",):
        done = ask(console, condition, "--format", shape, "--columns", ",".join(sorted(NULLABLE)))
        assert done.returncode == 0, done.stderr
        rows = list(SHAPES[shape](done.stdout))
        assert len(rows) == len(CASE)
        for row in rows:
            assert {field for field, text in row.items() if text not in (None, "", "-")} == KNOWN[name], (shape, row)
    # The same file again, and packed, and as a copy of half of it: nothing is added.
    lines = path.read_text().splitlines(keepends=True)
    head = [line for line in lines if line.startswith(("#", "StartTime", "ts,"))]
    # nfdump's summary, which begins with a number too, is no session; two of its lines are one.
    sessions = [line for line in lines if line.count(",") != 5 and line[0] in "0123456789{"]
    (tmp_path / f"{name}.half").write_text("".join(head + sessions[-2:]))
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    for again in ([path], [tmp_path / f"{name}.gz", tmp_path / f"{name}.half"]):
        done = call(agent(join, tmp_path / "spool", "--import", form, *again, "--until-delivered"))
        assert done.returncode == 0, done.stderr
    assert len(found(console, f"sensor = '{sensor}'")) == len(CASE)
    # The file is what was watched.
    meta = tmp_path / "meta.json"
    ask(console, f"sensor = '{sensor}' and start_time between '2004-07-21' and '2004-07-22'", "--meta", meta)
    (coverage,) = json.loads(meta.read_text())["coverage"]
    assert coverage["sensor"] == sensor and not coverage["gaps"], coverage


def test_what_converts_is_what_is_delivered(site: Server, tmp_path: Path) -> None:
    """`import` prints the very rows that `run --import` has stored."""
    console, join = site.console_file(), site.enrol("same")
    path = tmp_path / "ssn_log.1"
    path.write_text(WRITTEN["ssn_log.1090800000"][1]())
    printed = call(module("afterfact_agent", "import", path))
    assert printed.returncode == 0, printed.stderr
    assert call(agent(join, tmp_path / "spool", "--import", "auto", path, "--until-delivered")).returncode == 0
    stored = ask(console, "sensor = 'same'", "--format", "csv")
    stamps = ("sensor", "ingest_time", "stream", "seq")

    def rows(text: str) -> list[list[str]]:
        return sorted(
            [value for name, value in row.items() if name not in stamps] for row in csv.DictReader(io.StringIO(text))
        )

    assert rows(stored.stdout) == rows(printed.stdout) and len(rows(printed.stdout)) == len(CASE)


def test_years_in_one_file_lie_apart_by_day(site: Server, tmp_path: Path) -> None:
    """A session every tenth day of three years: more days in one batch than the store takes in one insert."""
    console, join = site.console_file(), site.enrol("years")
    path = tmp_path / "stats.years"
    days = [date(2003, 1, 1) + timedelta(days) for days in range(0, 3 * 365, 10)]
    with path.open("w") as out:
        for number, day in enumerate(days):
            out.write(f"{number}|{day} 23:59:58|{day + timedelta(1)} 00:00:03|5|6|167837957|{1024 + number}|3405803785|"
                      "80|6|420|5|1310|27|27\n")  # fmt: skip
    done = call(agent(join, tmp_path / "spool", "--import", "sancp", path, "--until-delivered"))
    assert done.returncode == 0, done.stderr
    assert len(found(console, "sensor = 'years'")) == len(days) > 100
    year = "sensor = 'years' and start_time between '2004-01-01' and '2004-12-31 23:59:59'"
    assert len(found(console, year)) == sum(day.year == 2004 for day in days)


def test_lines_that_cannot_be_read_are_told_and_kept(site: Server, tmp_path: Path) -> None:
    console, join = site.console_file(), site.enrol("torn")
    path = tmp_path / "stats.eth0.1090800000"
    lines = WRITTEN[path.name][1]().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3][:40], "\xff\xfe|nonsense", *lines[4:], ""]), "latin-1")
    done = call(agent(join, tmp_path / "spool", "--import", "sancp", path, "--until-delivered"))
    assert done.returncode == 0 and "REJECTED 2" in done.stderr, done.stderr
    (rejects,) = (tmp_path / "spool" / "rejects").iterdir()
    assert [line.split(b":")[1] for line in rejects.read_bytes().splitlines()] == [b"4", b"5"]
    assert len(found(console, "sensor = 'torn'")) == len(CASE) - 1
    # Of another format none can.
    done = call(agent(join, tmp_path / "spool", "--import", "stream4", path, "--until-delivered"))
    assert done.returncode == 1 and f"{path}: no line of it could be read as stream4" in done.stderr, done.stderr


def test_files_that_grow_are_followed_through_kills_and_rotation(site: Server, tmp_path: Path) -> None:
    console, join = site.console_file(), site.enrol("follower")
    logs = tmp_path / "logs"
    logs.mkdir()
    rows = WRITTEN["ssn_log.1090800000"][1]().splitlines(keepends=True)
    command = agent(join, tmp_path / "spool", "--follow", logs)

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 40
        while len(found(console, "sensor = 'follower'")) != count:
            assert time.monotonic() < deadline and following.popen.poll() is None, following.lines
            time.sleep(0.3)

    log = logs / "ssn_log.log"
    log.write_text("".join(rows[:2]) + rows[2][:30])
    following = Process(command)
    wait_for(2)
    with log.open("a") as file:
        file.write(rows[2][30:])
    wait_for(3)
    following.end(signal.SIGKILL)
    with log.open("a") as file:
        file.write(rows[3])
    log.rename(logs / "ssn_log.1.log")
    log.write_text(rows[4])
    following = Process(command)
    wait_for(5)
    (logs / "ssn_log.1.log.gz").write_bytes(gzip.compress((logs / "ssn_log.1.log").read_bytes()))
    (logs / "ssn_log.1.log").unlink()
    with log.open("a") as file:
        file.writelines(rows[5:])
    wait_for(len(CASE))
    assert following.end() == 0
    asked = found(console, QUESTION.replace("\nLIMIT", "\nand sensor = 'follower' LIMIT"))
    assert asked == ASKED


@pytest.mark.skipif(not (shutil.which("argus") and shutil.which("ra")), reason="argus and ra are not installed")
def test_the_case_as_argus_saw_it(site: Server, tmp_path: Path) -> None:
    """Argus meters the case's captures; imported, the founding question finds what our own meter's sessions give."""
    console = site.console_file()
    for name, capture in CAPTURES.items():
        join = site.enrol(f"argus-{name}")
        ours = site.enrol(f"ours-{name}")
        assert deliver(ours, tmp_path / f"ours-{name}", capture).returncode == 0
        data = tmp_path / f"{name}.argus"
        assert call(["argus", "-X", "-A", "-r", str(capture), "-w", str(data)]).returncode == 0
        done = call(agent(join, tmp_path / f"spool-{name}", "--import", "argus", data, "--until-delivered"))
        assert done.returncode == 0, done.stderr
        of_argus, of_ours = (
            found(console, WORM.replace("LIMIT", f"and sensor = '{meter}-{name}' LIMIT")) for meter in ("argus", "ours")
        )
        assert of_argus == of_ours and of_ours, name


@pytest.mark.skipif(ARGUS is None or RA is None, reason="argus and ra are not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="argus captures as root only")
def test_a_live_argus_is_delivered_through_kills_and_never_twice(site: Server, tmp_path: Path) -> None:
    """The agent is killed, then Argus is: what Argus told of is in sessions, each packet once."""
    console, join = site.console_file(), site.enrol("argus-live")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert ARGUS is not None
    argus = [ARGUS, "-X", "-S", "1", "-i", "lo", "-P", str(port), "-B", "127.0.0.1"]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        there.bind(("127.0.0.1", 0))
        address = there.getsockname()
        sent = 0

        def told() -> int:
            done = ask(console, f"sensor = 'argus-live' and dst_port = {address[1]}", "--format", "csv")
            return sum(int(row["src_pkts"]) for row in csv.DictReader(io.StringIO(done.stdout)))

        def more() -> None:
            """Until a packet that was sent after this was called is told of."""
            nonlocal sent
            before, deadline = told(), time.monotonic() + 60
            while told() <= before:
                assert time.monotonic() < deadline and reading.popen.poll() is None, reading.lines
                here.sendto(b"x" * 100, address)
                sent += 1
                time.sleep(0.2)
            assert told() <= sent

        with subprocess.Popen(argus, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
            command = agent(join, tmp_path / "spool", "--import", "argus", f"127.0.0.1:{port}")
            reading = Process(command)
            try:
                more()
                reading.end(signal.SIGKILL)
                reading = Process(command)
                more()
            finally:
                first.terminate()
        with subprocess.Popen(argus, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as second:
            try:
                more()
            finally:
                second.terminate()
        assert reading.end() == 0
        assert told() <= sent
