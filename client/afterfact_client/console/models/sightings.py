"""Asks who else saw the session that is looked at: a little after it was chosen, one question at a time."""

from concurrent.futures import Future

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state import sightings
from afterfact_client.state.details import Fact, Part
from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import Answer, Page, TableAnswer
from afterfact_protocol.records import from_bytes
from afterfact_protocol.session import ROW

SETTLE_MS = 250
"""Walking down a table asks for none of the rows that are passed."""

Key = tuple[int, int, int, int]
"""Sensor, start, id and revision of a session."""


def key_of(row: np.void) -> Key:
    """What tells a session, as it stood, from others."""
    return int(row["sensor"]), int(row["start_time"]), int(row["session_id"]), int(row["revision"])


class Sightings(QObject):
    """Signals:
    changed(): what is known of the session looked at.
    """

    changed = Signal()

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self._row: np.void | None = None
        self._sensors: dict[int, str] = {}
        self.facts: list[Fact] = []
        """What is known of who else saw it. Asked anew at each look: more may have been delivered meanwhile."""
        self._asked: int | None = None
        """The number of the question that waits for its answer."""
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._ask)

    def look_at(self, row: np.void | None, sensors: dict[int, str]) -> None:
        """Another session is looked at, or none."""
        if row is not None and self._row is not None and key_of(row) == key_of(self._row):
            return
        self.drop()
        self._row, self._sensors = row, sensors
        if row is not None:
            self.facts = [Fact("Also seen", (Part("asking …"),), "dim")]
            self._settle.start()

    def drop(self) -> None:
        """No answer is waited for any more."""
        self._settle.stop()
        if self._asked is not None:
            self._server.cancel(self._asked)
        self._asked, self._row, self.facts = None, None, []

    def _ask(self) -> None:
        row, sensors = self._row, self._sensors
        if row is None:
            return
        text = sightings.question(row, sensors)
        if text is None or not self._server.online:
            why = "cannot be asked: " + ("not connected" if text else "its time is out of the language's range")
            self._tell([Fact("Also seen", (Part(why),), "dim")])
            return
        request = self._server.ask(text, lambda _: None, lambda future: self._answered(row, text, request, future))
        self._asked = request

    def _answered(self, row: np.void, text: str, request: int, future: "Future[Answer | TableAnswer]") -> None:
        if self._asked != request:
            return
        error = future.exception()
        if error is not None:
            self._failed(error)
            return
        answer = future.result()
        assert isinstance(answer, Answer), "the question asks for sessions"
        if not self._server.online:  # logged out since the answer came
            self._failed(LinkLost("not connected"))
            return
        self._server.pull(request, 0, sightings.MOST, lambda page: self._pulled(row, text, answer, page))

    def _pulled(self, row: np.void, text: str, answer: Answer, future: "Future[Page]") -> None:
        if self._asked != answer.request:
            return
        try:
            found = from_bytes(answer.columns, future.result().rows, ROW)
        except (LinkLost, RequestFailed, WireError) as error:
            self._failed(error)
            return
        self._server.cancel(answer.request)
        self._asked = None
        self._tell(sightings.facts(row, found, answer.sensors, text))

    def _failed(self, error: BaseException) -> None:
        self._asked = None
        if isinstance(error, LinkLost | RequestFailed | WireError):
            self._tell([Fact("Also seen", (Part(f"not answered: {error}"),), "dim")])
        else:
            raise error

    def _tell(self, told: list[Fact]) -> None:
        self.facts = told
        self.changed.emit()
