"""Columns: every field can be shown, what is absent shows as absent, and a value's condition finds that value."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers import fake_link
from helpers.query_strategies import SENSORS as NUMBERS
from helpers.query_strategies import sessions
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_client.state import columns, formats
from afterfact_client.state.columns import BY_NAME, DEFAULT, order, shown
from afterfact_protocol.communityid import digests
from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.query.operators import OPERATORS
from afterfact_protocol.session import FIELDS, ROW, absent_bits

NAMES = {number: name for name, number in NUMBERS.items()}
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_every_field_is_a_column() -> None:
    assert {field.name for field in FIELDS} <= set(BY_NAME)
    assert set(DEFAULT) <= set(BY_NAME)


def test_the_sweep_reads_as_an_analyst_expects() -> None:
    row = np.zeros(1, ROW)
    row["start_time"] = fake_link.START
    row["end_time"] = fake_link.START + 47_991_000
    row["sensor"], row["session_id"], row["proto"] = 1, 0x91CC209C00000001, 6
    row["src_ip"] = np.frombuffer(fake_link.mapped(1, 2, 3, 4), "V16")
    row["dst_ip"] = np.frombuffer(fake_link.mapped(15, 136, 19, 27), "V16")
    row["src_port"], row["dst_port"], row["src_pkts"], row["src_bytes"] = 47076, 1034, 6, 1_234_567
    row["src_flags"], row["dst_flags"], row["outcome"] = 2, 0, 1
    shown = {name: BY_NAME[name].texts(row, {1: "border"})[0] for name in DEFAULT}
    assert shown == {
        "sensor": "border",
        "session_id": "91cc209c",
        "start_time": "2004-07-26 17:37:49.000",
        "end_time": "17:38:36.991",
        "src_ip": "1.2.3.4",
        "src_port": "47076",
        "dst_ip": "15.136.19.27",
        "dst_port": "1034",
        "proto": "tcp",
        "outcome": "attempted",
        "src_pkts": "6",
        "src_bytes": "1,234,567",
        "dst_pkts": "0",
        "dst_bytes": "0",
        "duration": "47.991",
        "src_flags": ".S....",
        "dst_flags": "......",
    }


def test_an_end_on_another_day_says_how_many_days_later() -> None:
    row = np.zeros(1, ROW)
    row["start_time"] = fake_link.START
    row["end_time"] = fake_link.START + 8 * 3600 * 1_000_000
    assert BY_NAME["end_time"].texts(row, {}) == ["+1d 01:37:49.000"]


I64 = [-(2**63), -(2**63) + 1, -1, 0, 2**63 - 1]


def test_any_time_reads() -> None:
    """In the table, copied, and as a condition, which the language refuses where it cannot say the time."""
    shown = ["-290308-12-21 19:59:05.224", "-290308-12-21 19:59:05.224", "1969-12-31 23:59:59.999",
             "1970-01-01 00:00:00.000", "294247-01-10 04:00:54.775"]  # fmt: skip
    rows = np.zeros(len(I64), ROW)
    rows["start_time"] = I64
    assert columns.times(rows["start_time"]) == BY_NAME["start_time"].texts(rows, {}) == shown
    assert [text[:10] for text in BY_NAME["start_time"].exact(rows, {})][2:] == [
        "1969-12-31",
        "1970-01-01",
        "294247-01-",
    ]
    rows["end_time"], rows["start_time"] = rows["start_time"], 0
    assert [text and text.rpartition(" ")[2] for text in BY_NAME["end_time"].texts(rows, {})] == [
        text.rpartition(" ")[2] for text in shown
    ]
    assert BY_NAME["end_time"].condition(rows[4], {}) == "end_time = '294247-01-10 04:00:54.775'"
    with pytest.raises(QueryError):
        parse("end_time = '294247-01-10 04:00:54.775'", NOW)


def test_control_characters_are_shown_as_such() -> None:
    rows = np.zeros(1, ROW)
    rows["history"], rows["sensor"] = b"S\x1b[2J", 1
    assert BY_NAME["history"].texts(rows, {}) == ["S\\x1b[2J"]
    assert BY_NAME["sensor"].texts(rows, {1: "a\nb"}) == ["a\\nb"]


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0.000"),
        (1_234, "0.001"),
        (59_999_000, "59.999"),
        (3_599_999_000, "3599.999"),
        (3_600_000_000, "1:00:00"),
        (86_399_000_000, "23:59:59"),
        (86_400_000_000, "1d 00:00:00"),
        (90 * 86_400_000_000 + 3_723_000_000, "90d 01:02:03"),
    ],
)
def test_durations(us: int, text: str) -> None:
    assert columns.duration(us) == text


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0, "......"),
        (2, ".S...."),
        (1 | 2 | 8 | 16, "FS.PA."),
        (4, "..R..."),
        (2 | 64 | 128, ".S....EC"),
        (255, "FSRPAUEC"),
    ],
)
def test_flags_have_their_places(bits: int, text: str) -> None:
    assert columns.tcp_flags(bits) == text


@settings(max_examples=60, deadline=None)
@given(sessions(6))
def test_absent_is_never_a_value(rows: np.ndarray) -> None:
    for column in BY_NAME.values():
        shown = column.texts(rows, NAMES)
        exact = column.exact(rows, NAMES)
        gone = column.absent(rows).tolist()
        assert [text is None for text in shown] == gone
        assert all(text == "" for text, absent in zip(exact, gone, strict=True) if absent)


@settings(max_examples=120, deadline=None)
@given(sessions(6), st.sampled_from(sorted(BY_NAME)))
def test_a_cells_condition_finds_its_row(rows: np.ndarray, name: str) -> None:
    """What "add to the query" adds is true of the very row it came from, and NULL or false where the cell differs."""
    column = BY_NAME[name]
    if name.startswith("total_"):
        for side in column.fields:
            rows[side] %= 2**63  # no session has more than 2**64 bytes; the language adds without bound
    for at in range(len(rows)):
        condition = column.condition(rows[at], NAMES)
        found = matches(parse(f"WHERE {condition}", NOW).where, rows, NUMBERS)
        assert found[at], condition
        exact = column.exact(rows, NAMES)
        assert [exact[other] == exact[at] for other in np.flatnonzero(found)] == [True] * int(found.sum()), condition


@settings(max_examples=60, deadline=None)
@given(sessions(6), st.sampled_from(sorted(BY_NAME)), st.booleans())
def test_order_is_stable_and_absent_comes_last(rows: np.ndarray, name: str, descending: bool) -> None:
    column = BY_NAME[name]
    found = order(column, descending, rows, NAMES).tolist()
    assert sorted(found) == list(range(len(rows)))
    gone = column.absent(rows)
    known = [at for at in found if not gone[at]]
    assert found == known + [at for at in range(len(rows)) if gone[at]]

    def value(at: int) -> object:
        if column.type.value in ("address", "bytes"):
            return bytes(rows[name][at])
        if column.type.value == "sensor":
            return NAMES[int(rows[name][at])]
        if column.type.value == "community id":  # computed, and by its digest, whose base64 has another order
            return digests(rows)[at]
        return rows[name][at] if column.type.value == "text" else int(column.numbers(rows)[at])

    # sorted() keeps equal ones in order with reverse=True too.
    assert known == sorted(sorted(known), key=value, reverse=descending)  # type: ignore[type-var]


def test_order_by_is_known_to_the_language() -> None:
    assert "ORDER BY" in OPERATORS
    for name in BY_NAME:
        assert parse(f"ORDER BY {name}", NOW).order


def test_other_forms_of_values() -> None:
    rows = fake_link.sessions(2)
    rows["dst_port"], rows["src_bytes"] = [443, 25], [999, 1_234_567]
    rows["absent"][1] = absent_bits("src_bytes")
    start, end, port, size = shown(
        ["start_time", "end_time", "dst_port", "src_bytes"],
        {"start_time": "clock", "end_time": "full", "dst_port": "named", "src_bytes": "short"},
    )
    assert start.texts(rows, {}) == ["17:37:49.000", "17:37:48.000"]
    assert end.texts(rows, {})[0] == "2004-07-26 17:37:49.000"
    assert port.texts(rows, {}) == ["443 https", "25 smtp"] and port.exact(rows, {}) == ["443", "25"]
    assert size.texts(rows, {}) == ["999 B", None], "what is not known is not known in any form"
    told = [formats.short(value) for value in (1000, 9_949, 9_950, 999_499, 999_500, 1_500_000, 2**64 - 1)]
    assert told == ["1.0 KB", "9.9 KB", "10 KB", "999 KB", "1.0 MB", "1.5 MB", "18,447 PB"]
