"""How far a query and its export are, on stderr: over itself on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from afterfact_protocol.messages import Progress

TERMINAL_SECONDS, LINE_SECONDS = 0.2, 5.0


class ProgressLine:
    """Call it with what is known, from any thread."""

    def __init__(self, shown: bool, counting: bool) -> None:
        self._shown = shown
        self._counting = counting
        self._terminal = sys.stderr.isatty()
        self._every = TERMINAL_SECONDS if self._terminal else LINE_SECONDS
        self._next = time.monotonic() + self._every
        self._width = 0

    def query(self, progress: Progress) -> None:
        """The server is still looking."""
        self._say(f"looking: {progress.read_rows:,} rows read in {progress.elapsed / 1e6:.0f} s")

    def written(self, count: int, total: int | None) -> None:
        """So many sessions are written, of `total` if that is known."""
        if not self._counting:
            return
        share = f" of {total:,} ({100 * count // total} %)" if total else ""
        self._say(f"{count:,}{share} sessions")

    def _say(self, text: str) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + self._every
        if self._terminal:
            sys.stderr.write(f"\r{text.ljust(self._width)}")
            self._width = len(text)
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave a terminal's line empty for what comes next."""
        if self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            sys.stderr.flush()
            self._width = 0


@contextmanager
def progress_line(wanted: bool, to_file: bool) -> Iterator[ProgressLine]:
    """Shown if it is wanted, or if stderr is a terminal; what is written is not counted where it is written to the same
    terminal."""
    line = ProgressLine(wanted or sys.stderr.isatty(), wanted or to_file or not sys.stdout.isatty())
    try:
        yield line
    finally:
        line.end()
