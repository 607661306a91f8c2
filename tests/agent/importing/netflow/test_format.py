"""nfdump's lines: pairing, who called, what is not known, and what is wrong."""

import gzip
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign import netflow_csv
from helpers.netflow import BACK, HEADER, collected, line, needs_nfdump
from helpers.packets import Row, as_rows
from helpers.told import Told, told_of
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.follow import Follower
from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.journal import Journal
from afterfact_agent.importing.lines import ImportFailure, blocks_of
from afterfact_agent.importing.netflow import seen
from afterfact_agent.importing.netflow.format import NetFlow
from afterfact_agent.importing.rejects import RejectsFile
from afterfact_agent.importing.run import import_files
from afterfact_protocol.session import Mark

CAPTURE = Path(__file__).parents[4] / "tests" / "data" / "pcaps" / "worm-1034" / "border.pcap"


def told(*lines: str, header: str = HEADER) -> Told:
    found = told_of(NetFlow(), "\n".join([header, *lines, ""]).encode())
    assert found.accounted == found.lines
    return found


def both_ways(count: int, **changes: object) -> list[str]:
    """Sessions that show that the exporter sees both directions."""
    return [
        text
        for port in range(count)
        for text in (line(sp=50000 + port, **changes), line(**BACK | {"dp": 50000 + port} | changes))
    ]


def of(found: Told, port: int = 40000) -> list[Row]:
    return [row for row in found.rows if port in (row["src_port"], row["dst_port"])]


def test_two_directions_are_one_session() -> None:
    for lines in ([line(), line(**BACK)], [line(**BACK), line()]):
        (row,) = told(*lines).rows
        assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == ("10.0.0.1", 40000, "10.0.0.2", 80)
        assert (row["src_pkts"], row["dst_pkts"], row["src_ip_bytes"], row["dst_ip_bytes"]) == (6, 5, 700, 2200)
        assert (row["src_bytes"], row["history"], row["src_retrans_bytes"], row["error_count"]) == (None,) * 4
        assert (row["state"], row["outcome"], row["direction_by"], row["source"], row["foreign_id"]) == (
            "SF", "both_ways", "syn", "netflow", "192.0.2.1",
        )  # fmt: skip
        assert row["start_time"] == 1300000000_100000 and row["end_time"] == 1300000002_600000
        assert row["end_reason"] == "closed" and row["revision"] == 2 * 11 + 1


def test_records_of_a_long_flow_are_added_up() -> None:
    minutes = ((10, "...AP.S."), (11, "...AP..."), (12, "...AP..F"))
    times = [(f"2011-03-13 07:{minute}:00.000", f"2011-03-13 07:{minute}:58.000", flags) for minute, flags in minutes]
    pieces = [line(ts=first, te=last, flg=flags, ipkt=10, ibyt=1000) for first, last, flags in times]
    back = line(**BACK | {"ts": "2011-03-13 07:10:00.030", "te": "2011-03-13 07:12:58.000"})
    found = told(pieces[0], pieces[1], back, pieces[2])
    (row,) = found.rows
    assert (row["src_pkts"], row["dst_pkts"], row["src_ip_bytes"], row["state"]) == (30, 5, 3000, "SF")
    assert found.skipped["added to the session of another record"] == 3


def test_ports_used_again_are_another_session() -> None:
    later = {"ts": "2011-03-13 07:08:40.100", "te": "2011-03-13 07:08:42.600"}
    found = told(line(), line(**BACK), line(**later), line(**BACK | later))
    assert [row["src_pkts"] for row in found.rows] == [6, 6]
    closed_by_nobody = {"flg": "...AP..."}
    assert len(told(line(**closed_by_nobody), line(**closed_by_nobody | later)).rows) == 1
    udp = {"pr": "UDP", "flg": "........"}
    assert len(told(line(**udp), line(**udp | later)).rows) == 2, "silent for more than a minute"


