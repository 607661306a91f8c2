"""What a session is: who called whom and why, what came of it, when it ends; UDP, ICMP and other protocols.

TCP's own rules are in test_tcp.py.
"""

import pytest
from helpers.packets import A6, B6, SCTP, TCP, A, B, Talk, chunk, frame, icmp, sessions, tcp_header, udp, udp_header

from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import Meter

MULTICAST, ROUTER = "224.0.0.251", "192.0.2.1"
FIRST_DNS, ANSWER = udp(0, A, 5000, B, 53, 30), udp(0.1, B, 53, A, 5000, 100)


def test_udp_request_and_answer_are_one_session() -> None:
    (row,) = sessions([FIRST_DNS, ANSWER])
    assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == (A, 5000, B, 53)
    assert (row["src_pkts"], row["dst_pkts"], row["src_bytes"], row["dst_bytes"]) == (1, 1, 30, 100)
    assert (row["src_ip_bytes"], row["dst_ip_bytes"]) == (58, 128)
    assert (row["state"], row["outcome"], row["direction_by"]) == ("SF", "both_ways", "port")
    assert row["history"] == "Dd"
    assert row["end_time"] - row["start_time"] == 100_000  # type: ignore[operator]


def test_unanswered_udp_was_attempted() -> None:
    (row,) = sessions([FIRST_DNS])
    assert (row["state"], row["outcome"], row["dst_pkts"]) == ("S0", "attempted", 0)


def test_an_answer_alone_leaves_the_outcome_unknown() -> None:
    (row,) = sessions([ANSWER])
    assert (row["src_ip"], row["src_port"]) == (A, 5000)
    assert (row["state"], row["outcome"], row["direction_by"]) == ("SHR", "unknown", "port")
    assert row["history"] == "^d"


def test_direction_by_first_packet_when_ports_say_nothing() -> None:
    (row,) = sessions([udp(0, B, 40000, A, 50000), udp(1, A, 50000, B, 40000)])
    assert (row["src_ip"], row["direction_by"]) == (B, "first")


def test_nobody_is_called_a_multicast_group() -> None:
    (row,) = sessions([udp(0, A, 53, MULTICAST, 50000)])
    assert (row["src_ip"], row["dst_ip"], row["direction_by"]) == (A, MULTICAST, "first")


def test_udp_ends_after_a_minute_of_silence() -> None:
    assert len(sessions([FIRST_DNS, udp(60, A, 5000, B, 53)])) == 1
    first, second = sessions([FIRST_DNS, udp(60.1, A, 5000, B, 53)])
    assert (first["end_reason"], second["end_reason"]) == ("idle", "forced")


def test_idle_times_can_be_set() -> None:
    frames = [FIRST_DNS, udp(31, A, 5000, B, 53)]
    assert len(sessions(frames, MeterConfig(udp_idle=30))) == 2


def test_protocols_and_vlans_do_not_mix() -> None:
    same = (A, 53, B, 53)
    tcp = frame(A, B, TCP, tcp_header(53, 53, "S"))
    rows = sessions([udp(0, *same), (0.1, tcp), udp(0.2, *same, vlans=[5]), udp(0.3, *same, vlans=[5, 7])])
    assert [(row["proto"], row["vlan"], row["inner_vlan"]) for row in rows] == [
        (17, None, None),
        (6, None, None),
        (17, 5, None),
        (17, 5, 7),
    ]


def test_a_priority_tag_is_no_vlan() -> None:
    (row,) = sessions([udp(0, A, 5000, B, 53), udp(0.1, B, 53, A, 5000, vlans=[0])])
    assert (row["vlan"], row["src_pkts"], row["dst_pkts"]) == (None, 1, 1)


