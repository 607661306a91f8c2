"""Zeek's conn.log and open_conn.log in JSON (LogAscii::use_json), or sent by its JSON streaming.

What the columns mean is in zeek_conn.py.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from afterfact_protocol.records import Records
from afterfact_protocol.session import FOREIGN_ID_BYTES, HISTORY_BYTES, Source

from . import zeek_conn
from .cells.table import UNSET
from .filling import is_ipv4
from .format import Format, Reader, Taken
from .json_columns import (
    BAD_TIME,
    addresses,
    epoch_times,
    microseconds,
    numbers,
    texts,
    wrong_date,
)
from .json_lines import Decoded, Faults, JsonLines
from .lines import Block

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**61)]
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Vlan = Annotated[int, msgspec.Meta(ge=0, le=4095)]
_UNKNOWN_TRANSPORT = "unknown_transport"
_OWN_PATHS = {None, "conn", "open_conn"}


class _Line(msgspec.Struct, gc=False, kw_only=True):
    """What is read of a line; all else is passed over."""

    path: str | None = msgspec.field(name="_path", default=None)
    ts: float | str | None = None
    uid: str | None = None
    src_ip: str | None = msgspec.field(name="id.orig_h", default=None)
    src_port: _Port | None = msgspec.field(name="id.orig_p", default=UNSET)
    dst_ip: str | None = msgspec.field(name="id.resp_h", default=None)
    dst_port: _Port | None = msgspec.field(name="id.resp_p", default=UNSET)
    proto: str | None = None
    ip_proto: _Octet | None = None
    duration: float | None = None
    orig_bytes: _Count | None = UNSET
    resp_bytes: _Count | None = UNSET
    conn_state: str | None = None
    missed_bytes: _Count | None = UNSET
    history: str | None = None
    orig_pkts: _Count | None = UNSET
    orig_ip_bytes: _Count | None = UNSET
    resp_pkts: _Count | None = UNSET
    resp_ip_bytes: _Count | None = UNSET
    vlan: _Vlan | None = UNSET
    inner_vlan: _Vlan | None = UNSET
    tunnel_parents: list[str] | None = None


class _ZeekReader(Reader):
    def __init__(self, going_on: bool) -> None:
        self._going_on = going_on
        self._lines = JsonLines(_Line)

    def read(self, block: Block) -> Taken:
        decoded = self._lines.read(block)
        columns = _Columns(decoded.rows)
        if columns.whole:
            return Taken(
                _records(columns, decoded, decoded.places, self._going_on), decoded.in_order(), decoded.skipped
            )
        rows: list[_Line] = []
        places: list[int] = []
        for row, place in zip(decoded.rows, decoded.places, strict=True):
            if row.path not in (None, "conn", "open_conn"):
                kind = f"lines of another log ({str(row.path)[:40]})"
                decoded.skipped[kind] = decoded.skipped.get(kind, 0) + 1
            elif row.ts is None or row.src_ip is None or row.dst_ip is None or row.proto is None:
                decoded.refuse(place, "ts, id.orig_h, id.resp_h or proto is missing")
            else:
                rows.append(row)
                places.append(place)
        records = _records(_Columns(rows), decoded, places, self._going_on)
        return Taken(records, decoded.in_order(), decoded.skipped)


class _Columns:
    """The fields of some lines, a sequence each."""

    def __init__(self, rows: Sequence[_Line]) -> None:
        self._count = len(rows)
        names = _Line.__struct_fields__
        values: Iterable[Sequence[Any]] = zip(*map(astuple, rows), strict=True) if rows else [()] * len(names)
        self._columns = dict(zip(names, values, strict=True))

    def __getitem__(self, name: str) -> Sequence[Any]:
        return self._columns[name]

    def __len__(self) -> int:
        return self._count

    @property
    def whole(self) -> bool:
        """They are all of this log, and none lacks what makes a connection."""
        needed = ("ts", "src_ip", "dst_ip", "proto")
        return set(self["path"]) <= _OWN_PATHS and not any(None in self[name] for name in needed)


def _records(rows: _Columns, decoded: Decoded[_Line], places: Sequence[int], going_on: bool) -> Records:
    faults = Faults(len(rows))
    start = epoch_times(rows["ts"])
    faults.note(start == BAD_TIME, "ts is no time")
    lasted = microseconds(np.array([lasted or 0.0 for lasted in rows["duration"]], np.float64))
    faults.note((lasted == BAD_TIME) | (lasted < 0), "duration is no time span")
    end = start + lasted
    faults.note(wrong_date(start), "ts is before 1990 or in the future")
    faults.note(wrong_date(end), "ts + duration is in the future")
    src_ip, bad = addresses(rows["src_ip"])
    faults.note(bad, "id.orig_h is no address")
    dst_ip, bad = addresses(rows["dst_ip"])
    faults.note(bad, "id.resp_h is no address")
    faults.note(is_ipv4(src_ip) != is_ipv4(dst_ip), "id.orig_h and id.resp_h are of different families")
    proto = np.array([zeek_conn.PROTOCOLS.get(name, -1) for name in rows["proto"]], np.int64)
    if (proto < 0).any():
        numbered = np.array([name == _UNKNOWN_TRANSPORT for name in rows["proto"]], np.bool_)
        proto = np.where(numbered, np.maximum(numbers(rows["ip_proto"]), -1), proto)
    faults.note(proto < 0, "proto is none that has a number (unknown_transport without ip_proto)")
    uid, cut = texts(rows["uid"], FOREIGN_ID_BYTES)
    faults.note(cut, f"uid has more than {FOREIGN_ID_BYTES} bytes")
    src_port, dst_port = numbers(rows["src_port"]), numbers(rows["dst_port"])
    faults.note((src_port < 0) | (dst_port < 0), "id.orig_p or id.resp_p is missing")
    histories, _ = texts(rows["history"], zeek_conn.MAX_HISTORY)
    for row, why in faults.refused():
        decoded.refuse(places[row], why)
    open_lines = np.array([going_on or path == "open_conn" for path in rows["path"]], np.bool_)
    fine = faults.fine
    conn = zeek_conn.Conn(
        start=start, end=end, proto=proto, src_ip=src_ip, dst_ip=dst_ip, src_port=src_port, dst_port=dst_port, uid=uid,
        state=zeek_conn.states(rows["conn_state"]),
        history=histories.astype(f"S{HISTORY_BYTES}"), letters=zeek_conn.letters_of(histories),
        history_cut=histories.astype(f"S{HISTORY_BYTES}") != histories,
        src_pkts=numbers(rows["orig_pkts"]), dst_pkts=numbers(rows["resp_pkts"]),
        src_bytes=numbers(rows["orig_bytes"]), dst_bytes=numbers(rows["resp_bytes"]),
        src_ip_bytes=numbers(rows["orig_ip_bytes"]), dst_ip_bytes=numbers(rows["resp_ip_bytes"]),
        missed_bytes=numbers(rows["missed_bytes"]), vlan=numbers(rows["vlan"]), inner_vlan=numbers(rows["inner_vlan"]),
        going_on=open_lines, tunnelled=np.array(list(map(bool, rows["tunnel_parents"])), np.bool_),
    )  # fmt: skip
    if not fine.all():
        for name in conn.__slots__:
            setattr(conn, name, getattr(conn, name)[fine])
    return zeek_conn.records_of(conn)


class ZeekJson(Format):
    name = "zeek"
    source = Source.ZEEK
    describe = "Zeek's conn.log in JSON"
    self_ending = True
    _going_on = False

    def recognise(self, head: bytes, name: str) -> bool:
        line = head.lstrip().split(b"\n", 1)[0]
        return line.startswith(b"{") and b'"id.orig_h"' in line and b'"conn_state"' in line

    def reader(self) -> Reader:
        return _ZeekReader(self._going_on)


class ZeekOpenJson(ZeekJson):
    """Zeek's package zeek-open-connections tells of connections that go on; its lines do not say so, its name does."""

    describe = "Zeek's open_conn.log in JSON: connections that go on"
    _going_on = True

    def recognise(self, head: bytes, name: str) -> bool:
        return name.startswith("open_conn") and super().recognise(head, name)
