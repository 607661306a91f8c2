"""The event record: what an intrusion detection system says of one packet or flow, in one table, EVENT_FIELDS.

As with sessions (session.py), the packed dtype that importers fill, the bytes on the wire and ClickHouse's RowBinary
are the same. An event names no session by key: that is looked for when it is shown, by the meter's flow id, else by
endpoints and time. This module owns names, types, checks and identity; it reads no alerts.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from afterfact_protocol.codec import WireError
from afterfact_protocol.records import ColumnTypes, Records
from afterfact_protocol.session import ADDRESS_BYTES, FOREIGN_ID_BYTES, Field, Kind, Role, Source, packed

SIGNATURE_BYTES = 160
CATEGORY_BYTES = 64


class Action(IntEnum):
    """What the sensor did with the packet."""

    UNKNOWN = 0
    ALLOWED = 1
    BLOCKED = 2
    """Dropped or rejected."""
    WOULD_BLOCK = 3
    """It would have been blocked, were the sensor in line."""


_TIME = ("<i8", "DateTime64(6, 'UTC')")
_U8, _U16, _U32, _U64 = ("u1", "UInt8"), ("<u2", "UInt16"), ("<u4", "UInt32"), ("<u8", "UInt64")
_ADDRESS = (f"V{ADDRESS_BYTES}", "IPv6")
_DELTA, _PLAIN, _INTEGER = "Delta, ZSTD(1)", "ZSTD(1)", "T64, ZSTD(1)"
_I, _S = Role.IDENTITY, Role.STAMP


def _text(size: int) -> tuple[str, str]:
    return f"S{size}", f"FixedString({size})"


EVENT_FIELDS: tuple[Field, ...] = (
    Field(0, "time", *_TIME, _DELTA, Kind.TIME, _I, "Time", "when it was raised", "UTC"),
    Field(1, "event_id", *_U64, _PLAIN, Kind.IDENT, _I, "Event ID", "hash of what the alert says: the same alert read "
          "again is the same event"),
    Field(2, "gid", *_U32, _INTEGER, Kind.NUMBER, _I, "GID", "generator of the signature", nullable=True),
    Field(3, "signature_id", *_U32, _INTEGER, Kind.NUMBER, _I, "SID", "number of the signature"),
    Field(4, "rev", *_U32, _INTEGER, Kind.NUMBER, _I, "Rev", "revision of the signature", nullable=True),
    Field(5, "severity", *_U8, _PLAIN, Kind.NUMBER, _I, "Severity", "as the sensor ranks it; 1 is the most severe",
          nullable=True),
    Field(6, "proto", *_U8, _PLAIN, Kind.PROTO, _I, "Proto", "IP protocol", nullable=True),
    Field(7, "action", *_U8, _PLAIN, Kind.NAME, _I, "Action", "what the sensor did", names=Action),
    Field(8, "src_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _I, "Src IP", "sender of the packet, as the alert says; not "
          "always the originator of the session", nullable=True),
    Field(9, "src_port", *_U16, _INTEGER, Kind.PORT, _I, "SPort", "port of the sender", nullable=True),
    Field(10, "dst_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _I, "Dst IP", "receiver of the packet", nullable=True),
    Field(11, "dst_port", *_U16, _INTEGER, Kind.PORT, _I, "DPort", "port of the receiver", nullable=True),
    Field(12, "foreign_id", *_text(FOREIGN_ID_BYTES), _PLAIN, Kind.TEXT, _I, "Foreign ID", "what its meter calls the "
          "flow (Suricata's flow_id): the session with this id is the one it belongs to", nullable=True),
    Field(13, "source", *_U8, _PLAIN, Kind.NAME, _I, "Source", "what raised it", names=Source),
    Field(14, "signature", *_text(SIGNATURE_BYTES), _PLAIN, Kind.TEXT, _I, "Signature", "its text, UTF-8, cut at a "
          "character's end to fit", encoding="utf-8"),
    Field(15, "category", *_text(CATEGORY_BYTES), _PLAIN, Kind.TEXT, _I, "Category", "class of the signature, as text",
          nullable=True, encoding="utf-8"),
    Field(16, "absent", *_U64, _PLAIN, Kind.IDENT, _I, "Absent", "bit set, by field number, of what the source did not "
          "say"),
    Field(17, "sensor", *_U16, _PLAIN, Kind.SENSOR, _S, "Sensor", "the sensor that delivered it"),
    Field(18, "ingest_time", *_TIME, _DELTA, Kind.TIME, _S, "Stored", "time the server stored it", "UTC"),
    Field(19, "stream", "V16", "FixedString(16)", _PLAIN, Kind.BYTES, _S, "Stream", "the stream that brought it"),
    Field(20, "seq", *_U64, _DELTA, Kind.NUMBER, _S, "Batch", "number of the batch in its stream"),
    Field(24, "number", *_U32, _DELTA, Kind.IDENT, _S, "No", "the server's number of it, from 1 in the order of "
          "storing: what queries call it by, as in DURING event(4711)"),
)  # fmt: skip

SESSION_FIELDS: tuple[Field, ...] = (
    Field(21, "session_start", *_TIME, _DELTA, Kind.TIME, _S, "Session start", "key of the session that it belongs to, "
          "looked for when it is shown", "UTC", nullable=True),
    Field(22, "session_sensor", *_U16, _PLAIN, Kind.SENSOR, _S, "Session sensor", "the sensor that observed the "
          "session", nullable=True),
    Field(23, "session_id", *_U64, _PLAIN, Kind.IDENT, _S, "Session ID", "the session's id", nullable=True),
)  # fmt: skip
"""Beside an event that is shown. Absent where no session fits."""

EVENT_BY_NAME: dict[str, Field] = {field.name: field for field in (*EVENT_FIELDS, *SESSION_FIELDS)}

EVENT: np.dtype[np.void] = packed(tuple(field for field in EVENT_FIELDS if field.role is not Role.STAMP))
"""dtype of an event as an importer makes it and as a batch carries it."""

EVENT_ROW: np.dtype[np.void] = packed(EVENT_FIELDS)
"""dtype of an event as the store keeps it."""

EVENT_FOUND: np.dtype[np.void] = packed((*EVENT_FIELDS, *SESSION_FIELDS))
"""dtype of an event as it is shown: with its session's key."""

