"""The values of a set: one packed dtype a kind, to text and back. The same bytes lie in the registry and on the wire.

Owns what a set may hold, and its order; who made it and where it is kept is the server's.
"""

import re
import socket
from collections.abc import Mapping
from typing import get_args

import numpy as np
import numpy.typing as npt

from afterfact_protocol.communityid import digest_of, text_of
from afterfact_protocol.messages import SetKind
from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.nodes import Network
from afterfact_protocol.statustext import time_text

KINDS: tuple[SetKind, ...] = get_args(SetKind)
NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII)
"""Of a set or an exclusion, in small letters."""
MAX_VALUES = 5_000_000
"""Of one set."""

DTYPES: dict[str, np.dtype[np.void]] = {
    "address": np.dtype([("ip", "V16"), ("bits", "u1")]),
    "port": np.dtype([("port", "<u2")]),
    "endpoint": np.dtype([("ip", "V16"), ("port", "<u2")]),
    "community_id": np.dtype([("digest", "V20")]),
    "session": np.dtype([("start_time", "<i8"), ("sensor", "<u2"), ("session_id", "<u8")]),
}
"""A value by kind: an address of 128 bits with IPv4 mapped and the bits of its prefix, 128 of one address; a session's
key, with the server's number of its sensor."""

PLURALS = {"address": "addresses", "port": "ports", "endpoint": "endpoints", "community_id": "Community IDs",
           "session": "sessions"}  # fmt: skip
_SINGLE = {"community_id": "Community ID"}

Values = npt.NDArray[np.void]
_ENDPOINT = re.compile(r"(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})", re.ASCII)
_MAPPED = bytes(10) + b"\xff\xff"


class SetError(ValueError):
    """A text that is no value of a set; one line for a person."""


def told(kind: str, count: int, networks: int = 0) -> str:
    """ "5 addresses", "2 networks and 1 port": how many values there are."""
    noun = _SINGLE.get(kind, kind) if count - networks == 1 else PLURALS[kind]
    single = [f"{count - networks:,} {noun}"] if count - networks or not networks else []
    many = [f"{networks:,} network{'s' * (networks != 1)}"] if networks else []
    return " and ".join([*single, *many])


def unique(values: Values) -> Values:
    """Each value once, in order: of addresses that of their bytes."""
    if not any(values.dtype[name].kind == "V" for name in values.dtype.names or ()):
        return np.unique(values)
    return np.unique(_opaque(values)).view(values.dtype)


def union(one: Values, other: Values) -> Values:
    """The values of either."""
    return unique(np.concatenate([_opaque(one), _opaque(other)]).view(one.dtype))


def without(one: Values, other: Values) -> Values:
    """The values of the first that are not in the second; a network is a value like another here."""
    kept = ~np.isin(_opaque(one), _opaque(other))
    return _opaque(one)[kept].view(one.dtype)


def contained(values: Values, within: Values) -> npt.NDArray[np.bool_]:
    """Which of the values are among others of their kind, alone or in a network of theirs."""
    if "bits" not in (values.dtype.names or ()):
        return np.isin(_opaque(values), _opaque(within))
    found = np.zeros(len(values), np.bool_)
    addresses = np.ascontiguousarray(values["ip"]).view(np.uint8).reshape(-1, 16)
    for bits in np.unique(within["bits"]).tolist():
        narrower = np.flatnonzero(~found & (values["bits"] >= bits))
        kept = np.frombuffer(((1 << 128) - (1 << (128 - bits))).to_bytes(16, "big"), np.uint8)
        masked = np.ascontiguousarray(addresses[narrower] & kept).view("S16").ravel()
        networks = np.ascontiguousarray(within["ip"][within["bits"] == bits]).view("S16")
        found[narrower] = np.isin(masked, networks)
    return found


def combined(one: Values, how: str, other: Values) -> Values:
    """What two sets make together: in either (+), in both (&), only in the first (-). SetError where a network of the
    first would have to be cut into pieces."""
    if how == "+":
        return union(one, other)
    inside = contained(one, other)
    if how == "&":
        return union(one[inside], other[contained(other, one)])
    left = one[~inside]
    cut = contained(other, left) if "bits" in (one.dtype.names or ()) else np.zeros(0, np.bool_)
    if cut.any():
        example = texts("address", other[cut][:1], {})[0]
        whole = next(value for value in left if contained(other[cut][:1], np.array([value]))[0])
        raise SetError(f"{texts('address', np.array([whole]), {})[0]} holds {example}, which is to go, and more "
                       "besides: a set cannot say that in values; a query can, with IN @one - @other")  # fmt: skip
    return unique(left)


