"""DURING and LAST: the time that a session must have been there in some moment of."""

from datetime import datetime

from .errors import QueryError
from .functions import DURATION_UNITS
from .lexer import Lexeme, Token
from .nodes import During
from .rawtree import Binary, Group, Raw, Recent, Window
from .values import is_day, length_of_time, time_value

_DAY = DURATION_UNITS["d"]
_DAYS = {"TODAYUTC": 1, "YESTERDAY": 1, "LASTWEEK": 7}
"""How many days the words stand for here."""


def window(raw: Window | Recent, now: datetime) -> During:
    """The time that is meant. `now` is the time of asking, with its zone. Raises QueryError."""
    span = (raw.start, raw.end)
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
