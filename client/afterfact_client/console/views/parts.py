"""Small widgets made the same way everywhere."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)


def label(text: str = "", name: str = "", wrap: bool = False, spoken: str = "") -> QLabel:
    """A text that can be selected. `name` is the style sheet's, `spoken` a screen reader's."""
    made = QLabel(text)
    made.setObjectName(name)
    made.setWordWrap(wrap)
    made.setAccessibleName(spoken)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


def button(text: str, name: str = "", tip: str = "", spoken: str = "") -> QPushButton:
    """A button; `name` is the style sheet's."""
    made = QPushButton(text)
    made.setObjectName(name)
    made.setToolTip(tip)
    made.setAccessibleName(spoken)
    return made


def lay_out_form(dialog: QDialog, fields: Sequence[tuple[str, QWidget]], said: QLabel, do: QPushButton) -> None:
    """A dialogue's fields by their titles; below them what is said of them, Cancel, and the button that does it."""
    do.setDefault(True)
    cancel = QPushButton("Cancel")
    cancel.clicked.connect(dialog.reject)
    form = QFormLayout()
    for title, field in fields:
        form.addRow(title, field)
    buttons = QHBoxLayout()
    buttons.addWidget(said, 1)
    buttons.addWidget(cancel)
    buttons.addWidget(do)
    layout = QVBoxLayout(dialog)
    layout.addLayout(form)
    layout.addLayout(buttons)


def rename(widget: QWidget, name: str) -> None:
    """Give a widget another of the style sheet's names."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


class ElidedLabel(QLabel):
    """One line, cut with an ellipsis where there is no room; the whole is its tool tip."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    @property
    def whole(self) -> str:
        """The line, not cut."""
        return self._whole

    def show_text(self, text: str, details: str = "") -> None:
        """Show a line; `details` are its tool tip in place of itself."""
        self._whole = text
        self.setAccessibleName(text)
        self.setToolTip(details or text)
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self.contentsRect().width() - 2
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, room))
