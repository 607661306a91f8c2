"""Questions, their answers and the pages of these."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from .limits import (
    I64,
    MAX_EXCLUSIONS_TOLD,
    MAX_LATE,
    MAX_QUERY_BYTES,
    MAX_SENSORS_TOLD,
    MAX_UNSEEN,
    U32,
    U64,
    Columns,
    Line,
    Name,
    Rows,
)
from .sets import ExclusionInfo, SetInfo


@dataclass(frozen=True, slots=True)
class Ask:
    """Run a query; `request` names it from now on, unique on the connection."""

    request: U32
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    everything: bool
    """Without LIMIT, page through all that matches, beyond the result's bound, newest first (exports)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a sensor is not known to have watched."""

    start: I64
    end: I64


@dataclass(frozen=True, slots=True)
class Late:
    """A time of which was delivered late what the sensor watched: an answer given before then had a gap there."""

    start: I64
    end: I64
    delivered: I64
    """When the last of it came."""


@dataclass(frozen=True, slots=True)
class SensorCoverage:
    """What one sensor can know about the span that a query asked for."""

    sensor: Name
    first: I64
    """Its first data; 0 if it never delivered any."""
    last: I64
    """Its last data."""
    gaps: Annotated[tuple[Gap, ...], Field(max_length=64)]
    """Gaps within the span, clipped to [first, now] unless it is all to come; the longest, in order of time: at most
    64, fewer (never under three) where an ANSWER's sensors have more than 4,096 to name between them."""
    more_gaps: U64
    """Gaps that are not named."""
    lost: U64
    """Packets lost within the span."""
    quarantined: U64
    """Sessions set aside because their time cannot be."""
    backlog_since: I64
    """Since when batches wait at the agent; 0 if none."""
    revoked: bool = False
    """Locked out: it delivers nothing any more."""
    late: Annotated[tuple[Late, ...], Field(max_length=MAX_LATE)] = ()
    """What came over two minutes after it was over, within the span; the latest delivered, in order of time."""
    more_late: U64 = 0
    """Such times that are not named."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The query's result is ready to be pulled."""

    request: U32
    total: U64
    """Sessions in the result; for `everything` those of the first part."""
    truncated: bool
    """Whether more match than the result holds."""
    limit: U64
    columns: Columns
    sensors: Annotated[dict[int, Name], Field(max_length=65536)]
    """Names of the numbers in the column `sensor`."""
    reading: Line
    """The query in English."""
    span_start: I64
    """Earliest start_time searched: the query's own bound, or the store's oldest session or first time watched."""
    span_end: I64
    """Latest start_time searched: at most the time of asking, unless the span is all to come."""
    conversations: U64
    """Distinct conversations among the observations of the result: same endpoints, overlapping in time. 0 where they
    were not counted: in very large results, and where `everything` goes on beyond the first part."""
    observers: U32
    """Sensors among the result's observations; 0 where `everything` goes on beyond the first part."""
    elapsed: U64
    """Microseconds from ASK to ANSWER on the server."""
    coverage: Annotated[tuple[SensorCoverage, ...], Field(max_length=MAX_SENSORS_TOLD)]
    """The sensors that should have seen what was asked."""
    named: bool = False
    """Whether the query itself named the sensors: then no others are told of."""
    unseen: Annotated[tuple[Name, ...], Field(max_length=MAX_UNSEEN)] = ()
    """Addresses and networks that the query asks about and none of these sensors sees, by networks.toml."""
    more_unseen: U64 = 0
    """Such that are not named."""
    notes: Annotated[tuple[Line, ...], Field(max_length=256)] = ()
    """What else must be known to judge the answer."""
    observations: U64 = 0
    """Of a query with ONCE: the sessions that were told apart into the conversations of the result; else 0."""
    sets: Annotated[tuple[SetInfo, ...], Field(max_length=100)] = ()
    """Named sets that it rests on; `count` is of now, of live ones too. `notes` has a line of each."""
    exclusions: Annotated[tuple[ExclusionInfo, ...], Field(max_length=MAX_EXCLUSIONS_TOLD)] = ()
    """What was left out of it. `notes` has a line of each."""
    by_default: bool = False
    """Whether these were left out without the query's saying so."""
    saved: SetInfo | None = None
    """The set that the query saved."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table."""

    name: Name
    type: Name
    """The numpy type of its values in a packed row; see query/columns.py."""
    kind: Name
    """What its values are: the language's types (time, number, address, ...), or ratio."""
    role: Literal["time", "key", "measure", "unknown"]
    unit: Name = ""
    field: Name = ""
    """The field that it shows, or that it was computed of; empty if it is of the sessions themselves."""


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """Answer to an ASK whose query makes a table of the sessions; its rows are to be pulled, as those of ANSWER are.
    What has the same name there is the same."""

    request: U32
    total: U64
    """Rows of the table."""
    truncated: bool
    """Whether there are more rows than `limit`."""
    limit: U64
    columns: Annotated[tuple[TableColumn, ...], Field(max_length=64)]
    sensors: Annotated[dict[int, Name], Field(max_length=65536)]
    reading: Line
    span_start: I64
    span_end: I64
    query: Annotated[str, Field(max_length=4 * MAX_QUERY_BYTES)]
    """The standard spelling of the query as the server understood it, with the time of asking in it."""
    sessions: U64
    """Sessions that the table was made of."""
    groups: U64
    """Groups of them, before HAVING, TOP and LIMIT."""
    elapsed: U64
    coverage: Annotated[tuple[SensorCoverage, ...], Field(max_length=MAX_SENSORS_TOLD)]
    named: bool = False
    unseen: Annotated[tuple[Name, ...], Field(max_length=MAX_UNSEEN)] = ()
    more_unseen: U64 = 0
    notes: Annotated[tuple[Line, ...], Field(max_length=256)] = ()
    sets: Annotated[tuple[SetInfo, ...], Field(max_length=100)] = ()
    exclusions: Annotated[tuple[ExclusionInfo, ...], Field(max_length=MAX_EXCLUSIONS_TOLD)] = ()
    by_default: bool = False
    saved: SetInfo | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """Send `count` sessions of a result from the `first` on, or as many of them as MAX_BATCH_BYTES hold."""

    request: U32
    first: U64
    count: Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True, slots=True)
