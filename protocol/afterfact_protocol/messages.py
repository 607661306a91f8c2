"""Every message two Afterfact processes exchange: one frozen dataclass each, with its limits, and the registry by tag.

docs/protocol.md describes them and is tested against this module. Bytes become messages in codec.py; who may send what
to whom is decided by the server's tables of handlers. Times are integer microseconds since 1970 UTC.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

MAX_BATCH_BYTES = 256 * 1024
"""Rows of one batch or one page; the frame around them stays under transport.MAX_FRAME_BYTES."""
MAX_CREDIT = 16
"""Most batches an agent may have sent and not yet seen acknowledged."""
FIRST_CREDIT = 4
"""The same in version 1 of the protocol."""
MAX_OPENS = 8
"""Most OPENs an agent may have sent and not yet seen answered."""
MAX_RANGES = 4096
"""Most ranges of batch numbers that OPENED names."""
MAX_SENSORS_TOLD = 4096
"""Most sensors that one ANSWER or STATUS speaks of."""
MAX_LATE = 16
"""Most late deliveries told of one sensor."""
MAX_UNSEEN = 16
"""Most addresses and networks told that no sensor sees."""
VITALS_SPAN = 600 * 1_000_000
"""Microseconds that a sensor's last while is: what VITALS count."""
MAX_POINTS = 1000
"""Most points that one SENSOR_HEALTH tells of a sensor's past."""
MAX_ALARMS_TOLD = 1024
MAX_NETWORKS_TOLD = 1024
MAX_QUERY_BYTES = 16 * 1024
MAX_QUEUE_ROWS = 500
"""Most rows of the queue, events or actions that one message tells of or acts on."""
MAX_WATCHES = 1000
"""Watches that a server has, removed and expired ones not counted, and that one message tells of."""
MAX_SETS_TOLD = 2000
MAX_EXCLUSIONS_TOLD = 200
MAX_COMMENTS = 4096
"""Values of one message that something is said of."""

U64 = Annotated[int, Field(ge=0, lt=1 << 64)]
U32 = Annotated[int, Field(ge=0, lt=1 << 32)]
I64 = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Name = Annotated[str, Field(max_length=255)]
Line = Annotated[str, Field(max_length=4096)]
StreamId = Annotated[bytes, Field(min_length=16, max_length=16)]
Digest = Annotated[bytes, Field(max_length=32)]
Rows = Annotated[bytes, Field(max_length=MAX_BATCH_BYTES)]
Columns = Annotated[tuple[tuple[Name, Name], ...], Field(max_length=64)]
"""Names and numpy types of a packed record, in order: ("start_time", "<i8"), ..."""
QueueStatus = Annotated[int, Field(ge=0, le=9)]
"""0 open, 1 to 7 the categories I to VII, 8 no action, 9 escalated."""
StreamKind = Literal["live", "files", "import"]
SetKind = Literal["address", "port", "endpoint", "community_id", "session"]
"""What the values of a named set are."""
SetMode = Literal["new", "replace", "add", "remove"]
"""What becomes of values that are brought in."""
SensorState = Literal["up", "late", "lagging", "losing", "blind", "down", "never", "done", "revoked"]
"""One word for a sensor; docs/operations.md defines them."""
WORST_FIRST: tuple[SensorState, ...] = (
    "down", "blind", "losing", "lagging", "late", "up", "done", "revoked", "never",
)  # fmt: skip

# --- both ports -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """First message on every connection. Its shape never changes, so that any two versions can refuse each other."""

    program: Name
    software: Name
    lowest: U32
    """Oldest protocol version the sender speaks."""
    highest: U32
    """Newest protocol version the sender speaks."""
    schema: U32
    """Version of the session record the sender was built with."""
    time: I64


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answer to HELLO: the conversation is open, in this protocol version."""

    protocol: U32
    software: Name
    store: StreamId
    """Identity of the session store; another one means that it was made anew or restored elsewhere."""
    time: I64
    name: Name
    """The name under which the peer's key is enrolled."""
    credit: U32
    """Batches the peer may send at once (0 at the consoles' port)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The conversation is over; `reason` is one line for a person, `code` one of docs/protocol.md's list."""

    code: Name
    reason: Line


