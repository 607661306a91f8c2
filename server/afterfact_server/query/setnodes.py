"""Sets and alerts of a condition to what they stand for when it is asked: small sets to lists of values, which the
indexes read and of which it is known who should have seen them; large ones to a lookup in the store; an alert to its
time.

What comes out is in the language's own terms but for Stored. Where the values come from is sets.py's business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from afterfact_protocol.query.errors import QueryError
from afterfact_protocol.query.functions import EITHER
from afterfact_protocol.query.nodes import (
    And,
    Blob,
    Column,
    During,
    Either,
    Endpoint,
    EventWindow,
    Expr,
    FirstSeen,
    InSet,
    Member,
    NamedSet,
    Network,
    Not,
    Number,
    Operand,
    Or,
    SetTerm,
    Stored,
    Unless,
    Value,
)
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.setterms import KINDS, named
from afterfact_protocol.query.subjects import nearest, subject_of
from afterfact_protocol.sets import PLURALS, Values, union, without

LISTED = 1000
"""Values of a set that become a list."""


@dataclass(frozen=True, slots=True)
class Held:
    """A set as it is when it is asked: its values if they are few (of endpoints always), else where the store has
    them."""

    kind: str
    values: Values | None
    stored: Stored | None = None
    """Of any operand."""


def stored_as(token: int, values: Values) -> Stored:
    """Where the store has values, for any operand."""
    names = values.dtype.names or ()
    bits = tuple(int(one) for one in np.unique(values["bits"])) if "bits" in names else (128,) * bool(len(values))
    times = values["start_time"] if "start_time" in names and len(values) else np.zeros(1, np.int64)
    return Stored(Column("src_ip"), token, bits, int(times.min()), int(times.max()))


def sets_of(where: Expr | None) -> tuple[InSet, ...]:
    """Every test of a set in a condition, as they stand in it."""
    match where:
        case And() | Or():
            return tuple(found for item in where.items for found in sets_of(item))
        case Not() | Unless():
            return sets_of(where.item)
        case FirstSeen():
            return sets_of(where.where)
        case InSet():
            return (where,)
        case _:
            return ()


def checked(test: InSet, kinds: Mapping[str, str]) -> None:
    """QueryError, pointing at the name, if there is no such set or its values are of another kind."""
    wanted = KINDS[subject_of(test.operand).type]
    for one in named(test.sets):
        if one.name not in kinds:
            names = tuple(kinds)
            known = (
                f"; there are {', '.join(f'@{name}' for name in sorted(names)[:20])}" if names else "; there are none"
            )
            hint = nearest(one.name, names).replace("mean ", "mean @")
            raise QueryError(f"there is no set @{one.name}{hint or known}", *one.span)
        if kinds[one.name] != wanted:
            has, asked = PLURALS[kinds[one.name]], PLURALS[wanted]
            raise QueryError(
                f"@{one.name} is a set of {has}; {test.operand.name} is asked of sets of {asked}", *one.span
            )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known when a condition is asked."""

    held: Mapping[str, Held]
    """Every set that it names."""
    time_of: Callable[[int], int | None]
    """The time of an alert by its number, None if there is none."""
    keep: Callable[[str, Values], Held]
    """Values that were computed, of this kind, as a set."""


def placed(where: Expr, known: Known) -> Expr:
    """The condition with sets and alerts resolved. QueryError, pointing at it, for an alert that there is not."""
    match where:
        case And() | Or():
            kind = type(where)
            return kind(_flat(kind, tuple(placed(item, known) for item in where.items)))
        case Not():
            return Not(placed(where.item, known))
        case Unless():
            return Unless(placed(where.item, known))
        case InSet():
            return _placed(where, known)
        case FirstSeen() if where.where is not None:
            return replace(where, where=placed(where.where, known))
        case EventWindow():
            time = known.time_of(where.number)
            if time is None:
                hint = "`afterfact events` shows their numbers"
                raise QueryError(f"there is no alert {where.number}; {hint}", *where.span)
            return During(time + where.before, time + where.after, where.span)
        case _:
            return where


def _placed(test: InSet, known: Known) -> Expr:
    held = known.held
    if isinstance(test.sets, NamedSet):
        return _single(test.operand, held[test.sets.name], test)
    operand = test.operand
    if isinstance(operand, Either) and subject_of(operand).type is not Type.ENDPOINT:
        # One side is in what is made of them: each side by itself, and not one in this set and the other in that.
        sides = tuple(_algebra(Column(side[0]), test.sets, held, test) for side in EITHER[operand.name].sides)
        return Or(_flat(Or, sides))
    if isinstance(operand, Either):
        # Endpoints are made of sets by their values, of which both sides are then asked.
        return _single(operand, known.keep("endpoint", _computed(test.sets, held)), test)
    return _algebra(operand, test.sets, held, test)


def _algebra(operand: Operand, sets: SetTerm, held: Mapping[str, Held], test: InSet) -> Expr:
    if isinstance(sets, NamedSet):
        return _single(operand, held[sets.name], test)
    left, right = (_algebra(operand, part, held, test) for part in (sets.left, sets.right))
    if sets.symbol == "+":
        return Or(_flat(Or, (left, right)))
    return And(_flat(And, (left, right if sets.symbol == "&" else Not(right))))


def _computed(sets: SetTerm, held: Mapping[str, Held]) -> Values:
    if isinstance(sets, NamedSet):
        values = held[sets.name].values
        assert values is not None, "of endpoints all values are at hand"
        return values
    left, right = _computed(sets.left, held), _computed(sets.right, held)
    if sets.symbol == "+":
        return union(left, right)
    return without(left, right) if sets.symbol == "-" else without(left, without(left, right))


def _flat(kind: type[And] | type[Or], items: tuple[Expr, ...]) -> tuple[Expr, ...]:
    flat: list[Expr] = []
    for item in items:
        flat.extend(item.items if isinstance(item, kind) else (item,))
    return tuple(flat)


def _single(operand: Operand, held: Held, test: InSet) -> Expr:
    if held.stored is not None:
        return replace(held.stored, operand=operand, span=test.span)
    values = held.values
    assert values is not None, "few values are at hand"
    if not len(values):
        return Stored(operand, 0, (), span=test.span)
    return Member(operand, _listed(held.kind, values), test.span)


def _listed(kind: str, values: Values) -> tuple[Value, ...]:
    match kind:
        case "address":
            pairs = zip(values["ip"].tolist(), values["bits"].tolist(), strict=True)
            return tuple(Network(int.from_bytes(ip, "big"), bits) for ip, bits in pairs)
        case "port":
            return tuple(Number(port) for port in values["port"].tolist())
        case "endpoint":
            ends = zip(values["ip"].tolist(), values["port"].tolist(), strict=True)
            return tuple(Endpoint(Network(int.from_bytes(ip, "big"), 128), port) for ip, port in ends)
        case _:
            return tuple(Blob(digest) for digest in values["digest"].tolist())