@pytest.mark.parametrize(
    ("changes", "src", "by", "outcome", "other"),
    [
        ({"flg": "......S."}, "10.0.0.1", "syn", "unknown", None),
        ({"flg": "...AP.SF"}, "10.0.0.1", "port", "unknown", None),
        ({"sp": 80, "dp": 40000, "flg": "...AP.S."}, "10.0.0.2", "port", "unknown", None),
        ({"pr": "UDP", "sp": 53, "flg": "........"}, "10.0.0.1", "first", "unknown", None),
    ],
    ids=["a SYN alone", "a client", "a server", "udp"],
)
def test_one_direction_alone_is_not_silence(
    changes: dict[str, object], src: str, by: str, outcome: str, other: int | None
) -> None:
    """Where the exporter was never seen to tell both."""
    (row,) = told(line(**changes)).rows
    assert (row["src_ip"], row["direction_by"], row["outcome"], row["state"]) == (src, by, outcome, None)
    assert (row["dst_pkts"] if src == "10.0.0.1" else row["src_pkts"]) is other


def test_where_both_directions_are_told_silence_is_no_answer() -> None:
    found = told(*both_ways(5), line(flg="......S."), line(pr="UDP", sp=40001, dp=53, flg="........"))
    (tcp,), (udp,) = of(found), of(found, 40001)
    assert (tcp["dst_pkts"], tcp["state"], tcp["outcome"]) == (0, "S0", "attempted")
    assert (udp["dst_pkts"], udp["state"], udp["outcome"]) == (0, "S0", "attempted")
    # Of an exporter that often tells of one direction only, nothing is said.
    half = [line(sp=41000 + port) for port in range(3)]
    (tcp,) = of(told(*both_ways(5), *half, line(flg="......S.")))
    assert (tcp["dst_pkts"], tcp["state"], tcp["outcome"]) == (None, None, "unknown")


def test_a_reset_is_a_refusal() -> None:
    found = told(line(flg="......S."), line(**BACK | {"flg": "...A.R..", "ipkt": 1, "ibyt": 40}))
    assert [(row["state"], row["outcome"], row["direction_by"]) for row in found.rows] == [("REJ", "refused", "syn")]


def test_icmp() -> None:
    ping = {"pr": "ICMP", "sp": 0, "flg": "........"}
    back = BACK | {"sp": 0}
    for asked, answered in (("2048", "0"), ("8.0", "0.0")):
        (row,) = told(line(**ping | {"dp": asked}), line(**back | ping | {"dp": answered})).rows
        assert (row["src_ip"], row["icmp_type"], row["icmp_code"], row["direction_by"], row["outcome"]) == (
            "10.0.0.1", 8, 0, "request", "both_ways",
        )  # fmt: skip
        assert row["src_port"] is None
    (row,) = told(line(**ping | {"dp": 771})).rows
    assert (row["icmp_type"], row["icmp_code"], row["outcome"]) == (3, 3, "unknown")
    (row,) = told(line(**ping | {"dp": 0}), line(**back | ping | {"dp": 0})).rows
    assert row["icmp_type"] is None, "the exporter does not tell it"
    six = {"pr": "IPv6-ICMP", "sa": "2001:db8::1", "da": "2001:db8::2", "sp": 0, "flg": "........"}
    other = six | {"sa": "2001:db8::2", "da": "2001:db8::1"}
    (row,) = told(line(**six | {"dp": "128.0"}), line(**other | {"dp": "129.0"})).rows
    assert (row["proto"], row["src_ip"], row["icmp_type"]) == (58, "2001:db8::1", 128)


