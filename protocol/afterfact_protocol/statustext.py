"""STATUS as text, the same from `afterfact status` and `afterfact-server status`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from afterfact_protocol.messages import VITALS_SPAN, Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE_YEARS = 400
_CYCLE = 146_097 * 86_400 * 1_000_000
"""Microseconds after which the Gregorian calendar repeats."""


def time_text(microseconds: int) -> str:
    """A time to the second, UTC; "-" for 0, which stands for never.

    Any time of a message is shown, the most absurd too (ISO 8601 years before 0000 and after 9999): a clock set wrong
    is to be seen.
    """
    if not microseconds:
        return "-"
    cycles, rest = divmod(microseconds, _CYCLE)
    time = _EPOCH + timedelta(microseconds=rest)
    return f"{time.year + cycles * _CYCLE_YEARS:04}-{time:%m-%d %H:%M:%S}"


def age_text(microseconds: int) -> str:
    """A length of time in its largest sensible unit: "3.2 s", "14 min", "5 h", "12 d"."""
    seconds = max(0, microseconds) / 1e6
    if seconds < 100:
        return f"{seconds:.1f} s"
    for unit, length in (("min", 60), ("h", 3600), ("d", 86400)):
        if seconds < 100 * length or unit == "d":
            return f"{seconds / length:.0f} {unit}"
    raise AssertionError


def counted_by(counts: Mapping[str, int]) -> str:
    """`12 (cut_ip 9, bad_fcs 3)`; `0` for none."""
    parts = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{sum(counts.values()):,}" + (f" ({parts})" if parts else "")


def offset_text(offset: int) -> str:
    """A clock's offset: `+12 ms`, `-3 min`."""
    if abs(offset) < 1_000_000:
        return f"{round(offset / 1000):+} ms"
    return f"{'-' if offset < 0 else '+'}{age_text(abs(offset))}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first row its titles."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def vitals_lines(status: Status) -> list[str]:
    """A table of what the sensors reported in the last while; empty if none did."""
    rows = [("last 10 min", "packets", "dropped kernel/if", "not decoded", "evicted", "open", "drained", "clock",
             "version", "from")]  # fmt: skip
    for sensor in status.sensors:
        vitals = sensor.vitals
        if vitals is not None and sensor.state != "done" and status.time - vitals.reported < VITALS_SPAN:
            dropped = f"{vitals.kernel_dropped:,}/{vitals.interface_dropped:,}"
            rows.append(
                (sensor.name, f"{vitals.packets:,}", dropped, counted_by(vitals.undecoded), f"{vitals.evicted:,}",
                 f"{vitals.open_sessions:,}", f"{vitals.drain_rate:,}/s", offset_text(sensor.clock_offset),
                 sensor.software or "-", vitals.address or "-")
            )  # fmt: skip
    return columns(rows) if len(rows) > 1 else []


def status_json(status: Status) -> str:
    """One JSON object; times in microseconds since 1970 UTC."""
    content = asdict(status)
    del content["request"]
    return json.dumps(content, indent=2) + "\n"


def status_table(status: Status) -> str:
    """Alarms, a table of the sensors, what is wrong with them, what they reported, then the store."""
    rows = [
        ("sensor", "net", "state", "last contact", "data from", "data to", "records", "waiting", "lost", "set aside")
    ]
    for sensor in status.sensors:
        contact = f"{age_text(status.time - sensor.last_contact)} ago" if sensor.last_contact else "-"
        waiting = str(sensor.backlog_batches)
        if sensor.backlog_since:
            waiting += f" since {age_text(status.time + sensor.clock_offset - sensor.backlog_since)}"
        rows.append(
            (sensor.name, sensor.net, sensor.state, contact, time_text(sensor.first_data), time_text(sensor.last_data),
             f"{sensor.sessions:,}", waiting, f"{sensor.lost:,}", f"{sensor.quarantined:,}")
        )  # fmt: skip
    lines = columns(rows)
    if not status.sensors:
        lines = ["no sensor is enrolled; enrol one with: afterfact-server sensor enrol DIR NAME"]
    lines += [
        f"{sensor.name} is {sensor.state}: {sensor.vitals.why}"
        for sensor in status.sensors
        if sensor.vitals is not None and sensor.vitals.why
    ]
    lines += vitals_lines(status)
    for alarm in status.alarms:
        lines.append(f"ALARM since {time_text(alarm.since)} UTC: {alarm.subject or 'server'}: {alarm.text}")
    size = f"{status.disk_bytes / 1e6:,.1f} MB"
    if status.disk_total:
        size += f", {status.disk_free / 1e9:,.1f} of {status.disk_total / 1e9:,.1f} GB free"
    if status.sessions:
        span = f"{time_text(status.oldest)} to {time_text(status.newest)} UTC"
        lines.append(f"store: {status.sessions:,} records, sessions started {span}, {size}")
    else:
        lines.append("store: no sessions yet")
    if status.events or status.events_set_aside:
        aside = counted_by(status.events_set_aside)
        said = f"; set aside, for times that cannot be: {aside}" if status.events_set_aside else ""
        lines.append(f"alerts: {counted_by(status.events)}{said}")
    return "\n".join(lines) + "\n"
