"""A capture metered here, and exported by softflowd, collected by nfcapd and imported, gives the same sessions.

docs/importing.md argues the thresholds.
"""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from helpers.netflow import collected, needs_nfdump

from afterfact_agent.importing.run import import_files
from afterfact_agent.meter import meter_files
from afterfact_protocol.records import Records, check
from afterfact_protocol.session import BY_NAME, EndReason, Proto

ROOT = Path(__file__).parents[4]
CAPTURE = ROOT / "tests" / "data" / "pcaps" / "worm-1034" / "border.pcap"
FIELDS = ("src_ip", "src_pkts", "dst_pkts", "src_flags", "dst_flags", "state", "outcome")

pytestmark = needs_nfdump


def by_ends(records: Records) -> dict[tuple[object, ...], Records]:
    """TCP and UDP in order of time, of each pair of endpoints."""
    groups = defaultdict(list)
    for number, row in enumerate(records):
        if row["proto"] in (Proto.TCP, Proto.UDP):
            ends = sorted((bytes(row[f"{side}_ip"]), int(row[f"{side}_port"])) for side in ("src", "dst"))
            groups[int(row["proto"]), *ends].append(number)
    return {ends: records[sorted(rows, key=lambda i: int(records["start_time"][i]))] for ends, rows in groups.items()}


def compared(file: Path) -> tuple[Counter[str], Counter[str]]:
    """Of sessions between the same ends: how many agree in a field, and of how many it is known."""
    run = import_files([file])
    imported = np.concatenate(list(run.records()))
    check(imported)
    (report,) = run.reports
    assert report.format == "netflow" and not report.rejected and not run.damage
    assert report.lines == report.sessions + report.skipped.total()
    metered = np.concatenate([part[part["end_reason"] != EndReason.OPEN] for part in meter_files([CAPTURE])])
    theirs, ours = by_ends(imported), by_ends(metered)
    agree, known = Counter[str](), Counter(ours=sum(map(len, ours.values())), theirs=sum(map(len, theirs.values())))
    for ends in ours.keys() & theirs.keys():
        mine, other = ours[ends], theirs[ends]
        if len(mine) != len(other):
            continue
        known["both"] += len(mine)
        agree["start"] += int((np.abs(mine["start_time"] - other["start_time"]) < 1_000_000).sum())
        for field in FIELDS:
            told = (other["absent"] & np.uint64(1 << BY_NAME[field].id)) == 0
            known[field] += int(told.sum())
            agree[field] += int(((mine[field] == other[field]) & told).sum())
        for side in ("src", "dst"):
            # softflowd counts what fills an Ethernet frame up.
            more = other[f"{side}_ip_bytes"].astype(np.int64) - mine[f"{side}_ip_bytes"].astype(np.int64)
            agree[f"{side}_ip_bytes"] += int(((more >= 0) & (more <= 6 * mine[f"{side}_pkts"].astype(np.int64))).sum())
    return agree, known


@pytest.mark.parametrize(
    ("options", "sessions"),
    [
        (["-v", "5"], 226),  # without IPv6
        (["-v", "9"], 241),
        (["-v", "10"], 241),
        (["-v", "9", "-m", "20"], 241),
    ],
    ids=["v5", "v9", "ipfix", "in pieces"],
)
def test_the_worms_day(tmp_path: Path, options: list[str], sessions: int) -> None:
    """-m 20 has softflowd tell of a flow whenever it follows more than twenty: several records of one."""
    agree, known = compared(collected(CAPTURE, tmp_path / "flows", *options))
    assert known["ours"] == 241 and known["theirs"] == known["both"] == sessions, known
    for field in ("src_ip", "src_pkts", "dst_pkts", "src_flags", "dst_flags", "state"):
        assert agree[field] == known[field] > 150, (field, agree, known)
    assert sessions - agree["outcome"] <= 1, "an ICMP error, which NetFlow does not note"
    assert agree["start"] == agree["src_ip_bytes"] == agree["dst_ip_bytes"] == sessions, agree


def test_flows_that_are_told_both_ways_at_once(tmp_path: Path) -> None:
    """RFC 5103, of which nfdump keeps the flags of both sides in one: then they are not known."""
    agree, known = compared(collected(CAPTURE, tmp_path / "flows", "-v", "10", "-b", "-A", "milli"))
    assert known["theirs"] == known["both"] == 241
    assert agree["src_pkts"] == agree["dst_pkts"] == 241 and agree["state"] == known["state"] > 50
    assert known["src_flags"] < 10 and agree["src_ip"] >= 235 and agree["outcome"] >= 220, (agree, known)


def test_a_sample_is_marked_and_claims_nothing(tmp_path: Path) -> None:
    """As version 5's headers tell it; softflowd's version 9 keeps it to itself."""
    run = import_files([collected(CAPTURE, tmp_path / "flows", "-v", "5", "-s", "10")])
    records = np.concatenate(list(run.records()))
    assert len(records) > 50 and (records["marks"] & 512 != 0).all()
    failed = np.isin(records["outcome"], (1, 2, 3))
    assert not (failed & ((records["src_pkts"] == 0) | (records["dst_pkts"] == 0))).any()
