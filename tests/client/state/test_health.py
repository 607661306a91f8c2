"""The sensors' health in words."""

import time

import pytest
from helpers.fake_link import SECOND, sensor_status, vitals

from afterfact_client.state import wording
from afterfact_client.state.health import COLUMNS, TONES, alarm_line, alarms_counted, recent, store_line
from afterfact_protocol.messages import WORST_FIRST, Alarm, InterfaceState, SensorStatus, Status


def now() -> int:
    return time.time_ns() // 1000


def row(sensor: SensorStatus) -> dict[str, str]:
    return {column.title: column.text(sensor, now()) for column in COLUMNS}


def test_every_state_has_a_shape_and_a_tone_of_its_own_weight() -> None:
    assert set(TONES) == set(wording.GLYPHS) == set(WORST_FIRST)
    assert len(set(wording.GLYPHS.values())) == len(wording.GLYPHS)


def test_a_row() -> None:
    sensor = sensor_status("core", "losing", backlog_batches=3, backlog_since=now() - 200 * SECOND, vitals=vitals(
        kernel_dropped=5120, undecoded={"cut_ip": 9, "bad_fcs": 3}))  # fmt: skip
    shown = row(sensor)
    assert shown["Sensor"] == "▼ core" and shown["Waiting"] == "3 for 3 min"
    assert (shown["Kernel drops"], shown["Interface drops"], shown["Not decoded"]) == ("5,120", "0", "12")
    assert (shown["Drained/s"], shown["Open"], shown["Clock"], shown["From"]) == ("15", "321", "+0 ms", "10.1.2.3")
    tones = {column.title: column.tone(sensor) for column in COLUMNS}
    assert tones["Kernel drops"] == "error" and tones["Interface drops"] == "text"


@pytest.mark.parametrize("case", ["done", "silent", "never"])
def test_counts_that_are_not_of_the_last_minutes_are_left_out(case: str) -> None:
    """What a sensor reported an hour ago says nothing of now."""
    sensor = {
        "done": sensor_status("x", "done", vitals=vitals()),
        "silent": sensor_status("x", "down", vitals=vitals(reported=now() - 3600 * SECOND)),
        "never": sensor_status("x", "never", last_contact=0, last_data=0, software=""),
    }[case]
    assert recent(sensor, now()) is None
    shown = row(sensor)
    assert shown["Packets"] == shown["Kernel drops"] == shown["Open"] == ""


def test_the_states_in_words() -> None:
    blind = sensor_status("x", "blind", vitals=vitals(blind_since=now() - 420 * SECOND, why="eth1 is gone", interfaces=(
        InterfaceState("eth1", False, 5, 0), InterfaceState("eth2", True, 1, 7))))  # fmt: skip
    assert wording.sensor_line(blind, now()) == "blind for 7 min"
    details = wording.sensor_details(blind, now()).splitlines()
    assert "eth1 is gone" in details and "eth1: gone" in details
    assert "eth2: 1 packet captured, 7 dropped since its start" in details
    losing = sensor_status("x", "losing", vitals=vitals(kernel_dropped=4, interface_dropped=1))
    assert wording.sensor_line(losing, now()) == "losing, 5 packets dropped"
    assert "4 dropped by the kernel, 1 by the interface" in wording.sensor_details(losing, now())
    assert wording.sensor_line(sensor_status("x", "done"), now()) == "done, all delivered"


def test_alarms_and_store() -> None:
    alarm = Alarm("disk", "", 1_800_000_000 * SECOND, "9% free")
    assert alarm_line(alarm) == "2027-01-15 08:00:00 server: 9% free"
    assert alarms_counted(()) == "" and alarms_counted((alarm,)) == "! 1 alarm"
    assert alarms_counted((alarm, alarm)) == "! 2 alarms"
    status = Status(1, 1, "", 1500, 0, 0, 2_000_000_000, (), 40_000_000_000, 100_000_000_000)
    assert store_line(status) == "Store: 1,500 records, 2.0 GB; 40.0 of 100.0 GB free (40%)"
