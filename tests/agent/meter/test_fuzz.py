"""Whatever the bytes: no crash, no read outside what was captured, every packet accounted for.

test_checked.py runs this with every index checked, compiled and as plain Python. AFTERFACT_FUZZ says how many examples.
"""

import os
from pathlib import Path

import numpy as np
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
    chunk,
    ethernet,
    icmp,
    icmp_message,
    ipv4,
    ipv6,
    pcap_bytes,
    pcapng_interface,
    pcapng_packet,
    pcapng_section,
    records,
    tcp_header,
    udp,
    udp_header,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.capture.packets import LinkType
from afterfact_agent.capture.pcapfile import read_capture
from afterfact_agent.capture.report import CaptureError
from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.layout import COUNTERS
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.records import check
from afterfact_protocol.session import EndReason

EXAMPLES = int(os.environ.get("AFTERFACT_FUZZ", "150"))
TIMES = st.floats(-1e9, 1e9) | st.floats(0, 100)

SEEDS = [
    ethernet(ipv4(A, B, TCP, tcp_header(40000, 80, "S", 1)), 0x0800, [5, 7]),
    ethernet(ipv4(A, B, TCP, tcp_header(40000, 80, "PA", 1, 2, 30), options=bytes(8)), 0x0800),
    ethernet(ipv4(A, B, UDP, udp_header(5000, 53, 30), fragment=64, more=True), 0x0800),
    ethernet(ipv4(B, A, ICMP, icmp_message(3, 3, data=ipv4(A, B, UDP, udp_header(5000, 53)))), 0x0800),
    ethernet(
        ipv6(A6, B6, 0, bytes([60, 0]) + bytes(6) + bytes([44, 1]) + bytes(14) + bytes([UDP, 0, 0, 1]) + bytes(20)),
        0x86DD,
    ),
    ethernet(ipv6(B6, A6, ICMPV6, icmp_message(1, 4, data=ipv6(A6, B6, UDP, udp_header(5000, 53)))), 0x86DD),
    ethernet(ipv6(A6, B6, ICMPV6, icmp_message(135, data=bytes(20))), 0x86DD),
    ethernet(b"\xaa\xaa\x03\0\0\0\x08\0" + ipv4(A, B, 132, bytes(16)), 60),
]


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with some of them changed, cut out, or put in."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(changed) - 1, 0)))
        match draw(st.sampled_from(["set", "flip", "cut", "insert", "end"])):
            case "set" if changed:
                changed[at] = draw(st.sampled_from([0, 1, 4, 5, 6, 17, 44, 58, 60, 127, 128, 255]))
            case "flip" if changed:
                changed[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del changed[at : at + draw(st.integers(1, 20))]
            case "insert":
                changed[at:at] = draw(st.binary(max_size=20))
            case _:
                del changed[at:]
    return bytes(changed)


FRAMES = st.lists(st.tuples(TIMES, st.sampled_from(SEEDS).flatmap(mutated) | st.binary(max_size=120)), max_size=30)


def run(frames: list[Frame], config: MeterConfig | None = None, **how: int | bool) -> None:
    meter = Meter(config)
    array = records(meter, chunk(frames, **how))  # type: ignore[arg-type]
    counters = meter.counters
    unmetered = sum(counters[name] for name, doc in COUNTERS.items() if doc.startswith("not "))
    assert counters["packets"] == len(frames) == counters["metered"] + unmetered
    assert (counters["open"], counters["waiting_fragments"]) == (0, 0)
    ended = array[array["end_reason"] != EndReason.OPEN]
    assert len(ended) == counters["sessions"] and len(array) == counters["records"]
    if len(array):
        check(array)
        assert int(ended["src_pkts"].sum() + ended["dst_pkts"].sum()) == counters["metered"]
        assert int(ended["src_ip_bytes"].sum() + ended["dst_ip_bytes"].sum()) == counters["ip_bytes"]
        assert (ended["src_bytes"] <= ended["src_ip_bytes"]).all()


@settings(max_examples=EXAMPLES, deadline=None)
@given(FRAMES, st.sampled_from(list(LinkType)), st.integers(0, 200) | st.none(), st.booleans())
def test_mutated_packets(frames: list[Frame], linktype: LinkType, snaplen: int | None, wire: bool) -> None:
    run(frames, linktype=linktype, snaplen=snaplen, wire=wire)  # type: ignore[arg-type]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(TIMES, st.sampled_from(SEEDS).flatmap(mutated)), max_size=60))
def test_mutated_packets_on_their_own_link_type(frames: list[Frame]) -> None:
    run(frames)


FLAGS = st.sampled_from(["S", "SA", "A", "PA", "FA", "F", "R", "RA", "SF", "FR", ""])
SEQUENCE = st.integers(0, 2**32 - 1) | st.integers(95, 130)
SEGMENT = st.tuples(
    st.integers(0, 3), st.booleans(), FLAGS, SEQUENCE, SEQUENCE, st.integers(0, 40), st.floats(0, 30)
)  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(SEGMENT, max_size=60))
def test_any_segments_in_any_order(segments: list[tuple[int, bool, str, int, int, int, float]]) -> None:
    frames: list[Frame] = []
    time = 0.0
    for host, way, flags, seq, ack, size, gap in segments:
        time += gap
        talk = Talk(f"10.0.0.{host}", 40000, B, 80)
        frames.append((talk.out if way else talk.back)(time, flags, seq, ack, size))
    run(frames, MeterConfig(max_sessions=64, tcp_attempt=20))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_mutated_files(tmp_path_factory: object, data: st.DataObject) -> None:
    frames = [udp(1, A, 1, B, 2, 9), icmp(2, A, B, 8), *Talk().whole(3)]
    packets = b"".join(pcapng_packet(frame, 1_700_000_000_000_000) for _, frame in frames)
    files = [pcap_bytes(frames), pcap_bytes(frames, ">", True), pcapng_section() + pcapng_interface() + packets]
    content = data.draw(mutated(data.draw(st.sampled_from(files))))
    path = Path(tmp_path_factory.getbasetemp()) / "fuzzed"  # type: ignore[attr-defined]
    path.write_bytes(content)
    meter = Meter()
    seen = 0
    try:
        for packets_ in read_capture(path):
            assert (packets_.offsets >= 0).all() and (packets_.caplens >= 0).all()
            assert (packets_.offsets + packets_.caplens <= len(packets_.buffer)).all()
            seen += len(packets_)
            list(meter.feed(packets_))
    except CaptureError as error:
        assert "\n" not in str(error)
    list(meter.finish())
    assert meter.counters["packets"] == seen


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_file(tmp_path_factory: object, content: bytes) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "fuzzed"  # type: ignore[attr-defined]
    for head in (b"", pcap_bytes([]), pcapng_section() + pcapng_interface()):
        path.write_bytes(head + content)
        try:
            for packets in read_capture(path):
                assert np.all(packets.caplens <= len(content))
        except CaptureError as error:
            assert str(error).startswith(str(path))
