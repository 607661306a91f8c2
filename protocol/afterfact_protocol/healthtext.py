"""SENSOR_HEALTH as text: the past of one sensor."""

import json
from dataclasses import asdict

from afterfact_protocol.messages import HealthPoint, SensorHealth
from afterfact_protocol.statustext import age_text, columns, counted_by, offset_text, time_text

SILENT = 30_000_000
"""Microseconds without a report that are worth a line: three are missing."""


def health_json(health: SensorHealth) -> str:
    """One JSON object; times in microseconds since 1970 UTC."""
    content = asdict(health)
    del content["request"]
    return json.dumps(content, indent=2) + "\n"


def health_table(health: SensorHealth) -> str:
    """A line for each step with a report in it, and for each stretch without one that there was none."""
    head = (
        f"{health.sensor}: {time_text(health.start)} to {time_text(health.end)} UTC, "
        f"a line each {age_text(health.step)}\n"
    )
    if not health.points:
        return head + "no report in this time\n"
    titles = ("from (UTC)", "reports", "packets", "dropped kernel/if", "not decoded", "evicted", "open", "delivered",
              "waiting", "clock")  # fmt: skip
    rows: list[tuple[str, ...]] = [titles]
    silent: dict[int, str] = {}
    expected = health.start
    for point in health.points:
        if point.start - expected >= SILENT:
            silent[len(rows)] = f"no report {time_text(expected)} to {time_text(point.start)}"
        expected = point.start + health.step
        rows.append(_row(point))
    lines = []
    for at, line in enumerate(columns(rows)):
        lines += [silent[at]] if at in silent else []
        lines.append(line)
    if health.end - expected >= SILENT:
        lines.append(f"no report {time_text(expected)} to {time_text(health.end)}")
    return head + "\n".join(lines) + "\n"


def _row(point: HealthPoint) -> tuple[str, ...]:
    waiting = f"{point.backlog_batches:,}"
    if point.backlog_age:
        waiting += f" for {age_text(point.backlog_age)}"
    dropped = f"{point.kernel_dropped:,}/{point.interface_dropped:,}"
    if point.spool_dropped:
        dropped += f", {point.spool_dropped:,} sessions from the spool"
    clock = offset_text(point.clock_offset) + (", interface gone" if point.interfaces_missing else "")
    return (
        time_text(point.start), f"{point.reports:,}", f"{point.packets:,}", dropped, counted_by(point.undecoded),
        f"{point.evicted:,}", f"{point.open_sessions:,}", f"{point.delivered:,}", waiting, clock,
    )  # fmt: skip
