"""One row of the status records of a flow.

Argus writes a record of a long flow every few seconds, with what has come since the last: counters are differences, TCP
flags those seen since, and its number (`seq`) stays the flow's. Rows of one number, run and pair of endpoints are added
up until nothing more is to be expected. Bounded in memory. Knows nothing of sessions.
"""

import numpy as np
from numpy.typing import NDArray

from .rows import ROW, Rows, flip

HOLD_US = 3_600_000_000
"""A flow is waited for so long after its last packet, as the meter's tcp_idle: Argus forgets it after a minute, but
reads its clock off the packets, which in a thin capture may be far apart."""
CLOSED_HOLD_US = 60_000_000
"""And so long if it closed."""
MAX_HELD = 1 << 17
"""Flows; when there are more, those that have been silent the longest leave."""


class Merger:
    """Holds rows back until their flows are over; live, gives each flow with every record as far as it has come."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._held = np.zeros(0, ROW)
        self._clock = 0
        self.merged = 0
        """Rows that were added to others."""

    def add(self, rows: Rows) -> tuple[Rows, Rows]:
        """Flows that are over, and those that go on and have news (live only)."""
        rows["changed"] = True
        single = rows["seq"] < 0
        numbered = np.concatenate([self._held, rows[~single]])
        merged = _merge(numbered)
        self.merged += len(numbered) - len(merged)
        if len(rows):
            self._clock = max(self._clock, int(rows["end"].max()))
        silent = self._clock - merged["end"]
        over = (silent > HOLD_US) | (_closed(merged) & (silent > CLOSED_HOLD_US))
        if np.count_nonzero(~over) > MAX_HELD:
            going = np.flatnonzero(~over)
            longest = going[np.argsort(-silent[going], kind="stable")]
            over[longest[: len(going) - MAX_HELD // 2]] = True
        held = merged[~over]
        news = held[held["changed"]] if self._live else held[:0]
        held["changed"] = False
        self._held = held
        return np.concatenate([rows[single], merged[over]]), news

    @property
    def holding(self) -> bool:
        return len(self._held) > 0

    def finish(self) -> Rows:
        """What was held back."""
        held, self._held = self._held, np.zeros(0, ROW)
        return held


def _closed(rows: Rows) -> NDArray[np.bool_]:
    reset = ((rows["src_flags"] | rows["dst_flags"]) & np.uint8(4)) != 0
    return np.asarray(reset | ((rows["src_flags"] & rows["dst_flags"] & np.uint8(1)) != 0))


_KEY = np.dtype([("run", "<i8"), ("seq", "<i8"), ("sensor", "S24"), ("proto", "u1"), ("low", "V20"), ("high", "V20")])


def _merge(rows: Rows) -> Rows:
    """In order of their first records."""
    if len(rows) < 2:
        return rows
    key = np.zeros(len(rows), _KEY)
    for name in ("run", "seq", "sensor", "proto"):
        key[name] = rows[name]
    ends = [_end(rows, side) for side in ("src", "dst")]
    back = np.array([a > b for a, b in zip(ends[0].tolist(), ends[1].tolist(), strict=True)], np.bool_)
    key["low"], key["high"] = np.where(back, ends[1], ends[0]), np.where(back, ends[0], ends[1])
    _, group = np.unique(np.ascontiguousarray(key).view(f"V{_KEY.itemsize}"), return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    if len(begins) == len(rows):
        return rows
    sorted_rows = rows[order]
    # A later record may have its sides the other way round.
    first_way = np.repeat(back[order][begins], np.diff(begins, append=len(rows)))
    flip(sorted_rows, back[order] != first_way)
    merged = sorted_rows[begins].copy()
    last = np.append(begins[1:], len(rows)) - 1
    merged["start"] = np.minimum.reduceat(sorted_rows["start"], begins)
    merged["end"] = np.maximum.reduceat(sorted_rows["end"], begins)
    for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "missed"):
        known = np.maximum.reduceat(sorted_rows[name], begins) >= 0
        merged[name] = np.where(known, np.add.reduceat(np.maximum(sorted_rows[name], 0), begins), -1)
    for name in ("src_flags", "dst_flags", "changed", "first", "unreachable"):
        merged[name] = np.bitwise_or.reduceat(sorted_rows[name], begins)
    # Argus is certain once it saw the handshake; what it notes of errors and the state are the latest.
    merged["dir"] = np.minimum.reduceat(sorted_rows["dir"], begins)
    merged["state"] = sorted_rows["state"][last]
    said = merged["inode"] == np.zeros((), "V16")
    merged["inode"] = np.where(said, sorted_rows["inode"][last], merged["inode"])
    return np.asarray(merged[np.argsort(merged["number"], kind="stable")])


def _end(rows: Rows, side: str) -> NDArray[np.void]:
    """Address and port of a side."""
    end = np.zeros(len(rows), [("ip", "V16"), ("port", "<i4")])
    end["ip"], end["port"] = rows[f"{side}_ip"], rows[f"{side}_port"]
    return end.view("V20")
