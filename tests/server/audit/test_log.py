"""The audit as it is written, torn, tampered with and read."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from afterfact_server.audit import log as log_module
from afterfact_server.audit.chain import files, verify
from afterfact_server.audit.log import Audit, AuditError
from afterfact_server.audit.reading import Filter, all_of, newest_first

ROTATE = 2000
"""Bytes: some ten records a file."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An audit of 60 records in several files."""
    audit = Audit(tmp_path / "audit", print, ROTATE)
    for number in range(60):
        assert audit.record("query", f"user{number % 3}", "10.0.0.1", text=f"port = {number}") == number + 1
        audit.until(number + 1)
    audit.stop()
    return audit.folder


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def changed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"port = ", b"port < ", 1))


def removed(path: Path) -> None:
    path.write_bytes(b"".join(lines(path)[:2] + lines(path)[3:]))


def reordered(path: Path) -> None:
    one, two, three, *others = lines(path)
    path.write_bytes(b"".join([one, three, two, *others]))


def twice(path: Path) -> None:
    one, *others = lines(path)
    path.write_bytes(b"".join([one, one, *others]))


def garbled(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'{"n"', b'["n"', 1))


def last_lines_cut(path: Path) -> None:
    last = files(path.parent)[-1][1]
    last.write_bytes(b"".join(lines(last)[:-1]))


def torn(path: Path) -> None:
    last = files(path.parent)[-1][1]
    last.write_bytes(last.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (changed, r"{path}:1: record {first} was changed, or the one before it"),
        (removed, r"{path}:3: record {third} is missing before record"),
        (reordered, r"{path}:2: record {second} is missing before record {third}"),
        (twice, r"{path}:2: record {first} comes after record {first}: out of order, or twice"),
        (garbled, r"{path}:1: no record"),
        (Path.unlink, r"begins with record \d+, the file before ends with {before}: a file is missing"),
        (last_lines_cut, r"ends with record 59, but 60 were written: the end was cut off"),
        (torn, r"the line is cut off"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_written_is_found(folder: Path, tamper: Callable[[Path], None], says: str) -> None:
    assert verify(folder)[0].number == 60 and verify(folder)[1:] == ([], [])
    first, path = files(folder)[1]
    assert len(files(folder)) > 4
    tamper(path)
    _, faults, _ = verify(folder)
    expected = says.format(path=path, first=first, second=first + 1, third=first + 2, before=first - 1)
    assert faults and re.search(expected, faults[0]), faults
    if tamper in (changed, removed, twice):
        assert len(faults) == 1, "the lines after it are as they were"


def test_a_torn_line_is_cut_off_and_the_chain_goes_on_and_shows_it(folder: Path) -> None:
    with files(folder)[-1][1].open("ab") as file:
        file.write(b"0123abc {")
    audit = Audit(folder, print, ROTATE)
    assert audit.record("login") == 62
    audit.stop()
    last, faults, seams = verify(folder)
    assert last.number == 62 and not faults and ": record 61: recovered: " in seams[0] and len(seams) == 1
    assert [each["kind"] for each in all_of(folder, Filter())][-2:] == ["recovered", "login"]


def test_what_was_cut_while_the_server_was_away_is_on_record(folder: Path) -> None:
    last_lines_cut(folder / "x")
    Audit(folder, print, ROTATE).stop()
    _, faults, seams = verify(folder)
    assert not faults and "damaged: ends with record 59, head says 60" in seams[0]


SCRIPT = """
import sys
from pathlib import Path
from afterfact_server.audit.log import Audit
audit = Audit(Path(sys.argv[1]), print, 5000)
while True:
    number = audit.record("query", "ana", text="x" * 100)
    if number % 3 == 0:
        audit.until(number)
        print(number, flush=True)
"""


def test_what_was_waited_for_survives_a_kill(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "audit"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(30):
        told = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    told = int([str(told), *child.stdout.read().split("\n")[:-1]][-1] or told)
    child.wait()
    child.stdout.close()
    Audit(tmp_path / "audit", print).stop()
    last, faults, _ = verify(tmp_path / "audit")
    assert last.number >= told and not faults


def test_while_the_disk_does_not_take_it_nobody_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    audit = Audit(tmp_path / "audit", said.append)
    sync = os.fdatasync

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_module.os, "fdatasync", full)
    number = audit.record("query")
    with pytest.raises(AuditError, match="cannot be written: No space left on device"):
        audit.until(number)
    monkeypatch.setattr(log_module.os, "fdatasync", sync)
    deadline = time.monotonic() + 30
    while audit._failing:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    audit.until(audit.record("query"))
    audit.stop()
    assert [each["n"] for each in all_of(audit.folder, Filter())] == [1, 2] and verify(audit.folder)[1] == []
    assert said[0].startswith("the audit cannot be written") and said[-1] == "the audit is written again"


def test_reading(folder: Path) -> None:
    found, reached = newest_first(folder, Filter(), 1 << 62, 5, 1 << 20)
    assert [json.loads(each)["n"] for each in found] == [60, 59, 58, 57, 56] and reached == 56
    everything: list[int] = []
    before = 1 << 62
    while before > 1:
        part, before = newest_first(folder, Filter(user="user1"), before, 7, 1 << 20)
        everything += [json.loads(each)["n"] for each in part]
    assert everything == list(range(59, 0, -3))
    part, _ = newest_first(folder, Filter(), 1 << 62, 100, 500)
    assert 1 <= len(part) < 5, "as many as fit"
    assert [each["n"] for each in all_of(folder, Filter(kind="query", user="user0"))] == list(range(1, 61, 3))
    assert list(all_of(folder, Filter(first="2999"))) == list(all_of(folder, Filter(last="1999~"))) == []
