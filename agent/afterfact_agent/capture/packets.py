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
    """Link types of the tcpdump registry that the meter decodes."""

    NULL = 0
    ETHERNET = 1
    RAW_BSD = 12
    RAW_OPENBSD = 14
    RAW = 101
    LOOP = 108
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


@dataclass(frozen=True, slots=True)
class Packets:
    """A chunk of captured packets. All columns have one entry a packet and dtype int64."""

    buffer: NDArray[np.uint8]
    """The bytes that the offsets point into."""
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
