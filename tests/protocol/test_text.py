"""Sessions as text: how every kind of field reads, absent values, escaping, whole tables in three formats."""

import csv
import io
import ipaddress
import json
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterfact_protocol.session import BY_NAME, FIELDS, RECORD, ROW, Kind, State, absent_bits
from afterfact_protocol.text import CsvWriter, JsonLinesWriter, JsonWriter, address_text, column_text, name_text

Rows = npt.NDArray[np.void]


def table(**columns: object) -> Rows:
    """A few rows with these columns, everything else zero."""
    lengths = [len(values) for values in columns.values() if isinstance(values, list)]
    rows = np.zeros(lengths[0] if lengths else 1, ROW)
    for name, values in columns.items():
        rows[name] = values
    return rows


def address(text: str) -> np.void:
    parsed = ipaddress.ip_address(text)
    return np.void(parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed)


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("start_time", [0, 1_090_863_429_000_001], ["1970-01-01T00:00:00.000000Z", "2004-07-26T17:37:09.000001Z"]),
        ("end_time", [-1, 253_402_300_799_999_999], ["1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"]),
        ("start_time", [-(2**63), 2**63 - 1], ["-290308-12-21T19:59:05.224192Z", "294247-01-10T04:00:54.775807Z"]),
        ("src_ip", [address("1.2.3.4"), address("::1")], ["1.2.3.4", "::1"]),
        ("dst_ip", [address("2001:db8::5"), address("::")], ["2001:db8::5", "::"]),
        ("session_id", [0, 2**64 - 1], ["0", "18446744073709551615"]),
        ("proto", [6, 17], ["6", "17"]),
        ("src_flags", [0, 27], ["0", "27"]),
        ("state", [State.S0, State.SF], ["S0", "SF"]),
        ("outcome", [0, 6], ["unknown", "both_ways"]),
        ("end_reason", [1, 1], ["closed", "closed"]),
        ("direction_by", [2, 200], ["synack", "200"]),
        ("history", [b"ShADadFf", b""], ["ShADadFf", ""]),
        ("marks", [0, 2**32 - 1], ["0", "4294967295"]),
        ("stream", [np.void(bytes(range(16))), np.void(bytes(16))], [bytes(range(16)).hex(), "00" * 16]),
        ("sensor", [1, 9], ["border", "9"]),
    ],
)
def test_how_a_field_reads(field: str, values: list[object], expected: list[str]) -> None:
    assert column_text(table(**{field: values}), field, {1: "border"}) == expected
    assert column_text(table(**{field: values * 200}), BY_NAME[field], {1: "border"}) == expected * 200


def test_every_field_reads_in_every_dtype() -> None:
    for field in FIELDS:
        (stored,), (metered,) = column_text(np.zeros(1, ROW), field), column_text(np.zeros(1, RECORD), field)
        assert metered == ("" if field.name not in (RECORD.names or ()) else stored)
        assert column_text(np.zeros(0, ROW), field) == []


def test_absent_values() -> None:
    rows = table(src_port=[5, 6, 7], absent=[0, absent_bits("src_port"), absent_bits("dst_port")])
    assert column_text(rows, "src_port") == ["5", "", "7"]
    assert column_text(rows, "src_port", absent="-") == ["5", "-", "7"]
    rows["absent"] = absent_bits("src_port", "icmp_type")
    assert column_text(rows, "src_port") == column_text(rows, "icmp_type") == ["", "", ""]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(KeyError):
        column_text(np.zeros(1, ROW), "payload")


@given(st.binary(min_size=16, max_size=16))
def test_addresses_agree_with_the_standard_library(raw: bytes) -> None:
    parsed = ipaddress.IPv6Address(raw)
    assert address_text(raw) == str(parsed.ipv4_mapped or parsed)
    mapped = bytes(10) + b"\xff\xff" + raw[:4]
    assert address_text(mapped) == str(ipaddress.IPv4Address(raw[:4]))


@given(st.lists(st.integers(-(2**55), 2**57), min_size=1, max_size=300))
def test_times_agree_with_numpy(times: list[int]) -> None:
    expected = [str(np.datetime64(time, "us")) + "Z" for time in times]
    assert column_text(table(start_time=times), "start_time") == expected


def test_names() -> None:
    assert name_text(BY_NAME["state"], State.RSTOS0) == "RSTOS0"
    assert name_text(BY_NAME["outcome"], 3) == "unreachable"
    assert name_text(BY_NAME["outcome"], 99) == "99"


