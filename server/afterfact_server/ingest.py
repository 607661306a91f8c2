"""Takes batches into the store: checks, stamps, writes, and only then acknowledges. Owns the one thread that writes.

A batch that the store cannot take now (a full disk) is tried again until it can; its agent waits, since it gets no new
credit. A batch that can never be taken is refused with the reason and stays with its agent.

The ledger's entries follow the acknowledgements, many at once: every insert has a price of its own, and one more beside
each group took a quarter of the time. What a crash keeps from the ledger is sent again, and its rows are the same rows.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError
from afterfact_protocol.event import Events
from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    MAX_CREDIT,
    MAX_RANGES,
    Ack,
    Batch,
    BatchRefused,
    Message,
    Observed,
    Open,
    Opened,
    StreamRefused,
)
from afterfact_protocol.records import Records, check, from_bytes
from afterfact_protocol.session import EARLIEST_US, RECORD, ROW, SCHEMA_VERSION
from afterfact_server.eventbatch import events_of
from afterfact_server.router import Peer
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.eventnumbers import EventNumbers
from afterfact_server.store.events import insert_events, insert_events_quarantined
from afterfact_server.store.ledger import Ledger, Stream
from afterfact_server.store.write import (
    BatchEntry,
    by_day,
    delete_stream,
    insert_batches,
    insert_day,
    insert_observed,
    insert_quarantined,
    insert_stream,
    joined,
    picked,
)

GROUP_BATCHES = 256
"""Batches written by one insert a day, if as many wait: few large inserts beat many small ones."""
LINGER_SECONDS = 0.02
"""Waited at most, until the agents of the last group have sent what their credit allows, before a group is written.
Without it a lone agent's four batches in flight fall into groups of one and three, each as dear as one of four."""
MAX_DAYS = 32
"""Days written at a time. Each is an insert of some 15 ms, whatever it holds, during which everybody else waits; so
what lies on more days than this is written piece by piece between the batches of others."""
LEDGER_SECONDS = 0.5
"""How long a durable batch may lack its entry in the stored ledger."""
RETRY_SECONDS = 2.0
HOUR = 3_600_000_000
DAY = 24 * HOUR
YEAR_2299 = 10_382_256_000_000_000
"""The store's times end with this year. A live agent's own clock says what is late for its sessions, but a clock
beyond this is not believed."""


def now_us() -> int:
    """Microseconds since 1970 UTC on the server's clock."""
    return time.time_ns() // 1000


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """A message of a sensor that concerns the store."""

    peer: Peer
    sensor: int
    message: Open | Batch

    @property
    def who(self) -> str:
        """For the log."""
        return f"sensor {self.sensor}{self.peer.place}"


@dataclass(slots=True)
class _Prepared:
    job: Job
    batch: Batch
    rows: Records
    quarantined: Records
    events: Events
    """Of EVENT_ROW."""
    events_quarantined: Records
    observed: list[tuple[int, Observed]]
    """Intervals that can be, each with its place in the batch."""
    days: frozenset[int]
    """Day numbers of its rows and events."""


@dataclass(slots=True)
class _Group:
    """Batches that are written together, and acknowledged together once all of their days are durable."""

    items: list[_Prepared]
    days: deque[Records]
    """Rows still to be written, one insert each."""
    events: deque[Records]
    """The same of events."""
    written: bool = False

    @classmethod
    def of(cls, items: list[_Prepared]) -> "_Group":
        return cls(items, *cls._days(items))

    @staticmethod
    def _days(items: list[_Prepared]) -> tuple[deque[Records], deque[Records]]:
        if not items:
            return deque(), deque()
        sessions = deque(by_day(joined([item.rows for item in items])))
        return sessions, deque(by_day(joined([item.events for item in items]), "time"))

    def leave(self, stream: bytes) -> list[_Prepared]:
        """Take a stream's batches out. The others begin again: they are the same rows."""
        gone = [item for item in self.items if item.batch.stream == stream]
        if gone:
            self.items = [item for item in self.items if item.batch.stream != stream]
            self.days, self.events = self._days(self.items)
        return gone


