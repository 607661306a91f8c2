import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from afterfact_server.coverage import JOIN, dropped_days, gaps_between

S = 1_000_000


def test_gaps() -> None:
    assert gaps_between([], 0, 10 * S) == [(0, 10 * S)]
    assert gaps_between([(0, 10 * S)], 0, 10 * S) == []
    assert gaps_between([(4 * S, 6 * S)], 0, 10 * S) == [(0, 4 * S), (6 * S, 10 * S)]
    assert gaps_between([(6 * S, 20 * S), (-5 * S, 2 * S), (1 * S, 3 * S)], 0, 10 * S) == [(3 * S, 6 * S)]
    assert gaps_between([(0, 4 * S), (4 * S + JOIN, 10 * S)], 0, 10 * S) == [], "a second is no gap"
    assert gaps_between([(0, 1)], 10 * S, 5 * S) == [], "an empty span"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple)), st.integers(0, 50))
def test_every_second_is_covered_or_in_a_gap(intervals: list[tuple[int, int]], end: int) -> None:
    scaled = [(first * 10 * S, last * 10 * S) for first, last in intervals]
    gaps = gaps_between(scaled, 0, end * 10 * S)
    for ten in range(end):
        middle = ten * 10 * S + 5 * S
        covered = any(first <= middle <= last for first, last in scaled)
        assert covered != any(first <= middle <= last for first, last in gaps)


def test_dropped_days_within_the_span_are_named() -> None:
    days = [0, 1, 2, 5, 10, 12, 20]
    day = 86_400 * S
    said = "retention dropped the sessions of {}: of them only pinned ones are searched"
    assert dropped_days([], None, 100 * day) == ""
    assert dropped_days(days, 3 * day, 5 * day - 1) == "", "up to the day before, from the day after"
    assert dropped_days(days, 3 * day - 1, 5 * day) == said.format("1970-01-03, 1970-01-06")
    assert dropped_days(days, None, 6 * day) == said.format("1970-01-01 to 1970-01-03, 1970-01-06")
    told = "1970-01-11, 1970-01-13, 1970-01-21 and 2 times before"
    assert dropped_days(days, None, 100 * day) == said.format(told)


# --- with the real store, in a process of its own a test: the engine is one to a process ------------------------------

COMMON = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from afterfact_protocol.codec import WireError, decode, encode
from afterfact_protocol.messages import Answer, Observed
from afterfact_protocol.query import parse
from afterfact_server.coverage import coverage
from afterfact_server.health import HealthBoard
from afterfact_server.networks import read_networks
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.ledger import Ledger
client = StoreEngine(Path(sys.argv[1]), "").client()
schema.prepare(client)
S = 1_000_000
NOW = 1_800_000_000 * S
def sensor(number, revoked=False):
    day = datetime(2026, 1, 1)
    return EnrolledSensor(number, f"sensor-{number:05}" + "x" * 50, "dmz", day, day if revoked else None)
def watched(number, *spans, first=0, came=None, lost=0):
    write.insert_observed(
        client,
        ((number, b"s" * 16, number, place, Observed(start, end, "live", "f", 1, lost, ""))
         for place, (start, end) in enumerate(spans, first)),
        came or min(start for start, _ in spans),
    )
def answered(sensors, start, end, text="", networks=""):
    where = parse(text, datetime.fromtimestamp(NOW / 1e6, UTC)).where
    configured = read_networks(networks, [sensor.name for sensor in sensors])
    return coverage(where, configured, sensors, Ledger(client), HealthBoard(), start, end, NOW)
def covered(sensors, start, end):
    return answered(sensors, start, end).sensors
"""


def run(folder: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, str(folder / "store")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_revoked_sensor_is_blind_from_then_on(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
end = NOW - 500 * S
watched(1, (NOW - 1000 * S, end))
gone = sensor(1, revoked=True)
def gaps(start, until):
    told = covered([gone], start, until)
    assert all(own.revoked for own in told)
    return [[(gap.start, gap.end) for gap in own.gaps] for own in told]
assert gaps(NOW - 1000 * S, NOW) == [[(end, NOW)]]
assert gaps(NOW - 1000 * S, NOW - 100 * S) == [[(end, NOW - 100 * S)]]
assert gaps(NOW - 1000 * S, end) == [[]], "it watched all of this"
assert gaps(NOW - 400 * S, NOW) == [], "its time was over"
(kept,) = covered([sensor(1)], NOW - 1000 * S, NOW)
assert not kept.revoked
""",
    )


