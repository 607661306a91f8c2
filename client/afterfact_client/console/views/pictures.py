"""Pictures over a table: the timeline and the most frequent values of the result below."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from afterfact_client.console.views.timeline_view import TimelineView
from afterfact_client.console.views.top_values import MOST, TopValues
from afterfact_client.state import timeline, wording
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.result import LOCAL_ROWS, ResultRows
from afterfact_client.state.timeline import TOPS, By


class Pictures(QWidget):
    """They are of a whole result, never of the rows that happen to be loaded.

    Signals:
        zoomed(object, object): from when to when to ask again, in microseconds.
        wanted(str, bool): a condition to add to the query; True for its negation.
        stacked(str): the analyst wants timelines stacked by something else.
    """

    zoomed = Signal(object, object)
    wanted = Signal(str, bool)
    stacked = Signal(str)

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._result: ResultRows | None = None
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

    def show_result(self, result: ResultRows | None) -> None:
        """Another result, or more of it, is here."""
        self._result = result
        self.refresh()

    def refresh(self) -> None:
        """What is shown, or how, has changed."""
        result, liked = self._result, self._preferences
        filled = result is not None and result.total > 0
        self.timeline.setVisible(filled and liked.timeline_shown)
        self.tops.setVisible(filled and liked.tops_shown and result is not None and result.small)
        if result is None or not filled:
            return
        by: By = liked.stacked_by
        rows = result.everything()
        if rows is None:
            words = "Loading" if result.small else (
                f"No timeline: it is drawn of whole results of up to {LOCAL_ROWS:,} sessions, and this one has "
                f"{result.total:,}. Narrow the query."
            )  # fmt: skip
            self.timeline.show_counts(None, [], by, words)
            self.tops.show_tops({}, 0)
            return
        answer = result.answer
        if liked.timeline_shown:
            counts = timeline.counted(rows, answer.sensors, by, answer)
            gaps = timeline.gaps(answer, counts) if counts is not None else []
            words = f"of the {wording.count(answer.total, 'session')} shown; more match;" if answer.truncated else ""
            self.timeline.show_counts(counts, gaps, by, words)
        if liked.tops_shown:
            self.tops.show_tops({name: timeline.tops(rows, answer.sensors, name, MOST) for name in TOPS}, len(rows))

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.timeline.restyle()
        self.tops.restyle()
