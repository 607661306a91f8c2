"""The form in which packets reach the meter: one buffer and parallel columns, whatever they were read from.

Does not read files or interfaces, and does not look into packets.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

UNKNOWN_LENGTH = -1
"""A wire length that the source of the packets does not tell (pypcap)."""


class LinkType(IntEnum):
    """Link types that the meter decodes, by their numbers in the tcpdump registry."""

    NULL = 0
    ETHERNET = 1
    PPP = 9
    PPP_ETHER = 51
    RAW = 101
    IEEE802_11 = 105
    LINUX_SLL = 113
    RADIOTAP = 127
    IPV4 = 228
    IPV6 = 229
    NFLOG = 239
    LINUX_SLL2 = 276


_OTHER_NUMBERS = {12: LinkType.RAW, 14: LinkType.RAW, 50: LinkType.PPP, 108: LinkType.NULL}
"""Raw IP as some systems number it; PPP with HDLC-like framing; OpenBSD's loopback, which differs from NULL in byte
order only."""


def linktype_of(number: int) -> LinkType | None:
    """The link type of a number in a capture file or from libpcap; None if it is not decoded."""
    if number in _OTHER_NUMBERS:
        return _OTHER_NUMBERS[number]
    return LinkType(number) if number in set(LinkType) else None


def read_only(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same bytes, not to be written. To the compiler of kernels that is a type of its own, and bytes that a live
    capture hands out are always of it; so that they all are, or kernels would be compiled twice."""
    view = data.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True)
class Packets:
    """A chunk of captured packets. All columns have one entry a packet and dtype int64."""

    buffer: NDArray[np.uint8]
    """The bytes that the offsets point into, read_only."""
    offsets: NDArray[np.int64]
    """Where a packet begins in the buffer."""
    caplens: NDArray[np.int64]
    """Bytes captured."""
    wirelens: NDArray[np.int64]
    """Bytes on the wire, or UNKNOWN_LENGTH."""
    times_us: NDArray[np.int64]
    """Microseconds since 1970, UTC."""
    linktypes: NDArray[np.int64]
    """A LinkType each."""

    def __len__(self) -> int:
        return len(self.offsets)

    def select(self, chosen: NDArray[np.bool_]) -> "Packets":
        """The packets for which `chosen` is true, over the same buffer."""
        return Packets(
            self.buffer,
            self.offsets[chosen],
            self.caplens[chosen],
            self.wirelens[chosen],
            self.times_us[chosen],
            self.linktypes[chosen],
        )
