"""Events of a batch: what is taken, set aside, refused."""

from dataclasses import replace

import numpy as np
import pytest

from afterfact_protocol.codec import WireError
from afterfact_protocol.event import EVENT, EVENT_COLUMNS, EVENT_ROW, Events, event_absent_bits
from afterfact_protocol.messages import Batch
from afterfact_protocol.records import RECORD_COLUMNS
from afterfact_protocol.session import EARLIEST_US
from afterfact_server.eventbatch import events_of

NOW = 1_800_000_000_000_000
BATCH = Batch(b"s" * 16, 7, NOW, 1, RECORD_COLUMNS, b"", ())


def batch(events: Events) -> Batch:
    return replace(BATCH, event_columns=EVENT_COLUMNS, events=events.tobytes())


def test_stamps_are_the_servers_and_impossible_times_are_apart() -> None:
    events = np.frombuffer(np.random.default_rng(2).bytes(EVENT.itemsize * 4), EVENT).copy()
    for name in ("action", "source", "absent"):
        events[name] = 0
    events["time"] = [EARLIEST_US - 1, EARLIEST_US, NOW, NOW + 1]
    good, bad = events_of(batch(events), 5, NOW, 11)
    assert good.dtype == bad.dtype == EVENT_ROW
    assert good["time"].tolist() == [EARLIEST_US, NOW] and bad["time"].tolist() == [EARLIEST_US - 1, NOW + 1]
    for name in EVENT.names or ():
        assert (good[name] == events[name][1:3]).all(), name
    for rows in (good, bad):
        assert set(rows["sensor"].tolist()) == {5} and set(rows["ingest_time"].tolist()) == {11}
        assert set(rows["stream"].tolist()) == {b"s" * 16} and set(rows["seq"].tolist()) == {7}


def test_a_batch_of_before_events_has_none() -> None:
    good, bad = events_of(BATCH, 5, NOW, 11)
    assert len(good) == len(bad) == 0 and good.dtype == EVENT_ROW


def test_what_is_no_event_is_refused() -> None:
    events = np.zeros(1, EVENT)
    with pytest.raises(WireError, match="no whole number"):
        events_of(replace(batch(events), events=b"x"), 5, NOW, 11)
    events["rev"], events["absent"] = 3, event_absent_bits("rev")
    with pytest.raises(WireError, match="said to be absent"):
        events_of(batch(events), 5, NOW, 11)
