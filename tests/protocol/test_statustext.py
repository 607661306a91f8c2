"""Times and ages as text: whatever a message may hold is shown."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afterfact_protocol.messages import (
    Alarm,
    InterfaceState,
    SensorStatus,
    Status,
    Vitals,
)
from afterfact_protocol.statustext import age_text, counted_by, offset_text, status_json, status_table, time_text

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


def test_what_is_wrong_is_said() -> None:
    now = 1_800_000_000 * 10**6
    vitals = Vitals(
        why="eth1 is gone since 07:59", blind_since=now - 60 * 10**6, reported=now - 10**6, span=600 * 10**6,
        packets=1234, kernel_dropped=5, interface_dropped=6, spool_dropped=0, undecoded={"bad_fcs": 2, "cut_ip": 7},
        evicted=8, delivered=9, drain_rate=10, open_sessions=11, backlog_bytes=12, started=1,
        interfaces=(InterfaceState("eth1", False, 1, 0),), address="10.1.2.3",
    )  # fmt: skip
    sensor = SensorStatus("border", "dmz", "blind", now, now, now, 1, 0, 0, 0, 0, -6_000_000, "1.0", vitals)
    done = replace(sensor, name="files", state="done")
    silent = replace(sensor, name="silent", state="down", vitals=replace(vitals, why="", reported=now - 3600 * 10**6))
    alarms = (Alarm("blind", "border", now, "eth1 is gone"), Alarm("disk", "", now, "9% free"))
    table = status_table(Status(1, now, "1.0", 0, 0, 0, 0, (sensor, done, silent), 4 * 10**9, 10**10, alarms))
    lines = table.splitlines()
    assert lines[4] == "border is blind: eth1 is gone since 07:59"
    assert [line.split()[0] for line in lines[5:]] == ["files", "last", "border", "ALARM", "ALARM", "store:"]
    assert " 1,234 " in lines[7] and " 5/6 " in lines[7] and " 9 (cut_ip 7, bad_fcs 2) " in lines[7]
    assert " 10/s " in lines[7] and " -6.0 s " in lines[7] and lines[7].endswith("10.1.2.3")
    assert lines[8] == "ALARM since 2027-01-15 08:00:00 UTC: border: eth1 is gone"
    assert lines[9] == "ALARM since 2027-01-15 08:00:00 UTC: server: 9% free"


def test_small_numbers_in_words() -> None:
    assert counted_by({}) == "0" and counted_by({"a": 1, "b": 2000}) == "2,001 (b 2,000, a 1)"
    assert [offset_text(us) for us in (0, -400, 12_300, -999_999, 5_000_000, -(2**62))] == [
        "+0 ms", "+0 ms", "+12 ms", "-1000 ms", "+5.0 s", "-53375996 d",
    ]  # fmt: skip
