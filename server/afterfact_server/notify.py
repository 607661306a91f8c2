"""Tells alarms, and what watches found, to the world outside: syslog and a webhook, each on a thread of its own.

Nothing waits for them. What cannot be delivered is tried again, ever more seldom, and the failure is logged once.
"""

import json
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from logging.handlers import SysLogHandler
from typing import Protocol
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import time_text
from afterfact_server.alarms import Change
from afterfact_server.health_config import AlarmsConfig, host_and_port

MOST = 1000
"""Changes that may wait for an outlet; beyond, the oldest are given up."""
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0
WEBHOOK_SECONDS = 10.0
"""Waited for the other side's answer."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A watch found sessions."""

    number: int
    name: str
    severity: int
    count: int
    example: str
    """One of them, in words."""
    time: int


Notice = Change | Matched


def sentence(change: Notice) -> str:
    """One line for a person."""
    if isinstance(change, Matched):
        sessions = "a session" if change.count == 1 else f"{change.count:,} sessions, one of them"
        return f"watch {change.number} ({printable(change.name)}) found {sessions} {change.example}"
    alarm = change.alarm
    subject = f"sensor {alarm.subject}" if alarm.subject else "server"
    if change.cleared:
        return f"alarm cleared: {subject}: {alarm.kind}, which began {time_text(alarm.since)} UTC"
    return f"alarm raised: {subject}: {alarm.kind}: {alarm.text}"


def as_json(change: Notice, server: str) -> bytes:
    """What a webhook gets."""
    if isinstance(change, Matched):
        return json.dumps({
            "event": "matched", "watch": change.number, "name": change.name, "severity": change.severity,
            "count": change.count, "text": change.example, "time": _iso(change.time), "server": server,
        }).encode()  # fmt: skip
    alarm = change.alarm
    return json.dumps(
        {
            "event": "cleared" if change.cleared else "raised",
            "alarm": alarm.kind,
            "sensor": alarm.subject,
            "text": alarm.text,
            "since": _iso(alarm.since),
            "time": _iso(change.time),
            "server": server,
        }
    ).encode()


def _iso(time: int) -> str:
    return time_text(time).replace(" ", "T") + "Z"


class Sender(Protocol):
    """Delivers changes."""

    def send(self, change: Notice) -> None:
        """OSError or ValueError if it cannot be delivered now."""

    def close(self) -> None:
        """No more will come."""


class Outlet:
    """One way out."""

    def __init__(self, name: str, sender: Sender, log: Callable[[str], None]) -> None:
        self._name = name
        self._sender = sender
        self._log = log
        self._waiting: deque[Notice] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"alarms-{name}", daemon=True)
        """Daemon: a name server or a web server that does not answer must not keep the server from ending."""

    def start(self) -> None:
        self._thread.start()

    def tell(self, change: Notice) -> None:
        """From any thread; returns at once."""
        with self._changed:
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
            self._waiting.append(change)
            self._changed.notify()

    def stop(self, seconds: float = 2.0) -> None:
        """Give what waits a moment to leave."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        self._deliver()
        self._sender.close()

    def _deliver(self) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                change = self._waiting[0]
            try:
                self._sender.send(change)
            except (OSError, ValueError) as error:
                if not self._failing:
                    self._log(f"alarms cannot be told to {self._name}: {printable(str(error))[:300]}; trying again")
                self._failing = True
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopping, pause):
                        return
                pause = min(2 * pause, LAST_RETRY_SECONDS)
                continue
            if self._failing:
                self._log(f"alarms are told to {self._name} again")
            self._failing, pause = False, FIRST_RETRY_SECONDS
            with self._changed:
                if self._waiting and self._waiting[0] is change:
                    self._waiting.popleft()


class _Raising(SysLogHandler):
    """A SysLogHandler that tells its caller what failed, in place of printing a traceback."""

    append_nul = False
    ident = "afterfact-server: "

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # it is called while the handler deals with the exception


class Syslog:
    """Sends to a syslog server: a Unix socket, or HOST:PORT by UDP."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._handler: _Raising | None = None

    def send(self, change: Notice) -> None:
        if self._handler is None:
            where = self._address if self._address.startswith("/") else host_and_port(self._address)
            self._handler = _Raising(where, SysLogHandler.LOG_DAEMON, socket.SOCK_DGRAM)
        quiet = change.severity > 1 if isinstance(change, Matched) else change.cleared
        level = logging.INFO if quiet else logging.ERROR
        try:
            self._handler.emit(logging.LogRecord("alarms", level, "", 0, sentence(change), None, None))
        except OSError:
            self.close()  # the daemon may come back as another socket
            raise

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()
            self._handler = None


class Webhook:
    """Posts a JSON object to a URL."""

    def __init__(self, url: str, server: str) -> None:
        self._url = url
        self._server = server

    def send(self, change: Notice) -> None:
        request = Request(
            self._url, as_json(change, self._server), {"Content-Type": "application/json", "User-Agent": "afterfact"}
        )
        try:
            with urlopen(request, timeout=WEBHOOK_SECONDS):
                pass
        except HTTPError as error:
            error.close()
            raise OSError(f"it answers {error.code} {error.reason}") from None
        except HTTPException as error:
            raise OSError(f"it does not speak HTTP: {type(error).__name__}") from None

    def close(self) -> None:
        """Each request closes its own connection."""


def outlets(config: AlarmsConfig, server: str, log: Callable[[str], None]) -> list[Outlet]:
    """Those that are configured."""
    made = []
    if config.syslog:
        made.append(Outlet("syslog", Syslog(config.syslog), log))
    if config.webhook:
        made.append(Outlet("webhook", Webhook(config.webhook, server), log))
    return made
