"""What a session is: its key, who called, when it begins and ends, and counting a packet in it.

Kernels. Decodes nothing; time-outs are looked for by the engine's wheel, and here when a packet comes.
"""

import numpy as np

from afterfact_agent.jit import i64, inlined, kernel
from afterfact_protocol.session import DirectionBy, EndReason, Mark

from .config import SERVER_PORTS
from .decode import ICMPV6, IS_ICMP, MARK_BAD_CHECKSUM, ROLE, TCP, UDP
from .icmp import HAS_ID, REQUEST_OF, ROUTER_ADVERTISEMENT, is_multicast
from .layout import (
    A_HI,
    A_LO,
    ACK_SEEN,
    B_HI,
    B_LO,
    BITS,
    BYTES,
    C_EVICTED,
    C_SESSIONS,
    CHANGED,
    CLOSED,
    COUNTS,
    DETAIL,
    DIRECTION_SHIFT,
    ENCAP,
    END,
    FIN_SEEN,
    FINS_ACKNOWLEDGED,
    IN_NETWORK,
    INACTIVE,
    IP_BYTES,
    KEY,
    KIND_BARE,
    KIND_ONE_WAY,
    KIND_PAIRED,
    KIND_PORTS,
    LAST,
    M_FREE,
    M_UNUSED,
    M_WAITING,
    M_WAITING_FIRST,
    MARKS,
    NOBODY,
    ORIGINATOR,
    OUTER,
    P_COUNT,
    P_DST_HI,
    P_DST_LO,
    P_DST_PORT,
    P_ENCAP,
    P_FLAGS,
    P_ICMP_CODE,
    P_ICMP_ID,
    P_ICMP_TYPE,
    P_IDENT,
    P_IP_BYTES,
    P_MARKS,
    P_NOW,
    P_OUTER_DST_HI,
    P_OUTER_DST_LO,
    P_OUTER_SRC_HI,
    P_OUTER_SRC_LO,
    P_PAYLOAD,
    P_PROTO,
    P_SEQ,
    P_SRC_HI,
    P_SRC_LO,
    P_SRC_PORT,
    P_TIME,
    P_TIME_LAST,
    P_TUNNEL_ID,
    P_TUNNELS,
    PKTS,
    PORTS,
    REPORT_AT,
    REPORTED,
    RESETS_SEEN,
    S_FIRST_REPORT,
    S_ICMP_IDLE,
    S_OTHER_IDLE,
    S_REORDER,
    S_SHORTEST,
    S_TCP_ATTEMPT,
    S_TCP_IDLE,
    S_TCP_LINGER,
    S_UDP_IDLE,
    SESSION_ID,
    START,
    SYN_SENT,
    TUNNEL_ID,
    TUNNELS_SHIFT,
    UNANSWERED,
    Rows,
    Words,
)
from .rows import write_record
from .table import (
    find,
    free_row,
    key_hash,
    note_network,
    session_id,
    soonest_row,
    take_row,
    waiting_append,
    waiting_remove,
    wheel_insert,
    wheel_remove,
)
from .tcp import ACK, H_CHECKSUM, H_DATA, H_FLIP, RST, SYN, add_history, begins_anew, endpoint_state, tcp_segment

BY_SYN, BY_SYNACK, BY_REQUEST = int(DirectionBy.SYN), int(DirectionBy.SYNACK), int(DirectionBy.REQUEST)
BY_PORT, BY_FIRST = int(DirectionBy.PORT), int(DirectionBy.FIRST)
REASON_CLOSED, REASON_IDLE = int(EndReason.CLOSED), int(EndReason.IDLE)
REASON_REUSED, REASON_EVICTED = int(EndReason.REUSED), int(EndReason.EVICTED)
MARK_PARTIAL, MARK_TIME_STEP = int(Mark.PARTIAL), int(Mark.TIME_STEP)

IS_SERVER = np.zeros(1 << 16, np.uint8)
IS_SERVER[list(SERVER_PORTS)] = 1

SECOND, DAY = 1_000_000, 86_400_000_000


