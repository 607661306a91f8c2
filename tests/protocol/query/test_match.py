"""Three-valued logic on rows, by hand: what holds, what does not, and what cannot be said."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.query_strategies import NAMED

from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.match import Rows, matches, ordered
from afterfact_protocol.query.networks import NO_NETWORKS, Networks
from afterfact_protocol.session import RECORD, ROW, EndReason, Mark, Outcome, Proto, State, TcpFlag, absent_bits

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SENSORS = {"border": 1, "inside": 2}
T = 1_090_281_600_000_000
TCP, PING, HALF = 0, 1, 2
"""Rows: a TCP session, a ping (no ports, no flags), an import that knew the source port and bytes only."""


def packed(address: str) -> np.ndarray:
    found = network(address)
    assert found is not None
    return np.frombuffer(found.first.to_bytes(16, "big"), "V16")


@pytest.fixture(scope="module")
def rows() -> Rows:
    rows = np.zeros(3, ROW)
    rows["start_time"] = [T, T + 1_000_000, T + 2_000_000]
    rows["end_time"] = rows["start_time"] + [30_000_000, 500_000, 0]
    rows["sensor"] = [1, 2, 1]
    rows["session_id"] = [11, 12, 13]
    rows["proto"] = [Proto.TCP, Proto.ICMP, Proto.TCP]
    for at, (src, dst) in enumerate([("1.2.3.4", "10.0.0.1"), ("10.0.0.1", "8.8.8.8"), ("2001:db8::1", "2001:db8::2")]):
        rows["src_ip"][at], rows["dst_ip"][at] = packed(src)[0], packed(dst)[0]
    rows["src_port"] = [40000, 0, 1034]
    rows["dst_port"] = [80, 0, 0]
    rows["src_bytes"], rows["dst_bytes"] = [100, 64, 2**64 - 1], [5000, 64, 0]
    rows["src_pkts"], rows["dst_pkts"] = [5, 1, 0], [6, 1, 0]
    rows["src_flags"] = [TcpFlag.SYN | TcpFlag.ACK, 0, 0]
    rows["state"] = [State.S1, State.SF, 0]
    rows["outcome"] = [Outcome.BOTH_WAYS, Outcome.ATTEMPTED, Outcome.UNKNOWN]
    rows["end_reason"] = [EndReason.OPEN, EndReason.IDLE, 0]
    rows["history"] = [b"ShAD", b"", b""]
    rows["marks"] = [Mark.PARTIAL | Mark.FLIP, 0, 0]
    rows["absent"] = [
        absent_bits("vlan"),
        absent_bits("src_port", "dst_port", "src_flags"),
        absent_bits("dst_port", "dst_bytes", "src_pkts", "dst_pkts", "src_flags", "state", "history", "end_reason"),
    ]
    return rows


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {TCP, PING, HALF}),
        ("dst_port = 80", {TCP}),
        ("dst_port != 80", set()),
        ("NOT dst_port = 80", set()),
        ("dst_port = 0", set()),
        ("dst_port < 1000 OR proto = icmp", {TCP, PING}),
        ("dst_port IS NULL", {PING, HALF}),
        ("NOT dst_port IS NULL", {TCP}),
        ("dst_port NOT IN (1, 2)", {TCP}),
        ("dst_port NOT BETWEEN 1 AND 9", {TCP}),
        ("proto IS NULL", set()),
        ("proto IS NOT NULL", {TCP, PING, HALF}),
        # FALSE decides an AND and TRUE an OR, whatever is unknown beside it.
        ("NOT (dst_port = 80 AND proto = udp)", {TCP, PING, HALF}),
        ("dst_port = 80 OR proto = tcp", {TCP, HALF}),
        ("NOT (dst_port = 81 OR proto = udp)", {TCP}),
        # either side
        ("port = 80", {TCP}),
        ("port = 1034", {HALF}),
        ("port != 1034", {TCP}),
        ("port != 80", set()),
        ("port != 22", {TCP}),
        ("NOT port = 22", {TCP}),
        ("port NOT IN (22, 23)", {TCP}),
        ("port > 30000", {TCP}),
        ("NOT port > 50000", {TCP}),
        ("port IS NULL", {PING}),
        ("port IS NOT NULL", {TCP, HALF}),
        ("ip = 10.0.0.0/8", {TCP, PING}),
        ("ip != 10.0.0.0/8", {HALF}),
        ("ip = ::/0", {HALF}),
        ("ip = 0.0.0.0/0", {TCP, PING}),
        ("ip IN (8.8.8.8, 2001:db8::/32)", {PING, HALF}),
        # networks: dmz is 10.0.0.0/31 and 2001:db8::/32; 10.0.0.0/8, 2001:db8::/32 and ::1 are home
        ("src_ip = net('dmz')", {PING, HALF}),
        ("src_ip != net('dmz')", {TCP}),
        ("ip != net('dmz')", set()),
        ("ip IN (net('low'), 8.8.8.8)", {PING}),
        ("inbound", {TCP}),
        ("outbound", {PING}),
        ("internal", {HALF}),
        ("external", set()),
        ("NOT inbound", {PING, HALF}),
        ("src_ip BETWEEN 1.0.0.0 AND 9.255.255.255", {TCP}),
        ("endpoint = 10.0.0.1:80", {TCP}),
        ("endpoint = 1.2.3.4:80", set()),
        ("endpoint != 1.2.3.4:80", {TCP, PING, HALF}),
        ("endpoint != 10.0.0.1:80", {HALF}),
        ("endpoint = [2001:db8::1]:1034", {HALF}),
        ("endpoint != [2001:db8::1]:1034", {TCP, PING}),
        ("endpoint != [2001:db8::2]:53", {TCP, PING}),
        ("bytes > 1GB", {HALF}),
        ("bytes = 64 AND pkts = 1", {PING}),
        # computed
        ("duration > 10", {TCP}),
        ("duration = 500ms", {PING}),
        ("duration IS NULL", set()),
        ("total_bytes = 5100", {TCP}),
        ("total_bytes > 0", {TCP, PING}),
        ("total_bytes IS NULL", {HALF}),
        ("total_pkts != 2", {TCP}),
        # names, flags, conditions
        ("established", {TCP}),
        ("NOT established", {PING}),
        ("failed", {PING}),
        ("NOT failed", {TCP}),
        ("outcome != both_ways", {PING, HALF}),
        ("open", {TCP}),
        ("NOT open", {PING}),
        ("state = OTH OR state != S1", {PING}),
        ("src_flags & 2 = 2", {TCP}),
        ("flags_only(src_flags, 'SYN')", set()),
        ("flags_only(src_flags, 'SA')", {TCP}),
        ("flags_none(src_flags, 'RST')", {TCP}),
        ("flags_any(marks, 'LATE_SYN,FLIP')", {TCP}),
        ("flags_all(marks, 'LATE_SYN,FLIP')", set()),
        # text
        ("history = ''", {PING}),
        ("history LIKE 'Sh%'", {TCP}),
        ("history LIKE 'sh%'", set()),
        ("history NOT LIKE 'S%'", {PING}),
        ("history REGEXP 'h.D$'", {TCP}),
        ("history NOT REGEXP 'x'", {TCP, PING}),
        # sensors, times, identifiers
        ("sensor = border", {TCP, HALF}),
        ("sensor != border", {PING}),
        ("sensor LIKE 'in%'", {PING}),
        ("sensor NOT LIKE '%'", set()),
        ("start_time > '2004-07-20 00:00:00'", {PING, HALF}),
        ("start_time IN ('2004-07-20', '2004-07-20 00:00:02')", {TCP, HALF}),
        ("session_id IN (11, 13) AND stream = '00000000000000000000000000000000'", {TCP, HALF}),
        ("proto = tcp UNION proto = icmp", {TCP, PING, HALF}),
    ],
)
def test_what_matches(rows: Rows, text: str, found: set[int]) -> None:
    assert set(np.flatnonzero(matches(parse(text, NOW).where, rows, SENSORS, NAMED)).tolist()) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [HALF, PING, TCP]),
        ("ORDER BY start_time", [TCP, PING, HALF]),
        ("ORDER BY src_port", [HALF, TCP, PING]),
        ("ORDER BY src_port DESC", [TCP, HALF, PING]),
        ("ORDER BY sensor", [HALF, TCP, PING]),
        ("ORDER BY sensor DESC, start_time", [PING, TCP, HALF]),
        ("ORDER BY duration", [HALF, PING, TCP]),
        ("ORDER BY total_bytes DESC", [TCP, PING, HALF]),
        ("ORDER BY src_ip", [TCP, PING, HALF]),
        ("ORDER BY dst_ip", [PING, TCP, HALF]),
        ("ORDER BY history DESC", [TCP, PING, HALF]),
        ("ORDER BY proto DESC", [HALF, TCP, PING]),
    ],
)
def test_order(rows: Rows, text: str, expected: list[int]) -> None:
    assert ordered(parse(text, NOW), rows, SENSORS).tolist() == expected


def test_records_without_stamps(rows: Rows) -> None:
    records = np.zeros(3, RECORD)
    for name in RECORD.names or ():
        records[name] = rows[name]
    assert matches(parse("port = 80", NOW).where, records, {}).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="sensor"):
        matches(parse("sensor = border", NOW).where, records, SENSORS)


def test_no_rows() -> None:
    none = np.zeros(0, ROW)
    for text in ("port = 80", "history LIKE 'a'", "ip = ::1", "total_bytes > 5", "stream = '" + "00" * 16 + "'"):
        assert matches(parse(text, NOW).where, none, SENSORS).tolist() == []
    assert ordered(parse("ORDER BY src_ip, sensor, stream", NOW), none, SENSORS).tolist() == []


def test_unknown_sensor(rows: Rows) -> None:
    with pytest.raises(QueryError, match="no sensor `bordr`; did you mean border"):
        matches(parse("sensor = bordr", NOW).where, rows, SENSORS)


@pytest.mark.parametrize(
    ("text", "networks", "says", "place"),
    [
        ("port = 80 AND inbound", NO_NETWORKS, "`inbound` rests on home networks, and none is configured; on the "
         "server: afterfact-server network add DIR NAME --cidr CIDR --home", "inbound"),
        ("ip = net('dmz')", NO_NETWORKS, "no network `dmz`; none is configured, on the server: afterfact-server "
         "network add DIR NAME --cidr CIDR", "ip = net('dmz')"),
        ("ip = net('dmx')", NAMED, "no network `dmx`; did you mean dmz?", "ip = net('dmx')"),
        ("ip = net('office')", NAMED, "no network `office`; there are dmz, it's, low, v6", "ip = net('office')"),
    ],
)  # fmt: skip
def test_networks_that_there_are_not(rows: Rows, text: str, networks: Networks, says: str, place: str) -> None:
    with pytest.raises(QueryError) as caught:
        matches(parse(text, NOW).where, rows, SENSORS, networks)
    assert caught.value.message == says
    assert text[caught.value.start : caught.value.end] == place
