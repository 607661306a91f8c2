"""The meter's main kernel: one packet after another into the session table, ended and interim sessions out.

The order of events is a function of the packets alone: time-outs and interim records happen at ticks of packet time,
so a capture gives the same sessions whole, split at any packet, or live.
"""

from afterfact_agent.capture.walk import F_COUNT, F_NEXT, F_WHY, MORE, walk
from afterfact_agent.jit import entry, i64, inlined, kernel
from afterfact_protocol.session import EndReason, Mark

from .checksums import verify_checksum
from .decode import ICMPV6, MARK_FRAGMENTS, MARK_LEN_INFERRED, decode, ip_layer
from .duplicates import is_duplicate
from .fragments import claim, entry_of, know, settle, take_header, take_waiting, wait
from .icmp import PORT_CLOSED, TOO_BIG, error_kind, quotes
from .layout import (
    BITS,
    C_BAD_IP_CHECKSUM,
    C_BAD_TRANSPORT,
    C_CUT_TRANSPORT,
    C_DUPLICATES,
    C_FRAGMENTS,
    C_IP_BYTES,
    C_LENGTH_INFERRED,
    C_METERED,
    C_PACKETS,
    C_QUOTED_ERRORS,
    C_TIME_STEPS,
    C_TUNNELLED,
    C_UNMATCHED_ERRORS,
    C_UNOPENED,
    C_WIRE_BYTES,
    CHANGED,
    COUNTS,
    ERROR_HI,
    ERROR_LO,
    ERROR_REFUSED,
    ERROR_UNREACHABLE,
    ERRORS,
    FR_COLUMNS,
    FR_FREE,
    FR_KNOWN,
    FR_STATE,
    FR_TIME,
    FR_WAITING,
    FRAGMENT_ENTRIES,
    FRAGMENTS,
    LAST,
    LATER_FRAGMENT,
    M_CLOCK,
    M_FRAGMENTS_WAITING,
    M_OFFSET,
    M_OPEN,
    M_OTHER_OFFSET,
    M_OUT,
    M_STARTED,
    M_SWEEP,
    M_UNUSED,
    M_WHEEL,
    NOBODY,
    ORIGINATOR,
    P_COUNT,
    P_DST_HI,
    P_DST_LO,
    P_END,
    P_FRAGMENT,
    P_ICMP_CODE,
    P_ICMP_TYPE,
    P_IP_BYTES,
    P_MARKS,
    P_NOW,
    P_PROTO,
    P_QUOTE,
    P_SRC_HI,
    P_SRC_LO,
    P_TIME,
    P_TIME_LAST,
    P_WIRE_END,
    PM_BAD_IP_CHECKSUM,
    PM_BAD_TRANSPORT,
    PM_CUT_TRANSPORT,
    PM_TUNNELLED,
    PM_UNOPENED,
    REPORT_AT,
    S_CHECKSUMS,
    S_DUPLICATES,
    S_FRAGMENT_WAIT,
    S_REORDER,
    S_REPORT_EVERY,
    WHEEL,
    WHEEL_TICKS,
    WHOLE,
    Bytes,
    Rows,
    Words,
)
from .links import IPV4, IPV6
from .packet import put_aside, take_back
from .rows import write_record
from .sessions import account, build_key, end_session, idle_limit, schedule
from .table import TICK_SHIFT, find, in_use, key_hash, wheel_remove

REASON_OPEN, REASON_IDLE, REASON_FORCED = int(EndReason.OPEN), int(EndReason.IDLE), int(EndReason.FORCED)
MARK_LOST_FRAGMENT = int(Mark.LOST_FRAGMENT)

COUNTED_MARKS = (
    MARK_FRAGMENTS
    | MARK_LEN_INFERRED
    | PM_BAD_IP_CHECKSUM
    | PM_CUT_TRANSPORT
    | PM_BAD_TRANSPORT
    | PM_TUNNELLED
    | PM_UNOPENED
)
ROOM_PER_PACKET = 64
"""Records that one packet or tick can emit at most: two for the packet, and for each fragment entry swept."""
SWEEP = 16
"""Entries of the fragment table looked at each tick, while fragments wait."""


