"""Where a command's output goes: a file or stdout. What cannot be written ends the command with one line."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from afterfact_client.cli.failure import Failure

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Raw(io.FileIO):
    """A file whose faults are told apart from all others, a lost connection's among them, which is an OSError too.

    BrokenPipeError stays what it is: the reader has left.
    """

    def __init__(self, file: str | int, name: str) -> None:
        self._shown = name
        try:
            super().__init__(file, "w", closefd=isinstance(file, str))
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> Failure:
        return Failure(f"{self._shown}: cannot write: {error.strerror}")

    def write(self, data: "ReadableBuffer", /) -> int:
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
    """A text file to write to, stdout for None and "-". Failure if it cannot be opened, written or closed."""
    if path is None or path == "-":
        sys.stdout.flush()
        raw, encoding = _Raw(sys.stdout.fileno(), "stdout"), sys.stdout.encoding
    else:
        raw, encoding = _Raw(path, path), "utf-8"
    with io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", newline="") as file:
        yield file
