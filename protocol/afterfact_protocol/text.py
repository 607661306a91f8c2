"""Sessions as text: CSV, JSON and JSON lines, one column at a time, from arrays of dtype RECORD or ROW.

The one place that says how a field reads: times RFC 3339 in UTC with microseconds, addresses as text, states, outcomes
and other named values by name, flags, marks and protocols as numbers, bytes in hexadecimal; what the source did not
know is empty in CSV and null in JSON, and so are the server's stamps where the array has none.
Reads no packets, no sockets; opens no files.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.session import BY_NAME, FIELDS, IPV4_PREFIX, ROW, Field, Kind, State

_QUOTED = frozenset({Kind.TIME, Kind.ADDRESS, Kind.NAME, Kind.TEXT, Kind.SENSOR, Kind.BYTES})
"""Kinds that are strings in JSON; the others are numbers."""


def address_text(address: bytes) -> str:
    """An address of 16 bytes as text: dotted if it is IPv4-mapped, else IPv6 (RFC 5952)."""
    if address[:12] == IPV4_PREFIX:
        return str(IPv4Address(address[12:]))
    return str(IPv6Address(address))


def name_text(field: Field, value: int) -> str:
    """A value's name in lower case, Zeek's states as Zeek writes them; the number if it has none."""
    return _names(field).get(value, str(value))


def _names(field: Field) -> dict[int, str]:
    if field.names is None:
        return {}
    named = {int(member): str(member.name) for member in field.names}
    return named if field.names is State else {value: name.lower() for value, name in named.items()}


def _times(column: NDArray[np.int64]) -> list[str]:
    text: list[str] = np.datetime_as_string(column.astype("<M8[us]"), unit="us", timezone="UTC").tolist()
    return text


def _addresses(column: NDArray[np.void]) -> list[str]:
    known: dict[bytes, str] = {}
    texts = []
    for raw in column.tolist():
        text = known.get(raw)
        if text is None:
            text = known[raw] = address_text(raw)
        texts.append(text)
    return texts


def _raw_text(array: NDArray[np.void], field: Field, sensors: Mapping[int, str] | None) -> list[str]:
    column = array[field.name]
    match field.kind:
        case Kind.TIME:
            return _times(column)
        case Kind.ADDRESS:
            return _addresses(column)
        case Kind.NAME:
            names = _names(field)
            return [names.get(value) or str(value) for value in column.tolist()]
        case Kind.TEXT:
            return [value.decode("latin-1") for value in column.tolist()]
        case Kind.BYTES:
            return [value.hex() for value in column.tolist()]
        case Kind.SENSOR if sensors is not None:
            return [sensors.get(value) or str(value) for value in column.tolist()]
        case _:
            return [str(value) for value in column.tolist()]


def _missing(array: NDArray[np.void], field: Field) -> NDArray[np.bool_] | None:
    """Where the field is absent; None where that is nowhere."""
    if not field.nullable:
        return None
    missing: NDArray[np.bool_] = (array["absent"] & np.uint64(1 << field.id)) != 0
    return missing if missing.any() else None


def column_text(
    array: NDArray[np.void], field: str | Field, sensors: Mapping[int, str] | None = None, absent: str = ""
) -> list[str]:
    """One field of every row as text.

    array: dtype RECORD or ROW, or any that has the field and `absent`. sensors: names by number; a number without one
    is shown as it is. absent: what stands for a value that the source did not know.
    A field that the array does not have (a stamp, in RECORD) is `absent` throughout. Raises KeyError if FIELDS does not
    know it.
    """
    known = BY_NAME[field] if isinstance(field, str) else field
    if array.dtype.names is None or known.name not in array.dtype.names:
        return [absent] * len(array)
    text = _raw_text(array, known, sensors)
    missing = _missing(array, known)
    if missing is not None:
        for at in np.flatnonzero(missing).tolist():
            text[at] = absent
    return text


def _column_json(array: NDArray[np.void], field: Field, sensors: Mapping[int, str] | None) -> list[str]:
    """One field of every row as JSON values."""
    if array.dtype.names is None or field.name not in array.dtype.names:
        return ["null"] * len(array)
    text = _raw_text(array, field, sensors)
    if field.kind in _QUOTED:
        # Names, times and addresses need no escaping; a sensor's name or a history may.
        quote: Callable[[str], str] = json.dumps if field.kind in (Kind.SENSOR, Kind.TEXT) else '"{}"'.format
        text = [quote(value) for value in text]
    missing = _missing(array, field)
    if missing is not None:
        for at in np.flatnonzero(missing).tolist():
            text[at] = "null"
    return text


def json_objects(
    array: NDArray[np.void], fields: Sequence[Field] = FIELDS, sensors: Mapping[int, str] | None = None
) -> Iterable[str]:
    """Each row as a JSON object on one line."""
    template = "{" + ", ".join(f'"{field.name}": %s' for field in fields) + "}"
    columns = [_column_json(array, field, sensors) for field in fields]
    return (template % values for values in zip(*columns, strict=True))


def _fields(dtype: np.dtype[np.void]) -> list[Field]:
    return [BY_NAME[name] for name in dtype.names or ()]


class CsvWriter:
    """Sessions as CSV (RFC 4180, lines end in LF): a header, then a line a row.

    dtype says which columns are written: ROW, all of them; arrays may lack the stamps.
    """

    def __init__(self, out: TextIO, dtype: np.dtype[np.void] = ROW, sensors: Mapping[int, str] | None = None) -> None:
        self._fields, self._sensors = _fields(dtype), sensors
        self._writer = csv.writer(out, lineterminator="\n")
        self._writer.writerow([field.name for field in self._fields])

    def write(self, array: NDArray[np.void]) -> None:
        columns = [column_text(array, field, self._sensors) for field in self._fields]
        self._writer.writerows(zip(*columns, strict=True))

    def close(self) -> None:
        """Nothing is left to write; there so that all writers are used alike."""


class JsonLinesWriter:
    """Sessions as JSON, an object a line."""

    def __init__(self, out: TextIO, dtype: np.dtype[np.void] = ROW, sensors: Mapping[int, str] | None = None) -> None:
        self._out, self._fields, self._sensors = out, _fields(dtype), sensors

    def write(self, array: NDArray[np.void]) -> None:
        self._out.writelines(f"{row}\n" for row in json_objects(array, self._fields, self._sensors))

    def close(self) -> None:
        """Nothing is left to write."""


class JsonWriter:
    """Sessions as one JSON list of objects, an object a line."""

    def __init__(self, out: TextIO, dtype: np.dtype[np.void] = ROW, sensors: Mapping[int, str] | None = None) -> None:
        self._out, self._fields, self._sensors = out, _fields(dtype), sensors
        self._before = "[\n"

    def write(self, array: NDArray[np.void]) -> None:
        for row in json_objects(array, self._fields, self._sensors):
            self._out.write(self._before + row)
            self._before = ",\n"

    def close(self) -> None:
        """Write what ends the list; the stream stays open."""
        self._out.write("[]\n" if self._before == "[\n" else "\n]\n")
