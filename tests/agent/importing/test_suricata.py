"""Suricata's EVE JSON: what it wrote of real captures where that is at hand, lines of its layout, and any others."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.foreign import CASE, eve_flow, eve_netflow
from helpers.packets import Row, as_rows
from helpers.told import told_of
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.run import import_files
from afterfact_agent.importing.suricata.format import Suricata
from afterfact_agent.meter import meter_files
from afterfact_protocol.messages import Observed
from afterfact_protocol.records import Records

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
FILES = sorted((CORPUS / "outputs" / "suricata").glob("*.json"))
needs_corpus = pytest.mark.skipif(not FILES, reason="the shared corpus of Suricata's output is not at hand")

FLOW = {"pkts_toserver": 10, "pkts_toclient": 3, "bytes_toserver": 3006, "bytes_toclient": 259,
        "start": "2018-01-17T10:59:46.703072+0000", "end": "2018-01-17T11:00:05.600950+0000", "age": 19,
        "state": "closed", "reason": "shutdown", "alerted": True}  # fmt: skip
TCP = {"tcp_flags": "1f", "tcp_flags_ts": "1f", "tcp_flags_tc": "1b", "syn": True, "state": "time_wait"}
LINE = {
    "timestamp": "2018-01-17T10:59:46.703072+0000", "flow_id": 767872262821089, "event_type": "flow",
    "src_ip": "192.168.235.1", "src_port": 53649, "dest_ip": "192.168.235.136", "dest_port": 8089, "proto": "TCP",
    "app_proto": "http", "flow": FLOW, "tcp": TCP,
}  # fmt: skip
NETFLOW = {"pkts": 10, "bytes": 3006, "start": FLOW["start"], "end": FLOW["end"], "age": 19}


def line(flow: dict[str, object] | None = None, tcp: dict[str, object] | None = None, **changes: object) -> bytes:
    """A flow event with other values; None takes a field of the event out."""
    event = LINE | {"flow": FLOW | (flow or {}), "tcp": TCP | (tcp or {})} | changes
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode() + b"\n"


def there(**changes: object) -> bytes:
    """A netflow event of the caller's direction."""
    event = {name: value for name, value in LINE.items() if name != "flow"}
    event |= {"event_type": "netflow", "netflow": NETFLOW, "tcp": {"tcp_flags": "1f"}} | changes
    return json.dumps(event).encode() + b"\n"


def back(**changes: object) -> bytes:
    """The other direction's."""
    answer = {
        "src_ip": LINE["dest_ip"], "src_port": 8089, "dest_ip": LINE["src_ip"], "dest_port": 53649,
        "netflow": NETFLOW | {"pkts": 3, "bytes": 259}, "tcp": {"tcp_flags": "1b"},
    }  # fmt: skip
    return there(**(answer | changes))


def one(text: bytes) -> Row:
    told = told_of(Suricata(), text)
    assert told.rejects == [] and len(told.rows) == 1, told
    return told.rows[0]


def picked(row: Row, *names: str) -> tuple[object, ...]:
    return tuple(row[name] for name in names)


def test_every_field() -> None:
    row = one(line(vlan=[7, 8, 9]))
    assert picked(row, "start_time", "end_time", "src_pkts", "dst_pkts") == (1516186786703072, 1516186805600950, 10, 3)
    ends = ("192.168.235.1", 53649, "192.168.235.136", 8089)
    assert picked(row, "src_ip", "src_port", "dst_ip", "dst_port") == ends
    assert picked(row, "src_flags", "dst_flags", "state", "outcome", "end_reason", "direction_by", "foreign_id",
                  "source", "vlan", "inner_vlan", "revision") == (
        31, 27, "SF", "both_ways", "closed", "syn", "767872262821089", "suricata", 7, 8, 27,
    )  # fmt: skip
    # Bytes of frames are neither payload nor IP.
    unknown = ("src_bytes", "dst_bytes", "src_ip_bytes", "dst_ip_bytes", "history", "missed_bytes", "icmp_type")
    assert picked(row, *unknown) == (None,) * len(unknown)


@pytest.mark.parametrize(
    ("flow", "reason"),
    [
        ({"state": "closed", "reason": "timeout"}, "closed"),
        ({"state": "established", "reason": "timeout"}, "idle"),
        ({"state": "new", "reason": "shutdown"}, "forced"),
        ({"state": "new", "reason": "forced"}, "evicted"),
        ({"state": "bypassed", "reason": "unknown"}, None),
    ],
)
def test_why_a_flow_ended(flow: dict[str, object], reason: str | None) -> None:
    assert one(line(flow=flow))["end_reason"] == reason


