"""What may come next at the cursor: names, operators, values and keywords, from the fields and the registries.

Walks the tokens before the cursor, however unfinished, and never fails. It checks nothing: that is the parser's part.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from afterfact_protocol.session import FIELDS

from .errors import QueryError
from .functions import (
    DERIVED,
    EITHER,
    FAR_HELP,
    FIRST_SEEN,
    FIRST_SEEN_FIELDS,
    FUNCTIONS,
    NETWORK_FIELDS,
    PREDICATES,
    TIME_WORDS,
)
from .lexer import Lexeme, Token, tokens
from .measures import WORDS
from .nodes import Column, Derived
from .operators import COMPUTED, OPERATORS, Operator, Type
from .services import SERVICES
from .setterms import KINDS
from .stagecomplete import Offer, stage_offers
from .subjects import SESSION, SESSION_HELP, Subject, resolve, spellings


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing that may stand at the cursor."""

    text: str
    """What to put there, in place of the characters from `start` to the cursor."""
    kind: str
    """field, condition, function, operator, keyword or value."""
    doc: str
    start: int


class _Place(Enum):
    """What the grammar wants next."""

    START = auto()
    CONDITION = auto()
    OPERATOR = auto()
    NEGATED = auto()
    VALUE = auto()
    LOW = auto()
    LOW_GIVEN = auto()
    LIST = auto()
    ITEM = auto()
    NEXT_ITEM = auto()
    NULL = auto()
    MASK = auto()
    MASKED = auto()
    FIRSTS_FIELD = auto()
    FIRSTS_NEXT = auto()
    FIRSTS_COMPARED = auto()
    FLAGS_FIELD = auto()
    FLAGS_COMMA = auto()
    FLAGS = auto()
    AFTER = auto()
    OPERAND = auto()
    ADDEND = auto()
    MOMENT = auto()
    MOMENT_GIVEN = auto()
    END_MOMENT = auto()
    LENGTH = auto()
    EXCLUDE = auto()
    EXCLUDED = auto()
    ORDER_BY = auto()
    ORDER = auto()
    ORDERED = auto()
    DIRECTED = auto()
    NOTHING = auto()


_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
_ARITHMETIC = ("+", "-", "*", "/")
_KEYWORDS = {
    "WHERE": "begins the condition; it may be left out",
    "ASC": "smallest or earliest first",
    "DESC": "largest or latest first",
    "NULL": "not known to the source",
    "NOT NULL": "known to the source",
    "NONE": "leave nothing out, not even what the server leaves out by default",
    "..": "and the time that it ends",
}


@dataclass(frozen=True, slots=True)
class _Names:
    """What only the server knows."""

    sensors: Iterable[str]
    networks: Iterable[str]
    sets: Mapping[str, str]
    exclusions: Mapping[str, str]


NOTHING: Mapping[str, str] = {}


def complete(
    text: str, cursor: int, sensors: Iterable[str] = (), networks: Iterable[str] = (),
    sets: Mapping[str, str] = NOTHING, exclusions: Mapping[str, str] = NOTHING,
) -> list[Suggestion]:  # fmt: skip
    """Suggestions for the place `cursor` (a character offset), best first. `sensors` and `networks` are the names to
    offer; `sets` (without their `@`, with the kind of their values) and `exclusions` (with their conditions) too."""
    try:
        found = tokens(text[:cursor])[:-1]
    except QueryError:
        return []
    start, typed, quoted = cursor, "", False
    if found and found[-1].end == cursor and (found[-1].lexeme is Lexeme.SET or text[found[-1].start :] == "@"):
        start, typed = found[-1].start, text[found.pop().start : cursor]
    elif found and found[-1].end == cursor and found[-1].lexeme is Lexeme.WORD:
        start, typed = found[-1].start, found.pop().text
    elif found and found[-1].lexeme is Lexeme.REFUSED and text[found[-1].start] in "'\"":
        opening = found.pop().start
        start, typed, quoted = opening + 1, text[opening + 1 : cursor], True
    elif found and found[-1].end == cursor and found[-1].lexeme is not Lexeme.SYMBOL:
        return []  # In the middle of a number, an address or something that is none.
    if any(token.is_symbol("|") for token in found):
        offers: Iterable[Offer] = () if quoted else stage_offers(found, _operands())
    else:
        offers = _offers(*_walk(found), _Names(sensors, networks, sets, exclusions), quoted)
    table, dot, rest = typed.rpartition(".")
    prefix = table + dot if table.lower() in ("sessions", "sancp") else ""
    wanted = (rest if prefix else typed).lower()
    first: list[Suggestion] = []
    second: list[Suggestion] = []
    for name, kind, doc in offers:
        if prefix and kind != "field":
            continue
        if name.lower() != wanted and wanted in name.lower().lstrip("'"):
            near = name.lower().lstrip("'").startswith(wanted)
            (first if near else second).append(Suggestion(prefix + name, kind, doc, start))
    return first + second


