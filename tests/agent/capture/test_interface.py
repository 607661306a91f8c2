"""What the kernel could not keep is counted, told as lost, and goes on to be when an interface comes back."""

import os
import time
from collections.abc import Iterator

import pytest
from helpers.network import Cable, cable, reason_not_to
from helpers.packets import udp

from afterfact_agent.capture.interface import CaptureOptions, Interface
from afterfact_agent.capture.live import LiveCapture
from afterfact_agent.meter.meter import Meter

REASON = reason_not_to()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
SENT = 20_000
"""Of 256 bytes: five times what a buffer of one megabyte holds."""


@pytest.fixture
def wire() -> Iterator[Cable]:
    with cable(str(os.getpid())) as made:
        yield made


def test_what_the_kernel_drops_is_counted_and_told(wire: Cable) -> None:
    said: list[str] = []
    interface = Interface(wire.near, CaptureOptions(bpf="udp port 53 or port 54", buffer_mb=1))
    capture = LiveCapture([interface], Meter(), said.append)
    capture.open()
    assert capture.counters["kernel_dropped"] == 0
    wire.send([udp(0, "10.0.0.1", 1024 + number % 60_000, "10.0.0.2", 53, 300) for number in range(SENT)])
    deadline = time.monotonic() + 60
    while interface.received + interface.dropped < SENT and time.monotonic() < deadline:
        list(capture.step())
        interface.count_drops()
    (told,), counted = capture.observed(everything=True), capture.counters
    first, dropped = interface.received, interface.dropped
    assert first + dropped == SENT and 0 < first < SENT
    assert (told.packets, told.lost) == (first, dropped)
    assert told.note == f"{dropped} packets were dropped before they could be read" and told.note in said
    assert counted["kernel_dropped"] == counted[f"interface.{wire.near}.dropped"] == dropped

    wire.unplug()
    while interface.is_open and time.monotonic() < deadline:
        list(capture.step())
    wire.plug()
    while not interface.is_open and time.monotonic() < deadline:
        list(capture.step())
    wire.send([udp(0, "10.0.0.1", 1024, "10.0.0.2", 54)])
    while interface.received == first and time.monotonic() < deadline:
        list(capture.step())
    list(capture.finish())
    assert (interface.received, capture.counters["kernel_dropped"]) == (first + 1, dropped)
    last = capture.observed(everything=True)[-1]
    assert (last.packets, last.lost) == (1, 0)
