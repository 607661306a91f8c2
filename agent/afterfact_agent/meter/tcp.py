"""What TCP segments do to a session: endpoint states after Zeek's, the history, sequence numbers, port re-use.

Works on one row of the session table and the packet in hand; emits nothing, finds nothing.
"""

from afterfact_agent.jit import i64, inlined, kernel
from afterfact_protocol.session import HISTORY_BYTES, DirectionBy, Mark, TcpFlag

from .layout import (
    ACK_SEEN,
    BITS,
    CLOSED,
    DETAIL,
    DIRECTION_SHIFT,
    ENDPOINT_SHIFT,
    ESTABLISHED,
    FIN_ACKED,
    FIN_SEEN,
    FINISHED,
    FIRST_SEQ,
    FLAGS_SHIFT,
    HISTORY,
    HISTORY_SEEN,
    HOLES,
    INACTIVE,
    LAST,
    MARKS,
    NEXT_SEQ,
    ORIGINATOR,
    P_ACK,
    P_FLAGS,
    P_PAYLOAD,
    P_SEQ,
    PARTIAL,
    REJECTED,
    REPORTED,
    RESET,
    RETRANS,
    RST_SEEN,
    S_TCP_LINGER,
    SEQ_KNOWN,
    SYN_ACK_SENT,
    SYN_SEEN,
    SYN_SENT,
    SYNACK_SEEN,
    Words,
)

FIN, SYN, RST, ACK = int(TcpFlag.FIN), int(TcpFlag.SYN), int(TcpFlag.RST), int(TcpFlag.ACK)
MARK_PARTIAL, MARK_LATE_SYN, MARK_FLIP = int(Mark.PARTIAL), int(Mark.LATE_SYN), int(Mark.FLIP)
MARK_HISTORY_CUT = int(Mark.HISTORY_CUT)
BY_SYN, BY_SYNACK = int(DirectionBy.SYN), int(DirectionBy.SYNACK)

HISTORY_LETTERS = "shadfrtiqc^"
"""i: FIN and RST in one segment; q: SYN with FIN or RST; c: a wrong checksum. Zeek's g and w are not kept."""
(
    H_SYN,
    H_SYNACK,
    H_ACK,
    H_DATA,
    H_FIN,
    H_RST,
    H_RETRANS,
    H_FIN_RST,
    H_SYN_MIX,
    H_CHECKSUM,
    H_FLIP,
) = range(len(HISTORY_LETTERS))
HISTORY_COUNT_SHIFT = 2 * len(HISTORY_LETTERS)

LATE_SYN_REACH = 1 << 16
"""How far before the first byte seen a late SYN may lie: packets lost or reordered at the start of a session."""
SEQUENCE_REACH = 1 << 30
"""The largest window of RFC 7323. A jump beyond it is a stray segment and moves nothing."""

_LOW32 = 0xFFFFFFFF


@inlined
def sequence_difference(later: int, earlier: int) -> int:
    """later - earlier on the 32-bit circle of sequence numbers."""
    difference = (later - earlier) & _LOW32
    return difference - (difference >> 31) * (1 << 32)


@kernel
def add_history(flows: Words, row: int, letter: int, side: int) -> None:
    """Note a letter the first time that a side earns it. Kept as letter index + 1, and the side, in a byte each."""
    seen = flows[row, HISTORY_SEEN]
    bit = i64(1) << (2 * letter + side)
    if seen & bit:
        return
    count = seen >> HISTORY_COUNT_SHIFT
    if count >= HISTORY_BYTES:
        flows[row, MARKS] |= MARK_HISTORY_CUT
        return
    flows[row, HISTORY + (count >> 3)] |= ((letter + 1) | (side << 6)) << ((count & 7) * 8)
    flows[row, HISTORY_SEEN] = (seen | bit) + (i64(1) << HISTORY_COUNT_SHIFT)


@inlined
def endpoint_state(bits: int, side: int) -> int:
    return (bits >> (ENDPOINT_SHIFT + 3 * side)) & 7


