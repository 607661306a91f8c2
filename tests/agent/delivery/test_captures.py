from pathlib import Path

from helpers.packets import pcap_bytes, udp, write

from afterfact_agent.delivery.captures import CaptureSource
from afterfact_agent.meter import MeterConfig, meter_files
from afterfact_protocol.session import EndReason


def test_interim_records_are_left_out(tmp_path: Path) -> None:
    frames = [udp(1_000.0 + 20 * n, "10.0.0.1", 40_000, "10.0.0.2", 9999, 10) for n in range(20)]
    path = write(tmp_path / "long.pcap", pcap_bytes(frames))
    every = [int(row["end_reason"]) for records in meter_files([path], MeterConfig()) for row in records]
    assert EndReason.OPEN in every
    run = CaptureSource([path], MeterConfig()).run()
    kept = [int(row["end_reason"]) for records in run for row in records]
    assert kept == [reason for reason in every if reason != EndReason.OPEN] and len(kept) == 1
