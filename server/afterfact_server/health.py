"""What the agents say of themselves, and the one word for it: the states of a sensor, defined here and nowhere else.

In memory, of the last ten minutes; store/health.py keeps it for longer. docs/operations.md tells an operator what the
states mean. A sensor may have several agents at a time (one captures, another reads files): each run of an agent is
told by when it began, and what is said of the sensor is said of the runs that are connected, or of the last one.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from afterfact_protocol.messages import VITALS_SPAN, Hello, InterfaceState, Report, SensorState, Vitals
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import age_text, time_text
from afterfact_server.health_config import HealthConfig

SECOND = 1_000_000
LATE_SECONDS = 15
"""Agents report every 10 s: one report is missing."""
UP_SECONDS = 30
"""Silent for three of its reports, a sensor is down."""
MINUTE = 60 * SECOND
LATEST = 253_402_300_799_999_999
"""End of the year 9999. Agents' clocks are believed from 1970 to here: what is reckoned from them stays a number that
can be sent and a time that can be shown."""
MOST = 1 << 56
"""Greater counts are not believed: what is added up of them stays a number that can be sent."""
MAX_RUNS = 8
"""Runs of a sensor's agents remembered; the longest silent is forgotten."""
MOST_A_MINUTE = 60
"""Reports of a sensor that are kept; agents send six. What is beyond counts as heard: a sensor could else fill memory
and store with them."""
MAX_REASONS = 64
MAX_NAME = 100
"""Characters of a name that an agent gives to anything; the rest is cut off."""
MAX_INTERFACES_NAMED = 3
"""Of those that are gone, in the words for it."""

COUNTS = ("packets", "kernel_dropped", "interface_dropped", "spool_dropped_sessions", "evicted")
UNDECODED = "undecoded."
"""Counts of packets that could not be decoded begin so, and go on with the reason."""


def _believed(time: int) -> int:
    return min(max(time, 0), LATEST)


def _named(name: str) -> str:
    """As it may stand in a log, on a terminal and in a message, whatever an agent sent."""
    return printable(name)[:MAX_NAME]


@dataclass(frozen=True, slots=True)
class Sample:
    """One report, as it is stored. Times in microseconds on the server's clock, but for `started` and
    `backlog_since`, which the agent's clock gave."""

    sensor: int
    time: int
    started: int
    """When the agent's run began, which also tells runs apart; 0 if it did not say."""
    software: str
    clock_offset: int
    """The agent's clock minus the server's."""
    backlog_batches: int
    backlog_bytes: int
    backlog_since: int
    delivered: int
    """Session records acknowledged to the sensor since its report before."""
    last_packet: int
    """When it was last known to have captured something; the begin of the run if it never did."""
    missing_since: int
    """Since when it lacks an interface; 0 if it does not."""
    counters: Mapping[str, int]

    @property
    def live(self) -> bool:
        return self.counters.get("interfaces", 0) > 0

    @property
    def finished(self) -> bool:
        """Whether all that it was given to read has been read and delivered."""
        return not self.live and self.counters.get("finished", 0) > 0

    @property
    def backlog_age(self) -> int:
        """How long the oldest batch had waited then, in microseconds."""
        return max(0, self.time + self.clock_offset - self.backlog_since) if self.backlog_since else 0


@dataclass(frozen=True, slots=True)
class _Past:
    """What is kept of a sample for ten minutes."""

    time: int
    counts: tuple[int, ...]
    undecoded: Mapping[str, int]
    delivered: int


@dataclass(slots=True)
class _Run:
    last: Sample
    past: deque[_Past]
    connections: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Recent:
    """Counts over the last while."""

    span: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    undecoded: Mapping[str, int] = field(default_factory=dict)
    delivered: int = 0

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)

    @property
    def dropped(self) -> int:
        """Packets, by kernel and interfaces."""
        return self["kernel_dropped"] + self["interface_dropped"]


@dataclass(frozen=True, slots=True)
class Health:
    """A sensor as it is known now. Times as in Sample."""

    last_contact: int = 0
    """When anything at all came from it; 0 for never."""
    reported: int = 0
    software: str = ""
    clock_offset: int = 0
    backlog_batches: int = 0
    backlog_bytes: int = 0
    backlog_since: int = 0
    backlog_age: int = 0
    """Microseconds, at the last report."""
    live: bool = False
    finished: bool = False
    last_packet: int = 0
    missing_since: int = 0
    open_sessions: int = 0
    started: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    """Since the agents' start."""
    interfaces: tuple[InterfaceState, ...] = ()
    address: str = ""
    recent: Recent = field(default_factory=Recent)
    minute: Recent = field(default_factory=Recent)