def _opaque(values: Values) -> npt.NDArray[np.bytes_]:
    # numpy sorts and compares S, not V; all are of one length, so the zeros that it drops at the end change nothing.
    return np.ascontiguousarray(values).view(f"S{values.dtype.itemsize}")


def networks_among(values: Values) -> int:
    """How many addresses are networks."""
    names = values.dtype.names or ()
    return int((values["bits"] != 128).sum()) if "bits" in names else 0


def address_bytes(found: Network) -> bytes:
    """The first address of a network, as values hold it."""
    return found.first.to_bytes(16, "big")


def read_value(kind: str, text: str) -> bytes:
    """The bytes of a value from its text. SetError if it is none; sessions are saved by queries, never typed."""
    match kind:
        case "address":
            return _address(text)
        case "port":
            if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
                return int(text).to_bytes(2, "little")
            raise SetError(f"{text!a:.60} is no port: a number from 0 to 65535")
        case "endpoint":
            match = _ENDPOINT.fullmatch(text)
            found = network(match[1] or match[2] or "") if match else None
            if match is None or found is None or not found.single or int(match[3]) > 65535:
                raise SetError(f"{text!a:.60} is no endpoint such as 10.1.2.3:80 or [2001:db8::1]:80")
            return address_bytes(found) + int(match[3]).to_bytes(2, "little")
        case "community_id":
            digest = digest_of(text)
            if digest is None:
                raise SetError(f"{text!a:.60} is no Community ID of version 1")
            return digest
        case _:
            raise SetError("a set of sessions is made by a query, not of a text")


def _address(text: str) -> bytes:
    try:  # most are plain IPv4: a million of them in a second, not in six
        return _MAPPED + socket.inet_pton(socket.AF_INET, text) + b"\x80"
    except (OSError, ValueError):
        found = network(text)
    if found is None:
        raise SetError(f"{text!a:.60} is no address or network such as 10.1.2.3, 10.1.0.0/16 or 2001:db8::1")
    return address_bytes(found) + bytes((found.bits,))


def kind_of(text: str) -> SetKind | None:
    """What a value is by the look of it; None if it is no value at all."""
    for kind in KINDS:
        try:
            read_value(kind, text)
        except SetError:
            continue
        return kind
    return None


def from_parts(kind: str, parts: list[bytes]) -> Values:
    """Values from their bytes."""
    return np.frombuffer(b"".join(parts), DTYPES[kind])


def from_bytes(kind: str, data: bytes) -> Values:
    """Values as they come over the wire. SetError if the bytes are none."""
    dtype = DTYPES[kind]
    if len(data) % dtype.itemsize:
        raise SetError(f"{len(data)} bytes are no whole number of values of kind {kind}")
    values = np.frombuffer(data, dtype)
    if kind == "address" and len(values):
        if int(values["bits"].max()) > 128:
            raise SetError("a prefix has over 128 bits")
        for value in values[values["bits"] != 128]:
            first, bits = int.from_bytes(value["ip"].tobytes(), "big"), int(value["bits"])
            if first & ((1 << (128 - bits)) - 1):
                raise SetError(f"{Network(first, bits)} has bits set beyond its prefix")
    return values


def texts(kind: str, values: Values, sensors: Mapping[int, str]) -> list[str]:
    """The values as people write them. `sensors` names the numbers of a session's key."""
    match kind:
        case "address":
            addresses, bits = values["ip"].tolist(), values["bits"].tolist()
            return [str(Network(int.from_bytes(ip, "big"), size)) for ip, size in zip(addresses, bits, strict=True)]
        case "port":
            return [str(port) for port in values["port"].tolist()]
        case "endpoint":
            found = []
            for ip, port in zip(values["ip"].tolist(), values["port"].tolist(), strict=True):
                address = Network(int.from_bytes(ip, "big"), 128)
                found.append(f"{address}:{port}" if address.is_ipv4 else f"[{address}]:{port}")
            return found
        case "community_id":
            return [text_of(digest) for digest in values["digest"].tolist()]
        case _:
            return [
                f"{time_text(start)} {sensors.get(sensor, f'sensor {sensor}')} {number}"
                for start, sensor, number in values.tolist()
            ]
