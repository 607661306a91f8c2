"""first_seen over stores of few combinations, so that many are seen again: what the server finds is what the oracle
says, and what it says of the questions of real incidents."""

from collections.abc import Iterator
from datetime import UTC, datetime

import clickhouse_connect
import numpy as np
import numpy.typing as npt
import pytest
from clickhouse_connect.driver.client import Client
from helpers.oracle import Oracle, session_of
from helpers.query_strategies import DAY, NAMED, SENSORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterfact_protocol.query import Query, parse
from afterfact_protocol.query.errors import QueryError
from afterfact_protocol.query.match import matches
from afterfact_protocol.session import FIELDS, IPV4_PREFIX, ROW, Outcome, absent_bits
from afterfact_server.judged import ANEW, SETTLING, judged, judged_from
from afterfact_server.query.compile import key_query
from afterfact_server.query.resolve import resolved
from afterfact_server.query.unjudged import COUNTED, count_unjudged, countable, not_known
from afterfact_server.results import KEY_ROW, distinct
from afterfact_server.store.engine import CLIENT_SETTINGS
from afterfact_server.store.packed import COLUMN, with_packed
from afterfact_server.store.schema import STATEMENTS

Rows = npt.NDArray[np.void]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_US = int(FIRST.timestamp()) * 1_000_000
NOW = datetime(2026, 1, 13, tzinfo=UTC)
BORDER, INSIDE, LAB = SENSORS["border"], SENSORS["inside"], SENSORS["dmz-1"]
WATCHED = {
    BORDER: [(FIRST_US, FIRST_US + 12 * DAY)],
    INSIDE: [(FIRST_US + 8 * DAY, FIRST_US + 12 * DAY)],
    LAB: [(FIRST_US, FIRST_US + 1 * DAY), (FIRST_US + 11 * DAY, FIRST_US + 12 * DAY)],
}


def address(text: str) -> np.void:
    return np.void(IPV4_PREFIX + bytes(map(int, text.split("."))))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path = str(tmp_path_factory.mktemp("store"))
    client = clickhouse_connect.get_client(interface="chdb", path=path, settings=CLIENT_SETTINGS)
    client.command(STATEMENTS[0])
    client.command("ALTER TABLE sessions MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0")
    yield client
    client.close()


def store(client: Client, *parts: Rows) -> None:
    client.command("TRUNCATE TABLE sessions")
    for part in parts:
        client.raw_insert("sessions", [*(field.name for field in FIELDS), COLUMN], with_packed(part), fmt="RowBinary")


def found(client: Client, query: Query) -> list[int]:
    """Ids of the sessions that the server finds, in its order."""
    compiled = key_query(judged(resolved(query, NAMED), WATCHED), SENSORS, 1000)
    raw = client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
    ids: list[int] = distinct(np.frombuffer(raw, KEY_ROW))["session_id"].tolist()
    return ids


def unjudged(client: Client, query: Query) -> int:
    """How many sessions the server says it could not judge."""
    compiled = count_unjudged(judged(resolved(query, NAMED), WATCHED), SENSORS)
    if compiled is None:
        return 0
    raw = client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
    return int(np.frombuffer(raw, COUNTED)["count"][0])


def made(random: np.random.Generator, count: int) -> Rows:
    rows = np.zeros(count, ROW)
    rows["session_id"] = np.arange(count)
    rows["start_time"] = FIRST_US + random.integers(0, 48, count) * DAY // 4
    rows["end_time"] = rows["start_time"] + 5
    rows["sensor"] = random.choice([BORDER, BORDER, INSIDE, LAB], count)
    rows["proto"] = random.choice([6, 17], count)
    for side in ("src", "dst"):
        rows[f"{side}_ip"] = np.array([address(f"10.0.0.{n}") for n in random.integers(0, 4, count)], "V16")
        rows[f"{side}_port"] = random.choice([22, 80, 1034], count)
    rows["outcome"] = random.choice([Outcome.UNKNOWN, Outcome.ATTEMPTED, Outcome.OPENED, Outcome.BOTH_WAYS], count)
    unported = random.random(count) < 0.1
    rows["absent"][unported] = absent_bits("dst_port")
    rows["dst_port"][unported] = 0
    rows["revision"] = 8
    return rows


