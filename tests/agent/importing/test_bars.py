"""SANCP's and stream4's lines, from their documented layouts; and whatever else a line may hold."""

import io
from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import pytest
from helpers.packets import as_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.format import Format
from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.lines import blocks_of
from afterfact_agent.importing.run import import_files
from afterfact_agent.importing.sancp import Cxtracker, Sancp
from afterfact_agent.importing.stream4 import Stream4
from afterfact_protocol.records import check
from afterfact_protocol.session import RECORD

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "outputs"

SANCP = b"5343839945097049070|2009-06-05 13:48:14|2009-06-05 13:48:35|21|6|1361045767|49528|3252367494|80|4|0|0|0|2|0"
TWELVE = b"1090000000001|2004-07-21 08:00:00|2004-07-21 08:00:21|167837959|3405803785|1500|1034|6|6|5|420|1310"


def read(form: Format, text: bytes) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    reader = form.reader()
    rows: list[dict[str, object]] = []
    rejects: list[tuple[int, str]] = []
    for block in blocks_of(io.BytesIO(text), "file"):
        taken = reader.read(block)
        check(taken.records)
        rows += as_rows(taken.records)
        rejects += [(reject.line, reject.reason) for reject in taken.rejects]
    return rows, rejects


def test_sancps_own_example() -> None:
    ((row,), rejects) = read(Sancp(), SANCP + b"\n")
    assert rejects == []
    assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == (
        str(IPv4Address(1361045767)), 49528, str(IPv4Address(3252367494)), 80,
    )  # fmt: skip
    assert (row["src_pkts"], row["dst_pkts"], row["src_bytes"], row["dst_bytes"]) == (4, 0, 0, 0)
    assert (row["src_flags"], row["dst_flags"], row["outcome"], row["state"]) == (2, 0, "attempted", "S0")
    assert row["foreign_id"] == "5343839945097049070" and row["history"] is None and row["vlan"] is None


@pytest.mark.parametrize(
    "line",
    [
        b"7|" + SANCP,  # Sguil's sensor number
        SANCP.replace(b"1361045767", b"81.32.5.199").replace(b"|2|0", b"|0x02|0x00"),  # -H
        SANCP + b"\r",
    ],
)
def test_other_ways_to_write_the_same_line(line: bytes) -> None:
    ((row,), rejects) = read(Sancp(), line + b"\n")
    assert rejects == [] and (row["src_port"], row["src_flags"], row["src_pkts"]) == (49528, 2, 4)


def test_ipv6() -> None:
    line = SANCP.replace(b"1361045767", b"2001:db8::7").replace(b"3252367494", b"2001:db8::1")
    ((row,), _) = read(Sancp(), line + b"\n")
    assert (row["src_ip"], row["dst_ip"]) == ("2001:db8::7", "2001:db8::1")


def test_keepstats_of_both_kinds() -> None:
    eleven = TWELVE.replace(b"|6|6|5|", b"|6|5|")
    for line in (TWELVE, eleven, b"3|" + TWELVE, b"3|" + eleven):
        ((row,), rejects) = read(Stream4(), line + b"\n")
        assert rejects == [], line
        assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"], row["proto"]) == (
            "10.1.1.7", 1500, "203.0.113.9", 1034, 6,
        ), line  # fmt: skip
        assert (row["src_pkts"], row["dst_pkts"], row["src_bytes"], row["dst_bytes"]) == (6, 5, 420, 1310)
        assert row["outcome"] == "both_ways" and row["src_flags"] is None and row["state"] is None


@pytest.mark.parametrize(
    ("found", "instead", "reason"),
    [
        (b"2009-06-05 13:48:14", b"2009-02-30 13:48:14", "start_time is no date and time"),
        (b"2009-06-05 13:48:14", b"1979-06-05 13:48:14", "start_time is before 1990 or in the future"),
        (b"2009-06-05 13:48:35", b"2009-06-05 13:48:10", "stop_time is before start_time"),
        (b"1361045767", b"4294967296", "src_ip is no address"),
        (b"1361045767", b"10.0.0.256", "src_ip is no address"),
        (b"49528", b"65536", "src_port is no number up to 65535"),
        (b"|4|0|0|0|2|0", b"|4|0|0", "15, 16 or 20 fields expected"),
        (b"|4|", b"|\xff|", "src_pkts is no number"),
    ],
)
def test_lines_that_cannot_be(found: bytes, instead: bytes, reason: str) -> None:
    rows, rejects = read(Sancp(), SANCP + b"\n" + SANCP.replace(found, instead) + b"\n" + SANCP + b"\n")
    assert len(rows) == 2 and [line for line, _ in rejects] == [2]
    assert rejects[0][1] == reason


_PIECES = st.sampled_from(
    [b"|", b"||", b"-", b"6", b"4294967295", b"1e9", b"::1", b"2009-06-05 13:48:14", b"\xff", b" ", b""]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([SANCP, TWELVE, b"7|" + SANCP]),
            st.tuples(st.sampled_from([SANCP, TWELVE]), st.integers(0, 130), st.integers(0, 20), _PIECES).map(
                lambda m: m[0][: m[1]] + m[3] + m[0][m[1] + m[2] :]
            ),
        ),
        max_size=6,
    )
)
def test_any_line_is_a_session_a_reject_or_skipped(lines: list[bytes]) -> None:
    for form in (Sancp(), Cxtracker(), Stream4()):
        reader = form.reader()
        for block in blocks_of(io.BytesIO(b"\n".join(lines)), "file"):
            taken = reader.read(block)
            check(taken.records)
            assert taken.records.dtype == RECORD
            told = len(taken.records) + len(taken.rejects) + sum(taken.skipped.values())
            assert told == len(block), (form.name, lines)


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus of other meters' outputs is not at hand")
@pytest.mark.parametrize("suffix", ["standard", "indexed"])
def test_cxtrackers_files(suffix: str) -> None:
    files = sorted((CORPUS / "cxtracker").glob(f"*.{suffix}"))
    assert files
    run = import_files(files, "cxtracker")
    sessions = np.concatenate(list(run))
    assert len(sessions) == sum(report.lines for report in run.reports) and run.damage == []
    assert sum(report.rejected.total() for report in run.reports) == 0
    # In SANCP's own layout nothing tells cxtracker's bytes from payload: it must be named.
    assert {format_of(path).name for path in files} == {"cxtracker" if suffix == "indexed" else "sancp"}