@dataclass(slots=True)
class _Sensor:
    last_contact: int = 0
    software: str = ""
    clock_offset: int = 0
    runs: dict[int, _Run] = field(default_factory=dict)
    address: str = ""
    delivered: int = 0
    """Session records acknowledged since the last report."""
    kept: tuple[int, int] = (0, 0)
    """A minute, and how many reports were kept in it."""
    files_only: bool = False
    """Nothing is known of its agents, but that all it ever delivered came from files."""


class HealthBoard:
    """Safe from several threads. `began`: when the server did, in microseconds; nobody was silent before."""

    def __init__(self, config: HealthConfig | None = None, began: int = 0) -> None:
        self.config = config or HealthConfig()
        self.began = began
        self._lock = threading.Lock()
        self._sensors: dict[int, _Sensor] = {}
        self._new: deque[Sample] = deque()
        self.acknowledged_records = 0
        """Since the server's start, of all sensors."""

    # --- what is heard ------------------------------------------------------------------------------------------------

    def hello(self, sensor: int, message: Hello, now: int, address: str = "") -> None:
        with self._lock:
            own = self._heard(sensor, now)
            own.software, own.clock_offset = _named(message.software), _believed(message.time) - now
            own.address, own.files_only = address, False

    def heard(self, sensor: int, now: int) -> None:
        with self._lock:
            self._heard(sensor, now)

    def acknowledged(self, sensor: int, records: int) -> None:
        """Session records of the sensor are durable, and it is told so."""
        with self._lock:
            self._of(sensor).delivered += records
            self.acknowledged_records += records

    def report(self, sensor: int, message: Report, now: int, connection: bytes = b"") -> None:
        with self._lock:
            own = self._heard(sensor, now)
            minute = now // MINUTE
            own.kept = (minute, own.kept[1] + 1 if own.kept[0] == minute else 1)
            if own.kept[1] > MOST_A_MINUTE:
                return
            counters = {_named(name): min(max(count, 0), MOST) for name, count in message.counters.items()}
            time = _believed(message.time)
            # Nothing waits since a time that its own clock has not reached; 0 alone says that nothing waits.
            since = min(max(message.backlog_since, 1), max(time, 1)) if message.backlog_since else 0
            started = _believed(counters.get("started", 0))
            before = own.runs[started].last if started in own.runs else None
            sample = Sample(
                sensor, now, started, own.software, time - now, min(message.backlog_batches, MOST),
                min(message.backlog_bytes, MOST), since, own.delivered, _last_packet(before, counters, started,
                time - now, now), _missing_since(before, counters, now), counters,
            )  # fmt: skip
            own.delivered = 0
            own.clock_offset = sample.clock_offset
            self._add(own, sample)
            own.runs[started].connections.add(connection)
            self._new.append(sample)

    def gone(self, sensor: int, connection: bytes) -> None:
        """The connection is over."""
        with self._lock:
            for run in self._of(sensor).runs.values():
                run.connections.discard(connection)

    def remember(self, samples: Iterable[Sample], others: Mapping[int, tuple[int, bool]]) -> None:
        """What was stored before the server started: samples in order of time; of other sensors when they last
        delivered anything, and whether all of it came from files."""
        with self._lock:
            for sample in samples:
                own = self._heard(sample.sensor, sample.time)
                own.software, own.clock_offset = sample.software, sample.clock_offset
                self._add(own, sample)
            for sensor, (time, files_only) in others.items():
                if sensor not in self._sensors:
                    self._heard(sensor, time).files_only = files_only

    def take_new(self) -> list[Sample]:
        """Reports that came since the last call, to be stored."""
        with self._lock:
            taken = list(self._new)
            self._new.clear()
        return taken

    def _of(self, sensor: int) -> _Sensor:
        return self._sensors.setdefault(sensor, _Sensor())

    def _heard(self, sensor: int, now: int) -> _Sensor:
        own = self._of(sensor)
        own.last_contact = max(own.last_contact, now)
        return own

    def _add(self, own: _Sensor, sample: Sample) -> None:
        undecoded = {
            name.removeprefix(UNDECODED): count
            for name, count in sample.counters.items()
            if count and name.startswith(UNDECODED)
        }
        counts = tuple(sample.counters.get(name, 0) for name in COUNTS)
        past = _Past(sample.time, counts, dict(list(undecoded.items())[:MAX_REASONS]), sample.delivered)
        run = own.runs.get(sample.started)
        if run is None or counts[0] < run.past[-1].counts[0]:  # an agent that does not say when it began was restarted
            connections = set() if run is None else run.connections
            run = own.runs[sample.started] = _Run(sample, deque(), connections)
            begun = sample.started - sample.clock_offset
            if sample.started and sample.time - MINUTE < begun <= sample.time:
                run.past.append(_Past(begun, (0,) * len(COUNTS), {}, 0))
        run.last = sample
        run.past.append(past)
        while len(run.past) > 2 and run.past[0].time < sample.time - VITALS_SPAN:
            run.past.popleft()
        if len(own.runs) > MAX_RUNS:  # never the one in hand: a clock that was set back makes it the oldest
            others = (started for started in own.runs if started != sample.started)
            del own.runs[min(others, key=lambda started: own.runs[started].last.time)]

    # --- what is known ------------------------------------------------------------------------------------------------

    def of(self, sensor: int) -> Health:
        with self._lock:
            own = self._sensors.get(sensor)
            return Health() if own is None else _health(own)


