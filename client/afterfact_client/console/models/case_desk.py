"""The cases as the console has them: the list, kept new by what the server tells, and the case that is looked at."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.console.models.server_list import ServerList
from afterfact_client.link import LinkLost, LinkPhase, LinkState, RequestFailed
from afterfact_client.state.case_words import CASE_COLUMNS
from afterfact_client.state.queue_words import may_act
from afterfact_protocol.messages import AskCase, AskCases, CaseChanged, CaseInfo, CaseSaved, CaseTold, Message

Done = Callable[[Exception | None, "CaseSaved | None"], None]
"""Called with why nothing came of a change, or with what it made."""


class CaseDesk(QObject):
    """Signals:
    told(): another case is looked at, or it is not what it was.
    noticed(str): a negative no longer holds; words.
    """

    told = Signal()
    noticed = Signal(str)

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.server = server
        self.cases = ServerList(
            server, CASE_COLUMNS, partial(AskCases, subscribe="on"), lambda answer: answer.cases, self
        )  # fmt: skip
        self.number = 0
        """The case that is looked at; 0: none."""
        self.case: CaseTold | None = None
        """All of it, once it was told."""
        self.trouble = ""
        """Why it cannot be told; empty: it can."""
        server.state_changed.connect(self._state_changed)
        server.case_changed.connect(self._changed)

    @property
    def may_act(self) -> bool:
        """Whether the account may change cases; the server decides."""
        return may_act(self.server.state.role)

    @property
    def open_cases(self) -> list[CaseInfo]:
        return [case for case in self.cases.items if case.status == "open"]

    def look_at(self, number: int) -> None:
        """Look at a case; 0: at none."""
        if number != self.number:
            self.number, self.case, self.trouble = number, None, ""
            self.told.emit()
            self._ask()

    def change(self, make: Callable[[int], Message], done: Done) -> None:
        """Send a change."""
        if not self.server.online:
            done(LinkLost("not connected"), None)
            return

        def answered(future: "Future[Any]") -> None:
            error = future.exception()
            if error is None:
                done(None, future.result())
            elif isinstance(error, RequestFailed | LinkLost):
                done(error, None)
            else:
                raise error

        self.server.request(make, answered)

    def forget(self) -> None:
        """Somebody else logs in."""
        self.cases.forget()
        self.number, self.case, self.trouble = 0, None, ""
        self.told.emit()

    def _ask(self) -> None:
        number = self.number
        if number and self.server.online:
            self.server.request(partial(AskCase, number=number), partial(self._take, number))

    def _take(self, number: int, future: "Future[Any]") -> None:
        if number != self.number:
            return
        error = future.exception()
        if error is None:
            self.case, self.trouble = future.result(), ""
        elif isinstance(error, RequestFailed | LinkLost):
            self.trouble = str(error)
        else:
            raise error
        self.told.emit()

    def _changed(self, told: CaseChanged) -> None:
        self.cases.first(told.case)
        if told.case.number == self.number:
            self._ask()
        if told.alert:
            self.noticed.emit(f"Case {told.case.number}, {told.case.title}: {told.what}")

    def _state_changed(self, state: LinkState) -> None:
        if state.phase is LinkPhase.ONLINE and not state.limits:  # who is limited is refused, and that is noted down
            self.cases.refresh()
            self._ask()