COMBINATIONS = ["src_ip", "dst_ip, dst_port", "src_ip, dst_ip", "src_ip, dst_ip, dst_port, proto", "dst_ip, sensor",
                "ip", "port", "ip, port", "ip, port, sensor, proto"]  # fmt: skip
FILTERS = ["", " where established", " where not failed and proto = tcp", " where dst_port = 22 or src_ip = 10.0.0.1"]
BESIDE = ["{}", "NOT {}", "established AND {}", "dst_port IN (22, 80) AND src_ip = net('dmz') AND {}",
          "NOT (established AND {})", "(sensor = border OR {}) AND NOT ip = 10.0.0.3",
          "{} AND ip = 10.0.0.2 AND NOT first_seen(dst_ip) > '2026-01-05'"]  # fmt: skip
TIMES = ["2025-12-31", "2026-01-01", "2026-01-01 18:00", "2026-01-02", "2026-01-05", "2026-01-09 06:00", "2026-01-12",
         "2026-01-20"]  # fmt: skip


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 1 << 32),
    st.lists(
        st.tuples(st.sampled_from(BESIDE), st.sampled_from(COMBINATIONS), st.sampled_from(FILTERS),
                  st.sampled_from(["<", "<=", ">", ">=", ">"]), st.sampled_from(TIMES)),
        min_size=6, max_size=6,
    ),
)  # fmt: skip
def test_server_finds_what_the_language_says(
    client: Client, seed: int, asked: list[tuple[str, str, str, str, str]]
) -> None:
    random = np.random.default_rng(seed)
    newest = made(random, int(random.integers(5, 40)))
    old = newest[random.random(len(newest)) < 0.3]
    old["revision"] = 4
    old["outcome"] = random.choice([Outcome.UNKNOWN, Outcome.ATTEMPTED, Outcome.OPENED], len(old))
    store(client, newest, old)
    oracle = Oracle(SENSORS, NAMED, WATCHED)
    for beside, combination, where, op, time in asked:
        text = beside.format(f"first_seen({combination}{where}) {op} '{time}'")
        query = parse(text, NOW)
        assert parse(str(query), NOW) == query
        assert found(client, query) == newest["session_id"][oracle.answer(query, newest)].tolist(), text
        # Nothing of these is NULL but what could be known.
        sessions = [session_of(row, {number: name for name, number in SENSORS.items()}) for row in newest]
        unsure = sum(query.where is not None and oracle.truth(query.where, one) is None for one in sessions)
        assert not countable(query) or unjudged(client, query) == unsure, text


def session(at: float, src: str, dst: str, port: int, outcome: Outcome = Outcome.BOTH_WAYS, **values: int) -> Rows:
    """A session of TCP that began so many days after FIRST."""
    row = np.zeros(1, ROW)
    row["start_time"] = FIRST_US + round(at * DAY)
    row["end_time"] = row["start_time"] + 5
    row["sensor"], row["proto"], row["src_port"], row["dst_port"] = BORDER, 6, 40_000, port
    row["src_ip"][0], row["dst_ip"][0], row["outcome"], row["revision"] = address(src), address(dst), outcome, 9
    for name, value in values.items():
        row[name] = value
    return row


def planted(*rows: Rows) -> Rows:
    made = np.concatenate(rows)
    made["session_id"] = np.arange(len(made))
    return made


def test_who_moves_sideways(client: Client) -> None:
    """Acceptance question 4, up to its stage: internal combinations of today that nobody saw before."""
    rows = planted(
        session(3, "10.0.0.5", "10.0.0.9", 445), session(11.5, "10.0.0.5", "10.0.0.9", 445),  # known
        session(11.6, "10.0.0.5", "10.0.0.10", 445),  # 2: new
        session(11.7, "10.0.0.5", "10.0.0.10", 445),  # 3: of the same new combination
        session(11.6, "10.0.0.5", "10.0.0.11", 445, Outcome.REFUSED),
        session(11.6, "10.0.0.5", "203.0.113.9", 445), session(11.6, "10.0.0.5", "10.0.0.12", 8080),
        session(4, "10.0.0.5", "10.0.0.13", 22, Outcome.ATTEMPTED), session(11.6, "10.0.0.5", "10.0.0.13", 22),
        session(11.6, "10.0.0.6", "10.0.0.9", 445),  # 9: the same service from another host
        session(11.5, "10.0.0.7", "10.0.0.9", 22, sensor=INSIDE), session(11.5, "10.0.0.7", "10.0.0.9", 23),
    )  # fmt: skip
    store(client, rows)
    text = ("internal and established and dst_port in (22, 135, 445, 3389, 5985) "
            "and first_seen(src_ip, dst_ip, dst_port) > now - 1d")  # fmt: skip
    assert sorted(found(client, parse(text, NOW))) == [2, 3, 9, 10]
    # 8 is known from an attempt, and is new among those that were established.
    among = text.replace("dst_port) >", "dst_port where established) >")
    assert sorted(found(client, parse(among, NOW))) == [2, 3, 8, 9, 10]


