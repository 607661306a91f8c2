"""What waits too long, or is too much: the oldest gives way, is counted, and the server is told under its number."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afterfact_agent.delivery import bounds
from afterfact_agent.delivery.bounds import Bounds
from afterfact_agent.delivery.spool import Spool, SpoolFull, StreamInfo
from afterfact_protocol.codec import decode, encode
from afterfact_protocol.messages import Batch, Observed
from afterfact_protocol.records import RECORD_COLUMNS
from afterfact_protocol.session import RECORD, SCHEMA_VERSION

LIVE, FILES = b"l" * 16, b"f" * 16
SEEN = Observed(1_000, 2_000, "live", "eth0", 30, 1, "")
SESSIONS = 10


def frame(stream: bytes, seq: int) -> bytes:
    rows = np.zeros(SESSIONS, RECORD)
    rows["start_time"], rows["end_time"] = 5_000 + seq, 9_000 + seq
    rows["src_pkts"], rows["dst_pkts"] = 3, 2
    return encode(Batch(stream, seq, 1, SCHEMA_VERSION, RECORD_COLUMNS, rows.tobytes(), (SEEN,)))


SIZE = len(frame(LIVE, 0))


@pytest.fixture(autouse=True)
def _every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CHECK_SECONDS", 0.0)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path, waiting_bytes=5 * SIZE + SIZE // 2)
    made.put_stream(StreamInfo(LIVE, "live", b"", "m"))
    made.put_stream(StreamInfo(FILES, "files", b"c", "m"))
    yield made
    made.close()


def fill(spool: Spool, count: int, first: int = 0) -> None:
    for seq in range(first, first + count):
        spool.put(LIVE, seq, frame(LIVE, seq))


def batch(spool: Spool, seq: int) -> Batch:
    decoded = decode(spool.read(LIVE, seq), (Batch,))
    assert isinstance(decoded, Batch)
    return decoded


def test_the_oldest_go_and_the_server_is_told(spool: Spool) -> None:
    said: list[str] = []
    ours = Bounds(spool, said.append)
    fill(spool, 5)
    ours.enforce(lambda batch: False)
    assert not said and all(batch(spool, seq).rows for seq in range(5))
    fill(spool, 3, first=5)
    ours.enforce(lambda batch: False)
    left = [seq for seq in range(8) if batch(spool, seq).rows]
    assert left == [4, 5, 6, 7], "those dropped leave a word behind, which takes room as well"
    gone = batch(spool, 0)
    (lost,) = gone.observed
    assert (gone.stream, gone.seq, lost) == (LIVE, 0, replace(SEEN, lost=51, note=lost.note)), "no stretch of its own"
    assert "10 sessions dropped by the sensor: more than" in lost.note
    assert spool.batches(LIVE) == list(range(8)) and spool.waiting(LIVE) == 8
    assert spool.backlog().bytes == sum(len(spool.read(LIVE, seq)) for seq in range(8)) < 5.5 * SIZE
    assert ours.counters == {"spool_dropped_batches": 4, "spool_dropped_sessions": 40}
    assert len(said) == 1 and said[0].startswith("LOST: 40 sessions in 4 batches are dropped: more than")
    ours.enforce(lambda batch: False)
    assert len(said) == 1


def test_what_is_under_way_stays(spool: Spool) -> None:
    fill(spool, 8)
    ours = Bounds(spool, lambda text: None)
    ours.enforce(lambda batch: batch[1] < 2)
    assert [seq for seq in range(8) if not batch(spool, seq).rows] == [2, 3, 4, 5]


def test_what_is_too_old_goes_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    ours = Bounds(spool, said.append, waiting_seconds=2 * 86_400)
    fill(spool, 2)
    real = bounds.time.monotonic
    monkeypatch.setattr(bounds.time, "monotonic", lambda: real() + 1.5 * 86_400)
    fill(spool, 1, first=2)
    ours.enforce(lambda batch: False)
    assert not said
    monkeypatch.setattr(bounds.time, "monotonic", lambda: real() + 2.1 * 86_400)
    for _ in range(3):
        ours.enforce(lambda batch: False)
    assert [bool(batch(spool, seq).rows) for seq in range(3)] == [False, False, True]
    assert said == [
        "LOST: 20 sessions in 2 batches are dropped: the server was away for more than 2 days; the oldest went"
    ]


def test_a_clock_that_is_set_makes_nothing_old(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sensor without a clock of its own learns the time late; what it has spooled before is from 1970 then."""
    monkeypatch.setattr(bounds.time, "time_ns", lambda: 86_400 * 10**9)
    ours = Bounds(spool, lambda text: None)
    fill(spool, 3)
    monkeypatch.undo()
    monkeypatch.setattr(bounds, "CHECK_SECONDS", 0.0)
    ours.enforce(lambda batch: False)
    assert all(batch(spool, seq).rows for seq in range(3))


def test_a_loss_without_an_interval_is_told_of_the_moment(spool: Spool) -> None:
    for seq in range(8):
        decoded = decode(frame(LIVE, seq), (Batch,))
        assert isinstance(decoded, Batch)
        spool.put(LIVE, seq, encode(replace(decoded, observed=())))
    Bounds(spool, lambda text: None).enforce(lambda batch: False)
    (lost,) = batch(spool, 0).observed
    assert (lost.start, lost.end, lost.lost) == (1, 1, 50)


def test_a_damaged_batch_is_set_aside(spool: Spool) -> None:
    fill(spool, 8)
    (spool.path / "streams" / LIVE.hex() / f"{0:012d}.batch").write_bytes(b"no batch")
    said: list[str] = []
    Bounds(spool, said.append).enforce(lambda batch: False)
    assert "batch 0 of stream" in said[0] and "is damaged" in said[0] and spool.refused_count == 1
    assert 0 not in spool.batches(LIVE)


def test_files_wait_outside(spool: Spool) -> None:
    for seq in range(5):
        spool.put(FILES, seq, frame(FILES, seq))
    with pytest.raises(SpoolFull, match=r"GB wait for the server, as much as is allowed \(--spool-max\)"):
        spool.put(FILES, 5, frame(FILES, 5))
    fill(spool, 2)  # what is captured cannot wait
    said: list[str] = []
    Bounds(spool, said.append).enforce(lambda batch: False)
    assert [bool(batch(spool, seq).rows) for seq in range(2)] == [False, False]
    assert spool.waiting(FILES) == 5 and spool.read(FILES, 0) == frame(FILES, 0)
    spool.acknowledged(FILES, 0)
    spool.acknowledged(FILES, 1)
    assert spool.put(FILES, 5, frame(FILES, 5))
