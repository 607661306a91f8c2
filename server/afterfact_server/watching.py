"""Which sensors should have seen what a query asks about, and which of its addresses none of them sees.

A sensor sees a session if it sees the network of either end. What a condition says of addresses is taken apart into
alternatives ("this source", "that destination"); where it says nothing of addresses, or only which ones they are not,
every sensor should have seen it. Addresses count as within every network that holds them, not only the smallest, so
that rather one sensor too many is told of than one too few.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from itertools import pairwise, product

from afterfact_protocol.query.nodes import (
    IPV4_FIRST,
    IPV4_LAST,
    And,
    Between,
    Column,
    Compare,
    Either,
    Endpoint,
    Expr,
    Like,
    Member,
    Network,
    Not,
    Op,
    Or,
    Text,
    Value,
)
from afterfact_protocol.query.sensors import sensor_number, sensors_like
from afterfact_server.networks import Configured

MAX_ALTERNATIVES = 256
"""Of a condition. What would be more is told less exactly: of more sensors than need be."""

Ranges = tuple[tuple[int, int], ...]
"""Addresses of 128 bits as disjoint closed ranges, in order."""

_ALL: Ranges = ((0, (1 << 128) - 1),)
_SENSOR = Column("sensor")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is to be told of the coverage of an answer."""

    sensors: frozenset[int]
    """Numbers of those that should have seen what was asked."""
    named: bool
    """Whether the query itself names them."""
    unseen: Ranges
    """Addresses asked about that none of them sees."""


def watch(where: Expr | None, configured: Configured, sensors: Mapping[str, int], there: frozenset[int]) -> Watch:
    """Who should have seen what a resolved condition asks about. `sensors` (name to number) are those that it can name,
    `there` those that count. QueryError if it names another."""
    named = None if where is None else _named(where, True, sensors)
    asked = there if named is None else named & there
    if not configured.entries or where is None:
        return Watch(asked, named is not None, ())
    seen_by = _seen_by(configured, sensors, asked)
    seen = joined(one for ranges in seen_by.values() for one in ranges)
    watching: set[int] = set()
    unseen: list[tuple[int, int]] = []
    possible = False
    for one in _alternatives(where, True):
        sides = [left for left in (one.src.left(), one.dst.left()) if left is not None]
        if not sides:
            return Watch(asked, named is not None, ())
        if not all(sides):
            continue  # no session can be of this kind
        possible = True
        watching |= {number for number, ranges in seen_by.items() if any(overlap(ranges, side) for side in sides)}
        parts: list[Ranges] = [without(side, seen) for side in sides]
        least = min(parts, key=_size)
        unseen += least
    if not possible:
        return Watch(asked, named is not None, ())
    return Watch(asked if named is not None else frozenset(watching), named is not None, joined(unseen))


def _seen_by(configured: Configured, sensors: Mapping[str, int], asked: Collection[int]) -> dict[int, Ranges]:
    by_sensor: dict[int, list[tuple[int, int]]] = {number: [] for number in asked}
    for entry in configured.entries.values():
        ranges = [one for network in entry.addresses for one in network.ranges()]
        for name in sensors if entry.sensors is None else entry.sensors:
            if sensors.get(name) in by_sensor:
                by_sensor[sensors[name]] += ranges
    return {number: joined(ranges) for number, ranges in by_sensor.items()}


def written(ranges: Ranges, most: int) -> tuple[tuple[str, ...], int]:
    """Ranges as at most so many addresses and CIDRs, the first ones, and how many more it would take."""
    texts: list[str] = []
    count = 0
    for first, last in _families(ranges):
        if first >= IPV4_FIRST and last <= IPV4_LAST:
            whole = summarize_address_range(IPv4Address(first & 0xFFFF_FFFF), IPv4Address(last & 0xFFFF_FFFF))
            texts_of = (str(network).removesuffix("/32") for network in whole)
        else:
            texts_of = (
                str(six).removesuffix("/128") for six in summarize_address_range(IPv6Address(first), IPv6Address(last))
            )
        for text in texts_of:
            count += 1
            if len(texts) < most:
                texts.append(text)
    return tuple(texts), count - len(texts)


def _families(ranges: Ranges) -> Iterable[tuple[int, int]]:
    """The same ranges, none of them over IPv4 and IPv6."""
    for part in ((IPV4_FIRST, IPV4_LAST), (0, IPV4_FIRST - 1), (IPV4_LAST + 1, (1 << 128) - 1)):
        yield from common(ranges, (part,))


# --- which sensors a query names


def _named(expr: Expr, holds: bool, sensors: Mapping[str, int]) -> frozenset[int] | None:
    """The sensors that sessions can be of for which `expr` is true (or false); None if it leaves that open."""
    everyone = frozenset(sensors.values())
    match expr:
        case Not():
            return _named(expr.item, not holds, sensors)
        case And() | Or():
            parts = [_named(item, holds, sensors) for item in expr.items]
            known = [part for part in parts if part is not None]
            if isinstance(expr, And) is holds:
                return reduce(frozenset.__and__, known) if known else None
            return frozenset[int]().union(*known) if len(known) == len(parts) else None
        case Compare() if expr.operand == _SENSOR:
            found = _numbers((expr.value,), expr, sensors)
            return found if (expr.op is Op.EQ) is holds else everyone - found
        case Member() if expr.operand == _SENSOR:
            found = _numbers(expr.values, expr, sensors)
            return found if holds else everyone - found
        case Like() if expr.operand == _SENSOR:
            found = frozenset(sensors_like(sensors, expr.pattern))
            return found if holds else everyone - found
        case _:
            return None