@pytest.mark.parametrize(("src", "dst", "asking", "reply"), [(A, B, 8, 0), (A, B, 13, 14), (A6, B6, 128, 129)])
def test_icmp_request_and_reply_are_paired_by_id(src: str, dst: str, asking: int, reply: int) -> None:
    frames = [
        icmp(0, src, dst, asking, ident=7, data=b"x" * 56),
        icmp(0.1, dst, src, reply, ident=7, data=b"x" * 56),
        icmp(1, src, dst, asking, ident=7, data=b"x" * 56),
        icmp(2, src, dst, asking, ident=8),
    ]
    answered, other = sessions(frames)
    assert (answered["src_ip"], answered["src_pkts"], answered["dst_pkts"]) == (src, 2, 1)
    assert (answered["src_bytes"], answered["dst_bytes"]) == (112, 56)
    assert (answered["icmp_type"], answered["icmp_code"], answered["icmp_id"]) == (asking, 0, 7)
    assert (answered["state"], answered["outcome"], answered["direction_by"]) == ("SF", "both_ways", "request")
    assert (other["state"], other["outcome"], other["icmp_id"]) == ("S0", "attempted", 8)
    for name in ("src_port", "dst_port", "src_flags", "history", "syn_retries", "src_retrans_bytes"):
        assert answered[name] is None


def test_an_icmp_reply_seen_first_was_still_asked_for() -> None:
    (row,) = sessions([icmp(0, B, A, 0, ident=7)])
    assert (row["src_ip"], row["dst_ip"], row["icmp_type"], row["state"]) == (A, B, 8, "SHR")


def test_an_unasked_advertisement_to_all_has_its_sender_as_source() -> None:
    (row,) = sessions([icmp(0, A6, "ff02::1", 134)])
    assert (row["src_ip"], row["dst_ip"], row["direction_by"]) == (A6, "ff02::1", "first")


def quote(packet: bytes, keep: int = 28) -> bytes:
    """The IP packet in a frame, as an ICMP error quotes it."""
    return packet[14 : 14 + keep]


def test_port_unreachable_from_the_host_itself_is_a_refusal() -> None:
    asked, error = sessions([FIRST_DNS, icmp(0.1, B, A, 3, 3, data=quote(FIRST_DNS[1]))])
    assert (asked["outcome"], asked["state"], asked["error_count"]) == ("refused", "S0", 1)
    assert (asked["error_type"], asked["error_code"], asked["error_ip"]) == (3, 3, B)
    assert asked["revision"] == 2 * (1 + 1) + 1
    assert (error["proto"], error["icmp_type"], error["icmp_code"], error["icmp_id"]) == (1, 3, 3, None)
    assert (error["src_ip"], error["state"], error["outcome"], error["error_count"]) == (B, "OTH", "unknown", 0)
    assert error["error_type"] is None and error["error_ip"] is None


@pytest.mark.parametrize(("kind", "code"), [(3, 1), (3, 13), (11, 0), (3, 3)])
def test_errors_of_a_router_say_unreachable(kind: int, code: int) -> None:
    asked, _ = sessions([FIRST_DNS, icmp(0.1, ROUTER, A, kind, code, data=quote(FIRST_DNS[1]))])
    assert (asked["outcome"], asked["error_ip"]) == ("unreachable", ROUTER)


def test_path_mtu_discovery_is_no_failure() -> None:
    asked, _ = sessions([FIRST_DNS, icmp(0.1, ROUTER, A, 3, 4, data=quote(FIRST_DNS[1]))])
    assert (asked["outcome"], asked["error_count"]) == ("attempted", 1)


def test_an_answer_outweighs_an_error() -> None:
    asked, _ = sessions([FIRST_DNS, icmp(0.1, ROUTER, A, 11, data=quote(FIRST_DNS[1])), ANSWER])
    assert asked["outcome"] == "both_ways"


def test_an_error_about_the_answer_is_noted_and_changes_nothing() -> None:
    asked, _ = sessions([FIRST_DNS, ANSWER, icmp(0.2, A, B, 3, 3, data=quote(ANSWER[1]))])
    assert (asked["outcome"], asked["error_count"], asked["error_ip"]) == ("both_ways", 1, A)


@pytest.mark.parametrize(("kind", "code", "outcome"), [(1, 4, "refused"), (1, 0, "unreachable"), (2, 0, "attempted")])
def test_icmpv6_errors(kind: int, code: int, outcome: str) -> None:
    asking = udp(0, A6, 5000, B6, 33434, 8)
    asked, _ = sessions([asking, icmp(0.1, B6, A6, kind, code, data=quote(asking[1], 48))])
    assert (asked["outcome"], asked["error_count"]) == (outcome, 1)


