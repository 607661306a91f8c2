"""From frames to numbers: link types, VLAN tags, IP versions, extension headers, lengths that lie, cut captures.

Through the meter: what is decoded shows in sessions, what is not in the counters.
"""

import struct

import pytest
from helpers.packets import (
    A6,
    B6,
    TCP,
    UDP,
    A,
    B,
    Row,
    Talk,
    as_rows,
    chunk,
    ethernet,
    frame,
    ipv4,
    ipv6,
    records,
    sessions,
    tcp_header,
    udp_header,
    with_checksum,
)

from afterfact_agent.capture.packets import LinkType, linktype_of
from afterfact_agent.meter.layout import COUNTERS
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import Mark

REQUEST4 = ipv4(A, B, UDP, udp_header(40001, 53, 30))
REQUEST6 = ipv6(A6, B6, UDP, udp_header(40001, 53, 30))


def one(data: bytes, **how: int | bool) -> Row:
    (row,) = sessions([(0, data)], **how)  # type: ignore[arg-type]
    return row


def counted(data: bytes, **how: int | bool) -> dict[str, int]:
    """The counters that one frame moves, beside those that every frame does."""
    meter = Meter()
    records(meter, chunk([(0, data)], **how))  # type: ignore[arg-type]
    return {name: n for name, n in meter.counters.items() if n and name not in ("packets", "wire_bytes", "records")}


def marks(row: Row) -> Mark:
    return Mark(int(str(row["marks"])))


@pytest.mark.parametrize(
    ("linktype", "data"),
    [
        (LinkType.ETHERNET, ethernet(REQUEST4, 0x0800)),
        (LinkType.ETHERNET, ethernet(b"\xaa\xaa\x03\0\0\0\x08\0" + REQUEST4, 8 + len(REQUEST4))),
        (LinkType.RAW, REQUEST4),
        (LinkType.IPV4, REQUEST4),
        (LinkType.NULL, struct.pack("<I", 2) + REQUEST4),
        (LinkType.NULL, struct.pack(">I", 2) + REQUEST4),
        (LinkType.LINUX_SLL, bytes(14) + b"\x08\0" + REQUEST4),
        (LinkType.LINUX_SLL2, b"\x08\0" + bytes(18) + REQUEST4),
    ],
)
def test_ipv4_over_every_link_type(linktype: LinkType, data: bytes) -> None:
    row = one(data, linktype=linktype)
    assert (row["src_ip"], row["src_port"], row["dst_port"], row["src_bytes"]) == (A, 40001, 53, 30)


@pytest.mark.parametrize(
    ("linktype", "data"),
    [
        (LinkType.ETHERNET, ethernet(REQUEST6, 0x86DD)),
        (LinkType.RAW, REQUEST6),
        (LinkType.IPV6, REQUEST6),
        *((LinkType.NULL, struct.pack("<I", family) + REQUEST6) for family in (10, 24, 28, 30)),
        (LinkType.NULL, struct.pack(">I", 30) + REQUEST6),
        (LinkType.LINUX_SLL, bytes(14) + b"\x86\xdd" + REQUEST6),
        (LinkType.LINUX_SLL2, b"\x86\xdd" + bytes(18) + REQUEST6),
    ],
)
def test_ipv6_over_every_link_type(linktype: LinkType, data: bytes) -> None:
    row = one(data, linktype=linktype)
    assert (row["src_ip"], row["dst_ip"], row["src_bytes"], row["src_ip_bytes"]) == (A6, B6, 30, 78)


def test_numbers_of_link_types() -> None:
    assert [linktype_of(number) for number in (0, 1, 12, 14, 101, 108, 113, 228, 229, 276)] == [
        LinkType.NULL,
        LinkType.ETHERNET,
        *[LinkType.RAW] * 3,
        LinkType.NULL,
        LinkType.LINUX_SLL,
        LinkType.IPV4,
        LinkType.IPV6,
        LinkType.LINUX_SLL2,
    ]
    assert linktype_of(147) is None


@pytest.mark.parametrize("tag", [0x8100, 0x88A8, 0x9100, 0x9200])
def test_vlan_tags(tag: int) -> None:
    row = one(ethernet(REQUEST4, 0x0800, [0xE005], tag))  # priority 7, id 5
    assert (row["vlan"], row["inner_vlan"]) == (5, None)
    row = one(ethernet(REQUEST4, 0x0800, [5, 7, 9], tag))
    assert (row["vlan"], row["inner_vlan"], row["src_bytes"]) == (5, 7, 30)


