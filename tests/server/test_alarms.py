"""An alarm is raised once and cleared once, whatever comes and goes between."""

from afterfact_protocol.messages import Alarm
from afterfact_server.alarms import Alarms, Key, disk_wrong, wrong_with
from afterfact_server.health import Health
from afterfact_server.health_config import AlarmsConfig, HealthConfig

S = 1_000_000
NOW = 1_800_000_000 * S
DOWN: Key = ("down", "border")
LAGGING: Key = ("lagging", "border")


def told(alarms: Alarms, at: float, *wrong: Key) -> list[tuple[str, bool]]:
    """Kinds of alarms that change, and whether they are cleared, when that is found at `at` seconds."""
    return [
        (change.alarm.kind, change.cleared)
        for change in alarms.judge(dict.fromkeys(wrong, f"since {at}"), NOW + int(at * S))
    ]


def test_raised_once_and_cleared_once() -> None:
    alarms = Alarms(AlarmsConfig(raise_seconds=10, clear_seconds=60))
    assert [told(alarms, at, DOWN) for at in (0, 5, 9)] == [[], [], []]
    assert told(alarms, 10, DOWN) == [("down", False)]
    assert alarms.standing == (Alarm("down", "border", NOW, "since 10"),), "it began when it was first seen"
    assert [told(alarms, at, DOWN) for at in (11, 100)] == [[], []]
    assert alarms.standing[0].text == "since 100", "its words are the latest"
    assert [told(alarms, at) for at in (101, 160)] == [[], []]
    assert told(alarms, 161) == [("down", True)]
    assert alarms.standing == () and told(alarms, 162) == []


def test_what_comes_and_goes_is_one_alarm() -> None:
    alarms = Alarms(AlarmsConfig(raise_seconds=10, clear_seconds=60))
    changes = [told(alarms, at, *((DOWN,) if at % 40 < 20 else ())) for at in range(600)]
    assert [change for each in changes for change in each] == [("down", False)]
    assert [told(alarms, at) for at in (620, 640)] == [[], [("down", True)]]


def test_what_is_soon_over_is_none() -> None:
    alarms = Alarms(AlarmsConfig(raise_seconds=10, clear_seconds=60))
    for at in range(600):
        assert told(alarms, at, *((DOWN,) if at % 10 < 9 else ())) == []


def test_each_has_its_own_time() -> None:
    alarms = Alarms(AlarmsConfig(raise_seconds=10, clear_seconds=60))
    told(alarms, 0, DOWN)
    told(alarms, 5, DOWN, LAGGING)
    assert told(alarms, 10, DOWN, LAGGING) == [("down", False)]
    assert told(alarms, 15, DOWN, LAGGING) == [("lagging", False)]
    told(alarms, 20, LAGGING)
    assert told(alarms, 80, LAGGING) == [("down", True)]
    assert [alarm.kind for alarm in alarms.standing] == ["lagging"]


def test_raised_before_the_server_was_restarted() -> None:
    alarms = Alarms(AlarmsConfig(), [Alarm("down", "border", NOW - S, "x"), Alarm("blind", "inside", NOW, "y")])
    assert told(alarms, 0, DOWN) == []
    assert told(alarms, 59, DOWN) == []
    assert told(alarms, 61, DOWN) == [("blind", True)]


def kinds(health: Health, at: int = 0) -> list[str]:
    return [kind for kind, _ in wrong_with("border", health, NOW + at * S, HealthConfig(), 0)]


def test_what_is_wrong_with_a_sensor() -> None:
    live = Health(last_contact=NOW, reported=NOW, live=True, last_packet=NOW)
    assert kinds(Health()) == [] and kinds(live) == []
    assert kinds(live, 31) == ["down"]
    late = Health(last_contact=NOW, reported=NOW, live=True, last_packet=NOW - 301 * S, backlog_age=121 * S,
                  clock_offset=-6 * S)  # fmt: skip
    assert kinds(late) == ["blind", "lagging", "clock"], "each for itself, none hides another"
    assert kinds(late, 31) == ["down", "blind", "lagging", "clock"], "what was wrong before is as it was"
    files = Health(last_contact=NOW, reported=NOW, backlog_age=121 * S)
    assert kinds(files) == [], "an import may take its time"
    assert kinds(Health(last_contact=NOW, reported=NOW, finished=True), 9999) == []


def test_a_disk_that_is_almost_full() -> None:
    config = AlarmsConfig(disk_free_percent=10)
    assert disk_wrong(10, 100, config) == {} and disk_wrong(0, 0, config) == {}
    assert list(disk_wrong(9_900_000_000, 100_000_000_000, config).values()) == [
        "the store's disk has 9.9 of 100.0 GB free (9.9%)"
    ]
    assert disk_wrong(0, 100, AlarmsConfig(disk_free_percent=0)) == {}