# --- sensors' port ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """The agent has batches of this stream, or will have."""

    stream: StreamId
    kind: StreamKind
    content: Digest
    """Files: hash of their contents in order, whatever the meter; a second stream of the same content is refused."""
    meter: Name
    """Meter, version and settings that made it."""
    replace: bool
    """Remove what an older stream of the same content brought."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the store durably has of the stream, as closed ranges of batch numbers: the longest MAX_RANGES. A batch that
    they leave out is acknowledged at once when it comes again."""

    stream: StreamId
    have: Annotated[tuple[tuple[U64, U64], ...], Field(max_length=MAX_RANGES)]


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """The stream must not be sent; its batches stay in the agent's spool."""

    stream: StreamId
    code: Name
    reason: Line


@dataclass(frozen=True, slots=True)
class Observed:
    """An interval in which the sensor was watching; part of a batch."""

    start: I64
    end: I64
    kind: StreamKind
    what: Line
    """File name or interface."""
    packets: U64
    lost: U64
    """Packets known to be lost in it: dropped by kernel or interface, undecodable, cut off."""
    note: Line
    """What a reader must know (a damaged file, say); mostly empty."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Part number `seq` of a stream: packed records and events, and the intervals observed that were not yet told."""

    stream: StreamId
    seq: U64
    spooled: I64
    """The agent's clock when it wrote the batch to its spool."""
    schema: U32
    columns: Columns
    rows: Rows
    observed: Annotated[tuple[Observed, ...], Field(max_length=256)]
    event_columns: Columns = ()
    """Names and numpy types of an event, as `columns` of a session."""
    events: Rows = b""
    """Packed events (event.py); with `rows` at most MAX_BATCH_BYTES. Only for a server of protocol 3 or later: an
    earlier one would pass over them."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The batch is durable in the store, or was already."""

    stream: StreamId
    seq: U64
    stored: U64
    quarantined: U64
    credit: U32
    """Batches the agent may send on top of what it was granted."""
    expired: U64 = 0
    """Sessions and events of days that retention dropped: acknowledged, and not stored."""


@dataclass(frozen=True, slots=True)
class BatchRefused:
    """The batch cannot be taken in, whenever it is sent; the agent keeps it aside and says so."""

    stream: StreamId
    seq: U64
    code: Name
    reason: Line
    credit: U32


@dataclass(frozen=True, slots=True)
class Report:
    """The agent's state, every 10 s and after each change that matters."""

    time: I64
    backlog_batches: U64
    backlog_bytes: U64
    backlog_since: I64
    """When the oldest batch not yet acknowledged was spooled; 0 with no backlog."""
    counters: Annotated[dict[Name, I64], Field(max_length=256)]
    """Named counts since the agent's start: packets, undecodable packets by reason, evictions, ... docs/protocol.md
    lists those that the server knows."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Answer to REPORT and to ALIVE; shows the peer that the server lives."""

    time: I64


# --- consoles' port ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    """Until it is answered by LOGGED_IN, nothing but HELLO and a login is decoded."""

    user: Name
    password: Annotated[str, Field(max_length=1024)]


