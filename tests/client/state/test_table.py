"""Tables as the client has them: numbers of any size, NULL, order, text, and the query behind each row."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from afterfact_client.state.table import Table, rows_from_bytes
from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import TableAnswer, TableColumn
from afterfact_protocol.query import parse
from afterfact_protocol.query.columns import layout, table_columns
from afterfact_protocol.session import IPV4_PREFIX

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = 3_600_000_000
SENSORS = {1: "border", 2: "annex"}


def answer(text: str, total: int, **changes: Any) -> TableAnswer:
    query = parse(text, NOW)
    assert query.table is not None
    plain = TableAnswer(
        request=1, total=total, truncated=False, limit=100, columns=table_columns(query.table), sensors=SENSORS,
        reading="", span_start=0, span_end=1, query=str(query), sessions=9, groups=total, elapsed=1, coverage=(),
    )  # fmt: skip
    return replace(plain, **changes)


def table(text: str, *rows: tuple[Any, ...]) -> Table:
    """A table of these rows: nulls, other, and the columns' values; whole numbers of 128 bits as int."""
    told = answer(text, len(rows))
    made = np.zeros(len(rows), layout(told.columns))
    for at, row in enumerate(rows):
        for name, value, column in zip(made.dtype.names or (), row, (None, None, *told.columns), strict=True):
            if isinstance(value, str):
                value = np.frombuffer(IPV4_PREFIX + bytes(map(int, value.split("."))), "V16")[0]
            elif column is not None and column.type == "V16":
                value = np.frombuffer(int(value).to_bytes(16, "little", signed=True), "V16")[0]
            made[name][at] = value
    return Table(told, rows_from_bytes(told, made.tobytes()))


def test_numbers_of_any_size() -> None:
    small = table("| sum(src_bytes) as b", (0, 0, 2**64 - 1, 0))
    assert small.array("b").dtype == np.uint64 and small.array("b").tolist() == [2**64 - 1]
    large = table("| sum(src_bytes) as b by proto", (0, 0, 6, 2**64 + 5, 0), (0, 0, 17, 7, 3))
    assert large.array("b").tolist() == [2**64 + 5, 7]
    assert large.texts(1) == ["18,446,744,073,709,551,621", "7"]
    assert large.exact(1) == ["18446744073709551621", "7"]
    assert large.texts(0) == ["tcp", "udp"] and large.exact(0) == ["6", "17"]
    assert [large.columns[at].name for at in large.shown()] == ["proto", "b", "unknown(src_bytes)"]
    assert [small.columns[at].name for at in small.shown()] == ["b"]


def test_null_is_no_number() -> None:
    made = table("| avg(src_bytes) as a, first, max(duration) by dst_port",
                 (0, 0, 80, 1.5, HOUR, 90_000_000, 0), (0b1110, 0, 443, 0.0, 0, 0, 2),
                 (1, 0, 0, 2.0, 1, 1, 0))  # fmt: skip
    assert made.null(1).tolist() == [False, True, False]
    assert np.isnan(made.array("a")).tolist() == [False, True, False]
    assert np.isnat(made.array("first")).tolist() == [False, True, False]
    assert made.array("max(duration)")[0] == np.timedelta64(90, "s") and np.isnat(made.array("max(duration)")[1])
    assert made.texts(1) == ["1.5", None, "2.0"] and made.exact(1) == ["1.5", "", "2.0"]
    assert made.exact(2) == ["1970-01-01T01:00:00.000000Z", "", "1970-01-01T00:00:00.000001Z"]
    assert made.exact(3) == ["90.000000", "", "0.000001"]
    assert made.texts(0) == ["80", "443", None] and made.exact(0) == ["80", "443", ""]


def test_order_has_null_and_the_rest_last() -> None:
    made = table("| sum(src_bytes) as b by sensor top 3",
                 (0, 0, 1, 5, 0), (2, 0, 2, 0, 0), (0, 0, 2, 2**70, 0), (1, 1, 0, 2**80, 0))  # fmt: skip
    assert made.order(1, True).tolist() == [2, 0, 1, 3]
    assert made.order(1, False).tolist() == [0, 2, 1, 3]
    assert made.order(0, False).tolist() == [1, 2, 0, 3]  # annex, annex, border
    assert made.texts(0) == ["border", "annex", "annex", "other"]
    assert made.csv([0, 1]) == f"sensor,b\nborder,5\nannex,\nannex,{2**70}\nother,{2**80}\n"


@pytest.mark.parametrize(
    ("text", "rows", "behind"),
    [
        (
            "established | count by src_ip, dst_port every 1h",
            [(0, 0, 2 * HOUR, "10.0.0.1", 80, 3), (4, 0, 0, "10.0.0.2", 0, 3)],
            ["WHERE established AND src_ip = 10.0.0.1 AND dst_port = 80 AND start_time >= '1970-01-01 02:00:00' AND "
             "start_time < '1970-01-01 03:00:00'",
             "WHERE established AND src_ip = 10.0.0.2 AND dst_port IS NULL AND start_time >= '1970-01-01 00:00:00' AND "
             "start_time < '1970-01-01 01:00:00'"],
        ),
        ("failed or open once | count", [(0, 0, 3)], ["WHERE failed OR open ONCE"]),
        ("failed or open | count by sensor", [(0, 0, 2, 3)], ["WHERE (failed OR open) AND sensor = 'annex'"]),
        ("ip = 1.2.3.4 | count by other_ip", [(0, 0, "5.6.7.8", 1)], ["WHERE ip = 1.2.3.4 AND other_ip = 5.6.7.8"]),
        ("| count by dst_port top 1", [(0, 0, 80, 9), (1, 1, 0, 3)],
         ["WHERE dst_port = 80", "WHERE dst_port NOT IN (80) OR dst_port IS NULL"]),
        ("| count by src_ip top 1", [(0, 0, "10.0.0.1", 9), (1, 1, "0.0.0.0", 3)],
         ["WHERE src_ip = 10.0.0.1", "WHERE src_ip NOT IN (10.0.0.1)"]),
        ("| count by dst_port having count > 1 top 1", [(0, 0, 80, 9), (1, 1, 0, 3)], ["WHERE dst_port = 80", None]),
        ("| count by dst_port, proto top 1", [(0, 0, 80, 6, 9), (3, 1, 0, 0, 3)],
         ["WHERE dst_port = 80 AND proto = tcp", None]),
        ("| count by vlan top 1", [(1, 0, 0, 9), (1, 1, 0, 3)], ["WHERE vlan IS NULL", "WHERE vlan IS NOT NULL"]),
    ],
)  # fmt: skip
def test_the_query_behind_a_row(text: str, rows: list[tuple[Any, ...]], behind: list[str | None]) -> None:
    made = table(text, *rows)
    assert [made.behind(row) for row in range(len(rows))] == behind
    for found in behind:
        assert found is None or str(parse(found, NOW)) == found


def test_what_no_server_sends_is_refused() -> None:
    with pytest.raises(WireError, match="no whole number of rows"):
        rows_from_bytes(answer("| count", 1), b"12345")
    odd = TableColumn("x", "O", "number", "measure")
    with pytest.raises(WireError, match="unknown type 'O'"):
        rows_from_bytes(answer("| count", 1, columns=(odd,)), b"")
    with pytest.raises(KeyError):
        table("| count", (0, 0, 1)).array("nobody")
