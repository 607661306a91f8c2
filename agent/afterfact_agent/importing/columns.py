"""Blocks of lines as columns: a plan of what each column is, read by the compiled kernels of cells/.

Knows nothing of sessions. Reading compiles the kernels once a machine, apart from the meter's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time_ns

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import call
from afterfact_protocol.session import EARLIEST_US, RECORD

from .cells import flows, table
from .cells.table import UNSET
from .format import Reject
from .ids import identify
from .lines import Block

_DAY_US = 86_400_000_000
_NO_LIMIT = 2**61
"""Sums of two such numbers, and twice that, still fit."""
_WHAT = {
    table.DECIMAL: "no number", table.EITHER_BASE: "no number", table.SECONDS: "no time",
    table.DATE_TIME: "no date and time", table.ADDRESS: "no address", table.TEXT: "no plain text",
    table.LETTERS: "no plain text", table.WORD: "no word", table.PORT: "no port", table.ANY_TIME: "no time",
}  # fmt: skip


_NUMBERS = (table.DECIMAL, table.EITHER_BASE, table.PORT)


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds."""

    name: str
    """As the file's format calls it."""
    kind: int
    """See cells/table.py."""
    limit: int = _NO_LIMIT
    """The largest value; the longest text."""
    optional: bool = False
    padded: bool = False
    """Blanks around it say nothing."""

    @property
    def fault(self) -> str:
        """Why a line whose cell cannot be read is rejected."""
        largest = f" up to {self.limit}" if self.limit < _NO_LIMIT and self.kind in _NUMBERS else ""
        if self.kind == table.TEXT and self.limit < _NO_LIMIT:
            return f"{self.name} is {_WHAT[self.kind]} of up to {self.limit} characters"
        return f"{self.name} is {_WHAT.get(self.kind, 'not read')}{largest}"


SKIPPED = Column("", table.SKIP)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What the cells of some lines say, by name of column."""

    plan: "Plan"
    values: NDArray[np.int64]
    addresses: NDArray[np.uint8]
    texts: NDArray[np.uint8]
    status: NDArray[np.int64]
    """Of each line: FINE, WRONG_COUNT, or 1 + the place in `faults`."""
    faults: list[str] = field(default_factory=list)
    """Why lines are rejected: a reason for each column, then others."""

    def __len__(self) -> int:
        return len(self.status)

    def value(self, name: str) -> NDArray[np.int64]:
        """A column's values; UNSET for those that say nothing, all of them if there is no such column."""
        row = self.plan.rows.get(name)
        return np.full(len(self), UNSET) if row is None else self.values[row]

    def address(self, name: str) -> NDArray[np.void]:
        """A column's addresses, of 16 bytes."""
        place = self.plan.address_places[name]
        return np.ascontiguousarray(self.addresses[:, place]).view(f"V{table.ADDRESS_BYTES}")[:, 0]

    def text(self, name: str) -> NDArray[np.bytes_]:
        """A column's texts, cut off after 24 bytes; empty where they are unset or there is no such column."""
        if name not in self.plan.text_places:
            return np.zeros(len(self), f"S{table.TEXT_BYTES}")
        place = self.plan.text_places[name]
        return np.ascontiguousarray(self.texts[:, place]).view(f"S{table.TEXT_BYTES}")[:, 0]

    def refuse(self, wrong: NDArray[np.bool_], why: str) -> None:
        """Reject lines that could be read."""
        self.faults.append(why)
        self.status[wrong & (self.status == table.FINE)] = len(self.faults)

    def refuse_times(self, start: str, end: str) -> None:
        """Reject lines whose times of these names, microseconds since 1970, no session can have."""
        starts, ends = self.value(start), self.value(end)
        latest = time_ns() // 1000 + _DAY_US
        for name, times in ((start, starts), (end, ends)):
            self.refuse((times < EARLIEST_US) | (times > latest), f"{name} is before 1990 or in the future")
        self.refuse(ends < starts, f"{end} is before {start}")

    def rejects(self, block: Block, lines: NDArray[np.int64] | None = None) -> list[Reject]:
        """The lines that could not be read. lines: which of the block these are; else all."""
        rejects = []
        for place in np.flatnonzero(self.status != table.FINE).tolist():
            line = place if lines is None else int(lines[place])
            status = int(self.status[place])
            why = f"{len(self.plan.columns)} fields expected" if status < 0 else self.faults[status - 1]
            rejects.append(Reject(int(block.numbers[line]), why, block.line(line)))
        return rejects

    def fine(self) -> "Cells":
        """Only the lines that are not rejected."""
        fine = self.status == table.FINE
        if fine.all():
            return self
        return Cells(
            self.plan, self.values[:, fine], self.addresses[fine], self.texts[fine], self.status[fine], self.faults
        )


class Plan:
    """How the lines of a layout are read. `unset` and `empty` are what optional cells hold that say nothing."""

    def __init__(self, columns: Sequence[Column], separator: bytes, unset: bytes = b"", empty: bytes = b"") -> None:
        self.columns = tuple(columns)
        self._separator = separator[0]
        self._unset, self._empty = (np.array(list(word), np.uint8) for word in (unset, empty))
        read = [column for column in self.columns if column.kind != table.SKIP]
        self.rows = {column.name: row for row, column in enumerate(read)}
        self.address_places = _places(read, (table.ADDRESS,))
        self.text_places = _places(read, (table.TEXT, table.LETTERS))
        self._words = np.zeros((len(self.columns), table.P_COLUMNS), np.int64)
        for words, column in zip(self._words, self.columns, strict=True):
            place = self.address_places.get(column.name, self.text_places.get(column.name, 0))
            words[:] = column.kind, self.rows.get(column.name, 0), place, column.limit, column.optional, column.padded

    def read(self, data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Cells:
        """What the lines data[starts[i]:ends[i]] say."""
        lines = len(starts)
        places = np.array([max(len(self.address_places), 1), max(len(self.text_places), 1)])
        cells = Cells(
            self,
            np.zeros((max(len(self.rows), 1), lines), np.int64),
            np.zeros((lines, places[0], table.ADDRESS_BYTES), np.uint8),
            np.zeros((lines, places[1], table.TEXT_BYTES), np.uint8),
            np.zeros(lines, np.int64),
            [column.fault for column in self.columns],
        )
        call(
            table.read_cells,
            data, np.ascontiguousarray(starts), np.ascontiguousarray(ends), self._separator, self._words,
            self._unset, self._empty, cells.values, cells.addresses.reshape(-1), cells.texts.reshape(-1), places,
            cells.status,
        )  # fmt: skip
        return cells


def _places(columns: Sequence[Column], kinds: tuple[int, ...]) -> dict[str, int]:
    names = [column.name for column in columns if column.kind in kinds]
    return {name: place for place, name in enumerate(names)}


def count_cells(block: Block, separator: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many cells each line has, and where in the data its second begins."""
    counts, second = np.zeros(len(block), np.int64), np.zeros(len(block), np.int64)
    call(table.count_cells, block.data, block.starts, block.ends, separator[0], counts, second)
    return counts, second


def warm() -> None:
    """Have the kernels compiled, or load them."""
    line = np.frombuffer(b"1|2", np.uint8)
    starts, ends = np.zeros(1, np.int64), np.full(1, 3)
    Plan((Column("one", table.DECIMAL), SKIPPED), b"|").read(line, starts, ends)
    count_cells(Block(line, starts, ends, ends), b"|")
    rows = np.zeros((1, flows.COLUMNS), np.int64)
    call(flows.join, rows, ends, rows.copy(), starts, np.zeros(2, np.int64))
    identify(np.zeros(1, RECORD))
