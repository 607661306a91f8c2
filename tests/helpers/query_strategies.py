"""Hypothesis strategies: checked queries over every operator and field, and sessions whose values they meet.

Values of queries and of sessions come from the same small pools, so that conditions hold, fail and are NULL about as
often as each other.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from afterfact_protocol.query import Query
from afterfact_protocol.query.functions import DERIVED, EITHER, PREDICATES
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.query.nodes import (
    And,
    Between,
    Blob,
    Column,
    Compare,
    Derived,
    Duration,
    Either,
    Endpoint,
    Expr,
    Instant,
    IsNull,
    Like,
    Masked,
    Member,
    NamedNetwork,
    Network,
    Not,
    Number,
    Op,
    Operand,
    Or,
    Order,
    Predicate,
    Regexp,
    Text,
    Value,
)
from afterfact_protocol.query.operators import OPERATORS, Type
from afterfact_protocol.query.subjects import Subject, subject_of
from afterfact_protocol.query.values import network
from afterfact_protocol.session import FIELDS, ROW, Kind

SENSORS = {"border": 1, "inside": 2, "dmz-1": 7}

DAY = 86_400_000_000
TIMES = [0, 1, -1, 999_999, DAY - 1, DAY, 1_090_281_600_000_000, 1_090_281_600_000_001, -DAY - 500_000, 2**52]
NETWORKS = ["0.0.0.0", "1.2.3.4", "10.0.0.1", "10.255.255.255", "255.255.255.255", "::", "::1", "2001:db8::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32",
            "10.0.0.0/31", "::/96", "8000::/1", "::ffff:0:0/95"]  # fmt: skip
HISTORIES = ["", "S", "s", "Sh", "ShADadfF", "ShR", "a%b", "a_b", "a\\b", "it's", "^Sd"]
PATTERNS = ["%", "", "S%", "%h%", "_", "S_", "%\\%%", "a\\_b", "a\\\\b", "\\S%", "%%d%_", "it's"]
EXPRESSIONS = ["", "^S", "h$", "[dD]+", "S?h", "A.D", "(S|s)h", "^$", "a\\\\b", "[^S]", "\\^S", "d{2,}", "\\w\\W?"]
BLOBS = [bytes(16), bytes(range(16)), b"\xff" * 16]
BIG = [2**32, 2**63, 2**64 - 1, 2**64 - 2]

_networks = [found for text in NETWORKS if (found := network(text))]


def _of(*texts: str) -> tuple[Network, ...]:
    return tuple(found for text in texts if (found := network(text)))


NAMED = Networks(
    {
        "dmz": _of("10.0.0.0/31", "2001:db8::/32"),
        "it's": _of("1.2.3.4", "10.0.0.0/8"),
        "v6": _of("::/0"),
        "low": _of("0.0.0.0", "::", "255.255.255.255"),
    },
    home=_of("10.0.0.0/8", "2001:db8::/32", "::1"),
)


def _pool(subject: Subject) -> st.SearchStrategy[Value]:
    match subject.type:
        case Type.TIME:
            return st.sampled_from([Instant(us) for us in TIMES])
        case Type.DURATION:
            return st.sampled_from([Duration(us) for us in (0, 1, 5, 1_000_000, DAY)])
        case Type.ADDRESS:
            return st.sampled_from([*_networks, *map(NamedNetwork, NAMED.by_name)])
        case Type.ENDPOINT:
            return st.builds(Endpoint, st.sampled_from(_networks), st.sampled_from([0, 53, 1034, 65535]))
        case Type.SENSOR:
            return st.sampled_from([Text(name) for name in SENSORS])
        case Type.TEXT:
            return st.sampled_from([Text(text) for text in HISTORIES])
        case Type.BYTES:
            return st.sampled_from([Blob(blob) for blob in BLOBS])
        case Type.NAME:
            assert subject.names is not None
            return st.sampled_from([Number(int(member)) for member in subject.names.__members__.values()])
        case _:
            return st.sampled_from([Number(number) for number in _numbers(subject.maximum)])


def _numbers(maximum: int) -> list[int]:
    return [number for number in (0, 1, 2, 3, 6, 17, 53, 1034, *BIG, maximum) if number <= maximum]


_COLUMNS: list[Operand] = [Column(field.name) for field in FIELDS]
_OPERANDS: list[Operand] = [*_COLUMNS, *map(Either, EITHER), *map(Derived, DERIVED)]


def _orders_value(value: Value) -> tuple[int, int]:
    match value:
        case Number():
            return 0, value.value
        case Instant() | Duration():
            return 0, value.us
        case Network():
            return int(not value.is_ipv4), value.first
        case _:
            raise AssertionError(value)


@st.composite
def conditions(draw: st.DrawFn) -> Expr:
    """One condition that the language can say."""
    if draw(st.integers(0, 9)) == 0:
        return Predicate(draw(st.sampled_from(sorted(PREDICATES))))
    operand = draw(st.sampled_from(_OPERANDS))
    subject = subject_of(operand)
    allowed = [
        name for name, op in OPERATORS.items() if subject.type in op.types and not name.startswith(("NOT", "IS NOT"))
    ]
    name = draw(st.sampled_from(allowed))
    value = _pool(subject)
    if name == "&":
        assert isinstance(operand, Column)
        mask = draw(st.integers(1, min(subject.maximum, 0x1FF)))
        bits = draw(st.integers(0, mask)) & mask
        return Compare(Masked(operand.name, mask), draw(st.sampled_from([Op.EQ, Op.NE])), Number(bits))
    if name == "IN":
        return Member(operand, tuple(draw(st.lists(value, min_size=1, max_size=4, unique=True))))
    if name == "BETWEEN":
        pair = st.tuples(value, value)
        if subject.type is Type.ADDRESS:
            singles = st.sampled_from([found for found in _networks if found.single])
            pair = st.tuples(singles, singles).filter(lambda both: both[0].is_ipv4 == both[1].is_ipv4)
        low, high = sorted(draw(pair), key=_orders_value)
        return Between(operand, low, high)
    if name == "IS NULL":
        return IsNull(operand)
    if name in ("LIKE", "REGEXP"):
        assert isinstance(operand, Column)
        if name == "REGEXP":
            return Regexp(operand, draw(st.sampled_from(EXPRESSIONS)))
        return Like(operand, draw(st.sampled_from([*PATTERNS, "%e", "dmz-_", "b%r"])))
    return Compare(operand, Op(name), draw(value))


def _joined(kind: type[And] | type[Or], items: list[Expr]) -> Expr:
    flat: list[Expr] = []
    for item in items:
        flat.extend(item.items if isinstance(item, kind) else (item,))
    return kind(tuple(flat))


def expressions() -> st.SearchStrategy[Expr]:
    """Conditions joined by AND, OR and NOT."""

    def extended(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        items = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            items.map(lambda found: _joined(And, found)),
            items.map(lambda found: _joined(Or, found)),
            st.builds(Not, inner),
        )

    return st.recursive(conditions(), extended, max_leaves=6)


def orders() -> st.SearchStrategy[tuple[Order, ...]]:
    """Sort keys, each operand once."""
    operands = st.sampled_from([*_COLUMNS, *map(Derived, DERIVED)])
    keys = st.lists(st.builds(Order, operands, st.booleans()), max_size=3, unique_by=lambda key: key.operand)
    return keys.map(tuple)


def queries() -> st.SearchStrategy[Query]:
    """Whole queries."""
    return st.builds(Query, st.none() | expressions(), orders(), st.none() | st.integers(1, 1_000_000))


@st.composite
def sessions(draw: st.DrawFn, most: int = 12) -> npt.NDArray[np.void]:
    """ROW arrays with distinct keys: newest revisions only. What is absent is stored as 0, as meters must."""
    rows = np.zeros(draw(st.integers(1, most)), ROW)
    for at in range(len(rows)):
        row = rows[at : at + 1]
        for field in FIELDS:
            row[field.name] = _stored(draw, field.kind, field.name, row)
        row["session_id"] = at
        row["end_time"] = row["start_time"] + draw(st.sampled_from([0, 1, 5, 1_000_000, DAY]))
        nullable = [field for field in FIELDS if field.nullable]
        missing = draw(st.lists(st.sampled_from(nullable), max_size=8, unique=True))
        row["absent"] = sum(1 << field.id for field in missing)
        for field in missing:
            row[field.name] = np.zeros(1, ROW)[field.name]
    return rows


def _stored(draw: st.DrawFn, kind: Kind, name: str, row: npt.NDArray[np.void]) -> Any:
    field = next(field for field in FIELDS if field.name == name)
    match kind:
        case Kind.TIME:
            return draw(st.sampled_from(TIMES))
        case Kind.ADDRESS:
            single = [found for found in _networks if found.single]
            return np.frombuffer(draw(st.sampled_from(single)).first.to_bytes(16, "big"), "V16")
        case Kind.BYTES:
            return np.frombuffer(draw(st.sampled_from(BLOBS)), "V16")
        case Kind.SENSOR:
            return draw(st.sampled_from(list(SENSORS.values())))
        case Kind.TEXT:
            return draw(st.sampled_from(HISTORIES))
        case Kind.NAME:
            assert field.names is not None
            return draw(st.sampled_from([int(member) for member in field.names.__members__.values()]))
        case _:
            # A sum of both sides must not wrap: no session has so many packets.
            halves = 1 if field.unit in ("packets", "bytes") else 0
            return draw(st.sampled_from(_numbers(int(np.iinfo(row[name].dtype).max) >> halves)))
