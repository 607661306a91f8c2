"""One row of the queue: its events, told in parts as they are looked at, and what was done with it."""

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from afterfact_client.console.models.header import header
from afterfact_client.console.models.queue_desk import QueueDesk
from afterfact_client.state.packed import Packed
from afterfact_client.state.queue_words import ACTION_TITLES, EVENT_COLUMNS, EVENT_KINDS, action_cells, plain_tip
from afterfact_protocol.messages import QueueEvents, QueueHistory

_NONE = QModelIndex()


class RowEvents(QAbstractTableModel):
    """Events of a row, the oldest first.

    Signals:
        told(): more of them are here, or none can be.
    """

    told = Signal()

    def __init__(self, desk: QueueDesk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._row = 0
        self._load = 0
        self._asking = False
        self._size = 0
        self._events = Packed(EVENT_KINDS)
        self.whole = True
        """Whether all are here."""
        self.failed = False

    def show_row(self, row: int) -> None:
        """Have the events of a row told; 0: of none."""
        self._load += 1
        self.beginResetModel()
        self._row, self._size, self._events = row, 0, Packed(EVENT_KINDS)
        self.whole, self.failed, self._asking = not row, False, False
        self.endResetModel()
        if row:
            self._ask()

    def look_for_more(self) -> None:
        """The row has more events than it had."""
        if self.whole and not self.failed and self._row:
            self._ask()

    def _ask(self) -> None:
        self._asking, self.whole = True, False
        load = self._load
        after = self.number(self._size - 1) if self._size else 0
        self._desk.events(self._row, after, lambda answer: self._take(load, answer))

    def _take(self, load: int, answer: "QueueEvents | None") -> None:
        if load != self._load:
            return
        self._asking = False
        if answer is None:
            self.whole = self.failed = True
        else:
            self.whole = answer.ended or not answer.events
            if answer.events:
                self.beginInsertRows(_NONE, self._size, self._size + len(answer.events) - 1)
                self._events.put(self._events.take_slots(len(answer.events)), answer.events)
                self._size += len(answer.events)
                self.endInsertRows()
        self.told.emit()

    def number(self, row: int) -> int:
        """The number of an event."""
        return self._events.number("number", row)

    def cell(self, row: int, section: int) -> tuple[str, str]:
        """A text and its tone."""
        return EVENT_COLUMNS[section].text(self._events, row), "text"

    def right(self, section: int) -> bool:
        """Whether a column's texts stand at its right."""
        return EVENT_COLUMNS[section].right

    def canFetchMore(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> bool:
        return not parent.isValid() and not self.whole and not self._asking

    def fetchMore(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> None:
        if self.canFetchMore(parent):
            self._ask()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else self._size

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(EVENT_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        return header(EVENT_COLUMNS, section, orientation, role)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column = EVENT_COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(self._events, index.row())
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(column.text(self._events, index.row()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None


class RowHistory(QAbstractTableModel):
    """What was done, the oldest first.

    Signals:
        told(): it is here, or cannot be.
    """

    told = Signal()

    def __init__(self, desk: QueueDesk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._load = 0
        self.failed = False
        self.loading = False
        self._cells: list[tuple[str, ...]] = []

    def show_row(self, row: int, event: int, keep: bool = False) -> None:
        """Have the history of an event of a row told, which is the row's and, of a part of a row, the whole's; 0: of
        none. keep: show what is here until then."""
        self._load += 1
        load = self._load
        self.failed, self.loading = False, bool(row)
        if not keep:
            self._show([])
        if row:
            self._desk.history(row, event, lambda answer: self._take(load, answer))

    def _take(self, load: int, answer: "QueueHistory | None") -> None:
        if load != self._load:
            return
        self.loading, self.failed = False, answer is None
        self._show([] if answer is None else [action_cells(action) for action in answer.actions])
        self.told.emit()

    def cell(self, row: int, section: int) -> tuple[str, str]:
        """A text and its tone."""
        return self._cells[row][section], "text"

    def right(self, section: int) -> bool:
        """Whether a column's texts stand at its right."""
        return ACTION_TITLES[section] == "Events"

    def _show(self, cells: list[tuple[str, ...]]) -> None:
        if cells != self._cells:
            self.beginResetModel()
            self._cells = cells
            self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self._cells)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(ACTION_TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return ACTION_TITLES[section] if 0 <= section < len(ACTION_TITLES) else None
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        cell = self._cells[index.row()][index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(cell)
        return cell if role == Qt.ItemDataRole.DisplayRole else None