@inlined
def build_key(work: Words) -> int:
    """The direction-free key of a packet, at KEY; returns the side that sent it."""
    src_port, dst_port, proto = work[P_SRC_PORT], work[P_DST_PORT], work[P_PROTO]
    kind = i64(KIND_BARE)
    if src_port >= 0:
        kind = i64(KIND_PORTS)
    else:
        src_port = i64(0)
        dst_port = i64(0)
    side = i64(0)
    if work[P_SRC_HI] != work[P_DST_HI]:
        side = i64(1 if work[P_SRC_HI] > work[P_DST_HI] else 0)
    elif work[P_SRC_LO] != work[P_DST_LO]:
        side = i64(1 if work[P_SRC_LO] > work[P_DST_LO] else 0)
    elif src_port > dst_port:
        side = i64(1)
    if side == 0:
        work[KEY + A_HI], work[KEY + A_LO] = work[P_SRC_HI], work[P_SRC_LO]
        work[KEY + B_HI], work[KEY + B_LO] = work[P_DST_HI], work[P_DST_LO]
        ports = (src_port << 16) | dst_port
    else:
        work[KEY + A_HI], work[KEY + A_LO] = work[P_DST_HI], work[P_DST_LO]
        work[KEY + B_HI], work[KEY + B_LO] = work[P_SRC_HI], work[P_SRC_LO]
        ports = (dst_port << 16) | src_port
    if work[P_ICMP_TYPE] >= 0:
        version = 1 if proto == ICMPV6 else 0
        message = work[P_ICMP_TYPE]
        request = REQUEST_OF[version, message]
        if request >= 0:
            kind = i64(KIND_PAIRED)
            ports = (request << 16) | (work[P_ICMP_ID] if HAS_ID[version, message] else i64(0))
        else:
            kind = i64(KIND_ONE_WAY)
            ports = (message << 16) | (work[P_ICMP_CODE] << 8) | side
    work[KEY + PORTS] = (kind << 40) | (proto << 32) | ports
    work[KEY + ENCAP] = work[P_ENCAP]
    return i64(side)


@kernel
def idle_limit(flows: Words, work: Words, row: int) -> int:
    """How long a session may be silent, in meter time."""
    proto = (flows[row, PORTS] >> 32) & 0xFF
    if proto == TCP:
        bits = flows[row, BITS]
        if bits & CLOSED:
            # A FIN that was not acknowledged is sent again, later and later.
            acknowledged = bits & FINS_ACKNOWLEDGED == FINS_ACKNOWLEDGED
            return i64(work[S_TCP_LINGER if acknowledged or bits & RESETS_SEEN else S_TCP_ATTEMPT])
        originator = bits & ORIGINATOR
        alone = endpoint_state(bits, 1 - originator) == INACTIVE
        tried = endpoint_state(bits, originator) == SYN_SENT and not bits & (1 << (ACK_SEEN + originator))
        if alone and (tried or bits & (1 << (FIN_SEEN + originator))):
            return i64(work[S_TCP_ATTEMPT])
        return i64(work[S_TCP_IDLE])
    if proto == UDP:
        return i64(work[S_UDP_IDLE])
    if ROLE[proto] == IS_ICMP:
        return i64(work[S_ICMP_IDLE])
    return i64(work[S_OTHER_IDLE])


@kernel
def end_session(flows: Words, slots: Words, work: Words, row: int, reason: int, out: Rows) -> None:
    """Emit the last record of a session and free its row. A session whose end was seen is closed, whatever ends it."""
    if flows[row, BITS] & CLOSED and reason != REASON_EVICTED:
        reason = i64(REASON_CLOSED)
    write_record(flows, work, row, reason, out)
    free_row(flows, slots, work, row)


@kernel
def make_room(flows: Words, slots: Words, work: Words, now: int, out: Rows) -> None:
    """End one session early: the oldest unanswered one, unless it is only just begun and there are few of them."""
    row = work[M_WAITING_FIRST]
    flooded = work[M_WAITING] > len(flows) // 4
    if row == NOBODY or not (flooded or now - flows[row, LAST] > SECOND):
        soonest = soonest_row(work)
        if soonest != NOBODY:
            row = soonest
    work[COUNTS + C_EVICTED] += 1
    end_session(flows, slots, work, row, i64(REASON_EVICTED), out)


@kernel
def schedule(flows: Words, work: Words, row: int, limit: int) -> None:
    """Have a session looked at when its time is up, or its next interim record due."""
    wheel_insert(flows, work, row, min(flows[row, LAST] + limit, flows[row, REPORT_AT]))


@kernel
def begin_session(flows: Words, slots: Words, work: Words, side: int, hashed: int, now: int, out: Rows) -> int:
    """A row for a session that this packet opens, with its identity."""
    if work[M_FREE] == NOBODY and work[M_UNUSED] == len(flows):
        make_room(flows, slots, work, now, out)
    row = take_row(flows, slots, work, hashed)
    proto, flags = work[P_PROTO], work[P_FLAGS]
    is_tcp = proto == TCP and flags >= 0
    originator = side
    reason = i64(BY_FIRST)
    aimed_at_many = is_multicast(work[P_DST_HI], work[P_DST_LO])
    kind = work[KEY + PORTS] >> 40
    if is_tcp and flags & SYN and not flags & RST:
        reason = i64(BY_SYN)
        if flags & ACK:
            reason = i64(BY_SYNACK)
            originator = 1 - side
    elif kind == KIND_PAIRED:
        reason = i64(BY_REQUEST)
        version = 1 if proto == ICMPV6 else 0
        if REQUEST_OF[version, work[P_ICMP_TYPE]] != work[P_ICMP_TYPE]:  # the reply came first
            unasked = proto == ICMPV6 and work[P_ICMP_TYPE] == ROUTER_ADVERTISEMENT  # asked for of a group, at most
            if aimed_at_many or unasked:
                reason = i64(BY_FIRST)  # nobody is to be called a multicast group
            else:
                originator = 1 - side
    elif kind == KIND_PORTS:
        src_known, dst_known = IS_SERVER[work[P_SRC_PORT]], IS_SERVER[work[P_DST_PORT]]
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
    if kind >= KIND_PAIRED:
        version = 1 if proto == ICMPV6 else 0
        detail = (work[P_ICMP_TYPE] << 24) | (work[P_ICMP_CODE] << 16)
        if kind == KIND_PAIRED:
            detail = REQUEST_OF[version, work[P_ICMP_TYPE]] << 24
            if HAS_ID[version, work[P_ICMP_TYPE]]:
                detail |= (i64(1) << 32) | work[P_ICMP_ID]
        flows[row, DETAIL] = detail
    flows[row, START] = work[P_TIME]
    flows[row, END] = work[P_TIME_LAST]
    flows[row, LAST] = now
    ident = work[P_SEQ] if is_tcp else work[P_IDENT]
    flows[row, SESSION_ID] = session_id(work, work[P_TIME], ident)
    flows[row, REPORT_AT] = now + work[S_FIRST_REPORT]
    waiting_append(flows, work, row)
    work[COUNTS + C_SESSIONS] += 1
    return i64(row)


