"""The spool: every batch is on disk before it is sent, and stays a while after the server has it.

    DIR/lock                        held by the one agent that uses the spool
    DIR/streams/HEX/stream.json     what the stream is; how many batches, once that is known
    DIR/streams/HEX/NNN.batch       a batch waiting to be acknowledged: the frame as it is sent
    DIR/streams/HEX/NNN.acked       acknowledged; kept for a server that is restored from a backup
    DIR/streams/HEX/NNN.refused     the server can never take it; kept for a person to look at

A file appears under its name only when its content is on disk (written aside, fsync, rename, fsync of the folder), so
whatever is here after a crash is whole.
"""

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from afterfact_protocol.messages import StreamKind

KEEP_SECONDS = 48 * 3600
KEEP_BYTES = 2 * 1024**3
"""How long, and how much, acknowledged batches are kept."""

_WAITING, _ACKED, _REFUSED = ".batch", ".acked", ".refused"


class SpoolError(RuntimeError):
    """The spool cannot be used; one line for a person."""


class SpoolFull(SpoolError):
    """The disk takes no more; what was spooled before is safe, and the same call can be tried again."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """stream.json."""

    stream: bytes
    kind: StreamKind
    content: bytes
    meter: str
    replace: bool = False
    batches: int | None = None
    """Number of batches, once the stream is complete; None while it may grow."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Batches not yet acknowledged. `since` is when the oldest was spooled, in microseconds; 0 with none."""

    batches: int
    bytes: int
    since: int