def _last_packet(before: Sample | None, counters: Mapping[str, int], started: int, offset: int, now: int) -> int:
    packets = counters.get("packets", 0)
    if before is None:
        return now if packets or not started else max(0, min(started - offset, now))
    return now if packets != before.counters.get("packets", 0) else before.last_packet


def _missing_since(before: Sample | None, counters: Mapping[str, int], now: int) -> int:
    if not counters.get("interfaces_missing", 0):
        return 0
    return before.missing_since if before is not None and before.missing_since else now


def _health(own: _Sensor) -> Health:
    newest = max(own.runs.values(), key=lambda run: run.last.time, default=None)
    if newest is None:
        return Health(last_contact=own.last_contact, software=own.software, clock_offset=own.clock_offset,
                      finished=own.files_only, address=own.address)  # fmt: skip
    recently = newest.last.time - UP_SECONDS * SECOND
    runs = [run for run in own.runs.values() if run.connections and run.last.time >= recently] or [newest]
    # The agent that captures counts whether it is there or not: one beside it, that reads files, must not hide its end.
    capturing = max((run for run in own.runs.values() if run.last.live), key=lambda run: run.last.time, default=newest)
    if capturing not in runs:
        runs.append(capturing)
    samples = [run.last for run in runs]
    waiting = [sample for sample in samples if sample.backlog_since]
    live = [sample for sample in samples if sample.live]
    past = [run.past for run in own.runs.values()]
    return Health(
        last_contact=own.last_contact if capturing is newest else capturing.last.time,
        reported=newest.last.time,
        software=own.software,
        clock_offset=own.clock_offset,
        backlog_batches=sum(sample.backlog_batches for sample in samples),
        backlog_bytes=sum(sample.backlog_bytes for sample in samples),
        backlog_since=min((sample.backlog_since for sample in waiting), default=0),
        backlog_age=max((sample.backlog_age for sample in waiting), default=0),
        live=bool(live),
        finished=all(sample.finished for sample in samples),
        last_packet=min((sample.last_packet for sample in live), default=0),
        missing_since=min((sample.missing_since for sample in live if sample.missing_since), default=0),
        open_sessions=sum(sample.counters.get("open", 0) for sample in samples),
        started=max(sample.started for sample in samples),
        counters=samples[0].counters if len(samples) == 1 else _summed(samples),
        interfaces=tuple(each for sample in live for each in _interfaces(sample.counters))[:32],
        address=own.address,
        recent=_recent(past, newest.last.time - VITALS_SPAN),
        minute=_recent(past, newest.last.time - MINUTE),
    )


