"""Zeek's conn.log and open_conn.log as tab-separated text, by their own headers: any separator, order and choice of
fields.

What the columns mean is in zeek_conn.py. A header may come again in the middle of a file: logs that were put together.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.records import Records
from afterfact_protocol.session import FOREIGN_ID_BYTES, Source

from . import zeek_conn
from .cells import table
from .columns import SKIPPED, Cells, Column, Plan
from .filling import is_ipv4
from .format import Format, Reader, Reject, Taken
from .json_columns import wrong_date
from .layouts import records_of
from .lines import Block

_COLUMNS = {
    column.name: column
    for column in (
        Column("ts", table.SECONDS),
        Column("uid", table.TEXT, FOREIGN_ID_BYTES, optional=True),
        Column("id.orig_h", table.ADDRESS),
        Column("id.orig_p", table.DECIMAL, 65535),
        Column("id.resp_h", table.ADDRESS),
        Column("id.resp_p", table.DECIMAL, 65535),
        Column("proto", table.WORD),
        Column("ip_proto", table.DECIMAL, 255, optional=True),
        Column("duration", table.SECONDS, optional=True),
        Column("orig_bytes", table.DECIMAL, optional=True),
        Column("resp_bytes", table.DECIMAL, optional=True),
        Column("conn_state", table.WORD, optional=True),
        Column("missed_bytes", table.DECIMAL, optional=True),
        Column("history", table.LETTERS, optional=True),
        Column("orig_pkts", table.DECIMAL, optional=True),
        Column("orig_ip_bytes", table.DECIMAL, optional=True),
        Column("resp_pkts", table.DECIMAL, optional=True),
        Column("resp_ip_bytes", table.DECIMAL, optional=True),
        Column("tunnel_parents", table.TEXT, optional=True),
        Column("vlan", table.DECIMAL, 4095, optional=True),
        Column("inner_vlan", table.DECIMAL, 4095, optional=True),
    )
}
_NEEDED = tuple(name for name, column in _COLUMNS.items() if not column.optional)
_PROTOCOLS = {table.packed(name.encode()): number for name, number in zeek_conn.PROTOCOLS.items()}
_STATES = {table.packed(name.encode()): number for name, number in zeek_conn.STATES.items()}
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")
_PATH = re.compile(rb"(open_)?conn([-_.].*)?")
_HASH = ord("#")
_RECOGNISED_BY = {b"id.orig_h", b"id.resp_p", b"conn_state"}


@dataclass(frozen=True, slots=True)
class _Header:
    """What the header lines so far say."""

    separator: bytes = b"\t"
    unset: bytes = b"-"
    empty: bytes = b"(empty)"
    path: bytes | None = None
    fields: tuple[bytes, ...] = ()

    def after(self, line: bytes) -> "_Header":
        """With one more line of it."""
        between = self.separator or b"\t"  # an empty one splits nothing: `fault` has it
        name, _, rest = line.partition(b" " if line.startswith(b"#separator") else between)
        if name == b"#separator":
            # Zeek writes a new one at the head of each file.
            return _Header(separator=_ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), rest))
        if name == b"#unset_field":
            return replace(self, unset=rest)
        if name == b"#empty_field":
            return replace(self, empty=rest)
        if name == b"#path":
            return replace(self, path=rest)
        if name == b"#fields":
            return replace(self, fields=tuple(rest.split(between)))
        return self

    @property
    def other_log(self) -> bool:
        return self.path is not None and _PATH.fullmatch(self.path) is None

    @property
    def going_on(self) -> bool:
        return self.path is not None and self.path.startswith(b"open_conn")

    @property
    def fault(self) -> str | None:
        """Why no line can be read by it."""
        if len(self.separator) != 1:
            return "#separator is not one byte"
        if not self.fields:
            return "no #fields line before it"
        missing = [name for name in _NEEDED if name.encode() not in self.fields]
        return f"#fields lacks {missing[0]}" if missing else None

    def plan(self) -> Plan:
        columns: list[Column] = []
        for name in self.fields:
            column = _COLUMNS.get(name.decode("latin-1"), SKIPPED)
            columns.append(SKIPPED if column in columns else column)
        return Plan(columns, self.separator, self.unset, self.empty)


class _Zeek(Reader):
    def __init__(self) -> None:
        self._header = _Header()
        self._planned = self._header
        """What `_plan` is of."""
        self._plan: Plan | None = None

    def read(self, block: Block) -> Taken:
        filled = block.ends > block.starts
        headers = np.zeros(len(block), np.bool_)
        headers[filled] = block.data[block.starts[filled]] == _HASH
        lines = np.flatnonzero(filled & ~headers)
        skipped = {
            kind: count
            for kind, count in (("empty lines", int((~filled).sum())), ("header lines", int(headers.sum())))
            if count
        }
        taken: list[Records] = []
        rejects: list[Reject] = []
        for header, begin, end in self._parts(block, lines, np.flatnonzero(headers)):
            if header != self._planned:
                self._planned, self._plan = header, None
            self._take(block, lines[begin:end], taken, rejects, skipped)
        return Taken(records_of(taken), tuple(rejects), skipped)

    def _parts(
        self, block: Block, lines: NDArray[np.int64], headers: NDArray[np.int64]
    ) -> Iterator[tuple[_Header, int, int]]:
        """Which of the lines are to be read by which header: few parts, since files that were put together have the
        same one again and again."""
        begin = reached = 0
        under = self._header  # of lines[begin:reached]
        for place, at in zip(headers.tolist(), np.searchsorted(lines, headers).tolist(), strict=True):
            if at > reached:
                if self._header != under:
                    yield under, begin, reached
                    begin, under = reached, self._header
                reached = at
            self._header = self._header.after(block.line(place).rstrip())
        if self._header != under:
            yield under, begin, reached
            begin, under = reached, self._header
        yield under, begin, len(lines)

    def _take(
        self,
        block: Block,
        lines: NDArray[np.int64],
        taken: list[Records],
        rejects: list[Reject],
        skipped: dict[str, int],
    ) -> None:
        """Lines of one header."""
        if not len(lines):
            return
        header = self._planned
        if header.other_log:
            kind = f"lines of another log ({(header.path or b'').decode('ascii', 'replace')[:40]})"
            skipped[kind] = skipped.get(kind, 0) + len(lines)
            return
        fault = header.fault
        if fault is not None:
            rejects += [Reject(int(block.numbers[line]), fault, block.line(line)) for line in lines.tolist()]
            return
        self._plan = self._plan or header.plan()
        cells = self._plan.read(block.data, block.starts[lines], block.ends[lines])
        proto = _protocols(cells)
        _refuse(cells, proto)
        rejects += cells.rejects(block, lines)
        taken.append(_records(cells.fine(), proto[cells.status == table.FINE], header.going_on))


def _refuse(cells: Cells, proto: NDArray[np.int64]) -> None:
    """Reject lines whose cells can be read and make no connection."""
    start = cells.value("ts")
    cells.refuse(wrong_date(start), "ts is before 1990 or in the future")
    cells.refuse(wrong_date(_end(cells)), "ts + duration is in the future")
    other_family = is_ipv4(cells.address("id.orig_h")) != is_ipv4(cells.address("id.resp_h"))
    cells.refuse(other_family, "id.orig_h and id.resp_h are of different families")
    cells.refuse(proto < 0, "proto is none that has a number (unknown_transport without ip_proto)")


def _end(cells: Cells) -> NDArray[np.int64]:
    return np.asarray(cells.value("ts") + np.maximum(cells.value("duration"), 0))


def _protocols(cells: Cells) -> NDArray[np.int64]:
    words = cells.value("proto")
    numbers = np.where(words == table.LONG_WORD, cells.value("ip_proto"), -1)
    for word, number in _PROTOCOLS.items():
        numbers[words == word] = number
    return numbers


def _states(words: NDArray[np.int64]) -> NDArray[np.uint8]:
    states = np.full(len(words), zeek_conn.NO_STATE, np.uint8)
    for word, number in _STATES.items():
        states[words == word] = number
    return states


def _records(cells: Cells, proto: NDArray[np.int64], going_on: bool) -> Records:
    letters = cells.value("history")
    return zeek_conn.records_of(
        zeek_conn.Conn(
            start=cells.value("ts"), end=_end(cells), proto=proto,
            src_ip=cells.address("id.orig_h"), dst_ip=cells.address("id.resp_h"),
            src_port=cells.value("id.orig_p"), dst_port=cells.value("id.resp_p"),
            uid=cells.text("uid"), state=_states(cells.value("conn_state")), history=cells.text("history"),
            letters=np.maximum(letters, 0), history_cut=(letters > 0) & ((letters & (1 << table.CUT)) != 0),
            src_pkts=cells.value("orig_pkts"), dst_pkts=cells.value("resp_pkts"),
            src_bytes=cells.value("orig_bytes"), dst_bytes=cells.value("resp_bytes"),
            src_ip_bytes=cells.value("orig_ip_bytes"), dst_ip_bytes=cells.value("resp_ip_bytes"),
            missed_bytes=cells.value("missed_bytes"), vlan=cells.value("vlan"), inner_vlan=cells.value("inner_vlan"),
            tunnelled=cells.value("tunnel_parents") > 0,
            going_on=np.full(len(cells), going_on),
        )
    )  # fmt: skip


class ZeekTsv(Format):
    name = "zeek"
    source = Source.ZEEK
    describe = "Zeek's conn.log and open_conn.log as tab-separated text with its header"

    def recognise(self, head: bytes, name: str) -> bool:
        header = _Header()
        for line in head.split(b"\n"):
            if line.startswith(b"#"):
                header = header.after(line.rstrip())
            elif line.strip():
                break
        return not header.other_log and set(header.fields) >= _RECOGNISED_BY

    def reader(self) -> Reader:
        return _Zeek()
