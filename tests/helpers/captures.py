"""Captures made for a test: many sessions in little time."""

from pathlib import Path

import numpy as np

FIRST_US = 1_090_800_000_000_000
"""2004-07-26 00:00:00 UTC."""

_HEADER = np.dtype([("magic", "<u4"), ("version", "<u2", 2), ("zone", "<i4"), ("accuracy", "<u4"), ("snap", "<u4"),
                    ("linktype", "<u4")])  # fmt: skip
_RECORD = np.dtype(
    [("seconds", "<u4"), ("micros", "<u4"), ("caplen", "<u4"), ("wirelen", "<u4"), ("version", "u1"), ("tos", "u1"),
     ("total", ">u2"), ("ident", ">u2"), ("fragment", ">u2"), ("ttl", "u1"), ("proto", "u1"), ("sum", ">u2"),
     ("src", ">u4"), ("dst", ">u4"), ("sport", ">u2"), ("dport", ">u2"), ("length", ">u2"), ("udpsum", ">u2"),
     ("payload", "V12")]
)  # fmt: skip
_RAW_IP = 101


def many_datagrams(path: Path, sessions: int, seconds: int = 3 * 86_400, seed: int = 1) -> None:
    """A capture of `sessions` lone UDP datagrams between random hosts, spread over some seconds from FIRST_US on.

    No two share both endpoints, so each is a session; checksums are right.
    """
    random = np.random.default_rng(seed)
    packets = np.zeros(sessions, _RECORD)
    times = FIRST_US + np.sort(random.integers(0, seconds * 1_000_000, sessions))
    packets["seconds"], packets["micros"] = times // 1_000_000, times % 1_000_000
    packets["caplen"] = packets["wirelen"] = 40
    packets["version"], packets["total"], packets["ttl"], packets["proto"] = 0x45, 40, 64, 17
    packets["ident"] = random.integers(0, 1 << 16, sessions)
    number = np.arange(sessions)
    packets["src"] = 0x0A000000 + number // 30_000
    packets["sport"] = 1024 + number % 30_000
    packets["dst"] = 0xC0000200 + random.integers(1, 255, sessions)
    packets["dport"] = random.choice(np.array([53, 123, 1034, 5060]), sessions)
    packets["length"] = 20
    _set_checksums(packets)
    header = np.zeros(1, _HEADER)
    header["magic"], header["version"], header["snap"], header["linktype"] = 0xA1B2C3D4, (2, 4), 262_144, _RAW_IP
    path.write_bytes(header.tobytes() + packets.tobytes())


def _set_checksums(packets: np.ndarray) -> None:  # type: ignore[type-arg]
    words = packets.view("u1").reshape(len(packets), -1)[:, 16:56].copy().view(">u2").astype(np.uint32)
    packets["sum"] = _folded(words[:, :10].sum(axis=1))
    pseudo = words[:, 6:10].sum(axis=1) + 17 + 20
    packets["udpsum"] = _folded(pseudo + words[:, 10:20].sum(axis=1))


def _folded(total: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    while (total >> 16).any():
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
