"""The ids of sessions that other meters made: a hash of what never changes of them.

No counter and no place in a file is in it, so the same line in another file, or in the same one read again, is the same
session.
"""

import numpy as np
from numpy.typing import NDArray

from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD

_PARTS = ("start_time", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type", "icmp_code", "icmp_id",
          "vlan", "inner_vlan", "foreign_id", "source")  # fmt: skip
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def identify(records: Records) -> None:
    """Set session_id, once the fields that it is made of are set."""
    assert RECORD.fields is not None
    hashed = np.zeros(len(records), np.uint64)
    for name in _PARTS:
        for word in _words(records, name):
            hashed = _mix(hashed ^ word)
    records["session_id"] = hashed


def _words(records: Records, name: str) -> list[NDArray[np.uint64]]:
    """A field as 64-bit words."""
    width = RECORD[name].itemsize
    room = -(-width // 8) * 8
    padded = np.zeros((len(records), room), np.uint8)
    content = np.ascontiguousarray(records[name])
    padded[:, :width] = content.view(np.uint8).reshape(len(records), width)
    words = padded.view("<u8")
    return [words[:, place].astype(np.uint64) for place in range(words.shape[1])]


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Stafford's thirteenth mix of 64 bits, as splitmix64 has it."""
    mixed = words + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MULTIPLIERS[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MULTIPLIERS[1]
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
