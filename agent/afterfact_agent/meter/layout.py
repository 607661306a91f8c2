"""Where everything stands in the meter's arrays: columns of the session table, of a decoded packet, of the counters.

All state of a meter is three int64 arrays: `flows`, the session table, one row a session; `slots`, its hash index; and
`work`, everything else, in regions of fixed size. Few arrays, because a call between kernels passes each in seven words
or more; constant places in `work`, because numba checks every computed index for being negative. A structure with an
array for each table was two to three times slower. Code that indexes `PKTS + side` serves both directions.
This module holds numbers only.

A *side* is 0 or 1: the lower or the higher endpoint of a session's key, whoever called whom. Which side is the
originator is one bit, so deciding late who called moves no counter.
"""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Rows = NDArray[np.void]

# The packet in hand, in `work` ----------------------------------------------------------------------------------------

P_TIME = 40
"""When it was captured; of several that are counted at once (fragments that waited), the first."""
P_SRC_HI, P_SRC_LO, P_DST_HI, P_DST_LO = 41, 42, 43, 44
P_SRC_PORT, P_DST_PORT = 45, 46
"""Ports, or -1 if the packet has none or they were cut off."""
P_PROTO = 47
P_ENCAP = 48
"""VLAN ids (0 is none: a priority tag names no VLAN) of the frame that the packet lies in, and IN_NETWORK if that is
one of P_NETWORK's."""
P_TUNNELS = 49
"""Bit set of session.Tunnel: what is around the packet."""
P_IP_BYTES = 50
"""IP total length."""
P_PAYLOAD = 51
"""Bytes after the transport header, by IP length."""
P_SEQ, P_ACK, P_FLAGS = 52, 53, 54
"""TCP; flags are -1 where they were cut off."""
P_IDENT = 55
"""IPv4 identification; 0 in IPv6."""
P_MARKS = 56
P_ICMP_TYPE, P_ICMP_CODE, P_ICMP_ID = 57, 58, 59
P_QUOTE, P_END = 60, 61
"""Where the packet that an ICMP error quotes begins in the buffer, and where the captured bytes end."""
P_FRAGMENT = 62
P_FRAGMENT_ID, P_FRAGMENT_AT = 63, 64
P_POSITION = 65
"""Where the next header begins: how the layers of the decoder pass it on."""
P_WIRE_END = 66
"""Where the packet would end in the buffer had all of it been captured, or -1 if the source does not say."""
P_NOW = 71
"""Meter time of the packet, or of the last of several."""
P_HEADER, P_LATER_FLAGS = 69, 70
"""Length of the TCP header; flags that stand in a later fragment, or -1."""
P_COUNT, P_TIME_LAST = 67, 68
"""How many packets are counted at once, and when the last of them was captured."""
P_IP_END = 72
"""Where the IP packet ends in the buffer, by its length; perhaps behind what was captured."""
P_TUNNEL_ID = 73
"""Of the innermost tunnel: its network id, key, label, session, or endpoint; -1 if it has none."""
P_NETWORK = 78
"""Id of the innermost VXLAN or Geneve network or PPPoE session."""
P_OUTER_SRC_HI, P_OUTER_SRC_LO, P_OUTER_DST_HI, P_OUTER_DST_LO = 74, 75, 76, 77
"""Addresses of the innermost IP packet around this one, or zeros."""

INNER_VLAN_SHIFT = 12
VLANS = (1 << 24) - 1
IN_NETWORK = 1 << 24
"""Parts of P_ENCAP."""

PM_CUT_TRANSPORT = 1 << 16
PM_BAD_TRANSPORT = 1 << 17
PM_TUNNELLED = 1 << 18
PM_UNOPENED = 1 << 19
PM_BAD_IP_CHECKSUM = 1 << 20
"""In P_MARKS above the session's marks: for the counters alone."""
TUNNELS_SHIFT = 32
"""In MARKS, above those: the tunnels around its packets."""

WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT = 0, 1, 2
"""Values of P_FRAGMENT."""

# A session ------------------------------------------------------------------------------------------------------------

# In order of how often they are touched: what every packet needs lies in the first three cache lines of eight.
A_HI, A_LO, B_HI, B_LO, PORTS, ENCAP = 0, 1, 2, 3, 4, 5
"""The key. PORTS holds kind, protocol and both ports; ENCAP is P_ENCAP."""
KEY_COLUMNS = 6
LAST = 6
"""Meter time of the last packet: see `advance_clock`, in engine.py."""
END = 7
"""The latest packet time."""
BITS = 8
PKTS, BYTES, IP_BYTES = 9, 11, 13
"""Two columns each, by side."""
MARKS = 15
NEXT_SEQ, FIRST_SEQ = 16, 18
"""TCP, by side: the sequence number after the highest seen; that of the SYN, or one before the first byte seen."""
HISTORY_SEEN = 20
"""Which letters stand in the history, by side, and above them how many there are."""
START = 21
"""The first packet's time."""
RETRANS = 22
"""TCP, by side."""
HOLES = 24
"""TCP, two a side: gaps in the sequence that a late segment may fill, as start << 31 | length."""
HISTORY = 28
"""Three words of eight letters."""
SESSION_ID = 31
REPORT_AT = 32
"""Meter time at which the next interim record is due."""
PLACE = 33
"""Where the row stands: low 32 bits of the key's hash, and above them one more than the place in `work` of its list of
the wheel, or 0 while it is in none."""
DETAIL = 34
"""Of ICMP: 1 << 32 if it has an id | type << 24 | code << 16 | id. Of TCP: the number of SYN retries."""
ERRORS, ERROR_HI, ERROR_LO = 35, 36, 37
"""count << 16 | type << 8 | code of the first ICMP error, and who sent it."""
WHEEL_LINKS, WAITING_LINKS = 38, 39
"""The rows before and behind it in the list of its tick, and in that of unanswered sessions: table.links."""
TUNNEL_ID = 40
"""As P_TUNNEL_ID, of the first packet in a tunnel."""
OUTER = 41
"""The outer addresses of that packet: two words a side, side 1 at + 2. The side that sent it has the outer source."""
NETWORKS = 45
"""Of sessions IN_NETWORK, 32 bits a side: one more than the network that its packets come in, or 0 before the first.
The key has no network ids, for a routed session may have one each way."""
COLUMNS = 46
NOBODY = -1
"""No row."""

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
FIN_ACKED = 30
"""Shift, by side: its FIN was acknowledged."""
FLAGS_SHIFT = 32
"""Eight bits a side."""

FINS_ACKNOWLEDGED = 3 << FIN_ACKED
RESETS_SEEN = 3 << RST_SEEN

# Endpoint states, after Zeek's; in this order, since up to PARTIAL no SYN was seen.
INACTIVE, PARTIAL, SYN_SENT, SYN_ACK_SENT, ESTABLISHED, FINISHED, RESET = 0, 1, 2, 3, 4, 5, 6

# Kinds of key, in PORTS above the protocol.
KIND_PORTS, KIND_BARE, KIND_PAIRED, KIND_ONE_WAY = 0, 1, 2, 3
"""Both ports; none; an ICMP request and its reply (type and id in place of the ports); an ICMP message that has no
reply (type and code, and the sending side, in place of the ports)."""

# Fragments whose datagram is not complete -----------------------------------------------------------------------------

