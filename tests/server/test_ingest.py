import numpy as np

from afterfact_protocol.messages import Batch
from afterfact_protocol.records import RECORD_COLUMNS
from afterfact_protocol.session import RECORD, ROW
from afterfact_server.ingest import DAY, HOUR, YEAR_1990, impossible, stamp

NOW = 1_800_000_000_000_000
BATCH = Batch(b"s" * 16, 7, NOW - 30 * DAY, 1, RECORD_COLUMNS, b"", ())


def records(*spans: tuple[int, int]) -> np.ndarray:  # type: ignore[type-arg]
    rows = np.zeros(len(spans), RECORD)
    rows["start_time"], rows["end_time"] = zip(*spans, strict=True)
    return rows


def test_times_that_cannot_be() -> None:
    spans = [(YEAR_1990 - 1, NOW), (YEAR_1990, NOW), (NOW, NOW + DAY), (NOW, NOW + DAY + 1)]
    assert impossible(records(*spans), "files", BATCH, NOW).tolist() == [True, False, False, True]


def test_live_is_judged_by_the_agents_clock() -> None:
    at = BATCH.spooled
    spans = [(at - DAY, at), (at, at + HOUR), (at, at + HOUR + 1)]
    assert impossible(records(*spans), "live", BATCH, NOW).tolist() == [False, False, True]


def test_stamps_are_the_servers() -> None:
    rows = np.frombuffer(np.random.default_rng(1).bytes(RECORD.itemsize * 3), RECORD)
    stamped = stamp(rows, 5, BATCH, NOW)
    assert stamped.dtype == ROW
    assert RECORD.names is not None
    for name in RECORD.names:
        assert (stamped[name] == rows[name]).all(), name
    assert set(stamped["sensor"].tolist()) == {5} and set(stamped["ingest_time"].tolist()) == {NOW}
    assert set(stamped["stream"].tolist()) == {b"s" * 16} and set(stamped["seq"].tolist()) == {7}
