"""Writes the audit: one thread, as many records at a time as came while the last were being written, each batch on disk
before anybody is told.

`record` returns at once with the record's number; `until` waits until it is on disk. What is said to a console waits
for it, so no crash can lose what was answered. While the audit cannot be written, nothing that it must hold is answered
(AuditError); sessions are taken in all the same.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from afterfact_server.audit.chain import FIRST_HASH, Head, files, line, name_of, parsed, read_head

ROTATE_BYTES = 16 << 20
MOST_WAITING = 20_000
"""Records that may wait for the disk."""
PATIENCE_SECONDS = 10.0
"""How long an answer waits for its record."""
RETRY_SECONDS = 1.0


class AuditError(RuntimeError):
    """The audit cannot be written; one line for a person."""


class Audit:
    """One writer a directory: the caller holds its lock. OSError from the constructor if the folder cannot be used."""

    def __init__(self, folder: Path, log: Callable[[str], None], rotate: int = ROTATE_BYTES) -> None:
        self.folder = folder
        self._log = log
        self._rotate = rotate
        folder.mkdir(mode=0o700, exist_ok=True)
        self._changed = threading.Condition()
        self._waiting: deque[dict[str, Any]] = deque()
        self._failing = ""
        self._stopping = False
        self._head, torn, damaged = _recovered(folder)
        self._next = self._durable = self._head.number
        self._file = -1
        self._size = 0
        self._path = folder
        self._head_file = os.open(folder / "head", os.O_WRONLY | os.O_CREAT, 0o600)
        self._thread = threading.Thread(target=self._run, name="audit")
        self._thread.start()
        if torn:
            self.record("recovered", cut=torn, note="the last line had not been written whole; nobody was answered")
        if damaged:
            self.record("damaged", note=damaged)

    def record(self, kind: str, user: str = "", address: str = "", **details: Any) -> int:
        """Queue a record; its number. AuditError if too many wait for the disk."""
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._changed:
            if len(self._waiting) >= MOST_WAITING or self._stopping:
                raise AuditError(f"the audit cannot be written: {self._failing or 'too much waits for the disk'}")
            self._next += 1
            made = {"n": self._next, "time": time, "kind": kind, "user": user, "address": address}
            self._waiting.append(made | details)
            self._changed.notify_all()
            return self._next

    def until(self, number: int) -> None:
        """Wait until a record is on disk. AuditError if that does not come about."""
        with self._changed:
            if self._changed.wait_for(lambda: self._durable >= number or self._failing, PATIENCE_SECONDS) and (
                self._durable >= number
            ):
                return
            raise AuditError(f"the audit cannot be written: {self._failing or 'the disk is too slow'}")

    def stop(self) -> None:
        """Write what waits, once, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        if self._file >= 0:
            os.close(self._file)
        os.close(self._head_file)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                batch = list(self._waiting)
            if not batch:
                return
            try:
                head = self._write(batch)
            except OSError as error:
                if not self._failing:
                    self._log(f"the audit cannot be written: {error.strerror}; queries are not answered until it can")
                with self._changed:
                    self._failing = error.strerror or type(error).__name__
                    self._changed.notify_all()
                    if self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS):
                        return
                continue
            if self._failing:
                self._log("the audit is written again")
            with self._changed:
                self._failing = ""
                for _ in batch:
                    self._waiting.popleft()
                self._durable = head.number
                self._changed.notify_all()

    def _write(self, batch: list[dict[str, Any]]) -> Head:
        own, number, lines = self._head.hash, self._head.number, []
        for record in batch:
            if record["n"] > number:  # else it is written, and only `head` failed
                own, text = line(own, record)
                number = record["n"]
                lines.append(text)
        if lines:
            self._append(lines, self._head.number + 1)
            self._head = Head(number, own)
        os.pwrite(self._head_file, self._head.to_text().encode(), 0)
        os.fdatasync(self._head_file)
        return self._head

    def _append(self, lines: list[bytes], first: int) -> None:
        if self._file < 0 or self._size >= self._rotate:
            self._open(first)
        content = b"".join(lines)
        try:
            _write_all(self._file, content)
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)  # what was written of it is written again
            raise
        self._size += len(content)

    def _open(self, first: int) -> None:
        """The newest file, or if it is full, or there is none, a new one."""
        newest = files(self.folder)[-1:]
        path = self.folder / name_of(first)
        if self._file < 0 and newest and newest[0][1].stat().st_size < self._rotate:
            path = newest[0][1]
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path, self._size = file, path, os.fstat(file).st_size
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _recovered(folder: Path) -> tuple[Head, int, str]:
    """The last record; bytes of a torn line that were cut off; what is damaged at the end. The chain goes on from the
    last line that is one, whatever `head` says: verify tells of the difference."""
    torn = 0
    for _, path in reversed(files(folder)):
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            torn += len(content) - whole
            os.truncate(path, whole)
        for text in reversed(content[:whole].splitlines()):
            if (found := parsed(text)) is not None:
                last = Head(int(found[2]["n"]), found[0])
                told = read_head(folder)
                short = told is not None and told.number > last.number
                return last, torn, f"ends with record {last.number}, head says {told.number}" if told and short else ""
    told = read_head(folder)
    gone = told is not None and told.number > 0
    return Head(0, FIRST_HASH), torn, f"no record is left, head says {told.number}" if told and gone else ""
