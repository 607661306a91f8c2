"""What is asked of the store for a query: its keys, its coverage, its pages. Called on workers; owns no thread.

A statement is found in the store by the request's tag, its `log_comment`, by which queries.py stops it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from clickhouse_connect.driver.client import Client
from numpy.lib.recfunctions import repack_fields

from afterfact_protocol.codec import WireError
from afterfact_protocol.event import EVENT_FOUND, event_columns
from afterfact_protocol.messages import (
    Answer,
    AskEvents,
    EventsFound,
    Failed,
    Hints,
    Message,
    Page,
    Pull,
    SaveSet,
    SetInfo,
    TableAnswer,
)
from afterfact_protocol.query import Query, QueryError, parse, reading
from afterfact_protocol.query.firsts import firsts
from afterfact_protocol.query.stagenodes import Save
from afterfact_protocol.records import ROW_COLUMNS, Records
from afterfact_protocol.session import ROW
from afterfact_protocol.sets import Values
from afterfact_server import lanes
from afterfact_server.audit.log import AuditError
from afterfact_server.config import Allowed, Limits, Roles
from afterfact_server.conversations import ENDS, MOST_OTHERS, collapsed, conversations
from afterfact_server.coverage import coverage, covered_text, dropped_days
from afterfact_server.errors import RegistryError
from afterfact_server.events import PAGE_EVENTS, page
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import YEAR_2299, now_us
from afterfact_server.judged import judged
from afterfact_server.keeping import Keeper, Refusal, Upload, exclusion_info
from afterfact_server.meaning import Asking, Meaning, Meant
from afterfact_server.networks import Configured, NetworksFile
from afterfact_server.permissions import forbidden
from afterfact_server.query.bounds import of_sensors, within
from afterfact_server.query.compile import FOUND_COLUMNS, Compiled, key_query, rows_by_keys
from afterfact_server.query.events import Seen
from afterfact_server.query.resolve import resolved
from afterfact_server.query.setnodes import sets_of
from afterfact_server.query.unjudged import (
    COUNTED,
    OPEN,
    count_open_before,
    count_unjudged,
    countable,
    not_known,
    open_before,
)
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.enrolment import Admission, EnrolledSensor
from afterfact_server.registry.exclusions import Exclusion, ExclusionsTable
from afterfact_server.registry.saved import SavedTable
from afterfact_server.registry.sets import SetsTable
from afterfact_server.results import KEY_ROW, HeldRows, Result, distinct, newest_in_order, sightings_of
from afterfact_server.running import PAGE_ROWS, Cancelled, Found, Running, Unanswerable, pages_on
from afterfact_server.shelf import Shelf
from afterfact_server.status import oldest
from afterfact_server.store.engine import StoreEngine, StoreFailure, with_settings
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.packed import FOUND, FOUND_KEY, to_rows
from afterfact_server.tables import TableRows, TooManyGroups, made, others

EXPORT_KEYS = 65_536
"""Keys fetched at a time while a result is paged through beyond its bound."""
MAX_READING = 2000
MAX_NOTES = 256
MAX_NOTE = 1000
COUNT_CONVERSATIONS = 50_000
"""Larger results of several sensors are not looked through for conversations seen twice."""
READ_AHEAD = 8
"""Pages fetched by one query for a console that reads on and on: one query for 8,000 keys is far cheaper than eight."""
COUNT_KEYS = 16_384
MOST_LEFT_OUT = 200_000
"""Sessions that ONCE leaves out of a table: their ids travel in the statement."""
JUST_FOUND = 1.0
"""Seconds for which the rows found with a query's keys are its first page: a session's next revision is minutes
away."""
_EMBEDDED: dict[str, float | str] = {
    "local_filesystem_read_method": "pread",
    "use_skip_indexes_on_data_read": 0,
    "use_statistics": 0,
}
"""Spares threads and looks that cost a small query more than they bring. A server's settings are its own affair."""


