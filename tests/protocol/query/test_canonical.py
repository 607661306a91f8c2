"""The standard spelling of any query parses to that query."""

from datetime import UTC, datetime

import pytest
from helpers.query_strategies import queries
from hypothesis import HealthCheck, given, settings

from afterfact_protocol.query import Query, parse
from afterfact_protocol.query.canonical import duration, instant


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(queries(history=True, sets=True))
def test_standard_spelling_parses_to_the_same_query(query: Query) -> None:
    assert parse(str(query), datetime(2026, 1, 2, tzinfo=UTC)) == query


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "1970-01-01 00:00:00"),
        (-1, "1969-12-31 23:59:59.999999"),
        (1_090_863_469_500_000, "2004-07-26 17:37:49.5"),
        (-2_208_988_800_000_000, "1900-01-01 00:00:00"),
    ],
)
def test_instants(us: int, text: str) -> None:
    assert instant(us) == text


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0s"), (1, "1us"), (1500, "1500us"), (90_000_000, "90s"), (28_800_000_000, "8h")]
)
def test_durations(us: int, text: str) -> None:
    assert duration(us) == text