@inlined
def with_endpoint(bits: int, side: int, state: int) -> int:
    shift = ENDPOINT_SHIFT + 3 * side
    return (bits & ~(i64(7) << shift)) | (i64(state) << shift)


@kernel
def set_originator(flows: Words, row: int, side: int, reason: int) -> None:
    """What was learned late about who called: identity changes until the first record left, then only a mark is set."""
    bits = flows[row, BITS]
    if bits & REPORTED:
        if (bits & ORIGINATOR) != side:
            flows[row, MARKS] |= MARK_FLIP
        return
    if (bits & ORIGINATOR) != side:
        add_history(flows, row, H_FLIP, 0)
    bits = (bits & ~(i64(7) << DIRECTION_SHIFT)) | (i64(reason) << DIRECTION_SHIFT)
    flows[row, BITS] = (bits & ~i64(ORIGINATOR)) | side


@kernel
def begins_anew(flows: Words, work: Words, row: int, side: int, now: int) -> bool:
    """Whether a segment with SYN opens a new session on the endpoints of this one (port re-use)."""
    flags = work[P_FLAGS]
    bits = flows[row, BITS]
    seq = work[P_SEQ]
    peer = 1 - side
    if flags & (ACK | RST | FIN):
        # A SYN-ACK with another sequence number, after the end: the SYN of the new session was not seen.
        return bool(
            flags & ACK and bits & CLOSED and bits & (1 << (SYNACK_SEEN + side)) and seq != flows[row, FIRST_SEQ + side]
        )
    if bits & (1 << (SYN_SEEN + side)):
        if seq == flows[row, FIRST_SEQ + side]:
            return False  # sent again
        # In an open and busy session a SYN is answered by a challenge ACK (RFC 5961) and changes nothing.
        is_open = endpoint_state(bits, side) == ESTABLISHED and endpoint_state(bits, peer) == ESTABLISHED
        return not (is_open and bool(now - flows[row, LAST] <= work[S_TCP_LINGER]))
    if bits & (1 << (SEQ_KNOWN + side)):
        before = (flows[row, FIRST_SEQ + side] - seq) & _LOW32
        return bool(before >= LATE_SYN_REACH)
    if bits & CLOSED:
        return True
    # Nothing is known of this side: both called at once, or the flags of what came first were cut off.
    return not (endpoint_state(bits, peer) == SYN_SENT or endpoint_state(bits, peer) == INACTIVE)


@kernel
def track_payload(flows: Words, row: int, side: int, seq: int, length: int) -> None:
    """Move the highest sequence number seen, and count what was sent before. Gaps are kept, two a side, so that a
    segment that was only reordered is not taken for one sent again."""
    next_seq = flows[row, NEXT_SEQ + side]
    ahead = sequence_difference(seq, next_seq)
    if ahead > SEQUENCE_REACH or ahead < -SEQUENCE_REACH:
        return
    holes = HOLES + 2 * side
    if ahead >= 0:
        if ahead > 0:
            hole = holes if flows[row, holes] == 0 else holes + 1
            flows[row, hole] = (next_seq << 31) | min(ahead, (1 << 31) - 1)
        flows[row, NEXT_SEQ + side] = (seq + length) & _LOW32
        return
    old = min(-ahead, length)
    fresh = i64(0)
    if not flows[row, BITS] & (1 << (SYN_SEEN + side)) and not flows[row, BITS] & (1 << (SYNACK_SEEN + side)):
        # Picked up in mid-stream, and now a segment from before the first one seen.
        before_first = sequence_difference(flows[row, FIRST_SEQ + side] + 1, seq)
        if before_first > 0:
            fresh += min(before_first, old)
            flows[row, FIRST_SEQ + side] = (seq - 1) & _LOW32
    for hole in range(holes, holes + 2):
        if flows[row, hole] == 0:
            continue
        start = flows[row, hole] >> 31
        size = flows[row, hole] & ((1 << 31) - 1)
        # The hole relative to the segment.
        begin = sequence_difference(start, seq)
        low, high = max(begin, 0), min(begin + size, old)
        if low >= high:
            continue
        fresh += high - low
        left, right = low - begin, begin + size - high
        # Of a hole filled in its middle the larger rest is kept.
        if left >= right:
            flows[row, hole] = ((start << 31) | left) if left > 0 else i64(0)
        else:
            flows[row, hole] = (((start + size - right) & _LOW32) << 31) | right
    if old > fresh:
        flows[row, RETRANS + side] += old - fresh
        add_history(flows, row, H_RETRANS, side)
    if length > old:
        flows[row, NEXT_SEQ + side] = (seq + length) & _LOW32


