"""Kernels that read one cell: data[at:end], which may be anything, as a number, a time or an address.

Each gives BAD for a cell that is none, and never reads outside of it.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import i64, kernel

Bytes = NDArray[np.uint8]

BAD = -1
"""No value: those are never negative."""
_ZERO, _NINE, _DOT, _COLON, _DASH, _SPACE, _T = 48, 57, 46, 58, 45, 32, 84
_X, _SMALL_X, _A, _F, _SMALL_A, _SMALL_F = 88, 120, 65, 70, 97, 102
_MOST = (2**63 - 1 - 9) // 10
"""A larger number may not fit once it has another digit."""
_MILLISECONDS_FROM = 10**11
"""Seconds since 1970 reach this in the year 5138."""
_MOST_SECONDS = 10**12
"""A larger number of seconds would not fit as microseconds; it is 30,000 years."""


@kernel
def decimal(data: Bytes, at: int, end: int) -> int:
    """An unsigned decimal number below 2**63."""
    if at >= end:
        return BAD
    value = i64(0)
    for place in range(at, end):
        digit = i64(data[np.uint64(place)]) - _ZERO
        if digit < 0 or digit > 9 or value > _MOST:
            return BAD
        value = value * 10 + digit
    return i64(value)


@kernel
def hexadecimal(data: Bytes, at: int, end: int) -> int:
    """A number of up to eight hexadecimal digits, without prefix."""
    if at >= end or end - at > 8:
        return BAD
    value = i64(0)
    for place in range(at, end):
        byte = i64(data[np.uint64(place)])
        if _ZERO <= byte <= _NINE:
            value = value * 16 + byte - _ZERO
        elif _SMALL_A <= byte <= _SMALL_F:
            value = value * 16 + byte - _SMALL_A + 10
        elif _A <= byte <= _F:
            value = value * 16 + byte - _A + 10
        else:
            return BAD
    return i64(value)


@kernel
def either_base(data: Bytes, at: int, end: int) -> int:
    """A decimal number, or a hexadecimal one after 0x."""
    if end - at > 2 and data[np.uint64(at)] == _ZERO:
        second = data[np.uint64(at + 1)]
        if second == _SMALL_X or second == _X:  # noqa: SIM109 (numba makes a tuple of it)
            return hexadecimal(data, at + 2, end)
    return decimal(data, at, end)


@kernel
def fraction(data: Bytes, at: int, end: int) -> int:
    """The digits after a decimal point as microseconds, rounded down."""
    if at >= end:
        return BAD
    value, unit = i64(0), i64(100_000)
    for place in range(at, end):
        digit = i64(data[np.uint64(place)]) - _ZERO
        if digit < 0 or digit > 9:
            return BAD
        value += digit * unit
        unit = i64(unit // 10)
    return i64(value)


@kernel
def seconds(data: Bytes, at: int, end: int) -> int:
    """Seconds, with or without a decimal fraction, as microseconds."""
    point = i64(at)
    while point < end and data[np.uint64(point)] != _DOT:
        point += 1
    whole = i64(decimal(data, at, point))
    if whole < 0 or whole > _MOST_SECONDS:
        return BAD
    if point == end:
        return i64(whole * 1_000_000)
    part = i64(fraction(data, point + 1, end))
    return BAD if part < 0 else i64(whole * 1_000_000 + part)


@kernel
def port(data: Bytes, at: int, end: int) -> int:
    """A port; or an ICMP type and code with a point between them, as type * 256 + code."""
    point = i64(at)
    while point < end and data[np.uint64(point)] != _DOT:
        point += 1
    whole = i64(decimal(data, at, point))
    if point == end:
        return whole
    code = i64(decimal(data, point + 1, end))
    if whole < 0 or whole > 255 or code < 0 or code > 255:
        return BAD
    return i64(whole * 256 + code)


@kernel
def two_digits(data: Bytes, at: int) -> int:
    tens, ones = i64(data[np.uint64(at)]) - _ZERO, i64(data[np.uint64(at + 1)]) - _ZERO
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return -1_000_000
    return i64(tens * 10 + ones)


@kernel
def date_time(data: Bytes, at: int, end: int) -> int:
    """YYYY-MM-DD HH:MM:SS, perhaps with a fraction, of UTC from 1970 on, as microseconds since 1970."""
    if end - at < 19 or data[np.uint64(at + 4)] != _DASH or data[np.uint64(at + 7)] != _DASH:
        return BAD
    between = data[np.uint64(at + 10)]
    if between != _SPACE and between != _T:
        return BAD
    if data[np.uint64(at + 13)] != _COLON or data[np.uint64(at + 16)] != _COLON:
        return BAD
    year = i64(two_digits(data, at) * 100 + two_digits(data, at + 2))
    month, day = i64(two_digits(data, at + 5)), i64(two_digits(data, at + 8))
    hour, minute, second = (
        i64(two_digits(data, at + 11)), i64(two_digits(data, at + 14)), i64(two_digits(data, at + 17))
    )  # fmt: skip
    if year < 1970 or month < 1 or month > 12 or day < 1:
        return BAD
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return BAD
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = i64(30 + ((month + (month >> 3)) & 1))
    if month == 2:
        length = i64(29 if leap else 28)
    if day > length:
        return BAD
    # Days of the civil calendar, with years from March on (Hinnant's days_from_civil).
    shifted = i64(year - (1 if month <= 2 else 0))
    of_year = i64((153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1)
    days = i64(shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468)
    value = i64((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
    if end - at == 19:
        return value
    if data[np.uint64(at + 19)] != _DOT:
        return BAD
    part = i64(fraction(data, at + 20, end))
    return BAD if part < 0 else i64(value + part)


@kernel
def any_time(data: Bytes, at: int, end: int) -> int:
    """A date with a time, or seconds or milliseconds since 1970, as microseconds."""
    if end - at > 4 and data[np.uint64(at + 4)] == _DASH:
        return i64(date_time(data, at, end))
    whole = i64(decimal(data, at, end))
    if whole > _MILLISECONDS_FROM:
        return i64(whole * 1_000) if whole < _MOST_SECONDS * 1_000 else BAD
    return i64(seconds(data, at, end))


@kernel
def dotted(data: Bytes, at: int, end: int) -> int:
    """Four decimal octets with dots between them as a 32-bit number. Leading zeros are refused: some read them as
    octal."""
    value, octet, digits, octets = i64(0), i64(0), i64(0), i64(0)
    for place in range(at, end + 1):
        byte = i64(data[np.uint64(place)]) if place < end else i64(_DOT)
        if byte == _DOT:
            if digits == 0 or octets == 4:
                return BAD
            value = (value << 8) | octet
            octet, digits, octets = i64(0), i64(0), octets + 1
        elif _ZERO <= byte <= _NINE:
            if digits > 0 and octet == 0:
                return BAD
            octet = octet * 10 + byte - _ZERO
            digits += 1
            if octet > 255:
                return BAD
        else:
            return BAD
    return i64(value) if octets == 4 else BAD


@kernel
def mapped(value: int, out: Bytes, to: int) -> None:
    """A 32-bit number as an IPv4-mapped address at out[to:to + 16]."""
    for place in range(10):
        out[np.uint64(to + place)] = 0
    out[np.uint64(to + 10)] = 255
    out[np.uint64(to + 11)] = 255
    for place in range(4):
        out[np.uint64(to + 12 + place)] = (value >> (24 - 8 * place)) & 255


@kernel
def ipv6(data: Bytes, at: int, end: int, out: Bytes, to: int) -> int:
    """An IPv6 literal (RFC 4291, 2.2) at out[to:to + 16]; 0, or BAD."""
    filled, gap, place = i64(0), i64(-1), i64(at)
    if end - at >= 2 and data[np.uint64(at)] == _COLON:
        if data[np.uint64(at + 1)] != _COLON:
            return BAD
        gap = i64(0)
        place += 2
    while place < end:
        stop = place
        last = False  # an IPv4 address, which ends it
        while stop < end and data[np.uint64(stop)] != _COLON:
            if data[np.uint64(stop)] == _DOT:
                last = True
            stop += 1
        if last:
            value = i64(dotted(data, place, stop))
            if value < 0 or stop != end or filled > 12:
                return BAD
            for octet in range(4):
                out[np.uint64(to + filled + octet)] = (value >> (24 - 8 * octet)) & 255
            filled += 4
            place = stop
            break
        value = i64(hexadecimal(data, place, stop)) if stop - place <= 4 else i64(BAD)
        if value < 0 or filled > 14:
            return BAD
        out[np.uint64(to + filled)] = value >> 8
        out[np.uint64(to + filled + 1)] = value & 255
        filled += 2
        place = stop
        if place < end:
            place += 1
            if place == end:
                return BAD
            if data[np.uint64(place)] == _COLON:
                if gap >= 0:
                    return BAD
                gap = filled
                place += 1
    if gap < 0:
        return 0 if filled == 16 else BAD
    if filled > 14:
        return BAD
    behind = filled - gap
    for back in range(behind):
        out[np.uint64(to + 15 - back)] = out[np.uint64(to + filled - 1 - back)]
    for between in range(gap, 16 - behind):
        out[np.uint64(to + between)] = 0
    return 0


@kernel
def address(data: Bytes, at: int, end: int, out: Bytes, to: int) -> int:
    """An address (IPv4 dotted or as one decimal number, or IPv6) as 16 bytes at out[to:to + 16]; 0, or BAD."""
    points = False
    for place in range(at, min(end, at + 40)):
        byte = data[np.uint64(place)]
        if byte == _COLON:
            return ipv6(data, at, end, out, to)
        points = points or byte == _DOT
    value = i64(dotted(data, at, end)) if points else i64(decimal(data, at, end))
    if value < 0 or value > 0xFFFFFFFF:
        return BAD
    mapped(value, out, to)
    return 0
