"""The sensors' health: alarms that stand, a table of the sensors, and all of the one that is selected."""

import time

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFrame,
    QHeaderView,
    QPlainTextEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from afterfact_client.console.models.health_table import HealthTable
from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.strips import Strips
from afterfact_client.console.views.parts import label
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state import wording
from afterfact_client.state.health import alarm_line, store_line
from afterfact_client.state.strips import SPANS
from afterfact_protocol.statustext import age_text

STALE_SECONDS = 15.0
"""Without news for this long it says so."""
SHOWN_ALARMS = 6
DETAIL_LINES = 9
STRIP_PAD = 6
HEIGHTS = {"none": 0.0, "good": 0.45, "warning": 0.75, "error": 1.0}
"""Of a strip's cells, so that they are told without their colours."""


class HealthWindow(QDialog):
    """Blocks nothing; Esc closes it.

    Signals:
        chosen(str): Enter was pressed on a sensor, or it was double-clicked: ask about it.
    """

    chosen = Signal(str)

    def __init__(self, sensors: SensorList, server: Server, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Sensors' health")
        self.resize(1260, 540)
        self._sensors = sensors
        self.alarms = label("", "notice", wrap=True, spoken="Alarms")
        self.alarms.setTextFormat(Qt.TextFormat.PlainText)  # they name what agents named
        self.strips = Strips(server, sensors, self)
        self.model = HealthTable(sensors, self.strips, self)
        self.table = _Table(self.model)
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setAccessibleName("The selected sensor")
        self.foot = label(name="dim")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 6)
        layout.setSpacing(6)
        layout.addWidget(self.alarms)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.details)
        layout.addWidget(self.foot)
        self.table.activated.connect(lambda index: self.chosen.emit(index.data(HealthTable.NAME)))
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._show_details())
        sensors.changed.connect(self._take)
        self._take()
        self.restyle()
        self.table.setFocus()

    def _take(self) -> None:
        if self.model.sensors and not self.table.currentIndex().isValid():
            self.table.setCurrentIndex(self.model.index(0, 0))
        self.refresh()

    def refresh(self) -> None:
        """Ages grow while nothing is heard."""
        if self.isVisible() or not self.foot.text():
            alarms = self._sensors.alarms
            lines = [f"! {alarm_line(alarm)}" for alarm in alarms[:SHOWN_ALARMS]]
            if len(alarms) > SHOWN_ALARMS:
                lines.append(f"and {wording.count(len(alarms) - SHOWN_ALARMS, 'more', 'more')}")
            self.alarms.setText("\n".join(lines) or "No alarm stands.")
            self.alarms.setObjectName("notice" if alarms else "dim")
            self.alarms.style().unpolish(self.alarms)
            self.alarms.style().polish(self.alarms)
            status, silent = self._sensors.status, time.time() - self._sensors.heard
            foot = store_line(status) if status is not None else "No news of the sensors yet."
            if status is not None and silent > STALE_SECONDS:
                foot = f"No news for {age_text(int(silent * 1e6))}: all of this is as it was then. {foot}"
            self.foot.setText(foot)
            self.model.aged()
            self._show_details()

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.table.restyle()
        self.details.setFont(LOOK.mono)
        self.details.setFixedHeight(DETAIL_LINES * (LOOK.text_px + 5))
        self.refresh()

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self.strips.look(True)
        self.refresh()

    def hideEvent(self, event: object) -> None:
        super().hideEvent(event)  # type: ignore[arg-type]
        self.strips.look(False)

    def _show_details(self) -> None:
        index = self.table.currentIndex()
        text = ""
        if index.isValid() and index.row() < len(self.model.sensors):
            text = wording.sensor_details(self.model.sensors[index.row()], self._sensors.now)
        if text != self.details.toPlainText():
            at = self.details.verticalScrollBar().value()
            self.details.setPlainText(text)
            self.details.verticalScrollBar().setValue(at)


class _Table(QTableView):
    def __init__(self, model: HealthTable) -> None:
        super().__init__()
        self.setModel(model)
        self.setItemDelegate(_Delegate(self))
        self.setAccessibleName("Sensors' health")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def restyle(self) -> None:
        """Text size changed."""
        self.setFont(LOOK.mono)
        self.verticalHeader().setDefaultSectionSize(LOOK.row_height)
        self.verticalHeader().setMinimumSectionSize(LOOK.row_height)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.activated.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class _Delegate(QStyledItemDelegate):
    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        colour = QColor(getattr(LOOK.colours, index.data(HealthTable.TONE)))
        for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
            option.palette.setColor(role, colour)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        model = index.model()
        span = model.span_of(index.column()) if isinstance(model, HealthTable) else None
        return super().sizeHint(option, index) if span is None else QSize(SPANS[span].steps + 2 * STRIP_PAD, 0)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        strip = index.data(HealthTable.STRIP)
        if strip is None:
            return
        area = option.rect.adjusted(STRIP_PAD, 3, -STRIP_PAD, -3)
        for at, cell in enumerate(strip):
            height = max(round(area.height() * HEIGHTS[cell]), 1)
            ink = QColor(getattr(LOOK.colours, cell if cell != "none" else "line"))
            painter.fillRect(area.left() + at, area.bottom() + 1 - height, 1, height, ink)
