"""The saved queries, by folder, under the sensors: the analyst's own, then the team's."""

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QMenu, QTreeWidget, QTreeWidgetItem, QTreeWidgetItemIterator, QVBoxLayout, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.parts import label
from afterfact_client.state.queue_words import plain_tip
from afterfact_client.state.saved import SavedQueries, SavedQuery

_QUERY = Qt.ItemDataRole.UserRole
NOTHING = "Ctrl-S saves the query of a tab."


class SavedPanel(QWidget):
    """Signals:
    chosen(str, bool): a query to run; True for a tab of its own.
    edited(SavedQuery): one is to be changed.
    doomed(SavedQuery): one is to be removed.
    """

    chosen = Signal(str, bool)
    edited = Signal(object)
    doomed = Signal(object)

    def __init__(self, saved: SavedQueries, shared: Shared, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._saved = saved
        self._shared = shared
        self._shown: tuple[list[SavedQuery], list[SavedQuery]] | None = None
        self.menu: QMenu | None = None
        self.tree = _Tree()
        self.empty = label(NOTHING, "dim", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 0, 6)
        layout.setSpacing(3)
        layout.addWidget(label("QUERIES", "section"))
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.empty, 1)
        layout.addWidget(self.tree, 1)
        self.tree.taken.connect(self._take)
        self.tree.deleted.connect(self._remove)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._open_menu)
        saved.on_change = self.refresh
        shared.saved.told.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Queries changed."""
        own, team = self._saved.all(), self._shared.team("query")
        if (own, team) == self._shown:
            return
        self._shown = own, team
        current = self.tree.currentItem()
        chosen = current.data(0, _QUERY) if current is not None else None
        self.tree.clear()
        self._fill(self.tree.invisibleRootItem(), own)
        if team:
            heading = QTreeWidgetItem(self.tree, ["team"])
            heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
            heading.setForeground(0, self.palette().placeholderText())
            self._fill(heading, team)
        self.tree.expandAll()
        self.empty.setVisible(not own and not team)
        self.tree.setVisible(bool(own or team))
        self._choose(chosen)

    def _fill(self, root: QTreeWidgetItem, queries: list[SavedQuery]) -> None:
        folders: dict[str, QTreeWidgetItem] = {}
        for query in queries:
            item = QTreeWidgetItem([query.name])
            item.setData(0, _QUERY, query)
            by = f"by {query.by}" if query.team else ""
            item.setToolTip(0, plain_tip("\n".join(filter(None, (query.comment, query.text, by)))))
            if query.folder and query.folder not in folders:
                folders[query.folder] = QTreeWidgetItem(root, [query.folder])
            (folders[query.folder] if query.folder else root).addChild(item)

    def _choose(self, query: SavedQuery | None) -> None:
        """Have the same one current again, if it is still there."""
        if query is None:
            return
        every = QTreeWidgetItemIterator(self.tree)
        while (item := every.value()) is not None:
            own = item.data(0, _QUERY)
            if isinstance(own, SavedQuery) and (own.team, own.key) == (query.team, query.key):
                self.tree.setCurrentItem(item)
                return
            every += 1

    def _take(self, item: QTreeWidgetItem) -> None:
        query = item.data(0, _QUERY)
        if isinstance(query, SavedQuery):
            control = QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier
            self.chosen.emit(query.text, bool(control))

    def _remove(self, item: QTreeWidgetItem) -> None:
        query = item.data(0, _QUERY)
        if isinstance(query, SavedQuery):
            self.doomed.emit(query)

    def _open_menu(self, at: QPoint) -> None:
        item = self.tree.itemAt(at)
        if item is None or not isinstance(query := item.data(0, _QUERY), SavedQuery):
            return
        self.menu = QMenu(self)
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, do in (
            ("&Run", lambda: self.chosen.emit(query.text, False)),
            ("Run in a &new tab", lambda: self.chosen.emit(query.text, True)),
            ("&Change ...", lambda: self.edited.emit(query)),
            ("Re&move", lambda: self._remove(item)),
        ):
            self.menu.addAction(text).triggered.connect(lambda _checked=False, do=do: do())
        self.menu.popup(self.tree.viewport().mapToGlobal(at))


class _Tree(QTreeWidget):
    taken = Signal(object)
    deleted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setIndentation(12)
        self.setAccessibleName("Saved queries")
        self.setObjectName("plain")
        self.itemDoubleClicked.connect(lambda item, _: self.taken.emit(item))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item = self.currentItem()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and item is not None:
            self.taken.emit(item)
        elif event.key() == Qt.Key.Key_Delete and item is not None:
            self.deleted.emit(item)
        else:
            super().keyPressEvent(event)
