"""The meter as the rest of the agent uses it: packets in, arrays of session records out.

Owns the tables and drives the kernels. Not for several threads at once; the kernels release the GIL.
Has no clock: time is that of packets, and what `advance` is told.
"""

import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.capture import walk
from afterfact_agent.capture.packets import Packets, read_only
from afterfact_agent.capture.pcapfile import CaptureFile
from afterfact_agent.jit import call
from afterfact_protocol.session import RECORD

from . import engine, table
from .config import VERIFY, MeterConfig
from .layout import (
    COLUMNS,
    COUNTERS,
    COUNTS,
    M_CLOCK,
    M_FREE,
    M_OPEN,
    M_OUT,
    M_STARTED,
    M_WAITING_FIRST,
    M_WAITING_LAST,
    NOBODY,
    S_CHECKSUMS,
    S_DUPLICATES,
    S_FIRST_REPORT,
    S_FRAGMENT_WAIT,
    S_ICMP_IDLE,
    S_OTHER_IDLE,
    S_REORDER,
    S_REPORT_EVERY,
    S_SEED,
    S_SHORTEST,
    S_TCP_ATTEMPT,
    S_TCP_IDLE,
    S_TCP_LINGER,
    S_UDP_IDLE,
    WHEEL,
    WHEEL_TICKS,
    WORK_SIZE,
    Words,
)
from .rows import OUTPUT

Records = NDArray[np.void]
OUTPUT_ROWS = 8192
SMALLEST_INDEX = 1 << 13
"""Entries of the hash index at first. It grows when half full: a lookup in a large one waits for memory."""
BLOCK = 32
"""Packets of a file metered at a time."""
_MICROSECONDS = 1_000_000
_UNDECODED = [COUNTS + number for number, doc in enumerate(COUNTERS.values()) if doc.startswith("not decoded")]
_REPORTED = {name: f"undecoded.{name}" for name, doc in COUNTERS.items() if doc.startswith("not decoded")}


def _work(config: MeterConfig) -> Words:
    """The array of everything but sessions, at the beginning."""
    work = np.zeros(WORK_SIZE, np.int64)
    work[[M_FREE, M_WAITING_FIRST, M_WAITING_LAST]] = NOBODY
    work[WHEEL : WHEEL + WHEEL_TICKS] = NOBODY
    idle = {
        S_TCP_IDLE: config.tcp_idle,
        S_TCP_ATTEMPT: config.tcp_attempt,
        S_TCP_LINGER: config.tcp_linger,
        S_UDP_IDLE: config.udp_idle,
        S_ICMP_IDLE: config.icmp_idle,
        S_OTHER_IDLE: config.other_idle,
    }
    times = {
        S_SHORTEST: min(idle.values()),
        S_FIRST_REPORT: config.first_report,
        S_REPORT_EVERY: config.report_every,
        S_FRAGMENT_WAIT: config.fragment_wait,
        S_REORDER: config.reorder,
        S_DUPLICATES: config.duplicates,
    }
    for at, seconds in (idle | times).items():
        work[at] = round(seconds * _MICROSECONDS)
    work[S_CHECKSUMS] = config.checksums == VERIFY
    work[S_SEED] = secrets.randbits(63)
    return work


