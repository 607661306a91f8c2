"""Networks' names and home conditions of a query to the addresses that they stand for when it is asked.

What comes out is in the language's own terms, lists of addresses: compiler and coverage need know no network.
"""

from dataclasses import replace

from afterfact_protocol.query import Query, QueryError
from afterfact_protocol.query.functions import PREDICATES, HomeCondition
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.query.nodes import (
    And,
    Arithmetic,
    Cell,
    Column,
    Compare,
    During,
    EventWindow,
    Expr,
    Far,
    FirstSeen,
    Measure,
    Member,
    NamedNetwork,
    Network,
    Not,
    Op,
    Or,
    Order,
    Predicate,
    Relation,
    Span,
    Term,
    Unless,
    Value,
)
from afterfact_protocol.query.stagenodes import Key, Save, Stage

MAX_ADDRESSES = 2000
"""CIDRs that the networks of one query may come to, each counted as often as it is named: as many as lists may hold."""


def resolved(query: Query, networks: Networks) -> Query:
    """The same query with addresses in place of networks. QueryError, pointing at its place, for a network that there
    is not, and for networks that come to more than MAX_ADDRESSES."""
    if query.where is None:
        return query
    resolver = _Resolver(networks)
    where, order = resolver.expr(query.where), tuple(map(resolver.order, query.order))
    return replace(query, where=where, order=order, stages=tuple(map(resolver.stage, query.stages)))


class _Resolver:
    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._used = 0

    def expr(self, expr: Expr) -> Expr:
        match expr:
            case Not():
                return Not(self.expr(expr.item))
            case Unless():
                return Unless(self.expr(expr.item))
            case And() | Or():
                kind = type(expr)
                flat: list[Expr] = []
                for item in map(self.expr, expr.items):
                    flat.extend(item.items if isinstance(item, kind) else (item,))
                return kind(tuple(flat))
            case Predicate():
                condition = PREDICATES[expr.name]
                return self._home(condition, expr.span) if isinstance(condition, HomeCondition) else expr
            case Relation() | During() | EventWindow():
                return expr
            case FirstSeen():
                return expr if expr.where is None else replace(expr, where=self.expr(expr.where))
            case _ if isinstance(expr.operand, Far) and any(isinstance(n, NamedNetwork) for n in expr.operand.near):
                return self.expr(replace(expr, operand=self._far(expr.operand, expr.span)))
            case Compare() if isinstance(expr.value, NamedNetwork):
                inside = Member(expr.operand, self._addresses(expr.value, expr.span), expr.span)
                return inside if expr.op is Op.EQ else Not(inside)
            case Member() if any(isinstance(value, NamedNetwork) for value in expr.values):
                values = (one for value in expr.values for one in self._addresses(value, expr.span))
                return Member(expr.operand, tuple(dict.fromkeys(values)), expr.span)
            case _:
                return expr

    def order(self, key: Order) -> Order:
        return replace(key, operand=self._far(key.operand, (0, 0))) if isinstance(key.operand, Far) else key

    def stage(self, stage: Stage) -> Stage:
        if isinstance(stage, Save):
            far = stage.operand
            return replace(stage, operand=self._far(far, (0, 0))) if isinstance(far, Far) else stage
        order = tuple(replace(key, column=self._column(key.column)) for key in stage.order)
        return replace(stage, measures=tuple(map(self._measure, stage.measures)), order=order,
                       keys=tuple(map(self._key, stage.keys)),
                       having=None if stage.having is None else self._having(stage.having))  # fmt: skip

    def _key(self, key: Key) -> Key:
        return self._far(key, (0, 0)) if isinstance(key, Far) else key

    def _measure(self, measure: Measure) -> Measure:
        far = measure.operand
        return replace(measure, operand=self._far(far, (0, 0))) if isinstance(far, Far) else measure

    def _column(self, column: Measure | Key | None) -> Measure | Key | None:
        if column is None:
            return None
        return self._measure(column) if isinstance(column, Measure) else self._key(column)

    def _having(self, expr: Expr) -> Expr:
        """HAVING names columns by what they are computed of."""
        match expr:
            case Not():
                return Not(self._having(expr.item))
            case And() | Or():
                return type(expr)(tuple(map(self._having, expr.items)))
            case Relation():
                return replace(expr, left=self._term(expr.left), right=self._term(expr.right))
            case _:
                return expr

    def _term(self, term: Term) -> Term:
        match term:
            case Cell():
                return Cell(self._measure(term.measure))
            case Arithmetic():
                return replace(term, left=self._term(term.left), right=self._term(term.right))
            case _:
                return term

    def _far(self, operand: Far, span: Span) -> Far:
        near = (one for value in operand.near for one in self._addresses(value, span))
        return Far(tuple(dict.fromkeys(one for one in near if isinstance(one, Network))))

    def _home(self, condition: HomeCondition, span: Span) -> Expr:
        sides: list[Expr] = []
        for field, at_home in zip(condition.fields, (condition.src, condition.dst), strict=True):
            home = self._counted(self._networks.home_for(condition.name, span), span)
            inside = Member(Column(field), home, span)
            sides.append(inside if at_home else Not(inside))
        return And(tuple(sides))

    def _addresses(self, value: Value, span: Span) -> tuple[Value, ...]:
        if not isinstance(value, NamedNetwork):
            return (value,)
        return self._counted(self._networks.named(value.name, span), span)

    def _counted(self, found: tuple[Network, ...], span: Span) -> tuple[Network, ...]:
        self._used += len(found)
        if self._used > MAX_ADDRESSES:
            raise QueryError(f"the networks of this query come to over {MAX_ADDRESSES:,} CIDRs; name fewer, or write "
                             "them more briefly in networks.toml", *span)  # fmt: skip
        return found
