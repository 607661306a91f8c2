"""Packets that a tap delivers twice: a SPAN port that mirrors both directions of both ports, or a packet seen before
and after a router.

A duplicate is the same in its addresses, protocol, identification, length, encapsulation and the beginning of its
transport header and payload; TTL, IP checksum, link addresses and outer headers may differ. Whether a sender could have
sent the same twice is judged here; what becomes of a duplicate is the engine's.
"""

from afterfact_agent.jit import i64, inlined, kernel

from .decode import ICMPV6, TCP
from .layout import (
    DUPLICATE_ENTRIES,
    DUPLICATES,
    M_CHECKED,
    M_DOUBLED,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_ENCAP,
    P_FLAGS,
    P_FRAGMENT,
    P_FRAGMENT_AT,
    P_FRAGMENT_ID,
    P_ICMP_TYPE,
    P_IDENT,
    P_IP_BYTES,
    P_IP_END,
    P_NETWORK,
    P_POSITION,
    P_PROTO,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    S_DUPLICATES,
    S_SEED,
    WHOLE,
    Bytes,
    Words,
)
from .octets import u64
from .tcp import FIN, SYN

COMPARED = 40
"""Bytes from the transport header on: TCP's with its time stamps, or UDP's with 32 of payload."""
REMEMBERED = 256
"""Packets by which a tap is judged; older ones count half, a quarter and so on."""
SHARE, LEAST = 8, 2
"""A tap duplicates if one in SHARE of the packets that tell is a duplicate, and LEAST of them are."""

_MULTIPLY = -0x40A7B892E31B1A47
_LOW32 = 0xFFFFFFFF


@inlined
def mix(state: int, word: int) -> int:
    state = (state ^ word) * i64(_MULTIPLY)
    return i64(state ^ ((state >> 32) & _LOW32))


@kernel
def tells(work: Words) -> bool:
    """Whether its sender would not send the same packet again at once: it numbers its packets, or it is a SYN or FIN,
    sent again after a second at the soonest, or an echo, which is numbered. (A fast retransmission without a number may
    be the same to the bit, and so may datagrams.)"""
    if work[P_IDENT] != 0:
        return True
    if work[P_PROTO] == TCP:
        return bool(work[P_FLAGS] > 0 and work[P_FLAGS] & (SYN | FIN))
    kind = work[P_ICMP_TYPE]
    return bool(kind == 128 or kind == 129 if work[P_PROTO] == ICMPV6 else kind == 8 or kind == 0)


@kernel
def is_duplicate(work: Words, buffer: Bytes, end: int, time_us: int) -> bool:
    """Whether the packet in hand, captured up to `end`, came, by the packets' own clock, less than S_DUPLICATES
    from `time_us`.

    Where a packet is remembered is not seeded, and the same for the other direction: so a capture is metered the same
    each time and mirrored, also where a packet takes another's place. Whether it is the same packet is seeded: else a
    sender could make one that is taken for another.
    """
    mixed = mix(work[S_SEED], work[P_SRC_LO] ^ work[P_SRC_HI])
    mixed = mix(mixed, work[P_DST_LO] ^ work[P_DST_HI])
    placed = mix(i64(0), work[P_SRC_LO] ^ work[P_SRC_HI] ^ work[P_DST_LO] ^ work[P_DST_HI])
    packet = (work[P_IDENT] << 40) | (work[P_IP_BYTES] << 8) | work[P_PROTO]
    mixed, placed = mix(mixed, packet), mix(placed, packet)
    mixed = mix(mixed, (work[P_NETWORK] << 32) ^ work[P_ENCAP])
    if work[P_FRAGMENT] != WHOLE:
        fragment = (work[P_FRAGMENT_ID] << 16) ^ work[P_FRAGMENT_AT]
        mixed, placed = mix(mixed, fragment), mix(placed, fragment)
    at = work[P_POSITION]
    stop = min(end, work[P_IP_END], at + COMPARED)
    if at + 8 <= stop:
        word = u64(buffer, at)
        mixed = mix(mixed, word)
        if work[P_SRC_PORT] >= 0:
            word = (word & _LOW32) | ((work[P_SRC_PORT] ^ work[P_DST_PORT]) << 32)
        placed = mix(placed, word)
        at += 8
    while at + 8 <= stop:
        word = u64(buffer, at)
        mixed, placed = mix(mixed, word), mix(placed, word)
        at += 8
    while at < stop:
        mixed = mix(mixed, i64(buffer[at]))
        at += 1
    entry = DUPLICATES + 2 * ((placed >> 40) & (DUPLICATE_ENTRIES - 1))
    again = work[entry] == mixed and abs(time_us - work[entry + 1]) < work[S_DUPLICATES]
    telling = tells(work)
    if telling:
        work[M_CHECKED] += 1
        work[M_DOUBLED] += 1 if again else 0
        if work[M_CHECKED] == REMEMBERED:
            work[M_CHECKED] >>= 1
            work[M_DOUBLED] >>= 1
    if again:
        return telling or (work[M_DOUBLED] >= LEAST and work[M_DOUBLED] * SHARE >= work[M_CHECKED])
    work[entry] = mixed
    work[entry + 1] = time_us
    return False
