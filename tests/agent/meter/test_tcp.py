"""TCP: states, history, retries, port re-use, linger, retransmissions, reordering, outcomes."""

import pytest
from helpers.packets import A, B, Frame, Row, Talk, chunk, records, sessions

from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import Meter
from afterfact_protocol.session import Mark

T = Talk()


def one(*frames: Frame) -> Row:
    (row,) = sessions(frames)
    return row


def marks(row: Row) -> Mark:
    return Mark(int(str(row["marks"])))


def test_a_whole_session() -> None:
    row = one(*T.whole())
    assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == (A, 40000, B, 80)
    assert (row["src_pkts"], row["dst_pkts"], row["src_bytes"], row["dst_bytes"]) == (5, 3, 10, 20)
    assert (row["src_ip_bytes"], row["dst_ip_bytes"]) == (5 * 40 + 10, 3 * 40 + 20)
    assert (row["state"], row["outcome"], row["history"]) == ("SF", "both_ways", "ShADdFf")
    assert (row["src_flags"], row["dst_flags"]) == (0b11011, 0b11011)
    assert (row["direction_by"], row["end_reason"], row["syn_retries"], row["marks"]) == ("syn", "closed", 0, 0)
    assert (row["src_retrans_bytes"], row["dst_retrans_bytes"], row["revision"]) == (0, 0, 17)


def states() -> list[tuple[str, list[Frame], str, str]]:
    """(name, frames, state, outcome)"""
    up = T.handshake()
    a, b = 101, 501
    return [
        ("unanswered SYN", [T.out(0, "S", 100)], "S0", "attempted"),
        ("SYN refused", [T.out(0, "S", 100), T.back(1, "RA", 0, a)], "REJ", "refused"),
        ("reset before the SYN in the capture", [T.back(0, "RA", 0, a), T.out(0.001, "S", 100)], "REJ", "refused"),
        ("open, no data", up, "S1", "opened"),
        ("half-open scan of an open port", [*up[:2], T.out(1, "R", a)], "RSTO", "opened"),
        ("data one way", [*up, T.out(1, "PA", a, b, 5)], "S1", "one_way"),
        ("data back only", [*up, T.back(1, "PA", b, a, 5), T.out(1.1, "A", a, b + 5)], "S1", "one_way"),
        ("originator closes", [*up, T.out(1, "FA", a, b), T.back(1.1, "A", b, a + 1)], "S2", "opened"),
        ("responder closes", [*up, T.back(1, "FA", b, a), T.out(1.1, "A", a, b + 1)], "S3", "opened"),
        ("originator resets", [*up, T.out(1, "PA", a, b, 5), T.out(2, "RA", a + 5, b)], "RSTO", "one_way"),
        ("responder resets", [*up, T.back(1, "RA", b, a)], "RSTR", "opened"),
        ("SYN, then RST by the same", [T.out(0, "S", 100), T.out(1, "R", a)], "RSTOS0", "attempted"),
        ("SYN, then FIN, unanswered", [T.out(0, "S", 100), T.out(1, "F", a)], "SH", "attempted"),
        ("SYN-ACK only", [T.back(0, "SA", 500, a)], "SHR", "opened"),
        ("SYN-ACK, then RST by the same", [T.back(0, "SA", 500, a), T.back(1, "R", b)], "RSTRH", "opened"),
        ("mid-stream, both ways", [T.out(0, "PA", a, b, 5), T.back(1, "PA", b, a + 5, 5)], "OTH", "both_ways"),
        ("mid-stream, keep-alives", [T.out(0, "A", a - 1, b), T.back(1, "A", b, a)], "OTH", "opened"),
        ("mid-stream, one side only", [T.out(0, "PA", a, b, 5), T.out(1, "PA", a + 5, b, 5)], "OTH", "unknown"),
        ("one side of a whole session", [up[0], up[2], T.out(1, "PA", a, b, 9)], "S0", "unknown"),
        ("FIN scan of a closed port", [T.out(0, "F", a), T.back(1, "RA", 0, a + 1)], "RSTR", "refused"),
        ("FIN scan, no answer", [T.out(0, "F", a)], "SH", "attempted"),
        ("NULL scan, no answer", [T.out(0, "", a)], "OTH", "attempted"),
        ("ACK scan", [T.out(0, "A", a, b), T.back(1, "R", b)], "RSTRH", "unknown"),
        ("backscatter reset", [T.out(0, "RA", a, b)], "RSTOS0", "unknown"),
    ]