def _summed(samples: Iterable[Sample]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for sample in samples:
        total.update(sample.counters)
    return total


def _interfaces(counters: Mapping[str, int]) -> Iterable[InterfaceState]:
    for name, count in counters.items():
        if name.startswith("interface.") and name.endswith(".captured"):
            whole = name.removesuffix(".captured")
            opened, dropped = counters.get(f"{whole}.open", 0), counters.get(f"{whole}.dropped", 0)
            yield InterfaceState(whole.removeprefix("interface."), bool(opened), count, dropped)


def _recent(pasts: Iterable[deque[_Past]], since: int) -> Recent:
    """Over all runs. A run's counts begin at its last report up to `since`, or at the first one that there is."""
    counts: Counter[str] = Counter()
    undecoded: Counter[str] = Counter()
    delivered, begin, end = 0, 0, 0
    for past in pasts:
        last = past[-1]
        if last.time <= since:
            continue
        first = next((each for each in reversed(past) if each.time <= since), past[0])
        for name, then, now in zip(COUNTS, first.counts, last.counts, strict=True):
            counts[name] += max(0, now - then)
        for reason, count in last.undecoded.items():
            undecoded[reason] += max(0, count - first.undecoded.get(reason, 0))
        delivered += sum(each.delivered for each in past if each.time > max(since, first.time))
        begin, end = min(begin or first.time, first.time), max(end, last.time)
    return Recent(max(0, end - begin), counts, {reason: n for reason, n in undecoded.items() if n}, delivered)


_CONNECTED: tuple[SensorState, ...] = ("up", "late", "lagging", "losing", "blind")

# --- the states -------------------------------------------------------------------------------------------------------


def conditions(health: Health, now: int, config: HealthConfig, began: int = 0) -> dict[SensorState, str]:
    """What is wrong with a sensor that is neither done nor revoked nor new, in words, the worst first.

    But for its silence, all of it is said as of its last report.
    """
    found: dict[SensorState, str] = {}
    silent = now - max(health.last_contact, began)
    if silent > UP_SECONDS * SECOND:
        found["down"] = f"nothing heard since {time_text(health.last_contact)} UTC"
    if health.missing_since:
        found["blind"] = f"{_gone(health.interfaces)} gone since {time_text(health.missing_since)} UTC"
    elif health.live and health.reported - health.last_packet > config.blind_seconds * SECOND:
        found["blind"] = f"no packet since {time_text(health.last_packet)} UTC"
    minute = health.minute
    dropped = minute.dropped
    if minute["spool_dropped_sessions"]:
        found["losing"] = f"{minute['spool_dropped_sessions']:,} sessions dropped from a full spool in the last minute"
    elif dropped and 100 * dropped >= config.loss_percent * (dropped + minute["packets"]):
        share = 100 * dropped / (dropped + minute["packets"])
        found["losing"] = (
            f"{share:.2g}% of the packets of the last minute dropped, {minute['kernel_dropped']:,} by the kernel, "
            f"{minute['interface_dropped']:,} by the interface"
        )
    if health.backlog_age > config.lagging_seconds * SECOND:
        found["lagging"] = f"{health.backlog_batches:,} batches wait, the oldest for {age_text(health.backlog_age)}"
    if "down" not in found and silent > LATE_SECONDS * SECOND:
        found["late"] = f"nothing heard for {age_text(silent)}"
    return found


def _gone(interfaces: Iterable[InterfaceState]) -> str:
    names = [each.name for each in interfaces if not each.open]
    more = len(names) - MAX_INTERFACES_NAMED
    if more > 0:
        return f"{', '.join(names[:MAX_INTERFACES_NAMED])} and {more} more are"
    return f"{', '.join(names) or 'an interface'} {'are' if len(names) > 1 else 'is'}"


def state_of(revoked: bool, health: Health, now: int, config: HealthConfig, began: int = 0) -> tuple[SensorState, str]:
    """One word for a sensor, and what makes it up, in words; empty where the word says it all."""
    if revoked:
        return "revoked", ""
    if not health.last_contact:
        return "never", ""
    if health.finished:
        return "done", ""
    found = conditions(health, now, config, began)
    return next(iter(found.items())) if found else ("up", "")


def vitals_of(health: Health, state: SensorState, why: str) -> Vitals | None:
    """What STATUS tells of a sensor's own reports; None if there never was one."""
    if not health.reported:
        return None
    recent, minute = health.recent, health.minute
    return Vitals(
        why=why,
        blind_since=(health.missing_since or health.last_packet) if state == "blind" else 0,
        reported=health.reported,
        span=recent.span,
        packets=recent["packets"],
        kernel_dropped=recent["kernel_dropped"],
        interface_dropped=recent["interface_dropped"],
        spool_dropped=recent["spool_dropped_sessions"],
        undecoded=dict(recent.undecoded),
        evicted=recent["evicted"],
        delivered=recent.delivered,
        drain_rate=round(minute.delivered * SECOND / minute.span) if minute.span and state in _CONNECTED else 0,
        open_sessions=health.open_sessions,
        backlog_bytes=health.backlog_bytes,
        started=health.started,
        interfaces=health.interfaces,
        address=health.address,
    )
