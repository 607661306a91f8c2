"""The cases: a tab beside the queries. Their list, and beside it the case that is selected, whose words are doors."""

import re
from functools import partial

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QKeyEvent, QTextDocument
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSplitter, QTextBrowser, QVBoxLayout, QWidget

from afterfact_client.console.models.case_desk import CaseDesk
from afterfact_client.console.views.dense_table import DenseTable
from afterfact_client.console.views.parts import ElidedLabel, button, label, rename
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.case_page import page
from afterfact_client.state.wording import count
from afterfact_protocol.messages import CaseSaved, CaseStep, ChangeStep, RunStep

NOTHING = "No case yet. Ctrl-Shift-A in a query's tab begins one with that query."
HINT = "Enter or Tab: into the case   N note   H hypothesis   Q question   E title, owner, conclusion"
_DOORS = re.compile(r"</?a\b[^>]*>|<img\b[^>]*>|font-size:[^;\"]*;")
"""Links, images, and sizes beyond the text's."""
INKS = ("text", "dim", "good", "warning", "error", "accent")


def markdown(text: str) -> str:
    """A note as HTML. What others wrote opens nothing and loads nothing: without links, images and HTML of its own."""
    document = QTextDocument()
    document.setDefaultFont(LOOK.sans)
    features = QTextDocument.MarkdownFeature
    document.setMarkdown(text, features.MarkdownNoHTML | features.MarkdownDialectGitHub)
    body = document.toHtml().partition("<body")[2].partition(">")[2].rpartition("</body>")[0]
    return _DOORS.sub("", body)


