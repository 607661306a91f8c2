"""Zeek's conn.log and open_conn.log in JSON (LogAscii::use_json), or sent by its JSON streaming.

What the columns mean is in zeek_conn.py.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

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
        records = _records(rows, decoded, places, self._going_on)
        return Taken(records, decoded.in_order(), decoded.skipped)


def _records(rows: Sequence[_Line], decoded: Decoded[_Line], places: Sequence[int], going_on: bool) -> Records:
    faults = Faults(len(rows))
    start = epoch_times([row.ts if row.ts is not None else 0.0 for row in rows])
    faults.note(start == BAD_TIME, "ts is no time")
    lasted = microseconds(np.array([row.duration or 0.0 for row in rows]))
    faults.note((lasted == BAD_TIME) | (lasted < 0), "duration is no time span")
    end = start + lasted
    faults.note(wrong_date(start), "ts is before 1990 or in the future")
    faults.note(wrong_date(end), "ts + duration is in the future")
    src_ip, bad = addresses([row.src_ip for row in rows])
    faults.note(bad, "id.orig_h is no address")
    dst_ip, bad = addresses([row.dst_ip for row in rows])
    faults.note(bad, "id.resp_h is no address")
    faults.note(is_ipv4(src_ip) != is_ipv4(dst_ip), "id.orig_h and id.resp_h are of different families")
    proto = numbers([_protocol(row) for row in rows])
    faults.note(proto < 0, "proto is none that has a number (unknown_transport without ip_proto)")
    uid, cut = texts([row.uid for row in rows], FOREIGN_ID_BYTES)
    faults.note(cut, f"uid has more than {FOREIGN_ID_BYTES} bytes")
    src_port, dst_port = numbers([row.src_port for row in rows]), numbers([row.dst_port for row in rows])
    faults.note((src_port < 0) | (dst_port < 0), "id.orig_p or id.resp_p is missing")
    histories, _ = texts([row.history for row in rows], zeek_conn.MAX_HISTORY)
    for row, why in faults.refused():
        decoded.refuse(places[row], why)
    open_lines = np.array([going_on or row.path == "open_conn" for row in rows], np.bool_)
    fine = faults.fine
    conn = zeek_conn.Conn(
        start=start, end=end, proto=proto, src_ip=src_ip, dst_ip=dst_ip, src_port=src_port, dst_port=dst_port, uid=uid,
        state=zeek_conn.states([row.conn_state for row in rows]),
        history=histories.astype(f"S{HISTORY_BYTES}"), letters=zeek_conn.letters_of(histories),
        history_cut=np.char.str_len(histories) > HISTORY_BYTES,
        src_pkts=numbers([row.orig_pkts for row in rows]), dst_pkts=numbers([row.resp_pkts for row in rows]),
        src_bytes=numbers([row.orig_bytes for row in rows]), dst_bytes=numbers([row.resp_bytes for row in rows]),
        src_ip_bytes=numbers([row.orig_ip_bytes for row in rows]),
        dst_ip_bytes=numbers([row.resp_ip_bytes for row in rows]),
        missed_bytes=numbers([row.missed_bytes for row in rows]), vlan=numbers([row.vlan for row in rows]),
        inner_vlan=numbers([row.inner_vlan for row in rows]), going_on=open_lines,
        tunnelled=np.array([bool(row.tunnel_parents) for row in rows], np.bool_),
    )  # fmt: skip
    if not fine.all():
        for name in conn.__slots__:
            setattr(conn, name, getattr(conn, name)[fine])
    return zeek_conn.records_of(conn)


def _protocol(row: _Line) -> int:
    if row.proto == _UNKNOWN_TRANSPORT:
        return -1 if row.ip_proto is None else row.ip_proto
    return zeek_conn.PROTOCOLS.get(row.proto or "", -1)


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
