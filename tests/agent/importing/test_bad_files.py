"""Files in which something is wrong: one clear line, the right exit code, each line told of, none taken for what it is
not. In every format."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign import CASE, WRITTEN

from afterfact_agent.__main__ import main
from afterfact_agent.importing.lines import ImportFailure, read_blocks
from afterfact_agent.importing.reading import HALF
from afterfact_agent.importing.run import ImportReport, ImportRun, import_files
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD

ALERT = {"seconds": 1090548611, "rule": "1:2003:8", "msg": "worm", "proto": "TCP", "src_ap": "10.1.1.7:1034",
         "dst_ap": "10.1.1.8:80"}  # fmt: skip
SNORT = "".join(json.dumps(ALERT | {"seconds": 1090548611 + n}, separators=(",", " : ")) + "\n" for n in range(7))
TEXTS = {name: (form, text().encode()) for name, (form, text) in WRITTEN.items()} | {
    "alert_json.txt": ("snort", SNORT.encode())
}
JSON = [name for name, (_, text) in TEXTS.items() if text.startswith(b"{")]
each_format = pytest.mark.parametrize("name", TEXTS)


def taken(run: ImportRun) -> tuple[Records, ImportReport]:
    records = np.concatenate([np.zeros(0, RECORD), *run.records()])
    (report,) = run.reports
    return records, report


def accounted(report: ImportReport) -> int:
    return report.sessions + report.events + report.rejected.total() + report.skipped.total()


@each_format
def test_a_half_written_last_line_is_rejected_though_it_could_be_read(tmp_path: Path, name: str) -> None:
    """The first digits of a number are a number too."""
    form, text = TEXTS[name]
    text = text.partition(b"Summary")[0]
    path, rejects = tmp_path / name, tmp_path / "rejects"
    path.write_bytes(text)
    whole, all_of_it = taken(import_files([path], form))
    path.write_bytes(text[:-3])
    run = import_files([path], form, rejects)
    records, report = taken(run)
    assert run.damage == [] and report.lines == all_of_it.lines == accounted(report)
    assert report.rejected == {"JSON is cut off" if name in JSON else HALF: 1}
    assert rejects.read_bytes().startswith(b"%s:%d: " % (name.encode(), report.lines))
    assert set(records.tolist()) <= set(whole.tolist()) or form == "netflow" or name == "eve-netflow.json"
    # Whole, but for its line feed: only JSON shows that.
    path.write_bytes(text[:-1])
    records, report = taken(import_files([path], form))
    assert report.rejected == ({} if name in JSON else {HALF: 1}) and report.lines == accounted(report)


@each_format
def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path, name: str) -> None:
    form, text = TEXTS[name]
    path = tmp_path / name
    path.write_bytes(text)
    plain, told = taken(import_files([path]))
    path.write_bytes(b"\xef\xbb\xbf" + text)
    for marked, report in (taken(import_files([path])), taken(import_files([path], form))):
        assert marked.tolist() == plain.tolist() and report.events == told.events and not report.rejected


@each_format
def test_other_bytes_after_the_last_line(tmp_path: Path, name: str) -> None:
    """What a crash leaves of a file (NULs), and another encoding."""
    form, text = TEXTS[name]
    path = tmp_path / name
    path.write_bytes(text.partition(b"Summary")[0] + bytes(3000) + b"\n" + "\xe9t\xe9\n".encode("latin-1"))
    records, report = taken(import_files([path], form))
    assert report.rejected.total() == 2 and accounted(report) == report.lines
    assert len(records) == (0 if form == "snort" else len(CASE))


NOT_ONE_LINE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "UTF-16": (lambda text: text.decode().encode("utf-16"), r"is text in UTF-16: convert it first"),
    "UTF-16, big end": (lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be"), r"is text in UTF-16"),
    "no gzip": (lambda text: b"\x1f\x8b\x08" + b"x" * 100, r"nothing in it can be read: "),
    "head of gzip": (lambda text: gzip.compress(text)[:9], r"nothing in it can be read: "),
}


@pytest.mark.parametrize("wrong", NOT_ONE_LINE)
@each_format
def test_what_cannot_be_read_at_all_is_said_whether_a_format_is_named_or_not(
    tmp_path: Path, name: str, wrong: str
) -> None:
    form, text = TEXTS[name]
    change, says = NOT_ONE_LINE[wrong]
    path = tmp_path / name
    path.write_bytes(change(text))
    for chosen in (None, form):
        with pytest.raises(ImportFailure, match=rf"^{path}: {says}"):
            import_files([path], chosen)


def test_lines_that_end_with_carriage_returns_alone(tmp_path: Path) -> None:
    for name in ("ra.csv", "nfdump.csv", "ssn_log.1090800000"):
        path = tmp_path / name
        path.write_bytes(TEXTS[name][1].replace(b"\n", b"\r"))
        with pytest.raises(ImportFailure, match="its lines end with carriage returns alone"):
            import_files([path])


@each_format
def test_gzip_that_is_cut_or_goes_on_with_something_else(tmp_path: Path, name: str) -> None:
    """All that lies before the damage is taken, though it is less than a block."""
    _, text = TEXTS[name]
    path = tmp_path / name
    path.write_bytes(text)
    plain, told = taken(import_files([path]))
    packed = gzip.compress(text)
    for content in (packed + b"it", packed + b"garbage", packed[:-8] + bytes(8), packed[:-4]):
        path.write_bytes(content)
        run = import_files([path])
        records, report = taken(run)
        assert records.tolist() == plain.tolist() and report.events == told.events
        (line,) = run.damage
        assert line.startswith(f"{path}: damaged or cut off after line {told.lines}: ")


def test_an_empty_file_is_no_fault(tmp_path: Path) -> None:
    """Rotation leaves them, among others that are not to be kept from import."""
    empty, packed, log = tmp_path / "conn.log", tmp_path / "conn.log.gz", tmp_path / "ssn_log.1"
    empty.write_bytes(b"")
    packed.write_bytes(gzip.compress(b""))
    log.write_bytes(TEXTS["ssn_log.1090800000"][1])
    for chosen in (None, "stream4"):
        run = import_files([empty, packed, log], chosen)
        assert sum(map(len, run.records())) == len(CASE) and run.damage == []
        assert run.notes[0] == f"{empty}: empty: 0 lines, 0 sessions"
        assert len(run.observed()) == 1, "an empty file does not tell when it was watched"


@pytest.mark.parametrize("chosen", [None, "sancp", "argus", "netflow", "zeek", "suricata"])
def test_what_is_no_file(tmp_path: Path, chosen: str | None) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, says in (
        ("logs", "is a directory: name the files in it"),
        ("pipe", "is a pipe, which can be read but once"),
    ):
        with pytest.raises(ImportFailure, match=says):
            import_files([tmp_path / name], chosen)
    with pytest.raises(ImportFailure, match="/dev/null: is no file"):
        import_files([Path("/dev/null")], chosen)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a line\n" * 500_000)
    blocks = read_blocks(path)
    read = len(next(blocks))
    os.truncate(path, 2_000_000)
    with pytest.raises(ImportFailure, match=r"log: was cut while it was read: 1,500,000 of 3,500,000 bytes are gone"):
        for block in blocks:
            read += len(block)
    assert read == -(-2_000_000 // 7)


@pytest.mark.parametrize("chosen", ["sancp", "stream4", "suricata", "snort", "netflow", "zeek", "argus"])
def test_a_named_format_that_does_not_fit(tmp_path: Path, capfd: pytest.CaptureFixture[str], chosen: str) -> None:
    """Exit code 1, one line that says so, and every line in the rejects file."""
    path, rejects = tmp_path / "text", tmp_path / "rejects"
    path.write_bytes(b"what|is,this\n{1}\n")
    code = main(["import", "--format", chosen, "--rejects", str(rejects), str(path)])
    said = capfd.readouterr().err.splitlines()
    assert code == 1 and str(path) in said[-1]
    if chosen == "zeek":
        assert said == [f"afterfact-agent: {path}: is in none of the layouts of zeek"]
    elif chosen == "argus":
        assert "is read by ra" in said[-1] or "neither as Argus's data do nor with a header of ra's" in said[-1]
    else:
        assert said[-1] == f"afterfact-agent: {path}: no line of it could be read as {chosen}" and len(said) == 2
        assert "REJECTED 2" in said[0] or "REJECTED 1" in said[0]
        assert len(rejects.read_bytes().splitlines()) == 2


def test_rejects_beside_lines_that_are_known_are_no_failure(tmp_path: Path) -> None:
    """Records that went to sessions of an earlier file, events of other kinds."""
    head, *rows = TEXTS["nfdump.csv"][1].partition(b"Summary")[0].splitlines(keepends=True)
    names = [tmp_path / name for name in ("a.csv", "b.csv", "eve.json")]
    for path, part in zip(names, (rows[0::2], rows[1::2]), strict=False):
        path.write_bytes(head + b"".join(part) + b"1,2\n")
    names[2].write_bytes(b'{"timestamp": "x", "event_type": "http"}\n{"timestamp": 1\n')
    for files in (names[:2], names[2:]):
        run = import_files(files)
        list(run)
        assert all(report.rejected.total() == 1 for report in run.reports) and run.damage == []


def test_rejects_beside_alerts_are_no_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "alert_json.txt"
    path.write_text(SNORT + "nonsense\n")
    assert main(["import", str(path)]) == 0
    assert "7 alerts; REJECTED 1 (not JSON)" in capfd.readouterr().err


def _memory(name: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) << 10


@pytest.mark.parametrize("name", ["conn.log", "eve.json"])
def test_memory_is_that_of_a_few_blocks_however_long_a_file_is(tmp_path: Path, name: str) -> None:
    """MEGABYTES of text in at most half of that: a block of 1 MB and what is made of its lines, 4 MB of records or of
    objects, a few times over (13 MB were seen). docs/importing.md has 10.8 GB."""
    form, text = TEXTS[name]
    path = tmp_path / "log.gz"
    head = b"".join(line for line in text.splitlines(keepends=True) if line.startswith(b"#"))
    lines = text[len(head) :]

    def read(megabytes: int) -> None:
        some = lines * (1_000_000 // len(lines))
        with gzip.open(path, "wb", 1) as packed:
            packed.write(head)
            for _ in range(megabytes):
                packed.write(some)
        run = import_files([path], form)
        sessions = sum(map(len, run.records()))
        assert sessions == megabytes * (1_000_000 // len(lines)) * len(CASE) and not run.reports[0].rejected

    read(4)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now on
    read(MEGABYTES)
    assert _memory("VmHWM") - before < MEGABYTES * 1_000_000 // 2


MEGABYTES = 40
