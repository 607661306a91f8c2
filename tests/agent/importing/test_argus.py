"""Argus's files through ra, and ra's CSV."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign import argus_csv
from helpers.packets import as_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.argus.format import Argus
from afterfact_agent.importing.lines import blocks_of
from afterfact_agent.importing.run import import_files
from afterfact_protocol.records import check

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "outputs"
needs_corpus = pytest.mark.skipif(
    not CORPUS.exists(), reason="the shared corpus of other meters' outputs is not at hand"
)
needs_ra = pytest.mark.skipif(shutil.which("ra") is None, reason="ra (argus-client) is not installed")


def test_ras_csv(tmp_path: Path) -> None:
    path = tmp_path / "ra.csv"
    path.write_text(argus_csv())
    run = import_files([path])
    rows = as_rows(np.concatenate(list(run.records())))
    assert run.reports[0].format == "argus" and not run.reports[0].rejected
    first = rows[0]
    assert (first["src_ip"], first["src_port"], first["dst_ip"], first["dst_port"]) == (
        "10.1.1.5", 1034, "203.0.113.9", 6667,
    )  # fmt: skip
    assert (first["src_pkts"], first["dst_pkts"], first["src_bytes"], first["dst_bytes"]) == (6, 5, 420, 1310)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 140), st.integers(0, 15), st.binary(max_size=12)), max_size=6)
)
def test_any_line_is_told_of(changes: list[tuple[int, int, int, bytes]]) -> None:
    lines = argus_csv().encode().splitlines()
    for line, at, cut, piece in changes:
        lines[line] = lines[line][:at] + piece.replace(b"\n", b"") + lines[line][at + cut :]
    reader = Argus().reader()
    told = count = 0
    for block in blocks_of(io.BytesIO(b"\n".join(lines)), "file"):
        count += len(block)
        for taken in (reader.read(block), reader.finish()):
            check(taken.records)
            told += len(taken.records) + len(taken.rejects) + sum(taken.skipped.values())
    assert told == count


@needs_corpus
@needs_ra
def test_every_file_of_argus_3() -> None:
    files = sorted((CORPUS / "argus3").glob("*.argus"))
    run = import_files(files)
    sessions = np.concatenate(list(run.records()))
    check(sessions)
    assert run.damage == [] and len(sessions) > 200
    assert sum(report.rejected.total() for report in run.reports) == 0
    assert {interval.kind for interval in run.observed()} == {"import"}
    assert all(report.intervals() for report in run.reports if report.sessions)


@needs_corpus
@needs_ra
def test_a_file_that_is_too_new_for_this_ra_is_said() -> None:
    path = next(iter(sorted((CORPUS / "argus5").glob("*.argus"))))
    run = import_files([path])
    list(run)
    assert len(run.damage) <= 1
    assert not run.damage or "written by Argus 5, and ra here is 3" in run.damage[0]
