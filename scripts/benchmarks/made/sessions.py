"""Sessions made for benchmarks: what a meter would report of an enterprise's border over several days.

Skewed as traffic is: few hosts and ports have most sessions, sizes and lengths are heavy-tailed, the day has its hours.
Owns the made data and nothing else; the same count and seed give the same sessions.
"""

import ipaddress

import numpy as np
import numpy.typing as npt

from afterfact_protocol.records import Records
from afterfact_protocol.session import (
    HISTORY_BYTES,
    IPV4_PREFIX,
    RECORD,
    DirectionBy,
    EndReason,
    Outcome,
    Proto,
    State,
    TcpFlag,
    absent_bits,
)

FIRST_US = 1_090_281_600_000_000
"""2004-07-20 00:00:00 UTC."""
DAYS = 5
DAY_US = 86_400_000_000
WORM_PORT = 1034
WORM_SHARE = 0.0001
INSIDE_HOSTS, OUTSIDE_HOSTS = 6_000, 300_000
ABSENT_ADDRESS = "203.0.113.77"
"""No session has it: no other address is made in 203.0.113.0/24."""

_OUTSIDE, _SCATTER = 0x4000_0000, 2_654_435_761
"""A multiplication by an odd number scatters the outside hosts over 64.0.0.0/3, each still one address."""

Integers = npt.NDArray[np.int64]

# Service: protocol, port, share of the sessions that are not the worm's.
_SERVICES: tuple[tuple[int, int, float], ...] = (
    (Proto.TCP, 443, 0.38), (Proto.TCP, 80, 0.14), (Proto.UDP, 53, 0.24), (Proto.UDP, 123, 0.03),
    (Proto.TCP, 25, 0.02), (Proto.TCP, 993, 0.02), (Proto.TCP, 22, 0.01), (Proto.TCP, 445, 0.02),
    (Proto.UDP, 443, 0.04), (Proto.ICMP, 0, 0.03), (Proto.TCP, -1, 0.07),
)  # fmt: skip
"""Port -1: a scan of any port, mostly unanswered."""

# State of a TCP session: outcome, share, flags each way, history.
_SYN, _ALL = TcpFlag.SYN, TcpFlag.SYN | TcpFlag.ACK | TcpFlag.PSH | TcpFlag.FIN
_ENDINGS: tuple[tuple[State, Outcome, float, int, int, bytes], ...] = (
    (State.SF, Outcome.BOTH_WAYS, 0.78, _ALL, _ALL, b"ShADadFf"),
    (State.S1, Outcome.BOTH_WAYS, 0.06, _ALL ^ TcpFlag.FIN, _ALL ^ TcpFlag.FIN, b"ShADad"),
    (State.RSTO, Outcome.BOTH_WAYS, 0.08, _ALL | TcpFlag.RST, _ALL, b"ShADadfR"),
    (State.RSTR, Outcome.ONE_WAY, 0.03, _ALL, _ALL | TcpFlag.RST, b"ShADFar"),
    (State.S0, Outcome.ATTEMPTED, 0.03, _SYN, 0, b"S"),
    (State.REJ, Outcome.REFUSED, 0.02, _SYN, TcpFlag.RST | TcpFlag.ACK, b"Sr"),
)

_NO_ICMP = absent_bits("icmp_type", "icmp_code", "icmp_id")
_NO_PORTS = absent_bits("src_port", "dst_port")
_NO_TCP = absent_bits("src_flags", "dst_flags", "src_retrans_bytes", "dst_retrans_bytes", "syn_retries", "history")
_NEVER = absent_bits("vlan", "inner_vlan", "error_type", "error_code", "error_ip")


