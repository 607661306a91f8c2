"""Whatever the bytes: no crash, no read outside what was captured, every packet accounted for.

test_checked.py runs this with every index checked, compiled and as plain Python. AFTERFACT_FUZZ says how many examples.
"""

import os
from pathlib import Path

import numpy as np
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
# Wrong checksums, behind headers that are looked at before that is believed.
SEEDS += [
    ethernet(ipv4(A, B, ICMP, b"\x08\0\x01\x01\0", options=b"\x01\x44\x04\x05\x83\x07\x04" + bytes(5)), 0x0800),
    ethernet(
        ipv6(A6, B6, 60, b"\x2b\x01\0\x01\x03\x02\0\0\xc9\x06" + bytes(6) + b"\x06\0\0\x01" + bytes(4)
             + tcp_header(40000, 80, "PA", 1, 2, 9)[:-1] + b"\x01"),
        0x86DD,
    ),
]  # fmt: skip
INNER = ipv4(A, B, UDP, udp_header(5000, 53, 30))
INNER6 = ipv6("2001:0:1::1", B6, TCP, tcp_header(40000, 80, "S", 1))


def in_udp(port: int, payload: bytes) -> bytes:
    return ethernet(ipv4(B, A, UDP, udp_header(4000, port, len(payload))[:8] + payload), 0x0800)


SNAP = b"\xaa\xaa\x03\0\0\0\x08\0"
TUNNELS = [
    in_udp(4789, b"\x08\0\0\0\0\0\x07\0" + ethernet(INNER, 0x0800, [3])),
    in_udp(6081, b"\x02\0\x65\x58\0\0\x07\0" + bytes(8) + ethernet(INNER, 0x0800)),
    in_udp(2152, b"\x34\xff\0\x40\0\0\0\x05\0\0\0\x85\x01\0\0\0" + INNER),
    in_udp(3544, b"\0\x01\0\0" + bytes(9) + b"\0\0" + bytes(6) + INNER6),
    in_udp(9, INNER6),
    ethernet(
        ipv4(B, A, 47, b"\x30\0\x88\xbe" + bytes(8) + b"\x10\0\0\x03" + bytes(4) + ethernet(INNER, 0x0800)), 0x0800
    ),
    ethernet(ipv4(B, A, 47, b"\x30\x81\x88\x0b\0\x20\0\x05" + bytes(8) + b"\xff\x03\0\x21" + INNER), 0x0800),
    ethernet(ipv4(B, A, 41, INNER6), 0x0800),
    ethernet(ipv4(B, A, 51, b"\x11\x04" + bytes(22) + udp_header(1, 2, 3)), 0x0800),
    ethernet(b"\0\x01\0\x40\0\x02\x01\x40" + INNER, 0x8847),
    ethernet(b"\0\x02\x01\x40" + bytes(4) + ethernet(INNER, 0x0800, [9]), 0x8847, [5]),
    ethernet(b"\x11\0\0\x07\0\x3c\0\x21" + INNER, 0x8864),
]
SEEDS += TUNNELS
LINKS = [
    (
        LinkType.RADIOTAP,
        b"\0\0\x12\0\x2f\x48\0\0" + bytes(10) + b"\x88\x01" + bytes(24) + b"\xaa\xaa\x03\0\0\0\x08\0" + INNER,
    ),
    (LinkType.IEEE802_11, b"\x08\x03" + bytes(28) + SNAP + INNER),
    (LinkType.NFLOG, b"\x02\0\0\0\x08\0\x01\0" + bytes(4) + b"\x40\0\x09\0" + INNER),
    (LinkType.PPP, b"\xff\x03\0\x21" + INNER),
    (LinkType.PPP_ETHER, b"\x11\0\0\x07\0\x3c\0\x21" + INNER),
    (LinkType.LINUX_SLL2, b"\x08\0" + bytes(18) + INNER),
    (LinkType.NULL, b"\x02\0\0\0" + INNER),
]
CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "pcap"
CAPTURES = [path for path in sorted(CORPUS.glob("*.pcap*")) if path.stat().st_size < 50_000]


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
    wrong = sum(counters[f"bad_{name}_checksum"] for name in ("tcp", "udp", "icmp", "icmpv6"))
    assert wrong + counters["offloaded_checksum"] <= counters["verified_checksums"] <= counters["metered"]
    ended = array[array["end_reason"] != EndReason.OPEN]
    assert len(ended) == counters["sessions"] and len(array) == counters["records"]
    if len(array):
        check(array)
        assert int(ended["src_pkts"].sum() + ended["dst_pkts"].sum()) == counters["metered"]
        assert int(ended["src_ip_bytes"].sum() + ended["dst_ip_bytes"].sum()) == counters["ip_bytes"]
        assert (ended["src_bytes"] <= ended["src_ip_bytes"]).all()


def test_the_seeds_are_what_they_should_be() -> None:
    """Else what is mutated would be refused at once, and prove little."""
    for seed in TUNNELS:
        (record,) = records(Meter(), chunk([(0, seed)]))
        assert record["tunnel"], seed
    for linktype, seed in LINKS:
        (record,) = records(Meter(), chunk([(0, seed)], linktype=linktype))
        assert record["dst_port"] == 53, linktype


@settings(max_examples=EXAMPLES, deadline=None)
@given(FRAMES, st.sampled_from(list(LinkType)), st.integers(0, 200) | st.none(), st.booleans())
def test_mutated_packets(frames: list[Frame], linktype: LinkType, snaplen: int | None, wire: bool) -> None:
    run(frames, linktype=linktype, snaplen=snaplen, wire=wire)  # type: ignore[arg-type]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(TIMES, st.sampled_from(SEEDS).flatmap(mutated)), max_size=60))
def test_mutated_packets_on_their_own_link_type(frames: list[Frame]) -> None:
    run(frames)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), st.sampled_from(LINKS), st.integers(0, 200) | st.none())
def test_mutated_packets_of_rare_link_types(
    data: st.DataObject, seed: tuple[LinkType, bytes], snaplen: int | None
) -> None:
    frames = data.draw(st.lists(st.tuples(st.floats(0, 100), mutated(seed[1])), max_size=30))
    run(frames, linktype=seed[0], snaplen=snaplen)  # type: ignore[arg-type]


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
    read(Path(tmp_path_factory.getbasetemp()) / "fuzzed", content)  # type: ignore[attr-defined]


@pytest.mark.skipif(not CAPTURES, reason=f"no corpus of captures at {CORPUS}")
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_mutated_captures_of_the_corpus(tmp_path_factory: object, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(CAPTURES)).read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=40)):
        content[at] = value
    size = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    read(Path(tmp_path_factory.getbasetemp()) / "fuzzed", bytes(content[:size]))  # type: ignore[attr-defined]


def read(path: Path, content: bytes) -> None:
    """Meter a file of this content, whatever it is."""
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
    counters = meter.counters
    unmetered = sum(counters[name] for name, doc in COUNTERS.items() if doc.startswith("not "))
    assert counters["packets"] == seen == counters["metered"] + unmetered


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
