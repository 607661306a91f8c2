"""Argus's lines, files and streams become sessions: what is added up, what is told, what is refused."""

import os
import random
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.argus import ARGUS, HEADER, file_of, line, metered_by_argus, needs_argus, needs_ra

from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.lines import ImportFailure
from afterfact_agent.importing.run import ImportReport, ImportRun, import_files
from afterfact_protocol.records import Records, check
from afterfact_protocol.session import (
    RECORD,
    DirectionBy,
    EndReason,
    Mark,
    Outcome,
    Source,
    State,
    absent_bits,
)

WORM = Path(__file__).parents[4] / "tests" / "data" / "pcaps" / "worm-1034"
DATA = bytes.fromhex("83100020 00000000 e5712dcb") + bytes(116)
"""The management record that begins a file of Argus 3."""


def taken(path: Path, chosen: str | None = None) -> tuple[Records, ImportReport]:
    run = import_files([path], chosen)
    parts = list(run.records())
    records = np.concatenate(parts) if parts else np.zeros(0, RECORD)
    check(records)
    return records, run.reports[0]


def ip(text: str) -> bytes:
    return bytes(10) + b"\xff\xff" + socket.inet_aton(text)


def absent(row: np.void, field: str) -> bool:
    return bool(int(row["absent"]) & absent_bits(field))


