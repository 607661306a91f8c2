"""From the bytes of a packet to the few numbers that metering needs.

One function a layer; each reads only what it has checked to be captured, and returns where the next layer begins
(P_POSITION) and what it is, or the negative index of the counter that says why not.
Knows no session and counts nothing itself.
"""

import numpy as np

from afterfact_agent.capture.packets import LinkType
from afterfact_agent.jit import i64, inlined, kernel
from afterfact_protocol.session import Mark

from .layout import (
    C_ARP,
    C_BAD_IP_LENGTH,
    C_BAD_IP_VERSION,
    C_BAD_LINK,
    C_CUT_IP,
    C_CUT_LINK,
    C_EAPOL,
    C_LLC,
    C_LLDP,
    C_MPLS,
    C_OTHER_ETHERTYPE,
    C_PPPOE,
    C_TOO_DEEP,
    C_UNKNOWN_LINKTYPE,
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    P_ACK,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_END,
    P_FLAGS,
    P_FRAGMENT,
    P_FRAGMENT_AT,
    P_FRAGMENT_ID,
    P_HEADER,
    P_ICMP_CODE,
    P_ICMP_ID,
    P_ICMP_TYPE,
    P_IDENT,
    P_INNER_VLAN,
    P_IP_BYTES,
    P_LATER_FLAGS,
    P_MARKS,
    P_PAYLOAD,
    P_POSITION,
    P_PROTO,
    P_QUOTE,
    P_SEQ,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_VLAN,
    P_WIRE_END,
    PM_BAD_TRANSPORT,
    PM_CUT_TRANSPORT,
    WHOLE,
    Bytes,
    Words,
)

# Kernels see plain numbers.
LINK_NULL, LINK_ETHERNET, LINK_RAW = int(LinkType.NULL), int(LinkType.ETHERNET), int(LinkType.RAW)
LINK_IPV4, LINK_IPV6 = int(LinkType.IPV4), int(LinkType.IPV6)
LINK_SLL, LINK_SLL2 = int(LinkType.LINUX_SLL), int(LinkType.LINUX_SLL2)

LEN_INFERRED, FRAGMENTS, BAD_CHECKSUM = int(Mark.LEN_INFERRED), int(Mark.FRAGMENTS), int(Mark.BAD_CHECKSUM)

IPV4, IPV6, ANY_IP = 0x0800, 0x86DD, 0
"""What a link layer says comes next: ethertypes, or "an IP packet, see its version"."""

MAX_VLAN_TAGS = 8
MAX_EXTENSION_HEADERS = 16

ICMP, TCP, UDP, DCCP, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 58, 132, 136
HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6 = 0, 43, 44, 59, 60, 135, 139, 140

NO_ROLE, HAS_PORTS, IS_ICMP, IS_EXTENSION = 0, 1, 2, 3
ROLE = np.zeros(256, np.uint8)
"""What an IP protocol number says of the header that follows. (AH is metered as a protocol of its own, in IPv6 too.)"""
ROLE[[TCP, UDP, SCTP, DCCP, UDPLITE]] = HAS_PORTS
ROLE[[ICMP, ICMPV6]] = IS_ICMP
ROLE[[HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6]] = IS_EXTENSION


@inlined
def u8(buffer: Bytes, at: int) -> int:
    return i64(buffer[np.uint64(at)])


@inlined
def u16(buffer: Bytes, at: int) -> int:
    return (i64(buffer[np.uint64(at)]) << 8) | i64(buffer[np.uint64(at + 1)])


@inlined
def u32(buffer: Bytes, at: int) -> int:
    return (
        (i64(buffer[np.uint64(at)]) << 24)
        | (i64(buffer[np.uint64(at + 1)]) << 16)
        | (i64(buffer[np.uint64(at + 2)]) << 8)
        | i64(buffer[np.uint64(at + 3)])
    )


@inlined
def u64(buffer: Bytes, at: int) -> int:
    """Eight bytes as a signed integer of the same bits."""
    return (u32(buffer, at) << 32) | u32(buffer, at + 4)


