"""ra's CSV; argus/ has the rest."""

import io
from pathlib import Path

import numpy as np
from helpers.foreign import argus_csv
from helpers.packets import as_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.argus.format import Argus
from afterfact_agent.importing.lines import blocks_of
from afterfact_agent.importing.run import import_files
from afterfact_protocol.records import check


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
