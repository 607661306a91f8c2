"""Hypothesis strategies: stages over every function and field that they may be asked of."""

from fractions import Fraction

from helpers.query_strategies import TIMES, expressions
from hypothesis import strategies as st

from afterfact_protocol.query import Query, QueryError
from afterfact_protocol.query.binding import far_end
from afterfact_protocol.query.functions import DERIVED, EITHER
from afterfact_protocol.query.measures import MEASURES, PERIODIC_MEASURES, type_of
from afterfact_protocol.query.nodes import (
    And,
    Arithmetic,
    Cell,
    Column,
    Constant,
    Derived,
    Duration,
    Either,
    Expr,
    Instant,
    Measure,
    Not,
    Op,
    Or,
    Relation,
    Term,
)
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.rational import check_size
from afterfact_protocol.query.setterms import KINDS
from afterfact_protocol.query.stagenodes import Key, Save, Stage, Table, TableOrder
from afterfact_protocol.query.subjects import subject_of
from afterfact_protocol.session import FIELDS

_OPERANDS = [*(Column(field.name) for field in FIELDS), *map(Either, EITHER), *map(Derived, DERIVED)]
_KEYS: list[Key] = [operand for operand in _OPERANDS if not isinstance(operand, Either)]
_LIKELY: list[Key] = [Column(name) for name in ("sensor", "dst_port", "src_ip", "proto", "vlan", "history", "outcome")]
EVERY = [1, 1_000_000, 3_600_000_000, 86_400_000_000, 7 * 86_400_000_000, 90_061_000_001]


@st.composite
def measures(draw: st.DrawFn, where: Expr | None) -> Measure:
    """A function of a field that it may be asked of."""
    function = MEASURES[draw(st.sampled_from(sorted(MEASURES)))]
    alias = draw(st.sampled_from(["", "", "a", "b1", "c_"]))
    if not function.of:
        return Measure(function.name, None, alias)
    far = far_end(where)
    if far is not None and Type.ADDRESS in function.of and draw(st.booleans()):
        return Measure(function.name, far, alias)
    operands = [operand for operand in _OPERANDS if subject_of(operand).type in function.of]
    return Measure(function.name, draw(st.sampled_from(operands)), alias)


@st.composite
def _terms(draw: st.DrawFn, columns: list[Measure], kind: Type, depth: int = 2) -> Term:
    """Computations with columns, of a kind: number, duration or time."""
    cells: list[Term] = [Cell(one) for one in columns if _kind(one) is kind]
    constants: dict[Type, list[Term]] = {
        Type.NUMBER: [Constant(Fraction(text)) for text in ("0", "1", "2", "3", "0.5", "0.25", "1000", "53")],
        Type.DURATION: [Duration(us) for us in (1, 5, 1_000_000, 86_400_000_000)],
        Type.TIME: [Instant(us) for us in TIMES],
    }
    choice = draw(st.integers(0, 5))
    if depth == 0 or choice < 4 or kind is Type.TIME:
        return draw(st.sampled_from(cells * 2 + constants[kind]))
    symbol = draw(st.sampled_from("+-*/" if kind is Type.NUMBER else "+-"))
    return Arithmetic(symbol, draw(_terms(columns, kind, depth - 1)), draw(_terms(columns, kind, depth - 1)))


def _kind(measure: Measure) -> Type:
    kind = type_of(measure)
    return Type.NUMBER if kind is Type.PORT else kind


@st.composite
def havings(draw: st.DrawFn, columns: list[Measure]) -> Expr:
    """Conditions on columns."""
    kinds = sorted({_kind(one) for one in columns}, key=lambda kind: kind.value)

    @st.composite
    def relations(draw: st.DrawFn) -> Relation:
        kind = draw(st.sampled_from(kinds))
        cells = [one for one in columns if _kind(one) is kind]
        cell = Cell(draw(st.sampled_from(cells)))
        return Relation(cell, draw(st.sampled_from(Op)), draw(_terms(columns, kind)))

    found: Expr = draw(relations().filter(_fits))
    for _ in range(draw(st.integers(0, 2))):
        other: Expr = draw(relations().filter(_fits))
        other = Not(other) if draw(st.booleans()) else other
        kind = draw(st.sampled_from([And, Or]))
        found = kind((*(found.items if isinstance(found, kind) else (found,)), other))
    return found


def _fits(test: Relation) -> bool:
    try:
        check_size(test.left, test.right, (0, 0))
    except QueryError:
        return False
    return True


@st.composite
def tables(draw: st.DrawFn, where: Expr | None) -> Table:
    """Tables over the sessions of a condition."""
    far = far_end(where)
    key = st.sampled_from(_LIKELY * 4 + _KEYS + ([far] * 8 if far is not None else []))
    keys = tuple(draw(st.lists(key, max_size=3, unique=True)))
    periodic = bool(keys) and draw(st.integers(0, 4)) == 0
    every = None if periodic or draw(st.booleans()) else draw(st.sampled_from(EVERY))
    taken = {"time", *(key.name for key in keys)}
    found: list[Measure] = []
    for one in draw(st.lists(measures(where), min_size=1, max_size=4)):
        if one.title not in taken and one.written not in {other.written for other in found}:
            taken.add(one.title)
            found.append(one)
    columns = PERIODIC_MEASURES if periodic else tuple(found or [Measure("count")])
    having = draw(st.none() | havings(list(columns)))
    sortable: list[Measure | Key | None] = [*columns, *keys, *([None] if every is not None else [])]
    sort = st.builds(TableOrder, st.sampled_from(sortable), st.booleans())
    order = tuple(draw(st.lists(sort, max_size=2, unique_by=lambda one: one.column)))
    top = draw(st.none() | st.integers(1, 4)) if keys else None
    limit = draw(st.none() | st.integers(1, 5)) if top is None else None
    return Table(columns, keys, every, having, order, top, limit, periodic)


@st.composite
def staged_queries(draw: st.DrawFn, saved: bool = False, once: bool = False) -> Query:
    """Queries that end in a table, and with `saved` perhaps in SAVE."""
    where = draw(st.none() | expressions())
    table = draw(tables(where))
    stages: list[Stage] = [table]
    if saved and draw(st.booleans()):
        able = [key for key in table.keys if subject_of(key).type in KINDS]
        flags = draw(st.booleans()), draw(st.booleans())
        if able:
            stages = [table, Save("a1", draw(st.sampled_from(able)), replace=flags[0])]
        else:
            fields = [None, *(one for one in _OPERANDS if subject_of(one).type in KINDS)]
            stages = [Save("b_", draw(st.sampled_from(fields)), live=flags[0], replace=flags[1])]
    return Query(where, once=once and draw(st.booleans()), stages=tuple(stages))
