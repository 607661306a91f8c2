"""Checks a query while it is typed: where it is wrong, or how it reads. Parsing runs beside the GUI thread."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from afterfact_client.state.querytext import time_terms
from afterfact_protocol.query import QueryError, parse, reading

PAUSE_MS = 150
"""Typing has paused when this long no key came."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be said of a text: its reading, or what is wrong from `start` to `end`; nothing of a blank one."""

    text: str
    reading: str = ""
    error: str = ""
    start: int = -1
    end: int = -1
    times: tuple[str, ...] = ()
    """Its conditions on time, as typed."""


def check(text: str) -> Checked:
    """Parse a text and read it back."""
    if not text.strip():
        return Checked(text)
    try:
        now = datetime.now(UTC)
        return Checked(text, reading(parse(text, now)), times=tuple(time_terms(text, now)))
    except QueryError as error:
        return Checked(text, "", error.message, error.start, error.end)


class Checker(QObject):
    """Signals:
    checked(Checked): the newest text given was checked.
    """

    checked = Signal(object)
    _arrived = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._pool = ThreadPoolExecutor(1, "checker")
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self._check)
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def typed(self, text: str) -> None:
        """The text changed; it is checked once typing pauses."""
        self._text = text
        self._pause.start()

    def now(self, text: str) -> None:
        """Check at once."""
        self._text = text
        self._pause.stop()
        self._check()

    def close(self) -> None:
        self._pause.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self) -> None:
        text = self._text
        self._pool.submit(self._work, text)

    def _work(self, text: str) -> None:
        if text != self._text:
            return  # typed on meanwhile
        found = check(text)
        with contextlib.suppress(RuntimeError):  # the tab was closed meanwhile
            self._arrived.emit(found)

    @Slot(object)
    def _deliver(self, found: Checked) -> None:
        if found.text == self._text:
            self.checked.emit(found)
