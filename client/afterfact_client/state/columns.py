"""The table's columns, from session.FIELDS and what the language computes: how each reads, sorts, and is asked for.

Works on arrays of rows, a block at a time; there is no object per row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from afterfact_client.state import formats
from afterfact_protocol.communityid import digests, text_of
from afterfact_protocol.printable import printable
from afterfact_protocol.query.canonical import duration as duration_literal
from afterfact_protocol.query.canonical import instant, quoted
from afterfact_protocol.query.functions import DERIVED, FLAG_LETTERS
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.subjects import name_of
from afterfact_protocol.records import Records
from afterfact_protocol.session import BY_NAME as FIELD_BY_NAME
from afterfact_protocol.session import FIELDS, Proto, TcpFlag
from afterfact_protocol.text import address_text, column_text, name_text

DAY = 86_400_000_000
_RIGHT = frozenset({Type.NUMBER, Type.PORT, Type.DURATION, Type.TIME})
_ALWAYS = 6
"""TCP flags whose place is always shown; ECE and CWR only where set."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that the table can show. `name` is its name in the query language."""

    name: str
    title: str
    doc: str
    type: Type
    fields: tuple[str, ...]
    """The session fields it is computed from."""
    form: str = ""
    """Of formats.NAMED, the one that its values are shown in; empty: the usual one."""

    @property
    def right(self) -> bool:
        """Whether it is aligned to the right, so that digits line up."""
        return self.type in _RIGHT

    @property
    def descending_first(self) -> bool:
        """Whether the first click on its header sorts the largest or newest first."""
        return self.type in (Type.NUMBER, Type.DURATION, Type.TIME)

    def absent(self, rows: Records) -> npt.NDArray[np.bool_]:
        """Which rows do not know it."""
        if self.type is Type.COMMUNITY:
            return np.zeros(len(rows), np.bool_)
        bits = np.uint64(sum(1 << FIELD_BY_NAME[name].id for name in self.fields))
        return np.asarray((rows["absent"] & bits) != 0)

    def texts(self, rows: Records, sensors: Mapping[int, str]) -> list[str | None]:
        """What the table shows; None where the source did not know the value."""
        made = formats.texts(self.form, self.numbers(rows)) if self.form else _texts(self, rows, sensors)
        shown: list[str | None] = list(made)
        for at in np.flatnonzero(self.absent(rows)).tolist():
            shown[at] = None
        return shown

    def exact(self, rows: Records, sensors: Mapping[int, str]) -> list[str]:
        """What is copied: the whole value as `afterfact query` writes it, empty where it is absent."""
        if self.name in FIELD_BY_NAME:
            return column_text(rows, self.name, sensors)
        if self.type is Type.COMMUNITY:
            return _texts(self, rows, sensors)
        divide = 1_000_000 if self.type is Type.DURATION else None
        texts = [f"{value / divide:.6f}" if divide else str(value) for value in self.numbers(rows).tolist()]
        return ["" if gone else text for text, gone in zip(texts, self.absent(rows).tolist(), strict=True)]

    def numbers(self, rows: Records) -> npt.NDArray[np.int64] | npt.NDArray[np.uint64]:
        """Values of a numeric, time or duration column."""
        if self.name == "duration":
            return np.asarray(rows["end_time"] - rows["start_time"])
        if len(self.fields) == 2:
            return np.asarray(rows[self.fields[0]] + rows[self.fields[1]])
        return np.asarray(rows[self.name])

    def literal(self, row: np.void, sensors: Mapping[int, str]) -> str | None:
        """The value of one row as the query language writes it; None if it is absent."""
        rows = np.array([row])
        if self.absent(rows)[0]:
            return None
        match self.type:
            case Type.ADDRESS:
                return address(bytes(row[self.name]))
            case Type.TIME:
                return quoted(_instant(int(row[self.name])))
            case Type.DURATION:
                return duration_literal(int(self.numbers(rows)[0]))
            case Type.SENSOR:
                return quoted(_sensor(int(row[self.name]), sensors))
            case Type.TEXT:
                return quoted(bytes(row[self.name]).decode("latin-1"))
            case Type.BYTES:
                return quoted(bytes(row[self.name]).hex())
            case Type.COMMUNITY:
                return quoted(_texts(self, rows, sensors)[0])
            case Type.PROTO | Type.NAME:
                return self.texts(rows, sensors)[0]
            case _:
                return str(int(self.numbers(rows)[0]))

    def condition(self, row: np.void, sensors: Mapping[int, str]) -> str:
        """The condition that holds for rows with the same value."""
        value = self.literal(row, sensors)
        return f"{self.name} IS NULL" if value is None else f"{self.name} = {value}"


