"""Looks among the rows of a result beside the GUI thread, once typing pauses."""

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.state.finding import found

PAUSE_MS = 150


class Finder(QObject):
    """Signals:
    told(str): what the filter leaves, or why it does not work; empty without one.
    """

    told = Signal(str)
    _found = Signal(object)

    def __init__(self, table: SessionTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self.text = ""
        self._pool = ThreadPoolExecutor(1, "finder")
        self._current: Future[Any] | None = None
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self.again)
        self._found.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def typed(self, text: str) -> None:
        """Another text; it is looked for once typing pauses."""
        self.text = text.strip()
        self._pause.start()

    def again(self) -> None:
        """Look anew: the text or the result is another."""
        result = self._table.result
        self._current = None
        if not self.text:
            self._table.filter_here(None)
            self.told.emit("")
            return
        rows = result.everything() if result is not None else None
        if result is None or rows is None:
            self.told.emit("A filter looks through whole results that are loaded; add a condition to the query instead")
            return
        self._current = self._pool.submit(found, self.text, rows, list(self._table.columns), result.answer.sensors)
        self._current.add_done_callback(self._hand)

    def close(self) -> None:
        self._pause.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _hand(self, future: "Future[Any]") -> None:
        with contextlib.suppress(RuntimeError):  # the tab was closed meanwhile
            self._found.emit(future)

    @Slot(object)
    def _deliver(self, future: "Future[Any]") -> None:
        if future is self._current:
            mask, how = future.result()
            self._table.filter_here(mask)
            self.told.emit(f"Filter by {how}: {int(mask.sum()):,} of {len(mask):,} sessions shown")
