"""One tab's query while it runs and after: idle, running, answered, stopped or failed."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_protocol.messages import Answer, Progress, TableAnswer, Which


class RunPhase(Enum):
    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"
    """Esc was pressed; the server has not confirmed yet."""
    ANSWERED = "answered"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a query was not answered; `start` and `end` are places in its text, -1 if it is not about the text."""

    text: str
    start: int = -1
    end: int = -1


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a case's step."""

    case: int
    step: int
    which: Which = "then"


class QueryRun(QObject):
    """Runs one query at a time.

    Signals:
        changed(): phase or progress changed.
        answered(Answer or TableAnswer): a query is done; its rows can be pulled under its request number.
    """

    changed = Signal()
    answered = Signal(object)

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self.phase = RunPhase.IDLE
        self.text = ""
        """The query that runs or ran last."""
        self.progress: Progress | None = None
        self.error: RunError | None = None
        self._started = 0.0
        self._request: int | None = None

    @property
    def running(self) -> bool:
        return self.phase in (RunPhase.RUNNING, RunPhase.STOPPING)

    @property
    def waited(self) -> float:
        """Seconds since it was asked."""
        return time.monotonic() - self._started

    def start(self, text: str, kept: Kept | None = None) -> None:
        """Ask; a query still running is stopped and forgotten. kept: open that in place of asking, as the answer to
        `text`."""
        if self.running and self._request is not None:
            self._server.cancel(self._request)
        self.text, self.progress, self.error = text, None, None
        self._started = time.monotonic()
        self.phase = RunPhase.RUNNING
        calls: list[int] = []
        current: Callable[[], bool] = lambda: bool(calls) and calls[0] == self._request  # noqa: E731

        def progress(told: Progress) -> None:
            if current() and self.running:
                self.progress = told
                self.changed.emit()

        def done(future: "Future[Answer | TableAnswer]") -> None:
            if current():
                self._done(future)
            elif future.exception() is None:
                self._server.cancel(future.result().request)  # answered after all: the server need not keep it

        if kept is None:
            self._request = self._server.ask(text, progress, done)
        else:
            self._request = self._server.evidence(kept.case, kept.step, kept.which, done)
        calls.append(self._request)
        self.changed.emit()

    def stop(self) -> None:
        """Stop what runs; the server confirms."""
        if self.phase is RunPhase.RUNNING and self._request is not None:
            self.phase = RunPhase.STOPPING
            self._server.cancel(self._request)
            self.changed.emit()

    def forget(self) -> None:
        """Back to idle; an answer still to come is dropped."""
        if self.running and self._request is not None:
            self._server.cancel(self._request)
        self._request, self.phase, self.error = None, RunPhase.IDLE, None
        self.changed.emit()

    def _done(self, future: "Future[Answer | TableAnswer]") -> None:
        error = future.exception()
        if error is None:
            self.phase = RunPhase.ANSWERED
            self.changed.emit()
            self.answered.emit(future.result())
            return
        if isinstance(error, RequestFailed) and error.code == "cancelled":
            self.phase = RunPhase.STOPPED
        elif isinstance(error, RequestFailed):
            self.phase, self.error = RunPhase.FAILED, RunError(str(error), error.start, error.end)
        elif isinstance(error, LinkLost):
            self.phase, self.error = RunPhase.FAILED, RunError(f"Not answered: {error}. Run it again when connected.")
        else:
            raise error
        self.changed.emit()
