"""A checked condition to a ClickHouse condition over the table of sessions, with every value a bound parameter.

Three-valued logic without NULLs: a field that its source did not know is stored as 0 with its bit set in `absent`, and
only rows for which a condition is TRUE are wanted. So negation is pushed down to the single tests (negation normal
form), each becomes "known, and the test holds", and in that form TRUE needs no third value: AND and OR of what is TRUE
are TRUE. "Known" is asked only where the stored 0 would pass the test: `dst_port = 1034` cannot match it,
`dst_port != 80` can.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from afterfact_protocol.query.functions import EITHER, PREDICATES, NamedCondition
from afterfact_protocol.query.like import like_parts
from afterfact_protocol.query.nodes import (
    And,
    Between,
    Blob,
    Column,
    Compare,
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
    Network,
    Not,
    Number,
    Op,
    Operand,
    Or,
    Predicate,
    Regexp,
    Relation,
    Stored,
    Test,
    Text,
    Unless,
    Value,
    Whole,
)
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.sensors import sensor_number, sensors_like
from afterfact_protocol.query.subjects import subject_of
from afterfact_protocol.session import BY_NAME, Kind
from afterfact_server.query import computed, firsts, stored
from afterfact_server.query.parameters import Parameters, address_text
from afterfact_server.store.community import DIGEST

_TRUE, _FALSE = "1", "0"
_SENSOR = Column("sensor")
_COMMUNITY = Derived("community_id")
_Valued = Compare | Between | Member
_INVERSE = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.LT: Op.GE, Op.GE: Op.LT, Op.GT: Op.LE, Op.LE: Op.GT}


ENOUGH_FOR_A_SET = 4
"""Networks of one prefix length that are looked up as a set."""


@dataclass(frozen=True, slots=True)
class Piece:
    """SQL that is true where the condition is TRUE, provided that the fields of `known` are not absent."""

    sql: str
    known: int = 0
    """Bits of `absent` that must be clear."""

    def closed(self) -> str:
        """SQL that is true exactly where the condition is TRUE."""
        if not self.known:
            return self.sql
        return f"({self.sql} AND bitAnd(absent, {self.known}) = 0)"


def condition(where: Expr | None, sensors: Mapping[str, int], parameters: Parameters) -> str:
    """SQL that is true for the rows where `where` is TRUE. `sensors` maps names to the store's numbers.

    QueryError if the condition names a sensor that is not among them. What it says of networks must be resolved.
    """
    return _TRUE if where is None else WhereCompiler(sensors, parameters, where).compile(where, True).closed()


class WhereCompiler:
    """Compiles the parts of a condition; see `condition`."""

    def __init__(self, sensors: Mapping[str, int], parameters: Parameters, whole: Expr | None = None) -> None:
        self._sensors = sensors
        self._parameters = parameters
        self._whole = whole
        """What a first_seen is part of."""

    def compile(self, expr: Expr, holds: bool) -> Piece:
        """The piece that is true where `expr` is TRUE or, with `holds` False, where it is FALSE."""
        match expr:
            case Not():
                return self.compile(expr.item, not holds)
            case And() | Or():
                pieces = [self.compile(item, holds) for item in expr.items]
                return _all(pieces) if isinstance(expr, And) is holds else _any(pieces)
            case Predicate():
                return self._predicate(expr, holds)
            case Relation():
                sql = computed.relation(expr, holds, self._parameters)
                return Piece(sql, computed.known(expr.left) | computed.known(expr.right))
            case During():
                return self._during(expr, holds)
            case FirstSeen():
                sql = firsts.first_seen(expr, holds, self._whole, self._parameters, self._sub)
                return Piece(sql)
            case Unless():
                without = self.compile(expr.item, True).closed()
                return Piece(f"NOT ({without})" if holds else without)
            case EventWindow():
                raise AssertionError("alerts are resolved first")
            case Compare() if expr.op is Op.NE:
                return self._test(Compare(expr.operand, Op.EQ, expr.value, expr.span), not holds)
            case _:
                return self._test(expr, holds)

    def _sub(self, expr: Expr, holds: bool) -> str:
        return self.compile(expr, holds).closed()

    def _test(self, test: Test, holds: bool) -> Piece:
        if isinstance(test.operand, Either):
            return self._either(test, test.operand, holds)
        if isinstance(test.operand, Far):
            return self._far(test, test.operand, holds)
        match test:
            case IsNull():
                return _is_null(test.operand, holds)
            case Like() if test.operand == _SENSOR:
                return self._numbers(test.operand, sensors_like(self._sensors, test.pattern), holds)
            case Like():
                pattern = "".join(
                    part if part in "%_" and wild else _escaped(part) for part, wild in like_parts(test.pattern)
                )
                return self._text_match(test.operand, "LIKE", pattern, holds)
            case Regexp():
                return self._text_match(test.operand, "REGEXP", test.pattern, holds)
            case Between():
                return self._between(test, holds)
            case Member():
                return self._member(test, holds)
            case Compare():
                return self._compare(test, holds)
            case Stored():
                known = _bit(test.operand) if isinstance(test.operand, Column) else 0
                return Piece(stored.sql(test, holds, self._parameters), known)
            case InSet():
                raise AssertionError("sets are resolved first")

    def _during(self, window: During, holds: bool) -> Piece:
        first, last = self._parameters.time(window.first), self._parameters.time(window.last)
        if holds:
            # Both bare columns: start_time prunes the days after, the minmax index of end_time most of those before.
            return Piece(f"(start_time <= {last} AND end_time >= {first})")
        return Piece(f"(start_time > {last} OR end_time < {first})")

    # --- what stands for several fields

    def _far(self, test: Test, far: Far, holds: bool) -> Piece:
        # In two bare comparisons, each of which the indexes read, and not in one of what an if() gives.
        near = Member(Column("src_ip"), far.near, test.span)
        there, here = (replace(test, operand=Column(side)) for side in ("dst_ip", "src_ip"))
        return self.compile(Or((And((near, there)), And((Not(near), here)))), holds)

    def _either(self, test: Test, operand: Either, holds: bool) -> Piece:
        sides = EITHER[operand.name].sides
        if isinstance(test, IsNull):
            # Neither side is known.
            return self.compile(And(tuple(IsNull(Column(side[0])) for side in sides)), holds)
        if isinstance(test, Stored) and subject_of(operand).type is Type.ENDPOINT:
            pieces = [Piece(stored.endpoint(test, side, holds, self._parameters)) for side in sides]
            return _any(pieces) if holds else _all(pieces)
        if subject_of(operand).type is Type.ENDPOINT:
            assert isinstance(test, Compare | Member), "endpoints have no order"
            values = (test.value,) if isinstance(test, Compare) else test.values
            alternatives: tuple[Expr, ...] = tuple(
                And((Compare(Column(ip), Op.EQ, value.network), Compare(Column(port), Op.EQ, Number(value.port))))
                for value in values
                if isinstance(value, Endpoint)
                for ip, port in sides
            )
        else:
            columns = [Column(side[0]) for side in sides]
            match test:
                case Compare():
                    alternatives = tuple(Compare(column, test.op, test.value, test.span) for column in columns)
                case Member():
                    alternatives = tuple(Member(column, test.values, test.span) for column in columns)
                case Stored():
                    alternatives = tuple(replace(test, operand=column) for column in columns)
                case Between():
                    alternatives = tuple(Between(column, test.low, test.high, test.span) for column in columns)
                case _:
                    raise AssertionError(f"no sides of {test}")
        return self.compile(Or(alternatives), holds)

    def _predicate(self, predicate: Predicate, holds: bool) -> Piece:
        entry = PREDICATES[predicate.name]
        assert isinstance(entry, NamedCondition), "conditions over networks are resolved first"
        column = Column(entry.field)
        names = BY_NAME[entry.field].names
        assert names is not None, "conditions by name are over named values"
        judged = [int(member) for member in names if int(member) not in entry.unknown]
        return self._numbers(column, [number for number in judged if (number in entry.holds) is holds], True)

    # --- single tests

    def _numbers(self, column: Column, numbers: list[int], holds: bool) -> Piece:
        if not numbers:
            return Piece(_FALSE if holds else _TRUE, 0 if holds else _bit(column))
        return self._member(Member(column, tuple(Number(number) for number in numbers)), holds)

    def _compare(self, test: Compare, holds: bool) -> Piece:
        if test.operand == _COMMUNITY:
            return self._community((test.value,), (test.op is Op.EQ) is holds)
        known = self._known(test.operand, test, holds)
        if isinstance(test.value, Network):
            return Piece(self._networks(test.operand, [test.value], holds), known)
        op = test.op if holds else _INVERSE[test.op]
        return Piece(f"{self._operand(test.operand)} {op.value} {self._value(test.value, test)}", known)

    def _between(self, test: Between, holds: bool) -> Piece:
        operand, low, high = self._operand(test.operand), self._value(test.low, test), self._value(test.high, test)
        sql = f"({operand} >= {low} AND {operand} <= {high})" if holds else f"({operand} < {low} OR {operand} > {high})"
        return Piece(sql, self._known(test.operand, test, holds))

    def _community(self, values: tuple[Value, ...], holds: bool) -> Piece:
        digests = [value.value.hex() for value in values if isinstance(value, Blob)]
        listed = ", ".join(f"unhex({self._parameters.bind(digest, 'String')})" for digest in digests)
        return Piece(f"{DIGEST} {'IN' if holds else 'NOT IN'} ({listed})")

    def _member(self, test: Member, holds: bool) -> Piece:
        if test.operand == _COMMUNITY:
            return self._community(test.values, holds)
        known = self._known(test.operand, test, holds)
        networks = [value for value in test.values if isinstance(value, Network)]
        if networks:
            return Piece(self._networks(test.operand, networks, holds), known)
        operand = self._operand(test.operand)
        if isinstance(test.values[0], Instant | Blob):
            listed = f"({', '.join(self._value(value, test) for value in test.values)})"
        else:
            plain = [self._plain(value, test) for value in test.values]
            listed = self._parameters.bind(plain, f"Array({_clickhouse(test.operand)})")
        return Piece(f"{operand} {'IN' if holds else 'NOT IN'} {listed}", known)

    def _networks(self, operand: Operand, networks: list[Network], holds: bool) -> str:
        column = self._operand(operand)
        single = [network.first for network in networks if network.single]
        parts = []
        if len(single) == 1:
            parts.append(f"{column} = {self._parameters.address(single[0])}")
        elif single:
            parts.append(f"{column} IN {self._parameters.bind([address_text(ip) for ip in single], 'Array(IPv6)')}")
        by_bits: dict[int, list[Network]] = {}
        for network in networks:
            if not network.single:
                by_bits.setdefault(network.bits, []).append(network)
        for bits, alike in by_bits.items():
            # A set of first addresses is looked up once. Measured on 3 M rows: 64 ranges 1.7 s, a set of 64 0.09 s, and
            # 4,000 ranges are more than the store's parser takes.
            whole = [network for network in alike if network.ranges() == ((network.first, network.last),)]
            if len(whole) >= ENOUGH_FOR_A_SET:
                firsts = self._parameters.bind([address_text(network.first) for network in whole], "Array(IPv6)")
                parts.append(f"IPv6CIDRToRange({column}, {bits}).1 IN {firsts}")
                alike = [network for network in alike if network not in whole]
            for first, last in (pair for network in alike for pair in network.ranges()):
                parts.append(
                    f"({column} >= {self._parameters.address(first)} AND {column} <= {self._parameters.address(last)})"
                )
        sql = parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"
        return sql if holds else f"NOT {sql}" if sql.startswith("(") else f"NOT ({sql})"

    def _text_match(self, column: Column, word: str, pattern: str, holds: bool) -> Piece:
        sql = f"{self._operand(column)} {word} {self._parameters.bind(pattern, 'String')}"
        return Piece(sql if holds else f"NOT ({sql})", _bit(column))

    # --- operands and values

    def _operand(self, operand: Operand) -> str:
        match operand:
            case Column():
                text = BY_NAME[operand.name].kind is Kind.TEXT
                return f"toStringCutToZero({operand.name})" if text else operand.name
            case Masked():
                return f"bitAnd({operand.name}, {self._parameters.bind(operand.mask, _clickhouse(operand))})"
            case Derived():
                return computed.derived(operand)
            case Either() | Far() | Whole():
                raise AssertionError("fields of either side are taken apart first")

    def _value(self, value: Value, test: _Valued) -> str:
        match value:
            case Instant():
                return self._parameters.time(value.us)
            case Blob():
                return f"unhex({self._parameters.bind(value.value.hex(), 'String')})"
            case Network():
                return self._parameters.address(value.first)
            case _:
                return self._parameters.bind(self._plain(value, test), _clickhouse(test.operand))

    def _plain(self, value: Value, test: _Valued) -> int | str:
        match value:
            case Number():
                return value.value
            case Duration():
                return value.us
            case Text() if test.operand == _SENSOR:
                return sensor_number(self._sensors, value.value, test.span)
            case Text():
                return value.value
            case _:
                raise AssertionError(f"no plain parameter for {value}")

    def _known(self, operand: Operand, test: _Valued, holds: bool) -> int:
        """Bits that must be clear: those of the operand's fields if their stored 0 would pass the test."""
        if isinstance(operand, Derived):
            return absent_mask(operand)
        assert not isinstance(operand, Either | Far | Whole), "fields of either side are taken apart first"
        return _bit(operand) if _passes_zero(test) is holds else 0


