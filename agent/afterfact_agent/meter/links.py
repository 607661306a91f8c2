"""What lies below IP: link layers, and what ethertypes may wrap around a packet (VLAN tags, SNAP, MPLS, PPPoE, PPP).

Each function returns IPV4, IPV6 or ANY_IP with P_POSITION at the IP header, or the negative index of the counter that
says why there is none. What was unwrapped is noted in P_ENCAP, P_TUNNELS and P_TUNNEL_ID, which the caller has cleared.
Reads only what it has checked to be captured.
"""

from afterfact_agent.capture.packets import LinkType
from afterfact_agent.jit import i64, inlined, kernel
from afterfact_protocol.session import Tunnel

from .layout import (
    C_ARP,
    C_BAD_FCS,
    C_BAD_LINK,
    C_CUT_LINK,
    C_EAPOL,
    C_LLC,
    C_LLDP,
    C_MPLS,
    C_OTHER_ETHERTYPE,
    C_PPP,
    C_PPPOE,
    C_TOO_DEEP,
    C_UNKNOWN_LINKTYPE,
    C_WIFI,
    IN_NETWORK,
    INNER_VLAN_SHIFT,
    P_ENCAP,
    P_NETWORK,
    P_POSITION,
    P_TUNNEL_ID,
    P_TUNNELS,
    VLANS,
    Bytes,
    Words,
)
from .octets import u8, u16, u16_little, u32

# Kernels see plain numbers.
LINK_NULL, LINK_ETHERNET, LINK_RAW = int(LinkType.NULL), int(LinkType.ETHERNET), int(LinkType.RAW)
LINK_IPV4, LINK_IPV6 = int(LinkType.IPV4), int(LinkType.IPV6)
LINK_SLL, LINK_SLL2 = int(LinkType.LINUX_SLL), int(LinkType.LINUX_SLL2)
LINK_PPP, LINK_PPP_ETHER, LINK_NFLOG = int(LinkType.PPP), int(LinkType.PPP_ETHER), int(LinkType.NFLOG)
LINK_WIFI, LINK_RADIOTAP = int(LinkType.IEEE802_11), int(LinkType.RADIOTAP)

IPV4, IPV6, ANY_IP = 0x0800, 0x86DD, 0
"""What comes next: ethertypes, or "an IP packet, see its version"."""
MPLS, MPLS_UPSTREAM, PPPOE_DISCOVERY, PPPOE = 0x8847, 0x8848, 0x8863, 0x8864
VLAN, VLAN_SERVICE, VLAN_OLD, VLAN_OLDER = 0x8100, 0x88A8, 0x9100, 0x9200

TUNNEL_MPLS, TUNNEL_PPPOE = int(Tunnel.MPLS), int(Tunnel.PPPOE)

MAX_TAGS = 16
"""VLAN tags, MPLS labels and frames within frames that one packet may have before its IP header."""

FRAME = -1
"""Of a pseudowire: an Ethernet frame begins at P_POSITION."""


@inlined
def is_plausible_ethertype(kind: int) -> bool:
    """Of what may be a frame: whether the two bytes where its ethertype would stand are one that is in use."""
    return (
        kind == IPV4 or kind == IPV6 or kind == 0x0806 or kind == VLAN or kind == VLAN_SERVICE or kind == MPLS
        or kind == PPPOE or kind == 0x88CC or kind == 0x888E or kind == 0x9000
    )  # fmt: skip


@kernel
def mpls_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """What an MPLS label stack (RFC 3032) carries: also FRAME, of a pseudowire (RFC 4448)."""
    labels = 0
    while True:
        if end - at < 4:
            return -C_CUT_LINK
        if labels == MAX_TAGS:
            return -C_TOO_DEEP
        entry = u32(buffer, at)
        at += 4
        labels += 1
        if entry & 0x100:
            break
    work[P_TUNNELS] |= TUNNEL_MPLS
    work[P_TUNNEL_ID] = entry >> 12
    work[P_POSITION] = at
    if end - at < 1:
        return -C_CUT_LINK
    version = u8(buffer, at) >> 4
    if version == 4:
        return IPV4
    if version == 6:
        return IPV6
    # Nothing says what is carried. A pseudowire begins with a control word of a zero nibble, or with the frame.
    control = 4 if version == 0 and end - at >= 18 and is_plausible_ethertype(u16(buffer, at + 16)) else 0
    if end - at < control + 14 or not is_plausible_ethertype(u16(buffer, at + control + 12)):
        return -C_MPLS
    work[P_POSITION] = at + control
    return FRAME


