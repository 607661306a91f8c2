"""Capturing from interfaces: packets into the meter as they come, time passed on while links are silent, interfaces
that vanish opened again, and what was watched and lost.

Hands records and observed intervals to who asks; delivers nothing. One thread.
"""

import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from afterfact_agent.capture.interface import Interface, InterfaceError
from afterfact_protocol.messages import Observed
from afterfact_protocol.records import Records

if TYPE_CHECKING:  # it imports kernels
    from afterfact_agent.meter.meter import Meter

POLL_MS = 200
QUIET_SLACK_US = 1_000_000
"""Meter time runs this far behind the clock while no packet comes: the kernel may still hold some back."""
ADVANCE_SECONDS = 0.25
REOPEN_SECONDS = 2.0
OBSERVE_SECONDS = 10.0
"""How often what was watched is told; what an answer can say of the last moments is as old as this."""
FIRST_OBSERVE_SECONDS = 1.0
MAX_INTERFACES_TOLD = 32
"""Interfaces that a report tells of one by one: it has room for 256 counts."""
DRAIN_READS = 1000
"""At the end, blocks taken at most from an interface that never falls silent."""


def now_us() -> int:
    """Microseconds since 1970, by the clock that packets are stamped with."""
    return time.time_ns() // 1000


class LiveCapture:
    """`open` the interfaces, then `step` for ever, then `finish`."""

    def __init__(self, interfaces: Sequence[Interface], meter: "Meter", log: Callable[[str], None]) -> None:
        self.interfaces = list(interfaces)
        self.meter = meter
        self._log = log
        self._poll = select.poll()
        self._by_fd: dict[int, Interface] = {}
        self._advanced = 0.0
        self._reopened = 0.0
        self._ended = False
        self._watched_since: int | None = None
        self._watched_at = 0.0
        self._observed: list[Observed] = []
        self._received = self._lost = 0
        """At the end of the last interval."""
        self._told: dict[str, str] = {}

    def open(self) -> None:
        """Open all. InterfaceError for the first that cannot be."""
        for interface in self.interfaces:
            interface.open()
            self._register(interface)
        self._begin_anew()

    def step(self, taking: bool = True) -> Iterator[Records]:
        """Wait a moment for packets and meter them. With `taking` false the kernel keeps them, and drops what it cannot
        keep."""
        if taking:
            for descriptor, _ in self._poll.poll(POLL_MS):
                yield from self._read(self._by_fd[descriptor])
        else:
            time.sleep(POLL_MS / 1000)
        now = time.monotonic()
        if now - self._advanced >= ADVANCE_SECONDS:
            self._advanced = now
            yield from self.meter.advance(now_us() - QUIET_SLACK_US)
        if now - self._reopened >= REOPEN_SECONDS:
            self._reopened = now
            self._reopen()

    def observed(self, everything: bool = False) -> list[Observed]:
        """What was watched since the last call, if it is due, or in any case if `everything`: intervals in which all
        interfaces were open. A sensor that lacks one does not see what it is asked for, and shows it by a gap."""
        due = everything or time.monotonic() - self._watched_at >= OBSERVE_SECONDS
        if due and self._watched_since is not None:
            self._end_interval()
            self._begin_interval(self._observed[-1].end)
        made, self._observed = self._observed, []
        return made

    def finish(self) -> Iterator[Records]:
        """Take what the kernel still holds, end every session, close the interfaces."""
        for interface in self.interfaces:
            for _ in range(DRAIN_READS):
                before = interface.received
                yield from self._read(interface)
                if interface.received == before:
                    break
        yield from self.meter.finish()
        self._ended = True  # first: interfaces that were closed on purpose are not missing
        for interface in self.interfaces:
            interface.close()

    @property
    def counters(self) -> dict[str, int]:
        """What a REPORT says of the capture and of the meter, since the start."""
        counts = {
            "interfaces": len(self.interfaces),
            "interfaces_missing": 0 if self._ended else sum(not interface.is_open for interface in self.interfaces),
            "kernel_dropped": sum(interface.kernel_dropped for interface in self.interfaces),
            "interface_dropped": sum(interface.interface_dropped for interface in self.interfaces),
            **self.meter.reported,
        }
        for interface in self.interfaces[:MAX_INTERFACES_TOLD]:
            counts[f"interface.{interface.name}.captured"] = interface.received
            counts[f"interface.{interface.name}.dropped"] = interface.dropped
            counts[f"interface.{interface.name}.open"] = int(interface.is_open)
        return counts

    def _read(self, interface: Interface) -> Iterator[Records]:
        if not interface.is_open:
            return
        descriptor = interface.fileno()
        try:
            packets = interface.read()
        except InterfaceError as error:
            self._poll.unregister(descriptor)
            del self._by_fd[descriptor]
            self._log(f"{error}; trying again until it is back")
            if self._watched_since is not None:
                self._end_interval()
            return
        if packets is not None:
            yield from self.meter.feed(packets)

    def _register(self, interface: Interface) -> None:
        self._by_fd[interface.fileno()] = interface
        self._poll.register(interface.fileno(), select.POLLIN)

    def _begin_interval(self, start: int) -> None:
        self._watched_since, self._watched_at = start, time.monotonic()

    def _begin_anew(self) -> None:
        """After the start or a gap: told soon, or sessions would be there of a sensor that watches nothing."""
        self._begin_interval(now_us())
        self._watched_at += FIRST_OBSERVE_SECONDS - OBSERVE_SECONDS

    def _end_interval(self) -> None:
        assert self._watched_since is not None
        for interface in self.interfaces:
            interface.count_drops()
        received, lost = sum(i.received for i in self.interfaces), sum(i.dropped for i in self.interfaces)
        names = ",".join(interface.name for interface in self.interfaces)[:1000]
        packets, missed = received - self._received, lost - self._lost
        note = f"{missed} packets were dropped before they could be read" if missed else ""
        end = max(now_us(), self._watched_since)
        self._observed.append(Observed(self._watched_since, end, "live", names, packets, missed, note))
        if missed:
            self._log(note)
        self._received, self._lost = received, lost
        self._watched_since = None

    def _reopen(self) -> None:
        missing = [interface for interface in self.interfaces if not interface.is_open]
        for interface in missing:
            try:
                interface.open()
            except InterfaceError as error:
                if self._told.get(interface.name) != str(error):  # once, not with every attempt
                    self._log(str(error))
                    self._told[interface.name] = str(error)
                continue
            self._told.pop(interface.name, None)
            self._register(interface)
            self._log(f"{interface.name}: capturing again")
        if missing and all(interface.is_open for interface in self.interfaces):
            self._begin_anew()
