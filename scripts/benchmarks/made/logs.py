"""Made sessions as the logs of other meters, one file a format.

Owns what the lines look like, which is the documented layout of each; the sessions are `made.sessions`. IPv4 alone, as
Sguil had it.
"""

import ipaddress
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from afterfact_protocol.records import Records
from afterfact_protocol.session import Proto, State


class Session(NamedTuple):
    """What logs tell of a session; times in microseconds UTC, addresses as numbers."""

    start: int
    end: int
    proto: int
    src: int
    sport: int
    dst: int
    dport: int
    src_pkts: int
    dst_pkts: int
    src_bytes: int
    dst_bytes: int
    src_flags: int
    dst_flags: int
    state: int


def sessions(rows: Records) -> Iterator[Session]:
    def address(name: str) -> list[int]:
        octets = np.ascontiguousarray(rows[name]).view(np.uint8).reshape(len(rows), 16)
        return np.ascontiguousarray(octets[:, 12:]).view(">u4")[:, 0].tolist()

    names = ("proto", "src_port", "dst_port", "src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "src_flags",
             "dst_flags", "state")  # fmt: skip
    proto, sport, dport, *rest = (rows[name].tolist() for name in names)
    return map(Session, rows["start_time"].tolist(), rows["end_time"].tolist(), proto, address("src_ip"), sport,
               address("dst_ip"), dport, *rest)  # fmt: skip


def _clock(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _iso(microseconds: int) -> str:
    when = datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{when}.{microseconds % 1_000_000:06}+0000"


def _seconds(microseconds: int) -> str:
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}"


def sancp(number: int, s: Session) -> str:
    """As Sguil's agent sends it on: 16 fields. The ids rise with time."""
    seconds = s.end // 1_000_000 - s.start // 1_000_000
    ident = (s.start // 1_000_000 << 32) + number
    return (
        f"1|{ident}|{_clock(s.start)}|{_clock(s.end)}|{seconds}|{s.proto}|{s.src}|{s.sport}|"
        f"{s.dst}|{s.dport}|{s.src_pkts}|{s.src_bytes}|{s.dst_pkts}|{s.dst_bytes}|{s.src_flags}|{s.dst_flags}\n"
    )


NFDUMP_FIELDS = (
    "ts",
    "te",
    "td",
    "sa",
    "da",
    "sp",
    "dp",
    "pr",
    "flg",
    "fwd",
    "stos",
    "ipkt",
    "ibyt",
    "opkt",
    "obyt",
    "ra",
)
NFDUMP_HEAD = ",".join(NFDUMP_FIELDS) + "\n"


def nfdump(number: int, s: Session) -> str:
    """A record each way, as nfdump 1.7.1 writes CSV: IP bytes, flags as letters, whole lengths of time in seconds."""
    first, last, length = _moment(s.start), _moment(s.end), (s.end - s.start) / 1e6
    proto = {Proto.TCP: "TCP", Proto.UDP: "UDP"}.get(Proto(s.proto), "ICMP")
    src, dst = str(ipaddress.IPv4Address(s.src)), str(ipaddress.IPv4Address(s.dst))
    ends = f"{src},{dst},{s.sport},{s.dport}", f"{dst},{src},{s.dport},{s.sport}"
    sides = (ends[0], s.src_flags, s.src_pkts, s.src_bytes), (ends[1], s.dst_flags, s.dst_pkts, s.dst_bytes)
    return "".join(
        f"{first},{last},{length:.3f},{pair},{proto},{_letters(flags)},0,0,{max(pkts, 1)},{octets + 40 * max(pkts, 1)},"
        "0,0,192.0.2.1\n"
        for pair, flags, pkts, octets in sides
    )


def _moment(microseconds: int) -> str:
    return f"{_clock(microseconds)}.{microseconds // 1000 % 1000:03}"


def _letters(flags: int) -> str:
    return "..." + "".join(
        letter if flags >> bit & 1 else "." for bit, letter in ((4, "A"), (3, "P"), (2, "R"), (1, "S"), (0, "F"))
    )


def stream4(number: int, s: Session) -> str:
    return (
        f"{s.start // 1000 + number}|{_clock(s.start)}|{_clock(s.end)}|{s.src}|{s.dst}|{s.sport}|{s.dport}|6|"
        f"{s.src_pkts}|{s.dst_pkts}|{s.src_bytes}|{s.dst_bytes}\n"
    )


ZEEK_FIELDS = ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration",
               "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history",
               "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents")  # fmt: skip
ZEEK_HEAD = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\t"
    + "\t".join(ZEEK_FIELDS)
    + "\n"
)
_PROTO = {Proto.TCP: "tcp", Proto.UDP: "udp", Proto.ICMP: "icmp"}


