"""Sessions as columns and frames: every value as CSV and JSON have it, and null where the source did not know it."""

import json
import os
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.query_strategies import SENSORS, sessions
from hypothesis import HealthCheck, given, settings

from afterfact_client import frames
from afterfact_client.cli.parquet import GROUP_ROWS, ParquetWriter
from afterfact_client.frames import Extra
from afterfact_protocol.output import OutputError
from afterfact_protocol.records import Records
from afterfact_protocol.session import FIELDS, ROW, Kind
from afterfact_protocol.text import JsonLinesWriter

NAMES = {number: name for name, number in SENSORS.items()}
TIMES = [field.name for field in FIELDS if field.kind is Kind.TIME]


def as_json(rows: Records) -> list[dict[str, Any]]:
    out = StringIO()
    JsonLinesWriter(out, ROW, NAMES).write(rows)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def plain(value: Any) -> Any:
    """A frame's value as JSON has it."""
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def agrees(rows: Records, columns: dict[str, Sequence[Any]]) -> None:
    expected = as_json(rows)
    assert list(columns) == [field.name for field in FIELDS]
    for name, values in columns.items():
        assert [plain(value) for value in values] == [row[name] for row in expected], name


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(most=6))
def test_frames_have_what_json_has(rows: Records) -> None:
    rows = rows[rows["start_time"] < 1 << 51]  # Python's own times end in 9999
    pandas = pytest.importorskip("pandas")
    frame = frames.to_pandas(rows, NAMES)
    agrees(rows, {name: [None if value is pandas.NA else value for value in frame[name]] for name in frame})
    arrow = frames.Arrow().batch(rows, NAMES)
    agrees(rows, arrow.to_pydict())
    made = frames.columns(rows, NAMES)
    for field in FIELDS:
        missing = (rows["absent"] >> np.uint64(field.id) & np.uint64(1)).astype(bool) & field.nullable
        assert np.ma.getmaskarray(made[field.name]).tolist() == missing.tolist()
    agrees(rows, {name: column.tolist() for name, column in made.items()})


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(most=6))
def test_polars_has_what_json_has(rows: Records) -> None:
    pytest.importorskip("polars")
    rows = rows[rows["start_time"] < 1 << 51]
    agrees(rows, frames.to_polars(rows, NAMES).to_dict(as_series=False))


def test_types_are_the_same_whatever_the_rows_hold() -> None:
    pytest.importorskip("pandas")
    rows = np.zeros(2, ROW)
    known, unknown = frames.to_pandas(rows, NAMES), rows.copy()
    unknown["absent"] = sum(1 << field.id for field in FIELDS if field.nullable)
    assert known.dtypes.equals(frames.to_pandas(unknown, NAMES).dtypes)
    assert known.dtypes.equals(frames.to_pandas(rows[:0], NAMES).dtypes)


def test_parquet_of_several_row_groups(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = np.zeros(GROUP_ROWS + 2000, ROW)
    rows["session_id"], rows["sensor"] = np.arange(len(rows)), 1
    rows["start_time"] = 1_090_281_600_000_001
    rows["absent"][5] = 1 << next(field.id for field in FIELDS if field.name == "src_port")
    extras = [Extra("duration", "duration"), Extra("also_seen", "text")]
    path = tmp_path / "found.parquet"
    with ParquetWriter(str(path), FIELDS, NAMES, extras) as writer:
        for at in range(0, len(rows), 1000):
            part = rows[at : at + 1000]
            writer.write(part, [7] * len(part), [None] * len(part))
    assert os.listdir(tmp_path) == ["found.parquet"]
    made = parquet.ParquetFile(path)
    assert made.metadata.num_row_groups == 2
    table = made.read()
    assert table["session_id"].to_pylist() == list(range(len(rows)))
    assert table["src_port"].to_pylist()[4:7] == [0, None, 0]
    assert str(table.schema.field("start_time").type) == "timestamp[us, tz=UTC]"
    assert table["start_time"][0].value == 1_090_281_600_000_001
    assert table["duration"][0].value == 7 and table["also_seen"].null_count == len(rows)


def test_a_file_that_is_not_whole_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "found.parquet"
    with pytest.raises(KeyError), ParquetWriter(str(path), FIELDS, NAMES) as writer:
        writer.write(np.zeros(3, ROW))
        raise KeyError
    assert os.listdir(tmp_path) == []
    with pytest.raises(OutputError, match="cannot write"):
        ParquetWriter(str(tmp_path / "none" / "found.parquet"), FIELDS, NAMES)


def test_without_the_packages_a_line_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *rest: Any, **more: Any) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(frames.importlib, "import_module", missing)
    for ask, said in (
        (frames.to_pandas, r"pandas: pip install 'afterfact\[frames\]'"),
        (frames.to_polars, r"polars: pip install 'afterfact\[frames\]'"),
        (lambda *_: frames.Arrow(), r"pyarrow: pip install 'afterfact\[parquet\]'"),
    ):
        with pytest.raises(frames.PackageMissing, match=said):
            ask(np.zeros(0, ROW), {})
