"""Typed text to values: times, addresses, numbers with units, names and flags, each read as its subject demands.

`value` is the only entry. Errors say what the subject takes and point at the value. No grammar, no conditions.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

from afterfact_protocol.communityid import digest_of

from .addresses import endpoint_value, named_network, network_value
from .errors import QueryError
from .functions import DURATION_UNITS, FLAG_LETTERS, SIZE_UNITS
from .lexer import Lexeme, Token
from .literals import NUMBER, TAKES, hyphened, literal, mismatch, number_and_unit
from .nodes import Blob, Duration, Instant, Number, Text, Value
from .operators import Type
from .rawtree import Binary, Call, Group, Minus, Raw
from .services import SERVICES
from .subjects import Subject, name_of, nearest, number_of, resolve, spellings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
"""What the store's DateTime64(6) can hold."""

_MICROSECOND = timedelta(microseconds=1)
_MAX_DURATION = 400 * 366 * DURATION_UNITS["d"]

_TIME = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:\s+|[Tt])(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?"
    r"\s*([Zz]|UTC|utc|[+-]\d{2}:?\d{2})?\s*",
    re.ASCII,
)

_start_time = resolve("start_time")
assert _start_time is not None
_ANY_TIME = replace(_start_time, name="this place")


def value(raw: Raw, subject: Subject, now: datetime) -> Value:
    """The value that `raw` means beside `subject`. `now` is the time of asking, with its zone. Raises QueryError."""
    while isinstance(raw, Group):
        raw = raw.item
    match subject.type:
        case Type.TIME:
            return _instant(raw, subject, now)
        case Type.ADDRESS:
            return network_value(raw, subject)
        case Type.ENDPOINT:
            return endpoint_value(raw, subject)
        case Type.SENSOR | Type.TEXT:
            return _text(raw, subject)
        case Type.BYTES:
            return _blob(raw, subject)
        case Type.DURATION:
            return _duration(raw, subject)
        case Type.FLAGS:
            return Number(_flags(raw, subject))
        case Type.NAME | Type.PROTO:
            return Number(_named(raw, subject))
        case Type.PORT:
            return Number(_port(raw, subject))
        case Type.NETWORK:
            return named_network(raw, subject)
        case Type.COMMUNITY:
            return _community(raw, subject)
        case _:
            return Number(_number(raw, subject))


def time_value(raw: Raw, now: datetime) -> Instant:
    """The time that `raw` means. `now` is the time of asking, with its zone. Raises QueryError."""
    return _instant(raw, _ANY_TIME, now)


def is_day(token: Token) -> bool:
    """Whether a token is a date without a time of day."""
    match = _TIME.fullmatch(token.text) if token.lexeme in (Lexeme.DATE, Lexeme.STRING) else None
    return match is not None and match[4] is None


# --- times


def _instant(raw: Raw, subject: Subject, now: datetime) -> Instant:
    if isinstance(raw, Group):
        return _instant(raw.item, subject, now)
    if isinstance(raw, Binary) and raw.symbol in "+-":
        base = _instant(raw.left, subject, now)
        right = raw.right
        if isinstance(right, Token) and NUMBER.fullmatch(right.text):
            shift = length_of_time(right)
        elif isinstance(right, Group | Binary):
            shift = _microseconds(right, _duration_subject())
        else:
            raise QueryError("a time takes + or - and a length of time, such as now - 24h", right.start, right.end)
        return _in_range(_EPOCH + timedelta(microseconds=base.us), shift if raw.symbol == "+" else -shift, raw)
    if isinstance(raw, Call):
        if raw.name.keyword in ("UTC_TIMESTAMP", "NOW") and not raw.arguments:
            return _in_range(now, 0, raw)
        if raw.name.keyword == "FROM_UNIXTIME" and len(raw.arguments) == 1:
            seconds = _folded(raw.arguments[0])[0] * DURATION_UNITS["s"]
            if abs(seconds) > _MAX_DURATION:
                raise QueryError("times range from 1900 to 2299", raw.start, raw.end)
            return _in_range(_EPOCH, int(seconds), raw)
        raise mismatch(raw, subject)
    token = literal(raw, subject, Lexeme.STRING, Lexeme.DATE, Lexeme.WORD)
    if token.lexeme is not Lexeme.WORD:
        return _in_range(_time(token, subject), 0, token)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    words = {"NOW": now, "TODAYUTC": midnight, "YESTERDAY": midnight, "LASTWEEK": midnight}
    if token.keyword not in words:
        raise mismatch(raw, subject)
    back = {"YESTERDAY": 1, "LASTWEEK": 7}.get(token.keyword, 0)
    return _in_range(words[token.keyword], -back * DURATION_UNITS["d"], token)


