"""Session statistics of Snort's stream4 as Sguil's patches wrote them (`keepstats db`, files ssn_log.*). TCP only.

11 fields, 12 with ip_proto, each perhaps after the sensor's number that Sguil's agent puts before them. No flags, no
duration. docs/importing.md has the fields.
"""

import numpy as np

from afterfact_protocol.records import Records
from afterfact_protocol.session import DirectionBy, Proto, Source

from . import judging
from .cells import table
from .columns import Cells, Column, Plan, count_cells
from .filling import Filling, has_ports
from .format import Format, Reader, Reject, Taken
from .layouts import empty_lines, records_of, share_of_lines
from .lines import Block

SEPARATOR = b"|"
_BEFORE = (
    Column("xid", table.TEXT, 24),
    Column("start_time", table.DATE_TIME),
    Column("end_time", table.DATE_TIME),
    Column("src_ip", table.ADDRESS),
    Column("dst_ip", table.ADDRESS),
    Column("src_port", table.DECIMAL, 65535),
    Column("dst_port", table.DECIMAL, 65535),
)
_AFTER = tuple(Column(name, table.DECIMAL) for name in ("src_pckts", "dst_pckts", "src_bytes", "dst_bytes"))
_ELEVEN = Plan((*_BEFORE, *_AFTER), SEPARATOR)
_TWELVE = Plan((*_BEFORE, Column("ip_proto", table.DECIMAL, 255), *_AFTER), SEPARATOR)
_EXPECTED = "11 or 12 fields expected"
_DASH = 45


class _Stream4(Reader):
    def read(self, block: Block) -> Taken:
        counts, second = count_cells(block, SEPARATOR)
        empty = block.starts == block.ends
        # The sensor's number is before the others where the second cell is not a date.
        inside = np.minimum(second + 4, max(len(block.data) - 1, 0))
        prefixed = (counts > 1) & (block.data[inside] != _DASH)
        counts = counts - prefixed
        begin = np.where(prefixed, second, block.starts)
        taken: list[Records] = []
        rejects: list[Reject] = []
        for line in np.flatnonzero((counts != 11) & (counts != 12) & ~empty).tolist():
            rejects.append(Reject(int(block.numbers[line]), _EXPECTED, block.line(line)))
        for plan, count in ((_ELEVEN, 11), (_TWELVE, 12)):
            lines = np.flatnonzero(counts == count)
            if len(lines):
                cells = plan.read(block.data, begin[lines], block.ends[lines])
                cells.refuse_times("start_time", "end_time")
                rejects += cells.rejects(block, lines)
                taken.append(_records(cells.fine()))
        rejects.sort(key=lambda reject: reject.line)
        return Taken(records_of(taken), tuple(rejects), empty_lines(empty))


def _records(cells: Cells) -> Records:
    made = Filling(len(cells), Source.STREAM4)
    made.put("foreign_id", cells.text("xid"), cells.value("xid") > 0)
    made.put("start_time", cells.value("start_time"))
    made.put("end_time", cells.value("end_time"))
    proto = cells.value("ip_proto")
    proto = np.where(proto == table.UNSET, int(Proto.TCP), proto)
    made.put("proto", proto)
    for side in ("src", "dst"):
        made.put(f"{side}_ip", cells.address(f"{side}_ip"))
        made.put(f"{side}_port", cells.value(f"{side}_port"), has_ports(proto))
        made.put(f"{side}_pkts", cells.value(f"{side}_pckts"))
        made.put(f"{side}_bytes", cells.value(f"{side}_bytes"))
    src_pkts, dst_pkts = cells.value("src_pckts"), cells.value("dst_pckts")
    src_data, dst_data = cells.value("src_bytes") > 0, cells.value("dst_bytes") > 0
    outcome = judging.tcp_by_counts(src_pkts, dst_pkts, src_data, dst_data)
    made.put("outcome", np.where(proto == Proto.TCP, outcome, 0))
    made.put("direction_by", DirectionBy.UNKNOWN)
    return made.finish(src_pkts + dst_pkts, True)


class Stream4(Format):
    name = "stream4"
    source = Source.STREAM4
    describe = "Snort's stream4 session statistics, as Sguil's patch wrote them (ssn_log.*)"

    def recognise(self, head: bytes, name: str) -> bool:
        return share_of_lines(head, {11: 1, 12: 1}) > 0.5 or share_of_lines(head, {12: 2, 13: 2}) > 0.5

    def reader(self) -> Reader:
        return _Stream4()
