"""Alarms reach a real syslog listener and a real web server; what does not listen holds nobody up."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import free_ports

from afterfact_protocol.messages import Alarm
from afterfact_server import notify
from afterfact_server.alarms import Change
from afterfact_server.health_config import AlarmsConfig
from afterfact_server.notify import Outlet, outlets

AT = 1_800_000_000_000_000
RAISED = Change(Alarm("blind", "border", AT, "eth1 is gone since 08:00"), False, AT + 10_000_000)
CLEARED = Change(RAISED.alarm, True, AT + 90_000_000)
DISK = Change(Alarm("disk", "", AT, "9% free"), False, AT)


class Hooked:
    """A web server that keeps what is posted, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.answer = 200
        self.hang = threading.Event()
        hooked = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hooked.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hooked.answer == 0:
                    hooked.hang.wait(30)
                    return
                if hooked.answer == 200:
                    assert self.headers["Content-Type"] == "application/json"
                    hooked.got.append(json.loads(body))
                self.send_response(hooked.answer)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hooked() -> Iterator[Hooked]:
    made = Hooked()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "FIRST_RETRY_SECONDS", 0.05)


def until(true: Any) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def started(config: AlarmsConfig, said: list[str]) -> Outlet:
    (outlet,) = outlets(config, "soc.example.net", said.append)
    outlet.start()
    return outlet


def test_syslog_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        outlet = started(AlarmsConfig(syslog=f"127.0.0.1:{listening.getsockname()[1]}"), said := [])
        for change in (RAISED, CLEARED, DISK):
            outlet.tell(change)
        assert [listening.recv(1000).decode() for _ in range(3)] == [
            "<27>afterfact-server: alarm raised: sensor border: blind: eth1 is gone since 08:00",
            "<30>afterfact-server: alarm cleared: sensor border: blind, which began 2027-01-15 08:00:00 UTC",
            "<27>afterfact-server: alarm raised: server: disk: 9% free",
        ], "facility daemon, severities error and informational"
        outlet.stop()
    assert said == []


def test_syslog_by_a_socket_that_is_made_anew(tmp_path: Path) -> None:
    """As when the syslog daemon is not there yet, or is restarted."""
    path = tmp_path / "log"
    outlet = started(AlarmsConfig(syslog=str(path)), said := [])
    outlet.tell(RAISED)
    until(lambda: said)
    assert said == ["alarms cannot be told to syslog: [Errno 2] No such file or directory; trying again"]
    for _ in range(2):
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(str(path))
            listening.settimeout(10)
            outlet.tell(RAISED)
            assert b"alarm raised: sensor border: blind" in listening.recv(1000)
            until(lambda: not outlet._waiting)
    outlet.stop()
    assert "alarms are told to syslog again" in said


def test_webhook(hooked: Hooked) -> None:
    outlet = started(AlarmsConfig(webhook=hooked.url), said := [])
    outlet.tell(RAISED)
    outlet.tell(CLEARED)
    outlet.stop()
    assert hooked.got == [
        {"event": "raised", "alarm": "blind", "sensor": "border", "text": "eth1 is gone since 08:00",
         "since": "2027-01-15T08:00:00Z", "time": "2027-01-15T08:00:10Z", "server": "soc.example.net"},
        {"event": "cleared", "alarm": "blind", "sensor": "border", "text": "eth1 is gone since 08:00",
         "since": "2027-01-15T08:00:00Z", "time": "2027-01-15T08:01:30Z", "server": "soc.example.net"},
    ]  # fmt: skip
    assert said == []


def test_a_webhook_that_fails_is_tried_again_and_said_once(hooked: Hooked) -> None:
    hooked.answer = 503
    outlet = started(AlarmsConfig(webhook=hooked.url), said := [])
    outlet.tell(RAISED)
    until(lambda: hooked.asked >= 3)
    assert said == ["alarms cannot be told to webhook: it answers 503 Service Unavailable; trying again"]
    hooked.answer = 200
    until(lambda: hooked.got)
    outlet.stop()
    assert [each["event"] for each in hooked.got] == ["raised"]
    assert said[1:] == ["alarms are told to webhook again"]


def test_nobody_there() -> None:
    outlet = started(AlarmsConfig(webhook=f"http://127.0.0.1:{free_ports(1)[0]}/"), said := [])
    outlet.tell(RAISED)
    until(lambda: said)
    assert "Connection refused" in said[0]
    outlet.stop()


def test_one_that_does_not_answer_holds_nobody_up(hooked: Hooked) -> None:
    hooked.answer = 0
    outlet = started(AlarmsConfig(webhook=hooked.url), [])
    begun = time.monotonic()
    for _ in range(3 * notify.MOST):
        outlet.tell(RAISED)
    outlet.stop(0.2)
    assert time.monotonic() - begun < 10 and len(outlet._waiting) == notify.MOST
    hooked.hang.set()
