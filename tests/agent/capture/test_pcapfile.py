"""Capture files of every format and byte order, and every way in which they can be damaged."""

import os
import struct
import threading
from pathlib import Path

import pytest
from helpers.packets import (
    EPOCH,
    MICROSECONDS,
    A,
    B,
    Frame,
    pcap_bytes,
    pcapng_block,
    pcapng_interface,
    pcapng_packet,
    pcapng_section,
    udp,
    write,
)

from afterfact_agent.capture import pcapfile, window
from afterfact_agent.capture.packets import LinkType
from afterfact_agent.capture.pcapfile import read_capture
from afterfact_agent.capture.report import CaptureError, FileReport

FRAMES: list[Frame] = [udp(time, A, 1000 + n, B, 53, n) for n, time in enumerate((0.25, 1.5, 1.499999, 7))]
TIMES = [EPOCH * MICROSECONDS + round(time * MICROSECONDS) for time, _ in FRAMES]
STAMP = TIMES[0] + 7

Seen = list[tuple[int, bytes, int, int]]


def read(path: Path, report: FileReport | None = None) -> tuple[Seen, str]:
    """(time, captured bytes, wire length, link type) of each packet, and what was said of the file."""
    seen: Seen = []
    try:
        for packets in read_capture(path, report):
            for at in range(len(packets)):
                begin, size = int(packets.offsets[at]), int(packets.caplens[at])
                data = packets.buffer[begin : begin + size].tobytes()
                assert len(data) == size
                seen.append((int(packets.times_us[at]), data, int(packets.wirelens[at]), int(packets.linktypes[at])))
    except CaptureError as error:
        message = str(error)
        assert message.startswith(f"{path}: ") and "\n" not in message
        return seen, message.removeprefix(f"{path}: ")
    return seen, ""


def right(frames: list[Frame] = FRAMES) -> Seen:
    return [(EPOCH * MICROSECONDS + round(time * MICROSECONDS), data, len(data), 1) for time, data in frames]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    report = FileReport("x")
    assert read(write(tmp_path / "a", pcap_bytes(FRAMES, order, nanoseconds)), report) == (right(), "")
    assert (report.packets, report.first_us, report.last_us) == (4, TIMES[0], TIMES[3])


def test_nanoseconds_are_cut_off_not_rounded(tmp_path: Path) -> None:
    data = bytearray(pcap_bytes(FRAMES[:1], nanoseconds=True))
    data[28:32] = struct.pack("<I", 250_000_999)
    assert read(write(tmp_path / "a", bytes(data)))[0][0][0] == TIMES[0]


