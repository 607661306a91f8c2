"""Raw tree to checked tree: names resolved against the fields, values typed, what makes no sense refused.

Meaning only: the grammar is syntax.py's, single values are values.py's.
"""

from datetime import datetime

from . import binding, firsts, regexp, setterms
from .addresses import network
from .errors import QueryError
from .functions import DERIVED, EITHER, FIRST_SEEN, FUNCTIONS, NETWORK_FIELDS, PREDICATES, TIME_WORDS, function_named
from .lexer import Lexeme, Token
from .nodes import (
    And,
    Between,
    Column,
    Compare,
    Derived,
    Duration,
    Expr,
    Far,
    InSet,
    Instant,
    IsNull,
    Like,
    Masked,
    Member,
    Network,
    Not,
    Number,
    Op,
    Or,
    Order,
    Predicate,
    Regexp,
    Value,
)
from .operators import OPERATORS, Type
from .rawtree import (
    Binary,
    Call,
    Group,
    Junction,
    Listed,
    Minus,
    Negation,
    NullTest,
    Patterned,
    Ranged,
    Raw,
    RawOrder,
    Recent,
    Window,
)
from .subjects import SESSION, SESSION_EXAMPLE, Subject, nearest, number_of, resolve, subject_of, unknown
from .terms import SYMBOLS, computes, names_field, relation
from .values import value
from .windows import window

MAX_LIMIT = 1_000_000
"""Sessions that one answer can list; the server keeps their keys."""

_FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def where(arms: tuple[Raw, ...], now: datetime) -> Expr | None:
    """The condition of a query; the arms of a UNION are alternatives. None if there is none."""
    if not arms:
        return None
    checker = _Checker(now)
    found = binding.bound(_join(Or, tuple(checker.condition(arm) for arm in arms)))
    firsts.check_number(found)
    return found


def order(keys: tuple[RawOrder, ...], condition: Expr | None) -> tuple[Order, ...]:
    """The sort keys of a query with this condition."""
    found: list[Order] = []
    for key in keys:
        subject = resolve(key.name.text)
        if subject is None:
            raise QueryError(unknown(key.name.text), key.name.start, key.name.end)
        operand = subject.operand
        if subject.type is Type.NETWORK:
            raise QueryError(f"`{subject.name}` has no order", key.name.start, key.name.end)
        if isinstance(operand, Far):
            end = binding.far_end(condition)
            if end is None:
                raise binding.unbound(key.name.start, key.name.end)
            operand = end
        if subject.type is Type.SESSION:
            raise QueryError("`session` has no order; sort by start_time", key.name.start, key.name.end)
        if not isinstance(operand, Column | Derived | Far):
            raise QueryError(f"`{subject.name}` has two sides; sort by one of them", key.name.start, key.name.end)
        if any(other.operand == operand for other in found):
            raise QueryError(f"{subject.name} is in ORDER BY already", key.name.start, key.name.end)
        found.append(Order(operand, key.descending))
    return tuple(found)


def limit(token: Token | None) -> int | None:
    """The number of LIMIT."""
    if token is None:
        return None
    number = int(token.text) if token.text.isascii() and token.text.isdigit() else 0
    if not 1 <= number <= MAX_LIMIT:
        raise QueryError(f"LIMIT takes a whole number from 1 to {MAX_LIMIT:,}", token.start, token.end)
    return number


NONE = "NONE"
"""After EXCLUDING: nothing is left out."""


def excluding(names: tuple[Token, ...] | None) -> tuple[str, ...] | None:
    """The names after EXCLUDING in small letters, none of NONE; None if it does not stand there."""
    if names is None:
        return None
    found: list[str] = []
    for token in names:
        name = token.text.lower()
        if token.keyword == NONE and len(names) > 1:
            raise QueryError("NONE stands alone: EXCLUDING NONE leaves nothing out", token.start, token.end)
        if name in found:
            raise QueryError(f"{name} is excluded already", token.start, token.end)
        found.append(name)
    return () if found == [NONE.lower()] else tuple(found)