EVENT_KEY: tuple[str, ...] = ("time", "sensor", "event_id")
"""What makes a row one event at a sensor; the store's sorting key."""


def event_columns(dtype: np.dtype[np.void]) -> ColumnTypes:
    """Names and numpy types of EVENT or EVENT_FOUND, as messages carry them."""
    return tuple((name, EVENT_BY_NAME[name].dtype) for name in dtype.names or ())


EVENT_COLUMNS = event_columns(EVENT)

Events = Records
"""One-dimensional structured array of EVENT or EVENT_ROW."""

_NAMING = ("time", "gid", "signature_id", "rev", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "foreign_id",
           "source")  # fmt: skip
"""What `identify` hashes: not the texts, which a ruleset may word anew, nor the ranks that it gives."""
_MIX, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""The constants of splitmix64."""


def event_absent_bits(*names: str) -> int:
    """The `absent` bit set that says that the source did not give these fields."""
    bits = 0
    for name in names:
        field = EVENT_BY_NAME[name]
        if not field.nullable:
            raise ValueError(f"{name} is never absent")
        bits |= 1 << field.id
    return bits


def identify(events: Events) -> None:
    """Set `event_id` from the fields that name an event: the same alert has the same id wherever it is read."""
    parts = [np.ascontiguousarray(events[name]).view(np.uint8) for name in _NAMING]
    content = np.concatenate([p.reshape(len(events), len(p) // max(1, len(events))) for p in parts], axis=1)
    padded = np.zeros((len(events), -(-content.shape[1] // 8) * 8), np.uint8)
    padded[:, : content.shape[1]] = content
    state = np.full(len(events), 0x9E3779B97F4A7C15, np.uint64)
    for word in padded.view("<u8").T:
        state = _mixed(state ^ word)
    events["event_id"] = state


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64's finish, which spreads every bit over all; products wrap."""
    state = (state ^ (state >> np.uint64(30))) * _MIX
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


def events_from_bytes(columns: ColumnTypes, data: bytes, target: np.dtype[np.void] = EVENT) -> Events:
    """Rows in the layout `columns` as an array of `target`, by name: what is missing is zero and marked absent.

    WireError for a column this side does not know, one of another type, or bytes that do not divide into rows.
    """
    if not columns and not data:
        return np.zeros(0, target)
    layout = target if columns == event_columns(target) else _layout(columns, target)
    if layout.itemsize == 0 or len(data) % layout.itemsize:
        raise WireError(f"{len(data)} bytes are no whole number of {layout.itemsize}-byte events")
    array = np.frombuffer(data, layout)
    if layout is target:
        return array
    assert target.names is not None and layout.names is not None
    events = np.zeros(len(array), target)
    for name in layout.names:
        events[name] = array[name]
    missing = (EVENT_BY_NAME[name] for name in target.names if name not in layout.names)
    events["absent"] |= np.uint64(sum(1 << field.id for field in missing if field.nullable))
    return events


def _layout(columns: ColumnTypes, target: np.dtype[np.void]) -> np.dtype[np.void]:
    for name, dtype in columns:
        if name not in (target.names or ()):
            raise WireError(f"unknown column {name!r} of events: the sender is newer; update this side")
        if dtype != EVENT_BY_NAME[name].dtype:
            raise WireError(f"column {name} of events has type {dtype!r}, expected {EVENT_BY_NAME[name].dtype!r}")
    if len({name for name, _ in columns}) != len(columns):
        raise WireError("a column of events is named twice")
    return np.dtype([(name, dtype) for name, dtype in columns])


def check_events(events: Events) -> None:
    """WireError unless every named value has a name, and what is absent may be absent and holds nothing."""
    if not len(events):
        return
    may_be = 0
    for name in EVENT.names or ():
        field = EVENT_BY_NAME[name]
        if (
            field.kind is Kind.NAME
            and field.names is not None
            and (highest := int(events[name].max())) > max(field.names)
        ):
            raise WireError(f"{name} {highest} of an event has no name on this side; update it")
        if not field.nullable:
            continue
        may_be |= 1 << field.id
        said = events[(events["absent"] >> np.uint64(field.id) & np.uint64(1)) == 1]
        if np.any(np.ascontiguousarray(said[name]).view(np.uint8)):
            raise WireError(f"{name} of an event is said to be absent and has a value")
    if np.any(events["absent"] & ~np.uint64(may_be)):
        raise WireError("`absent` of an event names a field that is never absent")
