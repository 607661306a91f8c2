"""Sessions of flow records: both directions put together, and the records of a long flow added up.

Rows wait until many have come, since a session's records lie anywhere among those of the next half hour. Bounded in
memory. Knows nothing of text, nor of what a session's state is.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing.cells import flows
from afterfact_agent.jit import call

from .lines import KEY, Keys, Rows, no_rows

BATCH = 1 << 16
"""Rows that wait for the next round."""
MAX_HELD = 1 << 18
"""Sessions that wait for more; when there are more, those that have been silent the longest leave. 70 MB."""
HOLD_US = 1_900_000_000
"""A session with one direction is waited for so long: exporters tell of a flow that goes on after half an hour at the
latest, and then of its beginning too."""
PAIRED_HOLD_US = 300_000_000
"""And so long at least with both."""
CLOSED_HOLD_US = 60_000_000
"""And so long if it closed."""
_LATE = 0.95
"""The clock is the time that so many of the last rows' ends are before: a wrong date must not end all sessions."""


class Pairs:
    """Takes flow records in the order of the stream."""

    def __init__(self) -> None:
        self._held = no_rows()
        self._new: list[Rows] = []
        self._waiting = 0
        self._clock = 0
        self.merged = 0
        """Rows that were added to others."""
        self.doubled = 0
        """Of these, those whose packets had been counted: metered where they came in and where they went out."""

    def add(self, rows: Rows) -> Rows:
        """Sessions that are over."""
        if len(rows):
            self._new.append(rows)
            self._waiting += len(rows)
        return self._round() if self._waiting >= BATCH else no_rows()

    @property
    def holding(self) -> bool:
        return bool(self._waiting or len(self._held))

    def news(self) -> tuple[Rows, Rows]:
        """Sessions that are over, and those that go on and have changed since this was last asked."""
        over = self._round()
        numbers = self._held.numbers
        changed = (numbers[:, flows.MARKS] & flows.NEWS) != 0
        news = _chosen(self._held, changed)
        numbers[:, flows.MARKS] &= ~flows.NEWS
        return over, news

    def finish(self) -> Rows:
        """All that was held back."""
        over = self._round()
        held, self._held = self._held, no_rows()
        return _both(over, held)

    def _round(self) -> Rows:
        if not self._new:
            return no_rows()
        ends = np.concatenate([rows.numbers[:, flows.END] for rows in self._new])
        self._clock = max(self._clock, int(np.quantile(ends, _LATE, method="lower")))
        rows = Rows(
            np.concatenate([self._held.keys, *(rows.keys for rows in self._new)]),
            np.concatenate([self._held.numbers, *(rows.numbers for rows in self._new)]),
        )
        self._new, self._waiting = [], 0
        sessions = self._joined(rows)
        over = self._over(sessions.numbers)
        self._held = _chosen(sessions, ~over)
        return _chosen(sessions, over)

    def _joined(self, rows: Rows) -> Rows:
        order, groups = _grouped(rows)
        numbers = rows.numbers[order]
        made, first, counts = np.zeros_like(numbers), np.zeros(len(rows), np.int64), np.zeros(2, np.int64)
        call(flows.join, numbers, groups, made, first, counts)
        sessions, doubled = counts.tolist()
        self.merged += len(rows) - sessions
        self.doubled += doubled
        return Rows(rows.keys[order[first[:sessions]]], made[:sessions])

    def _over(self, numbers: flows.Numbers) -> NDArray[np.bool_]:
        silent = self._clock - numbers[:, flows.END]
        both = (numbers[:, flows.PKTS : flows.PKTS + 2] >= 0).all(axis=1)
        flags = np.maximum(numbers[:, flows.FLAGS : flows.FLAGS + 2], 0)
        closed = ((flags & 4) != 0).any(axis=1) | ((flags & 1) != 0).all(axis=1)
        wait = np.where(
            both, np.maximum(numbers[:, flows.IDLE], PAIRED_HOLD_US), np.maximum(numbers[:, flows.IDLE], HOLD_US)
        )
        over = silent > np.where(both & closed, CLOSED_HOLD_US, wait)
        going = np.flatnonzero(~over)
        if len(going) > MAX_HELD:
            longest = going[np.argsort(-silent[going], kind="stable")]
            over[longest[: len(going) - MAX_HELD // 2]] = True
        return np.asarray(over)


def _grouped(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """An order by endpoints and start, and numbers of those with the same endpoints in it."""
    words = np.ascontiguousarray(rows.keys).view("<u8").reshape(len(rows), KEY.itemsize // 8)
    mixed = np.zeros(len(rows), np.uint64)
    for place in range(words.shape[1]):
        mixed = (mixed ^ words[:, place]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.lexsort((rows.numbers[:, flows.NUMBER], rows.numbers[:, flows.START], mixed))
    # Rows of one group that another's of the same hash lay between would become two sessions: one in 10**9 rounds.
    other = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    return order, np.concatenate([np.zeros(1, np.int64), np.cumsum(other)])


def _chosen(rows: Rows, which: NDArray[np.bool_]) -> Rows:
    return Rows(rows.keys[which], rows.numbers[which])


def _both(one: Rows, other: Rows) -> Rows:
    keys: Keys = np.concatenate([one.keys, other.keys])
    return Rows(keys, np.concatenate([one.numbers, other.numbers]))