def _zeek(number: int, s: Session) -> list[str]:
    state = State(s.state).name
    history = {"SF": "ShADadFf", "S0": "S", "REJ": "Sr"}.get(state, "ShADad") if s.proto == Proto.TCP else "Dd"
    return [
        _seconds(s.start), f"C{number:016x}", str(ipaddress.IPv4Address(s.src)), str(s.sport),
        str(ipaddress.IPv4Address(s.dst)), str(s.dport), _PROTO[Proto(s.proto)], "-", _seconds(s.end - s.start),
        str(s.src_bytes), str(s.dst_bytes), state, "T", "F", "0", history, str(s.src_pkts),
        str(s.src_bytes + 40 * s.src_pkts), str(s.dst_pkts), str(s.dst_bytes + 40 * s.dst_pkts), "-",
    ]  # fmt: skip


def zeek_text(number: int, s: Session) -> str:
    return "\t".join(_zeek(number, s)) + "\n"


_WORDS = ("uid", "id.orig_h", "id.resp_h", "proto", "conn_state", "history")


def zeek_json(number: int, s: Session) -> str:
    cells = zip(ZEEK_FIELDS, _zeek(number, s), strict=True)
    return json.dumps({
        name: cell if name in _WORDS else cell == "T" if cell in "TF" else float(cell) if "." in cell else int(cell)
        for name, cell in cells if cell != "-"
    }) + "\n"  # fmt: skip


def eve_flow(number: int, s: Session) -> str:
    flow = {
        "pkts_toserver": s.src_pkts, "pkts_toclient": s.dst_pkts, "bytes_toserver": s.src_bytes + 54 * s.src_pkts,
        "bytes_toclient": s.dst_bytes + 54 * s.dst_pkts, "start": _iso(s.start), "end": _iso(s.end),
        "age": (s.end - s.start) // 1_000_000, "state": "closed", "reason": "timeout", "alerted": False,
    }  # fmt: skip
    event = {
        "timestamp": _iso(s.end), "flow_id": 659094007817795 + number, "event_type": "flow",
        "src_ip": str(ipaddress.IPv4Address(s.src)), "src_port": s.sport,
        "dest_ip": str(ipaddress.IPv4Address(s.dst)), "dest_port": s.dport, "proto": _PROTO[Proto(s.proto)].upper(),
        "flow": flow,
    }  # fmt: skip
    if s.proto == Proto.TCP:
        event["tcp"] = {"tcp_flags_ts": f"{s.src_flags:02x}", "tcp_flags_tc": f"{s.dst_flags:02x}", "state": "closed"}
    return json.dumps(event) + "\n"


RA_HEAD = (
    "StartTime,LastTime,Cause,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SAppBytes,DAppBytes,State,Flgs,Seq,"
    "SrcId,SrcGap,DstGap,Inode,sVid,sMpls,Loss\n"
)


def ra_csv(number: int, s: Session) -> str:
    """TCP, in the columns that Argus's files are read by; one record a flow."""
    flags = "_".join(_letters(each)[3:].replace(".", "") for each in (s.src_flags, s.dst_flags))
    src, dst = str(ipaddress.IPv4Address(s.src)), str(ipaddress.IPv4Address(s.dst))
    return (
        f"{_seconds(s.start)},{_seconds(s.end)},Start,6,{src},{s.sport},   ->,{dst},{s.dport},"
        f"{s.src_pkts},{s.dst_pkts},{s.src_bytes},{s.dst_bytes},{flags}, e        ,{number},0.0.0.0,0,0,,,,0\n"
    )


def snort_alert(number: int, s: Session) -> str:
    alert = {
        "seconds": s.start // 1_000_000, "timestamp": f"01/01-00:00:00.{s.start % 1_000_000:06}",
        "rule": f"1:{2000 + number % 3000}:3", "msg": f"MADE rule number {number % 3000}", "class": "none",
        "priority": 3, "action": "allow", "proto": _PROTO[Proto(s.proto)].upper(),
        "src_addr": str(ipaddress.IPv4Address(s.src)), "src_port": s.sport,
        "dst_addr": str(ipaddress.IPv4Address(s.dst)), "dst_port": s.dport,
    }  # fmt: skip
    return json.dumps(alert, separators=(", ", " : ")) + "\n"


def write(rows: Records, line: Callable[[int, Session], str], path: Path, head: str = "") -> int:
    """All sessions, a line each; how many bytes."""
    with open(path, "w", encoding="ascii") as out:
        out.write(head)
        out.writelines(line(number, session) for number, session in enumerate(sessions(rows)))
    return path.stat().st_size
