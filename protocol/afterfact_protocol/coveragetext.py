"""What an answer's coverage says, in words: the same in the console, on the command line, and in a case's steps."""

from dataclasses import dataclass

from afterfact_protocol.messages import Answer, Late, SensorCoverage, TableAnswer
from afterfact_protocol.sets import told as held
from afterfact_protocol.statustext import time_text

Answered = Answer | TableAnswer
"""Both tell of their coverage alike."""

SECOND = 1_000_000
SHOWN_GAPS = 3
SHOWN_LATE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sensor's coverage of the span asked for."""

    sensor: str
    complete: bool
    """Whether it watched throughout, lost nothing, and nothing waits to be delivered."""
    text: str
    """Its faults, if it has any, then what came late."""


def verdict(own: SensorCoverage, start: int, end: int) -> Verdict:
    """Coverage of [start, end] by one sensor, as a line without its name."""
    if not own.first:
        return Verdict(own.sensor, False, "has never delivered data")
    faults = ["revoked"] if own.revoked and own.gaps else []
    if own.first > end:
        faults.append(f"no data before {time_text(own.first)}")
    elif own.first > start:
        faults.append(f"first data {time_text(own.first)}")
    for gap in own.gaps[:SHOWN_GAPS]:
        open_end = gap is own.gaps[-1] and gap.start >= own.last
        faults.append(f"no data since {time_text(gap.start)}" if open_end else f"blind {_span(gap.start, gap.end)}")
    hidden = max(0, len(own.gaps) - SHOWN_GAPS) + own.more_gaps
    if hidden:
        faults.append(f"{hidden} more gaps")
    if own.lost:
        faults.append(f"{own.lost:,} packets lost")
    if own.quarantined:
        faults.append(f"{own.quarantined:,} sessions set aside for impossible times")
    if own.backlog_since:
        faults.append(f"batches wait at the sensor since {time_text(own.backlog_since)}")
    told = faults or ["watched throughout"]
    return Verdict(own.sensor, not faults, "; ".join([*told, *_late(own, start, end)]))


def _late(own: SensorCoverage, start: int, end: int) -> list[str]:
    """What came late: an answer given before then had a gap there, and may be asked for again."""
    latest = sorted(own.late, key=lambda one: one.delivered)[-SHOWN_LATE:]
    told = [late(one, own, start, end) for one in sorted(latest, key=lambda one: one.start)]
    hidden = len(own.late) - len(latest) + own.more_late
    return [*told, f"{hidden} more late deliveries"] if hidden else told


def late(one: Late, own: SensorCoverage, start: int, end: int) -> str:
    """A late delivery in words; of which time, unless it is all that the sensor knows of the span."""
    whole = one.start <= max(start, own.first) and one.end >= min(end, own.last)
    what = "all of it" if whole else _span(one.start, one.end)
    return f"{what} delivered late, at {time_text(one.delivered)}"


def verdicts(answer: Answered) -> list[Verdict]:
    """Every sensor that should have seen what was asked, by name."""
    found = [verdict(own, answer.span_start, answer.span_end) for own in answer.coverage]
    return sorted(found, key=lambda item: item.sensor)


def filled(before: Answered, after: Answered) -> list[str]:
    """Gaps of an answer that a later one to the same question has no more, a line a sensor: what was not there then may
    be there now. Both name the longest gaps only, where there are many; what one does not name is left out."""
    told = []
    now = {own.sensor: own for own in after.coverage}
    for own in sorted(before.coverage, key=lambda item: item.sensor):
        later = now.get(own.sensor)
        if later is None or later.more_gaps:
            continue
        gaps = [(gap.start, gap.end) for gap in own.gaps]
        if not own.first and later.first:
            gaps = [(max(later.first, before.span_start), before.span_end)]
        # Of a span that has moved on since (`now - 1h`) only what both searched can be compared.
        both = [(max(start, after.span_start), min(end, after.span_end)) for start, end in gaps]
        parts = [part for gap in both for part in _left(gap, [(g.start, g.end) for g in later.gaps])]
        if parts:
            spans = [_span(*part) for part in parts[:SHOWN_GAPS]]
            more = [f"{len(parts) - SHOWN_GAPS} more"] if len(parts) > SHOWN_GAPS else []
            told.append(f"{own.sensor}: {', '.join([*spans, *more])}")
    return told


