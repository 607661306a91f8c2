"""The dialogue that saves a query, or a view of columns, under a name: for oneself, or for the team."""

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QDialog, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.parts import label, lay_out_form, rename
from afterfact_client.console.views.theme import LOOK
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.saved import SavedQueries, SavedQuery
from afterfact_protocol.messages import SavedItem, SavedKind, SaveItem

MINE, TEAM = 0, 1
"""Places of who it is for."""


class SaveDialog(QDialog):
    """`before` is what is changed, None for a new one; `own` are the analyst's. Waits for nothing and blocks only its
    window.

    Signals:
        saved(SavedQuery): it is kept.
    """

    saved = Signal(object)

    def __init__(
        self, own: SavedQueries, shared: Shared, query: SavedQuery, before: SavedQuery | None, parent: QWidget,
        kind: SavedKind = "query",
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.setWindowTitle(f"Save the {kind}" if before is None else f"Change the saved {kind}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._own, self._shared, self._before, self._kind = own, shared, before, kind
        self.name = QLineEdit(query.name)
        self.folder = QComboBox()
        self.folder.setEditable(True)
        folders = {*own.folders(), *(one.folder for one in shared.team(kind))}
        self.folder.addItems(["", *sorted(folders - {""}, key=str.casefold)])
        self.folder.setCurrentText(query.folder)
        self.comment = QLineEdit(query.comment)
        for field, most in ((self.name, 128), (self.folder.lineEdit(), 128), (self.comment, 4096)):
            if field is not None:
                field.setMaxLength(most)
        self.whose = QComboBox()
        self.whose.addItems(["me, on this computer", "the team"])
        self.whose.setCurrentIndex(TEAM if query.team else MINE)
        self.whose.setEnabled(shared.may_change)
        if not shared.may_change:
            self.whose.setToolTip("Your role is viewer: what the team shares needs the role analyst.")
        self.text = QPlainTextEdit(query.text)
        self.text.setFont(LOOK.mono)
        self.text.setTabChangesFocus(True)
        self.text.setReadOnly(kind == "view")
        self.said = label(" ", "dim", wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.button = QPushButton("Save")
        lay_out_form(self, (
            ("&Name", self.name), ("&Folder", self.folder), ("&Comment", self.comment), ("Fo&r", self.whose),
            ("&Query" if kind == "query" else "&View", self.text),
        ), self.said, self.button)  # fmt: skip
        self.resize(560, 340)
        self.button.clicked.connect(self._save)
        self.name.textChanged.connect(self._look)
        self.folder.currentTextChanged.connect(self._look)
        self.whose.currentIndexChanged.connect(self._look)
        self._look()
        self.name.selectAll()
        self.name.setFocus()

    @property
    def _for_team(self) -> bool:
        return self.whose.currentIndex() == TEAM

    def _query(self) -> SavedQuery:
        words = (" ".join(text.split()) for text in (self.name.text(), self.folder.currentText(), self.comment.text()))
        name, folder, comment = words
        return SavedQuery(name, self.text.toPlainText().strip(), folder, comment)

    def _look(self) -> None:
        """Whether it can be saved, and what it would replace."""
        query, before = self._query(), self._before
        itself = before is not None and before.team == self._for_team and before.key == query.key
        if self._for_team:
            others = [one for one in self._shared.team(self._kind) if one.key == query.key and not itself]
            self.button.setEnabled(bool(query.name) and not others)
            self._say("dim", f"The team has one of this name, by {others[0].by}." if others else " ")
        else:
            taken = self._own.get(query.folder, query.name) is not None and not itself
            self.button.setEnabled(bool(query.name))
            self._say("dim", f"Replaces the {self._kind} of this name." if taken else " ")

    def _save(self) -> None:
        query, before = self._query(), self._before
        if not self._for_team:
            self._own.save(query, before if before is not None and not before.team else None)
            self._done(query)
            return
        seen = before if before is not None and before.team else None
        item = SavedItem(self._kind, query.folder, query.name, query.text, query.comment, seen.number if seen else 0)
        moved = seen.key if seen is not None and seen.key != query.key else None
        self.button.setEnabled(False)
        self._say("dim", "Asking the server ...")
        self._shared.saved.change(partial(SaveItem, item=item, moved=moved), partial(self._answered, query))

    def _answered(self, query: SavedQuery, error: Exception | None) -> None:
        self.button.setEnabled(True)
        if error is None:
            if self._before is not None and not self._before.team:
                self._own.remove(self._before)
            self._done(query)
            return
        if isinstance(error, RequestFailed) and 0 <= error.start < error.end:
            cursor = self.text.textCursor()
            cursor.setPosition(error.start)
            cursor.setPosition(min(error.end, len(self.text.toPlainText())), cursor.MoveMode.KeepAnchor)
            self.text.setTextCursor(cursor)
            self.text.setFocus()
        lost = "Whether it was saved is not known: " if isinstance(error, LinkLost) else ""
        self._say("error", f"{lost}{error}")

    def _done(self, query: SavedQuery) -> None:
        self.saved.emit(query)
        self.accept()

    def _say(self, kind: str, text: str) -> None:
        rename(self.said, kind)
        self.said.setText(text)
