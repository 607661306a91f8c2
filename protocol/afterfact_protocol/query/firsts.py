"""first_seen(...): what it takes, and the comparison with a time that it makes. When a combination was first seen only
the server can tell, which has all that is stored."""

from collections.abc import Callable, Iterator
from datetime import datetime

from .errors import QueryError
from .functions import FIRST_SEEN, FIRST_SEEN_FIELDS, FUNCTIONS
from .lexer import Lexeme, Token
from .nodes import And, Column, Either, Expr, FirstSeen, Not, Op, Or, Unless
from .rawtree import Binary, Call, Group, Minus, Raw
from .subjects import nearest, resolve
from .values import time_value

MAX_FIRSTS = 4
"""In one query. Each looks through all that is stored."""
MAX_WHERE = 50
"""Conditions within one: they are asked of several kinds of sessions."""

_OPS = (Op.LT, Op.LE, Op.GT, Op.GE)
_FLIPPED = {Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE}


def named(raw: Raw) -> Call | None:
    """The call of first_seen that `raw` is; None if it is something else."""
    while isinstance(raw, Group):
        raw = raw.item
    return raw if isinstance(raw, Call) and raw.name.text.lower() == FIRST_SEEN else None


def computed_with(raw: Raw) -> QueryError | None:
    """The error for a first_seen within a computation; None if there is none."""
    match raw:
        case Group() | Minus():
            return computed_with(raw.item)
        case Binary():
            for side in (raw.left, raw.right):
                if (call := named(side)) is not None:
                    return QueryError(f"{FIRST_SEEN} is compared as it is; compute with the time instead: {_EXAMPLE}",
                                      call.start, call.end)  # fmt: skip
            return computed_with(raw.left) or computed_with(raw.right)
        case _:
            return None


def first_seen(
    left: Raw, symbol: str, right: Raw, now: datetime, condition: Callable[[Raw], Expr], span: tuple[int, int]
) -> FirstSeen:
    """The comparison of a first_seen with a time, whichever side each stands on. QueryError if it makes no sense."""
    call, other, op = named(left), right, Op(symbol)
    if call is None:
        call, other, op = named(right), left, _FLIPPED.get(op, op)
    assert call is not None, "callers have seen that one side is one"
    if op not in _OPS:
        raise QueryError(f"`{symbol}` cannot be asked of {FIRST_SEEN}; use <, <=, >, >=", *span)
    if named(other) is not None:
        raise QueryError(f"{FIRST_SEEN} compares with a time: {_EXAMPLE}", other.start, other.end)
    fields = _fields(call)
    where = None if call.where is None else condition(call.where)
    if where is not None and (inner := next(firsts(where), None)) is not None:
        raise QueryError(f"{FIRST_SEEN} does not stand within {FIRST_SEEN}", *inner.span)
    if where is not None and call.where is not None and _conditions(where) > MAX_WHERE:
        raise QueryError(f"{FIRST_SEEN} takes at most {MAX_WHERE} conditions", call.where.start, call.where.end)
    return FirstSeen(fields, where, op, time_value(other, now).us, span)


_EXAMPLE = FUNCTIONS[FIRST_SEEN].example


def _fields(call: Call) -> tuple[str, ...]:
    found: list[str] = []
    if not call.arguments:
        raise QueryError(f"{FIRST_SEEN} takes fields: {_EXAMPLE}", call.start, call.end)
    taken = dict.fromkeys(name for names in FIRST_SEEN_FIELDS for name in names)
    for raw in call.arguments:
        subject = resolve(raw.text) if isinstance(raw, Token) and raw.lexeme is Lexeme.WORD else None
        name = subject.operand.name if subject is not None and isinstance(subject.operand, Column | Either) else ""
        if subject is None or name not in taken or subject.name != name:
            hint = nearest(raw.text, tuple(taken)) if isinstance(raw, Token) and subject is None else ""
            raise QueryError(f"{FIRST_SEEN} takes {', '.join(taken)}{hint}", raw.start, raw.end)
        if name in found:
            raise QueryError(f"{name} is named twice", raw.start, raw.end)
        found.append(name)
        if not any(set(found) <= set(names) for names in FIRST_SEEN_FIELDS):
            raise QueryError("ip and port are of either side: beside them stand no fields of one side", raw.start,
                             raw.end)  # fmt: skip
    return tuple(found)


def firsts(expr: Expr | None) -> Iterator[FirstSeen]:
    """Every first_seen of a condition, in order."""
    match expr:
        case FirstSeen():
            yield expr
        case And() | Or():
            for item in expr.items:
                yield from firsts(item)
        case Not() | Unless():
            yield from firsts(expr.item)


def _conditions(expr: Expr) -> int:
    match expr:
        case And() | Or():
            return sum(map(_conditions, expr.items))
        case Not() | Unless():
            return _conditions(expr.item)
        case _:
            return 1


def check_number(expr: Expr) -> None:
    """QueryError if a query looks through all that is stored too often."""
    found = list(firsts(expr))
    if len(found) > MAX_FIRSTS:
        raise QueryError(f"a query has at most {MAX_FIRSTS} {FIRST_SEEN}", *found[MAX_FIRSTS].span)
