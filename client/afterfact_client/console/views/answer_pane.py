"""The lower part of a tab: an answer's warnings and its table, or a page of words. Sorts, and shows what belongs
to the table: pictures over it, details beside it.

It shows what it is given; which query to run is the tab's business, and it asks for one by a signal.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QMenu, QSplitter, QStackedLayout, QVBoxLayout, QWidget

from afterfact_client.console.models.aggregate_table import MOST_ROWS, AggregateTable
from afterfact_client.console.models.exporter import Exporter
from afterfact_client.console.models.finder import Finder
from afterfact_client.console.models.hints_run import HintsRun
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.aggregate_view import AggregateView
from afterfact_client.console.views.answer_notes import AnswerNotes, MessagePage
from afterfact_client.console.views.detail_pane import DetailPane
from afterfact_client.console.views.filter_bar import FilterBar
from afterfact_client.console.views.pictures import Pictures
from afterfact_client.console.views.row_actions import RowActions
from afterfact_client.console.views.session_view import SessionView
from afterfact_client.console.views.sorting import Sorting
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state import querytext, wording
from afterfact_client.state.columns import shown
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.result import ResultRows
from afterfact_client.state.tools import Tool
from afterfact_client.state.totals import totals
from afterfact_protocol.coveragetext import Answered, counted, counted_table
from afterfact_protocol.messages import TableAnswer
from afterfact_protocol.query import QueryError

HELD_RESULTS = 8
"""Complete results kept along the trail, so that going back shows the same rows at once."""
SUM_MS = 80
LOOK_MS = 30
"""Details follow the cursor this much later: a key held down walks at full speed."""


class AnswerPane(QWidget):
    """Signals:
    asked(str, bool): a query to run; True for a tab of its own.
    told(str): a short word for the status line.
    columns_changed(list): the analyst moved columns.
    columns_menu_wanted(QPoint): the menu of columns, at a global position.
    stacked(str): the analyst wants timelines stacked by something else.
    summed(str): what the selected sessions add up to; empty for fewer than two.
    """

    asked = Signal(str, bool)
    told = Signal(str)
    columns_changed = Signal(list)
    columns_menu_wanted = Signal(QPoint)
    stacked = Signal(str)
    summed = Signal(str)

    def __init__(
        self, server: Server, preferences: Preferences, tools: Callable[[], list[Tool]], shared: Shared,
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._server = server
        self._preferences = preferences
        self.query = ""
        """The query whose answer is shown."""
        self._answered_at = 0.0
        self._since = ""
        """Gaps that were filled since the same query was answered before."""
        self._held: OrderedDict[str, tuple[ResultRows, float]] = OrderedDict()
        self._fitted = False
        self.notes = AnswerNotes(server)
        self.page = MessagePage()
        self.table = SessionTable(server, preferences.columns, self, shared.resolver, preferences.formats)
        self.view = SessionView(preferences)
        self.view.setModel(self.table)
        self.view.fit_columns()
        self.sorting = Sorting(self.table, self.view, lambda: self.query, self)
        self.details = DetailPane(server, shared.resolver, shared.marks)
        self.hints = HintsRun(server, self)
        self.pictures = Pictures(server, preferences)
        self.exporter = Exporter(self.table, self)
        self.filter = FilterBar()
        self.finder = Finder(self.table, self)
        self.rows = RowActions(server.join.address, self.table, self.view, tools, shared, self)
        self._look = QTimer(self, singleShot=True, interval=LOOK_MS)
        self.aggregate = AggregateView(AggregateTable(server, self))
        self.aggregate.offers = lambda field, text, condition, chosen: self.rows.key_offers(
            field, text, condition, chosen, self.query
        )
        self._beside = QSplitter(Qt.Orientation.Horizontal, handleWidth=1, childrenCollapsible=False)
        self._beside.addWidget(self.view)
        self._beside.addWidget(self.details)
        self._beside.setStretchFactor(0, 1)
        below = QWidget()
        self._stack = QStackedLayout(below)
        self._stack.addWidget(self.page)
        self._stack.addWidget(self._beside)
        self._stack.addWidget(self.aggregate)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.notes)
        layout.addWidget(self.pictures)
        layout.addWidget(self.filter)
        layout.addWidget(below, 1)
        self._board = shared.marks
        self._board.changed.connect(self._marks_changed)
        self._marks_changed()
        self.table.loaded.connect(self._loaded)
        self.table.arrived.connect(self._first_rows)
        self.table.arrived.connect(self.pictures.rows_shown)
        self.table.arrived.connect(self.hints.rows_shown)
        self.table.trouble.connect(self.notes.trouble)
        self.filter.typed.connect(self.finder.typed)
        self.filter.closed.connect(self.view.setFocus)
        self.finder.told.connect(self._filtered)
        self.hints.told.connect(self.notes.hint)
        self.notes.asked.connect(self.asked)
        self.notes.told.connect(self.told)
        self.rows.told.connect(self.told)
        self.exporter.told.connect(self.told)
        self._sum = QTimer(self, singleShot=True, interval=SUM_MS)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._sum.start())
        self._sum.timeout.connect(self._sum_up)
        self.rows.asked.connect(self.asked)
        self.aggregate.asked.connect(self.asked)
        self.aggregate.told.connect(self.told)
        self.aggregate.table.trouble.connect(self.notes.trouble)
        self.view.sort_wanted.connect(self.sorting.sort)
        self.sorting.asked.connect(lambda text: self.asked.emit(text, False))
        self.sorting.told.connect(self.told)
        self.view.copy_wanted.connect(self.rows.copy)
        self.view.menu_wanted.connect(lambda index, at: self.rows.cell_menu(index, at, self.query))
        self.view.order_changed.connect(self.columns_changed)
        self.view.columns_menu_wanted.connect(self.columns_menu_wanted)
        self.view.selectionModel().currentRowChanged.connect(lambda *_: self._look.start())
        self.table.modelReset.connect(self._look.start)
        self.table.layoutChanged.connect(self._look.start)
        self.table.arrived.connect(self._look.start)
        self._look.timeout.connect(self._show_details)
        self._beside.splitterMoved.connect(self._details_resized)
        self.details.menu_wanted.connect(lambda name, at: self.rows.value_menu(name, at, self.query))
        self.details.asked.connect(lambda text: self.asked.emit(text, True))
        self.show_details(preferences.details_shown)
        self.pictures.zoomed.connect(self._zoom)
        self.pictures.wanted.connect(self._refine)
        self.pictures.stacked.connect(self.stacked)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def say(self, heading: str, body: str, lines: list[str] | None = None) -> None:
        """Words in place of the table."""
        self.page.say(heading, body, "", lines)
        self.pictures.hide()
        self._stack.setCurrentWidget(self.page)
        self.notes.clear()

    def show_answer(self, result: ResultRows, query: str, answered_at: float) -> None:
        """Show a new answer to `query`, which came at time.time() `answered_at`."""
        before = self.table.result if query == self.query else None
        held = self._held.get(query)
        asked_before = self._answered_at
        if before is None and held is not None:
            before, asked_before = held
        if before is not None and before is not result:
            self._since = wording.since(before.answer, result.answer, int(asked_before * 1e6))
        elif query != self.query:
            self._since = ""
        self._leave()
        self.aggregate.table.show_answer(None)
        self.query, self._answered_at = query, answered_at
        self._show(result)

    def show_table(self, answer: TableAnswer, query: str, answered_at: float) -> None:
        """Show the table that a query made of its sessions."""
        self._leave()
        self.filter.leave_quietly()
        self.pictures.hide()
        self.pictures.show_result(None, "", 0.0)
        self.table.show(None)
        self.query, self._answered_at, self._since = query, answered_at, ""
        self.aggregate.table.show_answer(answer)
        self._show_aggregate(answer)

    def _show_aggregate(self, answer: TableAnswer) -> None:
        self.notes.show_answer(answer, self.query)
        if self.aggregate.table.cut:
            self.notes.trouble(
                f"The first {MOST_ROWS:,} of {answer.total:,} rows are here; afterfact query writes all."
            )
        if answer.total:
            self._stack.setCurrentWidget(self.aggregate)
        else:
            self._nothing(answer, "No rows")

    def _nothing(self, answer: Answered, heading: str) -> None:
        asked = answer.reading[:1].upper() + answer.reading[1:]
        self.page.say(
            heading,
            f"{asked}.\n{wording.searched(answer, int(self._answered_at * 1e6)).capitalize()} (UTC).",
            wording.nothing_found(answer),
            [f"{name}: {text}" if name else text for name, text in wording.gaps(answer)],
        )
        self._stack.setCurrentWidget(self.page)

    def show_held(self, query: str) -> bool:
        """Show the answer to a query again, if it is still held."""
        held = self._held.get(query)
        if held is not None:
            self.show_answer(held[0], query, held[1])
        return held is not None

    def show_again(self) -> bool:
        """Another query was not answered: show the answer that was there, and say whose it is."""
        table = self.aggregate.table.answer
        if self.table.result is None and table is None:
            return False
        if table is not None:
            self._show_aggregate(table)
        elif self.table.result is not None:
            self._show(self.table.result)
        self.notes.trouble(f"Below is still the answer to the query before: {' '.join(self.query.split())}")
        return True

    def _leave(self) -> None:
        """Another result is about to be shown: hold the one shown if it is whole, else let the server drop it."""
        result = self.table.result
        self.hints.look_at(None)
        if result is None:
            return
        self.hints.leave(result)
        if result.complete and self.query:
            self._held[self.query] = (result, self._answered_at)
            self._held.move_to_end(self.query)
            while len(self._held) > HELD_RESULTS:
                self._held.popitem(last=False)
        else:
            self._server.cancel(result.answer.request)

    def _show(self, result: ResultRows) -> None:
        """Show a result, from its beginning if it is another one."""
        answer = result.answer
        if self.table.result is not result:
            self.sorting.forget()
            self.filter.leave_quietly()
            if self.table.result is not None:
                self.table.result.filter(None)  # one that is held is whole again when it is gone back to
            self.table.show(result)
            self.view.scrollToTop()
            self._fitted = False
            self._first_rows()
        self.sorting.show_order()
        self.pictures.show_result(result, self.query, self._answered_at)
        self.pictures.show()
        self.notes.show_answer(answer, self.query, self._since)
        self.hints.look_at(result)
        if answer.total:
            self._stack.setCurrentWidget(self._beside)
            if not self.view.currentIndex().isValid():
                self.view.setCurrentIndex(self.table.index(0, 0))
                self.view.clearSelection()
        else:
            self._nothing(answer, "No sessions match")

    @property
    def menu(self) -> QMenu | None:
        """The menu of a value, while one is open."""
        return self.rows.menu

    def summary(self) -> tuple[str, str]:
        """The answer in one line, and in full."""
        result = self.table.result
        answer: Answered | None = self.aggregate.table.answer or (result.answer if result is not None else None)
        if answer is None:
            return "", ""
        now = int(self._answered_at * 1e6)
        parts = [
            counted_table(answer) if isinstance(answer, TableAnswer) else counted(answer),
            wording.elapsed(answer.elapsed),
            wording.searched(answer, now),
            wording.watched(answer),
        ]
        clock = datetime.fromtimestamp(self._answered_at, UTC).strftime("%H:%M:%S")
        gaps = (": ".join(filter(None, line)) for line in wording.gaps(answer))
        return "  |  ".join(parts), "\n".join([*parts[:3], f"answered {clock} UTC", *gaps])

    def _first_rows(self) -> None:
        """Columns fit what they hold once there is something to fit to."""
        result = self.table.result
        if result is not None and not self._fitted:
            if result.total and self.table.row_values(0) is None:
                return
            self._fitted = True
            self.view.fit_columns()

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.notes.restyle()
        self.view.restyle()
        self.details.restyle()
        self.show_details(self._preferences.details_shown)  # as wide as its text needs
        self.pictures.restyle()
        self.aggregate.restyle()

    def close_down(self) -> None:
        """The tab goes away: the server need not keep its result."""
        result = self.table.result
        if result is not None and (not result.complete or result.wanted):
            self._server.cancel(result.answer.request)
        self.hints.look_at(None)
        self.notes.clear()  # what is still counted finds nobody to tell
        self.pictures.stop()
        self._look.stop()
        self.details.sightings.drop()
        self.rows.close()
        self.exporter.close()
        self.aggregate.table.close_down()
        self.finder.close()
        self._sum.stop()

    # --- the pictures -------------------------------------------------------------------------------------------------

    def _zoom(self, start: int, end: int) -> None:
        """Ask again for a part of the time."""
        try:
            self.asked.emit(querytext.within(self.query, start, end), False)
        except ValueError as error:
            self.told.emit(f"Cannot zoom: {error}")

    def _refine(self, condition: str, negated: bool) -> None:
        try:
            self.asked.emit(querytext.refined(self.query, condition, negated), False)
        except QueryError as error:
            self.told.emit(f"Cannot narrow this query: {error}")

    # --- the table ----------------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        self.pictures.show_result(self.table.result, self.query, self._answered_at)
        if self.finder.text:
            self.finder.again()
        self.sorting.loaded()

    def _filtered(self, said: str) -> None:
        """Other rows are shown: the cursor is on the first of them, and the details tell of it."""
        self.filter.said.setText(said)
        if self.table.rowCount() and not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self.table.index(0, 0))
            self.view.clearSelection()

    def _sum_up(self) -> None:
        """What is selected, in the status line; rows that are not loaded are not counted as if they were."""
        ranges, _ = self.view.selected_cells()
        number = sum(last - first + 1 for first, last in ranges)
        result = self.table.result
        if number < 2 or result is None:
            self.summed.emit("")
            return
        rows = result.chosen(ranges)
        self.summed.emit(f"{number:,} selected, not all loaded" if rows is None or not len(rows) else totals(rows))

    # --- details ------------------------------------------------------------------------------------------------------

    def show_details(self, shown: bool) -> None:
        """Show or hide what stands beside the table."""
        self.details.setVisible(shown)
        if shown:
            width = self._preferences.details_width * LOOK.text_px // 12
            self._beside.setSizes([max(self._beside.width() - width, 1), width])
            self._look.start()
        else:
            self.details.show_none()

    def _details_resized(self) -> None:
        self._preferences.details_width = self.details.width() * 12 // LOOK.text_px

    def _show_details(self) -> None:
        result, index = self.table.result, self.view.currentIndex()
        if not self.details.isVisibleTo(self):
            return
        row = self.table.row_values(index.row()) if index.isValid() else None
        if result is not None and row is not None:
            self.details.show_session(row, result.answer.sensors)
        else:
            self.details.show_none("Not loaded yet." if index.isValid() else "No session is selected.")

    def _marks_changed(self) -> None:
        self.table.marks = self._board.marks
        self.view.viewport().update()

    def show_columns(self, names: list[str]) -> None:
        """Show these columns, in this order, and keep the place in the table."""
        if shown(names, self._preferences.formats) == self.table.columns:
            return
        current = self.view.currentIndex()
        name = self.table.columns[current.column()].name if current.isValid() else ""
        self.table.set_columns(names, self._preferences.formats)
        self._restore_header()
        self.view.fit_columns()
        self.sorting.show_order()
        if current.isValid() and self.table.rowCount():
            self.view.setCurrentIndex(self.table.index(current.row(), names.index(name) if name in names else 0))

    def _restore_header(self) -> None:
        """Logical and visual order are the same again: the model has the columns in their order."""
        across = self.view.horizontalHeader()
        across.blockSignals(True)
        for at in range(len(self.table.columns)):
            across.moveSection(across.visualIndex(at), at)
        across.blockSignals(False)
