"""Runs analysts' queries: parses, checks, compiles, keeps results, serves their pages; cancels, reports progress.

A query runs on one of a few workers, each with its own client of the store, and so does an export that looks for its
next part; pages and status run on others, so that a slow query never holds up either. A request is worked on by one
worker at a time. A running query is found in the store by its `log_comment`, since the embedded engine takes
no query id of ours, and the client strips comments from a text with parameters.
"""

import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    Answer,
    Ask,
    AskHealth,
    AskStatus,
    Cancel,
    Failed,
    Message,
    Page,
    Progress,
    Pull,
    SensorHealth,
)
from afterfact_protocol.query import Query, QueryError, parse, reading
from afterfact_protocol.records import ROW_COLUMNS, Records
from afterfact_protocol.session import BY_NAME, KEY, ROW, packed
from afterfact_server.config import Limits
from afterfact_server.coverage import coverage
from afterfact_server.health import LATEST, HealthBoard
from afterfact_server.ingest import now_us
from afterfact_server.query.compile import Compiled, key_query, rows_by_keys
from afterfact_server.registry.enrolment import Admission
from afterfact_server.results import KEY_ROW, Result, conversations, distinct, newest_in_order
from afterfact_server.status import Watch, oldest, status
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.health import history
from afterfact_server.store.ledger import Ledger

PAGE_ROWS = MAX_BATCH_BYTES // ROW.itemsize
EXPORT_KEYS = 65_536
"""Keys fetched at a time while a result is paged through beyond its bound."""
MAX_READING = 2000
MAX_REASON = 1000
"""Characters of a message that may hold some of the query's text."""
COUNT_CONVERSATIONS = 50_000
"""Larger results of several sensors are not looked through for conversations seen twice."""
PROGRESS_SECONDS = 0.3
READ_AHEAD = 8
"""Pages fetched by one query for a console that reads on and on: one query for 8,000 keys is far cheaper than eight."""
COUNT_KEYS = 16_384
ENDS = packed(tuple(BY_NAME[name] for name in (*KEY, "revision", "end_time", "proto", "src_ip", "src_port", "dst_ip",
                                               "dst_port")))  # fmt: skip
"""What conversations are told by."""

Send = Callable[[Message], None]
"""Raises WireError for a message that is too large to be sent."""
_numbers = itertools.count(1)
_PROCESS = secrets.token_hex(4)
"""Tells our queries from those of another server that asks the same ClickHouse."""


def _parts(keys: Records, size: int) -> list[Records]:
    return [keys[at : at + size] for at in range(0, len(keys), size)]


class Cancelled(Exception):
    """The console does not want it any more."""


@dataclass(slots=True)
class Running:
    """One request of a console, from ASK until its result is dropped."""

    request: int
    send: Send
    started: float
    tag: str
    scope: "Scope"
    cancelled: threading.Event = field(default_factory=threading.Event)
    working: bool = True
    """A worker has it; what is pulled meanwhile waits here and holds no worker."""
    waiting: deque[Pull] = field(default_factory=deque)
    query: Query | None = None
    result: Result | None = None
    everything: bool = False


@dataclass(slots=True)
class Tally:
    """Queries and pages worked on since the start, for metrics."""

    running: int = 0
    ended: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Scope:
    """A console connection's requests."""

    running: dict[int, Running] = field(default_factory=dict)


def _pages_on(running: Running, message: Pull) -> bool:
    """Whether more keys must be found before the pull can be answered."""
    result = running.result
    assert result is not None
    count = min(message.count, PAGE_ROWS)
    return not result.complete and message.first + count > result.offset + len(result.keys)


def _stopped(request: int) -> Failed:
    return Failed(request, "cancelled", "stopped", -1, -1)