def _spans() -> list[tuple[int, int, int]]:
    """Stretches of a RECORD that stand in a ROW as they are: where, where there, how many bytes. Copied whole, at a
    fifth of the price of a copy for each field."""
    assert RECORD.fields is not None and RECORD.names is not None and ROW.fields is not None
    spans: list[tuple[int, int, int]] = []
    for name in RECORD.names:
        (dtype, theirs), (_, ours) = RECORD.fields[name][:2], ROW.fields[name][:2]
        if spans and spans[-1][0] + spans[-1][2] == theirs and spans[-1][1] + spans[-1][2] == ours:
            spans[-1] = (*spans[-1][:2], spans[-1][2] + dtype.itemsize)
        else:
            spans.append((theirs, ours, dtype.itemsize))
    return spans


_SPANS = _spans()


def stamp(records: Records, sensor: int, batch: Batch, now: int) -> Records:
    """RECORD to ROW: the server's own columns beside the meter's. What the sensor says of itself is not looked at."""
    rows = np.empty(len(records), ROW)
    given, made = (each.view(np.uint8).reshape(len(records), each.itemsize) for each in (records, rows))
    for theirs, ours, size in _SPANS:
        made[:, ours : ours + size] = given[:, theirs : theirs + size]
    rows["sensor"] = sensor
    rows["ingest_time"] = now
    rows["stream"] = np.void(batch.stream)
    rows["seq"] = batch.seq
    return rows


def _latest(kind: str, batch: Batch, now: int) -> int:
    return batch.spooled + HOUR if kind == "live" else now + DAY


