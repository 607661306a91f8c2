"""The session table: finding a key, taking and freeing rows, and the two lists that say whose time is up.

Open addressing with linear probing over `slots`; rows in `flows`. A timer wheel holds every row at the tick at which
it must next be looked at, so that time-outs and interim records cost nothing per packet; a second list holds the
sessions that only one side has spoken in, oldest first, which go first when room is needed.
Decides nothing about sessions.
"""

from afterfact_agent.jit import entry, i64, inlined, kernel

from .layout import (
    BITS,
    COLUMNS,
    ENCAP,
    FIRST_SEQ,
    IN_NETWORK,
    KEY,
    KEY_COLUMNS,
    M_FREE,
    M_OPEN,
    M_UNUSED,
    M_WAITING,
    M_WAITING_FIRST,
    M_WAITING_LAST,
    M_WHEEL,
    NETWORKS,
    NOBODY,
    P_NETWORK,
    PLACE,
    RECENT,
    RECENT_IDS,
    S_SEED,
    UNANSWERED,
    WAITING_LINKS,
    WHEEL,
    WHEEL_LINKS,
    WHEEL_TICKS,
    Words,
)

TICK_SHIFT = 18
"""A tick of the wheel is 2**18 us, about a quarter of a second."""

_LOW32 = 0xFFFFFFFF
# Odd 64-bit constants of splitmix64 (Steele, Lea, Flood 2014), as signed numbers.
_MULTIPLY_1, _MULTIPLY_2 = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
_INCREMENT = -0x61C8864680B583EB


@inlined
def scramble(value: int) -> int:
    """splitmix64's finaliser: 64 bits in, 64 well-mixed bits out, as signed numbers."""
    value = i64(value)
    value = (value ^ ((value >> 30) & 0x3FFFFFFFF)) * i64(_MULTIPLY_1)
    value = (value ^ ((value >> 27) & 0x1FFFFFFFFF)) * i64(_MULTIPLY_2)
    return i64(value ^ ((value >> 31) & 0x1FFFFFFFF))


@inlined
def chain(state: int, word: int) -> int:
    """Take one more word into a hash."""
    return scramble((state ^ word) + i64(_INCREMENT))


@inlined
def key_hash(work: Words) -> int:
    """Of the key in hand, for the table only: cheaper than `chain`, and seeded so that senders cannot aim at a slot."""
    mixed = work[S_SEED]
    for column in range(KEY_COLUMNS):
        mixed = (mixed ^ work[KEY + column]) * i64(_MULTIPLY_1)
        mixed ^= (mixed >> 32) & _LOW32
    return i64(mixed)


@kernel
def in_same_network(flows: Words, work: Words, row: int, side: int) -> int:
    """Whether a packet from `side`, IN_NETWORK, belongs to a session of its key: 2 if it is sure, 1 if it may."""
    networks, met = flows[row, NETWORKS], work[P_NETWORK] + 1
    ours, theirs = (networks >> (32 * side)) & _LOW32, (networks >> (32 - 32 * side)) & _LOW32
    if ours > 0:
        return 2 if ours == met else 0
    return 2 if theirs == met else 1


@inlined
def note_network(flows: Words, work: Words, row: int, side: int) -> None:
    """Keep the network that a packet from `side`, IN_NETWORK, came in."""
    others = flows[row, NETWORKS] & ~(i64(_LOW32) << (32 * side))
    flows[row, NETWORKS] = others | ((work[P_NETWORK] + 1) << (32 * side))


@inlined
def links(before: int, after: int) -> int:
    """The rows beside a row in a list, NOBODY at its ends, in one word."""
    return i64(((before + 1) << 32) | (after + 1))


@inlined
def before_of(word: int) -> int:
    return i64((word >> 32) - 1)


@inlined
def after_of(word: int) -> int:
    return i64((word & _LOW32) - 1)


@inlined
def unlink(flows: Words, row: int, column: int) -> None:
    """Join the rows beside a row in a list, of which `column` has the links."""
    before, after = before_of(flows[row, column]), after_of(flows[row, column])
    if before != NOBODY:
        flows[before, column] = links(before_of(flows[before, column]), after)
    if after != NOBODY:
        flows[after, column] = links(before, after_of(flows[after, column]))


@inlined
def in_use(flows: Words, row: int) -> bool:
    """Whether a row holds a session."""
    return bool(flows[row, PLACE] >> 32)


@inlined
def find(flows: Words, slots: Words, work: Words, side: int, hashed: int) -> int:
    """The row of the key in hand, of whose sides the packet in hand is from `side`; or NOBODY."""
    perhaps = i64(NOBODY)
    mask = i64(len(slots) - 1)
    tag = hashed & _LOW32
    at = tag & mask
    while True:
        slot = slots[at]
        if slot == 0:
            return perhaps
        if ((slot >> 32) & _LOW32) == tag:
            row = (slot & _LOW32) - 1
            same = True
            for column in range(KEY_COLUMNS):
                if flows[row, column] != work[KEY + column]:
                    same = False
            if same:
                if not work[KEY + ENCAP] & IN_NETWORK:
                    return i64(row)
                sure = in_same_network(flows, work, row, side)
                if sure == 2:
                    return i64(row)
                if sure == 1:
                    perhaps = i64(row)
        at = (at + 1) & mask


