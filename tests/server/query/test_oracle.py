"""What the server finds is what the language says, for random sessions and random queries over all of it.

Queries go in as text; sessions lie in the store in several revisions, at several sensors, with fields their sources did
not know. The oracle shares no code with what it judges.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import clickhouse_connect
import numpy as np
import numpy.typing as npt
import pytest
from clickhouse_connect.driver.client import Client
from helpers.oracle import Oracle, community_id, session_of
from helpers.query_strategies import KIND_OF, NAMED, SENSORS, SETS, WATCHED, queries, sessions
from helpers.revisions import revised
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterfact_protocol.communityid import digests
from afterfact_protocol.query import Query, parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.query.nodes import Unless
from afterfact_protocol.session import FIELDS, KEY
from afterfact_server.judged import judged
from afterfact_server.query.compile import key_query, rows_by_keys
from afterfact_server.query.resolve import resolved
from afterfact_server.query.setnodes import Held, Known, placed, sets_of, stored_as
from afterfact_server.results import KEY_ROW, distinct, newest_in_order
from afterfact_server.store.engine import CLIENT_SETTINGS
from afterfact_server.store.packed import COLUMN, FOUND, to_rows, with_packed
from afterfact_server.store.schema import STATEMENTS
from afterfact_server.store.sets import SET_VALUES, insert

Rows = npt.NDArray[np.void]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORACLE = Oracle(SENSORS, NAMED, WATCHED, SETS)
LARGE = {name: token for token, name in enumerate(SETS, 1)}
"""Under which the store has each set."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = clickhouse_connect.get_client(
        interface="chdb", path=str(tmp_path_factory.mktemp("store")), settings=CLIENT_SETTINGS
    )
    client.command(STATEMENTS[0])
    client.command(next(statement for statement in STATEMENTS if SET_VALUES in statement))
    for name, values in SETS.items():
        insert(client, LARGE[name], values)
    client.command("ALTER TABLE sessions MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0")
    yield client
    client.close()


def keys_of(rows: Rows) -> set[tuple[int, ...]]:
    return {tuple(row) for row in rows[list(KEY)].tolist()}


def kept(kind: str, values: Rows) -> Held:
    return Held(kind, values)


_FEW = {name: Held(kind, SETS[name]) for name, kind in KIND_OF.items() if kind != "session"}
_MANY = {name: Held(kind, SETS[name], stored_as(LARGE[name], SETS[name])) for name, kind in KIND_OF.items()}
SMALL, STORED = (Known(held, lambda _: None, kept) for held in (_FEW, _MANY))


def found(client: Client, query: Query, known: Known) -> Rows:
    """The rows that the server sends: keys by any revision, each once, and the newest revision of each."""
    where = placed(query.where, known) if query.where is not None else None
    asked = judged(resolved(replace(query, where=where), NAMED), WATCHED)
    compiled = key_query(asked, SENSORS, 1000)
    raw = client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
    keys = distinct(np.frombuffer(raw, KEY_ROW))
    compiled = rows_by_keys(keys)
    rows = np.frombuffer(client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary"), FOUND)
    return newest_in_order(keys, to_rows(rows))[: query.limit]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(revised(), st.lists(queries(history=True, sets=True), min_size=8, max_size=8))
def test_server_finds_what_the_language_says(
    client: Client, stored: tuple[Rows, list[Rows]], asked: list[Query]
) -> None:
    newest, parts = stored
    client.command("TRUNCATE TABLE sessions")
    for part in parts:
        client.raw_insert("sessions", [*(field.name for field in FIELDS), COLUMN], with_packed(part), fmt="RowBinary")
    for number, query in enumerate(asked):
        typed = parse(str(query), NOW)
        expected = newest[ORACLE.answer(typed, newest)]
        assert found(client, typed, STORED).tolist() == expected.tolist(), str(query)
        sets = sets_of(typed.where)
        if sets and not any(test.operand.name == "session" for test in sets):
            # Few values become a list, and a list finds the same.
            assert found(client, typed, SMALL).tolist() == expected.tolist(), str(query)
        if not number and typed.where is not None:
            # An exclusion leaves whatever its condition is not true of.
            taken = keys_of(newest[ORACLE.answer(Query(typed.where), newest)])
            assert keys_of(found(client, Query(Unless(typed.where)), STORED)) == keys_of(newest) - taken, str(query)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(), st.lists(queries(sets=True), min_size=4, max_size=4))
def test_matcher_finds_what_the_language_says(rows: Rows, asked: list[Query]) -> None:
    for query in asked:
        mask = matches(query.where, rows, SENSORS, NAMED, SETS)
        expected = ORACLE.answer(Query(query.where), rows)
        assert sorted(np.flatnonzero(mask).tolist()) == sorted(expected), str(query)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions())
def test_community_ids_are_those_of_the_specification(rows: Rows) -> None:
    names = {number: name for name, number in SENSORS.items()}
    assert digests(rows) == [community_id(session_of(row, names)) for row in rows]
