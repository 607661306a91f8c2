"""What a tap delivers twice is counted once; what a sender sends twice is counted twice."""

import struct

import numpy as np
import pytest
from helpers.packets import (
    A6,
    B6,
    ICMP,
    UDP,
    A,
    B,
    Frame,
    Talk,
    chunk,
    ethernet,
    icmp_message,
    ipv4,
    ipv6,
    records,
    udp,
    udp_header,
)

from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import EndReason

T = Talk()


def metered(frames: list[Frame], **settings: float) -> tuple[list[tuple[int, int, int]], int]:
    """Packets each way and SYN retries of each session, and the duplicates."""
    meter = Meter(MeterConfig(**settings))  # type: ignore[arg-type]
    rows = records(meter, chunk(frames))
    rows = rows[rows["end_reason"] != EndReason.OPEN]
    found = [(int(r["src_pkts"]), int(r["dst_pkts"]), int(r["syn_retries"])) for r in np.sort(rows, order="start_time")]
    return found, meter.counters["duplicates"]


def twice(frames: list[Frame], after: float = 0.00005) -> list[Frame]:
    return [again for time, data in frames for again in ((time, data), (time + after, data))]


def routed(data: bytes) -> bytes:
    """The same a router further: other link addresses, TTL one less, another IP checksum."""
    header = bytearray(data[14:34])
    header[8] -= 1
    header[10:12] = b"\0\0"
    total = sum(struct.unpack(">10H", bytes(header)))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return b"\x02" * 12 + data[12:14] + bytes(header) + data[34:]


def test_a_tap_that_delivers_everything_twice() -> None:
    once, none = metered(T.whole())
    assert (once, none) == ([(5, 3, 0)], 0)
    assert metered(twice(T.whole())) == (once, 8)
    assert metered(twice(T.whole(), after=0.0099)) == (once, 8)
    assert metered([*T.whole(), *T.whole()]) == (once, 8)
    assert metered([again for time, data in T.whole() for again in ((time, data), (time + 0.0004, routed(data)))]) == (
        once,
        8,
    )


def test_ipv6_has_no_numbers_and_the_tap_is_known_by_its_syns() -> None:
    frames = Talk(A6, 40000, B6, 80).whole()
    assert metered(twice(frames)) == ([(5, 3, 0)], 8)
    datagrams = [(1 + n, ethernet(ipv6(A6, B6, UDP, udp_header(7, 8, n)), 0x86DD)) for n in range(5)]
    assert metered(twice([*frames, *datagrams])) == ([(5, 3, 0), (5, 0, 0)], 13)


def test_what_a_sender_repeats_is_kept() -> None:
    assert metered([T.out(n, "S", 7) for n in range(3)]) == ([(3, 0, 2)], 0), "a SYN sent again after a second"
    numbered = [(n / 1000, ethernet(ipv4(A, B, UDP, udp_header(1, 2, 9), ident=n + 1), 0x0800)) for n in range(5)]
    assert metered(numbered) == ([(5, 0, 0)], 0)
    unnumbered = [(n / 1000, ethernet(ipv4(A, B, UDP, udp_header(1, 2, 9), ident=0), 0x0800)) for n in range(5)]
    assert metered(unnumbered) == ([(5, 0, 0)], 0)
    assert metered([udp(n / 100, A, 1, B, 2) for n in range(5)]) == ([(5, 0, 0)], 0), "ten milliseconds apart"
    resent = Talk(A6, 40000, B6, 80)
    frames = [*resent.handshake(), *[resent.out(0.03 + n / 1000, "PA", 101, 501, 100) for n in range(2)]]
    assert metered(frames) == ([(4, 1, 0)], 0), "a fast retransmission without numbers may be the same to the bit"


def test_the_same_in_another_network_is_another_packet() -> None:
    tagged = [(n / 10000, udp(0, A, 1, B, 2, vlans=vlans)[1]) for n, vlans in enumerate(((), (5,), (5, 6), (7,)))]
    assert metered(tagged) == ([(1, 0, 0)] * 4, 0)


def test_fragments_differ_by_their_place() -> None:
    whole = udp_header(1, 2, 40)
    parts = [ipv4(A, B, UDP, whole[at : at + 16], ident=5, fragment=at, more=at + 16 < 48) for at in (0, 16, 32)]
    frames = [(n / 10000, ethernet(part, 0x0800)) for n, part in enumerate(parts)]
    assert metered(frames) == ([(3, 0, 0)], 0)
    assert metered(twice(frames, after=0.00001)) == ([(3, 0, 0)], 3)


def test_echoes_are_numbered() -> None:
    frames = [
        (n, ethernet(ipv4(A, B, ICMP, icmp_message(8, ident=n, data=bytes(8)), ident=0), 0x0800)) for n in range(4)
    ]
    assert metered(twice(frames)) == ([(1, 0, 0)] * 4, 4)


@pytest.mark.parametrize("settings", [{"duplicates": 0}, {"duplicates": 0.00001}])
def test_the_time_is_a_setting(settings: dict[str, float]) -> None:
    assert metered(twice(T.whole()), **settings)[1] == 0


def test_every_packet_is_counted_somewhere() -> None:
    meter = Meter()
    frames = twice(T.whole())
    records(meter, chunk(frames))
    assert meter.counters["metered"] + meter.counters["duplicates"] == meter.counters["packets"] == len(frames)


def test_a_capture_has_the_same_duplicates_each_time_and_mirrored() -> None:
    """Also where one packet takes the place of another, and its duplicate is not seen."""

    def found(a: str, b: str, flip: bool) -> int:
        ports = [(number % 50_000, 53)[:: -1 if flip else 1] for number in range(8_000)]
        frames = [
            (number * 1e-6, ethernet(ipv4(a, b, UDP, udp_header(*pair), ident=number), 0x0800))
            for number, pair in enumerate(ports)
        ]
        return metered(frames + [(0.009 + time, data) for time, data in frames], duplicates=0.05)[1]

    seen = {found(A, B, False), found(A, B, False), found(B, A, True)}
    assert len(seen) == 1 and 4_500 < seen.pop() < 6_000
