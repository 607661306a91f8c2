"""What can be done with cells and rows: the menu of a value, copies in several forms, outside tools."""

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QModelIndex, QObject, QPoint, QProcess, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMenu

from afterfact_client.console.models.collector import Collector
from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.host_window import HostWindow
from afterfact_client.console.views.menus import cell_menu
from afterfact_client.console.views.note_actions import NoteActions
from afterfact_client.console.views.session_view import SessionView
from afterfact_client.console.views.set_actions import SetActions
from afterfact_client.state import querytext
from afterfact_client.state.bpf import MOST as MOST_FILTERED
from afterfact_client.state.bpf import bpf
from afterfact_client.state.columns import BY_NAME, Column, address
from afterfact_client.state.links import to_link
from afterfact_client.state.pivots import pivots
from afterfact_client.state.rowquery import row_query
from afterfact_client.state.tools import Tool
from afterfact_protocol.query import QueryError
from afterfact_protocol.records import Records

MOST_ADDED = 5_000
"""Selected cells whose values a set takes from here; a query saves any number."""
Copy = tuple[str, str, Callable[[], None]]


class RowActions(QObject):
    """Signals:
    asked(str, bool): a query to run; True for a tab of its own.
    told(str): a short word for the status line.
    """

    asked = Signal(str, bool)
    told = Signal(str)

    def __init__(
        self, address: str, table: SessionTable, view: SessionView, tools: Callable[[], list[Tool]], shared: Shared,
        parent: QObject,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._address = address
        self._table = table
        self._view = view
        self._shared = shared
        self._tools = tools
        self.menu: QMenu | None = None
        self.sets = SetActions(shared, view, self)
        self.notes = NoteActions(shared.marks, view, self)
        self.notes.told.connect(self.told)
        self.sets.told.connect(self.told)
        self._collector = Collector(table, self)
        self._collector.told.connect(self.told)
        self._collector.ready.connect(self._put)

    def close(self) -> None:
        """Nothing is gathered any more."""
        self._collector.close()

    # --- menus --------------------------------------------------------------------------------------------------------

    def cell_menu(self, index: QModelIndex, at: QPoint, asked: str) -> None:
        """Open the menu of a cell, of a row that the query `asked` found."""
        row = self._table.row_values(index.row())
        if row is None:
            return
        if not self._view.selectionModel().isSelected(index):
            self._view.setCurrentIndex(index)
        copies: list[Copy] = [
            ("Copy selection", "Ctrl+C", lambda: self.copy(False)),
            ("Copy selection as CSV", "Ctrl+Shift+C", lambda: self.copy(True)),
            ("Copy as &query", "", lambda: self._copy_query(asked)),
            ("Copy as BPF &filter", "", self._copy_filter),
            ("Copy &link to this query", "", lambda: self._put_told(to_link(self._address, asked), "a link")),
        ]
        column = self._table.columns[index.column()]
        self._open(column, row, at, asked, copies, self._cells(column, row))

    def value_menu(self, name: str, at: QPoint, asked: str) -> None:
        """Open the menu of a value of the current row."""
        row = self._table.row_values(self._view.currentIndex().row())
        if row is not None:
            self._open(BY_NAME[name], row, at, asked, [], np.array([row]))

    def annotate(self) -> None:
        """Say something of the current session."""
        row = self._table.row_values(self._view.currentIndex().row())
        if row is None or self._table.result is None:
            self.told.emit("No session is selected")
        else:
            self.notes.annotate_session(row, self._table.result.answer.sensors)

    def _open(
        self, column: Column, row: np.void, at: QPoint, asked: str, copies: list[Copy], chosen: Records
    ) -> None:  # fmt: skip
        assert self._table.result is not None
        sensors = self._table.result.answer.sensors
        tools = [
            (tool.name, tool.url or " ".join(tool.command), lambda tool=tool: self._take_to(tool, column, row))
            for tool in self._tools()
            if tool.fits(column, row)
        ]
        copies = [("Copy &value", "", lambda: self._copy_exact(column, row)), *copies]
        host = _host(column, row)
        sets = self.sets.entries(column, chosen, sensors, asked)
        self.menu = cell_menu(
            self._view,
            pivots(column, row, sensors, asked),
            self.asked.emit,
            copies,
            tools,  # type: ignore[arg-type]
            sets,
            self.notes.entries(column, row, sensors),
            [(f"&Profile of {host}", "Peers, ports, days", lambda: self.profile(host, asked))] if host else [],
        )
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu.destroyed.connect(self._menu_gone)
        self.menu.popup(at)

    def _cells(self, column: Column, row: np.void) -> Records:
        """The rows of the selection where it has that column and they are here, else the one row."""
        ranges, sections = self._view.selected_cells()
        if column.name not in [self._table.columns[at].name for at in sections]:
            return np.array([row])
        number = sum(last - first + 1 for first, last in ranges)
        if not 1 < number <= MOST_ADDED:
            return np.array([row])
        rows = [self._table.row_values(at) for first, last in ranges for at in range(first, last + 1)]
        return np.array([row] if any(other is None for other in rows) else rows)

    def key_offers(
        self, field: str, text: str, condition: str, chosen: list[str], asked: str
    ) -> list[tuple[str, str, Callable[[], None]]]:
        """What can be done with a value that a table is by: `condition` finds it, `chosen` are those selected."""
        texts: tuple[tuple[str, str, bool], ...] = ()
        found: list[tuple[str, str, Callable[[], None]]] = []
        try:
            times = querytext.time_terms(asked)
            texts = (
                (f"AND {condition}", querytext.refined(asked, condition), False),
                (f"AND NOT {condition}", querytext.refined(asked, condition, negated=True), False),
                (f"All sessions with {condition}", f"WHERE {' AND '.join([*times, condition])}", True),
            )
        except QueryError:
            pass
        for name, query, elsewhere in texts:
            found.append((name, query, lambda query=query, elsewhere=elsewhere: self.asked.emit(query, elsewhere)))  # type: ignore[misc]
        if field in ("src_ip", "dst_ip", "other_ip") and text:
            found.append((f"Profile of {text}", "Peers, ports, days", lambda: self.profile(text, asked)))
        return [*found, *self.sets.of_values(field, chosen)]

    def profile(self, address: str, asked: str) -> None:
        """A host's page, within the time that a query asked about."""
        try:
            times = querytext.time_terms(asked)
        except QueryError:
            times = []
        page = HostWindow(address, times, self._shared, self._view.window())
        page.asked.connect(lambda text: self.asked.emit(text, True))
        page.show()
        page.activateWindow()

    def profile_here(self, asked: str) -> None:
        """The page of the current cell's host, or of its row's source."""
        index = self._view.currentIndex()
        row = self._table.row_values(index.row()) if index.isValid() else None
        if row is None:
            self.told.emit("No session is selected")
        else:
            column = self._table.columns[index.column()]
            self.profile(_host(column, row) or _host(BY_NAME["src_ip"], row), asked)

    def _menu_gone(self) -> None:
        self.menu = None

    def _take_to(self, tool: Tool, column: Column, row: np.void) -> None:
        """Open a URL in the browser, or start a program that lives on its own."""
        assert self._table.result is not None
        sensors = self._table.result.answer.sensors
        if tool.url:
            url = tool.filled_url(column, row, sensors)
            opened = QDesktopServices.openUrl(QUrl(url, QUrl.ParsingMode.StrictMode))
            self.told.emit(f"Opened {url}" if opened else f"{tool.name}: no program opens {url}")
            return
        try:
            program, *words = tool.filled_command(column, row, sensors)
        except ValueError as error:
            self.told.emit(str(error))
            return
        started = QProcess.startDetached(program, words)
        done = started[0] if isinstance(started, tuple) else started
        self.told.emit(f"Started {tool.name}" if done else f"{tool.name}: cannot start {program}")

    # --- copies -------------------------------------------------------------------------------------------------------

    def copy(self, as_csv: bool) -> None:
        """Copy the selection: one cell as its bare value, more with a header."""
        ranges, sections = self._view.selected_cells()
        if len(sections) == 1 and len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not as_csv:
            self._copy_cell(self._table.index(ranges[0][0], sections[0]))
        elif not ranges:
            self._copy_cell(self._view.currentIndex())
        else:
            self._collector.collect(ranges, [self._table.columns[at] for at in sections], as_csv)

    def _copy_cell(self, index: QModelIndex) -> None:
        row = self._table.row_values(index.row()) if index.isValid() else None
        if row is not None:
            self._copy_exact(self._table.columns[index.column()], row)

    def _copy_exact(self, column: Column, row: np.void) -> None:
        assert self._table.result is not None
        value = column.exact(np.array([row]), self._table.result.answer.sensors)[0]
        self._put(value)
        self.told.emit(f"Copied {value}" if value else "Nothing to copy: the source did not know it")

    def _selected(self, most: int) -> Records | None:
        """The rows of the selection, or the current one; None, and why is said, where they are too many or not here."""
        ranges, _ = self._view.selected_cells()
        current = self._view.currentIndex().row()
        places = [
            at for first, last in ranges or [(current, current)] for at in range(first, min(last, first + most) + 1)
        ]
        if len(places) > most:
            self.told.emit(f"Not copied: more than {most} rows are selected")
            return None
        rows = [self._table.row_values(at) for at in places]
        if any(row is None for row in rows):
            self.told.emit("Not copied: some of these rows are not loaded yet")
            return None
        return np.array(rows)

    def _copy_query(self, asked: str) -> None:
        rows, (_, sections) = self._selected(10_000), self._view.selected_cells()
        if rows is None or self._table.result is None:
            return
        columns = [self._table.columns[at] for at in sections or [self._view.currentIndex().column()]]
        try:
            self._put_told(row_query(columns, rows, self._table.result.answer.sensors, asked), "a query")
        except ValueError as error:
            self.told.emit(f"Not copied: {error}")

    def _copy_filter(self) -> None:
        rows = self._selected(MOST_FILTERED)
        if rows is not None:
            self._put_told(bpf(rows), "a filter, for tcpdump -F")

    def _put_told(self, text: str, what: str) -> None:
        self._put(text)
        self.told.emit(f"Copied {what}")

    def _put(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)


def _host(column: Column, row: np.void) -> str:
    """The host that a cell is about; empty if it is about none."""
    side = column.name.partition("_")[0]
    if column.name in ("src_ip", "dst_ip", "src_port", "dst_port"):
        return address(bytes(row[f"{side}_ip"]))
    return ""
