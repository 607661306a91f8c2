"""Events as they are asked for: a page of them, newest first, each with the session that it belongs to.

That is looked for now, not when an event comes: its session may come later, from another batch or another meter. It is
the session that the event's own sensor calls by the same foreign_id; else one between the same ends, either way round,
of the same sensor, or of another that saw it. In either case one that was alive, give or take SLACK_US. Of several that
fit it is the same sensor's, then the one nearest in time, then the one that began last.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from afterfact_protocol.event import EVENT_BY_NAME, EVENT_FOUND, EVENT_KEY, EVENT_ROW, Events, event_absent_bits
from afterfact_protocol.messages import MAX_BATCH_BYTES
from afterfact_protocol.records import Records
from afterfact_protocol.session import KEY, ROW
from afterfact_server.query.compile import Compiled
from afterfact_server.query.events import (
    BY_ENDS,
    BY_FOREIGN_ID,
    ENDS,
    EventKey,
    Seen,
    by_ends,
    by_foreign_id,
    page_query,
)

PAGE_EVENTS = MAX_BATCH_BYTES // EVENT_FOUND.itemsize
SLACK_US = 5_000_000
"""What two meters' clocks and their notion of a session's end may differ by."""
MAX_CANDIDATES = 200_000
"""Sessions looked through at a time; where there are more, for fewer events at a time."""
_SESSION = np.dtype([(name, ROW[name]) for name in KEY])
_NONE = event_absent_bits("session_start", "session_sensor", "session_id")

Fetch = Callable[[Compiled, "np.dtype[np.void]"], Records]
"""Runs a statement, whose answer is packed as the dtype has it."""


def page(
    fetch: Fetch, start: int, end: int, sensor: int | None, signature: int | None, after: EventKey | None, count: int,
    seen: Seen | None = None,
) -> tuple[Events, bool]:  # fmt: skip
    """EVENT_FOUND rows, and whether there is none behind them; of what may be seen."""
    ask_for = count + 1
    while True:
        raw = fetch(page_query(start, end, sensor, signature, after, ask_for, seen), EVENT_ROW)
        rows = raw[_first_of_each(raw)]
        if len(rows) > count or len(raw) < ask_for:
            return with_sessions(fetch, rows[:count], seen), len(rows) <= count
        ask_for *= 2


def _first_of_each(rows: Events) -> npt.NDArray[np.bool_]:
    """Mask that leaves one of neighbours with the same key."""
    first = np.ones(len(rows), np.bool_)
    if len(rows):
        first[1:] = np.any([rows[name][1:] != rows[name][:-1] for name in EVENT_KEY], axis=0)
    return first


def with_sessions(fetch: Fetch, events: Events, seen: Seen | None = None) -> Events:
    """EVENT_ROW to EVENT_FOUND: the session's key beside, absent where none fits, or only such as may not be seen."""
    found = np.zeros(len(events), EVENT_FOUND)
    for name in EVENT_ROW.names or ():
        found[name] = events[name]
    sessions, has = np.zeros(len(events), _SESSION), np.zeros(len(events), np.bool_)
    called = np.flatnonzero(_says(events, "foreign_id"))
    names = np.ascontiguousarray(events["foreign_id"]).view(BY_FOREIGN_ID["name"])
    sessions[called], has[called] = _look(fetch, by_foreign_id, events[called], names[called], True, seen)
    rest = np.flatnonzero(~has & _says(events, "proto") & _says(events, "src_ip") & _says(events, "dst_ip"))
    sessions[rest], has[rest] = _look(fetch, _either_way, events[rest], _ends(events[rest]), False, seen)
    found["session_start"], found["session_sensor"], found["session_id"] = (sessions[name] for name in KEY)
    found["absent"] |= np.where(has, np.uint64(0), np.uint64(_NONE))
    return found


def _says(events: Events, name: str) -> npt.NDArray[np.bool_]:
    return np.asarray((events["absent"] & np.uint64(1 << EVENT_BY_NAME[name].id)) == 0)


def _ends(events: Events, turned: bool = False) -> npt.NDArray[np.void]:
    """The names that BY_ENDS has for sessions between the events' ends."""
    made = np.zeros(len(events), ENDS)
    made["proto"] = events["proto"]
    ours, theirs = ("dst", "src") if turned else ("src", "dst")
    for what in ("ip", "port"):
        made[f"src_{what}"], made[f"dst_{what}"] = events[f"{ours}_{what}"], events[f"{theirs}_{what}"]
    return made.view(BY_ENDS["name"])


def _either_way(events: Events, slack: int, limit: int) -> Compiled:
    both = np.concatenate([_ends(events), _ends(events, turned=True)]).view(ENDS)
    return by_ends(both, events["time"], slack, limit)


def _look(
    fetch: Fetch, statement: Callable[[Events, int, int], Compiled], events: Events, names: npt.NDArray[np.void],
    own: bool, seen: Seen | None,
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.bool_]]:  # fmt: skip
    """Of each event the key of the session by that name, and whether there is one. own: of the event's sensor only."""
    sessions, has = np.zeros(len(events), _SESSION), np.zeros(len(events), np.bool_)
    if not len(events):
        return sessions, has
    dtype = BY_FOREIGN_ID if own else BY_ENDS
    candidates = fetch(statement(events, SLACK_US, MAX_CANDIDATES), dtype)
    if len(candidates) == MAX_CANDIDATES and len(events) > 1:
        half = len(events) // 2
        parts = [
            _look(fetch, statement, events[part], names[part], own, seen)
            for part in (slice(0, half), slice(half, None))
        ]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    if seen is not None:
        candidates = candidates[seen.sessions(candidates)]
    by_name: dict[bytes, list[int]] = {}
    for at, name in enumerate(candidates["name"].tolist()):
        by_name.setdefault(name, []).append(at)
    turned = names if own else _ends(events, turned=True)
    for at, (event, name, other) in enumerate(zip(events, names.tolist(), turned.tolist(), strict=True)):
        able = by_name.get(name, []) + (by_name.get(other, []) if other != name else [])
        best = _best(candidates[able], int(event["time"]), int(event["sensor"]), own) if able else None
        if best is not None:
            sessions[at], has[at] = tuple(best[key] for key in KEY), True
    return sessions, has


def _best(candidates: Records, time: int, sensor: int, own: bool) -> np.void | None:
    start, ended = candidates["start_time"], candidates["end_time"]
    away = np.maximum(0, np.maximum(start - time, time - ended))
    same = candidates["sensor"] == sensor
    able = np.flatnonzero((away <= SLACK_US) & (same if own else True))
    if not len(able):
        return None
    order = np.lexsort((candidates["session_id"][able], -start[able], away[able], ~same[able]))
    best: np.void = candidates[able[order[0]]]
    return best
