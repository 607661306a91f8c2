"""The query service with the real stores, in a process of its own a test: the engine is one to a process."""

import subprocess
import sys
from pathlib import Path

COMMON = """
import os, sys, threading, time, traceback
import numpy as np
from pathlib import Path
from sqlalchemy.orm import Session
from afterfact_protocol.codec import encode
from afterfact_protocol.messages import Answer, Ask, AskStatus, Cancel, Failed, Page, Pull, Status
from afterfact_protocol.session import ROW
from afterfact_server import answers as answers_module, queries as module
from afterfact_server.config import Limits, ServerDir
from afterfact_server.health import HealthBoard
from afterfact_server.networks import NetworksFile
from afterfact_server.registry.database import open_database, utc_now
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.registry.tables import Sensor
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.ledger import Ledger
# A failed assertion ends the process although workers run.
sys.excepthook = lambda *error: (traceback.print_exception(*error), sys.stderr.flush(), os._exit(1))
folder = Path(sys.argv[1])
folder.mkdir()
engine = StoreEngine(folder / "sessions", "")
client = engine.client()
schema.prepare(client)
database = open_database(f"sqlite:///{folder}/registry.sqlite")
def enrol(count):
    with Session(database) as session, session.begin():
        session.add_all([Sensor(name=f"sensor-{n}", net="dmz", enrolled=utc_now(), revoked=None) for n in range(count)])
def fill(count, sensors=1):
    made = np.zeros(count, ROW)
    made["start_time"] = made["end_time"] = 1_090_800_000_000_000 + np.arange(count)
    made["session_id"], made["revision"], made["proto"] = np.arange(count), 3, 6
    made["sensor"] = 1 + np.arange(count) % sensors
    write.insert_sessions(client, made)
answers, said = [], []
def send(message):
    encode(message)
    answers.append(message)
def start(**limits):
    networks = NetworksFile(ServerDir(folder), list, said.append)
    made = module.QueryService(engine, Admission(Enrolment(database)), Ledger(client), HealthBoard(), networks,
                               Limits(**limits), said.append)
    made.start()
    return made
def wait(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, (answers, said)
        time.sleep(0.005)
def reply(request, kind=(Answer, Failed, Page, Status),):
    found = lambda: [m for m in answers if m.request == request and isinstance(m, kind)]
    wait(found)
    return found()[0]
"""


def run(folder: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, str(folder / "server")], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr


def test_what_does_not_fit_into_a_message_is_a_failed_request(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
enrol(5000)
service = start()
scope = answers_module.Scope()
service.status(AskStatus(1), send)
failed = reply(1)
assert failed.code == "size" and "5000 sensors" in failed.reason, failed
service.ask(scope, Ask(2, "", False), send)
failed = reply(2)
assert failed.code == "size", failed
service.stop()
""",
    )


def test_queries_that_failed_are_no_open_results(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
service = start(results_per_console=2)
scope = answers_module.Scope()
for request in range(10):
    service.ask(scope, Ask(request, "WHERE bogus = 1", False), send)
    assert reply(request).code == "query"
assert not scope.running
for request in (10, 11):
    service.ask(scope, Ask(request, "", False), send)
    assert isinstance(reply(request), Answer)
service.ask(scope, Ask(12, "", False), send)
assert reply(12).code == "busy"
service.cancel(scope, Cancel(10), send)
service.ask(scope, Ask(10, "", False), send)  # the number of one that was dropped is free
wait(lambda: [m for m in answers if m.request == 10 and isinstance(m, Answer)][1:])
service.stop()
""",
    )


