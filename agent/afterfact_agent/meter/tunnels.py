"""Packets within IP packets: what a decoded packet carries, if it is a tunnel's.

GRE with ERSPAN and PPP, IP in IP, 6in4, MPLS and Ethernet in IP, Teredo, VXLAN, Geneve, GTP-U. Each function returns as
those of links.py do, with P_POSITION at the inner IP header and the tunnel noted.
"""

import numpy as np

from afterfact_agent.jit import i64, inlined, kernel
from afterfact_protocol.session import Tunnel

from .layout import (
    IN_NETWORK,
    P_DST_PORT,
    P_ENCAP,
    P_FRAGMENT,
    P_IP_END,
    P_NETWORK,
    P_POSITION,
    P_PROTO,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_TUNNEL_ID,
    P_TUNNELS,
    VLANS,
    WHOLE,
    Bytes,
    Words,
)
from .links import ANY_IP, IPV4, IPV6, MPLS, MPLS_UPSTREAM, ethertype_layer, ppp_layer, unwrap
from .octets import u8, u16, u32

NOTHING = -(1 << 20)
"""Nothing in the tunnel that could be metered."""
NO_TUNNEL = NOTHING - 1

UDP = 17
IPIP, IN_IPV6, GRE, ETHERIP, MPLS_IN_IP = 4, 41, 47, 97, 137
CARRIES = np.zeros(256, np.uint8)
"""IP protocols that carry packets; UDP may."""
CARRIES[[UDP, IPIP, IN_IPV6, GRE, ETHERIP, MPLS_IN_IP]] = 1

TEREDO_PREFIX = 0x20010000
PORT_VXLAN, PORT_VXLAN_OLD, PORT_GENEVE, PORT_TEREDO, PORT_GTP = 4789, 8472, 6081, 3544, 2152

T_GRE, T_ERSPAN, T_IPIP, T_6IN4, T_TEREDO, T_VXLAN, T_GENEVE, T_GTP, T_MPLS, T_ETHERIP = (
    int(tunnel)
    for tunnel in (
        Tunnel.GRE,
        Tunnel.ERSPAN,
        Tunnel.IPIP,
        Tunnel.SIXIN4,
        Tunnel.TEREDO,
        Tunnel.VXLAN,
        Tunnel.GENEVE,
        Tunnel.GTP,
        Tunnel.MPLS,
        Tunnel.ETHERIP,
    )
)


@inlined
def note(work: Words, kind: int, ident: int) -> None:
    """Note a tunnel and its id, -1 for none; the kinds of those around it stay noted."""
    work[P_TUNNELS] |= kind
    work[P_TUNNEL_ID] = ident


@inlined
def note_network(work: Words, kind: int, ident: int) -> None:
    """The same, of an id that tells networks apart that may use the same addresses."""
    note(work, kind, ident)
    work[P_ENCAP] |= IN_NETWORK
    work[P_NETWORK] = ident


