"""Typed text to values: times, addresses, numbers with units, names and flags, each read as its subject demands.

`value` is the only entry. Errors say what the subject takes and point at the value. No grammar, no conditions.
"""

import ipaddress
import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

from .errors import QueryError
from .functions import DURATION_UNITS, FLAG_LETTERS, SIZE_UNITS
from .lexer import Lexeme, Token
from .nodes import IPV4_FIRST, Blob, Duration, Endpoint, Instant, NamedNetwork, Network, Number, Text, Value
from .operators import Type
from .subjects import Subject, name_of, nearest, number_of, spellings
from .syntax import Binary, Call, Group, Minus, Raw

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
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]+)|(\d{1,40}(?:\.\d{1,40})?)([A-Za-z]*)", re.ASCII)
_ADDRESS_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*)):(\d{1,6})", re.ASCII)

_TAKES = {
    Type.TIME: "a time, such as '2004-07-20 17:30:00' or now - 24h",
    Type.NUMBER: "a whole number",
    Type.ADDRESS: "an address or network, such as 10.1.2.3, 10.0.0.0/8, 2001:db8::/32 or net('dmz')",
    Type.PORT: "a port, a number from 0 to 65535",
    Type.PROTO: "a protocol, by name or number from 0 to 255",
    Type.NAME: "a name",
    Type.FLAGS: "flags, by number or by names such as 'SYN,ACK'",
    Type.TEXT: "text in quotes",
    Type.SENSOR: "the name of a sensor, in quotes",
    Type.IDENT: "a whole number",
    Type.BYTES: "hexadecimal digits in quotes",
    Type.DURATION: "a length of time, such as 90s, 5m, 6h or 2d",
    Type.ENDPOINT: "an address and a port, such as '10.1.2.3:80' or '[2001:db8::1]:80'",
}


def value(raw: Raw, subject: Subject, now: datetime) -> Value:
    """The value that `raw` means beside `subject`. `now` is the time of asking, with its zone. Raises QueryError."""
    while isinstance(raw, Group):
        raw = raw.item
    match subject.type:
        case Type.TIME:
            return _instant(raw, subject, now)
        case Type.ADDRESS:
            return _network(raw, subject)
        case Type.ENDPOINT:
            return _endpoint(raw, subject)
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
        case _:
            return Number(_number(raw, subject))


def _mismatch(raw: Raw, subject: Subject) -> QueryError:
    shown = ""
    if isinstance(raw, Token):
        shown = f"; '{raw.text}' is not" if raw.lexeme is Lexeme.STRING else f"; `{raw.text}` is not"
    elif isinstance(raw, Call):
        shown = f"; {raw.name.text}(...) is not"
    return QueryError(f"{subject.name} takes {_TAKES[subject.type]}{shown}", raw.start, raw.end)


def _literal(raw: Raw, subject: Subject, *lexemes: Lexeme) -> Token:
    if isinstance(raw, Token) and raw.lexeme in lexemes:
        return raw
    raise _mismatch(raw, subject)


# --- times


def _instant(raw: Raw, subject: Subject, now: datetime) -> Instant:
    if isinstance(raw, Group):
        return _instant(raw.item, subject, now)
    if isinstance(raw, Binary) and raw.symbol in "+-":
        base = _instant(raw.left, subject, now)
        if not (isinstance(raw.right, Token) and _NUMBER.fullmatch(raw.right.text)):
            right = raw.right
            raise QueryError("a time takes + or - and a length of time, such as now - 24h", right.start, right.end)
        shift = _length(raw.right, unit_needed=True)
        return _in_range(_EPOCH + timedelta(microseconds=base.us), shift if raw.symbol == "+" else -shift, raw)
    if isinstance(raw, Call):
        if raw.name.keyword in ("UTC_TIMESTAMP", "NOW") and not raw.arguments:
            return _in_range(now, 0, raw)
        raise _mismatch(raw, subject)
    token = _literal(raw, subject, Lexeme.STRING, Lexeme.DATE, Lexeme.WORD)
    if token.lexeme is not Lexeme.WORD:
        return _in_range(_time(token, subject), 0, token)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    words = {"NOW": now, "TODAYUTC": midnight, "YESTERDAY": midnight, "LASTWEEK": midnight}
    if token.keyword not in words:
        raise _mismatch(raw, subject)
    back = {"YESTERDAY": 1, "LASTWEEK": 7}.get(token.keyword, 0)
    return _in_range(words[token.keyword], -back * DURATION_UNITS["d"], token)


def _time(token: Token, subject: Subject) -> datetime:
    match = _TIME.fullmatch(token.text)
    if match is None:
        raise _mismatch(token, subject)
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
    token = _literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING)
    if not _NUMBER.fullmatch(token.text):
        raise _mismatch(raw, subject)
    return Duration(_length(token, unit_needed=False))


def _length(token: Token, *, unit_needed: bool) -> int:
    """A length of time in microseconds; without a unit it is seconds."""
    number, unit = _parts(token)
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


def _parts(token: Token) -> tuple[Fraction, str]:
    match = _NUMBER.fullmatch(token.text)
    assert match is not None, "callers have matched it"
    return (Fraction(int(match[1], 16)), "") if match[1] else (Fraction(match[2]), match[3])