def test_exports_that_look_for_more_hold_up_neither_status_nor_pages(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
answers_module.EXPORT_KEYS = 10
enrol(2)
fill(200, sensors=2)
service = start(query_workers=2)
scope = answers_module.Scope()
gate = threading.Event()
real = service._answers._keys
looking = []
def keys(client, running, query, bound, after=None):
    if after is not None:
        looking.append(running.request)
        assert gate.wait(60)
    return real(client, running, query, bound, after)
for request in (1, 2, 3):
    service.ask(scope, Ask(request, "", True), send)
    answer = reply(request)
    assert (answer.total, answer.observers, answer.conversations) == (10, 0, 0), "of the first part: not told"
service.ask(scope, Ask(4, "", False), send)
whole = reply(4)
assert (whole.total, whole.observers, whole.conversations) == (200, 2, 200)
service.ask(scope, Ask(5, "LIMIT 5", True), send)
assert reply(5).observers == 2

service._answers._keys = keys
for first in range(5, 200, 5):  # more pulls than there are workers, all of one export
    service.pull(scope, Pull(1, first, 5), send)
service.pull(scope, Pull(2, 15, 5), send)
service.pull(scope, Pull(3, 15, 5), send)
wait(lambda: len(looking) == 2)
before = time.monotonic()
service.status(AskStatus(6), send)
assert reply(6).sessions == 200
service.pull(scope, Pull(4, 0, 100), send)
assert reply(4, Page).count == 100
assert time.monotonic() - before < 5 and not gate.is_set()
gate.set()
wait(lambda: [m for m in answers if isinstance(m, Page) and m.request == 1 and m.ended])
pages = [m for m in answers if isinstance(m, Page) and m.request == 1]
assert [m.first for m in pages] == list(range(5, 200, 5)), "one at a time, in order"
ids = np.concatenate([np.frombuffer(m.rows, ROW)["session_id"] for m in pages])
assert ids.tolist() == list(range(194, -1, -1))
for request in (2, 3):
    assert reply(request, Page).first == 15
for request in (1, 2, 3, 4, 5):
    service.cancel(scope, Cancel(request), send)
service.stop()
""",
    )


def test_the_first_page_shows_the_newest_revisions(tmp_path: Path) -> None:
    """As they are found: rows of several revisions not merged yet, cut off anywhere; and anew once time has passed."""
    run(
        tmp_path,
        """
enrol(2)
import itertools
client.command("SYSTEM STOP MERGES sessions")
def revise(revision, count):
    made = np.zeros(count, ROW)
    made["start_time"] = made["end_time"] = 1_090_800_000_000_000 + np.arange(count)
    made["session_id"], made["proto"], made["sensor"], made["dst_port"] = np.arange(count), 6, 1, 1034
    made["revision"], made["src_bytes"] = revision, revision * 100
    write.insert_sessions(client, made)
for revision in (3, 9, 5):
    revise(revision, 700)
service = start()
def rows(request, text):
    service.ask(scope, Ask(request, text, False), send)
    answer = reply(request)
    assert isinstance(answer, Answer), answer
    found = []
    while True:
        before = len(answers)
        service.pull(scope, Pull(request, len(found), 936), send)
        wait(lambda: [m for m in answers[before:] if m.request == request])
        page = [m for m in answers[before:] if m.request == request][0]
        assert isinstance(page, Page), page
        part = np.frombuffer(page.rows, ROW)
        assert len(part) == page.count
        found += part.tolist()
        if page.ended:
            service.cancel(scope, Cancel(request), send)
            return answer.total, np.array(found, ROW)
scope, numbers = answers_module.Scope(), itertools.count(100)
for limit in (1, 311, 312, 313, 699, 700, 701, 1000):
    for text in (f"port = 1034 LIMIT {limit}", f"src_bytes > 100 AND port = 1034 LIMIT {limit}",
                 f"src_bytes < 901 ORDER BY dst_port LIMIT {limit}", f"LIMIT {limit}"):
        total, found = rows(next(numbers), text)
        assert total == len(found) == min(limit, 700), (text, total, len(found))
        assert set(found["revision"].tolist()) == {9} and set(found["src_bytes"].tolist()) == {900}, text
        assert len(set(found["session_id"].tolist())) == len(found)
total, found = rows(50, "src_bytes = 500 AND port = 1034")
assert total == 0, "a state that was superseded"
# A revision that comes between question and look is shown, if the look is not at once.
service.ask(scope, Ask(60, "port = 1034 LIMIT 5", False), send)
reply(60, (Answer,))
revise(11, 700)
time.sleep(answers_module.JUST_FOUND + 0.1)
service.pull(scope, Pull(60, 0, 936), send)
page = reply(60, (Page,))
assert set(np.frombuffer(page.rows, ROW)["revision"].tolist()) == {11}
service.stop()
""",
    )
