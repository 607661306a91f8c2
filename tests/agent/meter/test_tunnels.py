"""Packets within packets: the inner session is metered, the outer noted; what cannot be opened is metered as it is.

The packets are scapy's, whose idea of a header is not ours.
"""

import struct

import pytest
from helpers.packets import A6, B6, A, B, Row, chunk, records, sessions
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPEchoRequest, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE, PPPoED
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from afterfact_agent.capture.packets import LinkType
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import Tunnel

OUT_A, OUT_B = "192.0.2.1", "192.0.2.2"
MAC = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def inner(back: bool = False) -> Packet:
    """A DNS question of 30 bytes, or its answer of 70."""
    if back:
        return IP(src=B, dst=A) / UDP(sport=53, dport=40001) / Raw(bytes(70))
    return IP(src=A, dst=B) / UDP(sport=40001, dport=53) / Raw(bytes(30))


def inner6(back: bool = False) -> Packet:
    if back:
        return IPv6(src=B6, dst=A6) / UDP(sport=53, dport=40001) / Raw(bytes(70))
    return IPv6(src=A6, dst=B6) / UDP(sport=40001, dport=53) / Raw(bytes(30))


def outer(back: bool = False) -> Packet:
    return IP(src=OUT_B, dst=OUT_A) if back else IP(src=OUT_A, dst=OUT_B)


def framed(packet: Packet) -> Packet:
    return Ether(**MAC) / packet


def vxlan(payload: Packet, vni: int = 7, back: bool = False) -> Packet:
    return outer(back) / UDP(sport=55555, dport=4789) / VXLAN(vni=vni, flags=8) / payload


def both(make: "object") -> list[tuple[float, bytes]]:
    """The question and the answer, wrapped by `make(packet, back)`, in Ethernet."""
    return [(0, bytes(framed(make(inner(), False)))), (0.1, bytes(framed(make(inner(True), True))))]  # type: ignore[operator]


def gre(payload: Packet, back: bool, **fields: int) -> Packet:
    return outer(back) / GRE(**fields) / payload


TUNNELS = {
    "mpls": (lambda p, back: MPLS(label=100 + back, s=0) / MPLS(label=17, s=1) / p, Tunnel.MPLS, 17, False),
    "pppoe": (lambda p, back: PPPoE(sessionid=9) / PPP(proto=0x21) / p, Tunnel.PPPOE, 9, False),
    "gre": (lambda p, back: gre(p, back), Tunnel.GRE, None, True),
    "gre, key and checksum": (
        lambda p, back: gre(p, back, key_present=1, key=77, chksum_present=1, seqnum_present=1), Tunnel.GRE, 77, True,
    ),
    "gre, frames": (lambda p, back: gre(framed(p), back, proto=0x6558), Tunnel.GRE, None, True),
    "pptp": (
        lambda p, back: outer(back) / Raw(
            struct.pack(">HHHHI", 0x3001, 0x880B, len(p) + 4, 5, 1) + b"\xff\x03\0\x21" + bytes(p)
        ), Tunnel.GRE, 5, True,
    ),
    "erspan 1": (
        lambda p, back: gre(Raw(bytes(framed(p))), back, proto=0x88BE), Tunnel.GRE | Tunnel.ERSPAN, None, True,
    ),
    "erspan 2": (
        lambda p, back: gre(ERSPAN_II(session_id=3) / framed(p), back, proto=0x88BE, seqnum_present=1),
        Tunnel.GRE | Tunnel.ERSPAN, 3, True,
    ),
    "erspan 3": (
        lambda p, back: gre(ERSPAN_III(session_id=4) / framed(p), back, proto=0x22EB, seqnum_present=1),
        Tunnel.GRE | Tunnel.ERSPAN, 4, True,
    ),
    "erspan 3, with a platform's header": (
        lambda p, back: gre(
            Raw(struct.pack(">HHIHH", 0x2000, 5, 0, 0, 1) + bytes(8) + bytes(framed(p))), back, proto=0x22EB,
            seqnum_present=1,
        ), Tunnel.GRE | Tunnel.ERSPAN, 5, True,
    ),
    "ip in ip": (lambda p, back: outer(back) / p, Tunnel.IPIP, None, True),
    "vxlan": (lambda p, back: vxlan(framed(p), 7, back), Tunnel.VXLAN, 7, True),
    "geneve": (
        lambda p, back: outer(back) / UDP(sport=5, dport=6081)
        / GENEVE(vni=8, proto=0x6558, optionlen=2, options=[bytes(8)]) / framed(p), Tunnel.GENEVE, 8, True,
    ),
    "gtp": (
        lambda p, back: outer(back) / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=11, gtp_type=255) / p,
        Tunnel.GTP, 11, True,
    ),
    "gtp, extended": (
        lambda p, back: outer(back) / UDP(sport=2152, dport=2152)
        / GTP_U_Header(teid=12, gtp_type=255, E=1, next_ex=0x85) / GTPPDUSessionContainer(QFI=1) / p,
        Tunnel.GTP, 12, True,
    ),
    "ah": (lambda p, back: AH_IN(p), Tunnel.AH, None, False),
    "etherip": (lambda p, back: outer(back).copy() / Raw(b"\x30\0" + bytes(framed(p))), Tunnel.ETHERIP, None, True),
    "mpls in ip": (lambda p, back: outer(back) / Raw(bytes(MPLS(label=6, s=1) / p)), Tunnel.MPLS, 6, True),
    "vlan, mpls, pseudowire": (
        lambda p, back: Dot1Q(vlan=5) / MPLS(label=30, s=1) / Raw(bytes(4) + bytes(framed(p))), Tunnel.MPLS, 30, False,
    ),
    "vxlan in gre": (
        lambda p, back: gre(vxlan(framed(p), 6, back), back), Tunnel.GRE | Tunnel.VXLAN, 6, True,
    ),
}  # fmt: skip
PROTOCOL = {"pptp": 47, "etherip": 97, "mpls in ip": 137}


