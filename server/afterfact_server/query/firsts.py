"""first_seen(...) to the store's SQL: looked for in all that is stored, when it is asked.

Nothing is kept up for it: what is late, imported, replaced or dropped counts or not as any session does. What makes
it fast is that only the combinations of sessions that the rest of the query leaves are looked for among the older
ones, and there with what the rest of the query says of the combination's own fields, by the index of ends if it can.

True of a combination, with T the time that is compared with, is:

    new     not seen by T, and seen after T by a sensor from the time on from which that sensor is judged
    old     seen by T
    never   no session counts, by the condition within first_seen(...)

What is neither is NULL: first seen when a sensor had not watched for long, or perhaps by T, since of an older session
it cannot be said whether it counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from afterfact_protocol.query.analysis import fields, needs_growing
from afterfact_protocol.query.firsts import firsts
from afterfact_protocol.query.functions import EITHER
from afterfact_protocol.query.nodes import And, Expr, FirstSeen, Member, Not, Op, Or, Unless
from afterfact_protocol.session import BY_NAME
from afterfact_server.query.needles import needles
from afterfact_server.query.parameters import Parameters

TABLE = "sessions"
MOST_VALUES = 100
"""Of the conditions that are repeated to look for less. What says more is left out: it would be dearer to ask."""
_NEVER = (1 << 63) - 1

Sub = Callable[[Expr, bool], str]
"""SQL that is true where a condition is TRUE or, with False, where it is FALSE."""


def first_seen(test: FirstSeen, holds: bool, whole: Expr | None, parameters: Parameters, sub: Sub) -> str:
    """SQL that is true where the comparison is TRUE or, with `holds` False, where it is FALSE. `whole` is the condition
    that it is part of."""
    return _Sets(test, whole, parameters, sub).sql(holds)


@dataclass(frozen=True, slots=True)
class _Side:
    columns: tuple[str, ...]

    @property
    def key(self) -> str:
        listed = ", ".join(self.columns)
        return f"({listed})" if len(self.columns) > 1 else listed

    @property
    def known(self) -> list[str]:
        bits = sum(1 << BY_NAME[name].id for name in self.columns if BY_NAME[name].nullable)
        return [f"bitAnd(absent, {bits}) = 0"] if bits else []


class _Sets:
    def __init__(self, test: FirstSeen, whole: Expr | None, parameters: Parameters, sub: Sub) -> None:
        self._test = test
        self._parameters = parameters
        self._sub = sub
        by = test.us - (test.op in (Op.GE, Op.LT))
        self._by = f"start_time <= {parameters.time(by)}"
        self._after = f"start_time > {parameters.time(by)}"
        self._sides = _sides(test.fields)
        beside = _beside(whole)
        self._final = test.where is not None and needs_growing(test.where)
        # What the rest of the query says of the combination's fields holds of each session of the combination.
        own = [item for item in beside if len(self._sides) == 1 and fields(item) <= set(self._sides[0].columns)]
        self._own = self._conditions(own)
        self._beside = self._conditions(beside)
        self._beside_final = any(needs_growing(item) for item in beside)

    def sql(self, holds: bool) -> str:
        later = self._test.op in (Op.GT, Op.GE)
        parts = []
        for side in self._sides:
            found = self._new(side) if later is holds else self._old(side)
            if self._test.where is not None and not holds:
                found = f"({found} OR {side.key} GLOBAL NOT IN ({self._ever()}))"
            parts.append(" AND ".join([*side.known, found]))
        found = (" OR " if holds else " AND ").join(f"({part})" for part in parts)
        if later is holds and self._test.where is None:  # the session itself counts
            return f"({self._after} AND ({found}))"
        return f"({found})"

    def _new(self, side: _Side) -> str:
        if self._test.where is None:
            among = self._select([self._after, *self._beside], self._beside_final)
        else:
            among = self._select([self._after, self._counts(), *self._own])
        before = self._select([self._by, *self._maybe(), *self._own], among=among)
        unseen = f"{side.key} GLOBAL NOT IN ({before})"
        if len(self._sides) == 1:  # a set of what is new only, where all that was seen after might be a month's
            return f"{side.key} GLOBAL IN ({self._judged(unseen)})"
        return f"({unseen} AND {side.key} GLOBAL IN ({self._judged()}))"

    def _judged(self, *more: str) -> str:
        judged = self._test.judged
        numbers = self._parameters.bind([sensor for sensor, _ in judged] or [0], "Array(UInt16)")
        times = self._parameters.bind([time for _, time in judged] or [_NEVER], "Array(Int64)")
        since = f"transform(sensor, {numbers}, {times}, {_NEVER})"
        conditions = [self._after, f"toUnixTimestamp64Micro(start_time) >= {since}", *self._own]
        if self._test.where is not None:
            conditions.append(self._counts())
        return self._select([*conditions, *more])

    def _old(self, side: _Side) -> str:
        if self._test.where is None:
            among = self._select([self._after, *self._beside], self._beside_final) if self._beside else ""
            return f"({self._by} OR {side.key} GLOBAL IN ({self._select([self._by, *self._own], among=among)}))"
        among = self._select(self._beside, self._beside_final) if self._beside else ""
        found = self._select([self._by, self._counts(), *self._own], among=among)
        return f"{side.key} GLOBAL IN ({found})"

    def _ever(self) -> str:
        among = self._select(self._beside, self._beside_final) if self._beside else ""
        return self._select([*self._maybe(), *self._own], among=among)

    def _counts(self) -> str:
        assert self._test.where is not None, "without a condition every session counts"
        return self._sub(self._test.where, True)

    def _maybe(self) -> list[str]:
        """That a session counts, or that it cannot be said."""
        return [] if self._test.where is None else [f"NOT {self._sub(self._test.where, False)}"]

    def _select(self, conditions: list[str], final: bool | None = None, among: str = "") -> str:
        """The combinations of the sessions of which conditions are true, on either side; with `among` only those of
        that SELECT."""
        table = f"{TABLE} FINAL" if (self._final if final is None else final) else TABLE
        selects = []
        for side in self._sides:
            asked = [*conditions, *side.known, *([f"{side.key} GLOBAL IN ({among})"] if among else [])]
            selects.append(f"SELECT {', '.join(side.columns)} FROM {table} WHERE {' AND '.join(asked) or '1'}")
        return " UNION ALL ".join(selects)

    def _conditions(self, items: list[Expr]) -> list[str]:
        if not items:
            return []
        whole = items[0] if len(items) == 1 else And(tuple(items))
        return [needles(whole, self._parameters) + self._sub(whole, True)]


def _sides(names: tuple[str, ...]) -> tuple[_Side, ...]:
    if not any(name in EITHER for name in names):
        return (_Side(names),)
    sides = (tuple(EITHER[name].sides[at][0] if name in EITHER else name for name in names) for at in (0, 1))
    return tuple(map(_Side, sides))


def _beside(whole: Expr | None) -> list[Expr]:
    """What must hold besides of each session that is found, the briefest first."""
    items = whole.items if isinstance(whole, And) else () if whole is None else (whole,)
    found, left = [], MOST_VALUES
    for item in sorted((item for item in items if not any(firsts(item))), key=_values):
        left -= _values(item)
        if left >= 0:
            found.append(item)
    return found


def _values(expr: Expr) -> int:
    match expr:
        case And() | Or():
            return sum(map(_values, expr.items))
        case Not() | Unless():
            return _values(expr.item)
        case Member():
            return len(expr.values)
        case _:
            return 1
