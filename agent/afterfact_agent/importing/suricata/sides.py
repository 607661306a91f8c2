"""What the two sides of Suricata's flows sent, and what follows: who called, state, outcome, by docs/metering.md."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing import evidence
from afterfact_agent.importing.cells.table import UNSET
from afterfact_agent.importing.filling import Bools, is_ipv4
from afterfact_protocol.session import DirectionBy, Outcome, Proto, State
from afterfact_protocol.session import TcpFlag as Flag

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]
Addresses = NDArray[np.void]

NO_FLAGS = -1
_HEADERS = 14 + 2 * 4 + 60
"""The most bytes that the headers of Ethernet, with two VLAN tags, and of TCP, with all options, have."""
_SIDED = ("ip", "port", "pkts", "bytes", "flags")


@dataclass(slots=True, eq=False)
class Sides:
    """Columns; UNSET for numbers that are not known, NO_FLAGS where Suricata did not follow a TCP session."""

    proto: Numbers
    src_ip: Addresses
    dst_ip: Addresses
    src_port: Numbers
    dst_port: Numbers
    src_pkts: Numbers
    dst_pkts: Numbers
    src_bytes: Numbers
    """Of whole frames."""
    dst_bytes: Numbers
    src_flags: Numbers
    dst_flags: Numbers
    icmp_type: Numbers

    def direct(self) -> Codes:
        """Put the caller on the source side; why it is taken for that. Suricata takes who sent the first packet, unless
        a handshake says otherwise; where none was seen, ports are better evidence."""
        tcp = self._tcp
        src, dst = self._octets()
        syn = tcp & evidence.has(src, Flag.SYN)
        syn_ack = tcp & evidence.has(dst, Flag.SYN) & evidence.has(dst, Flag.ACK)
        told, back = evidence.called_by_port(np.maximum(self.src_port, 0), np.maximum(self.dst_port, 0), self.dst_ip)
        ported = (self.src_port > 0) & (self.dst_port > 0)
        guessed = (
            ((tcp & ~syn & ~syn_ack) | np.isin(self.proto, (Proto.UDP, Proto.SCTP, Proto.UDPLITE))) & ported & told
        )
        self._flip(guessed & back)
        chosen = np.select(
            [syn, syn_ack, guessed, self.asks],
            [np.uint8(by) for by in (DirectionBy.SYN, DirectionBy.SYNACK, DirectionBy.PORT, DirectionBy.REQUEST)],
            np.uint8(DirectionBy.FIRST),
        )
        return np.asarray(chosen, np.uint8)

    def _flip(self, which: Bools) -> None:
        if not which.any():
            return
        for name in _SIDED:
            src, dst = getattr(self, f"src_{name}"), getattr(self, f"dst_{name}")
            setattr(self, f"src_{name}", np.where(which, dst, src))
            setattr(self, f"dst_{name}", np.where(which, src, dst))

    @property
    def _tcp(self) -> Bools:
        return np.asarray(self.proto == Proto.TCP)

    @property
    def _counted(self) -> Bools:
        return np.asarray((self.src_pkts != UNSET) & (self.dst_pkts != UNSET))

    @property
    def _flagged(self) -> Bools:
        """TCP of which the flags of both sides are known."""
        return np.asarray(self._tcp & (self.src_flags != NO_FLAGS) & (self.dst_flags != NO_FLAGS) & self._counted)

    @property
    def midstream(self) -> Bools:
        """TCP of which no SYN was seen."""
        src, dst = self._octets()
        return np.asarray(self._flagged & ~evidence.has(src | dst, Flag.SYN))

    @property
    def asks(self) -> Bools:
        """ICMP whose first packet asks."""
        four, six = self.proto == Proto.ICMP, self.proto == Proto.ICMPV6
        requests = evidence.REQUESTS
        return np.asarray((four & np.isin(self.icmp_type, requests[1])) | (six & np.isin(self.icmp_type, requests[58])))

    def _octets(self) -> tuple[Codes, Codes]:
        return np.maximum(self.src_flags, 0).astype(np.uint8), np.maximum(self.dst_flags, 0).astype(np.uint8)

    def _oversized(self, side: str) -> Bools:
        """A side sent more than headers can be."""
        pkts, size = getattr(self, f"{side}_pkts"), getattr(self, f"{side}_bytes")
        return np.asarray(size > pkts * (_HEADERS + np.where(is_ipv4(self.src_ip), 20, 40)))

    def state(self) -> tuple[Codes, Bools]:
        """States, and where they can be told: not of TCP that Suricata did not follow, or that both sides reset."""
        src, dst = self._octets()
        of_flags = evidence.tcp_state(src, dst, self.src_pkts, self.dst_pkts)
        both_reset = evidence.has(src, Flag.RST) & evidence.has(dst, Flag.RST) & (of_flags != State.SF)
        pairs = (self.proto == Proto.UDP) | self.asks
        of_pair = np.where(pairs, evidence.pair_state(self.src_pkts, self.dst_pkts), np.uint8(State.OTH))
        known = np.where(self._tcp, self._flagged & ~both_reset, self._counted | ~pairs)
        return np.where(self._tcp, of_flags, of_pair).astype(np.uint8), np.asarray(known)

    def outcome(self) -> Codes:
        """TCP's payload is told by PSH or by more bytes than headers can be; what is not TCP is taken to carry some."""
        src, dst = self._octets()
        unknown = np.uint8(Outcome.UNKNOWN)
        large = self._oversized("src"), self._oversized("dst")
        pushed = evidence.has(src, Flag.PSH), evidence.has(dst, Flag.PSH)
        data = evidence.by_data(pushed[0] | large[0], pushed[1] | large[1])
        of_flags = evidence.tcp_outcome(src, dst, self.src_pkts, self.dst_pkts, data)
        unfollowed = np.where(large[0] & large[1], np.uint8(Outcome.BOTH_WAYS), unknown)
        of_tcp = np.where(self._flagged, of_flags, unfollowed)
        spoke = evidence.by_data(self.src_pkts > 0, self.dst_pkts > 0)
        both = (self.src_pkts > 0) & (self.dst_pkts > 0)
        pairs = (self.proto == Proto.UDP) | self.asks
        of_pair = np.where(pairs | both, evidence.pair_outcome(self.src_pkts, self.dst_pkts, spoke), unknown)
        return np.where(self._counted, np.where(self._tcp, of_tcp, of_pair), unknown).astype(np.uint8)
