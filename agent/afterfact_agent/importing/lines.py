"""Text files as blocks of whole lines: plain or gzip, whatever their size, in the memory of a block.

Knows nothing of what the lines say.
"""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 1 << 20
"""With four times as much, records fall out of the caches before they are filled: 8 % slower."""
MAX_LINE_BYTES = 1 << 20
HEAD_BYTES = 64 << 10
"""What a format is recognised by."""
_GZIP, _ZSTD, _BZIP2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"
_OTHERS = {_ZSTD: "zstd", _BZIP2: "bzip2", _XZ: "xz"}
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16; UTF-32's little-endian one begins with the first."""
_KINDS = {stat.S_IFDIR: "is a directory: name the files in it, or follow it (`run --follow`)",
          stat.S_IFIFO: "is a pipe, which can be read but once: write it to a file first"}  # fmt: skip
_DAMAGE = (EOFError, zlib.error, OSError)
"""What reading a file may raise."""
_NEWLINE, _RETURN = 10, 13


class ImportFailure(ValueError):
    """A file could not be read, or not to its end. One line that names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Lines of one file, in order."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """Line i is data[starts[i]:ends[i]], without its line feed or the carriage return before that."""
    numbers: NDArray[np.int64]
    """Of each line in its file, from 1."""
    overlong: tuple[int, ...] = ()
    """Numbers of lines of more than MAX_LINE_BYTES, which are not here."""
    half: bool = False
    """The last line has no line feed: its writer may not have been done with it."""

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.ends[index]].tobytes()


class _Unpacked(gzip.GzipFile):
    """A gzip file that is damaged gives what lies before the damage, whole, and says so with the next read."""

    _damage: Exception | None = None
    """Kept: gzip might say it once only."""

    def read(self, size: int | None = -1) -> bytes:
        if self._damage is not None:
            raise self._damage
        wanted = size if size is not None and size >= 0 else 1 << 62
        parts: list[bytes] = []
        while wanted > 0:
            try:
                part = super().read1(wanted)
            except _DAMAGE as error:
                self._damage = error
                if not parts:
                    raise
                break
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)


def open_text(path: Path) -> BinaryIO:
    """A file's text, unpacked if it is gzip. ImportFailure if it is no file, cannot be opened, is packed otherwise, or
    is text in UTF-16."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind != stat.S_IFREG:
            # Opening a pipe waits for its writer, and what is read of it to know its format is gone.
            raise ImportFailure(f"{path}: {_KINDS.get(kind, 'is no file')}")
        with open(path, "rb") as file:
            magic = file.read(6)
        for other, name in _OTHERS.items():
            if magic.startswith(other):
                raise ImportFailure(f"{path}: packed by {name}: unpack it first (plain and gzip files are read)")
        if magic.startswith(_WIDE_MARKS):
            raise ImportFailure(f"{path}: is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)")
        if magic.startswith(_GZIP):
            return cast(BinaryIO, _Unpacked(path, "rb"))
        return open(path, "rb")
    except OSError as error:
        raise ImportFailure(f"{path}: cannot read: {error.strerror}") from None


def packed(path: Path) -> bool:
    """Whether a file is gzip. ImportFailure if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == _GZIP
    except OSError as error:
        raise ImportFailure(f"{path}: cannot read: {error.strerror}") from None


def head(path: Path) -> bytes:
    """A file's first HEAD_BYTES, unpacked; of a damaged gzip file what can be had. ImportFailure as `open_text`, and if
    nothing can be had."""
    with open_text(path) as file:
        try:
            return file.read(HEAD_BYTES).removeprefix(_UTF8_MARK)
        except _DAMAGE as error:
            raise ImportFailure(f"{path}: nothing in it can be read: {error}") from None


def read_blocks(path: Path, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """A file's lines; a last one without a line feed too. ImportFailure once what could be read has been given, if that
    is not all, or less than there was when it was opened."""
    with open_text(path) as file:
        there = os.fstat(file.fileno()).st_size
        yield from blocks_of(file, str(path), size)
        if not isinstance(file, gzip.GzipFile) and file.tell() < there:
            raise ImportFailure(
                f"{path}: was cut while it was read: {there - file.tell():,} of {there:,} bytes are gone"
            )


class Readable(Protocol):
    """A file, or a pipe that gives None where nothing has come."""

    def read(self, size: int, /) -> bytes | None: ...


def blocks_of(file: Readable, name: str, size: int = BLOCK_BYTES, first_line: int = 1) -> Iterator[Block]:
    """The lines of an open file or pipe, `name` in complaints; a block without lines where nothing has come."""
    rest = b""
    number = first_line
    skipping = False  # within a line that is too long
    damage: str | None = None
    while True:
        try:
            more = file.read(size)
        except _DAMAGE as error:
            damage = f"{name}: damaged or cut off after line {number - 1}: {error}"
            more = b""
        if more is None:  # a pipe that does not wait, with nothing in it
            yield no_lines()
            continue
        if not more:
            break
        if skipping:
            cut = more.find(b"\n")
            if cut < 0:
                continue
            more, skipping = more[cut + 1 :], False
            yield _overlong(number)
            number += 1
        text = rest + more
        whole = text.rfind(b"\n") + 1
        rest = text[whole:]
        if whole:
            block = cut_lines(text[:whole], number)
            number += int(np.count_nonzero(block.data == _NEWLINE))
            yield block
        if len(rest) > MAX_LINE_BYTES:
            rest, skipping = b"", True
    if skipping:
        yield _overlong(number)
    elif rest:
        yield cut_lines(rest, number)
    if damage is not None:
        raise ImportFailure(damage)


def cut_lines(text: bytes, first_line: int) -> Block:
    """Text, from the beginning of a line on, as a block. A byte order mark before the first line of all is left out."""
    if first_line == 1:
        text = text.removeprefix(_UTF8_MARK)
    half = not text.endswith(b"\n")
    data = np.frombuffer(text + b"\n" if half else text, np.uint8)
    feeds = np.flatnonzero(data == _NEWLINE)
    starts = np.concatenate([np.zeros(1, np.int64), feeds[:-1] + 1])
    ends = feeds.astype(np.int64)
    # A carriage return before the line feed is part of the line's end.
    ends -= (ends > starts) & (data[ends - 1] == _RETURN)
    numbers = np.arange(first_line, first_line + len(starts))
    long = ends - starts > MAX_LINE_BYTES
    if not long.any():
        return Block(data, starts, ends, numbers, half=half)
    keep = ~long
    return Block(data, starts[keep], ends[keep], numbers[keep], tuple(numbers[long].tolist()), half and bool(keep[-1]))


def no_lines() -> Block:
    none = np.zeros(0, np.int64)
    return Block(np.zeros(0, np.uint8), none, none, none)


def _overlong(number: int) -> Block:
    return replace(no_lines(), overlong=(number,))
