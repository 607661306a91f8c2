"""Community ID, version 1 with seed 0 (github.com/corelight/community-id-spec): one name for a conversation, whatever
tool saw it and whoever it takes for the originator.

Over packed session records. It is computed where it is shown or asked for, and stored nowhere.
"""

import base64
import binascii
import hashlib

import numpy as np

from .records import Records
from .session import IPV4_PREFIX, Proto, absent_bits

DIGEST_BYTES = 20
PORTED = (Proto.TCP, Proto.UDP, Proto.SCTP)
"""Protocols whose ports count."""

ANSWERS_ICMP: dict[int, int] = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 10: 9, 9: 10, 17: 18, 18: 17}
"""ICMP types that ask and answer each other: these two stand for the ports. All other types are one-way, and type and
code stand for the ports."""
ANSWERS_ICMPV6: dict[int, int] = {
    128: 129, 129: 128, 130: 131, 131: 130, 133: 134, 134: 133, 135: 136, 136: 135, 139: 140, 140: 139, 144: 145,
    145: 144,
}  # fmt: skip
"""The same of ICMPv6."""

_NO_PORTS = absent_bits("src_port", "dst_port")
_NO_ICMP = absent_bits("icmp_type", "icmp_code")
_FIELDS = ("proto", "src_port", "dst_port", "icmp_type", "icmp_code", "absent")


def digests(rows: Records) -> list[bytes]:
    """The 20 bytes behind the ids of some sessions. `rows` has the fields that they rest on; a session whose ports or
    ICMP type its source did not know is told by its addresses and protocol alone."""
    sources, targets = (np.ascontiguousarray(rows[name]).tobytes() for name in ("src_ip", "dst_ip"))
    found = []
    for at, values in enumerate(zip(*(rows[name].tolist() for name in _FIELDS), strict=True)):
        proto, src_port, dst_port, icmp_type, icmp_code, absent = values
        source, target = sources[16 * at : 16 * at + 16], targets[16 * at : 16 * at + 16]
        src_end = dst_end = b""
        one_way = False
        if proto in PORTED and not absent & _NO_PORTS:
            src_end, dst_end = src_port.to_bytes(2), dst_port.to_bytes(2)
        elif proto in (Proto.ICMP, Proto.ICMPV6) and not absent & _NO_ICMP:
            answers = ANSWERS_ICMP if proto == Proto.ICMP else ANSWERS_ICMPV6
            one_way = icmp_type not in answers
            src_end, dst_end = icmp_type.to_bytes(2), answers.get(icmp_type, icmp_code).to_bytes(2)
        if not one_way and (target, dst_end) < (source, src_end):
            source, target, src_end, dst_end = target, source, dst_end, src_end
        if source[:12] == target[:12] == IPV4_PREFIX:
            source, target = source[12:], target[12:]
        text = b"\0\0" + source + target + bytes((proto, 0)) + src_end + dst_end
        found.append(hashlib.sha1(text, usedforsecurity=False).digest())
    return found


def text_of(digest: bytes) -> str:
    """An id as it is written: `1:LQU9qZlK+B5F3KDmev6m5PMibrg=`."""
    return "1:" + base64.b64encode(digest).decode("ascii")


def digest_of(text: str) -> bytes | None:
    """The 20 bytes of an id as it is written; None if it is none of version 1."""
    version, colon, encoded = text.partition(":")
    try:
        digest = base64.b64decode(encoded.encode("ascii"), validate=True) if version == "1" and colon else b""
    except (binascii.Error, UnicodeEncodeError):
        return None
    return digest if len(digest) == DIGEST_BYTES and text_of(digest) == text else None
