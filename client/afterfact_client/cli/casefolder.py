"""A case as a folder: a report in Markdown, its queries, its evidence as CSV and Parquet, and the file that another
server imports."""

import importlib.util
from pathlib import Path

from afterfact_client.cli.failure import WRONG_CALL, Failure
from afterfact_client.cli.parquet import ParquetWriter
from afterfact_client.state.case_report import report
from afterfact_protocol.casefile import FiledCase, FiledRows
from afterfact_protocol.output import OutputError, output
from afterfact_protocol.printable import printable
from afterfact_protocol.session import FIELDS, ROW
from afterfact_protocol.text import CsvWriter

CASE_FILE = "case.afterfact"


def write(filed: FiledCase, data: bytes, folder: Path) -> list[str]:
    """Write a case into a new folder, or an empty one; what is to be said of it. `data` is its file. Failure,
    OutputError for what cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Failure(f"{folder}: there is something in it; name a new folder", WRONG_CALL)
        (folder / "evidence").mkdir()
        (folder / CASE_FILE).write_bytes(data)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write: {error.strerror}") from None
    _write_text(folder / "report.md", report(filed))
    _write_text(folder / "queries.txt", _queries(filed))
    parquet = importlib.util.find_spec("pyarrow") is not None
    for each in filed.steps:
        name = f"step-{each.step.number:02}"
        assert each.then is not None, "an unpacked step has its rows"
        _write_rows(each.then, folder / "evidence" / name, parquet)
        if each.again is not None:
            _write_rows(each.again, folder / "evidence" / f"{name}-again", parquet)
    return [] if parquet else ["no Parquet: that needs pyarrow (pip install 'afterfact[parquet]')"]


def read(place: Path) -> bytes:
    """A case's file, by itself or of its folder. Failure if there is none."""
    path = place / CASE_FILE if place.is_dir() else place
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: cannot read: {error.strerror}", WRONG_CALL) from None


def _queries(filed: FiledCase) -> str:
    """Each with its times made absolute, so that it asks for the same anywhere; comments are lines with --."""
    lines = []
    for each in filed.steps:
        step = each.step
        lines += [f"-- step {step.number}: {printable(' '.join(step.why.split()))}"]
        lines += [f"-- left out: {printable(one)}" for one in step.exclusions]
        lines += [*(printable(line) for line in step.query.splitlines()), ""]
    return "\n".join(lines)


def _write_text(path: Path, text: str) -> None:
    with output(str(path)) as out:
        out.write(text)


def _write_rows(kept: FiledRows, path: Path, parquet: bool) -> None:
    sensors = kept.answer.sensors
    with output(f"{path}.csv") as out:
        writer = CsvWriter(out, ROW, sensors)
        writer.write(kept.rows)
        writer.close()
    if parquet:
        with ParquetWriter(f"{path}.parquet", FIELDS, sensors) as rows:
            rows.write(kept.rows)