@inlined
def track_sequence(flows: Words, work: Words, row: int, side: int) -> None:
    """Sequence numbers of a segment without RST: first and next of its side, retransmitted bytes, SYN retries."""
    flags, seq, payload = work[P_FLAGS], work[P_SEQ], work[P_PAYLOAD]
    bits = flows[row, BITS]
    syn = 1 if flags & SYN else 0
    known = i64(1) << (SEQ_KNOWN + side)
    if not bits & known:
        flows[row, BITS] = bits | known
        flows[row, FIRST_SEQ + side] = seq if syn else (seq - 1) & _LOW32
        flows[row, NEXT_SEQ + side] = (seq + syn + payload) & _LOW32
        if not flags & ACK:
            return
    elif syn and seq != flows[row, FIRST_SEQ + side]:
        flows[row, FIRST_SEQ + side] = seq
        ahead = sequence_difference((seq + 1 + payload) & _LOW32, flows[row, NEXT_SEQ + side])
        if ahead > 0 or ahead < -LATE_SYN_REACH:  # another attempt, not the late beginning of what was seen
            flows[row, NEXT_SEQ + side] = (seq + 1 + payload) & _LOW32
    elif syn:
        if not flags & ACK and bits & (1 << (SYN_SEEN + side)):
            flows[row, DETAIL] = min(flows[row, DETAIL] + 1, 0xFFFF)
    elif payload > 0:
        track_payload(flows, row, side, seq, payload)
    # What a SYN-ACK or the answer to a SYN acknowledges tells where the other side began, though it was not seen.
    peer_known = i64(1) << (SEQ_KNOWN + 1 - side)
    if syn and flags & ACK and not flows[row, BITS] & peer_known:
        flows[row, BITS] |= peer_known
        flows[row, FIRST_SEQ + 1 - side] = (work[P_ACK] - 1) & _LOW32
        flows[row, NEXT_SEQ + 1 - side] = work[P_ACK]


@inlined
def note_history(flows: Words, row: int, flags: int, payload: int, side: int) -> None:
    control = flags & (SYN | FIN | RST)
    if control == SYN:
        add_history(flows, row, H_SYNACK if flags & ACK else H_SYN, side)
    elif control == FIN:
        add_history(flows, row, H_FIN, side)
    elif control == RST:
        add_history(flows, row, H_RST, side)
    elif control & SYN:
        add_history(flows, row, H_SYN_MIX, side)
    elif control:
        add_history(flows, row, H_FIN_RST, side)
    elif payload > 0:
        add_history(flows, row, H_DATA, side)
    elif flags & ACK:
        add_history(flows, row, H_ACK, side)


