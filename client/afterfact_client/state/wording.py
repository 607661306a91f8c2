"""What the console says of an answer beside its coverage (coverage.py), of sensors and of the connection. Times in UTC.

Numbers in, words out; nothing here knows a window. `now` is always given, in microseconds since 1970.
"""

from afterfact_protocol.coveragetext import (
    SHOWN_GAPS,
    SHOWN_LATE,
    Answered,
    complete,
    filled,
    late,
    nobody,
    unseen,
    verdicts,
)
from afterfact_protocol.messages import Progress, SensorState, SensorStatus, TableAnswer, Vitals
from afterfact_protocol.statustext import age_text, counted_by, time_text

SECOND = 1_000_000
DAY = 86_400 * SECOND
RECENT = 2 * DAY
"""Data older than this are shown by their date, younger ones by their age."""
NEAR_NOW = 90 * SECOND
"""A span that ends this close to the time of asking ends "now"."""


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 session`, `2,345 sessions`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def elapsed(us: int) -> str:
    """`0.4 ms`, `84 ms`, `1.2 s`."""
    if us < 10_000:
        return f"{us / 1000:.1f} ms"
    return f"{us / 1000:.0f} ms" if us < SECOND else f"{us / SECOND:.1f} s"


def searched(answer: Answered, now: int) -> str:
    """The span of start times that was searched."""
    if answer.span_end <= answer.span_start:
        return "nothing is stored to search"
    end = "now" if answer.span_end >= now - NEAR_NOW else short_time(answer.span_end)
    return f"searched {short_time(answer.span_start)} to {end}"


def short_time(us: int) -> str:
    """A time to the second, or to the minute where its seconds are 0."""
    text = time_text(us)
    return text.removesuffix(":00") if text.endswith(":00") else text


def truncation(answer: Answered) -> str:
    """The warning over a truncated result; empty for a whole one."""
    if not answer.truncated:
        return ""
    if isinstance(answer, TableAnswer):
        return f"Truncated: {count(answer.total, 'row')} shown, there are more. Group by less, or use HAVING or TOP."
    return f"Truncated: {count(answer.total, 'session')} shown, more match. Narrow the query or raise its LIMIT."


def missing(answer: Answered) -> str:
    """The warning over a result whose sensors missed something; empty if they saw everything."""
    faults = [f"{verdict.sensor}: {verdict.text}" for verdict in verdicts(answer) if not verdict.complete]
    told = [*filter(None, (_capital(unseen(answer)), _capital(nobody(answer)))), *faults]
    return " ".join(["Not everything was seen.", *(f"{line}." for line in told)]) if told else ""


def notes(answer: Answered) -> str:
    """What else must be known to judge an answer; empty if nothing. What was left out has a line of its own."""
    return " ".join(f"{note}." for note in answer.notes if not (answer.exclusions and note.startswith("LEFT OUT")))


def since(before: Answered, after: Answered, asked: int) -> str:
    """Of a query asked again, before at `asked`: which of its gaps were filled since; empty if none was."""
    told = filled(before, after)
    return f"Gaps filled since it was asked at {time_text(asked)}: {'; '.join(told)}." if told else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def watched(answer: Answered) -> str:
    """Coverage in a few words."""
    found = verdicts(answer)
    if answer.unseen:
        return unseen(answer).removesuffix(" (networks.toml on the server)")
    if not found:
        return nobody(answer).partition(":")[0]
    bad = [verdict for verdict in found if not verdict.complete]
    if not bad:
        delivered = ", in part delivered late" if any(own.late for own in answer.coverage) else ""
        return ("watched throughout" if len(found) == 1 else f"all {len(found)} sensors watched throughout") + delivered
    if len(bad) == 1:
        return f"{bad[0].sensor}: {bad[0].text}"
    return f"{len(bad)} of {count(len(found), 'sensor')} missed something"


def gaps(answer: Answered) -> list[tuple[str, str]]:
    """All of the coverage, a line for each sensor and each of its gaps: its name (or nothing) and what is said."""
    lines = []
    for verdict in verdicts(answer):
        own = next(item for item in answer.coverage if item.sensor == verdict.sensor)
        lines.append((own.sensor, verdict.text))
        if len(own.gaps) > SHOWN_GAPS:  # the verdict names only the first of them
            lines += [
                ("", f"no data {time_text(gap.start)} to {time_text(gap.end)} ({age_text(gap.end - gap.start)})")
                for gap in own.gaps
            ]
        if len(own.late) > SHOWN_LATE:
            lines += [("", late(one, own, answer.span_start, answer.span_end)) for one in own.late]
    return [("", _capital(line)) for line in (unseen(answer), nobody(answer)) if line] + lines


def nothing_found(answer: Answered) -> str:
    """Under an empty result: whether its emptiness proves anything."""
    if complete(answer):
        every = "Every sensor that should have seen this" if not answer.named else "Every sensor asked for"
        return f"{every} watched all of this time. As far as they see, there was no such session."
    if not answer.coverage or answer.unseen:
        return "What nobody sees cannot be known. There may have been such sessions:"
    return "What was not watched cannot be known. There may have been such sessions while data is missing:"


def progress(told: Progress | None, waited: float) -> str:
    """While a query runs; `waited` in seconds."""
    if told is None or not told.read_rows:
        return f"asking, {waited:.1f} s"
    return f"asking, {waited:.1f} s, {told.read_rows:,} rows read"


# --- sensors ----------------------------------------------------------------------------------------------------------

GLYPHS: dict[SensorState, str] = {
    "up": "●", "late": "◔", "lagging": "◐", "losing": "▼", "blind": "◌", "down": "✕", "never": "○", "done": "✓",
    "revoked": "⊘",
}  # fmt: skip
"""A shape a state, so that it is told without its colour."""


def sensor_age(sensor: SensorStatus, now: int) -> str:
    """Age of its newest data; the day where they are old."""
    if not sensor.last_data:
        return "no data"
    old = now - sensor.last_data
    return time_text(sensor.last_data).partition(" ")[0] if old > RECENT else age_text(old)


def sensor_line(sensor: SensorStatus, now: int) -> str:
    """Its state in words, with what is wrong."""
    match sensor.state:
        case "never":
            return "never connected"
        case "revoked":
            return "revoked"
        case "done":
            return "done, all delivered"
        case "down":
            return f"down, silent {age_text(now - sensor.last_contact)}" if sensor.last_contact else "down"
        case "blind" if sensor.vitals is not None and sensor.vitals.blind_since:
            return f"blind for {age_text(now - sensor.vitals.blind_since)}"
        case "losing" if sensor.vitals is not None and (sensor.vitals.kernel_dropped + sensor.vitals.interface_dropped):
            lost = sensor.vitals.kernel_dropped + sensor.vitals.interface_dropped
            return f"losing, {count(lost, 'packet')} dropped"
    if sensor.backlog_batches:
        # backlog_since is of the sensor's own clock.
        waits = age_text(now + sensor.clock_offset - sensor.backlog_since)
        behind = f", {waits} behind" if sensor.backlog_since else ""
        return f"{sensor.state}{behind or ', batches waiting'}"
    return f"{sensor.state}, no backlog"


def sensor_details(sensor: SensorStatus, now: int) -> str:
    """Everything that the server told of it, a line a fact."""
    offset = sensor.clock_offset
    span = f"data from {time_text(sensor.first_data)} to {time_text(sensor.last_data)} UTC"
    clock = f"its clock is {age_text(abs(offset))} {'ahead' if offset > 0 else 'behind'}"
    lines = [
        f"{sensor.name}{f' on {sensor.net}' if sensor.net else ''}: {sensor_line(sensor, now)}",
        sensor.vitals.why if sensor.vitals is not None else "",
        f"last contact {time_text(sensor.last_contact)} UTC" if sensor.last_contact else "never connected",
        span if sensor.last_data else "no data",
        f"{count(sensor.sessions, 'record')} stored",
        f"{count(sensor.backlog_batches, 'batch', 'batches')} waiting at the sensor" if sensor.backlog_batches else "",
        f"{count(sensor.lost, 'packet')} lost" if sensor.lost else "",
        f"{count(sensor.quarantined, 'session')} set aside for impossible times" if sensor.quarantined else "",
        clock if abs(offset) > 2 * SECOND else "",
        f"software {sensor.software}" if sensor.software else "",
        *(_vitals_details(sensor.vitals, now) if sensor.vitals is not None else ()),
    ]
    return "\n".join(line for line in lines if line)


def _vitals_details(vitals: Vitals, now: int) -> list[str]:
    """What its agent reported, a line a fact."""
    of_time = f"in the {age_text(vitals.span)} before its last report"
    lines = [
        f"last report {age_text(now - vitals.reported)} ago" + (f", from {vitals.address}" if vitals.address else ""),
        f"{count(vitals.packets, 'packet')} {of_time}" if vitals.span else "",
        f"{vitals.kernel_dropped:,} dropped by the kernel, {vitals.interface_dropped:,} by the interface"
        if vitals.kernel_dropped or vitals.interface_dropped
        else "",
        f"{count(vitals.spool_dropped, 'session')} dropped from its spool" if vitals.spool_dropped else "",
        f"not decoded: {counted_by(vitals.undecoded)}" if vitals.undecoded else "",
        f"{count(vitals.evicted, 'session')} ended early to make room" if vitals.evicted else "",
        f"{count(vitals.open_sessions, 'session')} open",
        f"agent started {time_text(vitals.started)} UTC" if vitals.started else "",
    ]
    lines += [
        f"{each.name}: {count(each.captured, 'packet')} captured, {each.dropped:,} dropped since its start"
        if each.open
        else f"{each.name}: gone"
        for each in vitals.interfaces
    ]
    return lines
