"""What a step finds now beside what it found then: sessions that are new, gone, or have another revision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.records import Records
from afterfact_protocol.session import KEY
from afterfact_protocol.statustext import time_text

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Places of sessions among the rows that are kept of then and of now."""

    new: Places
    """Of now."""
    gone: Places
    """Of then."""
    changed: Places
    """Of now."""
    note: str
    """What limits the comparison; empty: nothing."""

    @property
    def differs(self) -> bool:
        """Whether other sessions were found."""
        return bool(len(self.new) or len(self.gone))


def compared(then: Records, now: Records, then_cut: bool, now_cut: bool, newest_first: bool) -> Difference:
    """Compare ROWs. cut: more were found than are kept; of those the newest are, if the query's order is that."""
    note, since = "", None
    if then_cut or now_cut:
        note = "of what was found only the first rows are kept: others may be new, gone or changed"
    if note and newest_first:
        lows = [int(rows["start_time"].min()) for rows, cut in ((then, then_cut), (now, now_cut)) if cut and len(rows)]
        since = max(lows, default=None)
    if since is not None:
        note = f"compared are sessions that began after {time_text(since)} UTC: of older ones not all are kept"
    old, new = _revisions(then), _revisions(now)

    def within(rows: Records, places: list[int]) -> Places:
        return np.array([at for at in places if since is None or rows["start_time"][at] > since], np.int64)

    return Difference(
        within(now, [at for key, (at, _) in new.items() if key not in old]),
        within(then, [at for key, (at, _) in old.items() if key not in new]),
        within(now, [at for key, (at, revision) in new.items() if key in old and old[key][1] != revision]),
        note,
    )


def _revisions(rows: Records) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Place and revision by key."""
    columns = zip(*(rows[name].tolist() for name in (*KEY, "revision")), strict=True)
    return {(start, sensor, ident): (at, revision) for at, (start, sensor, ident, revision) in enumerate(columns)}
