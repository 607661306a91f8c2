"""The rejects file: every line that could not be read, where it stands and why."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from afterfact_protocol.output import OutputError

from .format import Reject


class RejectsFile:
    """Made with the first reject, so that none is there where nothing was wrong. Close it.

    A line of it is: file, colon, line number, colon, reason, tab, the line as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def write(self, name: str, rejects: Iterable[Reject]) -> None:
        """OutputError if it cannot be written: a reject must not be lost."""
        lines = [
            b"%s:%d: %s\t%s\n" % (os.fsencode(name), reject.line, reject.reason.encode(), reject.text)
            for reject in rejects
        ]
        if not lines:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "wb")  # noqa: SIM115 (kept open until close)
            self._file.writelines(lines)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot write the rejected lines: {error.strerror}") from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
