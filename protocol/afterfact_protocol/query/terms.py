"""What is computed with fields: raw arithmetic to typed terms, and comparisons between them.

Numbers, ports, times and lengths of time only; other fields can be compared with their like, and no more. Lengths of
time count as seconds beside numbers, so `total_bytes / duration` is bytes a second. Single values are values.py's.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from .errors import QueryError
from .functions import DURATION_UNITS, SIZE_UNITS, TIME_WORDS, function_named
from .lexer import Lexeme, Token
from .literals import number_and_unit
from .nodes import Applied, Arithmetic, Column, Constant, Derived, Duration, Either, Op, Relation, Term
from .operators import COMPUTED, Type
from .rational import check_size, ratio
from .rawtree import Binary, Call, Group, Minus, Raw
from .subjects import Subject, resolve, unknown
from .values import length_of_time, time_value

SYMBOLS = ("+", "-", "*", "/")

MAX_OPERATIONS = 20
"""Of one comparison. As one quotient, a computation grows faster than its text."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A term, and what it is."""

    term: Term
    type: Type
    """TIME, DURATION or NUMBER."""


def computes(raw: Raw) -> bool:
    """Whether `raw` computes with a field, or is a function of a time that makes a number."""
    match raw:
        case Group():
            return computes(raw.item)
        case Call():
            function = function_named(raw.name.text)
            return function is not None and function.of_time
        case Minus():
            return computes(raw.item) or names_field(raw.item)
        case Binary() if raw.symbol in SYMBOLS:
            return any(computes(side) or names_field(side) for side in (raw.left, raw.right))
        case _:
            return False


def names_field(raw: Raw) -> bool:
    """Whether `raw` is the name of a field and no more."""
    if isinstance(raw, Group):
        return names_field(raw.item)
    return isinstance(raw, Token) and raw.lexeme is Lexeme.WORD and resolve(raw.text) is not None


def relation(left: Raw, op: Op, right: Raw, now: datetime, span: tuple[int, int]) -> Relation:
    """The comparison of two fields, or of what is computed with them. QueryError if it makes no sense."""
    if names_field(left) and names_field(right):
        first, second = _named(left), _named(right)
        if first.type not in COMPUTED or second.type not in COMPUTED:
            return _alike(first, op, second, span)
        if first.operand == second.operand:
            raise QueryError(f"this compares {first.name} with itself", *span)
    return compared(Terms(now), left, op, right, span)


def compared(terms: "Terms", left: Raw, op: Op, right: Raw, span: tuple[int, int]) -> Relation:
    """The comparison of what is computed of fields, or of what else `terms` knows. QueryError if it makes no sense."""
    one, other = terms.typed(left), terms.typed(right)
    if (one.type is Type.TIME) != (other.type is Type.TIME):
        raise QueryError("a time compares with times only; the difference of two times is a length of time", *span)
    check_size(one.term, other.term, span)
    return Relation(one.term, op, other.term, span)


def _named(raw: Raw) -> Subject:
    while isinstance(raw, Group):
        raw = raw.item
    subject = resolve(raw.text) if isinstance(raw, Token) else None
    assert subject is not None, "callers have seen that it names a field"
    if isinstance(subject.operand, Either):
        sides = f"src_{subject.name} or dst_{subject.name}" if subject.type is not Type.ENDPOINT else "its fields"
        raise QueryError(f"`{subject.name}` has two sides; compute or compare with one of them: {sides}",
                         raw.start, raw.end)  # fmt: skip
    return subject


def _alike(first: Subject, op: Op, second: Subject, span: tuple[int, int]) -> Relation:
    """Fields of one kind that is no number: addresses, flags, names."""
    left, right = first.operand, second.operand
    if left == right:
        raise QueryError(f"this compares {first.name} with itself", *span)
    if not isinstance(left, Column) or not isinstance(right, Column):
        other = first if not isinstance(left, Column) else second
        raise QueryError(f"{other.name} is compared with values, not with fields", *span)
    if first.type is not second.type or first.names is not second.names:
        raise QueryError(f"{first.name} ({first.type.value}) and {second.name} ({second.type.value}) do not compare",
                         *span)  # fmt: skip
    if op not in (Op.EQ, Op.NE):
        raise QueryError(f"`{op.value}` cannot be asked of {first.name} and {second.name}; use =, !=", *span)
    return Relation(left, op, right, span)


