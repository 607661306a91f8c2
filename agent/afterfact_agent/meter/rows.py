"""From a session's row in the table to a record: state, outcome, flags, history, what is absent.

Writes one record into the output array; owns the meaning of the session as an analyst reads it.
"""

import numpy as np

from afterfact_agent.jit import i64, kernel
from afterfact_protocol.session import (
    FOREIGN_ID_BYTES,
    HISTORY_BYTES,
    RECORD,
    RECORD_FIELDS,
    EndReason,
    Mark,
    Outcome,
    Source,
    State,
    absent_bits,
)

from .decode import TCP as PROTO_TCP
from .decode import UDP as PROTO_UDP
from .layout import (
    A_HI,
    ACK_SEEN,
    B_HI,
    BITS,
    BYTES,
    C_RECORDS,
    CHANGED,
    COUNTS,
    DETAIL,
    DIRECTION_SHIFT,
    ENCAP,
    END,
    ERROR_HI,
    ERROR_LO,
    ERROR_REFUSED,
    ERROR_UNREACHABLE,
    ERRORS,
    ESTABLISHED,
    FINISHED,
    FLAGS_SHIFT,
    HISTORY,
    HISTORY_SEEN,
    INACTIVE,
    INNER_VLAN_SHIFT,
    IP_BYTES,
    KIND_PAIRED,
    KIND_PORTS,
    M_OUT,
    MARKS,
    ORIGINATOR,
    OUTER,
    PARTIAL,
    PKTS,
    PORTS,
    REJECTED,
    REPORTED,
    RESET,
    RETRANS,
    SESSION_ID,
    START,
    SYN_ACK_SENT,
    SYN_SEEN,
    SYNACK_SEEN,
    TUNNEL_ID,
    TUNNELS_SHIFT,
    Rows,
    Words,
)
from .tcp import FIN, HISTORY_COUNT_SHIFT, HISTORY_LETTERS, RST, endpoint_state

FOREIGN_ID_WORDS = FOREIGN_ID_BYTES // 8

# The record as kernels see it: addresses as two words, the history as bytes, the id signed; not a byte moves.
_OPAQUE = {"V16": ("<i8", (2,)), "<u8": ("<i8", ())}
_TEXT = {"history": ("u1", (HISTORY_BYTES,)), "foreign_id": ("<i8", (FOREIGN_ID_WORDS,))}
OUTPUT: np.dtype[np.void] = np.dtype(
    [(f.name, *(_TEXT.get(f.name) or _OPAQUE.get(f.dtype) or (f.dtype, ()))) for f in RECORD_FIELDS]
)
if OUTPUT.itemsize != RECORD.itemsize:
    raise AssertionError("the kernels' view of a record does not lie over RECORD")

OTH, S0, S1, SF, REJ, S2, S3 = (int(State[name]) for name in ("OTH", "S0", "S1", "SF", "REJ", "S2", "S3"))
RSTO, RSTR, RSTOS0, RSTRH, SH, SHR = (int(State[name]) for name in ("RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"))
UNKNOWN, ATTEMPTED, REFUSED, UNREACHABLE = (
    int(o) for o in (Outcome.UNKNOWN, Outcome.ATTEMPTED, Outcome.REFUSED, Outcome.UNREACHABLE)
)
OPENED, ONE_WAY, BOTH_WAYS = int(Outcome.OPENED), int(Outcome.ONE_WAY), int(Outcome.BOTH_WAYS)
REASON_OPEN = int(EndReason.OPEN)
SOURCE_AFTERFACT = int(Source.AFTERFACT)
MARK_BITS = sum(Mark)

ABSENT_ALWAYS = absent_bits("foreign_id", "missed_bytes")
ABSENT_PORTS = absent_bits("src_port", "dst_port")
ABSENT_TCP = absent_bits("src_flags", "dst_flags", "src_retrans_bytes", "dst_retrans_bytes", "syn_retries")
ABSENT_HISTORY = absent_bits("history")
ABSENT_ICMP = absent_bits("icmp_type", "icmp_code", "icmp_id")
ABSENT_ICMP_ID = absent_bits("icmp_id")
ABSENT_VLAN, ABSENT_INNER_VLAN = absent_bits("vlan"), absent_bits("inner_vlan")
ABSENT_TUNNEL_ID, ABSENT_OUTER = absent_bits("tunnel_id"), absent_bits("tunnel_src_ip", "tunnel_dst_ip")
ABSENT_ERROR = absent_bits("error_type", "error_code", "error_ip")

_LETTERS = np.frombuffer(HISTORY_LETTERS.encode(), np.uint8)


@kernel
def big_endian(word: int) -> int:
    """The word whose bytes in memory, on this little-endian machine, are the given word's in network order."""
    swapped = i64(0)
    for place in range(8):
        swapped |= ((word >> (8 * place)) & 0xFF) << (56 - 8 * place)
    return swapped


