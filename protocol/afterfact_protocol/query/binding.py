"""Of what `other_ip` is the far end: the `ip =` or `ip IN` that stands beside it in an AND, or in one around it.

The first one, where several stand there. Conditions that could do without it (in an OR, under a NOT) bind nothing.
"""

from dataclasses import replace

from .errors import QueryError
from .nodes import (
    And,
    Compare,
    During,
    Either,
    EventWindow,
    Expr,
    Far,
    FirstSeen,
    Member,
    NamedNetwork,
    Network,
    Not,
    Op,
    Or,
    Predicate,
    Relation,
    Unless,
)

_IP = Either("ip")


def far_end(where: Expr | None) -> Far | None:
    """What `other_ip` is for the whole of a condition; None if it names no end."""
    items = where.items if isinstance(where, And) else () if where is None else (where,)
    for item in items:
        match item:
            case Compare(op=Op.EQ) if item.operand == _IP:
                return _far((item.value,))
            case Member() if item.operand == _IP:
                return _far(item.values)
    return None


def _far(values: tuple[object, ...]) -> Far:
    return Far(tuple(value for value in values if isinstance(value, Network | NamedNetwork)))


def unbound(start: int, end: int) -> QueryError:
    """The error for an `other_ip` with no `ip =` beside it."""
    return QueryError("other_ip is the far end of an `ip =` beside it, and there is none: ip = 203.0.113.7 AND ...",
                      start, end)  # fmt: skip


def bound(expr: Expr, around: Far | None = None) -> Expr:
    """The same condition with every `other_ip` bound. QueryError where there is nothing to bind it to."""
    match expr:
        case And():
            near = far_end(expr) or around
            return And(tuple(bound(item, near) for item in expr.items))
        case Or():
            return Or(tuple(bound(item, around) for item in expr.items))
        case Not():
            return Not(bound(expr.item, around))
        case Unless():
            return Unless(bound(expr.item, around))
        case Predicate() | Relation() | During() | EventWindow():
            return expr
        case FirstSeen():  # an `ip =` beside it is not one of the sessions that it counts
            return expr if expr.where is None else replace(expr, where=bound(expr.where))
        case _ if isinstance(expr.operand, Far):
            if around is None:
                raise unbound(*expr.span)
            return replace(expr, operand=around)
        case _:
            return expr
