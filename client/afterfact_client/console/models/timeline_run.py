"""Has the server count the timeline of a result too large to be loaded whole: in the background, one at a time."""

from datetime import UTC, datetime

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.aggregate_table import AggregateTable
from afterfact_client.console.models.query_run import QueryRun, RunPhase
from afterfact_client.console.models.server import Server
from afterfact_client.state import counting, wording
from afterfact_client.state.timeline import By, Timeline
from afterfact_protocol.messages import Answer, TableAnswer
from afterfact_protocol.query import QueryError

ROUNDS = 4
"""Tables asked for until the step fits: sessions in a small part of the time searched are counted again, finer."""


class TimelineRun(QObject):
    """Signals:
    changed(): there is a timeline, or other words in its place.
    """

    changed = Signal()

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self._query = QueryRun(server, self)
        self._table = AggregateTable(server, self)
        self._asked: tuple[str, float, By] | None = None
        self._step = self._rounds = 0
        self._searched = (0, 0)
        self.timeline: Timeline | None = None
        self.answer: TableAnswer | None = None
        """The table that the timeline is of."""
        self.words = ""
        """What stands in place of the timeline, or beside it."""
        self._query.changed.connect(self._query_changed)
        self._query.answered.connect(self._answered)
        self._table.loaded.connect(self._loaded)
        self._table.trouble.connect(self._fail)

    @property
    def running(self) -> bool:
        return self._query.running

    def want(self, text: str, asked: float, answer: Answer, by: By) -> None:
        """Count what matches a query that was answered at time.time() `asked`, unless that is done or under way."""
        if self._asked == (text, asked, by):
            return
        self.stop()
        self.timeline, self.answer = None, None
        self._asked, self._rounds = (text, asked, by), 0
        self._searched = answer.span_start, answer.span_end
        self._ask(counting.step_for(max(answer.span_end - answer.span_start, 0)))

    def stop(self) -> None:
        """Stop what runs, and drop its answer; what is counted stays."""
        if self.timeline is None:
            self._asked = None
        self._query.forget()
        self._table.show_answer(None)

    def _ask(self, step: int) -> None:
        assert self._asked is not None
        text, asked, by = self._asked
        self._step, self._rounds = step, self._rounds + 1
        if not self._server.online:
            self._fail("not connected. Run the query again when connected.")
            return
        try:
            question = counting.question(text, datetime.fromtimestamp(asked, UTC), by, step)
        except QueryError as error:
            self._fail(str(error))
            return
        self._query.start(question)

    def _query_changed(self) -> None:
        match self._query.phase:
            case RunPhase.RUNNING:
                told = self._query.progress
                read = f" {told.read_rows:,} rows read" if told is not None and told.read_rows else ""
                self.words = f"Counting all that match ...{read}"
                self.changed.emit()
            case RunPhase.STOPPED:
                self._fail("the server stopped counting. Run the query again.")
            case RunPhase.FAILED:
                assert self._query.error is not None
                self._fail(self._query.error.text)
            case _:
                pass

    def _answered(self, answer: TableAnswer) -> None:
        if not self._server.online:  # logged out since the answer came
            self._fail("not connected. Run the query again when connected.")
            return
        self._table.show_answer(answer)
        if not answer.total:
            self._fail("no session that matches is stored any more.")
        elif answer.truncated or self._table.cut:
            self._table.show_answer(None)
            self._fail("the sessions lie too far apart in time to be counted in steps.")

    def _loaded(self) -> None:
        table = self._table.table
        if table is None or self._asked is None:
            return
        over = counting.extent(table, self._step, self._searched)
        fitting = counting.step_for(over[1] - over[0])
        if fitting != self._step and self._rounds < ROUNDS:
            self._table.show_answer(None)
            self._ask(fitting)
            return
        self.timeline = counting.timeline_of(table, self._asked[2], self._step, over)
        self.answer = table.answer
        self.words = f"of all {wording.count(int(self.timeline.counts.sum()), 'session')} that match;"
        self._table.show_answer(None)
        self.changed.emit()

    def _fail(self, why: str) -> None:
        self.words = f"No timeline: {why}"
        self.changed.emit()
