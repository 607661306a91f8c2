"""Snort 3's alert_json, by its layout (no file that Snort wrote was at hand), and any other lines."""

import json
from pathlib import Path

import pytest
from helpers.packets import Row
from helpers.told import told_of
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.run import import_files
from afterfact_agent.importing.snort3 import Snort3

FULL = (
    b'{ "seconds" : 1090483811, "timestamp" : "07/22-10:10:11.250000", "pkt_num" : 7, "proto" : "TCP", '
    b'"pkt_gen" : "raw", "pkt_len" : 60, "dir" : "C2S", "src_addr" : "10.1.1.7", "src_port" : 1500, '
    b'"dst_addr" : "203.0.113.9", "dst_port" : 1034, "gid" : 1, "sid" : 1000001, "rev" : 3, '
    b'"msg" : "MyDoom backdoor", "class" : "trojan-activity", "priority" : 1, "action" : "allow" }'
)
DEFAULT = (
    b'{ "timestamp" : "04/07/22-08:10:11.250000", "pkt_num" : 7, "proto" : "TCP", "pkt_gen" : "raw", "pkt_len" : 60, '
    b'"dir" : "C2S", "src_ap" : "10.1.1.7:1500", "dst_ap" : "203.0.113.9:1034", "rule" : "1:1000001:3", '
    b'"action" : "drop" }'
)


def one(text: bytes, **changes: object) -> Row:
    told = told_of(Snort3(), _changed(text, changes))
    assert told.rejects == [] and len(told.events) == 1, told
    return told.events[0]


def _changed(text: bytes, changes: dict[str, object]) -> bytes:
    fields = json.loads(text) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def test_every_field() -> None:
    event = one(FULL)
    said = {
        "time": 1090483811250000, "gid": 1, "signature_id": 1000001, "rev": 3, "severity": 1, "proto": 6,
        "action": "allowed", "src_ip": "10.1.1.7", "src_port": 1500, "dst_ip": "203.0.113.9", "dst_port": 1034,
        "foreign_id": None, "source": "snort", "signature": "MyDoom backdoor", "category": "trojan-activity",
    }  # fmt: skip
    assert {name: event[name] for name in said} == said


def test_the_fields_that_it_writes_by_default() -> None:
    """Snort's -y gives the year."""
    event, full = one(DEFAULT), one(FULL)
    assert event["event_id"] == full["event_id"] and event["time"] == full["time"]
    assert (event["action"], event["severity"], event["category"], event["signature"]) == ("blocked", None, None, "")


def test_addresses_with_ports() -> None:
    six = one(DEFAULT, src_ap="2001:db8::7:1500", dst_ap="2001:db8::9:80")
    assert (six["src_ip"], six["src_port"], six["dst_port"]) == ("2001:db8::7", 1500, 80)
    ping = one(DEFAULT, proto="ICMP", src_ap="fe80::1:0", dst_ap="ff02::1:0")
    assert (ping["proto"], ping["src_ip"], ping["src_port"]) == (58, "fe80::1", None)
    arp = one(DEFAULT, proto="ARP", src_ap=":0", dst_ap=":0")
    assert (arp["proto"], arp["src_ip"], arp["src_port"]) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "action"),
    [("allow", "allowed"), ("block", "blocked"), ("reset", "blocked"), ("would_drop", "would_block"),
     ("cant_block", "would_block"), ("rewrite", "unknown")],
)  # fmt: skip
def test_actions(name: str, action: str) -> None:
    assert one(FULL, action=name)["action"] == action


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": "07/22-08:10:11.250000"},
         "timestamp without year: let alert_json write `seconds`, or run it with -y and -U"),
        ({"timestamp": "04/02/31-08:10:11.250000"}, "neither seconds nor timestamp is a time"),
        ({"timestamp": None}, "neither seconds nor timestamp is a time"),
        ({"seconds": 5}, "time is before 1990 or in the future"),
        ({"rule": "1:1000001"}, "neither sid nor rule tells the signature"),
        ({"rule": "1:9999999999:1"}, "neither sid nor rule tells the signature"),
        ({"src_ap": "10.1.1.700:1500"}, "src is no address"),
        ({"priority": -1}, "priority is no whole number of 0 at least"),
    ],
)  # fmt: skip
def test_lines_that_are_rejected(changes: dict[str, object], reason: str) -> None:
    told = told_of(Snort3(), FULL + b"\n" + _changed(DEFAULT, changes) + b"\n\n" + DEFAULT[:50] + b"\n")
    assert told.rejects == [(2, reason), (4, "JSON is cut off")] and len(told.events) == 1
    assert told.accounted == told.lines == 4


def test_files_are_recognised_and_alerts_told(tmp_path: Path) -> None:
    path = tmp_path / "alert_json.txt"
    path.write_bytes(FULL + b"\n" + DEFAULT + b"\n")
    assert format_of(path).name == "snort"
    run = import_files([path])
    assert list(run.records()) == [] and run.reports[0].events == 2
    assert run.notes == [f"{path}: snort: 2 lines, 0 sessions; 2 alerts"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 440), st.integers(0, 15), st.binary(max_size=12)), max_size=5)
)
def test_any_line_is_told_of(changes: list[tuple[int, int, int, bytes]]) -> None:
    lines = [FULL, DEFAULT, FULL, DEFAULT]
    for number, at, cut, piece in changes:
        lines[number] = lines[number][:at] + piece.replace(b"\n", b"") + lines[number][at + cut :]
    told = told_of(Snort3(), b"\n".join(lines))
    assert told.accounted == told.lines


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted({*json.loads(FULL), *json.loads(DEFAULT)})),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.integers()),
        max_size=4,
    )
)
def test_any_value_is_told_of(changes: dict[str, object]) -> None:
    told = told_of(Snort3(), _changed(DEFAULT, changes))
    assert told.accounted == told.lines == 1
