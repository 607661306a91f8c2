"""Kernels that walk the records of a capture file and fill the columns of a chunk of packets.

They read lengths and times only, check every read, and stop at damage. The file formats are those of
draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Opening files and what their headers say is pcapfile's.
"""

import time

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import entry, i64, kernel
from afterfact_protocol.session import EARLIEST_US

F_AT = 0
"""Where in the data the next record begins."""
F_WHY = 1
"""Why the walk stopped: see below."""
F_FORMAT = 2
F_SWAPPED = 3
"""Whether the file is big-endian."""
F_INTERFACES = 4
"""Interfaces of the section, or 1."""
F_COUNT = 5
"""Packets in the columns."""
F_NEXT = 6
"""The first of them that has not been metered."""
F_PACKETS, F_FIRST, F_LAST = 7, 8, 9
"""Packets of the file so far, and their earliest and latest time, of those that can be."""
F_TIME = 10
"""Time of the last packet."""
F_LATEST = 11
"""The latest time that a packet can have. One bit flipped in a record's time must not make a file say that it observed
a century; the earliest is session.EARLIEST_US."""
F_UNTIMELY = 12
"""Packets of other times. They are metered as the file says."""
F_COLUMNS = 13
"""Places in the array that describes a file."""

PCAP, PCAPNG = 0, 1

MORE, END_OF_DATA, CUT_HEADER, CUT_PACKET, BAD_LENGTH, SECTION, INTERFACE = 0, 1, 2, 3, 4, 5, 6
"""Why a walk stopped: the columns are full; the data end; they end within a header, or within a packet; a length makes
no sense; a pcapng section or interface begins, which pcapfile reads."""
CUTS = (END_OF_DATA, CUT_HEADER, CUT_PACKET)
"""More data may be in the file."""

I_LINKTYPE, I_MULTIPLY, I_DIVIDE, I_SHIFT, I_OFFSET, I_SNAPLEN, I_SKIPPED = 0, 1, 2, 3, 4, 5, 6
"""Columns of the interfaces of a file (pcap has one): link type, or -1 if it is not decoded; how time stamps, or
fractions of seconds in pcap, become microseconds; how many packets were left out because of the link type."""
I_COLUMNS = 7

MAX_CAPLEN = 262144
"""libpcap's limit for a packet; more means that the file is damaged."""
MAX_BLOCK = 1 << 26
"""A longer block of a pcapng file is taken for damage."""
BLOCK_SECTION, BLOCK_INTERFACE, BLOCK_OLD_PACKET, BLOCK_SIMPLE, BLOCK_PACKET = 0x0A0D0D0A, 1, 2, 3, 6

_NEVER = 1 << 62
_DAY_US = 86_400_000_000


def new_file() -> NDArray[np.int64]:
    """The array that describes a file, before its header is known."""
    file = np.zeros(F_COLUMNS, np.int64)
    file[F_FIRST], file[F_LAST] = _NEVER, -_NEVER
    file[F_LATEST] = time.time_ns() // 1000 + _DAY_US
    return file


@kernel
def word32(data: NDArray[np.uint8], at: int, swapped: int) -> int:
    """An unsigned 32-bit number: little-endian, or big-endian if swapped."""
    a, b = i64(data[np.uint64(at)]), i64(data[np.uint64(at + 1)])
    c, d = i64(data[np.uint64(at + 2)]), i64(data[np.uint64(at + 3)])
    if swapped:
        return (a << 24) | (b << 16) | (c << 8) | d
    return a | (b << 8) | (c << 16) | (d << 24)


@kernel
def word16(data: NDArray[np.uint8], at: int, swapped: int) -> int:
    a, b = i64(data[np.uint64(at)]), i64(data[np.uint64(at + 1)])
    return (a << 8) | b if swapped else a | (b << 8)


@kernel
def interface_time(interfaces: NDArray[np.int64], number: int, stamp: int) -> int:
    """Microseconds since 1970 of an interface's time stamp, rounded down."""
    shift = interfaces[number, I_SHIFT]
    if shift > 0:  # units of 2**-shift seconds
        whole = stamp >> shift
        rest = stamp & ((i64(1) << shift) - 1)
        micro = ((rest >> max(shift - 40, 0)) * 1_000_000) >> min(shift, 40)
        return i64(whole * 1_000_000 + micro + interfaces[number, I_OFFSET])
    micro = stamp * interfaces[number, I_MULTIPLY] // interfaces[number, I_DIVIDE]
    return i64(micro + interfaces[number, I_OFFSET])


