"""A result over time: how many sessions began in each step, stacked by what tells them apart; and its top values.

Counts come from arrays, a column at a time. What they are counts of (a whole result, or a part of one) is said by who
counts. Times are microseconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afterfact_client.state.columns import BY_NAME
from afterfact_protocol.coveragetext import Answered
from afterfact_protocol.messages import Answer
from afterfact_protocol.records import Records
from afterfact_protocol.session import Outcome

By = Literal["outcome", "sensor", "port", "proto"]
STACKS: Final[tuple[By, ...]] = get_args(By)
MOST_STEPS = 240
NARROW = 50
"""A result that fills less than one part in so many of the span searched is shown over its own span."""
MOST_GROUPS = 7
OTHERS = "others"

SECOND = 1_000_000
DAY = 86_400 * SECOND
_STEPS = (
    *(1_000 * n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(SECOND * n for n in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)),
    *(DAY * n for n in (1, 2, 7, 14, 28, 91, 364)),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a sensor that should have seen what was asked did not watch."""

    sensor: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """`counts` has a row for each of `groups` and a column for each step from `start` on."""

    start: int
    step: int
    groups: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    @property
    def steps(self) -> int:
        return int(self.counts.shape[1])

    @property
    def end(self) -> int:
        return self.start + self.steps * self.step

    @property
    def highest(self) -> int:
        """Of all the steps together, the most sessions in one."""
        return int(self.counts.sum(axis=0).max()) if self.counts.size else 0

    def span(self, first: int, last: int) -> tuple[int, int]:
        """From the beginning of one step to the end of another."""
        return self.start + first * self.step, self.start + (last + 1) * self.step


def step_of(length: int) -> int:
    """The shortest step, of those that people count in, that makes no more than MOST_STEPS of a length."""
    return next((step for step in _STEPS if length <= step * MOST_STEPS), -(-length // MOST_STEPS))


def step_for_ticks(length: int, most: int) -> int:
    """The shortest such step that makes no more than `most` of a length."""
    return next((step for step in _STEPS if length <= step * most), -(-length // most))


def counted(rows: Records, sensors: Mapping[int, str], by: By, answer: Answer) -> Timeline | None:
    """Sessions over the span that was searched, or over their own where that is a small part of it; None of none."""
    if not len(rows):
        return None
    times = rows["start_time"]
    first, last = int(times.min()), int(times.max())
    if answer.span_end > answer.span_start and last - first >= (answer.span_end - answer.span_start) // NARROW:
        first, last = min(first, answer.span_start), max(last, answer.span_end)
    step = step_of(max(last - first, 20 * _STEPS[0]))
    start = first // step * step
    steps = int((last - start) // step) + 1
    which, groups = _groups(rows, sensors, by)
    places = which * steps + (times - start) // step
    counts = np.bincount(places, minlength=len(groups) * steps).reshape(len(groups), steps)
    return Timeline(start, step, groups, counts)


def _groups(rows: Records, sensors: Mapping[int, str], by: By) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Which group each row is in, and what the groups are called. Outcomes keep their order and so their colours; of
    others the largest have groups of their own."""
    if by == "outcome":
        names = tuple(outcome.name.lower() for outcome in Outcome)
        return np.minimum(rows["outcome"], len(names) - 1).astype(np.int64), names
    column = BY_NAME["dst_port" if by == "port" else by]
    values, which, counts = np.unique(rows[column.name], return_inverse=True, return_counts=True)
    gone = column.absent(rows)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    some = rows[: len(values)].copy() if len(values) <= len(rows) else rows.copy()
    some[column.name], some["absent"] = values, 0
    texts = [text or "" for text in column.texts(some, sensors)]
    own = min(len(values), MOST_GROUPS - 1)
    names = tuple(f"port {texts[at]}" if by == "port" else texts[at] for at in order[:own])
    placed = np.where(gone | (rank[which] >= own), own, rank[which])
    return placed.astype(np.int64), (*names, "none, or others" if gone.any() else OTHERS)


def gaps(answer: Answered, timeline: Timeline) -> list[Gap]:
    """When which of the sensors that should have seen it did not watch, within a timeline."""
    found = []
    for own in answer.coverage:
        spans = [(gap.start, gap.end) for gap in own.gaps]
        if not own.first:
            spans.append((timeline.start, timeline.end))
        elif own.first > timeline.start:
            spans.append((timeline.start, own.first))
        clipped = ((max(start, timeline.start), min(end, timeline.end)) for start, end in spans)
        found += [Gap(own.sensor, start, end) for start, end in clipped if start < end]
    return found


@dataclass(frozen=True, slots=True)
class Top:
    """A value, how many sessions have it, and the condition that finds them."""

    text: str
    count: int
    condition: str


TOPS = ("src_ip", "dst_ip", "dst_port", "sensor")
"""Columns whose most frequent values are shown."""


def tops(rows: Records, sensors: Mapping[int, str], name: str, most: int) -> tuple[list[Top], int]:
    """The most frequent values of a column, and how many different ones there are. Absent values count as none."""
    column = BY_NAME[name]
    known = np.flatnonzero(~column.absent(rows))  # of whole rows it would copy 250 bytes each
    if not len(known):
        return [], 0
    values = np.ascontiguousarray(rows[name][known])
    if values.dtype.kind == "V":  # addresses: as text of fixed length they sort ten times as fast
        values = values.view("S16")
    _, firsts, counts = np.unique(values, return_index=True, return_counts=True)
    places = known[firsts]
    order = np.argsort(-counts, kind="stable")[:most]
    found = [
        Top(
            column.texts(rows[places[at] : places[at] + 1], sensors)[0] or "",
            int(counts[at]),
            column.condition(rows[places[at]], sensors),
        )
        for at in order
    ]
    return found, len(counts)
