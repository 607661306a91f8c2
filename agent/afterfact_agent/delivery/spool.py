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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from afterfact_protocol.messages import StreamKind

KEEP_SECONDS = 48 * 3600
KEEP_BYTES = 2 * 1024**3
"""How long, and how much, acknowledged batches are kept."""
WAITING_BYTES = 20 * 1000**3
"""How much may wait for the server. What of it comes from files waits outside instead; bounds.py has the rest."""

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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch's file: its bytes, and when it was spooled in microseconds."""

    size: int
    at: int
    known_since: float = field(default_factory=lambda: time.monotonic())
    """By the monotonic clock, which nobody sets: since when this agent knows of it."""


class Spool:
    """One directory, one agent. Methods may be called from several threads."""

    def __init__(
        self,
        path: Path,
        keep_seconds: int = KEEP_SECONDS,
        keep_bytes: int = KEEP_BYTES,
        waiting_bytes: int = WAITING_BYTES,
        log: Callable[[str], None] = lambda text: None,
        owner: str = "",
    ) -> None:
        """Lock and read the spool. SpoolError if another agent uses it, or it cannot be read or written.

        owner: the sensor that delivers from it. A spool is one sensor's: with another's join file its sessions would be
        taken for what that one saw.
        """
        self.path = path
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self.waiting_bytes_allowed = waiting_bytes
        self._log = log
        self._lock = threading.RLock()
        self._waiting: dict[bytes, dict[int, _Kept]] = {}
        self._waiting_bytes = 0
        self._acked: dict[bytes, dict[int, _Kept]] = {}
        self._refused: set[tuple[bytes, int]] = set()
        self._streams: dict[bytes, StreamInfo] = {}
        self._sacrificed = 0
        try:
            (path / "streams").mkdir(parents=True, exist_ok=True)
            self._lock_file = open(path / "lock", "w")  # noqa: SIM115 - held as long as the spool
        except OSError as error:
            raise SpoolError(f"{path}: cannot use the spool: {error.strerror}") from None
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._check_owner(owner)
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

    def _check_owner(self, owner: str) -> None:
        file = self.path / "owner"
        found = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
        if found and owner and found != owner:
            raise SpoolError(f"{self.path}: this spool is sensor {found}'s; give {owner} a --spool of its own")
        if owner and not found:
            _write_durably(file, owner.encode())

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

    def complete(self, stream: bytes, batches: int) -> None:
        """Record how many batches a stream has in all. SpoolFull."""
        with self._lock:
            self.put_stream(replace(self._streams[stream], batches=batches))

    def settled(self, stream: bytes) -> None:
        """The server has opened it. If it was to replace others, they must never be delivered again, nor it be asked
        to once more: what came in the place of its own sessions since would go."""
        with self._lock:
            info = self._streams.get(stream)
            if info is None or not info.replace:
                return
            for other in list(self._streams.values()):
                if other.content == info.content and other.stream != stream:
                    self._log(f"stream {other.stream.hex()} is replaced by {stream.hex()}: removed from the spool")
                    self._remove(other.stream)
            info = self._streams[stream] = replace(info, replace=False)
            try:
                self.put_stream(info)
            except SpoolError as error:  # the next agent asks again
                self._log(str(error))

    # --- batches ------------------------------------------------------------------------------------------------------

    def put(self, stream: bytes, seq: int, frame: bytes) -> bool:
        """Keep a batch's frame; False if it is here already (a file read again after a crash).

        A full disk first costs batches that are acknowledged and kept for a server that may be restored; SpoolFull if
        there are none left, or if more of files waits for the server than is allowed: files can wait.
        """
        with self._lock:
            if seq in self._waiting.get(stream, ()) or seq in self._acked.get(stream, ()):
                return False
            if self._waiting_bytes + len(frame) > self.waiting_bytes_allowed and self._streams[stream].kind != "live":
                raise SpoolFull(f"{self.path}: {self._waiting_bytes / 1e9:.3g} GB wait for the server, as much as is "
                                "allowed (--spool-max)")  # fmt: skip
            while True:
                try:
                    with _disk_errors(self.path):
                        _write_durably(self._file(stream, seq, _WAITING), frame)
                    break
                except SpoolFull:
                    if not self._sacrifice():
                        raise
            self._wait(stream, seq, _Kept(len(frame), time.time_ns() // 1000))
            return True

    def substitute(self, stream: bytes, seq: int, frame: bytes) -> bool:
        """Another frame in the place of one that waits; False if it waits no longer. SpoolFull, SpoolError."""
        with self._lock, _disk_errors(self.path):
            if seq not in self._waiting.get(stream, ()):
                return False
            _write_durably(self._file(stream, seq, _WAITING), frame)
            self._wait_no_longer(stream, seq)
            self._wait(stream, seq, _Kept(len(frame), time.time_ns() // 1000))
            return True

    def oldest_live(self) -> list[tuple[bytes, int, int, float]]:
        """Batches of live streams that wait, oldest first: stream, number, bytes, and since when this agent knows of
        it, by the monotonic clock."""
        with self._lock:
            waiting = [
                (kept.at, seq, stream, kept.size, kept.known_since)
                for stream, batches in self._waiting.items()
                if self._streams[stream].kind == "live"
                for seq, kept in batches.items()
            ]
        return [(stream, seq, size, since) for _, seq, stream, size, since in sorted(waiting)]

    def _wait(self, stream: bytes, seq: int, kept: _Kept) -> None:
        self._waiting.setdefault(stream, {})[seq] = kept
        self._waiting_bytes += kept.size

    def _wait_no_longer(self, stream: bytes, seq: int) -> _Kept | None:
        kept = self._waiting.get(stream, {}).pop(seq, None)
        self._waiting_bytes -= kept.size if kept is not None else 0
        return kept

    def read(self, stream: bytes, seq: int) -> bytes:
        """A batch's frame, waiting or acknowledged. OSError if it is gone."""
        with self._lock:
            state = _WAITING if seq in self._waiting.get(stream, ()) else _ACKED
        return self._file(stream, seq, state).read_bytes()

    def batches(self, stream: bytes) -> list[int]:
        """Numbers of the batches here, acknowledged or not, in order."""
        with self._lock:
            return sorted({*self._waiting.get(stream, ()), *self._acked.get(stream, ())})

    def acknowledged(self, stream: bytes, seq: int) -> None:
        """The server has it. The rename needs no fsync: forgotten, the batch is sent again, which is harmless."""
        with self._lock:
            if (stream, seq) in self._refused:  # by the server as it was before
                self._refused.discard((stream, seq))
                with contextlib.suppress(OSError):
                    self._file(stream, seq, _REFUSED).unlink()
            kept = self._wait_no_longer(stream, seq)
            if kept is None:
                return
            try:
                self._file(stream, seq, _WAITING).rename(self._file(stream, seq, _ACKED))
            except OSError as error:  # not kept for a restored server, then; this one has it
                self._log(f"batch {seq} of stream {stream.hex()} is delivered and cannot be kept: {error.strerror}")
                return
            self._acked.setdefault(stream, {})[seq] = kept

    def refused(self, stream: bytes, seq: int) -> None:
        """The server can never take it, or it cannot be read: keep it aside, if it is there."""
        with self._lock:
            waited, kept = self._wait_no_longer(stream, seq), self._acked.get(stream, {}).pop(seq, None)
            for found, state in ((waited, _WAITING), (kept, _ACKED)):
                if found is not None:
                    self._refused.add((stream, seq))
                    try:
                        self._file(stream, seq, state).rename(self._file(stream, seq, _REFUSED))
                    except OSError as error:
                        self._log(f"batch {seq} of stream {stream.hex()} cannot be kept aside: {error.strerror}")

    @property
    def refused_count(self) -> int:
        """Batches set aside, by this agent and earlier ones."""
        return len(self._refused)

    def waiting(self, stream: bytes) -> int:
        """How many batches of a stream are not yet acknowledged."""
        with self._lock:
            return len(self._waiting.get(stream, ()))

    def backlog(self) -> Backlog:
        with self._lock:
            times = [each.at for batches in self._waiting.values() for each in batches.values()]
            return Backlog(len(times), self._waiting_bytes, min(times, default=0))

    def tidy(self) -> None:
        """Delete acknowledged batches older than the time, or beyond the bytes, that they are kept for; and streams
        that are complete and have nothing left here."""
        with self._lock:
            oldest_first = self._oldest_acked()
            kept = sum(each.size for each, _, _ in oldest_first)
            latest = (time.time() - self._keep_seconds) * 1e6
            for each, stream, seq in oldest_first:
                if each.at >= latest and kept <= self._keep_bytes:
                    break
                self._drop_acked(stream, seq)
                kept -= each.size
            refused = {stream for stream, _ in self._refused}
            for info in list(self._streams.values()):
                here = self._waiting.get(info.stream) or self._acked.get(info.stream) or info.stream in refused
                if info.batches is not None and not here:
                    self._remove(info.stream)

    def _oldest_acked(self) -> list[tuple[_Kept, bytes, int]]:
        return sorted(
            ((each, stream, seq) for stream, batches in self._acked.items() for seq, each in batches.items()),
            key=lambda item: (item[0].at, item[2]),
        )

    def _drop_acked(self, stream: bytes, seq: int) -> None:
        del self._acked[stream][seq]
        with contextlib.suppress(OSError):  # on a disk in trouble; it is read again at the next start
            self._file(stream, seq, _ACKED).unlink()

    def _sacrifice(self) -> bool:
        """Give up an eighth of what is kept beyond need; False if there is nothing."""
        oldest_first = self._oldest_acked()
        if not oldest_first:
            return False
        if not self._sacrificed:
            self._log(f"{self.path}: the disk is full; acknowledged batches are dropped earlier than they should be")
        for _, stream, seq in oldest_first[: len(oldest_first) // 8 + 1]:
            self._drop_acked(stream, seq)
            self._sacrificed += 1
        return True

    def _remove(self, stream: bytes) -> None:
        """Forget a stream. Refused batches in it stay on disk, for a person to look at."""
        for seq in list(self._waiting.get(stream, ())):
            self._wait_no_longer(stream, seq)
        for known in (self._waiting, self._acked):
            known.pop(stream, None)
        self._refused = {each for each in self._refused if each[0] != stream}
        self._streams.pop(stream, None)
        folder = self._folder(stream)
        with contextlib.suppress(OSError):
            (folder / "stream.json").unlink()  # first: a folder without it is no stream
            for file in folder.iterdir():
                if file.suffix != _REFUSED:
                    file.unlink()
            folder.rmdir()

    # --- files --------------------------------------------------------------------------------------------------------

    def _folder(self, stream: bytes) -> Path:
        return self.path / "streams" / stream.hex()

    def _file(self, stream: bytes, seq: int, state: str) -> Path:
        return self._folder(stream) / f"{seq:012d}{state}"

    def _read(self) -> None:
        for folder in sorted((self.path / "streams").iterdir()):
            info = folder / "stream.json"
            if not info.exists():
                continue  # made, and nothing put in it, when an agent was killed; or removed
            try:
                content = json.loads(info.read_text())
                stream = bytes.fromhex(content.pop("stream"))
                self._streams[stream] = StreamInfo(stream, content=bytes.fromhex(content.pop("content")), **content)
            except (ValueError, KeyError, TypeError) as error:
                raise SpoolError(f"{info}: not a spool's stream file: {error}; move {folder} away") from None
            for file in folder.iterdir():
                if file.suffix == ".part":
                    file.unlink()  # cut off by a crash before it counted as spooled
                elif file.suffix in (_WAITING, _ACKED, _REFUSED):
                    self._read_batch(stream, file)

    def _read_batch(self, stream: bytes, file: Path) -> None:
        if not file.stem.isascii() or not file.stem.isdigit():
            raise SpoolError(f"{file}: not a batch of a spool; move it away")
        seq = int(file.stem)
        if file.suffix == _REFUSED:
            self._refused.add((stream, seq))
            return
        status = file.stat()
        kept = _Kept(status.st_size, status.st_mtime_ns // 1000)
        if file.suffix == _WAITING:
            self._wait(stream, seq, kept)
        else:
            self._acked.setdefault(stream, {})[seq] = kept


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
