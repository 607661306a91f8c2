"""What a query means at the server when it is asked: its sets, exclusions, alerts and networks are looked up and put in
place of their names. Owns no thread; called on workers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.messages import SetInfo
from afterfact_protocol.query import Query, QueryError, parse
from afterfact_protocol.query.cursor import CAPS, Caps
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.query.nodes import And, Expr, NamedSet, Unless
from afterfact_protocol.query.setterms import KINDS, named
from afterfact_protocol.query.subjects import nearest
from afterfact_protocol.records import Records
from afterfact_protocol.sets import DTYPES, MAX_VALUES, Values, networks_among, told, unique
from afterfact_server.query.compile import Compiled
from afterfact_server.query.events import time_of_event
from afterfact_server.query.resolve import resolved
from afterfact_server.query.setnodes import Held, Known, checked, placed, sets_of
from afterfact_server.query.valuesof import field_of, values_query
from afterfact_server.registry.exclusions import Exclusion, ExclusionsTable
from afterfact_server.registry.sets import SavedSet, SetsTable
from afterfact_server.setcopies import SetCopies

Fetch = Callable[[Compiled, "np.dtype[np.void]"], Records]


QUERY_SHOWN = 300
"""Characters of a set's query that an answer tells, and a list of sets."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What one request looks things up with."""

    fetch: Fetch
    client: Client
    sensors: Mapping[str, int]
    networks: Networks
    now: int
    """Microseconds since 1970."""
    judge: Callable[[Query], Query]
    """Fills in by what its first_seen can be judged."""
    caps: Caps = CAPS

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.now / 1e6, UTC)


@dataclass(frozen=True, slots=True)
class Meant:
    """A query as the compiler takes it, and what must be told of it."""

    query: Query
    """Without what its exclusions are of."""
    base: Query
    """Whatever exclusions there are."""
    exclusions: tuple[tuple[Exclusion, Expr], ...]
    """Those that act, each with its condition, resolved."""
    by_default: bool
    """Whether the query did not name them."""
    sets: tuple[SetInfo, ...]
    notes: tuple[str, ...]


class Meaning:
    """Looks up what queries name."""

    def __init__(self, sets: SetsTable, exclusions: ExclusionsTable) -> None:
        self._sets = sets
        self._exclusions = exclusions
        self._copies = SetCopies(sets)

    def of(self, asked: Query, asking: Asking) -> Meant:
        """What a query means now. QueryError, pointing at its place, for what there is not; StoreFailure and what
        `asking.fetch` raises besides."""
        return _Lookup(self._sets.current(), self._exclusions.current(), self._copies, asking).meant(asked, True, ())

    def leaving_out(self, asked: Query, exclusions: Sequence[Exclusion], asking: Asking) -> Meant:
        """What a query means that leaves out what these are of, whatever exclusions there are by now: as it was asked
        before."""
        lookup = _Lookup(self._sets.current(), {}, self._copies, asking)
        return lookup.leaving_out(asked, exclusions)

    def values(self, asked: Query, field: str, asking: Asking, path: tuple[str, ...] = ()) -> tuple[Values, Meant]:
        """What a field holds in the sessions that a query finds, each value once. `path`: the live sets whose
        queries led here."""
        lookup = _Lookup(self._sets.current(), self._exclusions.current(), self._copies, asking)
        meant = lookup.meant(asked, not path, path)
        return lookup.values(meant, field), meant

    def live(self, saved: SavedSet, asking: Asking) -> Values:
        """What a live set holds now."""
        lookup = _Lookup(self._sets.current(), self._exclusions.current(), self._copies, asking)
        return lookup.live(saved, (), (0, 0))

    def acting(self, names: tuple[str, ...] | None, now: datetime) -> tuple[str, ...]:
        """The exclusions that a query with these names (None: that names none) is answered without, by name."""
        naive = now.replace(tzinfo=None)
        found = self._exclusions.current()
        if names is None:
            names = tuple(sorted(name for name, one in found.items() if one.by_default))
        return tuple(name for name in names if name in found and found[name].acts(naive))