@pytest.mark.parametrize(
    ("ts", "tc", "flow", "state", "outcome"),
    [
        ("02", "00", {"pkts_toclient": 0, "bytes_toclient": 0}, "S0", "attempted"),
        ("02", "14", {"pkts_toserver": 1, "pkts_toclient": 1}, "REJ", "refused"),
        ("12", "12", {"bytes_toserver": 600, "bytes_toclient": 180}, "S1", "opened"),
        ("12", "12", {"bytes_toserver": 6000, "bytes_toclient": 180}, "S1", "one_way"),  # more than headers can be
        ("1a", "1a", {}, "S1", "both_ways"),
        ("1e", "1a", {}, "RSTO", "both_ways"),
        ("1e", "1e", {}, None, "both_ways"),  # both reset: who first is not told
    ],
)
def test_states_and_outcomes_by_flags(
    ts: str, tc: str, flow: dict[str, object], state: str | None, outcome: str
) -> None:
    row = one(line(flow=flow, tcp={"tcp_flags_ts": ts, "tcp_flags_tc": tc}))
    assert picked(row, "state", "outcome") == (state, outcome)


def test_sessions_that_were_not_followed() -> None:
    """Picked up in mid-stream, Suricata writes flags of 00 and no state; who called is told by ports."""
    tcp = {"tcp_flags": "00", "tcp_flags_ts": "00", "tcp_flags_tc": "00"}
    event = LINE | {"src_port": 80, "dest_port": 45000, "tcp": tcp}
    row = one(json.dumps(event).encode())
    assert picked(row, "src_ip", "src_port", "src_pkts", "dst_pkts", "direction_by") == (
        "192.168.235.136", 45000, 3, 10, "port",
    )  # fmt: skip
    assert picked(row, "src_flags", "dst_flags", "state", "outcome") == (None, None, None, "unknown")
    full = event | {"flow": FLOW | {"bytes_toclient": 4000}}
    assert one(json.dumps(full).encode())["outcome"] == "both_ways"


def test_other_protocols() -> None:
    udp = {"proto": "UDP", "tcp": None, "src_port": 1920, "dest_port": 53}
    assert picked(one(line(**udp)), "proto", "state", "outcome", "src_flags") == (17, "SF", "both_ways", None)
    alone = one(line(flow={"pkts_toclient": 0}, **udp))
    assert picked(alone, "state", "outcome") == ("S0", "attempted")
    bare = {"tcp": None, "src_port": None, "dest_port": None}
    ping = one(line(proto="ICMP", icmp_type=8, icmp_code=0, **bare))
    assert picked(ping, "proto", "icmp_type", "icmp_code", "state", "outcome", "direction_by", "src_port") == (
        1, 8, 0, "SF", "both_ways", "request", None,
    )  # fmt: skip
    six = one(line(proto="IPv6-ICMP", icmp_type=143, icmp_code=0, src_ip="fe80::1", dest_ip="ff02::16",
                   flow={"pkts_toclient": 0}, **bare))  # fmt: skip
    assert picked(six, "proto", "state", "outcome") == (58, "OTH", "unknown")
    assert one(line(proto="089", **bare))["proto"] == one(line(proto="OSPF", **bare))["proto"] == 89
    assert one(line(proto="IP-in-IP", **bare))["proto"] == 4


@pytest.mark.parametrize("flag", ["+0530", "-0800"])
def test_zones(flag: str) -> None:
    shifted = {"start": f"2018-01-17T10:59:46.703072{flag}", "end": f"2018-01-17T11:59:46.703072{flag}"}
    ahead = {"+0530": 19_800, "-0800": -28_800}[flag]
    assert one(line(flow=shifted))["start_time"] == 1516186786703072 - ahead * 1_000_000


def test_the_directions_of_netflow_are_one_session() -> None:
    told = told_of(Suricata(), there() + back())
    (row,) = told.rows
    assert told.skipped == {"netflow events of the other direction": 1} and told.accounted == told.lines == 2
    assert picked(row, "src_port", "dst_port", "src_pkts", "dst_pkts", "src_flags", "dst_flags", "outcome") == (
        53649, 8089, 10, 3, 31, 27, "both_ways",
    )  # fmt: skip
    # The flow event of the same flow is the same session, and the fuller record.
    whole = one(line())
    assert whole["session_id"] == row["session_id"] and whole["revision"] == 27 and row["revision"] == 26
    # Over the end of a block too.
    apart = told_of(Suricata(), there() + back(), size=len(there()))
    assert apart.rows == told.rows and apart.skipped == told.skipped


