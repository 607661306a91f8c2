"""A table that was made of sessions: its columns as numpy arrays and as text, its order, the query behind each row.

Works on whole columns; there is no object per row. No Qt, no sockets.
"""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from afterfact_client.state.columns import BY_NAME, address, duration, times
from afterfact_protocol.codec import WireError
from afterfact_protocol.communityid import text_of
from afterfact_protocol.messages import TableAnswer, TableColumn
from afterfact_protocol.query import Query, QueryError, parse
from afterfact_protocol.query.behind import KeyValue, behind, behind_other
from afterfact_protocol.query.columns import RATIO, WIDE, layout
from afterfact_protocol.query.nodes import Blob, Duration, Instant, Network, Number, Text
from afterfact_protocol.query.operators import Type
from afterfact_protocol.session import BY_NAME as FIELD_BY_NAME
from afterfact_protocol.text import column_text

Array = npt.NDArray[Any]

OTHER = "other"
"""What a key of the row that sums up the rest is shown as."""
_RIGHT = frozenset({Type.NUMBER.value, Type.PORT.value, Type.DURATION.value, Type.TIME.value, RATIO})


def rows_from_bytes(answer: TableAnswer, data: bytes) -> npt.NDArray[np.void]:
    """Packed rows as an array of columns.layout. WireError for bytes that are no whole number of rows."""
    dtype = layout(answer.columns)
    if len(data) % dtype.itemsize:
        raise WireError(f"{len(data)} bytes are no whole number of rows of {dtype.itemsize} bytes")
    return np.frombuffer(data, dtype)