def test_what_is_on_its_way_is_no_gap(tmp_path: Path) -> None:
    """Or every answer of a live sensor would say that it missed the last seconds, and nobody would read it any more."""
    run(
        tmp_path,
        """
watched(1, (NOW - 1000 * S, NOW - 500 * S), (NOW - 400 * S, NOW - 12 * S))
watched(2, (NOW - 1000 * S, NOW - 16 * S))
def gaps(number, end):
    return [(gap.start, gap.end) for gap in covered([sensor(number)], NOW - 900 * S, end)[0].gaps]
assert gaps(1, NOW) == gaps(1, NOW + 50 * S) == [(NOW - 500 * S, NOW - 400 * S)]
assert gaps(2, NOW) == [(NOW - 16 * S, NOW)]
assert gaps(1, NOW - 5 * S) == [(NOW - 500 * S, NOW - 400 * S), (NOW - 12 * S, NOW - 5 * S)], "asked of the past"
""",
    )


def test_what_is_to_come_is_not_watched(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
watched(1, (NOW - 1000 * S, NOW))
def gaps(start, end):
    return [(gap.start, gap.end) for gap in covered([sensor(1)], start, end)[0].gaps]
assert gaps(NOW - 900 * S, NOW) == []
assert gaps(NOW + 1000 * S, NOW + 2000 * S) == [(NOW + 1000 * S, NOW + 2000 * S)]
assert gaps(NOW, NOW) == [(NOW, NOW)]
assert gaps(NOW + S, NOW - S) == [(NOW + S, NOW + S)], "an empty span"
""",
    )


def test_the_oldest_time_is_what_was_watched_or_seen_first(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import numpy as np
from afterfact_protocol.session import ROW
from afterfact_server.status import oldest as oldest_of
def oldest(client):
    return oldest_of(client, Ledger(client).watched)
def seen(start):
    made = np.zeros(1, ROW)
    made["start_time"] = made["end_time"] = start
    write.insert_sessions(client, made)
assert oldest(client) == 0
watched(1, (NOW - 50 * S, NOW))
watched(2, (NOW - 70 * S, NOW))
assert oldest(client) == NOW - 70 * S, "watched, and saw nothing"
seen(NOW - 60 * S)
assert oldest(client) == NOW - 70 * S
seen(NOW - 90 * S)
assert oldest(client) == NOW - 90 * S
""",
    )