@kernel
def tcp_state(bits: int, originator: int) -> int:
    """Zeek's conn_state, from the two endpoint states."""
    ours, theirs = endpoint_state(bits, originator), endpoint_state(bits, 1 - originator)
    ours_unseen, theirs_unseen = ours <= PARTIAL, theirs <= PARTIAL
    if theirs == RESET:
        if bits & REJECTED:
            return REJ
        return RSTRH if ours_unseen else RSTR
    if ours == RESET:
        return RSTOS0 if theirs_unseen else RSTO
    if ours == FINISHED and theirs == FINISHED:
        return SF
    if ours == FINISHED:
        return SH if theirs_unseen else S2
    if theirs == FINISHED:
        return SHR if ours_unseen else S3
    if theirs == INACTIVE:
        return S0 if PARTIAL < ours <= SYN_ACK_SENT else OTH
    if theirs == ESTABLISHED:
        if ours == ESTABLISHED:
            return S1
        return SHR if ours == INACTIVE else OTH
    return OTH


@kernel
def carried(ours: int, theirs: int) -> int:
    """The outcome of an open session with so many payload bytes each way."""
    if ours > 0 and theirs > 0:
        return BOTH_WAYS
    return ONE_WAY if ours > 0 or theirs > 0 else OPENED


@kernel
def unanswered(bits: int, otherwise: int) -> int:
    """The outcome of a session that got no answer but perhaps an ICMP error."""
    if bits & ERROR_REFUSED:
        return REFUSED
    return UNREACHABLE if bits & ERROR_UNREACHABLE else otherwise


@kernel
def tcp_outcome(flows: Words, row: int, originator: int) -> int:
    bits = flows[row, BITS]
    responder = 1 - originator
    opened = bits & (1 << (SYNACK_SEEN + responder))
    both_spoke = bits & (1 << (ACK_SEEN + originator)) and bits & (1 << (ACK_SEEN + responder))
    if opened or both_spoke:
        return carried(flows[row, BYTES + originator], flows[row, BYTES + responder])
    if bits & REJECTED:
        return REFUSED
    confirmed = bits & (1 << (ACK_SEEN + originator))  # it acknowledges, so it was answered, unseen by this tap
    if flows[row, PKTS + responder] == 0:
        reset_only = (bits >> (FLAGS_SHIFT + 8 * originator)) & RST and not bits & (1 << (SYN_SEEN + originator))
        return unanswered(bits, UNKNOWN if confirmed or reset_only else ATTEMPTED)
    answer = (bits >> (FLAGS_SHIFT + 8 * responder)) & 0xFF
    if not confirmed and flows[row, PKTS + originator] > 0 and answer & RST and not answer & FIN:
        return REFUSED  # a NULL, FIN or Xmas probe of a closed port
    return UNKNOWN


@kernel
def write_history(flows: Words, row: int, originator: int, out: Rows, at: int) -> None:
    count = flows[row, HISTORY_SEEN] >> HISTORY_COUNT_SHIFT
    for place in range(HISTORY_BYTES):
        letter = i64(0)
        if place < count:
            noted = (flows[row, HISTORY + (place >> 3)] >> ((place & 7) * 8)) & 0xFF
            letter = i64(_LETTERS[(noted & 63) - 1])
            if letter >= 97 and (noted >> 6) == originator:
                letter -= 32
        out[at]["history"][place] = letter