def test_line_is_a_session(tmp_path: Path) -> None:
    records, report = taken(file_of(tmp_path / "a.csv", line(SrcGap=3, DstGap=4, sVid=200, sMpls=29)))
    (row,) = records
    assert report.format == "argus"
    assert (int(row["start_time"]), int(row["end_time"])) == (1_300_000_000_000_001, 1_300_000_001_500_000)
    assert (bytes(row["src_ip"]), int(row["src_port"])) == (ip("10.0.0.1"), 40000)
    assert (bytes(row["dst_ip"]), int(row["dst_port"])) == (ip("10.0.0.2"), 80)
    assert [int(row[name]) for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes")] == [5, 4, 100, 2000]
    assert (row["state"], row["outcome"]) == (State.SF, Outcome.BOTH_WAYS)
    assert (row["direction_by"], row["end_reason"]) == (DirectionBy.SYN, EndReason.CLOSED)
    assert (row["source"], row["foreign_id"], int(row["missed_bytes"])) == (Source.ARGUS, b"7", 7)
    assert (int(row["vlan"]), int(row["tunnel_id"]), int(row["revision"])) == (200, 29, 19)
    assert absent(row, "src_ip_bytes") and absent(row, "history") and absent(row, "icmp_type")


def test_status_records_are_added_up_whichever_way_round(tmp_path: Path) -> None:
    """Counters are differences, flags those since the last record; the number is the flow's."""
    later = line(
        Cause="Status", StartTime="1300000060.0", LastTime="1300000070.0", State="FPA_PA", SrcAddr="10.0.0.2",
        Sport=80, DstAddr="10.0.0.1", Dport=40000, Dir="  <?>", SrcPkts=10, DstPkts=20, SAppBytes=1, DAppBytes=2,
    )  # fmt: skip
    other = line(Seq=8)
    records, report = taken(file_of(tmp_path / "a.csv", line(State="SPA_SPA"), other, later))
    assert len(records) == 2 and report.lines == 4
    row = records[records["foreign_id"] == b"7"][0]
    assert [int(row[name]) for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes")] == [25, 14, 102, 2001]
    assert (int(row["start_time"]), int(row["end_time"])) == (1_300_000_000_000_001, 1_300_000_070_000_000)
    assert (bytes(row["src_ip"]), row["state"]) == (ip("10.0.0.1"), State.S3)
    assert report.skipped == {"header": 1, "added to the session of an earlier record": 1}


def test_numbers_begin_anew_with_each_start_of_argus(tmp_path: Path) -> None:
    start = line(Proto="man", State="STA", SrcAddr=0, DstAddr=0, Sport=0, Dport=0, Seq=0)
    records, _ = taken(file_of(tmp_path / "a.csv", start, line(), start, line(StartTime="1300000000.5")))
    assert len(records) == 2


def test_continued_from_another_file(tmp_path: Path) -> None:
    """What came before is not known, so no state is told; that data went both ways is."""
    (row,), _ = taken(file_of(tmp_path / "a.csv", line(Cause="Status", State="PA_PA")))
    assert absent(row, "state") and row["marks"] == Mark.PARTIAL
    assert (row["direction_by"], row["outcome"]) == (DirectionBy.SYN, Outcome.BOTH_WAYS)


@pytest.mark.parametrize(
    ("state", "packets", "data", "expected"),
    [
        ("S_", (3, 0), (0, 0), (State.S0, Outcome.ATTEMPTED)),
        ("S_RA", (1, 1), (0, 0), (State.REJ, Outcome.REFUSED)),
        ("SA_SA", (2, 1), (0, 0), (State.S1, Outcome.OPENED)),
        ("SPA_SA", (3, 2), (9, 0), (State.S1, Outcome.ONE_WAY)),
        ("FSPA_FSRPA", (5, 5), (9, 9), (State.SF, Outcome.BOTH_WAYS)),
        ("SPA_SRPA", (5, 5), (9, 9), (State.RSTR, Outcome.BOTH_WAYS)),
        ("SRPA_SPA", (5, 5), (9, 9), (State.RSTO, Outcome.BOTH_WAYS)),
        ("SR_", (2, 0), (0, 0), (State.RSTOS0, Outcome.ATTEMPTED)),
        ("SF_", (2, 0), (0, 0), (State.SH, Outcome.ATTEMPTED)),
        ("PA_PA", (2, 2), (9, 9), (State.OTH, Outcome.BOTH_WAYS)),
        ("PA_", (2, 0), (9, 0), (State.OTH, Outcome.UNKNOWN)),
    ],
)
def test_flags_tell_state_and_outcome(
    tmp_path: Path, state: str, packets: tuple[int, int], data: tuple[int, int], expected: tuple[State, Outcome]
) -> None:
    said = {"SrcPkts": packets[0], "DstPkts": packets[1], "SAppBytes": data[0], "DAppBytes": data[1]}
    (row,), _ = taken(file_of(tmp_path / "a.csv", line(State=state, **said)))
    assert (row["state"], row["outcome"]) == expected


@pytest.mark.parametrize(
    ("direction", "state", "packets", "caller", "by"),
    [
        ("<-", "SA_S", (2, 2), "10.0.0.2", DirectionBy.SYN),
        ("->", "SA_", (1, 0), "10.0.0.2", DirectionBy.SYNACK),
        ("->", "A_SA", (1, 1), "10.0.0.1", DirectionBy.SYNACK),
        ("<?>", "PA_PA", (2, 2), "10.0.0.1", DirectionBy.PORT),
        ("?>", "PA_PA", (2, 2), "10.0.0.1", DirectionBy.PORT),
        ("<?", "_RA", (0, 1), "10.0.0.1", DirectionBy.PORT),
        ("", "_", (2, 2), "10.0.0.1", DirectionBy.UNKNOWN),
    ],
)
def test_who_called(
    tmp_path: Path, direction: str, state: str, packets: tuple[int, int], caller: str, by: DirectionBy
) -> None:
    """By the handshake; where Argus did not see one, by ports as the meter has them."""
    said = {"Dir": direction, "State": state, "SrcPkts": packets[0], "DstPkts": packets[1]}
    (row,), _ = taken(file_of(tmp_path / "a.csv", line(**said)))
    assert (bytes(row["src_ip"]), row["direction_by"]) == (ip(caller), by)


def test_names_in_place_of_numbers(tmp_path: Path) -> None:
    """CSV of ra without -Z b: a state, which tells less than flags."""
    title = "StartTime,LastTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SrcBytes,State"
    path = tmp_path / "a.csv"
    path.write_text(
        f"{title}\n1300000000.0,1300000001.0,tcp,10.0.0.1,4000,->,10.0.0.2,80,3,0,186,REQ\n"
        "1300000000.0,1300000001.0,tcp,10.0.0.1,4001,->,10.0.0.2,80,9,8,999,FIN\n"
        "1300000000.0,1300000001.0,udp,fe80::1,5353,->,ff02::fb,0x14e9,1,0,99,INT\n"
    )
    records, report = taken(path)
    asked, ended, sent = records
    assert not report.rejected
    assert (asked["state"], asked["outcome"]) == (State.S0, Outcome.ATTEMPTED)
    assert absent(ended, "state") and absent(ended, "src_flags") and absent(ended, "src_bytes")
    assert (int(sent["dst_port"]), sent["state"], absent(sent, "foreign_id")) == (5353, State.S0, True)


def test_icmp(tmp_path: Path) -> None:
    echo = line(Proto=1, Sport="0x0008", Dport="0x390a", State="ECO", SrcPkts=1, DstPkts=1, SAppBytes=64, DAppBytes=64)
    error = line(Proto=1, Sport="0x0303", Dport="0x53ee", State="URP", SrcPkts=2, DstPkts=0, DAppBytes=0, Seq=8)
    six = line(Proto=58, SrcAddr="2001:db8:1:40::11", DstAddr="ff02::1", Sport=143, Dport=0, State="MHR", Seq=9)
    records, report = taken(file_of(tmp_path / "a.csv", echo, error, six))
    assert len(records) == 3 and not report.rejected
    ping = records[0]
    assert [int(ping[name]) for name in ("icmp_type", "icmp_code", "icmp_id", "src_bytes")] == [8, 0, 0x0A39, 56]
    assert (ping["outcome"], ping["direction_by"]) == (Outcome.BOTH_WAYS, DirectionBy.REQUEST)
    assert absent(ping, "src_port")
    assert [int(records[1][name]) for name in ("icmp_type", "icmp_code")] == [3, 3]
    assert (records[1]["state"], records[1]["outcome"], absent(records[1], "icmp_id")) == (State.OTH, 0, True)


@pytest.mark.parametrize(("by", "outcome"), [("10.0.0.2", Outcome.REFUSED), ("192.0.2.1", Outcome.UNREACHABLE)])
def test_unreachable_by_itself_or_a_router(tmp_path: Path, by: str, outcome: Outcome) -> None:
    said = {"Proto": 17, "State": "INT", "DstPkts": 0, "DAppBytes": 0, "Flgs": " eU       ", "Inode": by}
    (row,), _ = taken(file_of(tmp_path / "a.csv", line(**said)))
    assert (row["outcome"], bytes(row["error_ip"])) == (outcome, ip(by))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"StartTime": "12:30:00.5"}, "StartTime is no time in seconds (ra -u)"),
        ({"StartTime": "1300000002.0"}, "LastTime is before StartTime"),
        ({"StartTime": "12.0", "LastTime": "13.0"}, "wrong date"),
        ({"StartTime": "4000000000.0", "LastTime": "4000000000.0"}, "wrong date"),
        ({"SrcAddr": "10.0.0.256"}, "SrcAddr is no address"),
        ({"DstAddr": "www.example.net"}, "DstAddr is no address"),
        ({"Sport": "http"}, "Sport is no port number (ra -nn)"),
        ({"Dport": "65536"}, "Dport is no port number (ra -nn)"),
        ({"SrcPkts": "-1"}, "SrcPkts is no number up to 9007199254740992"),
        ({"Proto": "bgp?"}, "Proto is no IP protocol"),
        ({"Seq": "1,2"}, "23 fields expected"),
    ],
)
def test_rejects(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    records, report = taken(file_of(tmp_path / "a.csv", line(), line(**changes)))
    assert (len(records), report.rejected) == (1, {reason: 1})
    assert report.first_rejects[0].line == 3


def test_what_is_not_ip_is_skipped(tmp_path: Path) -> None:
    arp = line(Proto=2054, Sport="", Dport="", Dir="  who", State="INT")
    link = line(Proto=0, SrcAddr="00:13:7f:4f:8e:f2", DstAddr="01:80:c2:00:00:00")
    records, report = taken(file_of(tmp_path / "a.csv", arp, link, HEADER))
    assert not len(records) and not report.rejected
    assert report.skipped == {"header": 2, "not IP": 2}


def test_management_records_are_intervals(tmp_path: Path) -> None:
    """Those that follow one another are one, unless packets were lost."""

    def managed(begins: float, ends: float, packets: int, lost: int, cause: str = "Status", state: str = "CON") -> str:
        return line(
            Proto="man", SrcAddr=0, DstAddr=48, Sport=lost, Dport=1, LastTime=f"{begins:.6f}", StartTime=f"{ends:.6f}",
            SrcPkts=packets, Loss=lost, Cause=cause, State=state, Seq=0,
        )  # fmt: skip

    start = 1_300_000_000
    run = [
        managed(start, start, 0, 0, "Start", "STA"),
        line(StartTime=f"{start}.5"),
        managed(start, start + 60, 500, 0),
        managed(start + 60, start + 120, 400, 0),
        managed(start + 120, start + 180, 300, 25),
    ]
    _, report = taken(file_of(tmp_path / "a.csv", *run))
    told = [
        (one.start // 1_000_000 - start, one.end // 1_000_000 - start, one.packets, one.lost) for one in report.observed
    ]
    assert told == [(0, 120, 900, 0), (120, 180, 300, 25)]
    # Of a capture file that Argus read, they tell of its own clock.
    run[1] = line(StartTime=f"{start - 86400}.0")
    _, report = taken(file_of(tmp_path / "b.csv", *run))
    assert not report.observed


def test_every_line_is_accounted_for_whatever_it_says(tmp_path: Path) -> None:
    chance = random.Random(5)
    letters = bytes(range(256)).replace(b"\n", b"")
    path = tmp_path / "fuzz.csv"
    with path.open("wb") as out:
        out.write(HEADER.encode() + b"\n")
        for number in range(3000):
            good = bytearray(line(Seq=number % 500, Sport=chance.randrange(65536)).encode())
            for _ in range(chance.choice((0, 1, 1, 2, 5))):
                place = chance.randrange(len(good))
                match chance.randrange(4):
                    case 0:
                        good[place] = chance.choice(letters)
                    case 1:
                        del good[place : place + chance.randrange(1, 20)]
                    case 2:
                        good[place:place] = good[place : place + chance.randrange(1, 30)]
                    case _:
                        good[place:place] = bytes(chance.choices(letters, k=3))
                good = good or bytearray(b",")
            out.write(bytes(good) + b"\n")
    records, report = taken(path, "argus")
    assert len(records) > 300 and report.rejected.total() > 300
    assert report.lines == len(records) + report.rejected.total() + report.skipped.total()


def test_same_lines_are_the_same_sessions(tmp_path: Path) -> None:
    first, _ = taken(file_of(tmp_path / "a.csv", line(), line(Seq=8, Sport=1)))
    second, _ = taken(file_of(tmp_path / "b.csv", line(Seq=8, Sport=1), line()))
    assert set(first["session_id"].tolist()) == set(second["session_id"].tolist())
    assert len(set(first["session_id"].tolist())) == 2


def test_without_ra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.argus"
    path.write_bytes(DATA)
    monkeypatch.setenv("PATH", str(tmp_path))
    run = import_files([path])
    assert not list(run.records())
    assert run.damage == [f"{path}: is read by ra, which is not here: install it (Debian: apt install argus-client)"]


def test_ra_too_old_for_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ra 3 gives nothing of a file of Argus 5, and ends with 0."""
    path = tmp_path / "a.argus"
    path.write_bytes(b"\x85" + DATA[1:8] + b"\xe5\x71\x50\xcb" + DATA[12:])
    program = tmp_path / "ra"
    program.write_text("#!/bin/sh\necho 'Ra Version 3.0.8.2'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    run = import_files([path])
    assert not list(run.records())
    assert "written by Argus 5, and ra here is 3.0.8.2, which cannot read it: install" in run.damage[0]


@needs_argus
def test_cut_off_file_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    whole = metered_by_argus(WORM / "border.pcap", tmp_path / "whole.argus")
    cut = tmp_path / "cut.argus"
    cut.write_bytes(whole.read_bytes()[:9001])
    run = import_files([cut])
    assert sum(len(records) for records in run.records()) > 10
    assert run.damage == [f"{cut}: cut off within its last record, which is lost"]


@needs_ra
def test_nobody_at_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = import_files([Path(f"127.0.0.1:{port}")], "argus")
    assert not list(run.records()) and "no Argus answers there" in run.damage[0]


def test_address_of_no_stream_is_a_file_that_is_missing() -> None:
    with pytest.raises(ImportFailure, match="cannot read"):
        format_of(Path("/nowhere:561"), "argus")


@needs_argus
@pytest.mark.skipif(os.geteuid() != 0, reason="argus captures as root only")
def test_live_stream_gives_flows_while_they_go_on() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert ARGUS is not None
    command = [ARGUS, "-X", "-S", "1", "-i", "lo", "-P", str(port), "-B", "127.0.0.1"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as argus,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        try:
            there.bind(("127.0.0.1", 0))
            address = there.getsockname()
            deadline = time.monotonic() + 40
            seen: list[int] = []
            while not seen and time.monotonic() < deadline:
                run: ImportRun = import_files([Path(f"127.0.0.1:{port}")], "argus")
                for took in run.takings():
                    here.sendto(b"x" * 100, address)
                    mine = took.records[took.records["dst_port"] == address[1]]
                    assert (mine["end_reason"] == EndReason.OPEN).all()
                    seen += mine["src_pkts"].tolist()
                    if len(seen) > 1 or time.monotonic() > deadline:
                        break
                time.sleep(0.2)
        finally:
            argus.terminate()
            argus.wait()
    assert len(seen) > 1 and seen == sorted(seen) and seen[-1] > seen[0]
