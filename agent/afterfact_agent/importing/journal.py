"""How far each followed file was read: one small file that is whole at every moment, whatever is killed.

What is entered has been spooled before; so after a crash some lines are read again, which become the same sessions, and
none is left out.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from .lines import ImportFailure

FINGERPRINT_BYTES = 256


@dataclass(slots=True)
class Position:
    """Of one file, which may have been renamed since."""

    inode: int
    fingerprint: str
    """Its first `length` bytes (at most FINGERPRINT_BYTES) in hexadecimal: inodes are given again to new files."""
    length: int
    offset: int
    """Bytes read and spooled."""
    line: int
    """Number of the line that begins there, from 1."""
    last_us: int = 0
    """The latest end of a session in it so far."""
    done: bool = False
    """It was read whole, once, and is not looked at again while it stays as it is."""


class Journal:
    """Positions by inode, in one file."""

    def __init__(self, path: Path) -> None:
        """ImportFailure if there is one that cannot be read."""
        self._path = path
        self._positions: dict[int, Position] = {}
        try:
            stored = json.loads(path.read_bytes())
            self._positions = {each["inode"]: Position(**each) for each in stored["files"]}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ImportFailure(f"{path}: cannot read what was followed how far ({error}); remove it to read all files "
                                "again, which adds nothing twice") from None  # fmt: skip

    def position(self, inode: int) -> Position | None:
        return self._positions.get(inode)

    def enter(self, positions: Iterable[Position], existing: set[int]) -> None:
        """Put positions in place of older ones, durably; forget files that exist no more. ImportFailure."""
        for position in positions:
            self._positions[position.inode] = position
        for inode in set(self._positions) - existing:
            del self._positions[inode]
        text = json.dumps({"files": [asdict(position) for position in self._positions.values()]}).encode()
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(aside, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise ImportFailure(f"{self._path}: cannot write how far files were followed: {error.strerror}") from None
