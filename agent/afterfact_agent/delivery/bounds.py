"""What happens when more waits for the server than the spool may hold, or longer: the oldest live sessions give way.

In the place of a batch that is dropped goes one without sessions, under the same number, whose interval says how many
packets of how many sessions were lost: so the server learns of the loss in the way of everything else, exactly once.
Captures that were read from files never give way, for they can be read again (see Spool.put).
"""

import time
from collections.abc import Callable
from dataclasses import replace

from afterfact_agent.delivery.spool import Spool, SpoolError
from afterfact_protocol.codec import WireError, decode, encode
from afterfact_protocol.messages import Batch, Observed
from afterfact_protocol.records import from_bytes

WAITING_SECONDS = 30 * 86_400.0
"""How long a live session may wait for the server: by the monotonic clock, and from the agent's start on for what it
found in the spool. A clock that is set forward must not make a backlog old."""
ROOM = 0.02
"""Of what may wait, this share is made free at once, so that not every batch is a bunch of its own."""
CHECK_SECONDS = 5.0


class Bounds:
    """`enforce` it often, on the thread that sends. `counters` are for the agent's reports."""

    def __init__(self, spool: Spool, log: Callable[[str], None], waiting_seconds: float = WAITING_SECONDS) -> None:
        self._spool = spool
        self._log = log
        self._waiting_seconds = waiting_seconds
        self._checked = 0.0
        self._started = time.monotonic()
        self.counters = {"spool_dropped_batches": 0, "spool_dropped_sessions": 0}

    def enforce(self, is_sent: Callable[[tuple[bytes, int]], bool]) -> None:
        """Drop what must go. is_sent: whether a batch is under way; such a one may have arrived, and stays."""
        now = time.monotonic()
        if now - self._checked < CHECK_SECONDS:
            return
        self._checked = now
        allowed, latest = self._spool.waiting_bytes_allowed, now - self._waiting_seconds
        waiting = self._spool.backlog()
        excess = waiting.bytes - int(allowed * (1 - ROOM)) if waiting.bytes > allowed else 0
        if excess <= 0 and self._started >= latest:
            return
        batches = sessions = 0
        for stream, seq, size, since in self._spool.oldest_live():
            if excess <= 0 and since >= latest:
                break
            if is_sent((stream, seq)):
                continue
            why = f"more than {allowed / 1e9:.3g} GB waited for the server" if excess > 0 else (
                f"the server was away for more than {self._waiting_seconds / 86_400:.3g} days")  # fmt: skip
            dropped, left = self._drop(stream, seq, why)
            excess -= size - left
            batches += bool(dropped)
            sessions += dropped
        if batches:
            self.counters["spool_dropped_batches"] += batches
            self.counters["spool_dropped_sessions"] += sessions
            self._log(f"LOST: {sessions} sessions in {batches} batches are dropped: {why}; the oldest went")

    def _drop(self, stream: bytes, seq: int, why: str) -> tuple[int, int]:
        """How many sessions of the batch are dropped (0 if it has none any more), and how many bytes are left."""
        try:
            batch = decode(self._spool.read(stream, seq), (Batch,))
            assert isinstance(batch, Batch)
            rows = from_bytes(batch.columns, batch.rows)
        except (OSError, WireError) as error:
            self._log(f"batch {seq} of stream {stream.hex()} in the spool is damaged: {error}; it is kept as .refused")
            self._spool.refused(stream, seq)
            return 0, 0
        if not len(rows):
            return 0, len(batch.rows)
        packets = int(rows["src_pkts"].sum() + rows["dst_pkts"].sum())
        note = f"{len(rows)} sessions dropped by the sensor: {why}"
        if batch.observed:  # told of what was watched in any case: a stretch of its own could cover a gap
            first = batch.observed[0]
            lost = replace(first, lost=first.lost + packets, note=f"{first.note}; {note}".removeprefix("; ")[:1000])
            observed = (lost, *batch.observed[1:])
        else:
            moment = batch.spooled
            observed = (Observed(moment, moment, "live", "spool", packets, packets, note),)
        frame = encode(replace(batch, rows=b"", observed=observed))
        try:
            return (len(rows), len(frame)) if self._spool.substitute(stream, seq, frame) else (0, 0)
        except SpoolError as error:
            self._log(str(error))
            return 0, 0
