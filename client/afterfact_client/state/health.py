"""Sensors' health as a table of words, and what is said of alarms. Numbers in, words out; nothing here knows a window.

`now` is always given, in microseconds since 1970 by the server's clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from afterfact_client.state import wording
from afterfact_protocol.messages import VITALS_SPAN, Alarm, SensorState, SensorStatus, Status, Vitals
from afterfact_protocol.statustext import age_text, offset_text, time_text

Tone = Literal["good", "warning", "error", "dim", "text"]

TONES: dict[SensorState, Tone] = {
    "up": "good", "late": "warning", "lagging": "warning", "losing": "error", "blind": "error", "down": "error",
    "never": "dim", "done": "dim", "revoked": "dim",
}  # fmt: skip
CALM: tuple[SensorState, ...] = ("up", "never", "done", "revoked")
"""States in which nothing is wrong."""


@dataclass(frozen=True, slots=True)
class HealthColumn:
    """`text` is empty where it is not known; `tone` says how much it should be looked at."""

    title: str
    about: str
    right: bool
    text: Callable[[SensorStatus, int], str]
    tone: Callable[[SensorStatus], Tone] = lambda sensor: "text"


def recent(sensor: SensorStatus, now: int) -> Vitals | None:
    """What it reported of the last ten minutes; None if it reported nothing in them, or has delivered all it had."""
    vitals = sensor.vitals
    return vitals if vitals is not None and sensor.state != "done" and now - vitals.reported < VITALS_SPAN else None


def _count(of: Callable[[Vitals], int]) -> Callable[[SensorStatus, int], str]:
    def text(sensor: SensorStatus, now: int) -> str:
        vitals = recent(sensor, now)
        return "" if vitals is None else f"{of(vitals):,}"

    return text


def _alarming(of: Callable[[Vitals], int]) -> Callable[[SensorStatus], Tone]:
    return lambda sensor: "error" if sensor.vitals is not None and of(sensor.vitals) else "text"


def _waiting(sensor: SensorStatus, now: int) -> str:
    if not sensor.backlog_since:
        return f"{sensor.backlog_batches:,}"
    # backlog_since is of the sensor's own clock.
    return f"{sensor.backlog_batches:,} for {age_text(now + sensor.clock_offset - sensor.backlog_since)}"


def _undecoded(vitals: Vitals) -> int:
    return sum(vitals.undecoded.values())


def _clock(sensor: SensorStatus, now: int) -> str:
    return offset_text(sensor.clock_offset) if sensor.last_contact else ""


def _address(sensor: SensorStatus, now: int) -> str:
    return sensor.vitals.address if sensor.vitals is not None else ""


COLUMNS = (
    HealthColumn(
        "Sensor", "", False, lambda sensor, now: f"{wording.GLYPHS[sensor.state]} {sensor.name}",
        lambda sensor: TONES[sensor.state],
    ),
    HealthColumn("State", "", False, lambda sensor, now: sensor.state, lambda sensor: TONES[sensor.state]),
    HealthColumn("Last data", "Age of its newest data", True, wording.sensor_age),
    HealthColumn(
        "Waiting", "Batches at the sensor, and how long the oldest has waited", True, _waiting,
        lambda sensor: "warning" if sensor.state == "lagging" else "text",
    ),
    HealthColumn("Drained/s", "Records acknowledged a second, over the last minute", True,
                 _count(lambda vitals: vitals.drain_rate)),
    HealthColumn("Packets", "Captured or read in the last 10 min", True, _count(lambda vitals: vitals.packets)),
    HealthColumn(
        "Kernel drops", "Packets dropped by the kernel in the last 10 min", True,
        _count(lambda vitals: vitals.kernel_dropped), _alarming(lambda vitals: vitals.kernel_dropped),
    ),
    HealthColumn(
        "Interface drops", "Packets dropped by the interfaces in the last 10 min", True,
        _count(lambda vitals: vitals.interface_dropped), _alarming(lambda vitals: vitals.interface_dropped),
    ),
    HealthColumn("Not decoded", "Packets that could not be decoded in the last 10 min", True, _count(_undecoded)),
    HealthColumn("Open", "Sessions that it is counting", True, _count(lambda vitals: vitals.open_sessions)),
    HealthColumn(
        "Evicted", "Sessions ended early to make room in the last 10 min", True,
        _count(lambda vitals: vitals.evicted), _alarming(lambda vitals: vitals.evicted),
    ),
    HealthColumn(
        "Clock", "Its clock against the server's", True, _clock,
        lambda sensor: "warning" if abs(sensor.clock_offset) > 5 * wording.SECOND else "text",
    ),
    HealthColumn("Version", "Of its agent", False, lambda sensor, now: sensor.software),
    HealthColumn("From", "Where it connected from last", False, _address),
)  # fmt: skip


def alarm_line(alarm: Alarm) -> str:
    """An alarm that stands."""
    return f"{time_text(alarm.since)} {alarm.subject or 'server'}: {alarm.text}"


def alarms_counted(alarms: tuple[Alarm, ...]) -> str:
    """`1 alarm`, or nothing."""
    return f"! {wording.count(len(alarms), 'alarm')}" if alarms else ""


def store_line(status: Status) -> str:
    """The store, and how much room it has."""
    line = f"Store: {wording.count(status.sessions, 'record')}, {status.disk_bytes / 1e9:,.1f} GB"
    if status.disk_total:
        share = 100 * status.disk_free / status.disk_total
        line += f"; {status.disk_free / 1e9:,.1f} of {status.disk_total / 1e9:,.1f} GB free ({share:.0f}%)"
    return line
