"""Making records of columns: what is put in is known, all else is absent.

Knows nothing of text or of single formats.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afterfact_protocol.records import Records
from afterfact_protocol.session import BY_NAME, IPV4_PREFIX, RECORD, RECORD_FIELDS, Proto, Source

from .ids import identify

_ALL = np.uint64(sum(1 << field.id for field in RECORD_FIELDS if field.nullable))
_WITH_PORTS = np.zeros(256, np.bool_)
_WITH_PORTS[[Proto.TCP, Proto.UDP, Proto.SCTP, Proto.UDPLITE, 33]] = True  # 33 is DCCP
Bools = NDArray[np.bool_]


class Filling:
    """Records of one source that are being made."""

    def __init__(self, count: int, source: Source) -> None:
        self._records: Records = np.zeros(count, RECORD)
        self._records["source"] = source
        self._records["absent"] = _ALL

    def put(self, name: str, values: ArrayLike, known: Bools | None = None) -> None:
        """A field's values, of the rows where they are `known`."""
        bit = np.uint64(1 << BY_NAME[name].id)
        if known is None or known.all():
            self._records[name] = values
            self._records["absent"] &= ~bit
        elif known.any():
            self._records[name][known] = np.asarray(values)[known] if np.ndim(values) else values
            self._records["absent"][known] &= ~bit

    def finish(self, packets: NDArray[np.int64], ended: Bools | bool) -> Records:
        """The records, with ids, and revisions by the packets of both sides so far."""
        self._records["revision"] = packets.astype(np.uint64) * np.uint64(2) + np.asarray(ended).astype(np.uint64)
        identify(self._records)
        return self._records


def has_ports(proto: NDArray[np.int64]) -> Bools:
    """Whether sessions of these protocols have ports, as the meter has it."""
    return np.asarray(_WITH_PORTS[proto])


def is_ipv4(addresses: NDArray[np.void]) -> Bools:
    """Whether addresses of 16 bytes are IPv4-mapped."""
    octets = np.ascontiguousarray(addresses).view(np.uint8).reshape(-1, 16)
    return np.asarray((octets[:, :12] == np.frombuffer(IPV4_PREFIX, np.uint8)).all(axis=1))
