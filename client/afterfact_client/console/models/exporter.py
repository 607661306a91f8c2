"""Writes a whole result into a CSV file, page by page beside the GUI thread: all rows there are, in bounded memory."""

import contextlib
import csv
import os
from concurrent.futures import Future, ThreadPoolExecutor
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.state.columns import Column
from afterfact_client.state.disk import MODE
from afterfact_client.state.result import PAGE_ROWS, ResultRows
from afterfact_protocol.records import Records

AHEAD = 4
"""Pages that are under way while one is written."""


class Exporter(QObject):
    """One export at a time. The file appears under its name only once it is whole.

    Signals:
        told(str): how it goes, for the status line.
    """

    told = Signal(str)
    _written = Signal(object)

    def __init__(self, table: SessionTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self._pool = ThreadPoolExecutor(1, "export")
        self._result: ResultRows | None = None
        self._columns: list[Column] = []
        self._path = Path()
        self._file: TextIOWrapper | None = None
        self._next = self._rows = 0
        self._writing = False
        table.arrived.connect(self._step)
        table.modelAboutToBeReset.connect(lambda: self.stop("the table shows something else"))
        table.trouble.connect(self.stop)
        self._written.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def running(self) -> bool:
        """Whether rows are still to be written."""
        return self._file is not None

    def export(self, path: Path, columns: list[Column]) -> None:
        """Write all rows of the result shown, in its order, with these columns."""
        self.stop("another export began")
        result = self._table.result
        if result is None:
            return
        self._result, self._columns, self._path = result, columns, path
        self._next = self._rows = 0
        try:
            self._file = _open(self._part)
        except OSError as error:
            self.told.emit(f"Not exported: {path}: {error.strerror}")
            return
        csv.writer(self._file, lineterminator="\n").writerow([column.name for column in columns])
        self._step()

    def stop(self, why: str = "") -> None:
        """Give up; nothing is left of the file."""
        if self._file is None:
            return
        file, self._file = self._file, None
        self._pool.submit(_drop, file, self._part)
        self.told.emit(f"Not exported: {why}")

    def close(self) -> None:
        """The tab goes away."""
        if self._file is not None:
            self.stop("the tab was closed")
        self._pool.shutdown(wait=True)

    @property
    def _part(self) -> Path:
        return self._path.with_name(f"{self._path.name}.part")

    def _step(self) -> None:
        """Hand the next page to the writer, or have it pulled."""
        result, file = self._result, self._file
        if file is None or result is None or self._writing:
            return
        if self._next >= result.total:
            self._file = None
            self._submit(self._pool.submit(_finish, file, self._part, self._path))
            return
        last = min(self._next - self._next % PAGE_ROWS + PAGE_ROWS, result.total) - 1
        rows = result.many(self._next, last)
        self._table.need(self._next, min(self._next + AHEAD * PAGE_ROWS, result.total) - 1, at_once=True)
        if rows is None:
            return
        self._next = last + 1
        self._rows += len(rows)
        self._submit(self._pool.submit(_write, file, self._columns, rows, result.answer.sensors))

    def _submit(self, future: "Future[Any]") -> None:
        self._writing = True
        future.add_done_callback(self._hand)

    def _hand(self, future: "Future[Any]") -> None:
        with contextlib.suppress(RuntimeError):  # the tab was closed meanwhile
            self._written.emit(future)

    @Slot(object)
    def _deliver(self, future: "Future[Any]") -> None:
        self._writing = False
        error = future.exception()
        if isinstance(error, OSError):
            why = f"{self._path}: {error.strerror}"
            if self._file is not None:
                self.stop(why)
            else:  # the last step, which closes it
                self.told.emit(f"Not exported: {why}")
        elif error is not None:
            raise error
        elif future.result():
            self.told.emit(f"Exported {self._rows:,} rows to {self._path}")
        else:
            if self._next % (40 * PAGE_ROWS) == 0 and self._result is not None:
                self.told.emit(f"Exporting: {self._rows:,} of {self._result.total:,} rows")
            self._step()


def _open(path: Path) -> TextIOWrapper:
    """Readable by its owner alone, as all that names hosts under investigation."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE), "w", encoding="utf-8", newline="")


def _write(file: TextIOWrapper, columns: list[Column], rows: Records, sensors: dict[int, str]) -> bool:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(zip(*(column.exact(rows, sensors) for column in columns), strict=True))
    return False


def _finish(file: TextIOWrapper, part: Path, path: Path) -> bool:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    part.replace(path)
    return True


def _drop(file: TextIOWrapper, part: Path) -> None:
    try:
        file.close()
    finally:
        part.unlink(missing_ok=True)