@inlined
def count_packet(work: Words) -> None:
    """Count a packet that goes into a session."""
    marks = work[P_MARKS]
    work[COUNTS + C_METERED] += work[P_COUNT]
    work[COUNTS + C_IP_BYTES] += work[P_IP_BYTES]
    if marks & COUNTED_MARKS:
        work[COUNTS + C_TUNNELLED] += work[P_COUNT] if marks & PM_TUNNELLED else 0
        work[COUNTS + C_UNOPENED] += work[P_COUNT] if marks & PM_UNOPENED else 0
        work[COUNTS + C_FRAGMENTS] += work[P_COUNT] if marks & MARK_FRAGMENTS else 0
        work[COUNTS + C_LENGTH_INFERRED] += 1 if marks & MARK_LEN_INFERRED else 0
        work[COUNTS + C_BAD_IP_CHECKSUM] += 1 if marks & PM_BAD_IP_CHECKSUM else 0
        work[COUNTS + C_CUT_TRANSPORT] += 1 if marks & PM_CUT_TRANSPORT else 0
        work[COUNTS + C_BAD_TRANSPORT] += 1 if marks & PM_BAD_TRANSPORT else 0


@kernel
def flush_entry(flows: Words, slots: Words, work: Words, entry: int, out: Rows) -> None:
    """Count fragments whose first never came, in a session without ports."""
    take_waiting(work, entry, i64(FR_FREE))
    work[P_MARKS] |= MARK_LOST_FRAGMENT
    count_packet(work)
    account(flows, slots, work, out)


@kernel
def sweep_fragments(flows: Words, slots: Words, work: Words, now: int, out: Rows) -> None:
    """Look at a few entries of the fragment table, in turn, for fragments that have waited too long."""
    for _ in range(SWEEP):
        entry = FRAGMENTS + work[M_SWEEP] * FR_COLUMNS
        work[M_SWEEP] = (work[M_SWEEP] + 1) & (FRAGMENT_ENTRIES - 1)
        if work[entry + FR_STATE] == FR_WAITING and now - work[entry + FR_TIME] > work[S_FRAGMENT_WAIT]:
            flush_entry(flows, slots, work, entry, out)


@kernel
def count_fragment(flows: Words, slots: Words, work: Words, now: int, out: Rows) -> None:
    """Count a fragment in its session: the first at once, the others when the first is known."""
    entry = entry_of(work, now)
    later = work[P_FRAGMENT] == LATER_FRAGMENT
    if entry < 0:
        entry = -entry
        if work[entry + FR_STATE] == FR_WAITING:
            put_aside(work)
            flush_entry(flows, slots, work, entry, out)
            take_back(work)
        claim(work, entry, now, i64(FR_WAITING if later else FR_KNOWN))
    if later:
        take_header(work, entry)
    if later and work[entry + FR_STATE] == FR_WAITING:
        wait(work, entry, now)
        return
    work[entry + FR_TIME] = now
    if later:
        settle(work, entry)
    else:
        know(work, entry)
    count_packet(work)
    account(flows, slots, work, out)
    if work[entry + FR_STATE] == FR_WAITING:
        put_aside(work)
        take_waiting(work, entry, i64(FR_KNOWN))
        count_packet(work)
        account(flows, slots, work, out)
        take_back(work)