def AH_IN(packet: Packet) -> Packet:
    ip, rest = packet.copy(), packet.payload.copy()
    ip.remove_payload()
    ip.proto = 51
    return ip / AH(nh=17, spi=1, seq=1, payloadlen=4, icv=bytes(12)) / rest


def check(row: Row, tunnel: Tunnel, ident: int | None, addressed: bool) -> None:
    names = (
        "src_ip",
        "src_port",
        "dst_ip",
        "dst_port",
        "src_pkts",
        "dst_pkts",
        "src_bytes",
        "dst_bytes",
        "src_ip_bytes",
    )
    assert [row[name] for name in names] == [A, 40001, B, 53, 1, 1, 30, 70, 58 + (24 if tunnel == Tunnel.AH else 0)]
    assert (Tunnel(int(str(row["tunnel"]))), row["tunnel_id"]) == (tunnel, ident)
    assert (row["tunnel_src_ip"], row["tunnel_dst_ip"]) == ((OUT_A, OUT_B) if addressed else (None, None))


@pytest.mark.parametrize("name", TUNNELS)
def test_the_inner_session_is_metered_and_the_outer_noted(name: str) -> None:
    make, tunnel, ident, addressed = TUNNELS[name]

    def wrapped(packet: Packet, back: bool) -> Packet:
        made = make(packet, back)  # type: ignore[no-untyped-call]
        if name in PROTOCOL:
            made[IP].proto = PROTOCOL[name]
        return made

    frames = both(wrapped)
    (row,) = sessions(frames)
    check(row, tunnel, ident, addressed)
    (flipped,) = sessions([(0, frames[1][1]), (0.1, frames[0][1])])
    assert flipped["tunnel_src_ip"] == row["tunnel_src_ip"], "addresses go with the side, whoever sent first"


def test_outer_addresses_when_the_higher_address_asks() -> None:
    asks = outer(back=True) / IP(src=B, dst=A) / UDP(sport=40001, dport=53) / Raw(bytes(30))
    (row,) = sessions([(0, bytes(framed(asks)))])
    assert (row["src_ip"], row["tunnel_src_ip"], row["tunnel_dst_ip"]) == (B, OUT_B, OUT_A)


