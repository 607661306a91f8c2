"""Results of queries as the server keeps them: the keys of the sessions found, in order, and their newest rows."""

from dataclasses import dataclass, field

import numpy as np

from afterfact_protocol.messages import MAX_BATCH_BYTES, Page, Pull
from afterfact_protocol.records import SIGHTING, Records
from afterfact_protocol.session import KEY, ROW

KEY_ROW = np.dtype([("start_time", "<i8"), ("sensor", "<u2"), ("session_id", "<u8"), ("revision", "<u8")])
"""What a key query answers with, as RowBinary."""


def distinct(keys: Records) -> Records:
    """Keys (KEY_ROW) without those of further revisions; the first of each stays where it is."""
    if len(keys) < 2:
        return keys
    bare = np.ascontiguousarray(_bare(keys)).view(f"V{_bare(keys).dtype.itemsize}").ravel()
    _, first = np.unique(bare, return_index=True)
    return keys if len(first) == len(keys) else keys[np.sort(first)]


def _bare(rows: Records) -> Records:
    bare = np.empty(len(rows), [(name, KEY_ROW[name]) for name in KEY])
    for name in KEY:
        bare[name] = rows[name]
    return bare


def newest_in_order(keys: Records, rows: Records) -> Records:
    """Of `rows` (ROW, several revisions of a session perhaps) the highest revision of each of `keys`, in their order.

    A key whose session is gone (retention) is passed over.
    """
    by_key: dict[tuple[int, int, int], int] = {}
    columns = zip(*(rows[name].tolist() for name in (*KEY, "revision")), strict=True)
    revisions: dict[tuple[int, int, int], int] = {}
    for at, (start_time, sensor, session_id, revision) in enumerate(columns):
        key = (start_time, sensor, session_id)
        if revision >= revisions.get(key, -1):
            revisions[key] = revision
            by_key[key] = at
    wanted = zip(*(keys[name].tolist() for name in KEY), strict=True)
    order = [by_key[key] for key in wanted if key in by_key]
    return rows[order]


def sightings_of(result: "Result", first: int, keys: Records, rows: Records) -> Records:
    """The SIGHTINGs of a page, of the result's keys from the `first` on: `rows` are those that are still there."""
    if result.sightings is None:
        return np.zeros(0, SIGHTING)
    low, high = np.searchsorted(result.sightings["row"], [first, first + len(keys)])
    found = result.sightings[low:high].copy()
    there = _bare(rows).tolist()
    place = {key: at for at, key in enumerate(there)}
    of = [place.get(key, -1) for key in _bare(keys).tolist()]
    at = np.array(of, np.int64)[found["row"] - first] if len(found) else np.zeros(0, np.int64)
    found["row"] = np.maximum(at, 0)
    return found[at >= 0]


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Rows (ROW) that are kept as they were, of a case's step: no query of the store finds them anew."""

    rows: Records

    def page(self, message: Pull) -> Page:
        """The rows that a pull asks for."""
        count = min(message.count, MAX_BATCH_BYTES // ROW.itemsize)
        rows = self.rows[message.first : message.first + count]
        ended = message.first + count >= len(self.rows)
        return Page(message.request, message.first, len(rows), rows.tobytes(), ended)


@dataclass(slots=True)
class Result:
    """The keys found so far. Touched by one worker at a time."""

    keys: Records
    truncated: bool
    complete: bool = True
    """False for an export that pages on beyond these keys."""
    offset: int = 0
    """Rows of an export that were before `keys`, already pulled and dropped."""
    first: Records = field(default_factory=lambda: np.empty(0, ROW))
    """Rows of the first keys (ROW) as they were when these were found, until the first pull."""
    first_found: float = 0.0
    """Monotonic time of that."""
    ahead: dict[tuple[int, int], Records] = field(default_factory=dict)
    """Pages by (first, count), fetched ahead of a console that reads on and on."""
    sightings: Records | None = None
    """Of ONCE: SIGHTING, whose rows count the result's from 0."""
    next_first: int = -1
    """Where such a console would pull next."""
