"""The dialogue that saves a set: of values that were chosen, or of what a query finds."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.parts import label, lay_out_form, rename
from afterfact_client.console.views.theme import LOOK
from afterfact_client.link import LinkLost
from afterfact_protocol.messages import Message, PutSet, SaveSet, SetKind
from afterfact_protocol.sets import NAME, PLURALS, read_value, told


@dataclass(frozen=True, slots=True)
class Chosen:
    """Values, as people write them, that make a set."""

    kind: SetKind
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a query finds, or the field of it, that makes a set."""

    text: str
    field: str
    """`session`: the sessions themselves."""


def adding(name: str, chosen: Chosen, note: str = "", replace: bool | None = None) -> Callable[[int], Message]:
    """The message that adds values to a set, or with `replace` makes one of them, in place of another if true."""
    data = b"".join(read_value(chosen.kind, value) for value in chosen.values)
    mode = "add" if replace is None else "replace" if replace else "new"
    return lambda request: PutSet(request, name, chosen.kind, mode, 0, True, data, {}, note)  # type: ignore[arg-type]


class SetDialog(QDialog):
    """Waits for nothing and blocks only its window.

    Signals:
        made(str): it is kept; words.
    """

    made = Signal(str)

    def __init__(self, shared: Shared, of: Chosen | Found, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Save as a set")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._shared, self._of = shared, of
        self.name = QLineEdit()
        self.name.setMaxLength(65)
        self.name.setPlaceholderText("letters, digits and _")
        self.of = QPlainTextEdit(", ".join(of.values) if isinstance(of, Chosen) else of.text)
        self.of.setReadOnly(True)
        self.of.setFont(LOOK.mono)
        self.of.setTabChangesFocus(True)
        self.note = QLineEdit()
        self.note.setMaxLength(1000)
        self.live = QCheckBox("&Live: ask this query anew whenever the set is used")
        self.replace = QCheckBox("&Replace a set of this name; its versions stay in its history")
        self.said = label(" ", "dim", wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.button = QPushButton("Save")
        fields: list[tuple[str, QWidget]] = [("&Name", self.name), (self._what(), self.of), ("N&ote", self.note)]
        if isinstance(of, Found):
            fields.append(("", self.live))
        lay_out_form(self, (*fields, ("", self.replace)), self.said, self.button)
        self.resize(640, 320)
        self.button.clicked.connect(self._save)
        self.name.textChanged.connect(self._look)
        self._look()
        self.name.setFocus()

    def _what(self) -> str:
        if isinstance(self._of, Chosen):
            return told(self._of.kind, len(self._of.values)).capitalize()
        return "Sessions of" if self._of.field == "session" else f"{self._of.field} of"

    def _name(self) -> str:
        return self.name.text().strip().removeprefix("@").lower()

    def _look(self) -> None:
        """Whether it can be saved, and what stands in the way."""
        name = self._name()
        other = next((one for one in self._shared.sets.items if one.name == name), None)
        self.button.setEnabled(NAME.fullmatch(name) is not None)
        if name and not self.button.isEnabled():
            self._say("dim", "Letters, digits and _, no digit first, at most 64.")
        elif other is not None:
            self._say("dim", f"There is @{name} already, {other.count:,} {PLURALS[other.kind]}, by {other.by}.")
        else:
            everything = "All that the query finds is saved, each value once, whatever the table lists."
            self._say("dim", everything if isinstance(self._of, Found) else " ")

    def _save(self) -> None:
        name, note, replace = self._name(), " ".join(self.note.text().split()), self.replace.isChecked()
        of = self._of
        if isinstance(of, Chosen):
            make = adding(name, of, note, replace)
        else:
            live = self.live.isChecked()
            make = lambda request: SaveSet(request, name, of.text, of.field, live, replace, note)  # noqa: E731
        self.button.setEnabled(False)
        self._say("dim", "Asking the server ...")
        self._shared.sets.change(make, self._answered)

    def _answered(self, error: Exception | None) -> None:
        self.button.setEnabled(True)
        if error is None:
            self.made.emit(f"Saved as @{self._name()}; queries ask for it by IN @{self._name()}")
            self.accept()
        elif isinstance(error, LinkLost):
            self._say("error", f"Whether it was saved is not known, the sets (Ctrl-Shift-S) show it: {error}")
        else:
            self._say("error", str(error))

    def _say(self, kind: str, text: str) -> None:
        rename(self.said, kind)
        self.said.setText(text)
