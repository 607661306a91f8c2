"""Command line options that commands share: how packets are captured, and how they are cut into sessions.

Makes CaptureOptions and a MeterConfig of them; imports no kernel.
"""

import argparse
import re

from afterfact_agent.capture.interface import BUFFER_MB, SNAPLEN, CaptureOptions
from afterfact_agent.meter.config import CHECKSUMS, MeterConfig

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_IDLE = {"tcp": "tcp_idle", "attempt": "tcp_attempt", "linger": "tcp_linger", "udp": "udp_idle", "icmp": "icmp_idle",
         "other": "other_idle"}  # fmt: skip


def seconds(text: str) -> float:
    """A length of time: `90`, `90s`, `1.5min`, `2h`. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if not match or match[2] not in _UNITS or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time such as 90s, 5min or 2h")
    return float(match[1]) * _UNITS[match[2]]


def size(text: str) -> int:
    """An amount of data: `500MB`, `20GB`, `1TB`. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT])B", text.strip())
    if not match or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of data such as 500MB, 20GB or 1TB")
    return round(float(match[1]) * {"M": 10**6, "G": 10**9, "T": 10**12}[match[2]])


def idle_times(text: str) -> dict[str, float]:
    """`90s` for TCP, UDP, ICMP and other protocols alike, or `tcp=2h,udp=90s`. Raises ArgumentTypeError."""
    if "=" not in text:
        return dict.fromkeys(("tcp_idle", "udp_idle", "icmp_idle", "other_idle"), seconds(text))
    times = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() not in _IDLE:
            raise argparse.ArgumentTypeError(f"{name.strip()!r} is none of {', '.join(_IDLE)}")
        times[_IDLE[name.strip()]] = seconds(value)
    return times


def active_times(text: str) -> dict[str, float]:
    """`5min`: report open sessions that often; `25s,5min`: and first after that. Raises ArgumentTypeError."""
    first, _, every = text.rpartition(",")
    times = {"report_every": seconds(every)}
    if first:
        times["first_report"] = seconds(first)
    return times


def add_meter_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a command's parser."""
    parser.add_argument(
        "--idle",
        metavar="TIME",
        type=idle_times,
        default={},
        help="silence that ends a session: a time for all, or tcp=1h,attempt=75s,linger=5s,udp=60s,icmp=60s,other=2min",
    )
    parser.add_argument(
        "--active",
        metavar="TIME",
        type=active_times,
        default={},
        help="how often a session that goes on is reported: EVERY or FIRST,EVERY (25s,5min)",
    )
    parser.add_argument(
        "--duplicates",
        metavar="TIME",
        type=lambda text: 0.0 if text == "keep" else seconds(text),
        help="a packet may be the tap's duplicate of one that came less than this before (10ms); keep: count all",
    )
    parser.add_argument(
        "--checksums",
        choices=CHECKSUMS,
        help="verify those of TCP, UDP and ICMP too, of packets captured whole (verify), or of IP headers only",
    )
    parser.add_argument("--max-sessions", metavar="N", type=int, help="open sessions at most (1048576)")


def meter_config(arguments: argparse.Namespace) -> MeterConfig:
    """The settings that the options ask for. Raises ValueError with one line if one is out of range."""
    settings = {**arguments.idle, **arguments.active}
    if arguments.duplicates is not None:
        settings["duplicates"] = arguments.duplicates
    if arguments.checksums is not None:
        settings["checksums"] = arguments.checksums
    if arguments.max_sessions is not None:
        settings["max_sessions"] = arguments.max_sessions
    return MeterConfig(**settings)


def add_capture_options(parser: argparse.ArgumentParser) -> None:
    """Add what live captures share: the filter, how much of a packet, how much the kernel keeps."""
    parser.add_argument(
        "--bpf", metavar="FILTER", default="", help="capture only packets that this libpcap filter accepts"
    )
    parser.add_argument(
        "--snaplen",
        metavar="BYTES",
        type=int,
        default=SNAPLEN,
        help=f"capture no more of each ({SNAPLEN}: headers)",
    )
    parser.add_argument(
        "--buffer", metavar="MB", type=int, default=BUFFER_MB, help=f"what the kernel keeps, an interface ({BUFFER_MB})"
    )


def capture_options(arguments: argparse.Namespace) -> CaptureOptions:
    """The settings that the options ask for. Raises ValueError with one line if one is out of range."""
    return CaptureOptions(arguments.bpf, arguments.snaplen, arguments.buffer)
