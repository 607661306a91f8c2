"""Sessions as text: CSV, JSON and JSON lines, one column at a time, from arrays of dtype RECORD or ROW.

The one place that says how a field reads: times RFC 3339 in UTC with microseconds, addresses as text, states, outcomes
and other named values by name, flags, marks and protocols as numbers, bytes in hexadecimal; what the source did not
know is empty in CSV and null in JSON, and so are the server's stamps where the array has none. Text of others is
escaped as JSON has it, and elsewhere as printable.py has it.
Reads no packets, no sockets; opens no files.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import IPv6Address
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol import cells
from afterfact_protocol.cells import Cells, Span, joined
from afterfact_protocol.printable import printable
from afterfact_protocol.session import BY_NAME, IPV4_PREFIX, ROW, Field, Kind, State

Columns = np.dtype[np.void] | Sequence[Field]
"""What is written of each row: a packed dtype of sessions, or fields."""

_QUOTED = frozenset({Kind.TIME, Kind.ADDRESS, Kind.NAME, Kind.TEXT, Kind.SENSOR, Kind.BYTES})
"""Kinds that are strings in JSON; the others are numbers."""
_FREE = frozenset({Kind.TEXT, Kind.SENSOR})
"""Kinds whose text may hold what must be escaped."""
_BLOCK = 4608
"""Rows that are spelled at a time, at most. What they need, 2 MB, the allocator keeps from one block to the next; of
more it returns pages to the system, and fetching them again took a third of the time."""


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
            return lambda value: str(value, field.encoding, "backslashreplace")
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


def exact_text(array: NDArray[np.void], field: Field, sensors: Mapping[int, str] | None = None) -> list[str]:
    """One field of every row as text, nothing escaped, whether it is absent or not."""
    return _raw_text(array, field, sensors)


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


@dataclass(frozen=True, slots=True)
class _Form:
    """What CSV and JSON write differently."""

    absent: bytes
    quote: bytes
    """Around a string."""
    escaped: Callable[[str], str]
    """A string that may hold anything, with its quotes."""


def _escaped(value: str) -> str:
    """A value as RFC 4180 has it, control characters as printable.py has them."""
    value = printable(value)
    return '"' + value.replace('"', '""') + '"' if '"' in value or "," in value else value


_CSV = _Form(b"", b"", _escaped)
_JSON = _Form(b"null", b'"', json.dumps)


def _written(form: _Form, field: Field, text: str) -> bytes:
    if field.kind in _FREE:
        return form.escaped(text).encode()
    quote = form.quote if field.kind in _QUOTED else b""
    return quote + text.encode() + quote


def _parts(
    array: NDArray[np.void], field: Field, sensors: Mapping[int, str] | None, form: _Form
) -> list[Cells | bytes]:
    """One field of every row, all of them known: the same as _raw_text, quoted."""
    column = np.ascontiguousarray(array[field.name])
    if column[0] == column[-1] and (column == column[0]).all():
        return [_written(form, field, _raw_text(array[:1], field, sensors)[0])]
    spell = _spelling(field, sensors)
    match field.kind:
        case Kind.TIME:
            return [form.quote, *cells.times(column), form.quote]
        case Kind.ADDRESS:
            return [form.quote, cells.addresses(column), form.quote]
        case Kind.BYTES:
            return [form.quote, cells.hexadecimal(column), form.quote]
        case Kind.NAME | Kind.SENSOR:
            return [cells.by_value(column, lambda value: _written(form, field, spell(value)))]
        case Kind.TEXT:
            plain = cells.plain(column)
            if plain is not None:
                return [form.quote, plain, form.quote]
            return [cells.spelled([_written(form, field, spell(value)) for value in column.tolist()])]
        case _:
            return [*cells.numbers(column)]


def _spans(
    array: NDArray[np.void], fields: Sequence[Field], sensors: Mapping[int, str] | None, form: _Form
) -> Iterator[Span | bytes]:
    """Every field's place in the rows."""
    absent = np.ascontiguousarray(array["absent"])
    everywhere, anywhere = int(np.bitwise_and.reduce(absent)), int(np.bitwise_or.reduce(absent))
    for field in fields:
        bit = 1 << field.id if field.nullable else 0
        if field.name not in (array.dtype.names or ()) or bit & everywhere:
            yield form.absent
        else:
            missing = (absent & np.uint64(bit)) != 0 if bit & anywhere else None
            yield Span(_parts(array, field, sensors, form), missing, form.absent)


