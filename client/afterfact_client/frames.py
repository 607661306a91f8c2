"""Sessions as columns: numpy arrays with exact nulls, and of these frames of pandas and polars and Arrow's batches,
whose packages are imported when they are asked for.

Names and values are those of CSV and JSON (protocol's text.py): addresses, names of states and outcomes and sensors are
text, flags and protocols numbers. Times are times, in UTC to the microsecond. What a source did not know is null.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from afterfact_protocol.records import Records
from afterfact_protocol.session import FIELDS, Field, Kind
from afterfact_protocol.text import exact_text

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

MaskedColumn = np.ma.MaskedArray[Any, np.dtype[Any]]

_TEXT = frozenset({Kind.ADDRESS, Kind.NAME, Kind.TEXT, Kind.SENSOR, Kind.BYTES})
_EXTRAS = {"pandas": "frames", "polars": "frames", "pyarrow": "parquet"}


class PackageMissing(ImportError):
    """A package that the program does without is needed for this; one line for a person."""


def package(name: str) -> Any:
    """An optional package. PackageMissing if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != top:
            raise
        raise PackageMissing(f"this needs {top}: pip install 'afterfact[{_EXTRAS[top]}]'", name=name) from None


@dataclass(frozen=True, slots=True)
class Extra:
    """A column beside the fields, with a value a row: whole numbers, lengths of time in microseconds, or text."""

    name: str
    kind: str
    """number, duration or text."""


def field_column(rows: Records, field: Field, sensors: Mapping[int, str]) -> MaskedColumn:
    """One field of every row: datetime64[us], an integer of the field's own type, or text (objects)."""
    missing = (rows["absent"] & np.uint64(1 << field.id)) != 0 if field.nullable else np.zeros(len(rows), np.bool_)
    values: npt.NDArray[Any]
    if field.kind is Kind.TIME:
        values = np.ascontiguousarray(rows[field.name]).view("<M8[us]")
    elif field.kind in _TEXT:
        values = np.array(exact_text(rows, field, sensors), object)
    else:
        values = np.ascontiguousarray(rows[field.name])
    return np.ma.MaskedArray(values, missing)


def _with_none(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Objects, None where they are missing."""
    values[missing] = None
    return values


def columns(rows: Records, sensors: Mapping[int, str]) -> dict[str, MaskedColumn]:
    """Every field of some rows, by name, in the order of FIELDS; masked where the source did not know it."""
    return {field.name: field_column(rows, field, sensors) for field in FIELDS}


def to_pandas(rows: Records, sensors: Mapping[int, str]) -> "pandas.DataFrame":
    """A frame whose fields that can be null have pandas' own nullable types. PackageMissing."""
    pandas = package("pandas")

    def series(field: Field) -> Any:
        column = field_column(rows, field, sensors)
        values, missing = column.data, np.ma.getmaskarray(column)
        if field.kind is Kind.TIME:
            return pandas.Series(values).dt.tz_localize("UTC")
        if field.kind in _TEXT:
            return pandas.array(_with_none(values, missing), dtype="string")
        return pandas.arrays.IntegerArray(values.copy(), missing) if field.nullable else values

    return pandas.DataFrame({field.name: series(field) for field in FIELDS})


def to_polars(rows: Records, sensors: Mapping[int, str]) -> "polars.DataFrame":
    """PackageMissing."""
    made_by = package("polars")

    def series(field: Field) -> Any:
        column = field_column(rows, field, sensors)
        values, missing = column.data, np.ma.getmaskarray(column)
        if field.kind is Kind.TIME:
            return made_by.Series(field.name, values.view(np.int64)).cast(made_by.Datetime("us", "UTC"))
        if field.kind in _TEXT:
            return made_by.Series(field.name, _with_none(values, missing).tolist(), dtype=made_by.String)
        known = made_by.Series(field.name, values)
        return known.scatter(np.flatnonzero(missing), None) if missing.any() else known

    frame: polars.DataFrame = made_by.DataFrame([series(field) for field in FIELDS])
    return frame


def to_arrow(pages: Iterable[Records], sensors: Mapping[int, str]) -> "pyarrow.Table":
    """PackageMissing."""
    arrow = Arrow()
    return package("pyarrow").Table.from_batches([arrow.batch(rows, sensors) for rows in pages], schema=arrow.schema)


class Arrow:
    """Makes Arrow's record batches of rows. PackageMissing when it is made."""

    def __init__(self, fields: Sequence[Field] = FIELDS, extras: Sequence[Extra] = ()) -> None:
        self._arrow = package("pyarrow")
        self._fields, self._extras = fields, extras
        arrow = self._arrow
        kinds = {"number": arrow.uint64(), "duration": arrow.duration("us"), "text": arrow.string()}
        self.schema: pyarrow.Schema = arrow.schema(
            [arrow.field(field.name, self._type(field), field.nullable) for field in fields]
            + [arrow.field(extra.name, kinds[extra.kind]) for extra in extras]
        )

    def _type(self, field: Field) -> Any:
        if field.kind is Kind.TIME:
            return self._arrow.timestamp("us", "UTC")
        return self._arrow.string() if field.kind in _TEXT else self._arrow.from_numpy_dtype(np.dtype(field.dtype))

    def batch(
        self, rows: Records, sensors: Mapping[int, str], beside: Iterable[Sequence[object]] = ()
    ) -> "pyarrow.RecordBatch":
        """`beside` are the extras' values, a sequence each; None is null."""
        arrays = []
        for field in self._fields:
            column = field_column(rows, field, sensors)
            arrays.append(self._arrow.array(column.data, self._type(field), mask=np.ma.getmaskarray(column)))
        for values, kind in zip(beside, self.schema.types[len(self._fields) :], strict=True):
            arrays.append(self._arrow.array(values, kind))
        return self._arrow.RecordBatch.from_arrays(arrays, schema=self.schema)
