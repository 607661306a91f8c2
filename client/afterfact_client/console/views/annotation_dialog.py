"""The dialogue that says something of a host, a port or a session, wherever that shows."""

from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QLineEdit, QPushButton, QWidget

from afterfact_client.console.models.mark_board import MarkBoard
from afterfact_client.console.views.parts import button, label, lay_out_form, rename
from afterfact_client.link import LinkLost
from afterfact_protocol.messages import Annotation
from afterfact_protocol.printable import printable


class AnnotationDialog(QDialog):
    """Waits for nothing and blocks only its window. Signals: made(str): it stands; words."""

    made = Signal(str)

    def __init__(self, board: MarkBoard, of: Annotation, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Annotation")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._board, self._of = board, of
        self.text = QLineEdit(of.text)
        self.text.setMaxLength(1000)
        self.case = QLineEdit(str(of.case or ""))
        self.case.setPlaceholderText("number of the case in which it matters; empty: none")
        self.said = label("It stands in every console, wherever this shows.", "dim", wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.button = QPushButton("Save")
        what = label(f"{of.kind} {printable(of.subject)}")
        what.setTextFormat(Qt.TextFormat.PlainText)
        fields: list[tuple[str, QWidget]] = [("Of", what), ("&Text", self.text), ("&Case", self.case)]
        self.remove_button = button("Remove", tip="Take the annotation away")
        if of.number:
            fields.append(("", self.remove_button))
        lay_out_form(self, fields, self.said, self.button)
        self.resize(560, 160)
        self.button.clicked.connect(lambda: self._put(remove=False))
        self.remove_button.clicked.connect(lambda: self._put(remove=True))
        self.text.setFocus()

    def _put(self, remove: bool) -> None:
        case = self.case.text().strip()
        if case and not (case.isascii() and case.isdigit()):
            self._say("error", "A case is a number.")
            return
        self.button.setEnabled(False)
        self._say("dim", "Asking the server ...")
        wanted = replace(self._of, text=self.text.text(), case=int(case or 0))
        self._board.put(wanted, remove, lambda error: self._answered(error, remove))

    def _answered(self, error: Exception | None, removed: bool) -> None:
        self.button.setEnabled(True)
        if error is None:
            self.made.emit(f"The annotation of {self._of.subject} is {'removed' if removed else 'saved'}")
            self.accept()
            return
        newest = self._board.marks.annotations.get(self._of.number)
        if newest is not None and newest.version > self._of.version:  # it was read in what the server said
            self._of = replace(self._of, version=newest.version)
            self.button.setText("Save over it")
        lost = "Whether it was saved is not known: " if isinstance(error, LinkLost) else ""
        self._say("error", f"{lost}{error}")

    def _say(self, kind: str, text: str) -> None:
        rename(self.said, kind)
        self.said.setText(text)