def _number(raw: Raw, subject: Subject) -> int:
    if isinstance(raw, Minus) and isinstance(raw.item, Token) and raw.item.lexeme is Lexeme.NUMBER:
        raise QueryError(f"{subject.name} is never negative", raw.start, raw.end)
    token = _literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING)
    if not _NUMBER.fullmatch(token.text):
        raise _mismatch(raw, subject)
    number, unit = _parts(token)
    if unit:
        sizes = {name.lower(): factor for name, factor in SIZE_UNITS.items()}
        if subject.unit != "bytes":
            counts = f"counts {subject.unit}" if subject.unit else f"takes {_TAKES[subject.type]}"
            raise QueryError(f"{subject.name} {counts}: a number without a unit", token.start, token.end)
        if unit.lower() not in sizes:
            raise QueryError(f"`{unit}` is no unit of size: {', '.join(SIZE_UNITS)}", token.start, token.end)
        number *= sizes[unit.lower()]
    if number.denominator != 1:
        raise QueryError(f"{subject.name} takes a whole number", token.start, token.end)
    if number > subject.maximum:
        what = "a port" if subject.type is Type.PORT else subject.name
        raise QueryError(f"{what} is at most {subject.maximum}", token.start, token.end)
    return int(number)


def _named(raw: Raw, subject: Subject) -> int:
    names = subject.names
    assert names is not None, "subjects with named values have names"
    token = _literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING, Lexeme.WORD)
    if token.lexeme is Lexeme.NUMBER or _NUMBER.fullmatch(token.text):
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
    token = _literal(raw, subject, Lexeme.NUMBER, Lexeme.STRING, Lexeme.WORD)
    if token.lexeme is Lexeme.NUMBER or _NUMBER.fullmatch(token.text):
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


# --- addresses


def _network(raw: Raw, subject: Subject) -> Network | NamedNetwork:
    if isinstance(raw, Call):
        if raw.name.keyword == "NET":
            name = raw.arguments[0] if len(raw.arguments) == 1 else raw
            if not (isinstance(name, Token) and name.lexeme in (Lexeme.STRING, Lexeme.WORD) and name.text):
                raise QueryError("net takes the name of one network in quotes", name.start, name.end)
            return NamedNetwork(name.text)
        if raw.name.keyword != "INET_ATON":
            raise _mismatch(raw, subject)
        if len(raw.arguments) != 1:
            raise QueryError("INET_ATON takes one IPv4 address in quotes", raw.start, raw.end)
        token = _literal(raw.arguments[0], subject, Lexeme.STRING, Lexeme.ADDRESS)
        found = network(token.text)
        if found is None or not found.single or found.first < IPV4_FIRST or found.first >> 32 != 0xFFFF:
            raise QueryError("INET_ATON takes one IPv4 address in quotes", token.start, token.end)
        return found
    token = _literal(raw, subject, Lexeme.ADDRESS, Lexeme.STRING, Lexeme.NUMBER)
    if token.lexeme is Lexeme.NUMBER or (token.text.isascii() and token.text.isdigit()):
        number, unit = _parts(token)
        if unit or number.denominator != 1:
            raise _mismatch(raw, subject)
        if number > 0xFFFF_FFFF:
            raise QueryError("an IPv4 address as a number is at most 4294967295", token.start, token.end)
        return Network(IPV4_FIRST | int(number), 128)
    found = network(token.text)
    if found is None:
        if _ADDRESS_PORT.fullmatch(token.text):
            message = f"{subject.name} takes an address without a port; with one use endpoint"
            raise QueryError(message, token.start, token.end)
        raise _mismatch(raw, subject)
    return found


def network(text: str) -> Network | None:
    """An address or network in the usual notation, host bits dropped; None if it is none."""
    text = text.strip()
    if "%" in text or not text.isascii():
        return None
    try:
        parsed = ipaddress.ip_interface(text).network
    except ValueError:
        return None
    first, bits = int(parsed.network_address), parsed.prefixlen
    if parsed.version == 4:
        first, bits = first | IPV4_FIRST, bits + 96
    return Network(first, bits)


def _endpoint(raw: Raw, subject: Subject) -> Endpoint:
    token = _literal(raw, subject, Lexeme.ADDRESS, Lexeme.STRING)
    match = _ADDRESS_PORT.fullmatch(token.text.strip())
    found = network(match[1] or match[2] or "") if match else None
    if match is None or found is None or ((":" in (match[1] or "")) != (match[1] is not None)):
        raise _mismatch(raw, subject)
    port = int(match[3])
    if port > 65535:
        raise QueryError("a port is at most 65535", token.start, token.end)
    return Endpoint(found, port)


# --- text


def _text(raw: Raw, subject: Subject) -> Text:
    word = (Lexeme.WORD,) if subject.type is Type.SENSOR else ()
    return Text(_literal(raw, subject, Lexeme.STRING, *word).text)


def _blob(raw: Raw, subject: Subject) -> Blob:
    token = _literal(raw, subject, Lexeme.STRING)
    if not re.fullmatch(r"[0-9A-Fa-f]*", token.text) or len(token.text) != 2 * subject.size:
        message = f"{subject.name} takes {2 * subject.size} hexadecimal digits in quotes"
        raise QueryError(message, token.start, token.end)
    return Blob(bytes.fromhex(token.text))
