"""STATUS as text, the same from `afterfact status` and `afterfact-server status`."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from afterfact_protocol.messages import Status

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


def status_json(status: Status) -> str:
    """One JSON object; times in microseconds since 1970 UTC."""
    content = asdict(status)
    del content["request"]
    return json.dumps(content, indent=2) + "\n"


def status_table(status: Status) -> str:
    """A table a sensor a line, then the store."""
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
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not status.sensors:
        lines = ["no sensor is enrolled; enrol one with: afterfact-server sensor enrol DIR NAME"]
    size = f"{status.disk_bytes / 1e6:,.1f} MB"
    if status.sessions:
        span = f"{time_text(status.oldest)} to {time_text(status.newest)} UTC"
        lines.append(f"store: {status.sessions:,} records, sessions started {span}, {size}")
    else:
        lines.append("store: no sessions yet")
    return "\n".join(lines) + "\n"
