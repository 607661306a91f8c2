"""Following a directory, with a format of the tests' own."""

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.seconds_format import Seconds

from afterfact_agent.importing import follow, formats, lines
from afterfact_agent.importing.follow import Follower
from afterfact_agent.importing.journal import Journal
from afterfact_agent.importing.lines import ImportFailure
from afterfact_agent.importing.rejects import RejectsFile


class Watched:
    """A followed directory, a clock that is set, and agents that come and go."""

    def __init__(self, path: Path) -> None:
        self.directory = path / "logs"
        self.directory.mkdir()
        self.journal = path / "spool" / "followed.json"
        self.rejects = path / "rejects"
        self.log: list[str] = []
        self.now = 1000.0
        self.start()

    def start(self) -> None:
        """A new agent, as after a kill of the last."""
        self.follower = Follower(
            self.directory, None, Journal(self.journal), RejectsFile(self.rejects), self.log.append, lambda: self.now
        )

    def seen(self, spool: bool = True) -> list[int]:
        found = [int(row["start_time"]) // 1_000_000 for taken in self.follower.step() for row in taken.records]
        if spool:
            self.follower.spooled()
        return found

    def append(self, name: str, text: str) -> None:
        with open(self.directory / name, "a") as file:
            file.write(text)

    def quiet(self) -> None:
        self.now += follow.QUIET_SECONDS + 1


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(formats, "FORMATS", (Seconds(),))
    return Watched(tmp_path)


def test_a_file_that_grows(watched: Watched) -> None:
    assert watched.seen() == []
    watched.append("log", "#seconds\n1\n3\n5")
    assert watched.seen() == [1, 3] and watched.seen() == []
    watched.append("log", "7\n9\n")
    assert watched.seen() == [57, 9]
    assert watched.follower.counters == {"files": 1, "lines": 5, "lines_rejected": 0, "lines_skipped": 1}


def test_half_a_line_waits_for_its_end_however_long(watched: Watched) -> None:
    """A meter that writes by the buffer leaves one for hours on a quiet network."""
    watched.append("log", "#seconds\n1\n13")
    assert watched.seen() == [1]
    for _ in range(2):
        watched.quiet()
        assert watched.seen() == []
    path = watched.directory / "log"
    assert watched.log == [f"{path}: its last line has no line feed and is not read before it has one"]
    watched.start()
    assert watched.seen() == []
    watched.append("log", "57\n15")
    assert watched.seen() == [1357]
    assert not watched.rejects.exists()
    # It never comes: the file goes, or begins anew.
    path.write_text("#seconds\n3\n17")
    assert watched.seen() == [3]
    path.unlink()
    assert watched.seen() == []
    why = b"no line feed at its end, so it may be half of a line"
    assert watched.rejects.read_bytes() == b"log:4: %s\t15\nlog:3: %s\t17\n" % (why, why)
    assert watched.follower.counters["lines_rejected"] == 2


def test_what_is_held_back_is_given_when_the_file_is_cut(watched: Watched) -> None:
    watched.append("log", "#seconds\n1\n2\n")
    assert watched.seen() == [1]
    (watched.directory / "log").write_text("#seconds\n3\n")
    assert watched.seen() == [2, 3]


def test_a_packed_file_tells_of_each_line_too(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 20)
    path = watched.directory / "log.gz"
    path.write_bytes(gzip.compress(b"#seconds\n1\n" + b"5" * 30 + b"\n3\n7"))
    assert watched.seen() == []
    watched.quiet()
    assert watched.seen() == [1, 3]
    assert [line.split(b"\t")[0] for line in watched.rejects.read_bytes().splitlines()] == [
        b"log.gz:3: longer than 1 MiB", b"log.gz:5: no line feed at its end, so it may be half of a line",
    ]  # fmt: skip
    assert watched.follower.counters == {"files": 1, "lines": 5, "lines_rejected": 2, "lines_skipped": 1}


def test_a_packed_file_that_is_being_written_is_no_complaint(watched: Watched) -> None:
    path = watched.directory / "log.gz"
    path.write_bytes(b"\x1f\x8b")
    assert watched.seen() == [] and watched.log == []
    os.utime(path, (1e9, 1e9))
    assert watched.seen() == []
    assert len(watched.log) == 1 and "log.gz: nothing in it can be read" in watched.log[0]


def test_what_is_held_back_is_given_at_rest_and_not_lost_by_a_kill(watched: Watched) -> None:
    watched.append("log", "#seconds\n1\n2\n")
    assert watched.seen() == [1]
    watched.start()
    assert watched.seen() == [1], "the journal must not be past what is held back"
    watched.quiet()
    assert watched.seen() == [2]
    watched.start()
    assert watched.seen() == []


def test_a_header_counts_after_a_restart_too(watched: Watched) -> None:
    watched.append("log", "#seconds\n#times 3\n1\n3\n")
    assert watched.seen() == [3, 9]
    watched.start()
    watched.append("log", "5\n")
    assert watched.seen() == [15]


def test_rotation_by_renaming(watched: Watched) -> None:
    watched.append("log", "#seconds\n1\n3\n")
    assert watched.seen() == [1, 3]
    watched.append("log", "5\n")
    (watched.directory / "log").rename(watched.directory / "log.1")
    watched.append("log", "#seconds\n7\n")
    assert sorted(watched.seen()) == [5, 7]
    watched.start()
    assert watched.seen() == []


def test_rotation_by_cutting(watched: Watched) -> None:
    watched.append("log", "#seconds\n1\n3\n5\n")
    assert watched.seen() == [1, 3, 5]
    (watched.directory / "log").write_text("#seconds\n7\n")
    assert watched.seen() == [7]


def test_cut_and_grown_beyond_before_anybody_looked(watched: Watched) -> None:
    watched.append("log", "#seconds 1\n1\n")
    assert watched.seen() == [1]
    (watched.directory / "log").write_text("#seconds 2\n7\n9\n11\n13\n")
    assert watched.seen() == [7, 9, 11, 13]


def test_gzip_is_read_once_and_when_it_is_whole(watched: Watched) -> None:
    packed = gzip.compress(b"#seconds\n1\n3\n")
    path = watched.directory / "log.gz"
    path.write_bytes(packed[:20])
    assert watched.seen() == []
    path.write_bytes(packed)
    assert watched.seen() == []
    watched.quiet()
    assert watched.seen() == [1, 3]
    watched.start()
    watched.quiet()
    assert watched.seen() == []


def test_what_was_not_spooled_is_read_again(watched: Watched) -> None:
    watched.append("log", "#seconds\n1\n3\n")
    assert watched.seen(spool=False) == [1, 3]
    watched.start()
    assert watched.seen() == [1, 3]


def test_files_of_no_format_are_told_once(watched: Watched) -> None:
    watched.append("notes.txt", "hello\n")
    watched.append(".hidden", "#seconds\n1\n")
    assert watched.seen() == [] and watched.seen() == []
    assert len(watched.log) == 1 and "notes.txt: is in none of the formats" in watched.log[0]


def test_rejects_are_kept_with_their_line(watched: Watched) -> None:
    watched.append("log", "#seconds\nx\n1\n")
    assert watched.seen() == [1]
    watched.append("log", "y\n")
    watched.start()
    watched.seen()
    assert watched.rejects.read_bytes() == b"log:2: no number\tx\nlog:4: no number\ty\n"


def test_intervals_join(watched: Watched) -> None:
    intervals: list[tuple[int, int]] = []
    for text in ("#seconds\n100\n103\n", "201\n", "151\n"):
        watched.append("log", text)
        intervals += [(o.start, o.end) for taken in watched.follower.step() for o in taken.observed]
        watched.follower.spooled()
    second = 1_000_000
    assert intervals == [
        (100 * second, 103 * second + 5), (103 * second + 5, 201 * second + 5), (151 * second, 201 * second + 5),
    ]  # fmt: skip


def test_a_journal_that_cannot_be_read_is_said(watched: Watched) -> None:
    watched.journal.parent.mkdir(parents=True)
    watched.journal.write_text('{"files": [{"inode": 1}]}')
    with pytest.raises(ImportFailure, match="remove it to read all files again"):
        watched.start()
    watched.directory.rmdir()
    with pytest.raises(ImportFailure, match="cannot follow: No such file"):
        list(watched.follower.step())


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_every_line_comes(watched: Watched, seed: int) -> None:
    """Growth, halves of lines, rotation, kills between reading and spooling, in any order: no line is left out, and
    none comes twice but after a kill."""
    chance = random.Random(seed)
    written: list[int] = []
    seen: list[int] = []
    kills = rotated = 0
    pending = ""
    watched.append("log", "#seconds\n")

    def write() -> None:
        nonlocal pending
        for _ in range(chance.randrange(1, 5)):
            number = 1000 + len(written) * chance.choice((1, 1)) + seed * 100_000
            written.append(number)
            pending += f"{number}\n"
        cut = chance.randrange(len(pending) + 1)
        watched.append("log", pending[:cut])
        pending = pending[cut:]

    def rotate() -> None:
        nonlocal pending, rotated
        watched.append("log", pending)
        pending = ""
        rotated += 1
        (watched.directory / "log").rename(watched.directory / f"log.{rotated}")
        watched.append("log", f"#seconds {rotated}\n")

    def look() -> None:
        seen.extend(watched.seen(spool=chance.random() < 0.7))

    def kill() -> None:
        nonlocal kills
        kills += 1
        watched.start()

    steps: list[Callable[[], None]] = [write] * 5 + [look] * 4 + [rotate, kill]
    for _ in range(150):
        chance.choice(steps)()
    watched.append("log", pending)
    look()
    watched.quiet()
    look()
    assert set(seen) == set(written) and len(written) > 50 and rotated and kills
    # A second agent that was never killed reads each line once.
    os.remove(watched.journal) if watched.journal.exists() else None
    watched.start()
    again = watched.seen()
    watched.quiet()
    assert sorted(again + watched.seen()) == written