def test_packets_are_counted_once() -> None:
    """Metered where they came in and went out; as `out` too. What another router saw is another session."""
    found = told(line(), line(dir="E"), line(**BACK), line(**BACK | {"dir": "E"}))
    assert [(row["src_pkts"], row["dst_pkts"]) for row in found.rows] == [(6, 5)]
    assert found.skipped["the same packets, metered a second time on their way out"] == 2
    found = told(line(opkt=6, obyt=700), line(**BACK | {"opkt": 5, "obyt": 2200}))
    assert [(row["src_pkts"], row["dst_pkts"]) for row in found.rows] == [(6, 5)]
    (row,) = told(line(opkt=6, obyt=700)).rows
    assert (row["src_pkts"], row["dst_pkts"], row["outcome"]) == (6, None, "unknown")
    (row,) = told(line(opkt=9, obyt=9000)).rows
    assert (row["src_pkts"], row["dst_pkts"], row["src_flags"], row["outcome"]) == (6, 9, None, "both_ways")
    (row,) = told(line(ipkt=0, ibyt=0, opkt=6, obyt=700)).rows
    assert (row["src_pkts"], row["dst_pkts"]) == (6, None)
    found = told(line(), line(ra="192.0.2.2"))
    assert sorted(str(row["foreign_id"]) for row in found.rows) == ["192.0.2.1", "192.0.2.2"]
    assert len({row["session_id"] for row in found.rows}) == 2


def test_a_clock_that_runs_back_and_flags_that_are_not_told() -> None:
    (row,) = told(line(ts="2011-03-13 07:06:42.600", te="2011-03-13 07:06:40.100")).rows
    assert row["end_time"] - row["start_time"] == 2_500_000 and row["marks"] == Mark.TIME_STEP
    (row,) = told(line(flg="........"), line(**BACK | {"flg": "........"})).rows
    assert (row["src_flags"], row["state"], row["outcome"]) == (None, None, "both_ways")
    (row,) = told(line(flg="0x5b")).rows
    assert row["src_flags"] is None


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows",
         "2011-03-13 07:06:40.100,2.500,6,10.0.0.1,40000,10.0.0.2,80,6,700,1"),
        ("cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,flags,srcTos,packets,"
         "bytes",
         "1,2,1300000000100,1300000002600,6,10.0.0.1,40000,10.0.0.2,80,0,0,1,2,...AP.SF,0,6,700"),
        ("tsr,te,sa,da,sp,dp,pr,ipkt,ibyt",
         "1300000000.100,  2011-03-13 07:06:42.600 ,   10.0.0.1,10.0.0.2,  40000,  80  ,6    ,     6,  700"),
    ],
    ids=["csv of 1.7.3", "csv-fast", "padded"],
)  # fmt: skip
def test_other_layouts(tmp_path: Path, header: str, text: str) -> None:
    (row,) = told(text, header=header).rows
    assert (row["start_time"], row["end_time"]) == (1300000000_100000, 1300000002_600000)
    assert (row["src_ip"], row["dst_port"], row["src_pkts"], row["src_ip_bytes"]) == ("10.0.0.1", 80, 6, 700)
    path = tmp_path / "flows"
    path.write_text(f"{header}\n{text}\n")
    assert isinstance(format_of(path), NetFlow)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ts": "1970-01-01 00:00:00.000"}, "first seen is before 1990 or in the future"),
        ({"te": "2999-01-01 00:00:00.000"}, "last seen is before 1990 or in the future"),
        ({"ts": "0000-00-00 00:00:00.000"}, "first seen is no time"),
        ({"sa": "2001::1..2"}, "source address is no address"),
        ({"da": "10.0.0.256"}, "destination address is no address"),
        ({"da": "::1"}, "the addresses are of different families"),
        ({"dp": "8.256"}, "destination port is no port up to 65535"),
        ({"sp": 65536}, "source port is no number up to 65535"),
        ({"pr": "what"}, "protocol is none that has a number"),
        ({"ipkt": "1.2 M"}, "packets is no number"),
        ({"ra": "1,2"}, "16 fields expected"),
    ],
)  # fmt: skip
def test_lines_that_are_rejected(changes: dict[str, object], reason: str) -> None:
    found = told(line(), line(**changes), line(**BACK))
    assert found.rejects == [(3, reason)] and len(found.rows) == 1


