"""Pages of events; which session each has is tried on the real store, in store/test_events.py."""

import numpy as np

from afterfact_protocol.event import EVENT_FOUND, EVENT_ROW
from afterfact_server.events import PAGE_EVENTS, page
from afterfact_server.query.compile import Compiled


def test_a_page_fits_a_message() -> None:
    events = np.zeros(PAGE_EVENTS + 9, EVENT_ROW)
    events["event_id"] = np.arange(len(events))[::-1]
    events["absent"] = (1 << 17) - 1

    def fetch(compiled: Compiled, dtype: "np.dtype[np.void]") -> "np.ndarray[tuple[int], np.dtype[np.void]]":
        assert dtype == EVENT_ROW, "nothing is looked for where an event names no session"
        return events

    found, ended = page(fetch, 0, 1, None, None, None, PAGE_EVENTS)
    assert found.dtype == EVENT_FOUND and len(found) == PAGE_EVENTS and not ended