@pytest.mark.parametrize("name", TUNNELS)
def test_cut_anywhere_the_packet_is_still_counted_once(name: str) -> None:
    """By its inner session, its outer one, or a reason; and nothing behind the cut is read."""
    make = TUNNELS[name][0]
    made = make(inner(), False)  # type: ignore[no-untyped-call]
    if name in PROTOCOL:
        made[IP].proto = PROTOCOL[name]
    whole = bytes(framed(made))
    for size in range(len(whole)):
        meter = Meter()
        rows = records(meter, chunk([(0, whole)], snaplen=size))
        metered = int(rows["src_pkts"].sum()) + int(rows["dst_pkts"].sum()) if len(rows) else 0
        refused = sum(n for reason, n in meter.counters.items() if reason.startswith(("cut_l", "cut_i", "mpls", "ppp")))
        assert metered + refused == 1, (size, meter.counters)


def test_6in4_and_teredo() -> None:
    (row,) = sessions([(0, bytes(framed(outer() / inner6()))), (0.1, bytes(framed(outer(True) / inner6(True))))])
    assert (row["src_ip"], row["dst_port"], row["tunnel"]) == (A6, 53, Tunnel.SIXIN4)
    indication = b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6)
    teredo = UDP(sport=3797, dport=3544) / Raw(indication + bytes(inner6()))
    back = UDP(sport=3544, dport=3797) / Raw(bytes(inner6(True)))
    (row,) = sessions([(0, bytes(framed(outer() / teredo))), (0.1, bytes(framed(outer(True) / back)))])
    assert (row["src_ip"], row["src_pkts"], row["dst_bytes"]) == (A6, 1, 70)
    assert (row["tunnel"], row["tunnel_dst_ip"]) == (Tunnel.TEREDO, OUT_B)
    peer = UDP(sport=3797, dport=32900) / Raw(bytes(IPv6(src="2001:0:4137:9e50::1", dst=B6) / UDP(sport=1, dport=2)))
    (row,) = sessions([(0, bytes(framed(outer() / peer)))])
    assert (row["dst_port"], row["tunnel"]) == (2, Tunnel.TEREDO), "between peers on any ports"
    (row,) = sessions([(0, bytes(framed(outer() / UDP(sport=3797, dport=32900) / Raw(bytes(inner6())))))])
    assert (row["dst_port"], row["tunnel"]) == (32900, 0), "no Teredo address in it"
    (row,) = sessions([(0, bytes(framed(IPv6(src=A6, dst=B6) / IPv6ExtHdrDestOpt() / inner6())))])
    assert (row["tunnel"], row["tunnel_src_ip"]) == (Tunnel.IPIP, A6)


def test_one_session_may_be_labelled_one_way_only() -> None:
    """The last router before the target takes the label off: that does not make it two sessions."""
    (row,) = sessions([(0, bytes(framed(inner()))), (0.1, bytes(framed(MPLS(label=9, s=1) / inner(True))))])
    assert (row["src_pkts"], row["dst_pkts"], row["tunnel"], row["tunnel_id"]) == (1, 1, Tunnel.MPLS, 9)


def test_networks_with_the_same_addresses_are_kept_apart() -> None:
    rows = sessions([(n, bytes(framed(vxlan(framed(inner()), vni)))) for n, vni in enumerate((1, 2, 1))])
    assert sorted((row["tunnel_id"], row["src_pkts"]) for row in rows) == [(1, 2), (2, 1)]
    asymmetric = [
        bytes(framed(vxlan(framed(inner()), 1))),
        bytes(framed(vxlan(framed(inner(True)), 2, back=True))),
        bytes(framed(vxlan(framed(inner()), 3))),
        bytes(framed(vxlan(framed(inner(True)), 3, back=True))),
        bytes(framed(vxlan(framed(inner(True)), 2, back=True))),
    ]
    rows = sessions(enumerate(asymmetric))
    assert sorted((row["tunnel_id"], row["src_pkts"], row["dst_pkts"]) for row in rows) == [(1, 1, 2), (3, 1, 1)], (
        "a routed session has a network each way"
    )
    tagged = [
        bytes(framed(Dot1Q(vlan=9) / vxlan(Ether(**MAC) / tags / inner()))) for tags in (Dot1Q(vlan=3), Dot1AD(vlan=4))
    ]
    assert sorted(str(row["vlan"]) for row in sessions(enumerate(tagged))) == ["3", "4"], (
        "those of the inner frame count"
    )


