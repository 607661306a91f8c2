"""The registry of what the language adds to the fields: either-side and computed fields, conditions by name,
functions, words for times, and units.

Parsing, compiling, matching, completion, help and docs/query.md derive from it. It evaluates nothing.
"""

from dataclasses import dataclass

from afterfact_protocol.session import ESTABLISHED, FAILED, EndReason, Outcome

from .operators import Type


@dataclass(frozen=True, slots=True)
class EitherField:
    """A field that stands for the same field of both sides. A condition holds if it holds for either side; its
    negation, and so `!=` and NOT IN, if it holds for neither."""

    name: str
    type: Type
    sides: tuple[tuple[str, ...], ...]
    """Per side the session fields: one each, or address and port of an endpoint."""
    help: str
    example: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class DerivedField:
    """A value computed from session fields; NULL if one of them is absent, but for community_id."""

    name: str
    type: Type
    fields: tuple[str, ...]
    """duration: later, earlier; totals: the summands."""
    help: str
    example: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class NetworkField:
    """A field that is asked by the names of networks: whether an address lies in them."""

    name: str
    of: str
    """The address field, or the either-side field, behind it."""
    help: str
    example: str


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """A condition by its name, over one field of named values."""

    name: str
    field: str
    holds: tuple[int, ...]
    """Values of the field for which it is true."""
    unknown: tuple[int, ...]
    """Values for which it cannot be judged: it is NULL there, and so is its negation."""
    help: str
    reading: tuple[str, str]
    """How a sentence says that it holds, and that it does not."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The session fields that it rests on."""
        return (self.field,)


@dataclass(frozen=True, slots=True)
class HomeCondition:
    """A condition by its name, over where the two addresses lie: within the home networks of networks.toml or not."""

    name: str
    src: bool
    """Whether the originator is at home."""
    dst: bool
    """Whether the responder is."""
    help: str
    reading: tuple[str, str]

    @property
    def fields(self) -> tuple[str, ...]:
        """The session fields that it rests on."""
        return ("src_ip", "dst_ip")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language, written with parentheses."""

    name: str
    arguments: str
    help: str
    example: str
    condition: bool
    """Whether it is a condition by itself; the others are values."""
    of_time: bool = False
    """Whether it makes a number of a time, a field's too; such numbers can be computed with."""


@dataclass(frozen=True, slots=True)
class TimeWord:
    """A word that stands for a time, fixed when the query is parsed."""

    name: str
    help: str


EITHER: dict[str, EitherField] = {
    entry.name: entry
    for entry in (
        EitherField("ip", Type.ADDRESS, (("src_ip",), ("dst_ip",)), "address of either side", "ip = 10.1.2.3"),
        EitherField("port", Type.PORT, (("src_port",), ("dst_port",)), "port of either side", "port NOT IN (80, 443)"),
        EitherField("bytes", Type.NUMBER, (("src_bytes",), ("dst_bytes",)), "payload bytes of either side; for the sum "
                    "of both see total_bytes", "bytes > 1GB", "bytes"),
        EitherField("pkts", Type.NUMBER, (("src_pkts",), ("dst_pkts",)), "packets of either side; for the sum of both "
                    "see total_pkts", "pkts = 0", "packets"),
        EitherField("endpoint", Type.ENDPOINT, (("src_ip", "src_port"), ("dst_ip", "dst_port")), "address and port of "
                    "the same side", "endpoint = '10.1.2.3:1034'"),
    )
}  # fmt: skip

DERIVED: dict[str, DerivedField] = {
    entry.name: entry
    for entry in (
        DerivedField("duration", Type.DURATION, ("end_time", "start_time"), "end_time - start_time; a plain number is "
                     "seconds", "duration > 8h"),
        DerivedField("total_bytes", Type.NUMBER, ("src_bytes", "dst_bytes"), "src_bytes + dst_bytes",
                     "total_bytes > 2GB", "bytes"),
        DerivedField("total_pkts", Type.NUMBER, ("src_pkts", "dst_pkts"), "src_pkts + dst_pkts", "total_pkts >= 1000",
                     "packets"),
        DerivedField("community_id", Type.COMMUNITY, ("proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type",
                     "icmp_code"), "Community ID, version 1 with seed 0: the same for a conversation in every tool, "
                     "whoever is taken for the originator", "community_id = '1:LQU9qZlK+B5F3KDmev6m5PMibrg='"),
    )
}  # fmt: skip

FAR_HELP = ("address of the far end of an `ip =` (or `ip IN`) beside it: the destination of a session whose source is "
            "that, else the source")  # fmt: skip
FAR_EXAMPLE = "ip = 203.0.113.7 AND other_ip = 10.0.0.0/8"

NETWORK_FIELDS: dict[str, NetworkField] = {
    entry.name: entry
    for entry in (
        NetworkField("net", "ip", "network of either side's address", "net = 'dmz'"),
        NetworkField("src_net", "src_ip", "network of the originator's address", "src_net IN ('dmz', 'office')"),
        NetworkField("dst_net", "dst_ip", "network of the responder's address", "dst_net != 'office'"),
    )
}

