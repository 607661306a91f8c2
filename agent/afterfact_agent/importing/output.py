"""The output of programs that read other meters' own files (ra, nfdump): running them, and their lines as columns.

Columns are arrays of cells, never an object a line; bad cells are told by a mask, never by an exception. Knows neither
what a column means nor what a session is.
"""

import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.session import ADDRESS_BYTES, EARLIEST_US, IPV4_PREFIX

from .lines import Block, ImportFailure, blocks_of

Cells = NDArray[np.bytes_]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

MAX_CELL = 64
"""Bytes. The longest that a column which is read can have is an IPv6 address; a longer cell is cut to this."""
_SHORT_LINE = 1024
"""No cell of such lines makes an array too wide."""
IDLE_SECONDS = 0.5
_MAX_DIGITS = 18
_LATEST_S = 4_102_444_800.0
"""2100-01-01. Seconds since 1970 up to there have their microseconds in a float."""


def program(name: str, package: str, path: str) -> str:
    """Where a program is. ImportFailure, naming the file that needs it and the package, if it is nowhere."""
    found = shutil.which(name)
    if found is None:
        raise ImportFailure(f"{path}: is read by {name}, which is not here: install it (Debian: apt install {package})")
    return found


def environment() -> dict[str, str]:
    """What programs are run in: times are UTC's, words English."""
    return {**os.environ, "TZ": "UTC", "LC_ALL": "C"}


def run(
    command: Sequence[str], path: str, live: bool = False, harmless: re.Pattern[str] | None = None
) -> Iterator[Block]:
    """The lines that a program writes. ImportFailure, with what it says itself, if it fails, once they have been given.

    live: the program ends with this one, however that ends; a block is whatever has come, one without lines if nothing
    came for IDLE_SECONDS; else it is as large as lines.py makes them. harmless: for a program that ends with 0 where it
    failed, so that any word of complaint is a failure: the lines that are none.
    """
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            [*_ending_with_us(), *command] if live else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment(),
            bufsize=0 if live else -1,
        ) as running:
            pipe = cast(BinaryIO, running.stdout)
            try:
                yield from blocks_of(_Patient(pipe) if live else pipe, path)
            except GeneratorExit:
                running.kill()
                raise
            status = running.wait()
        complaints.seek(0)
        lines = [line.strip() for line in complaints.read(4096).decode("utf-8", "replace").splitlines() if line.strip()]
    if harmless is not None:
        lines = [line for line in lines if not harmless.match(line)]
    said = lines[0] if lines else ""
    if status == 0 and harmless is not None and said:
        raise ImportFailure(f"{path}: {os.path.basename(command[0])}: {said}")
    if status != 0:
        what = f"ended with {status}" if status > 0 else f"was ended by signal {-status}"
        raise ImportFailure(f"{path}: {os.path.basename(command[0])} {what}: {said or 'it does not say why'}")


def _ending_with_us() -> list[str]:
    """What a command is begun with that a kill -9 of this process must not leave behind, waiting for its own peer for
    ever: util-linux's setpriv, if it is here. It counts as killed when the thread that began it ends."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]


class _Patient:
    """A pipe that is waited for so long only: reading gives None if nothing came."""

    def __init__(self, pipe: BinaryIO) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe

    def read(self, size: int) -> bytes | None:
        select.select([self._pipe], [], [], IDLE_SECONDS)
        return self._pipe.read(size)


def table(block: Block, separator: bytes, columns: int) -> tuple[list[Cells], NDArray[np.int64], NDArray[np.int64]]:
    """The cells of a block, by column, without blanks; which of its lines these are; and which of its lines have
    another number of cells."""
    text = block.data.tobytes()
    lines = [text[start:end] for start, end in zip(block.starts.tolist(), block.ends.tolist(), strict=True)]
    whole = np.fromiter((line.count(separator) + 1 == columns for line in lines), np.bool_, len(lines))
    fine = lines if whole.all() else [line for line, right in zip(lines, whole.tolist(), strict=True) if right]
    if not fine:
        return [np.zeros(0, "S1")] * columns, np.flatnonzero(whole), np.flatnonzero(~whole)
    flat = separator.join(fine).replace(b" ", b"").split(separator)
    short = max(map(len, fine)) <= _SHORT_LINE
    return (
        [_cells(flat[column::columns], short) for column in range(columns)],
        np.flatnonzero(whole),
        np.flatnonzero(~whole),
    )


def _cells(column: Sequence[bytes], short: bool) -> Cells:
    if not short and max(map(len, column)) > MAX_CELL:  # or one long cell would widen all of them
        column = [cell[:MAX_CELL] for cell in column]
    cells = np.array(column, "S")
    return cells if cells.itemsize <= MAX_CELL else cells.astype(f"S{MAX_CELL}")


def numbers(cells: Cells, largest: int = 2**63 - 1) -> tuple[Numbers, Mask]:
    """What decimal cells say, and which are no number up to `largest`; these are 0."""
    fine = np.char.isdigit(cells) & (np.char.str_len(cells) <= _MAX_DIGITS)
    values = np.where(fine, cells, b"0").astype(np.int64)
    fine &= values <= largest
    return np.where(fine, values, 0), ~fine


def only(cells: Cells, letters: bytes) -> Mask:
    """Which cells have no other letters."""
    known = np.zeros(256, np.bool_)
    known[[0, *letters]] = True  # a cell ends with zeros
    content = np.ascontiguousarray(cells).view(np.uint8).reshape(len(cells), -1)
    return np.asarray(known[content].all(axis=1))


def hexadecimal(cells: Cells) -> tuple[Numbers, Mask]:
    """The same of cells like 0x001f, of up to eight digits."""
    values = np.zeros(len(cells), np.int64)
    wrong = np.ones(len(cells), np.bool_)
    for index in np.flatnonzero(np.char.startswith(cells, b"0x") & (np.char.str_len(cells) <= 10)):
        digits = bytes(cells[index][2:])
        if digits and not digits.translate(None, b"0123456789abcdefABCDEF"):
            values[index], wrong[index] = int(digits, 16), False
    return values, wrong


def seconds(cells: Cells) -> tuple[Numbers, Mask]:
    """Microseconds of cells like 1300475167.096535, and which are none before 2100."""
    plain = only(cells, b"0123456789.")
    plain &= (np.char.count(cells, b".") <= 1) & np.char.isdigit(np.char.replace(cells, b".", b""))
    values = np.where(plain, cells, b"0").astype(np.float64)
    plain &= values < _LATEST_S
    return np.rint(np.where(plain, values, 0) * 1e6).astype(np.int64), ~plain


def addresses(cells: Cells) -> tuple[NDArray[np.void], Mask]:
    """IPv4 and IPv6 addresses as 16 bytes, and which cells are neither; these are zero."""
    packed = [_address(cell) for cell in cells.tolist()]
    wrong = np.fromiter((one is None for one in packed), np.bool_, len(packed))
    content = b"".join(one or bytes(ADDRESS_BYTES) for one in packed)
    return np.frombuffer(content, f"V{ADDRESS_BYTES}"), wrong


@lru_cache(1 << 16)
def _address(cell: bytes) -> bytes | None:
    try:
        text = cell.decode("ascii")
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return IPV4_PREFIX + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return None


def wrong_date(start: Numbers, end: Numbers, now_us: int) -> Mask:
    """Which times cannot be: before 1990, or later than a day from now."""
    latest = now_us + 86_400_000_000
    return np.asarray((start < EARLIEST_US) | (start > latest) | (end > latest))
