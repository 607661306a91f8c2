"""Watches: conditions that look at every session as it is stored, and once through what was stored before.

What was stored comes from ingest, which never waits. One thread asks all watches of it together, in memory, with the
matcher that the store's answers are tested against; what they find goes into the queue, once for a watch and a session.
How far they looked is entered after that, so what a crash keeps from them, or what comes faster than it can be held,
they fetch from the store. Another thread looks back, a watch at a time.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
from sqlalchemy import Engine, func, select, update

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import (
    MAX_WATCHES,
    AskWatches,
    ChangeWatch,
    Failed,
    Message,
    QueryWatch,
    SetWatch,
    Watches,
)
from afterfact_protocol.query import Query, QueryError, parse
from afterfact_protocol.query.firsts import firsts
from afterfact_protocol.query.match import matches as matching
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.records import Records
from afterfact_protocol.session import ROW
from afterfact_server.errors import RegistryError
from afterfact_server.ingest import now_us
from afterfact_server.notify import Matched, Outlet
from afterfact_server.query.bounds import of_sensors, within
from afterfact_server.query.compile import FOUND_COLUMNS, key_query
from afterfact_server.query.resolve import resolved
from afterfact_server.query.setnodes import sets_of
from afterfact_server.queue.arrival import Arrived, matches
from afterfact_server.queue.folding import reach
from afterfact_server.queue.service import QueueService
from afterfact_server.queue.triage import Untriable
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.bounds import NO_BOUNDS
from afterfact_server.registry.database import transaction
from afterfact_server.registry.enrolment import Admission
from afterfact_server.registry.queue_tables import WATCHED, QueueCursor, WatchRow
from afterfact_server.results import newest_in_order
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.packed import FOUND, FOUND_KEY, to_rows
from afterfact_server.store.stored import sessions_stored_since

Send = Callable[[Message], None]
GATHER_SECONDS = 0.25
"""Waited for more before what came is looked at: sessions come in many small batches."""
MOST_HELD = 200_000
"""Sessions that wait in memory, some 80 MB; beyond, they are fetched from the store."""
FETCH_ROWS = 50_000
MOST_BACK = 100_000
"""Sessions taken from what was stored before, the newest."""
BACK_SECONDS = 600
TAG = "afterfact-watch"
"""log_comment of a look back."""
RETRY_SECONDS = 2.0
RELOAD_SECONDS = 60.0
"""How often conditions are read anew: what they say of now, and the networks that they name, go on."""
LOOK_BACK_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class _Ready:
    """A watch that can be asked."""

    number: int
    name: str
    severity: int
    notify: bool
    expires: int
    query: Query


class WatchService:
    """`networks` are those that hold now."""

    def __init__(
        self, engine: Engine, store: StoreEngine, accounts: Accounts, admission: Admission,
        networks: Callable[[], Networks], queue: QueueService, outlets: Sequence[Outlet], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._engine = engine
        self._store = store
        self._accounts = accounts
        self._admission = admission
        self._networks = networks
        self._queue = queue
        self._outlets = outlets
        self._log = log
        self._changed = threading.Condition()
        self._rows: deque[Records] = deque()
        self._held = 0
        self._overflow = True
        self._jobs: deque[Callable[[], None]] = deque()
        self._ready: list[_Ready] = []
        self._loaded = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="watches")
        self._back = ThreadPoolExecutor(1, "watch-history")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with ThreadPoolExecutor(1) as killer:  # the main thread never queries
            killer.submit(self._kill)
        self._back.shutdown(cancel_futures=True)

    def _kill(self) -> None:
        """A look back that runs: the engine must not be left during a query."""
        with suppress(StoreFailure):
            self._store.client().command(
                "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC", parameters={"tag": TAG}
            )

    # --- from any thread ----------------------------------------------------------------------------------------------

    def arrived(self, parts: Sequence[Records]) -> None:
        """ROWs that are durable in the store."""
        count = sum(map(len, parts))
        with self._changed:
            if not self._ready and not self._overflow:
                return  # nobody watches; a watch that is made looks back
            if self._held + count > MOST_HELD:
                self._overflow = True
            elif count:
                self._rows.extend(part for part in parts if len(part))
                self._held += count
            self._changed.notify_all()

    def ask(self, user: str, message: Message, send: Send) -> None:
        """Any of the watches' messages."""
        with self._changed:
            self._jobs.append(partial(self._answer, user, message, send))
            self._changed.notify_all()

    # --- on the watches' thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._until_done(self._load)
        self._until_done(self._resume)
        with self._changed:
            if not self._ready:  # nobody watched: there is nothing to catch up with
                self._overflow, self._held = False, 0
                self._rows.clear()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._held or self._overflow or self._stopping,
                                       RELOAD_SECONDS)  # fmt: skip
                if self._stopping:
                    return
                if not self._jobs:
                    self._changed.wait_for(lambda: self._jobs or self._stopping, GATHER_SECONDS)
                jobs, self._jobs = list(self._jobs), deque()
                rows, self._rows = list(self._rows), deque()
                self._held = 0
                overflow, self._overflow = self._overflow, False
            for job in jobs:
                job()
            if now_us() - self._loaded > RELOAD_SECONDS * 1e6:
                self._until_done(self._load)
            if overflow and not self._catch_up():
                with self._changed:
                    self._overflow = True
                    self._changed.wait_for(lambda: self._jobs or self._stopping, RETRY_SECONDS)
            if rows:
                self._look(np.concatenate(rows), reached=not overflow)

    def _until_done(self, work: Callable[[], None]) -> None:
        failing = False
        while not self._stopping:
            try:
                work()
                return
            except RegistryError as error:
                if not failing:
                    self._log(f"the watches wait: {error}")
                failing = True
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)

    def _load(self) -> None:
        """Read the conditions of the watches that are on."""
        self._loaded = now_us()
        bounds = {account.name: account.bounds for account in self._accounts.accounts()}
        ready, problems = [], dict[int, str]()
        with transaction(self._engine) as session:
            for row in session.scalars(select(WatchRow).where(WatchRow.removed.is_(False))):
                if row.paused or 0 < row.expires <= self._loaded:
                    continue
                try:
                    query = self._read(row.text, self._loaded)
                    query = of_sensors(within(query, own := bounds.get(row.owner, NO_BOUNDS), self._loaded), own)
                    query = resolved(query, self._networks())
                    matching(query.where, np.zeros(0, ROW), self._numbers())
                except QueryError as error:
                    problems[row.id] = error.message
                else:
                    ready.append(_Ready(row.id, row.name, row.severity, row.notify, row.expires, query))
                    if row.problem.startswith(CANNOT):
                        problems[row.id] = ""
            for number, problem in problems.items():
                session.execute(update(WatchRow).where(WatchRow.id == number).values(
                    problem=f"{CANNOT}{problem}" if problem else ""))  # fmt: skip
        with self._changed:
            self._ready = ready

    @staticmethod
    def _read(text: str, now: int) -> Query:
        query = parse(text, datetime.fromtimestamp(now / 1e6, UTC))
        if query.order or query.limit is not None or query.once or query.table is not None or query.save is not None:
            raise QueryError("a watch is a condition: no ORDER BY, LIMIT, ONCE or stages", 0, len(text))
        if any(firsts(query.where)):
            raise QueryError("a watch looks at sessions one by one, which first_seen cannot be asked of", 0, len(text))
        if query.where is not None and any(True for _ in sets_of(query.where)):
            raise QueryError("a watch cannot rest on a named set yet; list its values", 0, len(text))
        return query

    def _resume(self) -> None:
        """Look back for those that were at it when the server stopped."""
        with transaction(self._engine) as session:
            left = list(session.scalars(
                select(WatchRow.id).where(WatchRow.looked_back.is_(False), WatchRow.removed.is_(False))))  # fmt: skip
        for number in left:
            self._back.submit(self._look_back, number)

    def _numbers(self) -> dict[str, int]:
        return {sensor.name: number for number, sensor in self._admission.sensors().items()}

    def _catch_up(self) -> bool:
        """Look at what was stored since the watches last looked; False if the store cannot say."""
        with transaction(self._engine) as session:
            stored = session.scalar(select(QueueCursor.stored).where(QueueCursor.id == WATCHED))
        since = now_us() if stored is None else stored - LOOK_BACK_US
        while not self._stopping and self._ready:
            try:
                rows = sessions_stored_since(self._store.client(), since, FETCH_ROWS)
            except StoreFailure as error:
                self._log(f"the watches cannot look at what is stored: {str(error).splitlines()[0][:300]}")
                return False
            self._look(rows, reached=True)
            if len(rows) < FETCH_ROWS:
                return True
            since = max(int(rows["ingest_time"][-1]), since + 1)
        return True

    def _look(self, rows: Records, reached: bool) -> None:
        """Ask all watches of these rows. reached: all that was stored before was looked at."""
        now, numbers = now_us(), self._numbers()
        for watch in self._ready:
            if 0 < watch.expires <= now or not len(rows):
                continue
            try:
                found = rows[matching(watch.query.where, rows, numbers)]
            except QueryError:
                continue  # a sensor that it names is gone; said when conditions are read next
            if len(found):
                self._enter(watch, found, now)
        if len(rows) and reached:
            self._until_done(partial(self._reach, int(rows["ingest_time"].max())))

    def _reach(self, stored: int) -> None:
        with transaction(self._engine) as session:
            reach(session, WATCHED, stored)

    def _enter(self, watch: _Ready, found: Records, now: int, quiet: bool = False) -> None:
        arrived = matches(found, watch.number, watch.name, watch.severity)
        try:
            new = self._queue.found(arrived).result()
        except CancelledError:  # the server stops; the cursor has not moved
            with self._changed:
                self._stopping = True
            return
        if not new:
            return
        self._until_done(partial(self._count, watch.number, new, now))
        if watch.notify and not quiet:
            notice = Matched(watch.number, watch.name, watch.severity, new, _words(arrived[-1]), now)
            for outlet in self._outlets:
                outlet.tell(notice)

    def _count(self, number: int, new: int, now: int) -> None:
        with transaction(self._engine) as session:
            session.execute(update(WatchRow).where(WatchRow.id == number).values(
                matches=WatchRow.matches + new, last_match=now))  # fmt: skip

    # --- on the thread that looks back --------------------------------------------------------------------------------

    def _look_back(self, number: int) -> None:
        watch = next((each for each in self._ready if each.number == number), None)
        if watch is None or self._stopping:
            return
        problem = ""
        try:
            found, more = self._stored_before(watch.query)
            if more:
                problem = f"of what was stored before, only the newest {MOST_BACK:,} were taken"
            if len(found):
                self._enter(watch, found[::-1], now_us(), quiet=True)
        except (StoreFailure, QueryError) as error:
            problem = f"could not look at what was stored before: {str(error).splitlines()[0][:300]}"
            self._log(f"watch {number} {problem}")
        if not self._stopping:
            self._until_done(partial(self._looked_back, number, problem))

    def _stored_before(self, query: Query) -> tuple[Records, bool]:
        """The newest MOST_BACK sessions that it finds, newest first, and whether there are more."""
        compiled = key_query(query, self._numbers(), MOST_BACK + 1, final=query.needs_growing, columns=FOUND_COLUMNS)
        data = self._store.client().raw_query(
            compiled.sql, parameters=compiled.parameters, fmt="RowBinary",
            settings={"max_execution_time": BACK_SECONDS, "priority": 3, "log_comment": TAG,
                      "use_skip_indexes_if_final": 1, "use_skip_indexes_if_final_exact_mode": 1},
        )  # fmt: skip
        raw = np.frombuffer(data, FOUND)
        found = newest_in_order(raw[list(FOUND_KEY)], to_rows(raw))
        return found[:MOST_BACK], len(raw) > MOST_BACK

    def _looked_back(self, number: int, problem: str) -> None:
        with transaction(self._engine) as session:
            session.execute(update(WatchRow).where(WatchRow.id == number).values(looked_back=True, problem=problem))

    # --- answers ------------------------------------------------------------------------------------------------------

    def _answer(self, user: str, message: Message, send: Send) -> None:
        request: int = message.request  # type: ignore[union-attr]
        answer: Message
        try:
            match message:
                case SetWatch():
                    self._make(user, message.watch)
                case ChangeWatch():
                    self._change(message)
                case _:
                    assert isinstance(message, AskWatches)
            answer = Watches(request, self._all())
        except QueryError as error:
            answer = Failed(request, "query", error.message[:1000], error.start, error.end)
        except Untriable as error:
            answer = Failed(request, "request", str(error), -1, -1)
        except RegistryError as error:
            answer = Failed(request, "store", str(error)[:500], -1, -1)
        with suppress(WireError):
            send(answer)

    def _make(self, user: str, watch: QueryWatch) -> None:
        now = now_us()
        query = resolved(self._read(watch.text, now), self._networks())
        matching(query.where, np.zeros(0, ROW), self._numbers())
        if query.where is None:
            raise Untriable("a watch needs a condition: this one would find every session")
        if not watch.name.strip():
            raise Untriable("a watch needs a name")
        with transaction(self._engine) as session:
            if (session.scalar(select(func.count()).where(WatchRow.removed.is_(False))) or 0) >= MAX_WATCHES:
                raise Untriable(f"there are {MAX_WATCHES} watches; remove some")
            made = WatchRow(
                name=watch.name, text=watch.text, severity=watch.severity, comment=watch.comment, notify=watch.notify,
                owner=user, created=now, expires=watch.expires, paused=False, removed=False,
                looked_back=not watch.history, matches=0, last_match=0, problem="",
            )  # fmt: skip
            session.add(made)
            session.flush()
            number = made.id
            if not self._ready:  # nobody looked until now
                reach(session, WATCHED, now)
        self._load()
        if watch.history:  # after it is on: what comes meanwhile is found by both, and counts once
            self._back.submit(self._look_back, number)

    def _change(self, message: ChangeWatch) -> None:
        with transaction(self._engine) as session:
            row = session.get(WatchRow, message.number)
            if row is None or row.removed:
                raise Untriable(f"there is no watch {message.number}")
            if message.action == "remove":
                row.removed = True
            else:
                row.paused = message.action == "pause"
            back = message.action == "resume"
            if back:
                row.looked_back = False  # what was stored while it rested
        self._load()
        if back:
            self._back.submit(self._look_back, message.number)

    def _all(self) -> tuple[QueryWatch, ...]:
        now = now_us()
        with transaction(self._engine) as session:
            found = session.scalars(select(WatchRow).order_by(WatchRow.removed, WatchRow.id.desc()).limit(MAX_WATCHES))
            watches, left = [], MOST_TEXT
            for row in found:
                left -= len(row.text) + len(row.comment) + len(row.problem) + 500
                if left < 0:
                    break
                watches.append(_told(row, now))
        return tuple(watches)


CANNOT = "cannot be asked: "
MOST_TEXT = 512 * 1024
"""Characters that one message tells of watches."""


def _told(row: WatchRow, now: int) -> QueryWatch:
    return QueryWatch(
        row.id, row.name, row.text, row.severity, row.comment, row.notify, True, row.expires, row.owner, row.created,
        "removed" if row.removed else "expired" if 0 < row.expires <= now else "paused" if row.paused
        else "on" if row.looked_back else "looking back",
        row.matches, row.last_match, row.problem,
    )  # fmt: skip


def _words(one: Arrived) -> str:
    def end(address: str, port: int) -> str:
        return f"{address} port {port}" if port >= 0 else address

    return f"from {end(one.src_ip, one.src_port)} to {end(one.dst_ip, one.dst_port)}"
