"""A window of a short list that the server keeps, what is known of the item that is selected, and buttons that change
it. It blocks nothing; Esc closes it."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from afterfact_client.console.models.server_list import ServerList
from afterfact_client.console.views.dense_table import DenseTable
from afterfact_client.console.views.parts import button, label, rename
from afterfact_client.console.views.theme import LOOK
from afterfact_client.link import LinkLost

POLL_MS = 2000


class ListWindow(QDialog):
    """`details` makes the words for one item, as many `lines` as are shown at a time; `nothing` is what is said where
    there are none."""

    def __init__(
        self, model: ServerList, title: str, nothing: str, details: Callable[[Any], str], lines: int, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(1180 * LOOK.text_px // 12, 520 * LOOK.text_px // 12)
        self.model = model
        self._nothing, self._details, self._lines = nothing, details, lines
        self._current: object = None
        self._doomed: object = None
        """Key of the item that a second press removes."""
        self.table = DenseTable(title, [column.sample for column in model.columns])
        self.table.setModel(model)
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setAccessibleName(f"{title}: the selected one")
        self.said = label(" ", "dim", wrap=True, spoken="What came of the last change")
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.buttons = QHBoxLayout()
        self.buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 6)
        layout.setSpacing(6)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.details)
        layout.addWidget(self.said)
        layout.addLayout(self.buttons)
        self._poll = QTimer(self, interval=POLL_MS)
        self._poll.timeout.connect(model.refresh)
        model.told.connect(self._told)
        model.modelReset.connect(self._put_back)
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._look())
        self.restyle()
        self.table.setFocus()

    def add_button(self, text: str, tip: str, do: Callable[[], object]) -> QPushButton:
        """A button at the right."""
        made = button(text, tip=tip)
        made.setAutoDefault(False)
        made.clicked.connect(lambda: do())
        self.buttons.addWidget(made)
        return made

    @property
    def item(self) -> Any:
        """The selected one, or None."""
        row = self.table.currentIndex().row()
        return self.model.items[row] if 0 <= row < len(self.model.items) else None

    def say(self, kind: str, text: str) -> None:
        """What came of a change; `kind` is the style's name."""
        rename(self.said, kind)
        self.said.setText(text)

    def answered(self, done: str) -> Callable[[Exception | None], None]:
        """What to do with a change's answer: say `done`, or why nothing came of it."""

        def told(error: Exception | None) -> None:
            if error is None:
                self.say("good", done)
            elif isinstance(error, LinkLost):
                self.say("error", f"Whether it was done is not known: {error}.")
            else:
                self.say("error", f"Nothing was changed: {error}.")

        return told

    def confirmed(self, what: str) -> bool:
        """Whether this is the second press on the same item; at the first it says what a second does."""
        item = self.item
        if item is None:
            return False
        if self._doomed == self.model.key(item):
            self._doomed = None
            return True
        self._doomed = self.model.key(item)
        self.say("warning", what)
        return False

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.table.restyle()
        self.details.setFont(LOOK.mono)
        self.details.setFixedHeight(self._lines * (LOOK.text_px + 5))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.model.refresh()
        self._poll.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._poll.stop()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()  # no button is pressed by a key that was meant for the table
        else:
            super().keyPressEvent(event)

    def _told(self) -> None:
        self.table.say("" if self.model.items else self._nothing if self.model.known else "Loading ...")
        if self.model.trouble:
            self.say("error", self.model.trouble)
        elif self.said.text().startswith(("No news:", "Not connected:")):
            self.say("dim", " ")
        if self.model.items and not self.table.currentIndex().isValid():
            self.table.setCurrentIndex(self.model.index(0, 0))
        self._look()

    def _put_back(self) -> None:
        rows = [row for row, item in enumerate(self.model.items) if self.model.key(item) == self._current]
        if rows:
            self.table.setCurrentIndex(self.model.index(rows[0], 0))

    def _look(self) -> None:
        item = self.item
        if item is not None:
            if self.model.key(item) != self._current:
                self._doomed = None
            self._current = self.model.key(item)
        text = self._details(item) if item is not None else ""
        if text != self.details.toPlainText():
            self.details.setPlainText(text)
        self.looked(item)

    def looked(self, item: Any) -> None:
        """Another item is selected, or it is not what it was; None: none is."""
