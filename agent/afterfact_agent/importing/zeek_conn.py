"""What the columns of Zeek's conn.log mean, whatever they were written as: records of them.

Columns hold UNSET, or an empty text, where Zeek says nothing. docs/importing.md has the fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.communityid import ANSWERS_ICMP, ANSWERS_ICMPV6
from afterfact_protocol.records import Records
from afterfact_protocol.session import DirectionBy, EndReason, Mark, Outcome, Proto, Source, State, Tunnel

from . import evidence
from .cells.table import FLIPPED, UNSET, letter
from .filling import Bools, Filling, has_ports, is_ipv4

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]

NO_STATE = 255
"""Of lines that tell none, or one that Zeek does not have."""
STATES: dict[str, int] = {state.name: int(state) for state in State}
PROTOCOLS: dict[str, int] = {"tcp": Proto.TCP, "udp": Proto.UDP, "icmp": Proto.ICMP}
"""Zeek has no other names; the rest is `unknown_transport`, since version 7 with a number in `ip_proto`."""

_OPENED = (State.S1, State.SF, State.S2, State.S3, State.RSTO, State.RSTR)
_UNANSWERED = (State.S0, State.SH, State.RSTOS0)
MAX_HISTORY = 64
"""Bytes of a history that `letters_of` is given; records keep the first HISTORY_BYTES."""
_BITS = np.zeros(256, np.int64)
for _letter in ascii_letters:
    _BITS[ord(_letter)] = letter(_letter)
_BITS[ord("^")] = 1 << FLIPPED


@dataclass(slots=True, eq=False)
class Conn:
    """Columns of conn.log, of lines in which nothing is wrong."""

    start: Numbers
    """Microseconds."""
    end: Numbers
    proto: Numbers
    src_ip: NDArray[np.void]
    dst_ip: NDArray[np.void]
    src_port: Numbers
    dst_port: Numbers
    uid: NDArray[np.bytes_]
    state: Codes
    history: NDArray[np.bytes_]
    """Of HISTORY_BYTES."""
    letters: Numbers
    """The letters in whole histories: bits, by cells.table.letter and FLIPPED; 0 where there are none."""
    history_cut: Bools
    """The history was longer than its field."""
    src_pkts: Numbers
    dst_pkts: Numbers
    src_bytes: Numbers
    dst_bytes: Numbers
    src_ip_bytes: Numbers
    dst_ip_bytes: Numbers
    missed_bytes: Numbers
    vlan: Numbers
    inner_vlan: Numbers
    tunnelled: Bools
    """Whether `tunnel_parents` names a connection. That is not looked up: its line may come later, elsewhere."""
    going_on: Bools
    """Of open_conn.log, which tells connections that have not ended."""


def states(names: Sequence[str | None]) -> Codes:
    return np.array([STATES.get(name or "", NO_STATE) for name in names], np.uint8)


def letters_of(histories: NDArray[np.bytes_]) -> Numbers:
    """The letters in each, as Conn has them."""
    octets = np.ascontiguousarray(histories).view(np.uint8).reshape(len(histories), histories.itemsize)
    octets = octets[:, : int(np.flatnonzero(octets.any(axis=0)).max(initial=0)) + 1]
    return np.asarray(np.bitwise_or.reduce(_BITS[octets], axis=1))


def records_of(conn: Conn) -> Records:
    """The sessions."""
    made = Filling(len(conn.start), Source.ZEEK)
    proto = np.where((conn.proto == Proto.ICMP) & ~is_ipv4(conn.src_ip), int(Proto.ICMPV6), conn.proto)
    made.put("start_time", conn.start)
    made.put("end_time", conn.end)
    made.put("proto", proto)
    made.put("foreign_id", conn.uid, conn.uid != b"")
    ported = has_ports(proto)
    for side in ("src", "dst"):
        made.put(f"{side}_ip", getattr(conn, f"{side}_ip"))
        made.put(f"{side}_port", getattr(conn, f"{side}_port"), ported)
    for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "src_ip_bytes", "dst_ip_bytes", "missed_bytes"):
        column = getattr(conn, name)
        made.put(name, column, column != UNSET)
    for name in ("vlan", "inner_vlan"):
        column = getattr(conn, name)
        made.put(name, column, column > 0)
    letters = _Letters(conn.letters)
    made.put("history", conn.history, conn.history != b"")
    asks = _put_icmp(made, conn, proto)
    made.put("state", conn.state, conn.state != NO_STATE)
    made.put("outcome", _outcome(conn, proto, letters, asks))
    made.put("direction_by", _direction_by(conn, proto, letters, asks))
    partial = (proto == Proto.TCP) & (conn.state == State.OTH)
    made.put("marks", np.where(conn.history_cut, int(Mark.HISTORY_CUT), 0) | np.where(partial, int(Mark.PARTIAL), 0))
    made.put("tunnel", np.where(conn.tunnelled, int(Tunnel.OTHER), 0))
    made.put("end_reason", EndReason.OPEN, conn.going_on)
    packets = np.maximum(conn.src_pkts, 0) + np.maximum(conn.dst_pkts, 0)
    return made.finish(packets, ~conn.going_on)


class _Letters:
    """Which letters histories have."""

    def __init__(self, bits: Numbers) -> None:
        self._bits = bits

    def __call__(self, asked: str) -> Bools:
        return np.asarray((self._bits & (1 << FLIPPED if asked == "^" else letter(asked))) != 0)

    @property
    def told(self) -> Bools:
        return np.asarray(self._bits != 0)


def _put_icmp(made: Filling, conn: Conn, proto: Numbers) -> Bools:
    """Type and code, which stand where ports do: the type of what asks and of its answer, whose codes are 0; or type
    and code of what has no answer. Returns whose first packet asks."""
    icmp, icmpv6 = proto == Proto.ICMP, proto == Proto.ICMPV6
    either = icmp | icmpv6
    paired = (icmp & np.isin(conn.src_port, list(ANSWERS_ICMP))) | (
        icmpv6 & np.isin(conn.src_port, list(ANSWERS_ICMPV6))
    )
    made.put("icmp_type", conn.src_port, either & (conn.src_port < 256))
    made.put("icmp_code", np.where(paired, 0, conn.dst_port), either & (paired | (conn.dst_port < 256)))
    return np.asarray(
        (icmp & np.isin(conn.src_port, evidence.REQUESTS[1])) | (icmpv6 & np.isin(conn.src_port, evidence.REQUESTS[58]))
    )


def _outcome(conn: Conn, proto: Numbers, letters: _Letters, asks: Bools) -> Codes:
    """By docs/metering.md, from state, bytes and history."""
    src_data = np.where(conn.src_bytes == UNSET, letters("D"), conn.src_bytes > 0)
    dst_data = np.where(conn.dst_bytes == UNSET, letters("d"), conn.dst_bytes > 0)
    data = evidence.by_data(src_data, dst_data)
    tcp, udp = proto == Proto.TCP, proto == Proto.UDP
    counted = (conn.src_pkts != UNSET) & (conn.dst_pkts != UNSET)
    both = counted & (conn.src_pkts > 0) & (conn.dst_pkts > 0)
    both_acked = (letters("A") | letters("D")) & (letters("a") | letters("d"))
    # Who acknowledges was answered, unseen by this tap.
    unanswered = np.isin(conn.state, _UNANSWERED) & ~letters("A") & (letters("S") | ~letters.told)
    rules: list[tuple[Bools, Codes | np.uint8]] = [
        (tcp & np.isin(conn.state, _OPENED), data),
        (tcp & (conn.state == State.REJ), np.uint8(Outcome.REFUSED)),
        (tcp & unanswered, np.uint8(Outcome.ATTEMPTED)),
        (tcp & (conn.state == State.OTH) & both_acked, data),
        (tcp, np.uint8(Outcome.UNKNOWN)),
        (udp & (conn.state == State.SF), data),
        (udp & (conn.state == State.S0), np.uint8(Outcome.ATTEMPTED)),
        (udp, np.uint8(Outcome.UNKNOWN)),
        (both, data),
        (asks & counted & (conn.dst_pkts == 0), np.uint8(Outcome.ATTEMPTED)),
    ]
    chosen = np.select([rule for rule, _ in rules], [value for _, value in rules], np.uint8(Outcome.UNKNOWN))
    return np.asarray(chosen, np.uint8)


def _direction_by(conn: Conn, proto: Numbers, letters: _Letters, asks: Bools) -> Codes:
    """As the history tells it. Zeek turns connections around by handshake and by well-known ports, and says so (^)."""
    tcp = proto == Proto.TCP
    rules = [
        (tcp & letters("S"), DirectionBy.SYN),
        (tcp & letters("h"), DirectionBy.SYNACK),
        (asks, DirectionBy.REQUEST),
        (letters("^"), DirectionBy.PORT),
        (letters.told, DirectionBy.FIRST),
    ]
    chosen = np.select([rule for rule, _ in rules], [np.uint8(by) for _, by in rules], np.uint8(DirectionBy.UNKNOWN))
    return np.asarray(chosen, np.uint8)