def far_end(operand: Far, parameters: Parameters) -> str:
    """SQL of the far end's address, to sort or to group by."""
    near = WhereCompiler({}, parameters).compile(Member(Column("src_ip"), operand.near), True)
    return f"if({near.closed()}, dst_ip, src_ip)"


def absent_mask(operand: Column | Masked | Derived) -> int:
    """The bits of `absent` that make an operand NULL."""
    return _bit(operand) if isinstance(operand, Masked) else computed.absent_mask(operand)


def _bit(operand: Column | Masked) -> int:
    field_ = BY_NAME[operand.name]
    return 1 << field_.id if field_.nullable else 0


def _clickhouse(operand: Operand) -> str:
    """The type of a parameter that is compared with an operand."""
    if isinstance(operand, Derived):
        return "Int64" if subject_of(operand).type is Type.DURATION else "UInt64"
    field_ = BY_NAME[operand.name]
    return "String" if field_.kind is Kind.TEXT else field_.clickhouse


def _is_null(operand: Operand, holds: bool) -> Piece:
    assert not isinstance(operand, Either | Far | Whole), "fields of either side are taken apart first"
    mask = absent_mask(operand)
    if not mask:
        return Piece(_FALSE if holds else _TRUE)
    return Piece(f"bitAnd(absent, {mask}) != 0") if holds else Piece(_TRUE, mask)


