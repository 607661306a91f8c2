"""The meter as the rest of the agent uses it: compiled once, and before the first packet."""

from pathlib import Path

import numpy as np
import pytest
from helpers.packets import A, B, Talk, chunk, pcap_bytes, pcapng_interface, pcapng_packet, pcapng_section, udp, write

from afterfact_agent import machine_code
from afterfact_agent.capture.packets import Packets
from afterfact_agent.capture.pcapfile import read_capture
from afterfact_agent.jit import PLAIN_PYTHON
from afterfact_agent.meter import meter_files
from afterfact_agent.meter.meter import SMALLEST_INDEX, Meter, warm
from afterfact_protocol.session import RECORD


@pytest.mark.skipif(PLAIN_PYTHON, reason="kernels are not compiled")
def test_nothing_is_compiled_after_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm()
    monkeypatch.setattr(machine_code, "_load", None)
    frames = Talk().whole()
    files = [
        write(tmp_path / "a.pcap", pcap_bytes(frames)),
        write(tmp_path / "b.pcapng", pcapng_section() + pcapng_interface() + pcapng_packet(frames[0][1], 5)),
    ]
    list(meter_files(files))
    list(meter_files(files, choose=lambda packets: packets))
    meter = Meter()
    packets = chunk(frames)
    list(meter.feed(packets))  # over bytes, which cannot be written
    columns = (packets.offsets, packets.caplens, packets.wirelens, packets.times_us, packets.linktypes)
    list(meter.feed(Packets(np.array(packets.buffer), *columns)))  # over an array, which can
    list(meter.advance(10**15))
    list(meter.finish())
    list(read_capture(files[0]))
    many = Meter()
    list(many.feed(chunk([udp(1, A, port, B, 53) for port in range(SMALLEST_INDEX // 2)])))
    assert many.counters["open"] == SMALLEST_INDEX // 2  # so that the index has grown


def test_records_belong_to_the_caller() -> None:
    meter = Meter()
    (first,) = [*meter.feed(chunk(Talk().whole())), *meter.finish()]
    before = first.tobytes()
    list(meter.feed(chunk(Talk(sport=5).whole(100))))
    list(meter.finish())
    assert first.dtype == RECORD and first.tobytes() == before


def test_counters_have_their_names() -> None:
    meter = Meter()
    list(meter.feed(chunk(Talk().handshake())))
    counters = meter.counters
    assert (counters["packets"], counters["sessions"], counters["open"], counters["records"]) == (3, 1, 1, 0)
    assert meter.undecoded == 0