@pytest.mark.parametrize(("frames", "state", "outcome"), [s[1:] for s in states()], ids=[s[0] for s in states()])
def test_states_and_outcomes(frames: list[Frame], state: str, outcome: str) -> None:
    row = one(*frames)
    assert (row["state"], row["outcome"]) == (state, outcome)
    assert (row["src_ip"], row["src_port"]) == (A, 40000)


def test_syn_retries_are_one_session() -> None:
    row = one(*(T.out(time, "S", 100) for time in (0, 1, 3, 7, 15, 31)))
    assert (row["src_pkts"], row["src_bytes"], row["syn_retries"], row["outcome"]) == (6, 0, 5, "attempted")
    assert row["history"] == "S"


def test_another_sequence_number_is_another_attempt() -> None:
    first, second = sessions([T.out(0, "S", 100), T.out(1, "S", 100), T.out(3, "S", 9000), T.back(3.1, "RA", 0, 9001)])
    assert (first["src_pkts"], first["end_reason"], first["outcome"]) == (2, "reused", "attempted")
    assert (second["src_pkts"], second["outcome"], second["end_reason"]) == (1, "refused", "closed")
    assert first["session_id"] != second["session_id"]


def test_an_unanswered_attempt_ends_after_75_seconds() -> None:
    assert len(sessions([T.out(0, "S", 100), T.out(74, "S", 100)])) == 1
    assert len(sessions([T.out(0, "S", 100), T.out(76, "S", 100)])) == 2


def test_the_port_used_again_begins_a_new_session_at_once() -> None:
    first, second = sessions([*T.whole(), *T.whole(0.2, isn=7000, peer_isn=9000)])
    assert [r["state"] for r in (first, second)] == ["SF", "SF"]
    assert (first["end_reason"], first["src_pkts"], second["src_pkts"]) == ("closed", 5, 5)


def test_a_syn_ack_with_a_new_number_after_the_end_begins_a_new_session() -> None:
    again = [T.back(0.2, "SA", 9000, 7001), T.out(0.21, "A", 7001, 9001)]
    first, second = sessions([*T.whole(), *again])
    assert (first["dst_pkts"], second["dst_pkts"], second["direction_by"]) == (3, 1, "synack")


def test_a_syn_in_an_open_and_busy_session_changes_nothing() -> None:
    row = one(*T.handshake(), T.out(0.5, "S", 99999), T.back(0.6, "A", 501, 101))
    assert (row["state"], row["src_pkts"], row["dst_pkts"]) == ("S1", 3, 2)


def test_a_syn_in_an_open_session_that_was_silent_begins_a_new_one() -> None:
    first, second = sessions([*T.handshake(), T.out(60, "S", 99999)])
    assert (first["end_reason"], second["state"]) == ("reused", "S0")


def test_stragglers_belong_to_the_closed_session() -> None:
    row = one(*T.whole(), T.back(4, "FA", 521, 112), T.out(4.1, "A", 112, 522))
    assert (row["src_pkts"], row["dst_pkts"], row["state"]) == (6, 4, "SF")


def test_what_comes_after_the_linger_is_a_session_of_its_own() -> None:
    late = T.back(9, "A", 522, 112)
    first, second = sessions([*T.whole(), late])
    assert (first["end_reason"], second["state"], marks(second)) == ("closed", "OTH", Mark.PARTIAL)


