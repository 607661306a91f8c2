"""Snort 3's alert_json as events. It names no flow: the session is found by endpoints and time."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np

from afterfact_protocol.event import Action, Events
from afterfact_protocol.session import Proto, Source

from .events import EventFilling
from .format import NO_EVENTS, Format, Reader, Taken
from .json_columns import BAD_TIME, wrong_date
from .json_lines import Decoded, Faults, JsonLines
from .lines import Block

_U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_TIMESTAMP = re.compile(r"(?:(\d\d)/)?(\d\d)/(\d\d)-(\d\d):(\d\d):(\d\d)\.(\d{6})\s*", re.ASCII)
_RULE = re.compile(r"(\d{1,10}):(\d{1,10}):(\d{1,10})", re.ASCII)
_BLOCKING = ("drop", "block", "reset")
_PORTED = ("TCP", "UDP")


class _Line(msgspec.Struct, gc=False, kw_only=True):
    """What is read of a line; which fields are written is Snort's configuration."""

    seconds: Annotated[int, msgspec.Meta(ge=0, le=2**40)] | None = None
    timestamp: str | None = None
    gid: _U32 | None = None
    sid: _U32 | None = None
    rev: _U32 | None = None
    rule: str | None = None
    """gid:sid:rev."""
    msg: str | None = None
    class_: str | None = msgspec.field(name="class", default=None)
    priority: _U32 | None = None
    action: str | None = None
    proto: str | None = None
    src_addr: str | None = None
    src_port: _Port | None = None
    src_ap: str | None = None
    """Address and port."""
    dst_addr: str | None = None
    dst_port: _Port | None = None
    dst_ap: str | None = None


_End = tuple[str | None, int | None]


class _SnortReader(Reader):
    def __init__(self) -> None:
        self._lines = JsonLines(_Line)

    def read(self, block: Block) -> Taken:
        decoded = self._lines.read(block)
        events = self._events(decoded) if decoded.rows else NO_EVENTS
        return Taken(rejects=decoded.in_order(), skipped=decoded.skipped, events=events)

    @staticmethod
    def _events(decoded: Decoded[_Line]) -> Events:
        rows = decoded.rows
        faults = Faults(len(rows))
        made = EventFilling(len(rows), Source.SNORT)
        at = np.array([_time(row) for row in rows], np.int64)
        faults.note(at == _NO_YEAR, "timestamp without year: let alert_json write `seconds`, or run it with -y and -U")
        faults.note(at == BAD_TIME, "neither seconds nor timestamp is a time")
        faults.note(wrong_date(at), "time is before 1990 or in the future")
        made.put("time", at)
        rules = [_rule(row) for row in rows]
        faults.note(np.array([sid is None for _, sid, _ in rules]), "neither sid nor rule tells the signature")
        for name, values in zip(("gid", "signature_id", "rev"), zip(*rules, strict=True), strict=True):
            made.put_numbers(name, list(values))
        made.put_severities([row.priority for row in rows])
        made.put("action", np.array([_action(row.action or "") for row in rows]))
        made.put_text("signature", [row.msg for row in rows])
        made.put_text("category", [None if row.class_ == "none" else row.class_ for row in rows])
        src = [_end(row.src_addr, row.src_port, row.src_ap) for row in rows]
        dst = [_end(row.dst_addr, row.dst_port, row.dst_ap) for row in rows]
        made.put_ends([_protocol(row, ip) for row, (ip, _) in zip(rows, src, strict=True)], src, dst, faults)
        for row, why in faults.refused():
            decoded.refuse(decoded.places[row], why)
        return made.finish(faults)


_NO_YEAR = BAD_TIME + 1


def _time(row: _Line) -> int:
    """Seconds are UTC; the fraction comes from the timestamp, whose hour may be of any zone."""
    said = _TIMESTAMP.fullmatch(row.timestamp or "")
    if row.seconds is not None:
        return row.seconds * 1_000_000 + (int(said[7]) if said is not None else 0)
    if said is None:
        return BAD_TIME
    if said[1] is None:
        return _NO_YEAR
    year, month, day, hour, minute, second, fraction = (int(part) for part in said.groups())
    try:
        time = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return BAD_TIME
    return int(time.timestamp()) * 1_000_000 + fraction


def _rule(row: _Line) -> tuple[int | None, int | None, int | None]:
    return (row.rule is not None and _parts(row.rule)) or (row.gid, row.sid, row.rev)


@lru_cache(1 << 14)
def _parts(rule: str) -> tuple[int, int, int] | None:
    """Of gid:sid:rev; None if it is not that. There are few rules, and many alerts."""
    said = _RULE.fullmatch(rule)
    if said is None:
        return None
    gid, sid, rev = (int(part) for part in said.groups())
    return (gid, sid, rev) if max(gid, sid, rev) < 2**32 else None


def _action(name: str) -> Action:
    """Of the packet; `would_` and `cant_` say that it passed all the same."""
    verb = name.rpartition("_")[2]
    if verb in _BLOCKING:
        return Action.BLOCKED if verb == name else Action.WOULD_BLOCK
    return Action.ALLOWED if name == "allow" else Action.UNKNOWN


def _end(address: str | None, port: int | None, both: str | None) -> _End:
    if address is None and both is not None:
        address, _, digits = both.rpartition(":")
        port = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 5 else None
        port = port if port is not None and port < 65536 else None
    return address or None, port


def _protocol(row: _Line, ip: str | None) -> str | None:
    """Snort's types of packets: ICMP is either version's; IP is any that it does not decode."""
    if row.proto == "ICMP" and ip is not None and ":" in ip:
        return str(int(Proto.ICMPV6))
    return row.proto if row.proto in (*_PORTED, "ICMP") else None


class Snort3(Format):
    name = "snort"
    source = Source.SNORT
    describe = "Snort 3's alert_json"
    self_ending = True

    def recognise(self, head: bytes, name: str) -> bool:
        line = head.lstrip().split(b"\n", 1)[0]
        known = b'"rule" :' in line or b'"sid" :' in line
        return line.startswith(b"{") and known and (b'"timestamp" :' in line or b'"seconds" :' in line)

    def reader(self) -> Reader:
        return _SnortReader()
