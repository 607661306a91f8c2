"""The sensors' port: streams, batches and reports."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from .limits import I64, MAX_RANGES, U32, U64, Columns, Digest, Line, Name, Rows, StreamId, StreamKind


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
