"""A request of a console while it is worked on, and the connection that it came by: what the lanes, the workers and the
answers share. Asks nothing of the store.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from afterfact_protocol.messages import MAX_BATCH_BYTES, Answer, Hints, Message, Pull
from afterfact_protocol.query import Query
from afterfact_protocol.records import Records
from afterfact_protocol.session import ROW
from afterfact_protocol.sets import Values
from afterfact_server.keeping import Upload
from afterfact_server.registry.bounds import NO_BOUNDS, Bounds
from afterfact_server.results import HeldRows, Result
from afterfact_server.tables import TableRows

PAGE_ROWS = MAX_BATCH_BYTES // ROW.itemsize
Send = Callable[[Message], None]
"""Raises WireError for a message that is too large to be sent."""


class Unanswerable(Exception):
    """The request asks for what there is not; one line for a person."""


class Cancelled(Exception):
    """The console does not want it any more."""


@dataclass(slots=True)
class Running:
    """One request of a console, from ASK until its result is dropped."""

    request: int
    send: Send
    started: float
    tag: str
    scope: "Scope"
    cancelled: threading.Event = field(default_factory=threading.Event)
    working: bool = True
    """A worker has it; what is pulled meanwhile waits here and holds no worker."""
    waiting: deque[Pull] = field(default_factory=deque)
    query: Query | None = None
    """With addresses in place of networks."""
    result: Result | TableRows | HeldRows | None = None
    everything: bool = False
    quick: bool = True
    """In the quick lane; see lanes.py."""


@dataclass(frozen=True, slots=True)
class Found:
    """What `Answers.found` found."""

    asked: Query
    answer: Answer
    rows: Records
    """ROWs of the first keys."""
    now: int
    """When it was asked, microseconds."""
    hints: Hints | None
    """What else must be known to judge it, if that was to be counted."""


@dataclass(slots=True)
class Scope:
    """A console connection's requests."""

    running: dict[int, Running] = field(default_factory=dict)
    role: str = ""
    """Of the account that logged in; its limits hold."""
    user: str = ""
    uploads: dict[int, Upload] = field(default_factory=dict)
    """Values of sets that come in parts, by request."""
    live_values: dict[str, Values] = field(default_factory=dict)
    """Of the live set that it is reading."""
    scopes: frozenset[str] | None = None
    """What its token is for; None: no token."""
    bounds: Bounds = NO_BOUNDS
    """What of the sessions that account may see."""

    def sees(self, sensor: str) -> bool:
        """Whether it may be told of a sensor."""
        return not self.bounds.sensors or sensor in self.bounds.sensors


def pages_on(running: Running, message: Pull) -> bool:
    """Whether more keys must be found before the pull can be answered."""
    result = running.result
    assert result is not None
    if isinstance(result, (TableRows, HeldRows)):
        return False
    count = min(message.count, PAGE_ROWS)
    return not result.complete and message.first + count > result.offset + len(result.keys)