@inlined
def ethertype_layer(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    """What follows an ethertype: unwraps VLAN tags (802.1Q, 802.1ad, QinQ) and SNAP. `at` is behind the ethertype."""
    work[P_VLAN] = 0
    work[P_INNER_VLAN] = 0
    tags = 0
    while kind != IPV4 and kind != IPV6:
        if kind == 0x8100 or kind == 0x88A8 or kind == 0x9100 or kind == 0x9200:
            if end - at < 4:
                return -C_CUT_LINK
            if tags == MAX_VLAN_TAGS:
                return -C_TOO_DEEP
            vlan = u16(buffer, at) & 0x0FFF
            if tags == 0:
                work[P_VLAN] = vlan
            elif tags == 1:
                work[P_INNER_VLAN] = vlan
            tags += 1
            kind = u16(buffer, at + 2)
            at += 4
        elif kind < 0x0600:  # IEEE 802.3: a length, then LLC
            if end - at < 8:
                return -C_CUT_LINK if end - at < 3 else -C_LLC
            if u16(buffer, at) == 0xAAAA and u32(buffer, at + 2) == 0x03000000:  # SNAP, OUI 0: an ethertype
                kind = u16(buffer, at + 6)
                at += 8
                if kind < 0x0600:
                    return -C_LLC
            else:
                return -C_LLC
        elif kind == 0x0806 or kind == 0x8035:
            return -C_ARP
        elif kind == 0x88CC:
            return -C_LLDP
        elif kind == 0x8847 or kind == 0x8848:
            return -C_MPLS
        elif kind == 0x8863 or kind == 0x8864:
            return -C_PPPOE
        elif kind == 0x888E:
            return -C_EAPOL
        else:
            return -C_OTHER_ETHERTYPE
    work[P_POSITION] = at
    return kind


@inlined
def link_layer(buffer: Bytes, at: int, end: int, linktype: int, work: Words) -> int:
    """IPV4, IPV6 or ANY_IP, with P_POSITION at the IP header; or why there is none."""
    if linktype == LINK_ETHERNET:
        if end - at < 14:
            return -C_CUT_LINK
        return ethertype_layer(buffer, at + 14, end, u16(buffer, at + 12), work)
    if linktype == LINK_SLL:
        if end - at < 16:
            return -C_CUT_LINK
        return ethertype_layer(buffer, at + 16, end, u16(buffer, at + 14), work)
    if linktype == LINK_SLL2:
        if end - at < 20:
            return -C_CUT_LINK
        return ethertype_layer(buffer, at + 20, end, u16(buffer, at), work)
    work[P_VLAN] = 0
    work[P_INNER_VLAN] = 0
    work[P_POSITION] = at
    if linktype == LINK_RAW:
        return ANY_IP
    if linktype == LINK_IPV4:
        return IPV4
    if linktype == LINK_IPV6:
        return IPV6
    if linktype == LINK_NULL:
        if end - at < 4:
            return -C_CUT_LINK
        family = u32(buffer, at)
        if family > 0xFFFF:  # written by a machine of the other byte order
            family = u8(buffer, at) | (u8(buffer, at + 1) << 8)
        work[P_POSITION] = at + 4
        if family == 2:
            return IPV4
        if family == 10 or family == 24 or family == 28 or family == 30:  # AF_INET6 of Linux, the BSDs and Darwin
            return IPV6
        return -C_BAD_LINK
    return -C_UNKNOWN_LINKTYPE


@inlined
def header_checksum_wrong(buffer: Bytes, at: int, length: int) -> bool:
    """Whether an IPv4 header of `length` bytes, a multiple of four, does not sum up (RFC 1071)."""
    total = i64(0)
    for word in range(at, at + length, 4):
        total += u32(buffer, word)
    total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16) != 0xFFFF


