"""Transport checksums of the packet in hand: TCP, UDP, ICMP and ICMPv6, over the pseudo headers of IPv4 and IPv6.

Only a packet that was captured whole and in one piece can be verified. Counts and marks what it finds, decides nothing.
"""

import numpy as np

from afterfact_agent.jit import i64, inlined, kernel

from .decode import (
    DESTINATION_OPTIONS,
    FRAGMENT,
    ICMP,
    ICMPV6,
    IS_EXTENSION,
    MARK_BAD_CHECKSUM,
    MARK_LEN_INFERRED,
    ROLE,
    ROUTING,
    TCP,
    UDP,
)
from .layout import (
    C_BAD_ICMP_CHECKSUM,
    C_BAD_ICMPV6_CHECKSUM,
    C_BAD_TCP_CHECKSUM,
    C_BAD_UDP_CHECKSUM,
    C_OFFLOADED_CHECKSUM,
    C_VERIFIED_CHECKSUMS,
    COUNTS,
    P_DST_HI,
    P_DST_LO,
    P_FRAGMENT,
    P_IP_BYTES,
    P_IP_END,
    P_MARKS,
    P_POSITION,
    P_PROTO,
    P_SRC_HI,
    P_SRC_LO,
    PM_BAD_TRANSPORT,
    PM_CUT_TRANSPORT,
    PM_UNOPENED,
    WHOLE,
    Bytes,
    Words,
)
from .octets import u8, u16, u64_little

_LOW32 = 0xFFFFFFFF

FIELD = np.full(256, -1, np.int64)
"""Where the checksum stands in a transport header, by IP protocol; -1 where none is verified."""
FIELD[TCP], FIELD[UDP], FIELD[ICMP], FIELD[ICMPV6] = 16, 6, 2, 2
SHORTEST = np.zeros(256, np.int64)
"""The shortest header that has one."""
SHORTEST[TCP], SHORTEST[UDP], SHORTEST[ICMP], SHORTEST[ICMPV6] = 20, 8, 4, 4
REASON = np.zeros(256, np.int64)
"""What a wrong one is counted as."""
REASON[TCP], REASON[UDP] = C_BAD_TCP_CHECKSUM, C_BAD_UDP_CHECKSUM
REASON[ICMP], REASON[ICMPV6] = C_BAD_ICMP_CHECKSUM, C_BAD_ICMPV6_CHECKSUM

UNVERIFIABLE = MARK_LEN_INFERRED | PM_CUT_TRANSPORT | PM_BAD_TRANSPORT
"""Lengths that are not known; a packet of segmentation offload is not what goes over the wire."""
LOOSE_ROUTE, STRICT_ROUTE, HOME_ADDRESS = 131, 137, 201
"""Options of IPv4, and of IPv6's destination options, that hold an address in place of one in the header."""


