"""Times and ages as text: whatever a message may hold is shown."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afterfact_protocol.messages import SensorStatus, Status
from afterfact_protocol.statustext import age_text, status_json, status_table, time_text

I64 = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "-"),
        (1_090_863_469_999_999, "2004-07-26 17:37:49"),
        (-1, "1969-12-31 23:59:59"),
        (253_402_300_800_000_000, "10000-01-01 00:00:00"),
        (-62_135_596_800_000_001, "0000-12-31 23:59:59"),
        (-(2**63), "-290308-12-21 19:59:05"),
        (2**63 - 1, "294247-01-10 04:00:54"),
    ],
)
def test_times(us: int, text: str) -> None:
    assert time_text(us) == text


@given(I64)
def test_times_are_numpys(us: int) -> None:
    if us:
        assert time_text(us) == str(np.datetime64(us // 1_000_000, "s")).replace("T", " ")


@pytest.mark.parametrize(
    ("us", "text"), [(-5, "0.0 s"), (3_200_000, "3.2 s"), (840_000_000, "14 min"), (5 * 3600 * 10**6, "5 h"),
                     (12 * 86_400 * 10**6, "12 d"), (2**64, "213503982 d")]
)  # fmt: skip
def test_ages(us: int, text: str) -> None:
    assert age_text(us) == text


@given(I64, I64, I64)
@example(-(2**63), 2**63 - 1, -(2**63))
def test_a_status_with_any_times(one: int, two: int, three: int) -> None:
    """A sensor's clock may say anything."""
    sensor = SensorStatus("border", "dmz", "up", one, two, three, 1, 0, 3, one, 0, two, "1.0")
    status = Status(1, three, "1.0", 5, one, two, 10, (sensor,))
    assert status_table(status).count("\n") == 3 and "border" in status_json(status)
