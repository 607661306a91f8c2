"""Capture filters in libpcap's language, applied to packets that were read from a file.

libpcap compiles and runs them, through pypcap, a packet at a time; live capture has the kernel do it.
"""

import importlib
from typing import Any

import numpy as np

from afterfact_agent.capture.packets import LinkType, Packets

_DLT_RAW = 12
"""libpcap's own number for raw IP; for the other types it is the registry's."""


class FilterError(ValueError):
    """The filter cannot be used. The message is one line."""


class PacketFilter:
    """Chooses the packets of a chunk that a filter accepts. Lengths in a filter (`greater 100`) are captured lengths:
    pypcap does not pass on the others."""

    def __init__(self, expression: str) -> None:
        """Raises FilterError if pypcap is missing or the expression is wrong."""
        try:
            self._pcap = importlib.import_module("pcap")
        except ImportError:
            raise FilterError("a packet filter needs pypcap (and libpcap), which is not installed") from None
        self.expression = expression
        self._by_linktype: dict[int, Any] = {}
        self._program(LinkType.ETHERNET)

    def __call__(self, packets: Packets) -> Packets:
        chosen = np.zeros(len(packets), np.bool_)
        columns = (packets.offsets.tolist(), packets.caplens.tolist(), packets.linktypes.tolist())
        view = packets.buffer.data
        for number, (at, length, linktype) in enumerate(zip(*columns, strict=True)):
            program = self._by_linktype.get(linktype) or self._program(linktype)
            chosen[number] = program.filter(bytes(view[at : at + length]))
        return packets.select(chosen)

    def _program(self, linktype: int) -> Any:
        try:
            program = self._pcap.bpf(self.expression.encode(), _DLT_RAW if linktype == LinkType.RAW else linktype)
        except (OSError, ValueError):
            raise FilterError(f"libpcap cannot make a filter of {self.expression!r}; see pcap-filter(7)") from None
        self._by_linktype[linktype] = program
        return program
