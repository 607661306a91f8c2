"""The query for a table of all that matches, and the timeline that the table gives."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.fake_link import SECOND, SENSORS, answer_to, counts_of, sessions

from afterfact_client.state import counting, timeline
from afterfact_client.state.counting import MOST, question, step_for
from afterfact_client.state.table import Table
from afterfact_client.state.timeline import STACKS, By
from afterfact_protocol.query import QueryError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", "| count BY outcome EVERY 1h"),
        ("port = 1034 ORDER BY src_bytes DESC LIMIT 500", "WHERE port = 1034 | count BY outcome EVERY 1h"),
        ("port = 1 ONCE LIMIT 9", "WHERE port = 1 ONCE | count BY outcome EVERY 1h"),
        ("port = 1 EXCLUDING none", "WHERE port = 1 EXCLUDING NONE | count BY outcome EVERY 1h"),
        ("(port = 1) UNION (port = 2) LIMIT 3", "WHERE port = 1 OR port = 2 | count BY outcome EVERY 1h"),
        ("port = 1 | save @found src_ip", "WHERE port = 1 | count BY outcome EVERY 1h"),
        (
            "start_time > now - 1h",
            "WHERE start_time > '2026-01-01 23:00:00' | count BY outcome EVERY 1h",
        ),
    ],
)
def test_what_is_asked_is_of_all_that_match(text: str, asked: str) -> None:
    assert question(text, NOW, "outcome", HOUR) == asked


def test_groups_that_may_be_many_are_bounded() -> None:
    assert question("proto = 6", NOW, "port", 600 * SECOND).endswith("| count BY dst_port EVERY 10m TOP 6")
    with pytest.raises(QueryError):
        question("port =", NOW, "port", HOUR)


def test_steps_are_round_and_fit() -> None:
    for length in (0, 1, 60 * SECOND, HOUR, 24 * HOUR, 36 * HOUR, 720 * HOUR, 9000 * HOUR, 900_000 * HOUR):
        step = step_for(length)
        assert length <= step * MOST and question("", NOW, "outcome", step)
    assert (step_for(24 * HOUR), step_for(0), step_for(50_000 * HOUR)) == (HOUR // 6, SECOND, 14 * 24 * HOUR)


@pytest.mark.parametrize("by", STACKS)
def test_it_is_the_timeline_of_the_rows_themselves(by: By) -> None:
    rows = sessions(900)
    answer = answer_to(rows)
    step = 5 * SECOND
    table = Table(*counts_of(rows, question("", NOW, by, step), 1))
    over = counting.extent(table, step, (answer.span_start, answer.span_end))
    assert over[0] == answer.span_start and answer.span_end <= over[1] < answer.span_end + step
    made = counting.timeline_of(table, by, step, over)
    own = timeline.counted(rows, SENSORS, by, answer)
    assert own is not None and made.groups == own.groups
    assert made.counts.sum(axis=1).tolist() == own.counts.sum(axis=1).tolist()
    for at in np.flatnonzero(made.counts.any(axis=0)).tolist():
        first, end = made.span(at, at)
        assert made.counts[:, at].sum() == ((rows["start_time"] >= first) & (rows["start_time"] < end)).sum()
