"""A window on the bytes of a file that is read once, from its beginning to its end.

While one stretch is looked through, a thread reads the next: to copy a megabyte out of the page cache takes a fourth of
the time that metering it does, and more from a disk. What may keep its reader waiting (a pipe) is read when it is asked
for. Does not know what the bytes mean.
"""

import io
import mmap
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from .packets import read_only

WINDOW = 1 << 20
"""Bytes read at a time, so that they fit the processor's cache."""
_ROOM = 1 << 16
"""Bytes kept free before them, for what is left of the stretch before: most often the beginning of one packet."""

_Bytes = NDArray[np.uint8]


def _buffer(size: int) -> _Bytes:
    """Of whole pages, as the page cache has them: a copy to a few bytes behind a page's beginning takes three times as
    long."""
    return np.frombuffer(mmap.mmap(-1, size), np.uint8)


class Window:
    """`data` are the bytes at hand, `base` is where in the file they begin. Use it as a context: it closes the file."""

    def __init__(self, file: io.FileIO) -> None:
        """Nothing is at hand yet: `advance` first."""
        self._file = file
        self._room, self._size = min(_ROOM, WINDOW), WINDOW
        self._buffers = [np.zeros(0, np.uint8), np.zeros(0, np.uint8)]
        """`data` is in the first; the second is read into."""
        self._ahead: Future[int] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        self.base = 0
        self.data = read_only(self._buffers[0])

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        self._file.close()

    def advance(self, at: int) -> bool:
        """Drop what is before data[at] and read on; False if the file has ended. Raises OSError."""
        rest = self.data[at:]
        room, size = self._room, self._size
        ahead, self._ahead = self._ahead, None
        got = self._read(room, size) if ahead is None else ahead.result()
        if len(rest) > room:
            # A long record: read as much again with each step, or its beginning would be copied too often.
            self._room, self._size = 2 * len(rest), max(size, len(rest))
            grown = _buffer(self._room + self._size)
            grown[self._room : self._room + got] = self._buffers[1][room : room + got]
            self._buffers[1] = grown
        filled = self._buffers[1]
        filled[self._room - len(rest) : self._room] = rest
        self.base += at
        self.data = read_only(filled[self._room - len(rest) : self._room + got])
        self._buffers.reverse()
        if self._regular and got == size:  # less is the end
            self._thread = self._thread or ThreadPoolExecutor(1, "read-ahead")
            self._ahead = self._thread.submit(self._read, self._room, self._size)
        return bool(got)

    def _read(self, room: int, size: int) -> int:
        """Into the second buffer, behind its room: how many bytes."""
        if len(self._buffers[1]) < room + size:
            self._buffers[1] = _buffer(room + size)
        return self._file.readinto(self._buffers[1][room : room + size].data) or 0
