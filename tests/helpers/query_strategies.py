"""Hypothesis strategies: checked queries over every operator and field, and sessions whose values they meet.

Values of queries and of sessions come from the same small pools, so that conditions hold, fail and are NULL about as
often as each other.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from afterfact_protocol.communityid import digests
from afterfact_protocol.query import Query
from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.binding import bound
from afterfact_protocol.query.errors import QueryError
from afterfact_protocol.query.firsts import MAX_FIRSTS
from afterfact_protocol.query.firsts import firsts as all_firsts
from afterfact_protocol.query.functions import DERIVED, EITHER, FIRST_SEEN_FIELDS, PREDICATES
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.query.nodes import (
    And,
    Applied,
    Arithmetic,
    Between,
    Blob,
    Column,
    Compare,
    Constant,
    Derived,
    Duration,
    During,
    Either,
    Endpoint,
    Expr,
    Far,
    FirstSeen,
    InSet,
    Instant,
    IsNull,
    Like,
    Masked,
    Member,
    NamedNetwork,
    NamedSet,
    Network,
    Not,
    Number,
    Op,
    Operand,
    Or,
    Order,
    Predicate,
    Regexp,
    Relation,
    SetAlgebra,
    SetTerm,
    Term,
    Text,
    Value,
    Whole,
)
from afterfact_protocol.query.operators import COMPUTED, OPERATORS, Type
from afterfact_protocol.query.rational import check_size
from afterfact_protocol.query.setterms import KINDS
from afterfact_protocol.query.subjects import Subject, subject_of
from afterfact_protocol.session import FIELDS, ROW, Kind
from afterfact_protocol.sets import DTYPES, Values, from_parts, read_value, unique

SENSORS = {"border": 1, "inside": 2, "dmz-1": 7}

DAY = 86_400_000_000
TIMES = [0, 1, -1, 999_999, DAY - 1, DAY, 1_090_281_600_000_000, 1_090_281_600_000_001, -DAY - 500_000, 2**52]
WATCHED = {1: [(-3 * DAY, 40 * DAY)], 2: [(-DAY // 2, DAY), (2 * DAY, 3 * DAY)], 7: [(TIMES[6] - DAY, TIMES[6] + 9)]}
"""When the sensors watched, as first_seen rests on it."""
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
        case Type.COMMUNITY:
            return st.sampled_from([Blob(blob + bytes(4)) for blob in BLOBS] + _community_ids())
        case Type.NAME:
            assert subject.names is not None
            return st.sampled_from([Number(int(member)) for member in subject.names.__members__.values()])
        case _:
            return st.sampled_from([Number(number) for number in _numbers(subject.maximum)])


def _community_ids() -> list[Value]:
    """Of sessions that `sessions` makes."""
    rows = np.zeros(2, ROW)
    rows["proto"], rows["src_port"] = (0, 6), (0, 53)
    return [Blob(digest) for digest in digests(rows)]


def _numbers(maximum: int) -> list[int]:
    return [number for number in (0, 1, 2, 3, 6, 17, 53, 1034, *BIG, maximum) if number <= maximum]


_COLUMNS: list[Operand] = [Column(field.name) for field in FIELDS]
_OPERANDS: list[Operand] = [*_COLUMNS, *map(Either, EITHER), *map(Derived, DERIVED)]


def _values(kind: str, *texts: str) -> Values:
    return unique(from_parts(kind, [read_value(kind, text) for text in texts]))


SETS: dict[str, Values] = {
    "addresses": _values("address", "1.2.3.4", "10.0.0.1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "networks": _values("address", "10.0.0.0/31", "2001:db8::/32", "::/96", "::1", "::/0"),
    "no_address": from_parts("address", []),
    "ports": _values("port", "0", "53", "1034"),
    "others": _values("port", "53", "65535"),
    "endpoints": _values("endpoint", "10.0.0.1:53", "0.0.0.0:0", "[::1]:1034"),
    "ends": _values("endpoint", "10.0.0.1:53", "1.2.3.4:65535"),
    "talks": from_parts("community_id", [bytes(20), *(one.value for one in _community_ids() if isinstance(one, Blob))]),
    "kept": np.array([(0, 1, 0), (-1, 2, 1), (DAY, 7, 2)], DTYPES["session"]),
}
"""Sets to ask about, of every kind; small, one of none."""
KIND_OF = {"addresses": "address", "networks": "address", "no_address": "address", "ports": "port", "others": "port",
            "endpoints": "endpoint", "ends": "endpoint", "talks": "community_id", "kept": "session"}  # fmt: skip


@st.composite
def memberships(draw: st.DrawFn) -> Expr:
    """A field in a set, or in what is made of two or three."""
    operands = [*(one for one in _OPERANDS if subject_of(one).type in KINDS), Whole()]
    operand = draw(st.sampled_from(operands))
    names = [name for name, kind in KIND_OF.items() if kind == KINDS[subject_of(operand).type]]
    term: SetTerm = NamedSet(draw(st.sampled_from(names)))
    for symbol in draw(st.lists(st.sampled_from("+-&"), max_size=2)):
        other = NamedSet(draw(st.sampled_from(names)))
        term = SetAlgebra(symbol, term, other) if draw(st.booleans()) else SetAlgebra(symbol, other, term)
    return InSet(operand, term)


# --- what is computed

_LEAVES = [operand for operand in _OPERANDS if isinstance(operand, Column | Derived)]
_OF = {
    kind: [one for one in _LEAVES if subject_of(one).type in types]
    for kind, types in {
        "number": (Type.NUMBER, Type.PORT),
        "duration": (Type.DURATION,),
        "time": (Type.TIME,),
    }.items()
}
_CONSTANTS: dict[str, list[Term]] = {
    "number": [Constant(Fraction(text)) for text in ("0", "1", "2", "10", "0.5", "1.25", "1000000", "53")],
    "duration": [Duration(us) for us in (0, 1, 5, 1_000_000, DAY)],
    "time": [Instant(us) for us in TIMES],
}
_MADE_OF = {
    "number": [("+", "number", "number"), ("-", "number", "number"), ("*", "number", "number"),
               ("/", "number", "number"), ("/", "duration", "duration"), ("/", "number", "duration"),
               ("*", "duration", "duration")],
    "duration": [("-", "time", "time"), ("+", "duration", "duration"), ("-", "duration", "number"),
                 ("*", "number", "duration"), ("/", "duration", "number")],
    "time": [("+", "time", "duration"), ("-", "time", "duration"), ("+", "duration", "time")],
}  # fmt: skip
"""Which computations make what, by the rules of docs/query.md."""


@st.composite
def terms(draw: st.DrawFn, kind: str, depth: int = 2) -> Term:
    """Computations of a kind: number, duration or time."""
    choice = draw(st.integers(0, 4))
    if depth == 0 or choice < 2:
        leaves: list[Term] = [*_OF[kind], *_CONSTANTS[kind]]
        return draw(st.sampled_from(leaves))
    if kind == "number" and choice == 2:
        of = st.sampled_from([*_OF["time"], *_CONSTANTS["time"]])
        return Applied(draw(st.sampled_from(["TO_DAYS", "UNIX_TIMESTAMP"])), draw(of))
    symbol, left, right = draw(st.sampled_from(_MADE_OF[kind]))
    return Arithmetic(symbol, draw(terms(left, depth - 1)), draw(terms(right, depth - 1)))


def _has_field(term: Term) -> bool:
    match term:
        case Arithmetic():
            return _has_field(term.left) or _has_field(term.right)
        case Applied():
            return True
        case _:
            return isinstance(term, Column | Derived)


def _computes(term: Term) -> bool:
    return isinstance(term, Arithmetic | Applied) and _has_field(term)


def _may_relate(test: Relation) -> bool:
    """Whether it is none of the plain comparisons, and small enough to be computed."""
    left, right = test.left, test.right
    plain = isinstance(left, Column | Derived) and isinstance(right, Column | Derived)
    if left == right or not (_computes(left) or _computes(right) or plain):
        return False
    if isinstance(left, Column) and subject_of(left).type not in COMPUTED:
        return True
    try:
        check_size(left, right, (0, 0))
    except QueryError:
        return False
    return True


def relations() -> st.SearchStrategy[Relation]:
    """Comparisons of fields and of what is computed with them."""
    kinds = [("number", "number"), ("number", "duration"), ("duration", "duration"), ("time", "time")]
    computed = st.sampled_from(kinds).flatmap(
        lambda pair: st.builds(Relation, terms(pair[0]), st.sampled_from(Op), terms(pair[1]))
    )
    equal = st.sampled_from([Op.EQ, Op.NE])
    addresses = st.sampled_from([Column(field.name) for field in FIELDS if field.kind is Kind.ADDRESS])
    alike = st.builds(Relation, addresses, equal, addresses)
    flags = st.builds(Relation, st.just(Column("src_flags")), equal, st.just(Column("dst_flags")))
    return st.one_of(computed, computed, alike, flags).filter(_may_relate)


def windows() -> st.SearchStrategy[During]:
    """Times to have been there in."""
    pair = st.tuples(st.sampled_from(TIMES), st.sampled_from(TIMES))
    return pair.map(lambda both: During(min(both), max(both)))


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
def firsts(draw: st.DrawFn) -> FirstSeen:
    """When combinations were first seen."""
    names = draw(st.sampled_from(FIRST_SEEN_FIELDS))
    found = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    where = draw(st.one_of(st.none(), st.just(Predicate("established")), expressions()))
    op = draw(st.sampled_from([Op.LT, Op.LE, Op.GT, Op.GE]))
    return FirstSeen(tuple(found), where, op, draw(st.sampled_from(TIMES)))


@st.composite
def conditions(draw: st.DrawFn, history: bool = False, sets: bool = False) -> Expr:
    """One condition that the language can say; with `history` one on what else is stored, too;
    with `sets` on SETS."""
    kind = draw(st.integers(-2 if history else 0, 9))
    if kind < 0:
        return draw(firsts())
    if kind == 3 and sets:
        return draw(memberships())
    if kind == 0:
        return Predicate(draw(st.sampled_from(sorted(PREDICATES))))
    if kind == 1:
        return draw(relations())
    if kind == 2:
        return draw(windows())
    return _test(draw, draw(st.sampled_from(_OPERANDS)))


@st.composite
def far_ends(draw: st.DrawFn) -> Expr:
    """Two conditions, one on the far end of the other; for `bound` to bind."""
    near = Either("ip")
    value = st.sampled_from([*_networks, *map(NamedNetwork, NAMED.by_name)])
    one = Compare(near, Op.EQ, draw(value))
    several = Member(near, tuple(draw(st.lists(value, min_size=1, max_size=3, unique=True))))
    return And((draw(st.sampled_from([one, several])), _test(draw, Far(()))))


def _test(draw: st.DrawFn, operand: Operand) -> Expr:
    subject = subject_of(operand)
    allowed = [
        name
        for name, op in OPERATORS.items()
        if subject.type in op.types and not name.startswith(("NOT", "IS NOT")) and name not in ("+", "-", "*", "/")
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


def expressions(history: bool = False, sets: bool = False) -> st.SearchStrategy[Expr]:
    """Conditions joined by AND, OR and NOT."""

    def extended(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        items = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            items.map(lambda found: _joined(And, found)),
            items.map(lambda found: _joined(Or, found)),
            st.builds(Not, inner),
        )

    leaves = st.one_of(*[conditions(history, sets)] * 9, far_ends())
    made = st.recursive(leaves, extended, max_leaves=6).map(bound)
    return made.filter(lambda expr: len(list(all_firsts(expr))) <= MAX_FIRSTS) if history else made


def orders() -> st.SearchStrategy[tuple[Order, ...]]:
    """Sort keys, each operand once."""
    operands = st.sampled_from([*_COLUMNS, *map(Derived, DERIVED)])
    keys = st.lists(st.builds(Order, operands, st.booleans()), max_size=3, unique_by=lambda key: key.operand)
    return keys.map(tuple)


def queries(history: bool = False, sets: bool = False) -> st.SearchStrategy[Query]:
    """Whole queries."""
    limit = st.none() | st.integers(1, 1_000_000)
    names = st.lists(st.sampled_from(["web", "scanners", "a1"]), max_size=2, unique=True).map(tuple)
    excluding = st.none() | names if sets else st.none()
    return st.builds(Query, st.none() | expressions(history, sets), orders(), limit, st.booleans(), excluding)


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


_MORE = {"proto": (1, 58, 132), "icmp_type": (8, 128, 135)}
"""Numbers that Community IDs are made of."""


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
            if name in _MORE:
                return draw(st.sampled_from([*_numbers(255), *_MORE[name]]))
            halves = 1 if field.unit in ("packets", "bytes") else 0
            return draw(st.sampled_from(_numbers(int(np.iinfo(row[name].dtype).max) >> halves)))
