"""Files as a stream of batches.

One call's files are one stream, named by the hash of their contents, the sensor, the meter's version and its settings,
and cut into batches by count. So the same files again are the same stream, and add nothing.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from afterfact_protocol.event import EVENT, EVENT_COLUMNS, Events
from afterfact_protocol.messages import MAX_BATCH_BYTES, Batch, Observed
from afterfact_protocol.records import RECORD_COLUMNS, Records
from afterfact_protocol.session import RECORD, SCHEMA_VERSION

BATCH_ROWS = MAX_BATCH_BYTES // RECORD.itemsize
BATCH_EVENTS = MAX_BATCH_BYTES // EVENT.itemsize
MAX_OBSERVED = 256


def content_digest(paths: Iterable[Path]) -> bytes:
    """Hash of the files' contents in order (names do not count). OSError if one cannot be read."""
    digest = hashlib.blake2b(digest_size=32)
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).digest())
    return digest.digest()


def files_stream(content: bytes, sensor: str, meter: str) -> bytes:
    """The stream's id."""
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (content, sensor.encode(), meter.encode()))
    return hashlib.blake2b(parts, digest_size=16, person=b"afterfact files").digest()


def batches_of(
    stream: bytes,
    records: Iterable[Records | tuple[Records, Events]],
    observed: Callable[[], Iterable[Observed]],
) -> Iterator[Batch]:
    """Cut records by count, and events apart from them where some come beside; the last batch, and further ones if
    there are many, tell the observed intervals."""
    seq = 0
    rest = np.zeros(0, RECORD)
    alerts = np.zeros(0, EVENT)
    for item in records:
        some, beside = item if isinstance(item, tuple) else (item, np.zeros(0, EVENT))
        if len(beside):
            alerts = np.concatenate([alerts, beside])
        while len(alerts) >= BATCH_EVENTS:
            yield events_batch(stream, seq, alerts[:BATCH_EVENTS])
            alerts = alerts[BATCH_EVENTS:]
            seq += 1
        rest = np.concatenate([rest, some])
        while len(rest) >= BATCH_ROWS:
            yield _batch(stream, seq, rest[:BATCH_ROWS], ())
            rest = rest[BATCH_ROWS:]
            seq += 1
    if len(alerts):
        yield events_batch(stream, seq, alerts)
        seq += 1
    told = tuple(observed())
    while True:
        yield _batch(stream, seq, rest, told[:MAX_OBSERVED])
        rest, told = rest[:0], told[MAX_OBSERVED:]
        seq += 1
        if not told:
            return


def _batch(stream: bytes, seq: int, rows: Records, observed: tuple[Observed, ...]) -> Batch:
    return Batch(stream, seq, time.time_ns() // 1000, SCHEMA_VERSION, RECORD_COLUMNS, rows.tobytes(), observed)


def events_batch(stream: bytes, seq: int, events: Events) -> Batch:
    """A batch of at most BATCH_EVENTS events and nothing else."""
    return Batch(
        stream, seq, time.time_ns() // 1000, SCHEMA_VERSION, RECORD_COLUMNS, b"", (), EVENT_COLUMNS, events.tobytes()
    )