_CONDITIONS: tuple[NamedCondition | HomeCondition, ...] = (
    NamedCondition("established", "outcome", ESTABLISHED, (Outcome.UNKNOWN,), "outcome is opened, one_way or "
                   "both_ways; NULL where the outcome is unknown", ("established", "not established")),
    NamedCondition("failed", "outcome", FAILED, (Outcome.UNKNOWN,), "outcome is attempted, refused or unreachable; "
                   "NULL where the outcome is unknown", ("failed", "not failed")),
    NamedCondition("open", "end_reason", (EndReason.OPEN,), (), "not ended when last reported", ("still open",
                   "ended")),
    HomeCondition("inbound", False, True, "from outside the home networks to an address in one of them",
                  ("inbound", "not inbound")),
    HomeCondition("outbound", True, False, "from an address in a home network to one outside all of them",
                  ("outbound", "not outbound")),
    HomeCondition("internal", True, True, "both addresses are in home networks", ("internal", "not internal")),
    HomeCondition("external", False, False, "both addresses are outside the home networks",
                  ("external", "not external")),
)  # fmt: skip

PREDICATES: dict[str, NamedCondition | HomeCondition] = {entry.name: entry for entry in _CONDITIONS}

FIRST_SEEN = "first_seen"
FIRST_SEEN_FIELDS: tuple[tuple[str, ...], ...] = (
    ("src_ip", "src_port", "dst_ip", "dst_port", "proto", "sensor"),
    ("ip", "port", "proto", "sensor"),
)
"""What first_seen takes: fields of one of these lists. With `ip` and `port` a combination is of one side, whichever."""

_FLAGS = "a flags field, flags"

FUNCTIONS: dict[str, Function] = {
    entry.name: entry
    for entry in (
        Function("flags_only", _FLAGS, "these flags and no others", "flags_only(src_flags, 'SYN')", True),
        Function("flags_all", _FLAGS, "at least all of these flags", "flags_all(dst_flags, 'SYN,ACK')", True),
        Function("flags_any", _FLAGS, "at least one of these flags", "flags_any(marks, 'PARTIAL,FLIP')", True),
        Function("flags_none", _FLAGS, "none of these flags", "flags_none(src_flags, 'RST')", True),
        Function(FIRST_SEEN, "fields, and which sessions count", "when they were first seen together, in all that is "
                 "stored", "first_seen(dst_ip, dst_port where established) > now - 7d", False),
        Function("INET_ATON", "an IPv4 address", "that address", "src_ip = INET_ATON('1.2.3.4')", False),
        Function("event", "the number of an alert", "the time of that alert, after DURING only; its number is "
                 "shown by `afterfact events`", "DURING event(4711) -10m..+10m", False),
        Function("net", "the name of a network", "the addresses of that network of networks.toml", "ip = net('dmz')",
                 False),
        Function("UTC_TIMESTAMP", "", "the time of asking", "start_time > UTC_TIMESTAMP() - 1h", False),
        Function("FROM_UNIXTIME", "seconds since 1970", "that time", "start_time > FROM_UNIXTIME(1090281600)", False),
        Function("UNIX_TIMESTAMP", "a time", "seconds since 1970, with their fraction",
                 "UNIX_TIMESTAMP(start_time) > 1090281600", False, True),
        Function("TO_DAYS", "a time", "number of its day", "TO_DAYS(now) - TO_DAYS(start_time) <= 7", False, True),
    )
}  # fmt: skip

_FUNCTIONS_LOWER = {name.lower(): entry for name, entry in FUNCTIONS.items()}


def function_named(name: str) -> Function | None:
    """The function of a name as typed, in any case; None if there is none."""
    return _FUNCTIONS_LOWER.get(name.lower())


TIME_WORDS: dict[str, TimeWord] = {
    entry.name: entry
    for entry in (
        TimeWord("NOW", "the time of asking"),
        TimeWord("TODAYUTC", "midnight UTC at the start of the day of asking"),
        TimeWord("YESTERDAY", "midnight UTC a day before TODAYUTC"),
        TimeWord("LASTWEEK", "midnight UTC seven days before TODAYUTC"),
    )
}

DURATION_UNITS: dict[str, int] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}
"""Units of time, in microseconds."""

SIZE_UNITS: dict[str, int] = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGTP", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTP", 1)},
}
"""Units of size, in bytes: KB is 1,000 bytes (SI), KiB 1,024 (IEC 80000-13)."""

FLAG_LETTERS: dict[str, str] = {
    "F": "FIN",
    "S": "SYN",
    "R": "RST",
    "P": "PSH",
    "A": "ACK",
    "U": "URG",
    "E": "ECE",
    "C": "CWR",
}
"""TCP flags by letter: 'SA' is 'SYN,ACK'."""
