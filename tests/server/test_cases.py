"""What a step of a case finds now beside then, and when a negative is to be asked again."""

import numpy as np
import pytest

from afterfact_protocol.records import Records
from afterfact_protocol.session import ROW
from afterfact_server.cases.comparing import compared
from afterfact_server.cases.negatives import more_watched


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
