"""Packets made by hand, byte for byte, and the sessions that the meter makes of them.

Times are seconds after EPOCH. A frame is (time, bytes); an address is text, a port a number.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afterfact_agent.capture.packets import UNKNOWN_LENGTH, LinkType, Packets
from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import BY_NAME, EndReason, Kind
from afterfact_protocol.text import address_text, name_text

EPOCH = 1_700_000_000
MICROSECONDS = 1_000_000
TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"

Frame = tuple[float, bytes]
Row = dict[str, object]


CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def with_checksum(src: str, dst: str, proto: int, payload: bytes) -> bytes:
    """A transport header and payload with the right checksum in a field that is zero, if it has one and is whole; UDP
    of IPv4 needs none."""
    at = CHECKSUM_AT.get(proto, len(payload))
    if at + 2 > len(payload) or payload[at : at + 2] != b"\0\0" or (proto == UDP and ":" not in src):
        return payload
    pseudo = ip_address(src).packed + ip_address(dst).packed + struct.pack(">II", len(payload), proto)
    total = checksum((b"" if proto == ICMP else pseudo) + payload)
    return payload[:at] + struct.pack(">H", total or 0xFFFF) + payload[at + 2 :]


def ethernet(payload: bytes, kind: int, vlans: Sequence[int] = (), tag: int = 0x8100) -> bytes:
    tags = b"".join(struct.pack(">HH", tag, vlan) for vlan in vlans)
    return bytes(12) + tags + struct.pack(">H", kind) + payload


def ipv4(
    src: str,
    dst: str,
    proto: int,
    payload: bytes,
    ident: int = 1,
    fragment: int = 0,
    more: bool = False,
    total: int | None = None,
    options: bytes = b"",
) -> bytes:
    """`fragment`: offset in bytes; `total`: a total length that lies."""
    if not (fragment or more):
        payload = with_checksum(src, dst, proto, payload)
    words = 5 + len(options) // 4
    length = 4 * words + len(payload) if total is None else total
    offset = (fragment // 8) | (0x2000 if more else 0)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, length, ident, offset, 64, proto, 0)
    head += IPv4Address(src).packed + IPv4Address(dst).packed + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(src: str, dst: str, proto: int, payload: bytes, length: int | None = None) -> bytes:
    payload = with_checksum(src, dst, proto, payload)
    size = len(payload) if length is None else length
    return struct.pack(">IHBB", 6 << 28, size, proto, 64) + ip_address(src).packed + ip_address(dst).packed + payload


def frame(src: str, dst: str, proto: int, payload: bytes, vlans: Sequence[int] = (), ident: int = 1) -> bytes:
    """An Ethernet frame of whichever IP version the addresses are."""
    if ":" in src:
        return ethernet(ipv6(src, dst, proto, payload), 0x86DD, vlans)
    return ethernet(ipv4(src, dst, proto, payload, ident), 0x0800, vlans)


def flag_bits(text: str) -> int:
    return sum(FLAGS[letter] for letter in text)


def tcp_header(sport: int, dport: int, flags: str, seq: int = 0, ack: int = 0, data: int = 0) -> bytes:
    numbers = struct.pack(">HHII", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF)
    return numbers + struct.pack(">BBHHH", 0x50, flag_bits(flags), 8192, 0, 0) + bytes(data)


def udp_header(sport: int, dport: int, data: int = 0) -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + data, 0) + bytes(data)


def icmp_message(kind: int, code: int = 0, ident: int = 0, data: bytes = b"") -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, ident, 0) + data


def udp(time: float, src: str, sport: int, dst: str, dport: int, data: int = 0, vlans: Sequence[int] = ()) -> Frame:
    return time, frame(src, dst, UDP, udp_header(sport, dport, data), vlans)


def icmp(time: float, src: str, dst: str, kind: int, code: int = 0, ident: int = 0, data: bytes = b"") -> Frame:
    return time, frame(src, dst, ICMPV6 if ":" in src else ICMP, icmp_message(kind, code, ident, data))


@dataclass(frozen=True)
class Talk:
    """Two TCP endpoints; `out` makes the frames of the first, `back` those of the second."""

    src: str = A
    sport: int = 40000
    dst: str = B
    dport: int = 80
    vlans: tuple[int, ...] = ()

    def out(self, time: float, flags: str, seq: int = 0, ack: int = 0, data: int = 0) -> Frame:
        header = tcp_header(self.sport, self.dport, flags, seq, ack, data)
        return time, frame(self.src, self.dst, TCP, header, self.vlans)

    def back(self, time: float, flags: str, seq: int = 0, ack: int = 0, data: int = 0) -> Frame:
        header = tcp_header(self.dport, self.sport, flags, seq, ack, data)
        return time, frame(self.dst, self.src, TCP, header, self.vlans)

    def handshake(self, time: float = 0.0, isn: int = 100, peer_isn: int = 500) -> list[Frame]:
        return [
            self.out(time, "S", isn),
            self.back(time + 0.01, "SA", peer_isn, isn + 1),
            self.out(time + 0.02, "A", isn + 1, peer_isn + 1),
        ]

    def whole(
        self, time: float = 0.0, isn: int = 100, peer_isn: int = 500, ask: int = 10, answer: int = 20
    ) -> list[Frame]:
        """Handshake, a question, an answer, FINs both ways and the last ACK."""
        a, b = isn + 1, peer_isn + 1
        return [
            *self.handshake(time, isn, peer_isn),
            self.out(time + 0.03, "PA", a, b, ask),
            self.back(time + 0.04, "PA", b, a + ask, answer),
            self.out(time + 0.05, "FA", a + ask, b + answer),
            self.back(time + 0.06, "FA", b + answer, a + ask + 1),
            self.out(time + 0.07, "A", a + ask + 1, b + answer + 1),
        ]


def chunk(
    frames: Iterable[Frame],
    linktype: int = LinkType.ETHERNET,
    snaplen: int | None = None,
    wire: bool = True,
) -> Packets:
    """Frames as the meter takes them. snaplen: capture no more of each; wire: whether wire lengths are known."""
    listed = list(frames)
    captured = [data if snaplen is None else data[:snaplen] for _, data in listed]
    lengths = np.array([len(data) for data in captured], np.int64)
    wires = np.array([len(data) if wire else UNKNOWN_LENGTH for _, data in listed], np.int64)
    times = np.array([EPOCH * MICROSECONDS + round(time * MICROSECONDS) for time, _ in listed], np.int64)
    buffer = np.frombuffer(b"".join(captured) or b"\0", np.uint8)
    return Packets(
        buffer, np.cumsum(lengths) - lengths, lengths, wires, times, np.full(len(listed), linktype, np.int64)
    )


def records(meter: Meter, packets: Packets, finish: bool = True) -> npt.NDArray[np.void]:
    """All records that the meter emits for a chunk, interim ones included."""
    arrays = list(meter.feed(packets))
    if finish:
        arrays.extend(meter.finish())
    return np.concatenate(arrays) if arrays else np.zeros(0, [("end_reason", "u1")])


def sessions(frames: Iterable[Frame], config: MeterConfig | None = None, **how: int | bool) -> list[Row]:
    """The sessions of some frames in order of their start: last records, as plain values, absent ones None."""
    array = records(Meter(config), chunk(frames, **how))  # type: ignore[arg-type]
    return as_rows(array[array["end_reason"] != EndReason.OPEN])


def as_rows(array: npt.NDArray[np.void]) -> list[Row]:
    """Records as dictionaries: addresses and names as text, the history decoded, absent fields None."""
    rows = []
    for record in np.sort(array, order="start_time", kind="stable") if len(array) else array:
        row: Row = {}
        for name in record.dtype.names:
            field, value = BY_NAME[name], record[name].item()
            if field.nullable and int(record["absent"]) >> field.id & 1:
                row[name] = None
            elif field.kind is Kind.ADDRESS:
                row[name] = address_text(value)
            elif field.kind is Kind.NAME:
                row[name] = name_text(field, value)
            else:
                row[name] = value.decode() if field.kind is Kind.TEXT else value
        rows.append(row)
    return rows


def pcap_bytes(frames: Iterable[Frame], order: str = "<", nanoseconds: bool = False, linktype: int = 1) -> bytes:
    """A pcap file."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, linktype)]
    for time, data in frames:
        fraction = round(time * MICROSECONDS) % MICROSECONDS * (1000 if nanoseconds else 1)
        out.append(struct.pack(order + "IIII", EPOCH + int(time // 1), fraction, len(data), len(data)) + data)
    return b"".join(out)


def pcapng_block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def pcapng_section(order: str = "<") -> bytes:
    return pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def pcapng_interface(order: str = "<", linktype: int = 1, options: bytes = b"", snaplen: int = 0) -> bytes:
    return pcapng_block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def pcapng_packet(data: bytes, stamp: int, order: str = "<", interface: int = 0) -> bytes:
    """An enhanced packet block; `stamp` in the interface's units."""
    head = struct.pack(order + "IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data))
    return pcapng_block(6, head + data, order)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
