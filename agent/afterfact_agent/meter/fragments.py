"""IP fragments: only the first of a datagram has ports, so the others are credited through a small table.

Later fragments that come before the first wait in the table for it; the meter counts them when it comes, or, when it
does not, in a session without ports. Set-associative: an entry gives way to a newer one of the same hash.
Reassembles nothing.
"""

from afterfact_agent.jit import i64, kernel

from .decode import TCP
from .layout import (
    C_WAITING_FRAGMENTS,
    COUNTS,
    FR_ACK,
    FR_BYTES,
    FR_COLUMNS,
    FR_DST_HI,
    FR_DST_LO,
    FR_DST_PORT,
    FR_ENCAP,
    FR_FLAGS,
    FR_FREE,
    FR_HEADER,
    FR_ICMP,
    FR_ID,
    FR_IP_BYTES,
    FR_LAST,
    FR_MARKS,
    FR_NETWORK,
    FR_PKTS,
    FR_PROTO,
    FR_SEQ,
    FR_SRC_HI,
    FR_SRC_LO,
    FR_SRC_PORT,
    FR_START,
    FR_STATE,
    FR_TIME,
    FR_WAITING,
    FR_WANTED,
    FR_WAYS,
    FRAGMENT_ENTRIES,
    FRAGMENTS,
    LATER_FRAGMENT,
    M_FRAGMENTS_WAITING,
    P_ACK,
    P_COUNT,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_ENCAP,
    P_FLAGS,
    P_FRAGMENT,
    P_FRAGMENT_AT,
    P_FRAGMENT_ID,
    P_HEADER,
    P_ICMP_CODE,
    P_ICMP_ID,
    P_ICMP_TYPE,
    P_IDENT,
    P_IP_BYTES,
    P_LATER_FLAGS,
    P_MARKS,
    P_NETWORK,
    P_NOW,
    P_OUTER_DST_HI,
    P_OUTER_DST_LO,
    P_OUTER_SRC_HI,
    P_OUTER_SRC_LO,
    P_PAYLOAD,
    P_PROTO,
    P_QUOTE,
    P_SEQ,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_TIME,
    P_TIME_LAST,
    P_TUNNEL_ID,
    P_TUNNELS,
    S_FRAGMENT_WAIT,
    S_SEED,
    Words,
)
from .table import chain


