"""From a row of a table back to the sessions that it was made of: the query that finds them. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from .columns import nullable
from .language import Query
from .nodes import And, Column, Compare, Expr, Instant, IsNull, Member, Not, Op, Or, Value
from .stagenodes import Key
from .syntax import MAX_LIST_ITEMS

KeyValue = Value | None
"""A key's value in a row; None where it is NULL."""


def behind(query: Query, values: Sequence[KeyValue], time: int | None = None) -> str:
    """The query, in its standard spelling, for the sessions behind a row: those of the table's query that have the
    row's keys and, with EVERY, begin in the length of time that begins at `time` (microseconds). ValueError if the
    query asks for no table, or the values are not one for each key."""
    table = query.table
    if table is None or len(values) != len(table.keys):
        raise ValueError("these are not the keys of a row of this query's table")
    added = [_equal(key, value) for key, value in zip(table.keys, values, strict=True)]
    return _asked(query, added + _times(table.every, time))


def behind_other(query: Query, listed: Sequence[KeyValue], time: int | None = None) -> str | None:
    """The same for the row that sums up the rest: `listed` are the keys of all rows that TOP kept. None where no query
    says that: with several keys, with HAVING, with more keys than a list holds."""
    table = query.table
    if table is None or len(table.keys) != 1 or table.having is not None or len(listed) > MAX_LIST_ITEMS:
        return None
    key = table.keys[0]
    values = tuple(dict.fromkeys(value for value in listed if value is not None))
    added: list[Expr] = [Not(Member(key, values))] if values else []
    if None in listed:
        added.append(Not(IsNull(key)))
    elif values and nullable(key):
        added = [Or((*added, IsNull(key)))]
    return _asked(query, added + _times(table.every, time))


def _equal(key: Key, value: KeyValue) -> Expr:
    return IsNull(key) if value is None else Compare(key, Op.EQ, value)


def _times(every: int | None, time: int | None) -> list[Expr]:
    if every is None or time is None:
        return []
    start = Column("start_time")
    return [Compare(start, Op.GE, Instant(time)), Compare(start, Op.LT, Instant(time + every))]


def _asked(query: Query, added: list[Expr]) -> str:
    items: list[Expr] = []
    for one in ([query.where] if query.where is not None else []) + added:
        items.extend(one.items if isinstance(one, And) else (one,))
    where = None if not items else items[0] if len(items) == 1 else And(tuple(items))
    return str(replace(query, where=where, stages=()))
