"""Sessions as text: CSV, JSON and JSON lines, one column at a time, from arrays of dtype RECORD or ROW.

The one place that says how a field reads: times RFC 3339 in UTC with microseconds, addresses as text, states, outcomes
and other named values by name, flags, marks and protocols as numbers, bytes in hexadecimal; what the source did not
know is empty in CSV and null in JSON, and so are the server's stamps where the array has none. Text of others is
escaped as JSON has it, and elsewhere as printable.py has it.
Reads no packets, no sockets; opens no files.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from ipaddress import IPv6Address
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.printable import printable
from afterfact_protocol.session import BY_NAME, FIELDS, IPV4_PREFIX, ROW, Field, Kind, State

_QUOTED = frozenset({Kind.TIME, Kind.ADDRESS, Kind.NAME, Kind.TEXT, Kind.SENSOR, Kind.BYTES})
"""Kinds that are strings in JSON; the others are numbers."""
_FREE = frozenset({Kind.TEXT, Kind.SENSOR})
"""Kinds whose text may hold what CSV and JSON must escape."""


@lru_cache(maxsize=1 << 16)
def address_text(address: bytes) -> str:
    """An address of 16 bytes as text: dotted if it is IPv4-mapped, else IPv6 (RFC 5952)."""
    if address[:12] == IPV4_PREFIX:
        a, b, c, d = address[12:]
        return f"{a}.{b}.{c}.{d}"
    return str(IPv6Address(address))


def name_text(field: Field, value: int) -> str:
    """A value's name in lower case, Zeek's states as Zeek writes them; the number if it has none."""
    return _names(field).get(value) or str(value)


@cache
def _names(field: Field) -> dict[int, str]:
    if field.names is None:
        return {}
    named = {int(member): str(member.name) for member in field.names}
    return named if field.names is State else {value: name.lower() for value, name in named.items()}


def _times(column: NDArray[np.int64]) -> list[str]:
    # Sessions of the same second are many; making the text of a whole time anew costs five times as much.
    seconds, fractions = np.divmod(column, 1_000_000)
    different, which = np.unique(seconds, return_inverse=True)
    prefixes: list[str] = np.datetime_as_string(different.astype("<M8[s]"), unit="s").tolist()
    return [f"{prefixes[at]}.{micro:06d}Z" for at, micro in zip(which.tolist(), fractions.tolist(), strict=True)]


def _spelling(field: Field, sensors: Mapping[int, str] | None) -> Callable[[Any], str]:
    """How one value of a field is written."""
    match field.kind:
        case Kind.ADDRESS:
            return address_text
        case Kind.NAME:
            names = _names(field)
            return lambda value: names.get(value) or str(value)
        case Kind.TEXT:
            return lambda value: str(value, "latin-1")
        case Kind.BYTES:
            return bytes.hex
        case Kind.SENSOR if sensors is not None:
            return lambda value: sensors.get(value) or str(value)
        case _:
            return str


def _raw_text(array: NDArray[np.void], field: Field, sensors: Mapping[int, str] | None) -> list[str]:
    column = array[field.name]
    if len(column) == 0:
        return []
    if field.kind is Kind.TIME:
        return _times(column)
    spell = _spelling(field, sensors)
    if (column == column[0]).all():
        return [spell(column[0].item())] * len(column)
    if column.dtype.itemsize == 1 and len(column) > 256:
        spelled = [spell(value) for value in range(256)]
        return [spelled[value] for value in column.tolist()]
    return list(map(spell, column.tolist()))


def _missing(array: NDArray[np.void], field: Field) -> NDArray[np.bool_] | None:
    """Where the field is absent; None where that is nowhere."""
    if not field.nullable:
        return None
    missing: NDArray[np.bool_] = (array["absent"] & np.uint64(1 << field.id)) != 0
    return missing if missing.any() else None


def _without(text: list[str], missing: NDArray[np.bool_] | None, absent: str) -> list[str]:
    """The texts with `absent` where they are missing."""
    if missing is None:
        return text
    if missing.all():
        return [absent] * len(text)
    return [absent if gone else value for gone, value in zip(missing.tolist(), text, strict=True)]


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
    if known.kind in _FREE:
        text = list(map(printable, text))
    return _without(text, _missing(array, known), absent)


def _column_json(array: NDArray[np.void], field: Field, sensors: Mapping[int, str] | None) -> list[str]:
    """One field of every row as JSON values."""
    if array.dtype.names is None or field.name not in array.dtype.names:
        return ["null"] * len(array)
    text = _raw_text(array, field, sensors)
    if field.kind in _FREE:
        text = [json.dumps(value) for value in text]
    elif field.kind in _QUOTED:
        text = [f'"{value}"' for value in text]
    return _without(text, _missing(array, field), "null")


def json_objects(
    array: NDArray[np.void], fields: Sequence[Field] = FIELDS, sensors: Mapping[int, str] | None = None
) -> Iterable[str]:
    """Each row as a JSON object on one line."""
    template = "{" + ", ".join(f'"{field.name}": %s' for field in fields) + "}"
    columns = [_column_json(array, field, sensors) for field in fields]
    return (template % values for values in zip(*columns, strict=True))


def _fields(dtype: np.dtype[np.void]) -> list[Field]:
    return [BY_NAME[name] for name in dtype.names or ()]


def _escaped(value: str) -> str:
    """A value, which has no line breaks, as RFC 4180 has it."""
    if '"' in value or "," in value:
        return '"' + value.replace('"', '""') + '"'
    return value


class CsvWriter:
    """Sessions as CSV (RFC 4180, lines end in LF): a header, then a line a row.

    dtype says which columns are written: ROW, all of them; arrays may lack the stamps.
    """

    def __init__(self, out: TextIO, dtype: np.dtype[np.void] = ROW, sensors: Mapping[int, str] | None = None) -> None:
        self._out, self._fields, self._sensors = out, _fields(dtype), sensors
        out.write(",".join(field.name for field in self._fields) + "\n")

    def write(self, array: NDArray[np.void]) -> None:
        if not len(array):
            return
        columns = [self._column(array, field) for field in self._fields]
        self._out.write("\n".join(map(",".join, zip(*columns, strict=True))) + "\n")

    def _column(self, array: NDArray[np.void], field: Field) -> list[str]:
        text = column_text(array, field, self._sensors)
        return [_escaped(value) for value in text] if field.kind in _FREE else text

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
