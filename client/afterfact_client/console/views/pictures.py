"""Pictures over a table: the timeline and the most frequent values of the result below. The server counts the timeline
of a result that is not loaded whole."""

from datetime import UTC, datetime

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from afterfact_client.console.models.server import Server
from afterfact_client.console.models.tables_run import TablesRun
from afterfact_client.console.models.timeline_run import TimelineRun
from afterfact_client.console.views.timeline_view import TimelineView
from afterfact_client.console.views.top_values import MOST, TopValues
from afterfact_client.state import counting, timeline, wording
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.profile import known_tops
from afterfact_client.state.result import ResultRows
from afterfact_client.state.table import Table
from afterfact_client.state.timeline import TOPS, By
from afterfact_protocol.query import QueryError


class Pictures(QWidget):
    """They are of a whole result, or of all that matches, never of the rows that happen to be loaded.

    Signals:
        zoomed(object, object): from when to when to ask again, in microseconds.
        wanted(str, bool): a condition to add to the query; True for its negation.
        stacked(str): the analyst wants timelines stacked by something else.
    """

    zoomed = Signal(object, object)
    wanted = Signal(str, bool)
    stacked = Signal(str)

    def __init__(self, server: Server, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._result: ResultRows | None = None
        self._asked = ("", 0.0)
        """The query of the result, and when it was answered."""
        self._rows_shown = False
        self.counts = TimelineRun(server, self)
        self.timeline = TimelineView()
        self.tops = TopValues()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.timeline)
        layout.addWidget(self.tops)
        self.timeline.zoomed.connect(self.zoomed)
        self.timeline.stacked.connect(self.stacked)
        self.tops.wanted.connect(self.wanted)
        self.counts.changed.connect(self.refresh)
        self.frequent = TablesRun(server, self)
        """Counts the most frequent values of a large result."""
        self._counted: tuple[str, float] | None = None
        """Of which query they are, or are being counted."""
        self.frequent.arrived.connect(self._top_came)
        self.frequent.failed.connect(lambda name, why: self.tops.lists[name].say(f"not counted: {why}" if why else ""))

    def show_result(self, result: ResultRows | None, query: str, answered_at: float) -> None:
        """Another result, or more of it, is here: of a query that was answered at a time.time()."""
        if result is not self._result:
            self.stop()
            self._rows_shown = False
        self._result, self._asked = result, (query, answered_at)
        self.refresh()

    def stop(self) -> None:
        """What the server counts for them is of no use any more."""
        self.counts.stop()
        self.frequent.stop()
        self._counted = None

    def rows_shown(self) -> None:
        """The first rows are to be seen: what else must be asked may be asked."""
        if not self._rows_shown:
            self._rows_shown = True
            self.refresh()

    def refresh(self) -> None:
        """What is shown, or how, has changed."""
        result, liked = self._result, self._preferences
        filled = result is not None and result.total > 0
        self.timeline.setVisible(filled and liked.timeline_shown)
        self.tops.setVisible(filled and liked.tops_shown)
        if result is None or not filled:
            return
        by: By = liked.stacked_by
        rows = result.everything()
        if rows is None:
            if result.small:
                self.timeline.show_counts(None, [], by, "Loading")
            else:
                self._show_counted(result)
            if result.small:
                self.tops.show_tops({}, 0)
            else:
                self._count_tops()
            return
        answer = result.answer
        if liked.timeline_shown:
            counts = timeline.counted(rows, answer.sensors, by, answer)
            gaps = timeline.gaps(answer, counts) if counts is not None else []
            words = f"of the {wording.count(answer.total, 'session')} shown; more match;" if answer.truncated else ""
            self.timeline.show_counts(counts, gaps, by, words)
        if liked.tops_shown:
            self.tops.show_tops({name: timeline.tops(rows, answer.sensors, name, MOST) for name in TOPS}, len(rows))

    def _show_counted(self, result: ResultRows) -> None:
        """The timeline of a large result, as far as the server has counted it."""
        by, counts = self._preferences.stacked_by, self.counts
        if not self._preferences.timeline_shown:
            counts.stop()
        elif not (self._rows_shown and self.isVisible()):  # a tab that is not looked at asks for nothing
            self.timeline.show_counts(None, [], by, "Counting all that match ...")
        else:
            counts.want(*self._asked, result.answer, by)
            made, of = counts.timeline, counts.answer
            gaps = timeline.gaps(of, made) if made is not None and of is not None else []
            self.timeline.show_counts(made, gaps, by, counts.words)

    def _count_tops(self) -> None:
        """Have the server count the most frequent values of all that match, once somebody looks."""
        if not self._preferences.tops_shown:
            self.frequent.stop()
            self._counted = None
        elif self._rows_shown and self.isVisible() and self._counted != self._asked:
            self._counted = self._asked
            text, asked = self._asked
            for bars in self.tops.lists.values():
                bars.say("counting ...")
            try:
                moment = datetime.fromtimestamp(asked, UTC)
                self.frequent.ask([(name, counting.tops_question(text, moment, name, MOST + 1)) for name in TOPS])
            except QueryError as error:
                for bars in self.tops.lists.values():
                    bars.say(f"not counted: {error}")

    def _top_came(self, name: str, table: Table) -> None:
        found, different = known_tops(table, name, MOST)
        self.tops.lists[name].show_tops(found, different, int(sum(table.array("count").tolist())))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._result is not None and not self._result.small:
            self.refresh()

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.timeline.restyle()
        self.tops.restyle()
