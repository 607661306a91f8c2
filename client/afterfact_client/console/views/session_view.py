"""The table of sessions: dense rows, addresses and digits that line up, cells and rows to select, a menu on each value.

It paints itself, a column at a time from the texts that state/ makes in blocks: a delegate's call for every cell, with
an index and a style option each, takes some 50 ms a screen, and scrolling shows it.
"""

import math

from PySide6.QtCore import (
    QItemSelectionModel,
    QItemSelectionRange,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.views.theme import LOOK, OUTCOME_COLOURS
from afterfact_client.state.preferences import Preferences
from afterfact_protocol.session import ESTABLISHED, FAILED, Outcome

PAD = 5
"""Pixels left and right of a cell's text."""
MARK = 14
"""Pixels that an outcome's mark takes before its word."""
CORNER = 6
"""Pixels of the mark of an annotation."""
SAMPLE_ROWS = 200
"""Rows that decide how wide a column is."""
MOST_WIDTH = 340

_OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}


class SessionView(QTableView):
    """Signals:
    menu_wanted(QModelIndex, QPoint): the menu of a cell, at a global position.
    columns_menu_wanted(QPoint): right-click on the header.
    sort_wanted(int, bool): a click on the header of a column; True, with Shift, for a lesser key.
    copy_wanted(bool): copy the selection; True for CSV.
    order_changed(list): names of the columns in their new order.
    """

    menu_wanted = Signal(QModelIndex, QPoint)
    columns_menu_wanted = Signal(QPoint)
    sort_wanted = Signal(int, bool)
    copy_wanted = Signal(bool)
    order_changed = Signal(list)

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._fitting = False
        self.setAccessibleName("Sessions")
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
        across.sectionClicked.connect(lambda section: self.sort_wanted.emit(section, _shifted()))
        across.sectionMoved.connect(self._moved)
        across.sectionResized.connect(self._resized)
        # Once, while there are no rows: changing it later looks at each of them.
        down.setMinimumSectionSize(8)
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        down.setHighlightSections(False)
        self.restyle()

    @property
    def table(self) -> SessionTable:
        model = self.model()
        assert isinstance(model, SessionTable)
        return model

    def setSelectionModel(self, model: QItemSelectionModel) -> None:
        super().setSelectionModel(model)
        # A header asks of every section whether all of it is selected, cell by cell: seconds at a million rows.
        self._none = QItemSelectionModel(model.model())
        self.horizontalHeader().setSelectionModel(self._none)
        self.verticalHeader().setSelectionModel(self._none)

    def restyle(self) -> None:
        """Theme or text size changed."""
        down, across = self.verticalHeader(), self.horizontalHeader()
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
        self._fitting = True
        for at, column in enumerate(self.table.columns):
            width = self._preferences.widths.get(column.name)
            self.setColumnWidth(at, min(self.fitting_width(at), MOST_WIDTH) if width is None else width)
        self._fitting = False

    def fitting_width(self, section: int) -> int:
        """Pixels that a column's title and its texts in the first rows need."""
        table = self.table
        rows = min(table.result.total, SAMPLE_ROWS) if table.result is not None else 0
        longest = max((len(table.text(row, section)[0]) for row in range(rows)), default=0)
        mark = MARK if table.columns[section].name == "outcome" else 0
        title = QFontMetrics(LOOK.sans).horizontalAdvance(table.title(section)) + 2 * PAD + 2
        return max(_width(longest) + mark, title)

    def sizeHintForColumn(self, column: int) -> int:
        """A double click on the edge of a header fits the column."""
        return self.fitting_width(column)

    def _resized(self, section: int, _before: int, after: int) -> None:
        if not self._fitting and 0 <= section < len(self.table.columns):
            self._preferences.widths[self.table.columns[section].name] = after

    def _moved(self) -> None:
        across = self.horizontalHeader()
        names = [self.table.columns[across.logicalIndex(at)].name for at in range(len(self.table.columns))]
        self.order_changed.emit(names)

    # --- painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        table, rows = self.table, self._rows_in(event.rect())
        if table.result is None or not rows:
            return
        painter = QPainter(self.viewport())
        self._paint_grounds(painter, event.rect(), rows)
        painter.setFont(LOOK.mono)
        text_ink, dim_ink = QColor(LOOK.colours.text), QColor(LOOK.colours.dim)
        metrics = QFontMetrics(LOOK.mono)
        height = self.rowHeight(rows[0])
        below = (height + metrics.ascent() - metrics.descent()) // 2
        tops = [self.rowViewportPosition(row) for row in rows]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for at, column in enumerate(table.columns):
            left, width = self.columnViewportPosition(at) + PAD, self.columnWidth(at) - 2 * PAD
            if left > event.rect().right() or left + width < event.rect().left():
                continue
            marked = column.name == "outcome"
            for row, top in zip(rows, tops, strict=True):
                text, known = table.text(row, at)
                start, room = left, width
                if marked and known and text in _OUTCOMES:
                    _mark(painter, left, top + height // 2, _OUTCOMES[text])
                    start, room = left + MARK, width - MARK
                if len(text) * LOOK.advance > room + 0.5:
                    text = _fitting(text, room)
                elif column.right:
                    start += int(room - len(text) * LOOK.advance + 0.5)
                painter.setPen(text_ink if known else dim_ink)
                painter.drawText(start, top + below, text)
                if table.marks and table.said_of(row, column):
                    _corner(painter, left + width + PAD, top)
        painter.end()

    def _rows_in(self, area: QRect) -> range:
        """Rows that touch an area of the viewport."""
        first, last = self.rowAt(area.top()), self.rowAt(area.bottom())
        if first < 0:
            return range(0)
        return range(first, (last if last >= 0 else self.table.rowCount() - 1) + 1)

    def _paint_grounds(self, painter: QPainter, area: QRect, rows: range) -> None:
        """Stripes, the current row, the selection, and a frame around the current cell."""
        colours, height = LOOK.colours, self.rowHeight(rows[0])
        right = self.columnViewportPosition(self.model().columnCount() - 1) + self.columnWidth(
            self.model().columnCount() - 1
        )
        parts = [part for part in self._parts() if part.top() <= rows[-1] and part.bottom() >= rows[0]]
        current = self.currentIndex()
        stripe, here, selected = QColor(colours.stripe), QColor(colours.here), QColor(colours.selected)
        for row in rows:
            top = self.rowViewportPosition(row)
            if row == current.row() and parts:
                painter.fillRect(0, top, right, height, here)
            elif row % 2:
                painter.fillRect(0, top, right, height, stripe)
        for part in parts:
            first, last = max(part.top(), rows[0]), min(part.bottom(), rows[-1])
            left = self.columnViewportPosition(part.left())
            edge = self.columnViewportPosition(part.right()) + self.columnWidth(part.right())
            top = self.rowViewportPosition(first)
            painter.fillRect(left, top, edge - left, self.rowViewportPosition(last) + height - top, selected)
        if current.isValid() and current.row() in rows and self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(self.visualRect(current).adjusted(0, 0, -1, -1))

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
        elif key == Qt.Key.Key_S and index.isValid() and modifiers in (Qt.KeyboardModifier.NoModifier, shift):
            self.sort_wanted.emit(index.column(), modifiers == shift)
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


def _width(characters: int) -> int:
    """Pixels of a cell that holds so many characters."""
    return math.ceil(characters * LOOK.advance) + 2 * PAD


def _fitting(text: str, room: float) -> str:
    """As much of a text as fits in so many pixels, with an ellipsis where something is left out."""
    whole = int(room / LOOK.advance + 0.01)
    return text if len(text) <= whole else text[: max(whole - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"


def _corner(painter: QPainter, right: int, top: int) -> None:
    """The mark of an annotation, in the cell's upper right corner."""
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(LOOK.colours.warning))
    painter.drawPolygon([QPoint(right - CORNER, top), QPoint(right, top), QPoint(right, top + CORNER)])
    painter.restore()


def _mark(painter: QPainter, left: int, middle: int, outcome: Outcome) -> None:
    """Colour and shape: round for established, square for failed, a ring where it is not known."""
    colour = QColor(OUTCOME_COLOURS[outcome])
    box = QRect(left, middle - 4, 8, 8)
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


def _shifted() -> bool:
    return bool(QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier)
