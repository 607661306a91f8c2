"""Sessions as a Parquet file, a row group at a time: any number of them in the memory of one group.

Written here and not by the server, whose engine could: an export pages through the keys of its result, each once, while
more arrive; the engine would ask all of it a second time, into a file of its own as large as the export.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from afterfact_client.frames import Arrow, Extra, package
from afterfact_protocol.output import OutputError
from afterfact_protocol.records import Records
from afterfact_protocol.session import Field

GROUP_ROWS = 65_536
"""Sessions of a row group; 15 to 20 MB while it is made."""


class ParquetWriter:
    """A new file, in the place of `path` once it is whole: until then it is PATH.partial, which is removed should it
    not come to its end. PackageMissing without pyarrow; OutputError for what cannot be written."""

    def __init__(
        self, path: str, fields: Sequence[Field], sensors: Mapping[int, str], extras: Sequence[Extra] = ()
    ) -> None:
        self._path, self._part = Path(path), Path(f"{path}.partial")
        self._arrow = Arrow(fields, extras)
        self._sensors, self._extras = sensors, extras
        self._rows: list[Records] = []
        self._beside: list[tuple[Sequence[object], ...]] = []
        self._held = 0
        try:
            made = package("pyarrow.parquet").ParquetWriter
            self._file: Any = made(self._part, self._arrow.schema, compression="zstd")
        except OSError as error:
            raise self._failure(error) from None

    def write(self, rows: Records, *beside: Sequence[object]) -> None:
        """`beside` are the extras' values, a sequence each."""
        self._rows.append(rows)
        self._beside.append(beside)
        self._held += len(rows)
        if self._held >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        rows = np.concatenate(self._rows)
        beside = [[value for part in self._beside for value in part[at]] for at in range(len(self._extras))]
        self._rows, self._beside, self._held = [], [], 0
        try:
            self._file.write_batch(self._arrow.batch(rows, self._sensors, beside), row_group_size=GROUP_ROWS * 2)
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: cannot write: {error.strerror or str(error).splitlines()[0]}")

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._held:
                self._write_group()
            self._file.close()
            if kind is None:
                with self._part.open("rb") as made:
                    os.fsync(made.fileno())
                os.replace(self._part, self._path)
        except OSError as failed:
            raise self._failure(failed) from None
        finally:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