def _walk(found: list[Token]) -> tuple[_Place, Subject | None]:
    """The place after these tokens, and the subject that a value or operator there belongs to."""
    place, subject = _Place.START, None
    at = 0
    while at < len(found):
        token = found[at]
        call = at + 1 < len(found) and found[at + 1].is_symbol("(")
        if call and token.text.lower() == FIRST_SEEN:
            end = _closed(found, at + 1)
            if end is None:
                return _firsts(found[at + 2 :])
            place, subject, at = _Place.FIRSTS_COMPARED, None, end
        else:
            place, subject = _step(place, subject, token, call)
        at += 1
    return place, subject


def _closed(found: list[Token], at: int) -> int | None:
    """Where the parenthesis that opens at `at` is closed; None if it is not."""
    depth = 0
    for place, token in enumerate(found[at:], at):
        depth += token.is_symbol("(") - token.is_symbol(")")
        if not depth:
            return place
    return None


def _firsts(inside: list[Token]) -> tuple[_Place, Subject | None]:
    """The place after these tokens, which follow `first_seen(`."""
    where = next((at for at, token in enumerate(inside) if token.keyword == "WHERE"), None)
    if where is not None:
        return _walk(inside[where:])
    return (_Place.FIRSTS_NEXT if inside and not inside[-1].is_symbol(",") else _Place.FIRSTS_FIELD), None


def _step(place: _Place, subject: Subject | None, token: Token, call: bool) -> tuple[_Place, Subject | None]:
    word = token.keyword
    match place:
        case _Place.START | _Place.CONDITION:
            if word == "ORDER":
                return _Place.ORDER_BY, None
            if word == "LIMIT":
                return _Place.NOTHING, None
            if word in ("DURING", "LAST"):
                return (_Place.MOMENT if word == "DURING" else _Place.LENGTH), None
            if word in ("ONCE", "EXCLUDING"):
                return (_Place.DIRECTED if word == "ONCE" else _Place.EXCLUDE), None
            if word in ("WHERE", "NOT") or token.is_symbol("(", "!"):
                return _Place.CONDITION, None
            if word.lower() in FUNCTIONS and call:
                return _Place.FLAGS_FIELD, None
            if word.lower() in PREDICATES:
                return _Place.AFTER, None
            return _Place.OPERATOR, resolve(token.text) if word else None
        case _Place.OPERATOR | _Place.NEGATED:
            return _operator(place, subject, token)
        case _Place.VALUE | _Place.MASKED if not (token.is_symbol("-", "+", "(") or call):
            return (_Place.AFTER, None) if place is _Place.VALUE else (_Place.OPERATOR, subject)
        case _Place.MASK:
            return _Place.OPERATOR, subject
        case _Place.LOW:
            return _Place.LOW_GIVEN, subject
        case _Place.LOW_GIVEN:
            return (_Place.VALUE, subject) if word == "AND" else (place, subject)
        case _Place.LIST:
            return (_Place.AFTER, None) if token.lexeme is Lexeme.SET else (_Place.ITEM, subject)
        case _Place.EXCLUDE:
            return _Place.EXCLUDED, None
        case _Place.EXCLUDED:
            return (_Place.EXCLUDE, None) if token.is_symbol(",") else _after(place, token)
        case _Place.ITEM:
            return _Place.NEXT_ITEM, subject
        case _Place.NEXT_ITEM:
            return (_Place.AFTER, None) if token.is_symbol(")") else (_Place.ITEM, subject)
        case _Place.NULL:
            return (_Place.NULL, subject) if word == "NOT" else (_Place.AFTER, None)
        case _Place.FIRSTS_COMPARED:
            return _Place.END_MOMENT, None
        case _Place.FLAGS_FIELD:
            return (place, None) if token.is_symbol("(") else (_Place.FLAGS_COMMA, resolve(token.text))
        case _Place.FLAGS_COMMA:
            return _Place.FLAGS, subject
        case _Place.FLAGS:
            return (_Place.AFTER, None) if token.is_symbol(")") else (place, subject)
        case _Place.AFTER:
            if token.is_symbol(*_ARITHMETIC):
                return _Place.ADDEND, None
            return _after(place, token)
        case _Place.OPERAND:
            return _Place.OPERATOR, subject
        case _Place.ADDEND | _Place.LENGTH | _Place.END_MOMENT if not token.is_symbol("-", "+", "("):
            return _Place.AFTER, None
        case _Place.MOMENT if not token.is_symbol("("):
            return _Place.MOMENT_GIVEN, None
        case _Place.MOMENT_GIVEN:
            if token.is_symbol(*_ARITHMETIC):
                return _Place.MOMENT, None
            return (_Place.END_MOMENT, None) if token.is_symbol("..") else _after(place, token)
        case _Place.ORDER_BY:
            return _Place.ORDER, None
        case _Place.ORDER:
            return _Place.ORDERED, None
        case _Place.ORDERED | _Place.DIRECTED:
            if token.is_symbol(","):
                return _Place.ORDER, None
            return (_Place.NOTHING if word == "LIMIT" else _Place.DIRECTED), None
        case _:
            return place, subject


