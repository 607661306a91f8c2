"""The rejects file: every line that could not be read, where it stands and why."""

import os
from collections.abc import Iterable
from pathlib import Path

from afterfact_protocol.output import OutputError

from .format import Reject


class RejectsFile:
    """Made with the first reject, so that none is there where nothing was wrong; added to if it exists.

    A line of it is: file, colon, line number, colon, reason, tab, the line as it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, rejects: Iterable[Reject]) -> None:
        """OutputError if it cannot be written: a reject must not be lost."""
        lines = [
            b"%s:%d: %s\t%s\n" % (os.fsencode(name), reject.line, reject.reason.encode(), reject.text)
            for reject in rejects
        ]
        if not lines:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as file:
                file.writelines(lines)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot write the rejected lines: {error.strerror}") from None
