"""Packed records as they travel: the columns that describe them, and arrays from the bytes of any schema version."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from afterfact_protocol.codec import WireError
from afterfact_protocol.session import BY_NAME, KEY, RECORD, RECORD_FIELDS, ROW, Kind

SIGHTING = np.dtype([("row", "<u4"), *((name, BY_NAME[name].dtype) for name in (*KEY, "end_time"))])
"""Another observation of the conversation that a row of a page stands for, of a query with ONCE: `row` counts the
page's rows from 0."""

Records = npt.NDArray[np.void]
"""One-dimensional structured array of RECORD or ROW."""
ColumnTypes = tuple[tuple[str, str], ...]


def columns_of(dtype: np.dtype[np.void]) -> ColumnTypes:
    """Names and numpy types of a packed dtype, as BATCH and ANSWER carry them."""
    assert dtype.fields is not None
    return tuple((name, BY_NAME[name].dtype) for name in dtype.fields)


RECORD_COLUMNS = columns_of(RECORD)
ROW_COLUMNS = columns_of(ROW)


def from_bytes(columns: ColumnTypes, data: bytes, target: np.dtype[np.void] = RECORD) -> Records:
    """Rows in the layout `columns` as an array of `target`, by name: what is missing is zero and marked absent.

    WireError for a column this side does not know, one of another type, or bytes that do not divide into rows.
    """
    if columns == columns_of(target):
        layout = target
    else:
        for name, dtype in columns:
            if name not in BY_NAME:
                raise WireError(f"unknown column {name!r}: the sender is newer; update this side")
            if dtype != BY_NAME[name].dtype:
                raise WireError(f"column {name} has type {dtype!r}, expected {BY_NAME[name].dtype!r}")
        if len({name for name, _ in columns}) != len(columns):
            raise WireError("a column is named twice")
        layout = np.dtype([(name, dtype) for name, dtype in columns])
    if layout.itemsize == 0 or len(data) % layout.itemsize:
        raise WireError(f"{len(data)} bytes are no whole number of {layout.itemsize}-byte records")
    array = np.frombuffer(data, layout)
    if layout is target:
        return array
    rows = np.zeros(len(array), target)
    assert target.names is not None and layout.names is not None
    for name in target.names:
        if name in layout.names:
            rows[name] = array[name]
    missing = [name for name in target.names if name not in layout.names]
    rows["absent"] |= np.uint64(sum(1 << BY_NAME[name].id for name in missing if BY_NAME[name].nullable))
    return rows


def sightings_from_bytes(data: bytes) -> Records:
    """A page's SIGHTINGs. WireError for bytes that are no whole number of them."""
    if len(data) % SIGHTING.itemsize:
        raise WireError(f"{len(data)} bytes are no whole number of {SIGHTING.itemsize}-byte sightings")
    return np.frombuffer(data, SIGHTING)


def check(records: Records) -> None:
    """WireError unless every named value has a name, what is absent is a nullable field and holds zero (the store's
    queries rest on that), and no session ends before it starts."""
    for field in RECORD_FIELDS:
        if field.kind is Kind.NAME and field.names is not None and len(records):
            highest = int(records[field.name].max())
            if highest > max(field.names):
                raise WireError(f"{field.name} {highest} has no name in schema version of this side")
    if len(records):
        _check_absent(np.ascontiguousarray(records))
    if np.any(records["end_time"] < records["start_time"]):
        raise WireError("a session ends before it starts")


def _check_absent(records: Records) -> None:
    """Of few patterns of absent fields, each looked for at once: a comparison for every field took most of ingest's
    time of its own."""
    nullable = sum(1 << field.id for field in RECORD_FIELDS if field.nullable)
    patterns, which = np.unique(records["absent"], return_inverse=True)
    content = records.view(np.uint8).reshape(len(records), records.itemsize)
    for number, pattern in enumerate(patterns.tolist()):
        if pattern & ~nullable:
            raise WireError("`absent` names a field that is never absent")
        said = content if len(patterns) == 1 else content[which == number]
        if np.any(np.bitwise_or.reduce(said, axis=0) & _bytes_of(pattern)):
            valued = (f.name for f in RECORD_FIELDS if pattern >> f.id & 1 and np.any(_field(said, f.name)))
            raise WireError(f"{next(valued)} is said to be absent and has a value")


@lru_cache(4096)  # a sensor may send any
def _bytes_of(pattern: int) -> npt.NDArray[np.uint8]:
    """A record's bytes that are of the fields in a pattern of `absent`: 255; of others: 0."""
    mask = np.zeros(1, RECORD).view(np.uint8)
    for field in RECORD_FIELDS:
        if pattern >> field.id & 1:
            _field(mask[np.newaxis], field.name)[:] = 255
    return mask


def _field(content: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
    """The bytes of a field, of records as bytes."""
    assert RECORD.fields is not None
    dtype, at = RECORD.fields[name][:2]
    return content[:, at : at + dtype.itemsize]
