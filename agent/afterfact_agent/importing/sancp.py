"""SANCP's `stats` files, and those that cxtracker and prads write in the same layout.

15 fields; 16 with the sensor's number that Sguil's agent puts before them; 20 in cxtracker's indexed layout. cxtracker
counts bytes of frames where SANCP counts payload, which the layout does not tell, so it is a format of its own.
docs/importing.md has the fields.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.records import Records
from afterfact_protocol.session import DirectionBy, EndReason, Proto, Source, State, TcpFlag

from . import judging
from .cells import table
from .columns import SKIPPED, Cells, Column, Plan, count_cells
from .filling import Filling, has_ports
from .format import Format, Reader, Reject, Taken
from .judging import ICMP_REQUESTS, ICMPV6_REQUESTS, NO_STATE, TcpFlags
from .layouts import empty_lines, records_of, share_of_lines
from .lines import Block

SEPARATOR = b"|"
_COLUMNS = (
    Column("sancp_id", table.TEXT, 24),
    Column("start_time", table.DATE_TIME),
    Column("stop_time", table.DATE_TIME),
    Column("duration", table.DECIMAL),
    Column("ip_proto", table.DECIMAL, 255),
    Column("src_ip", table.ADDRESS),
    Column("src_port", table.DECIMAL, 65535),
    Column("dst_ip", table.ADDRESS),
    Column("dst_port", table.DECIMAL, 65535),
    Column("src_pkts", table.DECIMAL),
    Column("src_bytes", table.DECIMAL),
    Column("dst_pkts", table.DECIMAL),
    Column("dst_bytes", table.DECIMAL),
    Column("src_flags", table.EITHER_BASE, 255),
    Column("dst_flags", table.EITHER_BASE, 255),
)
_SANCP = Plan(_COLUMNS, SEPARATOR)
_INDEXED = Plan((*_COLUMNS, *[SKIPPED] * 5), SEPARATOR)
LAYOUTS = {15: 1, 16: 2, 20: 1}
"""By number of fields, which of them, from 0, is the start time."""
_EXPECTED = "15, 16 or 20 fields expected"

_ETHERNET = 14
_LEAST_HEADERS = 42
"""Bytes of an Ethernet frame with IPv4 and UDP or ICMP headers, and no payload."""
_MOST_TCP_HEADERS = 94
"""The same with a TCP header, at its shortest and at its longest."""
_IPV4_HEADER = 20


class _Sancp(Reader):
    def __init__(self, frames: bool) -> None:
        self._frames = frames

    def read(self, block: Block) -> Taken:
        counts, second = count_cells(block, SEPARATOR)
        taken: list[Records] = []
        rejects: list[Reject] = []
        empty = block.starts == block.ends
        known = np.isin(counts, tuple(LAYOUTS))
        for line in np.flatnonzero(~known & ~empty).tolist():
            rejects.append(Reject(int(block.numbers[line]), _EXPECTED, block.line(line)))
        for plan, chosen in ((_SANCP, (counts == 15) | (counts == 16)), (_INDEXED, counts == 20)):
            lines = np.flatnonzero(chosen)
            if len(lines):
                begin = np.where(counts == 16, second, block.starts)[lines]
                cells = plan.read(block.data, begin, block.ends[lines])
                cells.refuse_times("start_time", "stop_time")
                rejects += cells.rejects(block, lines)
                taken.append(_records(cells.fine(), self._frames))
        rejects.sort(key=lambda reject: reject.line)
        return Taken(records_of(taken), tuple(rejects), empty_lines(empty))


def _records(cells: Cells, frames: bool) -> Records:
    """frames: bytes are those of whole frames."""
    made = Filling(len(cells), Source.SANCP)
    made.put("foreign_id", cells.text("sancp_id"), cells.value("sancp_id") > 0)
    made.put("start_time", cells.value("start_time"))
    made.put("end_time", cells.value("stop_time"))
    proto = cells.value("ip_proto")
    made.put("proto", proto)
    src_port, dst_port = cells.value("src_port"), cells.value("dst_port")
    with_ports = has_ports(proto)
    for side, port in (("src", src_port), ("dst", dst_port)):
        made.put(f"{side}_ip", cells.address(f"{side}_ip"))
        made.put(f"{side}_port", port, with_ports)
    icmp = (proto == Proto.ICMP) | (proto == Proto.ICMPV6)
    typed = icmp & (src_port <= 255) & (dst_port <= 255) & ((src_port > 0) | (dst_port > 0))
    if frames:
        typed[:] = False  # cxtracker puts other things there
    made.put("icmp_type", src_port, typed)
    made.put("icmp_code", dst_port, typed)

    pkts = {side: cells.value(f"{side}_pkts") for side in ("src", "dst")}
    tcp = proto == Proto.TCP
    data = {}
    for side, packets in pkts.items():
        made.put(f"{side}_pkts", packets)
        data[side] = _bytes(made, cells, side, packets, tcp, frames)
        made.put(f"{side}_flags", cells.value(f"{side}_flags"), tcp)

    flags = TcpFlags(cells.value("src_flags"), cells.value("dst_flags"), pkts["src"], pkts["dst"])
    asked, answered = pkts["src"] > 0, pkts["dst"] > 0
    request = typed & np.where(
        proto == Proto.ICMP, np.isin(src_port, ICMP_REQUESTS), np.isin(src_port, ICMPV6_REQUESTS)
    )
    udp = proto == Proto.UDP
    other = judging.others(asked, answered, data["src"], data["dst"], udp | request)
    made.put("outcome", np.where(tcp, flags.outcome(data["src"], data["dst"]), other))
    state = np.where(tcp, flags.state(), np.uint8(NO_STATE))
    state[udp] = np.where(asked & answered, State.SF, np.where(asked, State.S0, State.SHR))[udp]
    made.put("state", state, state != NO_STATE)
    made.put("direction_by", _direction(flags, tcp))
    made.put("end_reason", EndReason.CLOSED, tcp & flags.closed)
    return made.finish(pkts["src"] + pkts["dst"], True)


def _bytes(
    made: Filling, cells: Cells, side: str, packets: NDArray[np.int64], tcp: NDArray[np.bool_], frames: bool
) -> NDArray[np.bool_]:
    """Put in the bytes of a side; whether it sent payload."""
    count = cells.value(f"{side}_bytes")
    if not frames:
        made.put(f"{side}_bytes", count)
        return count > 0
    # Sums of packets and bytes of any size: in floating point, since a line may say anything.
    least = packets.astype(np.float64)
    made.put(f"{side}_ip_bytes", count - _ETHERNET * packets, count >= least * (_ETHERNET + _IPV4_HEADER))
    pushed = (cells.value(f"{side}_flags") & TcpFlag.PSH) > 0
    return np.where(tcp, pushed | (count > least * _MOST_TCP_HEADERS), count > least * _LEAST_HEADERS)


def _direction(flags: TcpFlags, tcp: NDArray[np.bool_]) -> NDArray[np.int64]:
    """SYN where flags prove that src sent a SYN without ACK, else that it was first."""
    src_syn, dst_syn = (flags.src & TcpFlag.SYN) > 0, (flags.dst & TcpFlag.SYN) > 0
    called = src_syn & (dst_syn | ((flags.src & TcpFlag.ACK) == 0))
    return np.where(tcp & called, int(DirectionBy.SYN), int(DirectionBy.FIRST))


class Sancp(Format):
    """Bytes are payload."""

    name = "sancp"
    source = Source.SANCP
    describe = "SANCP's stats files, as Sguil loads them, and prads's"

    def recognise(self, head: bytes, name: str) -> bool:
        return share_of_lines(head, LAYOUTS) > 0.5

    def reader(self) -> Reader:
        return _Sancp(frames=False)


class Cxtracker(Format):
    """Bytes are those of frames."""

    name = "cxtracker"
    source = Source.SANCP
    describe = "cxtracker's files, in SANCP's layout or indexed"

    def recognise(self, head: bytes, name: str) -> bool:
        """Its indexed layout only: in the other, a file of SANCP's whose bytes are payload looks the same, so that must
        be named."""
        return share_of_lines(head, {20: 1}) > 0.5

    def reader(self) -> Reader:
        return _Sancp(frames=True)
