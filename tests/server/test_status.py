"""A STATUS fits a message, however many sensors there are."""

from dataclasses import replace

from afterfact_protocol.codec import encode
from afterfact_protocol.messages import MAX_SENSORS_TOLD, WORST_FIRST, SensorStatus, Status, Vitals
from afterfact_server.status import fitting, for_version_1

BIG = 1 << 62
VITALS = Vitals("", 0, BIG, BIG, BIG, BIG, BIG, BIG, {}, BIG, BIG, BIG, BIG, BIG, BIG, (), "192.168.100.100")
SENSOR = SensorStatus("sensor", "default", "up", BIG, BIG, BIG, BIG, BIG, BIG, BIG, BIG, BIG, "0.1.0", VITALS)


def of(count: int, down: int) -> Status:
    sensors = (replace(SENSOR, name=f"sensor-{at:04}", state="down" if at < down else "up") for at in range(count))
    return Status(1, BIG, "0.1.0", BIG, BIG, BIG, BIG, tuple(sensors), BIG, BIG)


def test_all_vitals_are_told_of_some_sensors() -> None:
    assert fitting(of(500, 3)) == of(500, 3)


def test_of_many_sensors_the_worst_are_told_whole() -> None:
    made = fitting(of(2000, 100))
    encode(made)
    assert len(made.sensors) == 2000
    told = [sensor.name for sensor in made.sensors if sensor.vitals is not None]
    assert len(told) >= 500 and {f"sensor-{at:04}" for at in range(100)} <= set(told)


def test_the_most_sensors() -> None:
    made = fitting(of(MAX_SENSORS_TOLD, 1))
    encode(made)
    assert len(made.sensors) == MAX_SENSORS_TOLD


def test_a_console_of_version_1_is_told_states_that_it_knows() -> None:
    """It would take any other for no message, and connect anew for ever."""
    sensors = tuple(replace(SENSOR, name=state, state=state) for state in WORST_FIRST)
    told = for_version_1(Status(1, BIG, "0.1.0", 0, 0, 0, 0, sensors))
    assert isinstance(told, Status)
    assert {sensor.name: sensor.state for sensor in told.sensors} == {
        "up": "up", "late": "up", "losing": "up", "lagging": "late", "blind": "down", "down": "down", "done": "down",
        "never": "never", "revoked": "revoked",
    }  # fmt: skip
