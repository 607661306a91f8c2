"""Flows of Suricata as sessions: what its events say of them, and what follows from it.

Its byte counts are of whole frames, which is neither payload nor IP: they are left absent, and are evidence only.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing.cells.table import UNSET
from afterfact_agent.importing.filling import Filling, has_ports, is_ipv4
from afterfact_agent.importing.format import Reject
from afterfact_agent.importing.json_columns import (
    BAD_TIME,
    addresses,
    numbers,
    texts,
    times,
    wrong_date,
)
from afterfact_agent.importing.json_lines import Decoded, Faults
from afterfact_agent.importing.protocols import protocol_number
from afterfact_protocol.records import Records
from afterfact_protocol.session import FOREIGN_ID_BYTES, EndReason, Mark, Proto, Source

from .lines import Event
from .sides import NO_FLAGS, Sides

Numbers = NDArray[np.int64]


class Side(msgspec.Struct, frozen=True, gc=False):
    """What one side of a flow sent."""

    pkts: int | None
    bytes: int | None
    flags: str | None
    """TCP's, in hexadecimal; None if Suricata did not follow the session."""


class FlowSeen(msgspec.Struct, frozen=True, gc=False):
    """A flow, of one flow event or of one or two netflow events."""

    place: int
    """The line of the block that tells of it."""
    event: Event
    """Who called, as Suricata has it."""
    start: str
    end: str
    src: Side
    dst: Side | None
    """None if only one netflow event of it was there."""
    state: str | None = None
    reason: str | None = None
    whole: bool = True
    """A flow event: where a flow has both kinds of event, this one says more."""
    held: Reject | None = None
    """What becomes of its line if no session can be made of it, where that is a line of an earlier block."""


def of_flow_event(event: Event, place: int) -> FlowSeen | str:
    """The flow, or why there is none in it."""
    flow = event.flow
    if flow is None or flow.start is None or flow.end is None or event.src_ip is None or event.dest_ip is None:
        return "flow event without flow.start, flow.end, src_ip or dest_ip"
    tcp = event.tcp
    # Without a state it did not follow the session, and writes flags of 00.
    followed = tcp is not None and tcp.state is not None
    return FlowSeen(
        place, event, flow.start, flow.end,
        Side(flow.pkts_toserver, flow.bytes_toserver, tcp.tcp_flags_ts if tcp is not None and followed else None),
        Side(flow.pkts_toclient, flow.bytes_toclient, tcp.tcp_flags_tc if tcp is not None and followed else None),
        flow.state, flow.reason,
    )  # fmt: skip