@kernel
def ppp_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """What a PPP frame carries: also MPLS, at P_POSITION."""
    if end - at >= 2 and u16(buffer, at) == 0xFF03:  # HDLC-like framing (RFC 1662)
        at += 2
    if end - at < 2:
        return -C_CUT_LINK
    kind = u16(buffer, at)
    if kind & 0x0100:  # the protocol field is compressed to one byte
        kind >>= 8
        at += 1
    else:
        at += 2
    work[P_POSITION] = at
    if kind == 0x21:
        return IPV4
    if kind == 0x57:
        return IPV6
    return MPLS if kind == 0x281 else -C_PPP


@kernel
def pppoe_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """What a PPPoE session packet (RFC 2516) carries: as ppp_layer."""
    if end - at < 6:
        return -C_CUT_LINK
    if u16(buffer, at) != 0x1100:
        return -C_PPPOE
    session = u16(buffer, at + 2)
    work[P_ENCAP] |= IN_NETWORK
    work[P_NETWORK] = session
    work[P_TUNNELS] |= TUNNEL_PPPOE
    work[P_TUNNEL_ID] = session
    return ppp_layer(buffer, at + 6, end, work)


@kernel
def unwrap(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    """As ethertype_layer, of an ethertype that is not IP's."""
    layers = 0
    tags = 0
    while kind != IPV4 and kind != IPV6:
        if layers == MAX_TAGS:
            return -C_TOO_DEEP
        layers += 1
        if kind == VLAN or kind == VLAN_SERVICE or kind == VLAN_OLD or kind == VLAN_OLDER:
            if end - at < 4:
                return -C_CUT_LINK
            vlan = u16(buffer, at) & 0x0FFF
            if tags == 0:
                work[P_ENCAP] |= vlan
            elif tags == 1:
                work[P_ENCAP] |= vlan << INNER_VLAN_SHIFT
            tags += 1
            kind = u16(buffer, at + 2)
            at += 4
        elif kind < 0x0600:  # IEEE 802.3: a length, then LLC
            if end - at < 8:
                return -C_CUT_LINK if end - at < 3 else -C_LLC
            if u16(buffer, at) != 0xAAAA or u32(buffer, at + 2) != 0x03000000:
                return -C_LLC
            kind = u16(buffer, at + 6)  # SNAP, OUI 0: an ethertype
            at += 8
            if kind < 0x0600:
                return -C_LLC
        elif kind == MPLS or kind == MPLS_UPSTREAM:
            kind = mpls_layer(buffer, at, end, work)
            if kind == FRAME:
                at = work[P_POSITION] + 14
                kind = u16(buffer, at - 2)
                work[P_ENCAP] &= ~VLANS  # those of the frame that the packet lies in count
                tags = 0
                continue
            if kind < 0:
                return kind
            at = work[P_POSITION]
        elif kind == PPPOE:
            kind = pppoe_layer(buffer, at, end, work)
            if kind < 0:
                return kind
            at = work[P_POSITION]
        elif kind == 0x0806 or kind == 0x8035:
            return -C_ARP
        elif kind == 0x88CC:
            return -C_LLDP
        elif kind == PPPOE_DISCOVERY:
            return -C_PPPOE
        elif kind == 0x888E:
            return -C_EAPOL
        else:
            return -C_OTHER_ETHERTYPE
    work[P_POSITION] = at
    return kind


@inlined
def ethertype_layer(buffer: Bytes, at: int, end: int, kind: int, work: Words) -> int:
    """What follows an ethertype; `at` is behind it."""
    if kind == IPV4 or kind == IPV6:
        work[P_POSITION] = at
        return kind
    return unwrap(buffer, at, end, kind, work)


@kernel
def wifi_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """What an IEEE 802.11 data frame carries."""
    if end - at < 2:
        return -C_CUT_LINK
    control, flags = u8(buffer, at), u8(buffer, at + 1)
    subtype = control >> 4
    if control & 0x0F != 0x08 or subtype & 4:  # management, control, or a data frame without data
        return -C_WIFI
    if flags & 0x40:  # encrypted
        return -C_WIFI
    header = 24
    if flags & 3 == 3:  # between access points: a fourth address
        header += 6
    if subtype & 8:  # quality of service
        if end - at < header + 2:
            return -C_CUT_LINK
        if u8(buffer, at + header) & 0x80:  # several packets in one frame
            return -C_WIFI
        header += 2
        if flags & 0x80:
            header += 4
    if end - at < header:
        return -C_CUT_LINK
    return ethertype_layer(buffer, at + header, end, i64(0), work)


@kernel
def radiotap_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """What an 802.11 frame carries that has a radiotap header (radiotap.org) before it."""
    if end - at < 8:
        return -C_CUT_LINK
    length = u16_little(buffer, at + 2)
    if u8(buffer, at) != 0 or length < 8:
        return -C_BAD_LINK
    if end - at < length:
        return -C_CUT_LINK
    present = u8(buffer, at + 4)
    field = at + 4
    words = 1
    while u8(buffer, field + 3) & 0x80:  # another word of presence bits follows
        field += 4
        words += 1
        if field + 4 > at + length:
            return -C_BAD_LINK
    field += 4
    if present & 1:  # a time of eight bytes, aligned
        field += (-(field - at)) & 7
        field += 8
    padded = 0
    if present & 2 and field < at + length:
        flags = u8(buffer, field)
        if flags & 0x40:
            return -C_BAD_FCS
        padded = flags & 0x20
    at += length
    if padded and end - at >= 2:
        # Between header and payload there are bytes up to a multiple of four: as if the header were longer.
        header = 24 + (6 if u8(buffer, at + 1) & 3 == 3 else 0) + (2 if u8(buffer, at) & 0x80 else 0)
        if header & 3 and u8(buffer, at) & 0x8F == 0x88 and not u8(buffer, at + 1) & 0xC0:
            if end - at < header + 2:
                return -C_CUT_LINK
            return ethertype_layer(buffer, at + header + 2, end, i64(0), work)
    return wifi_layer(buffer, at, end, work)


@kernel
def nflog_layer(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """The packet in a message of Linux's NFLOG (LINKTYPE_NFLOG): attributes of which one is the packet."""
    if end - at < 4:
        return -C_CUT_LINK
    family = u8(buffer, at)
    at += 4
    for _ in range(64):
        if end - at < 4:
            return -C_CUT_LINK
        length, kind = u16_little(buffer, at), u16_little(buffer, at + 2)
        if length < 4 or length > 0xFF00:  # written by a big-endian machine, perhaps
            length, kind = u16(buffer, at), u16(buffer, at + 2)
        if length < 4:
            return -C_BAD_LINK
        if kind == 9:
            work[P_POSITION] = at + 4
            if family == 2:
                return IPV4
            return IPV6 if family == 10 else -C_BAD_LINK
        at += (length + 3) & ~3
    return -C_BAD_LINK


@kernel
def rare_link(buffer: Bytes, at: int, end: int, linktype: int, work: Words) -> int:
    """As link_layer, of the link types that few captures have."""
    if linktype == LINK_PPP or linktype == LINK_PPP_ETHER:
        kind = ppp_layer(buffer, at, end, work) if linktype == LINK_PPP else pppoe_layer(buffer, at, end, work)
        return ethertype_layer(buffer, work[P_POSITION], end, kind, work) if kind > 0 else kind
    if linktype == LINK_RADIOTAP:
        return radiotap_layer(buffer, at, end, work)
    if linktype == LINK_WIFI:
        return wifi_layer(buffer, at, end, work)
    if linktype == LINK_NFLOG:
        return nflog_layer(buffer, at, end, work)
    if linktype == LINK_NULL:
        if end - at < 4:
            return -C_CUT_LINK
        family = u32(buffer, at)
        if family > 0xFFFF:  # written by a machine of the other byte order
            family = u16_little(buffer, at)
        work[P_POSITION] = at + 4
        if family == 2:
            return IPV4
        if family == 10 or family == 24 or family == 28 or family == 30:  # AF_INET6 of Linux, the BSDs and Darwin
            return IPV6
        return -C_BAD_LINK
    return -C_UNKNOWN_LINKTYPE


@inlined
def link_layer(buffer: Bytes, at: int, end: int, linktype: int, work: Words) -> int:
    """What a captured packet of a LinkType carries."""
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
    work[P_POSITION] = at
    if linktype == LINK_RAW:
        return ANY_IP
    if linktype == LINK_IPV4:
        return IPV4
    if linktype == LINK_IPV6:
        return IPV6
    return rare_link(buffer, at, end, linktype, work)
