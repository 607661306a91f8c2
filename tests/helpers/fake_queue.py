"""The queue and the watches of the fake link's server: what the console is told, and what somebody else does meanwhile.
Its rules for versions are the server's; that these are told rightly is tested in tests/system/test_queue_console.py.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import (
    AskAutocats,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    AskWatches,
    Autocats,
    ChangeWatch,
    Failed,
    Message,
    QueryWatch,
    QueueAction,
    QueueChanged,
    QueueEvent,
    QueueEvents,
    QueueHistory,
    QueueRow,
    QueueRows,
    RemoveAutocat,
    SetAutocat,
    SetWatch,
    Triage,
    Triaged,
    Watches,
)

WHEN = 1_090_863_469_000_000
SECOND = 1_000_000
WORDS = ("open", "Cat I", "Cat II", "Cat III", "Cat IV", "Cat V", "Cat VI", "Cat VII", "no action", "escalated")


def queue_row(number: int, **changes: object) -> QueueRow:
    """A row of as many events as its number, each of which is a hundred of it; the higher its number, the later it was
    raised."""
    made = QueueRow(
        number, "alert", "1:2001219", f"WORM {number}", 1 + number % 3, f"10.0.0.{number % 250}", "192.0.2.7", 1034,
        number, ("border",), number, number * 100, number * 100 + number - 1, WHEN, WHEN + number * SECOND,
        WHEN + number * SECOND, 0, "", 1, "", 0, "", False,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class FakeQueue:
    """`tell` is set while somebody is subscribed."""

    rows: dict[int, QueueRow] = field(default_factory=dict)
    tell: Callable[[QueueChanged], None] | None = None
    asked: list[Message] = field(default_factory=list)
    holding: bool = False
    """Acts are not answered until `release`."""
    held: "list[tuple[Future[Any], Message]]" = field(default_factory=list)
    failure: str = ""
    """Everything fails with it."""
    actions: list[QueueAction] = field(default_factory=list)
    watches: list[QueryWatch] = field(default_factory=list)
    rules: list[Any] = field(default_factory=list)
    watch_failure: Failed | None = None

    def put(self, *rows: QueueRow) -> None:
        """Rows are new, or not what they were."""
        self.rows.update({row.number: row for row in rows})
        if self.tell is not None:
            self.tell(QueueChanged(rows))

    def other(self, number: int, status: int, user: str = "bob", owner: str = "") -> None:
        """Somebody else acts."""
        row = self.rows[number]
        self._enter(row, "categorise", status, user, "")
        self.put(replace(row, status=status, version=row.version + 1, changed_by=user, owner=owner))

    def take(self, message: Message, future: "Future[Any]") -> None:
        self.asked.append(message)
        if self.holding and isinstance(message, Triage):
            self.held.append((future, message))
        else:
            self._answer(message, future)

    def release(self) -> None:
        held, self.held = self.held, []
        for future, message in held:
            self._answer(message, future)

    @property
    def acts(self) -> list[Triage]:
        return [message for message in self.asked if isinstance(message, Triage)]

    def _answer(self, message: Message, future: "Future[Any]") -> None:
        if self.failure:
            future.set_exception(RequestFailed(Failed(0, "request", self.failure, -1, -1)))
            return
        match message:
            case AskQueue():
                low, high = {"open": (0, 0), "escalated": (9, 9), "closed": (1, 8), "all": (0, 9)}[message.status]
                found = sorted((row for row in self.rows.values() if low <= row.status <= high),
                               key=lambda row: (row.raised, row.number), reverse=True)  # fmt: skip
                if message.after is not None:
                    found = [row for row in found if (row.raised, row.number) < message.after]
                part, more = tuple(found[: message.count]), len(found) > message.count
                future.set_result(QueueRows(0, part, (part[-1].raised, part[-1].number) if more else None))
            case Triage():
                self._triage(message, future)
            case AskQueueEvents(event=number) if number:
                future.set_result(QueueEvents(0, (self.event(number),), True))
            case AskQueueEvents():
                row = self.rows[message.row]
                numbers = range(max(row.first_event, message.after + 1), row.last_event + 1)
                part = tuple(self.event(number) for number in numbers[: message.count])
                future.set_result(QueueEvents(0, part, len(part) == len(numbers)))
            case AskHistory():
                future.set_result(QueueHistory(0, tuple(each for each in self.actions if each.row == message.row)))
            case _:
                self._lists(message, future)

    def _lists(self, message: Message, future: "Future[Any]") -> None:
        if self.watch_failure is not None and not isinstance(message, AskWatches | AskAutocats):
            future.set_exception(RequestFailed(self.watch_failure))
            return
        match message:
            case AskWatches() | SetWatch() | ChangeWatch():
                if isinstance(message, SetWatch):
                    made = replace(message.watch, number=len(self.watches) + 1, owner="ana", state="looking back")
                    self.watches.insert(0, made)
                elif isinstance(message, ChangeWatch):
                    to = {"pause": "paused", "resume": "on", "remove": "removed"}[message.action]
                    self.watches = [replace(each, state=to) if each.number == message.number else each  # type: ignore[arg-type]
                                    for each in self.watches]  # fmt: skip
                future.set_result(Watches(0, tuple(self.watches)))
            case AskAutocats() | SetAutocat() | RemoveAutocat():
                if isinstance(message, SetAutocat):
                    self.rules.insert(0, replace(message.rule, number=len(self.rules) + 1, owner="ana", created=WHEN))
                elif isinstance(message, RemoveAutocat):
                    self.rules = [replace(each, removed=each.removed or each.number == message.number)
                                  for each in self.rules]  # fmt: skip
                future.set_result(Autocats(0, tuple(self.rules)))
            case _:
                raise AssertionError(message)

    def _triage(self, message: Triage, future: "Future[Any]") -> None:
        done, refused, changed = [], [], []
        for number, version, last in message.rows:
            row = self.rows[number]
            if message.action != "comment" and row.version != version:
                refused.append((number, f"{row.changed_by}, {WORDS[row.status]}, 2 s ago"))
                continue
            status, owner = row.status, row.owner
            match message.action:
                case "categorise" | "escalate":
                    status = message.status if message.action == "categorise" else 9
                    if last < row.last_event:
                        rest = replace(row, number=number + 1000, first_event=last + 1, version=1)
                        self.rows[rest.number] = rest
                        changed.append(rest)
                case "reopen" | "undo":
                    status = 0
                case "claim":
                    owner = "ana"
                case "assign":
                    owner = message.owner
                case "release":
                    owner = ""
            self._enter(row, message.action, status, "ana", message.comment)
            made = replace(row, status=status, owner=owner, version=row.version + (message.action != "comment"),
                           changed_by="ana", comment=message.comment or row.comment)  # fmt: skip
            self.rows[number] = made
            changed.append(made)
            done.append(number)
        future.set_result(Triaged(0, tuple(done), tuple(refused)))
        if changed:
            self.put(*changed)

    def _enter(self, row: QueueRow, action: str, status: int, user: str, comment: str) -> None:
        self.actions.append(QueueAction(len(self.actions) + 1, WHEN, user, action, row.number, row.count, row.status,
                                        status, row.owner, comment, 0))  # fmt: skip

    def event(self, number: int) -> QueueEvent:
        row = next(row for row in self.rows.values() if row.first_event <= number <= row.last_event)
        alert = number - 1 if row.source == "alert" else 0
        return QueueEvent(number, row.number, WHEN + number * SECOND, "border", row.src_ip, 4000, row.dst_ip, 1034, 6,
                          number, row.late, alert)  # fmt: skip
