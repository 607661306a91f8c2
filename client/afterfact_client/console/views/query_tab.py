"""One tab: query bar, what is said of it, and its sessions. Runs queries, walks its trail, sorts, copies, asks on."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from PySide6.QtCore import QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedLayout, QVBoxLayout, QWidget

from afterfact_client.console.models.checker import Checked, Checker
from afterfact_client.console.models.collector import Collector
from afterfact_client.console.models.query_run import QueryRun, RunPhase
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.views.answer_notes import AnswerNotes, MessagePage
from afterfact_client.console.views.completion import Completion
from afterfact_client.console.views.menus import cell_menu
from afterfact_client.console.views.parts import button, label, rename
from afterfact_client.console.views.query_editor import QueryEditor
from afterfact_client.console.views.session_view import SessionView
from afterfact_client.state import querytext, wording
from afterfact_client.state.columns import Column
from afterfact_client.state.coverage import counted
from afterfact_client.state.history import History, Walk
from afterfact_client.state.pivots import pivots
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.result import ResultRows
from afterfact_client.state.session import TabState
from afterfact_protocol.messages import Answer
from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.nodes import Column as ColumnNode
from afterfact_protocol.query.nodes import Derived

HELD_RESULTS = 8
"""Complete results kept along the trail, so that going back shows the same rows at once."""
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
    """

    titled = Signal(str)
    status_changed = Signal()
    told = Signal(str)
    drafted = Signal()
    asked_elsewhere = Signal(str)
    columns_changed = Signal(list)
    columns_menu_wanted = Signal(QPoint)

    def __init__(
        self,
        server: Server,
        preferences: Preferences,
        history: History,
        state: TabState,
        sensors: Callable[[], Iterable[str]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._server = server
        self._history = history
        self._walk = Walk(history)
        self.state = state
        self.status = ""
        self.status_details = ""
        self._asked = ""
        """The query whose answer is shown."""
        self._answered_at = 0.0
        self._held: OrderedDict[str, tuple[ResultRows, float]] = OrderedDict()
        self._sort_once_loaded: tuple[Column, bool] | None = None
        self._fitted = False

        self.editor = QueryEditor()
        self.run_button = button("Run", tip="Run the query (Ctrl-Enter)")
        self.stop_button = button("Stop", tip="Stop the query (Esc)")
        self.stop_button.setEnabled(False)
        self.said = label(" ", "dim", wrap=True, spoken="What the query means, or what is wrong with it")
        self.notes = AnswerNotes()
        self.page = MessagePage()
        self.table = SessionTable(server, preferences.columns, self)
        self.view = SessionView(preferences)
        self.view.setModel(self.table)
        self.view.fit_columns()
        self.query = QueryRun(server, self)
        self.checker = Checker(self)
        self.collector = Collector(self.table, self)
        self.completion = Completion(self.editor, self, sensors)
        self.menu: QMenu | None = None
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
        below = QWidget()
        self._stack = QStackedLayout(below)
        self._stack.addWidget(self.page)
        self._stack.addWidget(self.view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.said)
        layout.addWidget(self.notes)
        layout.addWidget(below, 1)

    def _connect(self) -> None:
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.query.stop)
        self.editor.older.connect(self._older)
        self.editor.newer.connect(self._newer)
        self.editor.edited.connect(self._walk.leave)
        self.editor.textChanged.connect(self._text_changed)
        self.checker.checked.connect(self._checked)
        self.query.changed.connect(self._query_changed)
        self.query.answered.connect(self._answered)
        self._calm.timeout.connect(self._query_changed)
        self._tick.timeout.connect(self._query_changed)
        self.table.loaded.connect(self._loaded)
        self.table.arrived.connect(self._first_rows)
        self.table.trouble.connect(self.notes.trouble)
        self.collector.told.connect(self._tell)
        self.collector.ready.connect(lambda text: QGuiApplication.clipboard().setText(text))
        self.view.sort_wanted.connect(self._sort)
        self.view.copy_wanted.connect(self.copy)
        self.view.menu_wanted.connect(self._cell_menu)
        self.view.order_changed.connect(self.columns_changed)
        self.view.columns_menu_wanted.connect(self.columns_menu_wanted)

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Ask what stands in the editor."""
        text = self.editor.text.strip()
        self.completion.hide()
        self._walk.leave()
        self._history.add(text, self._server.join.address)
        self.checker.now(text)
        self._calm.start()
        self._tick.start()
        self.query.start(text)

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
            self._tell("The trail ends here")
            return
        self.editor.replace(text)
        self.checker.now(text)
        held = self._held.get(text)
        if held is None:
            self.run()
            return
        self.query.forget()
        self._leave_result()
        self._asked, self._answered_at = text, held[1]
        self._show(held[0])
        self.drafted.emit()

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
                    self.page.say(words[:1].upper() + words[1:], "Esc stops it.")
                    self._stack.setCurrentWidget(self.page)
                    self.notes.clear()
            case RunPhase.STOPPED:
                self._say_status("stopped")
                self.page.say("Stopped", "The query was not answered. Ctrl-Enter runs it again.")
                self._stack.setCurrentWidget(self.page)
                self.notes.clear()
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
        self._say_status("not answered")
        if self.table.result is None:
            self.page.say("Not answered", error.text)
            self._stack.setCurrentWidget(self.page)
        else:
            self._show(self.table.result)  # what was asked before is still true
            asked = " ".join(self._asked.split())
            self.notes.trouble(f"Below is still the answer to the query before: {asked}" if asked else "")

    def _answered(self, answer: Answer) -> None:
        self._leave_result()
        self._asked, self._answered_at = self.query.text, time.time()
        self.state.trail.step(self._asked)
        self._show(ResultRows(answer))
        self.titled.emit(querytext.title(self._asked))
        self.drafted.emit()

    def _leave_result(self) -> None:
        """Another result is about to be shown: hold the one shown if it is whole, else let the server drop it."""
        result = self.table.result
        if result is None:
            return
        if result.complete and self._asked:
            self._held[self._asked] = (result, self._answered_at)
            self._held.move_to_end(self._asked)
            while len(self._held) > HELD_RESULTS:
                self._held.popitem(last=False)
        else:
            self._server.cancel(result.answer.request)

    def _show(self, result: ResultRows) -> None:
        """Show a result, from its beginning if it is another one."""
        answer = result.answer
        now = int(self._answered_at * 1e6)
        if self.table.result is not result:
            self._sort_once_loaded = None
            if not answer.total:
                self._server.cancel(answer.request)
            self.table.show(result)
            self.view.scrollToTop()
            self._fitted = False
            self._first_rows()
        self._show_order()
        self.notes.show_answer(answer)
        if answer.total:
            self._stack.setCurrentWidget(self.view)
            if not self.view.currentIndex().isValid():
                self.view.setCurrentIndex(self.table.index(0, 0))
                self.view.clearSelection()
        else:
            self.page.say(
                "No sessions match",
                f"{answer.reading[:1].upper()}{answer.reading[1:]}.\n{_capital(wording.searched(answer, now))} (UTC).",
                wording.nothing_found(answer),
                [f"{name}: {text}" if name else text for name, text in wording.gaps(answer)],
            )
            self._stack.setCurrentWidget(self.page)
        clock = datetime.fromtimestamp(self._answered_at, UTC).strftime("%H:%M:%S")
        parts = [
            counted(answer),
            wording.elapsed(answer.elapsed),
            wording.searched(answer, now),
            wording.watched(answer),
        ]
        self.status = "  |  ".join(parts)
        self.status_details = "\n".join(
            [*parts[:3], f"answered {clock} UTC", *(": ".join(filter(None, line)) for line in wording.gaps(answer))]
        )
        self.status_changed.emit()

    def _first_rows(self) -> None:
        """Columns fit what they hold once there is something to fit to."""
        result = self.table.result
        if result is not None and not self._fitted:
            if result.total and self.table.row_values(0) is None:
                return
            self._fitted = True
            self.view.fit_columns()

    def _show_idle(self) -> None:
        self.page.say(
            "",
            "Type a query and press Ctrl-Enter.",
            "",
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

    # --- the table ----------------------------------------------------------------------------------------------------

    def _sort(self, section: int) -> None:
        """A click on a header. A whole result is sorted here; one that is cut off or large is asked for again in that
        order, since sorting a part of it would not give the first of all."""
        result = self.table.result
        if result is None:
            return
        column = self.table.columns[section]
        here = result.small and not result.answer.truncated
        order = result.sorted_by if here else self._asked_order()
        first = column.descending_first
        if order is None or order[0] != column.name:
            wanted: bool | None = first
        else:
            wanted = (not first) if order[1] == first else None if here else first
        if not here:
            assert wanted is not None
            self.ask(querytext.ordered(self._asked, column.name, wanted))
        elif result.complete:
            self.table.sort_here(column if wanted is not None else None, bool(wanted))
            self._show_order()
        elif wanted is not None:
            self._sort_once_loaded = (column, wanted)
            self._tell("Sorting as soon as all rows are here")

    def _loaded(self) -> None:
        if self._sort_once_loaded is not None:
            column, descending = self._sort_once_loaded
            self._sort_once_loaded = None
            self.table.sort_here(column, descending)
            self._show_order()

    def _asked_order(self) -> tuple[str, bool] | None:
        """The first key of the ORDER BY of the query shown."""
        try:
            keys = parse(self._asked, datetime.now(UTC)).order
        except QueryError:
            return None
        if keys and isinstance(keys[0].operand, ColumnNode | Derived):
            return keys[0].operand.name, keys[0].descending
        return None

    def _show_order(self) -> None:
        result = self.table.result
        order = None if result is None else result.sorted_by or self._asked_order()
        if order != self.table.order:
            self.table.show_order(order)
            self.view.fit_columns()

    def copy(self, as_csv: bool) -> None:
        """Copy the selection: one cell as its bare value, more with a header."""
        ranges, sections = self.view.selected_cells()
        if len(sections) == 1 and len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not as_csv:
            self._copy_value(self.table.index(ranges[0][0], sections[0]))
        elif not ranges:
            self._copy_value(self.view.currentIndex())
        else:
            self.collector.collect(ranges, [self.table.columns[at] for at in sections], as_csv)

    def _copy_value(self, index: QModelIndex) -> None:
        result = self.table.result
        rows = result.many(index.row(), index.row()) if result is not None and index.isValid() else None
        if result is not None and rows is not None and len(rows):
            value = self.table.columns[index.column()].exact(rows, result.answer.sensors)[0]
            QGuiApplication.clipboard().setText(value)
            self._tell(f"Copied {value}" if value else "Nothing to copy: the source did not know it")

    def _cell_menu(self, index: QModelIndex, at: QPoint) -> None:
        row = self.table.row_values(index.row())
        result = self.table.result
        if row is None or result is None:
            return
        if not self.view.selectionModel().isSelected(index):
            self.view.setCurrentIndex(index)
        sections = pivots(self.table.columns[index.column()], row, result.answer.sensors, self._asked)
        copies = [
            ("Copy &value", "", lambda: self._copy_value(index)),
            ("Copy selection", "Ctrl+C", lambda: self.copy(False)),
            ("Copy selection as CSV", "Ctrl+Shift+C", lambda: self.copy(True)),
        ]
        self.menu = cell_menu(self, sections, self._ask_from_menu, copies)
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu.destroyed.connect(self._menu_gone)
        self.menu.popup(at)

    def _menu_gone(self) -> None:
        self.menu = None

    def _ask_from_menu(self, text: str, elsewhere: bool) -> None:
        if elsewhere:
            self.asked_elsewhere.emit(text)
        else:
            self.ask(text)

    def show_columns(self, names: list[str]) -> None:
        """Show these columns, in this order, and keep the place in the table."""
        if names == [column.name for column in self.table.columns]:
            return
        current = self.view.currentIndex()
        name = self.table.columns[current.column()].name if current.isValid() else ""
        self.table.set_columns(names)
        self._restore_header()
        self.view.fit_columns()
        self._show_order()
        if current.isValid() and self.table.rowCount():
            self.view.setCurrentIndex(self.table.index(current.row(), names.index(name) if name in names else 0))

    def _restore_header(self) -> None:
        """Logical and visual order are the same again: the model has the columns in their order."""
        across = self.view.horizontalHeader()
        across.blockSignals(True)
        for at in range(len(self.table.columns)):
            across.moveSection(across.visualIndex(at), at)
        across.blockSignals(False)

    # --- the window's business ----------------------------------------------------------------------------------------

    def add_condition(self, condition: str) -> None:
        """Ask the query again with a further condition."""
        try:
            self.ask(querytext.refined(self.editor.text, condition))
        except QueryError:
            self.ask(f"WHERE {condition}")

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.editor.restyle()
        self.notes.restyle()
        self.view.restyle()

    def keep_draft(self) -> None:
        """What stands in the editor unrun goes into the history."""
        draft = self.editor.text.strip()
        if draft and draft != self._asked:
            self._history.add(draft, self._server.join.address, ran=False)

    def close_down(self) -> None:
        """The tab goes away: the server need not keep its result."""
        self.query.forget()
        result = self.table.result
        if result is not None and not result.complete:
            self._server.cancel(result.answer.request)
        self.checker.close()
        self.collector.close()

    def _say_status(self, text: str) -> None:
        self.status, self.status_details = text, ""
        self.status_changed.emit()

    def _tell(self, text: str) -> None:
        self.told.emit(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
