"""Settings of the meter, with their defaults, and the identity that they give to a stream of sessions.

docs/metering.md argues the defaults.
"""

import hashlib
from dataclasses import dataclass, fields

METER_VERSION = 3
"""Of the rules. Raised whenever the same packets may give other sessions: it is part of a stream's identity."""

MAX_SECONDS = 366 * 86400
MAX_DUPLICATES = 2.0
VERIFY, IP_ONLY = "verify", "ip-only"
CHECKSUMS = (VERIFY, IP_ONLY)
"""Which checksums are verified: all that can be, or those of IPv4 headers alone."""
SERVER_PORTS: tuple[int, ...] = (
    *range(1, 1024),
    *(1080, 1194, 1352, 1433, 1434, 1494, 1521, 1701, 1723, 1812, 1813, 1883, 1900, 2049, 2181, 2375, 2376, 2379),
    *(2404, 3128, 3260, 3268, 3269, 3306, 3389, 3478, 3544, 3690, 4500, 4789, 5060, 5061, 5222, 5223, 5269, 5353),
    *(5355, 5432, 5671, 5672, 5683, 5900, 5984, 5985, 5986, 6000, 6081, 6379, 6443, 6514, 6666, 6667, 6668, 6669),
    *(6697, 8000, 8008, 8080, 8081, 8443, 8883, 8888, 9042, 9090, 9092, 9100, 9200, 9418, 11211, 27017),
)
"""Ports that servers listen on: the privileged ones and well-known services above (IANA's registry). None from 32768
on, where systems take the ports of clients."""


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """How packets are cut into sessions. Times are seconds of packet time."""

    tcp_idle: float = 3600.0
    """Silence that ends a TCP session whose end was not seen."""
    tcp_attempt: float = 75.0
    """Silence after the last SYN that ends an unanswered attempt."""
    tcp_linger: float = 5.0
    """How long a closed TCP session waits for stragglers."""
    udp_idle: float = 60.0
    icmp_idle: float = 60.0
    other_idle: float = 120.0
    first_report: float = 25.0
    """When an open session is first reported, after its first packet."""
    report_every: float = 300.0
    """When it is reported again."""
    fragment_wait: float = 30.0
    """How long the ports of a fragmented datagram are remembered."""
    reorder: float = 10.0
    """How far packets may be out of order; a larger step back re-bases the meter's clock."""
    duplicates: float = 0.01
    """A packet and its duplicate are less than this apart; 0 looks for none."""
    checksums: str = VERIFY
    """One of CHECKSUMS."""
    max_sessions: int = 1 << 20
    """Open sessions at most, 400 bytes each once used; when they are taken, the oldest unanswered one ends early."""

    def __post_init__(self) -> None:
        for name, seconds in self._times().items():
            if name == "duplicates":
                if not 0 <= seconds <= MAX_DUPLICATES:
                    raise ValueError(f"duplicates are looked for within 0 to {MAX_DUPLICATES:g} s, not {seconds} s")
            elif not 1e-6 <= seconds <= MAX_SECONDS:
                raise ValueError(f"{name} must be between a microsecond and a year, and is {seconds} s")
        if self.checksums not in CHECKSUMS:
            raise ValueError(f"checksums is {' or '.join(CHECKSUMS)}, and not {self.checksums!r}")
        if not 64 <= self.max_sessions <= 1 << 26:
            raise ValueError(f"max_sessions must be between 64 and {1 << 26}, and is {self.max_sessions}")

    def _times(self) -> dict[str, float]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.type in ("float", float)}

    def canonical(self) -> str:
        """One line that is the same exactly when the meter cuts the same packets into the same sessions."""
        times = " ".join(f"{name}={round(seconds, 6):.16g}" for name, seconds in self._times().items())
        return f"meter={METER_VERSION} {times} checksums={self.checksums} max_sessions={self.max_sessions}"

    def fingerprint(self) -> str:
        """SHA-256 of `canonical()` in hexadecimal: part of a stream's identity."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
