"""A month of made sessions, a day at a time, with what the benchmark of queries asks for planted in it.

Each day is sessions.py's: hosts and outside addresses by Zipf's law over the whole month, a service mix with scans,
long tails of size and duration, working hours. A weekend day has a third of a working day's sessions. Planted beside
these: a worm from its day on, an address that is rare, uploads of over 1 GB. The same count gives the same month.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from made.sessions import DAY_US, make_sessions

from afterfact_protocol.records import Records
from afterfact_protocol.session import IPV4_PREFIX, Proto

FIRST_US = 1_089_072_000_000_000
"""2004-07-06 00:00:00 UTC, a Tuesday."""
DAYS = 30
SENSORS = 2
WORM_DAY = 20
"""26 July."""
WORM_SHARE = 3e-5
"""Of a day's sessions, from the worm's day on."""
RARE_ADDRESS = "203.0.113.7"
RARE_SESSIONS = 12
UPLOADS_A_DAY = 2
GIGABYTE = 1_000_000_000
_WEEKEND = (5, 6)
_MONDAY_US = 1_088_985_600_000_000


@dataclass(frozen=True, slots=True)
class Day:
    """The sessions of a day, as a meter reports them, and which of the sensors saw each."""

    number: int
    first: int
    """Microseconds UTC."""
    rows: Records
    sensors: "np.ndarray[tuple[int], np.dtype[np.uint16]]"


def days(count: int) -> Iterator[Day]:
    """A month of `count` sessions."""
    for number, sessions in enumerate(_counts(count)):
        first = FIRST_US + number * DAY_US
        share = WORM_SHARE if number >= WORM_DAY else 0.0
        rows = make_sessions(sessions, number + 1, first, 1, share)
        random = np.random.default_rng(1000 + number)
        _plant(rows, number, random)
        yield Day(number, first, rows, random.integers(1, SENSORS + 1, sessions).astype(np.uint16))


def _counts(count: int) -> list[int]:
    weights = np.array(
        [1 / 3 if (FIRST_US - _MONDAY_US) // DAY_US % 7 + n in _WEEKEND else 1.0 for n in range(7)], np.float64
    )
    each = np.array([weights[number % 7] for number in range(DAYS)])
    cuts = np.round(np.cumsum(each) / each.sum() * count).astype(np.int64)
    return np.diff(cuts, prepend=0).tolist()


def _plant(rows: Records, number: int, random: np.random.Generator) -> None:
    web = np.flatnonzero((rows["proto"] == Proto.TCP) & (rows["dst_port"] == 443))
    uploads = random.choice(web, UPLOADS_A_DAY, replace=False)
    more = random.integers(GIGABYTE + 1, 20 * GIGABYTE, UPLOADS_A_DAY)
    rows["src_bytes"][uploads] = more
    rows["src_ip_bytes"][uploads] = more + more // 1400 * 52
    rows["src_pkts"][uploads] = more // 1400 + 4
    rows["revision"][uploads] = 2 * (rows["src_pkts"][uploads] + rows["dst_pkts"][uploads]) + 1
    if number % 5 == 2:  # on six days
        rare = random.choice(web, RARE_SESSIONS // 6, replace=False)
        rows["dst_ip"][rare] = np.void(IPV4_PREFIX + bytes(map(int, RARE_ADDRESS.split("."))))
