"""Rows of whole flows as sessions: who called, state, outcome, and what Argus does not know."""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing import evidence, ids
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD, DirectionBy, EndReason, Mark, Outcome, Source, State, TcpFlag, Tunnel
from afterfact_protocol.session import absent_bits as bits

from .rows import CERTAIN, Rows, flip

_NEVER_KNOWN = bits(
    "history", "inner_vlan", "tunnel_src_ip", "tunnel_dst_ip", "src_ip_bytes", "dst_ip_bytes",
    "src_retrans_bytes", "dst_retrans_bytes", "syn_retries", "error_count", "error_type", "error_code",
)  # fmt: skip
_HEADERS = {1: 8, 58: 8, 132: 12}
"""Argus counts from the IP header on where the meter counts from the transport header on."""
_FULL = (b"CON", b"EST", b"CLO", b"FIN", b"ACC")

Mask = NDArray[np.bool_]


def records_of(rows: Rows, going_on: bool = False) -> Records:
    """Of flows with all that has come of them. going_on: each is an interim record."""
    rows = rows.copy()
    tcp, icmp = rows["proto"] == 6, np.isin(rows["proto"], (1, 58))
    direction = _direct(rows, tcp, icmp)
    records = np.zeros(len(rows), RECORD)
    absent = np.full(len(rows), _NEVER_KNOWN, np.uint64)
    records["start_time"], records["end_time"] = rows["start"], rows["end"]
    for name in ("proto", "src_ip", "dst_ip"):
        records[name] = rows[name]
    records["direction_by"] = direction
    records["source"] = Source.ARGUS
    for proto, header in _HEADERS.items():
        for side in ("src", "dst"):
            counted = (rows["proto"] == proto) & (rows[f"{side}_bytes"] >= 0) & (rows[f"{side}_pkts"] >= 0)
            net = np.maximum(rows[f"{side}_bytes"] - header * rows[f"{side}_pkts"], 0)
            rows[f"{side}_bytes"] = np.where(counted, net, rows[f"{side}_bytes"])
    for name, column in (
        ("src_port", "src_port"), ("dst_port", "dst_port"), ("src_pkts", "src_pkts"), ("dst_pkts", "dst_pkts"),
        ("src_bytes", "src_bytes"), ("dst_bytes", "dst_bytes"), ("icmp_type", "icmp_type"),
        ("icmp_code", "icmp_code"), ("icmp_id", "icmp_id"), ("vlan", "vlan"), ("tunnel_id", "label"),
        ("missed_bytes", "missed"),
    ):  # fmt: skip
        said = rows[column] >= 0
        records[name] = np.where(said, rows[column], 0)
        _say_absent(absent, ~said, name)
    records["tunnel"] = np.where(rows["label"] >= 0, Tunnel.MPLS, 0)
    records["foreign_id"] = np.where(rows["seq"] >= 0, rows["seq"].astype("S20"), b"")
    _say_absent(absent, rows["seq"] < 0, "foreign_id")
    flags_known = tcp & (((rows["src_flags"] | rows["dst_flags"]) != 0) | (rows["state"] == b""))
    records["src_flags"] = np.where(flags_known, rows["src_flags"], 0)
    records["dst_flags"] = np.where(flags_known, rows["dst_flags"], 0)
    _say_absent(absent, ~flags_known, "src_flags", "dst_flags")
    state, state_known = _state(rows, tcp, icmp, flags_known)
    records["state"] = np.where(state_known, state, 0)
    _say_absent(absent, ~state_known, "state")
    records["outcome"] = _outcome(rows, tcp, icmp, flags_known)
    told = rows["unreachable"] & (rows["inode"] != np.zeros((), "V16"))
    records["error_ip"] = np.where(told, rows["inode"], np.zeros((), "V16"))
    _say_absent(absent, ~told, "error_ip")
    midstream = tcp & flags_known & (((rows["src_flags"] | rows["dst_flags"]) & np.uint8(TcpFlag.SYN)) == 0)
    records["marks"] = np.where(midstream | ~rows["first"], Mark.PARTIAL, 0)
    closed = tcp & np.isin(records["state"], [State.SF, State.REJ, State.RSTO, State.RSTR]) & state_known
    records["end_reason"] = EndReason.OPEN if going_on else np.where(closed, EndReason.CLOSED, 0)
    if not going_on:
        _say_absent(absent, ~closed, "end_reason")
    packets = np.maximum(rows["src_pkts"], 0) + np.maximum(rows["dst_pkts"], 0)
    records["revision"] = 2 * packets + (not going_on)
    records["absent"] = absent
    ids.identify(records)
    return records


def _say_absent(absent: NDArray[np.uint64], which: Mask, *names: str) -> None:
    absent[which] |= np.uint64(bits(*names))


