"""Reports and alarms in the real embedded store, in a process of its own a test: the engine is one to a process."""

import subprocess
import sys
from pathlib import Path

COMMON = """
import sys
from pathlib import Path
from afterfact_protocol.messages import Alarm, Report
from afterfact_server.health import HealthBoard
from afterfact_server.store import health as store, schema
from afterfact_server.store.engine import StoreEngine
client = StoreEngine(Path(sys.argv[1]), "").client()
schema.prepare(client)
S = 1_000_000
# Stored reports are deleted by their age, so that they must be of now: of the last whole hour.
HOUR = __import__("time").time_ns() // 1000 // (3600 * S) * 3600 * S
NOW = HOUR - 3600 * S
LIVE = {"interfaces": 1, "started": NOW - 50 * S}
board = HealthBoard()
def report(at, sensor=1, ahead=0, waits=0, **counters):
    time = NOW + int((at + ahead) * S)
    board.report(sensor, Report(time, waits, waits, time - waits * S if waits else 0, counters), NOW + int(at * S))
def keep():
    store.insert_samples(client, board.take_new())
def past(start, end, points, sensor=1):
    step, found = store.history(client, sensor, NOW + start * S, NOW + end * S, points)
    return step // S, [((p.start - NOW) // S, p.reports, p.packets) for p in found]
"""


def run(folder: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, str(folder / "store")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_past_in_steps(tmp_path: Path) -> None:
    """Counts of a step are those of its own time, whatever the run counted before, and add up."""
    run(
        tmp_path,
        """
for at in range(0, 3600, 10):
    if not 1200 <= at < 1500:
        report(at, **LIVE, packets=7 * at, kernel_dropped=at, interface_dropped=2 * at, evicted=3 * at, open=at % 100,
               waits=at // 600, **{"undecoded.cut_ip": at, "undecoded.bad_fcs": 0})
        board.acknowledged(1, 5)
report(5, sensor=2, packets=1)
keep()
assert past(600, 3600, 10) == (300, [
    (600, 30, 2100), (900, 30, 2100), (1500, 30, 4200), (1800, 30, 2100), (2100, 30, 2100), (2400, 30, 2100),
    (2700, 30, 2100), (3000, 30, 2100), (3300, 30, 2100)]), past(600, 3600, 10)
step, points = store.history(client, 1, NOW + 600 * S, NOW + 1200 * S, 1)
(p,) = points
assert (step, p.reports, p.packets, p.kernel_dropped, p.interface_dropped) == (600 * S, 60, 4200, 600, 1200)
assert (p.undecoded, p.evicted, p.open_sessions, p.delivered) == ({"cut_ip": 600}, 1800, 90, 300)
assert (p.backlog_batches, p.backlog_age, p.spool_dropped, p.interfaces_missing) == (1, 1 * S, 0, 0)
assert past(0, 3600, 1)[1] == [(0, 330, 7 * 3590)], "the run's first report is of the time before"
assert past(-3600, 0, 4)[1] == [] and past(0, 3600, 1, sensor=2)[1] == [(0, 1, 0)] and past(0, 3600, 9, 7)[1] == []
""",
    )


def test_runs_begin_at_nothing(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
report(100, started=NOW + 90 * S, packets=40)
report(110, started=NOW + 90 * S, packets=60)
report(205, started=NOW + 203 * S, packets=5)
report(215, started=NOW + 203 * S, packets=8)
for at, packets in ((300, 100), (310, 120), (320, 3), (330, 8)):  # does not say when it began, and is restarted
    report(at, sensor=2, packets=packets)
keep()
assert past(0, 400, 4)[1] == [(100, 2, 60), (200, 2, 8)]
assert past(300, 400, 10, sensor=2)[1] == [(300, 1, 0), (310, 1, 20), (320, 1, 3), (330, 1, 5)]
assert past(300, 400, 1, sensor=2)[1][0][:2] == (300, 4)
""",
    )


def test_hostile_reports_are_stored_and_told(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from afterfact_protocol.codec import encode
from afterfact_protocol.messages import SensorHealth
for at, (time, count) in enumerate(((-1 << 63, -1 << 63), ((1 << 63) - 1, (1 << 63) - 1), (0, 0), (5, (1 << 63) - 1))):
    names = ("packets", "started", "open", "evicted", "interfaces_missing", "undecoded.x", "", "\\x00", "\\n'\\\\")
    counters = {**dict.fromkeys(names, count), **{f"undecoded.{n}": count for n in range(200)}}
    board.report(1, Report(time, (1 << 64) - 1, (1 << 64) - 1, time, counters), NOW + at * S)
keep()
step, points = store.history(client, 1, NOW, NOW + 100 * S, 1000)
encode(SensorHealth(1, "x", 0, 1, step, tuple(points)))
assert len(points) == 4 and len(store.last_samples(client)) == 4
HealthBoard().remember(store.last_samples(client), {})
""",
    )


def test_what_a_start_remembers(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from afterfact_protocol.messages import Observed
from afterfact_server.store.write import insert_observed
for at in range(0, 3600, 10):
    report(at, **LIVE, packets=100 if at > 100 else at)
    if at < 700:
        report(at, sensor=2, packets=at, finished=int(at == 690))
keep()
again = HealthBoard()
again.remember(store.last_samples(client), {})
assert again.of(1) == board.of(1), (again.of(1), board.of(1))
assert again.of(2) == board.of(2) and again.of(2).finished
assert again.of(1).last_packet == NOW + 100 * S
insert_observed(client, ((number, b"s" * 16, number, 0, Observed(NOW, NOW, kind, "f", 1, 0, ""))
                for number, kind in ((3, "files"), (4, "live"), (5, "files"), (5, "live"))), NOW + 9)
assert store.last_deliveries(client) == {3: (NOW + 9, True), 4: (NOW + 9, False), 5: (NOW + 9, False)}
""",
    )


def test_reports_are_deleted_by_age(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
report(0, **LIVE, packets=1)
report(-86_400 * 3, **LIVE, packets=1)
keep()
assert client.query("SELECT count() FROM health").result_rows == [(2,)]
store.keep_days(client, 2)
client.command("OPTIMIZE TABLE health FINAL")
assert client.query("SELECT count() FROM health").result_rows == [(1,)]
store.keep_days(client, 2)
schema.prepare(client)
assert "toIntervalDay(2)" in client.query("SHOW CREATE TABLE health").result_rows[0][0]
""",
    )


def test_standing_alarms(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
down, blind = Alarm("down", "border", NOW, "it's 'down'"), Alarm("blind", "border", NOW - 5, "b")
store.write_alarm(client, down, False, NOW)
store.write_alarm(client, blind, False, NOW)
assert store.standing_alarms(client) == [blind, down]
store.write_alarm(client, blind, True, NOW + 1)
assert store.standing_alarms(client) == [down]
store.write_alarm(client, Alarm("down", "border", NOW + 7, "again"), False, NOW + 8)
assert len(store.standing_alarms(client)) == 2
free, total = store.disk(client)
assert 0 < free <= total
""",
    )