@pytest.mark.parametrize(
    ("packet", "proto", "port"),
    [
        (vxlan(Ether(**MAC) / ARP()), 17, 4789),
        (outer() / UDP(sport=2152, dport=2152) / GTP_U_Header(gtp_type=1) / GTPEchoRequest(), 17, 2152),
        (outer() / UDP(sport=9, dport=3544) / Raw(b"no Teredo in here, as long as it is"), 17, 3544),
        (outer() / GRE(proto=0x9999) / Raw(bytes(60)), 47, None),
        (outer() / GRE(proto=0x0800) / Raw(bytes(60)), 47, None),
        (IP(src=OUT_A, dst=OUT_B, flags="MF", proto=47) / Raw(bytes(GRE() / inner())), 47, None),
    ],
)
def test_what_cannot_be_opened_is_the_tunnels_own(packet: Packet, proto: int, port: int | None) -> None:
    meter = Meter()
    (record,) = records(meter, chunk([(0, bytes(framed(packet)))]))
    assert (record["proto"], record["tunnel"]) == (proto, 0)
    assert port is None or record["dst_port"] == port
    fragment = "MF" in str(packet[IP].flags)
    assert (meter.counters["unopened"], meter.counters["tunnelled"]) == (0 if fragment else 1, 0)


def test_tunnels_within_tunnels_end() -> None:
    packet: Packet = inner()
    for _ in range(20):
        packet = outer() / packet
    meter = Meter()
    (record,) = records(meter, chunk([(0, bytes(framed(packet)))]))
    assert (record["proto"], record["src_pkts"], record["tunnel"]) == (4, 1, Tunnel.IPIP)


def test_an_error_within_a_tunnel_finds_its_session() -> None:
    quoted = bytes(inner())[:28]
    error = IP(src=B, dst=A) / ICMP(type=3, code=3) / Raw(quoted)
    rows = sessions([(0, bytes(framed(vxlan(framed(inner()))))), (1, bytes(framed(vxlan(framed(error), back=True))))])
    assert [row["outcome"] for row in rows if row["proto"] == 17] == ["refused"]


def test_fragments_within_a_tunnel() -> None:
    whole = bytes(IP(src=A, dst=B, id=5) / UDP(sport=1, dport=2) / Raw(bytes(64)))
    head, tail = whole[20:60], whole[60:]
    first = IP(src=A, dst=B, id=5, proto=17, flags="MF") / Raw(head)
    later = IP(src=A, dst=B, id=5, proto=17, frag=5) / Raw(tail)
    frames = [(n / 10, bytes(framed(vxlan(framed(part))))) for n, part in enumerate((later, first))]
    meter = Meter()
    (record,) = records(meter, chunk(frames))
    assert (record["dst_port"], record["src_pkts"], record["src_bytes"], record["tunnel_id"]) == (2, 2, 64, 7)
    assert (meter.counters["fragments"], meter.counters["tunnelled"]) == (2, 2)


def test_tcp_in_ipv6_with_authentication() -> None:
    packet = IPv6(src=A6, dst=B6) / AH(nh=6, spi=1, payloadlen=4, icv=bytes(12)) / TCP(sport=1, dport=2, flags="S")
    (row,) = sessions([(0, bytes(framed(packet)))])
    assert (row["proto"], row["dst_port"], row["tunnel"]) == (6, 2, Tunnel.AH)
    opaque = IP(src=A, dst=B) / AH(nh=50, spi=1, payloadlen=4, icv=bytes(12)) / Raw(bytes(40))
    (row,) = sessions([(0, bytes(framed(opaque)))])
    assert (row["proto"], row["src_port"], row["tunnel"]) == (51, None, 0)