def make_sessions(
    count: int, seed: int = 7, first: int = FIRST_US, days: int = DAYS, worm_share: float = WORM_SHARE
) -> Records:
    """`count` final records of sessions that begin within `days` days from `first` (microseconds UTC), in the order a
    meter reports them: by their end."""
    random = np.random.default_rng(seed)
    rows = np.zeros(count, RECORD)
    _services(rows, random, worm_share)
    _endpoints(rows, random)
    _endings(rows, random)
    _sizes(rows, random)
    start = first + random.integers(0, days, count) * DAY_US + _time_of_day(count, random)
    long = random.lognormal(13.0, 2.3, count).clip(0, 6 * 3.6e9).astype(np.int64)  # median 0.4 s
    lone = rows["src_pkts"] + rows["dst_pkts"] <= 1
    rows["start_time"], rows["end_time"] = start, start + np.where(lone, 0, long)
    rows["session_id"] = random.integers(0, 1 << 63, count, dtype=np.uint64) << np.uint64(1) | np.uint64(1)
    rows["revision"] = 2 * (rows["src_pkts"] + rows["dst_pkts"]) + 1
    return rows[np.argsort(rows["end_time"], kind="stable")]


def busiest_outside(rows: Records) -> bytes:
    """The outside address at the median of the hundred with most sessions: neither rare nor everybody's."""
    found, often = np.unique(rows["dst_ip"], return_counts=True)
    return bytes(found[np.argsort(often, kind="stable")[-50]])


def outside_address(host: int) -> str:
    """The IPv4 address of an outside host; the lower its number, the more sessions it has."""
    return str(ipaddress.IPv4Address(_OUTSIDE + host * _SCATTER % (1 << 29)))


def _time_of_day(count: int, random: np.random.Generator) -> Integers:
    """Most of it in working hours."""
    office = random.normal(13.5, 3.0, count) % 24
    return np.where(random.random(count) < 0.75, office * 3.6e9, random.random(count) * DAY_US).astype(np.int64)


def _skewed(many: int, count: int, random: np.random.Generator) -> Integers:
    """Numbers below `many`, each about half as often as one half as high (Zipf's law)."""
    return (many ** random.random(count)).astype(np.int64) - 1


def _services(rows: Records, random: np.random.Generator, worm_share: float) -> None:
    count = len(rows)
    shares = np.array([share for _, _, share in _SERVICES])
    which = random.choice(len(_SERVICES), count, p=shares / shares.sum())
    port = np.array([port for _, port, _ in _SERVICES])[which]
    rows["proto"] = np.array([proto for proto, _, _ in _SERVICES])[which]
    rows["dst_port"] = np.where(port < 0, random.integers(1, 65_536, count), port)
    rows["src_port"] = random.integers(1024, 65_536, count)
    worm = random.random(count) < worm_share
    rows["proto"][worm], rows["dst_port"][worm] = Proto.TCP, WORM_PORT
    icmp = rows["proto"] == Proto.ICMP
    rows["src_port"][icmp] = rows["dst_port"][icmp] = 0
    rows["icmp_type"][icmp] = 8
    rows["icmp_id"][icmp] = random.integers(0, 1 << 16, np.count_nonzero(icmp))
    rows["direction_by"] = np.where(
        icmp, DirectionBy.REQUEST, np.where(rows["proto"] == Proto.TCP, DirectionBy.SYN, DirectionBy.PORT)
    )
    rows["absent"] = _NEVER
    rows["absent"] |= np.where(icmp, _NO_PORTS, _NO_ICMP).astype(np.uint64)
    rows["absent"] |= np.where(rows["proto"] == Proto.TCP, 0, _NO_TCP).astype(np.uint64)


def _endpoints(rows: Records, random: np.random.Generator) -> None:
    """An inside host and an outside one; a sixth of the sessions come in. One in 25 is IPv6."""
    count = len(rows)
    inside = _skewed(INSIDE_HOSTS, count, random)
    outside = _skewed(OUTSIDE_HOSTS, count, random)
    six = (random.random(count) < 0.04) & (rows["proto"] != Proto.ICMP)
    inwards = random.random(count) < 1 / 6
    ours = _addresses(0x0A00_0000, bytes.fromhex("20010db800010000"), inside, six)
    theirs = _addresses(_OUTSIDE, bytes.fromhex("20010db8ffff0000"), outside * _SCATTER % (1 << 29), six)
    rows["src_ip"] = np.where(inwards, theirs, ours)
    rows["dst_ip"] = np.where(inwards, ours, theirs)


