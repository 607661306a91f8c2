"""Metering capture files: one call's files are one stream, through which the meter's state goes on.

Knows neither spool nor output formats. Imports kernels only when metering begins.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.capture.packets import Packets
from afterfact_agent.capture.report import CaptureError, FileReport

from .config import MeterConfig


class FileMetering:
    """Iterate it once for the records: arrays of dtype RECORD, interim (end_reason OPEN) and last ones, as they leave.

    A file that cannot be read, or not to its end, is reported and does not stop the others.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        config: MeterConfig | None = None,
        choose: Callable[[Packets], Packets] | None = None,
    ) -> None:
        from .meter import Meter

        self.meter = Meter(config)
        self.reports: list[FileReport] = [FileReport(str(path)) for path in paths]
        """One per file, in order; each is complete once its packets have been metered."""
        self._choose = choose

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        from afterfact_agent.capture.pcapfile import CaptureFile, read_capture

        for report in self.reports:
            before = self.meter.undecoded
            try:
                if self._choose is None:
                    with CaptureFile(report.path, report) as capture:
                        yield from self.meter.feed_file(capture)
                else:
                    for packets in read_capture(report.path, report):
                        yield from self.meter.feed(self._choose(packets))
            except CaptureError as error:
                report.damage.append(str(error))
            report.undecoded = self.meter.undecoded - before
        yield from self.meter.finish()

    @property
    def damage(self) -> list[str]:
        """One line for each thing wrong with a file so far."""
        return [line for report in self.reports for line in report.damage]


def meter_files(
    paths: Sequence[str | Path],
    config: MeterConfig | None = None,
    choose: Callable[[Packets], Packets] | None = None,
) -> FileMetering:
    """The sessions of capture files: iterate the result for records, then see its `reports` and `meter.counters`.

    choose: gives the packets of a chunk that are to be metered (a filter).
    """
    return FileMetering(paths, config, choose)