def test_a_lone_direction_leaves_the_other_absent() -> None:
    other = there(flow_id=5, src_port=1)
    told = told_of(Suricata(), there() + other + back(dest_port=2))
    assert len(told.rows) == told.lines == 3
    for row in told.rows:
        assert picked(row, "dst_pkts", "dst_flags", "outcome") == (None, None, "unknown")
    far = told_of(Suricata(), there() + b"".join(there(flow_id=n) for n in range(600)) + back())
    assert far.skipped == {"netflow events of the other direction": 1}, "within a block, however far"
    # Nothing is held for long: what comes two blocks later finds it gone.
    later = told_of(Suricata(), there() + line(flow_id=1) + line(flow_id=2) + back(), size=len(line()) - 200)
    assert len(later.rows) == 4


def stats(at: str, uptime: int, packets: int, drops: int, **more: object) -> bytes:
    counters = {"uptime": uptime, "capture": {"kernel_packets": packets + drops, "kernel_drops": drops},
                "decoder": {"pkts": packets, "invalid": 0, "event": {"ipv4": {"opt_invalid": 0}}}}  # fmt: skip
    event = {"timestamp": f"2024-05-01T{at}.000000+0000", "event_type": "stats", "stats": counters | more}
    return json.dumps(event).encode() + b"\n"


T0 = 1714557600_000_000
"""2024-05-01 10:00:00."""


def interval(start: int, end: int, packets: int, lost: int) -> Observed:
    """In seconds after ten."""
    return Observed(T0 + start * 1_000_000, T0 + end * 1_000_000, "import", "suricata", packets, lost, "")


def test_stats_tell_what_was_watched_and_lost() -> None:
    text = (
        stats("10:00:08", 8, 100, 0) + stats("10:00:16", 16, 150, 0) + stats("10:00:24", 24, 200, 7)
        + stats("10:00:32", 32, 260, 7) + stats("10:00:40", 40, 300, 7)
        + stats("10:01:00", 8, 30, 0)  # started anew
    )  # fmt: skip
    told = told_of(Suricata(), text)
    assert told.observed == [
        interval(0, 16, 150, 0), interval(16, 24, 50, 7), interval(24, 40, 100, 0), interval(52, 60, 30, 0),
    ]  # fmt: skip
    assert told.skipped == {"stats events, told as what was watched": 6} and told.accounted == told.lines


