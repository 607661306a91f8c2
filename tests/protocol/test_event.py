"""Events of older and newer senders, events that cannot be, and what makes two events one."""

import numpy as np
import pytest

from afterfact_protocol.codec import WireError
from afterfact_protocol.event import (
    EVENT,
    EVENT_BY_NAME,
    EVENT_COLUMNS,
    EVENT_FIELDS,
    EVENT_KEY,
    EVENT_ROW,
    Action,
    Events,
    check_events,
    event_absent_bits,
    events_from_bytes,
    identify,
)


def events(count: int = 3) -> Events:
    made = np.zeros(count, EVENT)
    made["time"] = np.arange(count) + 10
    made["signature_id"] = 2_001_219
    made["src_ip"] = np.void(bytes(range(16)))
    made["foreign_id"] = b"1234567890"
    made["signature"] = b"ET SCAN Potential SSH Scan"
    return made


def test_numbers_are_the_fields_own_and_fit_the_set() -> None:
    assert len({field.id for field in EVENT_FIELDS}) == len({field.name for field in EVENT_FIELDS}) == len(EVENT_FIELDS)
    assert max(field.id for field in EVENT_FIELDS) < 64
    assert set(EVENT_KEY) < set(EVENT_ROW.names or ())


def test_same_layout_is_taken_as_it_is() -> None:
    given = events()
    assert events_from_bytes(EVENT_COLUMNS, given.tobytes()).tobytes() == given.tobytes()
    assert len(events_from_bytes((), b"")) == 0


def test_older_layout_is_read_by_name() -> None:
    given = events()
    older = tuple(column for column in reversed(EVENT_COLUMNS) if column[0] not in ("category", "action"))
    sent = np.zeros(len(given), np.dtype(list(older)))
    for name, _ in older:
        sent[name] = given[name]
    got = events_from_bytes(older, sent.tobytes())
    assert (got["signature"] == given["signature"]).all() and (got["src_ip"] == given["src_ip"]).all()
    assert (got["absent"] == event_absent_bits("category")).all()
    assert (got["action"] == Action.UNKNOWN).all()


@pytest.mark.parametrize(
    ("columns", "data", "says"),
    [
        ((*EVENT_COLUMNS, ("payload", "S9")), bytes(EVENT.itemsize + 9), "unknown column 'payload'"),
        ((("sensor", "<u2"),), bytes(2), "unknown column 'sensor'"),  # the server's own to say
        ((("time", "<i4"),), bytes(4), "has type '<i4', expected '<i8'"),
        ((("time", "<i8"), ("time", "<i8")), bytes(16), "named twice"),
        (EVENT_COLUMNS, bytes(EVENT.itemsize + 1), "no whole number"),
        ((), bytes(1), "no whole number"),
    ],
    ids=["unknown", "stamp", "type", "twice", "cut", "no columns"],
)
def test_what_is_no_event_is_told(columns: tuple[tuple[str, str], ...], data: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        events_from_bytes(columns, data)


def test_absent_is_nullable_and_empty_and_names_have_names() -> None:
    given = events()
    given["absent"] = event_absent_bits("category", "rev", "src_port")
    check_events(given)
    given["rev"][1] = 2
    with pytest.raises(WireError, match="rev of an event is said to be absent and has a value"):
        check_events(given)
    given = events()
    given["absent"] = 1 << EVENT_BY_NAME["time"].id
    with pytest.raises(WireError, match="never absent"):
        check_events(given)
    given = events()
    given["action"] = 200
    with pytest.raises(WireError, match="action 200 of an event has no name"):
        check_events(given)
    with pytest.raises(ValueError, match="signature is never absent"):
        event_absent_bits("signature")


def test_the_same_alert_is_the_same_event_and_another_is_another() -> None:
    given = events(1000)
    given["time"] = 10
    given["src_port"] = np.arange(1000)
    identify(given)
    assert len(set(given["event_id"].tolist())) == 1000
    again = given[::-1].copy()
    again["signature"] = b"worded anew"
    again["event_id"] = 0
    identify(again)
    assert (again["event_id"][::-1] == given["event_id"]).all()
    identify(np.zeros(0, EVENT))