@dataclass(frozen=True, slots=True)
class LoginToken:
    """The login of a script."""

    token: Annotated[str, Field(max_length=1024)]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The account's name and role, and what it may."""

    user: Name
    role: Name
    scopes: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """What the token is for; of a password's login none, and whatever the role may."""
    limits: Annotated[str, Field(max_length=65536)] = ""
    """Which sessions alone it may see, in words; empty: all."""
    expires: I64 = 0
    """When the session ends at the latest; 0: not by itself."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The console is still there and wants its results kept, and wants to know that the server is; every 25 s."""


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
class SetInfo:
    """A named set, or one of the versions that it had, without its values."""

    name: Name
    """Without its `@`."""
    number: U32
    """Of the version, counted from 1 for each name."""
    action: Name
    """What made it: save, import, add, remove; or delete, which left no set."""
    kind: SetKind
    live: bool
    """Whether its query is asked anew whenever it is used."""
    query: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    """What found its values, or finds them; empty where they were brought in. Cut to 300 characters in a list."""
    field: Name
    """Of which field of those sessions the values are."""
    by: Name
    made: I64
    count: U64
    """Values; of a live set when it was saved."""
    networks: U64
    """Addresses among them that are networks."""
    coverage: Line
    """What was watched of the query's time when it was saved."""
    note: Line


@dataclass(frozen=True, slots=True)
class ExclusionInfo:
    """A shared exclusion."""

    name: Name
    number: U32
    condition: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    """Sessions of which it is true are left out."""
    by_default: bool
    """Whether queries without EXCLUDING leave them out."""
    expires: I64
    """From then on it leaves nothing out; 0: never."""
    by: Name
    made: I64
    note: Line


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
class AskStatus:
    """Tell the state of all sensors and of the store."""

    request: U32


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """One interface of a live sensor, counted since the agent's start."""

    name: Name
    open: bool
    """Whether it is captured from; False while it is gone."""
    captured: U64
    dropped: U64


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a sensor's agents report of themselves. Counts are of the last `span`."""

    why: Line
    """What makes up its state, in words; empty where that is plain."""
    blind_since: I64
    """Since when it sees nothing; 0 if it is not blind."""
    reported: I64
    """The server's time of the last report."""
    span: U64
    """Microseconds that the counts are of: ten minutes, or as long as there are reports."""
    packets: U64
    """Packets captured or read."""
    kernel_dropped: U64
    """Packets that the kernel had no room for."""
    interface_dropped: U64
    """Packets that the interfaces or their drivers dropped."""
    spool_dropped: U64
    """Sessions that gave way because more waited for the server than the spool may hold."""
    undecoded: Annotated[dict[Name, U64], Field(max_length=64)]
    """Packets that could not be decoded, by reason; without those of which there were none."""
    evicted: U64
    """Sessions that ended early to make room."""
    delivered: U64
    """Session records that were acknowledged."""
    drain_rate: U64
    """Session records a second acknowledged over the last minute."""
    open_sessions: U64
    """At the last report."""
    backlog_bytes: U64
    started: I64
    """When the agent was started, by its clock; of several the latest."""
    interfaces: Annotated[tuple[InterfaceState, ...], Field(max_length=32)]
    address: Name
    """From where it connected last; empty if that is not known."""


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """One sensor as the server knows it."""

    name: Name
    net: Name
    state: SensorState
    last_contact: I64
    first_data: I64
    last_data: I64
    """End of its newest observed interval."""
    sessions: U64
    """Rows stored from it."""
    quarantined: U64
    backlog_batches: U64
    backlog_since: I64
    lost: U64
    clock_offset: I64
    """The agent's clock minus the server's at its last report, microseconds."""
    software: Name
    vitals: Vitals | None = None
    """None if it never reported; and of those in the best state where a STATUS cannot hold all."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody must look after, from when it was raised until it is cleared."""

    kind: Literal["down", "blind", "losing", "lagging", "clock", "quarantine", "disk"]
    subject: Name
    """A sensor's name; empty if it is about the server."""
    since: I64
    text: Line


