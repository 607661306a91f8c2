"""A term as the quotient of two whole numbers, so that it can be computed exactly with integers alone, and the bounds
of these, so that they never wrap round.

`a / b > c / d` needs no division: it is `a * d > c * b` where b and d are positive. What computes with whole numbers
(the server's SQL) says what they are made of in its own terms. No names, no text.
"""

from dataclasses import dataclass

from afterfact_protocol.session import BY_NAME, Kind

from .errors import QueryError
from .functions import DERIVED
from .measures import type_of
from .nodes import Applied, Arithmetic, Cell, Column, Constant, Derived, Duration, Instant, Measure, Span, Term
from .operators import Type

SECOND = 1_000_000
"""Times and lengths of time are microseconds, and count as seconds."""
DAY = 86_400
DAYS_BEFORE_1970 = 719_528
"""What MySQL's TO_DAYS is of 1970-01-01."""

LARGEST = 1 << 255
"""No whole number of a computation can reach this, whatever the sessions."""

_TIMES = (-2_208_988_800_000_000, 10_413_792_000_000_000)
"""1900 to 2299, as DateTime64(6) holds."""


MOST_SESSIONS = 1 << 48
"""No store holds so many; what is added up stays below this many times its largest value."""


@dataclass(frozen=True, slots=True)
class Part:
    """A whole number that a measure's value is made of: its `value`; of avg the sum, and how many values are `known`;
    of jitter the `deviation` and the median, `period`."""

    measure: Measure
    name: str = "value"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number that is computed from a session: `symbol` is "field", "constant", "+", "-", "*" or "//", which is
    the quotient by the constant `value`, rounded down."""

    symbol: str
    low: int
    high: int
    parts: tuple["Whole", ...] = ()
    value: int = 0
    operand: Column | Derived | Part | None = None
    largest: int = 0
    """What no value on the way to it exceeds, in either direction."""

    def __post_init__(self) -> None:
        largest = max(abs(self.low), abs(self.high), *(part.largest for part in self.parts))
        object.__setattr__(self, "largest", largest)

    @property
    def constant(self) -> int | None:
        return self.value if self.symbol == "constant" else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """`above / below`; NULL where one of `divisors` is 0. `below` is never 0 elsewhere."""

    above: Whole
    below: Whole
    divisors: tuple[Whole, ...] = ()


def _constant(value: int) -> Whole:
    return Whole("constant", value, value, value=value)


_ONE = _constant(1)


def _computed(symbol: str, left: Whole, right: Whole) -> Whole:
    a, b, c, d = left.low, left.high, right.low, right.high
    match symbol:
        case "+":
            low, high = a + c, b + d
        case "-":
            low, high = a - d, b - c
        case _:
            products = (a * c, a * d, b * c, b * d)
            low, high = min(products), max(products)
    if left.constant is not None and right.constant is not None:
        return _constant(low)
    if symbol == "*" and 1 in (left.constant, right.constant):
        return right if left.constant == 1 else left
    return Whole(symbol, low, high, (left, right))


def ratio(term: Term) -> Ratio:
    """The quotient that a term is."""
    match term:
        case Constant():
            return Ratio(_constant(term.value.numerator), _constant(term.value.denominator))
        case Instant() | Duration():
            return Ratio(_constant(term.us), _constant(SECOND))
        case Column() | Derived():
            return _field(term)
        case Cell():
            return _cell(term.measure)
        case Applied():
            inner = ratio(term.term)
            return _day(inner) if term.function == "TO_DAYS" else inner
        case Arithmetic():
            return _arithmetic(term.symbol, ratio(term.left), ratio(term.right))


def _field(operand: Column | Derived) -> Ratio:
    if isinstance(operand, Derived):
        entry = DERIVED[operand.name]
        if entry.type is Type.DURATION:
            longest = _TIMES[1] - _TIMES[0]
            return Ratio(Whole("field", -longest, longest, operand=operand), _constant(SECOND))
        return Ratio(Whole("field", 0, 2**64 - 1, operand=operand), _ONE)
    entry_ = BY_NAME[operand.name]
    if entry_.kind is Kind.TIME:
        return Ratio(Whole("field", *_TIMES, operand=operand), _constant(SECOND))
    bits = 8 * int(entry_.dtype.strip("<u"))
    return Ratio(Whole("field", 0, 2**bits - 1, operand=operand), _ONE)


def _cell(measure: Measure) -> Ratio:
    longest, largest = _TIMES[1] - _TIMES[0], 2**64 - 1
    second = _constant(SECOND)
    match measure.function:
        case "count" | "distinct" | "n":
            return Ratio(Whole("field", 0, largest, operand=Part(measure)), _ONE)
        case "first" | "last":
            return Ratio(Whole("field", *_TIMES, operand=Part(measure)), second)
        case "period":
            return Ratio(Whole("field", 0, longest, operand=Part(measure)), second)
        case "jitter":
            deviation, period = (Whole("field", 0, longest, operand=Part(measure, name))
                                   for name in ("deviation", "period"))  # fmt: skip
            return Ratio(deviation, period, (period,))
    kind = type_of(measure)
    below = second if kind in (Type.TIME, Type.DURATION) else _ONE
    low, high = _TIMES if kind is Type.TIME else (-longest, longest) if kind is Type.DURATION else (0, largest)
    if measure.function in ("min", "max"):
        return Ratio(Whole("field", low, high, operand=Part(measure)), below)
    # Of an either-side field each session adds two values.
    total = Whole("field", 2 * MOST_SESSIONS * low, 2 * MOST_SESSIONS * high, operand=Part(measure))
    if measure.function == "sum":
        return Ratio(total, below)
    known = Whole("field", 0, 2 * MOST_SESSIONS, operand=Part(measure, "known"))
    return Ratio(total, _computed("*", known, below), (known,))


def _day(time: Ratio) -> Ratio:
    length = time.below.constant
    assert length is not None and length > 0, "terms.py lets no other time come here"
    length *= DAY
    whole = Whole("//", time.above.low // length, time.above.high // length, (time.above,), length)
    return Ratio(_computed("+", whole, _constant(DAYS_BEFORE_1970)), _ONE, time.divisors)


def _arithmetic(symbol: str, left: Ratio, right: Ratio) -> Ratio:
    divisors = left.divisors + right.divisors
    if symbol == "/":
        return Ratio(_computed("*", left.above, right.below), _computed("*", left.below, right.above),
                     (*divisors, right.above))  # fmt: skip
    if symbol == "*":
        return Ratio(_computed("*", left.above, right.above), _computed("*", left.below, right.below), divisors)
    if left.below == right.below:
        return Ratio(_computed(symbol, left.above, right.above), left.below, divisors)
    first, second = _computed("*", left.above, right.below), _computed("*", right.above, left.below)
    return Ratio(_computed(symbol, first, second), _computed("*", left.below, right.below), divisors)


@dataclass(frozen=True, slots=True)
class Sides:
    """Two whole numbers that compare as two terms do, where `sign` is positive, and the other way round where it is
    negative. NULL where one of `divisors` is 0, and only there `sign` can be 0."""

    left: Whole
    right: Whole
    sign: Whole
    divisors: tuple[Whole, ...]

    @property
    def largest(self) -> int:
        """What no value on the way exceeds, in either direction."""
        return max(whole.largest for whole in (self.left, self.right, self.sign, *self.divisors))


def sides(left: Term, right: Term) -> Sides:
    """What compares as two terms do."""
    first, second = ratio(left), ratio(right)
    divisors = first.divisors + second.divisors
    if first.below == second.below and (first.below.constant or 0) > 0:
        return Sides(first.above, second.above, _ONE, divisors)
    return Sides(_computed("*", first.above, second.below), _computed("*", second.above, first.below),
                 _computed("*", first.below, second.below), divisors)  # fmt: skip


def check_size(left: Term, right: Term, span: Span) -> None:
    """QueryError, pointing at `span`, for what cannot be computed without numbers of over 255 bits."""
    if sides(left, right).largest >= LARGEST:
        raise QueryError("this computation can come to numbers of over 255 bits; multiply and divide less", *span)
