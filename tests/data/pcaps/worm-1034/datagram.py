"""Conversations over UDP, ICMP and ICMPv6, and the ICMP errors that answer some of them.

Owns who asks and who answers, and after how long; where packets go and who counts them is network.py's.
"""

from network import MILLISECOND, SECOND, Conversation, Host, Network
from scapy.layers.inet import ICMP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
)
from scapy.packet import Packet, Raw

ASKER, ANSWERER = 0, 1


class Udp(Conversation):
    """Datagrams between two ports."""

    proto = 17

    def __init__(
        self, network: Network, what: str, src: Host, src_port: int, dst: Host, dst_port: int, start: int
    ) -> None:
        super().__init__(network, what, src, dst, start, (src_port, dst_port))

    def send(self, side: int, data: bytes, after_ms: float = 0.0) -> None:
        """One datagram; in IPv4 fragments if it is larger than Ethernet's 1500 bytes."""
        at = self.clock[side] + int(after_ms * MILLISECOND * (0.9 + 0.2 * self.rng.random()))
        packet = self.datagram(side, self._udp(side, data), self.hosts[side].stack.ttl)
        arrival = self.carry(side, packet, at, len(data))
        self.clock = [at, arrival] if side == ASKER else [arrival, at]

    def port_closed(self, data: bytes) -> None:
        """A datagram that its receiver answers with port unreachable."""
        at = self.clock[ASKER]
        closed = self.hosts[ANSWERER]
        packet = self.datagram(ASKER, self._udp(ASKER, data), self.hosts[ASKER].stack.ttl)
        arrival = self.carry(ASKER, packet, at, len(data))
        ttl = self.hosts[ASKER].stack.ttl - 1
        if ":" in closed.ip:
            self.error(closed, arrival + 70_000, ICMPv6DestUnreach(code=4), ttl, quote_all=True)
        else:
            self.error(closed, arrival + 70_000, ICMP(type=3, code=3), ttl)

    def _udp(self, side: int, data: bytes) -> Packet:
        return UDP(sport=self.ports[side], dport=self.ports[1 - side]) / Raw(data)


class Ping(Conversation):
    """Echo requests under one identifier, and their replies."""

    def __init__(self, network: Network, what: str, src: Host, dst: Host, start: int, ident: int) -> None:
        self.proto = 58 if ":" in src.ip else 1
        super().__init__(network, what, src, dst, start, icmp=(128 if self.proto == 58 else 8, 0, ident))
        self._data = bytes(range(0x61, 0x78)) + bytes(range(0x61, 0x6A)) if src.stack.ttl == 128 else bytes(range(56))
        self._ident = ident

    def echo(self, count: int, answered: bool = True) -> None:
        """`count` requests a second apart."""
        begin = self.clock[ASKER]
        for number in range(count):
            at = begin + number * SECOND + self.rng.randrange(2 * MILLISECOND)
            arrival = self._message(ASKER, number + 1, at, self.hosts[ASKER].stack.ttl)
            if answered:
                self._message(ANSWERER, number + 1, arrival + 50_000, self.hosts[ANSWERER].stack.ttl)

    def trace(self, routers: list[Host], probes: int = 3) -> None:
        """Windows' tracert: echo requests with a growing TTL, answered by each router's time exceeded in turn."""
        at, number = self.clock[ASKER], 0
        for ttl in range(1, len(routers) + 2):
            for _ in range(probes):
                number += 1
                expires = ttl <= len(routers)
                arrival = self._message(ASKER, number, at, ttl, lost=expires)
                if expires:
                    router = routers[ttl - 1]
                    self.error(router, at + self.network.one_way(self.hosts[ASKER], router), ICMP(type=11, code=0), 1)
                else:
                    self._message(ANSWERER, number, arrival + 50_000, self.hosts[ANSWERER].stack.ttl)
                at += 30 * MILLISECOND + self.rng.randrange(9 * MILLISECOND)
            at += SECOND

    def _message(self, side: int, number: int, at: int, ttl: int, lost: bool = False) -> int:
        return self.carry(side, self.datagram(side, self._icmp(side, number), ttl), at, len(self._data), lost=lost)

    def _icmp(self, side: int, number: int) -> Packet:
        if self.proto == 58:
            kind = ICMPv6EchoRequest if side == ASKER else ICMPv6EchoReply
            return kind(id=self._ident, seq=number, data=self._data)
        return ICMP(type=8 if side == ASKER else 0, id=self._ident, seq=number) / Raw(self._data)


class Neighbour(Conversation):
    """IPv6 neighbour discovery: a solicitation, and the advertisement that answers it."""

    proto = 58

    def __init__(self, network: Network, what: str, src: Host, dst: Host, start: int) -> None:
        super().__init__(network, what, src, dst, start, icmp=(135, 0, None))

    def probe(self) -> None:
        """Is the neighbour still there? Asked of its own address, so that the two make a pair."""
        asker, neighbour = self.hosts
        ask = ICMPv6ND_NS(tgt=neighbour.ip) / ICMPv6NDOptSrcLLAddr(lladdr=asker.mac())
        arrival = self.carry(ASKER, self.datagram(ASKER, ask, 255), self.clock[ASKER], 24)
        answer = ICMPv6ND_NA(tgt=neighbour.ip, R=1, S=1, O=0) / ICMPv6NDOptDstLLAddr(lladdr=neighbour.mac())
        self.carry(ANSWERER, self.datagram(ANSWERER, answer, 255), arrival + 90_000, 24)

    def duplicate_address(self, tentative: str) -> None:
        """Duplicate address detection: from no address to the solicited-node group; silence is the good answer."""
        self.carry(ASKER, self.datagram(ASKER, ICMPv6ND_NS(tgt=tentative), 255), self.clock[ASKER], 16)
