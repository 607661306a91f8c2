"""The founding question's sessions as other meters would have written them, one text for each format.

From their documented layouts.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import NamedTuple


class Made(NamedTuple):
    """One TCP session that was opened, used both ways and closed."""

    start: str
    src: str
    sport: int
    dst: str
    dport: int
    asked: bool
    """Whether the founding question finds it."""

    @property
    def seconds(self) -> int:
        return int(datetime.fromisoformat(self.start).replace(tzinfo=UTC).timestamp())

    @property
    def stop(self) -> str:
        return datetime.fromtimestamp(self.seconds + DURATION, UTC).strftime("%Y-%m-%d %H:%M:%S")


DURATION = 21
PKTS = (6, 5)
BYTES = (420, 1310)

CASE = (
    Made("2004-07-19 23:59:50", "10.1.1.5", 1034, "203.0.113.9", 6667, False),  # before the date
    Made("2004-07-21 08:00:00", "10.1.1.7", 1500, "203.0.113.9", 1034, True),
    Made("2004-07-21 08:05:00", "10.1.1.8", 1034, "198.51.100.3", 6667, True),
    Made("2004-07-21 08:06:00", "10.1.1.9", 1034, "198.51.100.4", 80, False),  # web
    Made("2004-07-22 09:00:00", "10.1.1.9", 1034, "198.51.100.5", 443, False),
    Made("2004-07-22 09:01:00", "10.1.1.4", 2200, "198.51.100.6", 1035, False),  # another port
    Made("2004-07-23 02:10:11", "198.51.100.9", 3333, "10.1.1.7", 1034, True),  # back in
)

QUESTION = """WHERE sessions.start_time > '2004-07-20' AND
(sessions.src_port = 1034 or sessions.dst_port = 1034)
and sessions.dst_port != 80 and sessions.src_port !=80
and sessions.dst_port != 443 and sessions.src_port != 443
LIMIT 500"""


def _number(address: str) -> int:
    return int(IPv4Address(address))


def sancp() -> str:
    lines = [
        f"{5343839945097049070 + n}|{m.start}|{m.stop}|{DURATION}|6|{_number(m.src)}|{m.sport}|{_number(m.dst)}|"
        f"{m.dport}|{PKTS[0]}|{BYTES[0]}|{PKTS[1]}|{BYTES[1]}|27|27"
        for n, m in enumerate(CASE)
    ]
    return "\n".join(lines) + "\n"


def stream4() -> str:
    lines = [
        f"{1090000000000 + n}|{m.start}|{m.stop}|{_number(m.src)}|{_number(m.dst)}|{m.sport}|{m.dport}|6|"
        f"{PKTS[0]}|{PKTS[1]}|{BYTES[0]}|{BYTES[1]}"
        for n, m in enumerate(CASE)
    ]
    return "\n".join(lines) + "\n"


def argus_csv() -> str:
    head = ("StartTime,LastTime,Flgs,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SrcBytes,DstBytes,SAppBytes,"
            "DAppBytes,State")  # fmt: skip
    rows = [
        f"{m.seconds}.000000,{m.seconds + DURATION}.000000, e        ,tcp,{m.src},{m.sport},   ->,{m.dst},{m.dport},"
        f"{PKTS[0]},{PKTS[1]},{BYTES[0] + 324},{BYTES[1] + 270},{BYTES[0]},{BYTES[1]},FIN"
        for m in CASE
    ]
    return "\n".join([head, *rows]) + "\n"


WRITTEN: dict[str, tuple[str, Callable[[], str]]] = {
    "stats.eth0.1090800000": ("sancp", sancp),
    "ssn_log.1090800000": ("stream4", stream4),
    "ra.csv": ("argus", argus_csv),
}
"""File name: the format it is in, and its text."""
