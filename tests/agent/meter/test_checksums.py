"""Transport checksums: what is wrong is counted and marked, what cannot be told is not."""

import struct
from dataclasses import replace

import pytest
from helpers.packets import (
    A6,
    B6,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    A,
    B,
    Frame,
    Talk,
    checksum,
    chunk,
    ethernet,
    frame,
    icmp_message,
    ip_address,
    ipv4,
    ipv6,
    records,
    sessions,
    tcp_header,
    udp_header,
    with_checksum,
)

from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import Mark

TRANSPORT = {4: 34, 6: 54}
"""Where a transport header begins in a frame of ours, by IP version."""
REASONS = ("bad_ip_checksum", "bad_tcp_checksum", "bad_udp_checksum", "bad_icmp_checksum", "bad_icmpv6_checksum")


def counted(frames: list[Frame], config: MeterConfig | None = None, **how: int | None) -> dict[str, int]:
    """Of the counters of checksums those that are not zero."""
    meter = Meter(config)
    records(meter, chunk(frames, **how))  # type: ignore[arg-type]
    names = ("verified_checksums", "offloaded_checksum", *REASONS)
    return {name: meter.counters[name] for name in names if meter.counters[name]}


def spoilt(data: bytes, at: int = -1) -> bytes:
    """With one bit the other way round."""
    damaged = bytearray(data)
    damaged[at] ^= 0x10
    return bytes(damaged)


def pseudo_sum(src: str, dst: str, proto: int, length: int) -> int:
    """What a system writes that leaves the rest to its network card."""
    pseudo = ip_address(src).packed + ip_address(dst).packed + struct.pack(">II", length, proto)
    return checksum(pseudo) ^ 0xFFFF


def written(payload: bytes, at: int, value: int) -> bytes:
    return payload[:at] + struct.pack(">H", value) + payload[at + 2 :]


TCP_ODD = tcp_header(40000, 80, "PA", 1, 1) + b"odd number of bytes"
UDP_ODD = udp_header(5000, 5001, 7)
ECHO = icmp_message(8, 0, 7, b"abcde")
ECHO6 = icmp_message(128, 0, 7, b"abcde")
KINDS = [
    (A, B, TCP, TCP_ODD, "bad_tcp_checksum"),
    (A6, B6, TCP, TCP_ODD, "bad_tcp_checksum"),
    (A, B, UDP, with_checksum("::10.0.0.1", "::10.0.0.2", UDP, UDP_ODD), "bad_udp_checksum"),
    (A6, B6, UDP, UDP_ODD, "bad_udp_checksum"),
    (A, B, ICMP, ECHO, "bad_icmp_checksum"),
    (A6, B6, ICMPV6, ECHO6, "bad_icmpv6_checksum"),
]


@pytest.mark.parametrize(("src", "dst", "proto", "payload", "reason"), KINDS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 31, 32, 33, 1400])
def test_right_and_wrong(src: str, dst: str, proto: int, payload: bytes, reason: str, size: int) -> None:
    """At every length: each bit counts, the last of an odd number of bytes too."""
    at = {TCP: 16, UDP: 6}.get(proto, 2)
    longer = written(payload, at, 0) + bytes(range(1, 256)) * 6
    longer = longer[: len(payload) + size]
    if proto == UDP:
        longer = written(longer, 4, len(longer))
    data = frame(src, dst, proto, longer)
    if proto == UDP and src == A:  # the helper leaves it out in IPv4
        data = frame(src, dst, proto, with_checksum("::10.0.0.1", "::10.0.0.2", UDP, longer))
    assert counted([(0, data)]) == {"verified_checksums": 1}
    for place in (-1, -2, TRANSPORT[6 if ":" in src else 4] + at):
        if proto == UDP and place == -2 and size == 0:
            continue
        wrong = [(0.0, spoilt(data, place))]
        assert counted(wrong) == {"verified_checksums": 1, reason: 1}
        assert sessions(wrong)[0]["marks"] & Mark.BAD_CHECKSUM  # type: ignore[operator]


@pytest.mark.parametrize(("src", "dst", "proto", "payload", "reason"), KINDS)
def test_of_headers_only(src: str, dst: str, proto: int, payload: bytes, reason: str) -> None:
    """Where the setting says so, nothing is read behind the headers."""
    wrong = [(0.0, spoilt(frame(src, dst, proto, payload)))]
    config = MeterConfig(checksums="ip-only")
    assert counted(wrong, config) == {}
    assert not sessions(wrong, config)[0]["marks"] & Mark.BAD_CHECKSUM  # type: ignore[operator]


def test_the_session_is_what_it_was_and_says_who_and_when() -> None:
    frames = Talk().whole()
    wrong = [*frames[:4], (frames[4][0], spoilt(frames[4][1])), *frames[5:]]
    (right,), (session,) = sessions(frames), sessions(wrong)
    assert (right["history"], session["history"]) == ("ShADdFf", "ShADdcFf")
    assert session["marks"] == Mark.BAD_CHECKSUM
    assert {**session, "history": right["history"], "marks": 0} == right


def test_a_packet_that_is_cut_is_not_judged() -> None:
    data = spoilt(frame(A, B, TCP, TCP_ODD))
    assert counted([(0, data)], snaplen=len(data) - 1) == {}
    assert counted([(0, data)], snaplen=len(data)) == {"verified_checksums": 1, "bad_tcp_checksum": 1}


