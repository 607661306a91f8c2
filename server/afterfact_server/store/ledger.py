"""What the store has of each stream: answers HELLO, and lets a batch that comes again be acknowledged at once.

The session rows do not rest on it: their key makes a repeated insert harmless.
"""

import threading
from bisect import bisect_right
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client


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
    quarantined: int = 0

    def add(self, stored: int, quarantined: int) -> None:
        self.stored += stored
        self.quarantined += quarantined


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
        for stream_id, seq, sensor, stored, quarantined in client.query(
            "SELECT stream, seq, sensor, stored, quarantined FROM batches FINAL"
        ).result_rows:
            self.add(bytes(stream_id), seq, sensor, stored, quarantined)

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
                self._of_sensor[totals.sensor].add(-totals.stored, -totals.quarantined)
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

    def add(self, stream: bytes, seq: int, sensor: int, stored: int, quarantined: int) -> None:
        with self._lock:
            self._batches.setdefault(stream, Ranges()).add(seq)
            self._of_stream.setdefault(stream, _Totals(sensor)).add(stored, quarantined)
            self._of_sensor.setdefault(sensor, _Totals(sensor)).add(stored, quarantined)

    def has(self, stream: bytes, seq: int) -> bool:
        with self._lock:
            return stream in self._batches and seq in self._batches[stream]

    def have(self, stream: bytes) -> tuple[tuple[int, int], ...]:
        with self._lock:
            return self._batches[stream].pairs() if stream in self._batches else ()

    def totals(self, sensor: int) -> tuple[int, int]:
        """Session records taken in from a sensor and not replaced: stored, quarantined (revisions counted singly)."""
        with self._lock:
            totals = self._of_sensor.get(sensor)
            return (totals.stored, totals.quarantined) if totals is not None else (0, 0)
