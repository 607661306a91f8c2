"""Numbers in network byte order out of a packet's bytes. Checks nothing: who reads has checked that it is captured."""

import numpy as np

from afterfact_agent.jit import i64, inlined

from .layout import Bytes


@inlined
def u8(buffer: Bytes, at: int) -> int:
    return i64(buffer[np.uint64(at)])


@inlined
def u16(buffer: Bytes, at: int) -> int:
    return (i64(buffer[np.uint64(at)]) << 8) | i64(buffer[np.uint64(at + 1)])


@inlined
def u32(buffer: Bytes, at: int) -> int:
    return (
        (i64(buffer[np.uint64(at)]) << 24)
        | (i64(buffer[np.uint64(at + 1)]) << 16)
        | (i64(buffer[np.uint64(at + 2)]) << 8)
        | i64(buffer[np.uint64(at + 3)])
    )


@inlined
def u64(buffer: Bytes, at: int) -> int:
    """Eight bytes as a signed integer of the same bits."""
    return (u32(buffer, at) << 32) | u32(buffer, at + 4)


@inlined
def u64_little(buffer: Bytes, at: int) -> int:
    """Eight bytes in this machine's own order, as a signed integer of the same bits: one load."""
    low = (
        i64(buffer[np.uint64(at)])
        | (i64(buffer[np.uint64(at + 1)]) << 8)
        | (i64(buffer[np.uint64(at + 2)]) << 16)
        | (i64(buffer[np.uint64(at + 3)]) << 24)
    )
    high = (
        i64(buffer[np.uint64(at + 4)])
        | (i64(buffer[np.uint64(at + 5)]) << 8)
        | (i64(buffer[np.uint64(at + 6)]) << 16)
        | (i64(buffer[np.uint64(at + 7)]) << 24)
    )
    return low | (high << 32)


@inlined
def u16_little(buffer: Bytes, at: int) -> int:
    """Little-endian, as radiotap and NFLOG have it."""
    return i64(buffer[np.uint64(at)]) | (i64(buffer[np.uint64(at + 1)]) << 8)