def _left(gap: tuple[int, int], gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of a gap is in none of these, but for less than a second."""
    found = []
    at, end = gap
    for start, last in sorted(gaps):
        if start - at > SECOND:
            found.append((at, min(start, end)))
        at = max(at, last)
        if at >= end:
            break
    return [*found, (at, end)] if end - at > SECOND else found


def complete(answer: Answered) -> bool:
    """Whether the answer rests on everything: sensors see each address asked about, each watched throughout, and
    nothing was left out but what the query itself names."""
    found = verdicts(answer)
    return bool(found) and not answer.unseen and not answer.by_default and all(item.complete for item in found)


def unseen(answer: Answered) -> str:
    """The addresses asked about that no sensor sees; empty if there is none."""
    if not answer.unseen:
        return ""
    listed = list(answer.unseen)
    if answer.more_unseen:
        listed.append(f"{answer.more_unseen:,} more networks")
    *before, last = listed
    who = "none of the sensors asked" if answer.named else "no sensor"
    return f"{who} sees {', '.join(before)}{' and ' if before else ''}{last} (networks.toml on the server)"


def nobody(answer: Answered) -> str:
    """Why an answer names no sensor; empty if it names some, or if `unseen` says it."""
    if answer.coverage:
        return ""
    if answer.named:
        return "no sensor of the name asked for has data of this time: nothing was watched"
    if answer.unseen:
        return ""
    return "no sensor is enrolled, or none any more: nothing was watched"


def told(answer: Answered) -> list[str]:
    """What must be known to judge an answer, a line each: what it saved, addresses that nobody sees, then each sensor
    by name."""
    lines = []
    if (saved := answer.saved) is not None:
        count, live = held(saved.kind, saved.count, saved.networks), ", live" if saved.live else ""
        lines.append(f"saved @{saved.name}: {count}{live}, version {saved.number}")
    if answer.unseen:
        lines.append(f"NOT WATCHED: {unseen(answer)}")
    lines += [f"{own.sensor}: {own.text}" for own in verdicts(answer)]
    return [*lines, *(line for line in (nobody(answer), *answer.notes) if line)]


def brief(answer: Answered, most: int = 1000) -> str:
    """The same of its sensors alone, in a line of at most so many characters."""
    parts = [f"NOT WATCHED: {unseen(answer)}"] if answer.unseen else []
    parts += [f"{own.sensor}: {own.text}" for own in verdicts(answer)]
    line = "; ".join(parts) or nobody(answer)
    return line if len(line) <= most else f"{line[: most - 3]}..."


def counted(answer: Answer, total: int | None = None) -> str:
    """ "6 observations of 5 conversations at 2 sensors", and whether more match."""
    count = answer.total if total is None else total
    if answer.observations:
        once = f"{count:,} conversation{'s' * (count != 1)} in {answer.observations:,} observations"
        at = f" at {answer.observers} sensors" if answer.observers > 1 else ""
        # Cut off by the conversations it may list, or by the observations that can be told apart.
        bound = answer.limit if count >= answer.limit else answer.observations
        return f"{once}{at}" + (f", truncated at {bound:,}: more match" if answer.truncated else "")
    text = f"{count:,} session{'s' * (count != 1)}"
    if answer.observers > 1:
        what = f" of {answer.conversations:,} conversations" if answer.conversations else ""
        text = f"{count:,} observations{what} at {answer.observers} sensors"
    return text + (f", truncated at {answer.limit:,}: more match" if answer.truncated else "")


def counted_table(answer: TableAnswer) -> str:
    """ "12 rows of 4,096 sessions", and whether there are more."""
    text = (
        f"{answer.total:,} row{'s' * (answer.total != 1)} of {answer.sessions:,} session{'s' * (answer.sessions != 1)}"
    )
    if answer.groups > answer.total:
        text += f" in {answer.groups:,} groups"
    return text + (f", truncated at {answer.limit:,}: there are more" if answer.truncated else "")


def _span(start: int, end: int) -> str:
    first, last = time_text(start), time_text(end)
    day, _, clock = last.partition(" ")
    return f"{first} to {clock if first.partition(' ')[0] == day else last}"
