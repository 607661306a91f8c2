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
from afterfact_protocol.messages import Answer, Ask, AskHints, AskStatus, Cancel, Failed, Hints, Page, Pull, Status
from afterfact_protocol.session import ROW
from afterfact_server import answers as answers_module, queries as module
from afterfact_server.running import Scope
from afterfact_server.config import Limits
from afterfact_server.directory import ServerDir
from afterfact_server.health import HealthBoard
from afterfact_server.networks import NetworksFile
from afterfact_server.registry.database import open_database, utc_now
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.registry.exclusions import ExclusionsTable
from afterfact_server.registry.saved import SavedTable
from afterfact_server.registry.sets import SetsTable
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
                               Limits(**limits), said.append,
                               sets=SetsTable(database), exclusions=ExclusionsTable(database),
                               saved=SavedTable(database))  # fmt: skip
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
scope = Scope()
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
scope = Scope()
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


def test_each_conversation_once(tmp_path: Path) -> None:
    """The first in the order stands for it, and who else saw it comes with it; LIMIT counts conversations."""
    run(
        tmp_path,
        """
from afterfact_protocol.records import from_bytes, sightings_from_bytes
enrol(3)
made = np.zeros(9, ROW)
made["proto"], made["revision"], made["session_id"] = 6, 3, np.arange(9)
made["dst_port"], made["src_port"] = 1034, [1, 1, 1, 2, 2, 3, 1, 4, 4]
made["sensor"] = [1, 2, 3, 1, 2, 3, 1, 1, 1]
made["start_time"] = 1_090_800_000_000_000 + np.array([0, 2, 5, 10, 11, 20, 40, 60, 61])
made["end_time"] = made["start_time"] + 6
# The other way round at sensor 2, as one that came late sees it.
made["src_port"][1], made["dst_port"][1] = 1034, 1
write.insert_sessions(client, made)
grown = made[4:5].copy()
grown["start_time"], grown["end_time"], grown["revision"] = grown["start_time"], grown["end_time"] + 9, 5
write.insert_sessions(client, grown)
service = start()
scope = Scope()
def ask(request, text):
    service.ask(scope, Ask(request, text, True), send)
    answer = reply(request)
    assert isinstance(answer, Answer), answer
    service.pull(scope, Pull(request, 0, 100), send)
    page = reply(request, Page)
    rows = from_bytes(answer.columns, page.rows, ROW)
    others = sightings_from_bytes(page.sightings)
    seen = [others["session_id"][others["row"] == at].tolist() for at in range(len(rows))]
    return answer, list(zip(rows["session_id"].tolist(), seen)), page
answer, rows, page = ask(1, "port = 1034 ONCE ORDER BY start_time")
assert rows == [(0, [1, 2]), (3, [4]), (5, []), (6, []), (7, []), (8, [])], rows
assert (answer.total, answer.observations, answer.observers, answer.truncated) == (6, 9, 3, False), answer
assert page.ended and answer.reading.endswith("each conversation once; by start_time ascending")
# Newest first, another row stands for it.
answer, rows, page = ask(2, "ONCE LIMIT 4")
assert rows == [(8, []), (7, []), (6, []), (5, [])] and answer.truncated and answer.total == 4
answer, rows, page = ask(3, "src_port IN (1, 1034) AND dst_port IN (1, 1034) ONCE")
assert rows == [(6, []), (2, [0, 1])], rows
# Pages from the middle have their own.
service.pull(scope, Pull(3, 1, 1), send)
wait(lambda: [m for m in answers if isinstance(m, Page) and m.request == 3][1:])
page = [m for m in answers if isinstance(m, Page) and m.request == 3][1]
assert sightings_from_bytes(page.sightings)["row"].tolist() == [0, 0] and page.ended
answer, rows, page = ask(4, "port = 1034")
assert len(rows) == 9 and answer.observations == 0 and page.sightings == b"" and answer.conversations == 6
service.stop()
# More observations than can be told apart.
service = start(result_rows=7)
answer, rows, page = ask(5, "port = 1034 ONCE")
assert answer.truncated and answer.observations == 7 and answer.total == 6, answer
service.stop()
""",
    )


def test_a_small_query_waits_for_no_heavy_one(tmp_path: Path) -> None:
    """Whatever takes longer than the quick lane is for goes on where it holds up only its like."""
    run(
        tmp_path,
        """
enrol(1)
fill(20_000)
service = start(query_workers=1)
real = service._answers._fetch
gate, blocked, quick = threading.Event(), [], []
def fetch(client, compiled, dtype, running):
    if running.request < 100:
        if running.quick:
            quick.append(running.request)
            # A statement that takes too long for the lane, as the store itself ends it.
            slow = compiled.__class__("SELECT toInt64(number), toUInt16(1), number, number FROM numbers(100000000000) "
                                      "WHERE sipHash64(number) = 1", {})
            return real(client, slow, dtype, running)
        blocked.append(running.request)
        assert gate.wait(60)
    return real(client, compiled, dtype, running)
service._answers._fetch = fetch
scope = Scope()
for request in range(8):
    service.ask(scope, Ask(request, "", False), send)
wait(lambda: len(quick) == 8 and len(blocked) == 1)
before = time.monotonic()
for request in range(100, 110):
    service.ask(scope, Ask(request, "LIMIT 3", False), send)
    assert reply(request).total == 3
assert time.monotonic() - before < 5 and not gate.is_set()
service.cancel(scope, Cancel(3), send)
gate.set()
for request in (0, 1, 2, 4, 5, 6, 7):
    assert reply(request).total == 20_000
assert reply(3).code == "cancelled" and service.tally.ended == 18, service.tally
service.stop()
""",
    )


