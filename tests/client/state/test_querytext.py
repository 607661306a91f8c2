"""Surgery on queries keeps the analyst's words and means what it says."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.case import WORM
from helpers.query_strategies import NAMED, SENSORS, expressions, queries, sessions
from hypothesis import given, settings

from afterfact_client.state import querytext
from afterfact_protocol.query import Query, QueryError, parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.query.nodes import Expr

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "refined"),
    [
        ("", "WHERE proto = tcp"),
        ("LIMIT 5", "WHERE proto = tcp LIMIT 5"),
        ("port = 80", "WHERE port = 80 AND proto = tcp"),
        ("WHERE port = 80 OR port = 81 LIMIT 3", "WHERE (port = 80 OR port = 81) AND proto = tcp LIMIT 3"),
        ("WHERE NOT established ORDER BY src_bytes", "WHERE NOT established AND proto = tcp ORDER BY src_bytes"),
        (
            "(WHERE src_ip = 10.1.2.3) UNION (WHERE dst_ip = 10.1.2.3) LIMIT 9",
            "WHERE ((src_ip = 10.1.2.3) OR (dst_ip = 10.1.2.3)) AND proto = tcp LIMIT 9",
        ),
    ],
)
def test_refined(text: str, refined: str) -> None:
    assert querytext.refined(text, "proto = tcp") == refined


def test_the_worm_query_keeps_its_words() -> None:
    refined = querytext.refined(WORM, "dst_port = 1034", negated=True)
    body = WORM.rpartition("\n")[0]
    assert refined == f"{body} AND NOT dst_port = 1034 LIMIT 500"
    assert querytext.ordered(WORM, [("src_bytes", True)]) == f"{body} ORDER BY src_bytes DESC LIMIT 500"
    assert querytext.time_terms(WORM) == ["sessions.start_time > '2004-07-20'"]
    assert querytext.title(WORM) == "port = 1034, port != 80, po…"


@settings(max_examples=80, deadline=None)
@given(queries(), expressions(), sessions(6))
def test_refined_finds_what_meets_both(query: Query, further: Expr, rows: np.ndarray) -> None:
    text, condition = str(query), f"({str(Query(further)).removeprefix('WHERE ')})"
    both = matches(query.where, rows, SENSORS, NAMED) & matches(further, rows, SENSORS, NAMED)
    found = parse(querytext.refined(text, condition), NOW)
    assert np.array_equal(matches(found.where, rows, SENSORS, NAMED), both)
    assert (found.order, found.limit) == (query.order, query.limit)


@settings(max_examples=80, deadline=None)
@given(queries())
def test_ordered_changes_the_order_alone(query: Query) -> None:
    found = parse(querytext.ordered(str(query), [("duration", True)]), NOW)
    assert (found.where, found.limit) == (query.where, query.limit)
    assert [(key.operand.name, key.descending) for key in found.order] == [("duration", True)]


@settings(max_examples=80, deadline=None)
@given(queries(), sessions(6))
def test_time_terms_hold_for_every_row_found(query: Query, rows: np.ndarray) -> None:
    text = str(query)
    found = matches(query.where, rows, SENSORS, NAMED)
    for term in querytext.time_terms(text, NOW):
        assert matches(parse(f"WHERE {term}", NOW).where, rows, SENSORS, NAMED)[found].all()
    wider = parse(querytext.without_times(text, NOW), NOW)
    assert matches(wider.where, rows, SENSORS, NAMED)[found].all()
    assert querytext.time_terms(str(wider), NOW) == []


@pytest.mark.parametrize("text", ["WHERE", "port = ", "port = 80; DROP TABLE x"])
def test_a_text_that_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        querytext.refined(text, "proto = tcp")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", "new query"),
        ("   ", "new query"),
        ("LIMIT 500", "all sessions"),
        ("WHERE start_time > YESTERDAY", "start_time > YESTERDAY"),
        ("WHERE start_time > YESTERDAY AND src_ip = 10.0.0.1", "src_ip = 10.0.0.1"),
        ("src_port = 80 OR dst_port = 80", "port = 80"),
        ("port = ", "port ="),
        ("WHERE src_ip = 2001:db8:1:2:3:4:5:6 AND established", "src_ip = 2001:db8:1:2:3:4:5…"),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert querytext.title(text) == title


@pytest.mark.parametrize(
    ("text", "condition", "timed"),
    [
        ("", "LAST 1h", "WHERE LAST 1h"),
        ("", "", ""),
        (
            "WHERE port=80 and LAST 2h  and established limit 5", "LAST 1h",
            "WHERE port=80 and LAST 1h  and established limit 5",
        ),
        ("WHERE start_time > 2004-07-20 AND port = 80", "DURING YESTERDAY", "WHERE DURING YESTERDAY AND port = 80"),
        (
            "start_time > 2004-07-20 AND start_time < 2004-07-21 AND port = 80 EXCLUDING NONE", "LAST 1h",
            "WHERE port = 80 AND LAST 1h EXCLUDING NONE",
        ),
        ("WHERE LAST 1h AND port = 80", "", "WHERE port = 80"),
        ("port = 80 OR LAST 1h", "LAST 2h", "WHERE (port = 80 OR LAST 1h) AND LAST 2h"),
        ("LAST 1h | count BY src_ip", "LAST 2h", "LAST 2h | count BY src_ip"),
    ],
)  # fmt: skip
def test_another_time(text: str, condition: str, timed: str) -> None:
    assert querytext.timed(text, condition) == timed


def test_the_time_between() -> None:
    assert querytext.times_between("during 2004-07-26 AND port = 1") == (
        "2004-07-26 00:00:00", "2004-07-26 23:59:59.999999",
    )  # fmt: skip
    assert querytext.times_between("port = 1") == querytext.times_between("port = ") == ("", "")
    typed = ["2004-07-26 17:37", "now - 2h", "2004-07-26", "  "]
    assert [querytext.as_time(one) for one in typed] == ["'2004-07-26 17:37'", "now - 2h", "2004-07-26", ""]
