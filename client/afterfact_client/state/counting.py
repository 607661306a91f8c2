"""The timeline of a result that is too large to be loaded whole, as the server counts it: the query for a table of the
sessions by time and group, and the timeline that this table gives.
"""

from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from afterfact_client.state.table import OTHER, Table
from afterfact_client.state.timeline import DAY, MOST_GROUPS, NARROW, OTHERS, SECOND, By, Timeline
from afterfact_protocol.query import parse
from afterfact_protocol.query.canonical import duration
from afterfact_protocol.query.stagenodes import WEEK, bucket
from afterfact_protocol.session import Outcome

MOST = 200
"""Steps of a timeline that the server counts."""
_STEPS = (
    *(SECOND * n for n in (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)),
    DAY,
    WEEK,
)
_FIELDS: dict[By, str] = {"outcome": "outcome", "sensor": "sensor", "port": "dst_port", "proto": "proto"}


def step_for(length: int) -> int:
    """The shortest step that makes no more than MOST of a length of time (microseconds); past weeks whole weeks."""
    return next((step for step in _STEPS if length <= step * MOST), -(-length // (WEEK * MOST)) * WEEK)


def question(text: str, asked: datetime, by: By, step: int) -> str:
    """The query for a table of all sessions that match another query, asked at a time, in steps of microseconds. LIMIT,
    ORDER BY and what was to be made of the sessions are left out; UNION, ONCE and EXCLUDING stay. QueryError for a text
    that does not parse, or is too long with what is added."""
    bare = replace(parse(text, asked), order=(), limit=None, stages=())
    top = "" if by == "outcome" else f" TOP {MOST_GROUPS - 1}"
    return str(parse(f"{bare} | COUNT BY {_FIELDS[by]} EVERY {duration(step)}{top}", asked))


def tops_question(text: str, asked: datetime, field: str, most: int) -> str:
    """The query for the most frequent values of a field among all sessions that match another query. QueryError as
    above."""
    bare = replace(parse(text, asked), order=(), limit=None, stages=())
    return str(parse(f"{bare} | COUNT BY {field} TOP {most}", asked))


def extent(table: Table, step: int, searched: tuple[int, int]) -> tuple[int, int]:
    """From when to when the timeline of a table that is not empty goes: over the time searched, or over the sessions'
    own where that is a small part of it."""
    times = table.rows["c0"]
    first, last = int(times.min()), int(times.max()) + step - 1
    if searched[1] > searched[0] and last - first >= (searched[1] - searched[0]) // NARROW:
        first, last = min(first, searched[0]), max(last, searched[1])
    return first, last


def timeline_of(table: Table, by: By, step: int, over: tuple[int, int]) -> Timeline:
    """The timeline that a `question`'s table gives, from one time to another that lie round all of it."""
    start = bucket(over[0], step)
    steps = (bucket(over[1], step) - start) // step + 1
    which, groups = _groups(table, by)
    places = which * steps + (table.rows["c0"] - start) // step
    counts = np.zeros(len(groups) * steps, np.int64)
    np.add.at(counts, places, table.array("count").astype(np.int64))
    return Timeline(start, step, groups, counts.reshape(len(groups), steps))


def _groups(table: Table, by: By) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Which group each row is in, and their names: outcomes in their own order, others the largest first and last those
    without a value and the rest."""
    if by == "outcome":
        names = tuple(outcome.name.lower() for outcome in Outcome)
        return np.minimum(table.rows["c1"], len(names) - 1).astype(np.int64), names
    texts = table.texts(1)
    totals: dict[str, int] = {}
    for text, number in zip(texts, table.array("count").tolist(), strict=True):
        if text is not None and text != OTHER:
            totals[text] = totals.get(text, 0) + number
    order = sorted(totals, key=lambda text: -totals[text])[: MOST_GROUPS - 1]
    place = {text: at for at, text in enumerate(order)}
    which = np.array([place.get(text or OTHER, len(order)) for text in texts], np.int64)
    named = [f"port {text}" if by == "port" else text for text in order]
    return which, (*named, "none, or others" if None in texts else OTHERS)
