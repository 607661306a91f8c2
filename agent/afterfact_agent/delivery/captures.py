"""Capture files as a source of sessions for delivery."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from afterfact_agent.capture import FileReport
from afterfact_agent.meter import METER_VERSION, MeterConfig, meter_files
from afterfact_protocol.messages import Observed, StreamKind
from afterfact_protocol.records import Records
from afterfact_protocol.session import EndReason


class CaptureRun:
    """Meters the files once. Interim records are left out: the last one of each session says all, and a file does not
    keep anybody waiting."""

    def __init__(self, paths: Sequence[Path], config: MeterConfig) -> None:
        self._run = meter_files(paths, config)

    def __iter__(self) -> Iterator[Records]:
        for records in self._run:
            yield records[records["end_reason"] != EndReason.OPEN]

    def observed(self) -> Iterable[Observed]:
        return (made for report in self._run.reports if (made := interval_of(report)) is not None)

    @property
    def damage(self) -> list[str]:
        return self._run.damage

    @property
    def notes(self) -> list[str]:
        return []

    @property
    def reported(self) -> dict[str, int]:
        return self._run.meter.reported


class CaptureSource:
    """Capture files, to be metered with these settings."""

    kind: StreamKind = "files"

    def __init__(self, paths: Sequence[Path], config: MeterConfig) -> None:
        self.paths = paths
        self._config = config
        self.meter = f"afterfact {METER_VERSION} {config.fingerprint()[:16]}"

    def run(self) -> CaptureRun:
        return CaptureRun(self.paths, self._config)


def interval_of(report: FileReport) -> Observed | None:
    """What one file shows to have been watched; None if it had no packet of a believable time."""
    if report.first_us is None or report.last_us is None:
        return None
    untimely = [f"{report.untimely} packets of impossible times"] if report.untimely else []
    note = "; ".join([*untimely, *report.damage])[:1000]
    name = os.fsencode(Path(report.path).name).decode(errors="replace")[:1000]
    return Observed(report.first_us, report.last_us, "files", name, report.packets, report.undecoded, note)