class CasesView(QWidget):
    """Signals:
    titled(str): another name for its tab.
    status_changed(): `status` changed.
    asked(str): a query to run in a tab of its own.
    evidence_wanted(int, object, str): open the evidence of a step of a case, of which kind.
    item_wanted(str, int): a note, hypothesis or question is to be written; 0: a new one.
    change_wanted(): title, owner or conclusion are to be changed.
    new_wanted(): a new case is to be made.
    """

    titled = Signal(str)
    status_changed = Signal()
    asked = Signal(str)
    evidence_wanted = Signal(int, object, str)
    item_wanted = Signal(str, int)
    change_wanted = Signal()
    new_wanted = Signal()

    def __init__(self, desk: CaseDesk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.desk = desk
        self.status = ""
        self.table = DenseTable("Cases", [column.sample for column in desk.cases.columns])
        self.filter = QLineEdit()
        self.new_button = button("New case ...", tip="Begin a case")
        self.change_button = button("Change or close ...", tip="Title, owner, conclusion (E)")
        self.page = QTextBrowser()
        self.said = label(" ", "dim", wrap=True, spoken="What came of the last change")
        self.notice = label("", "notice", wrap=True, spoken="Negatives that no longer hold")
        self.hint = ElidedLabel("dim")
        self._wide = False
        self._lay_out()
        self._connect()
        self.restyle()
        self._show_list()
        self._show_case()

    def _lay_out(self) -> None:
        self.setAccessibleName("Cases")
        self.table.setModel(self.desk.cases)
        self.filter.setPlaceholderText("Find in the case (Ctrl-F)")
        self.filter.setAccessibleName("Find in the case")
        self.filter.setClearButtonEnabled(True)
        self.page.setObjectName("details")
        self.page.setAccessibleName("The case")
        self.page.setOpenLinks(False)
        self.page.document().setDocumentMargin(12)
        for line in (self.said, self.notice):
            line.setTextFormat(Qt.TextFormat.PlainText)
        self.notice.hide()
        self.said.setContentsMargins(8, 3, 8, 3)
        self.hint.setContentsMargins(8, 0, 8, 4)
        self.hint.show_text(HINT)
        left = QWidget()
        listed = QVBoxLayout(left)
        listed.setContentsMargins(0, 0, 0, 0)
        listed.setSpacing(0)
        listed.addWidget(self.table, 1)
        top = QHBoxLayout()
        top.setContentsMargins(8, 4, 8, 4)
        top.addWidget(self.filter, 1)
        top.addWidget(self.change_button)
        top.addWidget(self.new_button)
        right = QWidget()
        told = QVBoxLayout(right)
        told.setContentsMargins(0, 0, 0, 0)
        told.setSpacing(0)
        told.addLayout(top)
        told.addWidget(self.page, 1)
        self.parts = QSplitter(Qt.Orientation.Horizontal, handleWidth=1, childrenCollapsible=False)
        self.parts.addWidget(left)
        self.parts.addWidget(right)
        self.parts.setStretchFactor(0, 2)
        self.parts.setStretchFactor(1, 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.notice)
        layout.addWidget(self.parts, 1)
        layout.addWidget(self.said)
        layout.addWidget(self.hint)
        self.setFocusProxy(self.table)

    def _connect(self) -> None:
        self.desk.cases.told.connect(self._show_list)
        self.desk.cases.modelReset.connect(self._put_back)
        self.desk.told.connect(self._show_case)
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._look())
        self.table.opened.connect(lambda _index: self.page.setFocus())
        self.page.anchorClicked.connect(self._open)
        self.new_button.clicked.connect(self.new_wanted)
        self.change_button.clicked.connect(self.change_wanted)
        self.filter.returnPressed.connect(self._find)

    # --- from the window ----------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Put the focus on the list, and look at the first case if none is looked at."""
        self.table.setFocus()
        if not self.table.currentIndex().isValid() and self.desk.cases.items:
            self.table.setCurrentIndex(self.desk.cases.index(0, 0))

    def enter_filter(self) -> None:
        self.filter.setFocus()
        self.filter.selectAll()

    def escape(self) -> None:
        self.filter.clear()
        self.table.setFocus()

    def look_at(self, number: int) -> None:
        """Show a case."""
        self.desk.look_at(number)
        self._put_back()

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.table.restyle()
        self._show_case()

    def say(self, kind: str, text: str) -> None:
        """What came of a change; `kind` is the style's name."""
        rename(self.said, kind)
        self.said.setText(text)

    def step(self, number: int) -> CaseStep | None:
        """A step of the case that is shown."""
        case = self.desk.case
        return next((step for step in case.steps if step.number == number), None) if case is not None else None

    # --- what shows ---------------------------------------------------------------------------------------------------

    def _show_list(self) -> None:
        cases = self.desk.cases
        self.table.say("" if cases.items else NOTHING if cases.known else cases.trouble or "Loading ...")
        open_ = self.desk.open_cases
        changed = [case for case in cases.items if case.reopened]
        self.titled.emit(f"Cases {len(open_):,}{' !' if changed else ''}" if cases.known else "Cases")
        self.status = f"{count(len(open_), 'open case')}, {len(cases.items):,} in all"
        self.notice.setVisible(bool(changed) or (bool(cases.trouble) and cases.known))
        told = ", ".join(f"case {case.number} ({count(case.reopened, 'step')})" for case in changed[:10])
        self.notice.setText(cases.trouble if cases.trouble and not changed else
                            f"Steps find something else than they did, and nobody has looked yet: {told}")  # fmt: skip
        if cases.items and not self.table.currentIndex().isValid() and not self.desk.number:
            self.table.setCurrentIndex(cases.index(0, 0))
        self.status_changed.emit()

    def _put_back(self) -> None:
        rows = [row for row, case in enumerate(self.desk.cases.items) if case.number == self.desk.number]
        if rows:
            self.table.setCurrentIndex(self.desk.cases.index(rows[0], 0))

    def _look(self) -> None:
        row = self.table.currentIndex().row()
        if 0 <= row < len(self.desk.cases.items):
            if self.desk.cases.items[row].number != self.desk.number:
                self.say("dim", " ")
            self.desk.look_at(self.desk.cases.items[row].number)

    def _show_case(self) -> None:
        case, bar = self.desk.case, self.page.verticalScrollBar()
        self.change_button.setEnabled(case is not None and self.desk.may_act)
        self.new_button.setEnabled(self.desk.may_act)
        if case is None:
            why = self.desk.trouble or ("Loading ..." if self.desk.number else "")
            self.page.setHtml(f'<p style="color:{LOOK.colours.dim}">{why}</p>')
            return
        at = bar.value()
        colours = {name: getattr(LOOK.colours, name) for name in INKS}
        mono = f"font-family:'{LOOK.mono.families()[0]}'; font-size:{LOOK.text_px}px"
        self.page.setHtml(page(case, colours, mono, self.desk.may_act, markdown))
        bar.setValue(at)

    def _find(self) -> None:
        if self.filter.text() and not self.page.find(self.filter.text()):
            self.page.moveCursor(self.page.textCursor().MoveOperation.Start)
            if not self.page.find(self.filter.text()):
                self.say("dim", "The case does not say that.")

    # --- doors --------------------------------------------------------------------------------------------------------

    def _open(self, url: QUrl) -> None:
        kind, _, what = url.toString().partition(":")
        case = self.desk.case
        if case is None:
            return
        if kind == "add":
            self.item_wanted.emit(what, 0)
        elif kind == "item":
            item = next((each for each in case.items if each.number == int(what)), None)
            if item is not None:
                self.item_wanted.emit(item.kind, item.number)
        else:
            self._open_step(case.case.number, kind, what)

    def _open_step(self, case: int, kind: str, what: str) -> None:
        number, _, which = what.partition(":")
        step = self.step(int(number))
        if step is None:
            return
        match kind:
            case "evidence":
                self.evidence_wanted.emit(case, step, which)
            case "ask":
                self.asked.emit(step.query)
            case "again":
                self.say("dim", f"Asking step {step.number} again ...")
                make = partial(RunStep, case=case, step=step.number)
                self.desk.change(make, partial(self._done, f"Step {step.number} was asked again."))
            case "settle":
                settled = partial(ChangeStep, case=case, step=step.number, version=step.version, why=step.why,
                                  negative=step.negative, settled=True)  # fmt: skip
                self.desk.change(settled, partial(self._done, f"Step {step.number}: looked at."))

    def _done(self, words: str, error: Exception | None, _saved: CaseSaved | None) -> None:
        if error is None:
            self.say("good", words)
        else:
            self.say("error", f"Nothing was changed: {error}.")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        kinds = {Qt.Key.Key_N: "note", Qt.Key.Key_H: "hypothesis", Qt.Key.Key_Q: "question"}
        key, plain = Qt.Key(event.key()), event.modifiers() == Qt.KeyboardModifier.NoModifier
        if plain and not event.isAutoRepeat() and key in kinds:
            self.item_wanted.emit(kinds[key], 0)
        elif plain and not event.isAutoRepeat() and key == Qt.Key.Key_E:
            self.change_wanted.emit()
        else:
            super().keyPressEvent(event)
