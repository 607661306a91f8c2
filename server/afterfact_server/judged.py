"""From when on what a sensor sees first is new, and not only new to it: first_seen's "unknown", defined.

A sensor's history begins with what it watched first, and anew where it watched nothing for ANEW. What it sees first
within SETTLING of that may have been there before, and so may all that it sees if its history begins after the time
that is asked about. A day that retention dropped counts as not watched, so history begins at retention's edge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from afterfact_protocol.query import Query
from afterfact_protocol.query.nodes import And, Expr, FirstSeen, Not, Or, Unless
from afterfact_server.store.watched import Stretch

SETTLING = 86_400_000_000
"""A day: most of what is there shows within it."""
ANEW = 7 * SETTLING


def judged_from(stretches: Sequence[Stretch], asked: int) -> int | None:
    """From when on what a sensor sees first after the time `asked` is new; None if nothing is. `stretches` are when it
    watched, in order of their starts; all in microseconds UTC."""
    began: int | None = None
    until = 0
    for start, end in stretches:
        if start > asked and (began is None or start - until > ANEW or until >= began + SETTLING):
            break  # begins after what is asked about, or adds nothing to it
        if began is None or start - until > ANEW:
            began, until = start, end
        until = max(until, end)
    if began is None or began > asked or asked - until > ANEW or began + SETTLING > until:
        return None
    return max(asked, began + SETTLING)


def judged(query: Query, watched: Mapping[int, Sequence[Stretch]]) -> Query:
    """The query with what each of its first_seen can be judged by; `watched` is by sensor."""

    def filled(expr: Expr) -> Expr:
        match expr:
            case And() | Or():
                return type(expr)(tuple(map(filled, expr.items)))
            case Not() | Unless():
                return type(expr)(filled(expr.item))
            case FirstSeen():
                found = ((sensor, judged_from(stretches, expr.us)) for sensor, stretches in sorted(watched.items()))
                return replace(expr, judged=tuple((sensor, since) for sensor, since in found if since is not None))
            case _:
                return expr

    return query if query.where is None else replace(query, where=filled(query.where))
