"""Has the server make several tables, one after another, in the background; each is told as it comes."""

from collections.abc import Hashable, Sequence

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.aggregate_table import AggregateTable
from afterfact_client.console.models.query_run import QueryRun, RunPhase
from afterfact_client.console.models.server import Server
from afterfact_protocol.messages import TableAnswer


class TablesRun(QObject):
    """Signals:
    arrived(object, Table): the table that was asked for under a key. One without rows too.
    failed(object, str): why there is none.
    """

    arrived = Signal(object, object)
    failed = Signal(object, str)

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self._query = QueryRun(server, self)
        self._table = AggregateTable(server, self)
        self._waiting: list[tuple[Hashable, str]] = []
        self._current: Hashable = None
        self._query.changed.connect(self._changed)
        self._query.answered.connect(self._answered)
        self._table.loaded.connect(self._loaded)
        self._table.trouble.connect(self._fail)

    @property
    def running(self) -> bool:
        """Whether something is still to come."""
        return self._current is not None

    def ask(self, questions: Sequence[tuple[Hashable, str]]) -> None:
        """Ask these in place of what is asked still."""
        self.stop()
        self._waiting = list(questions)
        self._next()

    def stop(self) -> None:
        """Ask nothing more."""
        self._waiting, self._current = [], None
        self._query.forget()
        self._table.show_answer(None)

    def _next(self) -> None:
        self._current = None
        if not self._waiting:
            return
        self._current, text = self._waiting.pop(0)
        if self._server.online:
            self._query.start(text)
        else:
            self._fail("not connected")

    def _changed(self) -> None:
        if self._current is None:
            return
        if self._query.phase is RunPhase.STOPPED:
            self._fail("the server stopped it")
        elif self._query.phase is RunPhase.FAILED and self._query.error is not None:
            self._fail(self._query.error.text)

    def _answered(self, answer: TableAnswer) -> None:
        if self._current is not None and self._server.online:
            self._table.show_answer(answer)
            if not answer.total:
                self._fail("")

    def _loaded(self) -> None:
        if self._current is not None and self._table.table is not None:
            key, table = self._current, self._table.table
            self._table.show_answer(None)
            self._next()
            self.arrived.emit(key, table)

    def _fail(self, why: str) -> None:
        key = self._current
        self._next()
        self.failed.emit(key, why)
