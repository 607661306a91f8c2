"""What a format of other meters is: how it is recognised, and what becomes of a block of its lines.

Each format has a module; formats.py lists them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from afterfact_protocol.event import EVENT, Events
from afterfact_protocol.messages import Observed
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD, Source

from .lines import Block, packed, read_blocks

NO_RECORDS: Records = np.zeros(0, RECORD)
NO_EVENTS: Events = np.zeros(0, EVENT)


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that should have been a session and could not be read."""

    line: int
    """Its number in the file, from 1."""
    reason: str
    """Short, and the same for all lines with this fault: rejects are counted by it."""
    text: bytes = b""
    """The line, for the rejects file."""


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What became of some lines. Each is in one of records, events, rejects and skipped."""

    records: Records = field(default_factory=lambda: NO_RECORDS)
    """Of dtype RECORD, with session_id, revision and absent set; interim ones (end_reason OPEN) too."""
    rejects: tuple[Reject, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Lines that by their nature are no session, counted by what they are: comments, other kinds of events."""
    observed: tuple[Observed, ...] = ()
    """What the other meter itself says that it watched or lost."""
    events: Events = field(default_factory=lambda: NO_EVENTS)
    """Of dtype EVENT: lines that are alerts."""


class Reader(ABC):
    """Reads one file, or one after another of a series that goes on (rotation)."""

    @abstractmethod
    def read(self, block: Block) -> Taken:
        """What becomes of the next lines. Never raises for what a line says."""

    @property
    def holding(self) -> bool:
        """Whether lines that were read are held back, to be merged with later ones."""
        return False

    def pause(self) -> Taken:
        """What was held back as far as it has come, as interim records, so that nothing is lost if no more comes: of
        readers of a series."""
        return Taken()

    def finish(self) -> Taken:
        """What was held back until the end: lines that might have been merged with later ones."""
        return Taken()


class Format(ABC):
    """One format of one meter."""

    name: ClassVar[str]
    """As `--format` has it."""
    source: ClassVar[Source]
    version: ClassVar[int] = 1
    """Raised when the same line becomes another record: then the same file is another stream."""
    describe: ClassVar[str]
    """For people, in a few words."""
    self_ending: ClassVar[bool] = False
    """Whether a line shows by itself that it is whole, as an object of JSON does; others end with their line feed."""
    series: ClassVar[bool] = False
    """Whether sessions go on from file to file, so that one reader reads the files of a call, one after another."""

    @abstractmethod
    def recognise(self, head: bytes, name: str) -> bool:
        """Whether a file is of this format, by its first bytes (unpacked, at most lines.HEAD_BYTES) and its name."""

    @abstractmethod
    def reader(self) -> Reader:
        """For a new file."""

    def remote(self, path: Path) -> "Format | None":
        """What reads this where it is no file but the address of a live stream of this format; else None."""
        return None

    def unfinished(self, path: Path) -> bool:
        """Whether a file is by its name one that is being written and cannot be read before it is done."""
        return False

    def grows(self, path: Path) -> bool:
        """Whether such a file can be read as it is written, from any line on: plain text that no program must turn into
        text first."""
        return type(self).blocks is Format.blocks and not packed(path)

    def blocks(self, path: Path) -> Iterator[Block]:
        """The lines of a file. ImportFailure once what could be read has been given. Formats that another program
        must turn into text do that here."""
        return read_blocks(path)
