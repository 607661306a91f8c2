"""Delivering files: makes sessions of one call's files into the spool, and again if the server turns out to lack what
the spool no longer holds.

Knows how a stream of files comes to be complete; sends nothing itself.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from afterfact_agent.delivery.filestream import batches_of, content_digest, files_stream
from afterfact_agent.delivery.source import FileRun, FileSource
from afterfact_agent.delivery.spool import Spool, SpoolFull, StreamInfo
from afterfact_agent.delivery.uplink import Uplink
from afterfact_protocol.codec import encode
from afterfact_protocol.event import EVENT
from afterfact_protocol.session import RECORD
from afterfact_protocol.stopping import Stop

DISK_RETRY_SECONDS = 2.0

T = TypeVar("T")


class FilesError(ValueError):
    """The files cannot be taken. One line that names the file and says what was done."""


class Stopped(Exception):
    """SIGTERM or SIGINT came."""


class FilesDelivery:
    """The files of one call, in order, as one stream. `take` once, then `delivered` until it says so."""

    def __init__(
        self,
        source: FileSource,
        sensor: str,
        spool: Spool,
        uplink: Uplink,
        stop: Stop,
        log: Callable[[str], None],
    ) -> None:
        self._source = source
        self._sensor = sensor
        self._spool = spool
        self._uplink = uplink
        self._stop = stop
        self._log = log
        self._info: StreamInfo
        self._batches = 0
        self._damaged = False
        self._sessions: int | None = None
        """Metered in this run; None if that was done before."""
        self._events = 0
        """Alerts read in this run."""
        self._run: FileRun | None = None
        self._metered: dict[str, int] = {}
        """What the meter has counted, once it is done."""
        self._finished = False
        self._metered_again_on = 0
        """The connection on which the server was last found to lack something."""

    def take(self, replace_others: bool) -> None:
        """Meter the files into the spool, unless that was done before.

        replace_others: the server shall put this stream's sessions in place of those that another meter made of the
        same files. FilesError if a file cannot be read at all; Stopped; SpoolError.
        """
        content = self._content()
        source = self._source
        stream = files_stream(content, self._sensor, source.meter)
        info = StreamInfo(stream, source.kind, content, source.meter, replace_others)
        known = self._spool.stream(info.stream)
        if known is not None and known.batches is not None:
            self._info, self._batches = info, known.batches
            waiting = self._spool.waiting(info.stream)
            state = (
                f"{_counted(waiting, 'batch', 'batches')} of them wait in the spool" if waiting else "all is delivered"
            )
            self._log(f"these files were read before: {state}")
            if replace_others:
                self._until_disk(lambda: self._spool.put_stream(replace(info, batches=known.batches)))
                self._uplink.open_again(info.stream)
            return
        self._info = info
        self._meter()

    @property
    def counters(self) -> dict[str, int]:
        """What a REPORT says: of the meter since the start, and whether all of it has been delivered."""
        metered = self._metered if self._run is None else self._run.reported
        return {"files": len(self._source.paths), "finished": int(self._finished), **metered}

    def delivered(self) -> bool:
        """Whether the server has all that this spool can give it, these files' sessions above all.

        A server that lost some of them (a new or a restored store) and gets them neither from the spool, where
        delivered batches are kept for a while only, gets them metered anew. As `take` raises.
        """
        self._finished = self._all_delivered()
        return self._finished

    def _all_delivered(self) -> bool:
        others = self._uplink.refused_streams
        if any(self._spool.waiting(info.stream) for info in self._spool.streams() if info.stream not in others):
            return False
        if not self._uplink.settled:
            return False
        connection = self._uplink.connections
        missing = self._missing()
        refused = self._uplink.refused_batches(self._info.stream)
        if set(missing) <= set(refused) or self._metered_again_on == connection:
            return True
        self._log(f"the server lacks {len(missing)} batches of these files, which the spool no longer holds whole: "
                  "reading the files again")  # fmt: skip
        self._metered_again_on = connection
        if self._content() != self._info.content:
            raise FilesError("the files have changed since they were read; give them as they are now in a new call")
        self._info = replace(self._info, replace=False)
        self._meter()
        return False

    def whole(self) -> bool:
        """Whether the server has all of the files and of what lay in the spool, and nothing was wrong with them."""
        missing = self._missing()
        refused = self._uplink.refused_batches(self._info.stream)
        if not set(missing) <= set(refused):
            self._log(f"the server lacks {len(missing)} batches of these files; run this again")
        return not (missing or self._damaged or self._uplink.refused_streams)

    @property
    def summary(self) -> str:
        """What was delivered, in a line; once `whole`."""
        sessions = "" if self._sessions is None else f"{_counted(self._sessions, 'session', 'sessions')} in "
        if self._events:
            sessions = sessions.replace(" in ", f" and {_counted(self._events, 'alert', 'alerts')} in ")
        return f"delivered: {sessions}{_counted(self._batches, 'batch', 'batches')}, all acknowledged by the server"

    def _missing(self) -> list[int]:
        """Batches of these files that the server lacks."""
        if self._info.stream in self._uplink.refused_streams:
            return []
        return self._uplink.lacks(self._info.stream, self._batches)

    def _content(self) -> bytes:
        try:
            return content_digest(self._source.paths)
        except OSError as error:
            raise FilesError(
                f"{error.filename}: cannot read: {error.strerror}; nothing was taken of this call's files"
            ) from None

    def _meter(self) -> None:
        info, spool = self._info, self._spool
        self._until_disk(lambda: spool.put_stream(info))
        run = self._run = self._source.run()
        said = batches = sessions = events = 0
        for batch in batches_of(info.stream, run, run.observed):
            if self._until_disk(partial(spool.put, info.stream, batch.seq, encode(batch))):
                self._uplink.spooled(info.stream, batch.seq)
            batches += 1
            sessions += len(batch.rows) // RECORD.itemsize
            events += len(batch.events) // EVENT.itemsize
            for line in run.damage[said:]:
                self._log(line)
            said = len(run.damage)
            if self._stop.is_set():
                raise Stopped
        self._batches, self._sessions, self._events = batches, sessions, events
        self._damaged = bool(run.damage)
        self._until_disk(lambda: spool.complete(info.stream, batches))
        for line in run.notes:
            self._log(line)
        self._metered, self._run = run.reported, None

    def _until_disk(self, write: Callable[[], T]) -> T:
        """Write to the spool; with a full disk, say so and wait until it takes more: nothing is thrown away for it."""
        said = False
        while True:
            try:
                return write()
            except SpoolFull as error:
                if not said:
                    self._log(f"{error}; waiting until it takes more")
                    said = True
                if self._stop.wait(DISK_RETRY_SECONDS):
                    raise Stopped from None


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