class Table:
    """Rows of a table, and the answer that describes them."""

    def __init__(self, answer: TableAnswer, rows: npt.NDArray[np.void]) -> None:
        self.answer = answer
        self.columns = answer.columns
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def other(self) -> npt.NDArray[np.bool_]:
        """Which rows sum up the rest, of TOP."""
        return np.asarray(self.rows["other"] != 0)

    def index(self, name: str) -> int:
        """The place of the column called so. KeyError if there is none."""
        for at, column in enumerate(self.columns):
            if column.name == name:
                return at
        raise KeyError(name)

    def shown(self) -> list[int]:
        """The places of the columns worth showing: of what was not known those that say something."""
        return [at for at, column in enumerate(self.columns) if column.role != "unknown" or self._raw(at).any()]

    def null(self, at: int) -> npt.NDArray[np.bool_]:
        """Which rows have no value in the nth column; keys of the rest have none."""
        return np.asarray((self.rows["nulls"] >> np.uint64(at)) & np.uint64(1) != 0)

    def right(self, at: int) -> bool:
        """Whether the nth column is aligned to the right, so that digits line up."""
        return self.columns[at].kind in _RIGHT

    def array(self, name: str) -> Array:
        """The values of a column. Times are datetime64[us] and lengths of time timedelta64[us], NaT where NULL; ratios
        and means of numbers float64, NaN where NULL; other numbers uint64 (of sums too large for that Python's own), 0
        where NULL; all else text, empty where NULL. `null` tells what is NULL. KeyError for a name that no column
        has."""
        at = self.index(name)
        column, null = self.columns[at], self.null(at)
        if column.kind in (Type.TIME.value, Type.DURATION.value):
            unit = "datetime64[us]" if column.kind == Type.TIME.value else "timedelta64[us]"
            numbers = self.numbers(at)
            whole = np.round(numbers.astype(np.float64)) if column.type == "<f8" else numbers
            made = whole.astype(np.int64).astype(unit)
            made[null] = np.array("NaT", unit)
            return np.asarray(made)
        if column.kind in (Type.NUMBER.value, Type.PORT.value, Type.IDENT.value, Type.FLAGS.value, RATIO):
            values = self.numbers(at)
            return np.where(null, np.nan, values) if column.type == "<f8" else values
        return np.array(self.exact(at), dtype=object)

    def _raw(self, at: int) -> Array:
        return np.asarray(self.rows[f"c{at}"])

    def numbers(self, at: int) -> Array:
        """The numbers of the nth column, 0 where it is NULL: uint64, int64, float64, or Python's where these are too
        small. Times and lengths of time are microseconds."""
        raw = self._raw(at)
        if not (self.columns[at].type == WIDE and self.columns[at].role == "measure"):
            return raw.astype(np.uint64) if raw.dtype.kind == "u" else raw
        halves = np.ascontiguousarray(raw).view([("low", "<u8"), ("high", "<i8")])
        if not halves["high"].any():
            return np.asarray(halves["low"])
        pairs = zip(halves["low"].tolist(), halves["high"].tolist(), strict=True)
        return np.array([(high << 64) + low for low, high in pairs], dtype=object)

    # --- text

    def texts(self, at: int, rows: slice = slice(None)) -> list[str | None]:
        """What is shown of the nth column, of some rows; None where it is NULL."""
        part = self if rows == slice(None) else Table(self.answer, self.rows[rows])
        column = self.columns[at]
        known = self._field(column)
        if known is not None and column.kind != Type.TIME.value:
            found: list[str | None] = BY_NAME[known].texts(part.as_field(at, known), self.answer.sensors)
        else:
            found = list(part._texts(column, at))
        for place in np.flatnonzero(part.null(at)).tolist():
            found[place] = OTHER if part.rows["other"][place] and column.role == "key" else None
        return found

    def _texts(self, column: TableColumn, at: int) -> list[str]:
        match column.kind:
            case Type.ADDRESS.value:
                return [address(value.tobytes()) for value in self._raw(at)]
            case Type.COMMUNITY.value:
                return [text_of(value.tobytes()) for value in self._raw(at)]
            case Type.TIME.value:
                return times(np.asarray(self.rows[f"c{at}"]))
            case Type.DURATION.value:
                return [duration(round(value)) for value in self.numbers(at).tolist()]
            case Type.PORT.value:
                return [str(value) for value in self.numbers(at).tolist()]
            case _ if column.kind == RATIO:
                return [f"{value:.3f}" for value in self.numbers(at).tolist()]
            case _ if column.type == "<f8":
                return [f"{value:,.1f}" for value in self.numbers(at).tolist()]
            case _:
                return [f"{value:,}" for value in self.numbers(at).tolist()]

    def exact(self, at: int) -> list[str]:
        """The nth column as it is copied and exported: whole values, times RFC 3339 in UTC, lengths of time in seconds;
        empty where it is NULL."""
        column, known = self.columns[at], self._field(self.columns[at])
        if known is not None:
            found = column_text(self.as_field(at, known), known, self.answer.sensors)
        elif column.kind == Type.TIME.value:
            stamps = np.ascontiguousarray(self.rows[f"c{at}"]).view("datetime64[us]")
            found = [f"{text}Z" for text in np.datetime_as_string(stamps).tolist()]
        elif column.kind == Type.DURATION.value:
            found = [_seconds(value) for value in self.numbers(at).tolist()]
        elif column.kind in (Type.ADDRESS.value, Type.COMMUNITY.value):
            found = self._texts(column, at)
        else:
            found = [repr(value) if isinstance(value, float) else str(value) for value in self.numbers(at).tolist()]
        return ["" if gone else text for text, gone in zip(found, self.null(at).tolist(), strict=True)]

    def quoted(self, at: int) -> bool:
        """Whether what `exact` gives is text, and no number."""
        kinds = (Type.NUMBER, Type.PORT, Type.IDENT, Type.FLAGS, Type.DURATION, Type.PROTO)
        return self.columns[at].kind not in (RATIO, *(kind.value for kind in kinds))

    def csv(self, columns: Sequence[int], delimiter: str = ",") -> str:
        """A header, then a line a row, exact values of some columns."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        writer.writerow([self.columns[at].name for at in columns])
        writer.writerows(zip(*(self._named(at) for at in columns), strict=True))
        return out.getvalue()

    def _named(self, at: int) -> list[str]:
        """As `exact`, and the rest by its name."""
        texts = self.exact(at)
        if self.columns[at].role != "key":
            return texts
        return [OTHER if other else text for text, other in zip(texts, self.other.tolist(), strict=True)]

    @staticmethod
    def _field(column: TableColumn) -> str | None:
        """The session field that a key shows."""
        return column.field if column.role == "key" and column.field in FIELD_BY_NAME else None

    def as_field(self, at: int, name: str) -> npt.NDArray[np.void]:
        """The nth column as a column of sessions, for those who show these."""
        made = np.zeros(len(self.rows), [(name, FIELD_BY_NAME[name].dtype), ("absent", "<u8")])
        made[name] = self.rows[f"c{at}"]
        return made

    # --- order

    def order(self, at: int, descending: bool) -> npt.NDArray[np.intp]:
        """The stable order of the rows by the nth column. NULL comes last either way, and the rest after all."""
        null, other, raw = self.null(at), self.other, self._raw(at)
        if self.columns[at].kind == Type.SENSOR.value:
            names = [self.answer.sensors.get(number, f"sensor {number}") for number in raw.tolist()]
            rank = np.unique(np.array(names, dtype=object), return_inverse=True)[1]
        elif self.columns[at].role == "measure":
            rank = np.unique(self.numbers(at), return_inverse=True)[1]
        elif raw.dtype.kind == "V":
            rank = np.unique(np.array([value.tobytes() for value in raw], dtype=object), return_inverse=True)[1]
        else:
            rank = np.unique(raw, return_inverse=True)[1]
        rank = rank.reshape(-1).astype(np.int64)
        return np.lexsort((-rank if descending else rank, null, other))

    # --- what is behind a row

    @cached_property
    def _query(self) -> Query | None:
        try:
            return parse(self.answer.query, datetime.now(UTC))
        except QueryError:
            return None

    def behind(self, row: int) -> str | None:
        """The query for the sessions of a row; None where no query says which these are."""
        query = self._query
        if query is None or query.table is None:
            return None
        timed = query.table.every is not None
        time = int(self.rows["c0"][row]) if timed else None
        if self.rows["other"][row]:
            if len(query.table.keys) != 1:
                return None
            kept = np.flatnonzero(~self.other)
            return behind_other(query, [self._keys(int(one))[0] for one in kept], time)
        return behind(query, self._keys(row), time)

    def _keys(self, row: int) -> Sequence[KeyValue]:
        return [self._key(row, at) for at, column in enumerate(self.columns) if column.role == "key"]

    def _key(self, row: int, at: int) -> KeyValue:
        if int(self.rows["nulls"][row]) >> at & 1:
            return None
        value, column = self.rows[f"c{at}"][row], self.columns[at]
        match column.kind:
            case Type.ADDRESS.value:
                return Network(int.from_bytes(value.tobytes(), "big"), 128)
            case Type.TIME.value:
                return Instant(int(value))
            case Type.DURATION.value:
                return Duration(int(value))
            case Type.SENSOR.value:
                return Text(self.answer.sensors.get(int(value), ""))
            case Type.TEXT.value:
                return Text(bytes(value).split(b"\0")[0].decode("latin-1"))
            case Type.BYTES.value | Type.COMMUNITY.value:
                return Blob(value.tobytes())
            case _:
                return Number(int(value))


def _seconds(us: int | float) -> str:
    """Microseconds as seconds with six digits, exact for whole ones."""
    whole = round(us)
    sign, whole = "-" * (whole < 0), abs(whole)
    return f"{sign}{whole // 1_000_000}.{whole % 1_000_000:06}"