@inlined
def folded(total: int) -> int:
    """A sum in ones' complement (RFC 1071) as 16 bits."""
    total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF) + ((total >> 32) & 0xFFFF) + ((total >> 48) & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    return i64((total & 0xFFFF) + (total >> 16))


@kernel
def sum_of(buffer: Bytes, at: int, stop: int) -> int:
    """Of the bytes from `at` up to `stop` as 16-bit numbers in network order, folded.

    Taken eight bytes at a time in this machine's order: a sum in ones' complement is the same, with its bytes swapped.
    """
    total = i64(0)
    count = (stop - at) >> 3
    for number in range(count):  # which the compiler makes wide additions of
        word = u64_little(buffer, at + 8 * number)
        total += (word & _LOW32) + ((word >> 32) & _LOW32)
    at += 8 * count
    shift = i64(0)
    while at < stop:
        total += u8(buffer, at) << shift
        shift += 8
        at += 1
    total = folded(total)
    return i64((total >> 8) | ((total & 0xFF) << 8))


@inlined
def sum_of_addresses(work: Words) -> int:
    """Those of the IP header. That an IPv4 address is kept as ::ffff:a.b.c.d changes nothing: 0xffff counts as zero."""
    return i64(
        (work[P_SRC_HI] & _LOW32)
        + ((work[P_SRC_HI] >> 32) & _LOW32)
        + (work[P_SRC_LO] & _LOW32)
        + ((work[P_SRC_LO] >> 32) & _LOW32)
        + (work[P_DST_HI] & _LOW32)
        + ((work[P_DST_HI] >> 32) & _LOW32)
        + (work[P_DST_LO] & _LOW32)
        + ((work[P_DST_LO] >> 32) & _LOW32)
    )


@kernel
def is_rerouted(buffer: Bytes, work: Words) -> bool:
    """Whether the IP header has other addresses than the sender's checksum: a source route (RFC 791, 8200), or a mobile
    node's home address (RFC 6275)."""
    at, stop = work[P_IP_END] - work[P_IP_BYTES], work[P_POSITION]
    if u8(buffer, at) >> 4 == 4:
        stop = min(stop, at + (u8(buffer, at) & 0x0F) * 4)
        at += 20
        while at + 1 < stop:
            kind = u8(buffer, at)
            if kind == LOOSE_ROUTE or kind == STRICT_ROUTE:
                return True
            if kind == 0:
                break
            at += max(u8(buffer, at + 1), 2) if kind != 1 else 1
        return False
    proto = u8(buffer, at + 6)
    at += 40
    while ROLE[proto] == IS_EXTENSION and at + 8 <= stop:
        size = 8 if proto == FRAGMENT else 8 + 8 * u8(buffer, at + 1)
        if proto == ROUTING and u8(buffer, at + 3) > 0:
            return True
        if proto == DESTINATION_OPTIONS:
            option = at + 2
            while option + 1 < min(at + size, stop):
                if u8(buffer, option) == HOME_ADDRESS:
                    return True
                option += 2 + u8(buffer, option + 1) if u8(buffer, option) else 1
        proto = u8(buffer, at)
        at += size
    return False


@kernel
def judge(buffer: Bytes, work: Words, pseudo: int, written: int) -> None:
    """Count, and mark, a packet whose checksum, `written`, is wrong; `pseudo` is the sum of its pseudo header without
    the length of what follows."""
    proto = work[P_PROTO]
    length = work[P_IP_END] - work[P_POSITION]
    if proto != ICMP and (written == folded(pseudo + length) or written == folded(pseudo)):
        # What the sender's system leaves in the field for its network card to go on from, with the length or, where
        # the card cuts segments, without.
        work[COUNTS + C_OFFLOADED_CHECKSUM] += 1
        return
    if is_rerouted(buffer, work):
        work[COUNTS + C_VERIFIED_CHECKSUMS] -= 1
        return
    work[COUNTS + REASON[proto]] += 1
    work[P_MARKS] |= MARK_BAD_CHECKSUM


@inlined
def verify_checksum(buffer: Bytes, end: int, work: Words) -> None:
    """Verify the checksum of the packet in hand, captured up to `end`, where it can be."""
    proto = work[P_PROTO]
    field = FIELD[proto]
    if field < 0 or work[P_FRAGMENT] != WHOLE or work[P_MARKS] & UNVERIFIABLE:
        return
    at = work[P_POSITION]
    length = work[P_IP_END] - at
    if length < SHORTEST[proto] or at + length > end:
        return
    written = u16(buffer, at + field)
    if proto == UDP:
        length = u16(buffer, at + 4)  # a datagram may be shorter than the packet; decode has seen that it is no longer
        if length < 8:
            return
        if written == 0 and (work[P_SRC_HI] == 0 or work[P_MARKS] & PM_UNOPENED):
            return  # the sender made none, as it may in IPv4, and in IPv6 for a tunnel (RFC 6935)
    work[COUNTS + C_VERIFIED_CHECKSUMS] += 1
    pseudo = i64(0) if proto == ICMP else sum_of_addresses(work) + proto
    total = pseudo + sum_of(buffer, at, at + length)
    if proto != ICMP:
        total += length
    if folded(total) != 0xFFFF:
        judge(buffer, work, pseudo, written)
