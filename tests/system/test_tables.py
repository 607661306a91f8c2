"""Questions of incidents, each one line, with planted answers in a real server's store; what an analyst gets of them in
Python and on the command line, and what is behind each row.
"""

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.processes import PASSWORD, Server, ask

from afterfact_client import Client, RequestFailed, TableResult, connect
from afterfact_client.state.table import Table

FILL = """
import sys, time
from ipaddress import ip_address
from pathlib import Path
import numpy as np
from afterfact_protocol.messages import Observed
from afterfact_protocol.session import IPV4_PREFIX, ROW, absent_bits
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine
client = StoreEngine(Path(sys.argv[1]), "").client()
schema.prepare(client)
chance = np.random.default_rng(7)
SECOND, HOUR = 1_000_000, 3_600_000_000
now = time.time_ns() // 1000
rows = []
def add(start, src, dst, port, *, proto=6, outcome=6, up=0, down=0, length=SECOND, sensor=1, end_reason=1, absent=0):
    row = np.zeros(1, ROW)[0]
    row["start_time"], row["end_time"], row["session_id"] = start, start + length, len(rows) + 1
    for side, address in (("src", src), ("dst", dst)):
        row[f"{side}_ip"] = np.frombuffer(IPV4_PREFIX + ip_address(address).packed, "V16")[0]
    row["src_port"], row["dst_port"], row["proto"], row["outcome"] = 40_000, port, proto, outcome
    row["src_bytes"], row["dst_bytes"], row["sensor"], row["revision"] = up, down, sensor, 9
    row["end_reason"], row["absent"] = end_reason, absent
    rows.append(row)
# A beacon of 60 s +-5 %, every tenth beat missed, seen by two sensors; and a browser beside it.
at = now - 5 * HOUR
for beat in range(240):
    at += int(60 * SECOND * chance.uniform(0.95, 1.05))
    if chance.random() > 0.1:
        for sensor in (1, 2):
            add(at + 2000 * sensor, "10.0.0.5", "203.0.113.9", 443, sensor=sensor)
at = now - 5 * HOUR
for visit in range(300):
    at += int(SECOND * chance.exponential(50))
    add(at, "10.0.0.6", "198.51.100.7", 443)
# Uploads: one that is one, one with as much back, one too small; one that did not count what was sent.
for part in range(3):
    add(now - HOUR * (part + 2), "10.0.0.7", "203.0.113.50", 22, up=500_000_000, down=10_000_000)
    add(now - HOUR * (part + 2), "10.0.0.8", "203.0.113.51", 443, up=400_000_000, down=200_000_000)
    add(now - HOUR * (part + 2), "10.0.0.9", "203.0.113.52", 443, up=300_000_000, down=1)
add(now - HOUR, "10.0.0.7", "203.0.113.50", 22, absent=absent_bits("src_bytes"))
# Lateral movement: over five hosts, and exactly five.
for host in range(8):
    add(now - 2 * HOUR, "10.0.0.20", f"10.0.1.{host}", 445)
for host in range(5):
    add(now - 2 * HOUR, "10.0.0.21", f"10.0.1.{host}", 3389)
    add(now - 2 * HOUR, "10.0.0.21", f"10.0.1.{host}", 3389, length=2 * SECOND)
# As many hosts, but known for long.
for host in range(9):
    add(now - 30 * 24 * HOUR, "10.0.0.22", f"10.0.1.{host}", 445)
    add(now - 2 * HOUR, "10.0.0.22", f"10.0.1.{host}", 445)
# Who dealt with 203.0.113.7, either way.
add(now - 9 * HOUR, "10.0.0.30", "203.0.113.7", 80, up=100, down=5000)
add(now - 3 * HOUR, "10.0.0.30", "203.0.113.7", 80, up=200, down=7000, length=HOUR)
add(now - 6 * HOUR, "203.0.113.7", "10.0.0.31", 25, up=11, down=13)
# Long ones, and one that is still open.
add(now - 20 * HOUR, "10.0.0.60", "203.0.113.60", 22, length=9 * HOUR)
add(now - 20 * HOUR, "10.0.0.61", "203.0.113.60", 22, length=8 * HOUR)
add(now - HOUR, "10.0.0.62", "203.0.113.60", 22, end_reason=0)
# Scans: many hosts, many ports, neither.
for number in range(60):
    add(now - HOUR // 2, "10.0.0.40", f"10.0.2.{number}", 22, outcome=1)
for port in range(120):
    add(now - HOUR // 2, "10.0.0.41", "10.0.3.1", port + 200, outcome=2)
for number in range(50):
    add(now - HOUR // 2, "10.0.0.42", f"10.0.2.{number}", number + 1, outcome=1)
# DNS: much to a resolver that is known; 12 MB in one hour, 9 MB in the next.
hour = 1_700_000_000_000_000 // HOUR * HOUR
add(hour, "10.0.0.51", "192.0.2.54", 53, proto=17, up=50_000_000)
for part in range(12):
    add(hour + part, "10.0.0.50", "192.0.2.53", 53, proto=17, up=1_000_000)
for part in range(9):
    add(hour + HOUR + part, "10.0.0.50", "192.0.2.53", 53, proto=17, up=1_000_001)
write.insert_sessions(client, np.array(rows, ROW))
watched = Observed(now - 60 * 24 * HOUR, now, "live", "eth0", 1, 0, "")
write.insert_observed(client, [(sensor, bytes(16), 1, sensor, watched) for sensor in (1, 2)], now)
"""
HOME = """
[inside]
cidrs = ["10.0.0.0/8"]
home = true
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("planted"))
    for name in ("border", "inside"):
        server.enrol(name)
    subprocess.run([sys.executable, "-c", FILL, str(server.dir / "sessions")], check=True, timeout=120)
    (server.dir / "networks.toml").write_text(HOME)
    server.start()
    server.console_file()
    yield server
    if server.process is not None:
        server.stop()


@pytest.fixture(scope="module")
def client(planted: Server) -> Iterator[Client]:
    with connect(planted.folder / "CONSOLE.toml", "ana", PASSWORD) as made:
        yield made


def asked(client: Client, text: str) -> Table:
    result = client.query(text)
    assert isinstance(result, TableResult)
    table = result.fetch()
    result.drop()
    return table


def lines(table: Table, *names: str) -> list[tuple[str, ...]]:
    return list(zip(*(table.exact(table.index(name)) for name in names), strict=True))


def behind(client: Client, table: Table, row: int) -> int:
    """How many sessions the query behind a row finds."""
    text = table.behind(row)
    assert text is not None
    return int(client.query(text).answer.total)


def test_beacon(client: Client) -> None:
    table = asked(client, "outbound and established and last 24h | periodic by src_ip, dst_ip, dst_port "
                          "having n >= 24 and jitter < 0.1")  # fmt: skip
    assert lines(table, "src_ip", "dst_ip", "dst_port") == [("10.0.0.5", "203.0.113.9", "443")]
    assert 180 < table.array("n")[0] < 240  # at one sensor, not at both
    assert abs(table.array("period")[0] / np.timedelta64(1, "s") - 60) < 2
    assert 0.005 < table.array("jitter")[0] < 0.06
    assert behind(client, table, 0) == 2 * table.array("n")[0]
    everybody = asked(client, "outbound and established and last 24h | periodic by src_ip, dst_ip having n >= 24")
    jitter = dict(zip(everybody.exact(0), everybody.array("jitter"), strict=True))
    assert jitter["10.0.0.6"] > 0.4


def test_upload(client: Client) -> None:
    result = client.query("outbound and last 24h | sum(src_bytes) as up, sum(dst_bytes) as down by src_ip, dst_ip "
                          "having up > 1GB and up > 10 * down")  # fmt: skip
    assert isinstance(result, TableResult)
    table = result.fetch()
    assert lines(table, "src_ip", "dst_ip", "up", "down") == [("10.0.0.7", "203.0.113.50", "1500000000", "30000000")]
    assert table.array("unknown(src_bytes)").tolist() == [1]
    notes = [line for line in result.coverage if "src_bytes" in line]
    assert notes and "not known of 1 of" in notes[0]
    assert behind(client, table, 0) == 4


def test_lateral_movement(client: Client) -> None:
    table = asked(client, "internal and established and dst_port in (22, 135, 445, 3389, 5985) "
                          "and first_seen(src_ip, dst_ip, dst_port) > now - 1d "
                          "| distinct(dst_ip) as n by src_ip having n > 5")  # fmt: skip
    assert lines(table, "src_ip", "n") == [("10.0.0.20", "8")]


def test_far_ends(client: Client) -> None:
    table = asked(client, "ip = 203.0.113.7 | count, first, last, sum(bytes) by other_ip")
    assert lines(table, "other_ip", "count", "sum(bytes)") == [("10.0.0.30", "2", "12300"), ("10.0.0.31", "1", "24")]
    first, last = (table.array(name).astype(np.int64) // 3_600_000_000 for name in ("first", "last"))
    assert (last - first).tolist() == [7, 0]
    assert [behind(client, table, row) for row in range(2)] == [2, 1]


def test_long_or_open(client: Client) -> None:
    rows = client.query("duration > 8h or open").fetch()
    assert sorted(row["src_ip"].tobytes()[-1] for row in rows) == [60, 62]


def test_scans(client: Client) -> None:
    table = asked(client, "internal and failed and last 1h | distinct(dst_ip) as hosts, distinct(dst_port) as ports "
                          "by src_ip having hosts > 50 or ports > 100")  # fmt: skip
    assert lines(table, "src_ip", "hosts", "ports") == [("10.0.0.40", "60", "1"), ("10.0.0.41", "1", "120")]


def test_dns_by_the_hour(client: Client) -> None:
    client.query("dst_port = 53 and dst_ip = 192.0.2.54 | save @resolvers dst_ip").drop()
    text = "dst_port = 53 and not dst_ip in @resolvers | sum(src_bytes) as b, avg(src_bytes) by src_ip every 1h"
    table = asked(client, text + " having b > 10MB")
    assert lines(table, "time", "src_ip", "b", "avg(src_bytes)") == [
        ("2023-11-14T22:00:00.000000Z", "10.0.0.50", "12000000", "1000000.0")
    ]
    both = asked(client, text)
    assert both.array("b").tolist() == [12_000_000, 9_000_009]
    assert [behind(client, both, row) for row in range(2)] == [12, 9]


def test_top_and_the_rest(client: Client) -> None:
    table = asked(client, "last 24h | count, distinct(dst_ip) by src_ip top 2")
    whole = asked(client, "last 24h | count, distinct(dst_ip)")
    kept = [name for name, other in zip(table.exact(0), table.other.tolist(), strict=True) if not other]
    assert kept == ["10.0.0.5", "10.0.0.6"] and table.other.tolist() == [False, False, True]
    assert sum(table.array("count")) == whole.array("count")[0]
    assert table.array("distinct(dst_ip)")[2] == whole.array("distinct(dst_ip)")[0] - 2
    assert behind(client, table, 2) == table.array("count")[2]
    timed = asked(client, "src_ip = 10.0.0.50 | count by dst_port every 1h top 1")
    assert timed.array("count").tolist() == [12, 9] and not timed.other.any()


def test_once_counts_a_conversation_once(client: Client) -> None:
    text = "src_ip = 10.0.0.5 and last 24h {} | count, sum(src_bytes) by dst_ip"
    twice = client.query(text.format(""))
    assert any("ONCE" in note for note in twice.answer.notes)
    both, once = twice.fetch(), asked(client, text.format("once"))
    assert both.array("count")[0] == 2 * once.array("count")[0]
    assert len(client.query(once.behind(0) or "").fetch()) == once.array("count")[0]


def test_an_answer_of_nothing_still_says_what_was_not_known(client: Client) -> None:
    result = client.query("src_ip = 10.0.0.7 | sum(src_bytes) as up by dst_ip having up > 1TB")
    assert result.answer.total == 0 and result.answer.sessions == 4
    assert any("not known of 1 of 4 sessions" in note for note in result.answer.notes)
    nobody = asked(client, "src_ip = 192.0.2.1 | count, sum(bytes), first, distinct(ip)")
    assert lines(nobody, "count", "sum(bytes)", "first", "distinct(ip)") == [("0", "", "", "0")]


def test_limits_are_told(client: Client) -> None:
    result = client.query("last 24h | count by dst_ip limit 3")
    assert result.answer.total == 3 and result.answer.truncated and result.answer.limit == 3
    assert result.answer.groups > 3
    with pytest.raises(RequestFailed, match="no sensor") as caught:
        client.query("sensor = 'nowhere' | count")
    assert caught.value.start == 0 or caught.value.code == "query"
    many = asked(client, "| count by src_ip, dst_ip, dst_port, start_time, sensor")
    assert len(many) > 900 and many.array("count").max() <= 10


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "table"])
def test_the_command_line_writes_tables(planted: Server, form: str) -> None:
    query = "src_ip = 10.0.0.50 | sum(src_bytes) as b, avg(src_bytes), first by src_ip every 1h"
    done = ask(planted.folder / "CONSOLE.toml", query, "--format", form)
    assert done.returncode == 0, done.stderr
    assert "2 rows of 21 sessions" in done.stderr
    if form == "table":
        head, *rows = done.stdout.splitlines()
        assert head.split() == ["time", "src_ip", "b", "avg(src_bytes)", "first"]
        assert rows[0].split()[2:5] == ["10.0.0.50", "12,000,000", "1,000,000.0"]
        return
    if form == "csv":
        found = list(csv.DictReader(io.StringIO(done.stdout)))
    elif form == "json":
        found = json.loads(done.stdout)
    else:
        found = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = {"time": "2023-11-14T22:00:00.000000Z", "src_ip": "10.0.0.50", "b": 12_000_000,
              "avg(src_bytes)": 1e6, "first": "2023-11-14T22:00:00.000000Z", "unknown(src_bytes)": 0}  # fmt: skip
    first = found[0] if form != "csv" else {
        name: text if name in ("time", "src_ip", "first") else float(text) for name, text in found[0].items()
    }  # fmt: skip
    assert first == wanted and len(found) == 2


def test_what_cannot_be_is_refused_with_its_place(planted: Server, client: Client) -> None:
    with pytest.raises(RequestFailed, match="one of the fields after BY is saved: src_ip") as caught:
        client.query("| count by src_ip | save @x dst_ip")
    assert caught.value.start == 28
    done = ask(planted.folder / "CONSOLE.toml", "port = 53 | count by src_ip", "--columns", "src_ip")
    assert done.returncode == 2 and "--columns is for sessions" in done.stderr


def test_what_a_table_found_is_saved(planted: Server, client: Client) -> None:
    """Every row's value, however few are shown; none of the row of the rest, and none that is absent."""
    scanners = "internal and failed | distinct(dst_ip) as n by src_ip having n >= 50 | save @scanners src_ip"
    table = asked(client, scanners)
    saved = table.answer.saved
    assert saved is not None and (saved.kind, saved.count, saved.number) == ("address", 2, 1)
    assert saved.query == scanners.rpartition(" |")[0] and saved.field == "src_ip" and "border" in saved.coverage
    assert sorted(lines(asked(client, "src_ip in @scanners | count by src_ip"), "src_ip")) == [
        ("10.0.0.40",),
        ("10.0.0.42",),
    ]
    rest = asked(client, "| count by dst_port top 2 | save @common dst_port")
    assert rest.answer.saved is not None and rest.answer.saved.count == 2 and len(rest) == 3
    hosts = asked(client, "| count by src_ip top 2 | save @busiest src_ip").answer.saved
    assert hosts is not None and hosts.count == 2
    ports = asked(client, "| count by dst_port, src_ip | save @every dst_port").answer.saved
    assert ports is not None and ports.count == len(asked(client, "| count by dst_port")) > 150
    with pytest.raises(RequestFailed, match="@scanners"):
        client.query(scanners)
    assert "saved @scanners: 2 addresses, version 2" in ask(
        planted.folder / "CONSOLE.toml", f"{scanners} replace"
    ).stderr  # fmt: skip


def test_hostile_texts_reach_no_sql(client: Client) -> None:
    """Names that a query makes up never become part of the statement; what is no name is refused."""
    table = asked(client, "| count as passes, last as n, first as x0, distinct(src_ip) as other by sensor top 1")
    assert [column.name for column in table.columns] == ["sensor", "passes", "n", "x0", "other"]
    assert table.array("passes").sum() == asked(client, "| count").array("count")[0]
    for text in ("| count as x); drop table sessions; --", "| count by (select 1)", "| count having sleep(3) > 1",
                 "| count as ${x}", "| sum(src_bytes)) from system.users --", "| count \u200bby src_ip"):  # fmt: skip
        with pytest.raises(RequestFailed) as caught:
            client.query(text)
        assert caught.value.code == "query" and caught.value.start >= 0


def test_a_table_can_be_stopped(client: Client) -> None:
    request, future = client.link.ask("| count by src_ip", False, None)
    client.link.cancel(request)
    begun = time.monotonic()
    try:
        future.result(timeout=60)
    except RequestFailed as error:
        assert error.code == "cancelled"
    assert time.monotonic() - begun < 60