def _parts(keys: Records, size: int) -> list[Records]:
    return [keys[at : at + size] for at in range(0, len(keys), size)]


def _left_out(error: Exception) -> str:
    if "TIMEOUT_EXCEEDED" in str(error):
        return "it would have taken too long"
    return "it would have needed too much memory" if "MEMORY_LIMIT" in str(error) else "the store failed"


def _within_limits(asked: Query, bounds: Bounds) -> None:
    """QueryError for what looks, or leaves traces, beyond what an account with limits may see."""
    if not bounds:
        return
    at = (0, len(asked.text))
    if any(firsts(asked.where)):
        raise QueryError("first_seen looks in all that is stored, and this account may not see all of it", *at)
    if asked.save is not None or (asked.where is not None and any(True for _ in sets_of(asked.where))):
        raise QueryError("sets are of all that is stored, and this account may not see all of it", *at)


class Answers:
    """Asks the store, each call with the client of the thread that it is on."""

    def __init__(
        self, engine: StoreEngine, admission: Admission, ledger: Ledger, health: HealthBoard, networks: NetworksFile,
        limits: Limits, roles: Roles, sets: SetsTable, exclusions: ExclusionsTable, saved: SavedTable,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._meaning = Meaning(sets, exclusions)
        self._keeper = Keeper(sets, exclusions, Shelf(saved, log), self._meaning, self._covered, log)
        self._engine = engine
        self._admission = admission
        self._ledger = ledger
        self._health = health
        self._networks = networks
        self._limits = limits
        self._roles = roles

    def _names(self, running: Running) -> dict[int, EnrolledSensor]:
        """The sensors that the account may see, by number."""
        scope = running.scope
        return {number: own for number, own in self._admission.sensors().items() if scope.sees(own.name)}

    def _seen(self, running: Running, names: dict[int, EnrolledSensor]) -> Seen | None:
        """Which events and sessions the account may see; None: all."""
        bounds = running.scope.bounds
        if not bounds:
            return None
        first, last = bounds.starts(now_us())
        networks = resolved(within(Query(None), Bounds(networks=bounds.networks), 0), self._networks.current()[1]).where
        return Seen(tuple(names) if bounds.sensors else None, networks, first, last)

    def _allowed(self, running: Running) -> Allowed:
        return self._roles.allowed(running.scope.role, self._limits)

    def _fetch(self, client: Client, compiled: Compiled, dtype: np.dtype[np.void], running: Running) -> Records:
        allowed = self._allowed(running)
        settings: dict[str, float | str] = {
            **lanes.settings(running.quick, allowed.seconds),
            "log_comment": running.tag,
            "max_memory_usage": allowed.memory_mb * 1_000_000,
            "use_skip_indexes_if_final": 1,
            "use_skip_indexes_if_final_exact_mode": 1,
            **(_EMBEDDED if self._engine.embedded else {}),
        }
        if compiled.scattered:
            settings["optimize_read_in_order"] = 0
        if running.cancelled.is_set():
            raise Cancelled
        try:
            data = client.raw_query(with_settings(compiled.sql, settings), compiled.parameters, fmt="RowBinary")
        except StoreFailure as error:
            if running.quick and "TIMEOUT_EXCEEDED" in str(error):
                raise lanes.TooSlow from None
            raise
        return np.frombuffer(data, dtype)

    def _asking(self, client: Client, running: Running, now: int) -> Asking:
        def fetch(compiled: Compiled, dtype: np.dtype[np.void]) -> Records:
            return self._fetch(client, compiled, dtype, running)

        return Asking(fetch, client, self._sensors(running), self._networks.current()[1], now, self._judged,
                      self._allowed(running).caps)  # fmt: skip

    def _covered(self, query: Query, asking: Asking) -> str:
        """What was watched of a resolved query's time, in words."""
        start, end = self._span(asking.client, query, asking.now, None)
        covered = coverage(query.where, self._networks.current()[0], self._admission.sensors().values(), self._ledger,
                           self._health, start, end, asking.now)  # fmt: skip
        return covered_text(covered, start, end)

    def keep(self, running: Running, message: Message, upload: Upload | None) -> None:
        """Do what a message asks of sets and exclusions. QueryError, StoreFailure, Unanswerable, Cancelled; TooSlow in
        the quick lane, and nothing is told."""
        client = self._engine.client()
        asking = self._asking(client, running, now_us())
        sensors = {number: sensor.name for number, sensor in self._admission.sensors().items()}
        scope = running.scope
        try:
            answer = self._keeper.answer(message, upload, scope.live_values, scope.user, asking, sensors)
        except (Refusal, RegistryError) as error:
            raise Unanswerable(str(error)) from None
        running.send(answer)

    def events(self, running: Running, message: AskEvents) -> None:
        """Send a page of events. StoreFailure, Cancelled; TooSlow in the quick lane, and nothing is told."""
        client = self._engine.client()
        names = self._names(running)
        sensor = None
        if message.sensor:
            sensor = next((number for number, own in names.items() if own.name == message.sensor), None)
            if sensor is None:
                raise Unanswerable(f"there is no sensor {message.sensor!r}")
        if not 0 <= message.start <= message.end < YEAR_2299:
            raise Unanswerable("the time asked for ends before it begins, or is none from 1970 to 2298")

        def fetch(compiled: Compiled, dtype: np.dtype[np.void]) -> Records:
            return self._fetch(client, compiled, dtype, running)

        count = min(message.count, PAGE_EVENTS)
        seen = self._seen(running, names)
        rows, ended = page(fetch, message.start, message.end, sensor, message.signature, message.after, count, seen)
        shown = {number: own.name for number, own in names.items()}
        running.send(EventsFound(message.request, event_columns(EVENT_FOUND), rows.tobytes(), shown, ended))

    def ask(self, running: Running, text: str) -> None:
        """Find what a query's text asks for and tell the console of it. QueryError, StoreFailure, Cancelled; TooSlow in
        the quick lane, and nothing is told."""
        client = self._engine.client()
        now = now_us()
        allowed = self._allowed(running)
        asked = parse(text, datetime.fromtimestamp(now / 1e6, UTC), allowed.caps)
        configured, _ = self._networks.current()
        # Resolved once: the pages of an export are of the networks and sets that there were when it was asked for.
        bounds = running.scope.bounds
        _within_limits(asked, bounds)
        asking = self._asking(client, running, now)
        self._may_save(running, asked)
        meant = self._meaning.of(within(asked, bounds, now), asking)
        query = running.query = of_sensors(meant.query, bounds)
        if query.table is not None:
            self._table(client, running, asked, query, meant, configured, asking)
            return
        answer, result = self._answered(client, running, asked, query, meant, asking)
        if asked.save is not None:  # last: what fails or begins anew before has saved nothing
            answer = replace(answer, saved=self._save(running, asked, asked.save, asking))
        running.result = result  # first: it may be pulled as soon as it is told of
        try:
            running.send(answer)
        except (WireError, AuditError):
            running.result = None
            raise

    def found(
        self, running: Running, text: str, left_out: Sequence[Exclusion] | None, most: int, judge: bool = False
    ) -> Found:
        """What a step of a case finds, of which nothing is told yet: its sessions, whatever table is made of them.
        left_out: in place of the exclusions that act now. judge: count what could not be judged, too. What the text
        says to save is saved, so call it last but for what cannot fail. Raises what `ask` does."""
        client = self._engine.client()
        now = now_us()
        asked = parse(text, datetime.fromtimestamp(now / 1e6, UTC), self._allowed(running).caps)
        asking = self._asking(client, running, now)
        self._may_save(running, asked)
        if asked.save is not None and asked.table is not None:
            raise QueryError("a step saves of its sessions; what a table found is saved by a query", *asked.save.span)
        bare = replace(asked, stages=())
        if left_out is None:
            meant = self._meaning.of(bare, asking)
        else:
            meant = self._meaning.leaving_out(bare, left_out, asking)
        answer, result = self._answered(client, running, bare, meant.query, meant, asking)
        parts = _parts(result.keys[:most], COUNT_KEYS)
        rows = np.concatenate([np.empty(0, ROW), *(self._rows(client, running, [part])[0] for part in parts)])
        hints = self._hinted(client, running, meant.query, running.request) if judge else None
        if asked.save is not None:
            answer = replace(answer, saved=self._save(running, asked, asked.save, asking))
        return Found(asked, answer, rows, now, hints)

    def hold(self, running: Running, fetch: Callable[[], tuple[Answer, Records]]) -> None:
        """Tell of rows (ROW) that are kept elsewhere, and have them ready to be pulled. Raises what `fetch` does."""
        answer, rows = fetch()
        running.result = HeldRows(rows)
        try:
            running.send(replace(answer, request=running.request))
        except (WireError, AuditError):
            running.result = None
            raise

    def _answered(
        self, client: Client, running: Running, asked: Query, query: Query, meant: Meant, asking: Asking
    ) -> tuple[Answer, Result]:
        """The keys of the sessions that are asked for, and what is told of them. query: what it means, within the
        account's limits."""
        bounds, now, allowed = running.scope.bounds, asking.now, self._allowed(running)
        configured, _ = self._networks.current()
        bound = min(query.limit or allowed.rows, allowed.rows)
        goes_on = running.everything and query.limit is None and not query.once
        observations, sightings = 0, None
        rows = np.empty(0, ROW)
        if query.once:
            keys, sightings, observations, more = self._once(client, running, query, bound)
        elif goes_on and query.order:
            raise QueryError("an export of everything comes newest first; add a LIMIT to order it otherwise", 0, 0)
        else:
            keys, more, rows = self._found(client, running, query, EXPORT_KEYS if goes_on else bound)
        result = Result(keys, truncated=more and not goes_on, complete=not (goes_on and more), first=rows,
                        first_found=time.monotonic(), sightings=sightings)  # fmt: skip
        observers = np.unique(keys["sensor"] if sightings is None else np.append(keys["sensor"], sightings["sensor"]))
        names = self._names(running)
        start, end = self._span(client, query, now, names if bounds.sensors else None)
        covered = coverage(meant.base.where, configured, names.values(), self._ledger, self._health, start, end, now)
        answer = Answer(
            request=running.request,
            total=len(keys),
            truncated=result.truncated,
            limit=bound,
            columns=ROW_COLUMNS,
            sensors={number: sensor.name for number, sensor in names.items()},
            reading=reading(asked)[:MAX_READING],
            span_start=start,
            span_end=end,
            conversations=self._conversations(client, running, result, len(observers)) if result.complete else 0,
            observers=len(observers) if result.complete else 0,
            elapsed=int((time.monotonic() - running.started) * 1e6),
            coverage=covered.sensors,
            named=covered.named,
            unseen=covered.unseen,
            more_unseen=covered.more_unseen,
            notes=(*self._notes(query, end, bounds), *meant.notes)[:MAX_NOTES],
            observations=observations,
            sets=meant.sets,
            exclusions=tuple(exclusion_info(one) for one, _ in meant.exclusions),
            by_default=meant.by_default,
        )
        return answer, result

    def hints(self, running: Running, asked: Running) -> None:
        """Send what else must be known to judge an answered query. Cancelled; TooSlow in the quick lane, and nothing is
        told."""
        query = asked.query
        assert query is not None
        if running.scope.bounds:  # what it looks at is not only what the account may see
            why = "not counted for an account with limits"
            running.send(Hints(asked.request, -1, (), -1, 0, why))
            return
        running.send(self._hinted(self._engine.client(), running, query, asked.request))

    def _hinted(self, client: Client, running: Running, query: Query, request: int) -> Hints:
        """What else must be known to judge the answer to a query. Cancelled; TooSlow in the quick lane."""
        unjudged, before, why = -1, -1, ""
        unknown: tuple[str, ...] = ()
        since = open_before(query)
        try:
            counting = count_unjudged(query, self._sensors(running)) if countable(query) else None
            if not countable(query):
                why = "what first_seen of either side could not judge is not counted"
            elif counting is None:
                unjudged = 0
            else:
                unjudged, absent, unsaid = self._fetch(client, counting, COUNTED, running)[0].tolist()
                unknown = not_known(query, absent, bool(unsaid)) if unjudged else ()
            if since is not None:
                opened = count_open_before(query, since, self._sensors(running))
                before = int(self._fetch(client, opened, OPEN, running)["count"][0])
        except StoreFailure as error:
            if running.cancelled.is_set():
                raise
            why = _left_out(error)
        return Hints(request, unjudged, unknown, before, since or 0, why)

    def _judged(self, query: Query) -> Query:
        return judged(query, self._ledger.watched.stretches()) if any(firsts(query.where)) else query

    def _may_save(self, running: Running, asked: Query) -> None:
        """QueryError if the query saves a set and may not, before anything is looked for."""
        save = asked.save
        if save is None:
            return
        if running.scope.role and (why := forbidden(SaveSet, running.scope.role, running.scope.scopes)):
            raise QueryError(why, *save.span)
        try:
            self._keeper.check_name(save.name, save.replace)
        except Refusal as error:
            raise QueryError(str(error), *save.span) from None

    def _save(
        self, running: Running, asked: Query, save: Save, asking: Asking, of_table: Values | None = None
    ) -> SetInfo:
        text = asked.text[: asked.text.rindex("|")].rstrip()
        wanted = SaveSet(running.request, save.name, text, save.operand.name if save.operand else "session", save.live,
                         save.replace)  # fmt: skip
        try:
            return self._keeper.save(wanted, running.scope.user, asking, of_table)
        except (Refusal, RegistryError) as error:
            raise QueryError(str(error), *save.span) from None

    def _table(
        self, client: Client, running: Running, asked: Query, query: Query, meant: Meant, configured: Configured,
        asking: Asking,
    ) -> None:  # fmt: skip
        """Make the table that is asked for, and tell the console of it. query: what it means, within the account's
        limits."""
        bounds, now = running.scope.bounds, asking.now
        most = self._allowed(running).rows
        left_out: dict[int, list[int]] = {}
        if query.once:
            _, sightings, _, more = self._once(client, running, replace(query, stages=()), most, all_others=True)
            if more or len(sightings) > MOST_LEFT_OUT:
                reason = (f"ONCE before a table looks through at most {most:,} sessions and leaves out at most "
                          f"{MOST_LEFT_OUT:,} of them; narrow it, by start_time say")  # fmt: skip
                raise QueryError(reason, 0, len(asked.text))
            left_out = others(sightings)

        def fetch(compiled: Compiled, dtype: np.dtype[np.void]) -> Records:
            return self._fetch(client, compiled, dtype, running)

        try:
            table = made(fetch, query, self._sensors(running), most, left_out)
        except TooManyGroups as error:
            assert asked.save is not None, "only what is saved must be there as a whole"
            raise QueryError(str(error), *asked.save.span) from None
        names = self._names(running)
        start, end = self._span(client, query, now, names if bounds.sensors else None)
        covered = coverage(meant.base.where, configured, names.values(), self._ledger, self._health, start, end, now)
        answer = TableAnswer(
            request=running.request,
            total=len(table.rows),
            truncated=table.truncated,
            limit=table.limit,
            columns=table.columns,
            sensors={number: sensor.name for number, sensor in names.items()},
            reading=reading(asked)[:MAX_READING],
            span_start=start,
            span_end=end,
            query=str(asked),
            sessions=table.sessions,
            groups=table.groups,
            elapsed=int((time.monotonic() - running.started) * 1e6),
            coverage=covered.sensors,
            named=covered.named,
            unseen=covered.unseen,
            more_unseen=covered.more_unseen,
            notes=(*self._notes(query, end, bounds), *meant.notes, *table.notes(query))[:MAX_NOTES],
            sets=meant.sets,
            exclusions=tuple(exclusion_info(one) for one, _ in meant.exclusions),
            by_default=meant.by_default,
        )
        if asked.save is not None:  # last: what fails or begins anew before has saved nothing
            answer = replace(answer, saved=self._save(running, asked, asked.save, asking, table.values))
        running.result = table
        try:
            running.send(answer)
        except (WireError, AuditError):
            running.result = None
            raise

    def _notes(self, query: Query, end: int, bounds: Bounds) -> tuple[str, ...]:
        dropped = dropped_days(self._ledger.dropped.all(), query.span[0], end)
        limited = f"this account is limited to {bounds.words()}: nothing else was searched"[:MAX_NOTE] if bounds else ""
        return tuple(note for note in (limited, self._networks.problem, dropped) if note)

    def _span(self, client: Client, query: Query, now: int, only: dict[int, EnrolledSensor] | None) -> tuple[int, int]:
        """What was searched, cut at now; a span that is all to come stays as it was asked for. only: the sensors of an
        account that may not know of others."""
        first, last = query.span
        if first is not None:
            start = first
        elif only is not None:
            bounds = self._ledger.watched.bounds()
            start = min((bounds[number][0] for number in only if number in bounds), default=now)
        else:
            start = oldest(client, self._ledger.watched) or now
        if first is not None and first >= now:
            return first, first if last is None else last
        return start, now if last is None else min(last, now)

    def _found(self, client: Client, running: Running, query: Query, bound: int) -> tuple[Records, bool, Records]:
        """Up to `bound` distinct keys, whether there are more, and the newest rows of the first page's.

        A page is looked for first, rows and all, for most questions have no more than that: the store fetches what it
        found far faster than it finds it again.
        """
        ask_for = min(bound, PAGE_ROWS) + 1
        compiled = key_query(query, self._sensors(running), limit=ask_for, final=query.needs_growing,
                             columns=FOUND_COLUMNS)  # fmt: skip
        raw = self._fetch(client, compiled, FOUND, running)
        keys = distinct(repack_fields(raw[list(FOUND_KEY)]))
        if len(raw) < ask_for:
            return keys[:bound], len(keys) > bound, newest_in_order(keys[:bound], to_rows(raw))
        # Of the last session further revisions may be cut off.
        rows = newest_in_order(keys[: min(bound, len(keys) - 1)], to_rows(raw))
        if len(keys) > bound:
            return keys[:bound], True, rows
        return *self._keys(client, running, query, bound), rows

    def _sensors(self, running: Running) -> dict[str, int]:
        return {sensor.name: number for number, sensor in self._names(running).items()}

    def _keys(
        self, client: Client, running: Running, query: Query, bound: int, after: tuple[int, int, int] | None = None
    ) -> tuple[Records, bool]:
        """Up to `bound` distinct keys, and whether there are more. Without FINAL a session stands once per revision
        not yet merged, so what is dropped is made up for by asking for more."""
        sensors = self._sensors(running)
        final = query.needs_growing
        ask_for = bound + 1
        while True:
            compiled = key_query(query, sensors, limit=ask_for, after=after, final=final)
            raw = self._fetch(client, compiled, KEY_ROW, running)
            keys = distinct(raw)
            if len(keys) > bound or len(raw) < ask_for:
                return keys[:bound], len(keys) > bound
            ask_for *= 2

    def _once(
        self, client: Client, running: Running, query: Query, bound: int, all_others: bool = False
    ) -> tuple[Records, Records, int, bool]:
        """The keys of the first observation of each conversation, at most `bound`; the others as SIGHTING; how many
        observations were told apart; whether there are more conversations. All that is found is looked through, up to
        the result's bound: what comes later in the order may be of the same conversation."""
        sensors = self._sensors(running)
        most = self._allowed(running).rows
        # The newest end counts, so this reads with FINAL.
        compiled = key_query(query, sensors, limit=most + 1, final=True, columns=ENDS.names or ())
        found = self._fetch(client, compiled, ENDS, running)
        cut = len(found) > most
        rows = found[:most]
        firsts, sightings = collapsed(rows, None if all_others else MOST_OTHERS)
        keys = np.empty(min(len(firsts), bound), KEY_ROW)
        for name in KEY_ROW.names or ():
            keys[name] = rows[name][firsts[:bound]]
        return keys, sightings[sightings["row"] < bound], len(rows), cut or len(firsts) > bound

    def _conversations(self, client: Client, running: Running, result: Result, observers: int) -> int:
        keys = result.keys
        if observers < 2 or result.sightings is not None:
            return len(keys)
        if len(result.first) == len(keys):
            return conversations(result.first)
        if len(keys) > COUNT_CONVERSATIONS:
            return 0
        return conversations(np.concatenate([self._ends(client, running, part) for part in _parts(keys, COUNT_KEYS)]))

    def _rows(self, client: Client, running: Running, parts: list[Records]) -> list[Records]:
        """The newest revisions of some keys, in their order, in one query for all parts."""
        found = to_rows(self._fetch(client, rows_by_keys(np.concatenate(parts)), FOUND, running))
        return [newest_in_order(part, found) for part in parts]

    def _ends(self, client: Client, running: Running, keys: Records) -> Records:
        compiled = rows_by_keys(keys, ENDS.names or ())
        return newest_in_order(keys, self._fetch(client, compiled, ENDS, running))

    def pull(self, running: Running, message: Pull) -> None:
        """Send a page. StoreFailure, Cancelled."""
        result, query = running.result, running.query
        assert result is not None
        if isinstance(result, (TableRows, HeldRows)):
            running.send(result.page(message))
            return
        assert query is not None
        client = self._engine.client()
        count = min(message.count, PAGE_ROWS)
        while pages_on(running, message):
            last = result.keys[-1]
            after = (int(last["start_time"]), int(last["sensor"]), int(last["session_id"]))
            keys, more = self._keys(client, running, query, EXPORT_KEYS, after)
            # The part before is kept: pages asked for ahead may be served out of turn.
            passed = max(0, len(result.keys) - EXPORT_KEYS)
            result.offset += passed
            result.keys = np.concatenate([result.keys[passed:], keys])
            result.complete = not more
        at = message.first - result.offset
        if at < 0:
            reason = f"sessions before the {result.offset + 1}th of this export are no longer held; ask again"
            running.send(Failed(running.request, "request", reason, -1, -1))
            return
        keys = result.keys[at : at + count]
        rows = result.ahead.pop((message.first, count), None)
        if rows is None:
            rows = self._just_found(result, message.first, len(keys))
            if rows is not None:
                result.next_first = count
        if rows is None:
            reads_on = message.first == result.next_first
            parts = _parts(result.keys[at : at + count * (READ_AHEAD if reads_on else 1)], count)
            if not result.complete:  # more keys may follow a part that is not full
                parts = [part for part in parts if len(part) == count]
            rows, *others = self._rows(client, running, parts or [keys]) if len(keys) else [np.empty(0, ROW)]
            result.ahead = {(message.first + n * count, count): other for n, other in enumerate(others, 1)}
            result.next_first = message.first + (1 + len(others)) * count
        ended = result.complete and message.first + count >= result.offset + len(result.keys)
        others_seen = sightings_of(result, message.first, keys, rows).tobytes()
        running.send(Page(running.request, message.first, len(keys), rows.tobytes(), ended, others_seen))

    def _just_found(self, result: Result, first: int, count: int) -> Records | None:
        """Rows of the first page as they were found, if that was just now: a row shows its newest revision when it is
        looked at."""
        first_rows, result.first = result.first, result.first[:0]
        fresh = time.monotonic() - result.first_found < JUST_FOUND
        return first_rows[:count] if fresh and not first and 0 < count <= len(first_rows) else None
