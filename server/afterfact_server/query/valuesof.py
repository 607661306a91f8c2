"""Statements for the values of a set: what a field holds in the sessions that a query finds, each value once.

Makes SQL text and parameters; runs nothing.
"""

from collections.abc import Mapping

from afterfact_protocol.query import Query, QueryError
from afterfact_protocol.query.binding import far_end, unbound
from afterfact_protocol.query.functions import EITHER
from afterfact_protocol.query.nodes import Column, Derived, Either, Far, Whole
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.setterms import KINDS
from afterfact_protocol.query.subjects import Subject, resolve, unknown
from afterfact_protocol.session import BY_NAME, KEY, absent_bits
from afterfact_server.query.compile import Compiled, key_query
from afterfact_server.query.conditions import condition
from afterfact_server.query.conditions import far_end as far_end_sql
from afterfact_server.query.needles import needles
from afterfact_server.query.parameters import Parameters
from afterfact_server.store.community import DIGEST
from afterfact_server.store.schema import SESSIONS


def field_of(name: str, start: int = 0, end: int = 0) -> Subject:
    """The field whose values are saved. QueryError, at that place of the text, if it can be in no set."""
    subject = resolve(name)
    if subject is None:
        raise QueryError(unknown(name), start, end)
    if subject.type not in KINDS:
        raise QueryError(f"{subject.name} cannot be saved: sets are of addresses, ports, endpoints, Community IDs or "
                         "sessions", start, end)  # fmt: skip
    return subject


def values_query(query: Query, subject: Subject, sensors: Mapping[str, int], limit: int) -> Compiled:
    """At most `limit` values as sets.DTYPES has them, each once, in no order. `query` is resolved."""
    if query.once:
        raise QueryError("a set takes no ONCE: each value is in it once", 0, 0)
    parameters = Parameters()
    array = _values(query, subject, parameters)
    if query.limit is not None or query.order:
        # Of the first so many sessions: FINAL, for each must count once.
        inner = key_query(query, sensors, query.limit or 1 << 62, final=True, columns=(f"{array} AS found",))
        if parameters.values:
            raise QueryError("the values of other_ip are saved without ORDER BY and LIMIT", 0, 0)
        sql, values = inner.sql, inner.parameters
    else:
        where = needles(query.where, parameters) + condition(query.where, sensors, parameters)
        table = f"{SESSIONS} FINAL" if query.needs_growing else SESSIONS
        sql, values = f"SELECT {array} AS found FROM {table} WHERE {where}", parameters.values
    bits = ", toUInt8(128)" if subject.type is Type.ADDRESS else ""
    return Compiled(f"SELECT DISTINCT arrayJoin(found) AS value{bits} FROM ({sql}) LIMIT {int(limit)}", values,
                    scattered=True)  # fmt: skip


def _values(query: Query, subject: Subject, parameters: Parameters) -> str:
    """An array of the field's values in a session: none, one, or those of both sides."""
    match subject.operand:
        case Either():
            sides = [_known(side) for side in EITHER[subject.operand.name].sides]
            return f"arrayConcat({', '.join(sides)})"
        case Far():
            end = far_end(query.where)
            if end is None:
                raise unbound(0, 0)
            return f"[{far_end_sql(end, parameters)}]"
        case Whole():
            return f"[({', '.join(KEY)})]"
        case Derived():
            return f"[{DIGEST}]"
        case Column():
            return _known((subject.operand.name,))
        case _:
            raise AssertionError("no set is of flags")


def _known(side: tuple[str, ...]) -> str:
    value = side[0] if len(side) == 1 else f"({', '.join(side)})"
    nullable = [name for name in side if BY_NAME[name].nullable]
    if not nullable:
        return f"[{value}]"
    # An empty array of that type: what is not known is no value.
    return f"arrayFilter(known -> bitAnd(absent, {absent_bits(*nullable)}) = 0, [{value}])"