def records_of(flows: Sequence[FlowSeen], decoded: Decoded[Event]) -> Records:
    """Their sessions; lines that no session can be made of are rejected."""
    events = [flow.event for flow in flows]
    faults = Faults(len(flows))
    start, end = times([flow.start for flow in flows]), times([flow.end for flow in flows])
    faults.note((start == BAD_TIME) | (end == BAD_TIME), "start or end of the flow is no time")
    faults.note(wrong_date(start) | wrong_date(end), "start or end of the flow is before 1990 or in the future")
    faults.note(end < start, "end of the flow is before its start")
    sides = Sides(
        *_addresses_of(events, faults),
        src_port=numbers([event.src_port for event in events]), dst_port=numbers([event.dest_port for event in events]),
        src_pkts=numbers([flow.src.pkts for flow in flows]),
        dst_pkts=numbers([flow.dst.pkts if flow.dst is not None else None for flow in flows]),
        src_bytes=numbers([flow.src.bytes for flow in flows]),
        dst_bytes=numbers([flow.dst.bytes if flow.dst is not None else None for flow in flows]),
        src_flags=_flags([flow.src.flags for flow in flows], faults),
        dst_flags=_flags([flow.dst.flags if flow.dst is not None else None for flow in flows], faults),
        icmp_type=numbers([event.icmp_type for event in events]),
    )  # fmt: skip
    for row, why in faults.refused():
        held = flows[row].held
        if held is None:
            decoded.refuse(flows[row].place, why)
        else:
            decoded.rejects.append(Reject(held.line, why, held.text))
    made = Filling(len(flows), Source.SURICATA)
    made.put("start_time", start)
    made.put("end_time", end)
    made.put("proto", sides.proto)
    made.put("direction_by", sides.direct())
    flow_ids = [event.flow_id for event in events]
    foreign, _ = texts([None if flow_id is None else str(flow_id) for flow_id in flow_ids], FOREIGN_ID_BYTES)
    made.put("foreign_id", foreign, foreign != b"")
    ported, icmp = has_ports(sides.proto), np.isin(sides.proto, (Proto.ICMP, Proto.ICMPV6))
    for side in ("src", "dst"):
        made.put(f"{side}_ip", getattr(sides, f"{side}_ip"))
        ports, pkts, flags = (getattr(sides, f"{side}_{what}") for what in ("port", "pkts", "flags"))
        made.put(f"{side}_port", ports, ported & (ports != UNSET))
        made.put(f"{side}_pkts", pkts, pkts != UNSET)
        made.put(f"{side}_flags", flags, (sides.proto == Proto.TCP) & (flags != NO_FLAGS))
    made.put("icmp_type", sides.icmp_type, icmp & (sides.icmp_type != UNSET))
    codes = numbers([event.icmp_code for event in events])
    made.put("icmp_code", codes, icmp & (codes != UNSET))
    vlans = [event.vlan for event in events]
    if any(vlans):
        for depth, name in enumerate(("vlan", "inner_vlan")):
            tags = numbers([_vlan(each, depth) for each in vlans])
            made.put(name, tags, tags > 0)
    made.put("state", *sides.state())
    made.put("outcome", sides.outcome())
    made.put("marks", np.where(sides.midstream, int(Mark.PARTIAL), 0))
    # Suricata ends closed sessions by a time-out too, a short one.
    reasons = np.array(
        [_CLOSED if flow.state == "closed" else _REASONS.get(flow.reason, UNSET) for flow in flows], np.int64
    )
    made.put("end_reason", reasons, reasons != UNSET)
    whole = np.fromiter((flow.whole for flow in flows), np.bool_, len(flows))
    packets = np.maximum(sides.src_pkts, 0) + np.maximum(sides.dst_pkts, 0)
    return made.finish(packets, whole)[faults.fine]


def _addresses_of(events: Sequence[Event], faults: Faults) -> tuple[Numbers, NDArray[np.void], NDArray[np.void]]:
    """Protocol, source and destination."""
    src_ip, bad = addresses([event.src_ip for event in events])
    faults.note(bad, "src_ip is no address")
    dst_ip, bad = addresses([event.dest_ip for event in events])
    faults.note(bad, "dest_ip is no address")
    faults.note(is_ipv4(src_ip) != is_ipv4(dst_ip), "src_ip and dest_ip are of different families")
    proto = numbers([protocol_number(event.proto or "") for event in events])
    faults.note(proto < 0, "proto is no IP protocol")
    return np.maximum(proto, 0), src_ip, dst_ip


def _flags(flags: Sequence[str | None], faults: Faults) -> Numbers:
    """NO_FLAGS where none were noted."""
    found = np.array([_OCTETS.get(text, _NO_OCTET) for text in flags], np.int64)
    faults.note(found == _NO_OCTET, "TCP flags are not two hexadecimal digits")
    return np.maximum(found, NO_FLAGS)


_DIGITS = "0123456789abcdefABCDEF"
_OCTETS: dict[str | None, int] = {a + b: int(a + b, 16) for a in _DIGITS for b in _DIGITS} | {None: NO_FLAGS}
_NO_OCTET = NO_FLAGS - 1


def _vlan(tags: list[int] | int | None, depth: int) -> int | None:
    """Suricata lists them from the outside in."""
    if isinstance(tags, int):
        tags = [tags]
    return tags[depth] if tags is not None and len(tags) > depth else None


_CLOSED = int(EndReason.CLOSED)
_REASONS: dict[str | None, int] = {
    "timeout": EndReason.IDLE, "forced": EndReason.EVICTED, "shutdown": EndReason.FORCED,
    "tcp_reuse": EndReason.REUSED,
}  # fmt: skip
