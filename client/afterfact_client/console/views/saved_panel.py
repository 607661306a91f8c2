"""The analyst's saved queries, by folder, under the sensors; and the dialogue that saves one."""

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from afterfact_client.console.views.parts import label, lay_out_form
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.saved import SavedQueries, SavedQuery

_QUERY = Qt.ItemDataRole.UserRole
NOTHING = "Ctrl-S saves the query of a tab."


class SavedPanel(QWidget):
    """Signals:
    chosen(str, bool): a query to run; True for a tab of its own.
    edited(SavedQuery): one is to be changed.
    removed(SavedQuery): one was removed.
    """

    chosen = Signal(str, bool)
    edited = Signal(object)
    removed = Signal(object)

    def __init__(self, saved: SavedQueries, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._saved = saved
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
        self.refresh()

    def refresh(self) -> None:
        """Queries changed."""
        self.tree.clear()
        folders: dict[str, QTreeWidgetItem] = {}
        queries = self._saved.all()
        for query in queries:
            item = QTreeWidgetItem([query.name])
            item.setData(0, _QUERY, query)
            item.setToolTip(0, "\n".join(filter(None, (query.comment, query.text))))
            if query.folder:
                if query.folder not in folders:
                    folders[query.folder] = QTreeWidgetItem(self.tree, [query.folder])
                folders[query.folder].addChild(item)
            else:
                self.tree.addTopLevelItem(item)
        self.tree.expandAll()
        self.empty.setVisible(not queries)
        self.tree.setVisible(bool(queries))

    def _take(self, item: QTreeWidgetItem) -> None:
        query = item.data(0, _QUERY)
        if isinstance(query, SavedQuery):
            control = QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier
            self.chosen.emit(query.text, bool(control))

    def _remove(self, item: QTreeWidgetItem) -> None:
        query = item.data(0, _QUERY)
        if isinstance(query, SavedQuery):
            self._saved.remove(query)
            self.removed.emit(query)

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


class SaveDialog(QDialog):
    """Asks for name, folder and comment of a query; saves it. Waits for nothing and blocks only its window.

    Signals:
        saved(SavedQuery): it is kept.
    """

    saved = Signal(object)

    def __init__(self, saved: SavedQueries, query: SavedQuery, before: SavedQuery | None, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Save the query" if before is None else "Change the saved query")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._saved, self._before = saved, before
        self.name = QLineEdit(query.name)
        self.folder = QComboBox()
        self.folder.setEditable(True)
        self.folder.addItems(["", *saved.folders()])
        self.folder.setCurrentText(query.folder)
        self.comment = QLineEdit(query.comment)
        self.text = QPlainTextEdit(query.text)
        self.text.setFont(LOOK.mono)
        self.text.setTabChangesFocus(True)
        self.said = label(" ", "dim", wrap=True)
        self.button = QPushButton("Save")
        lay_out_form(self, (
            ("&Name", self.name), ("&Folder", self.folder), ("&Comment", self.comment), ("&Query", self.text),
        ), self.said, self.button)  # fmt: skip
        self.resize(560, 300)
        self.button.clicked.connect(self._save)
        self.name.textChanged.connect(self._look)
        self.folder.currentTextChanged.connect(self._look)
        self._look()
        self.name.selectAll()
        self.name.setFocus()

    def _query(self) -> SavedQuery:
        words = (" ".join(text.split()) for text in (self.name.text(), self.folder.currentText(), self.comment.text()))
        name, folder, comment = words
        return SavedQuery(name, self.text.toPlainText().strip(), folder, comment)

    def _look(self) -> None:
        """Whether it can be saved, and what it would replace."""
        query = self._query()
        other = self._saved.get(query.folder, query.name)
        taken = other is not None and (self._before is None or other.key != self._before.key)
        self.button.setEnabled(bool(query.name))
        self.said.setText("Replaces the query of this name." if taken else " ")

    def _save(self) -> None:
        query = self._query()
        self._saved.save(query, self._before)
        self.saved.emit(query)
        self.accept()
