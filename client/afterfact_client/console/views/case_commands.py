"""What a window offers by name of cases: their tab, a query that becomes a step, evidence in a tab of its own."""

from typing import TYPE_CHECKING, Literal, cast

from PySide6.QtCore import QObject

from afterfact_client.console.models.query_run import Kept
from afterfact_client.console.views.case_dialogs import CaseDialog, HeadDialog, ItemDialog, StepDialog
from afterfact_client.console.views.cases_view import CasesView
from afterfact_client.console.views.query_tab import QueryTab
from afterfact_protocol.messages import CaseItem, CaseStep, Which

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow

VIEWER = "Your role is viewer: you see the cases, but may not change them."
Kind = Literal["note", "hypothesis", "question"]


class CaseCommands(QObject):
    """Owns the dialogues of cases."""

    def __init__(self, window: "MainWindow", view: CasesView) -> None:
        super().__init__(window)
        self._window, self._view, self._desk = window, view, view.desk
        self.dialog: CaseDialog | None = None
        at = window.tabs.indexOf(view)
        window.tabs.setTabText(at, "Cases")
        view.titled.connect(lambda title: window.tabs.setTabText(at, title))
        view.asked.connect(lambda text: window.new_tab(text, run=True))
        view.evidence_wanted.connect(self._open_evidence)
        view.item_wanted.connect(self._write)
        view.change_wanted.connect(self.change_case)
        view.new_wanted.connect(self.new_case)
        self._desk.noticed.connect(window.tell)

    def show(self) -> None:
        """The cases in front, and their list under the keys."""
        if self._at_work:
            self._window.tabs.setCurrentWidget(self._view)
            self._view.enter()

    def add_query(self) -> None:
        """Add the query in front to a case."""
        if self._window.tabs.place_in_front:
            self._window.tell("A step is made of a query: go to its tab first (Ctrl-L)")
        else:
            self._window.on_tab(self._offer)

    def new_case(self) -> None:
        if self._may():
            self._ask(HeadDialog(self._desk, None, self._window))

    def change_case(self) -> None:
        """Title, owner, conclusion of the case that is looked at."""
        if self._may() and self._desk.case is not None:
            self._ask(HeadDialog(self._desk, self._desk.case.case, self._window))

    def add_item(self, kind: Kind) -> None:
        """A note, hypothesis or question for the case that is looked at."""
        self._write(kind, 0)

    def restyle(self) -> None:
        """Theme or text size changed."""
        self._view.restyle()

    def forget(self) -> None:
        """Somebody else logs in."""
        self._desk.forget()
        if self.dialog is not None:
            self.dialog.reject()

    @property
    def _at_work(self) -> bool:
        return self._window.pages.currentWidget() is self._window.work

    def _may(self) -> bool:
        if self._at_work and not self._desk.may_act:
            self._window.tell(VIEWER)
        return self._at_work and self._desk.may_act

    def _offer(self, tab: QueryTab) -> None:
        if self._may():
            self._ask(StepDialog(self._desk, tab.answer.query or tab.editor.text.strip(), self._window))

    def _write(self, kind: str, number: int) -> None:
        case = self._desk.case
        if not self._may():
            return
        if case is None or case.case.status == "closed":
            self._window.tell(
                "No case is looked at (Ctrl-O)" if case is None else "This case is closed: reopen it first"
            )
            return
        item = next((each for each in case.items if each.number == number), CaseItem(0, cast(Kind, kind), ""))
        self._ask(ItemDialog(self._desk, item, self._window))

    def _ask(self, dialog: CaseDialog) -> None:
        self.dialog = dialog
        dialog.made.connect(self._made)
        dialog.destroyed.connect(self._gone)
        dialog.open()

    def _gone(self) -> None:
        self.dialog = None

    def _made(self, words: str, case: int) -> None:
        self._window.tell(words)
        self._view.say("good", f"{words}.")
        self._view.look_at(case)

    def _open_evidence(self, case: int, step: CaseStep, which: str) -> None:
        tab = self._window.new_tab()
        kind = "" if which == "then" else f", {which}"
        tab.open_kept(step.query, Kept(case, step.number, cast(Which, which)), f"case {case} step {step.number}{kind}")
