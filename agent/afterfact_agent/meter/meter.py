"""The meter as the rest of the agent uses it: packets in, arrays of session records out.

Owns the tables and drives the kernels. Not for several threads at once; the kernels release the GIL.
Has no clock: time is that of packets, and what `advance` is told.
"""

import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.capture.packets import LinkType, Packets
from afterfact_protocol.session import RECORD

from . import engine
from .config import SERVER_PORTS, MeterConfig
from .layout import (
    COLUMNS,
    COUNTERS,
    FR_COLUMNS,
    KEY_COLUMNS,
    LINK_COLUMNS,
    M_CLOCK,
    M_COLUMNS,
    M_FREE,
    M_OPEN,
    M_OUT,
    M_STARTED,
    M_WAITING_FIRST,
    M_WAITING_LAST,
    NOBODY,
    P_COLUMNS,
    S_COLUMNS,
    S_FIRST_REPORT,
    S_FRAGMENT_WAIT,
    S_ICMP_IDLE,
    S_OTHER_IDLE,
    S_REORDER,
    S_REPORT_EVERY,
    S_SEED,
    S_TCP_ATTEMPT,
    S_TCP_IDLE,
    S_TCP_LINGER,
    S_UDP_IDLE,
    Tables,
)
from .rows import OUTPUT

OUTPUT_ROWS = 8192
WHEEL_TICKS = 1 << 14
"""Just over an hour; what is due later is looked at then and put further on."""
FRAGMENT_ENTRIES = 4096
RECENT_IDS = 1 << 13
_MICROSECONDS = 1_000_000
_UNDECODED = [number for number, doc in enumerate(COUNTERS.values()) if doc.startswith("not decoded")]


def _settings(config: MeterConfig) -> NDArray[np.int64]:
    settings = np.zeros(S_COLUMNS, np.int64)
    for column, seconds in (
        (S_TCP_IDLE, config.tcp_idle),
        (S_TCP_ATTEMPT, config.tcp_attempt),
        (S_TCP_LINGER, config.tcp_linger),
        (S_UDP_IDLE, config.udp_idle),
        (S_ICMP_IDLE, config.icmp_idle),
        (S_OTHER_IDLE, config.other_idle),
        (S_FIRST_REPORT, config.first_report),
        (S_REPORT_EVERY, config.report_every),
        (S_FRAGMENT_WAIT, config.fragment_wait),
        (S_REORDER, config.reorder),
    ):
        settings[column] = round(seconds * _MICROSECONDS)
    settings[S_SEED] = secrets.randbits(63)
    return settings


def _tables(config: MeterConfig) -> Tables:
    rows = config.max_sessions
    slots = 1 << (2 * rows - 1).bit_length()
    servers = np.zeros(1 << 16, np.uint8)
    servers[list(SERVER_PORTS)] = 1
    meta = np.zeros(M_COLUMNS, np.int64)
    meta[[M_FREE, M_WAITING_FIRST, M_WAITING_LAST]] = NOBODY
    return Tables(
        # Pages that are never used stay with the operating system.
        flows=np.zeros((rows, COLUMNS), np.int64),
        links=np.zeros((rows, LINK_COLUMNS), np.int32),
        slots=np.zeros(slots, np.int64),
        wheel=np.full(WHEEL_TICKS, NOBODY, np.int32),
        fragments=np.zeros((FRAGMENT_ENTRIES, FR_COLUMNS), np.int64),
        recent=np.zeros((RECENT_IDS, 2), np.int64),
        meta=meta,
        counters=np.zeros(len(COUNTERS), np.int64),
        settings=_settings(config),
        servers=servers,
        packet=np.zeros(P_COLUMNS, np.int64),
        quoted=np.zeros(P_COLUMNS, np.int64),
        late=np.zeros(P_COLUMNS, np.int64),
        key=np.zeros(KEY_COLUMNS, np.int64),
    )


class Meter:
    """Cuts packets into sessions.

    `feed`, `advance` and `finish` are iterators of arrays of dtype RECORD, each of at least one row and at most
    OUTPUT_ROWS, which belong to the caller. They must be run to their end: what is not iterated is not metered.
    """

    def __init__(self, config: MeterConfig | None = None) -> None:
        self.config = config or MeterConfig()
        self._tables = _tables(self.config)
        self._out = np.zeros(OUTPUT_ROWS, OUTPUT)

    def feed(self, packets: Packets) -> Iterator[NDArray[np.void]]:
        """Meter a chunk; the records that leave, interim (end_reason OPEN) and last ones, in order of time."""
        done = 0
        while done < len(packets):
            with np.errstate(over="ignore"):  # hashes wrap; matters only where kernels run as plain Python
                done = engine.meter_packets(
                    self._tables,
                    packets.buffer,
                    packets.offsets,
                    packets.caplens,
                    packets.wirelens,
                    packets.times_us,
                    packets.linktypes,
                    done,
                    self._out,
                )
            if done < len(packets):
                yield self._take()
        if self._tables.meta[M_OUT]:
            yield self._take()

    def advance(self, now_us: int) -> Iterator[NDArray[np.void]]:
        """Let time pass on a quiet link, up to `now_us` (microseconds since 1970 by the packets' clock).

        Does nothing before the first packet. Time that packets have passed already is no matter.
        """
        complete = False
        while not complete:
            with np.errstate(over="ignore"):
                complete = engine.advance(self._tables, now_us, self._out)
            if self._tables.meta[M_OUT]:
                yield self._take()

    def finish(self) -> Iterator[NDArray[np.void]]:
        """End every open session (end_reason FORCED, or CLOSED if its end was seen). The meter can go on after it."""
        row = 0
        while row != NOBODY:
            with np.errstate(over="ignore"):
                row = engine.finish(self._tables, row, self._out)
            if self._tables.meta[M_OUT]:
                yield self._take()

    @property
    def counters(self) -> dict[str, int]:
        """What was counted so far, by the names and meanings of COUNTERS, and `open`: sessions in the table."""
        counts = dict(zip(COUNTERS, self._tables.counters.tolist(), strict=True))
        counts["open"] = int(self._tables.meta[M_OPEN])
        return counts

    @property
    def undecoded(self) -> int:
        """How many packets could not be decoded so far."""
        return int(self._tables.counters[_UNDECODED].sum())

    @property
    def clock_us(self) -> int | None:
        """Meter time: the latest packet time, moved on by `advance`; None before the first packet."""
        return int(self._tables.meta[M_CLOCK]) if self._tables.meta[M_STARTED] else None

    def _take(self) -> NDArray[np.void]:
        count = int(self._tables.meta[M_OUT])
        self._tables.meta[M_OUT] = 0
        return self._out[:count].copy().view(RECORD)


def warm() -> None:
    """Compile the kernels, or load them from the cache: so that no packet waits for it."""
    meter = Meter(MeterConfig(max_sessions=64))
    nothing = np.zeros(0, np.int64)
    one = np.zeros(1, np.int64)
    for column in (nothing, one):
        packets = Packets(np.zeros(1, np.uint8), column, column, column, column, column + LinkType.ETHERNET)
        for _ in meter.feed(packets):
            pass
    for _ in meter.advance(1):
        pass
    for _ in meter.finish():
        pass