class QueryService:
    """`ask`, `pull`, `cancel`, `drop`, `status` and `health` are called by the consoles' port and return at once."""

    def __init__(
        self, engine: StoreEngine, admission: Admission, ledger: Ledger, health: HealthBoard, limits: Limits,
        log: Callable[[str], None], watch: Callable[[], Watch] = Watch,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._admission = admission
        self._ledger = ledger
        self._health = health
        self._limits = limits
        self._log = log
        self._watch = watch
        self.tally = Tally()
        self._workers = ThreadPoolExecutor(limits.query_workers, "query")
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
        for workers in (self._workers, self._pages, self._statuses):
            workers.shutdown(cancel_futures=True)
        self._stopping = True
        self._wake.set()
        if self._supervisor.is_alive():
            self._supervisor.join()

    # --- called by the port -------------------------------------------------------------------------------------------

    def ask(self, scope: Scope, message: Ask, send: Send) -> None:
        request = message.request
        running = Running(
            request, send, time.monotonic(), f"afterfact-{_PROCESS}-{next(_numbers)}", scope,
            everything=message.everything,
        )  # fmt: skip
        with self._lock:
            known, held = request in scope.running, len(scope.running)
            if not known and held < self._limits.results_per_console:
                scope.running[request] = running
        if known:
            send(Failed(request, "request", f"request {request} is in use on this connection", -1, -1))
        elif held >= self._limits.results_per_console:
            send(Failed(request, "busy", f"{held} results are open on this connection; close some", -1, -1))
        else:
            self._workers.submit(self._work, running, partial(self._ask, running, message.text))

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

    def status(self, message: AskStatus, send: Send) -> None:
        def work() -> None:
            sensors = list(self._admission.sensors().values())
            engine, watch, now = self._engine, self._watch(), now_us()
            send(
                status(engine.client(), sensors, self._ledger, self._health, watch, message.request, now, engine.layout)
            )

        self._statuses.submit(self._reported, message.request, send, work)

    def health(self, message: AskHealth, send: Send) -> None:
        """A sensor's past, from its stored reports."""

        def work() -> None:
            request, start, end = message.request, message.start, message.end
            number = next((n for n, own in self._admission.sensors().items() if own.name == message.sensor), None)
            if number is None:
                send(Failed(request, "request", f"there is no sensor {message.sensor!r}"[:MAX_REASON], -1, -1))
            elif not 0 <= start < end <= LATEST:
                send(Failed(request, "request", "the time asked for ends before it begins, or is none", -1, -1))
            else:
                step, points = history(self._engine.client(), number, start, end, message.points)
                send(SensorHealth(request, message.sensor, start, end, step, tuple(points)))

        self._statuses.submit(self._reported, message.request, send, work)

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
            workers = self._workers if _pages_on(running, message) else self._pages
            workers.submit(self._work, running, partial(self._pull, running, message))

    def _work(self, running: Running, work: Callable[[], None]) -> None:
        begun = time.monotonic()
        with self._lock:
            self._active[running.tag] = running
            self.tally.running += 1
        self._wake.set()
        try:
            self._reported(running.request, running.send, work, running)
        finally:
            with self._lock:
                self.tally.running -= 1
                self.tally.ended += 1
                self.tally.seconds += time.monotonic() - begun
                del self._active[running.tag]
                self._next(running)

    def _reported(self, request: int, send: Send, work: Callable[[], None], running: Running | None = None) -> None:
        try:
            if running is not None and running.cancelled.is_set():
                raise Cancelled
            work()
            return
        except QueryError as error:
            failed = Failed(request, "query", error.message[:MAX_REASON], error.start, error.end)
        except StoreFailure as error:
            if running is not None and running.cancelled.is_set():
                failed = _stopped(request)
            else:
                self._log(f"query failed: {str(error).splitlines()[0][:500]}")
                failed = Failed(request, *self._explain(error), -1, -1)
        except Cancelled:
            failed = _stopped(request)
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

    def _explain(self, error: Exception) -> tuple[str, str]:
        text = str(error)
        if "TIMEOUT_EXCEEDED" in text:
            return "deadline", (f"not answered within {self._limits.query_seconds} s; narrow it, by start_time say, "
                                "or raise query_seconds in server.toml")  # fmt: skip
        if "MEMORY_LIMIT_EXCEEDED" in text:
            return "memory", (f"needs more than {self._limits.query_memory_mb} MB; narrow it, or raise query_memory_mb "
                              "in server.toml")  # fmt: skip
        return "store", f"the store failed: {text.splitlines()[0][:500]}"

    def _fetch(self, client: Client, compiled: Compiled, dtype: np.dtype[np.void], running: Running) -> Records:
        settings = {
            "log_comment": running.tag,
            "max_execution_time": self._limits.query_seconds,
            "max_memory_usage": self._limits.query_memory_mb * 1_000_000,
            "use_skip_indexes_if_final": 1,
            "use_skip_indexes_if_final_exact_mode": 1,
        }
        if running.cancelled.is_set():
            raise Cancelled
        data = client.raw_query(compiled.sql, parameters=compiled.parameters, settings=settings, fmt="RowBinary")
        return np.frombuffer(data, dtype)

    def _ask(self, running: Running, text: str) -> None:
        client = self._engine.client()
        now = now_us()
        query = parse(text, datetime.fromtimestamp(now / 1e6, UTC))
        running.query = query
        bound = min(query.limit or self._limits.result_rows, self._limits.result_rows)
        pages_on = running.everything and query.limit is None
        if pages_on:
            if query.order:
                raise QueryError("an export of everything comes newest first; add a LIMIT to order it otherwise", 0, 0)
            keys, more = self._keys(client, running, query, EXPORT_KEYS)
        else:
            keys, more = self._keys(client, running, query, bound)
        result = Result(keys, truncated=more and not pages_on, complete=not (pages_on and more))
        observers = np.unique(keys["sensor"])
        names = self._admission.sensors()
        start, end = self._span(client, query, now)
        answer = Answer(
            request=running.request,
            total=len(keys),
            truncated=result.truncated,
            limit=bound,
            columns=ROW_COLUMNS,
            sensors={number: sensor.name for number, sensor in names.items()},
            reading=reading(query)[:MAX_READING],
            span_start=start,
            span_end=end,
            conversations=self._conversations(client, running, keys, len(observers)) if result.complete else 0,
            observers=len(observers) if result.complete else 0,
            elapsed=int((time.monotonic() - running.started) * 1e6),
            coverage=coverage(client, names.values(), self._ledger, self._health, start, end, now),
        )
        running.result = result  # first: it may be pulled as soon as it is told of
        try:
            running.send(answer)
        except WireError:
            running.result = None
            raise

    def _span(self, client: Client, query: Query, now: int) -> tuple[int, int]:
        """What was searched, cut at now; a span that is all to come stays as it was asked for."""
        first, last = query.span
        start = first if first is not None else oldest(client) or now
        if first is not None and first >= now:
            return first, first if last is None else last
        return start, now if last is None else min(last, now)

    def _keys(
        self, client: Client, running: Running, query: Query, bound: int, after: tuple[int, int, int] | None = None
    ) -> tuple[Records, bool]:
        """Up to `bound` distinct keys, and whether there are more. Without FINAL a session stands once per revision
        not yet merged, so what is dropped is made up for by asking for more."""
        sensors = {sensor.name: number for number, sensor in self._admission.sensors().items()}
        final = query.needs_growing
        ask_for = bound + 1
        while True:
            compiled = key_query(query, sensors, limit=ask_for, after=after, final=final)
            raw = self._fetch(client, compiled, KEY_ROW, running)
            keys = distinct(raw)
            if len(keys) > bound or len(raw) < ask_for:
                return keys[:bound], len(keys) > bound
            ask_for *= 2

    def _conversations(self, client: Client, running: Running, keys: Records, observers: int) -> int:
        if observers < 2:
            return len(keys)
        if len(keys) > COUNT_CONVERSATIONS:
            return 0
        return conversations(
            np.concatenate([self._rows(client, running, [part], ENDS)[0] for part in _parts(keys, COUNT_KEYS)])
        )

    def _rows(
        self, client: Client, running: Running, parts: list[Records], dtype: np.dtype[np.void] = ROW
    ) -> list[Records]:
        """The newest revisions of some keys, in their order, in one query for all parts."""
        compiled = rows_by_keys(np.concatenate(parts), dtype.names or ())
        found = self._fetch(client, compiled, dtype, running)
        return [newest_in_order(part, found) for part in parts]

    def _pull(self, running: Running, message: Pull) -> None:
        result, query = running.result, running.query
        assert result is not None and query is not None
        client = self._engine.client()
        count = min(message.count, PAGE_ROWS)
        while _pages_on(running, message):
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
            reads_on = message.first == result.next_first
            parts = _parts(result.keys[at : at + count * (READ_AHEAD if reads_on else 1)], count)
            if not result.complete:  # more keys may follow a part that is not full
                parts = [part for part in parts if len(part) == count]
            rows, *others = self._rows(client, running, parts or [keys])
            result.ahead = {(message.first + n * count, count): other for n, other in enumerate(others, 1)}
            result.next_first = message.first + (1 + len(others)) * count
        ended = result.complete and message.first + count >= result.offset + len(result.keys)
        running.send(Page(running.request, message.first, len(keys), rows.tobytes(), ended))

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
