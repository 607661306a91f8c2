"""A host's profile, in a window of its own that blocks nothing: what it did, when, with whom, on which ports. Bars open
their sessions."""

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.models.tables_run import TablesRun
from afterfact_client.console.views.day_bars import DayBars
from afterfact_client.console.views.parts import button, label
from afterfact_client.console.views.theme import LOOK
from afterfact_client.console.views.top_values import Bars
from afterfact_client.state import profile, querytext, wording
from afterfact_client.state.profile import MOST, Part
from afterfact_client.state.table import Table

ASKING = "asking ..."


class HostWindow(QDialog):
    """Signals:
    asked(str): a query to run in a tab of its own.
    """

    asked = Signal(str)

    def __init__(self, address: str, times: Sequence[str], shared: Shared, parent: QWidget) -> None:
        """`times`: conditions on time, of the query that the host was found by."""
        super().__init__(parent)
        self.setWindowTitle(f"Host {address}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(900 * LOOK.text_px // 12, 560 * LOOK.text_px // 12)
        self._address, self._shared = address, shared
        self._times = list(times)
        self._parts: dict[str, Part] = {}
        self.run = TablesRun(shared.server, self)
        self.name = label(address, "heading")
        self.called = label("", wrap=True, spoken="What it is called")
        self.time = label("", "dim", wrap=True, spoken="Time asked about")
        self.source, self.destination = (label(ASKING, wrap=True) for _ in range(2))
        self.missing = label("", "notice", wrap=True, spoken="What was not seen")
        for words in (self.called, self.source, self.destination, self.missing):
            words.setTextFormat(Qt.TextFormat.PlainText)
        self.days = DayBars("Bytes by day")
        self.bars: dict[str, Bars] = {}
        self.all_time = button("All time", "plain", "Ask again without the query's conditions on time")
        self.all_time.setAutoDefault(False)
        self.all_time.setVisible(bool(times))
        head = QHBoxLayout()
        head.addWidget(self.name)
        head.addWidget(self.called, 1)
        head.addWidget(self.all_time)
        grid = QGridLayout()
        grid.setSpacing(6)
        for at, part in enumerate(each for each in profile.parts(address, []) if each.field):
            self.bars[part.key] = Bars(part.title, MOST)
            self.bars[part.key].wanted.connect(partial(self._refine, part.key))
            grid.addWidget(self.bars[part.key], at // 2, at % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(6)
        layout.addLayout(head)
        for each in (self.time, self.source, self.destination, self.missing, self.days):
            layout.addWidget(each)
        layout.addLayout(grid)
        layout.addStretch(1)
        self.run.arrived.connect(self._arrived)
        self.run.failed.connect(self._failed)
        self.all_time.clicked.connect(self._ask_all)
        self.days.wanted.connect(self._ask_day)
        shared.resolver.learned.connect(self._show_name)
        self._show_name()
        self._ask()

    def _ask(self) -> None:
        found = profile.parts(self._address, self._times)
        self._parts = {part.key: part for part in found}
        self.time.setText(f"Within {' AND '.join(self._times)} (UTC)." if self._times else "Of all that is stored.")
        self.missing.hide()
        for each in (self.source, self.destination):
            each.setText(ASKING)
        self.days.say(ASKING)
        for bars in self.bars.values():
            bars.say(ASKING)
        self.run.ask([(part.key, part.text) for part in found])

    def _ask_all(self) -> None:
        self._times = []
        self.all_time.hide()
        self._ask()

    def _show_name(self) -> None:
        known = self._shared.resolver.known(self._address)
        self.called.setText(known.words if known is not None else "")

    # --- answers ------------------------------------------------------------------------------------------------------

    def _arrived(self, key: str, table: Table) -> None:
        if key in ("source", "destination"):
            self._line(key).setText(profile.ends_words(key, table))
            told = wording.missing(table.answer)
            if told:
                self.missing.setText(told)
                self.missing.show()
        elif key == "days":
            self.days.show_days(profile.days_of(table))
        else:
            tops, different = profile.tops_of(table, self._parts[key].field)
            self.bars[key].show_tops(tops, different, sum(table.array("count").tolist()))

    def _failed(self, key: str, why: str) -> None:
        words = f"Not answered: {why}." if why else "None."
        if key in ("source", "destination"):
            self._line(key).setText(words)
        elif key == "days":
            self.days.say(words)
        else:
            self.bars[key].say(words)

    def _line(self, key: str) -> QLabel:
        return self.source if key == "source" else self.destination

    # --- doors --------------------------------------------------------------------------------------------------------

    def _refine(self, key: str, condition: str, negated: bool) -> None:
        self.asked.emit(querytext.refined(self._parts[key].base, condition, negated))

    def _ask_day(self, condition: str) -> None:
        self.asked.emit(querytext.timed(self._parts["days"].base, condition))

    def closeEvent(self, event: QCloseEvent) -> None:
        self.run.stop()
        super().closeEvent(event)

    def reject(self) -> None:
        self.run.stop()
        super().reject()
