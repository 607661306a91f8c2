"""Alarms: raised once, cleared once. Decides; tells nobody, and knows no clock but what it is given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from afterfact_protocol.messages import Alarm, SensorState
from afterfact_protocol.statustext import age_text
from afterfact_server.health import SECOND, Health, conditions
from afterfact_server.health_config import AlarmsConfig, HealthConfig

AlarmKind = Literal["down", "blind", "losing", "lagging", "clock", "quarantine", "disk"]
Key = tuple[AlarmKind, str]
"""Kind and subject."""
_OF_STATES: dict[SensorState, AlarmKind] = {"down": "down", "blind": "blind", "losing": "losing", "lagging": "lagging"}


def wrong_with(name: str, health: Health, now: int, config: HealthConfig, began: int) -> dict[Key, str]:
    """What is to be raised of a sensor that is enrolled, in words. Nothing of one that never came, or that has
    delivered all it was given to read."""
    if not health.last_contact or health.finished:
        return {}
    found: dict[Key, str] = {
        (_OF_STATES[state], name): text
        for state, text in conditions(health, now, config, began).items()
        if state in _OF_STATES and (state != "lagging" or health.live)
    }
    offset = health.clock_offset
    if abs(offset) > config.clock_seconds * SECOND:
        found["clock", name] = (
            f"its clock is {age_text(abs(offset))} {'ahead of' if offset > 0 else 'behind'} the server's"
        )
    return found


def disk_wrong(free: int, total: int, config: AlarmsConfig) -> dict[Key, str]:
    """What is to be raised of the store's disk."""
    if not total or 100 * free >= config.disk_free_percent * total:
        return {}
    return {
        ("disk", ""): f"the store's disk has {free / 1e9:.1f} of {total / 1e9:.1f} GB free ({100 * free / total:.1f}%)"
    }


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm was raised, or cleared."""

    alarm: Alarm
    cleared: bool
    time: int


class Alarms:
    """Hysteresis in time: what is wrong must be so for a while before it is raised, and well for longer before it is
    cleared, so that what comes and goes is one alarm. `standing`: those raised before, by an earlier run."""

    def __init__(self, config: AlarmsConfig, standing: Iterable[Alarm] = ()) -> None:
        self._config = config
        self._standing: dict[Key, Alarm] = {(alarm.kind, alarm.subject): alarm for alarm in standing}
        self._wrong_since: dict[Key, int] = {}
        self._well_since: dict[Key, int] = {}

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """Raised and not cleared, the oldest first."""
        return tuple(sorted(self._standing.values(), key=lambda alarm: alarm.since))

    def judge(self, found: Mapping[Key, str], now: int) -> list[Change]:
        """What is wrong now; whatever is not named is well."""
        changes = []
        for key in [key for key in self._wrong_since if key not in found]:
            del self._wrong_since[key]
        for key, text in found.items():
            self._well_since.pop(key, None)
            if key in self._standing:
                self._standing[key] = replace(self._standing[key], text=text)
            elif now - self._wrong_since.setdefault(key, now) >= self._config.raise_seconds * SECOND:
                alarm = self._standing[key] = Alarm(*key, since=self._wrong_since.pop(key), text=text)
                changes.append(Change(alarm, False, now))
        for key in [key for key in self._standing if key not in found]:
            if now - self._well_since.setdefault(key, now) >= self._config.clear_seconds * SECOND:
                del self._well_since[key]
                changes.append(Change(self._standing.pop(key), True, now))
        return changes