@kernel
def turn_wheel(flows: Words, slots: Words, work: Words, until: int, out: Rows) -> bool:
    """Look at every session whose time has come before meter time `until`; False if `out` is full before that."""
    last_tick = until >> TICK_SHIFT
    while work[M_WHEEL] < last_tick:
        if work[M_OPEN] == 0 and work[M_FRAGMENTS_WAITING] == 0:
            work[M_WHEEL] = last_tick
            break
        tick = work[M_WHEEL]
        slot = WHEEL + (tick & (WHEEL_TICKS - 1))
        work[M_WHEEL] = tick + 1
        # By the tick's own time, not by `until`: when a record leaves must not depend on how far apart calls are.
        now = (tick + 1) << TICK_SHIFT
        while work[slot] != NOBODY:
            if work[M_OUT] + ROOM_PER_PACKET > len(out):
                work[M_WHEEL] = tick
                return False
            row = work[slot]
            limit = idle_limit(flows, work, row)
            if now - flows[row, LAST] > limit:
                end_session(flows, slots, work, row, i64(REASON_IDLE), out)
                continue
            if now > flows[row, REPORT_AT]:
                if flows[row, BITS] & CHANGED:
                    write_record(flows, work, row, i64(REASON_OPEN), out)
                every = work[S_REPORT_EVERY]
                flows[row, REPORT_AT] += ((now - flows[row, REPORT_AT]) // every + 1) * every
            wheel_remove(flows, work, row)
            schedule(flows, work, row, limit)
        if work[M_FRAGMENTS_WAITING] > 0:
            if work[M_OUT] + ROOM_PER_PACKET > len(out):
                work[M_WHEEL] = tick
                return False
            sweep_fragments(flows, slots, work, now, out)
    return True


@kernel
def annotate(flows: Words, slots: Words, work: Words, buffer: Bytes) -> None:
    """Note an ICMP error on the session that it quotes, whichever way that runs. The packet in hand is lost."""
    message, code = work[P_ICMP_TYPE], work[P_ICMP_CODE]
    said = error_kind(work[P_PROTO], message, code)
    reporter_hi, reporter_lo = work[P_SRC_HI], work[P_SRC_LO]
    at, end = work[P_QUOTE], work[P_END]
    kind = i64(IPV6 if work[P_PROTO] == ICMPV6 else IPV4)
    row = i64(NOBODY)
    side = i64(0)
    work[P_WIRE_END] = -1  # what is quoted is cut off, and no measure of its lengths
    if at < end and ip_layer(buffer, at, end, kind, work) == 0 and work[P_FRAGMENT] != LATER_FRAGMENT:
        side = build_key(work)
        row = i64(find(flows, slots, work, side, key_hash(work)))
    if row == NOBODY:
        work[COUNTS + C_UNMATCHED_ERRORS] += 1
        return
    work[COUNTS + C_QUOTED_ERRORS] += 1
    if flows[row, ERRORS] >> 16 == 0:
        flows[row, ERRORS] = (message << 8) | code
        flows[row, ERROR_HI] = reporter_hi
        flows[row, ERROR_LO] = reporter_lo
    flows[row, ERRORS] += 1 << 16
    flows[row, BITS] |= CHANGED
    if side != flows[row, BITS] & ORIGINATOR:
        return  # it says that an answer was not delivered
    by_target = reporter_hi == work[P_DST_HI] and reporter_lo == work[P_DST_LO]
    if said == PORT_CLOSED and by_target:
        flows[row, BITS] |= ERROR_REFUSED
    elif said != TOO_BIG:
        flows[row, BITS] |= ERROR_UNREACHABLE


@inlined
def advance_clock(work: Words, time_us: int) -> int:
    """Meter time of a packet. Moves the clock on; a step of the packets' clock re-bases it instead."""
    now = time_us + work[M_OFFSET]
    if work[M_STARTED] == 0:
        work[M_STARTED] = 1
        work[M_CLOCK] = now
        work[M_WHEEL] = now >> TICK_SHIFT
        return i64(now)
    clock, reorder = work[M_CLOCK], work[S_REORDER]
    if not clock - reorder <= now <= clock + reorder:
        before = time_us + work[M_OTHER_OFFSET]
        if clock - reorder <= before <= clock + reorder and before != now:
            # A single wrong time, or two interfaces whose clocks differ: back to how it was before the last step.
            work[M_OFFSET], work[M_OTHER_OFFSET] = work[M_OTHER_OFFSET], work[M_OFFSET]
            now = before
        elif now < clock:
            work[M_OTHER_OFFSET] = work[M_OFFSET]
            work[M_OFFSET] += clock - now
            work[COUNTS + C_TIME_STEPS] += 1
            now = clock
    work[M_CLOCK] = max(clock, now)
    return i64(now)


@entry
def meter_packets(
    flows: Words,
    slots: Words,
    work: Words,
    buffer: Bytes,
    offsets: Words,
    caplens: Words,
    wirelens: Words,
    times_us: Words,
    linktypes: Words,
    first: int,
    count: int,
    out: Rows,
) -> int:
    """Meter the packets from number `first` up to `count`; the number of the first one not taken, because `out` is
    full or `slots` half full."""
    for number in range(first, count):
        if work[M_OUT] + ROOM_PER_PACKET > len(out) or 2 * work[M_OPEN] >= len(slots):
            return i64(number)
        time_us = times_us[number]
        now = advance_clock(work, time_us)
        if (work[M_CLOCK] >> TICK_SHIFT) > work[M_WHEEL] and not turn_wheel(flows, slots, work, work[M_CLOCK], out):
            return i64(number)
        caplen = caplens[number]
        work[COUNTS + C_PACKETS] += 1
        work[COUNTS + C_WIRE_BYTES] += max(caplen, wirelens[number])
        failed = decode(buffer, offsets[number], caplen, wirelens[number], linktypes[number], work)
        if failed < 0:
            work[COUNTS - failed] += 1
            continue
        if work[S_DUPLICATES] > 0 and is_duplicate(work, buffer, offsets[number] + caplen, time_us):
            work[COUNTS + C_DUPLICATES] += 1
            continue
        if work[S_CHECKSUMS]:
            verify_checksum(buffer, min(offsets[number] + caplen, i64(len(buffer))), work)
        work[P_TIME] = time_us
        work[P_TIME_LAST] = time_us
        work[P_NOW] = now
        work[P_COUNT] = 1
        if work[P_FRAGMENT] == WHOLE:
            count_packet(work)
            account(flows, slots, work, out)
        else:
            count_fragment(flows, slots, work, now, out)
        if work[P_QUOTE] >= 0 and quotes(work[P_PROTO], work[P_ICMP_TYPE]):
            annotate(flows, slots, work, buffer)
    return i64(count)


@entry
def meter_file(
    flows: Words,
    slots: Words,
    work: Words,
    data: Bytes,
    file: Words,
    interfaces: Words,
    offsets: Words,
    caplens: Words,
    wirelens: Words,
    times_us: Words,
    linktypes: Words,
    out: Rows,
) -> bool:
    """Meter the packets of a stretch of a capture file (capture.walk); False if `out` is full, `slots` half full.

    A few packets at a time, so that their bytes and columns are still in the nearest cache when they are metered.
    """
    while True:
        if file[F_NEXT] < file[F_COUNT]:
            first, count = file[F_NEXT], file[F_COUNT]
            file[F_NEXT] = meter_packets(
                flows, slots, work, data, offsets, caplens, wirelens, times_us, linktypes, first, count, out
            )
            if file[F_NEXT] < file[F_COUNT]:
                return False
        if file[F_WHY] != MORE:
            return True
        walk(data, file, interfaces, offsets, caplens, wirelens, times_us, linktypes)


@entry
def advance(flows: Words, slots: Words, work: Words, now_us: int, out: Rows) -> bool:
    """Let packet time pass with no packet; False if `out` is full and the call must be made again."""
    if work[M_STARTED] == 0:
        return True
    work[M_CLOCK] = max(work[M_CLOCK], now_us + work[M_OFFSET])
    return turn_wheel(flows, slots, work, work[M_CLOCK], out)


@entry
def finish(flows: Words, slots: Words, work: Words, first: int, out: Rows) -> int:
    """End every open session, from row `first` on; the row to go on from, or NOBODY when all are out."""
    if work[M_FRAGMENTS_WAITING] > 0:
        for number in range(FRAGMENT_ENTRIES):
            if work[M_OUT] + ROOM_PER_PACKET > len(out):
                return first
            entry = FRAGMENTS + number * FR_COLUMNS
            if work[entry + FR_STATE] == FR_WAITING:
                flush_entry(flows, slots, work, i64(entry), out)
    for row in range(first, work[M_UNUSED]):
        if work[M_OUT] + ROOM_PER_PACKET > len(out):
            return i64(row)
        if in_use(flows, row):
            end_session(flows, slots, work, i64(row), i64(REASON_FORCED), out)
    return NOBODY
