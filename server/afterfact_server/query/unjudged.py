"""What an answer leaves out without being wrong, as statements that count it: sessions that the condition could not
judge, and sessions that were open when the time that it asks about began.

What is not known is what a source should have known: a TCP session's ports, an outcome. What there is none of (a ping's
port, the VLAN of what is not tagged) is NULL as well, and nobody would ever hear of anything else if it counted.
"""

from collections.abc import Mapping

import numpy as np

from afterfact_protocol.query import Query
from afterfact_protocol.query.analysis import fields, operand_fields, term_fields
from afterfact_protocol.query.firsts import firsts
from afterfact_protocol.query.functions import EITHER, FIRST_SEEN, PREDICATES, NamedCondition
from afterfact_protocol.query.nodes import (
    And,
    Between,
    Column,
    Compare,
    Derived,
    During,
    Either,
    EventWindow,
    Expr,
    Far,
    FirstSeen,
    Instant,
    IsNull,
    Not,
    Op,
    Or,
    Predicate,
    Relation,
    Unless,
)
from afterfact_protocol.session import BY_NAME, Proto
from afterfact_server.query.compile import TABLE, Compiled
from afterfact_server.query.conditions import Piece, WhereCompiler, condition
from afterfact_server.query.needles import needles
from afterfact_server.query.parameters import Parameters

COUNTED = np.dtype([("count", "<u8"), ("absent", "<u8"), ("unsaid", "<u1")])
"""Sessions, the bits of what was not known of any of them, whether the outcome was not known of one."""
OPEN = np.dtype([("count", "<u8")])

_WITH_PORTS = (Proto.TCP, Proto.UDP, Proto.SCTP, Proto.UDPLITE)
_KNOWABLE: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("src_port", "dst_port"), _WITH_PORTS),
    **dict.fromkeys(("icmp_type", "icmp_code", "icmp_id"), (Proto.ICMP, Proto.ICMPV6)),
    **dict.fromkeys(
        ("src_flags", "dst_flags", "syn_retries", "src_retrans_bytes", "dst_retrans_bytes"), (Proto.TCP,)
    ),
    **dict.fromkeys(
        ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "src_ip_bytes", "dst_ip_bytes", "state", "history",
         "end_reason"), (),
    ),
}  # fmt: skip
"""Fields that every session has, or every one of some protocols: absent, they are not known. The others' absence says
that there is none."""


def count_unjudged(query: Query, sensors: Mapping[str, int]) -> Compiled | None:
    """Counts the sessions (COUNTED) that a resolved query's condition could not judge; None if it can judge all."""
    if query.where is None:
        return None
    parameters = Parameters()
    items = query.where.items if isinstance(query.where, And) else (query.where,)
    certain = tuple(item for item in items if not _unsure(item))
    # A first_seen is looked for among what is true besides, and what may be true is more than that.
    maybe = _MaybeCompiler(sensors, parameters, And(certain))
    perhaps = maybe.compile(query.where, True).closed()
    if not maybe.unsure:
        return None
    holds = condition(query.where, sensors, parameters)
    found = needles(And(certain), parameters) if certain else ""
    bits = sum(1 << BY_NAME[name].id for name in maybe.unsure if name in _KNOWABLE)
    unsaid = "max(outcome = 0)" if "outcome" in maybe.unsure else "toUInt8(0)"
    return Compiled(
        f"SELECT count(), groupBitOr(bitAnd(absent, {bits})), {unsaid} FROM {TABLE} FINAL "
        f"WHERE {found}{perhaps} AND NOT ({holds})",
        parameters.values,
    )


def countable(query: Query) -> bool:
    """Whether what its condition could not judge can be counted: not of a first_seen of either side, whose ends may be
    judged apart."""
    return not any(name in EITHER for test in firsts(query.where) for name in test.fields)


def not_known(query: Query, absent: int, unsaid: bool) -> tuple[str, ...]:
    """What was not known of the sessions that were counted, by name."""
    names = [name for name in _KNOWABLE if absent >> BY_NAME[name].id & 1]
    names += ["outcome"] if unsaid else []
    return tuple(names + ([FIRST_SEEN] if any(firsts(query.where)) else []))


def open_before(query: Query) -> int | None:
    """The time before which sessions that a query would find began and are left out for it; None if there is none."""
    lows = [low for item in _items(query) if (low := _low(item)) is not None]
    return max(lows, default=None) if not any(_asks_itself(item) for item in _items(query)) else None


