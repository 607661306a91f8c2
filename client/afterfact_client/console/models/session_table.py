"""Sessions as a Qt table, virtual over a result's pages: what is looked at is pulled, a few pages at a time."""

from collections.abc import Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal

from afterfact_client.console.models.resolver import Resolver
from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.columns import Column, shown
from afterfact_client.state.marks import Marks, words
from afterfact_client.state.result import PAGE_ROWS, PENDING, Cell, ResultRows
from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import Annotation, Page
from afterfact_protocol.printable import printable
from afterfact_protocol.query.operators import Type

Index = QModelIndex | QPersistentModelIndex
ABSENT = "\N{EN DASH}"
"""Shown for what the source did not know: never a zero, never an empty cell."""
ASCENDING, DESCENDING = "\N{BLACK UP-POINTING SMALL TRIANGLE}", "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
PULLS = 4
"""Pages under way at once."""
SETTLE_MS = 15
"""Pages are asked for once scrolling pauses this long, so that a dragged scroll bar does not ask for all it passes."""

ANNOTATED = {name: name for name in ("src_ip", "dst_ip", "src_port", "dst_port", "session_id")} | {
    "start_time": "session_id"
}
"""Columns that show annotations, and whose these are."""

_NONE = QModelIndex()


class SessionTable(QAbstractTableModel):
    """See the module.

    Signals:
        loaded(): all rows of a small result are here.
        arrived(): a page came.
        trouble(str): rows could not be pulled; why, and what to do.
    """

    loaded = Signal()
    arrived = Signal()
    trouble = Signal(str)

    def __init__(
        self,
        server: Server,
        columns: list[str],
        parent: QObject | None = None,
        resolver: Resolver | None = None,
        forms: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(parent)
        self._resolver = resolver
        self._server = server
        self.columns: list[Column] = shown(columns, forms)
        self.result: ResultRows | None = None
        self.marks = Marks()
        """Annotations."""
        self.order: list[tuple[str, bool]] = []
        """Columns and descending that the header marks, the greatest key first."""
        self._waiting: list[int] = []
        """Pages to ask for, the most wanted last."""
        self._under_way = 0
        self._broken = False
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._pull)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show(self, result: ResultRows | None) -> None:
        """Show another result, or none; one shown before keeps its rows and goes on where it was."""
        self.beginResetModel()
        self.result = result
        self._waiting, self._under_way, self._broken = [], 0, False
        self.endResetModel()
        if result is not None and result.small and not result.complete:
            result.forget_asked()
            self._waiting = list(reversed(result.lacks(0, result.total - 1)))
            self._pull()

    def set_columns(self, names: list[str], forms: Mapping[str, str] = MappingProxyType({})) -> None:
        """Show these columns, in this order, some in another form than the usual one."""
        self.beginResetModel()
        self.columns = shown(names, forms)
        if self.result is not None:
            self.result.forget_texts()
        self.endResetModel()

    def sort_here(self, column: Column | None, descending: bool = False) -> None:
        """Order the rows of a complete result; None is the order in which the server gave them."""
        assert self.result is not None
        self.layoutAboutToBeChanged.emit()
        self.result.sort(column, descending)
        self.layoutChanged.emit()

    def filter_here(self, mask: npt.NDArray[np.bool_] | None) -> None:
        """Show only these rows of a complete result; None shows all."""
        if self.result is not None and (mask is not None or self.result.filtered):
            self.beginResetModel()
            self.result.filter(mask)
            self.endResetModel()

    def show_order(self, order: list[tuple[str, bool]]) -> None:
        """Mark in the header what the rows are sorted by."""
        self.order = order
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(self.columns) - 1)

    def title(self, section: int) -> str:
        """A column's title, with the mark if the rows are sorted by it."""
        column = self.columns[section]
        place = next((at for at, (name, _) in enumerate(self.order) if name == column.name), -1)
        if place < 0:
            return column.title
        number = str(place + 1) if len(self.order) > 1 else ""
        return f"{column.title} {DESCENDING if self.order[place][1] else ASCENDING}{number}"

    def said_of(self, row: int, column: Column) -> list[Annotation]:
        """The annotations of a cell's value; beside the start those of the session itself."""
        values = self.row_values(row) if self.marks and column.name in ANNOTATED else None
        if values is None or self.result is None:
            return []
        return self.marks.of_value(ANNOTATED[column.name], values, self.result.answer.sensors)

    def row_values(self, at: int) -> np.void | None:
        """One row as a record, if it is here."""
        row = self.result.row(at) if self.result is not None else PENDING
        return None if isinstance(row, Cell) else row

    # --- QAbstractTableModel ------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() or self.result is None else self.result.total

    def columnCount(self, parent: Index = _NONE) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or self.result is None:
            return None
        column = self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.text(index.row(), index.column())[0]
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.ToolTipRole:
                return self._tool_tip(index.row(), column)
            case Qt.ItemDataRole.AccessibleTextRole:
                text, known = self.text(index.row(), index.column())
                return f"{column.title} {text if known else 'not known'}"
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Vertical:
            return f"{section + 1:,}" if role == Qt.ItemDataRole.DisplayRole else None
        if not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.title(section)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{column.name}: {column.doc}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def text(self, row: int, column: int) -> tuple[str, bool]:
        """What a cell says, and whether that is a value (else a dash, or that it is still to come)."""
        assert self.result is not None
        text = self.result.text(row, self.columns[column])
        if isinstance(text, str):
            return text, True
        if text is PENDING:
            self.need(row, row)
        return (ABSENT if text is None else text.value), False

    def _tool_tip(self, at: int, column: Column) -> str | None:
        row = self.row_values(at)
        if row is None or self.result is None:
            return None
        value = column.literal(row, self.result.answer.sensors)
        known = self._resolver.known(value) if self._resolver and value and column.type is Type.ADDRESS else None
        more = f"\n{known.words}" if known is not None and known.words else ""
        more += "".join(f"\n{printable(words(one))}" for one in self.said_of(at, column))
        return f"{column.title}: {'not known to the source' if value is None else value}{more}\n{column.doc}"

    # --- pulling ------------------------------------------------------------------------------------------------------

    def need(self, first: int, last: int, at_once: bool = False) -> None:
        """Rows are looked at: pull what is missing of them, before what was wanted earlier; `at_once` without waiting
        for a scroll bar to rest."""
        if self.result is None or self._broken:
            return
        pages = self.result.lacks(first, last)
        if pages:
            self._waiting += reversed(pages)
            if at_once:
                self._pull()
            else:
                self._settle.start()

    def _pull(self) -> None:
        result = self.result
        if result is None:
            return
        if not result.small:
            # Only the latest wishes count: what was scrolled past need not be pulled.
            for page in self._waiting[: -2 * PULLS]:
                result.failed(page)
            self._waiting = self._waiting[-2 * PULLS :]
        while self._waiting and self._under_way < PULLS and not self._broken:
            page = self._waiting.pop()
            self._under_way += 1
            self._server.pull(
                result.answer.request,
                page * PAGE_ROWS,
                PAGE_ROWS,
                lambda future, page=page: self._pulled(result, page, future),  # type: ignore[misc]
            )

    def _pulled(self, result: ResultRows, page: int, future: "Future[Page]") -> None:
        shown = result is self.result
        if shown:
            self._under_way = max(self._under_way - 1, 0)
        try:
            total = result.total
            first, last = result.put(page, future.result().rows)
        except (LinkLost, RequestFailed, WireError) as error:
            result.failed(page)
            if shown and not self._broken and not (isinstance(error, RequestFailed) and error.code == "cancelled"):
                self._broken = True
                self.trouble.emit(f"Rows not yet loaded cannot be fetched: {error}. Run the query again.")
            return
        if result.complete and not result.wanted:
            # All of it is here: the server need not keep it.
            self._server.cancel(result.answer.request)
        if not shown:
            return
        if result.total != total:
            self.beginResetModel()
            self.endResetModel()
        else:
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(self.columns) - 1))
        if result.complete:
            self.loaded.emit()
        self._pull()
        self.arrived.emit()
