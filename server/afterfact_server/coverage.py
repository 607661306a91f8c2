"""What the sensors that should have seen what a query asks about watched in its span, and what they missed. Never an
average over sensors. Which sensors these are is watching.py's."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import MAX_LATE, MAX_SENSORS_TOLD, MAX_UNSEEN, Gap, Late, SensorCoverage
from afterfact_protocol.query.nodes import Expr
from afterfact_protocol.statustext import time_text
from afterfact_server.health import HealthBoard
from afterfact_server.networks import Configured
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.store.days import day_text
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.schema import MICROSECONDS_A_DAY
from afterfact_server.store.watched import JOIN, Stretch
from afterfact_server.watching import watch, written

MAX_GAPS = 64
"""Named of a sensor; fewer where many sensors share MAX_GAPS_TOLD."""
MAX_GAPS_TOLD = 4096
"""Named in all of an answer, which must fit into a message."""
MIN_GAPS = 3
ON_ITS_WAY = 15_000_000
"""A live sensor tells every ten seconds what it watched: what is younger than this is no gap, it has yet to come."""
MAX_DROPPED_TOLD = 3
"""Runs of dropped days that an answer names, the latest."""
MAX_LATE_TOLD = 2048
"""Late deliveries named in all of an answer."""


def gaps_between(intervals: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Parts of [start, end] that no interval covers, in order. Times in microseconds; intervals in any order."""
    gaps = []
    at = start
    for first, last in sorted(intervals):
        if last < at:
            continue
        if first > end:
            break
        if first - at > JOIN:
            gaps.append((at, first))
        at = max(at, last)
    if end - at > JOIN:
        gaps.append((at, end))
    return gaps


@dataclass(frozen=True, slots=True)
class Coverage:
    """What can be told of how completely an answer's span was watched; see messages.Answer."""

    sensors: tuple[SensorCoverage, ...]
    named: bool
    unseen: tuple[str, ...]
    more_unseen: int


def coverage(
    where: Expr | None,
    configured: Configured,
    sensors: Collection[EnrolledSensor],
    ledger: Ledger,
    health: HealthBoard,
    start: int,
    end: int,
    now: int,
) -> Coverage:
    """What each sensor that should have seen what a resolved condition asks about can know of [start, end]: gaps
    clipped to [its first data, now], losses, backlog, what came late. A span that begins after now is all gap.

    A sensor that was revoked counts as long as its data reach into the span, and is blind from then on. WireError for
    more sensors than an ANSWER holds.
    """
    bounds = ledger.watched.bounds()
    there = [
        sensor for sensor in sensors if sensor.revoked is None or bounds.get(sensor.number, (0, 0))[1] >= max(start, 1)
    ]
    # A sensor that the query names need not be there any more; its name is known all the same.
    watching = watch(where, configured, {sensor.name: sensor.number for sensor in sensors},
                     frozenset(sensor.number for sensor in there))  # fmt: skip
    asked = [sensor for sensor in there if sensor.number in watching.sensors]
    if len(asked) > MAX_SENSORS_TOLD:
        raise WireError(f"{len(asked)} sensors watched, one message tells of {MAX_SENSORS_TOLD}")
    most_gaps = max(MIN_GAPS, min(MAX_GAPS, MAX_GAPS_TOLD // max(1, len(asked))))
    most_late = max(1, min(MAX_LATE, MAX_LATE_TOLD // max(1, len(asked))))
    result = []
    for sensor in asked:
        first, last = bounds.get(sensor.number, (0, 0))
        in_time = ledger.watched.in_time(sensor.number, start, end)
        came_late = ledger.watched.late(sensor.number, start, end)
        gaps = _gaps(in_time, came_late, first, start, end, now) if first else []
        longest = sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:most_gaps])
        late = _late(in_time, came_late, start, min(end, now))
        latest = sorted(sorted(late, key=lambda one: one.delivered)[-most_late:], key=lambda one: one.start)
        result.append(
            SensorCoverage(
                sensor=sensor.name,
                first=first,
                last=last,
                gaps=tuple(Gap(*gap) for gap in longest),
                more_gaps=len(gaps) - len(longest),
                lost=ledger.watched.lost(sensor.number, start, end),
                quarantined=ledger.totals(sensor.number)[1],
                backlog_since=health.of(sensor.number).backlog_since,
                revoked=sensor.revoked is not None,
                late=tuple(latest),
                more_late=len(late) - len(latest),
            )
        )
    unseen, more = written(watching.unseen, MAX_UNSEEN)
    return Coverage(tuple(result), watching.named, unseen, more)


def covered_text(covered: Coverage, start: int, end: int) -> str:
    """A coverage in one line, to keep with what rests on it."""
    told = []
    for one in sorted(covered.sensors, key=lambda each: each.sensor):
        faults = [] if one.first else ["never delivered data"]
        if one.first and one.first > start:
            faults.append(f"first data {time_text(one.first)}")
        if gaps := len(one.gaps) + one.more_gaps:
            faults.append(f"{gaps:,} gap{'s' * (gaps != 1)}")
        if one.lost:
            faults.append(f"{one.lost:,} packets lost")
        if one.backlog_since:
            faults.append(f"batches wait since {time_text(one.backlog_since)}")
        told.append(f"{one.sensor} {', '.join(faults) or 'watched throughout'}")
    span = f"{time_text(start)} to {time_text(end)} UTC"
    return f"{span}: {'; '.join(told) or 'nobody watched'}"


def dropped_days(days: Sequence[int], first: int | None, end: int) -> str:
    """What of a query's span retention dropped, as a line; empty if nothing. `days` in order, since 1970-01-01; `first`
    is the query's own bound, None if it has none."""
    gone = [day for day in days if (first is None or (day + 1) * MICROSECONDS_A_DAY > first)
            and day * MICROSECONDS_A_DAY <= end]  # fmt: skip
    if not gone:
        return ""
    runs = [run.tolist() for run in np.split(gone, np.flatnonzero(np.diff(gone) > 1) + 1)]
    told = [day_text(run[0]) if len(run) == 1 else f"{day_text(run[0])} to {day_text(run[-1])}" for run in runs]
    listed = ", ".join(told[-MAX_DROPPED_TOLD:])
    more = f" and {len(told) - MAX_DROPPED_TOLD} times before" if len(told) > MAX_DROPPED_TOLD else ""
    return f"retention dropped the sessions of {listed}{more}: of them only pinned ones are searched"


def _gaps(in_time: Sequence[Stretch], late: Sequence[tuple[int, int, int]], first: int, start: int, end: int,
          now: int) -> list[tuple[int, int]]:  # fmt: skip
    """Gaps of a sensor whose first data are of `first`."""
    if start >= now:
        return [(start, max(start, end))]
    gaps = gaps_between([*in_time, *(one[:2] for one in late)], max(start, first), min(end, now))
    if gaps and gaps[-1][1] == now and now - gaps[-1][0] < ON_ITS_WAY:
        gaps.pop()
    return gaps


def _late(in_time: Sequence[Stretch], late: Sequence[tuple[int, int, int]], start: int, end: int) -> list[Late]:
    """What of [start, end] is known only by what came late."""
    return [
        Late(*part, delivered)
        for first, last, delivered in late
        for part in gaps_between(in_time, max(start, first), min(end, last))
    ]