def test_a_fin_that_is_not_acknowledged_is_waited_for() -> None:
    closing = [*T.handshake(), T.back(1, "FA", 501, 101), T.out(1.1, "FA", 101, 501)]
    again = [T.out(time, "FA", 101, 501) for time in (2, 4, 8, 16, 32)]
    row = one(*closing, *again, T.out(33, "R", 102))
    assert (row["src_pkts"], row["state"], row["outcome"]) == (9, "SF", "opened")


def test_reset_after_both_fins_does_not_change_the_end() -> None:
    row = one(*T.whole(), T.out(0.2, "R", 112))
    assert (row["state"], row["history"]) == ("SF", "ShADdFfR")


def test_fin_and_reset_by_the_same_then_fin_is_a_normal_end() -> None:
    a, b = 101, 501
    row = one(*T.handshake(), T.out(1, "FA", a, b), T.out(1.1, "R", a + 1), T.back(1.2, "FA", b, a + 1))
    assert row["state"] == "SF"


def test_syn_ack_first_flips_and_the_late_syn_belongs() -> None:
    row = one(T.back(0, "SA", 500, 101), T.out(0.1, "A", 101, 501), T.out(0.2, "PA", 101, 501, 9))
    assert (row["src_ip"], row["direction_by"], row["state"]) == (A, "synack", "S1")
    assert str(row["history"]).startswith("^h") and marks(row) == Mark.PARTIAL
    row = one(T.back(0, "SA", 500, 101), T.out(0.001, "S", 100), T.out(0.1, "A", 101, 501))
    assert (row["src_ip"], row["direction_by"], row["state"]) == (A, "syn", "S1")
    assert marks(row) == Mark.LATE_SYN


def test_mid_stream_goes_by_the_known_port() -> None:
    row = one(T.back(0, "PA", 501, 101, 5), T.out(1, "PA", 101, 506, 5))
    assert (row["src_ip"], row["direction_by"], marks(row)) == (A, "port", Mark.PARTIAL)


def test_both_call_at_once() -> None:
    peers = Talk(sport=4000, dport=4001)
    frames = [
        peers.out(0, "S", 100),
        peers.back(0.001, "S", 500),
        peers.out(0.1, "SA", 100, 501),
        peers.back(0.1, "SA", 500, 101),
        peers.out(0.2, "PA", 101, 501, 5),
    ]
    row = one(*frames)
    assert (row["src_ip"], row["state"], row["outcome"], row["src_pkts"]) == (A, "S1", "one_way", 3)


def test_retransmitted_bytes_are_counted_apart() -> None:
    up, a, b = T.handshake(), 101, 501
    row = one(*up, *(T.out(time, "PA", a, b, 100) for time in (1, 1.2, 1.6)), T.out(2, "PA", a + 50, b, 100))
    assert (row["src_bytes"], row["src_retrans_bytes"]) == (400, 250)
    assert "T" in str(row["history"])


def test_reordered_segments_are_no_retransmission() -> None:
    up, a, b = T.handshake(), 101, 501
    order = [0, 3, 1, 2, 5, 4]
    row = one(*up, *(T.out(1 + at / 10, "PA", a + 100 * part, b, 100) for at, part in enumerate(order)))
    assert (row["src_bytes"], row["src_retrans_bytes"]) == (600, 0)


def test_a_hole_filled_twice_is_a_retransmission_once() -> None:
    up, a, b = T.handshake(), 101, 501
    parts = [0, 2, 1, 1]
    row = one(*up, *(T.out(1 + at / 10, "PA", a + 100 * part, b, 100) for at, part in enumerate(parts)))
    assert row["src_retrans_bytes"] == 100


