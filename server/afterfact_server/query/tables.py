"""A query with a table to one statement: its rows, packed as columns.layout says, each followed by what is told of the
whole (`totals`).

The statement is made of levels, each a SELECT over the one before. Sessions are grouped, each counted once as last
reported (FINAL), into *cells*: what columns are computed from, whole numbers all. Then what is told of the whole is
added to each group, HAVING chooses, TOP ranks and groups again, and the columns are computed last. One group stays in
whatever HAVING says, to carry what is told of the whole; `passes` is 0 in it, and the caller takes it out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afterfact_protocol.query import Query
from afterfact_protocol.query.columns import Source, Unknown, layout, sources, table_columns
from afterfact_protocol.query.measures import type_of
from afterfact_protocol.query.nodes import (
    And,
    Arithmetic,
    Cell,
    Column,
    Derived,
    Expr,
    Far,
    Measure,
    Not,
    Or,
    Relation,
    Term,
)
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.rational import Part
from afterfact_protocol.query.stagenodes import Key, TableOrder
from afterfact_protocol.session import BY_NAME, Kind
from afterfact_server.query.compile import Compiled
from afterfact_server.query.computed import absent_mask, relation
from afterfact_server.query.conditions import condition
from afterfact_server.query.groups import CellOf, Groups
from afterfact_server.query.needles import needles
from afterfact_server.query.parameters import Parameters

Use = Callable[[str], str]
"""SQL of a cell's number, by its name."""

_LARGEST = str(2**64 - 1)
_MICROSECONDS = "toUnixTimestamp64Micro"

TOTALS = (("passes", "u1"), ("sessions", "<u8"), ("groups", "<u8"), ("low", "<u2"), ("high", "<u2"))
"""Behind the columns of a row: whether it is one of the table; the sessions and groups of the whole, and the lowest and
highest number of their sensors. Then, for each Unknown among the columns, its sum over the whole."""


@dataclass(frozen=True, slots=True)
class CompiledTable:
    """A statement, and what its rows are."""

    compiled: Compiled
    dtype: "np.dtype[np.void]"
    row_bytes: int
    """Bytes of a row before TOTALS: as it is sent."""


def table_query(
    query: Query, sensors: Mapping[str, int], limit: int, left_out: Mapping[int, Sequence[int]] | None = None
) -> CompiledTable:
    """The statement for at most `limit` rows, and one that does not pass. `left_out` are ids of sessions, by sensor,
    that are as if they were not there. QueryError if the query names a sensor that is not among `sensors`."""
    table = query.table
    assert table is not None, "only queries with a table come here"
    parameters = Parameters()
    looked_for = needles(query.where, parameters)
    found = condition(query.where, sensors, parameters)
    if looked_for:  # last, as in compile.key_query
        found = f"{found} AND {looked_for.removesuffix(' AND ')}"
    for sensor, ids in (left_out or {}).items():
        number, listed = parameters.bind(sensor, "UInt16"), parameters.bind(list(ids), "Array(UInt64)")
        found += f" AND NOT (sensor = {number} AND session_id IN {listed})"
    statement = _Statement(table, sensors, parameters)
    columns = table_columns(table)
    unknown = [column for column in columns if column.role == "unknown"]
    own = layout(columns)
    dtype = np.dtype([*own.descr, *TOTALS, *((f"u{at}", "<u8") for at in range(len(unknown)))])
    return CompiledTable(Compiled(statement.sql(found, limit), parameters.values), dtype, own.itemsize)


