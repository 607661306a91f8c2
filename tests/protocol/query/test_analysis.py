"""What is told of a query without data."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.query_strategies import NAMED, SENSORS, expressions, sessions
from hypothesis import HealthCheck, given, settings

from afterfact_protocol.query import Query, parse
from afterfact_protocol.query.analysis import span
from afterfact_protocol.query.match import Rows, matches
from afterfact_protocol.query.nodes import Expr

NOW = datetime(2026, 1, 2, tzinfo=UTC)
T = 1_090_281_600_000_000
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "fields", "growing"),
    [
        ("", set(), False),
        ("port = 80 AND sensor = 'x' AND vlan IS NULL", {"src_port", "dst_port", "sensor", "vlan"}, False),
        ("endpoint = '1.2.3.4:80' OR icmp_type = 8", {"src_ip", "dst_ip", "src_port", "dst_port", "icmp_type"}, False),
        ("established", {"outcome"}, True),
        ("open", {"end_reason"}, True),
        ("duration > 5", {"start_time", "end_time"}, True),
        ("NOT total_bytes > 5", {"src_bytes", "dst_bytes"}, True),
        ("src_flags & 2 = 2", {"src_flags"}, True),
        ("port = 80 ORDER BY src_port", {"src_port", "dst_port"}, False),
        ("port = 80 ORDER BY src_bytes", {"src_port", "dst_port", "src_bytes"}, True),
        ("ORDER BY duration", {"start_time", "end_time"}, True),
    ],
)
def test_fields_and_whether_they_grow(text: str, fields: set[str], growing: bool) -> None:
    query = parse(text, NOW)
    assert query.fields == fields
    assert query.needs_growing is growing


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("", None, None),
        ("port = 80", None, None),
        ("start_time > '2004-07-20'", T + 1, None),
        ("start_time >= '2004-07-20' AND port = 80 AND start_time < '2004-07-21'", T, T + DAY - 1),
        ("start_time <= '2004-07-20'", None, T),
        ("start_time = '2004-07-20'", T, T),
        ("start_time != '2004-07-20'", None, None),
        ("NOT start_time != '2004-07-20'", T, T),
        ("start_time IN ('2004-07-21', '2004-07-20')", T, T + DAY),
        ("start_time BETWEEN '2004-07-20' AND '2004-07-21'", T, T + DAY),
        ("NOT start_time BETWEEN '2004-07-20' AND '2004-07-21'", None, None),
        ("NOT (start_time < '2004-07-20' OR start_time > '2004-07-21')", T, T + DAY),
        ("start_time > '2004-07-20' OR port = 80", None, None),
        ("start_time = '2004-07-20' UNION start_time = '2004-07-21'", T, T + DAY),
        ("(start_time > '2004-07-20' AND port = 1) OR start_time > '2004-07-21'", T + 1, None),
        ("start_time > '2004-07-20' AND start_time > '2004-07-19'", T + 1, None),
        ("end_time < '2004-07-20'", None, None),
        ("DURING '2004-07-20'", T, T + DAY - 1),
        ("DURING '2004-07-20' .. now AND start_time < '2004-07-21'", T, T + DAY - 1),
        ("NOT DURING '2004-07-20'", None, None),
        ("start_time > src_bytes * 1s + '2004-07-20'", None, None),
    ],
)
def test_span(text: str, first: int | None, last: int | None) -> None:
    assert parse(text, NOW).span == (first, last)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=100)
@given(expressions(), sessions())
def test_no_session_outside_the_span_matches(where: Expr, rows: Rows) -> None:
    first, last = span(where)
    found = rows[matches(where, rows, SENSORS, NAMED)]
    # Who was there during the span may have begun before it.
    reached = found["end_time" if "DURING" in str(Query(where)) else "start_time"]
    assert first is None or np.all(reached >= first)
    assert last is None or np.all(found["start_time"] <= last)
