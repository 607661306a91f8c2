"""What networks and home conditions stand for. That the store finds by it what match.py finds is test_compile.py's."""

from datetime import UTC, datetime

import pytest
from helpers.query_strategies import NAMED

from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.networks import NO_NETWORKS, Networks
from afterfact_server.query.resolve import MAX_ADDRESSES, resolved

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOME = "10.0.0.0/8, 2001:db8::/32, ::1"


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("", ""),
        ("ip = 1.2.3.4", "WHERE ip = 1.2.3.4"),
        ("ip = net('dmz')", "WHERE ip IN (10.0.0.0/31, 2001:db8::/32)"),
        ("src_ip != net('v6')", "WHERE src_ip NOT IN (::/0)"),
        ("ip NOT IN (net('it''s'), 1.2.3.4, 9.9.9.9)", "WHERE ip NOT IN (1.2.3.4, 10.0.0.0/8, 9.9.9.9)"),
        ("port = 80 AND inbound", f"WHERE port = 80 AND src_ip NOT IN ({HOME}) AND dst_ip IN ({HOME})"),
        ("outbound", f"WHERE src_ip IN ({HOME}) AND dst_ip NOT IN ({HOME})"),
        ("NOT internal", f"WHERE NOT (src_ip IN ({HOME}) AND dst_ip IN ({HOME}))"),
        ("external OR open LIMIT 5", f"WHERE src_ip NOT IN ({HOME}) AND dst_ip NOT IN ({HOME}) OR open LIMIT 5"),
    ],
)
def test_resolved(text: str, stands_for: str) -> None:
    assert str(resolved(parse(text, NOW), NAMED)) == stands_for


def test_without_networks() -> None:
    assert str(resolved(parse("port = 80 AND NOT open", NOW), NO_NETWORKS)) == "WHERE port = 80 AND NOT open"
    for text in ("inbound", "port = 80 OR NOT external", "ip IN (1.2.3.4, net('dmz'))"):
        with pytest.raises(QueryError, match="none is configured"):
            resolved(parse(text, NOW), NO_NETWORKS)


def test_too_much() -> None:
    home = tuple(found for n in range(MAX_ADDRESSES // 2) if (found := network(f"10.{n >> 8}.{n & 255}.0/31")))
    many = Networks({"many": home}, home)
    resolved(parse("inbound", NOW), many)
    with pytest.raises(QueryError, match="the networks of this query come to over 2,000 CIDRs") as caught:
        resolved(parse("inbound AND ip = net('many')", NOW), many)
    assert (caught.value.start, caught.value.end) == (12, 28)