def _addresses(base: int, prefix: bytes, host: Integers, six: npt.NDArray[np.bool_]) -> npt.NDArray[np.void]:
    """IPv4-mapped base + host, or the host below an IPv6 prefix of 8 bytes."""
    address = np.zeros(len(host), [("prefix", "V8"), ("middle", ">u4"), ("low", ">u4")])
    address["prefix"] = np.where(six, np.void(prefix), np.void(IPV4_PREFIX[:8]))
    address["middle"] = np.where(six, 0, 0x0000_FFFF)
    address["low"] = np.where(six, host, base + host)
    return address.view("V16")


def _endings(rows: Records, random: np.random.Generator) -> None:
    tcp = np.flatnonzero(rows["proto"] == Proto.TCP)
    well_known = np.isin(rows["dst_port"][tcp], [port for _, port, _ in _SERVICES])
    shares = np.array([share for _, _, share, _, _, _ in _ENDINGS])
    which = random.choice(len(_ENDINGS), len(tcp), p=shares)
    scanned = np.where(random.random(len(tcp)) < 0.8, 4, 5)  # S0 or REJ
    which = np.where(well_known, which, scanned)
    for name, at in (("state", 0), ("outcome", 1), ("src_flags", 3), ("dst_flags", 4)):
        rows[name][tcp] = np.array([ending[at] for ending in _ENDINGS], np.uint8)[which]
    rows["history"][tcp] = np.array([ending[5] for ending in _ENDINGS], f"S{HISTORY_BYTES}")[which]
    other = rows["proto"] != Proto.TCP
    answered = random.random(len(rows)) < 0.93
    rows["state"] = np.where(other, np.where(answered, State.SF, State.S0), rows["state"])
    rows["outcome"] = np.where(other, np.where(answered, Outcome.BOTH_WAYS, Outcome.ATTEMPTED), rows["outcome"])
    rows["end_reason"] = np.where(other | np.isin(rows["state"], [State.S0, State.S1]), EndReason.IDLE,
                                  EndReason.CLOSED)  # fmt: skip


def _sizes(rows: Records, random: np.random.Generator) -> None:
    count = len(rows)
    tcp = rows["proto"] == Proto.TCP
    data = np.isin(rows["outcome"], [Outcome.BOTH_WAYS, Outcome.ONE_WAY])
    asked = np.where(tcp, random.lognormal(6.8, 1.2, count), random.lognormal(3.8, 0.4, count)).astype(np.int64)
    told = np.where(tcp, random.lognormal(8.6, 2.0, count), random.lognormal(4.8, 0.5, count)).astype(np.int64)
    asked = np.where(data | ~tcp, asked, 0)
    told = np.where(data, told.clip(0, 1 << 36), 0)
    retries = np.where(rows["state"] == State.S0, random.integers(0, 6, count), 0) * tcp
    rows["syn_retries"] = retries
    rows["src_bytes"], rows["dst_bytes"] = asked, told
    hand = np.where(tcp & data, 4, 0)
    rows["src_pkts"] = 1 + retries + hand + asked // 1400 + told // 2800 * tcp
    rows["dst_pkts"] = np.where(data | (rows["state"] == State.REJ), 1 + hand + told // 1400, 0)
    header = np.where(tcp, 52, 28)
    rows["src_ip_bytes"] = asked + header * rows["src_pkts"].astype(np.int64)
    rows["dst_ip_bytes"] = told + header * rows["dst_pkts"].astype(np.int64)
    retransmit = tcp & data & (random.random(count) < 0.05)
    rows["dst_retrans_bytes"] = np.where(retransmit, 1400, 0)
