"""The queue of events, what is done in it, and what fills it by itself: autocategorise rules and watches."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from .limits import (
    I64,
    MAX_QUERY_BYTES,
    MAX_QUEUE_ROWS,
    MAX_SENSORS_TOLD,
    MAX_WATCHES,
    U32,
    U64,
    Line,
    Name,
    QueueStatus,
)


@dataclass(frozen=True, slots=True)
class AskQueue:
    """Send rows of the queue, those raised last first."""

    request: U32
    status: Literal["open", "escalated", "closed", "all"]
    count: Annotated[int, Field(ge=1, le=MAX_QUEUE_ROWS)]
    after: tuple[I64, U64] | None = None
    """Those behind this one, by its `raised` and `number`. None: from the first on."""
    subscribe: Literal["", "on", "off"] = ""
    """on: from now on tell of every row that changes, by QUEUE_CHANGED; off: no more."""
    numbers: Annotated[tuple[U64, ...], Field(max_length=MAX_QUEUE_ROWS)] = ()
    """These rows alone, whatever else is said."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """Events of one rule and one source address that were disposed of together, or wait for it."""

    number: U64
    source: Literal["alert", "watch"]
    rule: Name
    """Of alerts the generator's and the signature's number, 1:2001219; of a watch its number, watch:7."""
    text: Line
    """The signature, or the watch's name."""
    severity: Annotated[int, Field(ge=0, le=255)]
    """1 is the most severe; 0: not said."""
    src_ip: Name
    dst_ip: Name
    """Of the newest event."""
    dst_port: Annotated[int, Field(ge=-1, le=65535)]
    """Of the newest event; -1: none."""
    peers: U64
    """Different destinations."""
    sensors: Annotated[tuple[Name, ...], Field(max_length=MAX_SENSORS_TOLD)]
    count: U64
    """Events."""
    first_event: U64
    """Number of the first event."""
    last_event: U64
    """Number of the newest: what a key disposes of are those up to it."""
    first_time: I64
    last_time: I64
    """Of the earliest and latest event."""
    raised: I64
    """When the row was new, or a new destination came, by the server's clock."""
    status: QueueStatus
    owner: Name
    """Who claimed it, or was assigned it; empty: nobody."""
    version: U64
    """Changes with everything that somebody does, and with no event."""
    changed_by: Name
    """Who did the last thing; empty: nothing was done."""
    changed_at: I64
    comment: Line
    """The last."""
    late: bool
    """Whether an event came long after it happened."""


@dataclass(frozen=True, slots=True)
class QueueRows:
    """Answer to ASK_QUEUE. There may be fewer than asked for, or none, though more follow."""

    request: U32
    rows: Annotated[tuple[QueueRow, ...], Field(max_length=MAX_QUEUE_ROWS)]
    next: tuple[I64, U64] | None
    """Ask on with this `after`; None: there is nothing more."""


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """To whom subscribed: rows that are new or not what they were."""

    rows: Annotated[tuple[QueueRow, ...], Field(max_length=MAX_QUEUE_ROWS)]
    reload: bool = False
    """More changed than is told: ask for the queue again."""


@dataclass(frozen=True, slots=True)
class Triage:
    """Do something with rows of the queue, all or those that can be."""

    request: U32
    rows: Annotated[tuple[tuple[U64, U64, U64], ...], Field(min_length=1, max_length=MAX_QUEUE_ROWS)]
    """Number, version and last event of each, as they were shown."""
    action: Literal["categorise", "escalate", "reopen", "claim", "assign", "release", "comment", "undo"]
    status: QueueStatus = 0
    """Of "categorise": 1 to 7 for the categories I to VII, 8 for no action."""
    comment: Line = ""
    """Needed by "escalate" and "comment"."""
    owner: Name = ""
    """Of "assign": to whom."""


@dataclass(frozen=True, slots=True)
class Triaged:
    """Answer to TRIAGE, once it is durable."""

    request: U32
    done: Annotated[tuple[U64, ...], Field(max_length=MAX_QUEUE_ROWS)]
    """Numbers of the rows."""
    refused: Annotated[tuple[tuple[U64, Line], ...], Field(max_length=MAX_QUEUE_ROWS)]
    """The others, and why: what somebody else did with the row, who and when."""


@dataclass(frozen=True, slots=True)
class AskQueueEvents:
    """Send events of a row, oldest first; or, with `event`, that event alone."""

    request: U32
    row: U64 = 0
    event: U64 = 0
    after: U64 = 0
    """Those with higher numbers."""
    count: Annotated[int, Field(ge=1, le=MAX_QUEUE_ROWS)] = MAX_QUEUE_ROWS


