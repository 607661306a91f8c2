"""Statements over the table of sessions: which sessions a query finds, and their rows.

Makes SQL text and parameters; runs nothing. No character of a query's text ever becomes part of the SQL.
Whether a statement needs FINAL is told by `Query.needs_growing`: conditions on fields that are the same in every
revision of a session find it by any of them, so these read without FINAL and list a session once per revision that
the store has not merged yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from afterfact_protocol.query import Query
from afterfact_protocol.query.nodes import Column, Order
from afterfact_protocol.session import FIELDS, KEY
from afterfact_server.query.conditions import Parameters, absent_mask, condition, derived

TABLE = "sessions"

_KEY_COLUMNS = (*KEY, "revision")
_NEWEST_FIRST = ("start_time DESC", "sensor", "session_id")
_ROW_COLUMNS = ", ".join(field.name for field in FIELDS)

Key = tuple[int, int, int]
"""start_time in microseconds UTC, sensor's number, session_id."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL with placeholders, and the values for them."""

    sql: str
    parameters: dict[str, Any]


def compile_where(query: Query, sensors: Mapping[str, int]) -> Compiled:
    """The condition alone, to stand after WHERE. `sensors` maps names to the store's numbers.

    QueryError if the query names a sensor that is not among them.
    """
    parameters = Parameters()
    return Compiled(condition(query.where, sensors, parameters), parameters.values)


def key_query(
    query: Query, sensors: Mapping[str, int], limit: int, after: Key | None = None, final: bool | None = None
) -> Compiled:
    """The keys that a query finds, in its order: start_time, sensor, session_id and revision of at most `limit` rows.

    `after` continues behind that key, for queries in the default order only; rows that arrive meanwhile are neither
    repeated nor do they push others out. `final` is taken from the query if it is None; without it a session stands
    once per unmerged revision. QueryError if the query names an unknown sensor.
    """
    parameters = Parameters()
    found = condition(query.where, sensors, parameters)
    if after is not None:
        if query.order:
            raise ValueError("only the default order can be continued after a key")
        found = f"{_after(after, parameters)} AND {found}"
    order = [_sort_key(key, sensors, parameters) for key in query.order]
    sorted_by = {key.operand.name for key in query.order}
    order += [key for key in _NEWEST_FIRST if key.split()[0] not in sorted_by]
    table = f"{TABLE} FINAL" if (query.needs_growing if final is None else final) else TABLE
    return Compiled(
        f"SELECT {', '.join(_KEY_COLUMNS)} FROM {table} WHERE {found} ORDER BY {', '.join(order)} "
        f"LIMIT {parameters.bind(limit, 'UInt64')}",
        parameters.values,
    )


def rows_by_keys(keys: npt.NDArray[np.void]) -> Compiled:
    """All fields of the sessions with these keys, in the order of FIELDS (so RowBinary is ROW), in no order of rows,
    and every revision not merged yet: the caller takes the highest.

    `keys` is a structured array that has at least the fields of KEY.
    """
    parameters = Parameters()
    listed = ",".join(
        f"({_decimal(start)},{sensor},{session})"
        for start, sensor, session in zip(*(keys[name].tolist() for name in KEY), strict=True)
    )
    where = "0"
    if listed:
        tuples = parameters.bind(f"[{listed}]", "Array(Tuple(DateTime64(6, 'UTC'), UInt16, UInt64))")
        where = f"({', '.join(KEY)}) IN {tuples}"
    return Compiled(f"SELECT {_ROW_COLUMNS} FROM {TABLE} WHERE {where}", parameters.values)


def _decimal(us: int) -> str:
    """A time as the decimal seconds that a DateTime64(6) parameter is exactly read from."""
    sign, us = ("-", -us) if us < 0 else ("", us)
    return f"{sign}{us // 1_000_000}.{us % 1_000_000:06}"


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
    sql = key.operand.name if isinstance(key.operand, Column) else derived(key.operand)
    mask = absent_mask(key.operand)
    return f"bitAnd(absent, {mask}) != 0, {sql}{direction}" if mask else f"{sql}{direction}"
