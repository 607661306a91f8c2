"""A checked condition on packed rows in memory, with numpy: live filters, filters inside a table, and the oracle that
the compiled SQL is tested against.

Follows the tree as it stands, with the rows where each condition is TRUE and where it is FALSE; what is in neither is
NULL. Shares no rewriting with the compiler on purpose.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from math import floor

import numpy as np
import numpy.typing as npt

from afterfact_protocol.communityid import digests
from afterfact_protocol.session import BY_NAME, IPV4_PREFIX, KEY, Kind
from afterfact_protocol.sets import Values

from .errors import QueryError
from .functions import DERIVED, EITHER, PREDICATES, HomeCondition
from .language import Query
from .like import like_matches
from .networks import NO_NETWORKS, Networks
from .nodes import (
    And,
    Applied,
    Arithmetic,
    Between,
    Blob,
    Cell,
    Column,
    Compare,
    Constant,
    Derived,
    Duration,
    During,
    Either,
    Endpoint,
    EventWindow,
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
    Predicate,
    Regexp,
    Relation,
    SetTerm,
    Stored,
    Term,
    Test,
    Text,
    Unless,
    Value,
    Whole,
)
from .operators import Type
from .rational import DAYS_BEFORE_1970
from .sensors import sensor_number, sensors_like
from .subjects import subject_of

Rows = npt.NDArray[np.void]
Mask = npt.NDArray[np.bool_]
_Verdict = tuple[Mask, Mask]
"""Where it is TRUE, where it is FALSE."""

assert len(IPV4_PREFIX) == 12, "addresses compare as two big-endian halves"


NO_SETS: Mapping[str, Values] = {}


def matches(
    where: Expr | None, rows: Rows, sensors: Mapping[str, int], networks: Networks = NO_NETWORKS,
    sets: Mapping[str, Values] = NO_SETS,
) -> Mask:  # fmt: skip
    """The rows for which `where` is TRUE, as a mask of the length of `rows`.

    `rows` is a structured array with the fields of session.FIELDS that the condition needs (ROW or RECORD; the latter
    has no sensor). QueryError if the condition names a sensor that `sensors` (name to number) does not have, a network
    that `networks` does not have, rests on home networks and there are none, names a set that `sets` (its values by
    name, afterfact_protocol.sets) does not have, or asks when something was first seen.
    """
    if where is None:
        return np.ones(len(rows), np.bool_)
    return _Matcher(rows, sensors, networks, sets).verdict(where)[0]


def ordered(
    query: Query, rows: Rows, sensors: Mapping[str, int], networks: Networks = NO_NETWORKS
) -> npt.NDArray[np.intp]:
    """The indices that put `rows` into the query's order; as the server orders, absent values last."""
    keys: list[npt.NDArray[np.int64]] = []
    matcher = _Matcher(rows, sensors, networks)
    for key in query.order:
        absent = matcher.absent(key.operand)
        keys.append(absent.astype(np.int64))
        rank = np.where(absent, 0, _rank(matcher.sortable(key.operand)))
        keys.append(-rank if key.descending else rank)
    keys.append(-_rank(rows[KEY[0]]))
    keys.extend(_rank(rows[name]) for name in KEY[1:])
    found: npt.NDArray[np.intp] = np.lexsort(keys[::-1])
    return found


