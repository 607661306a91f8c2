"""The line under the queue in which a comment, or a name, is written before an act is done. It takes no key from the
rest of the window: Enter does it, Esc leaves it."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QKeyEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from afterfact_client.console.views.parts import label

MOST = 4096
"""Characters of a comment that a message holds."""


class CommentBar(QWidget):
    """Signals:
    closed(): it is done or left; the focus belongs to the table.
    """

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._do: Callable[[str], None] | None = None
        self._needed = False
        self.title = label("", "section")
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.field = _Field()
        self.field.setMaxLength(MOST)
        self.said = label("", "error")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 3, 8, 3)
        layout.addWidget(self.title)
        layout.addWidget(self.field, 1)
        layout.addWidget(self.said)
        self.field.returnPressed.connect(self._enter)
        self.field.left.connect(self.leave)
        self.field.textEdited.connect(lambda: self.said.setText(""))
        self.hide()

    def ask(self, title: str, what: str, needed: str, do: Callable[[str], None]) -> None:
        """Have a `what` written, and `do` called with it. `needed` says that it must not be empty; empty: it may be."""
        self._do, self._needed = do, bool(needed)
        self._complaint = needed
        self.title.setText(title)
        self.field.setPlaceholderText(f"{what}; Enter does it, Esc leaves it")
        self.field.setAccessibleName(f"{title}: {what}")
        self.said.setText("")
        self.field.clear()
        self.show()
        self.field.setFocus()

    def leave(self) -> None:
        """Nothing is done."""
        self._do = None
        self.hide()
        self.closed.emit()

    def _enter(self) -> None:
        text = " ".join(self.field.text().split())
        if self._needed and not text:
            self.said.setText(self._complaint)
        elif self._do is not None:
            do, self._do = self._do, None
            self.hide()
            self.closed.emit()
            do(text)


class _Field(QLineEdit):
    left = Signal()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() is QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() is QEvent.Type.KeyPress:
                self.left.emit()
                return True
        return super().event(event)
