"""The queue as the server tells it, and what is done with it from here. Everything is asked and answered later; nothing
waits.

An act names rows as they are shown. The server refuses it for those that somebody else acted on meanwhile, and says who
and when. Undo takes back what this console did last, and only that: it says which version of a row that act made.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, LinkPhase, LinkState, RequestFailed
from afterfact_client.queue import Action
from afterfact_client.state import queue_words, wording
from afterfact_client.state.queue_rows import Member, QueueRows
from afterfact_protocol.messages import (
    MAX_QUEUE_ROWS,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    Message,
    QueueChanged,
    QueueEvent,
    QueueEvents,
    QueueHistory,
    Triage,
    Triaged,
)
from afterfact_protocol.messages import QueueRows as Told

GATHER_MS = 60
"""Changes are shown together after so long."""
MOST_CLOSED = 5_000
"""Closed rows that are fetched, those raised last."""
MOST_UNDONE = 100
MOST_CALLED = 10_000
Phase = Literal["away", "loading", "ready", "failed"]
Said = Literal["done", "refused", "dim"]


@dataclass(slots=True)
class _Act:
    """Something that was done here: rows, and what they are now by it."""

    rows: dict[int, Member]
    words: str


class QueueDesk(QObject):
    """Signals:
    changed(): rows, or the state of loading, changed.
    said(str, str): what came of an act: a Said, and words.
    undone(object): numbers of rows that were taken back here; what they are now is told after it.
    """

    changed = Signal()
    said = Signal(str, str)
    undone = Signal(object)

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = server
        self.rows = QueueRows()
        self.phase: Phase = "away"
        self.trouble = ""
        """Why it failed."""
        self.closed_cut = False
        """Whether there are more closed rows than were fetched."""
        self._load = 0
        self._again = False
        self._wants_closed = False
        self._acts: list[_Act] = []
        self._versions: dict[int, int] = {}
        """What a row's version is by our last act with it."""
        self._called: dict[int, str] = {}
        """What rows that were acted on are called: they may be gone when the answer comes."""
        self._in_flight = 0
        self._undo_waits = False
        self._gather = QTimer(self, singleShot=True, interval=GATHER_MS)
        self._gather.timeout.connect(self.changed)
        server.state_changed.connect(self._state_changed)
        server.queue_changed.connect(self._take_change)

    # --- loading ------------------------------------------------------------------------------------------------------

    def _state_changed(self, state: LinkState) -> None:
        if state.phase is LinkPhase.ONLINE:
            self.reload()
        elif self.phase != "away":
            self.phase = "away"
            self._load += 1
            self._in_flight, self._undo_waits = 0, False
            self.changed.emit()

    def forget(self) -> None:
        """Somebody else logs in: nothing of what was seen or done is his."""
        self.phase = "away"
        self._load += 1
        self.rows = QueueRows()
        self._acts, self._versions = [], {}
        self._in_flight, self._undo_waits = 0, False
        self.changed.emit()

    def reload(self) -> None:
        """Have all rows told, and all changes from now on."""
        self._load += 1
        self._again = False
        self.phase = "loading"
        self.closed_cut = False
        self.rows.closed_too = self._wants_closed
        self.rows.begin()
        self._ask("open", None, 0)
        self.changed.emit()

    def want_closed(self, wanted: bool) -> None:
        """Whether closed rows are looked at: else they are not kept."""
        if wanted == self._wants_closed:
            return
        self._wants_closed = wanted
        if wanted and self._server.online:
            self.reload()
        elif not wanted:
            self.rows.forget_closed()
            self._gather.start()

    def _ask(self, status: Literal["open", "escalated", "closed"], after: tuple[int, int] | None, seen: int) -> None:
        subscribe: Literal["", "on"] = "on" if status == "open" and after is None else ""
        make = partial(AskQueue, status=status, count=MAX_QUEUE_ROWS, after=after, subscribe=subscribe)
        self._server.request(make, partial(self._take_page, self._load, status, seen))

    def _take_page(
        self, load: int, status: Literal["open", "escalated", "closed"], seen: int, future: "Future[Told]"
    ) -> None:
        if load != self._load or not self._server.online:
            return
        error = future.exception()
        if error is not None:
            self._failed(error)
            return
        told = future.result()
        self.rows.take(told.rows)
        seen += len(told.rows)
        full = status == "closed" and seen >= MOST_CLOSED
        if told.next is not None and not full:
            self._ask(status, told.next, seen)
        elif status == "open":
            self._ask("escalated", None, 0)
        elif status == "escalated" and self._wants_closed:
            self._ask("closed", None, 0)
        else:
            self.closed_cut = full and told.next is not None
            self.rows.end()
            self.phase, self.trouble = "ready", ""
            if self._again:
                self.reload()
        self._gather_now()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, RequestFailed) or (isinstance(error, LinkLost) and self._server.online):
            self.phase, self.trouble = "failed", str(error)
            self.changed.emit()
        elif not isinstance(error, LinkLost):
            raise error

    def _take_change(self, told: QueueChanged) -> None:
        self.rows.take(told.rows)
        if told.reload:
            if self.phase == "loading":
                self._again = True
            else:
                self.reload()
        self._gather_now()

    def _gather_now(self) -> None:
        if not self._gather.isActive():
            self._gather.start()

    # --- acts ---------------------------------------------------------------------------------------------------------

    @property
    def role(self) -> str:
        return self._server.state.role

    def why_not(self) -> str:
        """Why nothing can be done with the queue now; empty if it can."""
        if not self._server.online:
            return "Not connected: nothing was done."
        return "" if queue_words.may_act(self.role) else queue_words.VIEWER

    def act(
        self, action: Action, members: Sequence[Member], events: int, status: int = 0, comment: str = "",
        owner: str = "",
    ) -> None:  # fmt: skip
        """Do something with rows as they were shown, `events` in all."""
        if why := self.why_not():
            self.said.emit("refused", why)
            return
        make = partial(Triage, rows=tuple(members), action=action, status=status, comment=comment, owner=owner)
        if len(self._called) > MOST_CALLED:
            self._called.clear()
        for number, *_ in members:
            slot = self.rows.slot_of(number)
            if slot is not None:
                self._called[number] = queue_words.row_line(self.rows, slot)
        if action != "comment":
            self.rows.act_on(members)
        self._in_flight += 1
        self._server.request(make, partial(self._acted, action, status, owner, tuple(members), events, self._load))
        self.changed.emit()

    def _acted(
        self, action: Action, status: int, owner: str, members: tuple[Member, ...], events: int, load: int,
        future: "Future[Triaged]",
    ) -> None:  # fmt: skip
        if (error := future.exception()) is not None:
            self._not_answered(error, [number for number, *_ in members])
            return
        self._in_flight = max(0, self._in_flight - 1)
        answer = future.result()
        done = set(answer.done)
        if done and action != "comment":
            self._remember(members, done, queue_words.act_word(action, status, owner))
        self.rows.let_go([number for number, _ in answer.refused])
        events = events if len(done) == len(members) else -1
        self._tell(answer, queue_words.done_words(action, status, owner, len(done), events) if done else "")
        if self._undo_waits and not self._in_flight:
            self._undo_waits = False
            if done:
                self.undo()
        self.changed.emit()

    def _remember(self, members: Sequence[Member], done: set[int], words: str) -> None:
        rows = {}
        for number, version, last in members:
            if number not in done:
                continue
            if self._versions.get(number, version) != version:
                for act in self._acts:  # somebody else acted in between: that is not ours to take back
                    act.rows.pop(number, None)
            self._versions[number] = version + 1
            rows[number] = (number, version + 1, last)
        standing = [act for act in self._acts if act.rows]
        self._acts = [*standing[1 - MOST_UNDONE :], _Act(rows, words)]

    def _tell(self, answer: Triaged, done: str) -> None:
        refused = queue_words.refused_words(answer, self._name)
        self.said.emit("refused" if refused else "done", " ".join(filter(None, (refused, done))))

    def _name(self, number: int) -> str:
        return self._called.get(number, f"row {number}")

    def _not_answered(self, error: BaseException, numbers: Sequence[int]) -> None:
        self._in_flight = max(0, self._in_flight - 1)
        self._undo_waits = False
        self.rows.let_go(numbers)
        if isinstance(error, RequestFailed):
            self.said.emit("refused", f"Nothing was done: {error}.")
        elif isinstance(error, LinkLost):
            self.said.emit("refused", "The connection was lost before the server answered: whether it was done shows "
                                      "once it is back.")  # fmt: skip
        else:
            raise error
        self.changed.emit()

    def undo(self) -> None:
        """Take back what was done here last."""
        if why := self.why_not():
            self.said.emit("refused", why)
            return
        if self._in_flight:
            self._undo_waits = True  # whether it was done is not known yet; else it might take back somebody else's act
            return
        if not self._acts:
            self.said.emit("dim", "Nothing was done here that could be taken back.")
            return
        act = self._acts[-1]
        members = [(number, self._versions[number], last) for number, _, last in act.rows.values()]
        self._in_flight += 1
        self._server.request(partial(Triage, rows=tuple(members), action="undo"), partial(self._undid, act))

    def _undid(self, act: _Act, future: "Future[Triaged]") -> None:
        if (error := future.exception()) is not None:
            self._not_answered(error, [])
            return
        self._in_flight = max(0, self._in_flight - 1)
        self._acts = [each for each in self._acts if each is not act]
        answer = future.result()
        for number in answer.done:
            self._versions[number] += 1
        for number, _ in answer.refused:
            for each in self._acts:
                each.rows.pop(number, None)
        self._acts = [each for each in self._acts if each.rows]
        self.undone.emit(frozenset(answer.done))
        self._tell(answer, f"Taken back: {act.words}, {_rows(len(answer.done))}." if answer.done else "")
        if self._undo_waits:
            self._undo_waits = False
            self.undo()
        self.changed.emit()

    # --- one row ------------------------------------------------------------------------------------------------------

    def events(self, row: int, after: int, on_done: "Callable[[QueueEvents | None], None]") -> None:
        """The next events of a row; None if they cannot be told."""
        self._look_up(partial(AskQueueEvents, row=row, after=after), on_done)

    def one_event(self, number: int, on_done: Callable[[QueueEvent | None], None]) -> None:
        def found(answer: "QueueEvents | None") -> None:
            on_done(next(iter(answer.events), None) if answer is not None else None)

        self._look_up(partial(AskQueueEvents, event=number, count=1), found)

    def history(self, row: int, event: int, on_done: "Callable[[QueueHistory | None], None]") -> None:
        """What was done with an event, whatever row it was in; with 0, with a row."""
        self._look_up(partial(AskHistory, event=event, row=row), on_done)

    def _look_up(self, make: Callable[[int], Message], on_done: Callable[[Any], None]) -> None:
        if self._server.online:
            self._server.request(make, partial(self._give, on_done))
        else:
            on_done(None)

    def _give(self, on_done: Callable[[Any], None], future: "Future[Any]") -> None:
        error = future.exception()
        if error is None:
            on_done(future.result())
            return
        if isinstance(error, RequestFailed):
            self.said.emit("refused", f"{error}.")
        elif not isinstance(error, LinkLost):
            raise error
        on_done(None)


def _rows(count: int) -> str:
    return wording.count(count, "row")
