"""Sessions of flow records as session records: who called, state, outcome, and what NetFlow does not know."""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing import evidence, judging
from afterfact_agent.importing.cells import flows
from afterfact_agent.importing.filling import Filling, has_ports, is_ipv4
from afterfact_agent.importing.format import NO_RECORDS
from afterfact_protocol.records import Records
from afterfact_protocol.session import DirectionBy, EndReason, Mark, Outcome, Proto, Source, TcpFlag

from .lines import PAIRED, Rows

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]

SEES_BOTH = 0.9
"""An exporter of whose TCP sessions so large a share came with both directions is taken to see both."""
_LEAST = 4
"""And so many."""


class Exporters:
    """Which exporters see both directions: what is missing of a session there was not sent. From the TCP sessions of
    which one side acknowledges something, so that the other must have spoken.

    And which count the other direction as `out` (RFC 5103): others count a flow's own packets once more there."""

    def __init__(self) -> None:
        self._both: dict[bytes, int] = {}
        self._all: dict[bytes, int] = {}
        self._reverse: set[bytes] = set()

    def learn(self, rows: Rows) -> None:
        numbers = rows.numbers
        flags = numbers[:, flows.FLAGS : flows.FLAGS + 2]
        answered = (numbers[:, flows.TCP] == 1) & ((np.maximum(flags, 0) & TcpFlag.ACK) != 0).any(axis=1)
        both = (numbers[:, flows.PKTS : flows.PKTS + 2] >= 0).all(axis=1)
        out, again = _out(numbers)
        self._reverse.update(np.unique(rows.keys["exporter"][~both & out & ~again]).tolist())
        both |= out
        for counted, which in ((self._all, answered), (self._both, answered & both)):
            for exporter, count in zip(*np.unique(rows.keys["exporter"][which], return_counts=True), strict=True):
                counted[bytes(exporter)] = counted.get(bytes(exporter), 0) + int(count)

    def count_reverse(self, exporter: NDArray[np.bytes_]) -> Mask:
        return np.isin(exporter, list(self._reverse)) if self._reverse else np.zeros(len(exporter), np.bool_)

    def see_both(self, exporter: NDArray[np.bytes_]) -> Mask:
        known = [
            name
            for name, count in self._all.items()
            if count >= _LEAST and self._both.get(name, 0) >= SEES_BOTH * count
        ]
        return np.isin(exporter, known) if known else np.zeros(len(exporter), np.bool_)


def _out(numbers: Numbers) -> tuple[Mask, Mask]:
    """Which sessions have `out` counters, and of which they are the flow's own once more."""
    out, again = np.zeros(len(numbers), np.bool_), np.ones(len(numbers), np.bool_)
    for side in (0, 1):
        mine = numbers[:, flows.OUT_PKTS + side] > 0
        out |= mine
        for column, counted in ((flows.OUT_PKTS, flows.PKTS), (flows.OUT_BYTES, flows.BYTES)):
            again &= ~mine | (numbers[:, column + side] == numbers[:, counted + side])
    return out, out & again


def records_of(rows: Rows, exporters: Exporters, going_on: bool = False) -> Records:
    """Of sessions with all that has come of them. going_on: each is an interim record."""
    if not len(rows):
        return NO_RECORDS
    keys, numbers = rows.keys, rows.numbers
    sides = _Sides(rows, exporters)
    made = Filling(len(rows), Source.NETFLOW)
    made.put("start_time", numbers[:, flows.START])
    made.put("end_time", numbers[:, flows.END])
    proto = sides.proto
    made.put("proto", proto)
    made.put("foreign_id", keys["exporter"], keys["exporter"] != b"")
    made.put("vlan", keys["vlan"], keys["vlan"] > 0)
    with_ports = has_ports(proto)
    for side in ("src", "dst"):
        made.put(f"{side}_ip", sides.key("ip", side))
        made.put(f"{side}_port", sides.key("port", side), with_ports)
        counted = sides.pkts(side)
        made.put(f"{side}_pkts", np.maximum(counted, 0), counted >= 0)
        made.put(f"{side}_ip_bytes", np.maximum(sides.bytes(side), 0), counted >= 0)
        made.put(f"{side}_flags", np.maximum(sides.flags(side), 0), sides.flags_known(side))
    made.put("icmp_type", np.maximum(sides.icmp, 0) >> 8, sides.icmp >= 0)
    made.put("icmp_code", np.maximum(sides.icmp, 0) & 255, sides.icmp >= 0)
    made.put("direction_by", sides.direction)
    state, told = sides.state()
    made.put("state", np.where(told, state, 0), told)
    made.put("outcome", sides.outcome())
    sampled = (numbers[:, flows.MARKS] & flows.SAMPLED) != 0
    stepped = (numbers[:, flows.MARKS] & flows.STEPPED) != 0
    made.put(
        "marks",
        np.where(sampled, int(Mark.SAMPLED), 0)
        | np.where(stepped, int(Mark.TIME_STEP), 0)
        | np.where(sides.midstream, int(Mark.PARTIAL), 0),
    )
    if going_on:
        made.put("end_reason", int(EndReason.OPEN))
    else:
        made.put("end_reason", int(EndReason.CLOSED), sides.closed)
    packets = np.maximum(sides.pkts("src"), 0) + np.maximum(sides.pkts("dst"), 0)
    return made.finish(packets, not going_on)


