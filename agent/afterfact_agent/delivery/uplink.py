"""The uplink: the thread that owns the connection to the server and sends the spool until it is acknowledged."""

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from afterfact_agent.delivery.bounds import Bounds
from afterfact_agent.delivery.delivery import Delivery, Verdict
from afterfact_agent.delivery.spool import Spool, SpoolError
from afterfact_protocol.codec import WireError, decode
from afterfact_protocol.joinfile import Join
from afterfact_protocol.mailbox import Mailbox
from afterfact_protocol.messages import Batch, Hello, Message, Report
from afterfact_protocol.session import SCHEMA_VERSION
from afterfact_protocol.transport import Connection, Down, Up
from afterfact_protocol.versions import EVENTS_SINCE, HIGHEST, LOWEST, SOFTWARE

REPORT_SECONDS = 10.0
DEAD_SECONDS = 35.0
"""The server answers every report; without any word for this long the connection is made anew."""
RETRY_SECONDS = 2.0
TIDY_SECONDS = 60.0
POLL_MS = 500
GOODBYE_MS = 1000
_WAKE, _OPEN_AGAIN = -1, -2
"""In the place of a batch's number, in the mail."""


class Uplink:
    """Start it once the spool is open. `failed` holds the line of what ended it: a final refusal (revoked key, version)
    or a fault."""

    def __init__(
        self, join: Join, spool: Spool, bounds: Bounds, log: Callable[[str], None],
        counters: Callable[[], dict[str, int]] = dict,
    ) -> None:  # fmt: skip
        self._join = join
        self._spool = spool
        self._bounds = bounds
        self._log = log
        self._counters = counters
        self._mail: Mailbox[tuple[bytes, int]] = Mailbox()
        self._stopping = threading.Event()
        self._opened_again = threading.Event()
        self._delivery = Delivery(spool, log)
        self._last_down = ""
        self._online = False
        self._heard = 0.0
        self._reported = 0.0
        self.failed: str | None = None
        self._thread = threading.Thread(target=self._run, name="uplink")

    def start(self) -> None:
        self._thread.start()

    def spooled(self, stream: bytes, seq: int) -> None:
        """A batch was spooled; from any thread."""
        self._mail.post((stream, seq))

    def open_again(self, stream: bytes) -> None:
        """The spool knows something new of a stream (`replace`): returns once no earlier answer to it counts."""
        self._opened_again.clear()
        self._mail.post((stream, _OPEN_AGAIN))
        while self._thread.is_alive() and not self._opened_again.wait(POLL_MS / 1000):
            pass

    @property
    def settled(self) -> bool:
        """Whether the server has answered for every stream of the spool, on this connection, and has all batches that
        it lacked and the spool holds."""
        return self._delivery.settled

    @property
    def connections(self) -> int:
        """How often the server welcomed this agent."""
        return self._delivery.connections

    def lacks(self, stream: bytes, batches: int) -> list[int]:
        """Of a stream that the server opened, the numbers below `batches` that it does not have."""
        return self._delivery.lacks(stream, batches)

    @property
    def refused_streams(self) -> dict[bytes, str]:
        """Streams the server does not take, with its reasons."""
        return dict(self._delivery.refused_streams)

    def refused_batches(self, stream: bytes) -> list[int]:
        """Batches of a stream that the server has refused since the start."""
        return [seq for refused, seq in self._delivery.refused_batches.copy() if refused == stream]

    def stop(self) -> None:
        """Stop sending; the spool keeps what is not acknowledged."""
        self._stopping.set()
        self._mail.post((b"", _WAKE))
        if self._thread.is_alive():
            self._thread.join()
        self._mail.close()

    def _run(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        try:
            connection = Connection(context, self._join)
            try:
                self._serve(connection)
                if self._online:  # else the server would show the backlog of the last report until the next start
                    self._report(connection)
            finally:
                connection.close(GOODBYE_MS)
        except SpoolError as error:
            self._fail(str(error))
        except Exception as error:  # the thread's last words: without them an agent would look well and deliver nothing
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            self._fail(f"a fault of the agent at {place}, delivery ends: {type(error).__name__}: {error}")
        finally:
            context.term()

    def _fail(self, reason: str) -> None:
        self._log(reason)
        self.failed = reason

    def _serve(self, connection: Connection) -> None:
        poller = zmq.Poller()
        poller.register(self._mail.fileno(), zmq.POLLIN)
        tidied = time.monotonic()
        connection.register(poller)
        while not self._stopping.is_set() and self.failed is None:
            poller.poll(POLL_MS)
            connection.unregister(poller)
            now = time.monotonic()
            self._take_mail()
            try:
                for event in connection.events():
                    self._handle(connection, event)
            except WireError as error:
                self._down(f"the server sent something that is no message: {error}")
                connection.reopen()
            if self._online and now - self._heard > DEAD_SECONDS:
                self._down(f"no word from {self._join.address} for {DEAD_SECONDS:.0f} s; connecting anew")
                connection.reopen()
            self._send(connection)
            self._bounds.enforce(self._delivery.is_sent)
            if self._online and now - self._reported >= REPORT_SECONDS:
                self._report(connection)
            if now - tidied > TIDY_SECONDS:
                self._spool.tidy()
                tidied = now
            connection.register(poller)
        connection.unregister(poller)

    def _take_mail(self) -> None:
        for stream, seq in self._mail.take():
            if seq >= 0:
                self._delivery.spooled(stream, seq)
            elif seq == _OPEN_AGAIN:
                self._delivery.open_again(stream)
                self._opened_again.set()

    def _handle(self, connection: Connection, event: Up | Down | Message) -> None:
        self._heard = time.monotonic()
        match event:
            case Up():
                connection.send(Hello("afterfact-agent", SOFTWARE, LOWEST, HIGHEST, SCHEMA_VERSION, _now_us()))
            case Down(reason, final):
                self._down(reason)
                if final:
                    self.failed = reason
            case _:
                verdict = self._delivery.handle(event)
                if verdict is Verdict.FINAL:
                    self.failed = getattr(event, "reason", "refused")
                elif verdict is Verdict.RETRY:
                    self._down("refused; trying again")
                    self._stopping.wait(RETRY_SECONDS)
                    connection.reopen()
                elif self._delivery.welcomed and not self._online:
                    self._online = True
                    self._last_down = ""
                    self._log(f"connected to {self._join.address} as sensor {self._join.name}")
                    self._report(connection)

    def _down(self, reason: str) -> None:
        self._online = False
        self._delivery.disconnected()
        if reason != self._last_down:  # once, not with every attempt
            waiting = self._spool.backlog().batches
            kept = f"; {waiting} {'batch waits' if waiting == 1 else 'batches wait'} in the spool" if waiting else ""
            self._log(f"{reason}{kept}")
            self._last_down = reason

    def _send(self, connection: Connection) -> None:
        for item in self._delivery.next():
            if not isinstance(item, tuple):
                if not connection.send(item):
                    self._delivery.unsent(item)
                    return
                continue
            try:
                frame = self._spool.read(*item)
                batch = decode(frame, (Batch,))
            except (OSError, WireError) as error:
                self._log(
                    f"batch {item[1]} of stream {item[0].hex()} in the spool is damaged: {error}; it is kept "
                    "as .refused"
                )
                self._delivery.damaged(item)
                continue
            if isinstance(batch, Batch) and batch.events and self._delivery.protocol < EVENTS_SINCE:
                self._fail(
                    f"the server at {self._join.address} ({self._delivery.software}) does not know alerts and would "
                    "lose those that wait in the spool: update the server; nothing is lost"
                )
                return
            if not connection.send_frame(frame):
                self._delivery.unsent(item)
                return

    def _report(self, connection: Connection) -> None:
        backlog = self._spool.backlog()
        self._reported = time.monotonic()
        counters = {**self._counters(), **self._bounds.counters}
        connection.send(Report(_now_us(), backlog.batches, backlog.bytes, backlog.since, counters))


def _now_us() -> int:
    return time.time_ns() // 1000
