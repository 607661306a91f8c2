"""The lower part of a tab: an answer's warnings and its table, or a page of words. Sorts, copies, opens menus.

It shows what it is given; which query to run is the tab's business, and it asks for one by a signal.
"""

from collections import OrderedDict
from datetime import UTC, datetime

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QStackedLayout, QVBoxLayout, QWidget

from afterfact_client.console.models.collector import Collector
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.views.answer_notes import AnswerNotes, MessagePage
from afterfact_client.console.views.menus import cell_menu
from afterfact_client.console.views.session_view import SessionView
from afterfact_client.state import querytext, wording
from afterfact_client.state.columns import Column
from afterfact_client.state.coverage import counted
from afterfact_client.state.pivots import pivots
from afterfact_client.state.preferences import Preferences
from afterfact_client.state.result import ResultRows
from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.nodes import Column as ColumnNode
from afterfact_protocol.query.nodes import Derived

HELD_RESULTS = 8
"""Complete results kept along the trail, so that going back shows the same rows at once."""


class AnswerPane(QWidget):
    """Signals:
    asked(str, bool): a query to run; True for a tab of its own.
    told(str): a short word for the status line.
    columns_changed(list): the analyst moved columns.
    columns_menu_wanted(QPoint): the menu of columns, at a global position.
    """

    asked = Signal(str, bool)
    told = Signal(str)
    columns_changed = Signal(list)
    columns_menu_wanted = Signal(QPoint)

    def __init__(self, server: Server, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self.query = ""
        """The query whose answer is shown."""
        self._answered_at = 0.0
        self._since = ""
        """Gaps that were filled since the same query was answered before."""
        self._held: OrderedDict[str, tuple[ResultRows, float]] = OrderedDict()
        self._sort_once_loaded: tuple[Column, bool] | None = None
        self._fitted = False
        self.notes = AnswerNotes()
        self.page = MessagePage()
        self.table = SessionTable(server, preferences.columns, self)
        self.view = SessionView(preferences)
        self.view.setModel(self.table)
        self.view.fit_columns()
        self.collector = Collector(self.table, self)
        self.menu: QMenu | None = None
        below = QWidget()
        self._stack = QStackedLayout(below)
        self._stack.addWidget(self.page)
        self._stack.addWidget(self.view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.notes)
        layout.addWidget(below, 1)
        self.table.loaded.connect(self._loaded)
        self.table.arrived.connect(self._first_rows)
        self.table.trouble.connect(self.notes.trouble)
        self.collector.told.connect(self.told)
        self.collector.ready.connect(lambda text: QGuiApplication.clipboard().setText(text))
        self.view.sort_wanted.connect(self._sort)
        self.view.copy_wanted.connect(self.copy)
        self.view.menu_wanted.connect(self._cell_menu)
        self.view.order_changed.connect(self.columns_changed)
        self.view.columns_menu_wanted.connect(self.columns_menu_wanted)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def say(self, heading: str, body: str, lines: list[str] | None = None) -> None:
        """Words in place of the table."""
        self.page.say(heading, body, "", lines)
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
        self.query, self._answered_at = query, answered_at
        self._show(result)

    def show_held(self, query: str) -> bool:
        """Show the answer to a query again, if it is still held."""
        held = self._held.get(query)
        if held is not None:
            self.show_answer(held[0], query, held[1])
        return held is not None

    def show_again(self) -> bool:
        """Another query was not answered: show the answer that was there, and say whose it is."""
        if self.table.result is None:
            return False
        self._show(self.table.result)
        self.notes.trouble(f"Below is still the answer to the query before: {' '.join(self.query.split())}")
        return True

    def _leave(self) -> None:
        """Another result is about to be shown: hold the one shown if it is whole, else let the server drop it."""
        result = self.table.result
        if result is None:
            return
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
        self.notes.show_answer(answer, self._since)
        if answer.total:
            self._stack.setCurrentWidget(self.view)
            if not self.view.currentIndex().isValid():
                self.view.setCurrentIndex(self.table.index(0, 0))
                self.view.clearSelection()
        else:
            asked = answer.reading[:1].upper() + answer.reading[1:]
            self.page.say(
                "No sessions match",
                f"{asked}.\n{wording.searched(answer, now).capitalize()} (UTC).",
                wording.nothing_found(answer),
                [f"{name}: {text}" if name else text for name, text in wording.gaps(answer)],
            )
            self._stack.setCurrentWidget(self.page)

    def summary(self) -> tuple[str, str]:
        """The answer in one line, and in full."""
        result = self.table.result
        if result is None:
            return "", ""
        answer, now = result.answer, int(self._answered_at * 1e6)
        parts = [
            counted(answer),
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

    def close_down(self) -> None:
        """The tab goes away: the server need not keep its result."""
        result = self.table.result
        if result is not None and not result.complete:
            self._server.cancel(result.answer.request)
        self.collector.close()

    # --- the table ----------------------------------------------------------------------------------------------------

    def _sort(self, section: int) -> None:
        """A click on a header. A whole result is sorted here; one that is cut off or large is asked for again in that
        order, since sorting a part of it would not give the first of all."""
        result = self.table.result
        if result is None:
            return
        column = self.table.columns[section]
        here = result.small and not result.answer.truncated
        order = result.sorted_by if here else self._query_order()
        first = column.descending_first
        if order is None or order[0] != column.name:
            wanted: bool | None = first
        else:
            wanted = (not first) if order[1] == first else None if here else first
        if not here:
            assert wanted is not None
            self.asked.emit(querytext.ordered(self.query, column.name, wanted), False)
        elif result.complete:
            self.table.sort_here(column if wanted is not None else None, bool(wanted))
            self._show_order()
        elif wanted is not None:
            self._sort_once_loaded = (column, wanted)
            self.told.emit("Sorting as soon as all rows are here")

    def _loaded(self) -> None:
        if self._sort_once_loaded is not None:
            column, descending = self._sort_once_loaded
            self._sort_once_loaded = None
            self.table.sort_here(column, descending)
            self._show_order()

    def _query_order(self) -> tuple[str, bool] | None:
        """The first key of the ORDER BY of the query shown."""
        try:
            keys = parse(self.query, datetime.now(UTC)).order
        except QueryError:
            return None
        if keys and isinstance(keys[0].operand, ColumnNode | Derived):
            return keys[0].operand.name, keys[0].descending
        return None

    def _show_order(self) -> None:
        result = self.table.result
        order = None if result is None else result.sorted_by or self._query_order()
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
            self.told.emit(f"Copied {value}" if value else "Nothing to copy: the source did not know it")

    def _cell_menu(self, index: QModelIndex, at: QPoint) -> None:
        row = self.table.row_values(index.row())
        result = self.table.result
        if row is None or result is None:
            return
        if not self.view.selectionModel().isSelected(index):
            self.view.setCurrentIndex(index)
        sections = pivots(self.table.columns[index.column()], row, result.answer.sensors, self.query)
        copies = [
            ("Copy &value", "", lambda: self._copy_value(index)),
            ("Copy selection", "Ctrl+C", lambda: self.copy(False)),
            ("Copy selection as CSV", "Ctrl+Shift+C", lambda: self.copy(True)),
        ]
        self.menu = cell_menu(self, sections, self.asked.emit, copies)
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu.destroyed.connect(self._menu_gone)
        self.menu.popup(at)

    def _menu_gone(self) -> None:
        self.menu = None

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
