"""When each sensor watched, in memory: what `observed` holds, joined to stretches, for every answer to look at.

Loaded from the store when a server starts; ingest adds what it writes, and whoever removes intervals has it loaded
anew. A sensor makes three million intervals a year, which the store joins in a second or two; of a sensor that watched
without a break one stretch is left. What is to be told of an answer's span is not here.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.messages import Observed

JOIN = 1_000_000
"""Intervals less than a second apart are one: packets are not continuous, their files are."""
LATE = 120_000_000
"""What came longer than this after it was over is told as late. In good order it comes within half a minute."""
ONE_OCCASION = 3_600_000_000
"""What came late within this time of each other is told as one delivery."""

Interval = tuple[int, bytes, int, int, Observed]
"""Sensor, stream, seq, place in the batch, what was watched."""
Stretch = tuple[int, int]
"""Start and end, microseconds UTC."""

_STRETCH = np.dtype([("sensor", "<u2"), ("late", "<u1"), ("start", "<i8"), ("end", "<i8"), ("delivered", "<i8")])
_LOST = np.dtype(
    [("sensor", "<u2"), ("start", "<i8"), ("end", "<i8"), ("lost", "<u8"), ("stream", "V16"), ("seq", "<u8"),
     ("item", "<u2")]
)  # fmt: skip


@dataclass(slots=True)
class _Own:
    """Of a sensor."""

    first: int = 0
    last: int = 0
    starts: list[int] = field(default_factory=list)
    """Of stretches that came in time, disjoint and in order; `ends` beside them."""
    ends: list[int] = field(default_factory=list)
    late: list[tuple[int, int, int]] = field(default_factory=list)
    """Stretches that came late, with when, in order of their starts. They may overlap."""
    lost: dict[tuple[int, bytes, int, int], tuple[int, int]] = field(default_factory=dict)
    """By start and batch, the end of each interval with losses, and the packets lost."""

    def reaches(self, start: int, end: int) -> None:
        self.first = min(self.first, start) if self.starts or self.late else start
        self.last = max(self.last, end) if self.starts or self.late else end

    def add(self, start: int, end: int) -> None:
        """Join an interval that came in time with what it touches."""
        self.reaches(start, end)
        at = bisect_left(self.ends, start - JOIN)
        until = bisect_right(self.starts, end + JOIN, lo=at)
        if at < until:
            start, end = min(start, self.starts[at]), max(end, self.ends[until - 1])
        self.starts[at:until], self.ends[at:until] = [start], [end]

    def add_late(self, start: int, end: int, delivered: int) -> None:
        """Join an interval that came late with what it touches and came on the same occasion."""
        self.reaches(start, end)
        kept = []
        for one in self.late:
            if one[0] - end <= JOIN and start - one[1] <= JOIN and abs(one[2] - delivered) <= ONE_OCCASION:
                start, end, delivered = min(start, one[0]), max(end, one[1]), max(delivered, one[2])
            else:
                kept.append(one)
        insort(kept, (start, end, delivered))
        self.late = kept


class Watched:
    """Any thread may ask; the thread that writes intervals adds them."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.Lock()
        self._of: dict[int, _Own] = {}
        self.reload(client)

    def reload(self, client: Client) -> None:
        """Read what the store has: after intervals were removed."""
        found: dict[int, _Own] = defaultdict(_Own)
        for sensor, late, start, end, delivered in _joined(client).tolist():
            own = found[sensor]
            own.reaches(start, end)
            if late:
                own.late.append((start, end, delivered))
            else:
                own.starts.append(start)
                own.ends.append(end)
        for sensor, start, end, lost, stream, seq, item in _lossy(client).tolist():
            found[sensor].lost[start, bytes(stream), seq, item] = (end, lost)
        with self._lock:
            self._of = dict(found)

    def add(self, intervals: Iterable[Interval], now: int) -> None:
        """These are in the store now, taken in at `now`."""
        with self._lock:
            for sensor, stream, seq, item, observed in intervals:
                own = self._of.setdefault(sensor, _Own())
                if now > observed.end + LATE:
                    own.add_late(observed.start, observed.end, now)
                else:
                    own.add(observed.start, observed.end)
                if observed.lost:
                    own.lost[observed.start, stream, seq, item] = (observed.end, observed.lost)

    def bounds(self) -> dict[int, tuple[int, int]]:
        """Per sensor that ever watched: start of its first and end of its last interval."""
        with self._lock:
            return {sensor: (own.first, own.last) for sensor, own in self._of.items()}

    def in_time(self, sensor: int, start: int, end: int) -> list[Stretch]:
        """Stretches that came in time and reach into [start, end], in order."""
        with self._lock:
            own = self._of.get(sensor)
            if own is None:
                return []
            first, after = bisect_left(own.ends, start), bisect_right(own.starts, end)
            return list(zip(own.starts[first:after], own.ends[first:after], strict=True))

    def late(self, sensor: int, start: int, end: int) -> list[tuple[int, int, int]]:
        """Stretches that came late and reach into [start, end], with when each was there, in order of their starts."""
        with self._lock:
            own = self._of.get(sensor)
            return [] if own is None else [one for one in own.late if one[0] <= end and one[1] >= start]

    def stretches(self) -> dict[int, list[Stretch]]:
        """Per sensor all that it watched, whenever it came, in order of starts; what came late may overlap."""
        with self._lock:
            return {
                sensor: sorted([*zip(own.starts, own.ends, strict=True), *(one[:2] for one in own.late)])
                for sensor, own in self._of.items()
            }

    def lost(self, sensor: int, start: int | None = None, end: int | None = None) -> int:
        """Packets lost in the intervals that reach into [start, end], or in all."""
        with self._lock:
            own = self._of.get(sensor)
            if own is None:
                return 0
            return sum(
                lost
                for (first, *_), (last, lost) in own.lost.items()
                if (end is None or first <= end) and (start is None or last >= start)
            )


def _joined(client: Client) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """All intervals, joined where one follows the other: what came in time and what came late apart, and what came
    late on different occasions apart."""
    data = client.raw_query(
        "SELECT sensor, late, toUnixTimestamp64Micro(min(start)), toUnixTimestamp64Micro(max(end)), "
        "toUnixTimestamp64Micro(max(ingest_time)) FROM (SELECT *, sum(begins) OVER (PARTITION BY sensor, late "
        "ORDER BY start, end, ingest_time ROWS UNBOUNDED PRECEDING) AS stretch FROM ("
        "SELECT sensor, start, end, ingest_time, "
        "toUInt8(ingest_time > end + toIntervalMicrosecond({late:Int64})) AS late, "
        "toUnixTimestamp64Micro(start) - max(toUnixTimestamp64Micro(end)) OVER before > {join:Int64} OR late AND "
        "abs(toUnixTimestamp64Micro(ingest_time) - lagInFrame(toUnixTimestamp64Micro(ingest_time)) OVER before) "
        "> {occasion:Int64} AS begins FROM observed FINAL "
        "WINDOW before AS (PARTITION BY sensor, late ORDER BY start, end, ingest_time "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))) "
        "GROUP BY sensor, late, stretch ORDER BY sensor, late, min(start)",
        parameters={"join": JOIN, "late": LATE, "occasion": ONE_OCCASION},
        fmt="RowBinary",
    )
    return np.frombuffer(data, _STRETCH)


def _lossy(client: Client) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    data = client.raw_query(
        "SELECT sensor, start, end, lost, stream, seq, item FROM observed FINAL WHERE lost > 0", fmt="RowBinary"
    )
    return np.frombuffer(data, _LOST)
