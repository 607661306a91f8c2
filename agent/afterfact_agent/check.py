"""afterfact-agent check: what a tap delivers, before a sensor is trusted with it.

Captures for a while and says what an analyst would otherwise learn too late: one direction only, packets twice, losses,
VLANs and tunnels, packets longer than the wire carries. Delivers nothing.
"""

import argparse
import select
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.capture.interface import BUFFER_MB, CaptureOptions, Interface, InterfaceError
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD, EndReason, Proto, TcpFlag, Tunnel
from afterfact_protocol.stopping import Stop

DONE, FAILED, WRONG_CALL = 0, 1, 2
WHOLE_PACKETS = 65_535
POLL_MS = 200
SHOWN = 8
"""VLANs or tunnels named."""
LONGEST = 1_522
"""Of an Ethernet frame with two VLAN tags and 1,500 bytes in it; tunnels and jumbo frames may be longer."""
JUMBO = 9_216 + 22


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "check", help="say what a tap delivers", description="Captures for a while and says what the tap delivers."
    )
    parser.add_argument("--interface", metavar="IF", required=True)
    parser.add_argument("--seconds", metavar="N", type=float, default=10.0, help="for how long (10)")
    parser.add_argument("--bpf", metavar="FILTER", default="", help="only what this libpcap filter accepts")
    parser.set_defaults(work=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit codes: 0 done, 1 nothing came or the interface cannot be captured from, 2 the call was wrong."""
    stop = Stop()
    stop.on_signals()
    try:
        if not 0.1 <= arguments.seconds <= 86_400:
            raise ValueError(f"--seconds is between 0.1 and 86400, not {arguments.seconds:g}")
        options = CaptureOptions(arguments.bpf, WHOLE_PACKETS, BUFFER_MB)
        told = look(Interface(arguments.interface, options), arguments.seconds, stop)
    except InterfaceError as error:
        sys.stderr.write(f"afterfact-agent: {error}\n")
        return FAILED
    except ValueError as error:
        sys.stderr.write(f"afterfact-agent: {error}\n")
        return WRONG_CALL
    for line in told:
        sys.stdout.write(f"{line}\n")
    return DONE if len(told) > 1 else FAILED


def look(interface: Interface, seconds: float, stop: Stop) -> list[str]:
    """Capture for so long and say what was seen; one line alone if nothing was. InterfaceError."""
    from afterfact_agent.meter.meter import Meter, warm

    warm()
    meter = Meter()
    interface.open()
    waiting = select.poll()
    waiting.register(interface.fileno(), select.POLLIN)
    arrays: list[Records] = []
    sizes = np.zeros(WHOLE_PACKETS + 1, np.int64)
    began = time.monotonic()
    while not stop.is_set() and time.monotonic() - began < seconds:
        packets = interface.read() if waiting.poll(POLL_MS) else None
        if packets is not None:
            sizes += np.bincount(packets.caplens, minlength=len(sizes))[: len(sizes)]
            arrays += meter.feed(packets)
    took = time.monotonic() - began
    interface.close()
    arrays += meter.finish()
    if not interface.received:
        filtered = ", and does the filter fit" if interface.options.bpf else ""
        return [f"{interface.name}: no packet in {took:.0f} s; is the tap connected{filtered}?"]
    rows = np.concatenate([np.zeros(0, RECORD), *arrays])
    rows = rows[rows["end_reason"] != EndReason.OPEN]
    return [
        f"{interface.name}: {interface.received:,} packets in {took:.1f} s ({interface.received / took:,.0f}/s), "
        f"{len(rows):,} sessions",
        _losses(interface),
        _duplicates(meter.counters),
        _directions(rows),
        _share("VLANs", rows, [(f"{vlan}", rows["vlan"] == vlan) for vlan in np.unique(rows["vlan"]) if vlan]),
        _share("tunnels", rows, [(each.name.lower(), rows["tunnel"] & each != 0) for each in Tunnel if each.name]),
        _lengths(sizes),
        _checksums(meter.counters),
        _undecoded(meter.counters),
    ]


def _losses(interface: Interface) -> str:
    if not interface.dropped:
        return "losses: none; the kernel and the interface dropped no packet"
    part = interface.dropped / (interface.dropped + interface.received)
    return (f"losses: {interface.dropped:,} packets ({part:.1%}) were dropped before they could be read; a larger "
            "--buffer helps against bursts, a filter against too much")  # fmt: skip


def _duplicates(counters: dict[str, int]) -> str:
    count = counters["duplicates"]
    if not count:
        return "duplicates: none"
    return (f"duplicates: {count:,} packets ({count / counters['packets']:.1%}) came before; they are dropped, but "
            "cost capacity: mirror one direction of each port, or one side of the router")  # fmt: skip


def _directions(rows: Records) -> str:
    """TCP sessions of which both sides must have spoken: one acknowledges."""
    flags = rows["src_flags"] | rows["dst_flags"]
    spoken = (rows["proto"] == Proto.TCP) & (flags & TcpFlag.ACK != 0)
    alone = spoken & ((rows["src_pkts"] == 0) | (rows["dst_pkts"] == 0))
    total, single = int(spoken.sum()), int(alone.sum())
    if not total:
        return "directions: no TCP session to judge by"
    if not single:
        return f"directions: both of all {total:,} answered TCP sessions"
    return (f"directions: one only of {single:,} of {total:,} answered TCP sessions ({single / total:.0%}); if it is "
            "many, the tap misses a direction, or routing is asymmetric: outcomes will be unknown")  # fmt: skip


def _share(what: str, rows: Records, kinds: list[tuple[str, NDArray[np.bool_]]]) -> str:
    """Of packets that are in sessions."""
    packets = rows["src_pkts"] + rows["dst_pkts"]
    total = int(packets.sum())
    found = [(int(packets[chosen].sum()), name) for name, chosen in kinds if chosen.any()]
    if not found:
        return f"{what}: none"
    shown = [f"{name} ({count / total:.1%})" for count, name in sorted(found, reverse=True)[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{what}: {', '.join(shown)}{more} of packets"


def _lengths(sizes: NDArray[np.int64]) -> str:
    longest = int(np.nonzero(sizes)[0][-1])
    if longest <= LONGEST:
        return f"lengths: {longest:,} bytes at most"
    count = int(sizes[LONGEST + 1 :].sum())
    kind = (
        "jumbo frames, or packets that this host's interface put together"
        if longest <= JUMBO
        else (
            "put together by this host's interface (offload): packet counts are too low, byte counts right; "
            "switch it off with ethtool -K IF gro off lro off"
        )
    )
    return f"lengths: {count:,} packets are longer than {LONGEST:,} bytes, up to {longest:,}: {kind}"


def _checksums(counters: dict[str, int]) -> str:
    verified = counters["verified_checksums"]
    if not verified:
        return "checksums: none that could be verified"
    reasons = [(counters[f"bad_{name}_checksum"], name) for name in ("tcp", "udp", "icmp", "icmpv6")]
    wrong, offloaded = sum(count for count, _ in reasons), counters["offloaded_checksum"]
    said = "none wrong"
    if wrong:
        parts = ", ".join(f"{name} {count:,}" for count, name in reasons if count)
        said = f"{wrong:,} wrong ({wrong / verified:.1%}: {parts}); counted in their sessions, which are marked"
    if offloaded:
        said += f"; {offloaded:,} are of this host's own packets, left to its network card (offload)"
    return f"checksums: {verified:,} verified, {said}"


def _undecoded(counters: dict[str, int]) -> str:
    """By the reasons that the meter's counters have."""
    from afterfact_agent.meter.layout import COUNTERS

    found = [(counters[name], name) for name, doc in COUNTERS.items() if doc.startswith(("not IP", "not decoded"))]
    shown = [f"{name} ({count:,})" for count, name in sorted(found, reverse=True) if count]
    return f"not metered: {', '.join(shown) if shown else 'nothing; all was IP and could be decoded'}"
