"""Where everything stands in the meter's arrays: columns of the session table, of a decoded packet, of the counters.

Kernels work on plain int64 arrays: one type keeps compilation short, and code that indexes `PKTS + side` serves both
directions. This module holds numbers only.

A *side* is 0 or 1: the lower or the higher endpoint of a session's key, whoever called whom. Which side is the
originator is one bit, so deciding late who called moves no counter.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A decoded packet -----------------------------------------------------------------------------------------------------

P_TIME = 0
"""When it was captured; of several that are counted at once (fragments that waited), the first."""
P_SRC_HI, P_SRC_LO, P_DST_HI, P_DST_LO = 1, 2, 3, 4
P_SRC_PORT, P_DST_PORT = 5, 6
"""Ports, or -1 if the packet has none or they were cut off."""
P_PROTO = 7
P_VLAN, P_INNER_VLAN = 8, 9
"""VLAN ids; 0 is none (a priority tag names no VLAN)."""
P_IP_BYTES = 10
"""IP total length."""
P_PAYLOAD = 11
"""Bytes after the transport header, by IP length."""
P_SEQ, P_ACK, P_FLAGS = 12, 13, 14
"""TCP; flags are -1 where they were cut off."""
P_IDENT = 15
"""IPv4 identification; 0 in IPv6."""
P_MARKS = 16
P_ICMP_TYPE, P_ICMP_CODE, P_ICMP_ID = 17, 18, 19
P_QUOTE, P_END = 20, 21
"""Where the packet that an ICMP error quotes begins in the buffer, and where the captured bytes end."""
P_FRAGMENT = 22
P_FRAGMENT_ID, P_FRAGMENT_AT = 23, 24
P_POSITION = 25
"""Where the next header begins: how the layers of the decoder pass it on."""
P_WIRE_END = 26
"""Where the packet would end in the buffer had all of it been captured, or -1 if the source does not say."""
P_COUNT, P_TIME_LAST = 27, 28
"""How many packets are counted at once, and when the last of them was captured."""
P_COLUMNS = 29

PM_CUT_TRANSPORT = 1 << 16
PM_BAD_TRANSPORT = 1 << 17
"""In P_MARKS above the session's marks: for the counters alone."""

WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT = 0, 1, 2
"""Values of P_FRAGMENT."""

# A session ------------------------------------------------------------------------------------------------------------

A_HI, A_LO, B_HI, B_LO, PORTS, ENCAP = 0, 1, 2, 3, 4, 5
"""The key. PORTS holds kind, protocol and both ports; ENCAP the VLAN ids (and, to come, a tunnel's id)."""
KEY_COLUMNS = 6
LAST = 6
"""Meter time of the last packet: see `clock`, in table.py."""
START, END = 7, 8
"""Packet times."""
BITS = 9
PKTS, BYTES, IP_BYTES, RETRANS = 10, 12, 14, 16
"""Two columns each, by side."""
NEXT_SEQ, FIRST_SEQ = 18, 20
"""TCP, by side: the sequence number after the highest seen; that of the SYN, or one before the first byte seen."""
HOLES = 22
"""TCP, two a side: gaps in the sequence that a late segment may fill, as start << 32 | length."""
HISTORY = 26
"""Three words of eight letters."""
HISTORY_SEEN = 29
"""Which letters stand in the history, by side, and above them how many there are."""
SESSION_ID = 30
REPORT_AT = 31
"""Meter time at which the next interim record is due."""
MARKS = 32
DETAIL = 33
"""Of ICMP: 1 << 32 if it has an id | type << 24 | code << 16 | id. Of TCP: the number of SYN retries."""
ERRORS, ERROR_HI, ERROR_LO = 34, 35, 36
"""count << 16 | type << 8 | code of the first ICMP error, and who sent it."""
TAG = 37
"""Low 32 bits of the key's hash."""
COLUMNS = 38

