"""Counts over time, gaps in it, and the most frequent values: of every session once, none left out."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.fake_link import SECOND, SENSORS, START, answer_to, covered, sessions
from helpers.query_strategies import SENSORS as NUMBERS
from helpers.query_strategies import sessions as any_sessions
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_client.state import timeline
from afterfact_client.state.querytext import within
from afterfact_client.state.timeline import MOST_STEPS, STACKS, By
from afterfact_protocol.messages import SensorCoverage
from afterfact_protocol.query import parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.records import Records
from afterfact_protocol.session import Outcome

HOUR = 3600 * SECOND


@pytest.mark.parametrize("by", STACKS)
def test_every_session_is_counted_once_where_it_began(by: By) -> None:
    rows = sessions(500)
    found = timeline.counted(rows, SENSORS, by, answer_to(rows))
    assert found is not None and found.counts.sum() == 500 and found.steps <= MOST_STEPS + 1
    assert found.start <= START - 499 * SECOND and found.end > START
    for at in range(found.steps):
        first, end = found.span(at, at)
        inside = (rows["start_time"] >= first) & (rows["start_time"] < end)
        assert found.counts[:, at].sum() == inside.sum()


def test_the_groups_are_told_apart() -> None:
    rows = sessions(70)
    rows["dst_port"] = np.arange(70) % 10
    rows["absent"] = 0
    counts = {by: timeline.counted(rows, SENSORS, by, answer_to(rows)) for by in STACKS}
    told = {by: dict(zip(found.groups, found.counts.sum(axis=1).tolist(), strict=True))
            for by, found in counts.items() if found is not None}  # fmt: skip
    assert told["outcome"] == {outcome.name.lower(): 10 for outcome in Outcome}
    assert told["sensor"] == {"border": 35, "inside": 35, "others": 0}
    assert told["port"] == {**{f"port {port}": 7 for port in range(6)}, "others": 28}
    assert told["proto"] == {"tcp": 63, "icmp": 7, "others": 0}


@given(any_sessions(most=6), st.sampled_from(STACKS))
@settings(max_examples=20, deadline=None)
def test_any_result_adds_up(rows: Records, by: By) -> None:
    names = {number: name for name, number in NUMBERS.items()}
    found = timeline.counted(rows, names, by, answer_to(rows))
    assert found is not None and found.counts.sum() == len(rows) and found.steps <= MOST_STEPS + 1
    for name in timeline.TOPS:
        for top in timeline.tops(rows, names, name, 5)[0]:
            query = parse(f"WHERE {top.condition}", datetime(2026, 1, 2, tzinfo=UTC))
            assert matches(query.where, rows, NUMBERS).sum() == top.count


def test_the_span_searched_shows_unless_the_result_fills_little_of_it() -> None:
    rows = sessions(100)
    span = {"span_start": START - HOUR, "span_end": START + HOUR}
    wide = timeline.counted(rows, SENSORS, "outcome", answer_to(rows, **span))
    assert wide is not None and wide.start > START - HOUR, "99 s of two hours: over its own time"
    rows["start_time"][50:] -= HOUR // 2
    wide = timeline.counted(rows, SENSORS, "outcome", answer_to(rows, **span))
    assert wide is not None and wide.start <= START - HOUR and wide.end >= START + HOUR


def test_gaps_are_those_within_it() -> None:
    rows = sessions(100)
    late = covered("late")
    late = SensorCoverage("late", START - 20 * SECOND, late.last, (), 0, 0, 0, 0)
    never = SensorCoverage("never", 0, 0, (), 0, 0, 0, 0)
    gap = (START - 1000 * SECOND, START - 90 * SECOND)
    answer = answer_to(rows, coverage=(covered("border", gap), late, never), span_start=START - 99 * SECOND)
    found = timeline.counted(rows, SENSORS, "outcome", answer)
    assert found is not None and found.start == START - 99 * SECOND
    assert [(gap.sensor, gap.start, gap.end) for gap in timeline.gaps(answer, found)] == [
        ("border", found.start, START - 90 * SECOND),
        ("late", found.start, START - 20 * SECOND),
        ("never", found.start, found.end),
    ]


def test_zooming_keeps_the_rest_of_the_query() -> None:
    text = within("WHERE start_time > '2004-07-20' AND port = 1034 LIMIT 500", START, START + HOUR)
    assert text == (
        "WHERE port = 1034 AND start_time >= '2004-07-26 17:37:49' AND start_time < '2004-07-26 18:37:49' LIMIT 500"
    )
    assert within("", START, START + SECOND).startswith("WHERE start_time >= ")
