"""The compiled SQL on the real store finds what match.py finds, and reads no more of the store than it must."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import numpy as np
import numpy.typing as npt
import pytest
from clickhouse_connect.driver.client import Client
from helpers.query_strategies import NAMED, SENSORS, expressions, orders, relations, sessions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterfact_protocol.communityid import digests
from afterfact_protocol.query import Query, QueryError, parse
from afterfact_protocol.query.match import matches, ordered
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.query.nodes import Column, Expr, Member, Network, Not, Order, Relation
from afterfact_protocol.query.regexp import check
from afterfact_protocol.session import FIELDS, ROW, absent_bits
from afterfact_server.query.compile import Compiled, compile_where, key_query, rows_by_keys
from afterfact_server.query.resolve import MAX_ADDRESSES, resolved
from afterfact_server.store.community import DIGEST
from afterfact_server.store.engine import CLIENT_SETTINGS
from afterfact_server.store.packed import FOUND, to_rows
from afterfact_server.store.schema import STATEMENTS

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEYS = np.dtype([("start_time", "<i8"), ("sensor", "<u2"), ("session_id", "<u8"), ("revision", "<u8")])
WORM = """WHERE sessions.start_time > '2004-07-20' AND
(sessions.src_port = 1034 or sessions.dst_port = 1034)
and sessions.dst_port != 80 and sessions.src_port !=80
and sessions.dst_port != 443 and sessions.src_port != 443
LIMIT 500"""
JULY_20 = 1_090_281_600_000_000
DAY = 86_400_000_000

Rows = npt.NDArray[np.void]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path: Path = tmp_path_factory.mktemp("store")
    client = clickhouse_connect.get_client(interface="chdb", path=str(path), settings=CLIENT_SETTINGS)
    client.command(STATEMENTS[0])
    # The disk need not have it before the next example.
    client.command("ALTER TABLE sessions MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0")
    yield client
    client.close()


def store(client: Client, rows: Rows) -> None:
    client.command("TRUNCATE TABLE sessions")
    insert(client, rows)


def insert(client: Client, rows: Rows) -> None:
    """With what the server stores beside the fields left to be computed, as for rows of an older store."""
    client.raw_insert("sessions", [field.name for field in FIELDS], rows.tobytes(), fmt="RowBinary")


def run(client: Client, compiled: Compiled, dtype: np.dtype[np.void]) -> Rows:
    data = client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
    return np.frombuffer(data, dtype)


def keys_of(rows: Rows) -> list[tuple[int, int, int]]:
    return [(int(row["start_time"]), int(row["sensor"]), int(row["session_id"])) for row in rows]


@settings(max_examples=26, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(), st.lists(expressions(), min_size=8, max_size=12), orders())
def test_store_and_matcher_agree(client: Client, rows: Rows, wheres: list[Expr], order: tuple[Order, ...]) -> None:
    """Rows found and their order, with FINAL and without, for whatever the language can say."""
    store(client, rows)
    for where in wheres:
        query = Query(where, order)
        found = keys_of(run(client, key_query(resolved(query, NAMED), SENSORS, 1000), KEYS))
        expected = rows[matches(where, rows, SENSORS, NAMED)]
        assert found == keys_of(expected[ordered(query, expected, SENSORS)]), str(query)


def plain(count: int) -> Rows:
    """Sessions of TCP, one a second, with nothing absent."""
    rows = np.zeros(count, ROW)
    rows["start_time"] = JULY_20 + np.arange(count) * 1_000_000
    rows["end_time"] = rows["start_time"] + 5
    rows["sensor"], rows["session_id"], rows["proto"] = 1, np.arange(count), 6
    rows["src_port"], rows["dst_port"] = 40000, 53
    return rows


def test_the_most_networks_that_a_query_may_name(client: Client) -> None:
    """The store takes the statement, of IPv6 on both sides: it is the longest that networks can make."""
    home = tuple(Network((0xFD00 << 112) | (n << 66), 127) for n in range(MAX_ADDRESSES // 2))
    store(client, plain(3))
    found = run(client, key_query(resolved(parse("NOT internal", NOW), Networks({}, home)), SENSORS, 10), KEYS)
    assert len(found) == 3
    once = tuple(Network((0xFD00 << 112) | (n << 66), 127) for n in range(MAX_ADDRESSES))
    query = resolved(parse("ip != net('all')", NOW), Networks({"all": once}))
    assert len(run(client, key_query(query, SENSORS, 10), KEYS)) == 3


@pytest.mark.parametrize(
    "text",
    [
        " AND ".join(["icmp_type / (1 + icmp_code / (1 + icmp_type / (1 + icmp_code / (1 + icmp_type)))) > 1"] * 100),
        " AND ".join([" + ".join(["src_pkts / dst_pkts"] * 3) + " > 1"] * 100),
        " OR ".join(["ip = 1.2.3.4 AND other_ip = 1.2.3.5"] * 250),
        "icmp_type" + " / icmp_code" * 19 + " > vlan",
        " AND ".join([f"first_seen(ip, port where {' OR '.join(['endpoint = 10.0.0.0/9:443'] * 50)}) > now - 99d"] * 4),
        " AND ".join(["first_seen(ip, port) > now - 99d"] * 4 + ["NOT ip = 10.0.0.0/9"] * 496),
    ],
    ids=range(6),
)
def test_the_store_takes_the_longest_computations(client: Client, text: str) -> None:
    store(client, plain(3))
    assert len(run(client, key_query(parse(text, NOW), SENSORS, 10), KEYS)) == 0


@pytest.mark.parametrize("bits", [24, 96, 104, 127])
def test_sets_of_networks(client: Client, bits: int) -> None:
    """Many networks of one prefix length are looked up as a set: first and last addresses, and their neighbours."""
    size = 1 << (128 - bits)
    base = 0xFFFF_0A00_0000 if bits > 96 else 0xFD00 << 112
    networks = [Network(base + 4 * n * size, bits) for n in range(6)]
    edges = sorted(at for one in networks for at in (one.first - 1, one.first, one.last, one.last + 1))
    rows = plain(len(edges))
    rows["src_ip"] = np.frombuffer(b"".join(at.to_bytes(16, "big") for at in edges), "V16")
    store(client, rows)
    for names in ([*networks], [*networks, Network(0, 0)]):
        query = Query(Member(Column("src_ip"), tuple(names)))
        expected = rows[matches(query.where, rows, SENSORS)]
        assert keys_of(run(client, key_query(query, SENSORS, 100), KEYS)) == keys_of(
            expected[ordered(query, expected, SENSORS)]
        )
        assert len(expected) == (12 if len(names) == 6 or bits > 96 else 24)


def test_worm_query_as_typed(client: Client) -> None:
    rows = plain(10)
    rows["dst_port"][[2, 3, 4, 5]] = 1034
    rows["src_port"][[3, 6]] = 80  # web, once with the ephemeral port 1034 of the other side
    rows["src_port"][7] = 1034
    rows["start_time"][5] = JULY_20  # not after
    rows["dst_port"][8] = 1034
    rows["dst_port"][8], rows["absent"][8] = 0, absent_bits("dst_port")
    rows["src_port"][8] = 1034  # cannot be said to be no web session
    store(client, rows)
    query = parse(WORM, NOW)
    assert not query.needs_growing
    compiled = key_query(query, SENSORS, 500)
    assert " FINAL " not in compiled.sql
    assert [session for _, _, session in keys_of(run(client, compiled, KEYS))] == [7, 4, 2]


def test_newest_revision_counts_for_growing_fields(client: Client) -> None:
    rows = plain(4)
    rows["src_bytes"] = [5, 5000, 5000, 5]
    rows["session_id"], rows["start_time"] = [1, 1, 2, 2], JULY_20
    rows["revision"] = [2, 4, 2, 4]
    store(client, rows[::2])
    insert(client, rows[1::2])
    grown = key_query(parse("src_bytes > 1000", NOW), SENSORS, 10)
    assert " FINAL " in grown.sql
    assert keys_of(run(client, grown, KEYS)) == [(JULY_20, 1, 1)]
    fixed = run(client, key_query(parse("dst_port = 53", NOW), SENSORS, 10), KEYS)
    assert sorted(fixed["revision"].tolist()) == [2, 2, 4, 4], "every revision, for the caller to drop"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(most=20), st.integers(1, 5))
def test_pages_skip_and_repeat_nothing(client: Client, rows: Rows, page: int) -> None:
    store(client, rows)
    query = parse("", NOW)
    found: list[tuple[int, int, int]] = []
    while True:
        got = keys_of(run(client, key_query(query, SENSORS, page, after=found[-1] if found else None), KEYS))
        found += got
        if len(got) < page:
            break
    assert found == keys_of(rows[ordered(query, rows, SENSORS)])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions())
def test_rows_by_keys_brings_the_very_rows(client: Client, rows: Rows) -> None:
    store(client, rows)
    wanted = rows[::2]
    found = to_rows(run(client, rows_by_keys(wanted), FOUND))
    assert sorted(found.tolist()) == sorted(wanted.tolist())
    assert len(run(client, rows_by_keys(rows[:0]), FOUND)) == 0


def test_only_the_default_order_continues_after_a_key() -> None:
    with pytest.raises(ValueError, match="default order"):
        key_query(parse("ORDER BY src_port", NOW), SENSORS, 10, after=(0, 1, 2))


def test_far_ends_sort_as_they_compare(client: Client) -> None:
    rows = plain(6)
    for at, (src, dst) in enumerate([(1, 9), (2, 9), (9, 1), (9, 2), (9, 9), (1, 3)]):
        rows["src_ip"][at : at + 1] = np.frombuffer(bytes(15) + bytes((src,)), "V16")
        rows["dst_ip"][at : at + 1] = np.frombuffer(bytes(15) + bytes((dst,)), "V16")
    store(client, rows)
    for text in ("ip = ::9 AND other_ip = ::2", "ip = ::9 AND NOT other_ip = ::2", "ip IN (::9, ::1)"):
        query = parse(f"{text} ORDER BY other_ip DESC", NOW)
        found = run(client, key_query(query, SENSORS, 10), KEYS)
        expected = rows[matches(query.where, rows, SENSORS)]
        assert keys_of(found) == keys_of(expected[ordered(query, expected, SENSORS)]), text
    # Of 1 -> 9 and of 9 -> 1 the destination, for both ends are asked about.
    assert [session for _, _, session in keys_of(found)] == [4, 0, 5, 3, 1, 2]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sessions(), st.lists(relations(), min_size=12, max_size=12))
def test_computing_in_the_store_is_exact(client: Client, rows: Rows, tests: list[Relation]) -> None:
    """As fractions of any size are, and NULL where they are: what a comparison and its negation find."""
    store(client, rows)
    for test in tests:
        for where in (test, Not(test)):
            found = keys_of(run(client, key_query(Query(where), SENSORS, 1000), KEYS))
            assert sorted(found) == sorted(keys_of(rows[matches(where, rows, SENSORS)])), str(Query(where))


def test_store_makes_the_community_ids_that_everyone_makes(client: Client) -> None:
    """Of every kind of session; protocol/test_communityid.py has the published ones."""
    rng = np.random.default_rng(7)
    rows = plain(600)
    parts = np.zeros((len(rows), 2, 16), np.uint8)
    parts[:, :, 10:12], parts[:, :, 12], parts[:, :, 15] = 255, 10, rng.integers(0, 3, (len(rows), 2))
    six = rng.random((len(rows), 2)) < 0.3  # both, or one of them, or none
    parts[six] = rng.integers(0, 2, (int(six.sum()), 16))
    rows["src_ip"], rows["dst_ip"] = (np.ascontiguousarray(parts[:, side]).view("V16").ravel() for side in (0, 1))
    rows["proto"] = rng.choice([1, 6, 17, 47, 58, 132], len(rows))
    rows["src_port"], rows["dst_port"] = rng.integers(0, 4, len(rows)), rng.integers(0, 65536, len(rows))
    rows["icmp_type"] = rng.choice([0, 3, 8, 9, 10, 13, 128, 129, 135, 136], len(rows))
    rows["icmp_code"] = rng.integers(0, 2, len(rows))
    rows["absent"] = rng.choice([0, absent_bits("src_port"), absent_bits("icmp_type", "icmp_code")], len(rows))
    store(client, rows)
    data = client.raw_query(f"SELECT session_id, {DIGEST} FROM sessions ORDER BY session_id", fmt="RowBinary")
    found = np.frombuffer(data, [("session_id", "<u8"), ("digest", "V20")])
    assert [one.tobytes() for one in found["digest"]] == digests(rows)


def test_a_session_over_midnight_is_of_both_days(client: Client) -> None:
    rows = plain(40_000)
    rows["start_time"] -= DAY // 2  # of the day before, from its noon
    rows["end_time"] = rows["start_time"] + 5
    rows["end_time"][7], rows["end_time"][39_999] = JULY_20, JULY_20 - 1
    store(client, rows)
    client.command("OPTIMIZE TABLE sessions FINAL")
    compiled = key_query(parse("DURING '2004-07-20'", NOW), SENSORS, 10)
    assert [session for _, _, session in keys_of(run(client, compiled, KEYS))] == [7]
    moment = key_query(parse("DURING '2004-07-19 12:00:39'", NOW), SENSORS, 10)
    assert [session for _, _, session in keys_of(run(client, moment, KEYS))] == [39, 7]
    plan = client.raw_query(f"EXPLAIN indexes = 1 {compiled.sql}", parameters=compiled.parameters,
                            settings={"use_skip_indexes_if_final": 1, "use_skip_indexes_if_final_exact_mode": 1},
                            fmt="TSVRaw").decode()  # fmt: skip
    assert "Granules: 1/40" in plan[plan.index("end_time_minmax") :], plan


def test_unknown_sensor_is_an_error_at_its_place() -> None:
    text = "port = 80 AND sensor IN ('border', 'insid')"
    with pytest.raises(QueryError, match="no sensor `insid`; did you mean inside") as caught:
        compile_where(parse(text, NOW), SENSORS)
    assert text[caught.value.start : caught.value.end] == "sensor IN ('border', 'insid')"
    with pytest.raises(QueryError, match="there is none yet"):
        compile_where(parse("sensor = 'x'", NOW), {})


def test_sensors_sort_by_name(client: Client) -> None:
    rows = plain(3)
    rows["sensor"] = [1, 2, 7]
    store(client, rows)
    found = run(client, key_query(parse("ORDER BY sensor DESC", NOW), SENSORS, 10), KEYS)
    assert found["sensor"].tolist() == [2, 7, 1], "inside, dmz-1, border"


@pytest.mark.parametrize(
    "text",
    [
        "history = 'qq'' OR 1=1; DROP TABLE sessions'",
        "history LIKE 'qq\\%{p0:String}'",
        "history REGEXP 'qq\\)'",
        "history IN ('qq', 'qq--', 'qq/*')",
        "sensor LIKE 'qq%'",
        "src_ip = 254.254.254.254 AND dst_ip IN (254.254.254.254, 254.0.0.0/8) AND port = 25425",
        "src_bytes * 25425 > 25425 AND TO_DAYS(start_time) > 25425 AND start_time > end_time - 25425s",
        "ip = 254.254.254.254 AND other_ip = 254.254.254.253 AND DURING '2254-02-02'",
        "src_bytes > 25425 AND duration < 25425s AND src_flags & 254 = 254 AND total_pkts = 25425",
        "start_time > '2254-02-02' AND stream = '25425425425425425425425425425425' AND session_id = 25425",
    ],
)
def test_nothing_of_the_text_is_in_the_sql(client: Client, text: str) -> None:
    compiled = key_query(parse(text, NOW), SENSORS, 25425)
    assert "qq" not in compiled.sql and "254" not in compiled.sql
    assert set("'\"`;\\#-") & set(compiled.sql) <= {"'", "-"}
    store(client, plain(1))
    assert len(run(client, compiled, KEYS)) == 0


def explained(client: Client, compiled: Compiled) -> str:
    data = client.raw_query(f"EXPLAIN indexes = 1 {compiled.sql}", parameters=compiled.parameters, fmt="TSVRaw")
    return data.decode()


def test_days_outside_the_span_are_not_read(client: Client) -> None:
    rows = plain(10)
    rows["start_time"] = JULY_20 + np.arange(10) * DAY
    store(client, rows)
    for text in (
        "start_time > '2004-07-27 12:00'",
        "start_time BETWEEN '2004-07-28' AND '2004-08-05' AND (src_port = 1 OR dst_port = 53)",
        "NOT start_time <= '2004-07-27 12:00'",
    ):
        query = parse(text, NOW)
        plan = explained(client, key_query(query, SENSORS, 10))
        assert "Parts: 2/10" in plan, plan
    after = key_query(parse("", NOW), SENSORS, 10, after=(JULY_20 + 2 * DAY, 1, 2))
    assert "Parts: 3/10" in explained(client, after)
    assert "Parts: 1/10" in explained(client, rows_by_keys(rows[3:4]))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("src_ip = 10.9.9.9", "needles"),
        ("dst_ip IN (10.9.9.9, 10.9.9.8)", "needles"),
        ("src_port = 9", "needles"),
        ("dst_port IN (9, 10)", "needles"),
        ("ip = 10.9.9.9", "needles"),
        ("ip = 10.9.0.0/16", "needles"),
        ("ip IN (10.9.9.0/24, 2001:db8::1)", "needles"),
        ("port = 9", "needles"),
        ("endpoint = '10.9.9.9:9'", "needles"),
        ("port = 9 AND NOT dst_ip IN (10.9.9.9) AND src_bytes > 1", "needles"),
        ("ip = 10.9.9.9 OR port = 9", "needles"),
        ("community_id = '1:LQU9qZlK+B5F3KDmev6m5PMibrg='", "community_bloom"),
        ("community_id IN ('1:LQU9qZlK+B5F3KDmev6m5PMibrg=', '1:d/FP5EW3wiY1vCndhwleRRKHowQ=')", "community_bloom"),
        ("ip = 10.9.9.9 AND other_ip = 10.9.9.8", "needles"),
        ("DURING '2004-07-22'", "end_time_minmax"),
    ],
)
def test_needles_use_the_indexes(client: Client, text: str, index: str) -> None:
    store(client, plain(10))
    for final in (False, True):
        compiled = key_query(parse(text, NOW), SENSORS, 10, final=final)
        plan = client.raw_query(
            f"EXPLAIN indexes = 1 {compiled.sql}",
            parameters=compiled.parameters,
            settings={"use_skip_indexes_if_final": 1, "use_skip_indexes_if_final_exact_mode": 1},
            fmt="TSVRaw",
        ).decode("latin-1")
        used = plan[plan.index(f"Name: {index}") :]
        assert "Granules: 0/1" in used, plan


@settings(max_examples=150, deadline=None)
@given(st.text("aASd.*+?{}()[]|^$\\-,12", max_size=14))
def test_store_reads_regular_expressions_as_python_does(client: Client, pattern: str) -> None:
    """Whatever the language lets through; RE2 would refuse or read differently much of the rest."""
    if check(pattern) is not None:
        return
    texts = ["", "a", "A", "aA", "SAd", "^a$", "a-b", "a1,2", "\\", "dddd", "[a]", "S\\d"]
    data = client.raw_query(
        "SELECT arrayMap(text -> match(text, {pattern:String}), {texts:Array(String)})",
        parameters={"pattern": pattern, "texts": texts},
        fmt="TSVRaw",
    )
    assert json.loads(data) == [int(re.search(pattern, text, re.ASCII) is not None) for text in texts]