# Bits of BITS. Fields that exist for each side are two bits, side 0 the lower.
ORIGINATOR = 1 << 0
"""Which side called."""
REPORTED = 1 << 1
"""A record has left: identity is frozen."""
CHANGED = 1 << 2
"""Something came since the last record."""
UNANSWERED = 1 << 3
"""In the list of sessions that only one side has spoken in; these go first when room is needed."""
CLOSED = 1 << 4
"""Its end was seen; it lingers for stragglers."""
REJECTED = 1 << 5
"""The first SYN was answered by a reset."""
ERROR_REFUSED = 1 << 6
ERROR_UNREACHABLE = 1 << 7
SYN_SEEN, SYNACK_SEEN, FIN_SEEN, RST_SEEN = 8, 10, 12, 14
"""Shifts, by side."""
ACK_SEEN = 16
"""Shift, by side: a segment that only an open connection sends (ACK without SYN or RST)."""
SEQ_KNOWN = 18
"""Shift, by side."""
DIRECTION_SHIFT = 20
"""Three bits: DirectionBy."""
ENDPOINT_SHIFT = 24
"""Three bits a side (side 1 at + 3): the endpoint states below."""
FLAGS_SHIFT = 32
"""Eight bits a side."""

# Endpoint states, after Zeek's.
INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, FINISHED, RESET = 0, 1, 2, 3, 4, 5, 6

# Kinds of key, in PORTS above the protocol.
KIND_PORTS, KIND_BARE, KIND_PAIRED, KIND_ONE_WAY = 0, 1, 2, 3
"""Both ports; none; an ICMP request and its reply (type and id in place of the ports); an ICMP message that has no
reply (type and code, and the sending side, in place of the ports)."""

# Links of a session's row in lists ------------------------------------------------------------------------------------

WHEEL_PREVIOUS, WHEEL_NEXT, WHEEL_SLOT, WAITING_PREVIOUS, WAITING_NEXT = 0, 1, 2, 3, 4
LINK_COLUMNS = 5
NOBODY = -1

# Fragments whose datagram is not complete -----------------------------------------------------------------------------

FR_SRC_HI, FR_SRC_LO, FR_DST_HI, FR_DST_LO, FR_ID, FR_ENCAP = 0, 1, 2, 3, 4, 5
"""The key; FR_ID is the identification, with the protocol in IPv4."""
FR_STATE, FR_TIME = 6, 7
"""FR_FREE, FR_WAITING or FR_KNOWN; meter time of the last fragment."""
FR_PROTO, FR_SRC_PORT, FR_DST_PORT, FR_ICMP = 8, 9, 10, 11
"""What the first fragment said; FR_ICMP is type << 24 | code << 16 | id, or -1."""
FR_PKTS, FR_BYTES, FR_IP_BYTES, FR_START, FR_LAST, FR_MARKS = 12, 13, 14, 15, 16, 17
"""What came before the first fragment and waits for it."""
FR_COLUMNS = 18
FR_WAYS = 8
"""Entries that one hash value may use; the oldest gives way."""

FR_FREE, FR_WAITING, FR_KNOWN = 0, 1, 2

# The meter's own variables --------------------------------------------------------------------------------------------

M_CLOCK = 0
"""Meter time: never goes back."""
M_OFFSET = 1
"""Meter time less packet time; grows when the packet clock steps back."""
M_STARTED = 2
M_WHEEL = 3
"""The tick up to which the wheel has turned."""
M_FREE = 4
"""First row of the chain of free rows."""
M_ROWS = 5
"""Rows ever used."""
M_OPEN = 6
M_OUT = 7
"""Records in the output array."""
M_WAITING_FIRST, M_WAITING_LAST = 8, 9
"""The list of unanswered sessions, oldest first."""
M_WAITING = 10
"""Length of the list of unanswered sessions."""
M_FRAGMENTS_WAITING = 11
"""Entries of the fragment table that wait for their first fragment."""
M_SWEEP = 12
"""Where the sweep of the fragment table goes on."""
M_COLUMNS = 13

# Settings -------------------------------------------------------------------------------------------------------------

S_TCP_IDLE, S_TCP_ATTEMPT, S_TCP_LINGER, S_UDP_IDLE, S_ICMP_IDLE, S_OTHER_IDLE = 0, 1, 2, 3, 4, 5
S_FIRST_REPORT, S_REPORT_EVERY, S_FRAGMENT_WAIT, S_REORDER = 6, 7, 8, 9
S_SEED = 10
"""Of the tables' hash; never of a session's id."""
S_COLUMNS = 11