@kernel
def take_row(flows: Words, slots: Words, work: Words, hashed: int) -> int:
    """A row for the key in hand, which is not in the table; the caller sees to it that one is free."""
    row = work[M_FREE]
    if row != NOBODY:
        work[M_FREE] = flows[row, FIRST_SEQ]
    else:
        row = work[M_UNUSED]
        work[M_UNUSED] += 1
    work[M_OPEN] += 1
    for column in range(COLUMNS):
        flows[row, column] = 0
    for column in range(KEY_COLUMNS):
        flows[row, column] = work[KEY + column]
    tag = hashed & _LOW32
    flows[row, PLACE] = tag
    mask = i64(len(slots) - 1)
    at = tag & mask
    while slots[at] != 0:
        at = (at + 1) & mask
    slots[at] = (tag << 32) | (row + 1)
    return i64(row)


@entry
def index_rows(flows: Words, slots: Words, work: Words) -> None:
    """Fill an empty index with the rows in use."""
    mask = i64(len(slots) - 1)
    for row in range(work[M_UNUSED]):
        if in_use(flows, row):
            at = flows[row, PLACE] & mask
            while slots[at] != 0:
                at = (at + 1) & mask
            slots[at] = (flows[row, PLACE] << 32) | (row + 1)


@kernel
def free_row(flows: Words, slots: Words, work: Words, row: int) -> None:
    """Take a session out of the table, the wheel and the list of unanswered sessions."""
    mask = i64(len(slots) - 1)
    at = flows[row, PLACE] & mask
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
    wheel_remove(flows, work, row)
    if flows[row, BITS] & UNANSWERED:
        waiting_remove(flows, work, row)
    # The chain of free rows runs through a column of the rows themselves.
    flows[row, FIRST_SEQ] = work[M_FREE]
    work[M_FREE] = row
    work[M_OPEN] -= 1


@inlined
def wheel_insert(flows: Words, work: Words, row: int, due: int) -> None:
    """Have a row looked at when meter time has passed `due` (or at the wheel's horizon, if that is sooner)."""
    turned = work[M_WHEEL]
    # One slot stays free: the one whose rows are being looked at.
    tick = min(max(due >> TICK_SHIFT, turned), turned + WHEEL_TICKS - 2)
    slot = WHEEL + (tick & (WHEEL_TICKS - 1))
    first = work[slot]
    flows[row, PLACE] = (flows[row, PLACE] & _LOW32) | ((slot + 1) << 32)
    flows[row, WHEEL_LINKS] = links(NOBODY, first)
    if first != NOBODY:
        flows[first, WHEEL_LINKS] = links(row, after_of(flows[first, WHEEL_LINKS]))
    work[slot] = row


@inlined
def wheel_remove(flows: Words, work: Words, row: int) -> None:
    slot = (flows[row, PLACE] >> 32) - 1
    if slot == NOBODY:
        return
    if before_of(flows[row, WHEEL_LINKS]) == NOBODY:
        work[slot] = after_of(flows[row, WHEEL_LINKS])
    unlink(flows, row, i64(WHEEL_LINKS))
    flows[row, PLACE] &= _LOW32


@kernel
def waiting_append(flows: Words, work: Words, row: int) -> None:
    last = work[M_WAITING_LAST]
    flows[row, WAITING_LINKS] = links(last, NOBODY)
    if last == NOBODY:
        work[M_WAITING_FIRST] = row
    else:
        flows[last, WAITING_LINKS] = links(before_of(flows[last, WAITING_LINKS]), row)
    work[M_WAITING_LAST] = row
    work[M_WAITING] += 1
    flows[row, BITS] |= UNANSWERED


@kernel
def waiting_remove(flows: Words, work: Words, row: int) -> None:
    before, after = before_of(flows[row, WAITING_LINKS]), after_of(flows[row, WAITING_LINKS])
    if before == NOBODY:
        work[M_WAITING_FIRST] = after
    if after == NOBODY:
        work[M_WAITING_LAST] = before
    unlink(flows, row, i64(WAITING_LINKS))
    work[M_WAITING] -= 1
    flows[row, BITS] &= ~UNANSWERED


@kernel
def soonest_row(work: Words) -> int:
    """The row whose time is up next, or NOBODY."""
    for tick in range(work[M_WHEEL] - 1, work[M_WHEEL] + WHEEL_TICKS - 1):
        row = work[WHEEL + (tick & (WHEEL_TICKS - 1))]
        if row != NOBODY:
            return i64(row)
    return NOBODY


@kernel
def session_id(work: Words, time_us: int, ident: int) -> int:
    """An id for the key in hand, from its first packet's time and ISN or IP id.

    Equals (a session begun, ended and begun again within a microsecond) get ordinals.
    """
    base = chain(i64(0), time_us)
    for column in range(KEY_COLUMNS):
        base = chain(base, work[KEY + column])
    base = chain(base, ident)
    at = RECENT + 2 * (base & (RECENT_IDS - 1))
    if work[at] == base:
        work[at + 1] += 1
        return chain(base, work[at + 1])
    work[at] = base
    work[at + 1] = 0
    return base
