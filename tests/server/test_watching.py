"""Who should have seen what is asked, by hand and against every session of a small world."""

from datetime import UTC, datetime
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.query.nodes import And, Compare, Either, Endpoint, Expr, Member, Network, Not, Number, Op, Or
from afterfact_protocol.query.nodes import Column as Field
from afterfact_protocol.session import ROW
from afterfact_server.networks import Configured, NetworkEntry, read_networks
from afterfact_server.query.resolve import resolved
from afterfact_server.watching import common, joined, watch, without, written

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SENSORS = {"border": 1, "dmz": 2, "lab": 3, "spare": 4}
NETWORKS = """
[office]
cidrs = ["10.0.0.0/8"]
home = true
sensors = ["border"]
[dmz]
cidrs = ["10.1.0.0/16", "2001:db8:1::/48"]
home = true
sensors = ["dmz"]
[lab]
cidrs = ["192.168.0.0/16"]
sensors = ["lab"]
[dark]
cidrs = ["172.16.0.0/12"]
sensors = []
"""


def told(text: str, networks: str = NETWORKS) -> tuple[str, bool, str]:
    """Names of the sensors, whether the query named them, and what is unseen."""
    configured = read_networks(networks, list(SENSORS))
    where = resolved(parse(text, NOW), configured.table()).where
    found = watch(where, configured, SENSORS, frozenset(SENSORS.values()))
    names = " ".join(sorted(name for name, number in SENSORS.items() if number in found.sensors))
    texts, more = written(found.unseen, 4)
    return names, found.named, " ".join(texts) + (f" +{more}" if more else "")


ALL = "border dmz lab spare"


@pytest.mark.parametrize(
    ("text", "sensors", "unseen"),
    [
        ("", ALL, ""),
        ("port = 1034 AND established", ALL, ""),
        ("ip = 10.2.3.4", "border", ""),
        ("ip = 10.1.2.3", "border dmz", ""),
        ("src_ip = 2001:db8:1::5", "dmz", ""),
        ("src_ip = 10.0.0.0/8", "border dmz", ""),
        ("ip IN (10.2.3.4, 192.168.1.1)", "border lab", ""),
        ("ip = 10.2.3.4 OR ip = 192.168.1.1", "border lab", ""),
        ("endpoint = '192.168.1.1:80'", "lab", ""),
        ("ip BETWEEN 192.168.0.0 AND 192.168.0.9", "lab", ""),
        # one end that is seen is enough for a session, and who sees either end should have seen it
        ("src_ip = 10.2.3.4 AND dst_ip = 1.2.3.4", "border", ""),
        ("src_ip = 10.2.3.4 AND dst_ip = 192.168.0.1", "border lab", ""),
        ("ip = 10.2.3.4 AND ip = 1.2.3.4", "border", ""),
        # addresses that nobody sees
        ("ip = 1.2.3.4", "", "1.2.3.4"),
        ("ip = 172.16.0.1", "", "172.16.0.1"),
        ("ip = 2001:db8:2::/48", "", "2001:db8:2::/48"),
        ("ip IN (10.2.3.4, 1.2.3.4, 1.2.3.5)", "border", "1.2.3.4/31"),
        ("ip = 192.168.0.0/15", "lab", "192.169.0.0/16"),
        ("src_ip = 1.2.3.4 OR dst_ip = 5.6.7.8", "", "1.2.3.4 5.6.7.8"),
        ("src_ip = 1.2.3.0/24 AND src_ip = 1.2.3.4", "", "1.2.3.4"),
        ("ip = 0.0.0.0/0", "border dmz lab", "0.0.0.0/5 8.0.0.0/7 11.0.0.0/8 12.0.0.0/6 +18"),
        # what addresses are not leaves open what they are
        ("ip != 1.2.3.4", ALL, ""),
        ("NOT ip IN (1.2.3.4, 10.0.0.0/8)", ALL, ""),
        ("NOT (NOT ip = 10.2.3.4)", "border", ""),
        ("NOT (src_ip != 10.2.3.4 OR port = 80)", "border", ""),
        ("ip = 1.2.3.0/24 AND ip != 1.2.3.0/25", "", "1.2.3.128/25"),
        ("port = 80 OR ip = 1.2.3.4", ALL, ""),
        ("port = 80 AND ip = 192.168.1.1 OR proto = udp AND ip = 10.2.3.4", "border lab", ""),
        ("endpoint != '1.2.3.4:80'", ALL, ""),
        ("tunnel_src_ip = 1.2.3.4", ALL, ""),
        ("src_ip = 1.2.3.4 AND src_ip = 5.6.7.8", ALL, ""),
        # networks by name
        ("ip = net('lab')", "lab", ""),
        ("inbound", "border dmz", ""),
        ("inbound AND dst_ip = 2001:db8:1::5", "dmz", ""),
        ("inbound AND dst_ip = 1.2.3.4", ALL, ""),
        ("external AND ip = net('lab')", "lab", ""),
    ],
)
def test_who_should_have_seen(text: str, sensors: str, unseen: str) -> None:
    assert told(text) == (sensors, False, unseen)


@pytest.mark.parametrize(
    ("text", "sensors", "unseen"),
    [
        ("sensor = border", "border", ""),
        ("sensor IN ('border', 'lab') AND port = 80", "border lab", ""),
        ("sensor != border", "dmz lab spare", ""),
        ("NOT sensor LIKE '%b%'", "dmz spare", ""),
        ("sensor = border OR sensor = lab", "border lab", ""),
        ("sensor IN ('border', 'lab') AND sensor != lab", "border", ""),
        ("sensor = border AND sensor = lab", "", ""),
        ("sensor LIKE 'x%'", "", ""),
        ("sensor = border AND ip = 192.168.1.1", "border", "192.168.1.1"),
        ("sensor = border AND ip IN (10.2.3.4, 1.2.3.4)", "border", "1.2.3.4"),
    ],
)
def test_sensors_by_name(text: str, sensors: str, unseen: str) -> None:
    assert told(text) == (sensors, True, unseen)


