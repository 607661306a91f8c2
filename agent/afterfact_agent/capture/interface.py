"""A network interface as a source of packets, through pypcap: what it captured since the last look, and what it lost.

Polls nothing itself and knows no session; who owns it polls `fileno`. Byte counts come from IP headers: pypcap does not
pass on the length on the wire, and only headers are captured.
"""

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterfact_agent.capture.linktypes import linktype_name
from afterfact_agent.capture.packets import UNKNOWN_LENGTH, LinkType, Packets, linktype_of, read_only

SNAPLEN = 256
"""Enough for the headers of a packet within a tunnel; payload is not read."""
BUFFER_MB = 64
"""What the kernel keeps while the agent is busy: at 256 bytes a packet some 200,000 packets."""
HAND_OVER_MS = 100
"""The kernel hands a block of packets over when it is full, or after this."""


class InterfaceError(ValueError):
    """The interface cannot be captured from, or no longer. The message is one line that names it."""


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """How interfaces are captured from."""

    bpf: str = ""
    snaplen: int = SNAPLEN
    buffer_mb: int = BUFFER_MB

    def __post_init__(self) -> None:
        if not 64 <= self.snaplen <= 262_144:
            raise ValueError(f"a snap length is between 64 and 262144 bytes, not {self.snaplen}")
        if not 1 <= self.buffer_mb <= 2047:
            raise ValueError(f"a capture buffer is between 1 and 2047 MB, not {self.buffer_mb}")


class Interface:
    """Open it, poll `fileno()`, `read()` when that is readable. It may vanish, and be opened again when it is back."""

    def __init__(self, name: str, options: CaptureOptions) -> None:
        self.name = name
        self.options = options
        self.linktype = LinkType.ETHERNET
        self.received = 0
        """Packets handed over so far."""
        self.kernel_dropped = 0
        """Packets that the kernel had no room for, so far."""
        self.interface_dropped = 0
        """Packets that the interface itself or its driver dropped, so far."""
        self._dropped_here = (0, 0)
        """Of both, what this opening of it has counted."""
        self._pcap: Any = None
        self._times: list[int] = []
        self._packets: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return self._pcap is not None

    @property
    def dropped(self) -> int:
        """Packets lost before they could be read, so far."""
        return self.kernel_dropped + self.interface_dropped

    def open(self) -> None:
        """InterfaceError with what is wrong and what to do."""
        try:
            import pcap
        except ImportError:
            raise InterfaceError(
                f"{self.name}: capturing needs pypcap (and libpcap), which is not installed; scripts/setup installs it"
            ) from None
        known = [name for _, name in socket.if_nameindex()]
        if self.name not in known and self.name != "any":
            raise InterfaceError(f"{self.name}: no such interface; there are {', '.join(known)}")
        if os.path.exists(self.name):  # libpcap's wrapper takes a name for a capture file's first
            raise InterfaceError(f"{self.name}: a file of this name is in {os.getcwd()}; start the agent elsewhere")
        try:
            handle = pcap.pcap(
                self.name,
                snaplen=self.options.snaplen,
                promisc=self.name != "any",
                timeout_ms=HAND_OVER_MS,
                timestamp_in_ns=True,
                buffer_size=self.options.buffer_mb << 20,
            )
        except OSError as error:
            raise InterfaceError(f"{self.name}: cannot capture: {_reason(error)}") from None
        linktype = linktype_of(handle.datalink())
        if linktype is None:
            raise InterfaceError(f"{self.name}: its link type {linktype_name(handle.datalink())} is not supported")
        if self.options.bpf:
            try:
                handle.setfilter(self.options.bpf)
            except OSError as error:
                raise InterfaceError(
                    f"libpcap cannot make a filter of {self.options.bpf!r}: {_text(error)}; see pcap-filter(7)"
                ) from None
        handle.setnonblock(True)
        self.linktype = linktype
        self._dropped_here = (0, 0)
        self._pcap = handle

    def fileno(self) -> int:
        return int(self._pcap.fileno())

    def read(self) -> Packets | None:
        """The packets that are ready, at most a block of the kernel's; None if there are none.

        InterfaceError if the interface is gone; it is closed then.
        """
        times, packets = self._times, self._packets
        add_time, add_packet = times.append, packets.append

        def take(time_ns: int, packet: bytes) -> None:
            add_time(time_ns)
            add_packet(packet)

        found = self._pcap.dispatch(-1, take)
        if found < 0:
            reason = _text(self._pcap.geterr())
            self.close()
            raise InterfaceError(f"{self.name}: capturing has ended: {reason}")
        count = len(packets)
        if not count:
            return None
        lengths = np.fromiter(map(len, packets), np.int64, count)
        chunk = Packets(
            read_only(np.frombuffer(b"".join(packets), np.uint8)),
            np.cumsum(lengths) - lengths,
            lengths,
            np.full(count, UNKNOWN_LENGTH, np.int64),
            np.fromiter(times, np.int64, count) // 1000,
            np.full(count, self.linktype, np.int64),
        )
        times.clear()
        packets.clear()
        self.received += count
        return chunk

    def count_drops(self) -> None:
        """Bring the counts of dropped packets up to date."""
        if self._pcap is not None:
            _, kernel, interface = self._pcap.stats()
            self.kernel_dropped += kernel - self._dropped_here[0]
            self.interface_dropped += interface - self._dropped_here[1]
            self._dropped_here = (kernel, interface)

    def close(self) -> None:
        """Harmless when it is closed."""
        if self._pcap is not None:
            with contextlib.suppress(OSError):  # gone with the interface
                self.count_drops()
            self._pcap.close()
            self._pcap = None


def _text(error: object) -> str:
    said = error.args[0] if isinstance(error, OSError) and error.args else error
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return text.strip() or "no reason given"


def _reason(error: OSError) -> str:
    text = _text(error)
    if "ermi" in text or "not permitted" in text:
        return "no permission: run as root, or give the Python interpreter CAP_NET_RAW (setcap cap_net_raw+ep)"
    return text