def test_many_sensors_with_many_gaps_fit_into_an_answer(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
spans = [(NOW - 1100 * S + 10 * n * S, NOW - 1100 * S + (10 * n + n % 5) * S) for n in range(100)]
for number in range(1, 601):
    watched(number, *spans)
told = covered([sensor(number) for number in range(1, 601)], NOW - 2000 * S, NOW)
assert {len(own.gaps) + own.more_gaps for own in told} == {100}
assert {len(own.gaps) for own in told} == {4096 // 600}, "as many as fit"
names = {number: own.sensor for number, own in enumerate(told)}
answer = Answer(1, 0, False, 1, (), names, "", 0, 0, 0, 0, 0, told)
assert decode(encode(answer), (Answer,)) == answer
(alone,) = covered([sensor(1)], NOW - 2000 * S, NOW)
assert len(alone.gaps) == 64 and alone.more_gaps == 36
many = covered([sensor(number) for number in range(1, 2001)], NOW - 2000 * S, NOW)
assert min(len(own.gaps) for own in many if own.first) == 3
try:
    covered([sensor(number) for number in range(1, 5001)], NOW - 2000 * S, NOW)
except WireError as error:
    assert "5000 sensors" in str(error)
else:
    raise AssertionError("more than an ANSWER holds")
""",
    )


def test_what_came_late_is_told_and_is_no_gap(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
ten = [(NOW - 1000 * S + n * 10 * S, NOW - 990 * S + n * 10 * S) for n in range(99)]
watched(1, *ten[:40])
watched(1, *ten[60:], first=60)
def told(start=NOW - 900 * S, end=NOW):
    (own,) = covered([sensor(1)], start, end)
    return [(g.start, g.end) for g in own.gaps], [(one.start, one.end, one.delivered) for one in own.late], own.lost
hole = (NOW - 600 * S, NOW - 400 * S)
assert told() == ([hole], [], 0)
first, second = NOW - 200 * S, NOW - 60 * S
watched(1, *ten[40:50], first=40, came=first, lost=3)
assert told() == ([(NOW - 500 * S, NOW - 400 * S)], [(NOW - 600 * S, NOW - 500 * S, first)], 30)
watched(1, *ten[50:60], first=50, came=second)
assert told() == ([], [(*hole, second)], 30), "one delivery, though it took two minutes"
assert told(NOW - 445 * S) == ([], [(NOW - 445 * S, NOW - 400 * S, second)], 0), "clipped to what was asked"
assert told(NOW - 300 * S) == ([], [], 0)
watched(1, *ten[45:55], first=45, came=second + 30 * S)
assert told()[1] == [(*hole, second + 30 * S)], "the same once more, after a restore: now it is known since then"
assert told()[2] == 15, "what was written again counts once"

# Delivered in time by one stream and late by another: there was no gap.
watched(2, (NOW - 1000 * S, NOW - S))
write.insert_observed(
    client, [(2, b"t" * 16, 0, 0, Observed(NOW - 700 * S, NOW - 600 * S, "files", "f", 1, 0, ""))], NOW
)
(own,) = covered([sensor(2)], NOW - 900 * S, NOW)
assert own.late == () and own.gaps == ()

# Deliveries on different occasions are told apart, the latest of them.
day, hours = 86400 * S, 7200 * S
for n in range(20):
    start = NOW - 40 * day + n * day
    watched(3, (start, start + day), first=n, came=NOW - 15 * day + n * hours)
(own,) = covered([sensor(3)], NOW - 40 * day, NOW - 20 * day)
assert own.gaps == () and own.more_late == 4
assert [one.delivered for one in own.late] == [NOW - 15 * day + n * hours for n in range(4, 20)]
""",
    )


def test_coverage_names_who_should_have_seen(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
watched(1, (NOW - 1000 * S, NOW - S))
watched(2, (NOW - 1000 * S, NOW - 500 * S))
all_three = [sensor(1), sensor(2), sensor(3, revoked=True)]
a, b, c = (each.name for each in all_three)
networks = f'''
[dmz]
cidrs = ["10.1.0.0/16"]
sensors = ["{a}"]
[lab]
cidrs = ["10.2.0.0/16"]
sensors = ["{b}", "{c}"]
[old]
cidrs = ["10.3.0.0/16"]
sensors = ["{c}"]
'''
def who(text, networks=networks):
    found = answered(all_three, NOW - 900 * S, NOW, text, networks)
    return [own.sensor for own in found.sensors], found.named, found.unseen
assert who("") == ([a, b], False, ()), "a sensor that is gone and has no data of this time counts for nothing"
assert who("ip = 10.1.2.3") == ([a], False, ())
assert who("ip = 10.2.2.3") == ([b], False, ())
assert who("ip = 10.3.2.3") == ([], False, ("10.3.2.3",)), "nobody who is there sees it"
assert who("ip = 10.9.9.9") == ([], False, ("10.9.9.9",))
assert who("ip = 10.9.9.9", "") == ([a, b], False, ()), "without networks every sensor is taken to see it"
assert who(f"sensor = '{a}' AND ip = 10.2.2.3") == ([a], True, ("10.2.2.3",))
assert who(f"sensor = '{c}'") == ([], True, ())
found = answered(all_three, NOW - 900 * S, NOW, "ip = 10.2.2.3", networks)
assert [(g.start, g.end) for g in found.sensors[0].gaps] == [(NOW - 500 * S, NOW)]
""",
    )
