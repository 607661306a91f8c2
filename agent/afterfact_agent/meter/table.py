"""The session table: finding a key, taking and freeing rows, and the two lists that say whose time is up.

Open addressing with linear probing over `slots`; rows in `flows`. A timer wheel holds every row at the tick at which
it must next be looked at, so that time-outs and interim records cost nothing per packet; a second list holds the
sessions that only one side has spoken in, oldest first, which go first when room is needed.
Decides nothing about sessions.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import i64, kernel

from .layout import (
    BITS,
    FIRST_SEQ,
    KEY_COLUMNS,
    M_FREE,
    M_OPEN,
    M_ROWS,
    M_WAITING,
    M_WAITING_FIRST,
    M_WAITING_LAST,
    M_WHEEL,
    NOBODY,
    TAG,
    UNANSWERED,
    WAITING_NEXT,
    WAITING_PREVIOUS,
    WHEEL_NEXT,
    WHEEL_PREVIOUS,
    WHEEL_SLOT,
    Tables,
)

TICK_SHIFT = 18
"""A tick of the wheel is 2**18 us, about a quarter of a second."""

_LOW32 = 0xFFFFFFFF
# Odd 64-bit constants of splitmix64 (Steele, Lea, Flood 2014), as signed numbers.
_MULTIPLY_1, _MULTIPLY_2 = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
_INCREMENT = -0x61C8864680B583EB


@kernel
def scramble(value: int) -> int:
    """splitmix64's finaliser: 64 bits in, 64 well-mixed bits out, as signed numbers."""
    value = i64(value)
    value = (value ^ ((value >> 30) & 0x3FFFFFFFF)) * i64(_MULTIPLY_1)
    value = (value ^ ((value >> 27) & 0x1FFFFFFFFF)) * i64(_MULTIPLY_2)
    return i64(value ^ ((value >> 31) & 0x1FFFFFFFF))


@kernel
def chain(state: int, word: int) -> int:
    """Take one more word into a hash."""
    return scramble((state ^ word) + i64(_INCREMENT))


@kernel
def key_hash(key: NDArray[np.int64], seed: int) -> int:
    """For the table only: cheaper than `chain`, and seeded so that senders cannot aim at one slot."""
    mixed = i64(seed)
    for column in range(KEY_COLUMNS):
        mixed = (mixed ^ key[column]) * i64(_MULTIPLY_1)
        mixed ^= (mixed >> 32) & _LOW32
    return mixed


@kernel
def find(tables: Tables, hashed: int) -> int:
    """The row of `tables.key`, or NOBODY."""
    slots, flows, key = tables.slots, tables.flows, tables.key
    mask = i64(len(slots) - 1)
    tag = hashed & _LOW32
    at = tag & mask
    while True:
        slot = slots[at]
        if slot == 0:
            return NOBODY
        if ((slot >> 32) & _LOW32) == tag:
            row = (slot & _LOW32) - 1
            same = True
            for column in range(KEY_COLUMNS):
                if flows[row, column] != key[column]:
                    same = False
            if same:
                return i64(row)
        at = (at + 1) & mask


@kernel
def take_row(tables: Tables, hashed: int) -> int:
    """A row for `tables.key`, which is not in the table; the caller sees to it that one is free."""
    flows, slots, meta = tables.flows, tables.slots, tables.meta
    row = meta[M_FREE]
    if row != NOBODY:
        meta[M_FREE] = flows[row, FIRST_SEQ]
    else:
        row = meta[M_ROWS]
        meta[M_ROWS] += 1
    meta[M_OPEN] += 1
    for column in range(flows.shape[1]):
        flows[row, column] = 0
    for column in range(KEY_COLUMNS):
        flows[row, column] = tables.key[column]
    tag = hashed & _LOW32
    flows[row, TAG] = tag
    mask = i64(len(slots) - 1)
    at = tag & mask
    while slots[at] != 0:
        at = (at + 1) & mask
    slots[at] = (tag << 32) | (row + 1)
    tables.links[row, WHEEL_SLOT] = NOBODY
    return i64(row)


