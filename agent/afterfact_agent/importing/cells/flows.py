"""A kernel that makes sessions of unidirectional flow records: rows of numbers, sorted by who talked and when.

A row is a record, or a session so far: both have the columns below, those that end with a digit once for each of the
two endpoints (the lower one in order is 0). What rows mean beyond that is netflow/'s.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import entry, i64, kernel

Numbers = NDArray[np.int64]

START, END, NUMBER, SIDE, IDLE, TCP, MARKS = 0, 1, 2, 3, 4, 5, 6
"""First and last packet; number of the record in the stream; which endpoint sent in the first record; silence that ends
such a session, and whether it is TCP; bits."""
PKTS, BYTES, FLAGS, FIRST, LAST, WAY, ICMP, OUT_PKTS, OUT_BYTES = 7, 9, 11, 13, 15, 17, 19, 21, 23
"""Of the packets that endpoint 0 sent, endpoint 1's in the next column: how many, of what bytes; OR-ed TCP flags; first
and last; metered where they came in (0) or went out (1); ICMP type * 256 + code; the `out` counters beside them. -1 is
not told; packets of -1 are those of an endpoint that no record is of."""
COLUMNS = 25

SAMPLED, STEPPED, NEWS = 1, 2, 4
"""Bits of MARKS: of sampled packets; its last packet was before its first; it has changed since it was given."""
_FIN, _SYN, _RST = 1, 2, 4


@kernel
def closed(row: Numbers) -> bool:
    """A reset, or FIN both ways."""
    reset, fins = False, 0
    for side in range(2):
        flags = row[FLAGS + side]
        if flags > 0:
            reset = reset or (flags & _RST) != 0
            fins += flags & _FIN
    return reset or fins == 2


@kernel
def asks(row: Numbers) -> bool:
    """A SYN is in it."""
    for side in range(2):  # noqa: SIM110 (numba knows no generators)
        if row[FLAGS + side] > 0 and (row[FLAGS + side] & _SYN) != 0:
            return True
    return False


@kernel
def belongs(session: Numbers, row: Numbers) -> bool:
    """Whether a row goes on with the session before it, which has its endpoints."""
    silent = row[START] - session[END]
    if silent > session[IDLE]:
        return False
    return not (session[TCP] != 0 and silent > 0 and closed(session) and asks(row))


@kernel
def add(session: Numbers, row: Numbers) -> int:
    """Add a row to the session before it; 1 if its packets had been counted."""
    doubled = i64(0)
    for side in range(2):
        if row[PKTS + side] < 0:
            continue
        if session[PKTS + side] < 0:
            for column in (PKTS, BYTES, FLAGS, FIRST, LAST, WAY, ICMP, OUT_PKTS, OUT_BYTES):
                session[column + side] = row[column + side]
            continue
        if session[WAY + side] != row[WAY + side] and row[FIRST + side] <= session[LAST + side]:
            doubled = i64(1)
            continue
        for column in (PKTS, BYTES, OUT_PKTS, OUT_BYTES):
            if row[column + side] >= 0:
                session[column + side] = row[column + side] + max(session[column + side], 0)
        if row[FLAGS + side] >= 0:
            session[FLAGS + side] = row[FLAGS + side] | max(session[FLAGS + side], 0)
        session[FIRST + side] = min(session[FIRST + side], row[FIRST + side])
        session[LAST + side] = max(session[LAST + side], row[LAST + side])
        session[WAY + side] = row[WAY + side]
        if session[ICMP + side] < 0:
            session[ICMP + side] = row[ICMP + side]
    session[START] = min(session[START], row[START])
    session[END] = max(session[END], row[END])
    if row[NUMBER] < session[NUMBER]:
        session[NUMBER], session[SIDE] = row[NUMBER], row[SIDE]
    session[MARKS] |= row[MARKS]
    return doubled


@entry
def join(rows: Numbers, groups: Numbers, sessions: Numbers, first: Numbers, counts: Numbers) -> None:
    """Make sessions of rows, which are sorted by group (those of the same endpoints) and START.

    sessions: as many rows as `rows`, of which the first counts[0] are filled; first: which row each began with.
    counts[1]: rows whose packets were counted in another.
    """
    last = i64(-1)
    doubled = i64(0)
    for row in range(len(rows)):
        if row > 0 and groups[row] == groups[row - 1] and belongs(sessions[last], rows[row]):
            doubled += add(sessions[last], rows[row])
        else:
            last += 1
            first[last] = row
            for column in range(COLUMNS):
                sessions[last, column] = rows[row, column]
    counts[0], counts[1] = last + 1, doubled
