"""Following a directory: files that appear, grow, are renamed, cut and packed by rotation.

A text file is read as far as its last whole line, again and again: a writer with a buffer leaves half a line for as
long as it pleases. What cannot grow line by line (gzip, formats that
another program reads) is read once it has not changed for a while. Knows neither spool nor threads.
"""

import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from afterfact_protocol.messages import Observed

from .format import Format, Reader, Reject, Taken
from .formats import format_of
from .journal import FINGERPRINT_BYTES, Journal, Position
from .lines import ImportFailure, blocks_of, packed, read_blocks
from .reading import HALF, lines_in, read_block
from .rejects import RejectsFile
from .run import ImportReport

CHUNK_BYTES = 4 << 20
QUIET_SECONDS = 30.0
"""A file that has not changed for so long is taken for whole: what its reader held back is given."""


@dataclass(slots=True)
class _Followed:
    """A file that is being read."""

    path: Path
    position: Position
    known: Format
    reader: Reader
    report: ImportReport
    size: int = -1
    changed: float = 0.0
    """By the monotonic clock."""
    finished: bool = True
    """Nothing is held back by its reader."""
    half: bytes = b""
    """What there is of a last line without a line feed, which waits for the rest."""


class Follower:
    """`step` again and again; `spooled` once all that was given by it is safe."""

    def __init__(
        self,
        directory: Path,
        chosen: str | None,
        journal: Journal,
        rejects: RejectsFile,
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self._chosen = chosen
        self._journal = journal
        self._rejects = rejects
        self._log = log
        self._clock = clock
        self._followed: dict[int, _Followed] = {}
        self._given: dict[int, Position] = {}
        self._said: set[str] = set()
        self._series: dict[str, Reader] = {}
        """Readers of formats whose sessions go on from file to file."""
        self._passed: dict[int, tuple[int, float]] = {}
        """Files that are of no known format: size and time of change when they were looked at."""
        self.counters = {"lines": 0, "lines_rejected": 0, "lines_skipped": 0, "files": 0}

    def step(self) -> Iterator[Taken]:
        """What has come since. ImportFailure if the directory cannot be read; OutputError from the rejects file."""
        present = self._present()
        for inode in set(self._followed) - {status.st_ino for _, status in present}:
            yield from self._over(self._followed.pop(inode))
        for path, status in present:
            try:
                if (cut := self._replaced(path, status)) is not None:
                    yield from self._over(cut)
                followed = self._file(path, status)
                if followed is not None:
                    yield from self._more(followed, status)
            except ImportFailure as error:
                self._say(str(error))

    def spooled(self) -> None:
        """All that was given so far is on disk: enter how far that is. ImportFailure."""
        if self._given:
            present = {status.st_ino for _, status in self._present()}
            self._journal.enter(self._given.values(), present)
            self._given.clear()

    def _present(self) -> list[tuple[Path, os.stat_result]]:
        """Files, the longest unchanged first: a rotated file before the one that goes on."""
        found = []
        try:
            for entry in os.scandir(self.directory):
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                found.append((Path(entry.path), entry.stat()))
        except OSError as error:
            raise ImportFailure(f"{self.directory}: cannot follow: {error.strerror}") from None
        return sorted(found, key=lambda file: (file[1].st_mtime_ns, file[0].name))

    def _file(self, path: Path, status: os.stat_result) -> _Followed | None:
        """The file as it is followed; None if it is done or of no known format."""
        followed = self._followed.get(status.st_ino)
        if followed is not None:
            followed.path = path
            return followed
        known = self._journal.position(status.st_ino)
        if known is not None and not self._same(path, status, known):
            known = None
        if known is not None and known.done:
            if known.offset == status.st_size:
                return None
            known = None  # it went on after all, and is read once more, which adds nothing twice
        seen = (status.st_size, status.st_mtime)
        if not status.st_size or self._passed.get(status.st_ino) == seen:
            return None
        try:
            form = format_of(path, self._chosen)
        except ImportFailure as error:
            if packed(path) and time.time() - status.st_mtime < QUIET_SECONDS:
                return None  # it is being written, and tells of its format later
            self._passed[status.st_ino] = seen
            self._say(str(error))
            return None
        self._passed.pop(status.st_ino, None)
        if form.unfinished(path):
            return None
        position = known or Position(status.st_ino, "", 0, 0, 1)
        reader = self._series.setdefault(form.name, form.reader()) if form.series else form.reader()
        followed = _Followed(path, position, form, reader, ImportReport(str(path), form.name))
        self.counters["files"] += 1
        if position.offset:
            self._preamble(followed)
        self._followed[status.st_ino] = followed
        return followed

    def _replaced(self, path: Path, status: os.stat_result) -> _Followed | None:
        """What was followed so far, where the file has been cut or its place given to another: that is over."""
        followed = self._followed.get(status.st_ino)
        if followed is None or self._same(path, status, followed.position):
            return None
        return self._followed.pop(status.st_ino)

    def _over(self, followed: _Followed) -> Iterator[Taken]:
        """No more comes of it."""
        if not followed.finished:
            yield self._count(followed, followed.reader.finish())
        if followed.half:
            followed.report.lines += 1
            self.counters["lines"] += 1
            yield self._count(followed, Taken(rejects=(Reject(followed.position.line, HALF, followed.half),)))

    @staticmethod
    def _same(path: Path, status: os.stat_result, position: Position) -> bool:
        """Whether it is still the file that the position is of: as long at least, and with the same beginning."""
        if status.st_size < position.offset:
            return False
        return _beginning(path, position.length) == position.fingerprint

    @staticmethod
    def _preamble(followed: _Followed) -> None:
        """Have the reader know the file's header lines, which lie before what is read now."""
        for block in read_blocks(followed.path, 64 << 10):
            count = 0
            while count < len(block) and block.line(count).startswith(b"#"):
                count += 1
            if count:
                followed.reader.read(replace(block, starts=block.starts[:count], ends=block.ends[:count],
                                             numbers=block.numbers[:count]))  # fmt: skip
            return

    def _more(self, followed: _Followed, status: os.stat_result) -> Iterator[Taken]:
        now = self._clock()
        if status.st_size != followed.size:
            followed.size, followed.changed = status.st_size, now
        quiet = now - followed.changed >= QUIET_SECONDS
        if followed.known.grows(followed.path):
            yield from self._grown(followed)
            if quiet and followed.half:
                self._say(f"{followed.path}: its last line has no line feed and is not read before it has one")
        elif quiet or time.time() - status.st_mtime >= QUIET_SECONDS:
            yield from self._whole(followed, status)
        if quiet and not followed.finished:
            yield self._count(followed, followed.reader.finish())
            followed.finished = True
            self._given[status.st_ino] = followed.position

    def _grown(self, followed: _Followed) -> Iterator[Taken]:
        """Whole lines beyond what was read."""
        while True:
            position = followed.position
            try:
                with open(followed.path, "rb") as file:
                    file.seek(position.offset)
                    text = file.read(CHUNK_BYTES)
            except OSError as error:
                self._say(f"{followed.path}: cannot read: {error.strerror}")
                return
            whole = text.rfind(b"\n") + 1
            if not whole and len(text) == CHUNK_BYTES:
                whole = len(text)  # a line without end: given on in pieces, and rejected
            followed.half = text[whole:] if len(text) < CHUNK_BYTES else b""
            if not whole:
                return
            lines = 0
            for block in blocks_of(io.BytesIO(text[:whole]), str(followed.path), first_line=position.line):
                lines += lines_in(block)
                for taken in read_block(followed.known, followed.reader, block):
                    yield self._count(followed, taken)
            length = min(FINGERPRINT_BYTES, position.offset + whole)
            followed.position = replace(
                position, offset=position.offset + whole, line=position.line + lines, length=length,
                fingerprint=_beginning(followed.path, length) or position.fingerprint,
                last_us=followed.report.last_us or position.last_us,
            )  # fmt: skip
            followed.finished = False
            followed.report.lines += lines
            self.counters["lines"] += lines
            if not followed.reader.holding:  # or what is held back would be left out after a crash
                self._given[position.inode] = followed.position

    def _whole(self, followed: _Followed, status: os.stat_result) -> Iterator[Taken]:
        """A file that is read in one go, once."""
        try:
            for block in followed.known.blocks(followed.path):
                self.counters["lines"] += lines_in(block)
                followed.report.lines += lines_in(block)
                for taken in read_block(followed.known, followed.reader, block):
                    yield self._count(followed, taken)
        except ImportFailure as error:
            self._say(str(error))
        # What goes on in another file is given as far as it has come: the journal goes on, and nothing may be lost.
        yield self._count(followed, followed.reader.pause() if followed.known.series else followed.reader.finish())
        length = min(FINGERPRINT_BYTES, status.st_size)
        followed.position = replace(
            followed.position, offset=status.st_size, length=length, done=True,
            fingerprint=_beginning(followed.path, length) or "",
        )  # fmt: skip
        followed.finished = True
        self._given[status.st_ino] = followed.position
        del self._followed[status.st_ino]
        self._log(followed.report.summary())

    def _count(self, followed: _Followed, taken: Taken) -> Taken:
        """Count it, keep its rejects, and tell what was watched: from where the file's sessions ended so far."""
        report = followed.report
        report.take(taken)
        self.counters["lines_rejected"] += len(taken.rejects)
        self.counters["lines_skipped"] += sum(taken.skipped.values())
        self._rejects.write(followed.path.name, taken.rejects)
        if not len(taken.records):
            return taken
        start, end = int(taken.records["start_time"].min()), int(taken.records["end_time"].max())
        before = followed.position.last_us
        start = min(start, before) if before else start
        name = os.fsencode(followed.path.name).decode(errors="replace")[:1000]
        interval = Observed(start, max(start, end, before), "import", name, 0, 0, "")
        followed.position = replace(followed.position, last_us=max(end, before))
        return replace(taken, observed=(interval, *taken.observed))

    def _say(self, line: str) -> None:
        """Each line once."""
        if line not in self._said:
            self._said.add(line)
            self._log(line)


def _beginning(path: Path, length: int) -> str | None:
    """The first bytes in hexadecimal; None if it cannot be read or is shorter."""
    try:
        with open(path, "rb") as file:
            text = file.read(length)
    except OSError:
        return None
    return text.hex() if len(text) == length else None
