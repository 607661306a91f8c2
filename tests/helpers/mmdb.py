"""Writes small databases in the MaxMind DB format, as its specification has it: https://maxmind.github.io/MaxMind-DB/"""

from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any

MARK = b"\xab\xcd\xefMaxMind.com"


def write(path: Path, records: dict[str, Any], kind: str = "Test") -> Path:
    """A database of networks (CIDR) and what is known of them; IPv4 lies at ::/96. Nested networks are not written."""
    nodes: list[list[int | None]] = [[None, None]]
    data, offsets = b"", []
    for cidr, record in records.items():
        found = ip_network(cidr)
        bits = found.prefixlen + (96 if isinstance(found, IPv4Network) else 0)
        first, at = int(found.network_address), 0
        for place in range(bits):
            side = first >> (127 - place) & 1
            if place == bits - 1:
                nodes[at][side] = -1 - len(offsets)
            else:
                if nodes[at][side] is None:
                    nodes[at][side] = len(nodes)
                    nodes.append([None, None])
                inner = nodes[at][side]
                assert inner is not None and inner > 0, f"{cidr} lies in another network"
                at = inner
        offsets.append(len(data))
        data += _encoded(record)

    def pointer(value: int | None) -> bytes:
        number = len(nodes) if value is None else value if value >= 0 else len(nodes) + 16 + offsets[-1 - value]
        return number.to_bytes(3, "big")

    tree = b"".join(pointer(value) for node in nodes for value in node)
    about = {
        "binary_format_major_version": Short(2), "binary_format_minor_version": Short(0),
        "build_epoch": Long(1_090_908_120), "database_type": kind, "description": {"en": "made by a test"},
        "ip_version": Short(6), "languages": ["en"], "node_count": len(nodes), "record_size": Short(24),
    }  # fmt: skip
    path.write_bytes(tree + bytes(16) + data + MARK + _encoded(about))
    return path


class Short(int):
    """To be written as uint16."""


class Long(int):
    """To be written as uint64."""


_KINDS: dict[type[int], int] = {int: 6, Short: 5, Long: 9}


def _encoded(value: Any) -> bytes:
    match value:
        case str():
            raw = value.encode()
            return _control(2, len(raw)) + raw
        case int():
            raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
            return _control(_KINDS[type(value)], len(raw)) + raw
        case dict():
            return _control(7, len(value)) + b"".join(_encoded(key) + _encoded(own) for key, own in value.items())
        case list():
            return _control(11, len(value)) + b"".join(map(_encoded, value))
    raise TypeError(f"no way to write {value!r}")


def _control(kind: int, size: int) -> bytes:
    """Of a type and a size below 285."""
    more = bytes([size - 29]) if size >= 29 else b""
    small = min(size, 29)
    return bytes([kind << 5 | small]) + more if kind < 8 else bytes([small, kind - 7]) + more
