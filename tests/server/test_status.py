from datetime import datetime

from afterfact_server.health import Health
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.status import state_of

S = 1_000_000
NOW = 1_800_000_000 * S
SENSOR = EnrolledSensor(1, "border", "dmz", datetime(2026, 1, 1), None)


def test_one_word_for_a_sensor() -> None:
    fresh = Health(last_contact=NOW - 5 * S)
    assert state_of(SENSOR, fresh, 0, NOW) == "up"
    assert state_of(SENSOR, Health(), 0, NOW) == "never"
    assert state_of(SENSOR, Health(), NOW - 5 * S, NOW) == "down", "it delivered before the server's last start"
    assert state_of(SENSOR, Health(last_contact=NOW - 31 * S), NOW, NOW) == "down"
    waiting = Health(last_contact=NOW, backlog_batches=3, backlog_since=NOW - 600 * S)
    assert state_of(SENSOR, waiting, 0, NOW) == "late"
    ahead = Health(last_contact=NOW, backlog_batches=3, backlog_since=NOW + 3590 * S, clock_offset=3600 * S)
    assert state_of(SENSOR, ahead, 0, NOW) == "up", "ages are told by the agent's own clock"
    gone = EnrolledSensor(1, "border", "dmz", datetime(2026, 1, 1), datetime(2026, 2, 1))
    assert state_of(gone, fresh, 0, NOW) == "revoked"
