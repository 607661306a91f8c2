"""The sets, exclusions and saved queries of the fake link's server. Its rules are the server's; that these are told
rightly is tested in tests/system/test_sets.py.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import (
    AskExclusions,
    AskRemoved,
    AskSaved,
    AskSets,
    AskSetValues,
    CombineSets,
    ExclusionInfo,
    Exclusions,
    ExclusionSaved,
    Failed,
    LeftOut,
    Message,
    PutSet,
    Removed,
    RemoveExclusion,
    RemoveItem,
    RemoveSet,
    SavedItem,
    SavedItems,
    SaveExclusion,
    SaveItem,
    SaveSet,
    SetInfo,
    Sets,
    SetSaved,
    SetValues,
)
from afterfact_protocol.sets import DTYPES

WHEN = 1_090_908_120_000_000
"""2004-07-27 06:02 UTC."""
KEPT = (
    AskSets | AskSetValues | SaveSet | PutSet | CombineSets | RemoveSet | AskExclusions | SaveExclusion
    | RemoveExclusion | AskRemoved | AskSaved | SaveItem | RemoveItem
)  # fmt: skip


def set_info(name: str, **changes: object) -> SetInfo:
    """A frozen set of five addresses, by ana."""
    made = SetInfo(name, 1, "save", "address", False, "port = 1034", "src_ip", "ana", WHEN, 5, 0, "watched", "")
    return replace(made, **changes)  # type: ignore[arg-type]


def exclusion(name: str, condition: str, **changes: object) -> ExclusionInfo:
    """One that acts by default and never ends, by ana."""
    made = ExclusionInfo(name, 1, condition, True, 0, "ana", WHEN, "")
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class FakeShared:
    """See the module."""

    sets: dict[str, SetInfo] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    exclusions: dict[str, ExclusionInfo] = field(default_factory=dict)
    removed: tuple[LeftOut, ...] = ()
    saved: dict[tuple[str, str, str], SavedItem] = field(default_factory=dict)
    revision: int = 0
    asked: list[Message] = field(default_factory=list)
    holding: bool = False
    """Changes are not answered until `release`."""
    held: "list[tuple[Message, Future[Any]]]" = field(default_factory=list)
    failure: Failed | None = None
    """Every change fails with it."""

    def put(self, *sets: SetInfo) -> None:
        """Sets are new, or not what they were."""
        self.sets.update({one.name: one for one in sets})

    def save(self, kind: str, folder: str, name: str, text: str, by: str = "ana") -> None:
        """Somebody saves a query or a view for the team."""
        self.revision += 1
        number = self.saved[kind, folder, name].number + 1 if (kind, folder, name) in self.saved else 1
        self.saved[kind, folder, name] = SavedItem(kind, folder, name, text, "", number, by, WHEN)  # type: ignore[arg-type]

    def release(self) -> None:
        """Answer what waits."""
        self.holding = False
        held, self.held = self.held, []
        for message, future in held:
            self.take(message, future)

    def take(self, message: Message, future: "Future[Any]") -> None:
        self.asked.append(message)
        if self.holding and isinstance(message, PutSet | SaveSet | SaveItem):
            self.held.append((message, future))
            return
        change = not isinstance(message, AskSets | AskSetValues | AskExclusions | AskSaved)
        failure = self.failure if change else None
        if isinstance(message, SaveItem | RemoveItem):
            failure = self._first(message) or failure
        if failure is not None:
            future.set_exception(RequestFailed(failure))
        else:
            future.set_result(self._answer(message))

    def _first(self, message: SaveItem | RemoveItem) -> Failed | None:
        """Why it is refused: somebody was first."""
        item = message.item if isinstance(message, SaveItem) else message
        folder, name = message.moved if isinstance(message, SaveItem) and message.moved else (item.folder, item.name)
        there = self.saved.get((item.kind, folder, name))
        if (there.number if there else 0) == item.number:
            return None
        assert there is not None
        return Failed(0, "request", f"somebody was first: {there.name}, by {there.by}", -1, -1)

    def _answer(self, message: Message) -> Message:
        match message:
            case AskSets(name=name) if name:
                return Sets(0, (self.sets[name],))
            case AskSets():
                return Sets(0, tuple(self.sets[name] for name in sorted(self.sets)))
            case AskSetValues():
                return SetValues(
                    0, self.sets[message.name], 0, self.values[message.name], {0: "patient zero"}, {}, True
                )
            case SaveSet() | CombineSets():
                self.put(set_info(message.name))
            case PutSet():
                before = self.sets.get(message.name)
                count = len(message.values) // DTYPES[message.kind].itemsize + (before.count if before else 0)
                self.put(set_info(message.name, kind=message.kind, count=count, action=message.mode))
            case RemoveSet():
                return SetSaved(0, self.sets.pop(message.name))
            case AskExclusions():
                return Exclusions(0, tuple(self.exclusions[name] for name in sorted(self.exclusions)))
            case SaveExclusion():
                made = exclusion(message.name, message.condition, by_default=message.by_default, note=message.note,
                                 expires=message.expires)  # fmt: skip
                self.exclusions[message.name] = made
                return ExclusionSaved(0, made)
            case RemoveExclusion():
                return ExclusionSaved(0, self.exclusions.pop(message.name), True)
            case AskRemoved():
                return Removed(0, sum(one.sessions for one in self.removed), self.removed)
            case AskSaved() | SaveItem() | RemoveItem():
                return self._saved(message)
            case _:
                raise AssertionError(message)
        return SetSaved(0, self.sets[message.name])

    def _saved(self, message: AskSaved | SaveItem | RemoveItem) -> SavedItems:
        if isinstance(message, SaveItem):
            if message.moved:
                del self.saved[message.item.kind, *message.moved]
            self.save(message.item.kind, message.item.folder, message.item.name, message.item.text)
        elif isinstance(message, RemoveItem):
            self.revision += 1
            del self.saved[message.kind, message.folder, message.name]
        elif message.known and message.known == self.revision:
            return SavedItems(0, self.revision, True)
        return SavedItems(0, self.revision, False, tuple(self.saved.values()))
