"""Records that come as time goes on, of a live capture or of files that grow, as a stream of batches, and what was
watched.

A run of the agent is a stream of its own, with a random number: nothing must be remembered from one run to the next for
no batch's number to be given twice.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from afterfact_agent.delivery.filestream import BATCH_ROWS
from afterfact_agent.delivery.spool import Spool, SpoolFull, StreamInfo
from afterfact_protocol.codec import encode
from afterfact_protocol.messages import Batch, Observed, StreamKind
from afterfact_protocol.records import RECORD_COLUMNS, Records
from afterfact_protocol.session import RECORD, SCHEMA_VERSION

BATCH_SECONDS = 2.0
"""A session waits no longer than this for others to share its batch."""
RETRY_SECONDS = 2.0
MAX_WAITING = 500_000
"""Records kept in memory while the spool's disk is full: 130 MB. After that the capture must wait too."""


class LiveStream:
    """Give it records and observed intervals, call `put` often; it fills the spool. For one thread."""

    def __init__(
        self,
        spool: Spool,
        meter: str,
        spooled: Callable[[bytes, int], None],
        log: Callable[[str], None],
        kind: StreamKind = "live",
    ) -> None:
        for info in spool.streams():
            if not info.content and info.batches is None:  # of a run that ended, or was killed
                spool.complete(info.stream, 0)
        self.stream = secrets.token_bytes(16)
        self._spool = spool
        self._spooled = spooled
        self._log = log
        self._info = StreamInfo(self.stream, kind, b"", meter)
        self._seq = 0
        self._records: deque[Records] = deque()
        self._waiting = 0
        self._since = 0.0
        self._observed: list[Observed] = []
        self._full_since: float | None = None
        spool.put_stream(self._info)

    @property
    def is_full(self) -> bool:
        """Whether no more records should be added for now."""
        return self._waiting >= MAX_WAITING

    @property
    def is_empty(self) -> bool:
        """Whether all that was given is in the spool."""
        return not self._waiting and not self._observed

    def add(self, records: Records) -> None:
        """Records to be delivered, interim ones too."""
        if not len(records):
            return
        if not self._waiting:
            self._since = time.monotonic()
        self._records.append(records)
        self._waiting += len(records)

    def observe(self, interval: Observed) -> None:
        """It leaves with the next batch, which is due then."""
        self._observed.append(interval)

    def put(self, everything: bool = False) -> None:
        """Spool what is due: full batches, what has waited long enough, observed intervals; or all there is.

        A full disk is told once and tried again at a later call. SpoolError for any other trouble of the disk.
        """
        now = time.monotonic()
        if self._full_since is not None and now - self._full_since < RETRY_SECONDS and not everything:
            return
        late = self._waiting and now - self._since >= BATCH_SECONDS
        while self._waiting >= BATCH_ROWS or ((everything or late) and self._waiting) or self._observed:
            rows = self._take()
            batch = Batch(
                self.stream, self._seq, time.time_ns() // 1000, SCHEMA_VERSION, RECORD_COLUMNS, rows.tobytes(),
                tuple(self._observed),
            )  # fmt: skip
            try:
                self._spool.put(self.stream, self._seq, encode(batch))
            except SpoolFull as error:
                self._records.appendleft(rows)
                self._waiting += len(rows)
                if self._full_since is None:
                    self._log(f"{error}; sessions are kept in memory until it takes more")
                self._full_since = now
                return
            if self._full_since is not None:
                self._log("the spool takes batches again")
                self._full_since = None
            self._observed.clear()
            self._spooled(self.stream, self._seq)
            self._seq += 1
            self._since = now

    def end(self) -> None:
        """No more will come. SpoolFull if the disk does not take what is left."""
        self.put(everything=True)
        if self._waiting:
            raise SpoolFull(f"{self._spool.path}: the disk is full: {self._waiting} sessions are lost")
        self._spool.put_stream(replace(self._info, batches=self._seq))

    def _take(self) -> Records:
        """The next batch's rows."""
        taken = []
        room = BATCH_ROWS
        while self._records and room:
            first = self._records.popleft()
            taken.append(first[:room])
            if len(first) > room:
                self._records.appendleft(first[room:])
            room -= len(taken[-1])
        self._waiting -= BATCH_ROWS - room
        return np.concatenate(taken) if taken else np.zeros(0, RECORD)
