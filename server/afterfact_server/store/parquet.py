"""A UTC day of sessions as a Parquet file, written and read by the engine itself, and back.

The file has the columns of FIELDS, in the store's own types, and `sensor_name` beside them: a sensor's number means
nothing at another server. One row a session, its newest revision.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from afterfact_protocol.session import FIELDS, KEY
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.layout import Layout, Table
from afterfact_server.store.schema import MICROSECONDS_A_DAY, SESSIONS

_WITHIN = "start_time BETWEEN fromUnixTimestamp64Micro({first:Int64}) AND fromUnixTimestamp64Micro({last:Int64})"
_STAGE = "import_stage"
_NAMES = [field.name for field in FIELDS]


class ParquetError(RuntimeError):
    """A file cannot be written or is none that can be taken in; one line for a person."""


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _span(day: int) -> dict[str, Any]:
    return {"first": day * MICROSECONDS_A_DAY, "last": (day + 1) * MICROSECONDS_A_DAY - 1}


def export_day(engine: StoreEngine, client: Client, day: int, sensors: Mapping[int, str], path: Path, tag: str) -> int:
    """Write a day into a new file, which is there whole or not at all; how many sessions. ParquetError if it cannot."""
    if path.exists():
        raise ParquetError(f"{path}: is there already; choose another name")
    span = _span(day)
    counted = client.query(f"SELECT count() FROM {SESSIONS} FINAL WHERE {_WITHIN}", parameters=span)
    numbers, names = list(sensors), list(sensors.values())
    select = (
        f"SELECT {', '.join(_NAMES)}, transform(sensor, {{numbers:Array(UInt16)}}, {{names:Array(String)}}, '') "
        f"AS sensor_name FROM {SESSIONS} FINAL WHERE {_WITHIN} ORDER BY {', '.join(KEY)}"
    )
    values = span | {"numbers": numbers or [0], "names": names or [""]}
    part = path.with_name(path.name + ".partial")
    try:
        part.unlink(missing_ok=True)
        if engine.embedded:  # the engine writes it itself: through us it would pass as one piece of memory
            client.command(
                f"INSERT INTO FUNCTION file({_literal(str(part))}, 'Parquet') {select}",
                parameters=values,
                settings={"log_comment": tag},
            )
        else:
            with (
                part.open("xb") as file,
                client.raw_stream(select, parameters=values, settings={"log_comment": tag}, fmt="Parquet") as stream,
            ):
                shutil.copyfileobj(stream, file, 1 << 20)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(part, 0o600)
        os.link(part, path)  # unlike a rename never over a file that came meanwhile
        part.unlink()
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ParquetError(f"{path}: cannot write it: {error.strerror}") from None
    except StoreFailure:
        part.unlink(missing_ok=True)
        raise
    return int(counted.result_rows[0][0])


def import_day(
    engine: StoreEngine,
    client: Client,
    path: Path,
    numbers: Mapping[str, int],
    dropped: Callable[[int], bool],
    tag: str,
) -> tuple[int, int]:
    """Take a day's file in: the day and how many sessions it has. Done again, it adds nothing. `numbers` are sensors'
    by name. ParquetError, and nothing taken in, if the file is none of ours, has several days, or names a sensor that
    is not enrolled."""
    with _source(engine, client, path) as source:
        present = {str(row[0]): str(row[1]) for row in client.query(f"DESCRIBE TABLE {source}").result_rows}
        lacking = [name for name in (*KEY, "revision", "absent", "sensor_name") if name not in present]
        if lacking:
            raise ParquetError(f"{path}: has no column {lacking[0]}: no day that afterfact-server exported")
        unknown = sorted(present.keys() - {*_NAMES, "sensor_name"})
        if unknown:
            raise ParquetError(f"{path}: has a column {unknown[0]} that this program does not know; update it")
        rows, first, last = client.query(
            f"SELECT count(), toInt64(min(day)), toInt64(max(day)) FROM (SELECT intDiv(toUnixTimestamp64Micro("
            f"CAST(start_time, 'DateTime64(6, \\'UTC\\')')), {MICROSECONDS_A_DAY}) AS day FROM {source})"
        ).result_rows[0]
        if not rows:
            return 0, 0
        if first != last:
            raise ParquetError(f"{path}: has sessions of several days; this takes one")
        if dropped(int(first)):
            raise ParquetError(f"{path}: its day was dropped; admit it: afterfact-server retention DIR admit")
        names = [row[0] for row in client.query(f"SELECT DISTINCT sensor_name FROM {source}").result_rows]
        strangers = sorted(name for name in names if name not in numbers)
        if strangers:
            raise ParquetError(f"{path}: has sessions of the sensor {strangers[0]!a}, which is not enrolled; enrol it "
                               "first: afterfact-server sensor enrol")  # fmt: skip
        client.command(
            f"INSERT INTO {SESSIONS} ({', '.join(_NAMES)}) SELECT {_selected(present)} FROM {source}",
            parameters={"names": names, "numbers": [numbers[name] for name in names]},
            settings={"log_comment": tag, "max_partitions_per_insert_block": 1},
        )
    return int(first), int(rows)


def _selected(present: Mapping[str, str]) -> str:
    """The store's columns from the file's; a field that the file is too old to have is marked as not known."""
    unknown = sum(1 << field.id for field in FIELDS if field.name not in present and field.nullable)
    parts = []
    for field in FIELDS:
        kind = field.clickhouse.replace("'", "\\'")
        if field.name == "sensor":
            parts.append("CAST(transform(sensor_name, {names:Array(String)}, {numbers:Array(UInt16)}, 0), 'UInt16')")
        elif field.name == "absent":
            parts.append(f"bitOr(CAST(absent, 'UInt64'), toUInt64({unknown}))")
        elif field.name in present:
            parts.append(f"CAST({field.name}, '{kind}')")
        else:
            parts.append(f"defaultValueOfTypeName('{kind}')")
    return ", ".join(parts)


@contextmanager
def _source(engine: StoreEngine, client: Client, path: Path) -> Iterator[str]:
    """What stands for the file's rows after FROM. A server at the other end of a DSN gets them into a table first."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PAR1":
                raise ParquetError(f"{path}: no Parquet file")
            file.seek(0)
            if engine.embedded:
                yield f"file({_literal(str(path))}, 'Parquet')"
                return
            stage, single = _stage_table(), Layout()
            client.command(f"DROP TABLE IF EXISTS {_STAGE}")
            for statement in single.create(stage):
                client.command(statement)
            try:
                client.raw_insert(_STAGE, [*_NAMES, "sensor_name"], file, fmt="Parquet")
                yield _STAGE
            finally:
                client.command(f"DROP TABLE IF EXISTS {_STAGE}")
    except OSError as error:
        raise ParquetError(f"{path}: cannot read it: {error.strerror}") from None


def _stage_table() -> Table:
    columns = ", ".join(f"{field.name} {field.clickhouse}" for field in FIELDS)
    return Table(_STAGE, f"{columns}, sensor_name String", "start_time")