def test_what_is_no_flow() -> None:
    found = told_of(NetFlow(), b"1,2\n" + netflow_csv().encode() + b"\n" + netflow_csv().encode())
    assert found.rejects == [(1, "no header of nfdump's before it")] and found.accounted == found.lines
    assert found.skipped["nfdump's summary"] == 6 and found.skipped["empty lines"] == 1
    found = told(line(evt="DENIED"), line())
    assert found.skipped["events of firewalls and NAT"] == 1 and len(found.rows) == 1
    tunnel = told("7," + line(sa="192.0.2.7", da="192.0.2.8", pr="GRE"), "7," + line(), header="cnt," + HEADER)
    assert tunnel.skipped["outer addresses of a tunnel"] == 1 and [row["src_ip"] for row in tunnel.rows] == ["10.0.0.1"]


def test_a_file_put_behind_another_has_its_flows_read() -> None:
    """With its header or without; nfdump's summary lies between. What is neither is rejected."""
    text = netflow_csv()
    more = [row.replace("10.1.1.", "10.1.2.") for row in text.splitlines()[1:15]]
    for between in ("", text.splitlines()[0] + "\n"):
        found = told_of(NetFlow(), (text + between + "\n".join(more) + "\n\0\0\n").encode())
        assert len(found.rows) == 14 and found.accounted == found.lines
        assert found.skipped["nfdump's summary"] == 3
        assert [reason for _, reason in found.rejects] == ["neither a flow nor nfdump's summary"] or between


def test_whatever_blocks_are() -> None:
    text = "\n".join([HEADER, *both_ways(30), line(flg="......S."), line(pr="x")]).encode()
    one, *others = (told_of(NetFlow(), text, size) for size in (4 << 20, 1, 100, 777))
    for other in others:
        assert sorted(other.rows, key=str) == sorted(one.rows, key=str) and other.rejects == one.rejects


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 30), st.binary(max_size=12)), max_size=6),
    st.sampled_from([60, 700, 1 << 20]),
)
def test_any_file_is_told_of(changes: list[tuple[int, int, bytes]], size: int) -> None:
    text = netflow_csv().encode()
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    found = told_of(NetFlow(), text, size)
    assert found.accounted == found.lines


def test_a_copy_in_the_same_call_adds_nothing(tmp_path: Path) -> None:
    """Nor does a packed one, or a file that has some of the same lines; the same lines in one file are added."""
    text = netflow_csv()
    head, *rows = text.partition("Summary")[0].splitlines(keepends=True)
    files = [tmp_path / name for name in ("a.csv", "copy.csv", "packed.csv.gz", "some.csv")]
    files[0].write_text(text)
    files[1].write_text(text)
    files[2].write_bytes(gzip.compress(text.encode()))
    files[3].write_text(head + "".join(rows[:4]))
    once, again = import_files(files[:1]), import_files(files)
    first, second = (np.concatenate(list(run.records())) for run in (once, again))
    assert sorted(first.tolist()) == sorted(second.tolist()) and len(first) == 7
    assert [report.skipped["in an earlier file too"] for report in again.reports] == [0, 14, 14, 4]
    files[0].write_text(head + "".join(rows + rows))
    (doubled,) = [np.concatenate(list(run.records())) for run in [import_files(files[:1])]]
    assert doubled["src_pkts"].tolist() == [2 * count for count in first["src_pkts"].tolist()]


def test_what_is_remembered_of_earlier_files_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "MAX_REMEMBERED", 20)
    known, reader = seen.Seen(), NetFlow().reader()
    monkeypatch.setattr(reader, "_seen", known)
    for port in range(200):
        text = "\n".join([HEADER, line(sp=1000 + port), ""]).encode()
        (block,) = blocks_of(io.BytesIO(text), "file")
        assert not reader.read(block).skipped.get("in an earlier file too")
        assert reader.read(block).skipped["in an earlier file too"] == 1
        assert len(known._earlier) + len(known._before) <= 42


