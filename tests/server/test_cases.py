"""What a step of a case finds now beside then, and when a negative is to be asked again."""

import numpy as np
import pytest

from afterfact_protocol.records import Records
from afterfact_protocol.session import ROW
from afterfact_server.cases.comparing import compared
from afterfact_server.cases.negatives import known, more_watched


def rows(**revisions: int) -> Records:
    """Sessions s9, s8, ...: each began at the second of its name, newest first."""
    made = np.zeros(len(revisions), ROW)
    made["session_id"] = [int(name[1:]) for name in revisions]
    made["start_time"] = made["session_id"] * np.uint64(1_000_000)
    made["revision"] = list(revisions.values())
    return made


@pytest.mark.parametrize(
    ("then", "now", "cut", "newest_first", "expected"),
    [
        (rows(s9=1, s8=1), rows(s9=1, s8=1), (False, False), True, ([], [], [])),
        (rows(s9=1, s8=1), rows(s9=3, s7=1), (False, False), True, ([7], [8], [9])),
        # Of then only the two newest are kept: what is older than these is not new, as far as is known.
        (rows(s9=1, s8=1), rows(s9=1, s8=1, s7=1), (True, False), True, ([], [], [])),
        (rows(s9=1, s7=1), rows(s9=1, s8=1), (True, True), True, ([], [], [])),
        (rows(s9=1, s7=1), rows(s9=1, s8=1, s6=1), (True, True), True, ([8], [], [])),
        (rows(s9=1, s7=1), rows(s9=1, s8=1), (True, True), False, ([8], [7], [])),
        (rows(), rows(s9=1), (False, False), True, ([9], [], [])),
    ],
)  # fmt: skip
def test_compared(
    then: Records, now: Records, cut: tuple[bool, bool], newest_first: bool, expected: tuple[list[int], ...]
) -> None:
    found = compared(then, now, *cut, newest_first)
    told = (now[found.new], then[found.gone], now[found.changed])
    assert tuple(part["session_id"].tolist() for part in told) == expected
    assert bool(found.note) == any(cut) and found.differs == bool(expected[0] or expected[1])


MINUTE = 60_000_000


@pytest.mark.parametrize(
    ("parts", "last", "now", "expected"),
    [
        ([(0, 10)], 30, 30, (600, 1)),
        ([(0, 4), (6, 10)], 30, 30, (480, 1)),
        # Live, and not yet a minute beyond: the last minute does not count.
        ([(0, 10)], 10, 10, (540, 0)),
        ([(0, 9)], 9, 10, (540, 0)),
        ([(0, 10)], 11, 11, (600, 1)),
        # Of one that tells nothing any more all counts that came.
        ([(0, 9)], 9, 30, (540, 0)),
        ([(0, 10)], 10, 30, (600, 0)),
        ([], 12, 12, (0, 1)),
    ],
)  # fmt: skip
def test_what_is_known_of_ten_minutes(
    parts: list[tuple[int, int]], last: int, now: int, expected: tuple[int, int]
) -> None:
    stretches = [(first * MINUTE, end * MINUTE) for first, end in parts]
    assert known(stretches, 0, 10 * MINUTE, last * MINUTE, now * MINUTE) == expected


@pytest.mark.parametrize(
    ("before", "now", "more"),
    [
        ({}, {}, False),
        ({"border": (60, 1)}, {"border": (60, 1)}, False),
        ({"border": (60, 1)}, {"border": (90, 1)}, True),
        ({"border": (60, 0)}, {"border": (60, 1)}, True),
        ({"border": (60, 1)}, {"border": (60, 1), "lab": (5, 0)}, True),
        ({"border": (60, 1)}, {"border": (30, 1)}, False),
    ],
)  # fmt: skip
def test_more_is_watched(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]], more: bool) -> None:
    assert more_watched(before, now) == more
