"""The captures of the founding case are what make.py makes, and hold what expected.json says they hold.

Counts them anew with scapy, knowing nothing of how they were made.
"""

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet
from scapy.utils import RawPcapReader, checksum

CASE = Path(__file__).parents[1] / "data" / "pcaps" / "worm-1034"
SENSORS = ("border", "inside")
REQUEST_OF = {0: 8, 129: 128, 136: 135}
"""The ICMP and ICMPv6 request types that occur, by their reply's."""
ICMP_ERRORS = {(1, 3), (1, 11), (58, 1)}
DAY = 86_400_000_000
JULY_20 = 1_090_281_600_000_000
JULY_26 = JULY_20 + 6 * DAY
ECHO_REQUESTS = (8, 128)
ICMP_HEADER = 8

End = tuple[str, int]
Key = tuple[int, frozenset[End]]


@dataclass
class Count:
    """What was seen of one conversation; counters are per (address, port) that sent."""

    pkts: dict[End, int] = field(default_factory=lambda: defaultdict(int))
    bytes: dict[End, int] = field(default_factory=lambda: defaultdict(int))
    ip_bytes: dict[End, int] = field(default_factory=lambda: defaultdict(int))
    flags: dict[End, int] = field(default_factory=lambda: defaultdict(int))
    times: list[int] = field(default_factory=list)
    vlans: set[int | None] = field(default_factory=set)
    errors: list[tuple[str, int, int]] = field(default_factory=list)
    first: End | None = None


@dataclass
class Capture:
    """One capture, counted."""

    counts: dict[Key, Count]
    packets: int = 0
    errors: int = 0
    not_ip: int = 0
    bad_checksums: int = 0


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """expected.json."""
    document: dict[str, Any] = json.loads((CASE / "expected.json").read_text())
    return document


@pytest.fixture(scope="module", params=SENSORS)
def counted(request: pytest.FixtureRequest) -> tuple[str, Capture]:
    """A sensor, and its capture counted."""
    return request.param, count(CASE / f"{request.param}.pcap")


def count(path: Path) -> Capture:
    """Counts a capture's packets by 5-tuple, ICMP by identifier."""
    capture = Capture(defaultdict(Count))
    fragments: dict[tuple[str, str, int], tuple[Key, End]] = {}
    with RawPcapReader(str(path)) as reader:
        in_microseconds = 1000 if reader.nano else 1
        for data, meta in reader:
            frame = Ether(data)
            capture.packets += 1
            if ARP in frame:
                capture.not_ip += 1
                continue
            at = meta.sec * 1_000_000 + meta.usec // in_microseconds
            ip = frame[IP] if IP in frame else frame[IPv6]
            message, header, ip_length = parts(ip)
            capture.bad_checksums += not sums_are_right(ip, message)
            proto = ip.proto if IP in frame else ip.nh
            if (proto, message[0]) in ICMP_ERRORS:
                capture.errors += 1
                quoted = IP(message[ICMP_HEADER:]) if proto == 1 else IPv6(message[ICMP_HEADER:])
                key, _ = key_and_sender(quoted)
                capture.counts[key].errors.append((ip.src, message[0], message[1]))
                continue
            if IP in frame and ip.frag:
                key, sender = fragments[ip.src, ip.dst, ip.id]
                header = 0
            else:
                key, sender = key_and_sender(ip)
                fragments[ip.src, ip.dst, ip.id if IP in frame else -1] = key, sender
            seen = capture.counts[key]
            seen.first = seen.first or sender
            seen.pkts[sender] += 1
            seen.bytes[sender] += len(message) - header
            seen.ip_bytes[sender] += ip_length
            seen.times.append(at)
            seen.vlans.add(frame[Dot1Q].vlan if Dot1Q in frame else None)
            if proto == 6:
                seen.flags[sender] |= int(ip[TCP].flags)
    return capture


