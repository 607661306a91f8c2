"""What stages mean, written down once more, as naively as it can be: lists of sessions, Python's numbers, Fractions,
None for what is not known. Shares nothing with the compiler; slow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from helpers.oracle import _COMPARE, Oracle, Session, session_of

from afterfact_protocol.query import Query
from afterfact_protocol.query import nodes as n
from afterfact_protocol.query.stagenodes import Table, TableOrder
from afterfact_protocol.session import FIELDS

_WEEK, _MONDAY = 7 * 86_400_000_000, 4 * 86_400_000_000
_NULLABLE = frozenset(field.name for field in FIELDS if field.nullable)
_IN_SECONDS = ("start_time", "end_time", "ingest_time", "duration")


@dataclass
class Row:
    """A row of a table. Values are exact: int, Fraction, str, bytes, None."""

    time: int | None
    keys: tuple[Any, ...]
    """Empty in the row that sums up the rest."""
    values: list[Any]
    unknown: list[int]
    other: bool = False


@dataclass
class Made:
    rows: list[Row]
    sessions: int
    groups: int
    unknown: list[int]
    """Of the whole."""


class TableOracle:
    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def table(self, query: Query, rows: npt.NDArray[np.void]) -> Made:
        """The table of a query. `rows` are newest revisions."""
        table = query.table
        assert table is not None
        found = [session_of(rows[at], self._oracle._names) for at in self._oracle.answer(Query(query.where), rows)]
        groups: dict[tuple[Any, ...], list[Session]] = {} if table.keys or table.every else {(None,): []}
        for one in found:
            keys = tuple(self._oracle._value(key, one) for key in table.keys)
            time = None if table.every is None else _bucket(one["start_time"], table.every)
            groups.setdefault((time, *keys), []).append(one)
        # Sessions are kept with each row, so that those of several can be taken together.
        made = [(time, keys, of) for (time, *keys), of in groups.items()]
        kept = [one for one in made if table.having is None or self._truth(table.having, table, one[2]) is True]
        if table.top is None:
            parts = [(time, keys, [of], False) for time, keys, of in kept]
        else:
            parts = self._topped(table, kept)
        found_rows = [self._row(table, *part) for part in parts]
        order = list(table.sorted_by)
        found_rows.sort(key=lambda row: self._rank(row, table, order, timed=True))
        if order and order[0].column is None:
            sign = -1 if order[0].descending else 1
            found_rows.sort(key=lambda row: (sign * row.time, row.other))
        else:
            found_rows.sort(key=lambda row: row.other)
        limit = table.limit if table.limit is not None else len(found_rows)
        return Made(found_rows[:limit], len(found), len(groups), self._unknown(table, found))

    # --- groups

    def _topped(self, table: Table, kept: list[Any]) -> list[Any]:
        assert table.top is not None
        by_keys: dict[tuple[Any, ...], list[Any]] = {}
        for time, keys, of in kept:
            by_keys.setdefault(tuple(keys), []).append((time, of))
        order = [key for key in table.sorted_by if key.column is not None]
        order = order or [TableOrder(table.measures[0], True)]
        whole = [self._row(table, None, keys, [of for _, of in parts], False) for keys, parts in by_keys.items()]
        whole.sort(key=lambda row: self._rank(row, table, order, timed=False))
        first = [row.keys for row in whole[: table.top]]
        parts = [(time, keys, [of], False) for time, keys, of in kept if tuple(keys) in first]
        rest = [(time, of) for time, keys, of in kept if tuple(keys) not in first]
        for time in dict.fromkeys(time for time, _ in rest):
            parts.append((time, (), [of for other, of in rest if other == time], True))
        return parts

    def _row(self, table: Table, time: int | None, keys: Any, groups: list[list[Session]], other: bool) -> Row:
        together = [one for group in groups for one in group]
        if table.periodic and other:
            parts = [self._periodic(group) for group in groups]
            values = [sum(part[0] for part in parts), None, None, min(part[3] for part in parts),
                      max(part[4] for part in parts)]  # fmt: skip
        elif table.periodic:
            values = self._periodic(together)
        else:
            values = [self._measure(one, together) for one in table.measures]
        return Row(time, tuple(keys), values, self._unknown(table, together), other)

    def _unknown(self, table: Table, sessions: list[Session]) -> list[int]:
        found: dict[n.Operand, int] = {}
        for measure in table.measures:
            operand = measure.operand
            if operand is None or isinstance(operand, n.Far):
                continue
            fields = {
                "bytes": ("src_bytes", "dst_bytes"), "pkts": ("src_pkts", "dst_pkts"), "port": ("src_port", "dst_port"),
                "ip": (), "total_bytes": ("src_bytes", "dst_bytes"), "total_pkts": ("src_pkts", "dst_pkts"),
                "duration": (), "community_id": (),
            }.get(operand.name, (operand.name,))  # fmt: skip
            if any(name in _NULLABLE for name in fields):
                found[operand] = sum(any(one[name] is None for name in fields) for one in sessions)
        return list(found.values())

    # --- values

    def _known(self, operand: Any, sessions: list[Session]) -> list[Any]:
        if isinstance(operand, n.Either):
            values = [one[f"{side}_{operand.name}"] for one in sessions for side in ("src", "dst")]
        else:
            values = [self._oracle._value(operand, one) for one in sessions]
        return [value for value in values if value is not None]

    def _measure(self, measure: n.Measure, sessions: list[Session]) -> Any:
        if measure.function == "count":
            return len(sessions)
        if measure.function in ("first", "last"):
            times = [one["start_time" if measure.function == "first" else "end_time"] for one in sessions]
            return (min if measure.function == "first" else max)(times, default=None)
        known = self._known(measure.operand, sessions)
        match measure.function:
            case "distinct":
                return len(set(known))
            case "sum":
                return sum(known) if known else None
            case "avg":
                return Fraction(sum(known), len(known)) if known else None
            case "min":
                return min(known, default=None)
            case _:
                return max(known, default=None)

    def _periodic(self, sessions: list[Session]) -> list[Any]:
        numbers = {name: number for number, name in self._oracle._names.items()}
        at: dict[int, list[Session]] = {}
        for one in sessions:
            at.setdefault(numbers[one["sensor"]], []).append(one)
        best = sorted(at, key=lambda number: (-len(at[number]), number))[0]
        starts = sorted(one["start_time"] for one in at[best])
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        period = _median(gaps) if gaps else None
        jitter = None
        if period:
            jitter = Fraction(_median([abs(gap - period) for gap in gaps]), period)
        return [len(starts), period, jitter, starts[0], max(one["end_time"] for one in at[best])]

    # --- HAVING

    def _truth(self, expr: n.Expr, table: Table, sessions: list[Session]) -> bool | None:
        match expr:
            case n.Not():
                found = self._truth(expr.item, table, sessions)
                return None if found is None else not found
            case n.And():
                truths = [self._truth(item, table, sessions) for item in expr.items]
                return False if False in truths else None if None in truths else True
            case n.Or():
                truths = [self._truth(item, table, sessions) for item in expr.items]
                return True if True in truths else None if None in truths else False
            case n.Relation():
                left, right = (self._term(term, table, sessions) for term in (expr.left, expr.right))
                return None if left is None or right is None else _COMPARE[expr.op](left, right)
        raise AssertionError(expr)

    def _term(self, term: n.Term, table: Table, sessions: list[Session]) -> Any:
        match term:
            case n.Constant():
                return term.value
            case n.Instant() | n.Duration():
                return Fraction(term.us, 10**6)
            case n.Cell():
                measure = term.measure
                if table.periodic:
                    value = self._periodic(sessions)[[one.function for one in table.measures].index(measure.function)]
                else:
                    value = self._measure(measure, sessions)
                time = measure.function in ("first", "last", "period") or (
                    measure.function in ("min", "max", "sum", "avg")
                    and measure.operand is not None
                    and measure.operand.name in _IN_SECONDS
                )
                return value if value is None or not time else Fraction(value) / 10**6
        left, right = self._term(term.left, table, sessions), self._term(term.right, table, sessions)
        if left is None or right is None or (term.symbol == "/" and right == 0):
            return None
        operations: dict[str, Callable[[Any, Any], Any]] = {
            "/": lambda a, b: Fraction(a) / Fraction(b), "+": lambda a, b: a + b, "-": lambda a, b: a - b,
            "*": lambda a, b: a * b,
        }  # fmt: skip
        return operations[term.symbol](left, right)

    # --- order

    def _rank(self, row: Row, table: Table, order: list[TableOrder], timed: bool) -> tuple[Any, ...]:
        """What rows are compared by. NULL comes last; what is equal is in the order of the keys."""
        found: list[Any] = []
        keys = dict(zip(table.keys, row.keys, strict=True)) if not row.other else {}
        measures = dict(zip(table.measures, row.values, strict=True))
        for key in order:
            if key.column is None:
                found.append(_Way(row.time, key.descending))
            else:
                value = measures[key.column] if isinstance(key.column, n.Measure) else keys.get(key.column)
                found += [value is None, _Way(value, key.descending)]
        if timed and all(key.column is not None for key in order):
            found.append(_Way(row.time, False))
        for one in table.keys:
            if one not in [key.column for key in order]:
                found += [keys.get(one) is None, _Way(keys.get(one), False)]
        return tuple(found)


class _Way:
    """Compares in one direction or the other; equal to all where either is None."""

    def __init__(self, value: Any, descending: bool) -> None:
        self.value, self.descending = value, descending

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, _Way)
        return self.value is None or other.value is None or bool(self.value == other.value)

    def __lt__(self, other: "_Way") -> bool:
        if self == other:
            return False
        return bool(self.value > other.value if self.descending else self.value < other.value)


def _bucket(us: int, every: int) -> int:
    offset = _MONDAY if every % _WEEK == 0 else 0
    at = us - offset
    return at - at % every + offset


def _median(values: list[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]