class Spool:
    """One directory, one agent. Methods may be called from several threads."""

    def __init__(self, path: Path, keep_seconds: int = KEEP_SECONDS, keep_bytes: int = KEEP_BYTES) -> None:
        """Lock and read the spool. SpoolError if another agent uses it, or it cannot be read or written."""
        self.path = path
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._lock = threading.RLock()
        self._waiting: dict[tuple[bytes, int], tuple[int, int]] = {}
        """(stream, seq) -> (bytes, when spooled in microseconds)."""
        self._acked: dict[tuple[bytes, int], tuple[int, int]] = {}
        self._refused = 0
        self._streams: dict[bytes, StreamInfo] = {}
        try:
            (path / "streams").mkdir(parents=True, exist_ok=True)
            self._lock_file = open(path / "lock", "w")  # noqa: SIM115 - held as long as the spool
        except OSError as error:
            raise SpoolError(f"{path}: cannot use the spool: {error.strerror}") from None
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BlockingIOError:
            self.close()
            raise SpoolError(f"{path}: another afterfact-agent uses this spool; give each its own --spool") from None
        except OSError as error:
            self.close()
            raise SpoolError(f"{path}: cannot use the spool: {error.strerror}") from None
        except SpoolError:
            self.close()
            raise

    def close(self) -> None:
        """Let another agent use the spool."""
        self._lock_file.close()

    # --- streams ------------------------------------------------------------------------------------------------------

    def streams(self) -> list[StreamInfo]:
        with self._lock:
            return list(self._streams.values())

    def stream(self, stream: bytes) -> StreamInfo | None:
        with self._lock:
            return self._streams.get(stream)

    def put_stream(self, info: StreamInfo) -> None:
        """Record a stream, or that it is complete. SpoolFull."""
        folder = self._folder(info.stream)
        content = {**asdict(info), "stream": info.stream.hex(), "content": info.content.hex()}
        with self._lock, _disk_errors(self.path):
            if not folder.exists():
                folder.mkdir()
                _sync_folder(folder.parent)
            _write_durably(folder / "stream.json", json.dumps(content).encode())
            self._streams[info.stream] = info

    # --- batches ------------------------------------------------------------------------------------------------------

    def put(self, stream: bytes, seq: int, frame: bytes) -> bool:
        """Keep a batch's frame; False if it is here already (a file read again after a crash). SpoolFull."""
        with self._lock:
            if (stream, seq) in self._waiting or (stream, seq) in self._acked:
                return False
            with _disk_errors(self.path):
                _write_durably(self._file(stream, seq, _WAITING), frame)
            self._waiting[stream, seq] = (len(frame), time.time_ns() // 1000)
            return True

    def read(self, stream: bytes, seq: int) -> bytes:
        """A batch's frame, waiting or acknowledged. OSError if it is gone."""
        with self._lock:
            state = _WAITING if (stream, seq) in self._waiting else _ACKED
        return self._file(stream, seq, state).read_bytes()

    def batches(self, stream: bytes) -> list[int]:
        """Numbers of the batches here, acknowledged or not, in order."""
        with self._lock:
            return sorted(seq for known in (self._waiting, self._acked) for at, seq in known if at == stream)

    def acknowledged(self, stream: bytes, seq: int) -> None:
        """The server has it. The rename needs no fsync: forgotten, the batch is sent again, which is harmless."""
        with self._lock:
            if (size_and_time := self._waiting.pop((stream, seq), None)) is not None:
                self._file(stream, seq, _WAITING).rename(self._file(stream, seq, _ACKED))
                self._acked[stream, seq] = size_and_time

    def refused(self, stream: bytes, seq: int) -> None:
        """The server can never take it: keep it aside."""
        with self._lock:
            for known, state in ((self._waiting, _WAITING), (self._acked, _ACKED)):
                if known.pop((stream, seq), None) is not None:
                    self._file(stream, seq, state).rename(self._file(stream, seq, _REFUSED))
                    self._refused += 1

    @property
    def refused_count(self) -> int:
        return self._refused

    def waiting(self, stream: bytes) -> int:
        """How many batches of a stream are not yet acknowledged."""
        with self._lock:
            return sum(at == stream for at, _ in self._waiting)

    def backlog(self) -> Backlog:
        with self._lock:
            return Backlog(
                len(self._waiting),
                sum(size for size, _ in self._waiting.values()),
                min((at for _, at in self._waiting.values()), default=0),
            )

    def tidy(self) -> None:
        """Delete acknowledged batches older than the time, or beyond the bytes, that they are kept for."""
        with self._lock:
            kept = sum(size for size, _ in self._acked.values())
            oldest_first = sorted(self._acked.items(), key=lambda item: item[1][1])
            latest = (time.time() - self._keep_seconds) * 1e6
            for (stream, seq), (size, at) in oldest_first:
                if at >= latest and kept <= self._keep_bytes:
                    break
                self._file(stream, seq, _ACKED).unlink(missing_ok=True)
                del self._acked[stream, seq]
                kept -= size

    # --- files --------------------------------------------------------------------------------------------------------

    def _folder(self, stream: bytes) -> Path:
        return self.path / "streams" / stream.hex()

    def _file(self, stream: bytes, seq: int, state: str) -> Path:
        return self._folder(stream) / f"{seq:012d}{state}"

    def _read(self) -> None:
        for folder in sorted((self.path / "streams").iterdir()):
            info = folder / "stream.json"
            if not info.exists():
                continue  # made, and nothing put in it, when an agent was killed
            try:
                content = json.loads(info.read_text())
                stream = bytes.fromhex(content.pop("stream"))
                self._streams[stream] = StreamInfo(stream, content=bytes.fromhex(content.pop("content")), **content)
            except (ValueError, KeyError, TypeError) as error:
                raise SpoolError(f"{info}: not a spool's stream file: {error}; move {folder} away") from None
            for file in folder.iterdir():
                known = {_WAITING: self._waiting, _ACKED: self._acked}.get(file.suffix)
                if known is not None:
                    status = file.stat()
                    known[stream, int(file.stem)] = (status.st_size, status.st_mtime_ns // 1000)
                elif file.suffix == _REFUSED:
                    self._refused += 1
                elif file.suffix == ".part":
                    file.unlink()  # cut off by a crash before it counted as spooled


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = SpoolFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else SpoolError
        raise kind(f"{path}: cannot write to the spool: {error.strerror}") from None


def _write_durably(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