def test_stats_of_a_run_that_began_in_another_file() -> None:
    """Its first counters are of times that this file does not tell of."""
    told = told_of(Suricata(), stats("10:00:00", 86400, 10**9, 500) + stats("10:00:08", 86408, 10**9 + 40, 503))
    assert told.observed == [interval(0, 8, 40, 3)]
    hours = told_of(Suricata(), b"".join(
        stats(f"{10 + n // 60}:{n % 60:02}:00", n * 60, n * 10, 0) for n in range(150)
    ))  # fmt: skip
    assert [(o.end - o.start) // 60_000_000 for o in hours.observed] == [60, 60, 29]
    assert sum(o.packets for o in hours.observed) == 1490


def test_stats_of_a_capture_file_tell_of_nothing() -> None:
    event = json.loads(stats("10:00:08", 8, 100, 0))
    del event["stats"]["capture"]
    told = told_of(Suricata(), json.dumps(event).encode())
    assert told.observed == []
    assert told.skipped == {"stats events without capture counters (Suricata read a capture file)": 1}


ALERT = {"action": "allowed", "gid": 1, "signature_id": 1000003, "rev": 2, "signature": "HTTP GET request",
         "category": "Misc activity", "severity": 3}  # fmt: skip


def alert(alert: dict[str, object] | None = None, **changes: object) -> bytes:
    """As Suricata writes them, with the flow so far, which is no session here."""
    return line(flow={"end": None}, event_type="alert", alert=ALERT | (alert or {}), **changes)


def test_alerts_are_events() -> None:
    told = told_of(Suricata(), alert() + alert({"action": "blocked", "severity": 999, "category": ""}) + line())
    (first, second) = told.events
    assert len(told.rows) == 1 and told.accounted == told.lines == 3
    assert first["foreign_id"] == told.rows[0]["foreign_id"]
    assert picked(first, "time", "gid", "signature_id", "rev", "severity", "proto", "action", "src_ip", "src_port",
                  "dst_ip", "dst_port", "foreign_id", "source", "signature", "category") == (
        1516186786703072, 1, 1000003, 2, 3, 6, "allowed", "192.168.235.1", 53649, "192.168.235.136", 8089,
        "767872262821089", "suricata", "HTTP GET request", "Misc activity",
    )  # fmt: skip
    assert picked(second, "action", "severity", "category") == ("blocked", 255, None)
    assert first["event_id"] == second["event_id"], "the same signature on the same packet is one event"


def test_alerts_of_no_ip_packet() -> None:
    """Of Suricata's decoder: no addresses, no flow."""
    ends = dict.fromkeys(("src_ip", "src_port", "dest_ip", "dest_port", "proto", "flow_id"))
    (event,) = told_of(Suricata(), alert(**ends)).events
    unknown = ("src_ip", "src_port", "dst_ip", "dst_port", "proto", "foreign_id")
    assert picked(event, *unknown) == (None,) * 6
    ping = alert(proto="ICMP", src_port=None, dest_port=None)
    (event,) = told_of(Suricata(), ping).events
    assert picked(event, "proto", "src_ip", "src_port") == (1, "192.168.235.1", None)


def test_long_signatures_are_cut_at_a_character() -> None:
    (event,) = told_of(Suricata(), alert({"signature": "x" + "\u00e9" * 100})).events
    assert event["signature"] == "x" + "\u00e9" * 79


def test_other_events_are_skipped_by_name() -> None:
    odd = {"event_type": "dns", "src_port": "none", "flow": [1]}
    many = b"".join(json.dumps({"event_type": f"kind{n}"}).encode() + b"\n" for n in range(150))
    told = told_of(Suricata(), line(event_type="http") + json.dumps(odd).encode() + b"\n" + line() + many)
    assert told.rejects == [] and len(told.rows) == 1 and told.accounted == told.lines
    assert told.skipped["http events"] == told.skipped["dns events"] == 1
    assert told.skipped["events of other kinds"] == 52, "names are counted up to a limit"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line(flow={"start": None}), "flow event without flow.start, flow.end, src_ip or dest_ip"),
        (line(src_ip=None), "flow event without flow.start, flow.end, src_ip or dest_ip"),
        (line(event_type="netflow"), "netflow event without netflow.start or netflow.end"),
        (line(flow={"start": "now"}), "start or end of the flow is no time"),
        (line(flow={"start": "1018-01-17T10:59:46.703072+0000"}),
         "start or end of the flow is before 1990 or in the future"),
        (line(flow={"end": "2018-01-16T10:59:46.703072+0000"}), "end of the flow is before its start"),
        (line(src_ip="1.2.3"), "src_ip is no address"),
        (line(dest_ip="::1"), "src_ip and dest_ip are of different families"),
        (line(proto="any"), "proto is no IP protocol"),
        (line(tcp={"tcp_flags_ts": "zz"}), "TCP flags are not two hexadecimal digits"),
        (line(tcp={"tcp_flags_ts": "1b1b"}), "TCP flags are not two hexadecimal digits"),
        (line(flow={"pkts_toserver": -1}), "flow.pkts_toserver is no whole number of 0 at least"),
        (line(flow={"pkts_toserver": 2**63}), "flow.pkts_toserver is no whole number up to 2305843009213693952"),
        (line(src_port=70000), "src_port is no whole number up to 65535"),
        (line(vlan=[5000]), "vlan is no whole number up to 4095"),
        (line(flow_id=-1), "flow_id is no whole number of 0 at least"),
        (alert({"signature_id": None}), "alert event without timestamp or alert.signature_id"),
        (alert({"gid": 2**32}), "alert.gid is no whole number up to 4294967295"),
        (alert(timestamp="soon"), "timestamp is no time"),
        (alert(timestamp="1970-01-01T00:00:00.000000+0000"), "timestamp is before 1990 or in the future"),
        (alert(src_ip="here"), "src is no address"),
        (alert(proto="any"), "proto is no IP protocol"),
        (line(event_type=None), "there is no event_type"),
        (line()[:90] + b"\n", "JSON is cut off"),
    ],
)  # fmt: skip
def test_lines_that_are_rejected(text: bytes, reason: str) -> None:
    told = told_of(Suricata(), line(flow_id=1) + text + line(flow_id=2))
    assert told.rejects == [(2, reason)] and len(told.rows) == 2


