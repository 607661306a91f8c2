"""What the store has of each stream: answers HELLO, and lets a batch that comes again be acknowledged at once.

The session rows do not rest on it: their key makes a repeated insert harmless.
"""

import threading
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from afterfact_server.store.days import DroppedDays
from afterfact_server.store.schema import QUARANTINE
from afterfact_server.store.watched import Watched


class Ranges:
    """A set of batch numbers as sorted, disjoint, closed ranges."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, number: int) -> None:
        at = bisect_right(self._firsts, number)
        if at and self._lasts[at - 1] >= number:
            return
        joins_left = at > 0 and self._lasts[at - 1] == number - 1
        joins_right = at < len(self._firsts) and self._firsts[at] == number + 1
        if joins_left and joins_right:
            self._lasts[at - 1] = self._lasts.pop(at)
            self._firsts.pop(at)
        elif joins_left:
            self._lasts[at - 1] = number
        elif joins_right:
            self._firsts[at] = number
        else:
            self._firsts.insert(at, number)
            self._lasts.insert(at, number)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number)
        return at > 0 and self._lasts[at - 1] >= number

    def pairs(self) -> tuple[tuple[int, int], ...]:
        return tuple(zip(self._firsts, self._lasts, strict=True))


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that an agent opened."""

    stream: bytes
    sensor: int
    kind: str
    content: bytes
    meter: str


@dataclass(slots=True)
class _Totals:
    """Session records taken in, of a stream or of all of a sensor's."""

    sensor: int
    stored: int = 0
    expired: int = 0

    def add(self, stored: int, expired: int) -> None:
        self.stored += stored
        self.expired += expired


class Ledger:
    """In memory, loaded from the store; several threads may ask, one (ingest) adds batches."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.Lock()
        self._batches: dict[bytes, Ranges] = {}
        self._streams: dict[bytes, Stream] = {}
        self._by_content: dict[tuple[int, bytes], bytes] = {}
        self._changed: dict[bytes, int] = {}
        """When a stream was opened or replaced last, those replaced too."""
        self._of_stream: dict[bytes, _Totals] = {}
        self._of_sensor: dict[int, _Totals] = {}
        for row in client.query(
            "SELECT stream, sensor, kind, content, meter, replaced, toUnixTimestamp64Micro(changed) "
            "FROM streams FINAL ORDER BY changed",
            column_formats={"content": "bytes"},
        ).result_rows:
            stream = Stream(bytes(row[0]), row[1], row[2], bytes(row[3]), row[4])
            self._changed[stream.stream] = row[6]
            if not row[5]:
                self._remember(stream)
        self.dropped = DroppedDays(client)
        self.watched = Watched(client)
        self._quarantined: Counter[int] = Counter()
        """By sensor, what lies in quarantine now."""
        for stream_id, seq, sensor, stored, expired in client.query(
            "SELECT stream, seq, sensor, stored, expired FROM batches FINAL"
        ).result_rows:
            self.add(bytes(stream_id), seq, sensor, stored, 0, expired)
        self.count_quarantine(client)

    def count_quarantine(self, client: Client) -> None:
        """Count what lies in quarantine anew: some of it was released or dropped."""
        counted = client.query(f"SELECT sensor, count() FROM {QUARANTINE} FINAL GROUP BY sensor").result_rows
        with self._lock:
            self._quarantined = Counter({int(sensor): int(count) for sensor, count in counted})

    def _remember(self, stream: Stream) -> None:
        self._streams[stream.stream] = stream
        if stream.content:
            self._by_content[stream.sensor, stream.content] = stream.stream

    def next_change(self, stream: bytes, now: int) -> int:
        """The time of a change of this stream that is made now: later than all its changes before, whatever the clock
        did. `opened` or `forget` tell of it once it is written."""
        with self._lock:
            return max(now, self._changed.get(stream, 0) + 1)

    def opened(self, stream: Stream, changed: int) -> None:
        with self._lock:
            self._changed[stream.stream] = changed
            self._remember(stream)

    def forget(self, stream: bytes, changed: int) -> None:
        """The stream's rows were replaced by another's."""
        with self._lock:
            self._changed[stream] = changed
            gone = self._streams.pop(stream, None)
            self._batches.pop(stream, None)
            totals = self._of_stream.pop(stream, None)
            if totals is not None:
                self._of_sensor[totals.sensor].add(-totals.stored, -totals.expired)
            if gone is not None and self._by_content.get((gone.sensor, gone.content)) == stream:
                del self._by_content[gone.sensor, gone.content]

    def stream(self, stream: bytes) -> Stream | None:
        with self._lock:
            return self._streams.get(stream)

    def same_content(self, sensor: int, content: bytes) -> Stream | None:
        """The sensor's stream of the same files, if there is one."""
        with self._lock:
            found = self._by_content.get((sensor, content))
            return None if found is None else self._streams[found]

    def add(self, stream: bytes, seq: int, sensor: int, stored: int, quarantined: int, expired: int = 0) -> None:
        with self._lock:
            self._batches.setdefault(stream, Ranges()).add(seq)
            self._of_stream.setdefault(stream, _Totals(sensor)).add(stored, expired)
            self._of_sensor.setdefault(sensor, _Totals(sensor)).add(stored, expired)
            self._quarantined[sensor] += quarantined

    def has(self, stream: bytes, seq: int) -> bool:
        with self._lock:
            return stream in self._batches and seq in self._batches[stream]

    def have(self, stream: bytes) -> tuple[tuple[int, int], ...]:
        with self._lock:
            return self._batches[stream].pairs() if stream in self._batches else ()

    def totals(self, sensor: int) -> tuple[int, int]:
        """Session records taken in from a sensor and not replaced, and those that lie in quarantine now (revisions
        counted singly)."""
        with self._lock:
            totals = self._of_sensor.get(sensor)
            return (totals.stored if totals is not None else 0, self._quarantined[sensor])

    def expired(self) -> dict[int, int]:
        """By sensor, records that were acknowledged and not stored, since their day had been dropped."""
        with self._lock:
            return {sensor: totals.expired for sensor, totals in self._of_sensor.items() if totals.expired}

    def size(self) -> tuple[int, int]:
        """Streams and batches known."""
        with self._lock:
            batches = sum(last - first + 1 for ranges in self._batches.values() for first, last in ranges.pairs())
            return len(self._streams), batches
