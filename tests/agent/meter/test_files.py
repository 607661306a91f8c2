"""Metering capture files: one stream, reports, damage."""

from pathlib import Path

import numpy as np
from helpers.packets import EPOCH, MICROSECONDS, A, B, Talk, as_rows, pcap_bytes, udp, write

from afterfact_agent.meter import meter_files
from afterfact_protocol.session import EndReason


def test_reports_are_complete_afterwards(tmp_path: Path) -> None:
    first = write(tmp_path / "1", pcap_bytes([udp(5, A, 1, B, 2), udp(3, A, 1, B, 2), (9, bytes(5))]))
    second = write(tmp_path / "2", pcap_bytes([udp(20, A, 1, B, 2)])[:-1])
    third = tmp_path / "missing"
    run = meter_files([first, str(second), third])
    assert [report.path for report in run.reports] == [str(first), str(second), str(third)]
    array = np.concatenate(list(run))
    (row,) = as_rows(array[array["end_reason"] != EndReason.OPEN])
    assert row["src_pkts"] == 2
    whole, cut, missing = run.reports
    assert (whole.packets, whole.undecoded, whole.damage) == (3, 1, [])
    assert (whole.first_us, whole.last_us) == ((EPOCH + 3) * MICROSECONDS, (EPOCH + 9) * MICROSECONDS)
    assert (cut.packets, cut.first_us, len(cut.damage)) == (0, None, 1)
    assert missing.damage == [f"{third}: cannot be read: No such file or directory"]
    assert run.damage == cut.damage + missing.damage
    assert run.meter.counters["packets"] == 3


def test_records_come_in_few_arrays_and_whole(tmp_path: Path) -> None:
    frames = [udp(n / 100, A, 1024 + n, B, 9, 500) for n in range(40000)]
    run = meter_files([write(tmp_path / "a", pcap_bytes(frames))])
    arrays = list(run)
    assert sum(int(array["src_pkts"][array["end_reason"] != EndReason.OPEN].sum()) for array in arrays) == 40000
    assert len(arrays) < 30


def test_a_filter_chooses(tmp_path: Path) -> None:
    path = write(tmp_path / "a", pcap_bytes([udp(0, A, 1, B, 2), *Talk().whole(1)]))
    run = meter_files([path], choose=lambda packets: packets.select(packets.caplens > 50))
    rows = as_rows(np.concatenate(list(run)))
    assert [row["proto"] for row in rows] == [6]
    assert run.reports[0].packets == 9
