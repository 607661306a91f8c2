"""A Link whose server is an array of rows: for states of the console that a real server cannot be brought to at will
(a million rows, an answer that does not come, a connection that breaks). What the console claims of real answers is
tested in tests/system/test_console.py.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from helpers.fake_cases import ABOUT_CASES, FakeCases
from helpers.fake_queue import FakeQueue
from helpers.fake_shared import KEPT, FakeShared

from afterfact_client.link import LinkLost, LinkPhase, LinkState, RequestFailed
from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import (
    Alarm,
    AnnotationChanged,
    Answer,
    CaseChanged,
    Failed,
    Gap,
    HealthPoint,
    Hints,
    InterfaceState,
    Message,
    Page,
    Progress,
    QueueChanged,
    SensorCoverage,
    SensorHealth,
    SensorStatus,
    Status,
    TableAnswer,
    Vitals,
    Which,
)
from afterfact_protocol.query import parse
from afterfact_protocol.query.columns import layout, table_columns
from afterfact_protocol.query.nodes import Column
from afterfact_protocol.query.stagenodes import bucket
from afterfact_protocol.records import ROW_COLUMNS, Records
from afterfact_protocol.session import ROW, Outcome, Proto, Source, absent_bits

JOIN = Join(
    kind="console",
    name="desk",
    address="tcp://server.example:7734",
    server_key="x" * 40,
    public_key="y" * 40,
    secret_key="z" * 40,
)
START = 1_090_863_469_000_000
"""2004-07-26 17:37:49 UTC, microseconds."""
SECOND = 1_000_000
BESIDE = " AND community_id = "
"""In what the details of a session ask by themselves."""
COUNTED = "| count BY "
"""In what the timeline of a large result asks by itself."""
SENSORS = {1: "border", 2: "inside"}


def mapped(*parts: int) -> bytes:
    """An IPv4 address as the record holds it."""
    return bytes(10) + b"\xff\xff" + bytes(parts)


def sessions(count: int) -> Records:
    """`count` sessions a second apart, newest first: TCP at two sensors, every tenth ICMP without ports or flags."""
    rows = np.zeros(count, ROW)
    at = np.arange(count)
    rows["start_time"] = START - at * SECOND
    rows["end_time"] = rows["start_time"] + (at % 50) * SECOND // 7
    rows["sensor"] = 1 + at % 2
    rows["session_id"] = (at.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    rows["proto"] = Proto.TCP
    addresses = np.zeros((count, 16), np.uint8)
    addresses[:, 10:12] = 0xFF
    addresses[:, 12] = 10
    addresses[:, 13:16] = (at[:, None] // np.array([65536, 256, 1])) % 256
    rows["src_ip"] = addresses.view("V16").ravel()
    rows["dst_ip"] = np.frombuffer(mapped(16, 133, 77, 85), "V16")[0]
    rows["src_port"] = 1024 + at % 60_000
    rows["dst_port"] = 1034
    rows["src_pkts"] = at % 97
    rows["src_bytes"] = (at * 7919) % 1_000_003
    rows["src_flags"] = 2
    rows["outcome"] = at % len(Outcome)
    rows["history"] = b"S"
    rows["source"] = Source.AFTERFACT
    icmp = at % 10 == 9
    rows["proto"][icmp] = Proto.ICMP
    rows["absent"][icmp] = absent_bits("src_port", "dst_port", "src_flags", "dst_flags")
    return rows


def covered(name: str, *gaps: tuple[int, int], lost: int = 0) -> SensorCoverage:
    """A sensor that watched from well before START until now, but for some gaps."""
    return SensorCoverage(
        name, START - 86_400 * SECOND, time.time_ns() // 1000, tuple(Gap(*gap) for gap in gaps), 0, lost, 0, 0
    )


def answer_to(rows: Records, request: int = 1, **changes: object) -> Answer:
    """The answer that a server with these rows gives."""
    observers = len(np.unique(rows["sensor"]))
    answer = Answer(
        request=request,
        total=len(rows),
        truncated=False,
        limit=1_000_000,
        columns=ROW_COLUMNS,
        sensors=SENSORS,
        reading="sessions with port 1034 on either side",
        span_start=START - 3600 * SECOND,
        span_end=START + SECOND,
        conversations=len(rows),
        observers=observers,
        elapsed=84_000,
        coverage=(covered("border"), covered("inside")),
    )
    return replace(answer, **changes)  # type: ignore[arg-type]


def counts_of(rows: Records, text: str, request: int) -> tuple[TableAnswer, npt.NDArray[np.void]]:
    """The answer to `... | COUNT BY a column EVERY ...` that a server with these rows gives, and its rows."""
    table = parse(text, datetime.now(UTC)).table
    assert table is not None and table.every is not None
    (key,) = table.keys
    assert isinstance(key, Column)
    gone = (
        rows["absent"] & np.uint64(absent_bits(key.name)) != 0 if key.name == "dst_port" else np.zeros(len(rows), bool)
    )
    found: dict[tuple[int, int, bool], int] = {}
    for at, value, null in zip(rows["start_time"].tolist(), rows[key.name].tolist(), gone.tolist(), strict=True):
        place = (bucket(at, table.every), 0 if null else value, null)
        found[place] = found.get(place, 0) + 1
    columns = table_columns(table)
    made = np.zeros(len(found), layout(columns))
    for at, ((time_, value, null), number) in enumerate(sorted(found.items())):
        made[at] = (0b10 if null else 0, 0, time_, value, number)
    told = answer_to(rows, request)
    answer = TableAnswer(
        request=request, total=len(made), truncated=False, limit=told.limit, columns=columns, sensors=SENSORS,
        reading="", span_start=told.span_start, span_end=told.span_end, query=text, sessions=len(rows),
        groups=len(made), elapsed=1, coverage=told.coverage,
    )  # fmt: skip
    return answer, made


def sensor_status(name: str, state: str = "up", **changes: object) -> SensorStatus:
    """A sensor as a status tells of it."""
    now = time.time_ns() // 1000
    made = SensorStatus(
        name,
        "",
        state,
        now - SECOND,
        START,
        now - 400_000,
        12_345,
        0,
        0,
        0,
        0,
        0,
        "0.1.0",  # type: ignore[arg-type]
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def vitals(**changes: object) -> Vitals:
    """What a live sensor in good health reports."""
    now = time.time_ns() // 1000
    made = Vitals(
        why="", blind_since=0, reported=now - 2 * SECOND, span=600 * SECOND, packets=1_234_567, kernel_dropped=0,
        interface_dropped=0, spool_dropped=0, undecoded={}, evicted=0, delivered=9000, drain_rate=15, open_sessions=321,
        backlog_bytes=0, started=START, interfaces=(InterfaceState("eth1", True, 9_999_999, 0),), address="10.1.2.3",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def fared(**changes: object) -> HealthPoint:
    """A step in which a sensor reported and all was well."""
    point = HealthPoint(
        start=0, reports=3, packets=1000, kernel_dropped=0, interface_dropped=0, spool_dropped=0, undecoded={},
        evicted=0, delivered=10, open_sessions=5, backlog_batches=0, backlog_age=0, clock_offset=0,
        interfaces_missing=0,
    )  # fmt: skip
    return replace(point, **changes)  # type: ignore[arg-type]


@dataclass
class FakeServer:
    """What the fake link's server does; tests change it while it runs."""

    rows: Records = field(default_factory=lambda: sessions(8))
    password: str = "good"
    reachable: bool = True
    holding: bool = False
    """Queries are not answered until `release`."""
    holding_pages: bool = False
    failure: Failed | None = None
    """Queries fail with it."""
    changes: dict[str, object] = field(default_factory=dict)
    """Fields of answers that are to be otherwise."""
    sensors: tuple[SensorStatus, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    fared: dict[str, dict[int, HealthPoint]] = field(default_factory=dict)
    """What sensors reported in which step of the time asked about."""
    asked: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    """What was asked by itself about the session that is looked at: who else saw it."""
    counted: list[str] = field(default_factory=list)
    """What was asked by itself for the timeline of a large result."""
    holding_counts: bool = False
    counts_failure: Failed | None = None
    sightings: Records = field(default_factory=lambda: sessions(0))
    pulled: list[tuple[int, int]] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    links: "list[FakeLink]" = field(default_factory=list)
    hints: Hints = field(default_factory=lambda: Hints(0, 0, (), -1, 0, ""))
    holding_hints: bool = False
    queue: FakeQueue = field(default_factory=FakeQueue)
    shared: FakeShared = field(default_factory=FakeShared)
    cases: FakeCases = field(default_factory=FakeCases)
    role: str = "analyst"
    home: tuple[str, ...] | None = ()

    def __call__(self, join: Join, user: str, password: str, on_state: Callable[[LinkState], None]) -> "FakeLink":
        link = FakeLink(self, user, password, on_state)
        self.links.append(link)
        return link

    @property
    def link(self) -> "FakeLink":
        return self.links[-1]


class FakeLink:
    """See the module."""

    def __init__(self, server: FakeServer, user: str, password: str, on_state: Callable[[LinkState], None]) -> None:
        self._server = server
        self._on_state = on_state
        self._requests = 0
        self._held: dict[int, tuple[Future[Answer | TableAnswer], str, Callable[[Progress], None] | None]] = {}
        self._held_pages: list[tuple[Future[Page], int, int, int]] = []
        self._held_hints: dict[int, Future[Hints]] = {}
        self._results: dict[int, npt.NDArray[np.void]] = {}
        self._beside: set[int] = set()
        self.closed = False
        self.on_queue: Callable[[QueueChanged], None] | None = None
        self.on_case: Callable[[CaseChanged], None] | None = None
        self.on_annotation: Callable[[AnnotationChanged], None] | None = None
        if not server.reachable:
            self.state = LinkState(LinkPhase.CONNECTING, f"no server answers at {JOIN.address}", time.time())
        elif password == server.password:
            self.state = LinkState(LinkPhase.ONLINE, "connected", time.time(), "0.1.0", server.role)
        else:
            self.state = LinkState(LinkPhase.REFUSED, f"the server does not know user '{user}' with this password",
                                   time.time())  # fmt: skip
        on_state(self.state)

    def change(self, phase: LinkPhase, reason: str) -> None:
        """The connection changes; what is pending fails if it is lost."""
        self.state = LinkState(phase, reason, time.time(), "0.1.0", self._server.role)
        if phase is not LinkPhase.ONLINE:
            self._server.queue.tell = None
            lost, self._server.queue.held = self._server.queue.held, []
            for act, _ in lost:
                act.set_exception(LinkLost(reason))
            held, self._held = self._held, {}
            for future, _, _ in held.values():
                future.set_exception(LinkLost(reason))
            pages, self._held_pages = self._held_pages, []
            for page, *_ in pages:
                page.set_exception(LinkLost(reason))
            hints, self._held_hints = self._held_hints, {}
            for hint in hints.values():
                hint.set_exception(LinkLost(reason))
            self._results.clear()  # a server forgets what a connection asked
        self._on_state(self.state)

    def ask(
        self, text: str, everything: bool = False, progress: Callable[[Progress], None] | None = None
    ) -> "tuple[int, Future[Answer | TableAnswer]]":
        self._requests += 1
        request = self._requests
        future: Future[Answer | TableAnswer] = Future()
        told = (
            self._server.counted if COUNTED in text else self._server.beside if BESIDE in text else self._server.asked
        )
        told.append(text)
        if self.state.phase is not LinkPhase.ONLINE:
            future.set_exception(LinkLost(f"not connected: {self.state.reason}"))
        else:
            self._held[request] = (future, text, progress)
            if BESIDE in text or COUNTED in text:
                self._beside.add(request)
            if not (self._server.holding_counts if COUNTED in text else self._server.holding):
                self.release()
        return request, future

    def evidence(self, case: int, step: int, which: Which = "then") -> "tuple[int, Future[Answer]]":
        return self.ask(f"evidence {case} {step} {which}")  # type: ignore[return-value]

    def progress(self, read_rows: int) -> None:
        """Tell all that wait how far their query has come."""
        for request, (_, _, told) in self._held.items():
            if told is not None:
                told(Progress(request, read_rows, 1_000_000))

    def release(self) -> None:
        """Answer what waits."""
        held, self._held = self._held, {}
        for request, (future, text, _) in held.items():
            failure = self._server.counts_failure if COUNTED in text else self._server.failure
            if failure is not None:
                future.set_exception(RequestFailed(replace(failure, request=request)))
            elif COUNTED in text:
                answer, self._results[request] = counts_of(self._server.rows, text, request)
                future.set_result(answer)
            else:
                rows = self._server.sightings if BESIDE in text else self._server.rows
                self._results[request] = rows
                future.set_result(answer_to(rows, request, **self._server.changes))

    def release_pages(self) -> None:
        """Send the pages that wait."""
        pages, self._held_pages = self._held_pages, []
        for future, request, first, count in pages:
            self._send(future, request, first, count)

    def pull(self, request: int, first: int, count: int) -> "Future[Page]":
        future: Future[Page] = Future()
        if request not in self._beside:
            self._server.pulled.append((first, count))
        if self.state.phase is not LinkPhase.ONLINE:
            future.set_exception(LinkLost(f"not connected: {self.state.reason}"))
        elif self._server.holding_pages:
            self._held_pages.append((future, request, first, count))
        else:
            self._send(future, request, first, count)
        return future

    def _send(self, future: "Future[Page]", request: int, first: int, count: int) -> None:
        rows = self._results.get(request)
        if rows is None:
            reason = f"no result {request} on this connection"
            future.set_exception(RequestFailed(Failed(request, "request", reason, -1, -1)))
        else:
            page = rows[first : first + count]
            future.set_result(Page(request, first, len(page), page.tobytes(), first + count >= len(rows)))

    def release_hints(self) -> None:
        """Tell the hints that wait."""
        held, self._held_hints = self._held_hints, {}
        for request, future in held.items():
            future.set_result(replace(self._server.hints, request=request))

    def cancel(self, request: int) -> None:
        if request not in self._beside:
            self._server.cancelled.append(request)
        self._results.pop(request, None)
        hints = self._held_hints.pop(request, None)
        if hints is not None:
            hints.set_exception(RequestFailed(Failed(request, "cancelled", "stopped", -1, -1)))
        held = self._held.pop(request, None)
        if held is not None:
            held[0].set_exception(RequestFailed(Failed(request, "cancelled", "stopped", -1, -1)))

    def hints(self, request: int) -> "Future[Hints]":
        future: Future[Hints] = Future()
        if self.state.phase is not LinkPhase.ONLINE:
            future.set_exception(LinkLost(f"not connected: {self.state.reason}"))
        elif self._server.holding_hints:
            self._held_hints[request] = future
        elif request not in self._results:
            future.set_exception(RequestFailed(Failed(request, "request", "no result", -1, -1)))
        else:
            future.set_result(replace(self._server.hints, request=request))
        return future

    def status(self) -> "Future[Status]":
        future: Future[Status] = Future()
        if self.state.phase is not LinkPhase.ONLINE:
            future.set_exception(LinkLost("not connected"))
        else:
            now = time.time_ns() // 1000
            future.set_result(
                Status(
                    0,
                    now,
                    "0.1.0",
                    10,
                    START,
                    now,
                    1000,
                    self._server.sensors,
                    40_000_000_000,
                    100_000_000_000,
                    self._server.alarms,
                    home=self._server.home,
                )
            )
        return future

    def health(self, sensor: str, start: int, end: int, points: int) -> "Future[SensorHealth]":
        future: Future[SensorHealth] = Future()
        step = (end - start) // points
        if self.state.phase is not LinkPhase.ONLINE:
            future.set_exception(LinkLost("not connected"))
        else:
            told = tuple(
                replace(point, start=start + number * step)
                for number, point in self._server.fared.get(sensor, {}).items()
            )
            future.set_result(SensorHealth(0, sensor, start, end, step, told))
        return future

    def request(self, make: Callable[[int], Message]) -> "Future[Any]":
        future: Future[Any] = Future()
        if self.state.phase is not LinkPhase.ONLINE:
            future.set_exception(LinkLost(f"not connected: {self.state.reason}"))
            return future
        message = make(0)
        if isinstance(message, ABOUT_CASES):
            self._server.cases.tell = self.on_case
            self._server.cases.take(message, future)
            return future
        if getattr(message, "subscribe", "") == "on":
            self._server.queue.tell = self.on_queue
        if isinstance(message, KEPT):
            self._server.shared.take(message, future)
        else:
            self._server.queue.take(message, future)
        return future

    def close(self) -> None:
        self.closed = True