def _passes_zero(test: _Valued) -> bool:
    """Whether what is stored for an absent field passes the test by itself."""
    match test:
        case Compare():
            return _zero_compares(test.op, test.value)
        case Member():
            return any(_zero_compares(Op.EQ, value) for value in test.values)
        case Between():
            return _zero_compares(Op.GE, test.low) and _zero_compares(Op.LE, test.high)


def _zero_compares(op: Op, value: Value) -> bool:
    match value:
        case Network() if op is Op.EQ:
            return any(first == 0 for first, _ in value.ranges())
        case Text():
            sign = 0 if value.value == "" else -1
        case Blob():
            sign = 0 if not any(value.value) else -1
        case Network():
            sign = 0 if value.first == 0 else -1
        case Endpoint():
            raise AssertionError("endpoints are taken apart first")
        case Number():
            sign = 0 if value.value == 0 else -1
        case Instant() | Duration():
            sign = (value.us < 0) - (value.us > 0)
    return {
        Op.EQ: sign == 0,
        Op.NE: sign != 0,
        Op.LT: sign < 0,
        Op.LE: sign <= 0,
        Op.GT: sign > 0,
        Op.GE: sign >= 0,
    }[op]


def _all(pieces: list[Piece]) -> Piece:
    """Of conditions that must all hold, what must be known is asked once."""
    known = reduce(or_, (piece.known for piece in pieces))
    parts = [piece.sql for piece in pieces if piece.sql != _TRUE] or [_TRUE]
    return Piece(parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})", known)


def _any(pieces: list[Piece]) -> Piece:
    parts = [piece.closed() for piece in pieces if piece.sql != _FALSE] or [_FALSE]
    return Piece(parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})")


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "%_\\" else character
