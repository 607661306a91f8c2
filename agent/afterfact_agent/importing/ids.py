"""The ids of sessions that other meters made: a hash of what never changes of them.

No counter and no place in a file is in it, so the same line in another file, or in the same one read again, is the same
session.
"""

import numpy as np

from afterfact_agent.jit import call
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD

from .cells import hashing

_PARTS = ("start_time", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type", "icmp_code", "icmp_id",
          "vlan", "inner_vlan", "foreign_id", "source")  # fmt: skip
assert RECORD.fields is not None
_FIELDS = np.array([(RECORD.fields[name][1], RECORD.fields[name][0].itemsize) for name in _PARTS], np.int64)
"""Where each begins in a record, and its bytes."""


def identify(records: Records) -> None:
    """Set session_id, once the fields that it is made of are set."""
    data = np.ascontiguousarray(records).view(np.uint8).reshape(-1)
    hashed = np.zeros(len(records), np.int64)
    call(hashing.hash_fields, data, RECORD.itemsize, _FIELDS, hashed)
    records["session_id"] = hashed.view(np.uint64)
