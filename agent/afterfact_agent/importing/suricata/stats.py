"""What Suricata says that it watched and lost: its stats events as observed intervals.

The counters run since its start. Suricata writes them every eight seconds, which would be four million intervals a
year: those that follow one another are one, an hour at most, and what was lost has an interval of its own.
"""

from dataclasses import dataclass

from afterfact_agent.importing.json_columns import BAD_TIME, times, wrong_date
from afterfact_protocol.messages import Observed

from .lines import Event, Stats

_LONGEST_US = 3_600_000_000
_GAP_US = 600_000_000
"""Longer between two events of one run, and what lies between is not in this file."""
_FRESH_US = 60_000_000
"""A run that began so shortly before the first event of a file is counted from its start on."""


@dataclass(frozen=True, slots=True)
class _Counters:
    at: int
    started: int
    packets: int
    lost: int


class Watched:
    """Takes stats events in the order of the file."""

    def __init__(self) -> None:
        self._last: _Counters | None = None
        self._interval: Observed | None = None
        self._complete: list[Observed] = []

    def tell(self, event: Event) -> str | None:
        """Why the event tells of nothing that was watched, or None."""
        stats = event.stats
        if stats is None or stats.uptime is None or event.timestamp is None:
            return "stats events without counters"
        if stats.capture is None:
            return "stats events without capture counters (Suricata read a capture file)"
        at = int(times([event.timestamp])[0])
        if at == BAD_TIME or bool(wrong_date(times([event.timestamp]))[0]):
            return "stats events of no time"
        now = _Counters(at, at - stats.uptime * 1_000_000, *_counted(stats))
        last, self._last = self._last, now
        if last is None or abs(now.started - last.started) > 2_000_000 or now.packets < last.packets:
            self._end()
            if at - now.started <= _FRESH_US:
                self._add(now.started, at, now.packets, now.lost)
        elif at > last.at and at - last.at <= _GAP_US:
            self._add(last.at, at, now.packets - last.packets, max(now.lost - last.lost, 0))
        else:
            self._end()
        return None

    def _add(self, start: int, end: int, packets: int, lost: int) -> None:
        ahead = self._interval
        if (
            ahead is not None
            and ahead.end == start
            and bool(ahead.lost) == bool(lost)
            and end - ahead.start <= _LONGEST_US
        ):
            start, packets, lost = ahead.start, ahead.packets + packets, ahead.lost + lost
        else:
            self._end()
        self._interval = Observed(start, end, "import", "suricata", packets, lost, "")

    def _end(self) -> None:
        if self._interval is not None:
            self._complete.append(self._interval)
            self._interval = None

    def take(self, finish: bool = False) -> tuple[Observed, ...]:
        """Intervals that are complete; with `finish` all."""
        if finish:
            self._end()
        complete, self._complete = tuple(self._complete), []
        return complete


def _counted(stats: Stats) -> tuple[int, int]:
    """Packets, and those lost: dropped before Suricata got them, or not decoded, or without room for their flow."""
    capture = stats.capture
    decoder = stats.decoder
    lost = decoder.invalid if decoder is not None else 0
    packets = decoder.pkts if decoder is not None else 0
    if capture is not None:
        lost += capture.kernel_drops + capture.kernel_ifdrops
        if capture.dpdk is not None:
            lost += capture.dpdk.imissed + capture.dpdk.no_mbufs + capture.dpdk.ierrors
        if decoder is None:
            packets = capture.kernel_packets or capture.packets or 0
    if stats.flow is not None:
        lost += stats.flow.memcap
    return packets, lost
