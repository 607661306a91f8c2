"""What Argus says that it watched: its management records as observed intervals, with what it lost.

Argus writes one a minute, which would be half a million a year: those that follow one another are one interval, an hour
at most, unless packets were lost.
"""

from afterfact_protocol.messages import Observed

_GAP_US = 10_000_000
_LONGEST_US = 3_600_000_000
_OLD_US = 60_000_000
"""Flows that began so long before Argus started were read from a capture file; what it says then is of its own clock,
and nothing of watching."""
_MAX_WAITING = 1 << 16

Managed = tuple[int, bytes, int, int, int, int]


class Management:
    """Takes management records and the times of flows in the order of the stream."""

    def __init__(self) -> None:
        self.run = 0
        """Of how many starts of Argus the stream has told: each numbers its flows anew."""
        self._started: int | None = None
        self._replay: bool | None = None
        self._waiting: list[Observed] = []

    def starts(self, at_us: int) -> None:
        self.run += 1
        self._started, self._replay = at_us, None

    def flows(self, first_us: int) -> None:
        """Flows came, of which the earliest began then."""
        if self._replay is None:
            self._replay = self._started is not None and first_us < self._started - _OLD_US

    def tell(self, start: int, end: int, packets: int, lost: int) -> list[Observed]:
        """An interval; gives those that are complete."""
        if end < start:
            return []
        if self._replay:
            self._waiting.clear()
            return []
        # Intervals overlap by the time that writing them took.
        last = self._waiting[-1] if self._waiting else None
        if (
            last is not None
            and -_GAP_US <= start - last.end <= _GAP_US
            and end - last.start <= _LONGEST_US
            and not lost
            and not last.lost
        ):
            self._waiting[-1] = _observed(last.start, max(end, last.end), last.packets + packets, 0)
            return []
        if last is not None and last.start < last.end and start < last.end:
            start = min(last.end, end)
        self._waiting.append(_observed(start, end, packets, lost))
        # Whether a capture file was read is not known before the first flow.
        if self._replay is None and self._started is not None and len(self._waiting) < _MAX_WAITING:
            return []
        complete, self._waiting = self._waiting[:-1], self._waiting[-1:]
        return complete

    def finish(self) -> list[Observed]:
        complete, self._waiting = ([] if self._replay else self._waiting), []
        return complete


def _observed(start: int, end: int, packets: int, lost: int) -> Observed:
    return Observed(start, end, "import", "argus", packets, lost, "")