def test_times_that_cannot_be_are_counted_and_bound_nothing(tmp_path: Path) -> None:
    """One flipped bit must not make a file say that it observed a century."""
    times = (0, -EPOCH + 100, 4_200_000_000 - EPOCH, 1)
    path = write(tmp_path / "a.pcap", pcap_bytes([(time, b"x") for time in times]))
    report = FileReport(str(path))
    assert sum(map(len, read_capture(path, report))) == 4
    assert (report.untimely, report.first_us, report.last_us) == (2, EPOCH * 10**6, (EPOCH + 1) * 10**6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(tmp_path: Path, order: str) -> None:
    blocks = [
        pcapng_section(order),
        pcapng_block(0x0BAD, b"unknown blocks are skipped", order),
        pcapng_interface(order),
        *(pcapng_packet(data, time, order) for time, (_, data) in zip(TIMES, FRAMES, strict=True)),
    ]
    assert read(write(tmp_path / "a", b"".join(blocks))) == (right(), "")


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


@pytest.mark.parametrize(
    ("resolution", "units"),
    [
        (3, STAMP // 1000),
        (6, STAMP),
        (7, STAMP * 10 + 9),
        (9, STAMP * 1000 + 999),
        (0, STAMP // MICROSECONDS),
        (0x80 | 0, STAMP // MICROSECONDS),
        (0x80 | 10, (STAMP << 10) // MICROSECONDS),
        (0x80 | 30, ((STAMP << 30) // MICROSECONDS) + 1),
    ],
)
def test_pcapng_time_resolutions(tmp_path: Path, resolution: int, units: int) -> None:
    interface = pcapng_interface(options=option(9, bytes([resolution])) + option(0, b""))
    data = pcapng_section() + interface + pcapng_packet(FRAMES[0][1], units)
    ((time, *_),), message = read(write(tmp_path / "a", data))
    coarse = {3: 1000, 0: MICROSECONDS, 0x80: MICROSECONDS, 0x80 | 10: 977}.get(resolution, 1)
    assert message == "" and 0 <= STAMP - time < coarse


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_time_offset(tmp_path: Path, order: str) -> None:
    interface = pcapng_interface(order, options=option(14, struct.pack(order + "q", -3600), order))
    data = pcapng_section(order) + interface + pcapng_packet(FRAMES[0][1], STAMP, order)
    assert read(write(tmp_path / "a", data))[0][0][0] == STAMP - 3600 * MICROSECONDS


def test_pcapng_interfaces_and_sections(tmp_path: Path) -> None:
    raw = FRAMES[1][1][14:]
    data = b"".join(
        [
            pcapng_section("<"),
            pcapng_interface("<"),
            pcapng_interface("<", linktype=101, options=option(9, b"\x09")),
            pcapng_packet(FRAMES[0][1], TIMES[0], "<", 0),
            pcapng_packet(raw, TIMES[1] * 1000, "<", 1),
            pcapng_section(">"),
            pcapng_interface(">", linktype=108),
            pcapng_packet(b"\0\0\0\2" + raw, TIMES[2], ">", 0),
        ]
    )
    seen, message = read(write(tmp_path / "a", data))
    assert message == ""
    assert [(time, kind) for time, _, _, kind in seen] == [
        (TIMES[0], LinkType.ETHERNET),
        (TIMES[1], LinkType.RAW),
        (TIMES[2], LinkType.NULL),
    ]


def test_pcapng_old_and_simple_packets(tmp_path: Path) -> None:
    frame = FRAMES[0][1]
    old = struct.pack("<HHIIII", 0, 0, STAMP >> 32, STAMP & 0xFFFFFFFF, len(frame), len(frame) + 5) + frame
    simple = struct.pack("<I", 1500) + frame[:32]
    data = pcapng_section() + pcapng_interface(snaplen=32) + pcapng_block(2, old) + pcapng_block(3, simple)
    first, second = read(write(tmp_path / "a", data))[0]
    assert first == (STAMP, frame, len(frame) + 5, 1)
    assert second == (STAMP, frame[:32], 1500, 1)


def test_pcapng_leaves_out_link_types_that_are_not_decoded_and_says_so(tmp_path: Path) -> None:
    packets = [pcapng_packet(FRAMES[0][1], STAMP, interface=n) for n in (0, 1, 1, 0)]
    data = pcapng_section() + pcapng_interface() + pcapng_interface(linktype=147) + b"".join(packets)
    seen, message = read(write(tmp_path / "a", data))
    assert len(seen) == 2
    assert message == "packets of link types that are not supported were left out: 2 of USER0 (147)"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is no capture", "is not a pcap or pcapng file"),
        (b"\xd4", "is not a pcap or pcapng file"),
        (pcap_bytes([])[:20], "the file ends in its header"),
        (b"\x1f\x8b" + bytes(50), "not a pcap or pcapng file but compressed with gzip; decompress it first"),
        (pcap_bytes(FRAMES, linktype=147), "link type USER0 (147) is not supported"),
        (pcap_bytes(FRAMES, linktype=65000), "link type unknown (65000) is not supported"),
        (pcapng_section()[:4], "damaged at byte 0: a section without its byte-order mark"),
        (pcapng_section()[:20], "damaged at byte 0, after packet 0: the file ends in the middle of a record"),
    ],
)
def test_what_is_no_capture(tmp_path: Path, data: bytes, message: str) -> None:
    assert read(write(tmp_path / "a", data)) == ([], message)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == ([], "cannot be read: No such file or directory")
    assert read(tmp_path) == ([], "cannot be read: Is a directory")


PCAP = pcap_bytes(FRAMES)
RECORDS = [24 + sum(16 + len(data) for _, data in FRAMES[:n]) for n in range(5)]
NG_HEAD = pcapng_section() + pcapng_interface()
NG = NG_HEAD + b"".join(pcapng_packet(data, STAMP) for _, data in FRAMES)


def test_a_pcap_cut_anywhere_gives_all_that_is_whole(tmp_path: Path) -> None:
    for size in range(24, len(PCAP)):
        whole = sum(size >= end for end in RECORDS[1:])
        seen, message = read(write(tmp_path / "a", PCAP[:size]))
        assert seen == right()[:whole]
        at = RECORDS[whole]
        what = "record header" if size - at < 16 else "record"
        said = f"damaged at byte {at}, after packet {whole}: the file ends in the middle of a {what}"
        assert message == ("" if size in RECORDS else said)


def test_a_pcapng_cut_anywhere_gives_all_that_is_whole(tmp_path: Path) -> None:
    ends = [len(NG_HEAD) + sum(len(pcapng_packet(data, STAMP)) for _, data in FRAMES[:n]) for n in range(1, 5)]
    for size in range(len(NG_HEAD), len(NG)):
        seen, message = read(write(tmp_path / "a", NG[:size]))
        whole = sum(size >= end for end in ends)
        assert len(seen) == whole
        assert ("damaged" in message) == (size not in (len(NG_HEAD), *ends))


@pytest.mark.parametrize("length", [262145, 0xFFFFFFFF])
def test_a_pcap_record_of_impossible_length(tmp_path: Path, length: int) -> None:
    data = bytearray(PCAP)
    data[RECORDS[2] + 8 : RECORDS[2] + 12] = struct.pack("<I", length)
    seen, message = read(write(tmp_path / "a", bytes(data)))
    assert seen == right()[:2]
    assert message == f"damaged at byte {RECORDS[2]}, after packet 2: a record's length makes no sense"


@pytest.mark.parametrize(
    "block",
    [
        struct.pack("<II", 6, 11) + bytes(20),
        struct.pack("<II", 6, 33) + bytes(40),
        struct.pack("<II", 6, 0xFFFFFFFC) + bytes(40),
        struct.pack("<II", 6, 32) + bytes(24),  # the length at its end differs
        pcapng_block(6, bytes(16)),  # shorter than its header
        pcapng_packet(b"x" * 8, STAMP, interface=1),  # an interface that is not described
        pcapng_block(6, struct.pack("<IIIII", 0, 0, 0, 900, 900) + bytes(8)),  # more captured than there is
        pcapng_block(2, bytes(8)),
        pcapng_block(3, b""),
        pcapng_block(1, bytes(4)),
    ],
)
def test_pcapng_blocks_that_make_no_sense(tmp_path: Path, block: bytes) -> None:
    data = NG_HEAD + pcapng_packet(FRAMES[0][1], STAMP) + block + pcapng_packet(FRAMES[1][1], STAMP)
    seen, message = read(write(tmp_path / "a", data))
    assert len(seen) == 1
    assert message.startswith(
        f"damaged at byte {len(NG_HEAD) + len(pcapng_packet(FRAMES[0][1], STAMP))}, after packet 1"
    )


def test_windows_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (PCAP, NG):
        path = write(tmp_path / "a", data)
        expected = read(path)
        for size in (64, 65, 100, 128, 1000):
            monkeypatch.setattr(window, "WINDOW", size)
            monkeypatch.setattr(pcapfile, "CHUNK", 3)
            assert read(path) == expected


def test_a_large_block_makes_the_window_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "WINDOW", 256)
    data = NG_HEAD + pcapng_block(0x0BAD, bytes(100_000)) + pcapng_packet(FRAMES[0][1], STAMP)
    assert len(read(write(tmp_path / "a", data))[0]) == 1


def test_a_pipe_is_read_as_well(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(PCAP,))
    writer.start()
    assert read(pipe) == (right(), "")
    writer.join()
