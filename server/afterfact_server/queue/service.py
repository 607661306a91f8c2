"""The queue as the server has it: one thread that takes events in, does what people do, answers, and tells who
subscribed. Everything here is in the registry before anybody hears of it.

What is stored comes by `arrived`, from ingest, which never waits. What a crash kept from coming, or what came faster
than it could be held, is looked for in the store by its ingest time. Events are told by their keys: none comes twice.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network

from sqlalchemy import Engine, select, tuple_
from sqlalchemy.orm import Session

from afterfact_protocol.codec import WireError
from afterfact_protocol.event import Events
from afterfact_protocol.messages import (
    MAX_QUEUE_ROWS,
    AskAutocats,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    Autocat,
    Autocats,
    Failed,
    Message,
    QueueAction,
    QueueChanged,
    QueueEvent,
    QueueEvents,
    QueueHistory,
    QueueRow,
    QueueRows,
    RemoveAutocat,
    SetAutocat,
    Triage,
    Triaged,
)
from afterfact_server.errors import RegistryError
from afterfact_server.ingest import now_us
from afterfact_server.queue.arrival import Arrived, alerts
from afterfact_server.queue.folding import Disposal, Folding
from afterfact_server.queue.sight import Sight, names_of
from afterfact_server.queue.triage import ESCALATED, NO_ACTION, Acts, Untriable, check, history
from afterfact_server.registry.database import transaction
from afterfact_server.registry.enrolment import Admission
from afterfact_server.registry.queue_tables import AutocatRule, QueuedAction, QueuedEvent, QueuedRow
from afterfact_server.store.engine import StoreFailure

Send = Callable[[Message], None]
BATCH = 2000
"""Events taken in by one transaction: what others wait for."""
GATHER_SECONDS = 0.1
"""Waited for more before what came is taken in: one transaction for all of it."""
MOST_HELD = 200_000
"""Events and sessions that wait in memory; beyond, they are looked for in the store."""
MOST_TOLD = 4 * MAX_QUEUE_ROWS
"""Rows told to a subscriber at a time; beyond, it is told to ask again."""
FETCH_EVENTS = 50_000
"""Events that `fetch_events` gives at most, those stored first."""
LOOK_BACK_US = 3_600_000_000
"""Ingest times go on while a batch on many days is being written: how far back a start looks."""
RETRY_SECONDS = 2.0


@dataclass(slots=True)
class Desk:
    """A connection, as the queue knows it."""

    user: str = ""
    sight: Sight | None = None
    """None: it may see all."""
    tell: Send | None = None
    """How it is told of changes; None: it did not subscribe."""


@dataclass(slots=True)
class _Held:
    """What was stored and is not taken in yet."""

    events: deque[Events] = field(default_factory=deque)
    count: int = 0
    overflow: bool = True
    """Something was let go, or a start has to look: the store knows."""

    @property
    def waits(self) -> bool:
        return bool(self.count or self.overflow)


class QueueService:
    """See the module. `fetch_events(since)` asks the store for the FETCH_EVENTS first EVENT_ROWs stored since then;
    StoreFailure if it cannot say."""

    def __init__(
        self, engine: Engine, admission: Admission, fetch_events: Callable[[int], Events], log: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._fetch_events = fetch_events
        self._log = log
        self._folding = Folding(engine)
        self._acts = Acts(engine, self._folding)
        self._began = now_us()
        self._stored = self._folding.stored()
        self._disposals: list[Disposal] = []
        self._changed = threading.Condition()
        self._held = _Held()
        self._jobs: deque[Callable[[], None]] = deque()
        self._desks: list[Desk] = []
        self._told: set[int] = set()
        self._stopping = self._over = False
        self._thread = threading.Thread(target=self._run, name="queue")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    # --- from any thread ----------------------------------------------------------------------------------------------

    def arrived(self, events: Events) -> None:
        """EVENT_ROWs that are durable in the store."""
        if len(events):
            self._hold(len(events), lambda held: held.events.append(events))

    def found(self, matches: Sequence[Arrived]) -> "Future[int]":
        """What watches found; how many of it was new, once it is in the registry."""
        done: Future[int] = Future()
        with self._changed:
            if self._over:
                done.cancel()
            else:
                self._jobs.append(partial(self._take_found, matches, done))
            self._changed.notify_all()
        return done

    def _take_found(self, matches: Sequence[Arrived], done: "Future[int]") -> None:
        before = self._folding.events
        for at in range(0, len(matches), BATCH):
            self._until_done(partial(self._fold, matches[at : at + BATCH], self._stored or self._began))
        if self._stopping:  # perhaps it is not in: the watch looks again
            done.cancel()
        else:
            done.set_result(self._folding.events - before)

    def _hold(self, count: int, keep: Callable[[_Held], None]) -> None:
        with self._changed:
            if self._held.count + count > MOST_HELD:
                self._held.overflow = True
            else:
                self._held.count += count
                keep(self._held)
            self._changed.notify_all()

    def ask(self, desk: Desk, message: Message, send: Send) -> None:
        """Any of the queue's messages; answered in turn."""
        handle: Callable[[Desk, Message], Message]
        match message:
            case AskQueue():
                handle = partial(self._queue, send=send)
            case Triage():
                handle = self._triage  # type: ignore[assignment]
            case AskQueueEvents():
                handle = self._events  # type: ignore[assignment]
            case AskHistory():
                handle = self._history  # type: ignore[assignment]
            case SetAutocat() | RemoveAutocat() | AskAutocats():
                handle = self._autocats  # type: ignore[assignment]
            case _:
                raise AssertionError(message)
        with self._changed:
            self._jobs.append(partial(self._answer, desk, message, send, handle))
            self._changed.notify_all()

    def leave(self, desk: Desk) -> None:
        """The connection is gone."""
        with self._changed:
            self._jobs.append(partial(self._unsubscribe, desk))
            self._changed.notify_all()

    # --- on the queue's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._until_done(self._load_disposals)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._held.waits or self._stopping)
                if self._stopping:
                    break
                jobs, self._jobs = list(self._jobs), deque()
            for job in jobs:
                job()
            if not jobs:
                with self._changed:  # what people do comes first
                    self._changed.wait_for(lambda: self._jobs or self._stopping, GATHER_SECONDS)
            self._take_in()
            self._tell()
        with self._changed:
            self._over = True
            jobs, self._jobs = list(self._jobs), deque()
        for job in jobs:  # who waits for what was found is told that it is not in
            if isinstance(job, partial) and job.func == self._take_found:
                job()

    def _until_done(self, work: Callable[[], None]) -> None:
        """Try until the database does it, or we are to stop."""
        failing = False
        while not self._stopping:
            try:
                work()
                return
            except RegistryError as error:
                if not failing:
                    self._log(f"the queue waits: {error}")
                failing = True
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)

    def _take_in(self) -> None:
        with self._changed:
            held = self._held
            overflow, held.overflow = held.overflow, False
            parts, held.events = list(held.events), deque()
            held.count = 0
        if overflow and not self._caught_up():
            with self._changed:
                held.overflow = True
                self._changed.wait_for(lambda: self._jobs or self._stopping, RETRY_SECONDS)
        for part in parts:
            self._fold_all(part)

    def _caught_up(self) -> bool:
        """Look for what is stored and may not be here yet; False if the store cannot say. The first start of a server
        with a queue takes in what comes from then on."""
        since = self._began if self._stored is None else self._stored - LOOK_BACK_US
        if self._stored is None:
            self._until_done(partial(self._fold, [], self._began))
        while not self._stopping:
            try:
                part = self._fetch_events(since)
            except StoreFailure as error:
                self._log(f"the queue cannot look for stored alerts: {str(error).splitlines()[0][:300]}")
                return False
            self._fold_all(part)
            if len(part) < FETCH_EVENTS:
                return True
            since = max(int(part["ingest_time"][-1]), since + 1)
        return True

    def _fold_all(self, part: Events) -> None:
        for at in range(0, len(part), BATCH):
            some = part[at : at + BATCH]
            self._until_done(partial(self._fold, alerts(some), int(some["ingest_time"].max())))

    def _fold(self, events: Sequence[Arrived], stored: int) -> None:
        self._stored = max(stored, self._stored or 0)
        self._told |= self._folding.take(events, self._disposals, now_us(), self._stored)

    def _answer(self, desk: Desk, message: Message, send: Send, handle: Callable[[Desk, Message], Message]) -> None:
        request: int = message.request  # type: ignore[union-attr]
        try:
            answer = handle(desk, message)
        except Untriable as error:
            answer = Failed(request, "request", str(error), -1, -1)
        except RegistryError as error:
            self._log(f"the queue cannot be asked: {error}")
            answer = Failed(request, "store", str(error)[:500], -1, -1)
        with suppress(WireError):  # bounded by MAX_QUEUE_ROWS; else who asks has lost the connection by now
            send(answer)

    def _tell(self) -> None:
        """Tell who subscribed of the rows that changed."""
        told, self._told = self._told, set()
        desks = [desk for desk in self._desks if desk.tell is not None]
        if not told or not desks:
            return
        if len(told) > MOST_TOLD:
            for desk in desks:
                self._tell_one(desk, [], reload=True)
            return
        try:
            with transaction(self._engine) as session:
                rows = self._by_number(session, sorted(told))
        except RegistryError as error:
            self._log(f"the queue's changes cannot be told: {error}")
            rows = []
        for desk in desks:
            self._tell_one(desk, self._seen(desk, rows), reload=not rows)

    @staticmethod
    def _tell_one(desk: Desk, rows: Sequence[QueueRow], reload: bool) -> None:
        assert desk.tell is not None
        for at in range(0, max(1, len(rows)), MAX_QUEUE_ROWS):
            part = tuple(rows[at : at + MAX_QUEUE_ROWS])
            if part or reload:
                with suppress(WireError):
                    desk.tell(QueueChanged(part, reload))

    def _unsubscribe(self, desk: Desk) -> None:
        desk.tell = None
        self._desks = [each for each in self._desks if each is not desk]

    # --- answers ------------------------------------------------------------------------------------------------------

    def _queue(self, desk: Desk, message: AskQueue, send: Send) -> Message:
        if message.numbers:
            with transaction(self._engine) as session:
                named = self._by_number(session, message.numbers)
            return QueueRows(message.request, tuple(self._seen(desk, named)), None)
        statuses = {"open": (0, 0), "escalated": (ESCALATED, ESCALATED), "closed": (1, NO_ACTION), "all": (0, 9)}
        low, high = statuses[message.status]
        with transaction(self._engine) as session:
            asked = select(QueuedRow).where(QueuedRow.status.between(low, high))
            if message.after is not None:
                asked = asked.where(tuple_(QueuedRow.raised, QueuedRow.id) < tuple_(*message.after))
            found = session.scalars(
                asked.order_by(QueuedRow.raised.desc(), QueuedRow.id.desc()).limit(message.count)
            ).all()
            names = self._names()
            rows = [_told(row, names) for row in found]
        follows = (rows[-1].raised, rows[-1].number) if len(rows) == message.count else None
        if message.subscribe:
            self._unsubscribe(desk)
        if message.subscribe == "on":
            desk.tell = send
            self._desks.append(desk)
        return QueueRows(message.request, tuple(self._seen(desk, rows)), follows)

    def _triage(self, desk: Desk, message: Triage) -> Message:
        check(message)
        visible = None
        if desk.sight is not None:
            with transaction(self._engine) as session:
                rows = self._by_number(session, [number for number, *_ in message.rows])
            visible = {row.number for row in self._seen(desk, rows)}
        outcome = self._acts.do(message, desk.user, visible, now_us())
        self._told |= outcome.changed
        return Triaged(message.request, tuple(outcome.done), tuple(outcome.refused))

    def _events(self, desk: Desk, message: AskQueueEvents) -> Message:
        names = self._names()
        with transaction(self._engine) as session:
            asked = select(QueuedEvent).order_by(QueuedEvent.id).limit(message.count)
            if message.event:
                asked = asked.where(QueuedEvent.id == message.event)
            else:
                asked = asked.where(QueuedEvent.row_id == message.row, QueuedEvent.id > message.after)
            found = session.scalars(asked).all()
            rows = self._by_number(session, sorted({event.row_id for event in found}))
            allowed = {row.number for row in self._seen(desk, rows)}
            events = tuple(_event(event, names) for event in found if event.row_id in allowed)
        return QueueEvents(message.request, events, len(found) < message.count)

    def _history(self, desk: Desk, message: AskHistory) -> Message:
        with transaction(self._engine) as session:
            found = history(session, message.event, message.row)
            rows = self._by_number(session, sorted({action.row_id for action in found}))
            allowed = {row.number for row in self._seen(desk, rows)}
            actions = tuple(_action(action) for action in found if action.row_id in allowed)
        return QueueHistory(message.request, actions[-MAX_QUEUE_ROWS:])

    def _autocats(self, desk: Desk, message: AskAutocats | SetAutocat | RemoveAutocat) -> Message:
        with transaction(self._engine) as session:
            if isinstance(message, SetAutocat):
                rule = self._checked(message.rule)
                session.add(AutocatRule(
                    rule=rule.rule, src=rule.src, dst=rule.dst, sensor=rule.sensor, status=rule.status,
                    comment=rule.comment, owner=desk.user, created=now_us(), expires=rule.expires, removed=False,
                    hits=0,
                ))  # fmt: skip
            elif isinstance(message, RemoveAutocat):
                known = session.get(AutocatRule, message.number)
                if known is None or known.removed:
                    raise Untriable(f"there is no rule {message.number}")
                known.removed = True
            session.flush()
            found = session.scalars(select(AutocatRule).order_by(AutocatRule.id.desc()).limit(MAX_QUEUE_ROWS))
            rules = tuple(
                Autocat(each.id, each.rule, each.src, each.dst, each.sensor, each.status, each.comment, each.owner,
                        each.created, each.expires, each.removed, each.hits)
                for each in found
            )  # fmt: skip
        if not isinstance(message, AskAutocats):
            self._load_disposals()
        return Autocats(message.request, rules)

    def _checked(self, rule: Autocat) -> Autocat:
        if not 1 <= rule.status <= NO_ACTION:
            raise Untriable("a category is 1 to 7, and 8 is no action")
        if not rule.comment.strip():
            raise Untriable("say why, in a comment")
        if not (rule.rule or rule.src or rule.dst or rule.sensor):
            raise Untriable("a rule that names nothing would dispose of everything")
        if rule.sensor and rule.sensor not in self._names().values():
            raise Untriable(f"there is no sensor {rule.sensor!r}")
        if max(map(len, (rule.rule, rule.src, rule.dst, rule.sensor))) > 64:
            raise Untriable("a rule, an address and a sensor's name have at most 64 characters")
        return replace(rule, src=_cidr(rule.src), dst=_cidr(rule.dst))

    def _load_disposals(self) -> None:
        numbers = {name: number for number, name in self._names().items()}
        with transaction(self._engine) as session:
            self._disposals = [
                Disposal(each.id, each.rule, each.src, each.dst, numbers[each.sensor] if each.sensor else None,
                         each.status, each.expires)
                for each in session.scalars(
                    select(AutocatRule).where(AutocatRule.removed.is_(False)).order_by(AutocatRule.id)
                )
            ]  # fmt: skip

    def _names(self) -> dict[int, str]:
        return {number: sensor.name for number, sensor in self._admission.sensors().items()}

    def _by_number(self, session: Session, numbers: Sequence[int]) -> list[QueueRow]:
        names = self._names()
        found: list[QueueRow] = []
        for at in range(0, len(numbers), MAX_QUEUE_ROWS):
            part = numbers[at : at + MAX_QUEUE_ROWS]
            found += [_told(row, names) for row in session.scalars(select(QueuedRow).where(QueuedRow.id.in_(part)))]
        return found

    @staticmethod
    def _seen(desk: Desk, rows: Sequence[QueueRow]) -> Sequence[QueueRow]:
        now = now_us()
        return rows if desk.sight is None else [row for row in rows if desk.sight.sees(row, now)]


