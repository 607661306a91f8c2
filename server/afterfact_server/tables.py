"""Tables that were made of sessions: held for a console until it drops them, and sent in pages.

What is asked of the store is query/tables.py's; how it is asked, answers.py's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from afterfact_protocol.messages import MAX_BATCH_BYTES, Page, Pull, TableColumn
from afterfact_protocol.query import Query
from afterfact_protocol.query.columns import table_columns
from afterfact_protocol.query.setterms import KINDS
from afterfact_protocol.query.stagenodes import Save
from afterfact_protocol.query.subjects import subject_of
from afterfact_protocol.records import SIGHTING, Records
from afterfact_protocol.sets import DTYPES, MAX_VALUES, Values, unique
from afterfact_server.query.compile import Compiled
from afterfact_server.query.tables import table_query

MAX_TABLE_BYTES = 256_000_000
"""Of rows that are held of one table."""


class TooManyGroups(Exception):
    """There are more than a set may be made of; one line for a person."""


Fetch = Callable[[Compiled, "np.dtype[np.void]"], Records]


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table's rows, as they are sent."""

    columns: tuple[TableColumn, ...]
    rows: npt.NDArray[np.uint8]
    """A row of bytes for each row of the table."""
    truncated: bool
    limit: int
    sessions: int
    groups: int
    several_sensors: bool
    unknown: tuple[int, ...]
    """Of each column of what was not known the sum over the whole, chosen by HAVING or not."""
    values: Values | None
    """Of a query that saves a field of its table: what that holds, in all of the table's rows, sent or not."""

    def page(self, message: Pull) -> Page:
        """The rows that a console asks for."""
        count = min(message.count, MAX_BATCH_BYTES // self.rows.shape[1])
        part = self.rows[message.first : message.first + count]
        ended = message.first + count >= len(self.rows)
        return Page(message.request, message.first, len(part), part.tobytes(), ended)

    def notes(self, query: Query) -> tuple[str, ...]:
        """What must be known to judge the table."""
        found: list[str] = []
        unknown = [column for column in self.columns if column.role == "unknown"]
        for column, number in zip(unknown, self.unknown, strict=True):
            if number:
                found.append(f"{column.field}: not known of {number:,} of {self.sessions:,} sessions, which count in "
                             f"no function of it; by row: {column.name}")  # fmt: skip
        table = query.table
        assert table is not None
        apart = any(key.name == "sensor" for key in table.keys)
        if self.several_sensors and not (query.once or apart or table.periodic):
            found.append("several sensors saw these sessions: what two of them saw counts twice; ONCE before the | "
                         "counts each conversation once")  # fmt: skip
        if table.periodic and table.top is not None:
            found.append("other: period and jitter are of single groups, so the row of the rest has none")
        return tuple(found)


def made(
    fetch: Fetch, query: Query, sensors: Mapping[str, int], most: int, left_out: Mapping[int, Sequence[int]]
) -> TableRows:
    """Have the store make a table of at most `most` rows. `left_out` are ids of sessions, by sensor, that do not count.
    QueryError if the query names a sensor that there is not; TooManyGroups if it saves more than can be."""
    table, save = query.table, query.save
    assert table is not None
    columns = table_columns(table)
    compiled = table_query(query, sensors, 1, left_out)
    fits = max(1, MAX_TABLE_BYTES // compiled.row_bytes)
    bound = limit = min(table.limit or most, most, fits)
    if save is not None:  # what is shown ends somewhere; what is saved is all or nothing
        bound = min(table.limit or MAX_VALUES, MAX_VALUES, fits)
    compiled = table_query(query, sensors, bound, left_out)
    found = fetch(compiled.compiled, compiled.dtype)
    rows = found[found["passes"] == 1]
    values = None
    if save is not None:
        if len(rows) > bound != table.limit:
            raise TooManyGroups(f"the table has over {bound:,} rows, more than a set may be made of: narrow it")
        values = _saved(rows[:bound], columns, save)
    first = found[:1]
    totals = [int(first[name][0]) if len(first) else 0 for name in ("sessions", "groups", "low", "high")]
    unknown = [int(first[name][0]) if len(first) else 0 for name in found.dtype.names or () if name[0] == "u"]
    plain = np.frombuffer(rows.tobytes(), np.uint8).reshape(len(rows), compiled.dtype.itemsize)
    kept = np.ascontiguousarray(plain[:limit, : compiled.row_bytes])
    return TableRows(columns, kept, len(rows) > limit, limit, totals[0], totals[1], totals[2] != totals[3],
                     tuple(unknown), values)  # fmt: skip


def _saved(rows: Records, columns: Sequence[TableColumn], save: Save) -> Values:
    """Each value once of the field that is saved. In the row of the rest it is NULL, as where it is absent."""
    assert save.operand is not None, "of a table a field is saved"
    at = next(n for n, one in enumerate(columns) if one.role == "key" and one.name == save.operand.name)
    known = rows[rows["nulls"] >> np.uint64(at) & np.uint64(1) == 0]
    kind = KINDS[subject_of(save.operand).type]
    values = np.zeros(len(known), DTYPES[kind])
    first, *_ = DTYPES[kind].names or ()
    values[first] = known[f"c{at}"]
    if kind == "address":
        values["bits"] = 128
    return unique(values)


def others(sightings: Records) -> dict[int, list[int]]:
    """The ids of sessions that ONCE leaves out, by sensor. `sightings` has the dtype SIGHTING."""
    assert sightings.dtype == SIGHTING
    return {int(sensor): sightings["session_id"][sightings["sensor"] == sensor].tolist()
            for sensor in np.unique(sightings["sensor"])}  # fmt: skip
