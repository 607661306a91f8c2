"""Long queries on the real server: progress, cancel, deadline, pages beside them, and a stop in their midst."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.processes import PASSWORD, Process, Server, module

from afterfact_client import Client, LinkLost, RequestFailed, connect
from afterfact_protocol.messages import Progress

ROWS = 2_000_000
SLOW = "WHERE " + " OR ".join(f"history REGEXP '[a-m]{{{n}}}.*[n-z]+.*{n}$'" for n in range(1, 60))
"""Some seconds of work on ROWS sessions, and no row."""

FILL = f"""
import sys
from pathlib import Path
import numpy as np
from afterfact_protocol.session import ROW
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine
client = StoreEngine(Path(sys.argv[1]), "").client()
schema.prepare(client)
random = np.random.default_rng(1)
rows = np.zeros({ROWS}, ROW)
rows["start_time"] = 1_090_800_000_000_000 + np.sort(random.integers(0, 86_400_000_000, len(rows)))
rows["end_time"] = rows["start_time"] + 1
rows["session_id"] = random.integers(0, 1 << 63, len(rows))
rows["sensor"], rows["revision"], rows["proto"] = 1, 3, 6
rows["dst_port"] = random.integers(1, 65536, len(rows))
rows["history"] = np.array([b"ShADadFf", b"ShADadttFfR", b"S", b"Dd"])[random.integers(0, 4, len(rows))]
write.insert_sessions(client, rows)
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("filled"))
    server.enrol("border")
    subprocess.run([sys.executable, "-c", FILL, str(server.dir / "sessions")], check=True, timeout=120)
    config = server.dir / "server.toml"
    config.write_text(config.read_text().replace("query_seconds = 300", "query_seconds = 20"))
    server.start()
    server.console_file()
    yield server
    if server.process is not None:
        server.stop()


@pytest.fixture
def client(filled: Server) -> Iterator[Client]:
    with connect(filled.folder / "CONSOLE.toml", "ana", PASSWORD) as made:
        yield made


def test_pages_follow_one_another_and_hold_each_row_once(client: Client) -> None:
    result = client.query("WHERE dst_port < 2000")
    rows = result.fetch()
    assert len(rows) == result.answer.total > 50_000
    assert (rows["dst_port"] < 2000).all()
    assert (np.diff(rows["start_time"]) <= 0).all(), "newest first"
    assert len(np.unique(rows["session_id"])) == len(rows)


def test_everything_goes_beyond_the_part_that_is_held(client: Client) -> None:
    result = client.query("WHERE dst_port < 6000", everything=True)
    rows = result.fetch()
    assert len(rows) > 150_000 > result.answer.total
    assert len(np.unique(rows["session_id"])) == len(rows)
    assert len(rows) == client.query("WHERE dst_port < 6000").answer.total


def test_limit_and_truncated(client: Client) -> None:
    answer = client.query("WHERE dst_port < 2000 LIMIT 7").answer
    assert (answer.total, answer.truncated, answer.limit) == (7, True, 7)
    assert not client.query("WHERE dst_port = 7 LIMIT 100000").answer.truncated


def test_progress_is_told_and_others_are_served_meanwhile(client: Client) -> None:
    told: list[Progress] = []
    request, slow = client.link.ask(SLOW, progress=told.append)
    at = time.monotonic()
    while len(told) < 2 and not slow.done():
        time.sleep(0.01)
    assert len(told) >= 2 and told[-1].read_rows > 0, "the query was over before it could be told of"
    assert client.status().sessions == ROWS
    assert not slow.done(), f"status waited for the query ({time.monotonic() - at:.1f} s)"
    client.link.cancel(request)
    with pytest.raises(RequestFailed) as failed:
        slow.result(5)
    assert failed.value.code == "cancelled"


def test_cancelled_queries_make_room(client: Client) -> None:
    """More than there are workers, each cancelled while it runs or waits: the next one is answered."""
    asked = [client.link.ask(SLOW) for _ in range(5)]
    time.sleep(0.5)
    for request, _ in asked:
        client.link.cancel(request)
    at = time.monotonic()
    for _, answer in asked:
        with pytest.raises(RequestFailed, match="stopped"):
            answer.result(10)
    assert client.query("WHERE dst_port = 7").answer.total > 0
    assert time.monotonic() - at < 10


def test_a_lost_console_leaves_nothing_running(filled: Server, client: Client) -> None:
    """Its queries would hold the workers for several times as long as this waits."""
    with connect(filled.folder / "CONSOLE.toml", "ana", PASSWORD) as other:
        for _ in range(8):
            other.link.ask(SLOW)
        time.sleep(0.3)
    _, answer = client.link.ask("WHERE dst_port = 7")
    assert answer.result(10).total > 0


def test_dropped_results_are_gone(client: Client) -> None:
    result = client.query("WHERE dst_port = 7")
    result.drop()
    with pytest.raises(RequestFailed, match="no result"):
        result.page(0).result(5)


def test_too_many_results(client: Client) -> None:
    for _ in range(32):
        client.query("WHERE dst_port = 7 LIMIT 1")
    with pytest.raises(RequestFailed) as failed:
        client.query("WHERE dst_port = 7 LIMIT 1")
    assert failed.value.code == "busy"


def test_place_of_a_mistake(client: Client) -> None:
    text = "WHERE dst_port = 7 AND bogus = 1"
    with pytest.raises(RequestFailed) as failed:
        client.query(text)
    assert failed.value.code == "query" and text[failed.value.start : failed.value.end] == "bogus"


def test_deadline(filled: Server) -> None:
    config = filled.dir / "server.toml"
    whole = config.read_text()
    filled.stop()
    config.write_text(whole.replace("query_seconds = 20", "query_seconds = 1"))
    filled.start()
    try:
        with connect(filled.folder / "CONSOLE.toml", "ana", PASSWORD) as client:
            with pytest.raises(RequestFailed) as failed:
                client.query(SLOW)
            assert failed.value.code == "deadline" and "not answered within 1 s" in str(failed.value)
    finally:
        filled.stop()
        config.write_text(whole)
        filled.start()


def test_a_connection_lost_while_a_file_is_written(filled: Server) -> None:
    """The connection is named, not the file."""
    rows = filled.folder / "rows.csv"
    command = module("afterfact_client", "query", "--join", filled.folder / "CONSOLE.toml", "--user", "ana", "",
                     "--format", "csv", "-o", rows)  # fmt: skip
    asking = Process(command, env={"AFTERFACT_PASSWORD": PASSWORD})
    try:
        deadline = time.monotonic() + 60
        while not rows.exists() or rows.stat().st_size < 1 << 16:
            assert time.monotonic() < deadline and asking.popen.poll() is None, asking.lines
            time.sleep(0.002)
        filled.kill()
        assert asking.wait() == 1
        assert asking.lines == [f"afterfact: connection to tcp://127.0.0.1:{filled.consoles_port} lost"]
    finally:
        asking.end(signal.SIGKILL)
        filled.start()


def test_a_server_stopped_in_the_midst_of_queries(filled: Server) -> None:
    with connect(filled.folder / "CONSOLE.toml", "ana", PASSWORD) as client:
        asked = [client.link.ask(SLOW)[1] for _ in range(4)]
        time.sleep(0.5)
        filled.stop()  # within a minute, or it fails
        for answer in asked:
            with pytest.raises((LinkLost, RequestFailed)):
                answer.result(10)
        threading.Thread(target=filled.start).start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                assert client.query("WHERE dst_port = 7").answer.total > 0
                return
            except LinkLost:
                time.sleep(0.2)
        raise AssertionError("the link did not come back by itself")
