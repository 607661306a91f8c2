"""The table of sessions: dense rows, addresses and digits that line up, cells and rows to select, a menu on each value.

Painting is done here, cell by cell and without style options, because it decides how smooth scrolling is.
"""

import math

from PySide6.QtCore import (
    QItemSelectionModel,
    QItemSelectionRange,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QFontMetrics, QKeyEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.views.theme import LOOK, OUTCOME_COLOURS
from afterfact_client.state.preferences import Preferences
from afterfact_protocol.session import ESTABLISHED, FAILED, Outcome

PAD = 5
"""Pixels left and right of a cell's text."""
MARK = 14
"""Pixels that an outcome's mark takes before its word."""
SAMPLE_ROWS = 200
"""Rows that decide how wide a column is."""
MOST_WIDTH = 340

_OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}


class SessionView(QTableView):
    """Signals:
    menu_wanted(QModelIndex, QPoint): the menu of a cell, at a global position.
    columns_menu_wanted(QPoint): right-click on the header.
    sort_wanted(int): a click on the header of a column.
    copy_wanted(bool): copy the selection; True for CSV.
    order_changed(list): names of the columns in their new order.
    """

    menu_wanted = Signal(QModelIndex, QPoint)
    columns_menu_wanted = Signal(QPoint)
    sort_wanted = Signal(int)
    copy_wanted = Signal(bool)
    order_changed = Signal(list)

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._fitting = False
        self.setAccessibleName("Sessions")
        self.setItemDelegate(_Delegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(True)
        across, down = self.horizontalHeader(), self.verticalHeader()
        across.setSectionsMovable(True)
        across.setSectionsClickable(True)
        across.setHighlightSections(False)
        across.setMinimumSectionSize(24)
        across.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        across.customContextMenuRequested.connect(lambda at: self.columns_menu_wanted.emit(across.mapToGlobal(at)))
        across.sectionClicked.connect(self.sort_wanted)
        across.sectionMoved.connect(self._moved)
        across.sectionResized.connect(self._resized)
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        down.setHighlightSections(False)
        self.restyle()

    @property
    def table(self) -> SessionTable:
        model = self.model()
        assert isinstance(model, SessionTable)
        return model

    def restyle(self) -> None:
        """Theme or text size changed."""
        down, across = self.verticalHeader(), self.horizontalHeader()
        down.setMinimumSectionSize(LOOK.row_height)
        down.setDefaultSectionSize(LOOK.row_height)
        across.setFixedHeight(LOOK.row_height + 4)
        across.setFont(LOOK.sans)
        down.setFont(LOOK.smaller(LOOK.mono))
        if self.model() is not None:
            self.fit_columns()
        self.viewport().update()

    # --- columns ------------------------------------------------------------------------------------------------------

    def fit_columns(self) -> None:
        """Each column as wide as its title and what the first rows hold; as it was set where it was set by hand."""
        table = self.table
        titles = QFontMetrics(LOOK.sans)
        self._fitting = True
        for at, column in enumerate(table.columns):
            width = self._preferences.widths.get(column.name)
            if width is None:
                longest = 0
                if table.result is not None:
                    rows = min(table.result.total, SAMPLE_ROWS)
                    longest = max((len(table.text(row, at)[0]) for row in range(rows)), default=0)
                mark = MARK if column.name == "outcome" else 0
                title = titles.horizontalAdvance(table.title(at)) + 2 * PAD
                width = max(_width(longest) + mark, title)
                width = min(width, MOST_WIDTH)
            self.setColumnWidth(at, width)
        self._fitting = False

    def _resized(self, section: int, _before: int, after: int) -> None:
        if not self._fitting and 0 <= section < len(self.table.columns):
            self._preferences.widths[self.table.columns[section].name] = after

    def _moved(self) -> None:
        across = self.horizontalHeader()
        names = [self.table.columns[across.logicalIndex(at)].name for at in range(len(self.table.columns))]
        self.order_changed.emit(names)

    # --- selection ----------------------------------------------------------------------------------------------------

    def selected_cells(self) -> tuple[list[tuple[int, int]], list[int]]:
        """The selection as ranges of rows, both ends included and merged, and as columns, from left to right."""
        parts = self._parts()
        ranges = sorted((part.top(), part.bottom()) for part in parts)
        merged: list[tuple[int, int]] = []
        for top, bottom in ranges:
            if merged and top <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], bottom))
            else:
                merged.append((top, bottom))
        chosen = {at for part in parts for at in range(part.left(), part.right() + 1)}
        return merged, [at for at in range(len(self.table.columns)) if at in chosen]

    def _parts(self) -> list[QItemSelectionRange]:
        return self.selectionModel().selection().toList()

    def select_rows(self) -> None:
        """Widen the selection to whole rows."""
        model = self.selectionModel()
        model.select(
            model.selection(), QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        )

    # --- events -------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, modifiers = event.key(), event.modifiers()
        control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
        index = self.currentIndex()
        if key == Qt.Key.Key_C and modifiers == control:
            self.copy_wanted.emit(False)
        elif key == Qt.Key.Key_C and modifiers == control | shift:
            self.copy_wanted.emit(True)
        elif key == Qt.Key.Key_Space and modifiers == shift:
            self.select_rows()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid() and not modifiers:
            self._menu_at(index)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            if index.isValid():
                self._menu_at(index)
            return
        index = self.indexAt(event.pos())
        if index.isValid():
            self.menu_wanted.emit(index, event.globalPos())

    def _menu_at(self, index: QModelIndex) -> None:
        self.scrollTo(index)
        area = self.visualRect(index)
        self.menu_wanted.emit(index, self.viewport().mapToGlobal(QPoint(area.left() + PAD, area.bottom())))

    def currentChanged(
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        # The rest of the row is tinted too.
        self.viewport().update()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        super().scrollContentsBy(dx, dy)
        if dy:
            self._look()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._look()

    def _look(self) -> None:
        """Have what is on screen, and a screen beyond it, pulled."""
        if self.model() is None or self.table.result is None:
            return
        first = max(self.rowAt(0), 0)
        shown = self.viewport().height() // LOOK.row_height + 1
        self.table.need(first, min(first + 2 * shown, self.table.result.total - 1))


class _Delegate(QStyledItemDelegate):
    """Paints one cell. Texts come straight from the table's state, not through roles."""

    def __init__(self, view: SessionView) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        text = self._view.table.text(index.row(), index.column())[0]
        mark = MARK if self._view.table.columns[index.column()].name == "outcome" else 0
        return QSize(_width(len(text)) + mark, LOOK.row_height)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        view, colours = self._view, LOOK.colours
        row, at = index.row(), index.column()
        area: QRect = option.rect
        column = view.table.columns[at]
        text, known = view.table.text(row, at)
        current = view.currentIndex()
        if view.selectionModel().isSelected(index):
            painter.fillRect(area, QColor(colours.selected))
        elif current.row() == row and view.selectionModel().hasSelection():
            painter.fillRect(area, QColor(colours.here))
        elif row % 2:
            painter.fillRect(area, QColor(colours.stripe))
        if current.row() == row and current.column() == at and view.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(area.adjusted(0, 0, -1, -1))
        painter.setFont(LOOK.mono)
        painter.setPen(QColor(colours.text if known else colours.dim))
        inner = area.adjusted(PAD, 0, -PAD, 0)
        if column.name == "outcome" and known and text in _OUTCOMES:
            _mark(painter, inner, _OUTCOMES[text])
            inner.setLeft(inner.left() + MARK)
        side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
        if len(text) * LOOK.advance > inner.width() + 1:
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(inner, side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, text)


def _width(characters: int) -> int:
    """Pixels of a cell that holds so many characters."""
    return math.ceil(characters * LOOK.advance) + 2 * PAD


def _mark(painter: QPainter, area: QRect, outcome: Outcome) -> None:
    """Colour and shape: round for established, square for failed, a ring where it is not known."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colour = QColor(OUTCOME_COLOURS[outcome])
    size = 8
    box = QRect(area.left(), area.center().y() - size // 2 + 1, size, size)
    painter.setPen(QPen(colour.darker(130), 1))
    painter.setBrush(colour)
    if outcome in ESTABLISHED:
        painter.drawEllipse(box)
    elif outcome in FAILED:
        painter.drawRect(box)
    else:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.5))
        painter.drawEllipse(box)
    painter.restore()
