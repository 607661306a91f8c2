"""ICMP and ICMPv6: which messages are asked and answered, and which are errors that quote a session.

Knows types only (IANA's registries; RFC 792, 950, 1256, 4443, 2710, 4861, 4620, 6275).
"""

import numpy as np

from afterfact_agent.jit import kernel

from .decode import ICMPV6

ROUTER_ADVERTISEMENT = 134
REQUEST_OF = np.full((2, 256), -1, np.int64)
"""[version 6?, type] -> the type of the request, for requests and replies; -1 for messages that stand alone."""
HAS_ID = np.zeros((2, 256), np.uint8)
"""Whether bytes 4 and 5 are an identifier that requests and replies share."""
IS_ERROR = np.zeros((2, 256), np.uint8)
"""Whether the message quotes the packet that caused it."""

for _request, _reply, _id in ((8, 0, 1), (13, 14, 1), (15, 16, 1), (17, 18, 1), (10, 9, 0)):
    REQUEST_OF[0, _request] = REQUEST_OF[0, _reply] = _request
    HAS_ID[0, _request] = HAS_ID[0, _reply] = _id
for _request, _reply, _id in ((128, 129, 1), (130, 131, 0), (133, 134, 0), (135, 136, 0), (139, 140, 0), (144, 145, 1)):
    REQUEST_OF[1, _request] = REQUEST_OF[1, _reply] = _request
    HAS_ID[1, _request] = HAS_ID[1, _reply] = _id
IS_ERROR[0, [3, 11, 12]] = 1
IS_ERROR[1, [1, 2, 3, 4]] = 1

NOT_DELIVERED, PORT_CLOSED, TOO_BIG = 1, 2, 0
"""What an error says of the session that it quotes. TOO_BIG is path MTU discovery at work, not a failure."""


@kernel
def error_kind(proto: int, kind: int, code: int) -> int:
    """NOT_DELIVERED, PORT_CLOSED or TOO_BIG."""
    if proto == ICMPV6:
        if kind == 2:
            return TOO_BIG
        return PORT_CLOSED if kind == 1 and code == 4 else NOT_DELIVERED
    if kind == 3 and code == 4:
        return TOO_BIG
    return PORT_CLOSED if kind == 3 and (code == 3 or code == 2) else NOT_DELIVERED


@kernel
def quotes(proto: int, kind: int) -> bool:
    """Whether an ICMP message is an error that quotes the packet that caused it."""
    return bool(IS_ERROR[1 if proto == ICMPV6 else 0, kind])


@kernel
def is_multicast(hi: int, lo: int) -> bool:
    """Whether an address is multicast, or IPv4's limited broadcast."""
    if hi == 0 and (lo >> 32) == 0xFFFF:
        first = (lo >> 24) & 0xFF
        return 224 <= first < 240 or (lo & 0xFFFFFFFF) == 0xFFFFFFFF
    return ((hi >> 56) & 0xFF) == 0xFF
