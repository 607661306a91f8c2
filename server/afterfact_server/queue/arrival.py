"""What comes into the queue: an alert or a watch's match as one shape, Arrived."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from afterfact_protocol.event import EVENT_BY_NAME, EVENT_KEY, Events
from afterfact_protocol.records import Records
from afterfact_protocol.session import BY_NAME, KEY
from afterfact_protocol.text import column_text

LATE_US = 120_000_000
"""An event that was stored so long after it happened is marked: somebody may have looked in vain in between."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One event; see messages.QueueEvent. Ports and protocol are -1 where there are none, addresses empty."""

    key: str
    source: str
    rule: str
    text: str
    severity: int
    time: int
    sensor: int
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    proto: int
    ident: int
    late: bool
    alert: int = 0
    """Its number in the store."""


def alerts(events: Events) -> list[Arrived]:
    """EVENT_ROW rows as they come into the queue."""
    if not len(events):
        return []

    def known(name: str) -> list[bool]:
        bit = np.uint64(1 << EVENT_BY_NAME[name].id)
        there: list[bool] = ((events["absent"] & bit) == 0).tolist()
        return there

    def number(name: str) -> list[int]:
        return [int(value) if there else -1 for value, there in zip(events[name].tolist(), known(name), strict=True)]

    def text(name: str) -> list[str]:
        return column_text(events, EVENT_BY_NAME[name], {}, "")

    times, sensors, idents = (events[name].tolist() for name in EVENT_KEY)
    late = (events["ingest_time"] - events["time"] > LATE_US).tolist()
    severities = [max(0, value) for value in number("severity")]
    rules = [f"{max(0, gid)}:{sid}" for gid, sid in zip(number("gid"), events["signature_id"].tolist(), strict=True)]
    return [
        Arrived(f"a:{time}:{sensor}:{ident}", "alert", rule, signature, severity, time, sensor, src, sport, dst, dport,
                proto, ident, is_late, alert)
        for time, sensor, ident, rule, signature, severity, src, sport, dst, dport, proto, is_late, alert in zip(
            times, sensors, idents, rules, text("signature"), severities, text("src_ip"), number("src_port"),
            text("dst_ip"), number("dst_port"), number("proto"), late,
            events["number"].tolist(), strict=True,
        )
    ]  # fmt: skip


def matches(rows: Records, watch: int, name: str, severity: int) -> list[Arrived]:
    """ROW rows that a watch found."""
    if not len(rows):
        return []

    def port(field: str) -> list[int]:
        bit = np.uint64(1 << BY_NAME[field].id)
        there = ((rows["absent"] & bit) == 0).tolist()
        return [int(value) if known else -1 for value, known in zip(rows[field].tolist(), there, strict=True)]

    times, sensors, idents = (rows[field].tolist() for field in KEY)
    late = (rows["ingest_time"] - rows["end_time"] > LATE_US).tolist()
    addresses: Mapping[str, list[str]] = {
        field: column_text(rows, BY_NAME[field], {}, "") for field in ("src_ip", "dst_ip")
    }
    return [
        Arrived(f"w{watch}:{time}:{sensor}:{ident}", "watch", f"watch:{watch}", name, severity, time, sensor, src,
                sport, dst, dport, proto, ident, is_late)
        for time, sensor, ident, src, sport, dst, dport, proto, is_late in zip(
            times, sensors, idents, addresses["src_ip"], port("src_port"), addresses["dst_ip"], port("dst_port"),
            rows["proto"].tolist(), late, strict=True,
        )
    ]  # fmt: skip
