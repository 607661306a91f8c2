"""Zeek's conn.log in JSON: its own lines where they are at hand, lines of the documented layout, and any others."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign import CASE, zeek_json
from helpers.told import told_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.run import import_files
from afterfact_agent.importing.zeek_json import ZeekJson, ZeekOpenJson
from afterfact_protocol.session import State

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "outputs" / "zeek"
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus of Zeek's logs is not at hand")

LINE: dict[str, object] = {
    "ts": 1517422326.539915, "uid": "CxHo3m4N8uGxrMlcl2", "id.orig_h": "10.55.100.100", "id.orig_p": 61843,
    "id.resp_h": "205.204.101.182", "id.resp_p": 80, "proto": "tcp", "service": "http", "duration": 108.985496,
    "orig_bytes": 719, "resp_bytes": 336, "conn_state": "SF", "local_orig": True, "missed_bytes": 20,
    "history": "ShADadfF", "orig_pkts": 10, "orig_ip_bytes": 1131, "resp_pkts": 4, "resp_ip_bytes": 508,
    "tunnel_parents": ["C1"], "_path": "conn",
}  # fmt: skip


def line(**changes: object) -> bytes:
    """A line with other values; None takes the field out."""
    fields = LINE | {name.replace("__", "."): value for name, value in changes.items()}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode() + b"\n"


def one(text: bytes) -> dict[str, object]:
    told = told_of(ZeekJson(), text)
    assert told.rejects == [] and len(told.rows) == 1, told
    return told.rows[0]


def test_every_field() -> None:
    row = one(line(vlan=7, inner_vlan=8))
    assert {name: row[name] for name in (
        "start_time", "end_time", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "src_pkts", "dst_pkts",
        "src_bytes", "dst_bytes", "src_ip_bytes", "dst_ip_bytes", "state", "outcome", "history", "direction_by",
        "missed_bytes", "foreign_id", "source", "vlan", "inner_vlan", "revision",
    )} == {
        "start_time": 1517422326539915, "end_time": 1517422435525411, "proto": 6, "src_ip": "10.55.100.100",
        "src_port": 61843, "dst_ip": "205.204.101.182", "dst_port": 80, "src_pkts": 10, "dst_pkts": 4,
        "src_bytes": 719, "dst_bytes": 336, "src_ip_bytes": 1131, "dst_ip_bytes": 508, "state": "SF",
        "outcome": "both_ways", "history": "ShADadfF", "direction_by": "syn", "missed_bytes": 20,
        "foreign_id": "CxHo3m4N8uGxrMlcl2", "source": "zeek", "vlan": 7, "inner_vlan": 8, "revision": 29,
    }  # fmt: skip
    assert all(row[name] is None for name in ("src_flags", "end_reason", "icmp_type", "syn_retries", "error_count"))


def test_what_is_not_said_is_absent() -> None:
    names = ("uid", "duration", "orig_bytes", "resp_bytes", "missed_bytes", "history", "orig_pkts", "resp_pkts",
             "orig_ip_bytes", "resp_ip_bytes", "conn_state")  # fmt: skip
    row = one(line(**dict.fromkeys(names)))
    assert row["end_time"] == row["start_time"] and row["outcome"] == "unknown" and row["direction_by"] == "unknown"
    for name in ("foreign_id", "src_bytes", "dst_bytes", "missed_bytes", "history", "src_pkts", "dst_pkts",
                 "src_ip_bytes", "state", "vlan"):  # fmt: skip
        assert row[name] is None, name


@pytest.mark.parametrize(
    "ts",
    [
        "2018-01-31T18:12:06.539915Z",
        "2018-01-31T19:12:06.539915+01:00",
        "2018-01-31T18:12:06.539915",
        1517422326539.915,
    ],
)
def test_ways_to_write_a_time(ts: object) -> None:
    assert one(line(ts=ts))["start_time"] == 1517422326539915


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"conn_state": "S0", "history": "S", "resp_pkts": 0}, "attempted"),
        ({"conn_state": "S0", "history": "SAD", "resp_pkts": 0}, "unknown"),  # who acknowledges was answered
        ({"conn_state": "REJ", "history": "Sr"}, "refused"),
        ({"conn_state": "RSTOS0", "history": "SR"}, "attempted"),
        ({"conn_state": "RSTR", "history": "ShAr", "orig_bytes": 0, "resp_bytes": 0}, "opened"),
        ({"conn_state": "S1", "history": "ShAD", "resp_bytes": 0}, "one_way"),
        ({"conn_state": "S1", "history": "ShADd", "orig_bytes": None, "resp_bytes": None}, "both_ways"),
        ({"conn_state": "SHR", "history": "^h"}, "unknown"),
        ({"conn_state": "OTH", "history": "DadA"}, "both_ways"),
        ({"conn_state": "OTH", "history": "DA"}, "unknown"),
        ({"proto": "udp", "conn_state": "S0", "history": "D"}, "attempted"),
        ({"proto": "udp", "conn_state": "SF", "history": "Dd"}, "both_ways"),
        ({"proto": "udp", "conn_state": "SHR", "history": "^d"}, "unknown"),
        ({"proto": "icmp", "id.orig_p": 8, "id.resp_p": 0, "conn_state": "OTH"}, "both_ways"),
        ({"proto": "icmp", "id.orig_p": 8, "id.resp_p": 0, "conn_state": "OTH", "resp_pkts": 0}, "attempted"),
        ({"proto": "icmp", "id.orig_p": 3, "id.resp_p": 1, "conn_state": "OTH", "resp_pkts": 0}, "unknown"),
    ],
)
def test_outcomes(changes: dict[str, object], outcome: str) -> None:
    assert one(line(**changes))["outcome"] == outcome


def test_icmp_stands_where_ports_do() -> None:
    ping = one(line(proto="icmp", id__orig_p=8, id__resp_p=0, conn_state="OTH"))
    assert (ping["proto"], ping["icmp_type"], ping["icmp_code"], ping["src_port"], ping["direction_by"]) == (
        1, 8, 0, None, "request",
    )  # fmt: skip
    error = one(line(proto="icmp", id__orig_p=3, id__resp_p=13, conn_state="OTH"))
    assert (error["icmp_type"], error["icmp_code"]) == (3, 13)
    six = one(line(proto="icmp", id__orig_h="fe80::1", id__resp_h="ff02::2", id__orig_p=133, id__resp_p=134))
    assert (six["proto"], six["icmp_type"], six["icmp_code"]) == (58, 133, 0)


def test_other_protocols_by_number() -> None:
    assert one(line(proto="unknown_transport", ip_proto=89, id__orig_p=0, id__resp_p=0))["proto"] == 89
    told = told_of(ZeekJson(), line(proto="unknown_transport"))
    assert told.rejects == [(1, "proto is none that has a number (unknown_transport without ip_proto)")]


def test_connections_that_go_on_are_interim() -> None:
    """Of open_conn.log, by its name or its lines; the line of conn.log is the fuller record of the same session."""
    end, told = one(line()), told_of(ZeekOpenJson(), line(orig_pkts=3, conn_state="S1"))
    by_line = one(line(_path="open_conn", orig_pkts=3))
    for going_on in (told.rows[0], by_line):
        assert going_on["end_reason"] == "open" and going_on["session_id"] == end["session_id"]
        assert going_on["revision"] == 14


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ts": None}, "ts, id.orig_h, id.resp_h or proto is missing"),
        ({"ts": "yesterday"}, "ts is no time"),
        ({"ts": "2018-02-30T00:00:00.000000Z"}, "ts is no time"),
        ({"ts": 12.5}, "ts is before 1990 or in the future"),
        ({"ts": 9e10}, "ts is before 1990 or in the future"),
        ({"ts": -1e300}, "ts is no time"),
        ({"duration": -1.0}, "duration is no time span"),
        ({"duration": 1e12}, "ts + duration is in the future"),
        ({"id.orig_h": "10.55.100.256"}, "id.orig_h is no address"),
        ({"id.resp_h": "fe80::1%eth0"}, "id.resp_h is no address"),
        ({"id.resp_h": "::1"}, "id.orig_h and id.resp_h are of different families"),
        ({"id.orig_p": 65536}, "id.orig_p is no whole number up to 65535"),
        ({"id.orig_p": "80"}, "id.orig_p is no whole number"),
        ({"id.orig_p": None}, "id.orig_p or id.resp_p is missing"),
        ({"orig_bytes": -1}, "orig_bytes is no whole number of 0 at least"),
        ({"orig_bytes": 10**30}, "orig_bytes is no whole number up to 2305843009213693952"),
        ({"uid": "C" * 25}, "uid has more than 24 bytes"),
        ({"uid": 7}, "uid is no text"),
    ],
)
def test_lines_that_are_rejected(changes: dict[str, object], reason: str) -> None:
    told = told_of(ZeekJson(), line() + line(**changes) + b"\n" + line(_path="dns"))
    assert told.rejects == [(2, reason)]
    assert told.skipped == {"empty lines": 1, "lines of another log (dns)": 1} and len(told.rows) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line()[:100], "JSON is cut off"),
        (b"#fields ts uid", "not JSON"),
        (b'{"ts": NaN}', "not JSON"),
        (b'{"uid": "\xff\xfe"}', "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b'{"a":' * 100_000, "JSON is nested too deeply"),
        (b"[" * 100_000, "not a JSON object"),
    ],
)  # fmt: skip
def test_what_is_no_line_of_it(text: bytes, reason: str) -> None:
    told = told_of(ZeekJson(), text + b"\n" + line())
    assert told.rejects == [(1, reason)] and len(told.rows) == 1


def test_long_histories_are_cut_and_marked() -> None:
    row = one(line(history="ShADadTtGgCcWwFfRrIiQq^" * 2))
    assert row["history"] == "ShADadTtGgCcWwFfRrIiQq^S"
    assert row["marks"] == 256


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(CASE) - 1), st.integers(0, 420), st.integers(0, 15), st.binary(max_size=12)),
             max_size=6),
    st.integers(1, 3000),
)  # fmt: skip
def test_any_line_is_told_of(changes: list[tuple[int, int, int, bytes]], size: int) -> None:
    lines = zeek_json().encode().splitlines()
    for number, at, cut, piece in changes:
        lines[number] = lines[number][:at] + piece.replace(b"\n", b"") + lines[number][at + cut :]
    told = told_of(ZeekJson(), b"\n".join(lines), size)
    assert told.accounted == told.lines


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*LINE, "vlan", "inner_vlan", "ip_proto"]), json_values, max_size=4))
@example({"ts": 1e308})
@example({"ts": "0001-01-01T00:00:00+23:59"})
@example({"history": "\u20ac" * 300})
def test_any_value_is_told_of(changes: dict[str, object]) -> None:
    text = json.dumps(LINE | changes).encode() + b"\n"
    told = told_of(ZeekJson(), text)
    assert told.accounted == told.lines == 1


@needs_corpus
def test_zeeks_own_files() -> None:
    path = CORPUS / "all-fields.json.log"
    said = Counter(json.loads(text)["conn_state"] for text in path.read_bytes().splitlines())
    every = import_files([path])
    records = np.concatenate(list(every.records()))
    assert len(records) == 29 and not every.reports[0].rejected
    assert Counter(State(state).name for state in records["state"].tolist()) == said
    # Ports of 93145, as its makers made them up, and a line that is cut off.
    cut = import_files([CORPUS / "truncated-json.log"])
    assert sum(map(len, cut.records())) == 2 and cut.reports[0].rejected.total() == 2


@needs_corpus
def test_a_day_of_zeek(tmp_path: Path) -> None:
    """The day's logs, as Zeek's JSON writer would have written them."""
    path = tmp_path / "conn.log"
    states: Counter[str] = Counter()
    with path.open("w") as out:
        for log in sorted((CORPUS / "day").glob("*.gz"))[::4]:
            for fields in _tsv(gzip.decompress(log.read_bytes()).decode()):
                states[str(fields["conn_state"])] += 1
                out.write(json.dumps(fields) + "\n")
    assert format_of(path).name == "zeek"
    run = import_files([path])
    records = np.concatenate(list(run.records()))
    assert run.reports[0].rejected == {} and len(records) == states.total() > 5000
    assert Counter(State(state).name for state in records["state"].tolist()) == states
    assert len(np.unique(records["session_id"])) == len(records)


def _tsv(text: str) -> list[dict[str, object]]:
    names, kinds, rows = [], [], []
    for row in text.splitlines():
        cells = row.split("\t")
        if cells[0] == "#fields":
            names = cells[1:]
        elif cells[0] == "#types":
            kinds = cells[1:]
        elif not row.startswith("#"):
            rows.append(dict(zip(names, zip(kinds, cells, strict=True), strict=True)))
    read = {"time": float, "interval": float, "count": int, "port": int, "int": int, "bool": "T".__eq__}
    return [
        {name: read.get(kind, str)(cell) for name, (kind, cell) in row.items()  # type: ignore[operator]
         if cell != "-" and not kind.startswith("set")}
        for row in rows
    ]  # fmt: skip
