"""Community IDs against those that the specification and other tools publish."""

import numpy as np
import pytest

from afterfact_protocol.communityid import digest_of, digests, text_of
from afterfact_protocol.query.addresses import network
from afterfact_protocol.session import ROW, absent_bits

_NO_PORTS, _NO_ICMP = absent_bits("src_port", "dst_port"), absent_bits("icmp_type", "icmp_code")


def session(proto: int, src: str, dst: str, first: int | None = None, second: int | None = None) -> np.ndarray:  # type: ignore[type-arg]
    """`first` and `second` are the ports, or ICMP's type and code."""
    row = np.zeros(1, ROW)
    row["proto"] = proto
    for name, address in (("src_ip", src), ("dst_ip", dst)):
        found = network(address)
        assert found is not None
        row[name] = np.frombuffer(found.first.to_bytes(16, "big"), "V16")
    icmp = proto in (1, 58)
    row["absent"] = (_NO_PORTS if icmp or first is None else 0) | (0 if icmp and first is not None else _NO_ICMP)
    if first is not None:
        names = ("icmp_type", "icmp_code") if icmp else ("src_port", "dst_port")
        row[names[0]], row[names[1]] = first, second
    return row


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (session(6, "128.232.110.120", "66.35.250.204", 34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (session(6, "66.35.250.204", "128.232.110.120", 80, 34855), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (session(17, "192.168.1.52", "8.8.8.8", 54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (session(17, "8.8.8.8", "192.168.1.52", 53, 54585), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (session(132, "192.168.170.8", "192.168.170.56", 7, 80), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="),
        (session(1, "192.168.0.89", "192.168.0.1", 8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (session(1, "192.168.0.1", "192.168.0.89", 0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (session(58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
        (session(58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    ],
    ids=range(9),
)
def test_published_ids(row: np.ndarray, expected: str) -> None:  # type: ignore[type-arg]
    assert [text_of(digest) for digest in digests(row)] == [expected]


def test_without_ports_addresses_and_protocol_tell() -> None:
    there, back = session(47, "10.0.0.1", "10.0.0.2"), session(47, "10.0.0.2", "10.0.0.1")
    assert digests(there) == digests(back) != digests(session(50, "10.0.0.1", "10.0.0.2"))
    assert digests(there) != digests(session(6, "10.0.0.1", "10.0.0.2", 0, 0))


@pytest.mark.parametrize(
    "text",
    ["", "1:", "1", "2:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:LQU9qZlK+B5F3KDmev6m5PMibrg", "1:LQU9qZlK+B5F3KDmev6m5PMibrh=",
     "1:LQU9", "1:LQU9qZlK B5F3KDmev6m5PMibrg=", "1:\u0661", "1:" + "A" * 5000],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_id(text: str) -> None:
    assert digest_of(text) is None


def test_ids_read_back() -> None:
    assert text_of(digest_of("1:LQU9qZlK+B5F3KDmev6m5PMibrg=") or b"") == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
