"""IP fragments are credited to the session of their datagram, in any order; what cannot be is not lost."""

import struct

from helpers.packets import (
    A6,
    B6,
    ICMP,
    TCP,
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
    sessions,
    tcp_header,
    udp,
    udp_header,
)

from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import Mark

DATAGRAM = udp_header(40001, 2049, 2992)
"""3000 bytes of IP payload."""


def pieces(
    time: float, payload: bytes, proto: int = UDP, ident: int = 77, size: int = 1000, six: bool = False
) -> list[Frame]:
    """A datagram in fragments of `size` bytes."""
    frames = []
    for at in range(0, len(payload), size):
        part, more = payload[at : at + size], at + size < len(payload)
        if six:
            head = struct.pack(">BBHI", proto, 0, at | more, ident)
            data = ethernet(ipv6(A6, B6, 44, head + part), 0x86DD)
        else:
            data = ethernet(ipv4(A, B, proto, part, ident, at, more), 0x0800)
        frames.append((time + at / 1e6, data))
    return frames


def test_all_fragments_are_one_session() -> None:
    (row,) = sessions(pieces(0, DATAGRAM))
    assert (row["src_port"], row["dst_port"], row["src_pkts"]) == (40001, 2049, 3)
    assert (row["src_bytes"], row["src_ip_bytes"], row["marks"]) == (2992, 3060, Mark.FRAGMENTS)


def test_ipv6_fragments() -> None:
    (row,) = sessions(pieces(0, DATAGRAM, six=True))
    assert (row["proto"], row["src_port"], row["src_pkts"], row["src_bytes"]) == (UDP, 40001, 3, 2992)
    assert row["src_ip_bytes"] == 3000 + 3 * 48


def test_ipv6_options_behind_the_fragment_header() -> None:
    """The fragments say that options come next; only the first has them, and the ports behind."""
    options = bytes([UDP, 1]) + bytes([1, 12]) + bytes(12)
    frames = pieces(0, options + DATAGRAM, proto=60, six=True)
    for order in (frames, frames[::-1]):
        (row,) = sessions(order)
        assert (row["proto"], row["src_port"], row["dst_port"], row["src_pkts"]) == (UDP, 40001, 2049, len(frames))
        assert (row["src_bytes"], row["marks"]) == (2992, Mark.FRAGMENTS)


def test_fragments_in_any_order() -> None:
    first, second, third = pieces(0, DATAGRAM)
    for order in ([second, first, third], [third, second, first]):
        (row,) = sessions([(at / 10, data) for at, (_, data) in enumerate(order)])
        assert (row["src_port"], row["src_pkts"], row["src_bytes"], row["src_ip_bytes"]) == (40001, 3, 2992, 3060)
        assert row["end_time"] - row["start_time"] == 200_000  # type: ignore[operator]


def test_icmp_fragments_go_to_their_echo() -> None:
    (row,) = sessions(pieces(0, icmp_message(8, ident=5, data=bytes(2000)), ICMP))
    assert (row["icmp_type"], row["icmp_id"], row["src_pkts"], row["src_bytes"]) == (8, 5, 3, 2000)


def test_datagrams_do_not_mix() -> None:
    other = udp_header(40002, 2049, 2992)
    frames = [frame for pair in zip(pieces(0, DATAGRAM), pieces(0, other, ident=78), strict=True) for frame in pair]
    one, two = sorted(sessions(frames), key=lambda row: str(row["src_port"]))
    assert [(row["src_port"], row["src_pkts"], row["src_bytes"]) for row in (one, two)] == [
        (40001, 3, 2992),
        (40002, 3, 2992),
    ]


def test_fragments_whose_first_never_comes_are_a_session_without_ports() -> None:
    frames = [*pieces(0, DATAGRAM)[1:], *(udp(second, A, 1, B, 2) for second in range(1, 60))]
    lost, _ = sessions(frames)
    assert (lost["proto"], lost["src_port"], lost["src_pkts"], lost["src_bytes"]) == (UDP, None, 2, 2000)
    assert lost["marks"] == Mark.FRAGMENTS | Mark.LOST_FRAGMENT


def test_waiting_fragments_are_counted_while_they_wait_and_when_the_capture_ends() -> None:
    meter = Meter()
    packets = chunk(pieces(0, DATAGRAM)[1:])
    list(meter.feed(packets))
    assert (meter.counters["waiting_fragments"], meter.counters["metered"]) == (2, 0)
    (end,) = meter.finish()
    assert (int(end["src_pkts"][0]), meter.counters["waiting_fragments"], meter.counters["metered"]) == (2, 0, 2)


def test_ports_are_forgotten_after_a_while() -> None:
    first, second, _ = pieces(0, DATAGRAM)
    late = (40.0, second[1])
    rows = sessions([first, late], MeterConfig(udp_idle=100))
    assert sorted(str(row["src_port"]) for row in rows) == ["40001", "None"]


def test_a_full_fragment_table_loses_nothing() -> None:
    meter = Meter()
    frames = [pieces(ident / 1e5, DATAGRAM, ident=ident)[1] for ident in range(20000)]
    array = records(meter, chunk(frames))
    assert sum(int(record["src_pkts"]) for record in array if record["end_reason"]) == 20000
    assert meter.counters["metered"] == 20000


def test_a_tcp_header_cut_into_fragments() -> None:
    """Eight bytes each: flags are in the second fragment, the payload begins in the third."""
    talk = Talk()
    syn = pieces(0, tcp_header(40000, 80, "S", 100), TCP, ident=1, size=8)
    answer = [talk.back(0.1, "SA", 500, 101), talk.out(0.2, "A", 101, 501)]
    data = pieces(0.3, tcp_header(40000, 80, "PA", 101, 501, 50), TCP, ident=2, size=8)
    (row,) = sessions([*syn, *answer, *data])
    assert (row["src_port"], row["src_pkts"], row["src_ip_bytes"]) == (40000, 3 + 1 + 9, 3 * 20 + 20 + 40 + 9 * 20 + 70)
    assert (row["state"], row["direction_by"], row["src_bytes"], row["history"]) == ("S1", "syn", 50, "ShAD")
    assert row["marks"] == Mark.FRAGMENTS
