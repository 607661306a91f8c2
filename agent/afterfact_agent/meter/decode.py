"""From the bytes of a packet to the few numbers that metering needs: IP and transport headers, innermost in tunnels.

One function a layer; each reads only what it has checked to be captured, and returns where the next layer begins
(P_POSITION) and what it is, or the negative index of the counter that says why not. links.py has what lies below IP,
tunnels.py what IP packets carry. Knows no session and counts nothing itself.
"""

import numpy as np

from afterfact_agent.jit import i64, inlined, kernel
from afterfact_protocol.session import Mark, Tunnel

from .layout import (
    C_BAD_IP_LENGTH,
    C_BAD_IP_VERSION,
    C_CUT_IP,
    C_CUT_LINK,
    C_TOO_DEEP,
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    P_ACK,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_ENCAP,
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
    P_IP_BYTES,
    P_IP_END,
    P_LATER_FLAGS,
    P_MARKS,
    P_NETWORK,
    P_OUTER_DST_HI,
    P_OUTER_DST_LO,
    P_OUTER_SRC_HI,
    P_OUTER_SRC_LO,
    P_PAYLOAD,
    P_POSITION,
    P_PROTO,
    P_QUOTE,
    P_SEQ,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_TUNNEL_ID,
    P_TUNNELS,
    P_WIRE_END,
    PM_BAD_IP_CHECKSUM,
    PM_BAD_TRANSPORT,
    PM_CUT_TRANSPORT,
    PM_TUNNELLED,
    PM_UNOPENED,
    WHOLE,
    Bytes,
    Words,
)
from .links import ANY_IP, IPV4, IPV6, link_layer
from .octets import u8, u16, u32, u64
from .packet import put_aside, take_back
from .tunnels import IN_IPV6, IPIP, NO_TUNNEL, carried, may_carry

MARK_LEN_INFERRED, MARK_FRAGMENTS, MARK_BAD_CHECKSUM = (
    int(Mark.LEN_INFERRED),
    int(Mark.FRAGMENTS),
    int(Mark.BAD_CHECKSUM),
)

MAX_EXTENSION_HEADERS = 16

ICMP, TCP, UDP, DCCP, AH, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 51, 58, 132, 136
HOP_BY_HOP, ROUTING, FRAGMENT, NO_NEXT, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6 = 0, 43, 44, 59, 60, 135, 139, 140

NO_ROLE, HAS_PORTS, IS_ICMP, IS_EXTENSION = 0, 1, 2, 3
ROLE = np.zeros(256, np.uint8)
"""What an IP protocol number says of the header that follows."""
ROLE[[TCP, UDP, SCTP, DCCP, UDPLITE]] = HAS_PORTS
ROLE[[ICMP, ICMPV6]] = IS_ICMP
ROLE[[HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6]] = IS_EXTENSION

BEHIND_AH = np.zeros(256, np.uint8)
BEHIND_AH[[TCP, UDP, SCTP, DCCP, UDPLITE, ICMP, ICMPV6, IPIP, IN_IPV6]] = 1
TUNNEL_AH = int(Tunnel.AH)

MAX_TUNNELS = 8
"""IP packets within IP packets that are opened; what is deeper is metered as what carries it."""


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
        work[P_MARKS] |= MARK_LEN_INFERRED
    elif wire_end >= 0 and at + total > wire_end:
        total = max(wire_end - at, header)
        work[P_MARKS] |= MARK_LEN_INFERRED
    if header <= end - at and header_checksum_wrong(buffer, at, header):
        work[P_MARKS] |= MARK_BAD_CHECKSUM | PM_BAD_IP_CHECKSUM
    work[P_IP_BYTES] = total
    work[P_IP_END] = at + total
    work[P_IDENT] = u16(buffer, at + 4)
    work[P_PROTO] = u8(buffer, at + 9)
    work[P_SRC_HI] = 0
    work[P_SRC_LO] = 0xFFFF00000000 | u32(buffer, at + 12)
    work[P_DST_HI] = 0
    work[P_DST_LO] = 0xFFFF00000000 | u32(buffer, at + 16)
    fragment = u16(buffer, at + 6)
    if fragment & 0x3FFF:
        work[P_MARKS] |= MARK_FRAGMENTS
        work[P_FRAGMENT_AT] = (fragment & 0x1FFF) * 8
        work[P_FRAGMENT_ID] = (work[P_PROTO] << 32) | work[P_IDENT]
        work[P_FRAGMENT] = LATER_FRAGMENT if fragment & 0x1FFF else FIRST_FRAGMENT
    work[P_POSITION] = at + header
    if work[P_PROTO] == AH and work[P_FRAGMENT] == WHOLE:
        authentication_header(buffer, at + header, end, work)
    return i64(at + total - work[P_POSITION])