def count_open_before(query: Query, since: int, sensors: Mapping[str, int]) -> Compiled:
    """Counts (OPEN) the sessions that match but for a start before `since`, and were still open then."""
    others = [item for item in _items(query) if _low(item) is None]
    before = Compare(Column("start_time"), Op.LT, Instant(since))
    there = Compare(Column("end_time"), Op.GE, Instant(since))
    where = And((*others, before, there))
    parameters = Parameters()
    found = needles(where, parameters) + condition(where, sensors, parameters)
    return Compiled(f"SELECT count() FROM {TABLE} FINAL WHERE {found}", parameters.values)


def _items(query: Query) -> tuple[Expr, ...]:
    return query.where.items if isinstance(query.where, And) else () if query.where is None else (query.where,)


_START = Column("start_time")


def _low(item: Expr) -> int | None:
    """The earliest start that a condition of a query allows, if it says no more than that and perhaps a latest."""
    match item:
        case Compare(op=Op.GT | Op.GE) if item.operand == _START and isinstance(item.value, Instant):
            return item.value.us + (item.op is Op.GT)
        case Between() if item.operand == _START and isinstance(item.low, Instant):
            return item.low.us
        case _:
            return None


def _asks_itself(expr: Expr) -> bool:
    """Whether it is about when sessions were there, or about what cannot be asked of another time."""
    match expr:
        case And() | Or():
            return any(map(_asks_itself, expr.items))
        case Not() | Unless():
            return _asks_itself(expr.item)
        case During() | EventWindow() | FirstSeen():
            return True
        case _:
            return "end_time" in fields(expr)


class _MaybeCompiler(WhereCompiler):
    """SQL that is true where a condition is TRUE, or NULL for what is not known and could be."""

    def __init__(self, sensors: Mapping[str, int], parameters: Parameters, whole: Expr) -> None:
        super().__init__(sensors, parameters, whole)
        self.unsure: set[str] = set()
        """Names of what the condition rests on and may not be known: fields, or first_seen."""

    def compile(self, expr: Expr, holds: bool) -> Piece:
        match expr:
            case Not() | And() | Or() | IsNull() | During() | EventWindow():
                return super().compile(expr, holds)
            case Unless():  # of what is not TRUE nothing is unknown
                return WhereCompiler(self._sensors, self._parameters, self._whole).compile(expr, holds)
            case FirstSeen():
                return self._first(expr, holds)
            case Predicate() | Relation():
                pass
            case _ if isinstance(expr.operand, Either | Far):  # taken apart, and the parts come here
                return super().compile(expr, holds)
        unknown = [self._unknown(name) for name in sorted(_unsure(expr))]
        sql = super().compile(expr, holds).closed()
        return Piece(f"({' OR '.join([sql, *unknown])})" if unknown else sql)

    def _unknown(self, name: str) -> str:
        self.unsure.add(name)
        if name == "outcome":
            return "outcome = 0"
        bit = f"bitAnd(absent, {1 << BY_NAME[name].id}) != 0"
        protocols = _KNOWABLE[name]
        return f"({bit} AND proto IN ({', '.join(str(int(number)) for number in protocols)}))" if protocols else bit

    def _first(self, test: FirstSeen, holds: bool) -> Piece:
        self.unsure.add(FIRST_SEEN)
        plain = WhereCompiler(self._sensors, self._parameters, self._whole)
        columns = _columns(test)
        mask = sum(1 << BY_NAME[name].id for name in columns if BY_NAME[name].nullable)
        not_false = f"bitAnd(absent, {mask}) = 0 AND NOT {plain.compile(test, not holds).closed()}"
        unknown = [self._unknown(name) for name in sorted(columns & _KNOWABLE.keys())]
        return Piece(f"({' OR '.join([f'({not_false})', *unknown])})")


def _columns(test: FirstSeen) -> frozenset[str]:
    sides = (EITHER[name].sides if name in EITHER else ((name,),) for name in test.fields)
    return frozenset(name for side in sides for names in side for name in names)


def _unsure(expr: Expr) -> frozenset[str]:
    """Of what a condition rests on, the names of what may not be known."""
    match expr:
        case Not():
            return _unsure(expr.item)
        case And() | Or():
            return frozenset[str]().union(*map(_unsure, expr.items))
        case IsNull() | During() | EventWindow() | Unless():
            return frozenset()
        case FirstSeen():
            return frozenset({FIRST_SEEN})
        case Predicate():
            entry = PREDICATES[expr.name]
            if not isinstance(entry, NamedCondition):
                return frozenset()
            return frozenset({entry.field}) if entry.unknown or entry.field in _KNOWABLE else frozenset()
        case Relation():
            return (term_fields(expr.left) | term_fields(expr.right)) & _KNOWABLE.keys()
        case _ if expr.operand == Derived("community_id"):
            return frozenset()  # it has one without ports, too
        case _:
            return operand_fields(expr.operand) & _KNOWABLE.keys()
