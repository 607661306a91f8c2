"""Watches over a real store and registry: history, what comes, once for a session, late, paused; and notices."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, sys, time
from concurrent.futures import Future
from pathlib import Path
import numpy as np
from afterfact_protocol.messages import *
from afterfact_protocol.query.networks import NO_NETWORKS
from afterfact_protocol.session import IPV4_PREFIX, ROW
from afterfact_server.ingest import now_us
from afterfact_server.notify import Matched, sentence
from afterfact_server.queue import watching
from afterfact_server.queue.service import Desk, QueueService
from afterfact_server.queue.watching import WatchService
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine
folder = Path(sys.argv[1])
engine = StoreEngine(folder / "store", "")
client = engine.client()
schema.prepare(client)
database = open_database(f"sqlite:///{folder}/registry.sqlite")
enrolment = Enrolment(database)
for name in ("border", "inside"):
    enrolment.enrol_sensor(name, "dmz")
accounts = Accounts(database)
accounts.add("ana", "analyst", "correct horse battery")
admission, said, told = Admission(enrolment), [], []
class Outlet:
    def tell(self, notice): told.append(sentence(notice))
def made():
    queue = QueueService(database, admission, lambda since: np.zeros(0, watching_event), said.append)
    watches = WatchService(database, engine, accounts, admission, lambda: NO_NETWORKS, queue, [Outlet()], said.append)
    queue.start(); watches.start()
    return queue, watches
from afterfact_protocol.event import EVENT_ROW as watching_event
def ask(watches, message):
    answer = Future()
    watches.ask("ana", message, answer.set_result)
    return answer.result(60)
def rows(queue, status="open"):
    answer = Future()
    queue.ask(Desk("ana"), AskQueue(1, status, 500), answer.set_result)
    return sorted((row.text, row.src_ip, row.count, row.late, row.severity) for row in answer.result(60).rows)
def until(queue, like):
    for _ in range(600):
        if like(found := rows(queue)): return found
        time.sleep(0.05)
    raise AssertionError((found, said))
START = now_us() - 60_000_000
def sessions(*ids, port=1034, sensor=1, ago=0, revision=2, stored=None, pkts=1):
    found = np.zeros(len(ids), ROW)
    found["session_id"], found["dst_port"], found["sensor"], found["revision"] = ids, port, sensor, revision
    found["start_time"] = found["end_time"] = START - ago
    found["proto"], found["src_pkts"] = 6, pkts
    found["src_ip"] = np.void(IPV4_PREFIX + bytes([10, 0, 0, 1]))
    found["dst_ip"] = np.void(IPV4_PREFIX + bytes([10, 0, 0, 9]))
    found["ingest_time"] = now_us() if stored is None else stored
    return found
def store(found):
    write.insert_sessions(client, found)
    return found
def watch(text, name="worm", **more):
    return QueryWatch(**dict(number=0, name=name, text=text, severity=2, comment="", notify=True, history=True,
                             expires=0) | more)
"""
HISTORY_AND_MORE = """
store(sessions(1, 2)); store(sessions(3, ago=3_600_000_000)); store(sessions(4, port=80))
queue, watches = made()
(first,) = ask(watches, SetWatch(1, watch("WHERE dst_port = 1034"))).watches
until(queue, lambda found: found == [("worm", "10.0.0.1", 3, True, 2)])
watches.arrived([store(sessions(5)), store(sessions(6, port=80))])
until(queue, lambda found: found[0][2] == 4)
watches.arrived([sessions(5, revision=4)])           # it grew
watches.arrived([store(sessions(7, ago=7_200_000_000))])  # delivered late
until(queue, lambda found: found[0][2] == 5)
grown = ask(watches, SetWatch(2, watch("WHERE dst_port = 1034 AND src_pkts > 5", "busy", history=False)))
watches.arrived([sessions(8)])
watches.arrived([sessions(8, revision=4, pkts=9)])
until(queue, lambda found: ("busy", "10.0.0.1", 1, False, 2) in found)
for text, code in (("WHERE prot = 6", "query"), ("WHERE port = 1 LIMIT 5", "query"), ("", "request"),
                   ("WHERE sensor = 'nowhere'", "query"), ("WHERE first_seen(dst_ip) > '2026-01-01'", "query")):
    assert ask(watches, SetWatch(3, watch(text))).code == code, text
ask(watches, ChangeWatch(4, 1, "pause"))
watches.arrived([store(sessions(9))])
queue.found([]).result()
assert dict((row[0], row[2]) for row in rows(queue))["worm"] == 6
ask(watches, ChangeWatch(5, 1, "resume"))
until(queue, lambda found: any(row[:3] == ("worm", "10.0.0.1", 7) for row in found))
def state():
    return {each.name: (each.state, each.matches) for each in ask(watches, AskWatches(6)).watches}
for _ in range(600):
    if state() == {"worm": ("on", 7), "busy": ("on", 1)}: break
    time.sleep(0.05)
assert state() == {"worm": ("on", 7), "busy": ("on", 1)}, state()
assert ask(watches, ChangeWatch(7, 1, "remove")).watches[-1].state == "removed"
assert ask(watches, ChangeWatch(8, 1, "remove")).code == "request"
watches.stop(); queue.stop()
assert not said, said
print(json.dumps(told))
"""
AFTER_A_CRASH = """
queue, watches = made()
ask(watches, SetWatch(1, watch("WHERE dst_port = 1034", history=False)))
accounts.set_bounds("ana", Bounds(sensors=("inside",)))
watches.arrived([store(sessions(1, sensor=2))])
until(queue, lambda found: bool(found) and found[0][2] == 1)
watches.stop(); queue.stop()
store(sessions(2, sensor=2)); store(sessions(3, sensor=1))   # stored; the server was killed before it looked
queue, watches = made()
until(queue, lambda found: found[0][2] == 2)
watching.MOST_HELD = 1
watches.arrived([store(sessions(4, 5, 6, sensor=2))])       # more than it may hold
until(queue, lambda found: found[0][2] == 5)
watches.stop(); queue.stop()
assert not said, said
print(json.dumps(told))
"""


def run(folder: Path, script: str) -> Any:
    done = subprocess.run([sys.executable, "-c", SCRIPT + script, folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_it_looks_back_and_at_what_comes_once_a_session(tmp_path: Path) -> None:
    told = run(tmp_path, HISTORY_AND_MORE)
    assert told[0] == "watch 1 (worm) found a session from 10.0.0.1 port 0 to 10.0.0.9 port 1034", told
    assert any(each.startswith("watch 2 (busy) found a session ") for each in told)


@pytest.mark.parametrize("script", [AFTER_A_CRASH])
def test_nothing_stored_is_passed_over_and_an_owners_limits_hold(tmp_path: Path, script: str) -> None:
    assert run(tmp_path, script)