def _numbers(values: Iterable[Value], test: Compare | Member, sensors: Mapping[str, int]) -> frozenset[int]:
    return frozenset(sensor_number(sensors, value.value, test.span) for value in values if isinstance(value, Text))


# --- which addresses a query asks about


@dataclass(frozen=True, slots=True)
class _Side:
    """What is said of one end: it is within `asked` (None: that is left open) and not within `excluded`."""

    asked: Ranges | None = None
    excluded: Ranges = ()

    def left(self) -> Ranges | None:
        return None if self.asked is None else without(self.asked, self.excluded)

    def both(self, other: "_Side") -> "_Side":
        asked = [ranges for ranges in (self.asked, other.asked) if ranges is not None]
        return _Side(reduce(common, asked) if asked else None, joined((*self.excluded, *other.excluded)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of sessions, by their ends."""

    src: _Side = _Side()
    dst: _Side = _Side()

    def both(self, other: "_Kind") -> "_Kind":
        return _Kind(self.src.both(other.src), self.dst.both(other.dst))


_ANY = [_Kind()]


def _alternatives(expr: Expr, holds: bool) -> list[_Kind]:
    """Kinds of sessions, one of which each session is for which `expr` is true (or false)."""
    match expr:
        case Not():
            return _alternatives(expr.item, not holds)
        case And() | Or():
            parts = [_alternatives(item, holds) for item in expr.items]
            if isinstance(expr, And) is holds:
                return reduce(_all, parts)
            return _merged([kind for part in parts for kind in part])
        case Compare() | Member() | Between():
            ranges, fits = _asked(expr)
            if fits is None:
                return _ANY
            if isinstance(expr, Compare) and expr.op is Op.NE:
                holds = not holds
            said = _Side(ranges) if holds else _Side(None, ranges)
            src, dst = _Kind(said), _Kind(_Side(), said)
            if fits == "ip":
                if isinstance(expr.operand, Either) and expr.operand.name == "endpoint" and not holds:
                    return _ANY  # of those addresses others of their ports are asked about
                return [src, dst] if holds else [src.both(dst)]
            return [src if fits == "src_ip" else dst]
        case _:
            return _ANY


def _all(first: list[_Kind], second: list[_Kind]) -> list[_Kind]:
    if len(first) * len(second) > MAX_ALTERNATIVES:
        return min((one for one in (first, second) if one != _ANY), key=len)
    return list(dict.fromkeys(one.both(other) for one, other in product(first, second)))


def _merged(kinds: list[_Kind]) -> list[_Kind]:
    """Fewer kinds that say the same: those that only ask for sources, or only for destinations, are one each."""
    sources: list[tuple[int, int]] = []
    targets: list[tuple[int, int]] = []
    rest = []
    for kind in kinds:
        if kind.src.asked and kind == _Kind(_Side(kind.src.asked)):
            sources += kind.src.asked
        elif kind.dst.asked and kind == _Kind(_Side(), _Side(kind.dst.asked)):
            targets += kind.dst.asked
        else:
            rest.append(kind)
    if sources:
        rest.append(_Kind(_Side(joined(sources))))
    if targets:
        rest.append(_Kind(_Side(), _Side(joined(targets))))
    return rest


def _asked(test: Compare | Member | Between) -> tuple[Ranges, str | None]:
    """The addresses of a test, and whose: src_ip, dst_ip or ip; None if it is about no end's address."""
    name = test.operand.name
    if name == "endpoint":
        name = "ip"
    if name not in ("src_ip", "dst_ip", "ip"):
        return (), None
    match test:
        case Between():
            assert isinstance(test.low, Network) and isinstance(test.high, Network), "addresses lie between addresses"
            return ((test.low.first, test.high.first),), name
        case Compare():
            values: tuple[Value, ...] = (test.value,)
        case Member():
            values = test.values
    networks = (value.network if isinstance(value, Endpoint) else value for value in values)
    return joined(one for network in networks if isinstance(network, Network) for one in network.ranges()), name


# --- arithmetic of ranges


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Any ranges, as disjoint ones in order; neighbours become one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def common(some: Ranges, others: Ranges) -> Ranges:
    """What lies in both."""
    found = []
    at = 0
    for first, last in some:
        at = bisect_left(others, first, lo=at, key=lambda one: one[1])
        for other_first, other_last in others[at:]:
            if other_first > last:
                break
            found.append((max(first, other_first), min(last, other_last)))
    return tuple(found)


def without(some: Ranges, others: Ranges) -> Ranges:
    """What lies in the first and not in the second."""
    if not others:
        return some
    holes = [(before[1] + 1, after[0] - 1) for before, after in pairwise(others)]
    edges = [(0, others[0][0] - 1), *holes, (others[-1][1] + 1, _ALL[0][1])]
    return common(some, tuple((first, last) for first, last in edges if first <= last))


def overlap(some: Ranges, others: Ranges) -> bool:
    """Whether anything lies in both."""
    return bool(common(some, others))


def _size(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)
