"""Going through files of other meters: what was taken of each, skipped and rejected.

Knows neither spool nor output formats.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from afterfact_protocol.event import Events
from afterfact_protocol.messages import Observed
from afterfact_protocol.records import Records

from .format import Format, Reader, Reject, Taken
from .formats import format_of
from .lines import ImportFailure
from .reading import lines_in, read_block
from .rejects import RejectsFile

_SHAPELESS = {"empty lines", "header lines", "header"}
"""Kinds of skipped lines that do not show a file to be of its format."""
FIRST_REJECTS = 5
"""So many are told one by one where no rejects file is written."""


@dataclass(slots=True)
class ImportReport:
    """What became of one file; complete when the run is past it."""

    path: str
    format: str
    lines: int = 0
    sessions: int = 0
    """Records, interim ones among them."""
    events: int = 0
    """Alerts."""
    first_us: int | None = None
    """The earliest start of a session, microseconds since 1970 UTC."""
    last_us: int | None = None
    """The latest end."""
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    first_rejects: list[Reject] = field(default_factory=list)
    observed: list[Observed] = field(default_factory=list)
    """What the other meter itself told of."""
    damage: list[str] = field(default_factory=list)

    def take(self, taken: Taken) -> None:
        """Count it."""
        records = taken.records
        self.sessions += len(records)
        self.events += len(taken.events)
        if len(records):
            first, last = int(records["start_time"].min()), int(records["end_time"].max())
            self.first_us = first if self.first_us is None else min(self.first_us, first)
            self.last_us = last if self.last_us is None else max(self.last_us, last)
        self.skipped.update(taken.skipped)
        self.rejected.update(reject.reason for reject in taken.rejects)
        self.first_rejects += taken.rejects[: FIRST_REJECTS - len(self.first_rejects)]
        self.observed += taken.observed

    @property
    def nothing_fits(self) -> bool:
        """Lines were rejected, and none was taken or known for what it is."""
        rejected = self.rejected.total()
        shapeless = self.skipped.keys() <= _SHAPELESS and rejected + self.skipped.total() == self.lines
        return bool(rejected) and shapeless and not self.sessions and not self.events

    def intervals(self) -> list[Observed]:
        """What the sensor watched, by this file: from its first session to its last, and what its meter told."""
        if self.first_us is None or self.last_us is None:
            return self.observed
        name = os.fsencode(Path(self.path).name).decode(errors="replace")[:1000]
        rejected = self.rejected.total()
        faults = [f"{rejected} of {self.lines} lines could not be read"] if rejected else []
        note = "; ".join([*faults, *self.damage])[:1000]
        return [Observed(self.first_us, self.last_us, "import", name, 0, 0, note), *self.observed]

    def summary(self) -> str:
        """In a line."""
        parts = [f"{self.path}: {self.format}: {self.lines:,} lines, {self.sessions:,} sessions"]
        if self.events:
            parts.append(f"{self.events:,} alerts")
        if self.skipped:
            parts.append("skipped " + _listed(self.skipped))
        if self.rejected:
            parts.append("REJECTED " + _listed(self.rejected))
        return "; ".join(parts)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} ({reason})" for reason, count in counts.most_common())


class ImportRun:
    """Goes through files once: iterate it for the records, interim ones too, and the events beside them.

    A file that cannot be read, or not to its end, is reported and does not stop the others.
    """

    def __init__(self, files: Sequence[tuple[Path, Format]], rejects: Path | None = None) -> None:
        self._files = files
        self._rejects = RejectsFile(rejects) if rejects is not None else None
        self.reports = [ImportReport(str(path), known.name) for path, known in files]

    def __iter__(self) -> Iterator[tuple[Records, Events]]:
        for taken in self.takings():
            yield taken.records, taken.events

    def records(self) -> Iterator[Records]:
        """The records alone."""
        for records, _ in self:
            if len(records):
                yield records

    def takings(self) -> Iterator[Taken]:
        """What became of the lines, some at a time. OutputError if the rejects file cannot be written."""
        series: dict[str, Reader] = {}
        last = {known.name: number for number, (_, known) in enumerate(self._files)}
        for number, ((path, known), report) in enumerate(zip(self._files, self.reports, strict=True)):
            if not known.series:
                yield from self._file(path, known, report, known.reader())
                continue
            reader = series.setdefault(known.name, known.reader())
            yield from self._file(path, known, report, reader, goes_on=number < last[known.name])

    def _file(
        self, path: Path, known: Format, report: ImportReport, reader: Reader, goes_on: bool = False
    ) -> Iterator[Taken]:
        try:
            for block in known.blocks(path):
                report.lines += lines_in(block)
                for taken in read_block(known, reader, block):
                    yield self._counted(taken, report)
        except ImportFailure as error:
            report.damage.append(str(error))
        if not goes_on:
            yield self._counted(reader.finish(), report)
        if report.nothing_fits:
            report.damage.append(f"{path}: no line of it could be read as {known.name}")

    def _counted(self, taken: Taken, report: ImportReport) -> Taken:
        report.take(taken)
        if self._rejects is not None:
            self._rejects.write(Path(report.path).name, taken.rejects)
        return taken

    def observed(self) -> list[Observed]:
        """What was watched, of each file."""
        return [interval for report in self.reports for interval in report.intervals()]

    @property
    def damage(self) -> list[str]:
        """One line for each file that could not be read to its end, so far."""
        return [line for report in self.reports for line in report.damage]

    @property
    def notes(self) -> list[str]:
        """A summary of each file; where no rejects file is written, the first rejects of each."""
        lines = []
        for report in self.reports:
            lines.append(report.summary())
            if self._rejects is None:
                lines += [
                    f"{report.path}:{reject.line}: {reject.reason}: {_shown(reject.text)}"
                    for reject in report.first_rejects
                ]
            elif report.rejected:
                lines[-1] += f"; they are in {self._rejects.path}"
        return lines

    @property
    def reported(self) -> dict[str, int]:
        """Counters for a REPORT."""
        return {
            "lines": sum(report.lines for report in self.reports),
            "lines_rejected": sum(report.rejected.total() for report in self.reports),
            "lines_skipped": sum(report.skipped.total() for report in self.reports),
            "records": sum(report.sessions for report in self.reports),
            "events": sum(report.events for report in self.reports),
        }


def _shown(text: bytes) -> str:
    """A line, or its beginning, fit for a terminal."""
    shown = text[:160].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in shown) + ("..." if len(text) > 160 else "")


def import_files(paths: Sequence[Path], chosen: str | None = None, rejects: Path | None = None) -> ImportRun:
    """The sessions of other meters' files: iterate the result, then see its reports.

    chosen: the format's name; without it each file's is recognised. ImportFailure if one is not, before any is read.
    """
    return ImportRun([(path, format_of(path, chosen)) for path in paths], rejects)