def _time(token: Token, subject: Subject) -> datetime:
    match = _TIME.fullmatch(token.text)
    if match is None:
        raise mismatch(token, subject)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, zone = (match[7] or "").ljust(6, "0"), match[8]
    try:
        return datetime(year, month, day, hour, minute, second, int(fraction), tzinfo=_zone(zone))
    except ValueError as error:
        raise QueryError(f"no such time as '{token.text.strip()}': {error}", token.start, token.end) from None


def _zone(text: str | None) -> timezone:
    if text is None or text.upper() in ("Z", "UTC"):
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _in_range(time: datetime, shift_us: int, raw: Raw) -> Instant:
    us = (time - _EPOCH) // _MICROSECOND + shift_us
    if not (_FIRST - _EPOCH) // _MICROSECOND <= us <= (_LAST - _EPOCH) // _MICROSECOND:
        raise QueryError("times range from 1900 to 2299", raw.start, raw.end)
    return Instant(us)


def _duration(raw: Raw, subject: Subject) -> Duration:
    if isinstance(raw, Binary | Minus):
        return Duration(_microseconds(raw, subject))
    token = literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING)
    if not NUMBER.fullmatch(token.text):
        raise mismatch(raw, subject)
    return Duration(_length(token, unit_needed=False))


def _duration_subject() -> Subject:
    return replace(_ANY_TIME, type=Type.DURATION)


def _microseconds(raw: Raw, subject: Subject) -> int:
    """A length of time that is computed, or a number of seconds that is."""
    number, seconds = _folded(raw)
    us = number * DURATION_UNITS["s"]
    if seconds not in (0, 1):
        raise mismatch(raw, subject)
    if us.denominator != 1 or not 0 <= us <= _MAX_DURATION:
        raise QueryError("lengths of time are whole microseconds, at most 400 years", raw.start, raw.end)
    return int(us)


def length_of_time(token: Token) -> int:
    """A length of time in microseconds, which must have its unit. Raises QueryError."""
    return _length(token, unit_needed=True)


def _length(token: Token, *, unit_needed: bool) -> int:
    """A length of time in microseconds; without a unit it is seconds."""
    number, unit = number_and_unit(token)
    factor = DURATION_UNITS.get(unit.lower()) if unit != "M" else None
    if not unit and not unit_needed:
        factor = DURATION_UNITS["s"]
    if factor is None:
        what = f"`{unit}` is no unit of time" if unit else "a length of time needs a unit"
        raise QueryError(f"{what}: {', '.join(DURATION_UNITS)}", token.start, token.end)
    us = number * factor
    if us.denominator != 1 or us > _MAX_DURATION:
        raise QueryError("lengths of time are whole microseconds, at most 400 years", token.start, token.end)
    return int(us)


# --- numbers


def _folded(raw: Raw) -> tuple[Fraction, int]:
    """What is computed of numbers alone, and how often seconds are its factor: 1 for a length of time."""
    match raw:
        case Group():
            return _folded(raw.item)
        case Minus():
            number, seconds = _folded(raw.item)
            return -number, seconds
        case Token() if raw.lexeme is Lexeme.NUMBER:
            number, unit = number_and_unit(raw)
            sizes = {name.lower(): factor for name, factor in SIZE_UNITS.items()}
            if not unit or unit.lower() in sizes:
                return number * sizes.get(unit.lower(), 1), 0
            return Fraction(length_of_time(raw), DURATION_UNITS["s"]), 1
        case Binary() if raw.symbol in "+-*/":
            (left, one), (right, other) = _folded(raw.left), _folded(raw.right)
            if raw.symbol in "+-":
                if one != other:
                    raise QueryError("a number and a length of time do not add", raw.start, raw.end)
                return (left + right if raw.symbol == "+" else left - right), one
            if raw.symbol == "*":
                return left * right, one + other
            if not right:
                raise QueryError("this divides by 0", raw.start, raw.end)
            return left / right, one - other
        case _:
            raise QueryError("a number is expected here", raw.start, raw.end)


