"""Nothing lost, nothing doubled: what `read` prints is what is stored, whatever is killed in between."""

import csv
import io
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.captures import many_datagrams
from helpers.case import CAPTURES
from helpers.processes import Process, Server, agent, ask, call, deliver, module

from afterfact_agent.delivery.filestream import batches_of
from afterfact_agent.delivery.spool import Spool, StreamInfo
from afterfact_protocol.codec import encode
from afterfact_protocol.session import RECORD, EndReason

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "pcap"
STAMPS = ("sensor", "ingest_time", "stream", "seq")
SESSIONS = 150_000

Row = tuple[str, ...]

READ_AND_RUN = """
import contextlib, sys
from pathlib import Path
from afterfact_agent.__main__ import main
join, folder, *captures = sys.argv[1:]
for capture in captures:
    name = Path(capture).name
    main(["read", capture, "-o", f"{folder}/{name}.csv"])
    with open(f"{folder}/{name}.code", "w") as code:
        code.write(str(main(["run", "--join", join, "--spool", f"{folder}/{name}.spool", "--read", capture,
                             "--until-delivered"])))
"""


def sessions(text: str) -> list[Row]:
    """A CSV's rows without the server's stamps, in an order of their own."""
    rows = csv.DictReader(io.StringIO(text))
    return sorted(tuple(value for name, value in row.items() if name not in STAMPS) for row in rows)


def read(captures: Sequence[Path]) -> list[Row]:
    done = call(module("afterfact_agent", "read", *captures))
    assert done.returncode == 0, done.stderr
    return sessions(done.stdout)


