"""What each sensor last said of itself. In memory; asked by status and coverage."""

import threading
from dataclasses import dataclass, replace

from afterfact_protocol.messages import Hello, Report

UP_SECONDS = 30
"""Agents report every 10 s; a sensor silent for three of these is down."""
LATE_SECONDS = 120
"""Batches waiting longer than this at the agent make a connected sensor late."""
LATEST = 253_402_300_799_999_999
"""End of the year 9999. Agents' clocks are believed from 1970 to here: what is reckoned from them stays a number that
can be sent and a time that can be shown."""


def _believed(time: int) -> int:
    return min(max(time, 0), LATEST)


@dataclass(frozen=True, slots=True)
class Health:
    """Times in microseconds on the server's clock, but `backlog_since`, which the agent's clock gave."""

    last_contact: int = 0
    software: str = ""
    clock_offset: int = 0
    backlog_batches: int = 0
    backlog_since: int = 0
    counters: dict[str, int] | None = None


class HealthBoard:
    """Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_sensor: dict[int, Health] = {}

    def of(self, sensor: int) -> Health:
        with self._lock:
            return self._by_sensor.get(sensor, Health())

    def hello(self, sensor: int, message: Hello, now: int) -> None:
        self._change(sensor, last_contact=now, software=message.software, clock_offset=_believed(message.time) - now)

    def heard(self, sensor: int, now: int) -> None:
        self._change(sensor, last_contact=now)

    def report(self, sensor: int, message: Report, now: int) -> None:
        time = _believed(message.time)
        # Nothing waits since a time that its own clock has not reached; 0 alone says that nothing waits.
        since = min(max(message.backlog_since, 1), max(time, 1)) if message.backlog_since else 0
        self._change(sensor, last_contact=now, clock_offset=time - now, counters=message.counters,
                     backlog_batches=message.backlog_batches, backlog_since=since)  # fmt: skip

    def _change(self, sensor: int, **changes: object) -> None:
        with self._lock:
            self._by_sensor[sensor] = replace(self._by_sensor.get(sensor, Health()), **changes)  # type: ignore[arg-type]