@dataclass(slots=True)
class _Statement(Groups):
    def sql(self, found: str, limit: int) -> str:
        table = self.table
        keys = [self._key(key) for key in table.keys]
        self._enter_totals()
        parts = {source: self._parts(source) for source in sources(table) if isinstance(source, Measure)}
        having = "1" if table.having is None else self._having(table.having, True, parts)
        grouped = self._periodic(keys, found) if table.periodic else self._grouped(keys, found)
        unknown = [source for source in sources(table) if isinstance(source, Unknown)]
        told = {"all_sessions": "sum(n)", "all_groups": "count()", "all_low": "min(low)", "all_high": "max(high)"}
        told |= {f"all_u{at}": f"sum({self._unknown(one)})" for at, one in enumerate(unknown)}
        windows = ", ".join(f"{sql} OVER () AS {name}" for name, sql in told.items())
        sql = f"SELECT *, {windows}, row_number() OVER () AS one FROM ({grouped})"
        sql = f"SELECT *, {having} AS passes FROM ({sql}) WHERE passes OR one = 1"
        if table.top is not None:
            sql = self._topped(sql, list(told), parts, table.top)
        return self._columns(sql, list(told), parts, limit)

    # --- HAVING

    def _having(self, expr: Expr, holds: bool, parts: Mapping[Measure, Mapping[str, str]]) -> str:
        """SQL that is true where `expr` is TRUE or, with `holds` False, where it is FALSE."""

        def inner(item: Expr, value: bool) -> str:
            return self._having(item, value, parts)

        match expr:
            case Not():
                return inner(expr.item, not holds)
            case And() | Or():
                word = " AND " if isinstance(expr, And) is holds else " OR "
                return f"({word.join(inner(item, holds) for item in expr.items)})"
            case Relation():
                measures = dict.fromkeys([*_measures(expr.left), *_measures(expr.right)])
                known = [f"{self._use(parts[one]['known'])} != 0" for one in measures if "known" in parts[one]]

                def part(one: Part) -> str:
                    return self._use(parts[one.measure][one.name])

                return f"({' AND '.join([*known, relation(expr, holds, self.parameters, part)])})"
            case _:
                raise AssertionError("HAVING holds comparisons only")

    # --- TOP

    def _topped(self, sql: str, told: list[str], parts: Mapping[Measure, Mapping[str, str]], top: int) -> str:
        """The first groups as they are, the others in one; with EVERY so for each time, by the groups' order over the
        whole of it."""
        table = self.table
        names = [name for at in range(len(table.keys)) for name in (f"k{at}", f"n{at}")]
        use = self._use
        if table.every is not None:
            whole = {name: f"w_{name}" for name in self.cells}
            over = f" OVER (PARTITION BY passes, {', '.join(names)})"
            weights = ", ".join(
                f"{cell.merge.format(name)}{over} AS {whole[name]}" for name, cell in self.cells.items()
            )
            sql = f"SELECT *, {weights} FROM ({sql})"

            def use(cell: str) -> str:
                return whole[cell]

        order = [key for key in table.sorted_by if key.column is not None]
        if not order:
            order = [TableOrder(table.measures[0], True)]
        ranked = ", ".join(self._sort_keys(order, parts, use, timed=False))
        sql = f"SELECT *, dense_rank() OVER (PARTITION BY passes ORDER BY {ranked}) AS rank FROM ({sql})"
        kept = [f"any(if(rank > {top}, {_default(key)}, k{at})) AS k{at}_, any(if(rank > {top}, 1, n{at})) AS n{at}_"
                for at, key in enumerate(table.keys)]  # fmt: skip
        merged = [f"{cell.merge.format(name)} AS {name}_" for name, cell in self.cells.items()]
        whole_ = [f"any({name}) AS {name}_" for name in told]
        time, by = (["t"], ", t") if table.every is not None else ([], "")
        sql = (
            f"SELECT {', '.join([*time, *kept, *merged, *whole_])}, passes, least(rank, {top + 1}) AS place "
            f"FROM ({sql}) GROUP BY passes, place{by}"
        )
        renamed = [f"{name}_ AS {name}" for name in (*names, *self.cells, *told)]
        self.cells = {name: CellOf(cell.made, cell.merge) for name, cell in self.cells.items()}
        return f"SELECT {', '.join([*time, *renamed])}, passes, place > {top} AS other FROM ({sql})"

    def _sort_keys(
        self, order: Sequence[TableOrder], parts: Mapping[Measure, Mapping[str, str]], use: Use, timed: bool
    ) -> list[str]:
        """What the rows are ordered by, time and keys last, so that no two are equal. What is NULL comes last."""
        found: list[str] = []
        for key in order:
            direction = " DESC" if key.descending else ""
            if key.column is None:
                found.append(f"t{direction}")
            elif isinstance(key.column, Measure):
                value, null = self._value(key.column, parts[key.column], use)
                found += [*_unless_never(null), f"{value}{direction}"]
            else:
                found += self._key_sort(self.table.keys.index(key.column), direction)
        if timed and all(key.column is not None for key in order):
            found.append("t")
        for at, one in enumerate(self.table.keys):
            if all(key.column != one for key in order):
                found += self._key_sort(at, "")
        return found

    def _key_sort(self, at: int, direction: str) -> list[str]:
        value, key = f"k{at}", self.table.keys[at]
        if self.table.keys[at] == Column("sensor"):
            ranked = sorted(self.sensors.items())
            numbers = self.parameters.bind([number for _, number in ranked], "Array(UInt16)")
            ranks = self.parameters.bind(list(range(len(ranked))), "Array(UInt32)")
            value = f"transform({value}, {numbers}, {ranks}, {len(ranked)})"
        can_be_null = not isinstance(key, Far) and bool(absent_mask(key))
        return [*([f"n{at}"] if can_be_null else []), f"{value}{direction}"]

    # --- columns

    def _value(self, measure: Measure, parts: Mapping[str, str], use: Use) -> tuple[str, str]:
        """SQL of a measure's value, and of whether it is NULL."""
        null = f"{use(parts['known'])} = 0" if "known" in parts else "0"
        match measure.function:
            case "avg":
                known = use(parts["known"])
                return f"if({null}, 0., toFloat64({use(parts['value'])}) / {known})", null
            case "jitter":
                period = use(parts["period"])
                null = f"({null} OR {period} = 0)"
                return f"if({null}, 0., toFloat64({use(parts['deviation'])}) / {period})", null
        value = use(parts["value"])
        return (f"if({null}, 0, {value})" if "known" in parts else value), null

    def _columns(self, sql: str, told: list[str], parts: Mapping[Measure, Mapping[str, str]], limit: int) -> str:
        """The packed rows, in their order."""
        columns: list[str] = []
        nulls: list[str] = []
        for at, source in enumerate(sources(self.table)):
            value, null = self._column(source, parts)
            columns.append(value)
            if null != "0":
                nulls.append(f"if({null}, toUInt64({1 << at}), 0)")
        table, order = self.table, self.table.sorted_by
        other = "other" if self.table.top is not None else "0"
        sort = self._sort_keys(order, parts, self._use, timed=table.every is not None)
        if self.table.top is not None:  # what sums up the rest comes last, or last of its time
            sort.insert(1 if order and order[0].column is None else 0, "other")
        whole = ["toUInt8(passes)", *(f"toUInt64({name})" for name in told[:2]),
                 *(f"toUInt16({name})" for name in told[2:4]), *(f"toUInt64({name})" for name in told[4:])]  # fmt: skip
        first = [f"toUInt64({' + '.join(nulls) or '0'})", f"toUInt8({other})"]
        return (
            f"SELECT {', '.join([*first, *columns, *whole])} FROM ({sql}) "
            f"ORDER BY {', '.join(['passes DESC', *sort])} LIMIT {self.parameters.bind(limit + 1, 'UInt64')}"
        )

    def _column(self, source: Source, parts: Mapping[Measure, Mapping[str, str]]) -> tuple[str, str]:
        match source:
            case None:
                return "t", "0"
            case Unknown():
                return f"toUInt64({self._use(self._unknown(source))})", "0"
            case Measure():
                value, null = self._value(source, parts[source], self._use)
                return f"{_type(source)}({value})", null
        at = self.table.keys.index(source)
        return f"k{at}", f"n{at}"


def _unless_never(null: str) -> list[str]:
    """A sort key; a number there would be the place of a column."""
    return [] if null == "0" else [null]


def _measures(term: Term) -> list[Measure]:
    match term:
        case Cell():
            return [term.measure]
        case Arithmetic():
            return [*_measures(term.left), *_measures(term.right)]
        case _:
            return []


def _type(measure: Measure) -> str:
    """The conversion to the type that the column's values travel in."""
    match measure.function:
        case "sum":
            return "toInt128"
        case "avg" | "jitter":
            return "toFloat64"
    return "toInt64" if type_of(measure) in (Type.TIME, Type.DURATION) else "toUInt64"


def _default(key: Key) -> str:
    """The zero that stands for a key in the row of the others."""
    if isinstance(key, Far):
        return "toIPv6('::')"
    if isinstance(key, Derived):
        return "toFixedString('', 20)" if key == Derived("community_id") else "0"
    known = BY_NAME[key.name]
    if known.kind is Kind.TIME:
        return "toInt64(0)"
    return f"CAST(defaultValueOfTypeName('{known.clickhouse}'), '{known.clickhouse}')"