def test_sessions_go_on_from_file_to_file(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("\n".join([HEADER, line(flg="...AP.S."), line(**BACK | {"flg": "...AP.S."}), ""]))
    later = {"ts": "2011-03-13 07:11:40.100", "te": "2011-03-13 07:11:42.600", "flg": "...AP..F"}
    two.write_text("\n".join([HEADER, line(**later), line(**BACK | later), ""]))
    run = import_files([one, two])
    (row,) = [row for records in run.records() for row in as_rows(records)]
    assert (row["src_pkts"], row["dst_pkts"], row["state"]) == (12, 10, "SF")
    assert sum(r.lines for r in run.reports) == sum(r.sessions + r.skipped.total() for r in run.reports)
    apart = [row for path in (one, two) for records in import_files([path]).records() for row in as_rows(records)]
    assert [row["src_pkts"] for row in apart] == [6, 6] and apart[0]["session_id"] == row["session_id"]
    assert apart[1]["marks"] == Mark.PARTIAL and apart[0]["revision"] < row["revision"]


def test_files_that_come_are_followed(tmp_path: Path) -> None:
    """Each as far as it has come, since another may go on with its sessions; what goes on after all is read again."""
    folder, now = tmp_path / "flows", [0.0]
    folder.mkdir()

    def start() -> Follower:
        journal, rejects = Journal(tmp_path / "followed.json"), RejectsFile(tmp_path / "rejects")
        return Follower(folder, "netflow", journal, rejects, said.append, lambda: now[0])

    def seen(follower: Follower) -> list[tuple[object, object]]:
        list(follower.step())
        now[0] += 60
        found = [row for taken in follower.step() for row in as_rows(taken.records)]
        follower.spooled()
        return [(row["src_pkts"], row["end_reason"]) for row in found]

    said: list[str] = []
    follower = start()
    (folder / "nfcapd.current.17").write_text("\n".join([HEADER, line(sp=7), ""]))
    one, two = folder / "nfcapd.1", folder / "nfcapd.2"
    one.write_text("\n".join([HEADER, line(flg="...AP.S."), line(**BACK), ""]))
    assert seen(follower) == [(6, "open")]
    later = {"ts": "2011-03-13 07:11:40.100", "te": "2011-03-13 07:11:42.600", "flg": "...AP..F"}
    two.write_text("\n".join([HEADER, line(**later), ""]))
    assert seen(follower) == [(12, "open")] and seen(follower) == [] == seen(start())
    with two.open("a") as file:
        file.write(line(sp=40001) + "\n")
    assert sorted(seen(start()), key=str) == [(6, "open"), (6, "open")]


@needs_nfdump
def test_files_that_nfdump_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = collected(CAPTURE, tmp_path / "flows", "-v", "9")
    assert isinstance(format_of(file), NetFlow)
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:20000])
    run = import_files([cut, file])
    assert sum(map(len, run.records())) == 251
    (damage,) = run.damage
    assert damage.startswith(f"{cut}: nfdump cannot read it: ") and "newer nfdump" in damage and "\n" not in damage
    monkeypatch.setattr(shutil, "which", lambda name: None)
    run = import_files([file])
    assert not list(run.records()) and run.damage == [
        f"{file}: is read by nfdump, which is not here: install it (Debian: apt install nfdump)"
    ]


def test_gaps_in_what_was_sent_are_told() -> None:
    prelude = b"#nfcapd 1300000000000000 1300000300000000 77 3 192.0.2.1 nfcapd.201103130706\n"
    reader = NetFlow().reader()
    (block,) = blocks_of(io.BytesIO(prelude + f"{HEADER}\n{line()}\n".encode()), "file")
    (interval,) = reader.read(block).observed
    assert (interval.start, interval.end, interval.packets, interval.what) == (
        1300000000000000, 1300000300000000, 77, "nfcapd.201103130706",
    )  # fmt: skip
    assert interval.note == "nfcapd counted 3 sequence failures: flow records may be missing"
    (row,) = as_rows(reader.finish().records)
    assert row["marks"] == Mark.SAMPLED


def test_a_file_of_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("ts,te,sa\n1,2,3\n")
    with pytest.raises(ImportFailure):
        format_of(tmp_path / "a")
