"""The site of the case, its two taps, and what passes them.

Owns where hosts are, which tap sees which path, when a packet passes a tap, and the count of what was made.
It knows nothing of the transport protocols' behaviour (tcp.py, datagram.py) nor of the story (make.py).
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_INET6, inet_pton

from scapy.layers.inet import IP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet
from scapy.utils import RawPcapWriter
from scapy.utils6 import in6_getnsmac

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
LINKTYPE_ETHERNET = 1
ETHERTYPE_IP, ETHERTYPE_ARP, ETHERTYPE_VLAN, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
SHORTEST_FRAME = 60
"""Bytes; senders pad shorter Ethernet frames. Meters must not count the padding."""
LARGEST_PACKET = 1500
FULL_FRAME_TIME = 123_000
"""Nanoseconds that a full frame takes at 100 Mbit/s."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What tells one operating system's packets of 2004 from another's."""

    ttl: int
    window: int
    growing_window: bool
    """Linux opens its window as data comes in."""
    timestamps: bool
    ticks_per_second: int
    delayed_ack_ms: int
    initial_rto_ms: int
    ephemeral: tuple[int, int]


WINDOWS = Stack(128, 64240, False, False, 10, 180, 3000, (1100, 5000))
LINUX = Stack(64, 5840, True, True, 100, 40, 3000, (32768, 61000))
BSD = Stack(64, 65535, False, True, 100, 100, 3000, (49152, 65535))


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the site a host is: per tap the side it is on, routers between, and one-way time in microseconds."""

    vlan: int | None
    border: tuple[str, int, int]
    inside: tuple[str, int, int]


# offices, lab, management -- [inside tap] -- firewall -- router -- [border tap] -- internet
#                                                |-- dmz, servers
PLACES = {
    "office-20": Place(20, ("in", 2, 450), ("in", 0, 100)),
    "office-30": Place(30, ("in", 2, 460), ("in", 0, 110)),
    "lab": Place(40, ("in", 2, 440), ("in", 0, 90)),
    "management": Place(None, ("in", 2, 440), ("in", 0, 90)),
    "firewall": Place(None, ("in", 1, 150), ("out", 0, 40)),
    "servers": Place(None, ("in", 2, 300), ("out", 1, 130)),
    "dmz": Place(None, ("in", 2, 260), ("out", 1, 150)),
    "router": Place(None, ("in", 0, 30), ("out", 1, 200)),
    "internet": Place(None, ("out", 0, 20), ("out", 2, 380)),
}


@dataclass(frozen=True, slots=True)
class Host:
    """An address at a place."""

    ip: str
    place: str
    stack: Stack = WINDOWS
    hops: int = 0
    """Routers between it and the border tap, for hosts in the internet."""
    rtt_ms: float = 0.0
    """To the border tap and back, for hosts in the internet."""
    ethernet: str = ""
    """Its Ethernet address where it matters; others have one that follows from `ip`."""

    def mac(self) -> str:
        """Its Ethernet address, the same on every run."""
        if self.ip.startswith("ff02:"):
            return in6_getnsmac(inet_pton(AF_INET6, self.ip))
        return self.ethernet or "00:0d:56:" + hashlib.sha256(self.ip.encode()).digest()[:3].hex(":")


@dataclass(slots=True)
class Tap:
    """One capture point: its frames so far, and the resolution of its clock."""

    sensor: str
    nanoseconds: bool
    inner_mac: str | None
    """The next router on the inner side; None where the hosts themselves are on the link."""
    outer_mac: str
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    errors: int = 0
    not_ip: int = 0

    def side(self, host: Host) -> tuple[str, int, int]:
        """Side of the tap the host is on, routers between, one-way time in nanoseconds."""
        side, hops, microseconds = getattr(PLACES[host.place], self.sensor)
        return side, hops + host.hops, microseconds * 1000 + int(host.rtt_ms * MILLISECOND / 2)

    def add(self, at: int, sender: Host, receiver: Host, layer: Packet) -> None:
        """Captures a packet at a time, in nanoseconds, as it looks on this tap's link."""
        inner = sender if self.side(sender)[0] == "in" else receiver
        macs = {True: self.inner_mac or inner.mac(), False: self.outer_mac}
        target = receiver.mac() if receiver.ip.startswith("ff02:") else macs[inner is receiver]
        kind = ETHERTYPE_IP if IP in layer else ETHERTYPE_IPV6
        self._capture(at, Ether(src=macs[inner is sender], dst=target), PLACES[inner.place].vlan, kind, bytes(layer))

    def arp(self, at: int, asker: Host, owner: Host) -> None:
        """ARP request and reply on the tap's own link; the router on its outer side is the owner."""
        request = ARP(op=1, hwsrc=asker.mac(), psrc=asker.ip, hwdst="00:00:00:00:00:00", pdst=owner.ip)
        reply = ARP(op=2, hwsrc=self.outer_mac, psrc=owner.ip, hwdst=asker.mac(), pdst=asker.ip)
        for delay, target, message in ((0, "ff:ff:ff:ff:ff:ff", request), (210_000, asker.mac(), reply)):
            frame = Ether(src=message.hwsrc, dst=target)
            self._capture(at + delay, frame, PLACES[asker.place].vlan, ETHERTYPE_ARP, bytes(message))
            self.not_ip += 1

    def _capture(self, at: int, frame: Ether, vlan: int | None, kind: int, data: bytes) -> None:
        """Puts link headers before a packet: the inside tap is on a trunk and sees VLAN tags."""
        frame.type = kind if vlan is None or self.inner_mac else ETHERTYPE_VLAN
        tag = bytes(Dot1Q(vlan=vlan, type=kind)) if frame.type == ETHERTYPE_VLAN else b""
        self.frames.append((self.clock(at), (bytes(frame) + tag + data).ljust(SHORTEST_FRAME, b"\0")))

    def clock(self, at: int) -> int:
        """The time as this tap's capture file can hold it, in nanoseconds."""
        return at if self.nanoseconds else at - at % 1000

    def write(self, path: Path) -> None:
        """Writes the frames, in order of time, as a pcap file."""
        with RawPcapWriter(str(path), linktype=LINKTYPE_ETHERNET, endianness="<", nano=self.nanoseconds) as writer:
            writer.write_header(None)
            for at, data in sorted(self.frames):
                seconds, rest = divmod(at, SECOND)
                writer.write_packet(data, sec=seconds, usec=rest if self.nanoseconds else rest // 1000)


@dataclass(slots=True)
class Tally:
    """What one tap saw of one conversation; pairs are (from src, from dst)."""

    pkts: list[int] = field(default_factory=lambda: [0, 0])
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    ip_bytes: list[int] = field(default_factory=lambda: [0, 0])
    retrans_bytes: list[int] = field(default_factory=lambda: [0, 0])
    flags: list[int] = field(default_factory=lambda: [0, 0])
    times: list[int] = field(default_factory=list)
    errors: list[tuple[int, str, int, int]] = field(default_factory=list)
    """ICMP errors that quote it: time, reporter, type, code."""


class Network:
    """The taps, and every conversation between hosts."""

    def __init__(self) -> None:
        self.taps = (
            Tap("border", False, "00:0b:5f:3a:10:01", "00:05:85:c7:22:40"),
            Tap("inside", True, None, "00:10:db:4e:08:11"),
        )
        self.conversations: list[Conversation] = []
        self._endpoints: set[tuple[object, ...]] = set()
        self._ports: dict[str, int] = {}

    def path(self, sender: Host, receiver: Host) -> list[Tap]:
        """The taps between two hosts, in the order in which a packet passes them."""
        taps = [tap for tap in self.taps if tap.side(sender)[0] != tap.side(receiver)[0]]
        if not taps:
            raise ValueError(f"no tap is between {sender.ip} and {receiver.ip}")
        return sorted(taps, key=lambda tap: tap.side(sender)[2])

    def one_way(self, sender: Host, receiver: Host) -> int:
        """How long a packet takes between two hosts, in nanoseconds."""
        tap = self.path(sender, receiver)[0]
        return tap.side(sender)[2] + tap.side(receiver)[2]

    def port(self, host: Host) -> int:
        """The host's next ephemeral port: as its system counts them, with gaps for what the taps do not see."""
        low, high = host.stack.ephemeral
        last = self._ports.get(host.ip, low + random.Random(host.ip).randrange((high - low) // 2))
        self._ports[host.ip] = low + (last + 1 + random.Random(f"{host.ip} {last}").randrange(7) - low) % (high - low)
        return self._ports[host.ip]

    def claim(self, conversation: "Conversation") -> None:
        """Keeps a conversation. No two share endpoints, so that cutting one in two cannot go unnoticed."""
        hosts, ports = conversation.hosts, conversation.ports
        ends = frozenset((host.ip, port) for host, port in zip(hosts, ports, strict=True))
        key = (conversation.proto, ends, conversation.icmp)
        if key in self._endpoints:
            raise ValueError(f"{conversation.what}: these endpoints are already in use: {key}")
        self._endpoints.add(key)
        self.conversations.append(conversation)


def set_ttl(packet: Packet, ttl: int) -> None:
    """Sets the TTL or hop limit of an IP packet; its checksum is computed anew when it is built."""
    if IP in packet:
        packet.ttl = ttl
        del packet.chksum
    else:
        packet.hlim = ttl


class Conversation:
    """A session between two hosts: src is hosts[0], who began it; `side` 0 is src and 1 is dst throughout."""

    proto = 0

    def __init__(
        self,
        network: Network,
        what: str,
        src: Host,
        dst: Host,
        start: int,
        ports: tuple[int | None, int | None] = (None, None),
        icmp: tuple[int, int, int | None] | None = None,
    ) -> None:
        self.network, self.what, self.hosts, self.ports, self.icmp = network, what, (src, dst), ports, icmp
        self.rng = random.Random(f"{what} {src.ip} {dst.ip} {ports} {icmp} {start}")
        self.clock = [start, start]
        """When each side is free to send next, in nanoseconds."""
        self.tallies: dict[str, Tally] = {}
        self.syn_retries = 0
        self.sent: Packet | None = None
        """The packet sent last, for ICMP errors to quote."""
        self._ip_id = [self.rng.getrandbits(16), self.rng.getrandbits(16)]
        self._flow_label = [self.rng.getrandbits(20), self.rng.getrandbits(20)]
        self._latest: dict[tuple[int, str], int] = {}
        network.claim(self)

    def datagram(self, side: int, layer: Packet, ttl: int) -> Packet:
        """The IP packet in which one side sends a transport message."""
        src, dst = self.hosts[side].ip, self.hosts[1 - side].ip
        if ":" in src:
            return IPv6(src=src, dst=dst, hlim=ttl, fl=self._flow_label[side]) / layer
        step = self.rng.randrange(1, 5) if self.hosts[side].stack is WINDOWS else 1  # Windows counts for all it sends
        self._ip_id[side] = (self._ip_id[side] + step) % 65536
        return IP(src=src, dst=dst, ttl=ttl, id=self._ip_id[side], flags="DF" if self.proto == 6 else 0) / layer

    def carry(
        self,
        side: int,
        packet: Packet,
        at: int,
        payload: int,
        *,
        flags: int = 0,
        again: bool = False,
        lost: bool = False,
    ) -> int:
        """Sends a packet past the taps on its way; returns when it arrives, in nanoseconds.

        `payload` is its transport payload in bytes, `again` marks a retransmission, `lost` one lost beyond the taps.
        """
        sender, receiver = self.hosts[side], self.hosts[1 - side]
        self.sent = packet
        ttl = packet.ttl if IP in packet else packet.hlim
        walked = 0
        length = len(packet)
        pieces = [(packet, length)]
        if length > LARGEST_PACKET:
            pieces = [(piece, len(piece)) for piece in fragment(packet, fragsize=1480)]  # type: ignore[no-untyped-call]
        for tap in self.network.path(sender, receiver):
            _, hops, delay = tap.side(sender)
            if ttl <= hops:
                return at  # a traceroute's probe that ended before this tap
            at, walked = self._pass(side, tap.sensor, at + delay - walked, delay - walked, length), delay
            tally = self.tallies.setdefault(tap.sensor, Tally())
            for number, (piece, piece_length) in enumerate(pieces):
                set_ttl(piece, ttl - hops)
                moment = at + number * FULL_FRAME_TIME
                tap.add(moment, sender, receiver, piece)
                tally.times.append(tap.clock(moment))
                tally.pkts[side] += 1
                tally.ip_bytes[side] += piece_length
            tally.bytes[side] += payload
            tally.retrans_bytes[side] += payload * again
            tally.flags[side] |= flags
            last = tap
        rest = last.side(receiver)[2]
        return (
            self._pass(side, "end" if not lost else "lost", at + rest, rest, length)
            + (len(pieces) - 1) * FULL_FRAME_TIME
        )

    def _pass(self, side: int, point: str, at: int, stretch: int, length: int) -> int:
        """Adds jitter, and keeps packets in order and as far apart as 100 Mbit/s needs."""
        at += int(stretch * 0.04 * self.rng.random()) + self.rng.randrange(20_000)
        earliest = self._latest.get((side, point), 0) + max(length, SHORTEST_FRAME) * 80
        self._latest[side, point] = at = max(at, earliest)
        return at

    def error(self, reporter: Host, at: int, layer: Packet, ttl: int, quote_all: bool = False) -> None:
        """An ICMP error to src that quotes its last packet, as it arrived at the reporter with that TTL.

        It counts with this session and is none of its own. Routers quote the IP header and 8 bytes, IPv6 all.
        """
        src = self.hosts[0]
        assert self.sent is not None
        quoted = self.sent.copy()
        set_ttl(quoted, ttl)
        quote = bytes(quoted) if quote_all else bytes(quoted)[:28]
        for tap in self.network.path(reporter, src):
            _, hops, delay = tap.side(reporter)
            head: Packet
            if ":" in src.ip:
                head = IPv6(src=reporter.ip, dst=src.ip, hlim=64 - hops)
            else:
                head = IP(src=reporter.ip, dst=src.ip, ttl=255 - hops, id=self.rng.getrandbits(16), tos=0xC0)
            moment = at + delay + self.rng.randrange(20_000)
            tap.add(moment, reporter, src, head / layer / quote)
            tap.errors += 1
            self.tallies.setdefault(tap.sensor, Tally()).errors.append((moment, reporter.ip, layer.type, layer.code))

    def outcome(self, tally: Tally) -> str:
        """What came of it, in the schema's words; TCP knows better."""
        if tally.pkts[1]:
            return "both_ways"
        return self.failure(tally)

    def failure(self, tally: Tally) -> str:
        """Why nobody answered."""
        port_closed = {(3, 3), (1, 4)}  # ICMP and ICMPv6 port unreachable, said by the host itself
        if any((kind, code) in port_closed and who == self.hosts[1].ip for _, who, kind, code in tally.errors):
            return "refused"
        return "unreachable" if tally.errors else "attempted"

    def sessions(self) -> Iterator[dict[str, object]]:
        """One row per tap that saw it, under the names of the session schema; times in microseconds since 1970."""
        for tap in self.network.taps:
            tally = self.tallies.get(tap.sensor)
            if tally is None or not any(tally.pkts):
                continue
            inner = next(host for host in self.hosts if tap.side(host)[0] == "in")
            errors = sorted(tally.errors)
            yield {
                "sensor": tap.sensor,
                "what": self.what,
                "proto": self.proto,
                "src_ip": self.hosts[0].ip,
                "src_port": self.ports[0],
                "dst_ip": self.hosts[1].ip,
                "dst_port": self.ports[1],
                "start_time": min(tally.times) // 1000,
                "end_time": max(tally.times) // 1000,
                "outcome": self.outcome(tally),
                "vlan": PLACES[inner.place].vlan if tap.inner_mac is None else None,
                **dict(zip(("icmp_type", "icmp_code", "icmp_id"), self.icmp or (None, None, None), strict=True)),
                "src_pkts": tally.pkts[0],
                "dst_pkts": tally.pkts[1],
                "src_bytes": tally.bytes[0],
                "dst_bytes": tally.bytes[1],
                "src_ip_bytes": tally.ip_bytes[0],
                "dst_ip_bytes": tally.ip_bytes[1],
                "src_retrans_bytes": tally.retrans_bytes[0] if self.proto == 6 else None,
                "dst_retrans_bytes": tally.retrans_bytes[1] if self.proto == 6 else None,
                "src_flags": tally.flags[0] if self.proto == 6 else None,
                "dst_flags": tally.flags[1] if self.proto == 6 else None,
                "syn_retries": self.syn_retries if self.proto == 6 else None,
                "error_count": len(errors),
                "error_ip": errors[0][1] if errors else None,
                "error_type": errors[0][2] if errors else None,
                "error_code": errors[0][3] if errors else None,
            }
