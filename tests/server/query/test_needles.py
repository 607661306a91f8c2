"""What is looked for in the index of ends is there in every session that a query finds, and the store reckons it as we
do. (test_compile.py asks the store itself, with the index before every condition.)"""

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv6Address
from pathlib import Path

import clickhouse_connect
import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from helpers.query_strategies import NAMED, SENSORS, expressions, sessions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterfact_protocol.query import Query, parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.query.nodes import Expr
from afterfact_protocol.records import Records
from afterfact_server.query.needles import MAX_TOKENS, needles
from afterfact_server.query.parameters import Parameters
from afterfact_server.query.resolve import resolved
from afterfact_server.store.needles import TOKENS, address_token, port_token, prefix_token

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EDGES = [0, 1, 255, 256, 1 << 8, 1 << 120, 0xFFFF_0000_0000, 0xFFFF_0A00_0000, 0xFFFF_0A01_0000, (1 << 128) - 1]


def tokens_of(row: np.void) -> set[bytes]:
    ends = [int.from_bytes(bytes(row[name]), "big") for name in ("src_ip", "dst_ip")]
    ports = [port_token(int(row[name])) for name in ("src_port", "dst_port")]
    return {*map(address_token, ends), *map(prefix_token, ends), *ports}


def looked_for(where: Expr | None) -> list[set[bytes]]:
    """The alternatives, taken from the SQL and its parameters."""
    parameters = Parameters()
    sql = needles(where, parameters)
    if not sql:
        return []
    assert sql.endswith(") AND ")
    found = []
    for alternative in sql[1:].removesuffix(") AND ").split(" OR "):
        names = [part.split("unhex({")[1].split(":")[0] for part in alternative.split(" AND ")]
        found.append({bytes.fromhex(parameters.values[name]) for name in names})
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(), expressions())
def test_every_session_found_has_them(rows: Records, where: Expr) -> None:
    alternatives = looked_for(resolved(Query(where), NAMED).where)
    if alternatives:
        for row in rows[matches(where, rows, SENSORS, NAMED)]:
            assert any(one <= tokens_of(row) for one in alternatives), str(Query(where))


@pytest.mark.parametrize(
    ("text", "count", "each"),
    [
        ("ip = 10.1.2.3", 1, 1),
        ("ip = 10.1.0.0/16 AND port = 80", 1, 2),
        ("ip = 10.1.2.0/24 OR dst_port IN (1, 2)", 3, 1),
        ("endpoint = '10.1.2.3:80'", 1, 2),
        ("ip = 10.1.2.3 AND ip = 10.9.9.9 AND established", 1, 2),
        ("port = 80 AND NOT ip = 10.1.2.3", 1, 1),
        ("dst_ip = 2001:db8::1 AND dst_ip IN (10.1.2.3, 10.1.2.4)", 1, 1),
    ],
)
def test_what_is_looked_for(text: str, count: int, each: int) -> None:
    found = looked_for(parse(text, NOW).where)
    assert [len(one) for one in found] == [each] * count


@pytest.mark.parametrize(
    "text",
    ["", "src_bytes > 5", "NOT ip = 10.1.2.3", "ip != 10.1.2.3", "port = 80 OR src_bytes > 5", "ip = 10.0.0.0/8",
     "src_port = 0", "port IN (80, 0)", "ip = ::", "dst_port > 80", "ip = 2001:db8::/32",
     f"port IN ({', '.join(map(str, range(1, MAX_TOKENS + 2)))})"],
)  # fmt: skip
def test_what_is_not_looked_for(text: str) -> None:
    assert looked_for(parse(text, NOW).where) == []


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path: Path = tmp_path_factory.mktemp("store")
    client = clickhouse_connect.get_client(interface="chdb", path=str(path))
    yield client
    client.close()


_addresses = st.sampled_from(EDGES) | st.integers(0, (1 << 128) - 1)
_ports = st.sampled_from([1, 80, 255, 256, 512, 65_280, 65_535]) | st.integers(1, 65_535)


@settings(max_examples=60, deadline=None)
@given(_addresses, _addresses, _ports, _ports)
def test_the_store_reckons_them_alike(client: Client, src: int, dst: int, sport: int, dport: int) -> None:
    ours = [address_token(src), address_token(dst), prefix_token(src), prefix_token(dst), port_token(sport),
            port_token(dport)]  # fmt: skip
    data = client.raw_query(
        f"SELECT arrayMap(one -> hex(one), {TOKENS}) FROM (SELECT {{src:IPv6}} AS src_ip, {{dst:IPv6}} AS dst_ip, "
        "{sport:UInt16} AS src_port, {dport:UInt16} AS dst_port)",
        parameters={"src": str(IPv6Address(src)), "dst": str(IPv6Address(dst)), "sport": sport, "dport": dport},
        fmt="TSVRaw",
    )
    assert data.decode().strip() == str([one.hex().upper() for one in ours]).replace(" ", "")
