"""A short list that the server keeps (watches, rules, sets), as a table: asked for while somebody looks; changed."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from operator import attrgetter
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from shiboken6 import isValid

from afterfact_client.console.models.header import header
from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.queue_words import plain_tip
from afterfact_client.state.watch_words import ItemColumn
from afterfact_protocol.messages import Message

_NONE = QModelIndex()


class ServerList(QAbstractTableModel):
    """`ask` makes the message that asks for it, `items_of` takes the items from an answer, or None if it has none: then
    they are asked for anew. `key` tells items apart.

    Signals:
        told(): news came, or `trouble` changed.
    """

    told = Signal()

    def __init__(
        self, server: Server, columns: Sequence[ItemColumn], ask: Callable[[int], Message],
        items_of: Callable[[Any], Sequence[Any] | None], parent: QObject | None = None,
        key: Callable[[Any], object] = attrgetter("number"),
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.columns = tuple(columns)
        self.items: list[Any] = []
        self.trouble = ""
        """Why there is no news; empty: there is."""
        self.known = False
        """Whether it was told at all."""
        self._server, self._ask, self._items_of = server, ask, items_of
        self.key = key
        self._asking = False
        self._stale = False
        """Whether it changed while an answer was on its way."""
        self._refused = False

    def forget(self) -> None:
        """Somebody else logs in."""
        self.beginResetModel()
        self.items, self.known, self.trouble = [], False, ""
        self._asking = self._stale = self._refused = False
        self.endResetModel()
        self.told.emit()

    def refresh(self) -> None:
        """Ask for it, unless that is on its way. Who may not see it is not asked for again: the server notes that."""
        if self._refused:
            return
        if not self._server.online:
            self.trouble = "Not connected: this is as it was last told."
            self.told.emit()
        elif not self._asking:
            self._asking = True
            self._server.request(self._ask, self._take)

    def first(self, item: Any) -> None:
        """One is new, or not what it was, as the server tells by itself: it stands first."""
        self.beginResetModel()
        self.items = [item, *(other for other in self.items if self.key(other) != self.key(item))]
        self.endResetModel()
        self.told.emit()

    def change(self, make: Callable[[int], Message], done: Callable[[Exception | None], None]) -> None:
        """Send a change; `done` is called with why nothing came of it, or None once it is here."""
        if not self._server.online:
            done(LinkLost("not connected"))
            return

        def answered(future: "Future[Any]") -> None:
            error = future.exception()
            if error is None:
                self._show(future.result())
            elif not isinstance(error, RequestFailed | LinkLost):
                raise error
            if _there(done):
                done(error)

        self._server.request(make, answered)

    def _take(self, future: "Future[Any]") -> None:
        self._asking = False
        error = future.exception()
        if error is None:
            self._show(future.result())
            if self._stale:
                self._stale = False
                self.refresh()
        elif isinstance(error, RequestFailed | LinkLost):
            self._refused = isinstance(error, RequestFailed) and error.code == "forbidden"
            self.trouble = f"No news: {error}."
            self.told.emit()
        else:
            raise error

    def _show(self, answer: Any) -> None:
        found = self._items_of(answer)
        if found is None:
            self._stale = self._asking
            self.refresh()
            return
        items = list(found)
        self.trouble, self.known = "", True
        if list(map(self.key, items)) == list(map(self.key, self.items)):
            changed, self.items = items != self.items, items
            if changed and items and self.columns:
                self.dataChanged.emit(self.index(0, 0), self.index(len(items) - 1, len(self.columns) - 1))
        else:
            self.beginResetModel()
            self.items = items
            self.endResetModel()
        self.told.emit()

    def cell(self, row: int, section: int) -> tuple[str, str]:
        """A text and its tone."""
        column, item = self.columns[section], self.items[row]
        return column.text(item), column.tone(item)

    def right(self, section: int) -> bool:
        """Whether a column's texts stand at its right."""
        return self.columns[section].right

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self.items)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NONE) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        return header(self.columns, section, orientation, role)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column, item = self.columns[index.column()], self.items[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(item)
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(column.text(item))
        return None


def _there(call: Callable[..., None]) -> bool:
    """Whether the dialogue whose method it is was not closed meanwhile."""
    owner = getattr(getattr(call, "func", call), "__self__", None)
    return not isinstance(owner, QObject) or isValid(owner)