class _Lookup:
    """For one request, so that a set that is named twice is looked up once."""

    def __init__(
        self, sets: Mapping[str, SavedSet], exclusions: Mapping[str, Exclusion], copies: SetCopies, asking: Asking
    ) -> None:
        self._sets = sets
        self._kinds = {name: saved.kind for name, saved in sets.items()}
        self._exclusions = exclusions
        self._copies = copies
        self._asking = asking
        self._held: dict[str, Held] = {}
        self._used: dict[str, SetInfo] = {}

    def meant(self, asked: Query, defaults: bool, path: tuple[str, ...]) -> Meant:
        """`defaults`: whether what is left out by default is left out where the query does not say."""
        base = self._resolved(asked, path)
        acting, notes = self._left_out(asked, defaults)
        return self._leaving(asked, base, acting, path, notes)

    def leaving_out(self, asked: Query, exclusions: Sequence[Exclusion]) -> Meant:
        """See Meaning.leaving_out."""
        return self._leaving(asked, self._resolved(asked, ()), exclusions, (), ())

    def _leaving(
        self, asked: Query, base: Query, acting: Sequence[Exclusion], path: tuple[str, ...], notes: Sequence[str]
    ) -> Meant:
        found: list[tuple[Exclusion, Expr]] = []
        for one in acting:
            try:
                where = self._resolved(parse(one.condition, self._asking.time), path).where
            except QueryError as error:
                raise QueryError(f"exclusion {one.name} cannot be used: {error.message}; EXCLUDING NONE asks without "
                                 "it", *asked.excluding_at) from None  # fmt: skip
            assert where is not None, "an exclusion has a condition"
            found.append((one, where))
        query = replace(base, where=_without(base.where, [where for _, where in found]))
        by_default = bool(found) and asked.excluding is None
        sets = tuple(self._used.values())
        told_sets = [set_note(info) for info in sets]
        return Meant(query, base, tuple(found), by_default, sets,
                     (*told_sets, *(_note(one, by_default) for one, _ in found), *notes))  # fmt: skip

    def values(self, meant: Meant, field: str) -> Values:
        """Each value of a field once, in order."""
        subject = field_of(field)
        compiled = values_query(meant.query, subject, self._asking.sensors, MAX_VALUES + 1)
        found = self._asking.fetch(compiled, DTYPES[KINDS[subject.type]])
        if len(found) > MAX_VALUES:
            raise QueryError(f"{field} has over {MAX_VALUES:,} values there, more than a set may hold", 0, 0)
        return unique(found)

    def live(self, saved: SavedSet, path: tuple[str, ...], span: tuple[int, int]) -> Values:
        if saved.name in path:
            circle = " -> ".join(f"@{name}" for name in (*path, saved.name))
            raise QueryError(f"these live sets rest on each other: {circle}", *span)
        try:
            asked = parse(saved.query, self._asking.time)
            return self.values(self.meant(asked, False, (*path, saved.name)), saved.field)
        except QueryError as error:
            if path:
                raise
            raise QueryError(f"live set @{saved.name} cannot be used: {error.message}", *span) from None

    # --- what is named

    def _resolved(self, asked: Query, path: tuple[str, ...]) -> Query:
        where = asked.where
        if where is None:
            return asked
        for test in sets_of(where):
            checked(test, self._kinds)
            for one in named(test.sets):
                self._hold(one, path)
        known = Known(self._held, self._time_of, lambda kind, values: self._copies.computed(kind, values,
                      self._asking.client))  # fmt: skip
        return self._asking.judge(resolved(replace(asked, where=placed(where, known)), self._asking.networks))

    def _hold(self, one: NamedSet, path: tuple[str, ...]) -> None:
        if one.name in self._held:
            return
        saved = self._sets[one.name]
        if not saved.live:
            self._held[one.name] = self._copies.frozen(saved, self._asking.client)
            self._used[one.name] = info_of(saved, QUERY_SHOWN)
            return
        values = self.live(saved, path, one.span)
        self._held[one.name] = self._copies.computed(saved.kind, values, self._asking.client)
        self._used[one.name] = replace(info_of(saved, QUERY_SHOWN), count=len(values), networks=networks_among(values))

    def _time_of(self, number: int) -> int | None:
        found = self._asking.fetch(time_of_event(number), np.dtype([("time", "<i8")]))
        return int(found["time"][0]) if len(found) else None

    def _left_out(self, asked: Query, defaults: bool) -> tuple[list[Exclusion], list[str]]:
        """The exclusions that act, and what is to be said of those that do not."""
        names: tuple[str, ...]
        if asked.excluding is None:
            names = tuple(sorted(name for name, one in self._exclusions.items() if one.by_default)) if defaults else ()
        else:
            names = asked.excluding
        acting, notes = [], []
        for name in names:
            if name not in self._exclusions:
                there = tuple(self._exclusions)
                known = f"; there are {', '.join(sorted(there)[:20])}" if there else "; there are none"
                raise QueryError(f"there is no exclusion {name}{nearest(name, there) or known}", *asked.excluding_at)
            one = self._exclusions[name]
            if one.acts(self._asking.time.replace(tzinfo=None)):
                acting.append(one)
            else:
                notes.append(f"exclusion {name} expired on {one.expires:%Y-%m-%d %H:%M} UTC: it leaves nothing out")
        return acting, notes


def _without(where: Expr | None, excluded: list[Expr]) -> Expr | None:
    if not excluded:
        return where
    left: list[Expr] = [Unless(one) for one in excluded]
    if where is not None:
        left = [*(where.items if isinstance(where, And) else (where,)), *left]
    return left[0] if len(left) == 1 else And(tuple(left))


def microseconds(naive: datetime) -> int:
    """A naive UTC time of the registry in microseconds since 1970."""
    return int(naive.replace(tzinfo=UTC).timestamp() * 1e6)


def info_of(saved: SavedSet, most: int | None = None) -> SetInfo:
    """What is told of a set. `most`: characters of its query."""
    query = saved.query if most is None or len(saved.query) <= most else f"{saved.query[: most - 3]}..."
    return SetInfo(saved.name, saved.number, saved.action, saved.kind, saved.live, query, saved.field, saved.by,
                   microseconds(saved.made), saved.count, saved.networks, saved.coverage, saved.note)  # fmt: skip


def set_note(info: SetInfo) -> str:
    """A line about a set that an answer rests on."""
    made = datetime.fromtimestamp(info.made / 1e6, UTC)
    how = "live, asked anew for this answer" if info.live else "frozen"
    return (f"@{info.name}: {told(info.kind, info.count, info.networks)}, {how}, by {info.by} {made:%Y-%m-%d %H:%M}"
            f"{'' if info.number == 1 else f', version {info.number}'}")  # fmt: skip


def _note(one: Exclusion, by_default: bool) -> str:
    until = f", until {one.expires:%Y-%m-%d %H:%M}" if one.expires else ""
    how = " by default; say EXCLUDING NONE to search it too" if by_default else ""
    return f"LEFT OUT{how}: {one.name} ({one.condition[:500]}), by {one.by}{until}"
