"""The columns of a table: what each is called, what it holds, and how its values travel. Derived from the query alone,
so that server and client agree.
"""

from dataclasses import dataclass

import numpy as np

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import TableColumn
from afterfact_protocol.session import BY_NAME

from .analysis import operand_fields
from .functions import DERIVED
from .measures import type_of, unit_of
from .nodes import Column, Derived, Either, Far, Measure, Operand
from .operators import Type
from .stagenodes import TIME, Key, Table
from .subjects import subject_of

WIDE = "V16"
"""A sum: 128 bits, little endian, with a sign. Addresses have the same type; the column's kind tells them apart."""

RATIO = "ratio"
"""Kind of a number that is a part of another."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """How many sessions did not know what a measure was asked of: one of the sides, of a field of either side."""

    operand: Column | Either | Derived

    @property
    def title(self) -> str:
        """The name of its column."""
        return f"unknown({self.operand.name})"


Source = None | Key | Measure | Unknown
"""What a column shows: None is the time that EVERY adds."""


def sources(table: Table) -> tuple[Source, ...]:
    """What the columns of a table show, in their order: time, keys, measures, and what was not known."""
    unknown = [Unknown(one.operand) for one in table.measures if one.operand is not None
               and not isinstance(one.operand, Far) and nullable(one.operand)]  # fmt: skip
    time: tuple[None, ...] = () if table.every is None else (None,)
    return (*time, *table.keys, *table.measures, *dict.fromkeys(unknown))


def nullable(operand: Operand) -> tuple[str, ...]:
    """The fields of which one that is absent makes the operand NULL, or of an either-side field one of its values."""
    if operand == Derived("community_id"):
        return ()
    return tuple(sorted(name for name in operand_fields(operand) if BY_NAME[name].nullable))


def table_columns(table: Table) -> tuple[TableColumn, ...]:
    """The columns as they are told to a client."""
    return tuple(map(_column, sources(table)))


def _column(source: Source) -> TableColumn:
    match source:
        case None:
            return TableColumn(TIME, "<i8", Type.TIME.value, "time", "UTC", "start_time")
        case Unknown():
            return TableColumn(source.title, "<u8", Type.NUMBER.value, "unknown", "sessions", source.operand.name)
        case Measure():
            return _measure(source)
    subject = subject_of(source)
    if isinstance(source, Column):
        dtype = BY_NAME[source.name].dtype
    elif isinstance(source, Far):
        dtype = "V16"
    else:
        dtype = {Type.DURATION: "<i8", Type.COMMUNITY: "V20"}.get(DERIVED[source.name].type, "<u8")
    return TableColumn(source.name, dtype, subject.type.value, "key", subject.unit, source.name)


def _measure(measure: Measure) -> TableColumn:
    kind = type_of(measure)
    field = measure.operand.name if measure.operand is not None else ""
    match measure.function:
        case "sum":
            dtype = WIDE
        case "avg" | "jitter":
            dtype = "<f8"
        case _:
            dtype = "<i8" if kind in (Type.TIME, Type.DURATION) else "<u8"
    told = RATIO if measure.function == "jitter" else kind.value
    return TableColumn(measure.title, dtype, told, "measure", unit_of(measure), field)


FIRST = (("nulls", "<u8"), ("other", "u1"))
"""What stands before the columns of a row: bit n set where the nth column is NULL; 1 in a row that sums up the rest."""

_TYPES = frozenset({"u1", "<u1", "<u2", "<u4", "<u8", "<i8", "<f8", "V16", "V20"})
MOST_COLUMNS = 64


def layout(columns: tuple[TableColumn, ...]) -> "np.dtype[np.void]":
    """The packed rows of a table; its nth column is the field `c` + n. WireError for types that no table has."""
    if len(columns) > MOST_COLUMNS:
        raise WireError(f"a table has at most {MOST_COLUMNS} columns")
    for column in columns:
        text = column.type[:1] == "S" and column.type[1:].isdigit() and 0 < int(column.type[1:]) <= 255
        if not (text or column.type in _TYPES):
            raise WireError(f"column {column.name!r} has the unknown type {column.type!r}")
    return np.dtype([*FIRST, *((f"c{at}", column.type) for at, column in enumerate(columns))])
