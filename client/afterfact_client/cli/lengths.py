"""Lengths of time as options say them: 90min, 24h, 30d."""

import time

from afterfact_client.cli.events import UNITS
from afterfact_client.cli.failure import WRONG_CALL, Failure


def expiry(length: str) -> int:
    """When so long from now is, microseconds since 1970; 0 for `never`. Failure for what is no length of time."""
    if length == "never":
        return 0
    digits = length.rstrip("smindh")
    seconds = int(digits) * UNITS.get(length[len(digits) :], 0) if digits.isascii() and digits.isdigit() else 0
    if not seconds:
        raise Failure(f"--expires: {length!a:.40} is no length of time: say 24h, 30d or never", WRONG_CALL)
    return time.time_ns() // 1000 + seconds * 1_000_000
