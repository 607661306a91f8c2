"""What can be told of a condition without any data: the fields it rests on, whether these grow, the times it spans."""

from afterfact_protocol.session import FIXED, KEY

from .functions import DERIVED, EITHER, PREDICATES
from .nodes import (
    And,
    Applied,
    Arithmetic,
    Between,
    Column,
    Compare,
    Derived,
    During,
    Either,
    EventWindow,
    Expr,
    Far,
    FirstSeen,
    Instant,
    Masked,
    Member,
    Not,
    Op,
    Operand,
    Or,
    Order,
    Predicate,
    Relation,
    Term,
    Unless,
    Whole,
)
from .stagenodes import Save, Stage

Span = tuple[int | None, int | None]
"""First and last moment asked about, in microseconds since 1970 UTC, both included; None where there is no bound."""


def operand_fields(operand: Operand) -> frozenset[str]:
    """The session fields behind an operand."""
    match operand:
        case Column() | Masked():
            return frozenset({operand.name})
        case Either():
            return frozenset(field for side in EITHER[operand.name].sides for field in side)
        case Derived():
            return frozenset(DERIVED[operand.name].fields)
        case Far():
            return frozenset({"src_ip", "dst_ip"})
        case Whole():
            return frozenset(KEY)


def term_fields(term: Term) -> frozenset[str]:
    """The session fields that a computation rests on."""
    match term:
        case Column() | Derived():
            return operand_fields(term)
        case Arithmetic():
            return term_fields(term.left) | term_fields(term.right)
        case Applied():
            return term_fields(term.term)
        case _:
            return frozenset()


def fields(where: Expr | None, order: tuple[Order, ...] = ()) -> frozenset[str]:
    """The session fields that a query rests on."""
    found: frozenset[str] = frozenset().union(*(operand_fields(key.operand) for key in order))
    match where:
        case None:
            return found
        case And() | Or():
            return found.union(*(fields(item) for item in where.items))
        case Not() | Unless():
            return found | fields(where.item)
        case Predicate():
            return found.union(PREDICATES[where.name].fields)
        case Relation():
            return found | term_fields(where.left) | term_fields(where.right)
        case During() | EventWindow():
            return found | {"start_time", "end_time"}
        case FirstSeen():  # its own condition is on other sessions
            sides = (EITHER[name].sides if name in EITHER else ((name,),) for name in where.fields)
            return found.union(field for side in sides for names in side for field in names)
        case _:
            return found | operand_fields(where.operand)


def stage_fields(stages: tuple[Stage, ...]) -> frozenset[str]:
    """The session fields that stages rest on."""
    found: frozenset[str] = frozenset()
    for stage in stages:
        if isinstance(stage, Save):
            found |= frozenset() if stage.operand is None else operand_fields(stage.operand)
            continue
        found = found.union(*(operand_fields(key) for key in stage.keys))
        for measure in stage.measures:
            found |= frozenset(_TIMES.get(measure.function, ())) if measure.operand is None else operand_fields(
                measure.operand
            )  # fmt: skip
        if stage.every is not None:
            found |= {"start_time"}
    return found


_TIMES = {
    "first": ("start_time",),
    "last": ("end_time",),
    "period": ("start_time",),
    "jitter": ("start_time",),
}


def needs_growing(where: Expr | None, order: tuple[Order, ...] = ()) -> bool:
    """Whether the answer rests on a field that changes from revision to revision, so that only the newest counts."""
    return not fields(where, order) <= FIXED


def span(where: Expr | None) -> Span:
    """The times outside of which nothing is asked about: no session that matches begins outside of them, or with DURING
    is there at no other time that counts."""
    return (None, None) if where is None else _span(where, True)


def _span(expr: Expr, holds: bool) -> Span:
    """The span where `expr` is true, or with `holds` False where it is false."""
    match expr:
        case Not():
            return _span(expr.item, not holds)
        case And() | Or():
            spans = [_span(item, holds) for item in expr.items]
            return _intersection(spans) if isinstance(expr, And) is holds else _hull(spans)
        case During() if holds:
            return expr.first, expr.last
        case FirstSeen() if expr.where is None and (expr.op in (Op.GT, Op.GE)) is holds:
            # The session itself counts. What was first seen by a time may be seen at any other.
            return _compared(Op.GT if expr.op in (Op.GT, Op.LE) else Op.GE, expr.us, True)
        case Compare() if expr.operand == Column("start_time") and isinstance(expr.value, Instant):
            return _compared(expr.op, expr.value.us, holds)
        case Member() if expr.operand == Column("start_time") and holds:
            times = [value.us for value in expr.values if isinstance(value, Instant)]
            return min(times), max(times)
        case Between() if expr.operand == Column("start_time") and holds:
            assert isinstance(expr.low, Instant) and isinstance(expr.high, Instant), "times lie between times"
            return expr.low.us, expr.high.us
        case _:
            return None, None


_INVERSE = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.LT: Op.GE, Op.GE: Op.LT, Op.GT: Op.LE, Op.LE: Op.GT}


def _compared(op: Op, us: int, holds: bool) -> Span:
    match op if holds else _INVERSE[op]:
        case Op.EQ:
            return us, us
        case Op.LT:
            return None, us - 1
        case Op.LE:
            return None, us
        case Op.GT:
            return us + 1, None
        case Op.GE:
            return us, None
        case _:
            return None, None


def _intersection(spans: list[Span]) -> Span:
    lows = [low for low, _ in spans if low is not None]
    highs = [high for _, high in spans if high is not None]
    return max(lows, default=None), min(highs, default=None)


def _hull(spans: list[Span]) -> Span:
    lows = [low for low, _ in spans if low is not None]
    highs = [high for _, high in spans if high is not None]
    return (min(lows) if len(lows) == len(spans) else None), (max(highs) if len(highs) == len(spans) else None)