def test_vlan_tags_have_an_end() -> None:
    assert counted(ethernet(REQUEST4, 0x0800, [1] * 17)) == {"too_deep": 1}


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        (ethernet(bytes(46), 0x0806), "arp"),
        (ethernet(bytes(46), 0x8035), "arp"),
        (ethernet(b"\x42\x42\x03" + bytes(40), 43), "llc"),
        (ethernet(b"\xaa\xaa\x03\0\0\x0c\x20\0" + bytes(40), 48), "llc"),
        (ethernet(bytes(46), 0x88CC), "lldp"),
        (ethernet(b"\0\0\x01\0\x10" + bytes(41), 0x8847), "mpls"),
        (ethernet(bytes(46), 0x8864), "pppoe"),
        (ethernet(bytes(46), 0x888E), "eapol"),
        (ethernet(bytes(46), 0x9000), "other_ethertype"),
        (bytes(13), "cut_link"),
        (b"", "cut_link"),
        (ethernet(b"\0\x05", 0x8100), "cut_link"),
        (ethernet(b"", 0x0800), "cut_ip"),
        (ethernet(REQUEST4[:19], 0x0800), "cut_ip"),
        (ethernet(REQUEST6[:39], 0x86DD), "cut_ip"),
        (ethernet(REQUEST6, 0x0800), "bad_ip_version"),
        (ethernet(REQUEST4 + bytes(20), 0x86DD), "bad_ip_version"),
        (ethernet(b"\x44" + REQUEST4[1:], 0x0800), "bad_ip_length"),
        (ethernet(ipv4(A, B, UDP, b"", total=19), 0x0800), "bad_ip_length"),
    ],
)
def test_what_is_not_metered_is_counted_by_reason(data: bytes, counter: str) -> None:
    assert counted(data) == {counter: 1}


@pytest.mark.parametrize(
    ("linktype", "data", "counter"),
    [
        (LinkType.NULL, struct.pack("<I", 7) + REQUEST4, "bad_link"),
        (LinkType.NULL, b"\2\0", "cut_link"),
        (LinkType.RAW, b"", "cut_ip"),
        (LinkType.RAW, b"\x10" + bytes(60), "bad_ip_version"),
        (LinkType.LINUX_SLL, bytes(15), "cut_link"),
        (LinkType.LINUX_SLL2, bytes(19), "cut_link"),
        (LinkType.LINUX_SLL, bytes(14) + b"\x08\x06" + bytes(28), "arp"),
        (9999, bytes(60), "unknown_linktype"),
    ],
)
def test_reasons_of_other_link_types(linktype: int, data: bytes, counter: str) -> None:
    assert counted(data, linktype=linktype) == {counter: 1}


def test_padding_is_no_payload() -> None:
    row = one(frame(A, B, TCP, tcp_header(40000, 80, "A")) + bytes(6))
    assert (row["src_bytes"], row["src_ip_bytes"]) == (0, 40)


def test_a_snap_length_takes_no_bytes_away() -> None:
    row = one(frame(A, B, TCP, tcp_header(40000, 80, "PA", data=1000)), snaplen=54)
    assert (row["src_bytes"], row["src_ip_bytes"], marks(row) & Mark.LEN_INFERRED) == (1000, 1040, 0)


def test_without_wire_lengths_ip_lengths_count() -> None:
    row = one(frame(A, B, TCP, tcp_header(40000, 80, "PA", data=1000)), snaplen=54, wire=False)
    assert (row["src_bytes"], marks(row) & Mark.LEN_INFERRED) == (1000, 0)


def test_a_length_of_zero_is_taken_from_the_wire() -> None:
    """Segmentation offload."""
    payload = tcp_header(40000, 80, "PA", data=3000)
    row = one(ethernet(ipv4(A, B, TCP, payload, total=0), 0x0800), snaplen=100)
    assert (row["src_bytes"], row["src_ip_bytes"], marks(row) & Mark.LEN_INFERRED) == (3000, 3040, Mark.LEN_INFERRED)
    row = one(ethernet(ipv6(A6, B6, TCP, payload, length=0), 0x86DD), snaplen=100)
    assert (row["src_bytes"], row["src_ip_bytes"], marks(row) & Mark.LEN_INFERRED) == (3000, 3060, Mark.LEN_INFERRED)
    row = one(ethernet(ipv4(A, B, TCP, payload, total=0), 0x0800), snaplen=100, wire=False)
    assert (row["src_bytes"], marks(row) & Mark.LEN_INFERRED) == (100 - 54, Mark.LEN_INFERRED)


def test_a_length_beyond_the_wire_is_not_believed() -> None:
    row = one(ethernet(ipv4(A, B, UDP, udp_header(40001, 53, 30), total=60000), 0x0800))
    assert (row["src_bytes"], row["src_ip_bytes"], marks(row)) == (30, 58, Mark.LEN_INFERRED)
    row = one(ethernet(ipv6(A6, B6, UDP, udp_header(40001, 53, 30), length=60000), 0x86DD))
    assert (row["src_bytes"], row["src_ip_bytes"], marks(row)) == (30, 78, Mark.LEN_INFERRED)