def parts(ip: Packet) -> tuple[bytes, int, int]:
    """The transport message by its IP length, without Ethernet's padding; its header's length; the IP length."""
    header, ip_length = (ip.ihl * 4, ip.len) if isinstance(ip, IP) else (40, 40 + ip.plen)
    message = bytes(ip.original)[header:ip_length]
    proto = ip.proto if isinstance(ip, IP) else ip.nh
    return message, (message[12] >> 4) * 4 if proto == 6 and len(message) > 12 else 8, ip_length


def sums_are_right(ip: Packet, message: bytes) -> bool:
    """Whether the checksums of IP and of an unfragmented transport message hold."""
    if not isinstance(ip, IP):
        return bool(in6_chksum(ip.nh, ip, message) == 0)  # type: ignore[no-untyped-call]
    right = checksum(bytes(ip.original)[: ip.ihl * 4]) == 0
    if ip.frag or ip.flags.MF:
        return right
    return right and (checksum(message) if ip.proto == 1 else in4_chksum(ip.proto, ip, message)) == 0


def key_and_sender(ip: Packet) -> tuple[Key, End]:
    """The conversation a packet is of, and the end that sent it. ICMP's "port" is its identifier, or request type."""
    proto, message = ip.proto if isinstance(ip, IP) else ip.nh, parts(ip)[0]
    if proto in (6, 17):
        src_port, dst_port = int.from_bytes(message[:2]), int.from_bytes(message[2:4])
    else:
        kind = REQUEST_OF.get(message[0], message[0])
        src_port = dst_port = int.from_bytes(message[4:6]) if kind in ECHO_REQUESTS else kind
    sender = ip.src, src_port
    return (proto, frozenset((sender, (ip.dst, dst_port)))), sender


def test_make_reproduces_the_committed_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-B", str(CASE / "make.py"), str(tmp_path)], check=True, timeout=120)
    for name in ("border.pcap", "inside.pcap", "expected.json"):
        assert (tmp_path / name).read_bytes() == (CASE / name).read_bytes(), f"{name} is not what make.py makes"


def test_every_session_is_in_the_capture_as_expected(counted: tuple[str, Capture], expected: dict[str, Any]) -> None:
    sensor, capture = counted
    rows = expected["sensors"][sensor]["sessions"]
    assert len(rows) == len(capture.counts)
    for row in rows:
        icmp_port = row["icmp_id"] if row["icmp_id"] is not None else row["icmp_type"]
        src = row["src_ip"], row["src_port"] if row["src_port"] is not None else icmp_port
        dst = row["dst_ip"], row["dst_port"] if row["dst_port"] is not None else icmp_port
        seen = capture.counts[row["proto"], frozenset((src, dst))]
        assert seen.first == src, row
        for name in ("pkts", "bytes", "ip_bytes", *(["flags"] if row["proto"] == 6 else [])):
            amounts = getattr(seen, name)
            assert (amounts[src], amounts[dst]) == (row[f"src_{name}"], row[f"dst_{name}"]), (name, row)
        assert (min(seen.times), max(seen.times)) == (row["start_time"], row["end_time"]), row
        assert seen.vlans == {row["vlan"]}
        assert len(seen.errors) == row["error_count"]
        if seen.errors:
            assert seen.errors[0] == (row["error_ip"], row["error_type"], row["error_code"])


def test_every_frame_is_accounted_for(counted: tuple[str, Capture], expected: dict[str, Any]) -> None:
    sensor, capture = counted
    in_sessions = sum(sum(seen.pkts.values()) for seen in capture.counts.values())
    assert expected["sensors"][sensor]["counts"] == {
        "packets": capture.packets,
        "in_sessions": in_sessions,
        "icmp_errors": capture.errors,
        "not_ip": capture.not_ip,
    }
    assert capture.bad_checksums == 0
    (line,) = (line for line in (CASE / "README.md").read_text().splitlines() if line.startswith(f"| `{sensor}.pcap`"))
    assert line.endswith(f"| {capture.packets:,} | {len(capture.counts)} |")