def _join(kind: type[And] | type[Or], items: tuple[Expr, ...]) -> Expr:
    flat: list[Expr] = []
    for item in items:
        flat.extend(item.items if isinstance(item, kind) else (item,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


class _Checker:
    def __init__(self, now: datetime) -> None:
        self._now = now
        self._sets = 0

    # --- conditions

    def condition(self, raw: Raw) -> Expr:
        match raw:
            case Group():
                return self.condition(raw.item)
            case Junction():
                return _join(And if raw.word == "AND" else Or, tuple(self.condition(item) for item in raw.items))
            case Negation():
                return Not(self.condition(raw.item))
            case Binary() if raw.symbol in _FLIPPED:
                return self._compare(raw)
            case Listed():
                return self._listed(raw)
            case Ranged():
                return self._ranged(raw)
            case Patterned():
                return self._patterned(raw)
            case NullTest():
                subject = self._subject(raw.left)
                _allow("IS NULL", subject, raw)
                return _negated(raw.negated, IsNull(subject.operand, (raw.start, raw.end)))
            case Call():
                return self._function(raw)
            case Window() | Recent():
                return window(raw, self._now)
            case Token() if raw.lexeme is Lexeme.WORD:
                return _named(raw)
            case Token() if raw.lexeme is Lexeme.SET:
                raise QueryError(f"which field is to be in the set? src_ip IN @{raw.text}, say", raw.start, raw.end)
            case _:
                raise QueryError("a value alone is no condition; compare a field with it", raw.start, raw.end)

    def _compare(self, raw: Binary) -> Expr:
        symbol, left, right = raw.symbol, raw.left, raw.right
        if problem := firsts.computed_with(left) or firsts.computed_with(right):
            raise problem
        if firsts.named(left) or firsts.named(right):
            return firsts.first_seen(left, symbol, right, self._now, self.condition, (raw.start, raw.end))
        if setterms.names_set(right):
            raise QueryError("a set is asked with IN or NOT IN, as in src_ip IN @infected", right.start, right.end)
        if self._relates(left, right):
            return relation(left, Op(symbol), right, self._now, (raw.start, raw.end))
        if not _may_name(left) and self._operand(right) is not None:
            symbol, left, right = _FLIPPED[symbol], right, left
        subject = self._subject(left)
        _allow(symbol, subject, raw)
        found = self._value(right, subject)
        return Compare(subject.operand, Op(symbol), found, (raw.start, raw.end))

    def _relates(self, left: Raw, right: Raw) -> bool:
        """Whether a comparison is one of two fields or of something computed, and not of one field with a value."""
        if _takes_words(left, right) or _takes_words(right, left):
            return False
        return computes(left) or computes(right) or (names_field(left) and names_field(right))

    def _listed(self, raw: Listed) -> Expr:
        sets = [item for item in raw.items if setterms.names_set(item)]
        if sets:
            return self._in_sets(raw, sets)
        if computes(raw.left):
            place = (raw.start, raw.end)
            equal = tuple(relation(raw.left, Op.EQ, item, self._now, place) for item in raw.items)
            return _negated(raw.negated, _join(Or, equal))
        subject = self._subject(raw.left)
        _allow("IN", subject, raw)
        if subject.type is Type.SESSION:
            raise QueryError("session is asked of sets: session IN @suspects", raw.start, raw.end)
        found = dict.fromkeys(self._value(item, subject) for item in raw.items)
        return _negated(raw.negated, Member(subject.operand, tuple(found), (raw.start, raw.end)))

    def _in_sets(self, raw: Listed, sets: list[Raw]) -> Expr:
        """Sets, perhaps with values beside them in a list: in any of them."""
        subject = self._subject(raw.left)
        setterms.operand(subject, raw.left)
        found: list[Expr] = []
        if others := tuple(item for item in raw.items if item not in sets):
            values = dict.fromkeys(self._value(item, subject) for item in others)
            found.append(Member(subject.operand, tuple(values), (raw.start, raw.end)))
        for item in sets:
            term = setterms.term(item)
            self._sets += len(setterms.named(term))
            if self._sets > setterms.MAX_SETS:
                raise QueryError(f"a query names at most {setterms.MAX_SETS} sets", item.start, item.end)
            found.append(InSet(subject.operand, term, (item.start, item.end)))
        return _negated(raw.negated, _join(Or, tuple(found)))

    def _ranged(self, raw: Ranged) -> Expr:
        computed = any(map(computes, (raw.left, raw.low, raw.high))) or any(map(names_field, (raw.low, raw.high)))
        if computed or firsts.named(raw.left):
            bounds = ((">=", raw.low), ("<=", raw.high))
            halves = (self._compare(Binary(symbol, raw.left, bound, raw.start, raw.end)) for symbol, bound in bounds)
            return _negated(raw.negated, And(tuple(halves)))
        subject = self._subject(raw.left)
        _allow("BETWEEN", subject, raw)
        low, high = self._value(raw.low, subject), self._value(raw.high, subject)
        if subject.type is Type.ADDRESS:
            _check_address_range(raw, low, high)
        elif _measure(low) > _measure(high):
            raise QueryError("the lower bound of BETWEEN is above the upper", raw.low.start, raw.high.end)
        return _negated(raw.negated, Between(subject.operand, low, high, (raw.start, raw.end)))

    def _patterned(self, raw: Patterned) -> Expr:
        subject = self._subject(raw.left)
        pattern = raw.right
        if subject.type is Type.ADDRESS and raw.word == "LIKE" and isinstance(pattern, Token):
            instead = f"{subject.name} = {_network_like(pattern.text)}"
            raise QueryError(f"LIKE is for text; write {instead}", raw.start, raw.end)
        _allow(raw.word, subject, raw)
        if not (isinstance(pattern, Token) and pattern.lexeme is Lexeme.STRING):
            raise QueryError(f"{raw.word} takes a pattern in quotes", pattern.start, pattern.end)
        assert isinstance(subject.operand, Column), "text is never virtual"
        span = (raw.start, raw.end)
        if raw.word == "REGEXP":
            if problem := regexp.check(pattern.text):
                raise QueryError(problem, pattern.start, pattern.end)
            return _negated(raw.negated, Regexp(subject.operand, pattern.text, span))
        escapes = len(pattern.text) - len(pattern.text.rstrip("\\"))
        if escapes % 2:
            raise QueryError("a pattern cannot end in a single backslash", pattern.start, pattern.end)
        return _negated(raw.negated, Like(subject.operand, pattern.text, span))

    def _function(self, raw: Call) -> Expr:
        function = function_named(raw.name.text)
        if function is None:
            raise _no_function(raw)
        name = function.name
        if function.name == FIRST_SEEN:
            raise QueryError(f"{FIRST_SEEN} compares with a time: {function.example}", raw.start, raw.end)
        if not function.condition or len(raw.arguments) != 2:
            raise QueryError(f"{name} is written {function.example}", raw.start, raw.end)
        subject = self._subject(raw.arguments[0])
        if subject.type is not Type.FLAGS or not isinstance(subject.operand, Column):
            at = raw.arguments[0]
            raise QueryError(f"{name} takes a flags field: src_flags, dst_flags, tunnel or marks", at.start, at.end)
        mask = self._mask(raw.arguments[1], subject)
        span, column = (raw.start, raw.end), subject.operand.name
        if name == "flags_only":
            return Compare(subject.operand, Op.EQ, Number(mask), span)
        if name == "flags_all":
            return Compare(Masked(column, mask), Op.EQ, Number(mask), span)
        return Compare(Masked(column, mask), Op.EQ if name == "flags_none" else Op.NE, Number(0), span)

    # --- operands and values

    def _operand(self, raw: Raw) -> Subject | None:
        """The subject that `raw` names, or None if it is no operand."""
        if isinstance(raw, Group):
            return self._operand(raw.item)
        if isinstance(raw, Token):
            return resolve(raw.text) if raw.lexeme is Lexeme.WORD else None
        if isinstance(raw, Binary) and raw.symbol == "&":
            subject = self._subject(raw.left)
            if isinstance(subject.operand, Masked):
                raise QueryError("flags are masked once", raw.start, raw.end)
            _allow("&", subject, raw)
            assert isinstance(subject.operand, Column), "flags are never virtual"
            return subject_of(Masked(subject.operand.name, self._mask(raw.right, subject)))
        return None

    def _subject(self, raw: Raw) -> Subject:
        """The subject that `raw` must name."""
        found = self._operand(raw)
        if found is not None:
            return found
        if isinstance(raw, Group):
            return self._subject(raw.item)
        if isinstance(raw, Call):
            function = function_named(raw.name.text)
            if function is None:
                raise _no_function(raw)
            if function.name == FIRST_SEEN:
                raise QueryError(f"{FIRST_SEEN} compares with a time by <, <=, > or >=", raw.start, raw.end)
            what = "a condition by itself; it is not compared" if function.condition else "a value, no field; it is"
            example = "" if function.condition else f" written {function.example}"
            raise QueryError(f"{function.name}(...) is {what}{example}", raw.start, raw.end)
        if isinstance(raw, Token) and raw.lexeme is Lexeme.WORD:
            if raw.text.lower() in PREDICATES:
                raise QueryError(f"`{raw.text}` is a condition by itself; it is not compared", raw.start, raw.end)
            raise QueryError(unknown(raw.text), raw.start, raw.end)
        if isinstance(raw, Binary) and raw.symbol in SYMBOLS and (word := _first_word(raw)):
            raise QueryError(unknown(word.text), word.start, word.end)
        raise QueryError("a field's name is expected here", raw.start, raw.end)

    def _value(self, raw: Raw, subject: Subject) -> Value:
        named = subject.type in (Type.NAME, Type.PROTO, Type.SENSOR, Type.FLAGS)
        if isinstance(raw, Token) and raw.lexeme is Lexeme.WORD and not named:
            if resolve(raw.text) is not None:
                raise QueryError(f"`{raw.text}` is a field; a list holds values only", raw.start, raw.end)
        elif isinstance(raw, Call) and function_named(raw.name.text) is None and raw.name.keyword != "NOW":
            raise _no_function(raw)
        found = value(raw, subject, self._now)
        if isinstance(subject.operand, Masked) and isinstance(found, Number) and found.value & ~subject.operand.mask:
            message = f"{found.value} has flags that the mask {subject.operand.mask} takes away"
            raise QueryError(message, raw.start, raw.end)
        return found

    def _mask(self, raw: Raw, subject: Subject) -> int:
        found = value(raw, subject, self._now)
        assert isinstance(found, Number), "flags are numbers"
        if not found.value:
            raise QueryError("name at least one flag", raw.start, raw.end)
        return found.value


def _may_name(raw: Raw) -> bool:
    """Whether the left side of a comparison is meant as a field, even if misspelt."""
    if isinstance(raw, Group):
        return _may_name(raw.item)
    if isinstance(raw, Token):
        return raw.lexeme is Lexeme.WORD and raw.keyword not in TIME_WORDS
    return isinstance(raw, Binary) and raw.symbol == "&"


def _takes_words(subject: Raw, other: Raw) -> bool:
    """Whether `other` is a name beside a field whose values have names, though a field may be called the same."""
    if isinstance(subject, Group) or isinstance(other, Group):
        return False
    found = resolve(subject.text) if isinstance(subject, Token) and subject.lexeme is Lexeme.WORD else None
    if found is None or found.type in (Type.SENSOR, Type.NETWORK):
        return found is not None
    if found.names is None or not isinstance(other, Token):
        return False
    return number_of(found.names, other.text) is not None


def _first_word(raw: Raw) -> Token | None:
    """The first word in a computation that names no field."""
    if isinstance(raw, Token):
        return raw if raw.lexeme is Lexeme.WORD and resolve(raw.text) is None else None
    if isinstance(raw, Group | Minus):
        return _first_word(raw.item)
    return (_first_word(raw.left) or _first_word(raw.right)) if isinstance(raw, Binary) else None


def _named(token: Token) -> Expr:
    name = token.text.lower()
    if name in PREDICATES:
        return Predicate(name, (token.start, token.end))
    subject = resolve(name)
    if subject is not None:
        examples = {name: entry.example for name, entry in (EITHER | DERIVED | NETWORK_FIELDS).items()}
        examples[SESSION.name] = SESSION_EXAMPLE
        asks = subject.type in OPERATORS["IS NOT NULL"].types
        example = f"{subject.name} IS NOT NULL" if asks else examples[subject.name]
        raise QueryError(f"`{token.text}` alone is no condition; compare it, or ask {example}", token.start, token.end)
    raise QueryError(unknown(token.text).replace("no field", "no field or condition", 1), token.start, token.end)


def _no_function(raw: Call) -> QueryError:
    name = raw.name.text
    hint = nearest(name, tuple(FUNCTIONS)) or f"; there are {', '.join(FUNCTIONS)}"
    return QueryError(f"no function `{name}`{hint}", raw.name.start, raw.name.end)


def _allow(symbol: str, subject: Subject, raw: Raw) -> None:
    if subject.type not in OPERATORS[symbol].types:
        usable = [op.name for op in OPERATORS.values() if subject.type in op.types and not op.name.startswith("NOT")]
        raise QueryError(f"`{symbol}` cannot be asked of {subject.name}; use {', '.join(usable)}", raw.start, raw.end)


def _negated(negated: bool, item: Expr) -> Expr:
    return Not(item) if negated else item


def _measure(found: Value) -> int:
    if isinstance(found, Number):
        return found.value
    assert isinstance(found, Instant | Duration), "only these have an order"
    return found.us


def _check_address_range(raw: Ranged, low: Value, high: Value) -> None:
    for bound, at in ((low, raw.low), (high, raw.high)):
        if not (isinstance(bound, Network) and bound.single):
            raise QueryError("BETWEEN takes single addresses; for a network use =", at.start, at.end)
    assert isinstance(low, Network) and isinstance(high, Network)
    if low.is_ipv4 != high.is_ipv4:
        raise QueryError("the bounds of BETWEEN are one IPv4 and one IPv6 address", raw.low.start, raw.high.end)
    if low.first > high.first:
        raise QueryError("the lower bound of BETWEEN is above the upper", raw.low.start, raw.high.end)


def _network_like(pattern: str) -> str:
    """The network that an analyst means by a pattern such as 10.1.%, as an example."""
    parts = [part for part in pattern.rstrip("%").strip(".").split(".") if part.isdigit()]
    if 1 <= len(parts) <= 3 and (found := network(f"{'.'.join(parts + ['0'] * (4 - len(parts)))}/{8 * len(parts)}")):
        return str(found)
    return "10.0.0.0/8"
