"""One connection to the server and the thread that owns it: requests go in from any thread, futures come out.

A lost connection fails what was pending with LinkLost, is made again by itself and logged in again. A server that is
reached but answers nothing counts as lost. Callbacks run on the link's thread and must be quick; a GUI turns them into
signals.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import zmq

from afterfact_protocol.codec import WireError
from afterfact_protocol.joinfile import Join
from afterfact_protocol.mailbox import Mailbox
from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    MAX_COMMENTS,
    MAX_QUERY_BYTES,
    Alive,
    AnnotationChanged,
    Annotations,
    AnnotationSaved,
    Answer,
    Ask,
    AskEvents,
    AskEvidence,
    AskExclusions,
    AskHealth,
    AskHints,
    AskRemoved,
    AskSets,
    AskSetValues,
    AskStatus,
    AuditFound,
    Autocats,
    Cancel,
    CaseChanged,
    CaseFilePart,
    CaseHistory,
    Cases,
    CaseSaved,
    CaseTold,
    CombineSets,
    EventsFound,
    Exclusions,
    ExclusionSaved,
    Failed,
    Hello,
    Hints,
    LoggedIn,
    Login,
    LoginToken,
    Message,
    Page,
    Progress,
    Pull,
    PutCaseFile,
    PutSet,
    QueueChanged,
    QueueEvents,
    QueueHistory,
    QueueRows,
    Refused,
    Removed,
    RemoveExclusion,
    RemoveSet,
    Reported,
    SavedItems,
    SaveExclusion,
    SaveSet,
    SensorHealth,
    SetKind,
    SetMode,
    Sets,
    SetSaved,
    SetValues,
    Status,
    TableAnswer,
    Triaged,
    Watches,
    Welcome,
    Which,
)
from afterfact_protocol.session import SCHEMA_VERSION
from afterfact_protocol.sets import DTYPES
from afterfact_protocol.transport import Connection, Down, Up
from afterfact_protocol.versions import EVENTS_SINCE, HIGHEST, LOWEST, SOFTWARE

POLL_MS = 500
ALIVE_SECONDS = 25.0
"""How often ALIVE goes out: the server keeps our results for it, and answers it however busy its queries are."""
ANSWER_SECONDS = 35.0
"""Nothing at all came for this long after something was sent: the server does not answer. Above ALIVE_SECONDS, since
not every message has an answer of its own."""
RETRY_SECONDS = 1.0
HINTS = -2
"""In place of where a page begins: what waits for the hints of a request."""
ANSWERS: tuple[type[Message], ...] = (
    Answer, TableAnswer, Status, SensorHealth, EventsFound, AuditFound, QueueRows, Triaged, QueueEvents, QueueHistory,
    Autocats, Watches, Sets, SetValues, SetSaved, Exclusions, ExclusionSaved, Removed, SavedItems, Cases, CaseTold,
    CaseSaved, CaseHistory, CaseFilePart,
    Annotations, AnnotationSaved,
)  # fmt: skip
"""Messages that answer a request, whole."""
FINAL = ("login", "version", "revoked", "disabled", "expired")
"""Codes of refusals after which the same login is not tried again."""


class ConnectError(ConnectionError):
    """The server cannot be reached or does not let us in; one line for a person."""


class LinkLost(ConnectionError):
    """The connection broke while a request was pending."""


class RequestFailed(RuntimeError):
    """The server refused or failed a request."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.reason)
        self.code = failed.code
        """One of docs/protocol.md's codes: "query" for a faulty text, "cancelled", "deadline", ..."""
        self.start = failed.start
        """Where in the query's text, as character offsets; -1 if it is not about the text."""
        self.end = failed.end


class LinkPhase(Enum):
    CONNECTING = "connecting"
    ONLINE = "online"
    LOST = "lost"
    """Was online; being made again."""
    REFUSED = "refused"
    """The server does not let us in; no further attempt is made."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkState:
    """What to show of the connection."""

    phase: LinkPhase
    reason: str
    since: float
    """time.time() of the change."""
    server: str = ""
    """The server's software version, once welcomed."""
    role: str = ""
    user: str = ""
    """The account's name, once logged in."""
    limits: str = ""
    """Which sessions alone the account may see, in words; empty: all."""


@dataclass(slots=True)
class _Pending:
    message: Message
    future: "Future[Any]"
    progress: Callable[[Progress], None] | None = None
    then: "_Pending | None" = None
    """Sent once this is answered. PAGE does not say which count it answers, so pulls of one place go one by one."""

    def chain(self) -> "Iterator[_Pending]":
        """It, and what waits for it."""
        item: _Pending | None = self
        while item is not None:
            yield item
            item = item.then


