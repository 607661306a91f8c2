"""Columns of sessions spelled in numpy, without a Python object a value: this is what makes millions of lines quick.

A value's text stands in a cell, a row of a uint8 array of shape (rows, width); what it does not need is PAD. Rows of
cells are put beside each other and the PADs taken out. Knows no format: what stands between the cells is given, and
text.py says what every field reads like. Opens no files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.session import IPV4_PREFIX

Cells = NDArray[np.uint8]
"""Shape (rows, width)."""

PAD = 0xFF
"""A byte of a cell that is not part of the text; UTF-8 never has it."""
_PAD = bytes([PAD])

_PIECE = 1 << 20
"""Bytes in which rows are joined: what the processor's own cache holds. In 3 MB it takes twice as long."""

_SECOND, _DAY = 1_000_000, 86_400_000_000
_MOST_DAYS = 4096
"""Times that span fewer days are spelled from a list of all of them; others by sorting, five times as slow."""
_FOUR = 10_000


@dataclass(frozen=True, slots=True)
class Span:
    """A column's place in every row: its parts beside each other, each as cells or the same in every row."""

    parts: Sequence[Cells | bytes]
    missing: NDArray[np.bool_] | None = None
    """Which rows have `absent` instead."""
    absent: bytes = b""


def joined(rows: int, spans: Sequence[Span | bytes]) -> Iterator[str]:
    """The text of so many rows, some at a time; a span that is bytes stands in every row."""
    pattern = bytearray()
    places: list[tuple[int, Cells]] = []
    gaps: list[tuple[int, bytes, NDArray[np.bool_]]] = []
    for span in spans:
        begin = len(pattern)
        for part in (span,) if isinstance(span, bytes) else span.parts:
            if isinstance(part, bytes):
                pattern += part
            else:
                places.append((len(pattern), part))
                pattern += bytes(part.shape[1])
        if isinstance(span, Span) and span.missing is not None and (pattern[begin:] or span.absent):
            pattern += _PAD * (len(span.absent) - (len(pattern) - begin))
            gaps.append((begin, span.absent.ljust(len(pattern) - begin, _PAD), span.missing))
    step = max(1, _PIECE // len(pattern))
    for first in range(0, rows, step):
        last = min(first + step, rows)
        text = bytearray((last - first) * len(pattern))
        block = np.frombuffer(text, np.uint8).reshape(-1, len(pattern))
        block[:] = np.frombuffer(pattern, np.uint8)
        for at, cells in places:
            _items(block[:, at : at + cells.shape[1]])[:] = _items(cells[first:last])
        for at, absent, missing in gaps:
            item = np.frombuffer(absent, f"V{len(absent)}")
            _items(block[:, at : at + len(absent)])[np.flatnonzero(missing[first:last])] = item
        yield text.translate(None, _PAD).decode()


def _items(cells: Cells) -> NDArray[np.void]:
    """A cell as one item, which numpy moves at once."""
    return cells.view(f"V{cells.shape[1]}")[:, 0]


def _picked(table: Cells, which: NDArray[np.integer[Any]]) -> Cells:
    """A cell of the table for every number in `which`."""
    return _items(table).take(which).view(np.uint8).reshape(*which.shape, table.shape[1])


def spelled(texts: Sequence[bytes]) -> Cells:
    """Any texts as cells, at Python's speed."""
    width = max(1, *map(len, texts))
    text = b"".join(text.ljust(width, _PAD) for text in texts)
    return np.frombuffer(text, np.uint8).reshape(len(texts), width)


def by_value(column: NDArray[np.unsignedinteger[Any]], spell: Callable[[int], bytes]) -> Cells:
    """Numbers of 8 or 16 bits that have few different values, each spelled once."""
    which = column.astype(np.intp)
    times = np.bincount(which)
    return _picked(spelled([spell(value) if used else b"" for value, used in enumerate(times.tolist())]), which)


def _digits(base: int, places: int) -> tuple[Cells, Cells]:
    """All numbers of so many digits, with leading zeros and without: then 0 is nothing at all."""
    number = np.arange(base**places)[:, None] // base ** np.arange(places)[::-1] % base
    shown = np.frombuffer(b"0123456789abcdef", np.uint8)[number]
    return shown, np.where(np.logical_and.accumulate(number == 0, axis=1), np.uint8(PAD), shown)


@cache
def _four() -> tuple[Cells, Cells]:
    """Four digits, and from place 10,000 on the same without leading zeros: 0 is "0" in the first table, for a number's
    last four digits, and nothing in the second, for those before them."""
    shown, short = _digits(10, 4)
    higher = np.concatenate([shown, short])
    last = higher.copy()
    last[_FOUR, -1] = ord("0")
    return last, higher


def numbers(column: NDArray[np.unsignedinteger[Any]]) -> list[Cells]:
    """Unsigned numbers in decimal, four digits a part."""
    table, higher = _four()
    top = int(column.max())
    rest, parts = column, []
    while top >= _FOUR:
        rest = rest.astype(np.uint32 if top < 1 << 32 else np.uint64)
        over = rest // _FOUR
        group = rest - over * _FOUR
        group += (over == 0) * rest.dtype.type(_FOUR)
        parts.append(_picked(table, group.astype(np.intp)))
        table, rest, top = higher, over, top // _FOUR
    parts.append(_picked(table[_FOUR:], rest.astype(np.intp)))
    return parts[::-1]


@cache
def _clock() -> Cells:
    """`HH:MM:SS` of every second of a day."""
    second = np.arange(86_400)
    pair = _digits(10, 2)[0]
    cells = np.full((len(second), 8), ord(":"), np.uint8)
    cells[:, 0:2], cells[:, 3:5], cells[:, 6:8] = pair[second // 3600], pair[second // 60 % 60], pair[second % 60]
    return cells


@cache
def _fraction() -> tuple[Cells, Cells]:
    """A point and milliseconds; microseconds and Z."""
    three = _digits(10, 3)[0]
    point, zulu = np.full((1000, 1), ord("."), np.uint8), np.full((1000, 1), ord("Z"), np.uint8)
    return np.concatenate([point, three], axis=1), np.concatenate([three, zulu], axis=1)


def times(column: NDArray[np.int64]) -> list[Cells | bytes]:
    """Microseconds since 1970 as RFC 3339 has them, in UTC."""
    days = column // _DAY
    rest = column - days * _DAY
    second = rest // _SECOND
    micro = rest - second * _SECOND
    milli = micro // 1000
    thousandths, millionths = _fraction()
    fraction = _picked(thousandths, milli), _picked(millionths, micro - milli * 1000)
    return [_dates(days), b"T", _picked(_clock(), second), *fraction]


def _dates(days: NDArray[np.int64]) -> Cells | bytes:
    """Days since 1970 as YYYY-MM-DD."""
    first, last = int(days.min()), int(days.max())
    if last - first < _MOST_DAYS:
        different, which = np.arange(first, last + 1), days - first
    else:
        different, which = np.unique(days, return_inverse=True)
    texts = [text.encode() for text in np.datetime_as_string(different.astype("<M8[D]")).tolist()]
    return texts[0] if len(texts) == 1 else _picked(spelled(texts), which)


def _octets(column: NDArray[np.void] | NDArray[np.bytes_]) -> Cells:
    return np.ascontiguousarray(column).view(np.uint8).reshape(len(column), column.itemsize)


_MAPPED = np.frombuffer(IPV4_PREFIX, "<u4")[2]
"""Of IPV4_PREFIX's bytes the last four; those before them are 0."""


def addresses(column: NDArray[np.void]) -> Cells:
    """Addresses of 16 bytes: dotted if IPv4-mapped, else IPv6 (RFC 5952)."""
    raw = _octets(column)
    halves, words = raw.view("<u8"), raw.view("<u4")
    mapped = (halves[:, 0] == 0) & (words[:, 2] == _MAPPED)
    dotted, other = np.flatnonzero(mapped), np.flatnonzero(~mapped)
    if not len(other):
        return _dotted(raw)
    if not len(dotted):
        return _ipv6(raw)
    ipv6 = _ipv6(raw[other])
    cells = np.full((len(raw), ipv6.shape[1]), PAD, np.uint8)
    _items(cells)[other] = _items(ipv6)
    _items(cells[:, :16])[dotted] = _items(_dotted(raw[dotted]))
    return cells


@cache
def _octet() -> Cells:
    """A point and an octet."""
    return spelled([b".%d" % number for number in range(256)])


def _dotted(raw: Cells) -> Cells:
    cells = _picked(_octet(), raw[:, 12:]).reshape(len(raw), 16)
    cells[:, 0] = PAD
    return cells


@cache
def _group() -> Cells:
    """A group of an IPv6 address, in hexadecimal without leading zeros."""
    cells = _digits(16, 4)[1]
    cells[0, -1] = ord("0")
    return cells


@cache
def _shortened() -> tuple[Cells, NDArray[np.bool_]]:
    """For each set of groups that are 0, the first group's bit the highest: what stands before each group, a colon or
    PAD; and whether the group is shown.

    RFC 5952: the longest run of two or more zeros is left out, of several the first. Its first group keeps its colon,
    and so does what follows it, or its own last group where the address ends: together "::".
    """
    colons, shown = np.full((256, 8), ord(":"), np.uint8), np.ones((256, 8), np.bool_)
    colons[:, 0] = PAD
    for zeros in range(256):
        bits = f"{zeros:08b}"
        run = max(map(len, bits.split("0")))
        if run > 1:
            begin = bits.index("1" * run)
            shown[zeros, begin : begin + run] = False
            colons[zeros, begin : begin + run] = PAD
            colons[zeros, begin] = ord(":")
            if begin + run == 8:
                colons[zeros, 7] = ord(":")
    return colons, shown


def _ipv6(raw: Cells) -> Cells:
    groups = raw.view(">u2")
    colons, shown = _shortened()
    zeros = np.packbits(groups == 0, axis=1)[:, 0]
    cells = np.empty((len(raw), 8, 5), np.uint8)
    cells[:, :, 0] = colons.take(zeros, axis=0)
    cells[:, :, 1:] = np.where(shown.take(zeros, axis=0)[:, :, None], _picked(_group(), groups), np.uint8(PAD))
    return cells.reshape(len(raw), 40)


_PLAIN = bytes(set(range(0x20, 0x7F)) - set(b'",\\') | {0})
"""What no format escapes, and 0, which fills up what is shorter than its field."""
_PADDED = bytes.maketrans(b"\0", _PAD)


def plain(column: NDArray[np.bytes_]) -> Cells | None:
    """Texts as cells, if none of them has a character that is not ASCII or that CSV or JSON would escape."""
    lengths = np.strings.str_len(column)
    width = max(1, int(lengths.max()))
    text = _items(_octets(column)[:, :width]).tobytes()
    if text.translate(None, _PLAIN) or len(text) - text.count(0) != lengths.sum():  # a 0 before the end of a text
        return None
    return np.frombuffer(text.translate(_PADDED), np.uint8).reshape(len(column), width)


@cache
def _byte() -> Cells:
    return _digits(16, 2)[0]


def hexadecimal(column: NDArray[np.void]) -> Cells:
    """Bytes, two digits each."""
    return _picked(_byte(), _octets(column)).reshape(len(column), 2 * column.itemsize)