def test_which_services_were_opened(client: Client) -> None:
    """Acceptance question 7: the whole of what concerns a service that answered in the last week for the first time."""
    rows = planted(
        session(2, "198.51.100.1", "10.0.0.80", 443), session(11, "198.51.100.2", "10.0.0.80", 443),
        session(2, "198.51.100.1", "10.0.0.80", 1034, Outcome.REFUSED),  # 2: scanned before it was open
        session(9, "198.51.100.7", "10.0.0.80", 1034),  # 3
        session(10, "198.51.100.8", "10.0.0.80", 1034, Outcome.ATTEMPTED),  # 4
        session(9, "10.0.0.3", "10.0.0.80", 1035), session(9, "198.51.100.7", "10.0.0.80", 1036, Outcome.ATTEMPTED),
        session(1.5, "198.51.100.7", "10.0.0.81", 25, Outcome.UNKNOWN), session(9, "198.51.100.7", "10.0.0.81", 25),
    )  # fmt: skip
    store(client, rows)
    text = "inbound and first_seen(dst_ip, dst_port where established) > now - 7d"
    assert found(client, parse(text, NOW)) == [4, 3, 2]
    assert found(client, parse(f"last 7d and {text}", NOW)) == [4, 3]
    # Of port 25 it cannot be said: what came of the session on the second day is not known.
    assert found(client, parse(text.replace("inbound and", "inbound and not"), NOW)) == [1, 6, 0]


def test_what_there_is_none_of_is_not_unknown(client: Client) -> None:
    """A ping's ports, the VLAN of what is not tagged; but the port of a source that did not know it."""
    rows = planted(*[session(0.5, "10.0.0.5", "10.0.0.9", 0, Outcome.UNKNOWN) for _ in range(4)])
    rows["absent"] = absent_bits("vlan")
    rows["proto"][0], rows["absent"][0] = 1, absent_bits("vlan", "src_port", "dst_port", "src_flags")
    rows["absent"][1] |= absent_bits("dst_port")
    rows["outcome"][2] = Outcome.REFUSED
    store(client, rows)
    for text, count in {
        "vlan = 5": 0, "port = 80": 1, "dst_port != 80": 1, "not src_port = 80": 0, "failed": 3,
        "port = 80 and failed": 1,
        "port = 80 or established": 3, "dst_ip = 10.0.0.9 and established": 3, "dst_ip = 10.0.0.8 and established": 0,
        "src_flags = 2": 0, "endpoint = '10.0.0.9:80'": 1, "endpoint = '10.0.0.8:80'": 0, "vlan = 5 and failed": 0,
        "src_bytes / src_pkts > 5": 0, "first_seen(dst_port) > '2026-01-01'": 3, "": 0,
    }.items():  # fmt: skip
        assert unjudged(client, parse(text, NOW)) == count, text
    query = parse("port = 80 or established or first_seen(ip) > now", NOW)
    assert not_known(query, absent_bits("dst_port"), True) == ("dst_port", "outcome", "first_seen")


