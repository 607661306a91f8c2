"""The queue as a console holds it: rows as columns, which of them are shown and in what order. Knows no window, and
asks nobody.

The server tells rows whole, in the order in which they changed: what was told last counts.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from afterfact_client.state.packed import Packed, Slots
from afterfact_protocol.messages import QueueRow

Shown = Literal["open", "escalated", "closed"]
SHOWN: tuple[Shown, ...] = ("open", "escalated", "closed")
OPEN, ESCALATED = 0, 9
ADDRESSES = ("src_ip", "dst_ip")
_KINDS: dict[str, str | None] = {
    "number": "u8", "source": None, "rule": None, "text": None, "severity": "i8", "src_ip": None, "dst_ip": None,
    "dst_port": "i8", "peers": "u8", "count": "u8", "first_event": "u8", "last_event": "u8", "first_time": "i8",
    "last_time": "i8", "raised": "i8", "status": "i8", "owner": None, "version": "u8", "changed_by": None,
    "changed_at": "i8", "comment": None, "late": "?",
}  # fmt: skip
Member = tuple[int, int, int]
"""A row as it is shown, for TRIAGE: number, version, last event."""


class QueueRows(Packed):
    """See the module."""

    def __init__(self) -> None:
        super().__init__({**_KINDS, "joined_sensors": None})
        self._of["joined_sensors"] = lambda row: " ".join(row.sensors)
        self.closed_too = False
        """Whether closed rows are kept; else they leave."""
        self._slots: dict[int, int] = {}
        self._left: list[int] = []
        self._alive = np.zeros(0, bool)
        self._generation = np.zeros(0, np.int64)
        self._acting = np.zeros(0, bool)
        self._acted_on = np.zeros(0, np.uint64)
        self._now = 0

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, rows: Sequence[QueueRow]) -> None:
        """What the server told of rows. The slots of rows that left are used again from the next `take`: who
        compares orders can tell a new row from one that left."""
        self.give_back(self._left)
        self._left = []
        rows = list({row.number: row for row in rows}.values())
        kept = [row for row in rows if self.closed_too or row.status in (OPEN, ESCALATED)]
        if len(kept) < len(rows):
            staying = {row.number for row in kept}
            self._drop([row.number for row in rows if row.number not in staying])
        known = [self._slots.get(row.number) for row in kept]
        fresh = iter(self.take_slots(known.count(None)))
        slots = [next(fresh) if slot is None else slot for slot in known]
        if not slots:
            return
        more = self.size - len(self._alive)
        if more > 0:
            self._alive = np.concatenate([self._alive, np.zeros(more, bool)])
            self._generation = np.concatenate([self._generation, np.zeros(more, np.int64)])
            self._acting = np.concatenate([self._acting, np.zeros(more, bool)])
            self._acted_on = np.concatenate([self._acted_on, np.zeros(more, np.uint64)])
        self.put(slots, kept)
        self._alive[slots] = True
        self._generation[slots] = self._now
        self._acting[slots] &= self.column("version")[slots] == self._acted_on[slots]
        self._slots.update((row.number, slot) for row, slot in zip(kept, slots, strict=True))

    def begin(self) -> None:
        """All will be told anew."""
        self._now += 1
        self._acting[:] = False

    def end(self) -> None:
        """All was told: what was not, is no more."""
        self._drop([number for number, slot in self._slots.items() if self._generation[slot] != self._now])

    def forget_closed(self) -> None:
        self.closed_too = False
        status = self.column("status")
        self._drop([number for number, slot in self._slots.items() if status[slot] not in (OPEN, ESCALATED)])

    def _drop(self, numbers: Sequence[int]) -> None:
        slots = [slot for number in numbers if (slot := self._slots.pop(number, None)) is not None]
        self._alive[slots] = False
        self._acting[slots] = False
        self._left += slots

    # --- looked at ----------------------------------------------------------------------------------------------------

    def slot_of(self, row: int) -> int | None:
        """By its number."""
        return self._slots.get(row)

    def counts(self) -> dict[Shown, int]:
        """How many rows are in which list."""
        status = self.column("status")[self._alive[: self.size]]
        opened, escalated = int((status == OPEN).sum()), int((status == ESCALATED).sum())
        return {"open": opened, "escalated": escalated, "closed": len(status) - opened - escalated}

    def order(self, shown: Shown, by: str = "raised", descending: bool = True, words: str = "") -> Slots:
        """Slots of the rows to show, sorted; equal ones those raised last first, and at last by their number."""
        status = self.column("status")
        at_rest = {"open": status == OPEN, "escalated": status == ESCALATED}
        wanted = at_rest.get(shown, (status != OPEN) & (status != ESCALATED)) & self._alive[: self.size]
        slots = np.flatnonzero(wanted)
        for word in words.casefold().split():
            slots = slots[self.holding(word, slots)]
        keys: list[npt.NDArray[Any]] = [~self.column("number")[slots], ~self.column("raised")[slots]]
        if by != "raised" or not descending:
            keys.append(_ranked(self.sort_key(by, slots, by in ADDRESSES), descending))
        return slots[np.lexsort(keys)]

    def members(self, slots: Sequence[int]) -> tuple[Member, ...]:
        """Rows as they are shown now."""
        return tuple(
            (self.number("number", slot), self.number("version", slot), self.number("last_event", slot))
            for slot in slots
        )

    # --- acted on -----------------------------------------------------------------------------------------------------

    def acting(self, slot: int) -> bool:
        """Whether something was done with it here that the server has not told of yet."""
        return bool(self._acting[slot])

    def act_on(self, members: Sequence[Member]) -> None:
        """Something is being done with these, as they were shown."""
        for number, version, _ in members:
            slot = self._slots.get(number)
            if slot is not None and self.number("version", slot) == version:
                self._acting[slot] = True
                self._acted_on[slot] = version

    def let_go(self, numbers: Sequence[int]) -> None:
        """Nothing came of it."""
        self._acting[[slot for number in numbers if (slot := self._slots.get(number)) is not None]] = False


def _ranked(key: npt.NDArray[Any], descending: bool) -> npt.NDArray[Any]:
    """Whole numbers that sort ascending in this way."""
    return ~key if descending else key
