"""Asks what else must be known to judge a result: how many sessions its condition could not judge, how many were open
before. The server looks for it once the rows are on their way, and keeps the result meanwhile."""

from concurrent.futures import Future
from functools import partial

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.result import ResultRows
from afterfact_protocol.hintstext import told
from afterfact_protocol.messages import Hints

STOPPED = "what could not be judged was not counted: another query came first"


class HintsRun(QObject):
    """Signals:
    told(str): what is to be said of the result that is looked at; empty: nothing, or not yet.
    """

    told = Signal(str)

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self._result: ResultRows | None = None
        self._to_ask: ResultRows | None = None
        """The server is to be asked about it, and is not yet."""

    def look_at(self, result: ResultRows | None) -> None:
        """Tell of this result from now on; of one that is new the server is asked once its first rows are here."""
        self._result = result
        if result is None:
            return
        if result.hints is None and not result.wanted and self._server.online:
            result.wanted, self._to_ask = True, result
            if not result.answer.total:
                self.rows_shown()
        self._tell(result)

    def rows_shown(self) -> None:
        """Rows go first; now some are here."""
        result, self._to_ask = self._to_ask, None
        if result is None or result is not self._result:
            return
        if self._server.online:
            self._server.hints(result.answer.request, partial(self._take, result))
        else:
            result.wanted = False

    def leave(self, result: ResultRows) -> None:
        """It is looked at no more: the server need not count on."""
        if result.wanted:
            self._server.cancel(result.answer.request)
        if result is self._to_ask:
            result.wanted, result.hints, self._to_ask = False, [STOPPED], None

    def _take(self, result: ResultRows, future: "Future[Hints]") -> None:
        result.wanted = False
        error = future.exception()
        if error is None:
            result.hints = told(future.result())
        elif isinstance(error, RequestFailed | LinkLost):
            stopped = isinstance(error, RequestFailed) and error.code == "cancelled"
            result.hints = [STOPPED if stopped else f"what could not be judged was not counted: {error}"]
        else:
            raise error
        if result.complete:
            self._server.cancel(result.answer.request)  # all of it is here, and all is known of it
        if result is self._result:
            self._tell(result)

    def _tell(self, result: ResultRows) -> None:
        self.told.emit(" ".join(f"{line[:1].upper()}{line[1:]}." for line in result.hints or ()))
