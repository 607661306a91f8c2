"""The sensors' health as a table: a sensor a row, the worst first."""

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.state import wording
from afterfact_client.state.health import COLUMNS
from afterfact_protocol.messages import WORST_FIRST, SensorStatus

_NONE = QModelIndex()


def _worst_first(sensor: SensorStatus) -> tuple[int, str]:
    return WORST_FIRST.index(sensor.state), sensor.name


class HealthTable(QAbstractTableModel):
    """Follows a SensorList."""

    TONE = Qt.ItemDataRole.UserRole + 1
    """One of state.health's tones."""
    NAME = Qt.ItemDataRole.UserRole + 2

    def __init__(self, source: SensorList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.source = source
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
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.sensors) - 1, len(COLUMNS) - 1))

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self.sensors)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section].title
            if role == Qt.ItemDataRole.ToolTipRole:
                return COLUMNS[section].about or None
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        sensor, column = self.sensors[index.row()], COLUMNS[index.column()]
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
