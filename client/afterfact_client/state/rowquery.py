"""Selected cells as a query that finds their sessions again: for a ticket, or to go on from."""

from collections.abc import Mapping, Sequence

import numpy as np

from afterfact_client.state import querytext
from afterfact_client.state.columns import Column
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.lexer import MAX_BYTES
from afterfact_protocol.records import Records

MOST = 200
"""Different rows of cells; more make a query longer than the language takes."""


def row_query(columns: Sequence[Column], rows: Records, sensors: Mapping[int, str], asked: str) -> str:
    """Sessions with the values of these cells, row by row, within the time that `asked` asks about. ValueError where
    they are too many."""
    conditions = list(dict.fromkeys(_condition(columns, row, sensors) for row in rows))
    if len(conditions) > MOST:
        raise ValueError(f"{len(conditions):,} different rows are more than the {MOST} that a query can name")
    try:
        times = querytext.time_terms(asked)
    except QueryError:
        times = []
    text = "WHERE " + " AND ".join([*times, _any_of(conditions, columns, rows, sensors)])
    if len(text.encode()) > MAX_BYTES:
        raise ValueError("these cells make a query longer than queries may be; choose fewer columns or rows")
    return text


def _any_of(conditions: list[str], columns: Sequence[Column], rows: Records, sensors: Mapping[int, str]) -> str:
    if len(conditions) == 1:
        return conditions[0]
    if len(columns) == 1:
        literals = [columns[0].literal(row, sensors) for row in rows]
        named = list(dict.fromkeys(value for value in literals if value is not None))
        if len(named) == len(conditions):
            return f"{columns[0].name} IN ({', '.join(named)})"
    return "(" + " OR ".join(f"({condition})" for condition in conditions) + ")"


def _condition(columns: Sequence[Column], row: np.void, sensors: Mapping[int, str]) -> str:
    return " AND ".join(column.condition(row, sensors) for column in columns)