def test_fragments_are_not_judged_and_an_atomic_one_is() -> None:
    whole = spoilt(with_checksum(A, B, TCP, TCP_ODD + bytes(100)))
    parts = [ethernet(ipv4(A, B, TCP, whole[:64], fragment=0, more=True), 0x0800),
             ethernet(ipv4(A, B, TCP, whole[64:], fragment=64), 0x0800)]  # fmt: skip
    assert counted([(0, part) for part in parts]) == {}
    atomic = struct.pack(">BBHI", TCP, 0, 0, 9) + spoilt(with_checksum(A6, B6, TCP, TCP_ODD))
    assert counted([(0, ethernet(ipv6(A6, B6, 44, atomic), 0x86DD))]) == {
        "verified_checksums": 1,
        "bad_tcp_checksum": 1,
    }


def test_ethernet_padding_is_not_summed_up() -> None:
    assert counted([(0, frame(A, B, TCP, tcp_header(1, 2, "S")) + b"\1" * 6)]) == {"verified_checksums": 1}


def test_udp_without_a_checksum() -> None:
    """In IPv4 the sender need not make one; in IPv6 it must."""
    assert counted([(0, frame(A, B, UDP, UDP_ODD))]) == {}
    none = (
        struct.pack(">IHBB", 6 << 28, len(UDP_ODD), UDP, 64) + ip_address(A6).packed + ip_address(B6).packed + UDP_ODD
    )
    assert counted([(0, ethernet(none, 0x86DD))]) == {"verified_checksums": 1, "bad_udp_checksum": 1}


def test_udp_shorter_than_its_packet() -> None:
    data = with_checksum(A6, B6, UDP, UDP_ODD) + b"trailer"
    assert counted([(0, frame(A6, B6, UDP, data))]) == {"verified_checksums": 1}


@pytest.mark.parametrize(("src", "dst"), [(A, B), (A6, B6)])
@pytest.mark.parametrize("with_length", [True, False])
def test_what_the_network_card_was_to_finish(src: str, dst: str, with_length: bool) -> None:
    """The sum of the pseudo header alone: traffic of the host that captures. Told apart, and no mark."""
    value = pseudo_sum(src, dst, TCP, len(TCP_ODD) if with_length else 0)
    frames = [(0.0, frame(src, dst, TCP, written(TCP_ODD, 16, value)))]
    assert counted(frames) == {"verified_checksums": 1, "offloaded_checksum": 1}
    assert sessions(frames)[0]["marks"] == Mark.PARTIAL


def test_a_packet_of_segmentation_offload_is_not_judged() -> None:
    data = spoilt(ethernet(ipv4(A, B, TCP, with_checksum(A, B, TCP, TCP_ODD), total=0), 0x0800))
    assert counted([(0, data)]) == {}


LAST = "2001:db8::99"
ROUTED = with_checksum(A6, LAST, TCP, TCP_ODD)


@pytest.mark.parametrize(("left", "expected"), [
    (1, {}),
    (0, {"verified_checksums": 1, "bad_tcp_checksum": 1}),
])  # fmt: skip
def test_a_source_route_names_another_destination(left: int, expected: dict[str, int]) -> None:
    """IPv6's routing header (segments left), and IPv4's option: the sender summed up the last address."""
    header = struct.pack(">BBBBI", TCP, 2, 0, left, 0) + ip_address(LAST).packed
    assert counted([(0, ethernet(ipv6(A6, B6, 43, header + ROUTED), 0x86DD))]) == expected
    option = bytes([131 if left else 68, 7, 4]) + ip_address("10.9.9.9").packed + b"\0"
    payload = with_checksum(A, "10.9.9.9", TCP, TCP_ODD)
    assert counted([(0, ethernet(ipv4(A, B, TCP, payload, options=option), 0x0800))]) == expected


def test_a_home_address() -> None:
    header = struct.pack(">BBBBBB", TCP, 2, 1, 0, 201, 16) + ip_address(LAST).packed + b"\1\0"
    payload = with_checksum(LAST, B6, TCP, TCP_ODD)
    assert counted([(0, ethernet(ipv6(A6, B6, 60, header + payload), 0x86DD))]) == {}


def test_within_a_tunnel_the_inner_packets_counts() -> None:
    inner = frame(A, B, TCP, TCP_ODD)
    vxlan = b"\x08\0\0\0\0\0\x07\0"
    for data, expected in ((inner, {}), (spoilt(inner), {"bad_tcp_checksum": 1})):
        outer = udp_header(9, 4789)[:4] + struct.pack(">HH", 16 + len(data), 0) + vxlan + data
        packet = frame("192.0.2.1", "192.0.2.2", UDP, outer)
        assert counted([(0, packet)]) == {"verified_checksums": 1, **expected}


def test_an_error_judges_itself_and_not_what_it_quotes() -> None:
    data = frame(A, B, UDP, udp_header(5000, 53, 4))
    quoted = spoilt(data)[14:]
    error = frame(B, A, ICMP, icmp_message(3, 3, 0, quoted))
    meter = Meter()
    records(meter, chunk([(0, data), (1, error)]))
    assert meter.counters["quoted_errors"] == 1 and meter.counters["bad_icmp_checksum"] == 0


def test_a_wrong_ip_header_is_counted_apart() -> None:
    data = spoilt(frame(A, B, TCP, TCP_ODD), 22)  # the time to live
    assert counted([(0, data)]) == {"verified_checksums": 1, "bad_ip_checksum": 1}
    assert sessions([(0, data)])[0]["history"] == "DC"


def test_the_setting() -> None:
    assert replace(MeterConfig(), checksums="ip-only").fingerprint() != MeterConfig().fingerprint()
    with pytest.raises(ValueError, match="checksums is verify or ip-only, and not 'all'"):
        MeterConfig(checksums="all")
