"""Tables that the store makes are what the language says, for random sessions and random stages over all of it.

Queries go in as text; sessions lie in the store in several revisions, at several sensors, with fields their sources did
not know. The oracle shares no code with what it judges.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import clickhouse_connect
import numpy as np
import numpy.typing as npt
import pytest
from clickhouse_connect.driver.client import Client
from helpers.oracle import Oracle
from helpers.query_strategies import NAMED, SENSORS
from helpers.revisions import revised
from helpers.stage_strategies import staged_queries
from helpers.table_oracle import Made, Row, TableOracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterfact_protocol.query import Query, parse
from afterfact_protocol.query.columns import layout, sources
from afterfact_protocol.query.nodes import Column, Far, Measure
from afterfact_protocol.session import BY_NAME, FIELDS, ROW, Kind, absent_bits
from afterfact_server.query.compile import Compiled
from afterfact_server.query.resolve import resolved
from afterfact_server.store.engine import CLIENT_SETTINGS
from afterfact_server.store.packed import COLUMN, with_packed
from afterfact_server.store.schema import STATEMENTS
from afterfact_server.tables import TableRows, TooManyGroups, made

Rows = npt.NDArray[np.void]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORACLE = TableOracle(Oracle(SENSORS, NAMED))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = clickhouse_connect.get_client(
        interface="chdb", path=str(tmp_path_factory.mktemp("store")), settings=CLIENT_SETTINGS
    )
    client.command(STATEMENTS[0])
    client.command("ALTER TABLE sessions MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0")
    yield client
    client.close()


def store(client: Client, parts: list[Rows]) -> None:
    client.command("TRUNCATE TABLE sessions")
    for part in parts:
        client.raw_insert("sessions", [*(field.name for field in FIELDS), COLUMN], with_packed(part), fmt="RowBinary")


def asked(client: Client, query: Query, most: int = 100_000) -> TableRows:
    def fetch(compiled: Compiled, dtype: "np.dtype[np.void]") -> Rows:
        raw = client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
        return np.frombuffer(raw, dtype)

    return made(fetch, resolved(query, NAMED), SENSORS, most, {})


def plain(query: Query, told: TableRows) -> Made:
    """What a console is sent, in the oracle's terms."""
    table = query.table
    assert table is not None
    rows = np.frombuffer(told.rows.tobytes(), layout(told.columns))
    names = {number: name for name, number in SENSORS.items()}
    found: list[Row] = []
    for row in rows:
        time, keys, values, unknown = None, [], [], []
        for at, source in enumerate(sources(table)):
            value: Any = row[f"c{at}"]
            null = bool(int(row["nulls"]) >> at & 1)
            if source is None:
                time = int(value)
            elif isinstance(source, Measure):
                values.append(None if null else _number(value, told.columns[at].type))
            elif told.columns[at].role == "unknown":
                unknown.append(int(value))
            elif not row["other"]:
                keys.append(None if null else _key(source, value, names))
            else:
                assert null, "the row of the rest has no keys"
        found.append(Row(time, tuple(keys), values, unknown, bool(row["other"])))
    return Made(found, told.sessions, told.groups, list(told.unknown))


def _number(value: Any, kind: str) -> Any:
    if kind == "V16":
        return int.from_bytes(value.tobytes(), "little", signed=True)
    return float(value) if kind == "<f8" else int(value)


def _key(source: Any, value: Any, names: dict[int, str]) -> Any:
    kind = BY_NAME[source.name].kind if isinstance(source, Column) else None
    if isinstance(source, Far) or kind is Kind.ADDRESS:
        return int.from_bytes(value.tobytes(), "big")
    if kind is Kind.TEXT:
        return bytes(value).split(b"\0")[0].decode("latin-1")
    if kind is Kind.SENSOR:
        return names[int(value)]
    return value.tobytes() if value.dtype.kind == "V" else int(value)