@kernel
def write_record(flows: Words, work: Words, row: int, reason: int, out: Rows) -> None:
    """Append the session as it stands to `out` (dtype OUTPUT), which has room."""
    bits = flows[row, BITS]
    originator = bits & ORIGINATOR
    responder = 1 - originator
    key = flows[row, PORTS]
    kind = (key >> 40) & 7
    proto = (key >> 32) & 0xFF
    absent = i64(ABSENT_ALWAYS)
    at = work[M_OUT]
    record = out[at]
    record["start_time"] = flows[row, START]
    record["end_time"] = flows[row, END]
    record["session_id"] = flows[row, SESSION_ID]
    ended = 0 if reason == REASON_OPEN else 1
    errors = flows[row, ERRORS] >> 16
    record["revision"] = 2 * (flows[row, PKTS] + flows[row, PKTS + 1] + errors) + ended
    record["proto"] = proto
    source, target = (A_HI, B_HI) if originator == 0 else (B_HI, A_HI)
    for word in range(2):
        record["src_ip"][word] = big_endian(flows[row, source + word])
        record["dst_ip"][word] = big_endian(flows[row, target + word])
    if kind == KIND_PORTS:
        record["src_port"] = (key >> (16 * responder)) & 0xFFFF
        record["dst_port"] = (key >> (16 * originator)) & 0xFFFF
    else:
        record["src_port"] = 0
        record["dst_port"] = 0
        absent |= ABSENT_PORTS
    record["src_pkts"] = flows[row, PKTS + originator]
    record["dst_pkts"] = flows[row, PKTS + responder]
    record["src_bytes"] = flows[row, BYTES + originator]
    record["dst_bytes"] = flows[row, BYTES + responder]
    record["src_ip_bytes"] = flows[row, IP_BYTES + originator]
    record["dst_ip_bytes"] = flows[row, IP_BYTES + responder]
    record["src_flags"] = (bits >> (FLAGS_SHIFT + 8 * originator)) & 0xFF
    record["dst_flags"] = (bits >> (FLAGS_SHIFT + 8 * responder)) & 0xFF
    record["src_retrans_bytes"] = flows[row, RETRANS + originator]
    record["dst_retrans_bytes"] = flows[row, RETRANS + responder]
    state = i64(OTH)
    outcome = i64(UNKNOWN)
    if proto == PROTO_TCP and kind == KIND_PORTS:
        state = i64(tcp_state(bits, originator))
        outcome = i64(tcp_outcome(flows, row, originator))
        record["syn_retries"] = flows[row, DETAIL]
    else:
        absent |= ABSENT_TCP
        record["syn_retries"] = 0
        asked, answered = flows[row, PKTS + originator] > 0, flows[row, PKTS + responder] > 0
        if asked and answered:
            outcome = i64(carried(flows[row, BYTES + originator], flows[row, BYTES + responder]))
        if proto == PROTO_UDP or kind == KIND_PAIRED:
            state = i64(SF if asked and answered else (S0 if asked else SHR))
            if not answered:
                outcome = i64(unanswered(bits, ATTEMPTED))
        elif not answered:
            outcome = i64(unanswered(bits, UNKNOWN))
    record["state"] = state
    record["outcome"] = outcome
    if kind != KIND_PORTS or (proto != PROTO_TCP and proto != PROTO_UDP):
        absent |= ABSENT_HISTORY
        for place in range(HISTORY_BYTES):
            record["history"][place] = 0
    else:
        write_history(flows, row, originator, out, at)
    if kind >= KIND_PAIRED:
        record["icmp_type"] = (flows[row, DETAIL] >> 24) & 0xFF
        record["icmp_code"] = (flows[row, DETAIL] >> 16) & 0xFF
        record["icmp_id"] = flows[row, DETAIL] & 0xFFFF
        if (flows[row, DETAIL] >> 32) == 0:
            absent |= ABSENT_ICMP_ID
    else:
        record["icmp_type"] = 0
        record["icmp_code"] = 0
        record["icmp_id"] = 0
        absent |= ABSENT_ICMP
    vlan, inner = flows[row, ENCAP] & 0xFFF, (flows[row, ENCAP] >> INNER_VLAN_SHIFT) & 0xFFF
    record["vlan"] = vlan
    record["inner_vlan"] = inner
    if vlan == 0:
        absent |= ABSENT_VLAN
    if inner == 0:
        absent |= ABSENT_INNER_VLAN
    tunnels = flows[row, MARKS] >> TUNNELS_SHIFT
    record["tunnel"] = tunnels
    ident = flows[row, TUNNEL_ID]
    if tunnels == 0 or ident < 0:
        ident = i64(0)
        absent |= ABSENT_TUNNEL_ID
    record["tunnel_id"] = ident
    ours, theirs = OUTER + 2 * originator, OUTER + 2 * responder
    for word in range(2):
        record["tunnel_src_ip"][word] = big_endian(flows[row, ours + word])
        record["tunnel_dst_ip"][word] = big_endian(flows[row, theirs + word])
    if flows[row, OUTER] | flows[row, OUTER + 1] | flows[row, OUTER + 2] | flows[row, OUTER + 3] == 0:
        absent |= ABSENT_OUTER
    record["direction_by"] = (bits >> DIRECTION_SHIFT) & 7
    record["end_reason"] = reason
    record["marks"] = flows[row, MARKS] & MARK_BITS
    record["error_count"] = min(errors, 0xFFFFFFFF)
    record["error_type"] = (flows[row, ERRORS] >> 8) & 0xFF
    record["error_code"] = flows[row, ERRORS] & 0xFF
    record["error_ip"][0] = big_endian(flows[row, ERROR_HI])
    record["error_ip"][1] = big_endian(flows[row, ERROR_LO])
    if errors == 0:
        absent |= ABSENT_ERROR
    record["source"] = SOURCE_AFTERFACT
    for word in range(FOREIGN_ID_WORDS):
        record["foreign_id"][word] = 0
    record["missed_bytes"] = 0
    record["absent"] = absent
    work[M_OUT] += 1
    work[COUNTS + C_RECORDS] += 1
    flows[row, BITS] = (bits | REPORTED) & ~CHANGED
