"""The founding case, answered by real processes over real sockets: captures in, rows out of the shell."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from helpers.case import CASE, INBOUND, WORM, Case
from helpers.processes import PASSWORD, ask

from afterfact_client import connect

EXPECTED = json.loads((CASE / "expected.json").read_text())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SWEEP = [
    ("17:39:13", "47317", "16.133.77.85"),
    ("17:38:52", "47235", "16.49.36.18"),
    ("17:38:31", "47209", "16.190.234.172"),
    ("17:38:10", "47146", "16.138.31.128"),
    ("17:37:49", "47076", "15.136.19.27"),
]
"""As the analyst of 2004 read them."""
SWEEP_HOSTS = [host for _, _, host in SWEEP]
NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "worm.ipynb"


def rows_of(case: Case, query: str) -> list[dict[str, str]]:
    done = ask(case.console, query, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def as_csv(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("start_time", "end_time"):
        return (EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(value)


def agree(rows: list[dict[str, str]], expected: list[dict[str, Any]]) -> None:
    """Same sessions, in the same order, in every field that the generator knows."""
    told = [name for name in expected[0] if name in rows[0]]
    assert {"start_time", "src_ip", "dst_port", "src_pkts", "dst_bytes", "outcome"} <= set(told)
    assert [{name: row[name] for name in told} for row in rows] == [
        {name: as_csv(name, item[name]) for name in told} for item in expected
    ]


def expected_rows(text: str) -> list[dict[str, Any]]:
    known = {" ".join(item["query"].split()): item["rows"] for item in EXPECTED["queries"]}
    rows: list[dict[str, Any]] = known[" ".join(text.split())]
    return rows


def test_worm_query_as_typed(case: Case) -> None:
    rows = rows_of(case, WORM)
    sweep = [row for row in rows if row["src_ip"] == "1.2.3.4"]
    assert [(row["start_time"][11:19], row["src_port"], row["dst_ip"]) for row in sweep] == SWEEP
    for row in sweep:
        assert row["start_time"].startswith("2004-07-26")
        assert (row["dst_port"], row["src_pkts"], row["outcome"]) == ("1034", "6", "attempted")
        assert (row["src_bytes"], row["dst_pkts"], row["dst_bytes"]) == ("0", "0", "0")
    assert not any({row["src_port"], row["dst_port"]} & {"80", "443"} for row in rows)
    assert [row["start_time"] for row in rows] == sorted((row["start_time"] for row in rows), reverse=True)


@pytest.mark.parametrize("text", [WORM, INBOUND], ids=["worm", "inbound"])
def test_exactly_the_rows_of_the_generator(case: Case, text: str) -> None:
    agree(rows_of(case, text), expected_rows(text))


def test_one_came_in_through_the_backdoor(case: Case) -> None:
    (row,) = rows_of(case, INBOUND)
    assert int(row["src_bytes"]) > 0 and int(row["dst_bytes"]) > 0
    assert row["outcome"] == "both_ways"


@pytest.mark.parametrize("sensor", ["border", "inside"])
def test_everything_that_was_generated_is_stored_and_nothing_else(case: Case, sensor: str) -> None:
    order = ("start_time", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type")
    expected = sorted(EXPECTED["sensors"][sensor]["sessions"], key=lambda item: [as_csv(n, item[n]) for n in order])
    rows = sorted(rows_of(case, f"sensor = '{sensor}'"), key=lambda row: [row[n] for n in order])
    # The generator counts an ICMP error with the session that it quotes; it is a session of its own besides.
    errors = [row for row in rows if (row["proto"], row["icmp_type"]) in {("1", "3"), ("1", "11"), ("58", "1")}]
    assert sum(int(row["src_pkts"]) for row in errors) == EXPECTED["sensors"][sensor]["counts"]["icmp_errors"]
    agree([row for row in rows if row not in errors], expected)


def test_what_the_table_and_stderr_say(case: Case) -> None:
    done = ask(case.console, WORM)
    assert done.stdout.splitlines()[0].split()[:2] == ["Sensor", "Start"]
    assert len(done.stdout.splitlines()) == 1 + len(expected_rows(WORM))
    assert "observations of" in done.stderr and "at 2 sensors" in done.stderr
    assert "searched: sessions started 2004-07-20 00:00:00 to" in done.stderr
    assert "border: no data since 2004-07-27" in done.stderr


def test_coverage_can_be_demanded(case: Case) -> None:
    covered = "WHERE start_time BETWEEN '2004-07-26 12:00' AND '2004-07-26 13:00'"
    assert ask(case.console, covered, "--require-coverage").returncode == 0
    assert ask(case.console, "", "--require-coverage", "--format", "csv").returncode == 3


def test_meta_and_formats(case: Case) -> None:
    meta = case.server.folder / "meta.json"
    out = case.server.folder / "out.jsonl"
    done = ask(case.console, WORM, "--format", "jsonl", "-o", out, "--meta", meta)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    told = json.loads(meta.read_text())
    assert told["total"] == len(rows) and told["observers"] == 2 and not told["complete"]
    as_json = json.loads(ask(case.console, WORM, "--format", "json").stdout)
    assert as_json == rows
    assert rows[-1]["vlan"] is None and rows[-1]["src_port"] == 40213


def test_seen_twice_is_one_conversation(case: Case) -> None:
    """The laboratory's sessions cross both taps."""
    done = ask(case.console, "WHERE ip = 1.2.3.140/30 LIMIT 1000")
    first = done.stderr.splitlines()[0]
    observations, conversations = int(first.split()[0]), int(first.split()[3])
    assert 0 < conversations < observations


