"""ra's lines as rows of plain columns: one row a flow record, sides as Argus reports them.

Knows nothing of what a row means beyond its own columns, and nothing of sessions.
"""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing import output
from afterfact_agent.importing.format import Reject
from afterfact_agent.importing.lines import Block
from afterfact_protocol.session import Proto, TcpFlag

FIELDS = {
    "stime": "StartTime", "ltime": "LastTime", "cause": "Cause", "proto": "Proto", "saddr": "SrcAddr", "sport": "Sport",
    "dir": "Dir", "daddr": "DstAddr", "dport": "Dport", "spkts": "SrcPkts", "dpkts": "DstPkts",
    "sappbytes": "SAppBytes", "dappbytes": "DAppBytes", "state": "State", "flgs": "Flgs", "seq": "Seq",
    "srcid": "SrcId", "sgap": "SrcGap", "dgap": "DstGap", "inode": "Inode", "svid": "sVid", "smpls": "sMpls",
    "loss": "Loss",
}  # fmt: skip
"""What ra is asked for, and the titles that it gives these columns."""
NEEDED = ("stime", "ltime", "proto", "saddr", "daddr")

ROW = np.dtype([
    ("number", "<i8"), ("start", "<i8"), ("end", "<i8"), ("run", "<i8"), ("seq", "<i8"), ("sensor", "S24"),
    ("proto", "u1"), ("src_ip", "V16"), ("dst_ip", "V16"), ("src_port", "<i4"), ("dst_port", "<i4"),
    ("icmp_type", "<i4"), ("icmp_code", "<i4"), ("icmp_id", "<i4"),
    ("src_pkts", "<i8"), ("dst_pkts", "<i8"), ("src_bytes", "<i8"), ("dst_bytes", "<i8"), ("missed", "<i8"),
    ("src_flags", "u1"), ("dst_flags", "u1"), ("dir", "u1"), ("state", "S4"), ("first", "?"),
    ("unreachable", "?"), ("inode", "V16"), ("vlan", "<i4"), ("label", "<i4"), ("changed", "?"),
])  # fmt: skip
"""-1 is what ra does not say. `first`: the record is a flow's first. `changed`: see merge.py."""
Rows = NDArray[np.void]

CERTAIN, UNSURE = 1, 2
"""`dir`: Argus saw who called, or guessed; 0 if it does not say."""
_FLAGS = np.zeros(256, np.uint8)
for _letter, _flag in ((b"F", TcpFlag.FIN), (b"S", TcpFlag.SYN), (b"R", TcpFlag.RST), (b"P", TcpFlag.PSH),
                       (b"A", TcpFlag.ACK), (b"U", TcpFlag.URG), (b"E", TcpFlag.ECE), (b"C", TcpFlag.CWR)):  # fmt: skip
    _FLAGS[_letter[0]] = _flag
_NAMES = {proto.name.lower().encode(): int(proto) for proto in Proto} | {
    b"ipv6-icmp": 58, b"icmp6": 58, b"ipv6": 41, b"rtp": 17, b"rtcp": 17, b"udt": 17, b"udp-lite": 136,
}  # fmt: skip
_NOT_IP = (b"arp", b"rarp", b"llc", b"loop", b"lldp", b"ether", b"isis")


@dataclass(slots=True)
class Lines:
    """What a block of ra's lines has."""

    rows: Rows
    rejects: list[Reject] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    managed: list[tuple[int, bytes, int, int, int, int]] = field(default_factory=list)
    """Management records: line number, cause, start, end (microseconds), packets received, packets lost."""


def header(line: bytes) -> tuple[str, ...] | None:
    """The columns of a header, by ra's names of fields ("" for those that are not read); None if it is none."""
    titles = {title.lower().encode(): name for name, title in FIELDS.items()}
    columns = tuple(titles.get(cell.strip().lower(), "") for cell in line.split(b","))
    return columns if b"\r" not in line and all(name in columns for name in NEEDED) else None


