"""Kernels over many lines: where their cells are, and what each says, by a plan of the columns."""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import entry, i64, kernel

from .values import BAD, Bytes, address, any_time, date_time, decimal, either_base, port, seconds

Words = NDArray[np.int64]

SKIP, DECIMAL, EITHER_BASE, SECONDS, DATE_TIME, ADDRESS, TEXT, LETTERS, WORD, PORT, ANY_TIME = range(11)
"""How a column is read: not at all; as an unsigned number; the same, or hexadecimal after 0x; as seconds or as a date
with a time, in microseconds; as an address; as text of printable ASCII without spaces, its length being the value; the
same, the value being the letters in it (`letter`); as a word of at most 7 characters, packed (`packed`); as a port, or
ICMP's type and code with a point between; as a date with a time or as seconds or milliseconds since 1970."""
P_KIND, P_TO, P_TEXT, P_LIMIT, P_OPTIONAL, P_PADDED = 0, 1, 2, 3, 4, 5
"""A column of the plan: how it is read; which row of the values it becomes; which address or text; the largest value;
whether it may be unset; whether blanks around a cell say nothing."""
P_COLUMNS = 6

UNSET = -1
"""The value of a cell that says nothing, where it may."""
FINE, WRONG_COUNT = 0, -1
"""Status of a line; a positive one is the number of the first column, from 1, that could not be read."""
TEXT_BYTES = 24
ADDRESS_BYTES = 16
FLIPPED = 52
"""The bit of `^` among letters: A to Z are 0 to 25, a to z 26 to 51."""
CUT = 53
"""The bit among letters that says that there are more than TEXT_BYTES."""
BLANK = 32
LONG_WORD = 0
"""A packed word that does not fit."""


def packed(word: bytes) -> int:
    """A word as the value of a WORD cell."""
    return int.from_bytes(word, "little") if len(word) <= 7 else LONG_WORD


def letter(byte: str) -> int:
    """The bit of a letter in the value of a LETTERS cell."""
    return 1 << (ord(byte) - 65 if byte.isupper() else ord(byte) - 97 + 26)


@kernel
def same(data: Bytes, at: int, end: int, word: Bytes) -> bool:
    if end - at != len(word):
        return False
    for place in range(len(word)):  # noqa: SIM110 (numba knows no generators)
        if data[np.uint64(at + place)] != word[np.uint64(place)]:
            return False
    return True


@kernel
def text(data: Bytes, at: int, end: int, out: Bytes, to: int) -> int:
    """Printable ASCII, its first TEXT_BYTES at out[to:]; its whole length."""
    for place in range(at, end):
        byte = data[np.uint64(place)]
        if byte < 33 or byte > 126:
            return BAD
        if place - at < TEXT_BYTES:
            out[np.uint64(to + place - at)] = byte
    return i64(end - at)


@kernel
def letters(data: Bytes, at: int, end: int) -> int:
    found = i64(0)
    if end - at > TEXT_BYTES:
        found = i64(1) << CUT
    for place in range(at, end):
        byte = i64(data[np.uint64(place)])
        if 65 <= byte <= 90:
            found |= i64(1) << (byte - 65)
        elif 97 <= byte <= 122:
            found |= i64(1) << (byte - 97 + 26)
        elif byte == 94:
            found |= i64(1) << FLIPPED
    return i64(found)


@kernel
def word(data: Bytes, at: int, end: int) -> int:
    if end - at > 7:
        return LONG_WORD
    value = i64(0)
    for place in range(end - at):
        value |= i64(data[np.uint64(at + place)]) << (8 * place)
    return i64(value)


@kernel
def cell(
    data: Bytes, at: int, end: int, column: int, plan: Words, line: int, addresses: Bytes, texts: Bytes, places: Words
) -> int:
    """The value of a cell, or BAD. `places` says how many addresses and texts a line has."""
    kind = plan[column, P_KIND]
    if kind == DECIMAL:
        return decimal(data, at, end)
    if kind == SECONDS:
        return seconds(data, at, end)
    if kind == DATE_TIME:
        return date_time(data, at, end)
    if kind == ADDRESS:
        return address(data, at, end, addresses, (line * places[0] + plan[column, P_TEXT]) * ADDRESS_BYTES)
    if kind == EITHER_BASE:
        return either_base(data, at, end)
    if kind == WORD:
        return word(data, at, end)
    if kind == PORT:
        return port(data, at, end)
    if kind == ANY_TIME:
        return any_time(data, at, end)
    length = i64(text(data, at, end, texts, (line * places[1] + plan[column, P_TEXT]) * TEXT_BYTES))
    if kind == LETTERS and length >= 0:
        return letters(data, at, end)
    return length


@entry
def read_cells(
    data: Bytes,
    starts: Words,
    ends: Words,
    separator: int,
    plan: Words,
    unset: Bytes,
    empty: Bytes,
    values: Words,
    addresses: Bytes,
    texts: Bytes,
    places: Words,
    status: Words,
) -> None:
    """Read every line by the plan: what its cells say, and whether that is `FINE`.

    values: row by row (P_TO), a value a line. addresses, texts: flat, `places` of them a line. unset, empty: cells that
    say nothing. A line must have as many cells as the plan has columns.
    """
    columns = len(plan)
    for line in range(len(starts)):
        at, stop = starts[line], ends[line]
        column, wrong = i64(0), i64(FINE)
        while True:
            end = at
            while end < stop and data[np.uint64(end)] != separator:
                end += 1
            if column < columns and plan[column, P_KIND] != SKIP and wrong == FINE:
                last = i64(end)
                if plan[column, P_PADDED]:
                    while at < last and data[np.uint64(at)] == BLANK:
                        at += 1
                    while last > at and data[np.uint64(last - 1)] == BLANK:
                        last -= 1
                if plan[column, P_OPTIONAL] and (same(data, at, last, unset) or same(data, at, last, empty)):
                    value = i64(UNSET)
                else:
                    value = i64(cell(data, at, last, column, plan, line, addresses, texts, places))
                    if value < 0 or value > plan[column, P_LIMIT]:
                        wrong = column + 1
                values[plan[column, P_TO], line] = value
            column += 1
            if end >= stop:
                break
            at = end + 1
        status[line] = wrong if column == columns else WRONG_COUNT


@entry
def count_cells(data: Bytes, starts: Words, ends: Words, separator: int, counts: Words, second: Words) -> None:
    """How many cells a line has, and where its second one begins (its end, if there is none)."""
    for line in range(len(starts)):
        count = i64(1)
        second[line] = ends[line]
        for place in range(starts[line], ends[line]):
            if data[np.uint64(place)] == separator:
                if count == 1:
                    second[line] = place + 1
                count += 1
        counts[line] = count
