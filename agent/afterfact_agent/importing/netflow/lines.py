"""nfdump's lines as flow records: rows of numbers and keys, one a line.

Columns are found by the header's names: those of this program's own format, of `-o csv` of nfdump 1.6 to 1.7.1 (ts, sa,
ipkt), and of `-o csv` and `csv-fast` since (firstSeen, srcAddr, packets). Knows nothing of sessions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing.cells import flows, table
from afterfact_agent.importing.columns import SKIPPED, Cells, Column, Plan
from afterfact_agent.importing.filling import has_ports, is_ipv4
from afterfact_agent.importing.format import Reject
from afterfact_agent.importing.json_columns import wrong_date
from afterfact_agent.importing.lines import Block
from afterfact_agent.importing.protocols import protocol_number
from afterfact_agent.meter.config import MeterConfig
from afterfact_protocol.session import Proto

SEPARATOR = b","
_COLUMNS = {
    column.name: column
    for column in (
        Column("count", table.DECIMAL, optional=True, padded=True),
        Column("first seen", table.ANY_TIME, padded=True),
        Column("last seen", table.ANY_TIME, optional=True, padded=True),
        Column("duration", table.SECONDS, optional=True, padded=True),
        Column("protocol", table.TEXT, 24, padded=True),
        Column("source address", table.ADDRESS, padded=True),
        Column("source port", table.DECIMAL, 65535, padded=True),
        Column("destination address", table.ADDRESS, padded=True),
        Column("destination port", table.PORT, 65535, padded=True),
        Column("packets", table.DECIMAL, padded=True),
        Column("bytes", table.DECIMAL, padded=True),
        Column("out packets", table.DECIMAL, optional=True, padded=True),
        Column("out bytes", table.DECIMAL, optional=True, padded=True),
        Column("flags", table.LETTERS, optional=True, padded=True),
        Column("direction", table.WORD, optional=True, padded=True),
        Column("VLAN", table.DECIMAL, optional=True, padded=True),
        Column("exporter", table.TEXT, optional=True, padded=True),
        Column("event", table.WORD, optional=True, padded=True),
    )
}
_NAMES = {
    "count": ("cnt", "count"), "first seen": ("ts", "tfs", "tsr", "firstSeen"), "last seen": ("te", "lastSeen"),
    "duration": ("td", "duration"), "protocol": ("pr", "proto"), "source address": ("sa", "srcAddr"),
    "source port": ("sp", "srcPort"), "destination address": ("da", "dstAddr"), "destination port": ("dp", "dstPort"),
    "packets": ("ipkt", "pkt", "packets", "inPackets"), "bytes": ("ibyt", "byt", "bytes", "inBytes"),
    "out packets": ("opkt", "outPackets"), "out bytes": ("obyt", "outBytes"), "flags": ("flg", "flags"),
    "direction": ("dir", "direction"), "VLAN": ("svln", "srcVlan"), "exporter": ("ra", "routerIP"),
    "event": ("evt", "event"),
}  # fmt: skip
_BY_NAME = {name.encode(): _COLUMNS[column] for column, names in _NAMES.items() for name in names}
_NEEDED = tuple(name for name, column in _COLUMNS.items() if not column.optional)

_EVENTS = [table.packed(word) for word in (b"CREATE", b"DELETE", b"DENIED", b"ALERT", b"UPDATE", b"ADD")]
_OUT = [table.packed(word) for word in (b"E", b"1")]
_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
_UNKNOWN_FLAGS = table.letter("x") | table.letter("X")
"""nfdump 1.6 writes 0x52 where there is ECE or CWR."""
KEY = np.dtype([
    ("exporter", "S24"), ("low", "V16"), ("high", "V16"), ("low_port", "<i4"), ("high_port", "<i4"), ("proto", "<i4"),
    ("kind", "<i4"), ("vlan", "<i4"), ("unused", "<i4"),
])  # fmt: skip
"""Who talked, the lower endpoint first. kind: see `_kinds`. 80 bytes, as whole 64-bit words."""
Keys = NDArray[np.void]

PLAIN, LONE = 0, 1 << 16
"""Kinds: not ICMP, or of a type that is not told; ICMP that stands alone, by type and sender."""
_REQUEST_OF = {
    Proto.ICMP: {0: 8, 9: 10, 14: 13, 16: 15, 18: 17},
    Proto.ICMPV6: {129: 128, 131: 130, 134: 133, 136: 135, 140: 139, 145: 144},
}
PAIRED = {proto: frozenset(replies.values()) for proto, replies in _REQUEST_OF.items()}


@dataclass(slots=True)
class Rows:
    """Flow records: `keys` of KEY, `numbers` of cells/flows.py's columns."""

    keys: Keys
    numbers: flows.Numbers

    def __len__(self) -> int:
        return len(self.keys)


