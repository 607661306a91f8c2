"""The events of a batch as they come in: checked, stamped, those whose time cannot be apart. Writes nothing."""

import numpy as np

from afterfact_protocol.event import EVENT, EVENT_ROW, Events, check_events, events_from_bytes
from afterfact_protocol.messages import Batch
from afterfact_protocol.session import EARLIEST_US


def events_of(batch: Batch, sensor: int, latest: int, now: int) -> tuple[Events, Events]:
    """The batch's events as EVENT_ROW: those that can be, and those of before 1990 or after `latest` (microseconds).
    WireError if the server cannot take them in, whenever they come."""
    events = events_from_bytes(batch.event_columns, batch.events)
    check_events(events)
    rows = np.zeros(len(events), EVENT_ROW)
    for name in EVENT.names or ():
        rows[name] = events[name]
    rows["sensor"], rows["ingest_time"], rows["seq"] = sensor, now, batch.seq
    rows["stream"] = np.void(batch.stream)
    bad = (rows["time"] < EARLIEST_US) | (rows["time"] > latest)
    return rows[~bad], rows[bad]
