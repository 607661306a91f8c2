"""Has analysts' queries worked on: which request runs on which worker, what it failed of, its progress and its end.
What is asked of the store is answers.py's.

A query runs on one of a few workers (lanes.py), each with its own client of the store, and so does an export that looks
for its next part; pages and status run on others, so that a slow query never holds up either. A request is worked on by
one worker at a time. A running query is found in the store by its `log_comment`, since the embedded engine takes
no query id of ours, and the client strips comments from a text with parameters.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import (
    Answer,
    Ask,
    AskEvents,
    AskExclusions,
    AskHealth,
    AskHints,
    AskRemoved,
    AskSaved,
    AskSets,
    AskSetValues,
    AskStatus,
    Cancel,
    CombineSets,
    Failed,
    Hints,
    Message,
    Progress,
    Pull,
    PutSet,
    RemoveExclusion,
    RemoveItem,
    RemoveSet,
    SaveExclusion,
    SaveItem,
    SaveSet,
    SensorHealth,
)
from afterfact_protocol.printable import printable
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.nodes import Network
from afterfact_protocol.records import Records
from afterfact_server.answers import Answers
from afterfact_server.audit.log import AuditError
from afterfact_server.config import Limits, Roles
from afterfact_server.health import LATEST, HealthBoard
from afterfact_server.ingest import now_us
from afterfact_server.keeping import Refusal, Upload
from afterfact_server.lanes import Lanes, TooSlow
from afterfact_server.networks import NetworksFile
from afterfact_server.queue.sight import Sight
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.enrolment import Admission
from afterfact_server.registry.exclusions import ExclusionsTable
from afterfact_server.registry.saved import SavedTable
from afterfact_server.registry.sets import SetsTable
from afterfact_server.results import HeldRows
from afterfact_server.running import Cancelled, Running, Scope, Send, Unanswerable, pages_on
from afterfact_server.status import Watch, of_these, status
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.health import history
from afterfact_server.store.ledger import Ledger

Kept = (
    AskSets
    | AskSetValues
    | SaveSet
    | PutSet
    | CombineSets
    | RemoveSet
    | AskExclusions
    | SaveExclusion
    | RemoveExclusion
    | AskRemoved
    | AskSaved
    | SaveItem
    | RemoveItem
)
"""What is asked of sets, exclusions, and what the team saved."""
MAX_UPLOADS = 2
MAX_REASON = 1000
"""Characters of a message that may hold some of the query's text."""
PROGRESS_SECONDS = 0.3
EVERYTHING = Scope()
"""The server's own."""
_numbers = itertools.count(1)
_PROCESS = secrets.token_hex(4)
"""Tells our queries from those of another server that asks the same ClickHouse."""


@dataclass(slots=True)
class Tally:
    """Queries and pages worked on since the start, for metrics."""

    running: int = 0
    ended: int = 0
    seconds: float = 0.0


def _stopped(request: int) -> Failed:
    return Failed(request, "cancelled", "stopped", -1, -1)


