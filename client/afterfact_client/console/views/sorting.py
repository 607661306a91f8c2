"""Sorts a table of sessions by clicks on its header. A whole result is sorted here by one column; one that is cut off
or large, and any by several, is asked for again in that order: sorting a part would not give the first of all."""

from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.session_table import SessionTable
from afterfact_client.console.views.session_view import SessionView
from afterfact_client.state import querytext
from afterfact_client.state.columns import Column
from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.nodes import Column as ColumnNode
from afterfact_protocol.query.nodes import Derived

Keys = list[tuple[str, bool]]
"""Columns with whether they go down, the greatest key first."""


class Sorting(QObject):
    """Signals:
    asked(str): the query in another order.
    told(str): a short word for the status line.
    """

    asked = Signal(str)
    told = Signal(str)

    def __init__(self, table: SessionTable, view: SessionView, query: Callable[[], str], parent: QObject) -> None:
        """`query`: the query whose answer is shown."""
        super().__init__(parent)
        self._table, self._view, self._query = table, view, query
        self._once_loaded: tuple[Column, bool] | None = None

    def forget(self) -> None:
        """Another result is shown."""
        self._once_loaded = None

    def sort(self, section: int, further: bool) -> None:
        """By a column; a second time the other way. With `further` as a lesser key than those that it is sorted by."""
        result = self._table.result
        if result is None:
            return
        column = self._table.columns[section]
        first = column.descending_first
        if further:
            keys = self._keys()
            before = dict(keys)
            if column.name in before:
                keys = [(name, not down if name == column.name else down) for name, down in keys]
            else:
                keys = [*keys, (column.name, first)]
            self.asked.emit(querytext.ordered(self._query(), keys))
            return
        here = result.small and not result.answer.truncated
        order = result.sorted_by if here else next(iter(self._query_keys()), None)
        if order is None or order[0] != column.name:
            wanted: bool | None = first
        else:
            wanted = (not first) if order[1] == first else None if here else first
        if not here:
            assert wanted is not None
            self.asked.emit(querytext.ordered(self._query(), [(column.name, wanted)]))
        elif result.complete:
            self._table.sort_here(column if wanted is not None else None, bool(wanted))
            self.show_order()
        elif wanted is not None:
            self._once_loaded = (column, wanted)
            self.told.emit("Sorting as soon as all rows are here")

    def loaded(self) -> None:
        """All rows are here: do what had to wait for them."""
        if self._once_loaded is not None:
            column, descending = self._once_loaded
            self._once_loaded = None
            self._table.sort_here(column, descending)
            self.show_order()

    def show_order(self) -> None:
        """Mark in the header what the rows are sorted by."""
        keys = self._keys() if self._table.result is not None else []
        if keys != self._table.order:
            self._table.show_order(keys)
            self._view.fit_columns()

    def _keys(self) -> Keys:
        result = self._table.result
        return [result.sorted_by] if result is not None and result.sorted_by else self._query_keys()

    def _query_keys(self) -> Keys:
        """The keys of the ORDER BY of the query shown, as far as they are columns."""
        try:
            keys = parse(self._query(), datetime.now(UTC)).order
        except QueryError:
            return []
        return [(key.operand.name, key.descending) for key in keys if isinstance(key.operand, ColumnNode | Derived)]
