"""Going through files, with a format of the tests' own."""

from pathlib import Path

import pytest
from helpers.seconds_format import Seconds

from afterfact_agent.importing import formats
from afterfact_agent.importing.lines import ImportFailure
from afterfact_agent.importing.run import ImportRun, import_files
from afterfact_protocol.output import OutputError


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", (Seconds(),))


def starts(run: ImportRun) -> list[int]:
    return [int(row["start_time"]) // 1_000_000 for rows in run.records() for row in rows]


def test_every_line_is_told_of(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"#seconds\n5\n7\n9\n")
    bad.write_bytes(b"#seconds\n4\nfour\n\x1b[2J\xff\n3\n")
    run = import_files([good, bad])
    assert starts(run) == [5, 7, 9, 4, 3] and run.damage == []
    first, second = run.reports
    assert (first.lines, first.sessions, dict(first.skipped), dict(first.rejected)) == (4, 3, {"comment": 1}, {})
    assert (second.lines, second.sessions, dict(second.rejected)) == (5, 2, {"no number": 2})
    assert run.reported == {"lines": 9, "lines_rejected": 2, "lines_skipped": 2, "records": 5, "events": 0}
    assert run.notes == [
        f"{good}: seconds: 4 lines, 3 sessions; skipped 1 (comment)",
        f"{bad}: seconds: 5 lines, 2 sessions; skipped 1 (comment); REJECTED 2 (no number)",
        f"{bad}:3: no number: four",
        f"{bad}:4: no number: ?[2J\N{REPLACEMENT CHARACTER}",
    ]


def test_rejects_go_to_a_file_whole(tmp_path: Path) -> None:
    bad, rejects = tmp_path / "bad", tmp_path / "deep" / "rejects"
    bad.write_bytes(b"#seconds\nfour\r\n1\nf\xffve\n")
    run = import_files([bad], rejects=rejects)
    assert starts(run) == [1]
    assert rejects.read_bytes() == b"bad:2: no number\tfour\nbad:4: no number\tf\xffve\n"
    assert run.notes == [
        f"{bad}: seconds: 4 lines, 1 sessions; skipped 1 (comment); REJECTED 2 (no number); they are in {rejects}"
    ]
    fine = tmp_path / "fine"
    fine.write_bytes(b"#seconds\n1\n")
    assert starts(import_files([fine], rejects=tmp_path / "none")) == [1] and not (tmp_path / "none").exists()


def test_a_rejects_file_that_cannot_be_written_ends_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"#seconds\nfour\n")
    (tmp_path / "in the way").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write the rejected lines"):
        list(import_files([bad], rejects=tmp_path / "in the way" / "rejects"))


def test_an_interval_a_file(tmp_path: Path) -> None:
    good, empty = tmp_path / "good", tmp_path / "empty"
    good.write_bytes(b"#seconds\n1000000007\nx\n1000000005\n")
    empty.write_bytes(b"#seconds\n")
    run = import_files([good, empty])
    list(run)
    (interval,) = run.observed()
    assert (interval.kind, interval.what, interval.start, interval.end, interval.note) == (
        "import", "good", 1_000_000_005_000_000, 1_000_000_007_000_005, "1 of 4 lines could not be read",
    )  # fmt: skip


def test_a_format_is_recognised_or_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"12\n")
    with pytest.raises(ImportFailure, match=r"none of the formats that are recognised \(seconds\): name one"):
        import_files([path])
    assert starts(import_files([path], "seconds")) == [12]
    with pytest.raises(ImportFailure, match="cannot read: No such file"):
        import_files([tmp_path / "none"])