@dataclass(frozen=True, slots=True)
class Status:
    """Answer to ASK_STATUS."""

    request: U32
    time: I64
    software: Name
    sessions: U64
    oldest: I64
    newest: I64
    disk_bytes: U64
    sensors: Annotated[tuple[SensorStatus, ...], Field(max_length=MAX_SENSORS_TOLD)]
    disk_free: U64 = 0
    """Bytes free where the store lies; 0 with `disk_total` 0: not known."""
    disk_total: U64 = 0
    alarms: Annotated[tuple[Alarm, ...], Field(max_length=MAX_ALARMS_TOLD)] = ()
    """Raised and not cleared, the oldest first."""
    networks: Annotated[tuple[Name, ...], Field(max_length=MAX_NETWORKS_TOLD)] = ()
    """Names of networks that queries can ask for."""
    events: Annotated[dict[Name, U64], Field(max_length=MAX_SENSORS_TOLD)] = field(default_factory=dict)
    """Events (alerts) stored, of the sensors that have some."""
    events_set_aside: Annotated[dict[Name, U64], Field(max_length=MAX_SENSORS_TOLD)] = field(default_factory=dict)
    """Events set aside because their time cannot be, of the sensors that have some."""


@dataclass(frozen=True, slots=True)
class AskHealth:
    """Tell how a sensor fared from `start` to `end`, in at most `points` steps of equal length."""

    request: U32
    sensor: Name
    start: I64
    end: I64
    points: Annotated[int, Field(ge=1, le=MAX_POINTS)]


@dataclass(frozen=True, slots=True)
class HealthPoint:
    """What a sensor reported in one step of time. Counts are of the step; levels the worst in it."""

    start: I64
    reports: U64
    packets: U64
    kernel_dropped: U64
    interface_dropped: U64
    spool_dropped: U64
    undecoded: Annotated[dict[Name, U64], Field(max_length=64)]
    evicted: U64
    delivered: U64
    """Session records acknowledged."""
    open_sessions: U64
    backlog_batches: U64
    backlog_age: U64
    """Microseconds that the oldest batch had waited."""
    clock_offset: I64
    """The largest, whatever its sign."""
    interfaces_missing: U64


@dataclass(frozen=True, slots=True)
class SensorHealth:
    """Answer to ASK_HEALTH. Steps without a report are left out: nothing is known of them."""

    request: U32
    sensor: Name
    start: I64
    end: I64
    step: U64
    """Microseconds from one point to the next."""
    points: Annotated[tuple[HealthPoint, ...], Field(max_length=MAX_POINTS)]


@dataclass(frozen=True, slots=True)
class AskEvents:
    """Send the events from `start` to `end`, newest first, each with the session that it belongs to; as many of
    `count` as MAX_BATCH_BYTES hold."""

    request: U32
    start: I64
    end: I64
    """Both ends belong to it."""
    count: Annotated[int, Field(ge=1, le=4096)]
    sensor: Name = ""
    """Of this sensor only."""
    signature: U32 | None = None
    """With this signature_id only."""
    after: tuple[I64, U32, U64] | None = None
    """Those that follow this one in that order: its time, sensor and event_id. None: from the newest on."""


@dataclass(frozen=True, slots=True)
class EventsFound:
    """Answer to ASK_EVENTS."""

    request: U32
    columns: Columns
    """Of event.EVENT_FOUND."""
    rows: Rows
    sensors: Annotated[dict[int, Name], Field(max_length=65536)]
    """Names of the numbers in the columns `sensor` and `session_sensor`."""
    ended: bool
    """Whether there is none after these."""


@dataclass(frozen=True, slots=True)
class AskSets:
    """Tell all named sets, or with a name every version that this one had, oldest first."""

    request: U32
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Sets:
    """Answer to ASK_SETS."""

    request: U32
    sets: Annotated[tuple[SetInfo, ...], Field(max_length=MAX_SETS_TOLD)]
    more: U64 = 0
    """Such as are not named for want of room."""