def shown(made: Made) -> Made:
    """With means and ratios as they travel."""
    rows = [
        Row(row.time, row.keys, [float(value) if isinstance(value, Fraction) else value for value in row.values],
            row.unknown, row.other)
        for row in made.rows
    ]  # fmt: skip
    return Made(rows, made.sessions, made.groups, made.unknown)


def same(found: Row, expected: Row) -> bool:
    """Whether two rows are the same: exactly, but for means and ratios, which are rounded."""
    apart = [(one.time, one.keys, one.unknown, one.other, len(one.values)) for one in (found, expected)]
    return apart[0] == apart[1] and all(
        math.isclose(one, other, rel_tol=1e-14) if isinstance(one, float) and other is not None else one == other
        for one, other in zip(found.values, expected.values, strict=True)
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(revised(), st.lists(staged_queries(), min_size=8, max_size=8))
def test_tables_are_what_the_language_says(
    client: Client, stored: tuple[Rows, list[Rows]], queries: list[Query]
) -> None:
    newest, parts = stored
    store(client, parts)
    for query in queries:
        typed = parse(str(query), NOW)
        expected = shown(ORACLE.table(typed, newest))
        found = plain(typed, asked(client, typed))
        assert len(found.rows) == len(expected.rows), str(query)
        assert all(map(same, found.rows, expected.rows)), str(query)
        assert (found.sessions, found.groups) == (expected.sessions, expected.groups), str(query)
        if found.groups:
            assert found.unknown == expected.unknown, str(query)


def test_what_is_saved_is_whole_though_what_is_shown_is_not(client: Client) -> None:
    """A role's bound on rows cuts what is sent, never what is saved; absent values are none."""
    rows = np.zeros(6, ROW)
    rows["session_id"], rows["sensor"], rows["revision"] = np.arange(1, 7), 1, 1
    rows["dst_port"] = [80, 80, 443, 22, 22, 0]
    rows["absent"][5] = absent_bits("dst_port")
    store(client, [rows])
    told = asked(client, parse("| count by dst_port, session_id | save @ports dst_port", NOW), most=2)
    assert told.truncated and len(told.rows) == 2
    assert told.values is not None and told.values["port"].tolist() == [22, 80, 443]
    first = asked(client, parse("| count by dst_port limit 1 | save @ports dst_port", NOW), most=100)
    assert first.values is not None and first.values["port"].tolist() == [22] and first.truncated
    assert asked(client, parse("| count by dst_port", NOW)).values is None


def test_more_than_can_be_saved(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.zeros(6, ROW)
    rows["session_id"], rows["sensor"], rows["revision"], rows["dst_port"] = np.arange(1, 7), 1, 1, np.arange(6)
    store(client, [rows])
    monkeypatch.setattr("afterfact_server.tables.MAX_VALUES", 5)
    with pytest.raises(TooManyGroups, match="over 5 rows"):
        asked(client, parse("| count by dst_port | save @ports dst_port", NOW))
    kept = asked(client, parse("| count by dst_port having count > 0 limit 5 | save @ports dst_port", NOW)).values
    assert kept is not None and len(kept) == 5


def test_of_sensors_that_saw_as_many_starts_the_first_is_believed(client: Client) -> None:
    """And one that saw more before it, whatever its number: period and jitter are of one sensor's view."""
    rows = np.zeros(10, ROW)
    rows["session_id"], rows["revision"] = np.arange(1, 11), 1
    rows["sensor"] = [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    seconds = [0, 10, 20, 0, 60, 120, 0, 7, 14, 21]
    rows["start_time"] = rows["end_time"] = np.array(seconds) * 1_000_000 + 1_700_000_000_000_000

    def period(count: int) -> int:
        store(client, [rows[:count]])
        told = asked(client, parse("| periodic by src_ip", NOW))
        at = next(n for n, column in enumerate(told.columns) if column.name == "period")
        return int(np.frombuffer(told.rows.tobytes(), layout(told.columns))[f"c{at}"][0])

    assert period(6) == 10_000_000
    assert period(10) == 7_000_000
