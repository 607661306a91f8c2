"""One tab: the query bar, what is said of it, and the answer below. Runs queries and walks the tab's trail."""

import time
from collections.abc import Callable, Iterable

from PySide6.QtCore import QPoint, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from afterfact_client.console.models.checker import Checked, Checker
from afterfact_client.console.models.query_run import Kept, QueryRun, RunPhase
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.answer_pane import AnswerPane
from afterfact_client.console.views.completion import Completion
from afterfact_client.console.views.parts import button, label, rename
from afterfact_client.console.views.query_editor import QueryEditor
from afterfact_client.console.views.time_menu import TimeButton, TimeDialog
from afterfact_client.state import querytext, wording
from afterfact_client.state.history import History, Walk
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.result import ResultRows
from afterfact_client.state.session import TabState
from afterfact_client.state.tools import Tool
from afterfact_protocol.messages import Answer, TableAnswer
from afterfact_protocol.query import QueryError

CALM_MS = 200
"""Until then a running query leaves what was shown before in place: most answers come sooner."""


class QueryTab(QWidget):
    """Signals:
    titled(str): what the tab is to be called.
    status_changed(): `status` or `status_details` changed.
    told(str): a short word for the status line, which goes back by itself.
    drafted(): the text or the trail changed and is to be saved.
    asked_elsewhere(str): a query for a new tab.
    columns_changed(list): the analyst moved columns.
    columns_menu_wanted(QPoint): the menu of columns, at a global position.
    stacked(str): the analyst wants timelines stacked by something else.
    """

    titled = Signal(str)
    status_changed = Signal()
    told = Signal(str)
    drafted = Signal()
    asked_elsewhere = Signal(str)
    columns_changed = Signal(list)
    columns_menu_wanted = Signal(QPoint)
    stacked = Signal(str)

    def __init__(
        self,
        server: Server,
        preferences: Preferences,
        history: History,
        state: TabState,
        shared: Shared,
        sensors: Callable[[], Iterable[str]],
        networks: Callable[[], Iterable[str]] = tuple,
        tools: Callable[[], list[Tool]] = list,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._server = server
        self._history = history
        self._walk = Walk(history)
        self.state = state
        self.status = ""
        self.status_details = ""
        self._summing = False
        """Whether the status tells of a selection."""
        self._kept_name = ""
        """The name that it got for the evidence that it shows."""

        self.editor = QueryEditor()
        self.run_button = button("Run", tip="Run the query (Ctrl-Enter)")
        self.stop_button = button("Stop", tip="Stop the query (Esc)")
        self.stop_button.setEnabled(False)
        self.said = label(" ", "dim", wrap=True, spoken="What the query means, or what is wrong with it")
        self.time = TimeButton()
        self.time_dialog: TimeDialog | None = None
        self.answer = AnswerPane(server, preferences, tools, shared)
        self.query = QueryRun(server, self)
        self.checker = Checker(self)
        self.completion = Completion(self.editor, self, shared, sensors, networks)
        self._calm = QTimer(self, singleShot=True, interval=CALM_MS)
        self._tick = QTimer(self, interval=100)
        self._lay_out()
        self._connect()
        self.editor.replace(state.text)
        self.checker.now(state.text)
        self._show_idle()

    def _lay_out(self) -> None:
        buttons = QVBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.stop_button)
        buttons.addStretch(1)
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 8, 8, 0)
        bar.setSpacing(8)
        bar.addWidget(self.editor, 1)
        bar.addLayout(buttons)
        self.said.setContentsMargins(10, 3, 8, 5)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        below = QHBoxLayout()
        below.setSpacing(4)
        below.addWidget(self.said, 1)
        beside = QVBoxLayout()
        beside.setContentsMargins(0, 3, 2, 0)
        beside.addWidget(self.time)
        beside.addStretch(1)
        below.addLayout(beside)
        layout.addLayout(below)
        layout.addWidget(self.answer, 1)

    def _connect(self) -> None:
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.query.stop)
        self.time.chosen.connect(self._ask_time)
        self.time.between_wanted.connect(self._ask_between)
        self.editor.older.connect(self._older)
        self.editor.newer.connect(self._newer)
        self.editor.edited.connect(self._walk.leave)
        self.editor.textChanged.connect(self._text_changed)
        self.checker.checked.connect(self._checked)
        self.query.changed.connect(self._query_changed)
        self.query.answered.connect(self._answered)
        self._calm.timeout.connect(self._query_changed)
        self._tick.timeout.connect(self._query_changed)
        self.answer.asked.connect(self._asked_on)
        self.answer.told.connect(self.told)
        self.answer.columns_changed.connect(self.columns_changed)
        self.answer.columns_menu_wanted.connect(self.columns_menu_wanted)
        self.answer.stacked.connect(self.stacked)
        self.answer.summed.connect(self._summed)

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Ask what stands in the editor."""
        text = self.editor.text.strip()
        if self._kept_name and self.state.name == self._kept_name:  # what it shows from now on is no evidence
            self._kept_name = self.state.name = ""
        self.completion.hide()
        self._walk.leave()
        self._history.add(text, self._server.join.address)
        self.checker.now(text)
        self._calm.start()
        self._tick.start()
        self.answer.pictures.stop()  # the query goes first
        self.query.start(text)

    def open_kept(self, text: str, kept: Kept, name: str) -> None:
        """Show what is kept of a case's step, whose query `text` is: to run that asks what is stored now."""
        self._kept_name = self.state.name = name
        self.editor.replace(text)
        self.checker.now(text)
        self._calm.start()
        self._tick.start()
        self.query.start(text, kept)

    def stop(self) -> None:
        """Stop what runs."""
        self.query.stop()

    def ask(self, text: str) -> None:
        """Put a query in the editor and run it; what stood there unrun is kept in the history."""
        self.keep_draft()
        self.editor.replace(text)
        self.run()

    def step(self, by: int) -> None:
        """Back (-1) or forward (1) along the trail. A result still held shows at once, another is asked for anew."""
        text = self.state.trail.move(by)
        if text is None:
            self.told.emit("The trail ends here")
            return
        self.editor.replace(text)
        self.checker.now(text)
        if self.answer.show_held(text):
            self.query.forget()
            self._summarise()
            self.drafted.emit()
        else:
            self.run()

    def _query_changed(self) -> None:
        running = self.query.running
        self.stop_button.setEnabled(running)
        if not running:
            self._tick.stop()
            self._calm.stop()
        match self.query.phase:
            case RunPhase.RUNNING | RunPhase.STOPPING:
                words = wording.progress(self.query.progress, self.query.waited)
                words = f"stopping, {words}" if self.query.phase is RunPhase.STOPPING else words
                self._say_status(words)
                if not self._calm.isActive():
                    self.answer.say(words[:1].upper() + words[1:], "Esc stops it.")
            case RunPhase.STOPPED:
                self._say_status("stopped")
                self.answer.say("Stopped", "The query was not answered. Ctrl-Enter runs it again.")
            case RunPhase.FAILED:
                self._failed()
            case _:
                pass

    def _failed(self) -> None:
        error = self.query.error
        assert error is not None
        if self.query.text == self.editor.text.strip() and error.start >= 0:
            lead = len(self.editor.text) - len(self.editor.text.lstrip())
            self._say_error(error.text, error.start + lead, error.end + lead)
        else:
            self._say_error(error.text)
        if self.answer.show_again():  # what was asked before is still true
            self._summarise()
        else:
            self.answer.say("Not answered", error.text)
            self._say_status("not answered")

    def _answered(self, answer: Answer | TableAnswer) -> None:
        text = self.query.text
        self.state.trail.step(text)
        if isinstance(answer, TableAnswer):
            self.answer.show_table(answer, text, time.time())
        else:
            self.answer.show_answer(ResultRows(answer), text, time.time())
        self._summarise()
        self.titled.emit(querytext.title(text))
        self.drafted.emit()

    def _show_idle(self) -> None:
        self.answer.say(
            "",
            "Type a query and press Ctrl-Enter.",
            [
                "Ctrl-Space suggests what may come next.",
                "Ctrl-Up brings back earlier queries.",
                "Ctrl-/ lists all keys.",
            ],
        )
        self._say_status("")

    # --- the text -----------------------------------------------------------------------------------------------------

    def _text_changed(self) -> None:
        self.state.text = self.editor.text
        self.checker.typed(self.editor.text)
        self.drafted.emit()

    def _checked(self, found: Checked) -> None:
        if found.text.strip() != self.editor.text.strip():
            return
        if found.error:
            self._say_error(found.error, found.start, found.end)
        elif not (self.query.phase is RunPhase.FAILED and self.query.text == found.text.strip()):
            self.editor.no_error()
            self._say(found.reading, "dim")
            self.time.show_times(found.times)

    def _say_error(self, text: str, start: int = -1, end: int = -1) -> None:
        if start >= 0:
            self.editor.underline(start, end)
            before = self.editor.text[:start]
            line, column = before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
            where = f"line {line}, column {column}: " if "\n" in self.editor.text else f"column {column}: "
            text = where + text
        self._say(f"\N{MULTIPLICATION X} {text}", "error")

    def _say(self, text: str, name: str) -> None:
        self.said.setText(text or " ")
        rename(self.said, name)

    def _older(self) -> None:
        text = self._walk.older(self.editor.text)
        if text is not None:
            self.editor.replace(text)

    def _newer(self) -> None:
        text = self._walk.newer()
        if text is not None:
            self.editor.replace(text)

    # --- the window's business ----------------------------------------------------------------------------------------

    def add_condition(self, condition: str) -> None:
        """Ask the query again with a further condition."""
        try:
            self.ask(querytext.refined(self.editor.text, condition))
        except QueryError:
            self.ask(f"WHERE {condition}")

    def _ask_time(self, condition: str) -> None:
        """Ask the query again about another time."""
        try:
            self.ask(querytext.timed(self.editor.text, condition))
        except QueryError as error:
            self.told.emit(f"First put the query right: {error}")

    def _ask_between(self) -> None:
        self.time_dialog = TimeDialog(self.editor.text, self.window())
        self.time_dialog.chosen.connect(self._ask_time)
        self.time_dialog.destroyed.connect(self._time_dialog_gone)
        self.time_dialog.open()

    def _time_dialog_gone(self) -> None:
        self.time_dialog = None

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.editor.restyle()
        self.answer.restyle()

    def keep_draft(self) -> None:
        """What stands in the editor unrun goes into the history."""
        draft = self.editor.text.strip()
        if draft and draft != self.answer.query:
            self._history.add(draft, self._server.join.address, ran=False)

    def close_down(self) -> None:
        """The tab goes away: the server need not keep its result."""
        self.query.forget()
        self.answer.close_down()
        self.checker.close()

    def _say_status(self, text: str) -> None:
        self.status, self.status_details = text, ""
        self.status_changed.emit()

    def _summarise(self) -> None:
        self.status, self.status_details = self.answer.summary()
        self.status_changed.emit()

    def _summed(self, text: str) -> None:
        """The selection's sums stand before the answer's summary."""
        shown, self._summing = self._summing, bool(text)
        if not self.query.running and (text or shown):
            self._summarise()
            if text:
                self.status = f"{text}  |  {self.status}"
                self.status_changed.emit()

    def _asked_on(self, text: str, elsewhere: bool) -> None:
        if elsewhere:
            self.asked_elsewhere.emit(text)
        else:
            self.ask(text)
