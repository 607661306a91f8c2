"""Statements over the table of sessions: which sessions a query finds, and their rows.

Makes SQL text and parameters; runs nothing. No character of a query's text ever becomes part of the SQL.
Whether a statement needs FINAL is told by `Query.needs_growing`: conditions on fields that are the same in every
revision of a session find it by any of them, so these read without FINAL and list a session once per revision that
the store has not merged yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from afterfact_protocol.query import Query
from afterfact_protocol.query.nodes import Column, Derived, Far, Order
from afterfact_server.query.computed import derived
from afterfact_server.query.conditions import absent_mask, condition, far_end
from afterfact_server.query.needles import needles
from afterfact_server.query.parameters import Parameters
from afterfact_server.store.packed import COLUMN, FOUND_KEY

TABLE = "sessions"

FOUND_COLUMNS = (*FOUND_KEY, COLUMN)
"""The columns of packed.FOUND."""
_NEWEST_FIRST = ("start_time DESC", "sensor", "session_id")

MAX_SPANS = 16
WORTH_CUTTING = 60_000_000
"""Microseconds; ranges of time closer than this are read as one."""

Key = tuple[int, int, int]
"""start_time in microseconds UTC, sensor's number, session_id."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL with placeholders, and the values for them."""

    sql: str
    parameters: dict[str, Any]
    scattered: bool = False
    """Whether what it finds lies here and there: to read the days one after the other, newest first, is no help then,
    and keeps the store from reading several at a time."""


def compile_where(query: Query, sensors: Mapping[str, int]) -> Compiled:
    """The condition alone, to stand after WHERE. `sensors` maps names to the store's numbers.

    QueryError if the query names a sensor that is not among them.
    """
    parameters = Parameters()
    return Compiled(condition(query.where, sensors, parameters), parameters.values)


def key_query(
    query: Query, sensors: Mapping[str, int], limit: int, after: Key | None = None, final: bool | None = None,
    columns: Sequence[str] = FOUND_KEY,
) -> Compiled:  # fmt: skip
    """The keys that a query finds, in its order: start_time, sensor, session_id and revision (or other `columns`) of at
    most `limit` rows.

    `after` continues behind that key, for queries in the default order only; rows that arrive meanwhile are neither
    repeated nor do they push others out. `final` is taken from the query if it is None; without it a session stands
    once per unmerged revision. QueryError if the query names an unknown sensor.
    """
    parameters = Parameters()
    looked_for = needles(query.where, parameters)
    found = condition(query.where, sensors, parameters)
    if looked_for:
        # Last: in parts that have no index yet, tokens are computed of what the condition left and not of every row.
        found = f"{found} AND {looked_for.removesuffix(' AND ')}"
    if after is not None:
        if query.order:
            raise ValueError("only the default order can be continued after a key")
        found = f"{_after(after, parameters)} AND {found}"
    order = [_sort_key(key, sensors, parameters) for key in query.order]
    sorted_by = {key.operand.name for key in query.order}
    order += [key for key in _NEWEST_FIRST if key.split()[0] not in sorted_by]
    table = f"{TABLE} FINAL" if (query.needs_growing if final is None else final) else TABLE
    return Compiled(
        f"SELECT {', '.join(columns)} FROM {table} WHERE {found} ORDER BY {', '.join(order)} "
        f"LIMIT {parameters.bind(limit, 'UInt64')}",
        parameters.values,
        scattered=bool(looked_for) and " AND has(" not in looked_for,
    )


def rows_by_keys(keys: npt.NDArray[np.void], columns: Sequence[str] = FOUND_COLUMNS) -> Compiled:
    """The packed rows (packed.FOUND), or some fields, of the sessions with these keys, every revision not merged yet,
    in no order of rows; and perhaps sessions of another sensor that begin between them under the same id: the caller
    picks by key and revision.

    `keys` is a structured array that has at least the fields of KEY. RowBinary of the answer is packed `columns`.
    """
    parameters = Parameters()
    where = "0"
    if len(keys):
        # Ranges of time and a set of ids: measured at 3 M sessions, 1,000 recent keys took 22 ms for the 90 ms of a set
        # of key tuples, 1,000 keys scattered over a month 200 ms for 250. More ranges are dearer to plan than to read.
        within = " OR ".join(
            f"start_time BETWEEN {parameters.time(first)} AND {parameters.time(last)}"
            for first, last in spans(keys["start_time"])
        )
        ids = parameters.bind(keys["session_id"].tolist(), "Array(UInt64)")
        where = f"({within}) AND session_id IN {ids}"
    return Compiled(f"SELECT {', '.join(columns)} FROM {TABLE} WHERE {where}", parameters.values)


def spans(times: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """The times as at most MAX_SPANS closed ranges, cut at the widest gaps that are worth it."""
    ordered = np.unique(times)
    gaps = np.diff(ordered)
    widest = np.sort(np.argsort(gaps)[-(MAX_SPANS - 1) :])
    cuts = widest[gaps[widest] > WORTH_CUTTING]
    firsts, lasts = np.concatenate([[0], cuts + 1]), np.concatenate([cuts, [len(ordered) - 1]])
    return [(int(ordered[first]), int(ordered[last])) for first, last in zip(firsts, lasts, strict=True)]


def _after(key: Key, parameters: Parameters) -> str:
    start_time, sensor, session_id = key
    start, same = parameters.time(start_time), parameters.bind(sensor, "UInt16")
    later = parameters.bind(session_id, "UInt64")
    return (
        f"start_time <= {start} AND (start_time < {start} OR sensor > {same} "
        f"OR (sensor = {same} AND session_id > {later}))"
    )


def _sort_key(key: Order, sensors: Mapping[str, int], parameters: Parameters) -> str:
    """What is absent comes last in either direction; sensors sort by their names."""
    direction = " DESC" if key.descending else ""
    if key.operand == Column("sensor"):
        ranked = sorted(sensors.items())
        numbers = parameters.bind([number for _, number in ranked], "Array(UInt16)")
        ranks = parameters.bind(list(range(len(ranked))), "Array(UInt32)")
        return f"transform(sensor, {numbers}, {ranks}, {len(ranked)}){direction}"
    if isinstance(key.operand, Far):
        return f"{far_end(key.operand, parameters)}{direction}"
    sql = key.operand.name if isinstance(key.operand, Column) else derived(key.operand)
    mask = absent_mask(key.operand)
    if not mask:
        return f"{sql}{direction}"
    unknown = f"bitAnd(absent, {mask}) != 0"
    if isinstance(key.operand, Derived):
        sql = f"if({unknown}, 0, {sql})"  # of what is computed, what is known would still sort it
    return f"{unknown}, {sql}{direction}"
