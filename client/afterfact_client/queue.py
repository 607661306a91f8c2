"""The shared queue from Python: blocking calls over a Link. A console calls `link.request` with the same messages."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

from afterfact_client.link import Link
from afterfact_protocol.messages import (
    MAX_QUEUE_ROWS,
    AskAutocats,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    Autocat,
    Autocats,
    QueueAction,
    QueueChanged,
    QueueEvent,
    QueueEvents,
    QueueHistory,
    QueueRow,
    QueueRows,
    RemoveAutocat,
    SetAutocat,
    Triage,
    Triaged,
)

Status = Literal["open", "escalated", "closed", "all"]
Action = Literal["categorise", "escalate", "reopen", "claim", "assign", "release", "comment", "undo"]
CATEGORIES = ("open", "Cat I", "Cat II", "Cat III", "Cat IV", "Cat V", "Cat VI", "Cat VII", "no action", "escalated")
"""What a row's status means, by its number."""
CATEGORY_MEANS = (
    "", "unauthorised administrator's access", "unauthorised user's access", "attempted access", "denial of service",
    "poor practice or policy violation", "reconnaissance", "virus or worm",
)  # fmt: skip
"""What the categories I to VII stand for, by their number."""


class Queue:
    """Every act returns what was done and what was refused, and why: see messages.Triaged. RequestFailed for what
    cannot be meant, or is not allowed; LinkLost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def rows(self, status: Status = "open", limit: int | None = None) -> Iterator[QueueRow]:
        """Rows, those raised last first."""
        after: tuple[int, int] | None = None
        left = limit
        while left is None or left > 0:
            count = MAX_QUEUE_ROWS if left is None else min(left, MAX_QUEUE_ROWS)
            found: QueueRows = self._link.request(partial(AskQueue, status=status, count=count, after=after)).result()
            yield from found.rows
            left = None if left is None else left - len(found.rows)
            after = found.next
            if after is None:
                return

    def subscribe(self, on_change: Callable[[QueueChanged], None]) -> Iterator[QueueRow]:
        """The open rows now, and a call of `on_change` for every change from then on, on the link's thread. After a
        lost connection it must be called again."""
        self._link.on_queue = on_change
        self._link.request(partial(AskQueue, status="open", count=1, subscribe="on")).result()
        return self.rows()

    def numbered(self, numbers: Sequence[int]) -> tuple[QueueRow, ...]:
        """Those of these rows that there are, at most MAX_QUEUE_ROWS."""
        make = partial(AskQueue, status="all", count=1, numbers=tuple(numbers))
        found: QueueRows = self._link.request(make).result()
        return found.rows

    def categorise(self, rows: Sequence[QueueRow], status: int, comment: str = "") -> Triaged:
        """Category I to VII (1 to 7), or 8, no action, for the events of rows as these show them."""
        return self._triage(rows, "categorise", status=status, comment=comment)

    def escalate(self, rows: Sequence[QueueRow], comment: str) -> Triaged:
        return self._triage(rows, "escalate", comment=comment)

    def reopen(self, rows: Sequence[QueueRow], comment: str = "") -> Triaged:
        return self._triage(rows, "reopen", comment=comment)

    def claim(self, rows: Sequence[QueueRow]) -> Triaged:
        return self._triage(rows, "claim")

    def assign(self, rows: Sequence[QueueRow], owner: str) -> Triaged:
        return self._triage(rows, "assign", owner=owner)

    def release(self, rows: Sequence[QueueRow]) -> Triaged:
        return self._triage(rows, "release")

    def comment(self, rows: Sequence[QueueRow], comment: str) -> Triaged:
        return self._triage(rows, "comment", comment=comment)

    def undo(self, rows: Sequence[QueueRow]) -> Triaged:
        """Take back the last act with each."""
        return self._triage(rows, "undo")

    def _triage(
        self, rows: Sequence[QueueRow], action: Action, status: int = 0, comment: str = "", owner: str = ""
    ) -> Triaged:
        shown = tuple((row.number, row.version, row.last_event) for row in rows)
        made = partial(Triage, rows=shown, action=action, status=status, comment=comment, owner=owner)
        answer: Triaged = self._link.request(made).result()
        return answer

    def events(self, row: int) -> Iterator[QueueEvent]:
        """The events of a row, oldest first."""
        after = 0
        while True:
            found: QueueEvents = self._link.request(partial(AskQueueEvents, row=row, after=after)).result()
            yield from found.events
            if found.ended or not found.events:
                return
            after = found.events[-1].number

    def event(self, number: int) -> QueueEvent | None:
        """An event by its number."""
        found: QueueEvents = self._link.request(partial(AskQueueEvents, event=number, count=1)).result()
        return next(iter(found.events), None)

    def history(self, event: int = 0, row: int = 0) -> tuple[QueueAction, ...]:
        """What was done with an event, whatever row it was in, or with a row; oldest first."""
        found: QueueHistory = self._link.request(partial(AskHistory, event=event, row=row)).result()
        return found.actions

    def autocats(self) -> tuple[Autocat, ...]:
        """The rules that dispose of events as they come, newest first, removed ones too."""
        found: Autocats = self._link.request(AskAutocats).result()
        return found.rules

    def add_autocat(
        self,
        status: int,
        comment: str,
        rule: str = "",
        src: str = "",
        dst: str = "",
        sensor: str = "",
        expires: int = 0,
    ) -> Autocat:
        """A rule for what comes from now on; `expires` is a time in microseconds, 0 never."""
        made = Autocat(0, rule, src, dst, sensor, status, comment, "", 0, expires, False, 0)
        found: Autocats = self._link.request(partial(SetAutocat, rule=made)).result()
        return found.rules[0]

    def remove_autocat(self, number: int) -> None:
        self._link.request(partial(RemoveAutocat, number=number)).result()
