"""The sensors at the left: state as glyph and word, age of the newest data, backlog. Old news is said to be old."""

import time

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.views.parts import button, label
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state import wording
from afterfact_client.state.health import CALM, TONES, alarms_counted
from afterfact_protocol.statustext import age_text

WIDTH = 200
STALE_SECONDS = 15.0
"""Without news for this long the panel says so."""


class SensorPanel(QWidget):
    """Signals:
    chosen(str): a sensor was double-clicked or Enter pressed on it: ask about it.
    health_wanted(): the alarms were clicked on.
    """

    chosen = Signal(str)
    health_wanted = Signal()

    def __init__(self, model: SensorList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._title = label("SENSORS", "section")
        self._news = label(name="dim", wrap=True)
        self._news.hide()
        self.alarms = button("", "alarm", "Sensors' health (Ctrl-H)", "Alarms")
        self.alarms.hide()
        self.list = _List(self)
        self.list.setModel(model)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._news)
        layout.addWidget(self.alarms)
        self.alarms.clicked.connect(self.health_wanted)
        self.list.activated.connect(lambda index: self.chosen.emit(index.data(SensorList.NAME)))
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Ages grow while nothing is heard."""
        up = sum(sensor.state == "up" for sensor in self.model.sensors)
        total = sum(sensor.state not in ("revoked", "done") for sensor in self.model.sensors)
        self._title.setText(f"SENSORS   {up} of {total} up" if self.model.sensors else "SENSORS")
        heard = self.model.heard
        if not heard:
            self._news.setText("")
        elif not self.model.sensors:
            self._news.setText("No sensor is enrolled. On the server: afterfact-server sensor enrol DIR NAME")
        elif time.time() - heard > STALE_SECONDS:
            self._news.setText(f"No news of the sensors for {age_text(int((time.time() - heard) * 1e6))}.")
        else:
            self._news.setText("")
        self._news.setVisible(bool(self._news.text()))
        self.alarms.setText(alarms_counted(self.model.alarms))
        self.alarms.setVisible(bool(self.model.alarms))
        self.list.viewport().update()


class _List(QListView):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setItemDelegate(_Delegate(self))
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName("Sensors")
        self.viewport().setAutoFillBackground(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.activated.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class _Delegate(QStyledItemDelegate):
    """Two lines: glyph, name and age of the newest data; below, the state in words."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(WIDTH, 2 * (LOOK.text_px + 5) + 6)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        sensor = index.data(SensorList.STATUS)
        now = index.data(SensorList.NOW)
        colours = LOOK.colours
        area: QRect = option.rect
        state: QStyle.StateFlag = option.state
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, QColor(colours.selected))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(area, QColor(colours.here))
        line = LOOK.text_px + 5
        first = QRect(area.left() + 4, area.top() + 3, area.width() - 8, line)
        second = QRect(first.left() + 16, first.bottom() + 1, first.width() - 16, line)
        tone = getattr(colours, TONES[sensor.state])
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(LOOK.sans)
        painter.setPen(QColor(tone))
        painter.drawText(first, left, wording.GLYPHS[sensor.state])
        age = wording.sensor_age(sensor, now)
        metrics = painter.fontMetrics()
        painter.setPen(QColor(colours.dim))
        painter.drawText(first, right, age)
        painter.setPen(QColor(colours.text))
        name = first.adjusted(16, 0, -metrics.horizontalAdvance(age) - 8, 0)
        painter.drawText(name, left, metrics.elidedText(sensor.name, Qt.TextElideMode.ElideRight, name.width()))
        painter.setPen(QColor(colours.dim if sensor.state in CALM else tone))
        painter.setFont(LOOK.smaller(LOOK.sans))
        words = painter.fontMetrics().elidedText(
            wording.sensor_line(sensor, now), Qt.TextElideMode.ElideRight, second.width()
        )
        painter.drawText(second, left, words)
        painter.restore()
