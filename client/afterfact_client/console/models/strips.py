"""Asks how each sensor fared over a day and a month, one question at a time, while somebody looks."""

import time
from concurrent.futures import Future

from PySide6.QtCore import QObject, QTimer, Signal

from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.strips import SPANS, Cell, cells
from afterfact_protocol.messages import SensorHealth

AGAIN_MS = 60_000


class Strips(QObject):
    """Signals:
    changed(): a strip is here, or another.
    """

    changed = Signal()

    def __init__(self, server: Server, sensors: SensorList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self._sensors = sensors
        self._waiting: list[tuple[str, int]] = []
        """Sensors, and the places of spans in SPANS, to ask about, the next one last."""
        self._asking = False
        self._found: dict[tuple[str, int], tuple[Cell, ...]] = {}
        self._again = QTimer(self, interval=AGAIN_MS)
        self._again.timeout.connect(self._ask_all)

    def get(self, sensor: str, span: int) -> tuple[Cell, ...] | None:
        """A sensor's strip; None while it is not here."""
        return self._found.get((sensor, span))

    def look(self, looking: bool) -> None:
        """Somebody begins to look, or does so no more."""
        if looking:
            self._again.start()
            self._ask_all()
        else:
            self._again.stop()
            self._waiting = []

    def _ask_all(self) -> None:
        names = [sensor.name for sensor in self._sensors.sensors]
        self._waiting = [(name, span) for span in reversed(range(len(SPANS))) for name in reversed(names)]
        self._next()

    def _next(self) -> None:
        if self._asking or not self._waiting or not self._server.online:
            return
        name, at = self._waiting.pop()
        now = time.time_ns() // 1000
        self._asking = True
        self._server.health(
            name, now - SPANS[at].length, now, SPANS[at].steps, lambda future: self._answered(name, at, future)
        )

    def _answered(self, name: str, at: int, future: "Future[SensorHealth]") -> None:
        self._asking = False
        try:
            self._found[name, at] = cells(future.result(), SPANS[at])
        except LinkLost:
            self._waiting = []  # asked again in a minute
            return
        except RequestFailed:
            self._found.pop((name, at), None)
        self.changed.emit()
        self._next()