def no_rows() -> Rows:
    return Rows(np.zeros(0, KEY), np.zeros((0, flows.COLUMNS), np.int64))


def plan_of(header: bytes) -> Plan | None:
    """How the lines under a header are read; None if it is not one of nfdump's that says enough."""
    columns: list[Column] = []
    for name in header.split(SEPARATOR):
        column = _BY_NAME.get(name.strip(), SKIPPED)
        columns.append(SKIPPED if column in columns else column)
    names = {column.name for column in columns}
    if b"\r" in header or not names.issuperset(_NEEDED) or not names & {"last seen", "duration"}:
        return None
    return Plan(columns, SEPARATOR)


def read(
    block: Block, lines: NDArray[np.int64], plan: Plan, sampled: frozenset[bytes], number: int
) -> tuple[Rows, list[Reject], dict[str, int]]:
    """What some of a block's lines say, what is wrong with others, and what is no flow by its nature.

    sampled: exporters that saw only a sample; number: of the first of these lines in the stream.
    """
    cells = plan.read(block.data, block.starts[lines], block.ends[lines])
    start = cells.value("first seen")
    end = np.where(
        cells.value("last seen") < 0, start + np.maximum(cells.value("duration"), 0), cells.value("last seen")
    )
    proto = _protocols(cells)
    cells.refuse(proto < 0, "protocol is none that has a number")
    cells.refuse(wrong_date(start), "first seen is before 1990 or in the future")
    cells.refuse(wrong_date(end), "last seen is before 1990 or in the future")
    other = is_ipv4(cells.address("source address")) != is_ipv4(cells.address("destination address"))
    cells.refuse(other, "the addresses are of different families")
    rejects = cells.rejects(block, lines)
    fine = cells.status == table.FINE
    events = fine & np.isin(cells.value("event"), _EVENTS)
    outer = fine & _outer(cells.value("count"))
    skipped = {
        kind: int(np.count_nonzero(which))
        for kind, which in (("events of firewalls and NAT", events), ("outer addresses of a tunnel", outer & ~events))
        if which.any()
    }
    taken = fine & ~events & ~outer
    rows = _rows(cells, taken, start, end, proto, sampled)
    rows.numbers[:, flows.NUMBER] = number + np.flatnonzero(taken)
    return rows, rejects, skipped


def _protocols(cells: Cells) -> NDArray[np.int64]:
    words, which = np.unique(cells.text("protocol"), return_inverse=True)
    numbers = np.array([protocol_number(word.decode("latin-1")) for word in words.tolist()], np.int64)
    return numbers[which.reshape(-1)] if len(words) else np.zeros(0, np.int64)


def _outer(count: NDArray[np.int64]) -> NDArray[np.bool_]:
    """nfdump writes a tunnel's own addresses, with the flow's counters, on a line before the flow's, of its number."""
    outer = np.zeros(len(count), np.bool_)
    outer[:-1] = (count[:-1] == count[1:]) & (count[:-1] >= 0)
    return outer


def _rows(
    cells: Cells, taken: NDArray[np.bool_], start: NDArray[np.int64], end: NDArray[np.int64], proto: NDArray[np.int64],
    sampled: frozenset[bytes],
) -> Rows:  # fmt: skip
    def value(name: str) -> NDArray[np.int64]:
        return cells.value(name)[taken]

    proto, start, end = proto[taken], start[taken], end[taken]
    ports = has_ports(proto)
    ends = []
    for side in ("source", "destination"):
        one = np.zeros(len(proto), [("ip", "V16"), ("port", ">u2")])
        one["ip"] = cells.address(f"{side} address")[taken]
        one["port"] = np.where(ports, np.minimum(value(f"{side} port"), 65535), 0)
        ends.append(one)
    back = _later(*ends)
    icmp, kind = _kinds(proto, value("destination port"), back)
    keys = np.zeros(len(proto), KEY)
    for name, near, far in (("low", 0, 1), ("high", 1, 0)):
        keys[name] = np.where(back, ends[far]["ip"], ends[near]["ip"])
        keys[f"{name}_port"] = np.where(back, ends[far]["port"], ends[near]["port"])
    keys["proto"], keys["kind"] = proto, kind
    keys["vlan"] = np.maximum(value("VLAN"), 0) & 0xFFF
    keys["exporter"] = cells.text("exporter")[taken]
    return Rows(keys, _numbers(cells, taken, start, end, proto, icmp, back.astype(np.int64), keys["exporter"], sampled))


