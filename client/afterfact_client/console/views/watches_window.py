"""The watches: what each waits for, what it found, and whether it rests; and the dialogue that makes one of a query."""

import time
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)

from afterfact_client.console.models.server import Server
from afterfact_client.console.models.server_list import ServerList
from afterfact_client.console.views.list_window import ListWindow
from afterfact_client.console.views.parts import label, lay_out_form, rename
from afterfact_client.console.views.theme import LOOK
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.queue_words import may_act
from afterfact_client.state.watch_words import CHANGED_WORDS, LASTS, SEVERITIES, WATCH_COLUMNS, watch_details
from afterfact_protocol.messages import AskWatches, ChangeWatch, QueryWatch, SetWatch

NOTHING = "No watch yet. Ctrl-Shift-M in a query's tab makes one of it."
VIEWER = "Your role is viewer: you see the watches, but may not change them."
_THIRD = 2
"""Place of the severity that is offered first."""


def watch_list(server: Server, parent: QWidget) -> ServerList:
    """The watches, removed ones left out."""
    return ServerList(
        server, WATCH_COLUMNS, AskWatches, lambda answer: [each for each in answer.watches if each.state != "removed"],
        parent,
    )  # fmt: skip


class WatchesWindow(ListWindow):
    """Signals:
    asked(str): run this query.
    rows_wanted(str): show the rows of the queue that have this word, a watch's rule.
    """

    asked = Signal(str)
    rows_wanted = Signal(str)

    def __init__(self, model: ServerList, server: Server, parent: QWidget) -> None:
        super().__init__(model, "Watches", NOTHING, watch_details, 8, parent)
        self._server = server
        self.ask_button = self.add_button("Ask its query", "Enter", self._ask)
        self.rows_button = self.add_button("Its rows in the queue", "", self._rows)
        self.pause_button = self.add_button("Pause", "P", self.pause_or_resume)
        self.remove_button = self.add_button("Remove", "Delete, twice", self.remove)
        self.table.opened.connect(lambda _index: self._ask())
        self.looked(None)

    def looked(self, item: Any) -> None:
        if not hasattr(self, "remove_button"):
            return
        may = item is not None and may_act(self._server.state.role)
        self.ask_button.setEnabled(item is not None)
        self.rows_button.setEnabled(item is not None)
        self.pause_button.setText("Resume" if item is not None and item.state == "paused" else "Pause")
        self.pause_button.setEnabled(may and item.state != "expired")
        self.remove_button.setEnabled(may)

    def pause_or_resume(self) -> None:
        """Let the selected watch rest, or go on."""
        item = self._changeable()
        if item is not None:
            self._change(item, "resume" if item.state == "paused" else "pause")

    def remove(self) -> None:
        """End the selected watch, at the second press."""
        item = self._changeable()
        if item is not None and self.confirmed(
            f"Once more removes watch {item.number}, {item.name}. What it found stays in the queue."
        ):
            self._change(item, "remove")

    def _changeable(self) -> QueryWatch | None:
        item = self.item
        if item is not None and not may_act(self._server.state.role):
            self.say("error", VIEWER)
            return None
        return item if isinstance(item, QueryWatch) else None

    def _change(self, watch: QueryWatch, action: Literal["pause", "resume", "remove"]) -> None:
        make = partial(ChangeWatch, number=watch.number, action=action)
        self.model.change(make, self.answered(CHANGED_WORDS[action].format(watch.number)))

    def _ask(self) -> None:
        if self.item is not None:
            self.asked.emit(self.item.text)

    def _rows(self) -> None:
        if self.item is not None:
            self.rows_wanted.emit(f"watch:{self.item.number}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier and not event.isAutoRepeat()
        if event.key() == Qt.Key.Key_P and plain:
            self.pause_or_resume()
        elif event.key() == Qt.Key.Key_Delete and plain:
            self.remove()
        else:
            super().keyPressEvent(event)


class WatchDialog(QDialog):
    """Asks for what a watch needs besides its query, and makes it. Waits for nothing and blocks only its window.

    Signals:
        made(str): it stands; words.
    """

    made = Signal(str)

    def __init__(self, model: ServerList, text: str, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Watch this query")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._model = model
        self.name = QLineEdit(name)
        self.name.setMaxLength(255)
        self.text = QPlainTextEdit(text)
        self.text.setFont(LOOK.mono)
        self.text.setTabChangesFocus(True)
        self.severity = QComboBox()
        self.severity.addItems(SEVERITIES)
        self.severity.setCurrentIndex(_THIRD)
        self.ends = QComboBox()
        self.ends.addItems([words for words, _ in LASTS])
        self.comment = QLineEdit()
        self.comment.setMaxLength(4096)
        self.history = QCheckBox("Look through what is stored &already")
        self.history.setChecked(True)
        self.notify = QCheckBox("&Tell syslog and webhook of what it finds")
        self.said = label("Every session that this finds comes into the queue, once.", "dim", wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.button = QPushButton("Watch")
        lay_out_form(self, (
            ("&Name", self.name), ("&Query", self.text), ("&Severity", self.severity), ("&Ends", self.ends),
            ("&Comment", self.comment), ("", self.history), ("", self.notify),
        ), self.said, self.button)  # fmt: skip
        self.resize(640, 400)
        self.button.clicked.connect(self._make)
        self.name.selectAll()
        self.name.setFocus()

    def _make(self) -> None:
        _, length = LASTS[self.ends.currentIndex()]
        watch = QueryWatch(
            0, " ".join(self.name.text().split()), self.text.toPlainText(), self.severity.currentIndex() + 1,
            " ".join(self.comment.text().split()), self.notify.isChecked(), self.history.isChecked(),
            time.time_ns() // 1000 + length if length else 0,
        )  # fmt: skip
        self.button.setEnabled(False)
        self._say("dim", "Asking the server ...")
        self._model.change(partial(SetWatch, watch=watch), partial(self._answered, watch.name))

    def _answered(self, name: str, error: Exception | None) -> None:
        self.button.setEnabled(True)
        if error is None:
            number = max((each.number for each in self._model.items), default=0)
            self.made.emit(f"Watch {number}, {name}, stands. What it finds comes into the queue.")
            self.accept()
            return
        if isinstance(error, RequestFailed) and 0 <= error.start < error.end:
            cursor = self.text.textCursor()
            cursor.setPosition(error.start)
            cursor.setPosition(min(error.end, len(self.text.toPlainText())), QTextCursor.MoveMode.KeepAnchor)
            self.text.setTextCursor(cursor)
            self.text.setFocus()
        lost = "Whether it was made is not known, the watches (Ctrl-M) show it: "
        self._say("error", f"{lost if isinstance(error, LinkLost) else ''}{error}")

    def _say(self, kind: str, text: str) -> None:
        rename(self.said, kind)
        self.said.setText(text)