@inlined
def next_states(bits: int, flags: int, payload: int, side: int) -> int:
    """The endpoint states after a segment, after Zeek's TCP state machine; in and out are BITS."""
    peer = 1 - side
    mine, theirs = endpoint_state(bits, side), endpoint_state(bits, peer)
    is_originator = (bits & ORIGINATOR) == side
    if flags & SYN:
        if mine <= PARTIAL:
            if is_originator:
                if theirs == ESTABLISHED or (mine == PARTIAL and theirs != INACTIVE):
                    mine = i64(ESTABLISHED)  # it was answered already: the SYN comes late
                else:
                    mine = i64(SYN_ACK_SENT if flags & ACK else SYN_SENT)
                if theirs == RESET and not bits & (1 << (SYNACK_SEEN + peer)) and not bits & (1 << (ACK_SEEN + peer)):
                    bits |= REJECTED
            else:
                if theirs == SYN_SENT or (theirs == PARTIAL and flags & ACK):
                    theirs = i64(ESTABLISHED)
                mine = i64(ESTABLISHED)
        elif mine == SYN_SENT and flags & ACK:  # both called at once
            mine = i64(ESTABLISHED)
    if flags & FIN and not flags & RST and mine != RESET:
        mine = i64(FINISHED)
        if theirs == RESET and bits & (1 << (FIN_SEEN + peer)):
            theirs = i64(FINISHED)  # FIN and RST, answered by FIN: a normal end
    if flags & RST:
        if mine == INACTIVE and PARTIAL < theirs <= SYN_ACK_SENT and not is_originator:
            bits |= REJECTED
        if not (mine == FINISHED and theirs == FINISHED):
            mine = i64(RESET)
    if mine == INACTIVE and not flags & (SYN | FIN | RST):
        if flags & ACK and theirs == ESTABLISHED:
            mine = i64(ESTABLISHED)  # its SYN was not seen, but was answered
        elif is_originator or payload > 0 or theirs != SYN_SENT:
            mine = i64(PARTIAL)
    return with_endpoint(with_endpoint(bits, side, mine), peer, theirs)


@inlined
def tcp_segment(flows: Words, work: Words, row: int, side: int) -> None:
    """All that a segment whose flags are known changes in its session, apart from what every protocol counts."""
    flags = work[P_FLAGS]
    payload = work[P_PAYLOAD]
    bits = flows[row, BITS]
    if flags & SYN and not flags & (RST | FIN):
        peer_called = bits & (1 << (SYN_SEEN + 1 - side))
        if not flags & ACK and not bits & (1 << (SYN_SEEN + side)) and not peer_called:
            if flows[row, HISTORY_SEEN] >> HISTORY_COUNT_SHIFT:
                flows[row, MARKS] |= MARK_LATE_SYN
            flows[row, MARKS] &= ~MARK_PARTIAL
            set_originator(flows, row, side, BY_SYN)
        elif flags & ACK and not peer_called and not bits & (1 << (SYN_SEEN + side)):
            set_originator(flows, row, 1 - side, BY_SYNACK)
    if not flags & RST:
        track_sequence(flows, work, row, side)
    elif flags & ACK and not flows[row, BITS] & (1 << (SEQ_KNOWN + 1 - side)):
        # A reset that answers a SYN which was not seen, or comes later: it tells the SYN's number.
        flows[row, BITS] |= i64(1) << (SEQ_KNOWN + 1 - side)
        flows[row, FIRST_SEQ + 1 - side] = (work[P_ACK] - 1) & _LOW32
        flows[row, NEXT_SEQ + 1 - side] = work[P_ACK]
    note_history(flows, row, flags, payload, side)
    bits = next_states(flows[row, BITS], flags, payload, side)
    if flags & SYN:
        bits |= i64(1) << ((SYNACK_SEEN if flags & ACK else SYN_SEEN) + side)
    if flags & FIN:
        bits |= i64(1) << (FIN_SEEN + side)
    if flags & RST:
        bits |= i64(1) << (RST_SEEN + side)
    peer = 1 - side
    finished = flags & ACK and bits & (1 << (FIN_SEEN + peer))
    if finished and work[P_ACK] == (flows[row, NEXT_SEQ + peer] + 1) & _LOW32:
        bits |= i64(1) << (FIN_ACKED + peer)
    if flags & (ACK | SYN | RST) == ACK:
        bits |= i64(1) << (ACK_SEEN + side)
    bits |= i64(flags & 0xFF) << (FLAGS_SHIFT + 8 * side)
    low, high = endpoint_state(bits, 0), endpoint_state(bits, 1)
    if low == RESET or high == RESET or (low == FINISHED and high == FINISHED):
        bits |= CLOSED
    flows[row, BITS] = bits
