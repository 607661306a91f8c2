"""Where the sessions of a stream of files come from: what delivery must know of reading and metering them, or of
importing them.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from afterfact_protocol.event import Events
from afterfact_protocol.messages import Observed, StreamKind
from afterfact_protocol.records import Records


class FileRun(Protocol):
    """Going through the files once: iterate it for the records, then see the rest."""

    def __iter__(self) -> Iterator[Records | tuple[Records, Events]]:
        """Records to be delivered, as they leave, and events (alerts) beside them if the files hold some."""

    def observed(self) -> Iterable[Observed]:
        """What was watched by whoever made the files; complete at the end."""

    @property
    def damage(self) -> list[str]:
        """One line for each thing wrong with a file so far: it was not read to its end."""

    @property
    def notes(self) -> list[str]:
        """What else a person must be told, a line each; complete at the end."""

    @property
    def reported(self) -> dict[str, int]:
        """Counters for a REPORT, by name."""


class FileSource(Protocol):
    """The files of one call, in order."""

    @property
    def paths(self) -> Sequence[Path]: ...

    @property
    def kind(self) -> StreamKind: ...

    @property
    def meter(self) -> str:
        """What makes sessions of them, its version and settings: another makes others of the same files."""

    def run(self) -> FileRun:
        """Go through the files, from the beginning."""
