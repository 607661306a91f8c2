"""A table that was made of sessions as a Qt table: all its rows are pulled, then it sorts by any column here."""

from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.console.models.session_table import ABSENT, ASCENDING, DESCENDING
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.profile import key_condition
from afterfact_client.state.table import Table, rows_from_bytes
from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import MAX_BATCH_BYTES, Page, TableAnswer
from afterfact_protocol.query.columns import layout

Index = QModelIndex | QPersistentModelIndex
MOST_ROWS = 100_000
"""Rows that are pulled and shown; `afterfact query` writes all of a larger table."""
BLOCK = 64
"""Rows whose texts are made together."""
MOST_PULL = 4096
_NONE = QModelIndex()


class AggregateTable(QAbstractTableModel):
    """See the module.

    Signals:
        loaded(): all rows that are shown are here.
        trouble(str): rows could not be pulled; why, and what to do.
    """

    OTHER = Qt.ItemDataRole.UserRole + 1
    """Whether the row sums up the rest."""

    loaded = Signal()
    trouble = Signal(str)

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self.answer: TableAnswer | None = None
        self.table: Table | None = None
        """The rows, once all are here."""
        self._parts: list[bytes] = []
        self._shown: list[int] = []
        self._order: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self.sorted_by: tuple[int, bool] | None = None
        """Column (of those shown) and descending, once the analyst sorted."""
        self._texts: dict[tuple[int, int], list[str | None]] = {}

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_answer(self, answer: TableAnswer | None) -> None:
        """Show another table, or none."""
        self.close_down()
        self.beginResetModel()
        self.answer, self.table, self._parts, self._shown, self._texts = answer, None, [], [], {}
        self._order, self.sorted_by = np.zeros(0, np.intp), None
        self.endResetModel()
        if answer is not None and answer.total:
            self._pull(answer, 0)
        elif answer is not None:
            self._server.cancel(answer.request)

    def close_down(self) -> None:
        """The server need not keep rows that are no longer wanted."""
        if self.answer is not None and self.answer.total and self.table is None:
            self._server.cancel(self.answer.request)

    @property
    def cut(self) -> int:
        """Rows of the table that are not shown, for there are too many."""
        return max(0, self.answer.total - MOST_ROWS) if self.answer is not None else 0

    def _pull(self, answer: TableAnswer, first: int) -> None:
        size = min(MOST_PULL, MAX_BATCH_BYTES // layout(answer.columns).itemsize)

        def done(future: "Future[Page]") -> None:
            if self.answer is not answer:
                return
            error = future.exception()
            if error is None:
                self._parts.append(future.result().rows)
                if first + size < min(answer.total, MOST_ROWS):
                    self._pull(answer, first + size)
                else:
                    self._complete(answer)
            elif isinstance(error, RequestFailed | LinkLost):
                self.trouble.emit(f"The table's rows cannot be shown: {error}. Run the query again.")
            else:
                raise error

        self._server.pull(answer.request, first, size, done)

    def _complete(self, answer: TableAnswer) -> None:
        try:
            table = Table(answer, rows_from_bytes(answer, b"".join(self._parts))[:MOST_ROWS])
        except WireError as error:
            self.trouble.emit(f"The table's rows cannot be read: {error}.")
            return
        self.beginResetModel()
        self.table, self._parts = table, []
        self._shown = table.shown()
        self._order = np.arange(len(table))
        self.endResetModel()
        self._server.cancel(answer.request)  # all of it is here
        self.loaded.emit()

    def sort_by(self, section: int) -> None:
        """A click on a header: numbers and times begin with the largest, the second click turns it round."""
        if self.table is None:
            return
        first = self.table.right(self._shown[section])
        again = self.sorted_by is not None and self.sorted_by[0] == section
        descending = not self.sorted_by[1] if again and self.sorted_by is not None else first
        self.layoutAboutToBeChanged.emit()
        self.sorted_by = (section, descending)
        self._order = self.table.order(self._shown[section], descending)
        self._texts = {}
        self.layoutChanged.emit()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(self._shown) - 1)

    def behind(self, row: int) -> str | None:
        """The query for the sessions of a row as shown; None where no query says which these are."""
        return self.table.behind(int(self._order[row])) if self.table is not None else None

    def key(self, row: int, section: int) -> tuple[str, str, str] | None:
        """Of a cell of what the table is by: the field, the value as text (empty where it is not known), the condition
        that finds it; None of other cells, and of what sums up the rest."""
        if self.table is None:
            return None
        at, place = self._shown[section], int(self._order[row])
        column = self.table.columns[at]
        if column.role != "key" or self.table.rows["other"][place]:
            return None
        part = Table(self.table.answer, self.table.rows[place : place + 1])
        text = part.texts(at)[0]
        return column.name, text or "", key_condition(part, at, 0, column.name, text)

    def selection_text(self, rows: list[int], sections: list[int], as_csv: bool) -> str:
        """A header, then a line a row, exact, apart by tabs or as CSV."""
        if self.table is None:
            return ""
        part = Table(self.table.answer, self.table.rows[self._order[rows]])
        return part.csv([self._shown[at] for at in sections], "," if as_csv else "\t")

    def whole(self) -> str:
        """All that is here as CSV, in the order shown."""
        if self.table is None:
            return ""
        part = Table(self.table.answer, self.table.rows[self._order])
        return part.csv(list(range(len(part.columns))), ",")

    # --- Qt -----------------------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() or self.table is None else len(self.table)

    def columnCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Vertical or self.table is None:
            return section + 1 if role == Qt.ItemDataRole.DisplayRole else None
        column = self.table.columns[self._shown[section]]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                mark = ""
                if self.sorted_by is not None and self.sorted_by[0] == section:
                    mark = f" {DESCENDING if self.sorted_by[1] else ASCENDING}"
                return column.name + mark
            case Qt.ItemDataRole.ToolTipRole:
                return f"{column.name}: {column.unit or column.kind}"
            case Qt.ItemDataRole.TextAlignmentRole:
                return self._side(section)
        return None

    def _side(self, section: int) -> Qt.AlignmentFlag:
        right = self.table is not None and self.table.right(self._shown[section])
        return (Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter

    def text(self, row: int, section: int) -> str:
        """What a cell shows."""
        assert self.table is not None
        at, block = self._shown[section], row // BLOCK
        if (at, block) not in self._texts:
            rows = self.table.rows[self._order[block * BLOCK : (block + 1) * BLOCK]]
            self._texts[at, block] = Table(self.table.answer, rows).texts(at)
        found = self._texts[at, block][row % BLOCK]
        return ABSENT if found is None else found

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or self.table is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.text(index.row(), index.column())
            case Qt.ItemDataRole.TextAlignmentRole:
                return self._side(index.column())
            case self.OTHER:
                return bool(self.table.rows["other"][self._order[index.row()]])
        return None