def _texts(column: Column, rows: Records, sensors: Mapping[int, str]) -> list[str]:
    match column.type:
        case Type.TIME if column.name == "end_time":
            days = (rows["end_time"] // DAY - rows["start_time"] // DAY).tolist()
            clocks = [text.partition(" ")[2] for text in times(rows["end_time"])]
            return [f"+{later}d {clock}" if later else clock for later, clock in zip(days, clocks, strict=True)]
        case Type.TIME:
            return times(rows[column.name])
        case Type.DURATION:
            return [duration(us) for us in column.numbers(rows).tolist()]
        case Type.ADDRESS:
            return [address(value.tobytes()) for value in rows[column.name]]
        case Type.SENSOR:
            return [printable(_sensor(number, sensors)) for number in rows[column.name].tolist()]
        case Type.IDENT:
            return [f"{number:016x}"[:8] for number in rows[column.name].tolist()]
        case Type.PROTO:
            return [name_of(Proto, number) or str(number) for number in rows[column.name].tolist()]
        case Type.NAME:
            field = FIELD_BY_NAME[column.name]
            return [name_text(field, number) for number in rows[column.name].tolist()]
        case Type.FLAGS if FIELD_BY_NAME[column.name].names is TcpFlag:
            return [tcp_flags(bits) for bits in rows[column.name].tolist()]
        case Type.FLAGS:
            names = FIELD_BY_NAME[column.name].names
            assert names is not None
            flags = [(int(flag), name.lower()) for name, flag in names.__members__.items()]
            return [", ".join(name for bit, name in flags if bits & bit) for bits in rows[column.name].tolist()]
        case Type.TEXT:
            return [printable(value.decode("latin-1")) for value in rows[column.name].tolist()]
        case Type.BYTES:
            return [value.tobytes().hex()[:8] for value in rows[column.name]]
        case Type.COMMUNITY:
            return [text_of(digest) for digest in digests(rows)]
        case Type.PORT:
            return [str(value) for value in rows[column.name].tolist()]
        case _:
            return [f"{value:,}" for value in column.numbers(rows).tolist()]


def _sensor(number: int, sensors: Mapping[int, str]) -> str:
    return sensors.get(number, f"sensor {number}")


def _instant(us: int) -> str:
    """A time as the language writes it; one that the language cannot say as `times` shows it, which it refuses."""
    try:
        return instant(us)
    except OverflowError:
        return times(np.array([us]))[0]


def times(us: npt.NDArray[np.int64]) -> list[str]:
    """`2004-07-26 17:37:49.000`, UTC, cut to milliseconds; any time there is, with as many digits as its year needs."""
    stamps = np.ascontiguousarray(us // 1000).view("datetime64[ms]")
    return [text.replace("T", " ") for text in np.datetime_as_string(stamps).tolist()]


def duration(us: int) -> str:
    """Seconds to the millisecond, so that they compare by eye; from an hour on days, hours, minutes and seconds."""
    if us < 3_600_000_000:
        return f"{us / 1_000_000:.3f}"
    seconds = us // 1_000_000
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d {clock.zfill(8)}" if days else clock


address = lru_cache(maxsize=65_536)(address_text)
"""An address as text, remembered: the same few stand in many rows."""


@lru_cache(maxsize=256)
def tcp_flags(bits: int) -> str:
    """A letter or a dot for each of FIN SYN RST PSH ACK URG, then ECE and CWR where set: `.S..A.`."""
    letters = list(FLAG_LETTERS.items())
    shown = [letter if bits & TcpFlag[name] else "." for letter, name in letters[:_ALWAYS]]
    return "".join(shown + [letter for letter, name in letters[_ALWAYS:] if bits & TcpFlag[name]])


def _columns() -> dict[str, Column]:
    found = {
        field.name: Column(
            field.name,
            field.label,
            field.doc + (f" ({field.unit})" if field.unit else ""),
            Type(field.kind.value),
            (field.name,),
        )
        for field in FIELDS
    }
    titles = {"duration": "Duration", "total_bytes": "Bytes", "total_pkts": "Pkts", "community_id": "Community ID"}
    for entry in DERIVED.values():
        found[entry.name] = Column(entry.name, titles[entry.name], entry.help, entry.type, entry.fields)
    return found


BY_NAME: dict[str, Column] = _columns()
"""Every column, by its name in the query language, in the order of FIELDS, then the computed ones."""


def shown(names: Sequence[str], forms: Mapping[str, str]) -> list[Column]:
    """Columns by their names, each in the form that was chosen for it."""
    return [replace(BY_NAME[name], form=forms[name]) if name in forms else BY_NAME[name] for name in names]


DEFAULT: tuple[str, ...] = (
    "sensor", "session_id", "start_time", "end_time", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "outcome",
    "src_pkts", "src_bytes", "dst_pkts", "dst_bytes", "duration", "src_flags", "dst_flags",
)  # fmt: skip
"""Sguil's columns in Sguil's order; what came of the session where a narrow window still shows it, and what Sguil kept
but did not show at the end."""


def order(column: Column, descending: bool, rows: Records, sensors: Mapping[int, str]) -> npt.NDArray[np.intp]:
    """The stable order of rows by a column. Absent values come last either way, as in the language's ORDER BY."""
    gone = column.absent(rows)
    keys = [np.where(gone, 0, ~key if descending else key) for key in _sort_keys(column, rows, sensors)]
    return np.lexsort((*reversed(keys), gone))


def _sort_keys(column: Column, rows: Records, sensors: Mapping[int, str]) -> list[npt.NDArray[np.integer]]:
    """Integer arrays, the most significant first; inverting their bits reverses the order."""
    match column.type:
        case Type.ADDRESS | Type.BYTES:
            halves = np.ascontiguousarray(rows[column.name]).view(">u8").reshape(-1, 2)
            return [halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)]
        case Type.SENSOR:
            rank = {number: at for at, number in enumerate(sorted(sensors, key=lambda number: sensors[number]))}
            return [np.array([rank.get(number, len(rank)) for number in rows[column.name].tolist()], np.int64)]
        case Type.TEXT:
            return [np.unique(rows[column.name], return_inverse=True)[1]]
        case Type.COMMUNITY:
            return [np.unique(np.array(digests(rows), "S20"), return_inverse=True)[1]]
        case _:
            return [column.numbers(rows)]
