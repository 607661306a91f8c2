"""What counters and OR-ed flags of a session say of it: state, outcome, and who called, by docs/metering.md.

For meters that tell no order of packets. Columns in, columns out.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.meter.config import SERVER_PORTS
from afterfact_protocol.session import Outcome, State, TcpFlag

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

IS_SERVER: NDArray[np.bool_] = np.zeros(65536, np.bool_)
IS_SERVER[list(SERVER_PORTS)] = True

REQUESTS = {1: (8, 10, 13, 15, 17), 58: (128, 130, 133, 135, 139, 144)}
"""ICMP types that ask, by protocol; each reply is another type."""


def has(flags: Bytes, flag: TcpFlag) -> Mask:
    return np.asarray((flags & np.uint8(flag)) != 0)


def tcp_state(src: Bytes, dst: Bytes, src_pkts: Numbers, dst_pkts: Numbers) -> Bytes:
    """Of sessions whose flags are all known. Order is not told: after FINs both ways, resets are no matter."""
    asked, answered = has(src, TcpFlag.SYN), has(dst, TcpFlag.SYN)
    opened = tcp_open(src, dst)
    silent, alone = dst_pkts == 0, src_pkts == 0
    src_fin, dst_fin = has(src, TcpFlag.FIN), has(dst, TcpFlag.FIN)
    src_rst, dst_rst = has(src, TcpFlag.RST), has(dst, TcpFlag.RST)
    known = asked | answered
    rules: list[tuple[Mask, State]] = [
        (~known & dst_rst & (src == 0), State.RSTRH),
        (~known & dst_rst, State.RSTR),
        (~known & silent & src_rst, State.RSTOS0),
        (~known & dst_fin & ~src_fin & ~src_rst, State.SHR),
        (~known, State.OTH),
        (alone & dst_rst, State.RSTRH),
        (alone, State.SHR),
        (asked & silent & src_rst, State.RSTOS0),
        (asked & silent & src_fin, State.SH),
        (asked & silent, State.S0),
        (asked & ~opened & dst_rst, State.REJ),
        (~answered | ~opened, State.OTH),
        (src_fin & dst_fin, State.SF),
        (src_rst, State.RSTO),
        (dst_rst, State.RSTR),
        (src_fin, State.S2),
        (dst_fin, State.S3),
    ]
    return np.select([rule for rule, _ in rules], [np.uint8(state) for _, state in rules], np.uint8(State.S1))


def tcp_open(src: Bytes, dst: Bytes) -> Mask:
    """A SYN-ACK, or ACKs both ways that are not only the reset's own."""
    only_reset = (dst & ~np.uint8(TcpFlag.ACK | TcpFlag.PSH)) == np.uint8(TcpFlag.RST)
    refused = only_reset & ~has(src, TcpFlag.ACK)
    handshake = has(dst, TcpFlag.SYN) & has(dst, TcpFlag.ACK)
    both = has(src, TcpFlag.ACK) & has(dst, TcpFlag.ACK)
    return np.asarray(handshake | (both & ~refused & ~(has(src, TcpFlag.SYN) & only_reset)))


def tcp_outcome(src: Bytes, dst: Bytes, src_pkts: Numbers, dst_pkts: Numbers, data: Bytes) -> Bytes:
    """`data` is what `by_data` says, taken where the session was open."""
    asked = has(src, TcpFlag.SYN)
    probe = ~has(src, TcpFlag.ACK) & (src_pkts > 0)
    rules: list[tuple[Mask, Bytes]] = [
        (tcp_open(src, dst), data),
        (has(dst, TcpFlag.RST) & (asked | probe), _constant(src, Outcome.REFUSED)),
        (asked & probe & (dst_pkts == 0), _constant(src, Outcome.ATTEMPTED)),
        # An acknowledgement answers what the tap did not see; a reset alone acknowledges nothing of a handshake.
        (asked & (dst_pkts == 0) & has(src, TcpFlag.RST) & (src_pkts <= 2), _constant(src, Outcome.ATTEMPTED)),
    ]
    return np.select([rule for rule, _ in rules], [value for _, value in rules], np.uint8(Outcome.UNKNOWN))


def by_data(src_data: Mask, dst_data: Mask) -> Bytes:
    """Of open sessions, by who sent payload."""
    return np.select(
        [src_data & dst_data, src_data | dst_data],
        [np.uint8(Outcome.BOTH_WAYS), np.uint8(Outcome.ONE_WAY)],
        np.uint8(Outcome.OPENED),
    )


def pair_state(src_pkts: Numbers, dst_pkts: Numbers) -> Bytes:
    """Of protocols without states: asked, answered, answer only."""
    return np.select(
        [(src_pkts > 0) & (dst_pkts > 0), src_pkts > 0],
        [np.uint8(State.SF), np.uint8(State.S0)],
        np.uint8(State.SHR),
    )


def pair_outcome(src_pkts: Numbers, dst_pkts: Numbers, data: Bytes) -> Bytes:
    return np.select(
        [(src_pkts > 0) & (dst_pkts > 0), src_pkts > 0],
        [data, _constant(data, Outcome.ATTEMPTED)],
        np.uint8(Outcome.UNKNOWN),
    )


def called_by_port(src_port: Numbers, dst_port: Numbers, dst_ip: NDArray[np.void]) -> tuple[Mask, Mask]:
    """Whether ports tell who called, and where they do, whether dst did. Two server ports or none tell nothing, and
    nobody is called by a group."""
    src_serves, dst_serves = IS_SERVER[src_port], IS_SERVER[dst_port]
    return src_serves != dst_serves, src_serves & ~dst_serves & ~is_group(dst_ip)


def is_group(ip: NDArray[np.void]) -> Mask:
    """Multicast, and IPv4's limited broadcast."""
    octets = np.ascontiguousarray(ip).view(np.uint8).reshape(len(ip), 16)
    four = (octets[:, :10] == 0).all(axis=1) & (octets[:, 10:12] == 255).all(axis=1)
    group = (octets[:, 12] & 0xF0) == 224
    return np.asarray(np.where(four, group | (octets[:, 12:] == 255).all(axis=1), octets[:, 0] == 255))


def _constant(like: Bytes, outcome: Outcome) -> Bytes:
    return np.full(len(like), outcome, np.uint8)
