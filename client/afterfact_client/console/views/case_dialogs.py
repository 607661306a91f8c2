"""The dialogues of cases: a query as a step, a note, hypothesis or question, a case itself. They wait for nothing and
block only their window. What somebody else changed first is shown, and what was typed stays until it is saved or left.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, get_args

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from afterfact_client.console.models.case_desk import CaseDesk
from afterfact_client.console.views.parts import label, lay_out_form, rename
from afterfact_client.console.views.theme import LOOK
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_protocol.messages import (
    AddStep,
    Belief,
    CaseInfo,
    CaseItem,
    CaseSaved,
    ChangeCase,
    Confidence,
    MakeCase,
    Message,
    PutItem,
)

NEW = "a new case"


class CaseDialog(QDialog):
    """What they have in common. Signals: made(str, int): it stands, words; and the number of its case."""

    made = Signal(str, int)

    def __init__(self, desk: CaseDesk, title: str, do: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.desk = desk
        self.said = label(" ", "dim", wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.button = QPushButton(do)

    def say(self, kind: str, text: str) -> None:
        rename(self.said, kind)
        self.said.setText(text)

    def send(self, make: Callable[[int], Message], done: Callable[[CaseSaved], None]) -> None:
        """Send a change; `done` is called if something came of it."""
        self.button.setEnabled(False)
        self.say("dim", "Asking the server ...")

        def answered(error: Exception | None, saved: CaseSaved | None) -> None:
            self.button.setEnabled(True)
            if saved is not None:
                done(saved)
            else:
                assert error is not None
                self.failed(error)

        self.desk.change(make, answered)

    def failed(self, error: Exception) -> None:
        """Nothing came of it."""
        lost = "Whether it was saved is not known, the case shows it: " if isinstance(error, LinkLost) else ""
        self.say("error", f"{lost}{error}")


class StepDialog(CaseDialog):
    """Adds a query to a case, as its next step."""

    def __init__(self, desk: CaseDesk, text: str, parent: QWidget) -> None:
        super().__init__(desk, "Add this query to a case", "Ask and add", parent)
        self.case = QComboBox()
        self._numbers = [case.number for case in desk.open_cases]
        self.case.addItems([f"{case.number}  {case.title}" for case in desk.open_cases] + [NEW])
        if desk.number in self._numbers:
            self.case.setCurrentIndex(self._numbers.index(desk.number))
        self.title = QLineEdit()
        self.title.setMaxLength(255)
        self.title.setPlaceholderText("of a new case")
        self.text = QPlainTextEdit(text)
        self.text.setFont(LOOK.mono)
        self.text.setTabChangesFocus(True)
        self.why = QLineEdit()
        self.why.setMaxLength(4000)
        self.why.setPlaceholderText("the reason for this step: what it is to find out")
        self.negative = QCheckBox("It is to &rule something out, although it finds rows")
        lay_out_form(self, (("&Case", self.case), ("&Title", self.title), ("&Query", self.text), ("&Why", self.why),
                            ("", self.negative)), self.said, self.button)  # fmt: skip
        self.say("dim", "It is asked now; its rows, counts and coverage are kept with it.")
        self.resize(680, 340)
        self.case.currentIndexChanged.connect(lambda _at: self._look())
        self.button.clicked.connect(self._add)
        self._look()
        (self.why if self._numbers else self.title).setFocus()

    def _look(self) -> None:
        self.title.setEnabled(self.case.currentText() == NEW)

    def _add(self) -> None:
        if self.case.currentText() == NEW:
            self.send(partial(MakeCase, title=self.title.text()), self._made)
        else:
            self._ask(self._numbers[self.case.currentIndex()])

    def _made(self, saved: CaseSaved) -> None:
        """The case is there; should the step fail, the next attempt goes into it."""
        self._numbers.insert(0, saved.case.number)
        self.case.insertItem(0, f"{saved.case.number}  {saved.case.title}")
        self.case.setCurrentIndex(0)
        self._ask(saved.case.number)

    def _ask(self, case: int) -> None:
        make = partial(AddStep, case=case, text=self.text.toPlainText().strip(),
                       why=" ".join(self.why.text().split()), negative=self.negative.isChecked())  # fmt: skip
        self.send(make, self._added)

    def _added(self, saved: CaseSaved) -> None:
        self.made.emit(
            f"Step {saved.number} of case {saved.case.number}, {saved.case.title}, is kept", saved.case.number
        )
        self.accept()

    def failed(self, error: Exception) -> None:
        super().failed(error)
        if isinstance(error, RequestFailed) and 0 <= error.start < error.end:
            cursor = self.text.textCursor()
            cursor.setPosition(error.start)
            cursor.setPosition(min(error.end, len(self.text.toPlainText())), QTextCursor.MoveMode.KeepAnchor)
            self.text.setTextCursor(cursor)
            self.text.setFocus()


class ItemDialog(CaseDialog):
    """Writes a note, hypothesis or question of the case that is looked at: a new one, or another text of one."""

    def __init__(self, desk: CaseDesk, item: CaseItem, parent: QWidget) -> None:
        super().__init__(desk, f"{item.kind.capitalize()} of case {desk.number}", "Save", parent)
        self._case, self._item = desk.number, item
        self.text = QPlainTextEdit(item.text)
        self.text.setTabChangesFocus(True)
        fields: list[tuple[str, QWidget]] = [("&Markdown" if item.kind == "note" else "&Text", self.text)]
        self.belief, self.confidence, self.steps, self.answer = QComboBox(), QComboBox(), QLineEdit(), QLineEdit()
        if item.kind == "hypothesis":
            self._offer(self.belief, get_args(Belief), item.belief)
            self._offer(self.confidence, get_args(Confidence), item.confidence)
            self.steps.setText(", ".join(map(str, item.steps)))
            self.steps.setPlaceholderText("what it rests on: 2, 3; what rules it out must be named")
            fields += [("&Belief", self.belief), ("&Confidence", self.confidence), ("&Steps", self.steps)]
        if item.kind == "question":
            self.answer.setText(item.answer)
            self.answer.setPlaceholderText("empty: it is open")
            fields.append(("&Answer", self.answer))
        lay_out_form(self, fields, self.said, self.button)
        self.resize(620, 320)
        self.button.clicked.connect(self._save)
        self.text.setFocus()

    @staticmethod
    def _offer(box: QComboBox, words: tuple[str, ...], chosen: str) -> None:
        box.addItems(list(words))
        box.setCurrentIndex(words.index(chosen))

    def _save(self) -> None:
        parts = [part.strip() for part in self.steps.text().replace(",", " ").split()]
        if not all(part.isascii() and part.isdigit() for part in parts):
            self.say("error", "Steps are numbers, apart by commas.")
            return
        said: dict[str, Any] = {"text": self.text.toPlainText().strip(), "steps": tuple(map(int, parts))}
        if self._item.kind == "hypothesis":
            said |= {"belief": self.belief.currentText(), "confidence": self.confidence.currentText()}
        if self._item.kind == "question":
            said["answer"] = self.answer.text().strip()
        self.send(partial(PutItem, case=self._case, item=replace(self._item, **said)), self._saved)

    def _saved(self, saved: CaseSaved) -> None:
        self.made.emit(f"{self._item.kind.capitalize()} {saved.number} is saved", saved.case.number)
        self.accept()

    def failed(self, error: Exception) -> None:
        """Of what somebody else changed meanwhile the newest version is taken: who saves again has read what it is."""
        super().failed(error)
        case = self.desk.case
        there = () if case is None else case.items
        newest = next((each for each in there if each.number == self._item.number), None)
        if newest is not None and newest.version > self._item.version:
            self._item = replace(self._item, version=newest.version)
            self.button.setText("Save over it")


class HeadDialog(CaseDialog):
    """A case itself: its title, owner, conclusion, and whether it is closed. Without a case: a new one."""

    def __init__(self, desk: CaseDesk, case: CaseInfo | None, parent: QWidget) -> None:
        super().__init__(desk, "A new case" if case is None else f"Case {case.number}", "Save", parent)
        self._case = case
        self.title = QLineEdit("" if case is None else case.title)
        self.title.setMaxLength(255)
        self.owner = QLineEdit("" if case is None else case.owner)
        self.owner.setMaxLength(64)
        self.conclusion = QPlainTextEdit("" if case is None else case.conclusion)
        self.conclusion.setTabChangesFocus(True)
        self.closed = QCheckBox("The case is &closed")
        fields: list[tuple[str, QWidget]] = [("&Title", self.title)]
        if case is not None:
            self.closed.setChecked(case.status == "closed")
            fields += [("&Owner", self.owner), ("Co&nclusion", self.conclusion), ("", self.closed)]
        lay_out_form(self, fields, self.said, self.button)
        self.resize(560, 120 if case is None else 280)
        self.button.clicked.connect(self._save)
        self.title.setFocus()

    def _save(self) -> None:
        if self._case is None:
            self.send(partial(MakeCase, title=self.title.text()), self._saved)
            return
        make = partial(
            ChangeCase, number=self._case.number, version=self._case.version, title=self.title.text(),
            owner=self.owner.text().strip(), status="closed" if self.closed.isChecked() else "open",
            conclusion=self.conclusion.toPlainText().strip()[:4096],
        )  # fmt: skip
        self.send(make, self._saved)

    def _saved(self, saved: CaseSaved) -> None:
        self.made.emit(f"Case {saved.case.number}, {saved.case.title}, is saved", saved.case.number)
        self.accept()

    def failed(self, error: Exception) -> None:
        super().failed(error)
        number = 0 if self._case is None else self._case.number
        newest = next((each for each in self.desk.cases.items if each.number == number), None)
        if self._case is not None and newest is not None and newest.version > self._case.version:
            self._case = newest
            self.button.setText("Save over it")