def test_a_held_line_is_rejected_by_its_own_number() -> None:
    bad = there(proto="any")
    told = told_of(Suricata(), line() + bad, size=64)
    assert told.rejects == [(2, "proto is no IP protocol")] and len(told.rows) == 1


EVENTS = [*eve_flow().encode().splitlines(), *eve_netflow().encode().splitlines(), stats("10:00:08", 8, 100, 0).strip(),
          line(event_type="http").strip(), alert().strip()]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVENTS) - 1), st.integers(0, 480), st.integers(0, 15), st.binary(max_size=12)),
        max_size=6,
    ),
    st.integers(1, 6000),
)  # fmt: skip
def test_any_line_is_told_of(changes: list[tuple[int, int, int, bytes]], size: int) -> None:
    lines = list(EVENTS)
    for number, at, cut, piece in changes:
        lines[number] = lines[number][:at] + piece.replace(b"\n", b"") + lines[number][at + cut :]
    told = told_of(Suricata(), b"\n".join(lines), size)
    assert told.accounted == told.lines


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


NAMES = ("flow", "tcp", "netflow", "stats", "vlan", "start", "end", "src_ip", "proto", "tcp_flags", "tcp_flags_ts",
         "state", "uptime", "capture", "decoder", "flow_id", "timestamp", "alert", "gid", "severity", "signature",
         "action", "pkts_toserver", "icmp_type")  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([0, len(CASE), len(EVENTS) - 3, len(EVENTS) - 1]),
    st.lists(st.tuples(st.sampled_from(NAMES), json_values), max_size=4),
)  # fmt: skip
def test_any_value_is_told_of(which: int, changes: list[tuple[str, object]]) -> None:
    event = json.loads(EVENTS[which])
    for name, value in changes:
        for part in (
            event,
            event.get("flow"),
            event.get("netflow"),
            event.get("tcp"),
            event.get("stats"),
            event.get("alert"),
        ):
            if isinstance(part, dict) and name in part:
                part[name] = value
    told = told_of(Suricata(), json.dumps(event).encode())
    assert told.accounted == told.lines == 1


@needs_corpus
def test_every_file_of_the_corpus() -> None:
    for path in FILES:
        kinds = Counter(json.loads(text)["event_type"] for text in path.read_bytes().splitlines())
        assert format_of(path).name == "suricata"
        run = import_files([path])
        sessions = sum(map(len, run.records()))
        (report,) = run.reports
        assert not report.rejected and (sessions, report.events) == (kinds["flow"], kinds["alert"]), path
        assert sessions + report.events + report.skipped.total() == report.lines == kinds.total()


@needs_corpus
def test_the_same_captures_by_our_meter() -> None:
    """Of conversations that are one session in both, as docs/importing.md has it."""
    agree: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for path in FILES:
        capture = CORPUS / "pcap" / path.name.removesuffix(".eve.json")
        ours = _by_ends(meter_files([capture]))
        for ends, theirs in _by_ends(import_files([path]).records()).items():
            if len(theirs) != 1 or len(ours.get(ends, [])) != 1:
                continue
            mine, other = ours[ends][0], theirs[0]
            for name in ("start_time", "src_ip", "src_pkts", "dst_pkts", "src_flags", "dst_flags", "state", "outcome"):
                if other[name] is not None:
                    told[name] += 1
                    agree[name] += mine[name] == other[name]
    assert told["start_time"] == 227
    assert agree["start_time"] == told["start_time"] and agree["src_ip"] == told["src_ip"]
    least = {"src_pkts": 223, "dst_pkts": 221, "src_flags": 120, "dst_flags": 120, "state": 208, "outcome": 213}
    assert {name: agree[name] for name in least} == least


def _by_ends(run: Iterable[Records]) -> dict[tuple[object, ...], list[Row]]:
    found: dict[tuple[object, ...], list[Row]] = {}
    for records in run:
        for row in as_rows(records):
            if row["end_reason"] == "open":
                continue
            ends = sorted([(str(row["src_ip"]), str(row["src_port"])), (str(row["dst_ip"]), str(row["dst_port"]))])
            found.setdefault((row["proto"], *ends), []).append(row)
    return found