def _cidr(text: str) -> str:
    try:
        return text and str(ip_network(text))
    except ValueError as error:
        raise Untriable(f"{text!r} is no address or CIDR: {error}") from None


def _told(row: QueuedRow, names: dict[int, str]) -> QueueRow:
    return QueueRow(
        row.id, "watch" if row.source == "watch" else "alert", row.rule, row.text, row.severity, row.src_ip, row.dst_ip,
        row.dst_port, row.peers, names_of(row.sensors, names), row.count, row.first_event, row.last_event,
        row.first_time, row.last_time, row.raised, row.status, row.owner, row.version, row.changed_by, row.changed_at,
        row.comment, row.late,
    )  # fmt: skip


def _event(event: QueuedEvent, names: dict[int, str]) -> QueueEvent:
    return QueueEvent(
        event.id, event.row_id, event.time, names.get(event.sensor, f"sensor {event.sensor}"), event.src_ip,
        event.src_port, event.dst_ip, event.dst_port, event.proto, int(event.ident), event.late,
        event.alert,
    )  # fmt: skip


def _action(action: QueuedAction) -> QueueAction:
    return QueueAction(
        action.id, action.time, action.user, action.action, action.row_id, action.count, action.before, action.status,
        action.owner, action.comment, action.undoes,
    )  # fmt: skip
