"""Whole tables as text are what column_text says of each of their columns, whatever is in them, byte for byte."""

import io
import ipaddress
import json
from collections.abc import Mapping
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_protocol.session import FIELDS, HISTORY_BYTES, RECORD, ROW, Field, Kind
from afterfact_protocol.text import CsvWriter, JsonLinesWriter, JsonWriter, column_text

Rows = npt.NDArray[np.void]

NASTY = {1: "border", 2: 'a,"b"', 3: "two\nlines\r", 4: "zürich 東京", 5: "", 6: "back\\slash\x01"}
SECOND, DAY = 1_000_000, 86_400_000_000
TIMES = [0, -1, DAY - 1, DAY, -DAY - 1, 1_090_863_429_000_001, 253_402_300_800 * SECOND, -62_135_596_800 * SECOND - 1,
         -(2**63), 2**63 - 1]  # fmt: skip
HISTORIES = [b"", b"S", b"ShADadFf", b"x" * HISTORY_BYTES]
ODD_HISTORIES = [b"a,b", b'"', b"\\", b"\r\n", b"\x7f", b"\xe9\xff", b"a\0b", b"\0b"]


def mapped(raw: bytes) -> bytes:
    return bytes(10) + b"\xff\xff" + raw


def ipv6(groups: list[int]) -> bytes:
    return b"".join(group.to_bytes(2, "big") for group in groups)


ADDRESSES = st.one_of(
    st.binary(min_size=4, max_size=4).map(mapped),
    st.lists(st.sampled_from([0, 0, 0, 1, 0x10, 0xABC, 0xFFFF]), min_size=8, max_size=8).map(ipv6),
    st.binary(min_size=16, max_size=16),
)


def values(field: Field) -> st.SearchStrategy[list[object]]:
    """A few values of a field; they are repeated over the rows."""
    one: st.SearchStrategy[object]
    match field.kind:
        case Kind.TIME:
            one = st.one_of(st.sampled_from(TIMES), st.integers(-(2**63), 2**63 - 1), st.integers(0, 10 * DAY))
        case Kind.ADDRESS:
            one = ADDRESSES.map(np.void)
        case Kind.BYTES:
            one = st.binary(min_size=16, max_size=16).map(np.void)
        case Kind.TEXT:
            odd = st.lists(st.sampled_from(HISTORIES + ODD_HISTORIES), min_size=1, max_size=4)
            return st.lists(st.sampled_from(HISTORIES), min_size=1, max_size=4) | odd  # type: ignore[return-value]
        case Kind.SENSOR:
            one = st.sampled_from([*NASTY, 7, 65535])
        case Kind.NAME:
            one = st.integers(0, 15) | st.just(255)
        case _:
            bits = 8 * np.dtype(field.dtype).itemsize
            one = st.integers(0, bits).flatmap(lambda most: st.integers(0, 2**most - 1))
    return st.lists(one, min_size=1, max_size=4)


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    rows = np.zeros(draw(st.integers(1, 30)), draw(st.sampled_from([ROW, RECORD])))
    for field in FIELDS:
        if field.name in (rows.dtype.names or ()):
            for at, value in enumerate(islice(cycle(draw(values(field))), len(rows))):
                rows[field.name][at] = value
    if draw(st.booleans()):
        rows["absent"] = 0
    return rows


def expected_csv(rows: Rows, sensors: Mapping[int, str] | None) -> str:
    """Quoted where RFC 4180 says so, and only there."""

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if set(text) & set('",') else text

    columns = [map(quoted, column_text(rows, field, sensors)) for field in FIELDS]
    lines = [",".join(field.name for field in FIELDS), *map(",".join, zip(*columns, strict=True))]
    return "".join(f"{line}\n" for line in lines)


def unescaped(rows: Rows, field: Field, sensors: Mapping[int, str] | None) -> list[str]:
    """column_text, but with others' text as it is, for JSON to escape."""
    if field.name not in (rows.dtype.names or ()) or field.kind not in (Kind.TEXT, Kind.SENSOR):
        return column_text(rows, field, sensors)
    if field.kind is Kind.TEXT:
        return [value.decode("latin-1") for value in rows[field.name].tolist()]
    return [(sensors or {}).get(number) or str(number) for number in rows[field.name].tolist()]


def expected_objects(rows: Rows, sensors: Mapping[int, str] | None) -> list[str]:
    """As the standard library writes them."""
    text = (Kind.TIME, Kind.ADDRESS, Kind.NAME, Kind.TEXT, Kind.SENSOR, Kind.BYTES)
    columns: dict[str, list[object]] = {}
    for field in FIELDS:
        known = unescaped(rows, field, sensors)
        gone = [value == "<absent>" for value in column_text(rows, field, sensors, "<absent>")]
        columns[field.name] = [
            None if missing else value if field.kind in text else int(value)
            for value, missing in zip(known, gone, strict=True)
        ]
    return [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def written(writer: type[CsvWriter | JsonWriter | JsonLinesWriter], *parts: Rows, sensors: object = None) -> str:
    out = io.StringIO()
    made = writer(out, sensors=sensors)  # type: ignore[arg-type]
    for part in parts:
        made.write(part)
    made.close()
    return out.getvalue()


def same(rows: Rows, cut: int, sensors: Mapping[int, str] | None) -> None:
    parts = rows[:cut], rows[cut:]
    assert written(CsvWriter, *parts, sensors=sensors) == expected_csv(rows, sensors)
    objects = expected_objects(rows, sensors)
    assert written(JsonLinesWriter, *parts, sensors=sensors) == "".join(f"{line}\n" for line in objects)
    assert written(JsonWriter, *parts, sensors=sensors) == "[\n" + ",\n".join(objects) + "\n]\n"


@given(tables(), st.integers(0, 30), st.sampled_from([NASTY, None]))
@settings(max_examples=150, deadline=None)
def test_any_table(rows: Rows, cut: int, sensors: Mapping[int, str] | None) -> None:
    same(rows, cut, sensors)


def test_tables_of_many_blocks() -> None:
    random = np.random.default_rng(20040726)
    rows = np.frombuffer(random.bytes(20_000 * ROW.itemsize), ROW).copy()
    rows["start_time"] >>= 12
    rows["end_time"] = rows["start_time"][0] + np.arange(len(rows)) * 7_000_001
    rows["history"] = np.array(HISTORIES + ODD_HISTORIES)[random.integers(0, 4, len(rows))]
    rows["src_bytes"] >>= random.integers(0, 64, len(rows), np.uint64)
    same(rows, 12_345, NASTY)


@pytest.mark.parametrize("zeros", range(256))
def test_every_way_of_shortening_an_address(zeros: int) -> None:
    packed = ipv6([0 if zeros >> (7 - at) & 1 else 0xB0 + at for at in range(8)])
    rows = np.zeros(3, RECORD)
    rows["src_ip"] = np.void(packed), np.void(mapped(b"\1\2\3\4")), np.void(bytes(15) + b"\1")
    first, second, third = (json.loads(line)["src_ip"] for line in written(JsonLinesWriter, rows).splitlines())
    assert (first, second, third) == (str(ipaddress.IPv6Address(packed)), "1.2.3.4", "::1")


def test_every_number_of_16_bits() -> None:
    rows = np.zeros(1 << 16, RECORD)
    rows["src_port"] = np.arange(1 << 16)
    lines = written(CsvWriter, rows).splitlines()
    at = lines[0].split(",").index("src_port")
    assert [line.split(",")[at] for line in lines[1:]] == [str(number) for number in range(1 << 16)]