def _direct(rows: Rows, tcp: Mask, icmp: Mask) -> NDArray[np.uint8]:
    """Put the caller on the source side; why it is taken for that."""
    src, dst = rows["src_flags"], rows["dst_flags"]
    syn, answer = evidence.has(src, TcpFlag.SYN), evidence.has(dst, TcpFlag.SYN)
    # A lone SYN-ACK, and a SYN on the other side.
    lone = syn & evidence.has(src, TcpFlag.ACK) & (rows["dst_pkts"] == 0) & (rows["src_pkts"] == 1)
    other = answer & ~syn & ~evidence.has(dst, TcpFlag.ACK)
    flip(rows, tcp & (lone | other))
    # src_flags and dst_flags are views, so they have been exchanged too.
    syn, answer = evidence.has(src, TcpFlag.SYN), evidence.has(dst, TcpFlag.SYN)
    ported = (rows["src_port"] > 0) & (rows["dst_port"] > 0)
    src_port, dst_port = (np.maximum(rows[name], 0) for name in ("src_port", "dst_port"))
    told, back = evidence.called_by_port(src_port, dst_port, rows["dst_ip"])
    unseen = tcp & ~syn & ~answer & (rows["dir"] != CERTAIN)
    guessed = (unseen | np.isin(rows["proto"], (17, 132, 136))) & (rows["dir"] > 0) & ported & told
    flip(rows, guessed & back)
    asks = icmp & np.isin(rows["icmp_type"], evidence.REQUESTS[1] + evidence.REQUESTS[58])
    first = rows["dir"] > 0
    return np.select(
        [tcp & syn, tcp & answer, tcp & (rows["dir"] == CERTAIN) & ~rows["first"], guessed, asks, first],
        [
            np.uint8(DirectionBy.SYN),
            np.uint8(DirectionBy.SYNACK),
            np.uint8(DirectionBy.SYN),
            np.uint8(DirectionBy.PORT),
            np.uint8(DirectionBy.REQUEST),
            np.uint8(DirectionBy.FIRST),
        ],
        np.uint8(DirectionBy.UNKNOWN),
    )


def _state(rows: Rows, tcp: Mask, icmp: Mask, flags_known: Mask) -> tuple[NDArray[np.uint8], Mask]:
    """States, and whether they can be told: not of TCP whose beginning is in another file, nor of a name that leaves
    open who closed."""
    counted = (rows["src_pkts"] >= 0) & (rows["dst_pkts"] >= 0)
    of_flags = evidence.tcp_state(rows["src_flags"], rows["dst_flags"], rows["src_pkts"], rows["dst_pkts"])
    pair = evidence.pair_state(rows["src_pkts"], rows["dst_pkts"])
    asks = np.isin(rows["icmp_type"], evidence.REQUESTS[1] + evidence.REQUESTS[58])
    alone = (icmp & ~asks) | ~np.isin(rows["proto"], (1, 6, 17, 58, 132, 136))
    certain = rows["dir"] == CERTAIN
    named = {b"REQ": State.S0, b"ACC": State.S1, b"CON": State.S1, b"EST": State.S1, b"CLO": State.SF}
    by_name = np.full(len(rows), 255, np.uint8)
    for name, state in named.items():
        by_name[(rows["state"] == name) & certain] = state
    value = np.where(tcp, np.where(flags_known, of_flags, by_name), np.where(alone, np.uint8(State.OTH), pair))
    known = np.where(tcp, np.where(flags_known, rows["first"] & counted, by_name != 255), counted | alone)
    return value.astype(np.uint8), known


def _outcome(rows: Rows, tcp: Mask, icmp: Mask, flags_known: Mask) -> NDArray[np.uint8]:
    src_pkts, dst_pkts = rows["src_pkts"], rows["dst_pkts"]
    counted = (src_pkts >= 0) & (dst_pkts >= 0)
    weighed = (rows["src_bytes"] >= 0) & (rows["dst_bytes"] >= 0)
    unknown = np.uint8(Outcome.UNKNOWN)
    data = np.where(weighed, evidence.by_data(rows["src_bytes"] > 0, rows["dst_bytes"] > 0), unknown)
    of_flags = evidence.tcp_outcome(rows["src_flags"], rows["dst_flags"], src_pkts, dst_pkts, data)
    both = (src_pkts > 0) & (dst_pkts > 0)
    open_name = np.isin(rows["state"], _FULL) & both
    asked_name = (rows["state"] == b"REQ") & (dst_pkts == 0)
    of_name = np.select([open_name, asked_name], [data, np.uint8(Outcome.ATTEMPTED)], unknown)
    # Continued from another file: flags say less than traffic both ways.
    of_tcp = np.where(flags_known, np.where(rows["first"] | ~both, of_flags, data), of_name)
    asks = np.isin(rows["icmp_type"], evidence.REQUESTS[1] + evidence.REQUESTS[58])
    pairs = (icmp & asks) | np.isin(rows["proto"], (17, 132, 136))
    of_pair = evidence.pair_outcome(src_pkts, dst_pkts, data)
    outcome = np.where(tcp, of_tcp, np.where(pairs | (both & ~icmp), of_pair, unknown))
    failed = rows["unreachable"] & (outcome == Outcome.ATTEMPTED)
    own = rows["inode"] == rows["dst_ip"]
    outcome = np.where(failed, np.where(own, np.uint8(Outcome.REFUSED), np.uint8(Outcome.UNREACHABLE)), outcome)
    return np.where(counted, outcome, unknown).astype(np.uint8)