def impossible(records: Records, kind: str, batch: Batch, now: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Mask of sessions whose time cannot be: before 1990, later than a day from now, or, live, later than an hour
    after the agent wrote the batch (its own clock)."""
    latest = _latest(kind, batch, now)
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = (records["start_time"] < EARLIEST_US) | (
        records["end_time"] > latest
    )
    return mask


def watchable(observed: Observed, now: int) -> bool:
    """Whether a sensor can have watched from there to there. One packet with a broken time would otherwise hide every
    gap of decades."""
    return EARLIEST_US <= observed.start <= observed.end <= now + DAY


def _readable(batch: Batch) -> Records:
    """The batch's records. WireError if the server cannot take it in, whenever it comes."""
    if batch.schema > SCHEMA_VERSION:
        raise WireError(f"record schema {batch.schema} is newer than the server's {SCHEMA_VERSION}; update the server")
    if not 0 <= batch.spooled < YEAR_2299:
        raise WireError(
            f"the agent's clock said {batch.spooled} us since 1970 when it wrote the batch, which is no time from 1970 "
            "to 2298: set its clock"
        )
    if len(batch.rows) + len(batch.events) > MAX_BATCH_BYTES:
        raise WireError(f"{len(batch.rows)} bytes of sessions and {len(batch.events)} of events exceed "
                        f"{MAX_BATCH_BYTES} bytes together")  # fmt: skip
    records = from_bytes(batch.columns, batch.rows)
    check(records)
    return records


def told(have: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The ranges that an OPENED names: the longest MAX_RANGES. What it leaves out is sent again and acknowledged."""
    if len(have) <= MAX_RANGES:
        return have
    return tuple(sorted(sorted(have, key=lambda pair: pair[0] - pair[1])[:MAX_RANGES]))


def _opens(jobs: Sequence[Job]) -> bool:
    """Whether the first of them is an OPEN, which is a group of its own."""
    return bool(jobs) and isinstance(jobs[0].message, Open)


class Ingest:
    """Start it after the store's tables exist; `submit` from any thread. `answer(job, message)` gets one answer for
    every job, unless it is dropped at the end."""

    def __init__(
        self, engine: StoreEngine, ledger: Ledger, answer: Callable[[Job, Message], None], log: Callable[[str], None],
        arrived: Callable[[list[Records], list[Events]], None] = lambda rows, events: None,
    ) -> None:  # fmt: skip
        """arrived: told of ROWs and EVENT_ROWs once they are durable; of some again, and of some whose day was dropped.
        It must not wait."""
        self._numbers = EventNumbers()
        self._engine = engine
        self._ledger = ledger
        self._between: deque[tuple[Callable[[Client], None], Callable[[], object]]] = deque()
        """Work on the store during which nothing is taken in."""
        self._answer = answer
        self._arrived = arrived
        self._log = log
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self.share = MAX_CREDIT
        """Batches that each connection may have in flight."""
        self._senders: set[bytes] = set()
        """Identities of the last group's peers: who is likely to send more."""
        self._spread: deque[_Group] = deque()
        """Batches on many days, partly written."""
        self._being_written: dict[tuple[bytes, int], list[Job]] = {}
        """Batches taken in and not acknowledged yet, with jobs that brought them once more."""
        self._entries: list[BatchEntry] = []
        """Of batches that are acknowledged and not yet in the stored ledger."""
        self._entries_due = 0.0
        """Monotonic time by which they shall be."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest")

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        """The port sees to it that a sensor has only so many jobs here."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """Messages that are not taken in yet."""
        return len(self._jobs)

    def stop(self) -> None:
        """End after what is being written, and its ledger; what waits is dropped unacknowledged, and its agents send it
        again."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def between(self, work: Callable[[Client], T]) -> Future[T]:
        """Have `work` done on this thread while nothing is taken in, the ledger complete; from any thread. Everybody
        waits for it, so it must be short. Also done while the store takes nothing in, for want of space say."""
        done: Future[T] = Future()

        def run(client: Client) -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work(client))
                except BaseException as error:
                    done.set_exception(error)

        with self._changed:
            if self._stopping.is_set():
                done.cancel()
            else:
                self._between.append((run, done.cancel))
                self._changed.notify()
        return done

    def _run_between(self, client: Client) -> None:
        while self._between and not self._stopping.is_set():
            self._between.popleft()[0](client)

    def _run(self) -> None:
        try:
            self._serve()
        finally:  # a fault of ours, too: who waits for work in between must not wait for ever
            with self._changed:
                self._stopping.set()
                waiting, self._between = self._between, deque()
            for _, cancel in waiting:
                cancel()

    def _serve(self) -> None:
        client = self._engine.client()
        while not self._stopping.is_set():
            group = self._next_group()
            if self._between:
                self._write_ledger(client)
                self._run_between(client)
            if _opens(group):
                self._write_ledger(client)  # it may hold batches of a stream that is to be replaced
                self._until_done(partial(self._open, client, group[0]))
            elif group:
                self._take_in(client, group)
            if self._spread:
                self._write_on(client, self._spread.popleft())
            if time.monotonic() >= self._entries_due:
                self._write_ledger(client)
        self._write_ledger(client)

    def _next_group(self) -> list[Job]:
        """One OPEN, or the batches that wait; nothing if something else is to be written first, or at the end."""
        with self._changed:
            due = max(0.0, self._entries_due - time.monotonic()) if self._entries else None
            due = 0.0 if self._spread else due
            self._changed.wait_for(lambda: self._jobs or self._between or self._stopping.is_set(), due)
            self._changed.wait_for(
                lambda: not self._jobs or self._stopping.is_set() or self._all_here(), LINGER_SECONDS
            )
            if self._stopping.is_set() or not self._jobs:
                return []
            group = [self._jobs.popleft()]
            if not _opens(group):
                while self._jobs and len(group) < GROUP_BATCHES and isinstance(self._jobs[0].message, Batch):
                    group.append(self._jobs.popleft())
                self._senders = {job.peer.identity for job in group}
            return group

    def _all_here(self) -> bool:
        """Whether waiting brings no more batches to the next group."""
        if _opens(self._jobs) or len(self._jobs) >= GROUP_BATCHES:
            return True
        waiting = Counter(job.peer.identity for job in self._jobs)
        return all(waiting[sender] >= self.share for sender in self._senders | waiting.keys())

    def _until_done(self, work: Callable[[], None]) -> bool:
        """Try until the store does it; False if we are to stop first."""
        while True:
            try:
                work()
                return True
            except StoreFailure as error:
                self._log(
                    f"the store does not take sessions in: {str(error).splitlines()[0]}; trying again, agents wait"
                )
                if self._stopping.wait(RETRY_SECONDS):
                    return False
                self._run_between(self._engine.client())  # retention among it, which makes space

    def _open(self, client: Client, job: Job) -> None:
        message = job.message
        assert isinstance(message, Open)
        known = self._ledger.stream(message.stream)
        if known is None:
            stream = Stream(message.stream, job.sensor, message.kind, message.content, message.meter)
            older = self._ledger.same_content(job.sensor, message.content) if message.content else None
            if older is not None and not message.replace:
                self._refuse_stream(job, message, "content_known",
                    f"these files are in the store already, metered by {older.meter} (now {message.meter}); "
                    "add --replace to put the new sessions in place of the old")  # fmt: skip
                return
            if older is not None:
                self._log(f"{job.who}: stream {older.stream.hex()} is replaced by {message.stream.hex()}")
                self._give_up(older.stream)
                delete_stream(client, older.stream, self._engine.layout)
                self._ledger.watched.reload(client)
                changed = self._ledger.next_change(older.stream, now_us())
                insert_stream(client, older, changed, replaced=True)
                self._ledger.forget(older.stream, changed)
                self._ledger.count_quarantine(client)
            changed = self._ledger.next_change(stream.stream, now_us())
            insert_stream(client, stream, changed)
            self._ledger.opened(stream, changed)
        elif known.sensor != job.sensor:
            self._refuse_stream(job, message, "foreign_stream",
                "another sensor delivers this stream: was its spool copied? Give this one an empty one")  # fmt: skip
            return
        self._answer(job, Opened(message.stream, told(self._ledger.have(message.stream))))

    def _take_in(self, client: Client, group: list[Job]) -> None:
        together = self._prepare(group, now_us())
        spread: dict[int, list[_Prepared]] = {}
        days: frozenset[int] = frozenset()
        for item in sorted(together, key=lambda item: len(item.days)):
            if len(days | item.days) <= MAX_DAYS:
                days |= item.days
            else:  # apart by sensor: none waits for the days of another
                spread.setdefault(item.job.sensor, []).append(item)
        together = [item for item in together if item.days <= days]
        self._spread += map(_Group.of, spread.values())
        if together:
            self._write_on(client, _Group.of(together))

    def _write_on(self, client: Client, group: _Group) -> None:
        """Write MAX_DAYS of a group's days, and acknowledge it if these were the last."""
        if not self._until_done(partial(self._write, client, group)):
            return
        if not group.written:
            self._spread.append(group)
            return
        if not self._entries:
            self._entries_due = time.monotonic() + LEDGER_SECONDS
        self._arrived([item.rows for item in group.items], [])
        for item in group.items:
            batch, set_aside = item.batch, len(item.quarantined)
            expired = int(self._ledger.dropped.holds(item.rows).sum())
            stored = len(item.rows) - expired
            expired += int(self._ledger.dropped.holds(item.events, "time").sum())
            newest = int(item.rows["end_time"].max()) if len(item.rows) else 0
            entry = (batch.stream, batch.seq, item.job.sensor, stored, set_aside, newest, expired)
            self._entries.append(entry)
            self._ledger.add(batch.stream, batch.seq, item.job.sensor, stored, set_aside, expired)
            self._answer(item.job, Ack(batch.stream, batch.seq, stored, set_aside, 1, expired))
            # An agent that reconnected while its first sending was still in our queue.
            for job in self._being_written.pop((batch.stream, batch.seq)):
                self._answer(job, Ack(batch.stream, batch.seq, 0, 0, 1))

    def _give_up(self, stream: bytes) -> None:
        """What is partly written of a stream that is being replaced is written no further."""
        for group in self._spread:
            for item in group.leave(stream):
                for job in (item.job, *self._being_written.pop((stream, item.batch.seq))):
                    self._refuse(job, item.batch, "not_opened", "its stream was replaced by another")
        self._spread = deque(group for group in self._spread if group.items)

    def _prepare(self, group: list[Job], now: int) -> list[_Prepared]:
        """Checked and stamped batches to be written. Answers the others, but for those that are being written."""
        prepared: list[_Prepared] = []
        for job in group:
            batch = job.message
            assert isinstance(batch, Batch)
            stream = self._ledger.stream(batch.stream)
            if stream is None or stream.sensor != job.sensor:
                self._refuse(job, batch, "not_opened", "its stream was not opened by this sensor")
            elif self._ledger.has(batch.stream, batch.seq):
                self._answer(job, Ack(batch.stream, batch.seq, 0, 0, 1))
            elif (batch.stream, batch.seq) in self._being_written:
                self._being_written[batch.stream, batch.seq].append(job)
            else:
                try:
                    records = _readable(batch)
                    events, untimely = events_of(batch, job.sensor, _latest(stream.kind, batch, now), now)
                except WireError as error:
                    self._refuse(job, batch, "bad_batch", str(error))
                    continue
                bad = impossible(records, stream.kind, batch, now)
                rows = stamp(records, job.sensor, batch, now)
                self._being_written[batch.stream, batch.seq] = []
                observed = [(at, each) for at, each in enumerate(batch.observed) if watchable(each, now)]
                if left_out := len(batch.observed) - len(observed):
                    self._log(
                        f"{job.who}: batch {batch.seq} of stream {batch.stream.hex()}: {left_out} of "
                        f"{len(batch.observed)} observed intervals left out, for times that cannot be"
                    )
                if len(untimely):
                    self._log(
                        f"{job.who}: batch {batch.seq} of stream {batch.stream.hex()}: {len(untimely)} of "
                        f"{len(untimely) + len(events)} alerts set aside, for times that cannot be"
                    )
                good = picked(rows, ~bad)
                days = frozenset(np.unique(np.concatenate([good["start_time"], events["time"]]) // DAY).tolist())
                prepared.append(_Prepared(job, batch, good, picked(rows, bad), events, untimely, observed, days))
        return prepared

    def _write(self, client: Client, group: _Group) -> None:
        """Whatever of it was written already, by a try that failed later, is written again: it is the same rows."""
        left = MAX_DAYS
        for queue, time_of, insert in (
            (group.days, "start_time", insert_day), (group.events, "time", self._insert_events),
        ):  # fmt: skip
            while queue and left and not self._stopping.is_set():
                # Asked at the last moment: retention may have dropped it since the batch came.
                if int(queue[0][time_of][0]) // DAY not in self._ledger.dropped:
                    insert(client, queue[0])
                queue.popleft()
                left -= 1
        if not group.days and not group.events:
            insert_quarantined(client, joined([item.quarantined for item in group.items]))
            insert_events_quarantined(client, joined([item.events_quarantined for item in group.items]))
            intervals = [
                (item.job.sensor, item.batch.stream, item.batch.seq, place, piece)
                for item in group.items
                for place, observed in item.observed
                for piece in self._ledger.dropped.cut(observed)
            ]
            now = now_us()
            insert_observed(client, intervals, now)
            self._ledger.watched.add(intervals, now)
            group.written = True

    def _insert_events(self, client: Client, rows: Records) -> None:
        numbered = self._numbers.numbered(client, rows)
        insert_events(client, numbered)
        self._arrived([], [numbered])

    def _write_ledger(self, client: Client) -> None:
        if self._entries and self._until_done(partial(insert_batches, client, self._entries, now_us())):
            self._entries = []

    def _refuse_stream(self, job: Job, message: Open, code: str, reason: str) -> None:
        self._log(f"{job.who}: stream {message.stream.hex()} refused: {reason}")
        self._answer(job, StreamRefused(message.stream, code, reason))

    def _refuse(self, job: Job, batch: Batch, code: str, reason: str) -> None:
        self._log(f"{job.who}: batch {batch.seq} of stream {batch.stream.hex()} refused: {reason}")
        self._answer(job, BatchRefused(batch.stream, batch.seq, code, reason, 1))