def _operator(place: _Place, subject: Subject | None, token: Token) -> tuple[_Place, Subject | None]:
    if token.is_symbol(*_COMPARISONS):
        return _Place.VALUE, subject
    if token.is_symbol("&"):
        return _Place.MASK, subject
    if token.is_symbol(*_ARITHMETIC):
        return _Place.OPERAND, subject
    places = {
        "IN": _Place.LIST,
        "BETWEEN": _Place.LOW,
        "IS": _Place.NULL,
        "NOT": _Place.NEGATED,
        "LIKE": _Place.VALUE,
        "REGEXP": _Place.VALUE,
        "RLIKE": _Place.VALUE,
    }
    return places.get(token.keyword, place), subject


def _after(place: _Place, token: Token) -> tuple[_Place, Subject | None]:
    if token.keyword in ("AND", "OR", "UNION") or token.is_symbol("&&", "||"):
        return _Place.CONDITION, None
    places = {
        "ORDER": _Place.ORDER_BY,
        "LIMIT": _Place.NOTHING,
        "ONCE": _Place.DIRECTED,
        "EXCLUDING": _Place.EXCLUDE,
    }
    return places.get(token.keyword, place), None


# --- what may stand at a place


def _offers(place: _Place, subject: Subject | None, names: _Names, quoted: bool) -> Iterator[Offer]:
    if place in (_Place.LIST, _Place.ITEM) and subject and subject.type in KINDS and not quoted:
        for name, kind in sorted(names.sets.items()):
            if kind == KINDS[subject.type]:
                yield f"@{name}", "value", f"a set of {kind}"
    if place in (_Place.VALUE, _Place.LOW, _Place.ITEM, _Place.MASK, _Place.FLAGS) and subject:
        yield from _values(subject, names, quoted)
        if place is _Place.VALUE and not quoted:
            yield from _comparable(subject)
        return
    if quoted:
        return
    match place:
        case _Place.START | _Place.CONDITION:
            yield from _operands()
            yield from _operators("NOT", "DURING", "LAST")
            yield from ((name, "function", f"{entry.help}: {entry.example}") for name, entry in FUNCTIONS.items()
                        if entry.condition or name == FIRST_SEEN)  # fmt: skip
            if place is _Place.START:
                yield "WHERE", "keyword", _KEYWORDS["WHERE"]
                yield from _operators("EXCLUDING", "ONCE", "ORDER BY", "LIMIT")
                yield "|", "keyword", WORDS["|"].help
        case _Place.OPERATOR | _Place.NEGATED:
            usable = [op for op in OPERATORS.values() if subject is None or subject.type in op.types]
            computes = subject is None or isinstance(subject.operand, Column | Derived)
            for op in usable:
                if op.name in _ARITHMETIC and not computes:
                    continue
                if op.types and (place is _Place.OPERATOR or op.name in ("IN", "BETWEEN", "LIKE", "REGEXP")):
                    yield _offer(op)
        case _Place.LOW_GIVEN:
            yield "AND", "keyword", "and the upper bound"
        case _Place.NULL:
            yield from ((name, "keyword", _KEYWORDS[name]) for name in ("NULL", "NOT NULL"))
        case _Place.OPERAND | _Place.ADDEND:
            yield from _fields_of(COMPUTED)
        case _Place.MOMENT | _Place.END_MOMENT:
            yield from ((name, "value", entry.help) for name, entry in TIME_WORDS.items())
        case _Place.AFTER | _Place.MOMENT_GIVEN:
            if place is _Place.MOMENT_GIVEN:
                yield "..", "keyword", _KEYWORDS[".."]
            yield from _operators("AND", "OR", "UNION", "EXCLUDING", "ONCE", "ORDER BY", "LIMIT")
            yield "|", "keyword", WORDS["|"].help
        case _Place.EXCLUDE:
            yield from ((name, "value", f"leave out: {what}") for name, what in sorted(names.exclusions.items()))
            yield "NONE", "keyword", _KEYWORDS["NONE"]
        case _Place.EXCLUDED:
            yield from _operators("ONCE", "ORDER BY", "LIMIT")
            yield "|", "keyword", WORDS["|"].help
        case _Place.ORDER_BY:
            yield "BY", "keyword", OPERATORS["ORDER BY"].help
        case _Place.ORDER:
            unordered = {*EITHER, *NETWORK_FIELDS, SESSION.name}
            yield from (offer for offer in _operands() if offer[0] not in unordered and offer[1] == "field")
        case _Place.ORDERED | _Place.DIRECTED:
            if place is _Place.ORDERED:
                yield from ((name, "keyword", _KEYWORDS[name]) for name in ("ASC", "DESC"))
            yield from _operators("LIMIT")
            yield "|", "keyword", WORDS["|"].help
        case _Place.FIRSTS_FIELD:
            taken = {name for names in FIRST_SEEN_FIELDS for name in names}
            yield from (offer for offer in _operands() if offer[0] in taken)
        case _Place.FIRSTS_NEXT:
            yield "WHERE", "keyword", "which sessions count"
        case _Place.FIRSTS_COMPARED:
            yield from _operators("<", "<=", ">", ">=")
        case _Place.FLAGS_FIELD:
            yield from ((field.name, "field", field.doc) for field in FIELDS if _is_flags(field.name))


