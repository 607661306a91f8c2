"""The registry of operators: what each is called, what it may stand beside, and its help.

Parsing checks, completion, help and docs/query.md derive from it. It evaluates nothing.
"""

from dataclasses import dataclass
from enum import Enum


class Type(Enum):
    """What an operand's value is: a session field's Kind, or one of those that only the language has."""

    TIME = "time"
    NUMBER = "number"
    ADDRESS = "address"
    PORT = "port"
    PROTO = "proto"
    NAME = "name"
    FLAGS = "flags"
    TEXT = "text"
    SENSOR = "sensor"
    IDENT = "ident"
    BYTES = "bytes"
    DURATION = "duration"
    ENDPOINT = "endpoint"
    NETWORK = "network"
    COMMUNITY = "community id"
    SESSION = "session"


_ALL = frozenset(Type) - {Type.SESSION}
_KNOWN = _ALL - {Type.ENDPOINT, Type.NETWORK, Type.COMMUNITY}
COMPUTED = frozenset({Type.TIME, Type.NUMBER, Type.PORT, Type.DURATION})
"""Types of the fields that one can compute with."""
_ORDERED = frozenset({Type.TIME, Type.NUMBER, Type.PORT, Type.DURATION})


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the language."""

    name: str
    """Its standard spelling."""
    help: str
    example: str
    types: frozenset[Type] = frozenset()
    """What its left side may be; empty for what joins conditions or ends a query."""
    others: tuple[str, ...] = ()
    """Other spellings."""


_LIST = (
    Operator("=", "equal; of an address also: within the network", "src_ip = 10.0.0.0/8", _ALL, ("==",)),
    Operator("!=", "not equal; of an address also: outside the network", "dst_port != 80", _ALL, ("<>",)),
    Operator("<", "less, or earlier", "src_bytes < 100", _ORDERED),
    Operator("<=", "less or equal, or not later", "duration <= 90s", _ORDERED),
    Operator(">", "more, or later", "start_time > '2004-07-20'", _ORDERED),
    Operator(">=", "more or equal, or not earlier", "src_bytes >= 1MB", _ORDERED),
    Operator(
        "IN",
        "equal to one of a list, or in a set (of addresses, ports, endpoints, Community IDs or sessions)",
        "dst_ip IN (10.0.0.0/8, 2001:db8::/32)",
        frozenset(Type),
    ),
    Operator("NOT IN", "equal to none of a list, or not in a set", "port NOT IN (80, 443)", frozenset(Type)),
    Operator(
        "BETWEEN",
        "from one value to another, both included",
        "dst_port BETWEEN 6000 AND 6063",
        _ORDERED | {Type.ADDRESS},
    ),
    Operator(
        "NOT BETWEEN",
        "outside a range",
        "start_time NOT BETWEEN '2004-07-20' AND '2004-07-21'",
        _ORDERED | {Type.ADDRESS},
    ),
    Operator(
        "LIKE",
        "a pattern of the whole text: % is any characters, _ one, \\% a percent sign; upper and lower case differ",
        "history LIKE 'Sh%'",
        frozenset({Type.TEXT, Type.SENSOR}),
    ),
    Operator("NOT LIKE", "not that pattern", "sensor NOT LIKE 'lab-%'", frozenset({Type.TEXT, Type.SENSOR})),
    Operator(
        "REGEXP",
        "a regular expression found anywhere in the text; upper and lower case differ",
        "history REGEXP '^ShA?[dD]+'",
        frozenset({Type.TEXT}),
        ("RLIKE",),
    ),
    Operator("NOT REGEXP", "no such match", "history NOT REGEXP '[fFrR]'", frozenset({Type.TEXT}), ("NOT RLIKE",)),
    Operator("IS NULL", "the source did not know it", "src_port IS NULL", _KNOWN),
    Operator("IS NOT NULL", "the source knew it", "vlan IS NOT NULL", _KNOWN),
    Operator("&", "the flags that are also in this mask", "src_flags & 2 = 2", frozenset({Type.FLAGS})),
    Operator("*", "times; exact, and never too large to be right", "src_bytes > 10 * dst_bytes", COMPUTED),
    Operator("/", "divided by; exact, and NULL where the divisor is 0", "src_bytes / src_pkts < 100", COMPUTED),
    Operator("+", "plus", "src_bytes + dst_bytes > 1GB", COMPUTED),
    Operator("-", "minus; may be negative", "src_bytes - dst_bytes > 1GB", COMPUTED),
    Operator(
        "DURING",
        "there at some moment of a day, or of the time from one moment to another: not over before, not begun after",
        "DURING '2004-07-20' .. '2004-07-21 12:00'",
    ),
    Operator("LAST", "there at some moment of the time from so long ago until now", "LAST 24h"),
    Operator("AND", "both conditions hold", "ip = 10.1.2.3 AND port = 53", others=("&&",)),
    Operator("OR", "at least one of the conditions holds", "src_port = 1034 OR dst_port = 1034", others=("||",)),
    Operator("NOT", "the condition does not hold", "NOT established", others=("!",)),
    Operator(
        "EXCLUDING",
        "without what these shared exclusions are of, and no others; NONE leaves nothing out",
        "port = 1034 EXCLUDING NONE",
    ),
    Operator(
        "ONCE",
        "each conversation once, however many sensors saw it: the first of its sessions in the order, with the others",
        "port = 1034 ONCE",
    ),
    Operator("ORDER BY", "sort by fields, each ASC (the default) or DESC", "ORDER BY src_bytes DESC, start_time"),
    Operator("LIMIT", "at most so many sessions", "port = 1034 LIMIT 500"),
    Operator(
        "UNION", "sessions of either of two conditions", "(WHERE src_ip = 1.2.3.4) UNION (WHERE dst_ip = 1.2.3.4)"
    ),
)

OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _LIST}