def test_a_new_sensor_makes_nothing_new(client: Client) -> None:
    rows = planted(
        session(8.2, "10.0.0.5", "10.0.0.9", 445, sensor=INSIDE),
        session(9.5, "10.0.0.6", "10.0.0.9", 445, sensor=INSIDE),  # 1: a day after it began
        session(8.2, "10.0.0.7", "10.0.0.9", 445, sensor=INSIDE),
        session(8.3, "10.0.0.7", "10.0.0.9", 445, sensor=BORDER),  # 3 and so 2: border would have seen it before
        session(0.5, "10.0.0.8", "10.0.0.9", 445),
    )
    store(client, rows)
    assert sorted(found(client, parse("first_seen(src_ip) > '2026-01-09'", NOW))) == [1, 2, 3]
    assert sorted(found(client, parse("not first_seen(src_ip) > '2026-01-09'", NOW))) == [4]
    assert found(client, parse("first_seen(src_ip) > '2025-12-31' OR first_seen(src_ip) <= '2025-12-31'", NOW)) == []


HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("stretches", "asked", "since"),
    [
        ([], 0, None),
        ([(0, 3 * DAY)], -1, None),
        ([(0, 3 * DAY)], 0, SETTLING),
        ([(0, 3 * DAY)], HOUR, SETTLING),
        ([(0, 3 * DAY)], 2 * DAY, 2 * DAY),
        ([(0, HOUR)], HOUR, None),
        ([(0, HOUR), (2 * HOUR, 3 * DAY)], HOUR, SETTLING),
        ([(0, 2 * DAY), (2 * DAY + ANEW, 20 * DAY)], 15 * DAY, 15 * DAY),
        ([(0, 2 * DAY), (3 * DAY + ANEW, 20 * DAY)], 10 * DAY, 11 * DAY),
        ([(0, 2 * DAY), (3 * DAY + ANEW, 20 * DAY)], 3 * DAY, 3 * DAY),
        ([(0, 2 * DAY), (30 * DAY, 60 * DAY)], 20 * DAY, None),
        ([(0, 2 * DAY), (3 * HOUR, 4 * HOUR)], DAY, DAY),
    ],
)
def test_from_when_on_a_sensor_is_judged(stretches: list[tuple[int, int]], asked: int, since: int | None) -> None:
    assert judged_from(stretches, asked) == since


@pytest.mark.parametrize(
    ("text", "said", "at"),
    [
        ("first_seen(src_ip)", "compares with a time", "first_seen(src_ip)"),
        ("first_seen(src_ip) = now", "cannot be asked", "first_seen(src_ip) = now"),
        ("first_seen() > now", "takes fields", "first_seen()"),
        ("first_seen(src_bytes) > now", "takes src_ip, src_port", "src_bytes"),
        ("first_seen(dst_prt) > now", "did you mean dst_port", "dst_prt"),
        ("first_seen(net) > now", "takes src_ip", "net"),
        ("first_seen(ip, dst_port) > now", "of either side", "dst_port"),
        ("first_seen(ip, ip) > now", "named twice", "ip"),
        ("first_seen(src_ip where) > now", "a condition", ")"),
        ("first_seen(src_ip where open", "not closed", "("),
        ("first_seen(where open) > now", "a field", "where"),
        ("first_seen(ip where first_seen(ip) > now) > now", "does not stand within", "first_seen(ip) > now"),
        (f"first_seen(ip where {' or '.join(['open'] * 51)}) > now", "at most 50", " or ".join(["open"] * 51)),
        ("first_seen(ip) > first_seen(port)", "compares with a time", "first_seen(port)"),
        ("first_seen(ip) IN (now)", "by <, <=", "first_seen(ip)"),
        ("first_seen(ip) > 5", "a time", "5"),
        ("now - first_seen(ip) < 7d", "compute with the time", "first_seen(ip)"),
        ("now - first_seen(ip) < start_time - end_time", "compute with the time", "first_seen(ip)"),
        (" AND ".join(["first_seen(ip) > now"] * 5), "at most 4", "first_seen(ip) > now"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str, said: str, at: str) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        parse(text, NOW)
    assert text[caught.value.start : caught.value.end] == at


def test_rows_in_memory_do_not_know_it() -> None:
    with pytest.raises(QueryError, match="only the server"):
        matches(parse("first_seen(ip) > now", NOW).where, np.zeros(1, ROW), SENSORS)


def test_between_and_the_other_way_round() -> None:
    query = parse("first_seen(ip) between '2026-01-01' and '2026-01-02'", NOW)
    assert query == parse("'2026-01-01' <= first_seen(ip) and first_seen(ip) <= '2026-01-02'", NOW)
