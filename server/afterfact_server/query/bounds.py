"""What an account may see, as conditions beside those of its query. Nothing of a query can undo them: they are ANDed.

Sensors are left out of `within`: whom the account may not see is not among the sensors that its query is compiled with,
nor among those whose coverage is told; `of_sensors` says it to the store.
"""

from collections.abc import Iterable
from dataclasses import replace

from afterfact_protocol.query import Query
from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.nodes import (
    And,
    Column,
    Compare,
    Either,
    Expr,
    Instant,
    Member,
    NamedNetwork,
    Op,
    Text,
)
from afterfact_server.registry.bounds import Bounds


def within(query: Query, bounds: Bounds, now: int) -> Query:
    """The query within the account's networks and time."""
    return _and(query, conditions(bounds, now))


def of_sensors(query: Query, bounds: Bounds) -> Query:
    """The query within the account's sensors."""
    if not bounds.sensors:
        return query
    return _and(query, [Member(Column("sensor"), tuple(map(Text, bounds.sensors)))])


def conditions(bounds: Bounds, now: int) -> list[Expr]:
    """What networks and time come to."""
    found: list[Expr] = []
    if bounds.networks:
        found.append(Member(Either("ip"), tuple(network(text) or NamedNetwork(text) for text in bounds.networks)))
    first, last = bounds.starts(now)
    if first is not None:
        found.append(Compare(Column("start_time"), Op.GE, Instant(first)))
    if last is not None:
        found.append(Compare(Column("start_time"), Op.LE, Instant(last)))
    return found


def _and(query: Query, more: Iterable[Expr]) -> Query:
    own = () if query.where is None else query.where.items if isinstance(query.where, And) else (query.where,)
    items = (*own, *more)
    if len(items) < 2:
        return replace(query, where=items[0] if items else None)
    return replace(query, where=And(items))