def read(block: Block, columns: tuple[str, ...]) -> Lines:
    """The rows of a block whose lines have these columns (see `header`)."""
    table, whole, others = output.table(block, b",", len(columns))
    cells = {name: table[columns.index(name)] for name in FIELDS if name in columns}
    lines = Lines(np.zeros(len(whole), ROW))
    numbers = block.numbers[whole]
    lines.rejects += [Reject(int(block.numbers[i]), f"{len(columns)} fields expected", block.line(i)) for i in others]
    proto, reason = cells["proto"], np.zeros(len(whole), "<i4")
    if not len(whole):
        return lines
    # What is no session by its nature goes first: its other columns mean something else.
    management = proto == b"man"
    _management(lines, cells, numbers, management)
    protos, other = _protocols(proto)
    not_ip = np.isin(proto, _NOT_IP) | (protos > 255) | _hardware(cells["saddr"])
    title = cells["saddr"] == b"SrcAddr"
    for what, mask in (("not IP", not_ip & ~management), ("header", title)):
        if mask.any():
            lines.skipped[what] = int(np.count_nonzero(mask))
    faults = _Faults(reason, management | not_ip | title)
    faults.note(other, "Proto is no IP protocol")
    rows = lines.rows
    rows["number"], rows["proto"] = numbers, np.where((protos >= 0) & (protos < 256), protos, 0)
    rows["start"], wrong = output.seconds(cells["stime"])
    faults.note(wrong, "StartTime is no time in seconds (ra -u)")
    rows["end"], wrong = output.seconds(cells["ltime"])
    faults.note(wrong, "LastTime is no time in seconds (ra -u)")
    faults.note(output.wrong_date(rows["start"], rows["end"], time.time_ns() // 1000), "wrong date")
    faults.note(rows["end"] < rows["start"], "LastTime is before StartTime")
    for name, side in (("src_ip", "saddr"), ("dst_ip", "daddr")):
        rows[name], wrong = output.addresses(cells[side])
        faults.note(wrong, f"{FIELDS[side]} is no address")
    _ports(rows, cells, faults)
    for name, column, missing in (
        ("src_pkts", "spkts", -1), ("dst_pkts", "dpkts", -1), ("src_bytes", "sappbytes", -1),
        ("dst_bytes", "dappbytes", -1), ("seq", "seq", -1), ("vlan", "svid", -1), ("label", "smpls", -1),
    ):  # fmt: skip
        rows[name] = _number(cells, column, missing, faults, _LARGEST.get(column, 2**53))
    gaps = [_number(cells, column, -1, faults, 2**53) for column in ("sgap", "dgap")]
    rows["missed"] = np.where((gaps[0] < 0) & (gaps[1] < 0), -1, np.maximum(gaps[0], 0) + np.maximum(gaps[1], 0))
    _marks(rows, cells)
    if faults.mask.any():
        lines.rejects += faults.rejects(block, whole)
    lines.rows = rows[~(faults.mask | faults.other)]
    return lines


_LARGEST = {"svid": 4095, "smpls": (1 << 20) - 1, "seq": (1 << 32) - 1}


class _Faults:
    """The first fault of each line."""

    def __init__(self, reason: NDArray[np.int32], other: NDArray[np.bool_]) -> None:
        self._reason, self.other = reason, other
        self._texts = [""]

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self._reason > 0

    def note(self, wrong: NDArray[np.bool_], text: str) -> None:
        wrong = wrong & ~self.other & (self._reason == 0)
        if wrong.any():
            self._texts.append(text)
            self._reason[wrong] = len(self._texts) - 1

    def rejects(self, block: Block, whole: NDArray[np.int64]) -> list[Reject]:
        return [
            Reject(int(block.numbers[whole[i]]), self._texts[self._reason[i]], block.line(int(whole[i])))
            for i in np.flatnonzero(self.mask)
        ]


def _number(
    cells: dict[str, output.Cells], column: str, missing: int, faults: _Faults, largest: int
) -> NDArray[np.int64]:
    """A column's numbers; `missing` where there is no such column or it is empty."""
    if column not in cells:
        return np.full(len(faults.mask), missing, np.int64)
    empty = cells[column] == b""
    values, wrong = output.numbers(cells[column], largest)
    faults.note(wrong & ~empty, f"{FIELDS[column]} is no number up to {largest}")
    return np.where(empty, missing, values)


def _protocols(cells: output.Cells) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Numbers of protocols, by number or name; and which are neither."""
    values, wrong = output.numbers(cells)
    for name in np.unique(cells[wrong]):
        known = _NAMES.get(bytes(name))
        if known is not None:
            values[cells == name] = known
            wrong &= cells != name
    return values, wrong


def _hardware(cells: output.Cells) -> NDArray[np.bool_]:
    """Which are link addresses: six pairs of digits. An IPv6 address may have as many colons and letters."""
    seventeen = cells.astype("S18")
    places = np.ascontiguousarray(seventeen).view(np.uint8).reshape(len(cells), 18)
    return np.asarray((places[:, 2:17:3] == ord(":")).all(axis=1) & (np.char.str_len(seventeen) == 17))


def _ports(rows: Rows, cells: dict[str, output.Cells], faults: _Faults) -> None:
    """Ports; ICMP's type, code and identifier, which ra gives in their place."""
    blank = np.zeros(len(rows), "S1")
    sides = [cells.get(name, blank) for name in ("sport", "dport")]
    for name in ("src_port", "dst_port", "icmp_type", "icmp_code", "icmp_id"):
        rows[name] = -1
    proto = rows["proto"]
    with_ports = np.isin(proto, (6, 17, 33, 132, 136))
    for name, cell, title in zip(("src_port", "dst_port"), sides, ("Sport", "Dport"), strict=True):
        values, wrong = output.numbers(cell, 65535)
        hexed, no_hex = output.hexadecimal(cell)
        values, wrong = np.where(wrong, hexed, values), wrong & (no_hex | (hexed > 65535))
        faults.note(wrong & with_ports & (cell != b""), f"{title} is no port number (ra -nn)")
        rows[name] = np.where(with_ports & (cell != b"") & ~wrong, values, -1)
    first, no_first = output.hexadecimal(sides[0])
    second, no_second = output.hexadecimal(sides[1])
    four = (proto == 1) & ~no_first & (first <= 65535)
    # The low byte of the first is the type; the second is in the byte order of the wire.
    rows["icmp_type"] = np.where(four, first & 255, -1)
    rows["icmp_code"] = np.where(four, first >> 8, -1)
    asks = four & ~no_second & (second <= 65535) & np.isin(first & 255, (0, 8, 13, 14, 15, 16, 17, 18))
    rows["icmp_id"] = np.where(asks, (second >> 8 & 255) | (second & 255) << 8, -1)
    for name, cell in zip(("icmp_type", "icmp_code"), sides, strict=True):
        values, wrong = output.numbers(cell, 255)
        rows[name] = np.where((proto == 58) & ~wrong & (cell != b""), values, rows[name])


def _marks(rows: Rows, cells: dict[str, output.Cells]) -> None:
    """Direction, flags or state, and what Argus noted on the flow."""
    blank = np.zeros(len(rows), "S1")
    direction = cells.get("dir", blank)
    told = np.isin(direction, (b"->", b"<-", b"<->", b"?>", b"<?", b"<?>", b"-", b"who"))
    unsure = np.char.count(direction, b"?") > 0
    rows["dir"] = np.where(unsure, UNSURE, np.where(told, CERTAIN, 0))
    state = cells.get("state", blank)
    # With -Z b a TCP record's flags, "FSPA_FSPA", stand in place of its state.
    flagged = (rows["proto"] == 6) & (np.char.count(state, b"_") == 1)
    flagged &= output.only(state, b"FSRPAUEC_")
    rows["state"] = np.where(flagged, b"", state)
    sides = np.char.partition(np.where(flagged, state, b"_"), b"_")
    for name, side in (("src_flags", 0), ("dst_flags", 2)):
        letters = np.ascontiguousarray(sides[:, side])
        rows[name] = np.bitwise_or.reduce(_FLAGS[letters.view(np.uint8).reshape(len(rows), -1)], axis=1)
    rows["first"] = cells["cause"] != b"Status" if "cause" in cells else True
    noted = cells.get("flgs", blank)
    # Its second letter; the first is a blank, which has been stripped, or one of the link layer's.
    rows["unreachable"] = np.char.count(noted, b"U") > 0
    rows["sensor"] = cells.get("srcid", blank)
    rows["inode"] = output.addresses(cells["inode"])[0] if "inode" in cells else np.zeros(len(rows), "V16")
    back = np.isin(direction, (b"<-", b"<?"))
    flip(rows, back)


def flip(rows: Rows, which: NDArray[np.bool_]) -> None:
    """Exchange the sides of some rows."""
    if which.any():
        for name in ("ip", "port", "pkts", "bytes", "flags"):
            src, dst = f"src_{name}", f"dst_{name}"
            rows[src][which], rows[dst][which] = rows[dst][which].copy(), rows[src][which].copy()


def _management(
    lines: Lines, cells: dict[str, output.Cells], numbers: NDArray[np.int64], which: NDArray[np.bool_]
) -> None:
    for i in np.flatnonzero(which):
        said = {name: cell[i : i + 1] for name, cell in cells.items()}
        times = [output.seconds(said[name]) for name in ("ltime", "stime")]
        counts = [output.numbers(said[name])[0][0] if name in said else 0 for name in ("spkts", "loss")]
        cause = bytes(said["cause"][0]) if "cause" in said else b""
        state = bytes(said["state"][0]) if "state" in said else b""
        begins = cause == b"Start" or state == b"STA"
        ends = cause == b"Stop" or state == b"STP"
        what = b"Start" if begins else b"Stop" if ends else b"Status"
        # Their StartTime is when they were written, their LastTime when what they tell of began.
        (start, bad), (end, worse) = times
        if bad[0] or worse[0]:
            continue
        lines.managed.append((int(numbers[i]), what, int(start[0]), int(end[0]), int(counts[0]), int(counts[1])))
    if which.any():
        lines.skipped["management record"] = int(np.count_nonzero(which))
