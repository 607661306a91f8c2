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


class Ledger:
    """In memory, loaded from the store; several threads may ask, one (ingest) adds batches."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.Lock()
        self._batches: dict[bytes, Ranges] = {}
        self._streams: dict[bytes, Stream] = {}
        self._by_content: dict[tuple[int, bytes], bytes] = {}
        self._rows: dict[int, list[int]] = {}
        for row in client.query(
            "SELECT stream, sensor, kind, content, meter, replaced FROM streams FINAL ORDER BY opened",
            column_formats={"content": "bytes"},
        ).result_rows:
            stream = Stream(bytes(row[0]), row[1], row[2], bytes(row[3]), row[4])
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

    def opened(self, stream: Stream) -> None:
        with self._lock:
            self._remember(stream)

    def forget(self, stream: bytes) -> None:
        """The stream's rows were replaced by another's."""
        with self._lock:
            gone = self._streams.pop(stream, None)
            self._batches.pop(stream, None)
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
            totals = self._rows.setdefault(sensor, [0, 0])
            totals[0] += stored
            totals[1] += quarantined

    def has(self, stream: bytes, seq: int) -> bool:
        with self._lock:
            return stream in self._batches and seq in self._batches[stream]

    def have(self, stream: bytes) -> tuple[tuple[int, int], ...]:
        with self._lock:
            return self._batches[stream].pairs() if stream in self._batches else ()

    def totals(self, sensor: int) -> tuple[int, int]:
        """Session records taken in from a sensor: stored, quarantined (revisions counted singly)."""
        with self._lock:
            stored, quarantined = self._rows.get(sensor, (0, 0))
            return stored, quarantined
