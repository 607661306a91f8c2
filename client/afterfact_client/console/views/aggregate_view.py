"""The view of a table that was made of sessions: sorts, copies, exports, and asks for the sessions behind a row."""

import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QFileDialog, QMenu, QTableView, QWidget

from afterfact_client.console.models.aggregate_table import AggregateTable
from afterfact_client.console.views.theme import LOOK

MOST_WIDTH = 420
MOST_ADDED = 5_000
"""Selected values that a set takes from here."""
Offer = tuple[str, str, Callable[[], None]]
"""What an entry says, its tool tip, and what it does."""


class AggregateView(QTableView):
    """Signals:
    asked(str, bool): a query for the sessions behind a row; True for a tab of its own.
    told(str): a short word for the status line.
    """

    asked = Signal(str, bool)
    told = Signal(str)

    def __init__(self, table: AggregateTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = table
        self.menu: QMenu | None = None
        self.offers: Callable[[str, str, str, list[str]], list[Offer]] = lambda *_: []
        """What is offered of a value that the table is by: its field, its text, its condition, the texts selected of
        that column."""
        self.setModel(table)
        self.setAccessibleName("Table")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        across, down = self.horizontalHeader(), self.verticalHeader()
        across.setSectionsClickable(True)
        across.setHighlightSections(False)
        across.sectionClicked.connect(table.sort_by)
        down.setMinimumSectionSize(8)
        down.setSectionResizeMode(down.ResizeMode.Fixed)
        self.customContextMenuRequested.connect(self._menu_at)
        self.doubleClicked.connect(self.open_behind)
        table.loaded.connect(self._loaded)
        self.restyle()

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.setFont(LOOK.mono)
        self.horizontalHeader().setFont(LOOK.sans)
        self.verticalHeader().setFont(LOOK.smaller(LOOK.mono))
        self.verticalHeader().setDefaultSectionSize(LOOK.row_height)
        self._fit()

    def _loaded(self) -> None:
        self._fit()
        self.setCurrentIndex(self.table.index(0, 0))
        self.clearSelection()

    def _fit(self) -> None:
        for at in range(self.table.columnCount()):
            self.resizeColumnToContents(at)
            self.setColumnWidth(at, min(self.columnWidth(at) + 12, MOST_WIDTH))

    # --- what an analyst does with a row ------------------------------------------------------------------------------

    def open_behind(self, index: QModelIndex) -> None:
        """Ask for the sessions behind a row in a tab of its own."""
        if not index.isValid():
            return
        text = self.table.behind(index.row())
        if text is None:
            self.told.emit("No query can say which sessions these are: they are of the groups that TOP did not keep")
        else:
            self.asked.emit(text, True)

    def copy(self, as_csv: bool) -> None:
        """Copy the selection: one cell as its bare value, more with a header."""
        chosen = self.selectionModel().selectedIndexes() or [self.currentIndex()]
        chosen = [index for index in chosen if index.isValid()]
        if not chosen:
            return
        rows = sorted({index.row() for index in chosen})
        sections = sorted({index.column() for index in chosen})
        text = self.table.selection_text(rows, sections, as_csv)
        if len(chosen) == 1 and not as_csv:
            text = text.splitlines()[1]
        QGuiApplication.clipboard().setText(text)
        self.told.emit(f"Copied {text}" if len(chosen) == 1 and not as_csv else f"Copied {len(rows):,} rows")

    def export(self, path: str) -> None:
        """Write what is here as CSV; in a thread, since a disk may be slow."""
        text, told = self.table.whole(), self.told

        def work() -> None:
            try:
                Path(path).write_text(text, encoding="utf-8", newline="")
            except OSError as error:
                told.emit(f"Not exported: {error}")
            else:
                told.emit(f"Exported to {path}")

        threading.Thread(target=work, name="export", daemon=True).start()

    def ask_where(self) -> None:
        """Ask for a file, and export to it."""
        path, _ = QFileDialog.getSaveFileName(self, "Export the table", "table.csv", "CSV (*.csv)")
        if path:
            self.export(path)

    def _selected(self, index: QModelIndex) -> list[str]:
        """The values selected of the column of a cell, if it is among them; else its own."""
        chosen = [each for each in self.selectionModel().selectedIndexes() if each.column() == index.column()]
        cells = chosen[:MOST_ADDED] if index in chosen else [index]
        keys = (self.table.key(each.row(), each.column()) for each in cells)
        return [key[1] for key in keys if key is not None and key[1]]

    def _menu_at(self, at: QPoint) -> None:
        index = self.indexAt(at)
        if not index.isValid():
            return
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.menu.addAction("&Sessions behind this row\tEnter", lambda: self.open_behind(index))
        key = self.table.key(index.row(), index.column())
        if key is not None:
            self.menu.addSeparator()
            for name, tip, do in self.offers(*key, self._selected(index)):
                action = self.menu.addAction(name.replace("&", "&&"))
                action.setToolTip(tip)
                action.triggered.connect(lambda _checked=False, do=do: do())
        self.menu.addSeparator()
        self.menu.addAction("Copy selection\tCtrl+C", lambda: self.copy(False))
        self.menu.addAction("Copy selection as CSV\tCtrl+Shift+C", lambda: self.copy(True))
        self.menu.addAction("&Export the table as CSV...", self.ask_where)
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu.popup(self.viewport().mapToGlobal(at))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.open_behind(self.currentIndex())
        elif event.key() == Qt.Key.Key_Menu or (
            event.key() == Qt.Key.Key_F10 and event.modifiers() == Qt.KeyboardModifier.ShiftModifier
        ):
            self._menu_at(self.visualRect(self.currentIndex()).bottomLeft() - QPoint(0, 1))
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy(False)
        elif event.key() == Qt.Key.Key_C and event.modifiers() == (
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        ):
            self.copy(True)
        else:
            super().keyPressEvent(event)
