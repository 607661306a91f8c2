"""What an answer's coverage says, in words: the same in the console and on the command line. No Qt."""

from dataclasses import dataclass

from afterfact_protocol.messages import Answer, SensorCoverage
from afterfact_protocol.statustext import time_text

SHOWN_GAPS = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sensor's coverage of the span asked for."""

    sensor: str
    complete: bool
    """Whether it watched throughout, lost nothing, and nothing waits to be delivered."""
    text: str


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
    return Verdict(own.sensor, not faults, "; ".join(faults) or "watched throughout")


def verdicts(answer: Answer) -> list[Verdict]:
    """Every sensor that should have seen what was asked, by name."""
    found = [verdict(own, answer.span_start, answer.span_end) for own in answer.coverage]
    return sorted(found, key=lambda item: item.sensor)


def complete(answer: Answer) -> bool:
    """Whether the answer rests on everything: some sensor watches, and each did throughout."""
    found = verdicts(answer)
    return bool(found) and all(item.complete for item in found)


def counted(answer: Answer, total: int | None = None) -> str:
    """ "6 observations of 5 conversations at 2 sensors", and whether more match."""
    count = answer.total if total is None else total
    text = f"{count:,} session{'s' * (count != 1)}"
    if answer.observers > 1:
        what = f" of {answer.conversations:,} conversations" if answer.conversations else ""
        text = f"{count:,} observations{what} at {answer.observers} sensors"
    return text + (f", truncated at {answer.limit:,}: more match" if answer.truncated else "")


def _span(start: int, end: int) -> str:
    first, last = time_text(start), time_text(end)
    day, _, clock = last.partition(" ")
    return f"{first} to {clock if first.partition(' ')[0] == day else last}"