@kernel
def frame(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """An Ethernet frame within a packet."""
    if end - at < 14:
        return NOTHING
    work[P_ENCAP] &= ~VLANS
    return ethertype_layer(buffer, at + 14, end, u16(buffer, at + 12), work)


@kernel
def labelled(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """MPLS within a packet."""
    return unwrap(buffer, at, end, i64(MPLS), work)


@kernel
def in_gre(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """RFC 2784, 2890, 2637 (PPTP), ERSPAN II and III."""
    if end - at < 4:
        return NOTHING
    flags, kind = u16(buffer, at), u16(buffer, at + 2)
    if flags & 0x4000:  # source routes
        return NOTHING
    at += 4 + (4 if flags & 0x8000 else 0)
    ident = i64(-1)
    if flags & 0x2000:
        if end - at < 4:
            return NOTHING
        ident = u32(buffer, at)
        at += 4
    at += (4 if flags & 0x1000 else 0) + (4 if flags & 0x0080 else 0)
    if end - at < 1:
        return NOTHING
    if kind == 0x880B:
        if flags & 7 == 1:
            ident &= 0xFFFF  # PPTP: the call; its upper half is a length
        note(work, T_GRE, ident)
        carried = ppp_layer(buffer, at, end, work)
        return labelled(buffer, work[P_POSITION], end, work) if carried == MPLS else carried
    if flags & 7:
        return NOTHING
    if kind == 0x88BE or kind == 0x22EB:
        header = i64(12)
        if kind == 0x88BE:
            header = i64(8 if flags & 0x1000 else 0)  # type I has no header
        if end - at < header + 14:
            return NOTHING
        note(work, T_GRE | T_ERSPAN, u16(buffer, at + 2) & 0x3FF if header else i64(-1))
        if kind == 0x22EB and u8(buffer, at + 11) & 1:  # a platform's own header follows
            header += 8
        return frame(buffer, at + header, end, work)
    note(work, T_GRE, ident)
    if kind == 0x6558:
        return frame(buffer, at, end, work)
    if kind == 0x883E:  # WCCP, perhaps with a redirect header of four bytes
        work[P_POSITION] = at if u8(buffer, at) >> 4 == 4 else at + 4
        return IPV4
    if kind == IPV4 or kind == IPV6:
        work[P_POSITION] = at
        return kind
    if kind == MPLS or kind == MPLS_UPSTREAM:
        return labelled(buffer, at, end, work)
    return NOTHING


@kernel
def in_vxlan(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """RFC 7348."""
    if end - at < 8 or not u8(buffer, at) & 0x08:
        return NOTHING
    note_network(work, i64(T_VXLAN), u32(buffer, at + 4) >> 8)
    return frame(buffer, at + 8, end, work)


@kernel
def in_geneve(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """RFC 8926."""
    if end - at < 8 or u8(buffer, at) >> 6:
        return NOTHING
    kind = u16(buffer, at + 2)
    note_network(work, i64(T_GENEVE), u32(buffer, at + 4) >> 8)
    at += 8 + (u8(buffer, at) & 0x3F) * 4
    if kind == 0x6558:
        return frame(buffer, at, end, work)
    work[P_POSITION] = at
    return kind if kind == IPV4 or kind == IPV6 else NOTHING


@kernel
def in_gtp(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """3GPP TS 29.281, the user plane."""
    if end - at < 8 or u8(buffer, at) >> 4 != 3 or u8(buffer, at + 1) != 255:
        return NOTHING
    options = u8(buffer, at) & 7
    note(work, T_GTP, u32(buffer, at + 4))
    at += 8
    if options:
        if end - at < 4:
            return NOTHING
        following = u8(buffer, at + 3) if options & 4 else i64(0)
        at += 4
        for _ in range(8):
            if following == 0:
                break
            if end - at < 4:
                return NOTHING
            size = 4 * u8(buffer, at)
            if size == 0 or end - at < size:
                return NOTHING
            following = u8(buffer, at + size - 1)
            at += size
    if end - at < 1:
        return NOTHING
    version = u8(buffer, at) >> 4
    work[P_POSITION] = at
    return ANY_IP if version == 4 or version == 6 else NOTHING


@kernel
def in_teredo(buffer: Bytes, at: int, end: int, work: Words) -> int:
    """RFC 4380: IPv6, perhaps with indications before it. Between peers it runs on any ports: there the length must
    agree and an address be Teredo's."""
    if work[P_SRC_PORT] != PORT_TEREDO and work[P_DST_PORT] != PORT_TEREDO:
        if end - at < 40 or u8(buffer, at) >> 4 != 6 or at + 40 + u16(buffer, at + 4) != work[P_IP_END]:
            return NO_TUNNEL
        if u32(buffer, at + 8) != TEREDO_PREFIX and u32(buffer, at + 24) != TEREDO_PREFIX:
            return NO_TUNNEL
    if end - at >= 4 and u16(buffer, at) == 0x0001:
        at += 13 + u8(buffer, at + 2) + u8(buffer, at + 3)
    if end - at >= 8 and u16(buffer, at) == 0x0000:
        at += 8
    if end - at < 40 or u8(buffer, at) >> 4 != 6 or at + 40 + u16(buffer, at + 4) > work[P_IP_END]:
        return NOTHING
    note(work, i64(T_TEREDO), i64(-1))
    work[P_POSITION] = at
    return IPV6


@kernel
def in_udp(buffer: Bytes, at: int, end: int, work: Words) -> int:
    src, dst = work[P_SRC_PORT], work[P_DST_PORT]
    at += 8
    if dst == PORT_VXLAN or dst == PORT_VXLAN_OLD:
        return in_vxlan(buffer, at, end, work)
    if dst == PORT_GENEVE:
        return in_geneve(buffer, at, end, work)
    if dst == PORT_GTP or src == PORT_GTP:
        return in_gtp(buffer, at, end, work)
    return in_teredo(buffer, at, end, work)


@inlined
def may_carry(buffer: Bytes, end: int, work: Words) -> bool:
    """Whether the decoded packet may be a tunnel's: cheap, and for most packets false."""
    proto = work[P_PROTO]
    if not CARRIES[proto] or work[P_FRAGMENT] != WHOLE:
        return False
    if proto != UDP:
        return True
    dst = work[P_DST_PORT]
    if dst == PORT_VXLAN or dst == PORT_VXLAN_OLD or dst == PORT_GENEVE or dst == PORT_GTP or dst == PORT_TEREDO:
        return True
    if work[P_SRC_PORT] == PORT_TEREDO or work[P_SRC_PORT] == PORT_GTP:
        return True
    at = work[P_POSITION] + 8
    return bool(end - at >= 40 and u8(buffer, at) >> 4 == 6)  # Teredo between peers


@kernel
def carried(buffer: Bytes, end: int, work: Words) -> int:
    """What the decoded packet carries, which may_carry; negative if nothing that could be metered."""
    proto, at = work[P_PROTO], work[P_POSITION]
    end = min(end, work[P_IP_END])
    if proto == UDP:
        return in_udp(buffer, at, end, work)
    if proto == GRE:
        return in_gre(buffer, at, end, work)
    work[P_POSITION] = at
    if proto == IPIP:
        note(work, i64(T_IPIP), i64(-1))
        return IPV4
    if proto == IN_IPV6:
        mapped = work[P_SRC_HI] == 0 and work[P_SRC_LO] >> 32 == 0xFFFF  # the outer packet is IPv4
        note(work, i64(T_6IN4 if mapped else T_IPIP), i64(-1))
        return IPV6
    if proto == MPLS_IN_IP:
        return labelled(buffer, at, end, work)
    if proto == ETHERIP and end - at >= 2 and u8(buffer, at) >> 4 == 3:
        note(work, i64(T_ETHERIP), i64(-1))
        return frame(buffer, at + 2, end, work)
    return NOTHING