def test_limits_are_a_roles_and_what_is_refused_is_logged(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from afterfact_server.config import RoleLimits, Roles
enrol(1)
fill(50)
viewer = RoleLimits(query_bytes=100, query_depth=3, query_conditions=2, result_rows=10)
networks = NetworksFile(ServerDir(folder), list, said.append)
service = module.QueryService(engine, Admission(Enrolment(database)), Ledger(client), HealthBoard(), networks, Limits(),
                              said.append, roles=Roles(viewer=viewer), sets=SetsTable(database),
                              exclusions=ExclusionsTable(database), saved=SavedTable(database))
service.start()
numbers = iter(range(1000))
def ask(role, text):
    request = next(numbers)
    service.ask(Scope(role=role, user="vera"), Ask(request, text, False), send)
    return reply(request)
for text, reason in [
    ("port = 80 " + " " * 100, "a query is at most 100 bytes long; this one has 110"),
    ("((((port = 80))))", "conditions nest at most 3 deep"),
    ("port = 1 OR port = 2 OR port = 3", "a query has at most 2 conditions"),
]:
    failed = ask("viewer", text)
    assert failed.code == "query" and failed.reason.startswith(reason), failed
    assert f"refused a query of vera: {reason}" in said[-1] and len(said[-1].splitlines()) == 1, said
    assert ask("analyst", text).total == 0
answer = ask("viewer", "LIMIT 40")
assert (answer.total, answer.truncated, answer.limit) == (10, True, 10)
assert ask("admin", "LIMIT 40").total == 40
assert ask("unheard-of", "").total == 10
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
scope = Scope()
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
scope, numbers = Scope(), itertools.count(100)
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


def test_hints_are_counted_when_they_are_asked_for(tmp_path: Path) -> None:
    """What could not be judged, what was open before; of an answered query alone, and never its failure."""
    run(
        tmp_path,
        """
from afterfact_protocol.session import absent_bits
from afterfact_server.store.write import insert_observed
enrol(1)
T = 1_090_800_000_000_000
made = np.zeros(8, ROW)
made["session_id"], made["revision"], made["sensor"], made["proto"] = np.arange(8), 3, 1, 6
made["start_time"] = T + np.arange(8) * 10_000_000
made["end_time"] = made["start_time"] + 1
made["end_time"][1] = T + 50_000_000
made["outcome"], made["dst_port"] = [0, 0, 4, 4, 1, 1, 0, 6], 443
made["absent"][3], made["dst_port"][3] = absent_bits("dst_port"), 0
older = made[2:3].copy()
older["revision"], older["outcome"] = 1, 0
write.insert_sessions(client, older)
write.insert_sessions(client, made)
service = start()
scope = Scope()
numbers = iter(range(1000))
def hints(text):
    request = next(numbers)
    service.ask(scope, Ask(request, text, False), send)
    assert isinstance(reply(request), Answer), reply(request)
    service.hints(scope, AskHints(request), send)
    found = reply(request, Hints)
    service.cancel(scope, Cancel(request), send)
    return found.unjudged, found.unknown, found.open_before, found.since, found.why
assert hints("established") == (3, ("outcome",), -1, 0, "")
assert hints("dst_port = 443 and not failed") == (4, ("dst_port", "outcome"), -1, 0, ""), hints("dst_port = 443")
assert hints("src_ip = 10.9.9.9 and established") == (0, (), -1, 0, "")
assert hints("") == (0, (), -1, 0, "")
since = T + 25_000_000
assert hints(f"start_time >= FROM_UNIXTIME({since / 1e6:.6f}) and dst_port = 443") == (1, ("dst_port",), 1, since, "")
assert hints("DURING '2004-07-26'")[2:4] == (-1, 0)
assert hints("first_seen(dst_ip) > '2004-07-20'") == (8, ("first_seen",), -1, 0, "")
service.hints(scope, AskHints(999), send)
assert reply(999).code == "request"
real = answers_module.count_unjudged
answers_module.count_unjudged = lambda *_: (_ for _ in ()).throw(module.StoreFailure("TIMEOUT_EXCEEDED"))
assert hints("established") == (-1, (), -1, 0, "it would have taken too long")
answers_module.count_unjudged = real
service.stop()
""",
    )
