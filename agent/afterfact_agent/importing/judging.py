"""Outcome and state of sessions, from what other meters tell of them: flags, packets and bytes of each side.

The rules are those of docs/metering.md; where the evidence is missing, the outcome is unknown. All arguments and
results are columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.session import Outcome, State, TcpFlag

from .filling import Bools

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]
FIN, SYN, RST, ACK = TcpFlag.FIN, TcpFlag.SYN, TcpFlag.RST, TcpFlag.ACK

ICMP_REQUESTS = (8, 10, 13, 15, 17)
ICMPV6_REQUESTS = (128, 130, 133, 135, 139, 144)
"""ICMP types that ask for an answer."""
NO_STATE = 255
"""Where nothing tells the state."""


def carried(src_data: Bools, dst_data: Bools) -> Codes:
    """The outcome of open sessions, by who sent payload."""
    one = np.where(src_data | dst_data, Outcome.ONE_WAY, Outcome.OPENED)
    return np.where(src_data & dst_data, Outcome.BOTH_WAYS, one).astype(np.uint8)


def others(asked: Bools, answered: Bools, src_data: Bools, dst_data: Bools, awaits: Bools) -> Codes:
    """The outcome of sessions that are not TCP. awaits: what src sent is a request, to which an answer is due."""
    alone = np.where(asked & awaits, Outcome.ATTEMPTED, Outcome.UNKNOWN)
    return np.where(asked & answered, carried(src_data, dst_data), alone).astype(np.uint8)


def tcp_by_counts(src_pkts: Numbers, dst_pkts: Numbers, src_data: Bools, dst_data: Bools) -> Codes:
    """The outcome of TCP sessions whose flags nobody noted. Without payload, an open session cannot be told from a
    refused one."""
    asked, answered = src_pkts > 0, dst_pkts > 0
    outcome = np.full(len(src_pkts), Outcome.UNKNOWN, np.uint8)
    outcome[asked & ~answered & ~src_data] = Outcome.ATTEMPTED
    spoke = asked & answered & (src_data | dst_data)
    return np.where(spoke, carried(src_data, dst_data), outcome)


@dataclass(frozen=True, slots=True, eq=False)
class TcpFlags:
    """TCP sessions by the flags that each side sent, OR-ed."""

    src: Numbers
    dst: Numbers
    src_pkts: Numbers
    dst_pkts: Numbers

    @property
    def opened(self) -> Bools:
        """A SYN-ACK came back, or both sides acknowledged."""
        return np.asarray(((self.dst & (SYN | ACK)) == (SYN | ACK)) | ((self.src & self.dst & ACK) > 0))

    @property
    def refused(self) -> Bools:
        """A reset answered what acknowledges nothing."""
        reset = ((self.dst & RST) > 0) & ((self.dst & FIN) == 0)
        return np.asarray(~self.opened & reset & ((self.src & ACK) == 0) & (self.src_pkts > 0))

    @property
    def attempted(self) -> Bools:
        """Nothing came back, and nothing says that it was only not seen."""
        stray_reset = ((self.src & RST) > 0) & ((self.src & SYN) == 0)
        silent = (self.dst_pkts == 0) & (self.src_pkts > 0) & ((self.src & ACK) == 0)
        return np.asarray(~self.opened & silent & ~stray_reset)

    def outcome(self, src_data: Bools, dst_data: Bools) -> Codes:
        outcome = np.full(len(self.src), Outcome.UNKNOWN, np.uint8)
        outcome[self.attempted] = Outcome.ATTEMPTED
        outcome[self.refused] = Outcome.REFUSED
        unseen = (self.src == 0) & (self.dst == 0)  # its meter kept no flags
        by_counts = tcp_by_counts(self.src_pkts, self.dst_pkts, src_data, dst_data)
        outcome = np.where(unseen, by_counts, outcome)
        return np.where(self.opened, carried(src_data, dst_data), outcome)

    def state(self) -> Codes:
        """Zeek's state as far as flags without their order tell it; else NO_STATE."""
        asked = (self.src & SYN) > 0
        src_fin, dst_fin = (self.src & FIN) > 0, (self.dst & FIN) > 0
        src_rst, dst_rst = (self.src & RST) > 0, (self.dst & RST) > 0
        opened = asked & ((self.dst & (SYN | ACK)) == (SYN | ACK))
        attempted, refused = asked & self.attempted, asked & self.refused
        cases: list[tuple[Bools, int]] = [
            (attempted & src_rst, State.RSTOS0), (attempted & src_fin, State.SH), (attempted, State.S0),
            (refused, State.REJ),
            (opened & src_fin & dst_fin, State.SF),
            (opened & src_rst & dst_rst, NO_STATE),
            (opened & src_rst, State.RSTO), (opened & dst_rst, State.RSTR),
            (opened & src_fin, State.S2), (opened & dst_fin, State.S3), (opened, State.S1),
        ]  # fmt: skip
        chosen = np.select([case for case, _ in cases], [np.uint8(state) for _, state in cases], np.uint8(NO_STATE))
        return chosen.astype(np.uint8)

    @property
    def closed(self) -> Bools:
        """Its end was seen."""
        return ((self.src & self.dst & FIN) > 0) | (((self.src | self.dst) & RST) > 0)