class _Sides:
    """Sessions with their endpoints as caller and called. Columns; -1 is not told."""

    def __init__(self, rows: Rows, exporters: Exporters) -> None:
        self._keys = rows.keys
        numbers = rows.numbers
        exporter = rows.keys["exporter"]
        self.proto: Numbers = rows.keys["proto"].astype(np.int64)
        self.tcp = self.proto == Proto.TCP
        self._sampled = (numbers[:, flows.MARKS] & flows.SAMPLED) != 0

        def pair(column: int) -> list[Numbers]:
            return [numbers[:, column], numbers[:, column + 1]]

        pkts, count, flags = pair(flows.PKTS), pair(flows.BYTES), pair(flows.FLAGS)
        seen = [one >= 0 for one in pkts]
        # `out` counters are the other side's, unless that has records of its own, or they may be this side's.
        self._mixed = np.zeros(len(rows), np.bool_)
        unclear = _out(numbers)[1] & ~exporters.count_reverse(exporter)
        for side in (0, 1):
            reverse = ~seen[1 - side] & (pair(flows.OUT_PKTS)[side] > 0) & ~unclear
            pkts[1 - side] = np.where(reverse, pair(flows.OUT_PKTS)[side], pkts[1 - side])
            count[1 - side] = np.where(reverse, pair(flows.OUT_BYTES)[side], count[1 - side])
            self._mixed |= reverse
        # All flags zero: the exporter does not tell them.
        untold = (np.maximum(flags[0], 0) | np.maximum(flags[1], 0)) == 0
        known = self.tcp & ~untold & ~self._mixed
        self._union = np.where(self.tcp, np.maximum(flags[0], 0) | np.maximum(flags[1], 0), 0)
        flags = [np.where(known & (one >= 0), one, -1) for one in flags]
        silent = [(one < 0) for one in pkts]
        # What an exporter that sees both directions does not tell of was not sent.
        sure = exporters.see_both(exporter) & ~self._sampled & ~unclear
        pkts = [np.where(silent[side] & sure, 0, pkts[side]) for side in (0, 1)]
        count = [np.where(silent[side] & sure, 0, count[side]) for side in (0, 1)]
        flags = [np.where(silent[side] & sure & known, 0, flags[side]) for side in (0, 1)]
        self._by_end = {"pkts": pkts, "bytes": count, "flags": flags}
        self._first, self._icmp_by_end = pair(flows.FIRST), pair(flows.ICMP)
        self._seen = seen
        self.direction, self._back = self._who_called(numbers[:, flows.SIDE])
        self.icmp = self._icmp()

    def key(self, name: str, side: str) -> NDArray[np.generic]:
        low, high = (self._keys[end if name == "ip" else f"{end}_port"] for end in ("low", "high"))
        return np.where(self._back, high, low) if side == "src" else np.where(self._back, low, high)

    def _of(self, name: str, side: str) -> Numbers:
        low, high = self._by_end[name]
        return np.where(self._back, high, low) if side == "src" else np.where(self._back, low, high)

    def pkts(self, side: str) -> Numbers:
        return self._of("pkts", side)

    def bytes(self, side: str) -> Numbers:
        return self._of("bytes", side)

    def flags(self, side: str) -> Numbers:
        return self._of("flags", side)

    def flags_known(self, side: str) -> Mask:
        return self.flags(side) >= 0

    def _who_called(self, first_side: Numbers) -> tuple[NDArray[np.uint8], Mask]:
        """Why the caller is taken for that, and whether it is the higher endpoint."""
        low, high = (np.maximum(one, 0) for one in self._by_end["flags"])
        syn = [(one & TcpFlag.SYN) != 0 for one in (low, high)]
        bare = [s & ((one & TcpFlag.ACK) == 0) for s, one in zip(syn, (low, high), strict=True)]
        both_seen = self._seen[0] & self._seen[1]
        earlier = np.where(both_seen & (self._first[0] != self._first[1]), self._first[0] > self._first[1], False)
        ordered = both_seen & (self._first[0] != self._first[1])
        told, back = evidence.called_by_port(
            self._keys["low_port"].astype(np.int64), self._keys["high_port"].astype(np.int64), self._keys["high"]
        )
        group = evidence.is_group(self._keys["low"])
        back = np.where(group, True, back)
        ported = self.tcp | np.isin(self.proto, (Proto.UDP, Proto.SCTP, Proto.UDPLITE, 33))
        by_port = ported & told
        types = [np.where(one < 0, -1, one >> 8) for one in self._icmp_by_end]
        requests = [np.zeros(len(low), np.bool_) for _ in types]
        answers = [np.zeros(len(low), np.bool_) for _ in types]
        for number in (Proto.ICMP, Proto.ICMPV6):
            mine = self.proto == number
            for side in (0, 1):
                requests[side] |= mine & np.isin(types[side], list(PAIRED[number]))
                answers[side] |= mine & (self._keys["kind"] > 0) & (self._keys["kind"] < 1 << 16) & (types[side] >= 0)
        answers = [answered & ~asked for answered, asked in zip(answers, requests, strict=True)]
        asked = requests[0] ^ requests[1]
        # A lone answer to what an exporter did not see: an echo's 0 may also be a type that is not told.
        lone = ~asked & (answers[0] ^ answers[1]) & (types[0] != 0) & (types[1] != 0)
        one_syn = syn[0] ^ syn[1]
        one_bare = bare[0] ^ bare[1]
        lone_syn = one_syn & ~both_seen
        rules: list[tuple[Mask, Mask, DirectionBy]] = [
            (self.tcp & one_bare, bare[1], DirectionBy.SYN),
            (self.tcp & one_syn & both_seen, syn[1], DirectionBy.SYN),
            (self.tcp & lone_syn & by_port, back, DirectionBy.PORT),
            (self.tcp & syn[0] & syn[1] & ordered, earlier, DirectionBy.SYN),
            (asked, requests[1], DirectionBy.REQUEST),
            (lone, answers[0], DirectionBy.REQUEST),
            (by_port, back, DirectionBy.PORT),
            (ordered, earlier, DirectionBy.FIRST),
        ]
        unknown = (self._seen[0] & self._seen[1]) | self.tcp
        by = np.select(
            [rule for rule, _, _ in rules],
            [np.uint8(why) for _, _, why in rules],
            np.where(unknown, np.uint8(DirectionBy.UNKNOWN), np.uint8(DirectionBy.FIRST)),
        )
        # Where nothing tells, the higher port is taken for a client's.
        low_port, high_port = self._keys["low_port"], self._keys["high_port"]
        either = ported & (both_seen | self.tcp | self._mixed) & (low_port != high_port)
        guess = np.where(either, high_port > low_port, first_side == 1)
        called = np.select([rule for rule, _, _ in rules], [which for _, which, _ in rules], guess)
        return by.astype(np.uint8), np.asarray(called, np.bool_)

    def _icmp(self) -> Numbers:
        """Type * 256 + code of the request, or of what stands alone; -1 where 0 may be an echo's answer or not told."""
        low, high = self._icmp_by_end
        src, dst = (np.where(self._back, high, low), np.where(self._back, low, high))
        kind = self._keys["kind"]
        asked = np.isin(self.proto, (Proto.ICMP, Proto.ICMPV6)) & (kind > 0) & (kind < 1 << 16)
        answered = asked & (src <= 0) & (dst > 0)
        return np.where(src > 0, src, np.where(answered, kind.astype(np.int64) << 8, -1))

    @property
    def closed(self) -> Mask:
        src, dst = (np.maximum(self.flags(side), 0) for side in ("src", "dst"))
        fins = (src & dst & TcpFlag.FIN) != 0
        return np.asarray(self.tcp & (fins | ((self._union & TcpFlag.RST) != 0)))

    @property
    def midstream(self) -> Mask:
        """No SYN in flags that are told."""
        told = self.tcp & (self._union != 0) & ~self._sampled
        return np.asarray(told & ((self._union & TcpFlag.SYN) == 0))

    @property
    def _flags_whole(self) -> Mask:
        return np.asarray(self.tcp & self.flags_known("src") & self.flags_known("dst") & ~self._sampled)

    def _told(self) -> tuple[Numbers, Numbers]:
        return np.maximum(self.pkts("src"), 0), np.maximum(self.pkts("dst"), 0)

    def state(self) -> tuple[NDArray[np.uint8], Mask]:
        """Zeek's states, where both sides are told."""
        src_pkts, dst_pkts = self._told()
        src, dst = (np.maximum(self.flags(side), 0).astype(np.uint8) for side in ("src", "dst"))
        by_flags = evidence.tcp_state(src, dst, src_pkts, dst_pkts)
        both_reset = (src & dst & np.uint8(TcpFlag.RST)) != 0
        counted = (self.pkts("src") >= 0) & (self.pkts("dst") >= 0) & ~self._sampled
        pairs = np.isin(self.proto, (Proto.UDP, Proto.SCTP, Proto.UDPLITE)) | self._request
        known = counted & np.where(self.tcp, self._flags_whole & ~both_reset & ~self.midstream, pairs)
        return np.where(self.tcp, by_flags, evidence.pair_state(src_pkts, dst_pkts)).astype(np.uint8), known

    @property
    def _request(self) -> Mask:
        return np.asarray(self._icmp_message & (self._keys["kind"] < 1 << 16) & (self.icmp >= 0))

    def _data(self, side: str) -> Mask:
        """Whether it sent payload: it pushed, or sent more than headers can be; of TCP without flags, than they are
        with time stamps."""
        ip = np.where(is_ipv4(self._keys["low"]), 20, 40)
        pkts = np.maximum(self.pkts(side), 0).astype(np.float64)
        tcp = np.where(self._flags_whole, (ip + 60) * pkts, (ip + 32) * pkts + 8)
        others = np.where(has_ports(self.proto) | self._icmp_message, ip + 8, ip) * pkts
        pushed = (np.maximum(self.flags(side), 0) & TcpFlag.PSH) != 0
        return np.asarray(pushed | (self.bytes(side) > np.where(self.tcp, tcp, others)))

    @property
    def _icmp_message(self) -> Mask:
        return np.isin(self.proto, (Proto.ICMP, Proto.ICMPV6))

    def outcome(self) -> NDArray[np.uint8]:
        src_pkts, dst_pkts = self._told()
        src_data, dst_data = self._data("src"), self._data("dst")
        data = evidence.by_data(src_data, dst_data)
        src, dst = (np.maximum(self.flags(side), 0).astype(np.uint8) for side in ("src", "dst"))
        both = (src_pkts > 0) & (dst_pkts > 0)
        counted = (self.pkts("src") >= 0) & (self.pkts("dst") >= 0)
        of_flags = evidence.tcp_outcome(src, dst, src_pkts, dst_pkts, data)
        # Picked up between two files: flags say less than traffic both ways.
        of_flags = np.where(self.midstream & both, data, of_flags)
        of_counts = judging.tcp_by_counts(src_pkts, dst_pkts, src_data, dst_data)
        of_tcp = np.where(self._flags_whole, of_flags, of_counts)
        asks = np.isin(self.proto, (Proto.UDP, Proto.SCTP, Proto.UDPLITE)) | self._request
        of_others = judging.others(src_pkts > 0, dst_pkts > 0, src_data, dst_data, asks)
        outcome = np.where(self.tcp, of_tcp, of_others)
        # A sample tells what was there, not what was not.
        missing = ~counted | (self._sampled & ~both)
        return np.where(missing, np.uint8(Outcome.UNKNOWN), outcome).astype(np.uint8)
