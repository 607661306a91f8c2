"""Kernels that walk the records of a capture file and fill the columns of a chunk of packets.

They read lengths and times only, check every read, and stop at damage. The file formats are those of
draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Opening files and what the headers say is pcapfile's.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import i64, kernel

MORE, END_OF_FILE, CUT_HEADER, CUT_PACKET, BAD_LENGTH, SECTION, INTERFACE = 0, 1, 2, 3, 4, 5, 6
"""Why a walk stopped: the chunk is full; the file ends; it ends within a header, or within a packet; a length makes no
sense; a pcapng section or interface begins, which pcapfile reads."""

MAX_CAPLEN = 262144
"""libpcap's limit for a packet; more means that the file is damaged."""

BLOCK_SECTION, BLOCK_INTERFACE, BLOCK_OLD_PACKET, BLOCK_SIMPLE, BLOCK_PACKET = 0x0A0D0D0A, 1, 2, 3, 6

I_LINKTYPE, I_MULTIPLY, I_DIVIDE, I_SHIFT, I_OFFSET, I_SNAPLEN, I_SKIPPED = 0, 1, 2, 3, 4, 5, 6
"""Columns of the interfaces of a pcapng section: how its time stamps become microseconds, and how many of its packets
were left out because its link type (-1) is not decoded."""
I_COLUMNS = 7


@kernel
def word32(data: NDArray[np.uint8], at: int, swapped: bool) -> int:
    """An unsigned 32-bit number: little-endian, or big-endian if swapped."""
    a, b = i64(data[np.uint64(at)]), i64(data[np.uint64(at + 1)])
    c, d = i64(data[np.uint64(at + 2)]), i64(data[np.uint64(at + 3)])
    if swapped:
        return (a << 24) | (b << 16) | (c << 8) | d
    return a | (b << 8) | (c << 16) | (d << 24)


@kernel
def word16(data: NDArray[np.uint8], at: int, swapped: bool) -> int:
    a, b = i64(data[np.uint64(at)]), i64(data[np.uint64(at + 1)])
    return (a << 8) | b if swapped else a | (b << 8)


@kernel
def walk_pcap(
    data: NDArray[np.uint8],
    at: int,
    swapped: bool,
    nanoseconds: bool,
    offsets: NDArray[np.int64],
    caplens: NDArray[np.int64],
    wirelens: NDArray[np.int64],
    times_us: NDArray[np.int64],
    result: NDArray[np.int64],
) -> None:
    """Fill the columns from the record at `at` on. result: packets, where to go on, why it stopped."""
    size = i64(len(data))
    count = 0
    why = MORE
    while count < len(offsets):
        if size - at < 16:
            why = END_OF_FILE if size == at else CUT_HEADER
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
        times_us[count] = word32(data, at, swapped) * 1_000_000 + (fraction // 1000 if nanoseconds else fraction)
        at += 16 + caplen
        count += 1
    result[0], result[1], result[2] = count, at, why


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
def walk_pcapng(
    data: NDArray[np.uint8],
    at: int,
    swapped: bool,
    interfaces: NDArray[np.int64],
    interface_count: int,
    last_time: int,
    offsets: NDArray[np.int64],
    caplens: NDArray[np.int64],
    wirelens: NDArray[np.int64],
    times_us: NDArray[np.int64],
    linktypes: NDArray[np.int64],
    result: NDArray[np.int64],
) -> None:
    """Fill the columns from the block at `at` on. result: packets, where to go on, why it stopped, last time."""
    size = i64(len(data))
    count = 0
    why = MORE
    while count < len(offsets):
        if size - at < 12:
            why = END_OF_FILE if size == at else CUT_HEADER
            break
        kind = word32(data, at, swapped)
        if kind == BLOCK_SECTION:  # the same in either byte order
            why = SECTION
            break
        length = word32(data, at + 4, swapped)
        if length < 12 or length & 3:
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
        if kind in (BLOCK_PACKET, BLOCK_OLD_PACKET):
            if length < 32:
                why = BAD_LENGTH
                break
            number = word32(data, at + 8, swapped) if kind == BLOCK_PACKET else word16(data, at + 8, swapped)
            caplen = word32(data, at + 20, swapped)
            if number >= interface_count or caplen > length - 32 or caplen > MAX_CAPLEN:
                why = BAD_LENGTH
                break
            stamp = (word32(data, at + 12, swapped) << 32) | word32(data, at + 16, swapped)
            last_time = interface_time(interfaces, number, stamp)
            if interfaces[number, I_LINKTYPE] < 0:
                interfaces[number, I_SKIPPED] += 1
            else:
                offsets[count] = at + 28
                caplens[count] = caplen
                wirelens[count] = word32(data, at + 24, swapped)
                times_us[count] = last_time
                linktypes[count] = interfaces[number, I_LINKTYPE]
                count += 1
        elif kind == BLOCK_SIMPLE:
            if length < 16 or interface_count == 0:
                why = BAD_LENGTH
                break
            wirelen = word32(data, at + 8, swapped)
            caplen = min(wirelen, length - 16)
            if interfaces[0, I_SNAPLEN] > 0:
                caplen = min(caplen, interfaces[0, I_SNAPLEN])
            if interfaces[0, I_LINKTYPE] < 0:
                interfaces[0, I_SKIPPED] += 1
            else:
                offsets[count] = at + 12
                caplens[count] = caplen
                wirelens[count] = wirelen
                times_us[count] = last_time  # it has none of its own
                linktypes[count] = interfaces[0, I_LINKTYPE]
                count += 1
        at += length
    result[0], result[1], result[2], result[3] = count, at, why, last_time