@dataclass(frozen=True, slots=True)
class QueueEvent:
    """An alert, or a session that a watch found."""

    number: U64
    """For good."""
    row: U64
    """The row that it is in now."""
    time: I64
    sensor: Name
    src_ip: Name
    src_port: Annotated[int, Field(ge=-1, le=65535)]
    """-1: none."""
    dst_ip: Name
    dst_port: Annotated[int, Field(ge=-1, le=65535)]
    proto: Annotated[int, Field(ge=-1, le=255)]
    ident: U64
    """Of an alert its event_id, of a session its session_id: with time and sensor it is the key."""
    late: bool
    alert: U32 = 0
    """Number of an alert in the store, as DURING event(N) takes it; 0 of a session."""


@dataclass(frozen=True, slots=True)
class QueueEvents:
    """Answer to ASK_QUEUE_EVENTS."""

    request: U32
    events: Annotated[tuple[QueueEvent, ...], Field(max_length=MAX_QUEUE_ROWS)]
    ended: bool


@dataclass(frozen=True, slots=True)
class AskHistory:
    """Send what was done with an event, whatever row it was in; without one, with a row."""

    request: U32
    event: U64 = 0
    row: U64 = 0


@dataclass(frozen=True, slots=True)
class QueueAction:
    """Somebody did something. Never changed."""

    number: U64
    time: I64
    user: Name
    action: Name
    row: U64
    count: U64
    """Events that it was done with."""
    before: QueueStatus
    status: QueueStatus
    owner: Name
    """After it."""
    comment: Line
    undoes: U64
    """Number of the action that it takes back; 0: none."""


@dataclass(frozen=True, slots=True)
class QueueHistory:
    """Answer to ASK_HISTORY: oldest first, at most the last MAX_QUEUE_ROWS."""

    request: U32
    actions: Annotated[tuple[QueueAction, ...], Field(max_length=MAX_QUEUE_ROWS)]


@dataclass(frozen=True, slots=True)
class Autocat:
    """A rule that disposes of events as they come; what is empty does not matter."""

    number: U64
    """0 in SET_AUTOCAT."""
    rule: Name
    """As in QUEUE_ROW."""
    src: Name
    """Address or CIDR."""
    dst: Name
    sensor: Name
    status: QueueStatus
    comment: Line
    """Why; needed."""
    owner: Name
    """Who made it; not looked at in SET_AUTOCAT."""
    created: I64
    expires: I64
    """0: never."""
    removed: bool
    hits: U64
    """Events that it disposed of."""


@dataclass(frozen=True, slots=True)
class AskAutocats:
    """Send the rules."""

    request: U32


@dataclass(frozen=True, slots=True)
class Autocats:
    """Answer to ASK_AUTOCATS and to SET_AUTOCAT and REMOVE_AUTOCAT: the newest rules, removed ones too."""

    request: U32
    rules: Annotated[tuple[Autocat, ...], Field(max_length=MAX_QUEUE_ROWS)]


@dataclass(frozen=True, slots=True)
class SetAutocat:
    """Make a rule, for what comes from now on."""

    request: U32
    rule: Autocat


@dataclass(frozen=True, slots=True)
class RemoveAutocat:
    """End a rule; what it did stays."""

    request: U32
    number: U64


@dataclass(frozen=True, slots=True)
class QueryWatch:
    """A condition whose sessions come into the queue, those stored already and every one that is stored."""

    number: U64
    """0 in SET_WATCH. Its rule in the queue is watch:NUMBER."""
    name: Name
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    """WHERE ..., without ORDER BY, LIMIT, ONCE and stages."""
    severity: Annotated[int, Field(ge=1, le=4)]
    """1 is the most severe."""
    comment: Line
    notify: bool
    """Whether syslog and webhook are told of its matches."""
    history: bool
    """Whether it looks through what is stored already."""
    expires: I64
    """0: never."""
    owner: Name = ""
    """Who made it. This and all that follows is not looked at in SET_WATCH."""
    created: I64 = 0
    state: Literal["", "looking back", "on", "paused", "expired", "removed"] = ""
    matches: U64 = 0
    """Sessions found."""
    last_match: I64 = 0
    """When the last was, by the server's clock."""
    problem: Line = ""
    """Why it finds nothing, or not all; empty: nothing is wrong."""


@dataclass(frozen=True, slots=True)
class AskWatches:
    """Send the watches."""

    request: U32


@dataclass(frozen=True, slots=True)
class Watches:
    """Answer to ASK_WATCHES, SET_WATCH and CHANGE_WATCH: the newest first, as many as a message holds."""

    request: U32
    watches: Annotated[tuple[QueryWatch, ...], Field(max_length=MAX_WATCHES)]


@dataclass(frozen=True, slots=True)
class SetWatch:
    """Make a watch."""

    request: U32
    watch: QueryWatch


@dataclass(frozen=True, slots=True)
class ChangeWatch:
    """Let a watch rest, go on, or end. What it found stays."""

    request: U32
    number: U64
    action: Literal["pause", "resume", "remove"]
