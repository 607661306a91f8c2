"""Columns of numpy from columns of Python's values, as JSON's decoder gives them: times, addresses, numbers, texts.

What cannot be read is told by BAD times and by masks, never by an exception.
"""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import time_ns
from typing import cast

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.session import ADDRESS_BYTES, EARLIEST_US, IPV4_PREFIX

from .cells.table import UNSET
from .filling import Bools

BAD_TIME = -(2**62)
LATEST_AHEAD_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ISO = len("2018-01-17T10:59:46.703072+0000")
_STAMP = len("2018-01-17T10:59:46.703072")
_MARKS = (4, 7, 10, 13, 16, 19)
_MARKED = np.frombuffer(b"--T::.", np.uint8)
_DIGITS = tuple(place for place in range(_ISO) if place not in (*_MARKS, _STAMP))
_MILLISECONDS_FROM = 1e11
"""Seconds since 1970 reach this in the year 5138: what is above is milliseconds."""
_FURTHEST_S = 2.0**42
_NO_ADDRESS = bytes(ADDRESS_BYTES)


def times(texts: Sequence[str]) -> NDArray[np.int64]:
    """ISO 8601 with or without an offset from UTC, as microseconds since 1970; BAD_TIME for what is not."""
    try:
        cells = np.array(texts, f"S{_ISO + 1}")
    except UnicodeEncodeError:
        return np.array([_time(text) for text in texts], np.int64)
    octets = cells.view(np.uint8).reshape(len(cells), _ISO + 1)
    # As Suricata writes them; others go through the library one by one.
    sign = octets[:, _STAMP]
    usual = (octets[:, _MARKS] == _MARKED).all(axis=1) & np.isin(sign, (ord("+"), ord("-")))
    digits = octets[:, _DIGITS] - np.uint8(ord("0"))
    usual &= (digits <= 9).all(axis=1) & (octets[:, _ISO] == 0)
    hours = digits[:, -4:-2].astype(np.int64) @ np.array([10, 1])
    minutes = digits[:, -2:].astype(np.int64) @ np.array([10, 1])
    usual &= (hours < 24) & (minutes < 60)
    stamps = np.ascontiguousarray(octets[usual, :_STAMP]).view(f"S{_STAMP}")[:, 0]
    made = np.full(len(cells), BAD_TIME)
    try:
        made[usual] = stamps.astype("M8[us]").astype(np.int64)
    except ValueError:  # the 31st of February, and the like
        usual[:] = False
    made[usual] -= ((hours * 60 + minutes) * np.where(sign == ord("-"), -60_000_000, 60_000_000))[usual]
    for place in np.flatnonzero(~usual).tolist():
        made[place] = _time(texts[place])
    return made


def _time(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        return (time - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return BAD_TIME


def epoch_times(values: Sequence[float | str]) -> NDArray[np.int64]:
    """Seconds or milliseconds since 1970, or ISO 8601, as microseconds; BAD_TIME for what is none of them."""
    worded = (
        [] if str not in set(map(type, values)) else [n for n, value in enumerate(values) if isinstance(value, str)]
    )
    if len(worded) == len(values):
        return times([str(value) for value in values])
    seconds = np.array([0.0 if isinstance(value, str) else value for value in values] if worded else values, np.float64)
    seconds = np.where(seconds > _MILLISECONDS_FROM, seconds / 1000, seconds)
    made = microseconds(seconds)
    if worded:
        made[worded] = times([str(values[place]) for place in worded])
    return made


def microseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """BAD_TIME for what is no time of this world. A float has seconds with six decimals exactly up to 2100."""
    known = np.abs(seconds) < _FURTHEST_S
    return np.where(known, np.rint(np.where(known, seconds, 0) * 1e6).astype(np.int64), BAD_TIME)


def wrong_date(us: NDArray[np.int64]) -> Bools:
    """Whether no session can have been then: before 1990 or more than a day from now."""
    return np.asarray((us < EARLIEST_US) | (us > time_ns() // 1000 + LATEST_AHEAD_US))


def addresses(texts: Sequence[str | None]) -> tuple[NDArray[np.void], Bools]:
    """Addresses of 16 bytes, and which of the texts are none."""
    found = list(map(_address, texts))
    bad = np.zeros(len(found), np.bool_)
    if b"" in found:
        bad = np.fromiter((not octets for octets in found), np.bool_, len(found))
        found = [octets or _NO_ADDRESS for octets in found]
    return np.frombuffer(b"".join(found), f"V{ADDRESS_BYTES}"), bad


@lru_cache(1 << 16)
def _address(text: str | None) -> bytes:
    """Empty if it is none."""
    if text is None:
        return b""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return IPV4_PREFIX + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return b""


def numbers(values: Sequence[int | None]) -> NDArray[np.int64]:
    """UNSET where there is none."""
    try:
        return np.fromiter(cast(Sequence[int], values), np.int64, len(values))
    except TypeError:
        return np.array([UNSET if value is None else value for value in values], np.int64)


def texts(values: Sequence[str | None], size: int) -> tuple[NDArray[np.bytes_], Bools]:
    """UTF-8 cut at a character's end to fit in `size` bytes, and which were cut; empty where there is none."""
    if None in values:
        values = [value or "" for value in values]
    try:
        ascii_ones = np.array(values, f"S{size + 1}")
    except UnicodeEncodeError:
        pass
    else:
        octets = ascii_ones.view(np.uint8).reshape(len(values), size + 1)
        return ascii_ones.astype(f"S{size}"), octets[:, size] != 0
    encoded = [(value or "").encode() for value in values]
    cut = np.fromiter((len(text) > size for text in encoded), np.bool_, len(encoded))
    for place in np.flatnonzero(cut).tolist():
        encoded[place] = encoded[place][:size].decode(errors="ignore").encode()
    return np.array(encoded, f"S{size}"), cut
