import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from afterfact_server.coverage import JOIN, gaps_between

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


# --- with the real store, in a process of its own a test: the engine is one to a process ------------------------------

COMMON = """
import sys
from datetime import datetime
from pathlib import Path
from afterfact_protocol.codec import WireError, decode, encode
from afterfact_protocol.messages import Answer, Observed
from afterfact_server.coverage import coverage
from afterfact_server.health import HealthBoard
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
def watched(number, *spans):
    write.insert_observed(
        client,
        ((number, b"s" * 16, number, place, Observed(start, end, "files", "f", 1, 0, ""))
         for place, (start, end) in enumerate(spans)),
        NOW,
    )
def covered(sensors, start, end):
    return coverage(client, sensors, Ledger(client), HealthBoard(), start, end, NOW)
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
from afterfact_server.status import oldest
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