@kernel
def free_row(tables: Tables, row: int) -> None:
    """Take a session out of the table, the wheel and the list of unanswered sessions."""
    flows, slots, meta = tables.flows, tables.slots, tables.meta
    mask = i64(len(slots) - 1)
    at = flows[row, TAG] & mask
    while (slots[at] & _LOW32) != row + 1:
        at = (at + 1) & mask
    # Close the gap: move back what linear probing had pushed past it.
    gap = at
    while True:
        at = (at + 1) & mask
        slot = slots[at]
        if slot == 0:
            break
        home = (slot >> 32) & mask
        if ((at - home) & mask) >= ((at - gap) & mask):
            slots[gap] = slot
            gap = at
    slots[gap] = 0
    wheel_remove(tables, row)
    if flows[row, BITS] & UNANSWERED:
        waiting_remove(tables, row)
    # The chain of free rows runs through a column of the rows themselves.
    flows[row, FIRST_SEQ] = meta[M_FREE]
    meta[M_FREE] = row
    meta[M_OPEN] -= 1


@kernel
def wheel_insert(tables: Tables, row: int, due: int) -> None:
    """Have a row looked at when meter time has passed `due` (or at the wheel's horizon, if that is sooner)."""
    wheel, links, meta = tables.wheel, tables.links, tables.meta
    turned = meta[M_WHEEL]
    # One slot stays free: the one whose rows are being looked at.
    tick = min(max(due >> TICK_SHIFT, turned), turned + len(wheel) - 2)
    slot = tick & i64(len(wheel) - 1)
    first = wheel[slot]
    links[row, WHEEL_SLOT] = slot
    links[row, WHEEL_PREVIOUS] = NOBODY
    links[row, WHEEL_NEXT] = first
    if first != NOBODY:
        links[first, WHEEL_PREVIOUS] = row
    wheel[slot] = row


@kernel
def wheel_remove(tables: Tables, row: int) -> None:
    wheel, links = tables.wheel, tables.links
    slot = links[row, WHEEL_SLOT]
    if slot == NOBODY:
        return
    before, after = links[row, WHEEL_PREVIOUS], links[row, WHEEL_NEXT]
    if before == NOBODY:
        wheel[slot] = after
    else:
        links[before, WHEEL_NEXT] = after
    if after != NOBODY:
        links[after, WHEEL_PREVIOUS] = before
    links[row, WHEEL_SLOT] = NOBODY


@kernel
def waiting_append(tables: Tables, row: int) -> None:
    links, meta = tables.links, tables.meta
    last = meta[M_WAITING_LAST]
    links[row, WAITING_PREVIOUS] = last
    links[row, WAITING_NEXT] = NOBODY
    if last == NOBODY:
        meta[M_WAITING_FIRST] = row
    else:
        links[last, WAITING_NEXT] = row
    meta[M_WAITING_LAST] = row
    meta[M_WAITING] += 1
    tables.flows[row, BITS] |= UNANSWERED


@kernel
def waiting_remove(tables: Tables, row: int) -> None:
    links, meta = tables.links, tables.meta
    before, after = i64(links[row, WAITING_PREVIOUS]), i64(links[row, WAITING_NEXT])
    if before == NOBODY:
        meta[M_WAITING_FIRST] = after
    else:
        links[before, WAITING_NEXT] = after
    if after == NOBODY:
        meta[M_WAITING_LAST] = before
    else:
        links[after, WAITING_PREVIOUS] = before
    meta[M_WAITING] -= 1
    tables.flows[row, BITS] &= ~UNANSWERED


@kernel
def soonest_row(tables: Tables) -> int:
    """The row whose time is up next, or NOBODY."""
    wheel, meta = tables.wheel, tables.meta
    mask = i64(len(wheel) - 1)
    for tick in range(meta[M_WHEEL] - 1, meta[M_WHEEL] + len(wheel) - 1):
        row = i64(wheel[tick & mask])
        if row != NOBODY:
            return row
    return NOBODY


@kernel
def session_hash(tables: Tables, time_us: int, ident: int) -> int:
    """A session's id, before the ordinal: from `tables.key`, the first packet's time, and its ISN or IP id."""
    mixed = chain(i64(0), time_us)
    for column in range(KEY_COLUMNS):
        mixed = chain(mixed, tables.key[column])
    return chain(mixed, ident)


@kernel
def session_id(tables: Tables, time_us: int, ident: int) -> int:
    """A session's id; equals (a session begun, ended and begun again within a microsecond) get ordinals."""
    recent = tables.recent
    base = session_hash(tables, time_us, ident)
    at = base & i64(len(recent) - 1)
    if recent[at, 0] == base:
        recent[at, 1] += 1
        return chain(base, recent[at, 1])
    recent[at, 0] = base
    recent[at, 1] = 0
    return base