@inlined
def ipv4_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """Bytes of the transport header and payload, by IP length; P_POSITION behind the IP header."""
    if end - at < 20:
        return -C_CUT_IP
    first = u8(buffer, at)
    if first >> 4 != 4:
        return -C_BAD_IP_VERSION
    header = (first & 15) * 4
    total = u16(buffer, at + 2)
    wire_end = work[P_WIRE_END]
    if header < 20 or (0 < total < header):
        return -C_BAD_IP_LENGTH
    if total == 0:  # segmentation offload: the true length did not fit, or was not filled in yet
        total = max((wire_end if wire_end >= 0 else end) - at, header)
        work[P_MARKS] |= LEN_INFERRED
    elif wire_end >= 0 and at + total > wire_end:
        total = max(wire_end - at, header)
        work[P_MARKS] |= LEN_INFERRED
    if header <= end - at and header_checksum_wrong(buffer, at, header):
        work[P_MARKS] |= BAD_CHECKSUM
    work[P_IP_BYTES] = total
    work[P_IDENT] = u16(buffer, at + 4)
    work[P_PROTO] = u8(buffer, at + 9)
    work[P_SRC_HI] = 0
    work[P_SRC_LO] = 0xFFFF00000000 | u32(buffer, at + 12)
    work[P_DST_HI] = 0
    work[P_DST_LO] = 0xFFFF00000000 | u32(buffer, at + 16)
    fragment = u16(buffer, at + 6)
    if fragment & 0x3FFF:
        work[P_MARKS] |= FRAGMENTS
        work[P_FRAGMENT_AT] = (fragment & 0x1FFF) * 8
        work[P_FRAGMENT_ID] = (work[P_PROTO] << 32) | work[P_IDENT]
        work[P_FRAGMENT] = LATER_FRAGMENT if fragment & 0x1FFF else FIRST_FRAGMENT
    work[P_POSITION] = at + header
    return total - header


@kernel
def ipv6_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """Bytes of the transport header and payload, by IP length; P_POSITION behind the extension headers."""
    if end - at < 40:
        return -C_CUT_IP
    if u8(buffer, at) >> 4 != 6:
        return -C_BAD_IP_VERSION
    length = u16(buffer, at + 4)
    proto = u8(buffer, at + 6)
    wire_end = work[P_WIRE_END]
    if length == 0 and proto != NO_NEXT:  # segmentation offload, or a jumbogram
        length = max((wire_end if wire_end >= 0 else end) - at - 40, 0)
        work[P_MARKS] |= LEN_INFERRED
    elif wire_end >= 0 and at + 40 + length > wire_end:
        length = max(wire_end - at - 40, 0)
        work[P_MARKS] |= LEN_INFERRED
    work[P_IP_BYTES] = 40 + length
    work[P_IDENT] = 0
    work[P_SRC_HI] = u64(buffer, at + 8)
    work[P_SRC_LO] = u64(buffer, at + 16)
    work[P_DST_HI] = u64(buffer, at + 24)
    work[P_DST_LO] = u64(buffer, at + 32)
    at += 40
    ip_end = at + length
    headers = 0
    while ROLE[proto] == IS_EXTENSION:
        if headers == MAX_EXTENSION_HEADERS:
            return -C_TOO_DEEP
        if min(end, ip_end) - at < 8:
            work[P_MARKS] |= PM_CUT_TRANSPORT
            break
        headers += 1
        following = u8(buffer, at)
        if proto == FRAGMENT:
            offset = u16(buffer, at + 2)
            if offset & 0xFFF9:  # an atomic fragment (RFC 6946) is a whole packet
                work[P_MARKS] |= FRAGMENTS
                work[P_FRAGMENT_AT] = offset & 0xFFF8
                work[P_FRAGMENT_ID] = u32(buffer, at + 4)
                work[P_FRAGMENT] = LATER_FRAGMENT if offset & 0xFFF8 else FIRST_FRAGMENT
            proto = following
            at += 8
            if work[P_FRAGMENT] == LATER_FRAGMENT:
                break
        else:
            if following == NO_NEXT and proto >= MOBILITY:  # mobility and host identity headers carry their own message
                break
            size = 8 + 8 * u8(buffer, at + 1)
            if at + size > ip_end:
                work[P_MARKS] |= PM_BAD_TRANSPORT
                break
            proto = following
            at += size
    work[P_PROTO] = proto
    work[P_POSITION] = at
    return max(ip_end - at, 0)


