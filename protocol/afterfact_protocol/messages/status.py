"""How sensors and store are, and the alerts that are stored."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from .limits import (
    I64,
    MAX_ALARMS_TOLD,
    MAX_NETWORKS_TOLD,
    MAX_POINTS,
    MAX_SENSORS_TOLD,
    U32,
    U64,
    Columns,
    Line,
    Name,
    Rows,
    SensorState,
)


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
    home: Annotated[tuple[Name, ...], Field(max_length=MAX_NETWORKS_TOLD)] | None = None
    """The home networks, each as CIDR; None: not told, since they are too many or the server does not tell them."""


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