@dataclass(frozen=True, slots=True)
class AskSetValues:
    """Send `count` values of a set from the `first` on, or as many as MAX_BATCH_BYTES hold. Of a live set those that
    its query finds now: from 0 on it is asked anew, later parts are of that answer."""

    request: U32
    name: Name
    number: U32
    """A version; 0: what counts now."""
    first: U64
    count: Annotated[int, Field(ge=1, le=65536)]


@dataclass(frozen=True, slots=True)
class SetValues:
    """Answer to ASK_SET_VALUES."""

    request: U32
    info: SetInfo
    first: U64
    values: Rows
    """Packed, as sets.DTYPES has them for the kind."""
    comments: Annotated[dict[U64, Line], Field(max_length=MAX_COMMENTS)]
    """What is said of some of these values, by their place from 0 in this part."""
    sensors: Annotated[dict[int, Name], Field(max_length=65536)]
    """Of a set of sessions: names of the numbers in their keys."""
    ended: bool


@dataclass(frozen=True, slots=True)
class SaveSet:
    """Save what a query finds under a name: the values of a field, once (frozen) or whenever it is used (live)."""

    request: U32
    name: Name
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    field: Name
    """`session` for the sessions themselves."""
    live: bool = False
    replace: bool = False
    """A set of that name gives way and stays in its history; without it it is refused, and whose it is is said."""
    note: Line = ""


@dataclass(frozen=True, slots=True)
class PutSet:
    """Part number `part`, from 0, of values to save under a name; answered after the `last`, or when it is refused."""

    request: U32
    name: Name
    kind: SetKind
    mode: SetMode
    part: U32
    last: bool
    values: Rows
    comments: Annotated[dict[U64, Line], Field(max_length=MAX_COMMENTS)]
    """As in SET_VALUES."""
    note: Line = ""


@dataclass(frozen=True, slots=True)
class RemoveSet:
    """Delete a set; its history stays."""

    request: U32
    name: Name


@dataclass(frozen=True, slots=True)
class SetSaved:
    """Answer to SAVE_SET, PUT_SET and REMOVE_SET: the version that it made."""

    request: U32
    info: SetInfo


@dataclass(frozen=True, slots=True)
class AskExclusions:
    """Tell all shared exclusions, expired ones too."""

    request: U32


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Answer to ASK_EXCLUSIONS."""

    request: U32
    exclusions: Annotated[tuple[ExclusionInfo, ...], Field(max_length=MAX_EXCLUSIONS_TOLD)]


@dataclass(frozen=True, slots=True)
class SaveExclusion:
    """Make a shared exclusion."""

    request: U32
    name: Name
    condition: Annotated[str, Field(max_length=4096)]
    expires: I64 = 0
    """0: never."""
    by_default: bool = False
    replace: bool = False
    note: Line = ""


@dataclass(frozen=True, slots=True)
class RemoveExclusion:
    """Take a shared exclusion away for all."""

    request: U32
    name: Name


@dataclass(frozen=True, slots=True)
class ExclusionSaved:
    """Answer to SAVE_EXCLUSION and REMOVE_EXCLUSION: the exclusion as it is or was."""

    request: U32
    info: ExclusionInfo
    removed: bool = False


@dataclass(frozen=True, slots=True)
class AskRemoved:
    """Count what each exclusion leaves out of a query's answer."""

    request: U32
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What one exclusion leaves out of an answer."""

    name: Name
    sessions: U64
    """That the query would find without any exclusion and this one is of; another may be of some of them too."""
    text: Annotated[str, Field(max_length=2 * MAX_QUERY_BYTES)]
    """A query that finds them."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Answer to ASK_REMOVED."""

    request: U32
    sessions: U64
    """That all exclusions together leave out."""
    exclusions: Annotated[tuple[LeftOut, ...], Field(max_length=MAX_EXCLUSIONS_TOLD)]


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


