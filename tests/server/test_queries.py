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
from afterfact_server import queries as module
from afterfact_server.config import Limits
from afterfact_server.health import HealthBoard
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
    made = module.QueryService(engine, Admission(Enrolment(database)), Ledger(client), HealthBoard(), Limits(**limits),
                               said.append)
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
scope = module.Scope()
service.status(AskStatus(1), send)
failed = reply(1)
assert failed.code == "size" and "5000 sensors" in failed.reason, failed
service.ask(scope, Ask(2, "", False), send)
failed = reply(2)
assert failed.code == "size", failed
service.stop()
""",
    )
