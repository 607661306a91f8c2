"""Records of a live capture become batches: none lost, none numbered twice, none kept waiting."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from afterfact_agent.delivery import livestream
from afterfact_agent.delivery.filestream import BATCH_EVENTS, BATCH_ROWS
from afterfact_agent.delivery.livestream import LiveStream
from afterfact_agent.delivery.spool import Spool, SpoolFull
from afterfact_protocol.codec import decode
from afterfact_protocol.event import EVENT
from afterfact_protocol.messages import Batch, Observed
from afterfact_protocol.records import Records, from_bytes
from afterfact_protocol.session import RECORD

SEEN = Observed(1, 2, "live", "eth0", 3, 0, "")


class TightSpool(Spool):
    """Its disk is full while `full`."""

    full = False

    def put(self, stream: bytes, seq: int, frame: bytes) -> bool:
        if self.full:
            raise SpoolFull(f"{self.path}: cannot write to the spool: No space left on device")
        return super().put(stream, seq, frame)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[TightSpool]:
    made = TightSpool(tmp_path)
    yield made
    made.close()


def made(spool: Spool, said: list[str] | None = None) -> LiveStream:
    return LiveStream(spool, "m", lambda stream, seq: None, (said if said is not None else []).append)


def rows(first: int, count: int) -> Records:
    array = np.zeros(count, RECORD)
    array["session_id"] = np.arange(first, first + count)
    return array


def batches(spool: Spool, live: LiveStream) -> list[Batch]:
    decoded = [decode(spool.read(live.stream, seq), (Batch,)) for seq in spool.batches(live.stream)]
    return [batch for batch in decoded if isinstance(batch, Batch)]


def ids(batch: Batch) -> list[int]:
    return [int(number) for number in from_bytes(batch.columns, batch.rows)["session_id"]]


def test_a_full_batch_leaves_at_once_the_rest_in_time(spool: TightSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    live = made(spool)
    live.add(rows(0, 3))
    live.put()
    assert batches(spool, live) == []
    live.add(rows(3, BATCH_ROWS))
    live.put()
    assert [len(ids(batch)) for batch in batches(spool, live)] == [BATCH_ROWS]
    monkeypatch.setattr(livestream, "BATCH_SECONDS", 0.0)
    live.put()
    assert [number for batch in batches(spool, live) for number in ids(batch)] == list(range(BATCH_ROWS + 3))


def test_what_was_watched_leaves_at_once(spool: TightSpool) -> None:
    live = made(spool)
    live.observe(SEEN)
    live.put()
    live.put()
    (batch,) = batches(spool, live)
    assert (batch.observed, batch.rows, batch.seq) == ((SEEN,), b"", 0)


def test_a_full_disk_keeps_everything(spool: TightSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestream, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(livestream, "MAX_WAITING", 2 * BATCH_ROWS)
    said: list[str] = []
    live = made(spool, said)
    spool.full = True
    for number in range(3):
        live.add(rows(number * BATCH_ROWS, BATCH_ROWS))
        live.observe(SEEN)
        live.put()
    assert live.is_full and len(said) == 1 and "No space left" in said[0]
    with pytest.raises(SpoolFull, match=f"{3 * BATCH_ROWS} sessions are lost"):
        live.end()
    spool.full = False
    live.end()
    found = batches(spool, live)
    assert [number for batch in found for number in ids(batch)] == list(range(3 * BATCH_ROWS))
    assert [interval for batch in found for interval in batch.observed] == [SEEN] * 3
    assert said[1:] == ["the spool takes batches again"] and not live.is_full


def test_events_leave_in_batches_of_their_own(spool: TightSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestream, "RETRY_SECONDS", 0.0)
    live = made(spool)
    alerts = np.zeros(BATCH_EVENTS + 2, EVENT)
    alerts["event_id"] = np.arange(len(alerts))
    spool.full = True
    live.add_events(alerts[:5])
    live.add_events(alerts[5:])
    live.put()
    assert not live.is_empty
    with pytest.raises(SpoolFull, match=f"0 sessions and {len(alerts)} alerts are lost"):
        live.end()
    spool.full = False
    live.put()
    assert [len(batch.events) // EVENT.itemsize for batch in batches(spool, live)] == [BATCH_EVENTS]
    live.add(rows(0, 1))
    live.end()
    found = batches(spool, live)
    assert b"".join(batch.events for batch in found) == alerts.tobytes() and live.is_empty
    assert [number for batch in found for number in ids(batch)] == [0]


def test_each_run_is_a_stream_of_its_own(spool: TightSpool) -> None:
    first = made(spool)
    first.add(rows(0, 1))
    first.put(everything=True)
    second = made(spool)
    assert second.stream != first.stream
    known = {info.stream: info.batches for info in spool.streams()}
    assert known[first.stream] is not None, "what was killed is complete: once delivered it may go"
    assert known[second.stream] is None
    spool.acknowledged(first.stream, 0)
    second.end()
    assert spool.stream(second.stream).batches == 0  # type: ignore[union-attr]