def test_no_session_is_silent_long_enough_to_time_out(counted: tuple[str, Capture]) -> None:
    for (proto, ends), seen in counted[1].counts.items():
        times = sorted(seen.times)
        longest = max((after - before for before, after in pairwise(times)), default=0)
        assert longest < (300 if proto == 6 else 60) * 1_000_000, ends


def test_the_taps_see_different_traffic_and_some_the_same(expected: dict[str, Any]) -> None:
    identity = ("proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_id")
    seen = [
        {tuple(row[name] for name in identity): row["start_time"] for row in expected["sensors"][sensor]["sessions"]}
        for sensor in SENSORS
    ]
    both = seen[0].keys() & seen[1].keys()
    assert both and seen[0].keys() - both and seen[1].keys() - both
    assert not any(1034 in key for key in both)
    assert all(100 < abs(seen[0][key] - seen[1][key]) < 2000 for key in both if key[0] == 6)


def test_the_first_query_returns_the_case(expected: dict[str, Any]) -> None:
    rows = expected["queries"][0]["rows"]
    assert [row["start_time"] for row in rows] == sorted((row["start_time"] for row in rows), reverse=True)
    names = ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "syn_retries", "outcome")
    sweep = [row for row in rows if row["src_ip"] == "1.2.3.4"]
    began = [(clock(row["start_time"]), row["src_port"], row["dst_ip"], row["dst_port"]) for row in sweep]
    assert began == [
        ("17:39:13", 47317, "16.133.77.85", 1034),
        ("17:38:52", 47235, "16.49.36.18", 1034),
        ("17:38:31", 47209, "16.190.234.172", 1034),
        ("17:38:10", 47146, "16.138.31.128", 1034),
        ("17:37:49", 47076, "15.136.19.27", 1034),
    ]
    assert {tuple(row[name] for name in names) for row in sweep} == {(6, 0, 0, 0, 5, "attempted")}
    others = [(row["sensor"], row["dst_ip"], row["dst_port"], row["outcome"]) for row in rows if row not in sweep]
    assert others == [
        ("inside", "10.1.10.9", 1034, "attempted"),
        ("border", "1.2.3.4", 1034, "both_ways"),
        ("border", "1.2.3.4", 1034, "refused"),
    ]


def test_what_the_first_query_must_leave_out_is_there(expected: dict[str, Any]) -> None:
    for sensor in SENSORS:
        rows = expected["sensors"][sensor]["sessions"]
        web = [row for row in rows if row["src_port"] == 1034 and row["dst_port"] in (80, 443)]
        assert {row["dst_port"] for row in web} == {80, 443}
        assert len({row["src_ip"] for row in web}) >= 3
        early = [row for row in rows if 1034 in (row["src_port"], row["dst_port"]) and row["start_time"] < JULY_20]
        assert early and all(not {80, 443} & {row["src_port"], row["dst_port"]} for row in early)
    assert early[0]["end_time"] > JULY_20, "the one inside ends on the 20th"
    for sensor in SENSORS:
        rows = expected["sensors"][sensor]["sessions"]
        assert any(row["start_time"] < JULY_26 + DAY < row["end_time"] for row in rows), "one lasts over midnight"


def test_the_second_query_returns_who_came_in(expected: dict[str, Any]) -> None:
    (row,) = expected["queries"][1]["rows"]
    assert (row["src_ip"], row["dst_ip"], row["dst_port"], row["outcome"]) == (
        "198.51.100.177",
        "1.2.3.4",
        1034,
        "both_ways",
    )
    assert row["dst_bytes"] > 20_000 and row["src_bytes"] > 0
    assert row["start_time"] > expected["queries"][0]["rows"][2]["start_time"]


def clock(microseconds: int) -> str:
    """The UTC time of day, in whole seconds, of the 26th of July 2004."""
    seconds, day = (microseconds - JULY_26) // 1_000_000, DAY // 1_000_000
    assert 0 <= seconds < day
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