def _number(raw: Raw, subject: Subject) -> int:
    if isinstance(raw, Minus) and isinstance(raw.item, Token) and raw.item.lexeme is Lexeme.NUMBER:
        raise QueryError(f"{subject.name} is never negative", raw.start, raw.end)
    if isinstance(raw, Binary | Minus):
        number, seconds = _folded(raw)
        if seconds:
            raise mismatch(raw, subject)
        return _whole(number, raw, subject)
    token = literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING)
    if not NUMBER.fullmatch(token.text):
        raise mismatch(raw, subject)
    number, unit = number_and_unit(token)
    if unit:
        sizes = {name.lower(): factor for name, factor in SIZE_UNITS.items()}
        if subject.unit != "bytes":
            counts = f"counts {subject.unit}" if subject.unit else f"takes {TAKES[subject.type]}"
            raise QueryError(f"{subject.name} {counts}: a number without a unit", token.start, token.end)
        if unit.lower() not in sizes:
            raise QueryError(f"`{unit}` is no unit of size: {', '.join(SIZE_UNITS)}", token.start, token.end)
        number *= sizes[unit.lower()]
    return _whole(number, token, subject)


def _whole(number: Fraction, raw: Raw, subject: Subject) -> int:
    if number.denominator != 1:
        raise QueryError(f"{subject.name} takes a whole number", raw.start, raw.end)
    if number < 0:
        raise QueryError(f"{subject.name} is never negative", raw.start, raw.end)
    if number > subject.maximum:
        what = "a port" if subject.type is Type.PORT else subject.name
        raise QueryError(f"{what} is at most {subject.maximum}", raw.start, raw.end)
    return int(number)


def _port(raw: Raw, subject: Subject) -> int:
    token = hyphened(raw) or raw
    named = isinstance(token, Token) and token.lexeme in (Lexeme.WORD, Lexeme.STRING)
    if not (isinstance(token, Token) and named) or NUMBER.fullmatch(token.text):
        return _number(raw, subject)
    name = token.text.strip().lower()
    if name not in SERVICES:
        hint = nearest(name, tuple(SERVICES)) or "; use its port's number"
        raise QueryError(f"no service `{token.text}`{hint}", token.start, token.end)
    return SERVICES[name]


def _named(raw: Raw, subject: Subject) -> int:
    names = subject.names
    assert names is not None, "subjects with named values have names"
    token = literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING, Lexeme.WORD)
    if token.lexeme is Lexeme.NUMBER or NUMBER.fullmatch(token.text):
        number = _number(token, subject)
        if subject.type is Type.NAME and name_of(names, number) is None:
            raise QueryError(f"{subject.name} has no value {number}: {_choices(subject)}", token.start, token.end)
        return number
    found = number_of(names, token.text.strip())
    if found is None:
        hint = nearest(token.text, spellings(names)) or f": {_choices(subject)}"
        what = "protocol" if subject.type is Type.PROTO else subject.name
        raise QueryError(f"no {what} `{token.text}`{hint}", token.start, token.end)
    return found


def _choices(subject: Subject) -> str:
    assert subject.names is not None
    names = spellings(subject.names)
    return f"it is one of {', '.join(names)}" if subject.type is Type.NAME else "use its number"


def _flags(raw: Raw, subject: Subject) -> int:
    names = subject.names
    assert names is not None, "flags have names"
    token = literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING, Lexeme.WORD)
    if token.lexeme is Lexeme.NUMBER or NUMBER.fullmatch(token.text):
        return _number(token, subject)
    bits = 0
    for word in re.split(r"[,+|\s]+", token.text.strip()):
        bit = number_of(names, word)
        if bit is None and word and "SYN" in names.__members__ and set(word.upper()) <= FLAG_LETTERS.keys():
            bit = sum(int(names[FLAG_LETTERS[letter]]) for letter in set(word.upper()))
        if bit is None:
            hint = nearest(word, spellings(names)) or f": {', '.join(spellings(names))}"
            raise QueryError(f"no flag `{word}`{hint}", token.start, token.end)
        bits |= bit
    return bits


# --- text


def _text(raw: Raw, subject: Subject) -> Text:
    if subject.type is Type.SENSOR and not (isinstance(raw, Token) and raw.lexeme is Lexeme.NUMBER):
        raw = hyphened(raw) or raw
    word = (Lexeme.WORD,) if subject.type is Type.SENSOR else ()
    return Text(literal(raw, subject, Lexeme.STRING, *word).text)


def _community(raw: Raw, subject: Subject) -> Blob:
    token = literal(raw, subject, Lexeme.STRING)
    digest = digest_of(token.text.strip())
    if digest is None:
        raise mismatch(raw, subject)
    return Blob(digest)


def _blob(raw: Raw, subject: Subject) -> Blob:
    token = literal(raw, subject, Lexeme.STRING)
    if not re.fullmatch(r"[0-9A-Fa-f]*", token.text) or len(token.text) != 2 * subject.size:
        message = f"{subject.name} takes {2 * subject.size} hexadecimal digits in quotes"
        raise QueryError(message, token.start, token.end)
    return Blob(bytes.fromhex(token.text))