def test_each_conversation_once(case: Case) -> None:
    """One row of each, and the other tap's observation beside it."""
    text = "WHERE ip = 1.2.3.140/30"
    every = rows_of(case, f"{text} LIMIT 1000")
    done = ask(case.console, f"{text} ONCE LIMIT 1000", "--format", "csv")
    once = list(csv.DictReader(io.StringIO(done.stdout)))
    shared = [row for row in once if row["also_seen"]]
    assert shared and len(once) + len(shared) == len(every)
    for row in shared:
        other, _, session = row["also_seen"].split(" ")
        assert {row["sensor"], other} == {"border", "inside"}
        assert session in {each["session_id"] for each in every if each["sensor"] == other}
    assert done.stderr.startswith(f"{len(once)} conversations in {len(every)} observations at 2 sensors; ")
    table = ask(case.console, f"{text} ONCE LIMIT 1000").stdout.splitlines()
    assert table[0].endswith("Also seen") and sum(line.endswith(("border", "inside")) for line in table) == len(shared)


def test_columns_of_ones_own_and_ids_that_every_tool_knows(case: Case) -> None:
    done = ask(case.console, INBOUND, "--format", "csv", "--columns", "community_id,src_ip,dst_port,duration")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert list(row) == ["src_ip", "dst_port", "community_id", "duration"]
    (found,) = rows_of(case, f"sensor = 'border' AND community_id = '{row['community_id']}'")
    assert (found["src_ip"], found["dst_port"]) == (row["src_ip"], row["dst_port"])
    table = ask(case.console, INBOUND, "--columns", "src_ip, community_id").stdout.splitlines()
    assert table[0].split() == ["Src", "IP", "Community", "ID"] and row["community_id"] in table[1]
    wrong = ask(case.console, INBOUND, "--columns", "src_ip,dst_prot")
    assert wrong.returncode == 2 and "no column 'dst_prot'; did you mean dst_port?" in wrong.stderr


def test_explain_asks_nothing(case: Case) -> None:
    done = ask(case.console, WORM, "--explain")
    assert done.returncode == 0
    assert "reading:" in done.stdout and "1034" in done.stdout


def test_status_of_both(case: Case) -> None:
    text = case.server.do("status", case.server.dir)
    assert "border" in text and "inside" in text and "store:" in text


def test_parquet_has_the_rows_of_csv(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "worm.parquet"
    more = ("--columns", "src_ip,dst_port,start_time,outcome,src_pkts,duration,community_id", "--progress")
    done = ask(case.console, WORM, "--format", "parquet", "-o", path, *more)
    assert done.returncode == 0, done.stderr
    made = ask(case.console, WORM, "--format", "csv", *more)
    expected = list(csv.DictReader(io.StringIO(made.stdout)))
    rows = pyarrow.parquet.read_table(path).to_pylist()
    assert len(rows) == len(expected) > 5
    for row, text in zip(rows, expected, strict=True):
        row["start_time"] = row["start_time"].isoformat(timespec="microseconds").replace("+00:00", "Z")
        row["duration"] = f"{row['duration'].total_seconds():.6f}"
        assert {name: "" if value is None else str(value) for name, value in row.items()} == text
    assert ask(case.console, WORM, "--format", "parquet").returncode == 2


def test_an_answer_tells_what_it_could_not_judge(case: Case, tmp_path: Path) -> None:
    with connect(case.console, "ana", PASSWORD) as client:
        every = client.query("").fetch()
        at = int(np.sort(every["start_time"])[len(every) // 2])
        asked = f"start_time > FROM_UNIXTIME({at // 1_000_000})"
        since = at // 1_000_000 * 1_000_000 + 1
        hints = client.query(f"{asked} and proto = tcp").hints()
        there = (every["start_time"] < since) & (every["end_time"] >= since) & (every["proto"] == 6)
        assert (hints.open_before, hints.since, hints.why) == (int(there.sum()), since, "")
        assert client.query(f"{asked} and last 1h").hints().open_before == -1
        unknown = int(((every["outcome"] == 0) & (every["proto"] == 6)).sum())
        hints = client.query("proto = tcp and not established").hints()
        assert hints.unjudged == unknown and (hints.unknown == ("outcome",) or not unknown)
        # A ping has no ports: that is no lack of knowledge.
        assert client.query("port != 80").hints().unjudged == 0
        news = client.query("proto = tcp and first_seen(dst_ip, dst_port) > '2004-01-01'")
        assert news.answer.total == 0 and news.hints().unjudged == int((every["proto"] == 6).sum())
        assert news.hints().unknown == ("first_seen",)
    meta = tmp_path / "meta.json"
    done = ask(case.console, "proto = tcp and first_seen(dst_ip) > '2004-01-01'", "--meta", meta)
    assert json.loads(meta.read_text())["hints"]["unknown"] == ["first_seen"], done.stderr
    done = ask(case.console, "proto = tcp and first_seen(dst_ip) > '2004-01-01'")
    assert "could not be judged and are not among these; not known: first seen" in done.stderr


def test_the_notebook_runs(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cell by cell, as somebody would who has the demo's server."""
    for name, value in (("JOIN", str(case.console)), ("USER", "ana"), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"AFTERFACT_{name}", value)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert set(SWEEP_HOSTS) <= set(names["targets"].index)
    assert len(names["inside"]) == len(expected_rows(INBOUND)) and names["intruders"]
    assert names["sent"] > 0 and names["news"].answer.total == 2 and names["unjudged"] == 0
