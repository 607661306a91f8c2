"""The connection as the GUI uses it: requests go out, answers come back as calls on the GUI thread.

Nothing here waits. The link's own thread hands every callback over by a queued signal.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from PySide6.QtCore import QObject, Qt, Signal, SignalInstance, Slot

from afterfact_client.link import Link, LinkPhase, LinkState
from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import (
    AnnotationChanged,
    Answer,
    CaseChanged,
    Hints,
    Message,
    Page,
    Progress,
    QueueChanged,
    SensorHealth,
    Status,
    TableAnswer,
    Which,
)


class LinkLike(Protocol):
    """What of a Link the console uses."""

    on_queue: Callable[[QueueChanged], None] | None
    on_case: Callable[[CaseChanged], None] | None
    on_annotation: Callable[[AnnotationChanged], None] | None

    @property
    def state(self) -> LinkState: ...
    def ask(
        self, text: str, everything: bool = False, progress: Callable[[Progress], None] | None = None
    ) -> "tuple[int, Future[Answer | TableAnswer]]": ...
    def evidence(self, case: int, step: int, which: Which = "then") -> "tuple[int, Future[Answer]]": ...
    def pull(self, request: int, first: int, count: int) -> "Future[Page]": ...
    def cancel(self, request: int) -> None: ...
    def hints(self, request: int) -> "Future[Hints]": ...
    def status(self) -> "Future[Status]": ...
    def health(self, sensor: str, start: int, end: int, points: int) -> "Future[SensorHealth]": ...
    def request(self, make: Callable[[int], Message]) -> "Future[Any]": ...
    def close(self) -> None: ...


MakeLink = Callable[[Join, str, str, Callable[[LinkState], None]], LinkLike]
OnState = Callable[[LinkState], None]


class Server(QObject):
    """One server, logged in to or not.

    Signals:
        state_changed(LinkState): the connection changed.
        queue_changed(QueueChanged): the server told of the queue; in the order of the answers to `request`.
        case_changed(CaseChanged), annotation_changed(AnnotationChanged): it told of a case, of an annotation.
    """

    state_changed = Signal(object)
    queue_changed = Signal(object)
    case_changed = Signal(object)
    annotation_changed = Signal(object)
    _handed = Signal(object)

    def __init__(self, join: Join, make_link: MakeLink = Link, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.join = join
        self.user = ""
        self.last_good = 0.0
        """time.time() when the server last answered anything."""
        self._make_link = make_link
        self._link: LinkLike | None = None
        self._login = 0
        self._closers: list[threading.Thread] = []
        self._handed.connect(self._run, Qt.ConnectionType.QueuedConnection)

    # --- connection ---------------------------------------------------------------------------------------------------

    @property
    def state(self) -> LinkState:
        if self._link is None:
            return LinkState(LinkPhase.CLOSED, "not logged in", 0.0)
        return self._link.state

    @property
    def online(self) -> bool:
        return self.state.phase is LinkPhase.ONLINE

    def log_in(self, user: str, password: str) -> None:
        """Connect anew as `user`; what becomes of it is told by state_changed."""
        self.log_out()
        self._login += 1
        login = self._login
        self.user = user
        # The first event may come before the link is assigned: `state` is asked again when it arrives here.
        self._link = self._make_link(
            self.join, user, password, lambda state: self._hand(lambda: self._changed(login, state))
        )
        self._link.on_queue = lambda told: self._hand(lambda: self._queue_changed(login, told))
        self._link.on_case = lambda told: self._hand(lambda: self._news(login, self.case_changed, told))
        self._link.on_annotation = lambda told: self._hand(lambda: self._news(login, self.annotation_changed, told))
        self.state_changed.emit(self._link.state)

    def log_out(self) -> None:
        """Close the connection, without waiting for it."""
        if self._link is not None:
            # A link may need a moment to end; the window does not wait for it.
            closer = threading.Thread(target=self._link.close, name="link-close")
            closer.start()
            self._closers = [thread for thread in self._closers if thread.is_alive()] + [closer]
            self._link = None
            self._login += 1

    def close(self) -> None:
        """End for good and wait; call it when no window shows any more."""
        self.log_out()
        for closer in self._closers:
            closer.join()

    def _changed(self, login: int, state: LinkState) -> None:
        if login != self._login:
            return
        if state.phase is LinkPhase.ONLINE:
            self.last_good = time.time()
        self.state_changed.emit(state)

    def _queue_changed(self, login: int, told: QueueChanged) -> None:
        if login == self._login:
            self.queue_changed.emit(told)

    def _news(self, login: int, signal: SignalInstance, told: object) -> None:
        if login == self._login:
            signal.emit(told)

    # --- requests -----------------------------------------------------------------------------------------------------

    def ask(
        self,
        text: str,
        on_progress: Callable[[Progress], None],
        on_done: "Callable[[Future[Answer | TableAnswer]], None]",
    ) -> int:
        """Run a query; its number. Both callbacks come on the GUI thread."""
        link = self._need()
        request, future = link.ask(text, False, lambda told: self._hand(lambda: on_progress(told)))
        self._when(future, on_done)
        return request

    def evidence(self, case: int, step: int, which: Which, on_done: "Callable[[Future[Any]], None]") -> int:
        """Open what is kept of a case's step; its number, under which rows are pulled."""
        request, future = self._need().evidence(case, step, which)
        self._when(future, on_done)
        return request

    def pull(self, request: int, first: int, count: int, on_done: "Callable[[Future[Page]], None]") -> None:
        self._when(self._need().pull(request, first, count), on_done)

    def cancel(self, request: int) -> None:
        if self._link is not None:
            self._link.cancel(request)

    def hints(self, request: int, on_done: "Callable[[Future[Hints]], None]") -> None:
        self._when(self._need().hints(request), on_done)

    def status(self, on_done: "Callable[[Future[Status]], None]") -> None:
        self._when(self._need().status(), on_done)

    def health(
        self, sensor: str, start: int, end: int, points: int, on_done: "Callable[[Future[SensorHealth]], None]"
    ) -> None:
        self._when(self._need().health(sensor, start, end, points), on_done)

    def request(self, make: Callable[[int], Message], on_done: "Callable[[Future[Any]], None]") -> None:
        """Send the message that `make` makes of the request's number."""
        self._when(self._need().request(make), on_done)

    def _need(self) -> LinkLike:
        assert self._link is not None, "a request before logging in"
        return self._link

    def _when(self, future: "Future[Any]", on_done: "Callable[[Future[Any]], None]") -> None:
        def done(finished: "Future[Any]") -> None:
            if finished.exception() is None:
                self.last_good = time.time()
            self._hand(lambda: on_done(finished))

        future.add_done_callback(done)

    def _hand(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # window and this object are gone; nobody is left to tell
            self._handed.emit(call)

    @Slot(object)
    def _run(self, call: Callable[[], None]) -> None:
        call()