def test_ipv4_options_are_skipped_in_any_number() -> None:
    row = one(ethernet(ipv4(A, B, UDP, udp_header(40001, 53, 30), options=bytes(40)), 0x0800))
    assert (row["src_port"], row["src_bytes"], row["src_ip_bytes"]) == (40001, 30, 98)


def test_a_wrong_ipv4_checksum_is_marked_and_counted() -> None:
    broken = bytearray(frame(A, B, UDP, udp_header(40001, 53, 30)))
    broken[22] ^= 1  # the TTL
    assert marks(one(bytes(broken))) == Mark.BAD_CHECKSUM
    assert counted(bytes(broken))["bad_ip_checksum"] == 1


def extension(following: int, size: int = 8) -> bytes:
    return bytes([following, size // 8 - 1]) + bytes(size - 2)


def test_ipv6_extension_headers_are_skipped() -> None:
    chain = extension(60) + extension(43, 16) + extension(UDP, 24) + udp_header(40001, 53, 30)
    row = one(ethernet(ipv6(A6, B6, 0, chain), 0x86DD))
    assert (row["proto"], row["src_port"], row["src_bytes"], row["src_ip_bytes"]) == (UDP, 40001, 30, 40 + 48 + 38)


def test_an_atomic_fragment_is_a_whole_packet() -> None:
    payload = bytes([UDP, 0, 0, 0, 0, 0, 0, 9]) + with_checksum(A6, B6, UDP, udp_header(40001, 53, 30))
    row = one(ethernet(ipv6(A6, B6, 44, payload), 0x86DD))
    assert (row["src_port"], row["src_bytes"], row["marks"]) == (40001, 30, 0)


def test_extension_headers_have_an_end() -> None:
    chain = extension(60) * 17 + udp_header(40001, 53, 30)
    assert counted(ethernet(ipv6(A6, B6, 60, chain), 0x86DD)) == {"too_deep": 1}


def test_an_extension_header_that_goes_beyond_the_packet() -> None:
    row = one(ethernet(ipv6(A6, B6, 60, bytes([UDP, 200]) + bytes(30)), 0x86DD))
    assert (row["proto"], row["src_port"]) == (60, None)


def test_ipv6_without_anything() -> None:
    row = one(ethernet(ipv6(A6, B6, 59, b""), 0x86DD))
    assert (row["proto"], row["src_bytes"], row["src_ip_bytes"], row["marks"]) == (59, 0, 40, 0)


@pytest.mark.parametrize(("keep", "ports", "flags"), [(3, (None, None), 0), (4, (40000, 80), 0), (14, (40000, 80), 24)])
def test_a_cut_tcp_header(keep: int, ports: tuple[int | None, int | None], flags: int) -> None:
    data = frame(A, B, TCP, tcp_header(40000, 80, "PA", data=100))
    row = one(data, snaplen=34 + keep)
    assert (row["src_port"], row["dst_port"], row["src_flags"] or 0) == (*ports, flags)
    assert row["src_ip_bytes"] == 140
    assert counted(data, snaplen=34 + keep).get("cut_transport", 0) == (keep < 14)


@pytest.mark.parametrize("offset", [0x40, 0xF0])
def test_a_tcp_header_length_that_lies(offset: int) -> None:
    header = bytearray(tcp_header(40000, 80, "PA", data=10))
    header[12] = offset
    data = frame(A, B, TCP, bytes(header))
    assert one(data)["src_bytes"] == (10 if offset == 0x40 else 0)
    assert counted(data)["bad_transport"] == 1


def test_a_udp_length_less_than_the_packet_counts() -> None:
    header = struct.pack(">HHHH", 40001, 53, 8 + 10, 0) + bytes(30)
    assert one(frame(A, B, UDP, header))["src_bytes"] == 10
    lies = struct.pack(">HHHH", 40001, 53, 60000, 0) + bytes(30)
    assert one(frame(A, B, UDP, lies))["src_bytes"] == 30


def test_every_counter_is_explained_and_adds_up() -> None:
    meter = Meter()
    frames = [(0.0, frame(A, B, UDP, b"")), (0.1, bytes(5)), (0.2, ethernet(bytes(46), 0x0806)), *Talk().whole(1)]
    records(meter, chunk(frames))
    counters = meter.counters
    unmetered = sum(counters[name] for name, doc in COUNTERS.items() if doc.startswith("not "))
    assert counters["packets"] == len(frames) == counters["metered"] + counters["waiting_fragments"] + unmetered
    assert counters["ip_bytes"] == sum(int(r["src_ip_bytes"]) + int(r["dst_ip_bytes"]) for r in all_records(frames))


def all_records(frames: list[tuple[float, bytes]]) -> list[dict[str, int]]:
    rows = as_rows(records(Meter(), chunk(frames)))
    return [{name: int(str(row[name])) for name in ("src_ip_bytes", "dst_ip_bytes")} for row in rows]