def test_named_on_one_side_of_an_or_is_not_named() -> None:
    assert told("sensor = border OR port = 80") == (ALL, False, "")
    with pytest.raises(QueryError, match="no sensor `bordr`"):
        told("sensor = bordr")


def test_without_networks_and_without_sensors_of_them() -> None:
    assert told("ip = 1.2.3.4", "") == (ALL, False, "")
    assert told("ip = 1.2.3.4", '[a]\ncidrs = ["1.2.3.4"]') == (ALL, False, ""), "it is not said who sees it"
    assert told("ip = 1.2.3.5", '[a]\ncidrs = ["1.2.3.4"]') == ("", False, "1.2.3.5")


def test_a_sensor_that_is_gone_sees_nothing() -> None:
    configured = read_networks(NETWORKS, list(SENSORS))
    found = watch(parse("ip = 192.168.1.1", NOW).where, configured, SENSORS, frozenset({1, 2}))
    assert found.sensors == frozenset() and found.unseen


def test_many_alternatives_take_no_time() -> None:
    """Conditions whose product would have 2 ** 160 kinds."""
    text = " AND ".join(f"(src_ip = 10.2.0.0/{16 + n % 16} OR dst_ip = 192.168.0.0/{16 + n // 16})" for n in range(160))
    assert told(text) == ("border lab", False, "")


def test_written_in_families() -> None:
    assert written(((0xFFFF_0000_0000 - 1, 0xFFFF_0000_0001),), 9) == (("0.0.0.0/31", "::fffe:ffff:ffff"), 0)
    assert written(((0, (1 << 128) - 1),), 1) == (("0.0.0.0/0",), 95 + 1)


# --- against a small world: addresses 10.0.0.0 to 10.0.0.15 -----------------------------------------------------------

WORLD = [int(ip_address("::ffff:10.0.0.0")) + n for n in range(16)]
_nets = st.builds(
    lambda bits, n: Network(WORLD[0] + (n & 15 & ~((1 << bits) - 1)), 128 - bits), st.integers(0, 3), st.integers(0, 15)
)
_fields = st.sampled_from([Field("src_ip"), Field("dst_ip"), Either("ip")])
_tests = st.one_of(
    st.builds(Compare, _fields, st.sampled_from([Op.EQ, Op.NE]), _nets),
    st.builds(lambda field, nets: Member(field, tuple(nets)), _fields, st.lists(_nets, min_size=1, max_size=3)),
    st.builds(lambda net: Compare(Either("endpoint"), Op.EQ, Endpoint(net, 80)), _nets),
    st.builds(lambda port: Compare(Field("dst_port"), Op.EQ, Number(port)), st.sampled_from([80, 81])),
)


def _wheres() -> st.SearchStrategy[Expr]:
    def extended(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        items = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(st.builds(And, items), st.builds(Or, items), st.builds(Not, inner))

    return st.recursive(_tests, extended, max_leaves=6)


_configured = st.lists(st.tuples(_nets, st.sampled_from([("border",), ("lab",), ("border", "dmz"), ()])), min_size=1,
                       max_size=4).map(
    lambda entries: Configured({
        f"n{at}": NetworkEntry(cidrs=(str(net),), sensors=sensors) for at, (net, sensors) in enumerate(entries)
    })
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_wheres(), _configured)
def test_every_session_that_can_be_found_is_seen_or_said_to_be_unseen(where: Expr, configured: Configured) -> None:
    """Of whatever can be found: who sees an end that is asked about is told of, or every sensor is; and where nobody
    sees either end, one of the ends is said to be unseen."""
    rows = np.zeros(len(WORLD) ** 2, ROW)
    packed = np.frombuffer(b"".join(at.to_bytes(16, "big") for at in WORLD), "V16")
    rows["src_ip"], rows["dst_ip"] = np.repeat(packed, 16), np.tile(packed, 16)
    rows["dst_port"] = rows["src_port"] = 80
    found = watch(where, configured, SENSORS, frozenset(SENSORS.values()))
    everyone = found.sensors == frozenset(SENSORS.values())
    seen = {
        at: {
            SENSORS[name]
            for entry in configured.entries.values()
            for name in entry.sensors or ()
            if any(net.first <= at <= net.last for net in entry.addresses)
        }
        for at in WORLD
    }
    for src, dst in rows[matches(where, rows, {})][["src_ip", "dst_ip"]].tolist():
        ends = int.from_bytes(src, "big"), int.from_bytes(dst, "big")
        unseen = [any(first <= end <= last for first, last in found.unseen) for end in ends]
        if everyone:
            continue
        assert any(unseen) or any(seen[end] & found.sensors for end in ends)
        if not any(seen[end] for end in ends):
            assert any(unseen)
    assert not any(seen[at] for first, last in found.unseen for at in WORLD if first <= at <= last)


@given(*[st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=6)] * 2)
def test_arithmetic_of_ranges(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    first, second = (joined((at, at + length) for at, length in ranges) for ranges in (some, others))

    def members(ranges: tuple[tuple[int, int], ...]) -> set[int]:
        return {at for start, end in ranges for at in range(start, end + 1)}

    assert members(common(first, second)) == members(first) & members(second)
    assert members(without(first, second)) == members(first) - members(second)
    assert members(first) == {at for start, length in some for at in range(start, start + length + 1)}