class QueryService:
    """What the consoles' port calls (ask, pull, events, cancel, drop, status, health) returns at once."""

    def __init__(
        self, engine: StoreEngine, admission: Admission, ledger: Ledger, health: HealthBoard, networks: NetworksFile,
        limits: Limits, log: Callable[[str], None], watch: Callable[[], Watch] = Watch, roles: Roles | None = None,
        *, sets: SetsTable, exclusions: ExclusionsTable, saved: SavedTable,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._admission = admission
        self._ledger = ledger
        self._health = health
        self._limits = limits
        self._log = log
        self._roles = roles or Roles()
        self._networks = networks
        self._answers = Answers(engine, admission, ledger, health, networks, limits, self._roles, sets, exclusions,
                                saved, log)  # fmt: skip
        self._watch = watch
        self.tally = Tally()
        self._lanes = Lanes(limits.query_workers)
        self._pages = ThreadPoolExecutor(2, "page")
        self._statuses = ThreadPoolExecutor(1, "status")
        self._active: dict[str, Running] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        """No more work is begun."""
        self._stopping = False
        self._supervisor = threading.Thread(target=self._supervise, name="query-supervisor")

    def start(self) -> None:
        self._supervisor.start()

    def stop(self) -> None:
        """Cancel what runs and wait for it: the embedded engine must not be left during a query."""
        with self._lock:
            self._closing = True
            for running in self._active.values():
                running.cancelled.set()
        self._wake.set()
        self._lanes.stop()
        for workers in (self._pages, self._statuses):
            workers.shutdown(cancel_futures=True)
        self._stopping = True
        self._wake.set()
        if self._supervisor.is_alive():
            self._supervisor.join()

    # --- called by the port -------------------------------------------------------------------------------------------

    def ask(self, scope: Scope, message: Ask, send: Send) -> None:
        running = self._begin(scope, message.request, send, message.everything)
        if running is not None:
            self._lanes.submit(True, self._work, running, partial(self._answers.ask, running, message.text))

    def events(self, scope: Scope, message: AskEvents, send: Send) -> None:
        self._once(scope, message.request, send, lambda running: self._answers.events(running, message))

    def worked(self, scope: Scope, request: int, send: Send, work: Callable[[Running, Answers], None]) -> None:
        """Have `work` done as a query is: in the lanes, within the limits of the role. It sends its answer with
        `running.send`, and is done anew in the slow lane if it raises TooSlow."""
        self._once(scope, request, send, lambda running: work(running, self._answers))

    def hold(self, scope: Scope, request: int, send: Send, fetch: Callable[[], tuple[Answer, Records]]) -> None:
        """Open rows that are kept elsewhere as a query's result is opened."""
        running = self._begin(scope, request, send)
        if running is not None:
            self._pages.submit(self._work, running, partial(self._answers.hold, running, fetch))

    def keep(self, scope: Scope, message: Kept, send: Send) -> None:
        """Sets and exclusions: tell of them, or change them."""
        upload = None
        if isinstance(message, PutSet):
            if message.part and message.request not in scope.uploads:
                return  # of one that was refused already
            try:
                if message.request not in scope.uploads and len(scope.uploads) >= MAX_UPLOADS:
                    raise Refusal(f"{MAX_UPLOADS} sets are coming in on this connection already")
                upload = scope.uploads.setdefault(message.request, Upload())
                upload.add(message)
            except Refusal as error:
                scope.uploads.pop(message.request, None)
                send(Failed(message.request, "request", str(error), -1, -1))
                return
            if not message.last:
                return
            del scope.uploads[message.request]
        self._once(scope, message.request, send, lambda running: self._answers.keep(running, message, upload))

    def _once(self, scope: Scope, request: int, send: Send, work: Callable[[Running], None]) -> None:
        """Work on a request that is over with its answer: nothing is held for it."""
        running: Running | None = None

        def answered(answer: Message) -> None:  # its number is free before it is told
            if not isinstance(answer, Progress):
                with self._lock:
                    if running is not None and scope.running.get(request) is running:
                        del scope.running[request]
            send(answer)

        running = self._begin(scope, request, answered)
        if running is not None:
            begun = running
            self._lanes.submit(True, self._work, running, lambda: work(begun))

    def hints(self, scope: Scope, message: AskHints, send: Send) -> None:
        """Of an answered query; as a query of its own, which ends with that one."""
        with self._lock:
            asked = scope.running.get(message.request)
        if asked is not None and isinstance(asked.result, HeldRows):  # as it was: nothing is looked at anew
            send(Hints(message.request, -1, (), -1, 0, ""))
            return
        if asked is None or asked.query is None or asked.result is None:
            send(Failed(message.request, "request", f"no result {message.request} on this connection", -1, -1))
            return

        def answered(answer: Message) -> None:
            if isinstance(answer, Failed) and answer.code != "cancelled":  # the result is none the worse for it
                answer = Hints(message.request, -1, (), -1, 0, answer.reason)
            if not isinstance(answer, Progress):
                send(answer)

        tag = f"afterfact-{_PROCESS}-{next(_numbers)}"
        running = Running(message.request, answered, time.monotonic(), tag, scope, cancelled=asked.cancelled)
        self._lanes.submit(True, self._work, running, partial(self._answers.hints, running, asked))

    def _begin(self, scope: Scope, request: int, send: Send, everything: bool = False) -> Running | None:
        """Enter a request; None if it cannot be taken, which is told."""
        running = Running(
            request, send, time.monotonic(), f"afterfact-{_PROCESS}-{next(_numbers)}", scope, everything=everything
        )
        with self._lock:
            known, held = request in scope.running, len(scope.running)
            if not known and held < self._limits.results_per_console:
                scope.running[request] = running
        if known:
            send(Failed(request, "request", f"request {request} is in use on this connection", -1, -1))
        elif held >= self._limits.results_per_console:
            send(Failed(request, "busy", f"{held} results are open on this connection; close some", -1, -1))
        else:
            return running
        return None

    def pull(self, scope: Scope, message: Pull, send: Send) -> None:
        with self._lock:
            running = scope.running.get(message.request)
            found = running is not None and running.result is not None
            if running is not None and found:
                running.waiting.append(message)
                if not running.working:
                    self._next(running)
        if not found:
            send(Failed(message.request, "request", f"no result {message.request} on this connection", -1, -1))

    def cancel(self, scope: Scope, message: Cancel, send: Send) -> None:
        with self._lock:
            running = scope.running.pop(message.request, None)
        if running is not None:
            self._cancel(running)

    def drop(self, scope: Scope) -> None:
        """The connection is gone."""
        with self._lock:
            dropped = list(scope.running.values())
            scope.running.clear()
        for running in dropped:
            self._cancel(running)

    def status(self, message: AskStatus, send: Send, scope: Scope = EVERYTHING) -> None:
        def work() -> None:
            sensors = [sensor for sensor in self._admission.sensors().values() if scope.sees(sensor.name)]
            engine, watch, now = self._engine, self._watch(), now_us()
            _, configured = self._networks.current()
            networks, home = tuple(sorted(configured.by_name)), tuple(map(str, configured.home))
            told = status(engine.client(), sensors, self._ledger, self._health, watch, message.request, now,
                          engine.layout, networks, home)  # fmt: skip
            send(of_these(told) if scope.bounds.sensors else told)

        self._statuses.submit(self._reported, message.request, send, work)

    def health(self, message: AskHealth, send: Send, scope: Scope = EVERYTHING) -> None:
        """A sensor's past, from its stored reports."""

        def work() -> None:
            request, start, end = message.request, message.start, message.end
            number = next(
                (
                    n
                    for n, own in self._admission.sensors().items()
                    if own.name == message.sensor and scope.sees(own.name)
                ),
                None,
            )
            if number is None:
                send(Failed(request, "request", f"there is no sensor {message.sensor!r}"[:MAX_REASON], -1, -1))
            elif not 0 <= start < end <= LATEST:
                send(Failed(request, "request", "the time asked for ends before it begins, or is none", -1, -1))
            else:
                step, points = history(self._engine.client(), number, start, end, message.points)
                send(SensorHealth(request, message.sensor, start, end, step, tuple(points)))

        self._statuses.submit(self._reported, message.request, send, work)

    def sight(self, bounds: Bounds) -> Sight:
        """What of the queue an account of these limits may see. A network that there is not holds nothing."""
        networks: list[Network] = []
        for text in bounds.networks:
            entry = network(text)
            named = self._networks.current()[1].by_name.get(text, ())
            networks += [entry] if entry is not None else named
        return Sight(bounds, tuple(networks))

    def _cancel(self, running: Running) -> None:
        running.cancelled.set()
        self._wake.set()

    # --- on workers ---------------------------------------------------------------------------------------------------

    def _next(self, running: Running) -> None:
        """Go on with the request's next pull, if there is one; holds the lock. A pull that must find more keys first is
        a query."""
        running.working = bool(running.waiting) and not self._closing
        if running.working:
            message = running.waiting.popleft()
            work = partial(self._answers.pull, running, message)
            if pages_on(running, message):
                self._lanes.submit(running.quick, self._work, running, work)
            else:
                self._pages.submit(self._work, running, work)

    def _work(self, running: Running, work: Callable[[], None]) -> None:
        begun, moved = time.monotonic(), False
        with self._lock:
            self._active[running.tag] = running
            self.tally.running += 1
        self._wake.set()
        try:
            self._reported(running.request, running.send, work, running)
        except TooSlow:
            moved = True
        finally:
            with self._lock:
                self.tally.running -= 1
                self.tally.ended += not moved
                self.tally.seconds += time.monotonic() - begun
                del self._active[running.tag]
                if not moved:
                    self._next(running)
                elif not self._closing:
                    running.quick = False
                    self._lanes.submit(False, self._work, running, work)

    def _reported(self, request: int, send: Send, work: Callable[[], None], running: Running | None = None) -> None:
        try:
            if running is not None and running.cancelled.is_set():
                raise Cancelled
            work()
            return
        except TooSlow:
            raise
        except QueryError as error:
            self._refused(error, running)
            failed = Failed(request, "query", error.message[:MAX_REASON], error.start, error.end)
        except StoreFailure as error:
            if running is not None and running.cancelled.is_set():
                failed = _stopped(request)
            else:
                self._log(f"query failed: {str(error).splitlines()[0][:500]}")
                failed = Failed(request, *self._explain(error, running), -1, -1)
        except Cancelled:
            failed = _stopped(request)
        except Unanswerable as error:
            failed = Failed(request, "request", str(error)[:MAX_REASON], -1, -1)
        except AuditError as error:
            failed = Failed(request, "audit", str(error), -1, -1)
        except WireError as error:
            self._log(f"an answer cannot be sent: {error}")
            failed = Failed(request, "size", f"the answer is too large to be sent: {error}", -1, -1)
        except Exception as error:  # a bug of ours: the analyst gets a line, the log the rest
            self._log(f"query failed by a fault of the server: {type(error).__name__}: {error}")
            failed = Failed(request, "fault", f"the server failed: {type(error).__name__}; its log says more", -1, -1)
        if running is not None and running.result is None:
            with self._lock:  # before it is told: who hears of it may ask the next
                if running.scope.running.get(request) is running:
                    del running.scope.running[request]
        send(failed)

    def _refused(self, error: QueryError, running: Running | None) -> None:
        """What was refused is in the log: who tries what does not belong into a query is seen there."""
        who = printable(running.scope.user[:64]) if running is not None and running.scope.user else "a console"
        self._log(
            f"refused a query of {who}: {printable(error.message[:300])} (characters {error.start} to {error.end})"
        )

    def _explain(self, error: Exception, running: Running | None) -> tuple[str, str]:
        text = str(error)
        role = running.scope.role if running is not None else ""
        allowed = self._roles.allowed(role, self._limits)
        if "TIMEOUT_EXCEEDED" in text:
            where = self._roles.where(role, "query_seconds")
            return "deadline", (f"not answered within {allowed.seconds} s; narrow it, by start_time say, or raise "
                                f"{where} in server.toml")  # fmt: skip
        if "MEMORY_LIMIT_EXCEEDED" in text:
            where = self._roles.where(role, "query_memory_mb")
            return "memory", f"needs more than {allowed.memory_mb} MB; narrow it, or raise {where} in server.toml"
        return "store", f"the store failed: {text.splitlines()[0][:500]}"

    # --- on the supervisor --------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        client = self._engine.client()
        while not self._stopping:
            with self._lock:
                active = list(self._active.values())
            if not active:
                self._wake.wait()
                self._wake.clear()
                continue
            self._wake.wait(PROGRESS_SECONDS)
            self._wake.clear()
            try:
                due = time.monotonic() - PROGRESS_SECONDS
                if any(running.cancelled.is_set() or running.started <= due for running in active):
                    self._look_after(client, active)
            except StoreFailure as error:
                self._log(f"cannot look after running queries: {str(error).splitlines()[0]}")

    def _look_after(self, client: Client, active: list[Running]) -> None:
        now = time.monotonic()
        told: dict[str, Any] = {}
        for tag, read_rows in client.query(
            "SELECT Settings['log_comment'], read_rows FROM system.processes"
        ).result_rows:
            told[tag] = read_rows
        for running in active:
            if running.tag not in told:
                continue
            if running.cancelled.is_set():
                client.command(
                    "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC", parameters={"tag": running.tag}
                )
            elif running.result is None and now - running.started > PROGRESS_SECONDS:
                elapsed = int((now - running.started) * 1e6)
                running.send(Progress(running.request, int(told[running.tag]), elapsed))