def test_an_error_finds_tcp_and_echo_sessions() -> None:
    syn, ping = Talk().out(0, "S", 1), icmp(0, A, B, 8, ident=9)
    rows = sessions(
        [syn, ping, icmp(1, ROUTER, A, 3, 1, data=quote(syn[1])), icmp(1, ROUTER, A, 3, 1, data=quote(ping[1]))]
    )
    by_proto = {(row["proto"], row["icmp_type"]): row for row in rows}
    assert by_proto[6, None]["outcome"] == by_proto[1, 8]["outcome"] == "unreachable"


def test_an_error_that_quotes_nothing_known_is_counted() -> None:
    meter = Meter()
    list(meter.feed(chunk([icmp(0, ROUTER, A, 3, 1, data=quote(FIRST_DNS[1])), icmp(0, ROUTER, A, 3, 1)])))
    assert meter.counters["unmatched_errors"] == 2


def test_other_protocols_are_keyed_by_addresses() -> None:
    rows = sessions(
        [(0, frame(A, B, 50, bytes(40))), (1, frame(B, A, 50, bytes(60))), (2, frame(A, "224.0.0.5", 89, bytes(44)))]
    )
    assert [(row["proto"], row["src_pkts"], row["dst_pkts"], row["src_bytes"], row["outcome"]) for row in rows] == [
        (50, 1, 1, 40, "both_ways"),
        (89, 1, 0, 44, "unknown"),
    ]
    assert rows[0]["src_port"] is None and rows[0]["state"] == "OTH"


def test_sctp_has_ports() -> None:
    (row,) = sessions([(0, frame(A, B, SCTP, udp_header(5000, 80)[:4] + bytes(16)))])
    assert (row["src_port"], row["dst_port"], row["src_bytes"]) == (5000, 80, 8)


def test_both_ends_the_same() -> None:
    (row,) = sessions([udp(0, A, 53, A, 53), udp(1, A, 53, A, 53)])
    assert (row["src_ip"], row["dst_ip"], row["src_pkts"], row["dst_pkts"]) == (A, A, 2, 0)


def test_an_open_session_is_reported_and_then_only_when_something_came() -> None:
    meter = Meter()
    array = list(meter.feed(chunk([udp(0, A, 40001, B, 40002, 1), udp(1, A, 40001, B, 40002, 1)])))
    start = int(chunk([udp(0, A, 1, B, 2)]).times_us[0])
    array += list(meter.advance(start + 30_000_000))
    assert [(int(r["revision"][0]), int(r["end_reason"][0]), len(r)) for r in array] == [(4, 0, 1)]
    (last,) = list(meter.advance(start + 62_000_000))
    assert (int(last["revision"][0]), int(last["end_reason"][0])) == (5, 2)


def test_long_sessions_are_reported_every_five_minutes_with_counters_that_grow() -> None:
    meter = Meter()
    packets = chunk([udp(second, A, 40001, B, 40002, 10) for second in range(0, 1000, 10)])
    array = [record for chunk_ in meter.feed(packets) for record in chunk_]
    seconds = [(int(r["end_time"]) - int(r["start_time"])) // 1_000_000 for r in array]
    assert seconds == [20, 320, 620, 920]
    assert len({int(r["session_id"]) for r in array}) == 1
    assert [int(r["src_bytes"]) for r in array] == [30, 330, 630, 930]
    (last,) = [record for chunk_ in meter.finish() for record in chunk_]
    assert (int(last["src_pkts"]), int(last["session_id"])) == (100, int(array[0]["session_id"]))


def test_identity_is_frozen_by_the_first_report() -> None:
    late_syn = Talk(sport=40000, dport=50000)
    (learned,) = sessions(
        [late_syn.back(0, "A", 500, 101), late_syn.out(0.5, "A", 101, 501), late_syn.out(1, "S", 100)]
    )
    assert (learned["src_ip"], learned["direction_by"]) == (A, "syn")
    frames = [late_syn.back(0, "A", 500, 101), late_syn.out(0.5, "A", 101, 501), late_syn.out(28, "S", 100)]
    (frozen,) = sessions(frames)
    assert (frozen["src_ip"], frozen["direction_by"]) == (B, "first")
    assert int(str(frozen["marks"])) & 4  # FLIP