@kernel
def entry_of(work: Words, now: int) -> int:
    """The entry of a fragment's datagram; or, negative, the one that it may have: a free one, else the oldest."""
    hashed = chain(work[S_SEED], work[P_FRAGMENT_ID])
    hashed = chain(hashed, work[P_SRC_LO] ^ work[P_SRC_HI])
    hashed = chain(hashed, work[P_DST_LO] ^ work[P_DST_HI])
    base = FRAGMENTS + (hashed & (FRAGMENT_ENTRIES // FR_WAYS - 1)) * FR_WAYS * FR_COLUMNS
    oldest = base
    for way in range(FR_WAYS):
        entry = base + way * FR_COLUMNS
        if work[entry + FR_STATE] == FR_FREE:
            if work[oldest + FR_STATE] != FR_FREE:
                oldest = entry
            continue
        if (
            work[entry + FR_ID] == work[P_FRAGMENT_ID]
            and work[entry + FR_SRC_LO] == work[P_SRC_LO]
            and work[entry + FR_DST_LO] == work[P_DST_LO]
            and work[entry + FR_SRC_HI] == work[P_SRC_HI]
            and work[entry + FR_DST_HI] == work[P_DST_HI]
            and work[entry + FR_ENCAP] == work[P_ENCAP]
            and work[entry + FR_NETWORK] == work[P_NETWORK]
            and now - work[entry + FR_TIME] <= work[S_FRAGMENT_WAIT]
        ):
            return i64(entry)
        if work[oldest + FR_STATE] != FR_FREE and work[entry + FR_TIME] < work[oldest + FR_TIME]:
            oldest = entry
    return i64(-oldest)


@kernel
def claim(work: Words, entry: int, now: int, state: int) -> None:
    """Begin an entry for a fragment's datagram; what waited in it must have been taken out before."""
    for column in range(FR_COLUMNS):
        work[entry + column] = 0
    work[entry + FR_SRC_HI], work[entry + FR_SRC_LO] = work[P_SRC_HI], work[P_SRC_LO]
    work[entry + FR_DST_HI], work[entry + FR_DST_LO] = work[P_DST_HI], work[P_DST_LO]
    work[entry + FR_ID] = work[P_FRAGMENT_ID]
    work[entry + FR_ENCAP] = work[P_ENCAP]
    work[entry + FR_NETWORK] = work[P_NETWORK]
    work[entry + FR_TIME] = now
    work[entry + FR_STATE] = state
    work[entry + FR_FLAGS] = -1
    work[entry + FR_HEADER] = 20
    if state == FR_WAITING:
        work[M_FRAGMENTS_WAITING] += 1
        work[entry + FR_START] = work[P_TIME]
        work[entry + FR_LAST] = work[P_TIME]
        work[entry + FR_SRC_PORT] = -1
        work[entry + FR_DST_PORT] = -1
        work[entry + FR_ICMP] = -1
        work[entry + FR_PROTO] = work[P_PROTO]


@kernel
def know(work: Words, entry: int) -> None:
    """Keep what a first fragment says, for the others of its datagram."""
    work[entry + FR_PROTO] = work[P_PROTO]
    work[entry + FR_SRC_PORT], work[entry + FR_DST_PORT] = work[P_SRC_PORT], work[P_DST_PORT]
    work[entry + FR_ICMP] = -1
    if work[P_ICMP_TYPE] >= 0:
        work[entry + FR_ICMP] = (work[P_ICMP_TYPE] << 24) | (work[P_ICMP_CODE] << 16) | work[P_ICMP_ID]
    if work[P_PROTO] == TCP:
        work[entry + FR_SEQ] = work[P_SEQ]
        if work[P_FLAGS] >= 0:
            work[entry + FR_HEADER] = work[P_HEADER]
        else:
            work[entry + FR_WANTED] = 1


@kernel
def take_header(work: Words, entry: int) -> None:
    """Of a later fragment, keep what is the rest of a TCP header, and do not count it as payload."""
    if work[P_PROTO] != TCP:
        return
    if work[P_LATER_FLAGS] >= 0:
        work[entry + FR_ACK] = work[P_ACK]
        work[entry + FR_FLAGS] = work[P_LATER_FLAGS]
        work[entry + FR_HEADER] = max(work[entry + FR_HEADER], work[P_HEADER])
    rest = work[entry + FR_HEADER] - work[P_FRAGMENT_AT]
    work[P_PAYLOAD] -= max(min(work[P_PAYLOAD], rest), 0)


@kernel
def settle(work: Words, entry: int) -> None:
    """Give a later fragment the ports of its datagram's first, and the TCP flags if that left them to another."""
    work[P_PROTO] = work[entry + FR_PROTO]
    work[P_SRC_PORT], work[P_DST_PORT] = work[entry + FR_SRC_PORT], work[entry + FR_DST_PORT]
    icmp = work[entry + FR_ICMP]
    work[P_ICMP_TYPE] = -1
    if icmp >= 0:
        work[P_ICMP_TYPE] = icmp >> 24
        work[P_ICMP_CODE] = (icmp >> 16) & 0xFF
        work[P_ICMP_ID] = icmp & 0xFFFF
    if work[entry + FR_WANTED] and work[entry + FR_FLAGS] >= 0:
        work[entry + FR_WANTED] = 0
        work[P_SEQ], work[P_ACK] = work[entry + FR_SEQ], work[entry + FR_ACK]
        work[P_FLAGS] = work[entry + FR_FLAGS]


@kernel
def wait(work: Words, entry: int, now: int) -> None:
    """Keep a later fragment until the first of its datagram comes."""
    work[entry + FR_TIME] = now
    work[entry + FR_PKTS] += 1
    work[entry + FR_BYTES] += work[P_PAYLOAD]
    work[entry + FR_IP_BYTES] += work[P_IP_BYTES]
    work[entry + FR_START] = min(work[entry + FR_START], work[P_TIME])
    work[entry + FR_LAST] = max(work[entry + FR_LAST], work[P_TIME])
    work[entry + FR_MARKS] |= work[P_MARKS]
    work[COUNTS + C_WAITING_FRAGMENTS] += 1


@kernel
def take_waiting(work: Words, entry: int, state: int) -> None:
    """Put what waits in an entry in place of the packet in hand, as one packet; the entry is in `state` after that."""
    work[P_TIME], work[P_TIME_LAST] = work[entry + FR_START], work[entry + FR_LAST]
    work[P_NOW] = work[entry + FR_TIME]  # the packets' clock may have stepped since
    work[P_COUNT] = work[entry + FR_PKTS]
    work[P_PAYLOAD], work[P_IP_BYTES] = work[entry + FR_BYTES], work[entry + FR_IP_BYTES]
    work[P_SRC_HI], work[P_SRC_LO] = work[entry + FR_SRC_HI], work[entry + FR_SRC_LO]
    work[P_DST_HI], work[P_DST_LO] = work[entry + FR_DST_HI], work[entry + FR_DST_LO]
    work[P_ENCAP] = work[entry + FR_ENCAP]
    work[P_NETWORK] = work[entry + FR_NETWORK]
    # What is noted of tunnels comes with the first fragment.
    work[P_TUNNELS] = 0
    work[P_TUNNEL_ID] = -1
    work[P_OUTER_SRC_HI], work[P_OUTER_SRC_LO] = 0, 0
    work[P_OUTER_DST_HI], work[P_OUTER_DST_LO] = 0, 0
    work[P_IDENT] = work[entry + FR_ID] & 0xFFFF
    work[P_MARKS] = work[entry + FR_MARKS]
    work[P_FRAGMENT] = LATER_FRAGMENT
    work[P_FLAGS] = -1
    work[P_QUOTE] = -1
    settle(work, entry)
    work[COUNTS + C_WAITING_FRAGMENTS] -= work[entry + FR_PKTS]
    work[M_FRAGMENTS_WAITING] -= 1
    work[entry + FR_PKTS] = 0
    work[entry + FR_STATE] = state