class Terms:
    """Makes terms of one comparison."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._operations = 0

    def typed(self, raw: Raw) -> Typed:
        match raw:
            case Group():
                return self.typed(raw.item)
            case Minus():
                inner = self.typed(raw.item)
                if inner.type is Type.TIME:
                    raise QueryError("a time has no negative", raw.start, raw.end)
                return Typed(Arithmetic("-", Constant(Fraction(0)), inner.term), inner.type)
            case Binary() if raw.symbol in SYMBOLS:
                return self._binary(raw)
            case Call():
                return self._call(raw)
            case Token():
                return self._token(raw)
            case _:
                raise QueryError("a condition cannot be computed with", raw.start, raw.end)

    def _binary(self, raw: Binary) -> Typed:
        self._operations += 1
        if self._operations > MAX_OPERATIONS:
            raise QueryError(f"a comparison computes with at most {MAX_OPERATIONS} of + - * /", raw.start, raw.end)
        left, right = self.typed(raw.left), self.typed(raw.right)
        return Typed(Arithmetic(raw.symbol, left.term, right.term), _type(raw, left.type, right.type))

    def _call(self, raw: Call) -> Typed:
        function = function_named(raw.name.text)
        if function is None or not function.of_time:
            return Typed(time_value(raw, self._now), Type.TIME)
        if not raw.arguments and function.name == "UNIX_TIMESTAMP":
            return Typed(Applied(function.name, time_value(Token(Lexeme.WORD, "NOW", 0, 0), self._now)), Type.NUMBER)
        inner = self.typed(raw.arguments[0]) if len(raw.arguments) == 1 else None
        if inner is None or inner.type is not Type.TIME:
            raise QueryError(f"{function.name} takes a time: {function.example}", raw.start, raw.end)
        if ratio(inner.term).below.constant is None:
            raise QueryError(f"{function.name} takes a time that is not divided by a field", raw.start, raw.end)
        return Typed(Applied(function.name, inner.term), Type.NUMBER)

    def _token(self, token: Token) -> Typed:
        if token.lexeme is Lexeme.NUMBER:
            return _quantity(token)
        if token.lexeme is not Lexeme.WORD or token.keyword in TIME_WORDS:
            return Typed(time_value(token, self._now), Type.TIME)
        if resolve(token.text) is None:
            raise QueryError(unknown(token.text), token.start, token.end)
        subject = _named(token)
        if subject.type not in COMPUTED:
            raise QueryError(f"{subject.name} ({subject.type.value}) cannot be computed with", token.start, token.end)
        assert isinstance(subject.operand, Column | Derived), "only these have such types"
        return Typed(subject.operand, Type.NUMBER if subject.type is Type.PORT else subject.type)


def _quantity(token: Token) -> Typed:
    number, unit = number_and_unit(token)
    sizes = {name.lower(): factor for name, factor in SIZE_UNITS.items()}
    if unit.lower() in sizes:
        number *= sizes[unit.lower()]
    elif unit and (unit == "M" or unit.lower() not in DURATION_UNITS):
        units = ", ".join((*DURATION_UNITS, *SIZE_UNITS))
        raise QueryError(f"`{unit}` is no unit: {units}", token.start, token.end)
    elif unit:
        return Typed(Duration(length_of_time(token)), Type.DURATION)
    return Typed(Constant(number), Type.NUMBER)


def _type(raw: Binary, left: Type, right: Type) -> Type:
    symbol, pair = raw.symbol, (left, right)
    if Type.TIME in pair:
        if symbol == "-" and left is right:
            return Type.DURATION
        shifted = pair == (Type.TIME, Type.DURATION) and symbol in "+-"
        if shifted or (pair == (Type.DURATION, Type.TIME) and symbol == "+"):
            return Type.TIME
        raise QueryError("of a time one can take another, and add or take away a length of time with its unit",
                         raw.start, raw.end)  # fmt: skip
    if symbol in "+-":
        return Type.DURATION if Type.DURATION in pair else Type.NUMBER
    # Seconds times seconds is a number, and so is anything per second.
    return Type.DURATION if left is not right and not (symbol == "/" and left is Type.NUMBER) else Type.NUMBER