def _rank(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    rank: npt.NDArray[np.int64] = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return rank


class _Matcher:
    def __init__(
        self, rows: Rows, sensors: Mapping[str, int], networks: Networks = NO_NETWORKS,
        sets: Mapping[str, Values] = NO_SETS,
    ) -> None:  # fmt: skip
        self._sets = sets
        self._rows = rows
        self._sensors = sensors
        self._networks = networks
        self._community: list[bytes] | None = None

    def verdict(self, expr: Expr) -> _Verdict:
        match expr:
            case Not():
                true, false = self.verdict(expr.item)
                return false, true
            case And():
                verdicts = [self.verdict(item) for item in expr.items]
                return reduce(np.logical_and, (t for t, _ in verdicts)), reduce(np.logical_or, (f for _, f in verdicts))
            case Or():
                verdicts = [self.verdict(item) for item in expr.items]
                return reduce(np.logical_or, (t for t, _ in verdicts)), reduce(np.logical_and, (f for _, f in verdicts))
            case Predicate():
                return self._predicate(expr)
            case Relation():
                return self._relation(expr)
            case During():
                there = (self._rows["start_time"] <= expr.last) & (self._rows["end_time"] >= expr.first)
                return there, ~there
            case FirstSeen():
                raise QueryError("when something was first seen only the server can tell, of all that it has; ask it",
                                 *expr.span)  # fmt: skip
            case EventWindow():
                raise QueryError("only the server knows when an alert was raised", *expr.span)
            case Unless():
                true, _ = self.verdict(expr.item)
                return ~true, true
            case Stored():
                raise AssertionError("sets are in the store at the server only")
            case InSet() if isinstance(expr.operand, Whole):
                held = self._held(expr.sets, self._whole_in)
                return held, ~held
        if isinstance(expr.operand, Far):
            return self._far(expr, expr.operand)
        if isinstance(expr.operand, Either):
            return self._either(expr, expr.operand)
        if isinstance(expr, IsNull):
            absent = self.absent(expr.operand)
            return absent, ~absent
        assert not isinstance(expr.operand, Whole), "only sets are asked of sessions"
        return self._judged(self._holds(expr, expr.operand), ~self.absent(expr.operand))

    # --- sets

    def _held(self, sets: SetTerm, one: Callable[[Values], Mask]) -> Mask:
        """Where what is made of sets holds the value; `one` says it of the values of a single set."""
        if isinstance(sets, NamedSet):
            if sets.name not in self._sets:
                raise QueryError(f"there is no set @{sets.name} here", *sets.span)
            return one(self._sets[sets.name])
        left, right = self._held(sets.left, one), self._held(sets.right, one)
        return left | right if sets.symbol == "+" else left & right if sets.symbol == "&" else left & ~right

    def _address_in(self, column: str, values: Values) -> Mask:
        single = values["bits"] == 128
        held = _isin(self._rows[column], values["ip"][single])
        for value in values[~single]:
            network = Network(int.from_bytes(value["ip"].tobytes(), "big"), int(value["bits"]))
            held |= self._within(Column(column), Op.EQ, network)
        return held

    def _whole_in(self, values: Values) -> Mask:
        keys = np.empty(len(self._rows), values.dtype)
        for name in values.dtype.names or ():
            keys[name] = self._rows[name]
        return _isin(keys, values)

    def _in_set(self, test: InSet, operand: Column | Derived) -> Mask:
        if isinstance(operand, Derived):
            ids = np.array(self._digests(), "S20").view("V20") if len(self._rows) else np.empty(0, "V20")
            return self._held(test.sets, lambda values: _isin(ids, values["digest"]))
        if BY_NAME[operand.name].kind is Kind.ADDRESS:
            return self._held(test.sets, lambda values: self._address_in(operand.name, values))
        return self._held(test.sets, lambda values: np.isin(self._rows[operand.name], values["port"]))

    def _endpoint_in(self, sets: SetTerm, side: tuple[str, ...]) -> _Verdict:
        """False already if no value has the address, whatever the port; NULL with such a value and no port."""
        ip, port = side
        ends = np.empty(len(self._rows), [("ip", "V16"), ("port", "<u2")])
        ends["ip"], ends["port"] = self._rows[ip], self._rows[port]
        known = ~self.absent(Column(port))
        if isinstance(sets, NamedSet):
            pair = self._held(sets, lambda values: _isin(ends, values))
            some = self._held(sets, lambda values: _isin(ends["ip"], values["ip"]))
            return pair & known, (~pair & known) | ~some
        (true_a, false_a), (true_b, false_b) = self._endpoint_in(sets.left, side), self._endpoint_in(sets.right, side)
        if sets.symbol == "+":
            return true_a | true_b, false_a & false_b
        return (true_a & true_b, false_a | false_b) if sets.symbol == "&" else (true_a & false_b, false_a | true_b)

    @staticmethod
    def _judged(holds: Mask, known: Mask) -> _Verdict:
        return holds & known, ~holds & known

    def _predicate(self, predicate: Predicate) -> _Verdict:
        entry = PREDICATES[predicate.name]
        if isinstance(entry, HomeCondition):
            home = self._networks.home_for(predicate.name, predicate.span)
            src, dst = (self._within_any(Column(side), home) for side in entry.fields)
            holds = (src == entry.src) & (dst == entry.dst)
            return holds, ~holds
        values = self._rows[entry.field]
        known = ~self.absent(Column(entry.field)) & ~np.isin(values, np.array(entry.unknown, np.uint8))
        return self._judged(np.isin(values, np.array(entry.holds, np.uint8)), known)

    def _relation(self, relation: Relation) -> _Verdict:
        left, right = relation.left, relation.right
        if isinstance(left, Column) and isinstance(right, Column) and BY_NAME[left.name].kind is Kind.ADDRESS:
            one, other = (np.ascontiguousarray(self._rows[column.name]).view(">u8") for column in (left, right))
            equal: Mask = (one.reshape(-1, 2) == other.reshape(-1, 2)).all(axis=1)
            known = ~(self.absent(left) | self.absent(right))
            return self._judged(equal if relation.op is Op.EQ else ~equal, known)
        (first, known), (second, known_too) = self._computed(left), self._computed(right)
        return self._judged(_FUNCTIONS[relation.op](first, second).astype(np.bool_), known & known_too)

    def _computed(self, term: Term) -> tuple[npt.NDArray[np.object_], Mask]:
        """The exact values of a computation, and where it has one; times and their lengths in seconds."""
        everywhere = np.ones(len(self._rows), np.bool_)
        match term:
            case Constant():
                return np.full(len(self._rows), term.value, object), everywhere
            case Instant() | Duration():
                return np.full(len(self._rows), Fraction(term.us, 1_000_000), object), everywhere
            case Column() | Derived():
                whole = self._numbers(term).astype(object)
                timed = subject_of(term).type in (Type.TIME, Type.DURATION)
                return (_seconds(whole) if timed else whole), ~self.absent(term)
            case Cell():
                raise AssertionError("a session has no columns of a table")
            case Applied():
                seconds, known = self._computed(term.term)
                return (_days(seconds) if term.function == "TO_DAYS" else seconds), known
            case Arithmetic():
                (left, known), (right, known_too) = self._computed(term.left), self._computed(term.right)
                known = known & known_too
                if term.symbol == "/":
                    known &= right != 0
                    found: npt.NDArray[np.object_] = _quotients(left, np.where(right != 0, right, 1))
                else:
                    found = {"+": np.add, "-": np.subtract, "*": np.multiply}[term.symbol](left, right)
                return found, known

    def _near(self, operand: Far, span: tuple[int, int]) -> Mask:
        """Where the source is what the far end is the far end of."""
        addresses = [
            network
            for near in operand.near
            for network in (self._networks.named(near.name, span) if isinstance(near, NamedNetwork) else (near,))
        ]
        return self._within_any(Column("src_ip"), addresses)

    def _far(self, test: Test, operand: Far) -> _Verdict:
        from_there = self._near(operand, test.span)
        (true_a, false_a), (true_b, false_b) = (
            self.verdict(replace(test, operand=Column(side))) for side in ("dst_ip", "src_ip")
        )
        return np.where(from_there, true_a, true_b), np.where(from_there, false_a, false_b)

    def _either(self, test: Test, operand: Either) -> _Verdict:
        if isinstance(test, Compare) and test.op is Op.NE:
            true, false = self._either(Compare(operand, Op.EQ, test.value, test.span), operand)
            return false, true
        verdicts = [self._side(test, side) for side in EITHER[operand.name].sides]
        (true_a, false_a), (true_b, false_b) = verdicts
        if isinstance(test, IsNull):
            return true_a & true_b, false_a | false_b
        return true_a | true_b, false_a & false_b

    def _side(self, test: Test, side: tuple[str, ...]) -> _Verdict:
        column = Column(side[0])
        match test:
            case Compare() if isinstance(test.value, Endpoint):
                return self._endpoint(test.value, side)
            case Compare():
                return self.verdict(Compare(column, test.op, test.value, test.span))
            case Member() if isinstance(test.values[0], Endpoint):
                verdicts = [self._endpoint(value, side) for value in test.values if isinstance(value, Endpoint)]
                return reduce(np.logical_or, (t for t, _ in verdicts)), reduce(np.logical_and, (f for _, f in verdicts))
            case InSet() if len(side) > 1:
                return self._endpoint_in(test.sets, side)
            case InSet():
                return self.verdict(InSet(column, test.sets, test.span))
            case Member():
                return self.verdict(Member(column, test.values, test.span))
            case Between():
                return self.verdict(Between(column, test.low, test.high, test.span))
            case IsNull():
                return self.verdict(IsNull(column, test.span))
            case _:
                raise AssertionError(f"no sides of {test}")

    def _endpoint(self, value: Endpoint, side: tuple[str, ...]) -> _Verdict:
        ip = self.verdict(Compare(Column(side[0]), Op.EQ, value.network))
        port = self.verdict(Compare(Column(side[1]), Op.EQ, Number(value.port)))
        return ip[0] & port[0], ip[1] | port[1]

    # --- single tests, absence aside

    def _holds(
        self, test: Compare | Member | Between | Like | Regexp | InSet, operand: Column | Derived | Masked
    ) -> Mask:
        match test:
            case InSet():
                assert not isinstance(operand, Masked), "no set is of flags"
                return self._in_set(test, operand)
            case Compare():
                return self._compares(operand, test.op, test.value, test.span)
            case Member():
                return reduce(np.logical_or, (self._compares(operand, Op.EQ, item, test.span) for item in test.values))
            case Between():
                low = self._compares(operand, Op.GE, test.low, test.span)
                return low & self._compares(operand, Op.LE, test.high, test.span)
            case Like() if test.operand.name == "sensor":
                return np.isin(self._rows["sensor"], np.array(sensors_like(self._sensors, test.pattern), np.uint16))
            case Like():
                return self._by_text(test.operand, lambda text: like_matches(test.pattern, text))
            case Regexp():
                expression = re.compile(test.pattern, re.ASCII)
                return self._by_text(test.operand, lambda text: expression.search(text) is not None)

    def _compares(self, operand: Column | Derived | Masked, op: Op, value: Value, span: tuple[int, int]) -> Mask:
        match value:
            case Network():
                return self._within(operand, op, value)
            case NamedNetwork():
                inside = self._within_any(operand, self._networks.named(value.name, span))
                return inside if op is Op.EQ else ~inside
            case Text() if operand.name == "sensor":
                return _apply(op, self._rows["sensor"], sensor_number(self._sensors, value.value, span))
            case Text():
                assert isinstance(operand, Column), "text is never virtual"
                return self._by_text(operand, lambda text: _equal(op, text, value.value))
            case Blob() if isinstance(operand, Derived):
                found = np.array([digest == value.value for digest in self._digests()], np.bool_)
                return found if op is Op.EQ else ~found
            case Blob():
                column = np.ascontiguousarray(self._rows[operand.name]).view(("u1", len(value.value)))
                equal: Mask = (column == np.frombuffer(value.value, np.uint8)).all(axis=1)
                return equal if op is Op.EQ else ~equal
            case Number():
                return _apply(op, self._numbers(operand), value.value)
            case Instant() | Duration():
                return _apply(op, self._numbers(operand), value.us)
            case Endpoint():
                raise AssertionError("endpoints are taken apart first")

    def _numbers(self, operand: Operand) -> npt.NDArray[np.generic]:
        match operand:
            case Column():
                column: npt.NDArray[np.generic] = self._rows[operand.name]
                return column
            case Masked():
                masked: npt.NDArray[np.generic] = self._rows[operand.name] & self._rows[operand.name].dtype.type(
                    operand.mask
                )
                return masked
            case Derived(name="duration"):
                length: npt.NDArray[np.int64] = self._rows["end_time"] - self._rows["start_time"]
                return length
            case Derived():
                first, second = (self._rows[name] for name in DERIVED[operand.name].fields)
                total: npt.NDArray[np.uint64] = first + second
                return np.where(total < first, np.uint64(2**64 - 1), total)
            case Either() | Far() | Whole():
                raise AssertionError("fields of either side are taken apart first")

    def _digests(self) -> list[bytes]:
        if self._community is None:
            self._community = digests(self._rows)
        return self._community

    def _within_any(self, operand: Operand, networks: Iterable[Network]) -> Mask:
        return reduce(np.logical_or, (self._within(operand, Op.EQ, network) for network in networks))

    def _within(self, operand: Operand, op: Op, network: Network) -> Mask:
        halves = np.ascontiguousarray(self._rows[operand.name]).view(">u8").reshape(-1, 2)
        high, low = halves[:, 0], halves[:, 1]

        def at_least(bound: int) -> Mask:
            top, bottom = bound >> 64, bound & 0xFFFF_FFFF_FFFF_FFFF
            found: Mask = (high > top) | ((high == top) & (low >= bottom))
            return found

        if op is Op.GE:
            return at_least(network.first)
        if op is Op.LE:
            return ~at_least(network.first + 1) if network.first + 1 < 1 << 128 else np.ones(len(halves), np.bool_)
        inside = np.zeros(len(halves), np.bool_)
        for first, last in network.ranges():
            inside |= at_least(first) & (~at_least(last + 1) if last + 1 < 1 << 128 else np.True_)
        return inside if op is Op.EQ else ~inside

    def _by_text(self, column: Column, test: Callable[[str], bool]) -> Mask:
        distinct, places = np.unique(self._rows[column.name], return_inverse=True)
        verdicts = [test(raw.split(b"\0")[0].decode("utf-8", "replace")) for raw in distinct.tolist()]
        found: Mask = np.array(verdicts, np.bool_)[places]
        return found

    def absent(self, operand: Operand) -> Mask:
        """Where an operand is NULL."""
        assert not isinstance(operand, Either), "either-side fields are taken apart first"
        if isinstance(operand, Far | Whole) or operand == Derived("community_id"):
            return np.zeros(len(self._rows), np.bool_)
        names = DERIVED[operand.name].fields if isinstance(operand, Derived) else (operand.name,)
        bits = sum(1 << BY_NAME[name].id for name in names if BY_NAME[name].nullable)
        missing: Mask = self._rows["absent"] & np.uint64(bits) != 0
        return missing

    def sortable(self, operand: Operand) -> npt.NDArray[np.generic]:
        """Values of an operand that numpy sorts as the store does; sensors by name."""
        if operand == Derived("community_id"):
            return np.array(self._digests(), "S20")
        if isinstance(operand, Far):
            from_there = self._near(operand, (0, 0))
            ends = (np.ascontiguousarray(self._rows[side]).view("S16") for side in ("dst_ip", "src_ip"))
            return np.where(from_there, *ends)
        kind = BY_NAME[operand.name].kind if isinstance(operand, Column) else None
        if kind is Kind.SENSOR:
            ranks = {number: rank for rank, (_, number) in enumerate(sorted(self._sensors.items()))}
            return np.array([ranks.get(number, len(ranks)) for number in self._rows["sensor"].tolist()], np.int64)
        if kind in (Kind.ADDRESS, Kind.BYTES):
            # All of one length, so what numpy's S drops at the end changes no comparison.
            return np.ascontiguousarray(self._rows[operand.name]).view(f"S{self._rows.dtype[operand.name].itemsize}")
        return self._numbers(operand)


_FUNCTIONS: dict[Op, Callable[..., Mask]] = {
    Op.EQ: np.equal,
    Op.NE: np.not_equal,
    Op.LT: np.less,
    Op.LE: np.less_equal,
    Op.GT: np.greater,
    Op.GE: np.greater_equal,
}


def _isin(column: npt.NDArray[np.generic], values: npt.NDArray[np.generic]) -> Mask:
    """Rows of fixed length as one opaque value each; numpy compares S, and all are of one length."""
    size = column.dtype.itemsize
    one, other = (np.ascontiguousarray(each).view(f"S{size}") for each in (column, values))
    found: Mask = np.isin(one, other)
    return found


def _apply(op: Op, column: npt.NDArray[np.generic], number: int) -> Mask:
    return _FUNCTIONS[op](column, number)


_quotients: Callable[..., npt.NDArray[np.object_]] = np.frompyfunc(Fraction, 2, 1)
_seconds: Callable[..., npt.NDArray[np.object_]] = np.frompyfunc(lambda us: Fraction(us, 1_000_000), 1, 1)
_days: Callable[..., npt.NDArray[np.object_]] = np.frompyfunc(lambda s: floor(s / 86_400) + DAYS_BEFORE_1970, 1, 1)


def _equal(op: Op, text: str, value: str) -> bool:
    return (text == value) is (op is Op.EQ)
