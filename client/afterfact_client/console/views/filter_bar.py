"""The line over a table that filters what is shown of it. Esc, or the cross, shows all again."""

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from afterfact_client.console.views.parts import button, label


class FilterBar(QWidget):
    """Signals:
    typed(str): another text.
    closed(): all is to be shown again; the focus belongs to the table.
    """

    typed = Signal(str)
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = _Field()
        self.field.setPlaceholderText("Filter: words, or a condition such as dst_port = 80 AND established")
        self.field.setAccessibleName("Filter")
        self.said = label("", "dim", spoken="What the filter leaves")
        cross = button("\N{MULTIPLICATION SIGN}", "close", "Show all again (Esc)", "Show all again")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 3, 8, 3)
        layout.addWidget(self.field, 1)
        layout.addWidget(self.said)
        layout.addWidget(cross)
        self.field.textChanged.connect(self.typed)
        self.field.left.connect(self.leave)
        self.field.returnPressed.connect(self.closed)
        cross.clicked.connect(self.leave)
        self.hide()

    def enter(self) -> None:
        """Show it, and type."""
        self.show()
        self.field.setFocus()
        self.field.selectAll()

    def leave(self) -> None:
        """No filter any more."""
        self.leave_quietly()
        self.closed.emit()

    def leave_quietly(self) -> None:
        """No filter any more, and the focus stays where it is."""
        self.hide()
        self.field.clear()


class _Field(QLineEdit):
    left = Signal()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() is QEvent.Type.ShortcutOverride:
                event.accept()  # else it would stop the query
                return True
            if event.type() is QEvent.Type.KeyPress:
                self.left.emit()
                return True
        return super().event(event)