class Meter:
    """Cuts packets into sessions.

    `feed`, `advance` and `finish` are iterators of arrays of dtype RECORD, each of at least one row and at most
    OUTPUT_ROWS, which belong to the caller. They must be run to their end: what is not iterated is not metered.
    """

    def __init__(self, config: MeterConfig | None = None) -> None:
        self.config = config or MeterConfig()
        # Pages of the table that are never used stay with the operating system.
        self._flows = np.zeros((self.config.max_sessions, COLUMNS), np.int64)
        self._slots = np.zeros(SMALLEST_INDEX, np.int64)
        self._work = _work(self.config)
        self._out = np.zeros(OUTPUT_ROWS, OUTPUT)
        zeros = [np.zeros(BLOCK, np.int64) for _ in range(5)]
        self._columns = (zeros[0], zeros[1], zeros[2], zeros[3], zeros[4])

    def feed(self, packets: Packets) -> Iterator[Records]:
        """Meter a chunk; the records that leave, interim (end_reason OPEN) and last ones, in order of time."""
        done = 0
        buffer = read_only(packets.buffer)
        while done < len(packets):
            done = call(
                engine.meter_packets,
                self._flows,
                self._slots,
                self._work,
                buffer,
                packets.offsets,
                packets.caplens,
                packets.wirelens,
                packets.times_us,
                packets.linktypes,
                done,
                len(packets),
                self._out,
            )
            yield from self._take()

    def feed_file(self, capture: CaptureFile) -> Iterator[Records]:
        """Meter an open capture file to its end, as `feed` does chunks. Raises CaptureError where it is damaged."""
        while capture.more():
            complete = False
            while not complete:
                complete = call(
                    engine.meter_file,
                    self._flows,
                    self._slots,
                    self._work,
                    capture.data,
                    capture.file,
                    capture.interfaces,
                    *self._columns,
                    self._out,
                )
                if self._work[M_OUT] > OUTPUT_ROWS // 2 or not complete:
                    yield from self._take()
        yield from self._take()

    def advance(self, now_us: int) -> Iterator[Records]:
        """Let time pass on a quiet link, up to `now_us` (microseconds since 1970 by the packets' clock).

        Does nothing before the first packet. Time that packets have passed already is no matter.
        """
        complete = False
        while not complete:
            complete = call(engine.advance, self._flows, self._slots, self._work, now_us, self._out)
            yield from self._take()

    def finish(self) -> Iterator[Records]:
        """End every open session (end_reason FORCED, or CLOSED if its end was seen). The meter can go on after it."""
        row = 0
        while row != NOBODY:
            row = call(engine.finish, self._flows, self._slots, self._work, row, self._out)
            yield from self._take()

    @property
    def counters(self) -> dict[str, int]:
        """What was counted so far, by the names and meanings of COUNTERS, and `open`: sessions in the table."""
        counts = dict(zip(COUNTERS, self._work[COUNTS : COUNTS + len(COUNTERS)].tolist(), strict=True))
        counts["open"] = int(self._work[M_OPEN])
        return counts

    @property
    def reported(self) -> dict[str, int]:
        """The counters by their names in a REPORT: those of packets that could not be decoded begin `undecoded.`."""
        return {_REPORTED.get(name, name): count for name, count in self.counters.items()}

    @property
    def undecoded(self) -> int:
        """How many packets could not be decoded so far."""
        return int(self._work[_UNDECODED].sum())

    @property
    def clock_us(self) -> int | None:
        """Meter time: the latest packet time, moved on by `advance`; None before the first packet."""
        return int(self._work[M_CLOCK]) if self._work[M_STARTED] else None

    def _take(self) -> Iterator[Records]:
        """The records that are out, if any; and a larger index if it is half full."""
        count = int(self._work[M_OUT])
        if 2 * self._work[M_OPEN] >= len(self._slots):
            self._slots = np.zeros(2 * len(self._slots), np.int64)
            call(table.index_rows, self._flows, self._slots, self._work)
        if count:
            self._work[M_OUT] = 0
            yield self._out[:count].copy().view(RECORD)


def warm() -> None:
    """Compile the kernels, or load them from the cache: so that no packet waits for it."""
    meter = Meter(MeterConfig(max_sessions=64))
    call(table.index_rows, meter._flows, meter._slots, meter._work)
    one = np.ones(1, np.int64)
    data = read_only(np.zeros(64, np.uint8))
    file, interfaces = walk.new_file(), np.zeros((1, walk.I_COLUMNS), np.int64)
    call(walk.walk, data[:0], file, interfaces, *meter._columns)
    call(
        engine.meter_file,
        meter._flows,
        meter._slots,
        meter._work,
        data,
        file,
        interfaces,
        *meter._columns,
        meter._out,
    )
    for _ in meter.feed(Packets(data, one, one, one, one, one)):
        pass
    for _ in meter.advance(1):
        pass
    for _ in meter.finish():
        pass
