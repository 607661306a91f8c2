"""The queue as a table: follows a QueueDesk. A row that leaves takes its selection with it; the others keep theirs."""

from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from afterfact_client.console.models.header import header
from afterfact_client.console.models.queue_desk import QueueDesk
from afterfact_client.state.packed import Slots
from afterfact_client.state.queue_rows import Member, Shown
from afterfact_client.state.queue_words import ROW_COLUMNS, plain_tip, row_details

_NONE = QModelIndex()
MOST_STEPS = 64
"""More parts than this that come or go at a time are told as a whole new table."""


class QueueTable(QAbstractTableModel):
    """A row of the queue a row, by default those raised last first.

    Signals:
        changing(): rows are about to come, leave or move, all that the server told at a time.
        settled(): they did.
    """

    changing = Signal()
    settled = Signal()

    def __init__(self, desk: QueueDesk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.desk = desk
        self.shown: Shown = "open"
        self.words = ""
        self.by, self.descending = "raised", True
        self._rows = desk.rows
        self.slots: Slots = np.zeros(0, np.int64)
        """What is in which row."""
        desk.changed.connect(self.refresh)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_list(self, shown: Shown) -> None:
        """Show another of the three lists."""
        self.shown = shown
        self._reset()
        self.desk.want_closed(shown == "closed")

    def filter(self, words: str) -> None:
        """Show those that have all of these words."""
        self.words = words
        self.refresh()

    def sort_by(self, section: int) -> None:
        """A click on a title: once, the other way round, then as it was."""
        column = ROW_COLUMNS[section]
        if self.by != column.by:
            self.by, self.descending = column.by, column.largest_first
        elif self.descending == column.largest_first:
            self.descending = not self.descending
        else:
            self.by, self.descending = "raised", True
        self.refresh()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(ROW_COLUMNS) - 1)

    def refresh(self) -> None:
        """Rows changed: tell what left, moved, came, and is not what it was."""
        if self._rows is not self.desk.rows:  # somebody else's queue
            self._rows = self.desk.rows
            self._reset()
            return
        self.changing.emit()
        self._tell()
        self.settled.emit()

    def _tell(self) -> None:
        old, new = self.slots, self._order()
        staying = np.isin(old, new, assume_unique=True)
        fresh = ~np.isin(new, old, assume_unique=True)
        gone, came = _parts(~staying), _parts(fresh)
        if len(gone) + len(came) > MOST_STEPS:
            self._reset()
        else:
            for first, last in reversed(gone):
                self.beginRemoveRows(_NONE, first, last)
                self.slots = np.delete(self.slots, slice(first, last + 1))
                self.endRemoveRows()
            self._move(new[~fresh])
            for first, last in came:
                self.beginInsertRows(_NONE, first, last)
                self.slots = np.insert(self.slots, first, new[first : last + 1])
                self.endInsertRows()
            if len(new):
                self.dataChanged.emit(self.index(0, 0), self.index(len(new) - 1, len(ROW_COLUMNS) - 1))

    def _order(self) -> Slots:
        return self._rows.order(self.shown, self.by, self.descending, self.words)

    def _reset(self) -> None:
        self.beginResetModel()
        self.slots = self._order()
        self.endResetModel()

    def _move(self, order: Slots) -> None:
        """The same rows in another order."""
        if np.array_equal(order, self.slots):
            return
        self.layoutAboutToBeChanged.emit()
        before, self.slots = self.slots, order
        at = np.empty(int(order.max()) + 1, np.int64)
        at[order] = np.arange(len(order))
        for index in self.persistentIndexList():
            self.changePersistentIndex(index, self.index(int(at[before[index.row()]]), index.column()))
        self.layoutChanged.emit()

    # --- rows ---------------------------------------------------------------------------------------------------------

    def number(self, row: int) -> int:
        """The queue's number of a row."""
        return self.value(row, "number")

    def row_of(self, number: int) -> int:
        """Where a row of the queue stands; -1: it is not shown."""
        slot = self._rows.slot_of(number)
        if slot is None:
            return -1
        found = np.flatnonzero(self.slots == slot)
        return int(found[0]) if len(found) else -1

    def acting(self, row: int) -> bool:
        """Whether an act with it is on its way."""
        return self._rows.acting(int(self.slots[row]))

    def members(self, rows: list[int]) -> tuple[tuple[Member, ...], int]:
        """Rows as they are shown now, and how many events they have."""
        slots = [int(self.slots[row]) for row in rows]
        return self._rows.members(slots), sum(self._rows.number("count", slot) for slot in slots)

    def value(self, row: int, name: str) -> int:
        """A number of a row: count, last_event, ..."""
        return self._rows.number(name, int(self.slots[row]))

    def word(self, row: int, name: str) -> str:
        """A text of a row, as the server told it."""
        return self._rows.text(name, int(self.slots[row]))

    def cell(self, row: int, section: int) -> tuple[str, str]:
        """A text and its tone, dim while an act is on its way."""
        column, slot = ROW_COLUMNS[section], int(self.slots[row])
        return column.text(self._rows, slot), "dim" if self._rows.acting(slot) else column.tone(self._rows, slot)

    def right(self, section: int) -> bool:
        """Whether a column's texts stand at its right."""
        return ROW_COLUMNS[section].right

    def text(self, row: int, section: int) -> str:
        return ROW_COLUMNS[section].text(self._rows, int(self.slots[row]))

    # --- the model ----------------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self.slots)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(ROW_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        text = header(ROW_COLUMNS, section, orientation, role)
        if text is not None and role == Qt.ItemDataRole.DisplayRole and ROW_COLUMNS[section].by == self.by:
            return f"{text} {'▾' if self.descending else '▴'}"
        return text

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column, slot = ROW_COLUMNS[index.column()], int(self.slots[index.row()])
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(self._rows, slot)
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(row_details(self._rows, slot))
        return None


def _parts(chosen: "np.typing.NDArray[np.bool_]") -> list[tuple[int, int]]:
    """Runs of True, as first and last places."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False]))))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