@dataclass(frozen=True, slots=True)
class Extra:
    """A column that is no field; its values come beside the rows, as text."""

    name: str
    quoted: bool = True
    """Whether it is a string in JSON; the others are numbers."""


def _extra(extra: Extra, texts: Sequence[str], form: _Form) -> Span:
    spelled = [form.escaped(text).encode() if extra.quoted and text else text.encode() for text in texts]
    missing = np.array([not text for text in texts], np.bool_)
    return Span([cells.spelled(spelled)], missing if missing.any() else None, form.absent)


class _Lines:
    """Sessions as text that is the same in every row but for the values, a block of rows at a time."""

    def __init__(
        self, before: Iterable[str], after: str, fields: Sequence[Field], sensors: Mapping[int, str] | None,
        form: _Form, extras: Sequence[Extra] = (),
    ) -> None:  # fmt: skip
        """before: what stands before each field; after: what ends the row."""
        self._before, self._after = [text.encode() for text in before], after.encode()
        self._fields, self._sensors, self._form, self._extras = fields, sensors, form, extras

    def __call__(self, array: NDArray[np.void], texts: Sequence[Sequence[str]] = ()) -> Iterator[str]:
        for at in range(0, len(array), _BLOCK):
            block = array[at : at + _BLOCK]
            beside = zip(self._extras, texts, strict=True)
            spans = [
                *_spans(block, self._fields, self._sensors, self._form),
                *(_extra(extra, values[at : at + _BLOCK], self._form) for extra, values in beside),
            ]
            row = [part for pair in zip(self._before, spans, strict=True) for part in pair]
            yield from joined(len(block), [*row, self._after])


def _fields(dtype: Columns) -> list[Field]:
    return [BY_NAME[name] for name in dtype.names or ()] if isinstance(dtype, np.dtype) else list(dtype)


class CsvWriter:
    """Sessions as CSV (RFC 4180, lines end in LF): a header, then a line a row.

    `dtype` says what is written: ROW, all of a session; arrays may lack the stamps. Fields of another table
    (event.py's) are given themselves. Then come `extras`, whose texts
    are given with each array; an empty one is not known.
    """

    def __init__(
        self, out: TextIO, dtype: Columns = ROW, sensors: Mapping[int, str] | None = None,
        extras: Sequence[Extra] = (),
    ) -> None:  # fmt: skip
        fields = _fields(dtype)
        names = [*(field.name for field in fields), *(extra.name for extra in extras)]
        before = ["", *[","] * (len(names) - 1)]
        self._out, self._lines = out, _Lines(before, "\n", fields, sensors, _CSV, extras)
        out.write(",".join(names) + "\n")

    def write(self, array: NDArray[np.void], *texts: Sequence[str]) -> None:
        self._out.writelines(self._lines(array, texts))

    def close(self) -> None:
        """Nothing is left to write; there so that all writers are used alike."""


def _objects(
    begin: str, end: str, dtype: Columns, sensors: Mapping[int, str] | None, extras: Sequence[Extra]
) -> _Lines:
    """Each row as a JSON object between `begin` and `end`."""
    fields = _fields(dtype)
    names = [*(field.name for field in fields), *(extra.name for extra in extras)]
    before = [f'{", " if at else begin + "{"}"{name}": ' for at, name in enumerate(names)]
    return _Lines(before, "}" + end, fields, sensors, _JSON, extras)


class JsonLinesWriter:
    """Sessions as JSON, an object a line."""

    def __init__(
        self, out: TextIO, dtype: Columns = ROW, sensors: Mapping[int, str] | None = None,
        extras: Sequence[Extra] = (),
    ) -> None:  # fmt: skip
        self._out, self._lines = out, _objects("", "\n", dtype, sensors, extras)

    def write(self, array: NDArray[np.void], *texts: Sequence[str]) -> None:
        self._out.writelines(self._lines(array, texts))

    def close(self) -> None:
        """Nothing is left to write."""


class JsonWriter:
    """Sessions as one JSON list of objects, an object a line."""

    def __init__(
        self, out: TextIO, dtype: Columns = ROW, sensors: Mapping[int, str] | None = None,
        extras: Sequence[Extra] = (),
    ) -> None:  # fmt: skip
        self._out, self._lines = out, _objects(",\n", "", dtype, sensors, extras)
        self._empty = True

    def write(self, array: NDArray[np.void], *texts: Sequence[str]) -> None:
        for text in self._lines(array, texts):
            self._out.write("[" + text[1:] if self._empty else text)
            self._empty = False

    def close(self) -> None:
        """Write what ends the list; the stream stays open."""
        self._out.write("[]\n" if self._empty else "\n]\n")
