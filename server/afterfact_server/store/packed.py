"""Each session of the store once more as one value: what FIELDS holds beside the key, byte for byte as in ROW.

Conditions read columns; rows are shown from this one, since to fetch some hundred scattered rows column by column took
longer than to find them. Its name tells its layout: with a field added, another column takes its place, and what was
stored before is computed from the others until it is stored anew.
"""

from itertools import groupby
from zlib import crc32

import numpy as np
import numpy.typing as npt

from afterfact_protocol.records import Records
from afterfact_protocol.session import FIELDS, KEY, ROW, packed

FOUND_KEY = (*KEY, "revision")
"""What a key query answers with: columns of their own, by which it sorts and tells revisions apart."""
_FIELDS = tuple(field for field in FIELDS if field.name not in FOUND_KEY)
_SIZE = packed(_FIELDS).itemsize

PREFIX = "packed_"
COLUMN = f"{PREFIX}{crc32(repr(packed(_FIELDS)).encode()):08x}"
_BYTES = ", ".join(
    field.name if field.clickhouse.startswith("FixedString") else f"reinterpretAsFixedString({field.name})"
    for field in _FIELDS
)
DEFINITION = f"FixedString({_SIZE}) DEFAULT toFixedString(concat({_BYTES}), {_SIZE}) CODEC(ZSTD(1))"

FOUND = np.dtype([*((name, ROW[name]) for name in FOUND_KEY), ("packed", f"V{_SIZE}")])
"""FOUND_KEY and the packed column, as RowBinary."""
_AT = FOUND.itemsize - _SIZE


def _stretches() -> list[tuple[int, int, int, int]]:
    """Neighbours in ROW that are neighbours in FOUND: where in ROW from and to, where in FOUND from and to."""
    assert ROW.fields is not None and FOUND.fields is not None
    places = {name: int(FOUND.fields[name][1]) for name in FOUND_KEY}
    at = _AT
    for field in _FIELDS:
        places[field.name] = at
        at += ROW[field.name].itemsize
    here = {name: int(place[1]) for name, place in ROW.fields.items()}
    spans = []
    for _, group in groupby(FIELDS, lambda field: here[field.name] - places[field.name]):
        names = [field.name for field in group]
        first, there = here[names[0]], places[names[0]]
        size = sum(ROW[name].itemsize for name in names)
        spans.append((first, first + size, there, there + size))
    return spans


_STRETCHES = _stretches()
_WITH_PACKED = np.dtype([("row", f"V{ROW.itemsize}"), ("packed", f"V{_SIZE}")])


def _octets(rows: Records) -> npt.NDArray[np.uint8]:
    return rows.view(np.uint8).reshape(len(rows), rows.itemsize)


def to_rows(found: Records) -> Records:
    """FOUND records as ROW records."""
    rows = np.empty(len(found), ROW)
    to, of = _octets(rows), _octets(found)
    for first, last, there, until in _STRETCHES:
        to[:, first:last] = of[:, there:until]
    return rows


def with_packed(rows: Records) -> bytes:
    """ROW records as RowBinary of FIELDS and the packed column."""
    made = np.empty(len(rows), _WITH_PACKED)
    made["row"] = rows.view(f"V{ROW.itemsize}")
    to, of = _octets(made), _octets(rows)
    shift = ROW.itemsize - _AT
    for first, last, there, until in _STRETCHES:
        if there >= _AT:
            to[:, there + shift : until + shift] = of[:, first:last]
    return made.tobytes()
