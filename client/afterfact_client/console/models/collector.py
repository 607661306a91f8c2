"""Gathers selected rows for copying, pulling those that are not loaded, and makes their text beside the GUI thread."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from PySide6.QtCore import QObject, Qt, Signal, Slot

from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.state.columns import Column
from afterfact_client.state.copying import MOST_ROWS, selection_text
from afterfact_client.state.result import PAGE_ROWS
from afterfact_protocol.records import Records


class Collector(QObject):
    """One copy at a time; a new one replaces it.

    Signals:
        told(str): how it goes, for the status line.
        ready(str): the text for the clipboard.
    """

    told = Signal(str)
    ready = Signal(str)
    _made = Signal(object)

    def __init__(self, table: SessionTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self._pieces: list[tuple[int, int]] = []
        """Row ranges still to gather, each within a page, first to last."""
        self._parts: list[Records] = []
        self._finish: Callable[[], None] | None = None
        self._pool = ThreadPoolExecutor(1, "copy")
        self._current: Future[str] | None = None
        table.arrived.connect(self._step)
        table.modelAboutToBeReset.connect(self.drop)
        self._made.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def collect(self, ranges: list[tuple[int, int]], columns: list[Column], as_csv: bool) -> None:
        """Copy rows (ranges, both ends included) of some columns."""
        rows = sum(last - first + 1 for first, last in ranges)
        result = self._table.result
        if result is None or not rows or not columns:
            return
        if rows > MOST_ROWS:
            self.told.emit(f"Not copied: {rows:,} rows are more than the {MOST_ROWS:,} a clipboard takes. "
                           "Use: afterfact query --format csv -o FILE")  # fmt: skip
            return
        self._pieces = [
            (max(first, page * PAGE_ROWS), min(last, page * PAGE_ROWS + PAGE_ROWS - 1))
            for first, last in ranges
            for page in range(first // PAGE_ROWS, last // PAGE_ROWS + 1)
        ]
        self._parts = []
        sensors = result.answer.sensors

        def finish() -> None:
            self._current = self._pool.submit(selection_text, list(columns), self._parts, sensors, as_csv)
            self._current.add_done_callback(lambda future: self._made.emit((future, rows)))

        self._finish = finish
        self._step()

    def drop(self) -> None:
        """The table shows something else: give up."""
        self._finish, self._pieces, self._parts = None, [], []

    def close(self) -> None:
        self.drop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _step(self) -> None:
        result = self._table.result
        if self._finish is None or result is None:
            return
        while self._pieces:
            first, last = self._pieces[0]
            rows = result.many(first, last)
            if rows is None:
                self.told.emit(f"Copying: {sum(map(len, self._parts)):,} rows gathered")
                self._table.need(first, last)
                return
            self._parts.append(rows)
            self._pieces.pop(0)
        finish, self._finish = self._finish, None
        finish()

    @Slot(object)
    def _deliver(self, made: "tuple[Future[str], int]") -> None:
        future, rows = made
        if future is self._current:
            self.ready.emit(future.result())
            self.told.emit(f"Copied {rows:,} row{'s' * (rows != 1)}")
