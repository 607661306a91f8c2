"""Where a command's output goes: a file or stdout. What cannot be written is told from every other fault."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class OutputError(RuntimeError):
    """The output cannot be opened, written or closed; one line for a person."""


class _Raw(io.FileIO):
    """A file whose faults are OutputErrors: a lost connection, say, is an OSError too, and none of the file's.

    BrokenPipeError stays what it is: the reader has left.
    """

    def __init__(self, file: str | int, name: str) -> None:
        self._shown = name
        try:
            super().__init__(file, "w", closefd=isinstance(file, str))
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"{self._shown}: cannot write: {error.strerror}")

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failure(error) from None

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            raise self._failure(error) from None


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """A text file to write to, stdout for None and "-". OutputError if it cannot be opened,
    written or closed."""
    if path is None or path == "-":
        sys.stdout.flush()
        raw, encoding = _Raw(sys.stdout.fileno(), "stdout"), sys.stdout.encoding
    else:
        raw, encoding = _Raw(path, path), "utf-8"
    with io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", newline="") as file:
        yield file
