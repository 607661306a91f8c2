"""A query's result as the table sees it: virtual over pages that are pulled on demand and kept within bounds.

Knows nothing of the connection: it says which pages it lacks and is given their bytes. Used on one thread.
"""

from collections import OrderedDict
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from afterfact_client.state.columns import BY_NAME, Column, order
from afterfact_protocol.messages import Answer
from afterfact_protocol.records import Records, from_bytes
from afterfact_protocol.session import ROW

PAGE_ROWS = 256
"""Sessions of one pull: two screens of rows, 62 KB. Fetching scattered sessions costs the server some 0.5 ms each, so
a larger page would be seen later."""
KEPT_PAGES = 512
"""Pages held: 131,072 sessions, 32 MB."""
LOCAL_ROWS = 20_000
"""Results up to this size are loaded whole: they outlive a lost connection, and sort at once and here."""
BLOCK = 64
"""Rows whose texts are made together. A page is a whole number of blocks."""
KEPT_TEXTS = 4096
"""Blocks of one column whose texts are held: all columns of some 12,000 rows."""


class Cell(Enum):
    """What stands in a cell where no text does."""

    PENDING = "..."
    """Not loaded yet."""
    GONE = "expired"
    """The server no longer holds the session: retention removed it after the query."""


PENDING: Final = Cell.PENDING
GONE: Final = Cell.GONE


class ResultRows:
    """See the module. Row numbers are those of the table, after a local sort too."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.total = answer.total
        self.sorted_by: tuple[str, bool] | None = None
        """Column and descending of a local sort."""
        self.hints: list[str] | None = None
        """What else must be known to judge it, a line each; None: not asked, or not answered yet."""
        self.wanted = False
        """Whether the server is to keep it although all of it may be here: it is asked about."""
        self._pages: OrderedDict[int, Records] = OrderedDict()
        self._asked: set[int] = set()
        self._all: Records | None = None
        """All rows in the server's order, once a small result is complete."""
        self._kept: npt.NDArray[np.intp] | None = None
        """Places in `_all` that a filter leaves, in the server's order."""
        self._order: npt.NDArray[np.intp] | None = None
        self._texts: OrderedDict[tuple[int, str], list[str | None]] = OrderedDict()

    # --- pages --------------------------------------------------------------------------------------------------------

    @property
    def pages(self) -> int:
        """Number of pages of the whole result."""
        return -(-self.answer.total // PAGE_ROWS)

    @property
    def small(self) -> bool:
        """Whether it is loaded whole."""
        return self.answer.total <= LOCAL_ROWS

    @property
    def complete(self) -> bool:
        """Whether all its rows are here."""
        return self._all is not None or self.answer.total == 0

    def lacks(self, first: int, last: int) -> list[int]:
        """Pages that rows `first` to `last` need and that are neither here nor asked for; marks them as asked for."""
        if self.complete or last < first:
            return []
        pages = range(max(first, 0) // PAGE_ROWS, min(last // PAGE_ROWS + 1, self.pages))
        wanted = [page for page in pages if page not in self._pages and page not in self._asked]
        self._asked.update(wanted)
        return wanted

    def put(self, page: int, data: bytes) -> tuple[int, int]:
        """Take in a page's packed rows; the rows of the table that changed, first and last."""
        rows = from_bytes(self.answer.columns, data, ROW)
        self._asked.discard(page)
        self._pages[page] = rows
        first = page * PAGE_ROWS
        if self.small and len(self._pages) == self.pages:
            self._all = np.concatenate([self._pages[at] for at in range(self.pages)])
            self._pages.clear()
            self.total = len(self._all)
        while len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)
        return first, min(first + PAGE_ROWS, self.total) - 1

    def forget_asked(self) -> None:
        """Nothing is under way any more."""
        self._asked.clear()

    def failed(self, page: int) -> None:
        """The page did not come; it may be asked for again."""
        self._asked.discard(page)

    def rows(self, first: int, count: int) -> Records | Cell:
        """Rows within one block of the table; fewer than `count` where the server no longer has them."""
        if self._all is not None:
            if self._order is not None:
                return self._all[self._order[first : first + count]]
            return self._all[first : first + count]
        page, offset = divmod(first, PAGE_ROWS)
        held = self._pages.get(page)
        if held is None:
            return PENDING
        self._pages.move_to_end(page)
        return held[offset : offset + count]

    def many(self, first: int, last: int) -> Records | None:
        """Rows `first` to `last` of the table, within one page; None while they are not here."""
        if self._all is not None:
            chosen = slice(first, last + 1)
            return self._all[self._order[chosen]] if self._order is not None else self._all[chosen]
        held = self._pages.get(first // PAGE_ROWS)
        return None if held is None else held[first % PAGE_ROWS : last % PAGE_ROWS + 1]

    def everything(self) -> Records | None:
        """All rows, in the server's order; None while some are not here."""
        return self._all

    def chosen(self, ranges: list[tuple[int, int]]) -> Records | None:
        """Rows of the table, ranges with both ends included; None while not all of a whole result is here."""
        if self._all is None:
            return None
        places = np.concatenate([np.arange(first, last + 1) for first, last in ranges])
        rows: Records = self._all[self._order[places] if self._order is not None else places]
        return rows

    def row(self, at: int) -> np.void | Cell:
        """One row of the table."""
        rows = self.rows(at, 1)
        if isinstance(rows, Cell):
            return rows
        return rows[0] if len(rows) else GONE

    # --- texts --------------------------------------------------------------------------------------------------------

    def forget_texts(self) -> None:
        """Columns are shown in another form."""
        self._texts.clear()

    def text(self, at: int, column: Column) -> str | Cell | None:
        """What cell says: text, None for a value the source did not know, or why there is none."""
        block, offset = divmod(at, BLOCK)
        key = (block, column.name)
        texts = self._texts.get(key)
        if texts is None:
            rows = self.rows(block * BLOCK, BLOCK)
            if isinstance(rows, Cell):
                return rows
            texts = column.texts(rows, self.answer.sensors)
            self._texts[key] = texts
            if len(self._texts) > KEPT_TEXTS:
                self._texts.popitem(last=False)
        return texts[offset] if offset < len(texts) else GONE

    # --- order --------------------------------------------------------------------------------------------------------

    def sort(self, column: Column | None, descending: bool = False) -> None:
        """Order the rows here, equal ones as they stand; None is the server's order. Only once it is complete."""
        self._texts.clear()
        if column is None:
            self._order, self.sorted_by = self._kept, None
            return
        assert self.complete, "a result is sorted here only once it is loaded whole"
        self.sorted_by = (column.name, descending)
        if self._all is None:
            return
        before = self._order if self._order is not None else np.arange(len(self._all))
        self._order = before[order(column, descending, self._all[before], self.answer.sensors)]

    @property
    def filtered(self) -> bool:
        """Whether a filter is on."""
        return self._kept is not None

    def filter(self, mask: npt.NDArray[np.bool_] | None) -> None:
        """Show only these of all the rows, in the order in which they stand; None shows all again. Only once it is
        complete."""
        if self._all is None or (mask is None and self._kept is None):
            return
        by, self._kept = self.sorted_by, None if mask is None else np.flatnonzero(mask)
        self.total = len(self._all) if self._kept is None else len(self._kept)
        self.sort(None)
        if by is not None:
            self.sort(BY_NAME[by[0]], by[1])