class Tables(NamedTuple):
    """All state of a meter; kernels take it as one argument."""

    flows: NDArray[np.int64]
    """(rows, COLUMNS)"""
    links: NDArray[np.int32]
    """(rows, LINK_COLUMNS)"""
    slots: NDArray[np.int64]
    """Open addressing: tag << 32 | row + 1, or 0. A power of two long."""
    wheel: NDArray[np.int32]
    """First row of each tick's list. A power of two long."""
    fragments: NDArray[np.int64]
    """(entries, FR_COLUMNS), a power of two long."""
    recent: NDArray[np.int64]
    """(entries, 2): the hash a session id was made from and the last ordinal given. A power of two long."""
    meta: NDArray[np.int64]
    counters: NDArray[np.int64]
    settings: NDArray[np.int64]
    servers: NDArray[np.uint8]
    """65536: whether a port is a well-known server port."""
    packet: NDArray[np.int64]
    """The packet in hand, P_COLUMNS."""
    quoted: NDArray[np.int64]
    """The packet that an ICMP error quotes, P_COLUMNS."""
    late: NDArray[np.int64]
    """Fragments that waited and are now counted, as one packet, P_COLUMNS."""
    key: NDArray[np.int64]
    """The key in hand, KEY_COLUMNS."""


# Counters -------------------------------------------------------------------------------------------------------------

COUNTERS: dict[str, str] = {
    "packets": "packets fed",
    "wire_bytes": "their bytes on the wire (captured bytes where the wire length is not known)",
    "metered": "packets counted in a session",
    "ip_bytes": "IP lengths of those",
    "fragments": "IP fragments among those",
    "waiting_fragments": "fragments that wait for the first of their datagram, not yet in a session",
    "bad_ip_checksum": "IPv4 headers with a wrong checksum; counted in their sessions all the same",
    "length_inferred": "packets whose IP length was missing or more than the wire carried",
    "time_steps": "times that the packet clock stepped back by more than the reordering allowed",
    "sessions": "sessions begun",
    "records": "records emitted, interim ones included",
    "evicted": "sessions emitted early to make room",
    "quoted_errors": "ICMP errors annotated on the session that they quote",
    "unmatched_errors": "ICMP errors whose session was not found",
    "arp": "not IP: ARP and RARP",
    "llc": "not IP: IEEE 802.3 with LLC (spanning tree, IS-IS, CDP ...)",
    "lldp": "not IP: LLDP",
    "mpls": "not IP: MPLS, whose content is not metered yet",
    "pppoe": "not IP: PPPoE, whose content is not metered yet",
    "eapol": "not IP: EAPOL",
    "other_ethertype": "not IP: any other protocol",
    "cut_link": "not decoded: the link header is cut off",
    "bad_link": "not decoded: the link header makes no sense",
    "cut_ip": "not decoded: the IP header is cut off",
    "bad_ip_version": "not decoded: the IP version is neither 4 nor 6, or not the one that the link names",
    "bad_ip_length": "not decoded: IP header length or total length less than the header",
    "too_deep": "not decoded: too many VLAN tags or IPv6 extension headers",
    "cut_transport": "metered without ports or flags: the transport header is cut off",
    "bad_transport": "metered: the transport header's own length makes no sense",
    "unknown_linktype": "not decoded: a link type that the meter does not know",
}
"""Every packet fed is counted in `metered`, in `waiting_fragments`, or under one reason that begins "not"."""

(
    C_PACKETS,
    C_WIRE_BYTES,
    C_METERED,
    C_IP_BYTES,
    C_FRAGMENTS,
    C_WAITING_FRAGMENTS,
    C_BAD_IP_CHECKSUM,
    C_LENGTH_INFERRED,
    C_TIME_STEPS,
    C_SESSIONS,
    C_RECORDS,
    C_EVICTED,
    C_QUOTED_ERRORS,
    C_UNMATCHED_ERRORS,
    C_ARP,
    C_LLC,
    C_LLDP,
    C_MPLS,
    C_PPPOE,
    C_EAPOL,
    C_OTHER_ETHERTYPE,
    C_CUT_LINK,
    C_BAD_LINK,
    C_CUT_IP,
    C_BAD_IP_VERSION,
    C_BAD_IP_LENGTH,
    C_TOO_DEEP,
    C_CUT_TRANSPORT,
    C_BAD_TRANSPORT,
    C_UNKNOWN_LINKTYPE,
) = range(len(COUNTERS))
