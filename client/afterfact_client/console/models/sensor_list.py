"""The sensors as the server last told of them."""

import time
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from afterfact_client.state import wording
from afterfact_protocol.messages import Alarm, SensorStatus, Status

_NONE = QModelIndex()


class SensorList(QAbstractListModel):
    """One row a sensor, by name, the revoked last.

    Signals:
        changed(): news of the sensors came.
    """

    changed = Signal()
    STATUS = Qt.ItemDataRole.UserRole + 1
    NAME = Qt.ItemDataRole.UserRole + 2
    NOW = Qt.ItemDataRole.UserRole + 3
    """The server's time now, microseconds: ages do not rest on this desktop's clock."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.sensors: list[SensorStatus] = []
        self.status: Status | None = None
        """The last news, all of it."""
        self.heard = 0.0
        """time.time() of the last news."""
        self._server_time = 0

    def take(self, status: Status) -> None:
        """News came."""
        sensors = sorted(status.sensors, key=lambda sensor: (sensor.state == "revoked", sensor.name))
        self.heard, self._server_time, self.status = time.time(), status.time, status
        if [sensor.name for sensor in sensors] == [sensor.name for sensor in self.sensors]:
            self.sensors = sensors
            if sensors:
                self.dataChanged.emit(self.index(0), self.index(len(sensors) - 1))
        else:
            self.beginResetModel()
            self.sensors = sensors
            self.endResetModel()
        self.changed.emit()

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Those that stand, the oldest first."""
        return self.status.alarms if self.status is not None else ()

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of networks that a query can ask for."""
        return self.status.networks if self.status is not None else ()

    @property
    def home(self) -> tuple[str, ...] | None:
        """The home networks; None: the server did not tell."""
        return self.status.home if self.status is not None else None

    @property
    def now(self) -> int:
        """The server's time, carried on by this desktop's clock since the last news."""
        return self._server_time + int((time.time() - self.heard) * 1e6)

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self.sensors)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        sensor = self.sensors[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return f"{wording.GLYPHS[sensor.state]} {sensor.name} {wording.sensor_age(sensor, self.now)}"
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{sensor.name}: {wording.sensor_line(sensor, self.now)}"
            case Qt.ItemDataRole.ToolTipRole:
                return wording.sensor_details(sensor, self.now)
            case self.STATUS:
                return sensor
            case self.NAME:
                return sensor.name
            case self.NOW:
                return self.now
        return None