@inlined
def resume_session(flows: Words, work: Words, row: int, side: int, now: int) -> None:
    """What any further packet of a session changes."""
    time_us = work[P_TIME]
    if time_us < flows[row, END] - work[S_REORDER]:
        flows[row, MARKS] |= MARK_TIME_STEP
    if time_us < flows[row, START] and not flows[row, BITS] & REPORTED and flows[row, START] - time_us < DAY:
        flows[row, START] = time_us  # out of order; what is further off is a clock that was wrong
    flows[row, END] = max(flows[row, END], work[P_TIME_LAST])
    flows[row, LAST] = max(flows[row, LAST], now)
    if flows[row, BITS] & UNANSWERED and flows[row, PKTS + side] == 0:
        waiting_remove(flows, work, row)


@kernel
def note_tunnel(flows: Words, work: Words, row: int, side: int) -> None:
    """Keep id and outer addresses of the first packet that came in a tunnel."""
    flows[row, TUNNEL_ID] = work[P_TUNNEL_ID]
    ours, theirs = OUTER + 2 * side, OUTER + 2 - 2 * side
    flows[row, ours], flows[row, ours + 1] = work[P_OUTER_SRC_HI], work[P_OUTER_SRC_LO]
    flows[row, theirs], flows[row, theirs + 1] = work[P_OUTER_DST_HI], work[P_OUTER_DST_LO]


@kernel
def account(flows: Words, slots: Words, work: Words, out: Rows) -> None:
    """Count a decoded packet, whose ports are settled, in its session. Emits two records at most."""
    now = work[P_NOW]
    side = build_key(work)
    hashed = key_hash(work)
    row = i64(find(flows, slots, work, side, hashed))
    is_tcp = work[P_PROTO] == TCP
    if row != NOBODY:
        silent = now - flows[row, LAST]
        if silent > work[S_SHORTEST] and silent > idle_limit(flows, work, row):
            end_session(flows, slots, work, row, i64(REASON_IDLE), out)
            row = i64(NOBODY)
        elif is_tcp and work[P_FLAGS] > 0 and work[P_FLAGS] & SYN and begins_anew(flows, work, row, side, now):
            end_session(flows, slots, work, row, i64(REASON_REUSED), out)
            row = i64(NOBODY)
    is_new = row == NOBODY
    if is_new:
        row = i64(begin_session(flows, slots, work, side, hashed, now, out))
    else:
        resume_session(flows, work, row, side, now)
    flows[row, PKTS + side] += work[P_COUNT]
    flows[row, BYTES + side] += work[P_PAYLOAD]
    flows[row, IP_BYTES + side] += work[P_IP_BYTES]
    if work[P_TUNNELS]:
        if work[P_ENCAP] & IN_NETWORK:
            note_network(flows, work, row, side)
        if flows[row, MARKS] >> TUNNELS_SHIFT == 0:
            note_tunnel(flows, work, row, side)
        flows[row, MARKS] |= work[P_TUNNELS] << TUNNELS_SHIFT
    flows[row, MARKS] |= work[P_MARKS] & 0xFFFF
    before = flows[row, BITS]
    flows[row, BITS] = before | CHANGED
    if is_tcp and work[P_FLAGS] >= 0:
        tcp_segment(flows, work, row, side)
    elif work[P_PAYLOAD] > 0 and (is_tcp or work[P_PROTO] == UDP):
        add_history(flows, row, H_DATA, side)
    if work[P_MARKS] & MARK_BAD_CHECKSUM and (is_tcp or work[P_PROTO] == UDP):
        add_history(flows, row, H_CHECKSUM, side)
    closing = flows[row, BITS] & (CLOSED | FINS_ACKNOWLEDGED | RESETS_SEEN)
    if is_new or (closing & CLOSED and closing != before & (CLOSED | FINS_ACKNOWLEDGED | RESETS_SEEN)):
        wheel_remove(flows, work, row)
        schedule(flows, work, row, idle_limit(flows, work, row))
