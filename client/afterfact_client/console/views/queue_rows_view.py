"""The queue's table: its keys dispose of rows, and only while it has the focus.

What a key acts on is what was selected by hand, or by the step to the next row after an act. A row that somebody else
disposed of takes its selection with it: no other is selected in its place, so that a key that was meant for it does
nothing.
"""

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QMenu

from afterfact_client.console.models.queue_table import QueueTable
from afterfact_client.console.views.dense_table import DenseTable
from afterfact_client.queue import Action
from afterfact_client.state.queue_words import ESCALATE, ROW_COLUMNS, act_word

Key = Qt.Key
LETTERS: dict[Qt.Key, Action] = {
    Key.Key_C: "claim", Key.Key_R: "release", Key.Key_A: "assign", Key.Key_N: "comment", Key.Key_O: "reopen",
}  # fmt: skip
PADDING = 12
_SELECT = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows


class QueueRowsView(DenseTable):
    """Signals:
    acted(str, int, bool): an Action, a category, and whether a comment is to be asked for.
    undo_wanted(): take the last act back.
    rule_wanted(): a rule for events like those of the current row.
    focused(bool): keys act here now, or no more.
    """

    acted = Signal(str, int, bool)
    undo_wanted = Signal()
    rule_wanted = Signal()
    focused = Signal(bool)

    def __init__(self, table: QueueTable) -> None:
        super().__init__("Queue", [column.sample for column in ROW_COLUMNS])
        self.table = table
        self.menu: QMenu | None = None
        self.setModel(table)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        across = self.horizontalHeader()
        across.setSectionsClickable(True)
        across.sectionClicked.connect(table.sort_by)
        # A header asks of every section whether all of it is selected, cell by cell.
        none = QItemSelectionModel(table, self)
        across.setSelectionModel(none)
        self.verticalHeader().setSelectionModel(none)
        self._kept: tuple[list[int], int] = ([], 0)
        self._anchor: tuple[int, int] | None = None
        table.changing.connect(self._drop_anchor)
        table.settled.connect(self._weigh_anchor)
        table.modelAboutToBeReset.connect(self._keep)
        table.modelReset.connect(self._put_back)
        self.restyle()

    # --- what is selected ---------------------------------------------------------------------------------------------

    def chosen(self) -> list[int]:
        """Selected rows, from the top."""
        parts = self.selectionModel().selection().toList()
        return sorted({row for part in parts for row in range(part.top(), part.bottom() + 1)})

    def select(self, row: int) -> None:
        """This row alone."""
        self.selectionModel().setCurrentIndex(self.table.index(row, 0), _SELECT)
        self.scrollTo(self.table.index(row, 0))

    def select_numbers(self, numbers: list[int]) -> None:
        """Those of these rows of the queue that are shown."""
        rows = [row for number in numbers if (row := self.table.row_of(number)) >= 0]
        for at, row in enumerate(rows):
            index = self.table.index(row, 0)
            if not at:
                self.select(row)
            else:
                flag = QItemSelectionModel.SelectionFlag
                self.selectionModel().select(index, flag.Select | flag.Rows)

    def in_sight(self) -> bool:
        """Whether the current row is on screen."""
        return self.visualRect(self.currentIndex()).intersects(self.viewport().rect())

    def _drop_anchor(self) -> None:
        """Remember where on screen the current row is, if it is."""
        index, top = self.currentIndex(), self.verticalScrollBar().value()
        self._anchor = (self.table.number(index.row()), index.row() - top) if self.in_sight() else None

    def _weigh_anchor(self) -> None:
        """Have it there again: what is raised over it does not push it away, nor out of sight."""
        anchor, self._anchor = self._anchor, None
        row = self.table.row_of(anchor[0]) if anchor is not None else -1
        bar = self.verticalScrollBar()
        if anchor is None or row < 0 or row != self.currentIndex().row() or (not bar.value() and self.in_sight()):
            return
        bar.setValue(row - anchor[1])

    def _keep(self) -> None:
        current = self.currentIndex().row()
        rows = self.chosen()
        if len(rows) < 1000:
            self._kept = ([self.table.number(row) for row in rows], self.table.number(current) if current >= 0 else 0)

    def _put_back(self) -> None:
        (numbers, current), self._kept = self._kept, ([], 0)
        self.select_numbers(numbers)
        row = self.table.row_of(current) if current else -1
        if row >= 0:
            self.selectionModel().setCurrentIndex(self.table.index(row, 0), QItemSelectionModel.SelectionFlag.NoUpdate)

    # --- events -------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, modifiers = event.key(), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        none, shift = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
        if Key.Key_F1 <= key <= Key.Key_F9 and modifiers in (none, shift):
            if not event.isAutoRepeat():  # a key that is held down disposes of one row, not of the queue
                number = key - Key.Key_F1 + 1
                self.acted.emit(
                    "escalate" if number == ESCALATE else "categorise", number, number == ESCALATE or modifiers == shift
                )
        elif key in LETTERS and modifiers == none:
            if not event.isAutoRepeat():
                action = LETTERS[Qt.Key(key)]
                self.acted.emit(action, 0, action in ("assign", "comment"))
        elif event.matches(QKeySequence.StandardKey.Undo):
            if not event.isAutoRepeat():
                self.undo_wanted.emit()
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif key in (Key.Key_Up, Key.Key_Down) and not self.chosen() and self.table.rowCount():
            self.select(max(self.currentIndex().row(), 0))
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def copy(self) -> None:
        """Copy the selected rows with a header, tab-separated."""
        rows = self.chosen()
        if rows:
            lines = [[column.title for column in ROW_COLUMNS]]
            lines += [[self.table.text(row, at) for at in range(len(ROW_COLUMNS))] for row in rows]
            QGuiApplication.clipboard().setText("".join("\t".join(line) + "\n" for line in lines))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_key = event.reason() is QContextMenuEvent.Reason.Keyboard
        index = self.currentIndex() if by_key else self.indexAt(event.pos())
        if not index.isValid():
            return
        if index.row() not in self.chosen():
            self.select(index.row())
        below = self.viewport().mapToGlobal(QPoint(PADDING, self.visualRect(index).bottom()))
        self.open_menu(below if by_key else event.globalPos())

    def open_menu(self, at: QPoint) -> None:
        """What can be done with the selected rows."""
        self.menu = menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("&Sessions around the newest event\tEnter", self.open_current)
        menu.addSeparator()
        for number in range(1, ESCALATE):
            self._add_act(f"{act_word('categorise', number, '')}\tF{number}", "categorise", number)
        self._add_act("&Escalate ...\tF9", "escalate", ESCALATE)
        menu.addSeparator()
        self._add_act("&Claim\tC", "claim")
        self._add_act("&Release\tR", "release")
        self._add_act("&Assign ...\tA", "assign")
        self._add_act("Comme&nt ...\tN", "comment")
        self._add_act("Re&open\tO", "reopen")
        menu.addSeparator()
        menu.addAction("&Undo the last act\tCtrl+Z", self.undo_wanted.emit)
        menu.addAction("Cop&y\tCtrl+C", self.copy)
        menu.addAction("Autocategorise events &like this ...", self.rule_wanted.emit)
        menu.popup(at)

    def _add_act(self, title: str, action: Action, status: int = 0) -> None:
        assert self.menu is not None
        commented = action in ("escalate", "assign", "comment")
        self.menu.addAction(title).triggered.connect(lambda: self.acted.emit(action, status, commented))

    def open_current(self) -> None:
        """Ask for the sessions around the current row."""
        if self.currentIndex().isValid():
            self.opened.emit(self.currentIndex())

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focused.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focused.emit(False)