@dataclass(frozen=True, slots=True)
class AskAudit:
    """Send records of the audit, newest first; what is empty does not matter."""

    request: U32
    count: Annotated[int, Field(ge=1, le=4096)]
    of_kind: Name = ""
    of_user: Name = ""
    first: Name = ""
    """Not before this time, ISO 8601 in UTC."""
    last: Name = ""
    before: U64 = 0
    """Those numbered below it; 0: from the newest on."""


@dataclass(frozen=True, slots=True)
class AuditFound:
    """Answer to ASK_AUDIT: as many records as were found in one look, perhaps none."""

    request: U32
    records: Annotated[tuple[Annotated[str, Field(max_length=MAX_BATCH_BYTES)], ...], Field(max_length=4096)]
    """Each a JSON object."""
    reached: U64
    """Ask on with this `before`; 1: there is nothing more."""


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


Message = (
    Hello | Welcome | Refused
    | Open | Opened | StreamRefused | Batch | Ack | BatchRefused | Report | Reported
    | Login | LoginToken | LoggedIn | Alive | Ask | Answer | TableAnswer | Pull | Page | Progress | Cancel | Failed
    | AskStatus | Status | AskHealth | SensorHealth | AskEvents | EventsFound | AskHints | Hints
    | AskSets | Sets | AskSetValues | SetValues | SaveSet | PutSet | RemoveSet | SetSaved
    | AskExclusions | Exclusions | SaveExclusion | RemoveExclusion | ExclusionSaved | AskRemoved | Removed
    | AskAudit | AuditFound
    | AskQueue | QueueRows | QueueChanged | Triage | Triaged | AskQueueEvents | QueueEvents | AskHistory | QueueHistory
    | AskAutocats | Autocats | SetAutocat | RemoveAutocat
    | AskWatches | Watches | SetWatch | ChangeWatch
)  # fmt: skip

TAGS: dict[str, type[Message]] = {
    "hello": Hello,
    "welcome": Welcome,
    "refused": Refused,
    "open": Open,
    "opened": Opened,
    "stream_refused": StreamRefused,
    "batch": Batch,
    "ack": Ack,
    "batch_refused": BatchRefused,
    "report": Report,
    "reported": Reported,
    "login": Login,
    "login_token": LoginToken,
    "logged_in": LoggedIn,
    "alive": Alive,
    "ask": Ask,
    "answer": Answer,
    "table": TableAnswer,
    "pull": Pull,
    "page": Page,
    "progress": Progress,
    "cancel": Cancel,
    "failed": Failed,
    "ask_status": AskStatus,
    "status": Status,
    "ask_health": AskHealth,
    "sensor_health": SensorHealth,
    "ask_events": AskEvents,
    "events": EventsFound,
    "ask_sets": AskSets,
    "sets": Sets,
    "ask_set_values": AskSetValues,
    "set_values": SetValues,
    "save_set": SaveSet,
    "put_set": PutSet,
    "remove_set": RemoveSet,
    "set_saved": SetSaved,
    "ask_exclusions": AskExclusions,
    "exclusions": Exclusions,
    "save_exclusion": SaveExclusion,
    "remove_exclusion": RemoveExclusion,
    "exclusion_saved": ExclusionSaved,
    "ask_removed": AskRemoved,
    "removed": Removed,
    "ask_hints": AskHints,
    "hints": Hints,
    "ask_audit": AskAudit,
    "audit": AuditFound,
    "ask_queue": AskQueue,
    "queue": QueueRows,
    "queue_changed": QueueChanged,
    "triage": Triage,
    "triaged": Triaged,
    "ask_queue_events": AskQueueEvents,
    "queue_events": QueueEvents,
    "ask_history": AskHistory,
    "history": QueueHistory,
    "ask_autocats": AskAutocats,
    "autocats": Autocats,
    "set_autocat": SetAutocat,
    "remove_autocat": RemoveAutocat,
    "ask_watches": AskWatches,
    "watches": Watches,
    "set_watch": SetWatch,
    "change_watch": ChangeWatch,
}
"""Tag on the wire -> message."""