WIFI = {"addr1": "02:00:00:00:00:01", "addr2": "02:00:00:00:00:02", "addr3": "02:00:00:00:00:03"}


@pytest.mark.parametrize(
    ("linktype", "packet"),
    [
        (LinkType.PPP, PPP(proto=0x21) / inner()),
        (LinkType.PPP, HDLC() / PPP(proto=0x21) / inner()),
        (LinkType.PPP, Raw(b"\x21" + bytes(inner()))),
        (LinkType.PPP_ETHER, PPPoE(sessionid=1) / PPP(proto=0x21) / inner()),
        (LinkType.IEEE802_11, Dot11(type=2, **WIFI) / LLC() / SNAP() / inner()),
        (LinkType.IEEE802_11, Dot11(type=2, subtype=8, **WIFI) / Dot11QoS() / LLC() / SNAP() / inner()),
        (LinkType.IEEE802_11, Dot11(type=2, FCfield=3, addr4=MAC["src"], **WIFI) / LLC() / SNAP() / inner()),
        (LinkType.RADIOTAP, RadioTap() / Dot11(type=2, **WIFI) / LLC() / SNAP() / inner()),
        (LinkType.RADIOTAP, RadioTap(present="TSFT+Flags+Rate", mac_timestamp=5, Flags=0) / Dot11(type=2, **WIFI)
         / LLC() / SNAP() / inner()),
        (LinkType.RADIOTAP, RadioTap(present="Flags", Flags="pad") / Raw(
            bytes(Dot11(type=2, subtype=8, **WIFI) / Dot11QoS()) + bytes(2) + bytes(LLC() / SNAP() / inner()))),
        (LinkType.NFLOG, Raw(b"\x02\0\0\0" + struct.pack("<HH", 8, 1) + bytes(4) + struct.pack("<HH", 7, 10) + b"eth\0"
                             + struct.pack("<HH", 4 + len(inner()), 9) + bytes(inner()))),
    ],
)  # fmt: skip
def test_link_types(linktype: LinkType, packet: Packet) -> None:
    (row,) = sessions([(0, bytes(packet))], linktype=linktype)
    assert (row["src_ip"], row["src_port"], row["dst_port"], row["src_bytes"]) == (A, 40001, 53, 30)


@pytest.mark.parametrize(
    ("linktype", "packet", "reason"),
    [
        (LinkType.ETHERNET, framed(PPPoED(code=9)), "pppoe"),
        (LinkType.ETHERNET, framed(PPPoE(sessionid=1) / PPP(proto=0xC021) / Raw(bytes(8))), "ppp"),
        (LinkType.ETHERNET, framed(MPLS(label=9, s=1) / Raw(b"\x10" + bytes(40))), "mpls"),
        (LinkType.ETHERNET, Ether(**MAC, type=0x8847) / Raw(bytes(100)), "too_deep"),
        (LinkType.IEEE802_11, Dot11(type=0, subtype=8, **WIFI), "wifi"),
        (LinkType.IEEE802_11, Dot11(type=2, FCfield="protected", **WIFI) / Raw(bytes(60)), "wifi"),
        (LinkType.IEEE802_11, Dot11(type=2, subtype=4, **WIFI), "wifi"),
        (LinkType.RADIOTAP, RadioTap(present="Flags", Flags="badFCS") / Dot11(type=2, **WIFI), "bad_fcs"),
        (LinkType.RADIOTAP, Raw(b"\0\0\x04\0" + bytes(20)), "bad_link"),
        (LinkType.NFLOG, Raw(b"\x02\0\0\0" + bytes(20)), "bad_link"),
        (LinkType.NFLOG, Raw(b"\x02\0\0\0"), "cut_link"),
        (LinkType.PPP, Raw(b"\0"), "cut_link"),
    ],
)  # fmt: skip
def test_what_is_not_ip_is_counted_under_its_reason(linktype: LinkType, packet: Packet, reason: str) -> None:
    meter = Meter()
    records(meter, chunk([(0, bytes(packet))], linktype=linktype))
    assert (meter.counters[reason], meter.counters["metered"]) == (1, 0)
