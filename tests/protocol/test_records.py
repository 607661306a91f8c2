"""Rows of older and newer senders, and rows that cannot be."""

import numpy as np
import pytest

from afterfact_protocol.codec import WireError
from afterfact_protocol.records import RECORD_COLUMNS, check, columns_of, from_bytes
from afterfact_protocol.session import BY_NAME, RECORD, ROW, absent_bits


def records(count: int = 3) -> np.ndarray:  # type: ignore[type-arg]
    rows = np.zeros(count, RECORD)
    rows["start_time"] = np.arange(count) + 10
    rows["end_time"] = rows["start_time"]
    rows["dst_port"] = 1034
    rows["src_ip"] = np.void(bytes(range(16)))
    return rows


def test_same_schema_is_taken_as_it_is() -> None:
    rows = records()
    assert from_bytes(RECORD_COLUMNS, rows.tobytes()).tobytes() == rows.tobytes()


def test_older_schema_is_read_by_name() -> None:
    rows = records()
    older = tuple(column for column in reversed(RECORD_COLUMNS) if column[0] not in ("syn_retries", "marks", "vlan"))
    layout = np.dtype(list(older))
    sent = np.zeros(len(rows), layout)
    for name, _ in older:
        sent[name] = rows[name]
    got = from_bytes(older, sent.tobytes())
    for name, _ in older:
        if name != "absent":
            assert (got[name] == rows[name]).all(), name
    assert (got["absent"] == absent_bits("syn_retries", "vlan")).all()
    assert not got["marks"].any()


@pytest.mark.parametrize(
    ("columns", "data", "says"),
    [
        ((*RECORD_COLUMNS, ("novelty", "<u8")), b"", "unknown column 'novelty'"),
        ((("start_time", "<i4"),), b"", "column start_time has type '<i4'"),
        ((("start_time", "<i8"), ("start_time", "<i8")), b"", "named twice"),
        (RECORD_COLUMNS, b"x", "no whole number"),
        ((), b"", "no whole number"),
    ],
)
def test_refused(columns: tuple[tuple[str, str], ...], data: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        from_bytes(columns, data)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("outcome", 7, "outcome 7 has no name"),
        ("state", 200, "state 200 has no name"),
        ("absent", 1 << BY_NAME["start_time"].id, "never absent"),
        ("absent", 1 << 63, "never absent"),
        ("absent", absent_bits("dst_port"), "dst_port is said to be absent and has a value"),
        ("end_time", 0, "ends before it starts"),
    ],
)
def test_impossible_values(name: str, value: int, says: str) -> None:
    rows = records()
    check(rows)
    rows[name][1] = value
    with pytest.raises(WireError, match=says):
        check(rows)


@pytest.mark.parametrize("name", [field.name for field in BY_NAME.values() if field.nullable])
def test_what_is_absent_is_zero(name: str) -> None:
    rows = np.zeros(2, RECORD)
    rows["absent"][0] = absent_bits(name)
    check(rows)
    rows[name][1] = np.frombuffer(b"\1" * 32, RECORD[name], 1)[0]
    check(rows)
    rows["absent"][1] = absent_bits(name)
    with pytest.raises(WireError, match=f"{name} is said to be absent"):
        check(rows)


def test_no_rows() -> None:
    check(records(0))
    assert columns_of(ROW)[0] == ("start_time", "<i8")
