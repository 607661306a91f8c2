"""A table of whole rows in the console's manner: dense, striped, one colour a tone."""

import math
from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from afterfact_client.console.views.theme import LOOK

PAD = 6


class DenseTable(QTableView):
    """`tone` is the role of a cell's tone, one of the theme's colours; `widths` are of columns, in characters.

    Signals:
        opened(QModelIndex): Enter, or a double click on a row.
    """

    opened = Signal(QModelIndex)

    def __init__(self, spoken: str, widths: Sequence[int], tone: int | None = None) -> None:
        super().__init__()
        self._characters = tuple(widths)
        self._tone = tone
        self.nothing = ""
        """What is said in place of rows where there are none."""
        self.setItemDelegate(_Delegate(self, tone))
        self.setAccessibleName(spoken)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        down, across = self.verticalHeader(), self.horizontalHeader()
        down.hide()
        down.setMinimumSectionSize(8)
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        across.setHighlightSections(False)
        across.setMinimumSectionSize(24)
        across.setStretchLastSection(True)
        across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.doubleClicked.connect(self.opened)

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.setFont(LOOK.mono)
        down, across = self.verticalHeader(), self.horizontalHeader()
        down.setDefaultSectionSize(LOOK.row_height)
        across.setFont(LOOK.sans)
        across.setFixedHeight(LOOK.row_height + 4)
        if self.model() is not None:
            titles = QFontMetrics(LOOK.sans)
            for at, characters in enumerate(self._characters):
                title = self.model().headerData(at, Qt.Orientation.Horizontal)
                needed = max(math.ceil(characters * LOOK.advance), titles.horizontalAdvance(f"{title} ▾"))
                self.setColumnWidth(at, needed + 2 * PAD)

    def say(self, nothing: str) -> None:
        """What is said where there are no rows."""
        if nothing != self.nothing:
            self.nothing = nothing
            self.setAccessibleDescription(nothing)
            self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.nothing and self.model() is not None and not self.model().rowCount():
            painter = QPainter(self.viewport())
            painter.setFont(LOOK.sans)
            painter.setPen(QColor(LOOK.colours.dim))
            area = self.viewport().rect().adjusted(16, 16, -16, -16)
            painter.drawText(area, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap,
                             self.nothing)  # fmt: skip
            painter.end()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not _modified(event):
            if self.currentIndex().isValid():
                self.opened.emit(self.currentIndex())
        elif event.text().strip().isprintable() and event.text().strip() and not event.modifiers():
            event.ignore()  # letters move nothing: a key that acts on a row must find the one that was looked at
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Nothing is searched, with Shift neither."""


def _modified(event: QKeyEvent) -> bool:
    return bool(event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier)


class _Delegate(QStyledItemDelegate):
    def __init__(self, parent: QTableView, tone: int | None) -> None:
        super().__init__(parent)
        self._tone = tone

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        tone = index.data(self._tone) if self._tone is not None else None
        if tone is not None and tone != "text":
            for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
                option.palette.setColor(role, QColor(getattr(LOOK.colours, tone)))