@kernel
def authentication_header(buffer: Bytes, at: int, end: int, work: Words) -> None:
    """Pass over an AH (RFC 4302) before a header that is metered; before any other, AH is the session's protocol."""
    if end - at < 12:
        return
    following = u8(buffer, at)
    size = (u8(buffer, at + 1) + 2) * 4
    if BEHIND_AH[following] and at + size <= work[P_IP_END]:
        work[P_TUNNELS] |= TUNNEL_AH
        work[P_PROTO] = following
        work[P_POSITION] = at + size


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
        work[P_MARKS] |= MARK_LEN_INFERRED
    elif wire_end >= 0 and at + 40 + length > wire_end:
        length = max(wire_end - at - 40, 0)
        work[P_MARKS] |= MARK_LEN_INFERRED
    work[P_IP_BYTES] = 40 + length
    work[P_IDENT] = 0
    work[P_SRC_HI] = u64(buffer, at + 8)
    work[P_SRC_LO] = u64(buffer, at + 16)
    work[P_DST_HI] = u64(buffer, at + 24)
    work[P_DST_LO] = u64(buffer, at + 32)
    at += 40
    ip_end = at + length
    work[P_IP_END] = ip_end
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
                work[P_MARKS] |= MARK_FRAGMENTS
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
    if proto == AH and work[P_FRAGMENT] == WHOLE:
        authentication_header(buffer, at, end, work)
    return i64(max(ip_end - work[P_POSITION], 0))


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
def plain_ip_layer(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    """An IP packet of the version that `kind` says, with its transport header: 0, or why it could not be decoded.

    P_ENCAP, P_WIRE_END and what is noted of tunnels are the caller's.
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


@kernel
def inner_ip_layer(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    return plain_ip_layer(buffer, at, end, kind, work)


@kernel
def open_tunnels(buffer: Bytes, end: int, work: Words) -> None:
    """Have the innermost packet that can be decoded in hand, in place of the one that carries it."""
    for _ in range(MAX_TUNNELS):
        if not may_carry(buffer, end, work):
            return
        put_aside(work)
        kind = i64(carried(buffer, end, work))
        at = work[P_POSITION]
        if kind >= 0:
            work[P_OUTER_SRC_HI], work[P_OUTER_SRC_LO] = work[P_SRC_HI], work[P_SRC_LO]
            work[P_OUTER_DST_HI], work[P_OUTER_DST_LO] = work[P_DST_HI], work[P_DST_LO]
            work[P_WIRE_END] = work[P_IP_END]
            kind = i64(inner_ip_layer(buffer, at, min(end, work[P_IP_END]), kind, work))
        if kind < 0:
            take_back(work)
            if kind != NO_TUNNEL:
                work[P_MARKS] |= PM_UNOPENED
            return
        work[P_MARKS] |= PM_TUNNELLED


@inlined
def ip_layer(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    """As plain_ip_layer, of the innermost IP packet."""
    failed = plain_ip_layer(buffer, at, end, kind, work)
    if failed == 0 and may_carry(buffer, end, work):
        open_tunnels(buffer, end, work)
    return failed


@inlined
def decode(buffer: Bytes, at: int, caplen: int, wirelen: int, linktype: int, work: Words) -> int:
    """Fill `packet` from the captured bytes [at, at + caplen) of the buffer; 0, or the negative index of a counter.

    Bytes outside the buffer or of a negative length are the caller's mistake; they read as cut off.
    """
    end = min(at + caplen, i64(len(buffer)))
    if at < 0:
        return -C_CUT_LINK
    work[P_WIRE_END] = at + wirelen if wirelen >= caplen else i64(-1)
    work[P_ENCAP] = 0
    work[P_TUNNELS] = 0
    work[P_TUNNEL_ID] = -1
    work[P_NETWORK] = -1
    work[P_OUTER_SRC_HI] = 0
    work[P_OUTER_SRC_LO] = 0
    work[P_OUTER_DST_HI] = 0
    work[P_OUTER_DST_LO] = 0
    kind = link_layer(buffer, at, end, linktype, work)
    if kind < 0:
        return kind
    return ip_layer(buffer, work[P_POSITION], end, kind, work)