@inlined
def transport_layer(buffer: Bytes, at: int, end: int, length: int, work: Words) -> None:
    """Ports, TCP's numbers, ICMP's type, and the payload's length. `end` is where captured bytes end."""
    proto = work[P_PROTO]
    captured = min(end - at, length)
    work[P_SRC_PORT] = -1
    work[P_DST_PORT] = -1
    work[P_FLAGS] = -1
    work[P_QUOTE] = -1
    work[P_ICMP_TYPE] = -1
    work[P_PAYLOAD] = length
    if work[P_FRAGMENT] == LATER_FRAGMENT:
        work[P_LATER_FLAGS] = -1
        if proto == TCP and work[P_FRAGMENT_AT] == 8 and captured >= 6:  # the smallest first fragment ends before them
            work[P_ACK] = u32(buffer, at)
            work[P_HEADER] = max((u8(buffer, at + 4) >> 4) * 4, 20)
            work[P_LATER_FLAGS] = u8(buffer, at + 5)
        return
    if ROLE[proto] == HAS_PORTS:
        if captured < 4:
            work[P_MARKS] |= PM_CUT_TRANSPORT
        else:
            work[P_SRC_PORT] = u16(buffer, at)
            work[P_DST_PORT] = u16(buffer, at + 2)
        if proto == TCP:
            header = i64(20)
            if captured >= 8:
                work[P_SEQ] = u32(buffer, at + 4)
            if captured < 14:
                if work[P_FRAGMENT] == WHOLE or captured < length:
                    work[P_MARKS] |= PM_CUT_TRANSPORT
            else:
                work[P_ACK] = u32(buffer, at + 8)
                header = (u8(buffer, at + 12) >> 4) * 4
                work[P_FLAGS] = u8(buffer, at + 13)
                if header < 20 or (header > length and work[P_FRAGMENT] == WHOLE):
                    work[P_MARKS] |= PM_BAD_TRANSPORT
                    header = max(header, 20)
            work[P_HEADER] = header
            work[P_PAYLOAD] = max(length - header, 0)
        elif proto == UDP:
            work[P_PAYLOAD] = max(length - 8, 0)
            if captured >= 8:
                claimed = u16(buffer, at + 4)
                if work[P_FRAGMENT] == WHOLE and claimed != length:
                    if 8 <= claimed < length:
                        work[P_PAYLOAD] = claimed - 8
                    elif claimed != 0:
                        work[P_MARKS] |= PM_BAD_TRANSPORT
            else:
                work[P_MARKS] |= PM_CUT_TRANSPORT
        elif proto == UDPLITE:
            work[P_PAYLOAD] = max(length - 8, 0)
        else:
            work[P_PAYLOAD] = max(length - 12, 0)
    elif ROLE[proto] == IS_ICMP:
        work[P_PAYLOAD] = max(length - 8, 0)
        if captured < 4:
            work[P_MARKS] |= PM_CUT_TRANSPORT
            return
        work[P_ICMP_TYPE] = u8(buffer, at)
        work[P_ICMP_CODE] = u8(buffer, at + 1)
        work[P_ICMP_ID] = u16(buffer, at + 4) if captured >= 6 else 0
        work[P_QUOTE] = at + 8
        work[P_END] = at + captured


@inlined
def ip_layer(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    """An IP packet of the version that `kind` says, with its transport header: 0, or why it could not be decoded.

    P_VLAN, P_INNER_VLAN, P_WIRE_END are the caller's.
    """
    work[P_MARKS] = 0
    work[P_FRAGMENT] = WHOLE
    if kind == ANY_IP:
        if end - at < 1:
            return -C_CUT_IP
        kind = IPV6 if u8(buffer, at) >> 4 == 6 else IPV4
    length = ipv4_layer(buffer, at, end, work) if kind == IPV4 else ipv6_layer(buffer, at, end, work)
    if length < 0:
        return length
    transport_layer(buffer, work[P_POSITION], end, length, work)
    return 0


@inlined
def decode(buffer: Bytes, at: int, caplen: int, wirelen: int, linktype: int, work: Words) -> int:
    """Fill `packet` from the captured bytes [at, at + caplen) of the buffer; 0, or the negative index of a counter.

    Bytes outside the buffer or of a negative length are the caller's mistake; they read as cut off.
    """
    end = min(at + caplen, i64(len(buffer)))
    if at < 0:
        return -C_CUT_LINK
    work[P_WIRE_END] = at + wirelen if wirelen >= caplen else i64(-1)
    kind = link_layer(buffer, at, end, linktype, work)
    if kind < 0:
        return kind
    return ip_layer(buffer, work[P_POSITION], end, kind, work)