@kernel
def walk_pcap(
    data: NDArray[np.uint8],
    file: NDArray[np.int64],
    interfaces: NDArray[np.int64],
    offsets: NDArray[np.int64],
    caplens: NDArray[np.int64],
    wirelens: NDArray[np.int64],
    times_us: NDArray[np.int64],
    linktypes: NDArray[np.int64],
) -> None:
    """Fill the columns from the record at F_AT on."""
    size = i64(len(data))
    at, swapped = file[F_AT], file[F_SWAPPED]
    linktype, divide = interfaces[0, I_LINKTYPE], interfaces[0, I_DIVIDE]
    count = 0
    why = MORE
    while count < len(offsets):
        if size - at < 16:
            why = END_OF_DATA if size == at else CUT_HEADER
            break
        caplen = word32(data, at + 8, swapped)
        if caplen > MAX_CAPLEN:
            why = BAD_LENGTH
            break
        if caplen > size - at - 16:
            why = CUT_PACKET
            break
        fraction = word32(data, at + 4, swapped)
        offsets[count] = at + 16
        caplens[count] = caplen
        wirelens[count] = word32(data, at + 12, swapped)
        times_us[count] = word32(data, at, swapped) * 1_000_000 + (fraction if divide == 1 else fraction // divide)
        linktypes[count] = linktype
        at += 16 + caplen
        count += 1
    file[F_AT] = at
    file[F_WHY] = why
    file[F_COUNT] = count


@kernel
def walk_pcapng(
    data: NDArray[np.uint8],
    file: NDArray[np.int64],
    interfaces: NDArray[np.int64],
    offsets: NDArray[np.int64],
    caplens: NDArray[np.int64],
    wirelens: NDArray[np.int64],
    times_us: NDArray[np.int64],
    linktypes: NDArray[np.int64],
) -> None:
    """Fill the columns from the block at F_AT on."""
    size = i64(len(data))
    at, swapped = file[F_AT], file[F_SWAPPED]
    count = 0
    why = MORE
    while count < len(offsets):
        if size - at < 12:
            why = END_OF_DATA if size == at else CUT_HEADER
            break
        kind = word32(data, at, swapped)
        if kind == BLOCK_SECTION:  # the same in either byte order
            why = SECTION
            break
        length = word32(data, at + 4, swapped)
        if length < 12 or length & 3 or length > MAX_BLOCK:
            why = BAD_LENGTH
            break
        if length > size - at:
            why = CUT_PACKET
            break
        if word32(data, at + length - 4, swapped) != length:
            why = BAD_LENGTH
            break
        if kind == BLOCK_INTERFACE:
            why = INTERFACE
            break
        number = i64(0)
        begin = i64(0)
        caplen = i64(0)
        wirelen = i64(0)
        if kind == BLOCK_PACKET or kind == BLOCK_OLD_PACKET:  # noqa: SIM109 (`in` is slower)
            if length < 32:
                why = BAD_LENGTH
                break
            number = word32(data, at + 8, swapped) if kind == BLOCK_PACKET else word16(data, at + 8, swapped)
            begin = at + 28
            caplen = word32(data, at + 20, swapped)
            wirelen = word32(data, at + 24, swapped)
            if number >= file[F_INTERFACES] or caplen > length - 32 or caplen > MAX_CAPLEN:
                why = BAD_LENGTH
                break
            stamp = (word32(data, at + 12, swapped) << 32) | word32(data, at + 16, swapped)
            file[F_TIME] = interface_time(interfaces, number, stamp)
        elif kind == BLOCK_SIMPLE:  # has no time: that of the packet before stands
            if length < 16 or file[F_INTERFACES] == 0:
                why = BAD_LENGTH
                break
            begin = at + 12
            wirelen = word32(data, at + 8, swapped)
            caplen = min(wirelen, length - 16)
            if interfaces[0, I_SNAPLEN] > 0:
                caplen = min(caplen, interfaces[0, I_SNAPLEN])
        at += length
        if begin == 0:
            continue
        if interfaces[number, I_LINKTYPE] < 0:
            interfaces[number, I_SKIPPED] += 1
            continue
        offsets[count] = begin
        caplens[count] = caplen
        wirelens[count] = wirelen
        times_us[count] = file[F_TIME]
        linktypes[count] = interfaces[number, I_LINKTYPE]
        count += 1
    file[F_AT] = at
    file[F_WHY] = why
    file[F_COUNT] = count


@entry
def walk(
    data: NDArray[np.uint8],
    file: NDArray[np.int64],
    interfaces: NDArray[np.int64],
    offsets: NDArray[np.int64],
    caplens: NDArray[np.int64],
    wirelens: NDArray[np.int64],
    times_us: NDArray[np.int64],
    linktypes: NDArray[np.int64],
) -> None:
    """Fill the columns with the next packets of the data, as many as there is room for.

    Sets F_COUNT, F_WHY and F_AT, and F_NEXT to 0; counts the packets in.
    """
    if file[F_FORMAT] == PCAP:
        walk_pcap(data, file, interfaces, offsets, caplens, wirelens, times_us, linktypes)
    else:
        walk_pcapng(data, file, interfaces, offsets, caplens, wirelens, times_us, linktypes)
    count = file[F_COUNT]
    low, high, latest, untimely = file[F_FIRST], file[F_LAST], file[F_LATEST], 0
    for number in range(count):
        time_us = times_us[number]
        if time_us < EARLIEST_US or time_us > latest:
            untimely += 1
        else:
            low = min(low, time_us)
            high = max(high, time_us)
    file[F_FIRST], file[F_LAST] = low, high
    file[F_UNTIMELY] += untimely
    file[F_PACKETS] += count
    file[F_NEXT] = 0
