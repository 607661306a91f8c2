"""DURING and LAST: the time that a session must have been there in some moment of."""

from datetime import datetime

from .errors import QueryError
from .functions import DURATION_UNITS
from .lexer import Lexeme, Token
from .nodes import During, EventWindow
from .rawtree import Binary, Call, Group, Raw, Recent, Window
from .values import is_day, length_of_time, time_value

_DAY = DURATION_UNITS["d"]
_DAYS = {"TODAYUTC": 1, "YESTERDAY": 1, "LASTWEEK": 7}
"""How many days the words stand for here."""


def window(raw: Window | Recent, now: datetime) -> During | EventWindow:
    """The time that is meant. `now` is the time of asking, with its zone. Raises QueryError."""
    span = (raw.start, raw.end)
    if isinstance(raw, Window) and (call := _event(raw.first)) is not None:
        return _around(raw, call)
    if isinstance(raw, Recent):
        last = time_value(Token(Lexeme.WORD, "NOW", *span), now).us
        return During(last - length_of_time(raw.length), last, span)
    first = time_value(raw.first, now).us
    if raw.last is None:
        return During(first, first + _length(raw.first), span)
    if raw.sign:
        assert isinstance(raw.last, Token), "the grammar lets nothing else stand after a sign"
        length = length_of_time(raw.last)
        last = time_value(_base(raw.first), now).us + (length if raw.sign == "+" else -length)
    else:
        last = time_value(raw.last, now).us + _length(raw.last)
    if last < first:
        raise QueryError("this time ends before it begins", *span)
    return During(first, last, span)


MAX_EVENT = (1 << 32) - 1


def _event(raw: Raw) -> Call | None:
    """The `event(4711)` that a time is counted from."""
    base = _base(raw)
    return base if isinstance(base, Call) and base.name.keyword == "EVENT" else None


def _around(raw: Window, call: Call) -> EventWindow:
    number = call.arguments[0] if len(call.arguments) == 1 else None
    if not (isinstance(number, Token) and number.lexeme is Lexeme.NUMBER and number.text.isdigit()):
        raise QueryError("event takes the number of an alert: event(4711)", call.start, call.end)
    if not 0 < int(number.text) <= MAX_EVENT:
        raise QueryError(f"alerts have numbers from 1 to {MAX_EVENT:,}", number.start, number.end)
    before = after = _shifted(raw.first)
    if raw.last is not None:
        if not raw.sign or not isinstance(raw.last, Token):
            raise QueryError("a window around an alert ends so long after or before it: "
                             f"DURING event({number.text}) -10m..+10m", raw.last.start, raw.last.end)  # fmt: skip
        length = length_of_time(raw.last)
        after = length if raw.sign == "+" else -length
    if after < before:
        raise QueryError("this time ends before it begins", raw.start, raw.end)
    return EventWindow(int(number.text), before, after, (raw.start, raw.end))


def _shifted(raw: Raw) -> int:
    """Microseconds that are added to an event's time."""
    if isinstance(raw, Group):
        return _shifted(raw.item)
    if not isinstance(raw, Binary):
        return 0
    if raw.symbol not in "+-" or not isinstance(raw.right, Token) or raw.right.lexeme is not Lexeme.NUMBER:
        raise QueryError("an alert's time takes + or - and a length of time, such as 10m", raw.right.start,
                         raw.right.end)  # fmt: skip
    length = length_of_time(raw.right)
    return _shifted(raw.left) + (length if raw.symbol == "+" else -length)


def _base(raw: Raw) -> Raw:
    """What a time is counted from: of `'2004-07-20 17:37' - 10m` the time in quotes."""
    if isinstance(raw, Group):
        return _base(raw.item)
    return _base(raw.left) if isinstance(raw, Binary) else raw


def _length(raw: Raw) -> int:
    """How long after its beginning what is named ends: a day without a time of day is the whole of it."""
    if isinstance(raw, Group):
        return _length(raw.item)
    if not isinstance(raw, Token):
        return 0
    days = _DAYS.get(raw.keyword, int(is_day(raw)))
    return days * _DAY - 1 if days else 0