FR_SRC_HI, FR_SRC_LO, FR_DST_HI, FR_DST_LO, FR_ID, FR_ENCAP = 0, 1, 2, 3, 4, 5
"""The key; FR_ID is the identification, with the protocol in IPv4."""
FR_STATE, FR_TIME = 6, 7
"""FR_FREE, FR_WAITING or FR_KNOWN; meter time of the last fragment."""
FR_PROTO, FR_SRC_PORT, FR_DST_PORT, FR_ICMP = 8, 9, 10, 11
"""What the first fragment said; FR_ICMP is type << 24 | code << 16 | id, or -1."""
FR_PKTS, FR_BYTES, FR_IP_BYTES, FR_START, FR_LAST, FR_MARKS = 12, 13, 14, 15, 16, 17
"""What came before the first fragment and waits for it."""
FR_SEQ, FR_ACK, FR_FLAGS, FR_HEADER, FR_WANTED = 18, 19, 20, 21, 22
"""Of TCP: numbers and flags, if they came; the header's length; whether the first fragment left the flags to others."""
FR_NETWORK = 23
"""As P_NETWORK; part of the key."""
FR_COLUMNS = 24
FR_WAYS = 8
"""Entries that one hash value may use; the oldest gives way."""

FR_FREE, FR_WAITING, FR_KNOWN = 0, 1, 2

# The regions of `work` ------------------------------------------------------------------------------------------------

M_CLOCK = 0
"""Meter time: never goes back."""
M_OFFSET, M_OTHER_OFFSET = 1, 2
"""Meter time less packet time; changes when the packet clock steps. And what it was before the last step."""
M_STARTED = 3
M_WHEEL = 4
"""The next tick to be looked at."""
M_FREE = 5
"""First of the chain of free rows."""
M_UNUSED = 6
"""First row that was never used."""
M_OPEN = 7
M_OUT = 8
"""Records in the output array."""
M_WAITING_FIRST, M_WAITING_LAST, M_WAITING = 9, 10, 11
"""The list of unanswered sessions, oldest first, and its length."""
M_FRAGMENTS_WAITING = 12
"""Entries of the fragment table that wait for their first fragment."""
M_SWEEP = 13
"""The entry at which the sweep of the fragment table goes on."""
M_CHECKED, M_DOUBLED = 14, 15
"""Of late: packets that tell whether the tap duplicates, and those that were duplicates."""

S_TCP_IDLE, S_TCP_ATTEMPT, S_TCP_LINGER, S_UDP_IDLE, S_ICMP_IDLE, S_OTHER_IDLE = 16, 17, 18, 19, 20, 21
S_FIRST_REPORT, S_REPORT_EVERY, S_FRAGMENT_WAIT, S_REORDER = 22, 23, 24, 25
"""Settings, in microseconds."""
S_SHORTEST = 26
"""The shortest of the idle times."""
S_DUPLICATES = 28
"""How far apart duplicates may be, in microseconds; 0 if none are looked for."""
S_SEED = 27
"""Of the tables' hash; never of a session's id."""
S_CHECKSUMS = 29
"""Whether transport checksums are verified."""

KEY = 32
"""The key in hand, KEY_COLUMNS."""
PACKET, PACKET_END, SAVED = P_TIME, P_NETWORK + 1, 80
"""The packet in hand, and a place to put it aside."""
COUNTS = 136
"""The counters."""
WHEEL, WHEEL_TICKS = 256, 1 << 14
"""First row of each tick's list. The wheel is just over an hour long: what is due later is then put further on."""
FRAGMENTS, FRAGMENT_ENTRIES = WHEEL + WHEEL_TICKS, 4096
"""Entries of FR_COLUMNS."""
RECENT, RECENT_IDS = FRAGMENTS + FRAGMENT_ENTRIES * FR_COLUMNS, 1 << 13
"""Pairs: the hash that a session id was made from, and the last ordinal given."""
DUPLICATES, DUPLICATE_ENTRIES = RECENT + 2 * RECENT_IDS, 1 << 14
"""Pairs: the hash of a packet, and its time."""
WORK_SIZE = DUPLICATES + 2 * DUPLICATE_ENTRIES

# Counters -------------------------------------------------------------------------------------------------------------

