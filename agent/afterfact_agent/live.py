"""What `afterfact-agent run --interface` does: capture, meter, spool, deliver, until it is told to stop."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from afterfact_agent.capture.interface import CaptureOptions, Interface
from afterfact_agent.capture.live import LiveCapture
from afterfact_agent.delivery.livestream import LiveStream
from afterfact_agent.delivery.spool import Spool
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.machine_code import use_cache
from afterfact_agent.meter import METER_VERSION, MeterConfig
from afterfact_agent.privileges import PrivilegeError, become, default_user, hand_over
from afterfact_protocol.stopping import Stop

GOODBYE_SECONDS = 5.0
"""At the end, how long the server is given to acknowledge what was spooled last; the spool keeps it otherwise."""


def start_capture(
    names: list[str], options: CaptureOptions, config: MeterConfig, spool: Path, user: str | None,
    log: Callable[[str], None],
) -> LiveCapture:  # fmt: skip
    """Interfaces open, kernels compiled, root given up: in this order, since each needs what the next takes away.

    InterfaceError, PrivilegeError.
    """
    use_cache(spool / "kernels")
    from afterfact_agent.meter.meter import Meter, warm

    warm()
    capture = LiveCapture([Interface(name, options) for name in dict.fromkeys(names)], Meter(config), log)
    capture.open()
    shown = " ".join(interface.name for interface in capture.interfaces)
    if os.geteuid() == 0:
        user = user or default_user()
        if user != "root":
            hand_over(spool, user)
            become(user)
        log(f"capturing on {shown} as {user}")
    elif user is not None:
        raise PrivilegeError("only root can become another user: leave --user out")
    else:
        log(f"capturing on {shown}")
    return capture


def deliver_live(
    capture: LiveCapture, config: MeterConfig, spool: Spool, uplink: Uplink, stop: Stop,
    log: Callable[[str], None],
) -> bool:  # fmt: skip
    """Until `stop`; whether all went well. SpoolError if the spool's disk fails."""
    meter = f"afterfact {METER_VERSION} {config.fingerprint()[:16]}"
    stream = LiveStream(spool, meter, uplink.spooled, log)
    while not stop.is_set() and uplink.failed is None:
        for records in capture.step(taking=not stream.is_full):
            stream.add(records)
        for interval in capture.observed():
            stream.observe(interval)
        stream.put()
    for records in capture.finish():
        stream.add(records)
    for interval in capture.observed(everything=True):
        stream.observe(interval)
    stream.end()
    return say_goodbye(spool, uplink, stream.stream)


def say_goodbye(spool: Spool, uplink: Uplink, stream: bytes) -> bool:
    """Give the server a moment to acknowledge what a stream spooled last; whether delivery went well."""
    deadline = time.monotonic() + GOODBYE_SECONDS
    while uplink.failed is None and spool.waiting(stream) and time.monotonic() < deadline:
        time.sleep(0.02)
    return uplink.failed is None
