"""A table of whole rows in the console's manner: dense, striped, one colour a tone.

It paints itself, as the table of sessions does: a delegate's call for each cell takes some 0.3 ms, and a screen has up
to a thousand cells, which are painted anew whenever the server tells of a change.
"""

import math
from collections.abc import Sequence
from typing import Protocol, cast

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QTableView,
)

from afterfact_client.console.views.theme import LOOK

PAD = 6


class CellModel(Protocol):
    """What a model must tell besides what Qt asks of it."""

    def cell(self, row: int, section: int) -> tuple[str, str]:
        """A text, and its tone: one of the theme's colours."""

    def right(self, section: int) -> bool:
        """Whether a column's texts stand at its right."""


class DenseTable(QTableView):
    """Shows a CellModel. `widths` are of columns, in characters.

    Signals:
        opened(QModelIndex): Enter, or a double click on a row.
    """

    opened = Signal(QModelIndex)

    def __init__(self, spoken: str, widths: Sequence[int]) -> None:
        super().__init__()
        self._characters = tuple(widths)
        self.nothing = ""
        """What is said in place of rows where there are none."""
        self.setAccessibleName(spoken)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setShowGrid(False)
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

    def fit(self, section: int, characters: int) -> None:
        """Another width of a column."""
        self._characters = (*self._characters[:section], characters, *self._characters[section + 1 :])
        self.restyle()

    def say(self, nothing: str) -> None:
        """What is said where there are no rows."""
        if nothing != self.nothing:
            self.nothing = nothing
            self.setAccessibleDescription(nothing)
            self.viewport().update()

    # --- painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.model() is None:
            return
        painter = QPainter(self.viewport())
        if self.model().rowCount():
            self._paint_rows(painter, event.rect())
        elif self.nothing:
            painter.setFont(LOOK.sans)
            painter.setPen(QColor(LOOK.colours.dim))
            area = self.viewport().rect().adjusted(16, 16, -16, -16)
            painter.drawText(area, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap,
                             self.nothing)  # fmt: skip
        painter.end()

    def _paint_rows(self, painter: QPainter, area: QRect) -> None:
        first, last = self.rowAt(area.top()), self.rowAt(area.bottom())
        if first < 0:
            return
        rows = range(first, (last if last >= 0 else self.model().rowCount() - 1) + 1)
        tops = [self.rowViewportPosition(row) for row in rows]
        height = self.rowHeight(first)
        self._paint_grounds(painter, rows, tops, height)
        cells = cast(CellModel, self.model())
        painter.setFont(LOOK.mono)
        metrics = QFontMetrics(LOOK.mono)
        below = (height + metrics.ascent() - metrics.descent()) // 2
        inks = {tone: QColor(getattr(LOOK.colours, tone)) for tone in ("text", "dim", "good", "warning", "error")}
        for section in range(self.model().columnCount()):
            left, width = self.columnViewportPosition(section), self.columnWidth(section)
            if left > area.right() or left + width < area.left():
                continue
            painter.setClipRect(QRect(left, area.top(), width, area.height()))
            room, right = width - 2 * PAD, cells.right(section)
            most = int(room / LOOK.advance + 0.01)
            for row, top in zip(rows, tops, strict=True):
                text, tone = cells.cell(row, section)
                if len(text) > most:
                    text = text[: max(most - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"
                start = left + PAD + (int(room - len(text) * LOOK.advance + 0.5) if right else 0)
                painter.setPen(inks[tone])
                painter.drawText(start, top + below, text)

    def _paint_grounds(self, painter: QPainter, rows: range, tops: Sequence[int], height: int) -> None:
        """Stripes and the selection; a frame around the current row while keys act on it."""
        last = self.model().columnCount() - 1
        right = self.columnViewportPosition(last) + self.columnWidth(last)
        parts = self.selectionModel().selection().toList()
        chosen = [range(part.top(), part.bottom() + 1) for part in parts]
        stripe, selected = QColor(LOOK.colours.stripe), QColor(LOOK.colours.selected)
        for row, top in zip(rows, tops, strict=True):
            if any(row in part for part in chosen):
                painter.fillRect(0, top, right, height, selected)
            elif row % 2:
                painter.fillRect(0, top, right, height, stripe)
        current = self.currentIndex().row()
        if current in rows and self.hasFocus():
            painter.setPen(QPen(QColor(LOOK.colours.accent), 1))
            painter.drawRect(0, tops[current - rows.start], right - 1, height - 1)

    def currentChanged(
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        self.viewport().update()  # the frame is around the whole row

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
