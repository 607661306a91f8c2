"""IP fragments: only the first of a datagram has ports, so the others are credited through a small table.

Later fragments that come before the first wait in the table for it; the meter counts them when it comes, or, when it
does not, in a session without ports. Set-associative: an entry gives way to a newer one of the same hash.
Reassembles nothing.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import i64, kernel

from .layout import (
    C_WAITING_FRAGMENTS,
    FR_BYTES,
    FR_DST_HI,
    FR_DST_LO,
    FR_DST_PORT,
    FR_ENCAP,
    FR_FREE,
    FR_ICMP,
    FR_ID,
    FR_IP_BYTES,
    FR_LAST,
    FR_MARKS,
    FR_PKTS,
    FR_PROTO,
    FR_SRC_HI,
    FR_SRC_LO,
    FR_SRC_PORT,
    FR_START,
    FR_STATE,
    FR_TIME,
    FR_WAITING,
    FR_WAYS,
    LATER_FRAGMENT,
    M_FRAGMENTS_WAITING,
    P_COUNT,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_FLAGS,
    P_FRAGMENT,
    P_FRAGMENT_ID,
    P_ICMP_CODE,
    P_ICMP_ID,
    P_ICMP_TYPE,
    P_IDENT,
    P_INNER_VLAN,
    P_IP_BYTES,
    P_MARKS,
    P_PAYLOAD,
    P_PROTO,
    P_QUOTE,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_TIME,
    P_TIME_LAST,
    P_VLAN,
    S_FRAGMENT_WAIT,
    S_SEED,
    Tables,
)
from .table import chain


@kernel
def entry_of(tables: Tables, packet: NDArray[np.int64], now: int) -> int:
    """The entry of a fragment's datagram; or -1 - the entry that it may have: a free or outlived one, or the oldest."""
    fragments = tables.fragments
    encap = packet[P_VLAN] | (packet[P_INNER_VLAN] << 12)
    hashed = chain(tables.settings[S_SEED], packet[P_FRAGMENT_ID])
    hashed = chain(hashed, packet[P_SRC_LO] ^ packet[P_SRC_HI])
    hashed = chain(hashed, packet[P_DST_LO] ^ packet[P_DST_HI])
    base = (hashed & i64(len(fragments) // FR_WAYS - 1)) * FR_WAYS
    oldest = base
    for entry in range(base, base + FR_WAYS):
        if fragments[entry, FR_STATE] == FR_FREE:
            if fragments[oldest, FR_STATE] != FR_FREE:
                oldest = i64(entry)
            continue
        if (
            fragments[entry, FR_ID] == packet[P_FRAGMENT_ID]
            and fragments[entry, FR_SRC_LO] == packet[P_SRC_LO]
            and fragments[entry, FR_DST_LO] == packet[P_DST_LO]
            and fragments[entry, FR_SRC_HI] == packet[P_SRC_HI]
            and fragments[entry, FR_DST_HI] == packet[P_DST_HI]
            and fragments[entry, FR_ENCAP] == encap
            and now - fragments[entry, FR_TIME] <= tables.settings[S_FRAGMENT_WAIT]
        ):
            return i64(entry)
        if fragments[oldest, FR_STATE] != FR_FREE and fragments[entry, FR_TIME] < fragments[oldest, FR_TIME]:
            oldest = i64(entry)
    return -1 - oldest


@kernel
def claim(tables: Tables, entry: int, packet: NDArray[np.int64], now: int, state: int) -> None:
    """Begin an entry for a fragment's datagram; what waited in it must have been taken out before."""
    fragments = tables.fragments
    for column in range(fragments.shape[1]):
        fragments[entry, column] = 0
    fragments[entry, FR_SRC_HI], fragments[entry, FR_SRC_LO] = packet[P_SRC_HI], packet[P_SRC_LO]
    fragments[entry, FR_DST_HI], fragments[entry, FR_DST_LO] = packet[P_DST_HI], packet[P_DST_LO]
    fragments[entry, FR_ID] = packet[P_FRAGMENT_ID]
    fragments[entry, FR_ENCAP] = packet[P_VLAN] | (packet[P_INNER_VLAN] << 12)
    fragments[entry, FR_TIME] = now
    fragments[entry, FR_STATE] = state
    if state == FR_WAITING:
        tables.meta[M_FRAGMENTS_WAITING] += 1
        fragments[entry, FR_START] = packet[P_TIME]
        fragments[entry, FR_LAST] = packet[P_TIME]
        fragments[entry, FR_SRC_PORT] = -1
        fragments[entry, FR_DST_PORT] = -1
        fragments[entry, FR_ICMP] = -1
        fragments[entry, FR_PROTO] = packet[P_PROTO]


@kernel
def know(tables: Tables, entry: int, packet: NDArray[np.int64]) -> None:
    """Keep what a first fragment says, for the others of its datagram."""
    fragments = tables.fragments
    fragments[entry, FR_PROTO] = packet[P_PROTO]
    fragments[entry, FR_SRC_PORT], fragments[entry, FR_DST_PORT] = packet[P_SRC_PORT], packet[P_DST_PORT]
    fragments[entry, FR_ICMP] = -1
    if packet[P_ICMP_TYPE] >= 0:
        fragments[entry, FR_ICMP] = (packet[P_ICMP_TYPE] << 24) | (packet[P_ICMP_CODE] << 16) | packet[P_ICMP_ID]


@kernel
def settle(tables: Tables, entry: int, packet: NDArray[np.int64]) -> None:
    """Give a later fragment the ports of its datagram's first."""
    fragments = tables.fragments
    packet[P_PROTO] = fragments[entry, FR_PROTO]
    packet[P_SRC_PORT], packet[P_DST_PORT] = fragments[entry, FR_SRC_PORT], fragments[entry, FR_DST_PORT]
    icmp = fragments[entry, FR_ICMP]
    packet[P_ICMP_TYPE] = -1
    if icmp >= 0:
        packet[P_ICMP_TYPE] = icmp >> 24
        packet[P_ICMP_CODE] = (icmp >> 16) & 0xFF
        packet[P_ICMP_ID] = icmp & 0xFFFF


@kernel
def wait(tables: Tables, entry: int, packet: NDArray[np.int64], now: int) -> None:
    """Keep a later fragment until the first of its datagram comes."""
    fragments = tables.fragments
    fragments[entry, FR_TIME] = now
    fragments[entry, FR_PKTS] += 1
    fragments[entry, FR_BYTES] += packet[P_PAYLOAD]
    fragments[entry, FR_IP_BYTES] += packet[P_IP_BYTES]
    fragments[entry, FR_START] = min(fragments[entry, FR_START], packet[P_TIME])
    fragments[entry, FR_LAST] = max(fragments[entry, FR_LAST], packet[P_TIME])
    fragments[entry, FR_MARKS] |= packet[P_MARKS]
    tables.counters[C_WAITING_FRAGMENTS] += 1


@kernel
def take_waiting(tables: Tables, entry: int, state: int) -> None:
    """Put what waits in an entry into `tables.late`, as one packet; the entry is in `state` after that."""
    fragments, late = tables.fragments, tables.late
    late[P_TIME], late[P_TIME_LAST] = fragments[entry, FR_START], fragments[entry, FR_LAST]
    late[P_COUNT] = fragments[entry, FR_PKTS]
    late[P_PAYLOAD], late[P_IP_BYTES] = fragments[entry, FR_BYTES], fragments[entry, FR_IP_BYTES]
    late[P_SRC_HI], late[P_SRC_LO] = fragments[entry, FR_SRC_HI], fragments[entry, FR_SRC_LO]
    late[P_DST_HI], late[P_DST_LO] = fragments[entry, FR_DST_HI], fragments[entry, FR_DST_LO]
    late[P_VLAN], late[P_INNER_VLAN] = fragments[entry, FR_ENCAP] & 0xFFF, fragments[entry, FR_ENCAP] >> 12
    late[P_IDENT] = fragments[entry, FR_ID] & 0xFFFF
    late[P_MARKS] = fragments[entry, FR_MARKS]
    late[P_FRAGMENT] = LATER_FRAGMENT
    late[P_FLAGS] = -1
    late[P_QUOTE] = -1
    settle(tables, entry, late)
    tables.counters[C_WAITING_FRAGMENTS] -= fragments[entry, FR_PKTS]
    tables.meta[M_FRAGMENTS_WAITING] -= 1
    fragments[entry, FR_PKTS] = 0
    fragments[entry, FR_STATE] = state
