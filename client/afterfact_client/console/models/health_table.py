"""The sensors' health as a table: a sensor a row, the worst first."""

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.models.strips import Strips
from afterfact_client.state import wording
from afterfact_client.state.health import COLUMNS
from afterfact_client.state.strips import ABOUT, SPANS, told
from afterfact_protocol.messages import WORST_FIRST, SensorStatus

_NONE = QModelIndex()
STRIPS_AT = 2
"""Columns before the strips: name and state."""


def _worst_first(sensor: SensorStatus) -> tuple[int, str]:
    return WORST_FIRST.index(sensor.state), sensor.name


class HealthTable(QAbstractTableModel):
    """Follows a SensorList."""

    TONE = Qt.ItemDataRole.UserRole + 1
    """One of state.health's tones."""
    NAME = Qt.ItemDataRole.UserRole + 2
    STRIP = Qt.ItemDataRole.UserRole + 3
    """Cells of a strip, the oldest first; None in other columns, and while it is not here."""

    def __init__(self, source: SensorList, strips: Strips | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.source = source
        self._strips = strips
        if strips is not None:
            strips.changed.connect(self.aged)
        self.sensors: list[SensorStatus] = []
        source.changed.connect(self._take)
        self._take()

    def _take(self) -> None:
        sensors = sorted(self.source.sensors, key=_worst_first)
        names, before = [sensor.name for sensor in sensors], [sensor.name for sensor in self.sensors]
        if names == before:
            self.sensors = sensors
            self.aged()
        elif sorted(names) == sorted(before):
            # One that went down moves up: where it is selected it stays so.
            self.layoutAboutToBeChanged.emit()
            rows = {name: row for row, name in enumerate(names)}
            self.sensors = sensors
            for index in self.persistentIndexList():
                self.changePersistentIndex(index, self.index(rows[before[index.row()]], index.column()))
            self.layoutChanged.emit()
        else:
            self.beginResetModel()
            self.sensors = sensors
            self.endResetModel()

    def aged(self) -> None:
        """Ages have grown."""
        if self.sensors:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.sensors) - 1, self.columnCount() - 1))

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self.sensors)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(COLUMNS) + len(SPANS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        span = self.span_of(section)
        if orientation is Qt.Orientation.Horizontal and span is not None:
            if role == Qt.ItemDataRole.DisplayRole:
                return SPANS[span].title
            return f"Last {SPANS[span].title}: {ABOUT}" if role == Qt.ItemDataRole.ToolTipRole else None
        if orientation is Qt.Orientation.Horizontal:
            section -= len(SPANS) * (section >= STRIPS_AT)
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section].title
            if role == Qt.ItemDataRole.ToolTipRole:
                return COLUMNS[section].about or None
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        sensor, span = self.sensors[index.row()], self.span_of(index.column())
        if span is not None:
            return self._of_strip(sensor.name, span, role)
        column = COLUMNS[index.column() - len(SPANS) * (index.column() >= STRIPS_AT)]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(sensor, self.source.now)
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.ToolTipRole:
                return wording.sensor_details(sensor, self.source.now)
            case self.TONE:
                return column.tone(sensor)
            case self.NAME:
                return sensor.name
        return None

    def span_of(self, section: int) -> int | None:
        """The place in SPANS of the strip in a column; None in others."""
        return section - STRIPS_AT if STRIPS_AT <= section < STRIPS_AT + len(SPANS) else None

    def _of_strip(self, name: str, span: int, role: int) -> Any:
        found = self._strips.get(name, span) if self._strips is not None else None
        match role:
            case self.STRIP:
                return found
            case self.NAME:
                return name
            case self.TONE:
                return "text"
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return told(found, SPANS[span]) if found is not None else f"Last {SPANS[span].title}: not known yet"
        return None
