"""The watchman over the real stores, in a process of its own a test: the embedded engine is one to a process."""

import subprocess
import sys
from pathlib import Path

COMMON = """
import os, sys, time, traceback
from pathlib import Path
from afterfact_protocol.messages import Hello, Report
from afterfact_server import watchman as module
from afterfact_server.alarms import Change
from afterfact_server.health import HealthBoard
from afterfact_server.health_config import AlarmsConfig, HealthConfig
from afterfact_server.ingest import now_us
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.store import schema
from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.ledger import Ledger
# A failed assertion ends the process although the watchman runs.
sys.excepthook = lambda *error: (traceback.print_exception(*error), sys.stderr.flush(), os._exit(1))
module.LOOK_SECONDS, module.STORE_SECONDS, module.DISK_SECONDS = 0.05, 0.1, 0.1
folder = Path(sys.argv[1])
folder.mkdir()
engine = StoreEngine(folder / "sessions", "")
client = engine.client()
schema.prepare(client)
database = open_database(f"sqlite:///{folder}/registry.sqlite")
enrolment = Enrolment(database)
for name in ("border", "inside"):
    enrolment.enrol_sensor(name, "dmz")
admission, ledger, said = Admission(enrolment), Ledger(client), []
S = 1_000_000
class Told:
    def __init__(self): self.changes = []
    def start(self): pass
    def stop(self): pass
    def tell(self, change): self.changes.append((change.alarm.kind, change.alarm.subject, change.cleared))
def watch(config=AlarmsConfig(raise_seconds=0, clear_seconds=0, disk_free_percent=0), health=HealthConfig()):
    board, told = HealthBoard(health, now_us()), Told()
    made = module.Watchman(engine, board, admission, ledger, config, [told], said.append)
    made.load(client)
    made.start()
    return made, board, told.changes
def report(board, ahead=0, waits=0, sensor=1, **counters):
    now = now_us()
    since = now + ahead * S - waits * S if waits else 0
    board.report(sensor, Report(now + ahead * S, waits, 0, since, {"started": 1, **counters}), now)
def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, (true, said)
        time.sleep(0.01)
"""


def run(folder: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, str(folder / "server")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_alarms_are_raised_told_stored_and_cleared(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
made, board, told = watch()
report(board, ahead=-9, waits=500, interfaces=1, interfaces_missing=1)
until(lambda: len(told) == 3)
assert sorted(told) == [("blind", "border", False), ("clock", "border", False), ("lagging", "border", False)], told
until(lambda: len(made.watch.alarms) == 3)
assert {line.split(": ")[1] for line in said} == {"sensor border"} and len(said) == 3, said
made.stop()
made, board, told = watch()  # a restart: they stand as they stood, and are not raised again
assert {alarm.kind for alarm in made.watch.alarms} == {"blind", "clock", "lagging"}
time.sleep(0.5)
assert told == [], "what it last reported is as it was"
report(board, packets=1, interfaces=1)
until(lambda: len(told) == 3)
assert all(cleared for _, _, cleared in told) and made.watch.alarms == ()
made.stop()
made, board, told = watch()
assert made.watch.alarms == ()
made.stop()
""",
    )


def test_a_quarantine_that_grows_and_a_disk_that_is_full(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
ledger.add(b"s" * 16, 0, 1, 5, 100)
made, board, told = watch(AlarmsConfig(raise_seconds=0, clear_seconds=0, disk_free_percent=99.99))
until(lambda: told)
assert told == [("disk", "", False)], "what was set aside before is no news"
assert made.watch.disk_total > made.watch.disk_free > 0
ledger.add(b"s" * 16, 1, 1, 5, 3)
until(lambda: len(told) == 2)
assert told[1] == ("quarantine", "border", False)
assert "3 sessions set aside in the last ten minutes" in said[-1], said
made.stop()
""",
    )


def test_a_revoked_sensor_is_nobodys_worry(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
made, board, told = watch()
report(board, ahead=-9)
until(lambda: told == [("clock", "border", False)])
enrolment.revoke_sensor("border")
admission.reload()
until(lambda: told[1:] == [("clock", "border", True)])
made.stop()
""",
    )


def test_reports_are_stored_also_after_a_store_that_failed_and_at_the_end(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from clickhouse_connect.driver.exceptions import DatabaseError
real, failing = module.insert_samples, [True]
def insert(client, samples):
    if failing:
        raise DatabaseError("the disk is full\\nand more")
    real(client, samples)
module.insert_samples = insert
count = lambda: client.query("SELECT count() FROM health").result_rows[0][0]
made, board, told = watch()
for at in range(3):
    report(board, packets=at)
until(lambda: said)
time.sleep(0.5)
assert said == ["reports cannot be stored: the disk is full; trying again"], said
failing.clear()
until(lambda: count() == 3)
module.STORE_SECONDS = 1000
time.sleep(0.3)
report(board, packets=9)
made.stop()
assert count() == 4
""",
    )