def _is_flags(name: str) -> bool:
    subject = resolve(name)
    return subject is not None and subject.type is Type.FLAGS


def _operands() -> Iterator[Offer]:
    yield from ((name, "field", entry.help) for name, entry in EITHER.items())
    yield from ((field.name, "field", field.doc) for field in FIELDS)
    yield from ((name, "field", entry.help) for name, entry in DERIVED.items())
    yield from ((name, "field", entry.help) for name, entry in NETWORK_FIELDS.items())
    yield "other_ip", "field", FAR_HELP
    yield SESSION.name, "field", SESSION_HELP
    yield from ((name, "condition", entry.help) for name, entry in PREDICATES.items())


def _operators(*names: str) -> Iterator[Offer]:
    for name in names:
        yield _offer(OPERATORS[name])


def _offer(operator: Operator) -> Offer:
    keyword = operator.name in ("ORDER BY", "LIMIT", "UNION", "EXCLUDING", "ONCE", "DURING", "LAST")
    return operator.name, "keyword" if keyword else "operator", f"{operator.help}: {operator.example}"


def _fields_of(types: Iterable[Type]) -> Iterator[Offer]:
    for name, kind, doc in _operands():
        found = resolve(name)
        if kind == "field" and found and found.type in types and isinstance(found.operand, Column | Derived):
            yield name, kind, doc


def _comparable(subject: Subject) -> Iterator[Offer]:
    """Fields that a field can be compared with."""
    if subject.type in COMPUTED | {Type.ADDRESS} and isinstance(subject.operand, Column | Derived):
        yield from (offer for offer in _fields_of((subject.type,)) if offer[0] != subject.name)


def _values(subject: Subject, names: _Names, quoted: bool) -> Iterator[Offer]:
    quote = "" if quoted else "'"
    match subject.type:
        case Type.SENSOR:
            yield from ((f"{quote}{name}{quote}", "value", "a sensor") for name in sorted(names.sensors))
        case Type.NETWORK:
            yield from ((f"{quote}{name}{quote}", "value", "a network") for name in sorted(names.networks))
        case Type.PORT if not quoted:
            yield from (
                (name, "value", f"port {port}") for name, port in sorted(SERVICES.items()) if name.isidentifier()
            )
        case Type.FLAGS if subject.names is not None:
            yield from ((f"{quote}{name}{quote}", "value", "a flag") for name in spellings(subject.names))
        case Type.NAME | Type.PROTO if subject.names is not None:
            yield from ((name, "value", f"number {member.value}") for name, member in
                        zip(spellings(subject.names), subject.names.__members__.values(), strict=True))  # fmt: skip
        case Type.ADDRESS if not quoted:
            yield from ((f"net('{name}')", "value", "a network") for name in sorted(names.networks))
            yield from ((name, "function", f"{FUNCTIONS[name].help}: {FUNCTIONS[name].example}") for name in
                        ("net", "INET_ATON"))  # fmt: skip
        case Type.TIME if not quoted:
            yield from ((name, "value", entry.help) for name, entry in TIME_WORDS.items())
