"""A kernel that hashes fields of records, by which they are told apart. Which fields those are is ids.py's."""

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.jit import entry, i64, kernel

_MULTIPLY_FIRST, _MULTIPLY_SECOND = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15
_GOLDEN = -0x61C8864680B583EB


@kernel
def mixed(word: int) -> int:
    """Stafford's thirteenth mix of 64 bits, as splitmix64 has it."""
    word += i64(_GOLDEN)
    word = (word ^ ((word >> 30) & 0x3FFFFFFFF)) * i64(_MULTIPLY_FIRST)
    word = (word ^ ((word >> 27) & 0x1FFFFFFFFF)) * i64(_MULTIPLY_SECOND)
    return i64(word ^ ((word >> 31) & 0x1FFFFFFFF))


@entry
def hash_fields(data: NDArray[np.uint8], size: int, fields: NDArray[np.int64], hashed: NDArray[np.int64]) -> None:
    """A hash of the fields of each record in `data`, a record every `size` bytes: of their bytes, eight at a time, the
    last ones filled up with zeros. fields: of each where in the record it begins, and its bytes.
    """
    for record in range(len(hashed)):
        state = i64(0)
        for field in range(len(fields)):
            at = i64(record * size + fields[field, 0])
            end = at + fields[field, 1]
            while end - at >= 8:
                word = i64(0)
                for place in range(8):  # which the compiler makes one load of
                    word |= i64(data[np.uint64(at + place)]) << (8 * place)
                state = mixed(state ^ word)
                at += 8
            if at < end:
                word = i64(0)
                for place in range(end - at):
                    word |= i64(data[np.uint64(at + place)]) << (8 * place)
                state = mixed(state ^ word)
        hashed[record] = state