NASTY = {1: 'a,"b"', 2: "two\nlines", 3: "plain"}
SAMPLE = table(
    sensor=[1, 2, 3],
    src_ip=[address("1.2.3.4")] * 3,
    src_port=[1, 2, 3],
    start_time=[10, 20, 30],
    session_id=[2**63 + 1, 5, 6],
    history=[b"Sh", b"", b"D"],
    absent=[absent_bits("src_port", "history"), 0, absent_bits("vlan")],
)


def written(writer: Callable[..., CsvWriter | JsonWriter | JsonLinesWriter], *arrays: Rows, **how: object) -> str:
    out = io.StringIO()
    made = writer(out, **how)
    for array in arrays:
        made.write(array)
    made.close()
    return out.getvalue()


@pytest.mark.parametrize("parts", [(SAMPLE,), (SAMPLE[:1], SAMPLE[1:]), (SAMPLE[:0], SAMPLE, SAMPLE[:0])])
def test_csv_is_read_back_by_the_standard_library(parts: tuple[Rows, ...]) -> None:
    text = written(CsvWriter, *parts, sensors=NASTY)
    assert "\r" not in text and text.endswith("\n")
    header, *lines = list(csv.reader(io.StringIO(text)))
    assert header == [field.name for field in FIELDS]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert [row["sensor"] for row in rows] == ['a,"b"', "two\\nlines", "plain"], "a line a row, whatever a name holds"
    assert [row["src_port"] for row in rows] == ["", "2", "3"]
    assert [row["vlan"] for row in rows] == ["0", "0", ""]
    assert rows[0]["session_id"] == str(2**63 + 1)


def test_control_characters_do_not_reach_a_terminal() -> None:
    rows = table(history=[b"\x1b[2Jx\x9b", b"Sh\r\x00\x7f!"])
    assert column_text(rows, "history") == ["\\x1b[2Jx\\x9b", "Sh\\r\\x00\\x7f!"]
    for writer in (CsvWriter, JsonLinesWriter):
        lines = written(writer, rows, sensors={0: "\x1b]0;title\x07"}).removesuffix("\n").split("\n")
        assert all(character.isprintable() for line in lines for character in line.replace("\x7f", "")), lines
    parsed = json.loads(written(JsonWriter, rows))
    assert [row["history"] for row in parsed] == ["\x1b[2Jx\x9b", "Sh\r\x00\x7f!"], "JSON tells the bytes"


@pytest.mark.parametrize("parts", [(SAMPLE,), (SAMPLE[:1], SAMPLE[1:]), (SAMPLE[:0], SAMPLE, SAMPLE[:0])])
def test_json(parts: tuple[Rows, ...]) -> None:
    rows = json.loads(written(JsonWriter, *parts, sensors=NASTY))
    assert [row["sensor"] for row in rows] == list(NASTY.values())
    assert [row["src_port"] for row in rows] == [None, 2, 3]
    assert [row["history"] for row in rows] == [None, "", "D"]
    assert rows[0]["session_id"] == 2**63 + 1 and rows[0]["src_ip"] == "1.2.3.4"
    assert rows[0]["start_time"] == "1970-01-01T00:00:00.000010Z"
    lines = written(JsonLinesWriter, *parts, sensors=NASTY).splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_nothing_at_all() -> None:
    assert json.loads(written(JsonWriter)) == []
    assert written(JsonLinesWriter) == ""
    assert written(CsvWriter).count("\n") == 1


def test_stamps_are_empty_where_the_array_has_none() -> None:
    record = np.zeros(1, RECORD)
    (row,) = csv.DictReader(io.StringIO(written(CsvWriter, record)))
    assert [row[name] for name in ("sensor", "ingest_time", "stream", "seq")] == [""] * 4
    (parsed,) = json.loads(written(JsonWriter, record))
    assert parsed["seq"] is None
    assert next(iter(csv.reader(io.StringIO(written(CsvWriter, record, dtype=RECORD))))) == list(RECORD.names or ())


def test_numbers_are_numbers_in_json() -> None:
    (row,) = json.loads(written(JsonWriter, np.zeros(1, ROW)))
    for field in FIELDS:
        text = field.kind in (Kind.TIME, Kind.ADDRESS, Kind.NAME, Kind.TEXT, Kind.SENSOR, Kind.BYTES)
        assert isinstance(row[field.name], str if text else int)