COUNTERS: dict[str, str] = {
    "packets": "packets fed",
    "wire_bytes": "their bytes on the wire (captured bytes where the wire length is not known)",
    "metered": "packets counted in a session",
    "ip_bytes": "IP lengths of those",
    "fragments": "IP fragments among those",
    "waiting_fragments": "fragments that wait for the first of their datagram, not yet in a session",
    "bad_ip_checksum": "IPv4 headers with a wrong checksum; counted in their sessions all the same",
    "verified_checksums": "transport checksums verified: of TCP, UDP and ICMP, captured whole and in one piece",
    "bad_tcp_checksum": "wrong ones of TCP; counted in their sessions all the same, as those below",
    "bad_udp_checksum": "wrong ones of UDP",
    "bad_icmp_checksum": "wrong ones of ICMP",
    "bad_icmpv6_checksum": "wrong ones of ICMPv6",
    "offloaded_checksum": "left to the sender's network card, not marked: the sum of the pseudo header alone",
    "length_inferred": "packets whose IP length was missing or more than the wire carried",
    "time_steps": "times that the packet clock stepped back by more than the reordering allowed",
    "tunnelled": "packets metered as what a tunnel carries",
    "unopened": "packets of tunnels with nothing in them that can be metered: metered as the tunnel's own",
    "sessions": "sessions begun",
    "records": "records emitted, interim ones included",
    "evicted": "sessions emitted early to make room",
    "quoted_errors": "ICMP errors annotated on the session that they quote",
    "unmatched_errors": "ICMP errors whose session was not found",
    "duplicates": "not metered: packets that the tap delivered before",
    "arp": "not IP: ARP and RARP",
    "llc": "not IP: IEEE 802.3 with LLC (spanning tree, IS-IS, CDP ...)",
    "lldp": "not IP: LLDP",
    "mpls": "not IP: MPLS that carries neither IP nor Ethernet, as far as can be told",
    "pppoe": "not IP: PPPoE discovery",
    "ppp": "not IP: PPP's own protocols, or PPP that is compressed or encrypted",
    "wifi": "not IP: IEEE 802.11 management, control, empty, aggregated or encrypted frames",
    "eapol": "not IP: EAPOL",
    "other_ethertype": "not IP: any other protocol",
    "cut_link": "not decoded: the link header is cut off",
    "bad_link": "not decoded: the link header makes no sense",
    "bad_fcs": "not decoded: the radio says that the frame was received damaged",
    "cut_ip": "not decoded: the IP header is cut off",
    "bad_ip_version": "not decoded: the IP version is neither 4 nor 6, or not the one that the link names",
    "bad_ip_length": "not decoded: IP header length or total length less than the header",
    "too_deep": "not decoded: too many VLAN tags, MPLS labels or IPv6 extension headers",
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
    C_VERIFIED_CHECKSUMS,
    C_BAD_TCP_CHECKSUM,
    C_BAD_UDP_CHECKSUM,
    C_BAD_ICMP_CHECKSUM,
    C_BAD_ICMPV6_CHECKSUM,
    C_OFFLOADED_CHECKSUM,
    C_LENGTH_INFERRED,
    C_TIME_STEPS,
    C_TUNNELLED,
    C_UNOPENED,
    C_SESSIONS,
    C_RECORDS,
    C_EVICTED,
    C_QUOTED_ERRORS,
    C_UNMATCHED_ERRORS,
    C_DUPLICATES,
    C_ARP,
    C_LLC,
    C_LLDP,
    C_MPLS,
    C_PPPOE,
    C_PPP,
    C_WIFI,
    C_EAPOL,
    C_OTHER_ETHERTYPE,
    C_CUT_LINK,
    C_BAD_LINK,
    C_BAD_FCS,
    C_CUT_IP,
    C_BAD_IP_VERSION,
    C_BAD_IP_LENGTH,
    C_TOO_DEEP,
    C_CUT_TRANSPORT,
    C_BAD_TRANSPORT,
    C_UNKNOWN_LINKTYPE,
) = range(len(COUNTERS))
