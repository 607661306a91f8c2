"""Flow records that were in an earlier file too: the file's copy, its packed one, files that overlap.

What belongs to a session is added up over the files of a call, so a record that comes twice would count twice. Within
one file records may be the same by right: exporters without a cache tell of each packet.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing.cells import flows

from .lines import Rows

MAX_REMEMBERED = 1 << 19
"""Records of earlier files, at least: the latest. By then the sessions of older ones are given, and an older file again
makes the same ones."""
_SAME = [flows.START, flows.END, flows.SIDE, *(
    column + side for column in (flows.PKTS, flows.BYTES, flows.FLAGS, flows.WAY) for side in (0, 1)
)]  # fmt: skip


class Seen:
    """Hashes of records, of one file after another."""

    def __init__(self) -> None:
        self._earlier: set[int] = set()
        self._before: set[int] = set()
        """The generation before that."""
        self._file: list[NDArray[np.uint64]] = []

    def next_file(self) -> None:
        """What comes is of another file."""
        for hashes in self._file:
            self._earlier.update(hashes.tolist())
            if len(self._earlier) > MAX_REMEMBERED:
                self._earlier, self._before = set(), self._earlier
        self._file.clear()

    def again(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of a file's records were in an earlier one."""
        hashes = _hashes(rows)
        self._file.append(hashes)
        while sum(map(len, self._file[1:])) > MAX_REMEMBERED:
            self._file.pop(0)
        if not self._earlier and not self._before:
            return np.zeros(len(rows), np.bool_)
        earlier, before = self._earlier, self._before
        return np.array([one in earlier or one in before for one in hashes.tolist()], np.bool_)


def _hashes(rows: Rows) -> NDArray[np.uint64]:
    """Two records of the same hash that are not the same: one in 10**12 of a million remembered."""
    words = np.ascontiguousarray(rows.keys).view("<u8").reshape(len(rows), rows.keys.dtype.itemsize // 8)
    mixed = np.zeros(len(rows), np.uint64)
    for word in (*words.T, *(rows.numbers[:, column].astype(np.uint64) for column in _SAME)):
        mixed = (mixed ^ word) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
