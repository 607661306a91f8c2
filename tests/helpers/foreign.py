"""The founding question's sessions as other meters would have written them, one text for each format.

From their documented layouts.
"""

import json
from collections.abc import Callable, Iterable
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


def zeek_json() -> str:
    return _json_lines(
        {
            "ts": m.seconds, "uid": f"CHhAvVGS1DHFjwGM{n}", "id.orig_h": m.src, "id.orig_p": m.sport,
            "id.resp_h": m.dst, "id.resp_p": m.dport, "proto": "tcp", "service": "-", "duration": DURATION,
            "orig_bytes": BYTES[0], "resp_bytes": BYTES[1], "conn_state": "SF", "missed_bytes": 0,
            "history": "ShADadFf", "orig_pkts": PKTS[0], "orig_ip_bytes": BYTES[0] + 240, "resp_pkts": PKTS[1],
            "resp_ip_bytes": BYTES[1] + 200,
        }
        for n, m in enumerate(CASE)
    )  # fmt: skip


def zeek_tsv() -> str:
    """What `zeek_json` has, without #close: the log goes on."""
    names = ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration",
             "orig_bytes", "resp_bytes", "conn_state", "local_orig", "missed_bytes", "history", "orig_pkts",
             "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents")  # fmt: skip
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
            "#open\t2004-07-19-00-00-00", "#fields\t" + "\t".join(names)]  # fmt: skip
    rows = [
        f"{m.seconds}.000000\tCHhAvVGS1DHFjwGM{n}\t{m.src}\t{m.sport}\t{m.dst}\t{m.dport}\ttcp\t-\t{DURATION}.000000\t"
        f"{BYTES[0]}\t{BYTES[1]}\tSF\tT\t0\tShADadFf\t{PKTS[0]}\t{BYTES[0] + 240}\t{PKTS[1]}\t{BYTES[1] + 200}\t(empty)"
        for n, m in enumerate(CASE)
    ]
    return "\n".join([*head, *rows]) + "\n"


def eve_flow() -> str:
    return _json_lines(
        _eve(m, n, "flow")
        | {
            "flow": {
                "pkts_toserver": PKTS[0], "pkts_toclient": PKTS[1], "bytes_toserver": BYTES[0] + 324,
                "bytes_toclient": BYTES[1] + 270, "start": _iso(m.seconds), "end": _iso(m.seconds + DURATION),
                "age": DURATION, "state": "closed", "reason": "timeout", "alerted": False,
            },
            "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "syn": True, "state": "closed"},
        }
        for n, m in enumerate(CASE)
    )  # fmt: skip


def eve_netflow() -> str:
    """Two events a session, one each way."""
    return _json_lines(
        (_eve(m, n, "netflow") if way == 0 else _back(_eve(m, n, "netflow")))
        | {
            "netflow": {
                "pkts": PKTS[way], "bytes": BYTES[way] + 54 * PKTS[way], "start": _iso(m.seconds),
                "end": _iso(m.seconds + DURATION), "age": DURATION, "min_ttl": 64, "max_ttl": 64,
            },
            "tcp": {"tcp_flags": "1b", "syn": True},
        }
        for n, m in enumerate(CASE)
        for way in (0, 1)
    )  # fmt: skip


def netflow_csv() -> str:
    """Two records a session, one each way, as nfdump 1.7.1 writes them; and its summary."""
    rows = []
    for m in CASE:
        ends = ((m.src, m.sport), (m.dst, m.dport))
        for way, ((near, port), (far, other)) in enumerate((ends, ends[::-1])):
            first = m.start if way == 0 else m.start + ".120"
            rows.append(
                f"{first},{m.stop},{DURATION}.000,{near},{far},{port},{other},TCP,...AP.SF,0,0,{PKTS[way]},"
                f"{BYTES[way] + 40 * PKTS[way]},0,0,192.0.2.1"
            )
    head = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,ra"
    tail = ["Summary", "flows,bytes,packets,avg_bps,avg_pps,avg_bpp", "14,14630,77,0,0,190"]
    return "\n".join([head, *rows, *tail]) + "\n"


def _eve(made: Made, number: int, kind: str) -> dict[str, object]:
    return {
        "timestamp": _iso(made.seconds + DURATION), "flow_id": 659094007817795 + number, "event_type": kind,
        "src_ip": made.src, "src_port": made.sport, "dest_ip": made.dst, "dest_port": made.dport, "proto": "TCP",
    }  # fmt: skip


def _back(event: dict[str, object]) -> dict[str, object]:
    sides = ("src_ip", "src_port", "dest_ip", "dest_port")
    return event | dict(zip(sides, (event[name] for name in (*sides[2:], *sides[:2])), strict=True))


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f%z")


def _json_lines(rows: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


WRITTEN: dict[str, tuple[str, Callable[[], str]]] = {
    "stats.eth0.1090800000": ("sancp", sancp),
    "ssn_log.1090800000": ("stream4", stream4),
    "ra.csv": ("argus", argus_csv),
    "conn.log": ("zeek", zeek_tsv),
    "conn.json.log": ("zeek", zeek_json),
    "eve.json": ("suricata", eve_flow),
    "eve-netflow.json": ("suricata", eve_netflow),
    "nfdump.csv": ("netflow", netflow_csv),
}
"""File name: the format it is in, and its text."""

_PORTS = frozenset(("src_port", "dst_port"))
_COUNTS = _PORTS | {"src_pkts", "dst_pkts"}
_BYTES = frozenset(("src_bytes", "dst_bytes"))
_IP_BYTES = frozenset(("src_ip_bytes", "dst_ip_bytes"))
_FLAGS = frozenset(("src_flags", "dst_flags"))
_ZEEK = _COUNTS | _BYTES | _IP_BYTES | {"state", "history", "missed_bytes", "foreign_id"}
KNOWN: dict[str, frozenset[str]] = {
    "stats.eth0.1090800000": _COUNTS | _BYTES | _FLAGS | {"state", "end_reason", "foreign_id"},
    "ssn_log.1090800000": _COUNTS | _BYTES | {"foreign_id"},
    "ra.csv": _COUNTS | _BYTES,  # of these columns: without flags, and without seq
    "conn.log": _ZEEK,
    "conn.json.log": _ZEEK,
    "eve.json": _COUNTS | _FLAGS | {"state", "end_reason", "foreign_id"},
    "eve-netflow.json": _COUNTS | _FLAGS | {"state", "foreign_id"},
    "nfdump.csv": _COUNTS | _IP_BYTES | _FLAGS | {"state", "end_reason", "foreign_id"},
}
"""What each of WRITTEN tells of the sessions, of the fields that may be absent: no more is known, and nothing is 0 for
that."""