class Page:
    """Packed rows of a result, in the columns that ANSWER named."""

    request: U32
    first: U64
    count: U32
    """Places of the result that the page stands for. There are fewer rows where sessions were removed since."""
    rows: Rows
    ended: bool
    """Whether the result holds nothing beyond this page."""
    sightings: Rows = b""
    """Packed records.SIGHTING, of a query with ONCE: who else saw the conversations that the rows stand for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The query is running."""

    request: U32
    read_rows: U64
    elapsed: U64


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a query or drop its result; answered by FAILED with code "cancelled" if it was running."""

    request: U32


@dataclass(frozen=True, slots=True)
class Failed:
    """The request cannot be answered. For a query's text `start` and `end` are character offsets, else -1."""

    request: U32
    code: Name
    reason: Line
    start: Annotated[int, Field(ge=-1, le=MAX_QUERY_BYTES)]
    end: Annotated[int, Field(ge=-1, le=MAX_QUERY_BYTES)]


@dataclass(frozen=True, slots=True)
class AskHints:
    """Tell what else must be known to judge an answered query: what ANSWER does not wait for, since it takes looks of
    its own. Only of a server of protocol 3 or later."""

    request: U32
    """The query's."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What a query's answer leaves out without being wrong. Counts are of sessions; -1 where they were not counted."""

    request: U32
    unjudged: I64
    """For which the condition is neither true nor false, since what it asks about is not known of them."""
    unknown: Annotated[tuple[Name, ...], Field(max_length=64)]
    """What is not known of these: fields, or first_seen."""
    open_before: I64
    """That began before the time that was asked about, were still open then, and match but for their start; -1 too
    where the query has no such time, or asks for these itself."""
    since: I64
    """That time."""
    why: Line
    """Why something was not counted; empty if nothing was left out."""