def test_sequence_numbers_wrap() -> None:
    isn = 0xFFFFFFF0
    up, a, b = T.handshake(isn=isn), isn + 1, 501
    row = one(*up, T.out(1, "PA", a, b, 100), T.out(2, "PA", a + 100, b, 100), T.out(3, "PA", a, b, 100))
    assert (row["src_bytes"], row["src_retrans_bytes"]) == (300, 100)


def test_a_rogue_number_makes_no_phantom_bytes() -> None:
    up, a, b = T.handshake(), 101, 501
    rogue = T.out(1.5, "PA", a + 0x60000000, b, 10)
    row = one(*up, T.out(1, "PA", a, b, 100), rogue, T.out(2, "PA", a + 100, b, 100))
    assert (row["src_bytes"], row["src_retrans_bytes"]) == (210, 0)


def test_earlier_bytes_after_a_mid_stream_start_are_fresh() -> None:
    row = one(T.out(0, "PA", 1100, 1, 100), T.out(0.1, "PA", 1000, 1, 100), T.out(0.2, "PA", 1000, 1, 100))
    assert (row["src_bytes"], row["src_retrans_bytes"]) == (300, 100)


def wrong(sent: Frame) -> Frame:
    """With a wrong checksum."""
    return sent[0], sent[1][:-1] + bytes([sent[1][-1] ^ 1])


def test_every_letter_fits_in_the_history() -> None:
    a, b = 101, 501
    frames = [
        *T.handshake(),
        T.back(0.1, "A", b, a),
        T.out(0.2, "PA", a, b, 5),
        T.out(0.3, "PA", a, b, 5),
        T.back(0.4, "PA", b, a, 5),
        T.back(0.5, "PA", b, a, 5),
        T.out(0.6, "FR", a, b),
        T.back(0.7, "FR", b, a),
        T.out(0.8, "SF", 100, b),
        T.back(0.9, "SF", 500, a),
        T.out(1.0, "F", a + 5, b),
        T.back(1.1, "F", b + 5, a),
        T.out(1.2, "R", a + 6, b),
        T.back(1.3, "R", b + 6, a),
        wrong(T.out(1.4, "A", a, b)),
        wrong(T.back(1.5, "A", b, a)),
    ]
    row = one(*frames)
    assert row["history"] == "ShAaDTdtIiQqFfRrCc"
    assert Mark.HISTORY_CUT not in marks(row)


def test_a_silent_session_stays_for_an_hour() -> None:
    frames = [*T.handshake(), T.out(3500, "A", 100, 501), T.back(3500.1, "A", 501, 101)]
    assert len(sessions(frames)) == 1
    assert len(sessions(frames, MeterConfig(tcp_idle=600))) == 2


def test_swapped_directions_swap_the_sides() -> None:
    mirror = Talk(B, 40000, A, 80)
    there, back = one(*T.whole()), one(*mirror.whole())
    for name in ("pkts", "bytes", "ip_bytes", "flags", "retrans_bytes"):
        assert there[f"src_{name}"] == back[f"src_{name}"] and there[f"dst_{name}"] == back[f"dst_{name}"]
    assert (there["src_ip"], there["dst_ip"], there["history"]) == (back["dst_ip"], back["src_ip"], back["history"])


def test_ids_do_not_depend_on_the_run() -> None:
    """A number that may not change: stored sessions bear it."""
    assert int(records(Meter(), chunk(T.whole()))["session_id"][0]) == 9600151903991512555


def test_equal_sessions_get_different_ids() -> None:
    """Begun, evicted and begun again within a microsecond."""
    crowd = [Talk(sport=1000 + n).out(0, "S", 5) for n in range(64)]
    meter = Meter(MeterConfig(max_sessions=64, duplicates=0))
    array = records(meter, chunk([*crowd, Talk(sport=9000).out(0, "S", 5), crowd[0], crowd[0]]))
    assert meter.counters["evicted"] == 2
    assert len({(int(r["start_time"]), int(r["session_id"])) for r in array}) == len(array)
