"""Comparisons of what is computed with fields to the store's SQL: whole numbers alone, as wide as they need to be.

What must be known of a session for it to be TRUE is the caller's business.
"""

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Protocol

from afterfact_protocol.query.functions import DERIVED
from afterfact_protocol.query.nodes import Applied, Arithmetic, Column, Derived, Op, Relation, Term
from afterfact_protocol.query.operators import COMPUTED, Type
from afterfact_protocol.query.rational import Part, Whole, sides
from afterfact_protocol.query.subjects import subject_of
from afterfact_protocol.session import BY_NAME, Kind
from afterfact_server.store.community import DIGEST

_FLIPPED = {Op.EQ: Op.EQ, Op.NE: Op.NE, Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE}
_INVERSE = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.LT: Op.GE, Op.GE: Op.LT, Op.GT: Op.LE, Op.LE: Op.GT}


class Binds(Protocol):
    """Takes the values of a statement."""

    def bind(self, value: int, clickhouse: str, /) -> str:
        """The placeholder for a value."""


PartOf = Callable[[Part], str]
"""SQL of what a column of a table is computed from."""


def relation(test: Relation, holds: bool, parameters: Binds, part: PartOf | None = None) -> str:
    """SQL that is true where the comparison is TRUE or, with `holds` False, where it is FALSE, provided that the fields
    in it are known. `part` is needed where it is of columns of a table."""
    op = test.op if holds else _INVERSE[test.op]
    if isinstance(test.left, Column) and isinstance(test.right, Column) and _type(test.left) not in COMPUTED:
        return f"{test.left.name} {op.value} {test.right.name}"
    found = sides(test.left, test.right)
    bits = next(bits for bits in (64, 128, 256) if found.largest < 1 << (bits - 1))
    numbers = _Numbers(f"Int{bits}", parameters, part)
    left, right = numbers.sql(found.left), numbers.sql(found.right)
    sql = f"{left} {op.value} {right}"
    if found.sign.low < 0:
        sql = f"if({numbers.sql(found.sign)} > 0, {sql}, {left} {_FLIPPED[op].value} {right})"
    divisors = [numbers.sql(one) for one in dict.fromkeys(found.divisors) if one.low <= 0 <= one.high]
    return f"({' AND '.join([*(f'{divisor} != 0' for divisor in divisors), sql])})"


def known(term: Term) -> int:
    """The bits of `absent` that make a computation NULL."""
    match term:
        case Column() | Derived():
            return absent_mask(term)
        case Arithmetic():
            return known(term.left) | known(term.right)
        case Applied():
            return known(term.term)
        case _:
            return 0


def absent_mask(operand: Column | Derived) -> int:
    """The bits of `absent` that make an operand NULL."""
    if operand == Derived("community_id"):
        return 0
    names = DERIVED[operand.name].fields if isinstance(operand, Derived) else (operand.name,)
    return reduce(or_, (1 << BY_NAME[name].id if BY_NAME[name].nullable else 0 for name in names))


def derived(operand: Derived) -> str:
    """SQL of a computed value. Totals stop at the highest number instead of wrapping round."""
    if operand == Derived("community_id"):
        return DIGEST
    first, second = DERIVED[operand.name].fields
    if DERIVED[operand.name].type is Type.DURATION:
        return f"(toUnixTimestamp64Micro({first}) - toUnixTimestamp64Micro({second}))"
    return f"if({first} + {second} < {first}, {2**64 - 1}, {first} + {second})"


def _type(column: Column) -> Type:
    return subject_of(column).type


class _Numbers:
    def __init__(self, clickhouse: str, parameters: Binds, part: PartOf | None) -> None:
        self._clickhouse = clickhouse
        self._parameters = parameters
        self._part = part

    def sql(self, whole: Whole) -> str:
        match whole.symbol:
            case "constant":
                return self._parameters.bind(whole.value, self._clickhouse)
            case "field":
                return self._field(whole)
            case "//":
                part, length = self.sql(whole.parts[0]), self._parameters.bind(whole.value, self._clickhouse)
                # The store rounds towards zero.
                return f"intDiv(if({part} < 0, {part} - {length} + 1, {part}), {length})"
            case _:
                left, right = map(self.sql, whole.parts)
                return f"({left} {whole.symbol} {right})"

    def _field(self, whole: Whole) -> str:
        operand = whole.operand
        assert operand is not None, "a field of a computation has its operand"
        if isinstance(operand, Part):
            assert self._part is not None, "only HAVING has columns of a table"
            return f"to{self._clickhouse}({self._part(operand)})"
        if isinstance(operand, Derived):
            return f"to{self._clickhouse}({derived(operand)})"
        time = BY_NAME[operand.name].kind is Kind.TIME
        return f"to{self._clickhouse}({f'toUnixTimestamp64Micro({operand.name})' if time else operand.name})"
