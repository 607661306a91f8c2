"""The index by which a session is found from an address, a network or a port: what it holds, and what is looked for.

A text index over the ends of a session, whichever side they are on, whose tokens are bytes: the addresses, the first
14 bytes of each (an IPv4 address' /16), the ports. A token that two of them share costs a look too many, no more: a
query's own condition is always asked as well.
"""

from afterfact_protocol.session import ADDRESS_BYTES

NAME = "needles"
PREFIX_BYTES = 14
PREFIX_BITS = 8 * PREFIX_BYTES


def _prefix(address: str) -> str:
    return f"substring(reinterpretAsFixedString({address}), 1, {PREFIX_BYTES})"


TOKENS = (
    f"[reinterpretAsString(src_ip), reinterpretAsString(dst_ip), {_prefix('src_ip')}, {_prefix('dst_ip')}, "
    "reinterpretAsString(src_port), reinterpretAsString(dst_port)]"
)
DEFINITION = f"{TOKENS} TYPE text(tokenizer = 'array')"


def address_token(address: int) -> bytes:
    """Of an address of 128 bits; empty if it has none."""
    return address.to_bytes(ADDRESS_BYTES, "big").rstrip(b"\0")


def prefix_token(address: int) -> bytes:
    """Of all addresses with the first PREFIX_BITS bits of this one."""
    return address.to_bytes(ADDRESS_BYTES, "big")[:PREFIX_BYTES]


def port_token(port: int) -> bytes:
    """Of a port on either side; empty if it has none: 0, and what is no port."""
    return port.to_bytes(2, "little").rstrip(b"\0") if 0 < port < 65_536 else b""