def _later(one: NDArray[np.void], other: NDArray[np.void]) -> NDArray[np.bool_]:
    """Whether an endpoint comes after the other, in the order of their bytes."""
    words = [np.ascontiguousarray(end["ip"]).view(">u8").reshape(-1, 2).astype(np.uint64) for end in (one, other)]
    after = one["port"] > other["port"]
    for word in (1, 0):
        near, far = words[0][:, word], words[1][:, word]
        after = np.where(near == far, after, near > far)
    return np.asarray(after)


def _kinds(
    proto: NDArray[np.int64], port: NDArray[np.int64], back: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """ICMP's type * 256 + code, else -1; and what keeps its messages apart: requests and their answers are of the
    request's type, others of their own and their sender. 0 is an echo's answer, or the exporter does not tell."""
    icmp = np.full(len(proto), -1)
    kind = np.full(len(proto), PLAIN)
    for number, replies in _REQUEST_OF.items():
        mine = proto == number
        if not mine.any():
            continue
        icmp[mine] = port[mine]
        types = port[mine] >> 8
        asked = types.copy()
        for reply, request in replies.items():
            asked[types == reply] = request
        untold = port[mine] == 0
        if number == Proto.ICMPV6:
            icmp[mine & (port == 0)] = -1
            asked[untold] = PLAIN
        alone = ~np.isin(asked, list(PAIRED[number])) & ~untold
        kind[mine] = np.where(alone, LONE + (port[mine] << 1) + back[mine], asked)
    return icmp, kind


def _numbers(
    cells: Cells, taken: NDArray[np.bool_], start: NDArray[np.int64], end: NDArray[np.int64], proto: NDArray[np.int64],
    icmp: NDArray[np.int64], side: NDArray[np.int64], exporter: NDArray[np.bytes_], sampled: frozenset[bytes],
) -> flows.Numbers:  # fmt: skip
    def value(name: str) -> NDArray[np.int64]:
        return cells.value(name)[taken]

    made = np.full((len(proto), flows.COLUMNS), -1, np.int64)
    # Some exporters have the two the other way round.
    made[:, flows.START], made[:, flows.END] = np.minimum(start, end), np.maximum(start, end)
    made[:, flows.SIDE] = side
    made[:, flows.TCP] = proto == Proto.TCP
    config = MeterConfig()
    made[:, flows.IDLE] = np.select(
        [proto == Proto.TCP, proto == Proto.UDP, np.isin(proto, (Proto.ICMP, Proto.ICMPV6))],
        [int(seconds * 1e6) for seconds in (config.tcp_idle, config.udp_idle, config.icmp_idle)],
        int(config.other_idle * 1e6),
    )
    marks = np.where(end < start, flows.STEPPED, 0) | flows.NEWS
    if sampled:
        marks |= np.where(np.isin(exporter, list(sampled)), flows.SAMPLED, 0)
    made[:, flows.MARKS] = marks
    pkts, count = value("packets"), value("bytes")
    out_pkts, out_bytes = value("out packets"), value("out bytes")
    only_out = (pkts == 0) & (out_pkts > 0)  # counted where they left
    pkts, count = np.where(only_out, out_pkts, pkts), np.where(only_out, out_bytes, count)
    other = (out_pkts > 0) & ~only_out
    letters = value("flags")
    bits = np.zeros(len(proto), np.int64)
    for letter, flag in _LETTERS.items():
        bits |= np.where((letters & table.letter(letter)) != 0, flag, 0)
    told = (letters >= 0) & ((letters & _UNKNOWN_FLAGS) == 0)
    row = np.arange(len(proto))
    for column, values in (
        (flows.PKTS, pkts), (flows.BYTES, count), (flows.FLAGS, np.where(told, bits, -1)),
        (flows.FIRST, made[:, flows.START]), (flows.LAST, made[:, flows.END]), (flows.ICMP, icmp),
        (flows.WAY, np.isin(value("direction"), _OUT)), (flows.OUT_PKTS, np.where(other, out_pkts, -1)),
        (flows.OUT_BYTES, np.where(other, out_bytes, -1)),
    ):  # fmt: skip
        made[row, column + side] = values
    return made
