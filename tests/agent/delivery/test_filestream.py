import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afterfact_agent.capture import FileReport
from afterfact_agent.delivery.captures import interval_of
from afterfact_agent.delivery.filestream import (
    BATCH_EVENTS,
    BATCH_ROWS,
    MAX_OBSERVED,
    batches_of,
    content_digest,
    files_stream,
)
from afterfact_protocol.codec import decode, encode
from afterfact_protocol.event import EVENT, EVENT_COLUMNS, events_from_bytes
from afterfact_protocol.messages import MAX_BATCH_BYTES, Batch
from afterfact_protocol.records import from_bytes
from afterfact_protocol.session import RECORD, EndReason

STREAM = b"s" * 16


def records(count: int) -> np.ndarray:  # type: ignore[type-arg]
    rows = np.zeros(count, RECORD)
    rows["session_id"] = np.arange(count)
    rows["end_reason"] = EndReason.IDLE
    return rows


def cut(chunks: list[np.ndarray], reports: list[FileReport] | None = None) -> list[Batch]:  # type: ignore[type-arg]
    intervals = [made for report in reports or [] if (made := interval_of(report)) is not None]
    return [replace(batch, spooled=0) for batch in batches_of(STREAM, chunks, lambda: intervals)]


def test_identity_is_content_sensor_meter(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("same as a", b"one"), ("ab", b"onetwo")):
        (tmp_path / name).write_bytes(content)
    a, b, same, both = (tmp_path / name for name in ("a", "b", "same as a", "ab"))
    assert content_digest([a, b]) == content_digest([same, b])
    assert len({content_digest(files) for files in ([a], [b], [a, b], [b, a], [both])}) == 5
    with pytest.raises(OSError):
        content_digest([tmp_path / "none"])
    digest = content_digest([a])
    ids = {
        files_stream(*key) for key in ((digest, "x", "m"), (digest, "y", "m"), (digest, "x", "n"), (digest, "xm", ""))
    }
    assert len(ids) == 4 and all(len(one) == 16 for one in ids)


def test_cut_by_count_however_the_records_come() -> None:
    rows = records(BATCH_ROWS * 2 + 5)
    whole = cut([rows])
    assert [len(batch.rows) // RECORD.itemsize for batch in whole] == [BATCH_ROWS, BATCH_ROWS, 5]
    assert [batch.seq for batch in whole] == [0, 1, 2]
    assert cut(list(np.array_split(rows, 17))) == whole
    joined = b"".join(batch.rows for batch in whole)
    assert joined == rows.tobytes()
    assert all(decode(encode(batch)) == batch for batch in whole)
    assert len(from_bytes(whole[0].columns, whole[0].rows)) == BATCH_ROWS


def test_events_are_batches_of_their_own_however_they_come() -> None:
    rows, alerts = records(BATCH_ROWS + 3), np.zeros(BATCH_EVENTS + 7, EVENT)
    alerts["event_id"] = np.arange(len(alerts))
    whole = [replace(batch, spooled=0) for batch in batches_of(STREAM, [(rows, alerts)], lambda: ())]
    pairs = list(zip(np.array_split(rows, 9), np.array_split(alerts, 9), strict=True))
    again = [replace(batch, spooled=0) for batch in batches_of(STREAM, pairs, lambda: ())]
    for made in (whole, again):
        assert [batch.seq for batch in made] == list(range(4))
        assert b"".join(batch.rows for batch in made) == rows.tobytes()
        assert b"".join(batch.events for batch in made) == alerts.tobytes()
        assert all(len(batch.rows) + len(batch.events) <= MAX_BATCH_BYTES for batch in made)
        assert all(decode(encode(batch)) == batch for batch in made)
        assert {batch.event_columns for batch in made if batch.events} == {EVENT_COLUMNS}
    assert sorted(len(batch.events) // EVENT.itemsize for batch in again) == [0, 0, 7, BATCH_EVENTS]
    assert len(events_from_bytes(whole[0].event_columns, whole[0].events)) == BATCH_EVENTS


def test_intervals_come_with_the_last_batch() -> None:
    seen = [FileReport(f"/captures/{n}.pcap", 10, 100 + n, 200 + n, n) for n in range(MAX_OBSERVED + 1)]
    seen[3].damage.append("cut off")
    seen.append(FileReport("/captures/empty.pcap"))
    batches = cut([records(3)], seen)
    assert [len(batch.observed) for batch in batches] == [MAX_OBSERVED, 1]
    third = batches[0].observed[3]
    assert (third.start, third.end, third.what, third.packets, third.lost, third.note) == (
        103, 203, "3.pcap", 10, 3, "cut off",
    )  # fmt: skip


def test_no_session_at_all() -> None:
    (batch,) = cut([])
    assert batch.rows == b"" and batch.seq == 0


def test_a_name_that_is_no_utf8() -> None:
    """Names are bytes to the system; a capture of such a name is delivered as any other."""
    path = "/captures/" + os.fsdecode(b"caf\xe9.pcap")
    (batch,) = cut([records(1)], [FileReport(path, 1, 100, 200)])
    assert decode(encode(batch)) == batch and batch.observed[0].what == "caf\N{REPLACEMENT CHARACTER}.pcap"


def test_impossible_times_are_no_interval() -> None:
    (batch,) = cut([records(1)], [FileReport("a", 3, 100, 200, untimely=2), FileReport("b", 3, untimely=3)])
    (observed,) = batch.observed
    assert observed.what == "a" and observed.note == "2 packets of impossible times"
