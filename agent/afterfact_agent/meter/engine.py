"""The meter's main kernel: one packet after another into the session table, ended and interim sessions out.

The order of events is a function of the packets alone: time-outs and interim records happen at ticks of packet time,
so a capture gives the same sessions whole, split at any packet, or live.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import i64, kernel
from afterfact_protocol.session import DirectionBy, EndReason, Mark

from .decode import FRAGMENTS, ICMP, ICMPV6, IPV4, IPV6, LEN_INFERRED, TCP, UDP, decode, ip_layer
from .fragments import claim, entry_of, know, settle, take_waiting, wait
from .icmp import HAS_ID, IS_ERROR, NOT_DELIVERED, PORT_CLOSED, REQUEST_OF, error_kind, is_multicast
from .layout import (
    A_HI,
    A_LO,
    ACK_SEEN,
    B_HI,
    B_LO,
    BITS,
    BYTES,
    C_BAD_IP_CHECKSUM,
    C_BAD_TRANSPORT,
    C_CUT_TRANSPORT,
    C_EVICTED,
    C_FRAGMENTS,
    C_IP_BYTES,
    C_LENGTH_INFERRED,
    C_METERED,
    C_PACKETS,
    C_QUOTED_ERRORS,
    C_SESSIONS,
    C_TIME_STEPS,
    C_UNMATCHED_ERRORS,
    C_WIRE_BYTES,
    CHANGED,
    CLOSED,
    DETAIL,
    DIRECTION_SHIFT,
    ENCAP,
    END,
    ERROR_HI,
    ERROR_LO,
    ERROR_REFUSED,
    ERROR_UNREACHABLE,
    ERRORS,
    FIN_SEEN,
    FR_FREE,
    FR_KNOWN,
    FR_STATE,
    FR_TIME,
    FR_WAITING,
    INACTIVE,
    IP_BYTES,
    KIND_BARE,
    KIND_ONE_WAY,
    KIND_PAIRED,
    KIND_PORTS,
    LAST,
    LATER_FRAGMENT,
    M_CLOCK,
    M_FRAGMENTS_WAITING,
    M_FREE,
    M_OFFSET,
    M_OPEN,
    M_OUT,
    M_ROWS,
    M_STARTED,
    M_SWEEP,
    M_WAITING,
    M_WAITING_FIRST,
    M_WHEEL,
    MARKS,
    NOBODY,
    ORIGINATOR,
    P_COUNT,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_END,
    P_FLAGS,
    P_FRAGMENT,
    P_ICMP_CODE,
    P_ICMP_ID,
    P_ICMP_TYPE,
    P_IDENT,
    P_INNER_VLAN,
    P_IP_BYTES,
    P_MARKS,
    P_PAYLOAD,
    P_PROTO,
    P_QUOTE,
    P_SEQ,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_TIME,
    P_TIME_LAST,
    P_VLAN,
    P_WIRE_END,
    PKTS,
    PM_BAD_TRANSPORT,
    PM_CUT_TRANSPORT,
    PORTS,
    REPORT_AT,
    REPORTED,
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
    SESSION_ID,
    START,
    SYN_SENT,
    UNANSWERED,
    WHEEL_SLOT,
    WHOLE,
    Tables,
)
from .rows import write_record
from .table import (
    TICK_SHIFT,
    find,
    free_row,
    key_hash,
    session_id,
    soonest_row,
    take_row,
    waiting_append,
    waiting_remove,
    wheel_insert,
    wheel_remove,
)
from .tcp import ACK, H_DATA, H_FLIP, RST, SYN, add_history, begins_anew, endpoint_state, tcp_segment

BY_SYN, BY_SYNACK, BY_REQUEST = int(DirectionBy.SYN), int(DirectionBy.SYNACK), int(DirectionBy.REQUEST)
BY_PORT, BY_FIRST = int(DirectionBy.PORT), int(DirectionBy.FIRST)
REASON_OPEN, REASON_CLOSED, REASON_IDLE = int(EndReason.OPEN), int(EndReason.CLOSED), int(EndReason.IDLE)
REASON_REUSED, REASON_FORCED, REASON_EVICTED = int(EndReason.REUSED), int(EndReason.FORCED), int(EndReason.EVICTED)
MARK_PARTIAL, MARK_TIME_STEP, BAD_CHECKSUM = int(Mark.PARTIAL), int(Mark.TIME_STEP), int(Mark.BAD_CHECKSUM)
MARK_LOST_FRAGMENT = int(Mark.LOST_FRAGMENT)

ROOM_PER_PACKET = 64
"""Records that one packet can emit at most: a re-used or evicted session for it, and for each fragment swept."""
SWEEP = 16
"""Entries of the fragment table looked at each tick, while fragments wait."""
SECOND = 1_000_000


@kernel
def build_key(packet: NDArray[np.int64], key: NDArray[np.int64]) -> int:
    """Fill the direction-free key of a packet; returns the side that sent it."""
    src_port, dst_port, proto = packet[P_SRC_PORT], packet[P_DST_PORT], packet[P_PROTO]
    kind = i64(KIND_BARE)
    if src_port >= 0:
        kind = i64(KIND_PORTS)
    else:
        src_port = i64(0)
        dst_port = i64(0)
    side = i64(0)
    if packet[P_SRC_HI] != packet[P_DST_HI]:
        side = i64(1 if packet[P_SRC_HI] > packet[P_DST_HI] else 0)
    elif packet[P_SRC_LO] != packet[P_DST_LO]:
        side = i64(1 if packet[P_SRC_LO] > packet[P_DST_LO] else 0)
    elif src_port > dst_port:
        side = i64(1)
    if side == 0:
        key[A_HI], key[A_LO] = packet[P_SRC_HI], packet[P_SRC_LO]
        key[B_HI], key[B_LO] = packet[P_DST_HI], packet[P_DST_LO]
        ports = (src_port << 16) | dst_port
    else:
        key[A_HI], key[A_LO] = packet[P_DST_HI], packet[P_DST_LO]
        key[B_HI], key[B_LO] = packet[P_SRC_HI], packet[P_SRC_LO]
        ports = (dst_port << 16) | src_port
    if (proto in (ICMP, ICMPV6)) and packet[P_FRAGMENT] != LATER_FRAGMENT and packet[P_ICMP_TYPE] >= 0:
        version = 1 if proto == ICMPV6 else 0
        message = packet[P_ICMP_TYPE]
        request = REQUEST_OF[version, message]
        if request >= 0:
            kind = i64(KIND_PAIRED)
            ports = (request << 16) | (packet[P_ICMP_ID] if HAS_ID[version, message] else i64(0))
        else:
            kind = i64(KIND_ONE_WAY)
            ports = (message << 16) | (packet[P_ICMP_CODE] << 8) | side
    key[PORTS] = (kind << 40) | (proto << 32) | ports
    key[ENCAP] = packet[P_VLAN] | (packet[P_INNER_VLAN] << 12)
    return side


@kernel
def idle_limit(tables: Tables, row: int) -> int:
    """How long a session may be silent, in meter time."""
    flows, settings = tables.flows, tables.settings
    proto = (flows[row, PORTS] >> 32) & 0xFF
    if proto == TCP:
        bits = flows[row, BITS]
        if bits & CLOSED:
            return i64(settings[S_TCP_LINGER])
        originator = bits & ORIGINATOR
        alone = endpoint_state(bits, 1 - originator) == INACTIVE
        tried = endpoint_state(bits, originator) == SYN_SENT and not bits & (1 << (ACK_SEEN + originator))
        if alone and (tried or bits & (1 << (FIN_SEEN + originator))):
            return i64(settings[S_TCP_ATTEMPT])
        return i64(settings[S_TCP_IDLE])
    if proto == UDP:
        return i64(settings[S_UDP_IDLE])
    if proto in (ICMP, ICMPV6):
        return i64(settings[S_ICMP_IDLE])
    return i64(settings[S_OTHER_IDLE])


@kernel
def end_session(tables: Tables, row: int, reason: int, out: NDArray[np.void]) -> None:
    """Emit the last record of a session and free its row. A session whose end was seen is closed, whatever ends it."""
    if tables.flows[row, BITS] & CLOSED and reason != REASON_EVICTED:
        reason = i64(REASON_CLOSED)
    write_record(tables, row, reason, out)
    free_row(tables, row)


@kernel
def make_room(tables: Tables, now: int, out: NDArray[np.void]) -> None:
    """End one session early: the oldest unanswered one, unless it is only just begun and there are few of them."""
    meta, flows = tables.meta, tables.flows
    row = meta[M_WAITING_FIRST]
    flooded = meta[M_WAITING] > len(flows) // 4
    if row == NOBODY or not (flooded or now - flows[row, LAST] > SECOND):
        soonest = soonest_row(tables)
        if soonest != NOBODY:
            row = soonest
    tables.counters[C_EVICTED] += 1
    end_session(tables, row, i64(REASON_EVICTED), out)


@kernel
def schedule(tables: Tables, row: int, limit: int) -> None:
    """Have a session looked at when its time is up, or its next interim record due."""
    flows = tables.flows
    wheel_insert(tables, row, min(flows[row, LAST] + limit, flows[row, REPORT_AT]))


@kernel
def begin_session(
    tables: Tables, packet: NDArray[np.int64], side: int, hashed: int, now: int, out: NDArray[np.void]
) -> int:
    """A row for a session that this packet opens, with its identity."""
    flows, meta, key = tables.flows, tables.meta, tables.key
    if meta[M_FREE] == NOBODY and meta[M_ROWS] == len(flows):
        make_room(tables, now, out)
    row = take_row(tables, hashed)
    proto, flags = packet[P_PROTO], packet[P_FLAGS]
    is_tcp = proto == TCP and flags >= 0
    originator = side
    reason = i64(BY_FIRST)
    aimed_at_many = is_multicast(packet[P_DST_HI], packet[P_DST_LO])
    kind = key[PORTS] >> 40
    if is_tcp and flags & SYN and not flags & RST:
        reason = i64(BY_SYN)
        if flags & ACK:
            reason = i64(BY_SYNACK)
            originator = 1 - side
    elif kind == KIND_PAIRED:
        reason = i64(BY_REQUEST)
        version = 1 if proto == ICMPV6 else 0
        if REQUEST_OF[version, packet[P_ICMP_TYPE]] != packet[P_ICMP_TYPE]:  # the reply came first
            if aimed_at_many:
                reason = i64(BY_FIRST)  # unasked: nobody is to be called a multicast group
            else:
                originator = 1 - side
    elif kind == KIND_PORTS:
        src_known, dst_known = tables.servers[packet[P_SRC_PORT]], tables.servers[packet[P_DST_PORT]]
        if dst_known and not src_known:
            reason = i64(BY_PORT)
        elif src_known and not dst_known and not aimed_at_many:
            reason = i64(BY_PORT)
            originator = 1 - side
    flows[row, BITS] = originator | (reason << DIRECTION_SHIFT)
    if originator != side:
        add_history(flows, row, H_FLIP, 0)
    if proto == TCP and not (is_tcp and flags & SYN and not flags & ACK):
        flows[row, MARKS] |= MARK_PARTIAL
    if kind in (KIND_PAIRED, KIND_ONE_WAY):
        version = 1 if proto == ICMPV6 else 0
        detail = (packet[P_ICMP_TYPE] << 24) | (packet[P_ICMP_CODE] << 16)
        if kind == KIND_PAIRED:
            detail = REQUEST_OF[version, packet[P_ICMP_TYPE]] << 24
            if HAS_ID[version, packet[P_ICMP_TYPE]]:
                detail |= (i64(1) << 32) | packet[P_ICMP_ID]
        flows[row, DETAIL] = detail
    flows[row, START] = packet[P_TIME]
    flows[row, END] = packet[P_TIME_LAST]
    flows[row, LAST] = now
    flows[row, SESSION_ID] = session_id(tables, packet[P_TIME], packet[P_SEQ] if is_tcp else packet[P_IDENT])
    flows[row, REPORT_AT] = now + tables.settings[S_FIRST_REPORT]
    waiting_append(tables, row)
    tables.counters[C_SESSIONS] += 1
    return row


@kernel
def account(tables: Tables, packet: NDArray[np.int64], out: NDArray[np.void]) -> None:
    """Count a decoded packet, whose ports are settled, in its session. Emits two records at most."""
    flows, meta, key = tables.flows, tables.meta, tables.key
    now = packet[P_TIME_LAST] + meta[M_OFFSET]
    side = build_key(packet, key)
    hashed = key_hash(key, tables.settings[S_SEED])
    row = find(tables, hashed)
    is_tcp = packet[P_PROTO] == TCP
    if row != NOBODY:
        if now - flows[row, LAST] > idle_limit(tables, row):
            end_session(tables, row, i64(REASON_IDLE), out)
            row = i64(NOBODY)
        elif is_tcp and begins_anew(flows, row, packet, side, now, tables.settings[S_TCP_LINGER]):
            end_session(tables, row, i64(REASON_REUSED), out)
            row = i64(NOBODY)
    is_new = row == NOBODY
    if is_new:
        row = i64(begin_session(tables, packet, side, hashed, now, out))
    else:
        if packet[P_TIME] < flows[row, START]:
            if flows[row, START] - packet[P_TIME] > tables.settings[S_REORDER]:
                flows[row, MARKS] |= MARK_TIME_STEP
            elif not flows[row, BITS] & REPORTED:
                flows[row, START] = packet[P_TIME]
        flows[row, END] = max(flows[row, END], packet[P_TIME_LAST])
        flows[row, LAST] = max(flows[row, LAST], now)
        if flows[row, BITS] & UNANSWERED and flows[row, PKTS + side] == 0:
            waiting_remove(tables, row)
    flows[row, PKTS + side] += packet[P_COUNT]
    flows[row, BYTES + side] += packet[P_PAYLOAD]
    flows[row, IP_BYTES + side] += packet[P_IP_BYTES]
    flows[row, MARKS] |= packet[P_MARKS] & 0xFFFF
    was_closed = flows[row, BITS] & CLOSED
    flows[row, BITS] |= CHANGED
    if is_tcp:
        tcp_segment(flows, row, packet, side)
    elif packet[P_PROTO] == UDP and packet[P_PAYLOAD] > 0:
        add_history(flows, row, H_DATA, side)
    if is_new:
        schedule(tables, row, idle_limit(tables, row))
    elif flows[row, BITS] & CLOSED and not was_closed:
        wheel_remove(tables, row)
        schedule(tables, row, tables.settings[S_TCP_LINGER])


@kernel
def count_packet(counters: NDArray[np.int64], packet: NDArray[np.int64]) -> None:
    marks = packet[P_MARKS]
    counters[C_METERED] += packet[P_COUNT]
    counters[C_IP_BYTES] += packet[P_IP_BYTES]
    if marks & (FRAGMENTS | LEN_INFERRED | BAD_CHECKSUM | PM_CUT_TRANSPORT | PM_BAD_TRANSPORT):
        counters[C_FRAGMENTS] += packet[P_COUNT] if marks & FRAGMENTS else 0
        counters[C_LENGTH_INFERRED] += 1 if marks & LEN_INFERRED else 0
        counters[C_BAD_IP_CHECKSUM] += 1 if marks & BAD_CHECKSUM else 0
        counters[C_CUT_TRANSPORT] += 1 if marks & PM_CUT_TRANSPORT else 0
        counters[C_BAD_TRANSPORT] += 1 if marks & PM_BAD_TRANSPORT else 0


@kernel
def flush_entry(tables: Tables, entry: int, out: NDArray[np.void]) -> None:
    """Count fragments whose first never came, in a session without ports."""
    take_waiting(tables, entry, FR_FREE)
    tables.late[P_MARKS] |= MARK_LOST_FRAGMENT
    count_packet(tables.counters, tables.late)
    account(tables, tables.late, out)


@kernel
def sweep_fragments(tables: Tables, now: int, out: NDArray[np.void]) -> None:
    """Look at a few entries of the fragment table, in turn, for fragments that have waited too long."""
    fragments, meta = tables.fragments, tables.meta
    for _ in range(SWEEP):
        entry = meta[M_SWEEP]
        meta[M_SWEEP] = (entry + 1) & (len(fragments) - 1)
        outlived = now - fragments[entry, FR_TIME] > tables.settings[S_FRAGMENT_WAIT]
        if outlived and fragments[entry, FR_STATE] == FR_WAITING:
            flush_entry(tables, entry, out)


@kernel
def fragment(tables: Tables, packet: NDArray[np.int64], now: int, out: NDArray[np.void]) -> None:
    """Count a fragment in its session: the first at once, the others when the first is known."""
    fragments = tables.fragments
    entry = entry_of(tables, packet, now)
    later = packet[P_FRAGMENT] == LATER_FRAGMENT
    if entry < 0:
        entry = -1 - entry
        if fragments[entry, FR_STATE] == FR_WAITING:
            flush_entry(tables, entry, out)
        claim(tables, entry, packet, now, i64(FR_WAITING if later else FR_KNOWN))
    if later and fragments[entry, FR_STATE] == FR_WAITING:
        wait(tables, entry, packet, now)
        return
    fragments[entry, FR_TIME] = now
    if later:
        settle(tables, entry, packet)
    else:
        know(tables, entry, packet)
    count_packet(tables.counters, packet)
    account(tables, packet, out)
    if fragments[entry, FR_STATE] == FR_WAITING:
        take_waiting(tables, entry, i64(FR_KNOWN))
        count_packet(tables.counters, tables.late)
        account(tables, tables.late, out)


@kernel
def turn_wheel(tables: Tables, until: int, out: NDArray[np.void]) -> bool:
    """Look at every session whose time has come before meter time `until`; False if `out` is full before that."""
    meta, flows, wheel = tables.meta, tables.flows, tables.wheel
    last_tick = until >> TICK_SHIFT
    mask = i64(len(wheel) - 1)
    while meta[M_WHEEL] < last_tick:
        if meta[M_OPEN] == 0 and meta[M_FRAGMENTS_WAITING] == 0:
            meta[M_WHEEL] = last_tick
            break
        tick = meta[M_WHEEL]
        meta[M_WHEEL] = tick + 1
        # By the tick's own time, not by `until`: when a record leaves must not depend on how far apart calls are.
        now = (tick + 1) << TICK_SHIFT
        while wheel[tick & mask] != NOBODY:
            if meta[M_OUT] + ROOM_PER_PACKET > len(out):
                meta[M_WHEEL] = tick
                return False
            row = i64(wheel[tick & mask])
            limit = idle_limit(tables, row)
            if now - flows[row, LAST] > limit:
                end_session(tables, row, i64(REASON_IDLE), out)
                continue
            if now > flows[row, REPORT_AT]:
                if flows[row, BITS] & CHANGED:
                    write_record(tables, row, i64(REASON_OPEN), out)
                every = tables.settings[S_REPORT_EVERY]
                flows[row, REPORT_AT] += ((now - flows[row, REPORT_AT]) // every + 1) * every
            wheel_remove(tables, row)
            schedule(tables, row, limit)
        if meta[M_FRAGMENTS_WAITING] > 0:
            if meta[M_OUT] + ROOM_PER_PACKET > len(out):
                meta[M_WHEEL] = tick
                return False
            sweep_fragments(tables, now, out)
    return True


@kernel
def annotate(tables: Tables, buffer: NDArray[np.uint8], packet: NDArray[np.int64]) -> None:
    """Note an ICMP error on the session that it quotes, in whichever direction that runs."""
    flows, quoted, counters = tables.flows, tables.quoted, tables.counters
    at, end = packet[P_QUOTE], packet[P_END]
    quoted[P_VLAN], quoted[P_INNER_VLAN] = packet[P_VLAN], packet[P_INNER_VLAN]
    quoted[P_WIRE_END] = -1
    kind = i64(IPV6 if packet[P_PROTO] == ICMPV6 else IPV4)
    row = i64(NOBODY)
    side = i64(0)
    if at < end and ip_layer(buffer, at, end, kind, quoted) == 0 and quoted[P_FRAGMENT] != LATER_FRAGMENT:
        side = build_key(quoted, tables.key)
        row = i64(find(tables, key_hash(tables.key, tables.settings[S_SEED])))
    if row == NOBODY:
        counters[C_UNMATCHED_ERRORS] += 1
        return
    counters[C_QUOTED_ERRORS] += 1
    if flows[row, ERRORS] >> 16 == 0:
        flows[row, ERRORS] = (packet[P_ICMP_TYPE] << 8) | packet[P_ICMP_CODE]
        flows[row, ERROR_HI] = packet[P_SRC_HI]
        flows[row, ERROR_LO] = packet[P_SRC_LO]
    flows[row, ERRORS] += 1 << 16
    flows[row, BITS] |= CHANGED
    said = error_kind(packet[P_PROTO], packet[P_ICMP_TYPE], packet[P_ICMP_CODE])
    if side != flows[row, BITS] & ORIGINATOR:
        return  # it says that an answer was not delivered
    by_target = packet[P_SRC_HI] == quoted[P_DST_HI] and packet[P_SRC_LO] == quoted[P_DST_LO]
    if said == PORT_CLOSED and by_target:
        flows[row, BITS] |= ERROR_REFUSED
    elif said in (PORT_CLOSED, NOT_DELIVERED):
        flows[row, BITS] |= ERROR_UNREACHABLE


@kernel
def advance_clock(tables: Tables, time_us: int) -> int:
    """Meter time of a packet. Moves the clock on; a step back beyond reordering re-bases it instead."""
    meta = tables.meta
    now = time_us + meta[M_OFFSET]
    if meta[M_STARTED] == 0:
        meta[M_STARTED] = 1
        meta[M_CLOCK] = now
        meta[M_WHEEL] = now >> TICK_SHIFT
    elif now < meta[M_CLOCK] - tables.settings[S_REORDER]:
        meta[M_OFFSET] += meta[M_CLOCK] - now
        tables.counters[C_TIME_STEPS] += 1
        now = meta[M_CLOCK]
    meta[M_CLOCK] = max(meta[M_CLOCK], now)
    return i64(now)


@kernel
def meter_packets(
    tables: Tables,
    buffer: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    caplens: NDArray[np.int64],
    wirelens: NDArray[np.int64],
    times_us: NDArray[np.int64],
    linktypes: NDArray[np.int64],
    first: int,
    out: NDArray[np.void],
) -> int:
    """Meter the packets from number `first` on; the number of the first one not taken because `out` is full."""
    meta, packet, counters = tables.meta, tables.packet, tables.counters
    for number in range(first, len(offsets)):
        if meta[M_OUT] + ROOM_PER_PACKET > len(out):
            return number
        time_us = times_us[number]
        now = advance_clock(tables, time_us)
        if (meta[M_CLOCK] >> TICK_SHIFT) > meta[M_WHEEL] and not turn_wheel(tables, meta[M_CLOCK], out):
            return number
        caplen = caplens[number]
        counters[C_PACKETS] += 1
        counters[C_WIRE_BYTES] += max(caplen, wirelens[number])
        failed = decode(buffer, offsets[number], caplen, wirelens[number], linktypes[number], packet)
        if failed < 0:
            counters[-failed] += 1
            continue
        packet[P_TIME] = time_us
        packet[P_TIME_LAST] = time_us
        packet[P_COUNT] = 1
        if packet[P_FRAGMENT] == WHOLE:
            count_packet(counters, packet)
            account(tables, packet, out)
        else:
            fragment(tables, packet, now, out)
        if packet[P_QUOTE] >= 0 and IS_ERROR[1 if packet[P_PROTO] == ICMPV6 else 0, packet[P_ICMP_TYPE]]:
            annotate(tables, buffer, packet)
    return i64(len(offsets))


@kernel
def advance(tables: Tables, now_us: int, out: NDArray[np.void]) -> bool:
    """Let packet time pass with no packet; False if `out` is full and the call must be made again."""
    if tables.meta[M_STARTED] == 0:
        return True
    tables.meta[M_CLOCK] = max(tables.meta[M_CLOCK], now_us + tables.meta[M_OFFSET])
    return turn_wheel(tables, tables.meta[M_CLOCK], out)


@kernel
def finish(tables: Tables, first: int, out: NDArray[np.void]) -> int:
    """End every open session, from row `first` on; the row to go on from, or NOBODY when all are out."""
    meta = tables.meta
    if meta[M_FRAGMENTS_WAITING] > 0:
        for entry in range(len(tables.fragments)):
            if meta[M_OUT] + ROOM_PER_PACKET > len(out):
                return first
            if tables.fragments[entry, FR_STATE] == FR_WAITING:
                flush_entry(tables, entry, out)
    for row in range(first, meta[M_ROWS]):
        if meta[M_OUT] + ROOM_PER_PACKET > len(out):
            return row
        if tables.links[row, WHEEL_SLOT] != NOBODY:
            end_session(tables, row, i64(REASON_FORCED), out)
    return NOBODY