class Link:
    """See the module. `on_state` is called on every change of the connection."""

    def __init__(
        self, join: Join, user: str, password: str, on_state: Callable[[LinkState], None] | None = None,
        token: str | None = None,
    ) -> None:  # fmt: skip
        """With `token` it logs in with that, and user and password are not looked at."""
        self._join = join
        self._login: Login | LoginToken = Login(user, password) if token is None else LoginToken(token)
        self._on_state = on_state
        self._state = LinkState(LinkPhase.CONNECTING, f"connecting to {join.address}", time.time())
        self._mail: Mailbox[Message | None] = Mailbox()
        self._lock = threading.Lock()
        self._pending: dict[tuple[int, int], _Pending] = {}
        self._next_request = 1
        self._welcome: Welcome | None = None
        self._outbox: list[Message] = []
        self.on_queue: Callable[[QueueChanged], None] | None = None
        """Told of the queue's changes after it was asked for with `subscribe`; a new connection must ask again."""
        self.on_case: Callable[[CaseChanged], None] | None = None
        """The same of cases."""
        self.on_annotation: Callable[[AnnotationChanged], None] | None = None
        """The same of annotations, of which is told who asked for cases so."""
        self._unanswered_since: float | None = None
        """Monotonic time of the first message sent after the last that came."""
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    # --- from any thread ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> LinkState:
        return self._state

    @property
    def waits(self) -> bool:
        """Whether the server was reached and has to answer what was sent."""
        return self._unanswered_since is not None

    def ask(
        self, text: str, everything: bool = False, progress: Callable[[Progress], None] | None = None
    ) -> "tuple[int, Future[Answer | TableAnswer]]":
        """Send a query; its number, and the answer to come (RequestFailed, LinkLost)."""
        request = self._number()
        if (size := len(text.encode(errors="surrogatepass"))) > MAX_QUERY_BYTES:
            future: Future[Answer | TableAnswer] = Future()
            reason = f"a query is at most {MAX_QUERY_BYTES:,} bytes long; this one has {size:,}"
            future.set_exception(RequestFailed(Failed(request, "query", reason, 0, min(len(text), MAX_QUERY_BYTES))))
            return request, future
        return request, self._send((request, -1), Ask(request, text, everything), progress)

    def evidence(self, case: int, step: int, which: Which = "then") -> "tuple[int, Future[Answer]]":
        """Open what is kept of a case's step, to be pulled as a query's result is; its number, and the answer."""
        request = self._number()
        future = self._unknown("cases") or self._send((request, -1), AskEvidence(request, case, step, which))
        return request, future

    def put_case(self, data: bytes) -> "Future[CaseSaved]":
        """Import a case's file."""
        request = self._number()
        parts = [data[at : at + MAX_BATCH_BYTES] for at in range(0, max(1, len(data)), MAX_BATCH_BYTES)]
        messages = [PutCaseFile(request, n, n == len(parts) - 1, part) for n, part in enumerate(parts)]
        future = self._unknown("cases") or self._send((request, -1), messages[0])
        if not future.done():
            for message in messages[1:]:
                self._mail.post(message)
        return future

    def pull(self, request: int, first: int, count: int) -> "Future[Page]":
        """Rows of an answered query, as many as fit a page. While the same pull is pending, its future."""
        return self._send((request, first), Pull(request, first, count))

    def cancel(self, request: int) -> None:
        """Stop a query or drop its result on the server."""
        self._mail.post(Cancel(request))

    def status(self) -> "Future[Status]":
        request = self._number()
        return self._send((request, -1), AskStatus(request))

    def health(self, sensor: str, start: int, end: int, points: int) -> "Future[SensorHealth]":
        """How a sensor fared from `start` to `end` (microseconds), in at most `points` steps."""
        request = self._number()
        return self._send((request, -1), AskHealth(request, sensor, start, end, points))

    def events(
        self, start: int, end: int, count: int, sensor: str = "", signature: int | None = None,
        after: tuple[int, int, int] | None = None,
    ) -> "Future[EventsFound]":  # fmt: skip
        """A page of events (alerts) from `start` to `end` (microseconds), newest first, those behind `after`. Fails at
        once with LinkLost where the server does not know events."""
        request = self._number()
        return self._unknown("alerts") or self._send(
            (request, -1), AskEvents(request, start, end, count, sensor, signature, after)
        )

    def sets(self, name: str = "") -> "Future[Sets]":
        """All named sets, or every version that one has had."""
        return self._one(lambda request: AskSets(request, name))

    def set_values(self, name: str, first: int = 0, count: int = 65_536, number: int = 0) -> "Future[SetValues]":
        """Values of a set from the `first` on, as many as fit a message; of a version, or 0 for what counts."""
        return self._one(lambda request: AskSetValues(request, name, number, first, count))

    def save_set(
        self, name: str, text: str, field: str, live: bool = False, replace: bool = False, note: str = ""
    ) -> "Future[SetSaved]":
        """Have what a query finds saved: the values of a field, or with "session" the sessions."""
        return self._one(lambda request: SaveSet(request, name, text, field, live, replace, note))

    def put_set(
        self, name: str, kind: SetKind, values: bytes, comments: dict[int, str], mode: SetMode, note: str = ""
    ) -> "Future[SetSaved]":
        """Bring packed values (sets.DTYPES) in; `comments` by their place."""
        size = DTYPES[kind].itemsize
        step = min(MAX_BATCH_BYTES // size, MAX_COMMENTS) if comments else MAX_BATCH_BYTES // size
        request, count = self._number(), len(values) // size
        parts = []
        for part, first in enumerate(range(0, max(1, count), step)):
            said = {place: comments[place + first] for place in range(step) if place + first in comments}
            data, last = values[first * size : (first + step) * size], first + step >= count
            parts.append(PutSet(request, name, kind, mode, part, last, data, said, note))
        future = self._unknown("sets and exclusions") or self._send((request, -1), parts[0])
        if not future.done():
            for message in parts[1:]:
                self._mail.post(message)
        return future

    def combine_sets(
        self, name: str, left: str, how: Literal["+", "&", "-"], right: str, replace: bool = False, note: str = ""
    ) -> "Future[SetSaved]":
        """Have what two sets make together saved."""
        return self._one(lambda request: CombineSets(request, name, left, how, right, replace, note))

    def remove_set(self, name: str) -> "Future[SetSaved]":
        return self._one(lambda request: RemoveSet(request, name))

    def exclusions(self) -> "Future[Exclusions]":
        """All shared exclusions."""
        return self._one(AskExclusions)

    def save_exclusion(
        self, name: str, condition: str, expires: int = 0, by_default: bool = False, replace: bool = False,
        note: str = "",
    ) -> "Future[ExclusionSaved]":  # fmt: skip
        """Make a shared exclusion, until a time (microseconds since 1970; 0: for ever)."""
        return self._one(lambda request: SaveExclusion(request, name, condition, expires, by_default, replace, note))

    def remove_exclusion(self, name: str) -> "Future[ExclusionSaved]":
        return self._one(lambda request: RemoveExclusion(request, name))

    def removed(self, text: str) -> "Future[Removed]":
        """What each exclusion leaves out of a query's answer."""
        return self._one(lambda request: AskRemoved(request, text))

    def _one(self, make: Callable[[int], Message]) -> "Future[Any]":
        request = self._number()
        return self._unknown("sets and exclusions") or self._send((request, -1), make(request))

    def _unknown(self, what: str) -> "Future[Any] | None":
        """What fails at once, where the server is too old to know what is asked."""
        if self._welcome is None or self._welcome.protocol >= EVENTS_SINCE:
            return None
        refused: Future[Any] = Future()
        refused.set_exception(LinkLost(f"the server ({self._welcome.software}) does not know {what}: update it"))
        return refused

    def hints(self, request: int) -> "Future[Hints]":
        """What else must be known to judge an answered query. Fails at once with LinkLost where the server cannot
        tell."""
        return self._unknown("hints") or self._send((request, HINTS), AskHints(request))

    def request(self, make: Callable[[int], Message]) -> "Future[Any]":
        """Send the message that `make` makes of the request's number; the answer to come, of whichever kind. Fails at
        once with LinkLost where the server is too old for any of those that are sent so."""
        request = self._number()
        return self._unknown("what was asked") or self._send((request, -1), make(request))

    def close(self) -> None:
        self._mail.post(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _number(self) -> int:
        with self._lock:
            request = self._next_request
            self._next_request += 1
            return request

    def _send(
        self, key: tuple[int, int], message: Message, progress: Callable[[Progress], None] | None = None
    ) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # a request is cancelled by its number, not through its future
        with self._lock:
            if self._state.phase is not LinkPhase.ONLINE:
                future.set_exception(LinkLost(f"not connected: {self._state.reason}"))
                return future
            made = _Pending(message, future, progress)
            for standing in self._pending[key].chain() if key in self._pending else ():
                if standing.message == message:
                    return standing.future
                if standing.then is None:
                    standing.then = made
                    return future
            self._pending[key] = made
        self._mail.post(message)
        return future

    # --- on the link's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        connection = Connection(context, self._join)
        poller = zmq.Poller()
        poller.register(self._mail.fileno(), zmq.POLLIN)
        connection.register(poller)
        alive = time.monotonic()
        while True:
            poller.poll(20 if self._outbox else POLL_MS)
            for letter in self._mail.take():
                if letter is None:
                    self._change(LinkPhase.CLOSED, "closed")
                    connection.unregister(poller)
                    connection.close()
                    context.term()
                    self._mail.close()
                    return
                if self._state.phase is LinkPhase.ONLINE:  # else its request is gone: nothing to send, or to cancel
                    self._outbox.append(letter)
            connection.unregister(poller)
            try:
                for event in connection.events():
                    self._handle(connection, event)
            except WireError as error:
                self._down(f"the server sent something that is no message: {error}", final=False)
                connection.reopen()
            now = time.monotonic()
            if self._unanswered_since is not None and now - self._unanswered_since > ANSWER_SECONDS:
                self._down(f"{self._join.address} is reached, but has not answered for {ANSWER_SECONDS:.0f} s", False)
                self._unanswered_since = None
                connection.reopen()
            connection.register(poller)
            if self._state.phase is LinkPhase.ONLINE and now - alive > ALIVE_SECONDS:
                self._outbox.append(Alive())
                alive = now
            if self._outbox and self._unanswered_since is None:
                self._unanswered_since = now
            while self._outbox and connection.send(self._outbox[0]):
                self._outbox.pop(0)

    def _handle(self, connection: Connection, event: Up | Down | Message) -> None:
        self._unanswered_since = None
        match event:
            case Up() if self._state.phase is LinkPhase.REFUSED:
                pass  # the same login would be refused again, and again
            case Up():
                self._unanswered_since = time.monotonic()
                self._down(f"connecting to {self._join.address}: reached, no answer yet", final=False)
                connection.send(Hello("console", SOFTWARE, LOWEST, HIGHEST, SCHEMA_VERSION, time.time_ns() // 1000))
            case Down(reason, final):
                self._down(reason, final)
            case Welcome():
                self._welcome = event
                self._unanswered_since = time.monotonic()
                connection.send(self._login)
            case LoggedIn():
                self._change(LinkPhase.ONLINE, f"connected to {self._join.address}", event)
            case Refused(code, reason):
                # Locked after it was logged in: somebody else's failures; it is let in again by and by.
                final = code in FINAL or (code == "locked" and self._state.phase is LinkPhase.CONNECTING)
                self._down(reason, final)
                if self._state.phase is not LinkPhase.REFUSED:
                    time.sleep(RETRY_SECONDS)
                connection.reopen()
            case Progress(request):
                with self._lock:
                    pending = self._pending.get((request, -1))
                if pending is not None and pending.progress is not None:
                    pending.progress(event)
            case Hints(request):
                self._resolve((request, HINTS), event)
            case QueueChanged():
                if self.on_queue is not None:
                    self.on_queue(event)
            case AnnotationChanged():
                if self.on_annotation is not None:
                    self.on_annotation(event)
            case CaseChanged():
                if self.on_case is not None:
                    self.on_case(event)
            case _ if type(event) in ANSWERS:
                self._resolve((event.request, -1), event)  # type: ignore[union-attr]
            case Page(request, first):
                self._resolve((request, first), event)
            case Failed(request):
                with self._lock:
                    keys = [key for key in self._pending if key[0] == request]
                    failed = [item for key in keys for item in self._pending.pop(key).chain()]
                for item in failed:
                    item.future.set_exception(RequestFailed(event))
            case Reported():
                pass  # the answer to ALIVE: it came, and that is all it says

    def _resolve(self, key: tuple[int, int], message: Message) -> None:
        with self._lock:
            pending = self._pending.pop(key, None)
            if pending is not None and pending.then is not None:
                self._pending[key] = pending.then
                self._outbox.append(pending.then.message)
        if pending is not None:
            pending.future.set_result(message)

    def _down(self, reason: str, final: bool) -> None:
        if final:
            self._change(LinkPhase.REFUSED, reason)
        elif self._state.phase is not LinkPhase.REFUSED:
            was_online = self._state.phase in (LinkPhase.ONLINE, LinkPhase.LOST)
            self._change(LinkPhase.LOST if was_online else LinkPhase.CONNECTING, reason)

    def _change(self, phase: LinkPhase, reason: str, login: LoggedIn | None = None) -> None:
        server = self._welcome.software if self._welcome else ""
        with self._lock:
            if self._state.phase is phase and self._state.reason == reason:
                return
            old = self._state
            who = (old.role, old.user, old.limits) if login is None else (login.role, login.user, login.limits)
            self._state = LinkState(phase, reason, time.time(), server, *who)
            gone = []
            if phase is not LinkPhase.ONLINE:
                gone = [item for first in self._pending.values() for item in first.chain()]
                self._pending.clear()
        if phase is not LinkPhase.ONLINE:
            self._outbox.clear()
        for item in gone:
            item.future.set_exception(LinkLost(reason))
        if self._on_state is not None:
            self._on_state(self._state)
