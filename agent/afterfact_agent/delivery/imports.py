"""Files of other meters as a source of sessions for delivery."""

from collections.abc import Sequence
from pathlib import Path

from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.run import ImportRun
from afterfact_protocol.messages import StreamKind


class ImportSource:
    """The files of one call. ImportFailure if one is of no format that is known."""

    kind: StreamKind = "import"

    def __init__(self, paths: Sequence[Path], chosen: str | None, rejects: Path) -> None:
        self.paths = paths
        self._files = [(path, format_of(path, chosen)) for path in paths]
        self._rejects = rejects
        versions = sorted({f"{known.name} {known.version}" for _, known in self._files})
        self.meter = f"import {', '.join(versions)}"

    def run(self) -> ImportRun:
        return ImportRun(self._files, self._rejects)