def stored(console: Path, where: str = "") -> list[Row]:
    done = ask(console, where, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return sessions(done.stdout)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.pcap"
    many_datagrams(path, SESSIONS)
    return path


@pytest.fixture(scope="module")
def large_rows(large: Path) -> list[Row]:
    rows = read([large])
    assert len(rows) == SESSIONS
    return rows


def test_same_files_again_add_nothing(server: Server, tmp_path: Path) -> None:
    console, join = server.console_file(), server.enrol("border")
    captures = list(CAPTURES.values())
    wanted = read(captures)
    for spool in ("one", "one", "two"):
        done = deliver(join, tmp_path / spool, *captures)
        assert done.returncode == 0, done.stderr
        assert stored(console) == wanted
    assert f"{len(wanted):,}" in server.do("status", server.dir).splitlines()[1].split()


def test_agent_killed_while_it_delivers(server: Server, tmp_path: Path, large: Path, large_rows: list[Row]) -> None:
    console, join = server.console_file(), server.enrol("border")
    command = agent(join, tmp_path / "spool", "--read", large, "--until-delivered")
    killed = 0
    for _ in range(3):
        first = Process(command)
        first.wait_for("connected")
        time.sleep(0.3)
        if first.popen.poll() is None:
            killed += 1
        first.end(signal.SIGKILL)
    assert killed, "the agent was done before it could be killed"
    done = call(command)
    assert done.returncode == 0, done.stderr
    assert stored(console) == large_rows


def test_server_killed_while_it_takes_in(server: Server, tmp_path: Path, large: Path, large_rows: list[Row]) -> None:
    console, join = server.console_file(), server.enrol("border")
    sending = Process(agent(join, tmp_path / "spool", "--read", large, "--until-delivered"))
    for _ in range(3):
        sending.wait_for("connected")
        time.sleep(0.3)
        assert sending.popen.poll() is None, "all was delivered before the server could be killed"
        sending.lines.clear()
        server.kill()
        server.start()
    assert sending.wait(120) == 0, "\n".join(sending.lines)
    assert stored(console) == large_rows


def test_files_known_under_other_settings_need_replace(server: Server, tmp_path: Path) -> None:
    console, join, capture = server.console_file(), server.enrol("border"), CAPTURES["border"]
    assert deliver(join, tmp_path / "one", capture).returncode == 0
    before = stored(console)
    other = agent(join, tmp_path / "two", "--read", capture, "--idle", "tcp=20", "--until-delivered")
    refused = call(other)
    assert refused.returncode == 1
    assert "these files are in the store already" in refused.stderr and "--replace" in refused.stderr
    assert stored(console) == before
    replaced = call([*other, "--replace"])
    assert replaced.returncode == 0, replaced.stderr
    assert stored(console) == sessions(call(module("afterfact_agent", "read", capture, "--idle", "tcp=20")).stdout)


def test_a_restored_server_gets_again_what_it_lacks(server: Server, tmp_path: Path) -> None:
    """From the spool, and from the files once the spool no longer holds it; exit 0 means that the server has it."""
    console, join, capture, spool = (
        server.console_file(),
        server.enrol("border"),
        CAPTURES["border"],
        tmp_path / "spool",
    )
    server.stop()
    shutil.copytree(server.dir, tmp_path / "backup", symlinks=True)
    server.start()
    wanted = read([capture])
    for delivered_before, metered_again in ((False, False), (True, False), (True, True)):
        if delivered_before:
            server.stop()
            shutil.rmtree(server.dir)
            shutil.copytree(tmp_path / "backup", server.dir, symlinks=True)
            server.start()
        if metered_again:
            for kept in spool.rglob("*.acked"):
                kept.unlink()
        done = deliver(join, spool, capture)
        assert done.returncode == 0, done.stderr
        assert ("read before" in done.stderr) == delivered_before
        assert ("reading the files again" in done.stderr) == metered_again
        assert stored(console) == wanted


def test_files_that_changed_are_not_metered_again_as_what_they_were(server: Server, tmp_path: Path) -> None:
    """A stream's number is the files' content: other content in it would be counted twice."""
    join, capture, spool = server.enrol("border"), tmp_path / "a.pcap", tmp_path / "spool"
    shutil.copy(CAPTURES["border"], capture)
    assert deliver(join, spool, capture).returncode == 0
    server.stop()
    shutil.rmtree(server.dir / "sessions")
    for kept in spool.rglob("*.acked"):
        kept.unlink()
    staying = Process(agent(join, spool, "--read", capture))
    staying.wait_for("read before")
    with capture.open("ab") as file:
        file.write(b"more")
    server.start()
    staying.wait_for("the files have changed")
    assert staying.wait() == 1


def test_more_streams_than_a_queue_holds(server: Server, tmp_path: Path) -> None:
    """Each call's files are a stream; after a long outage hundreds wait."""
    console, join = server.console_file(), server.enrol("border")
    spool = Spool(tmp_path / "spool")
    rows = np.zeros(1, RECORD)
    rows["start_time"] = rows["end_time"] = 1_090_800_000_000_000
    rows["proto"], rows["end_reason"] = 17, EndReason.IDLE
    for number in range(200):
        stream = number.to_bytes(16, "big")
        rows["session_id"] = number
        spool.put_stream(StreamInfo(stream, "files", stream * 2, "m"))
        for batch in batches_of(stream, [rows], lambda: ()):
            spool.put(stream, batch.seq, encode(batch))
        spool.complete(stream, 1)
    spool.close()
    done = deliver(join, tmp_path / "spool", CAPTURES["border"])
    assert done.returncode == 0, done.stderr
    assert len(stored(console, "src_ip = '::'")) == 200


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the shared corpus is not at {CORPUS}")
def test_every_capture_of_the_corpus(server: Server, tmp_path: Path) -> None:
    """Read without a crash; what `read` prints is what is stored, by key and content."""
    console, join = server.console_file(), server.enrol("corpus")
    captures = sorted(CORPUS.iterdir())
    done = call([module("x")[0], "-c", READ_AND_RUN, *map(str, (join, tmp_path, *captures))], timeout=250)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    answer = ask(console, "", "--format", "csv")
    assert answer.returncode == 0, answer.stderr
    by_stream: dict[str, list[Row]] = {}
    for row in csv.DictReader(io.StringIO(answer.stdout)):
        content = tuple(value for name, value in row.items() if name not in STAMPS)
        by_stream.setdefault(row["stream"], []).append(content)
    found = 0
    for capture in captures:
        rows = sessions((tmp_path / f"{capture.name}.csv").read_text())
        streams = [folder.name for folder in (tmp_path / f"{capture.name}.spool" / "streams").iterdir()]
        assert sorted(row for stream in streams for row in by_stream.get(stream, [])) == rows, capture.name
        found += len(rows)
    assert found == sum(len(rows) for rows in by_stream.values()) > 200
