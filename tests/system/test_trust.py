"""Whoever is not enrolled gets nothing; who is locked out is out within a second, open connections included."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zmq
from helpers.case import CAPTURES
from helpers.processes import PASSWORD, Process, Server, agent, ask, call, deliver, module

from afterfact_client import ConnectError, connect
from afterfact_client.link import LinkPhase
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.messages import Ask, Hello, Login, Message, Open, Pull, Refused, Welcome
from afterfact_protocol.transport import Connection, Down, Up

HELLO = Hello("test", "0", 1, 1, 1, 0)


def talk(join: Path, kind: str, *messages: Message, seconds: float = 5) -> list[Message | Down]:
    """Send messages, each after something came for the one before; everything that came."""
    context: zmq.Context[Any] = zmq.Context()
    connection = Connection(context, read_join(join, kind))  # type: ignore[arg-type]
    came: list[Message | Down] = []
    waiting = list(messages)
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            for event in connection.events():
                if not isinstance(event, Up):
                    came.append(event)
                if isinstance(event, Down | Refused):
                    return came
                if waiting:
                    connection.send(waiting.pop(0))
            time.sleep(0.01)
        return came
    finally:
        connection.close()
        context.term()


def test_a_sensor_revoked_while_connected_is_out_within_a_second(site: Server, tmp_path: Path) -> None:
    join = site.enrol("watched")
    running = Process(agent(join, tmp_path / "spool", "--read", CAPTURES["border"]))
    running.wait_for("connected")
    site.do("sensor", "revoke", site.dir, "watched")
    at = time.monotonic()
    running.wait_for("revoked", timeout=5)
    assert time.monotonic() - at < 1.5
    assert running.wait() == 1


def test_a_key_is_rotated_without_a_gap(site: Server, tmp_path: Path) -> None:
    """The old key delivers until the new one is used, and is out within a second of that; the spool is the same."""
    old, spool = site.enrol("rotated"), tmp_path / "spool"
    new = tmp_path / "new.toml"
    running = Process(agent(old, tmp_path / "other", "--read", CAPTURES["border"]))
    running.wait_for("connected")
    site.do("sensor", "rotate", site.dir, "rotated", "-o", new)
    assert "its new key waits to be used" in site.do("sensor", "list", site.dir)
    assert deliver(old, spool, CAPTURES["border"]).returncode == 0
    assert deliver(new, spool, CAPTURES["inside"]).returncode == 0
    running.wait_for("revoked", timeout=1.5)
    assert running.wait() == 1
    assert "does not admit the key of rotated" in deliver(old, spool, CAPTURES["inside"]).stderr
    assert "waits to be used" not in site.do("sensor", "list", site.dir)


def test_a_revoked_sensor_cannot_come_back(site: Server, tmp_path: Path) -> None:
    join = site.enrol("gone")
    site.do("sensor", "revoke", site.dir, "gone")
    done = deliver(join, tmp_path / "spool", CAPTURES["border"])
    assert done.returncode == 1
    assert "does not admit the key of gone: revoked, or never enrolled" in done.stderr
    assert "revoked" in site.do("sensor", "list", site.dir)


def test_enrolled_while_the_server_runs(site: Server, tmp_path: Path) -> None:
    assert deliver(site.enrol("late"), tmp_path / "spool", CAPTURES["inside"]).returncode == 0


SLOW_ADMISSION = """
import sys, time
from zmq.auth.thread import ThreadAuthenticator
real = ThreadAuthenticator.configure_curve_callback
def slow(*arguments):
    time.sleep(1)
    real(*arguments)
ThreadAuthenticator.configure_curve_callback = slow
from afterfact_server.__main__ import main
sys.exit(main())
"""


def test_a_good_key_is_never_refused_while_the_server_starts(tmp_path: Path) -> None:
    """An agent takes a refusal for the end of its key, and ends."""
    server = Server(tmp_path)
    join = server.enrol("early")
    join.write_text(join.read_text().replace(":7736", f":{server.sensors_port}"))  # it was written with none running
    command = [sys.executable, "-c", SLOW_ADMISSION, *server.run_command[3:]]
    context: zmq.Context[Any] = zmq.Context()
    connection = Connection(context, read_join(join, "sensor"))
    server.process = Process(command)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            events = list(connection.events())
            assert not [event for event in events if isinstance(event, Down) and event.final]
            if any(isinstance(event, Up) for event in events):
                break
            time.sleep(0.005)
        else:
            raise AssertionError("not admitted")
        server.process.wait_for("ready")
    finally:
        connection.close()
        context.term()
        server.process.end()


def test_nothing_before_hello_and_login(site: Server) -> None:
    sensor, console = site.enrol("early"), site.console_file()
    assert isinstance(talk(sensor, "sensor", Open(b"s" * 16, "live", b"", "m", False))[-1], Refused)
    for message in (Ask(1, "", False), Pull(1, 0, 1), Login("ana", PASSWORD)):
        assert isinstance(talk(console, "console", message)[-1], Refused), message
    refused = talk(console, "console", HELLO, Ask(1, "", False))
    assert isinstance(refused[0], Welcome) and isinstance(refused[-1], Refused)


def test_ports_take_only_their_own_keys(site: Server) -> None:
    sensor, console = site.enrol("own"), site.console_file()
    ports = f":{site.sensors_port}", f":{site.consoles_port}"
    for join, kind, ours, other in ((sensor, "sensor", *ports), (console, "console", *reversed(ports))):
        join.write_text(join.read_text().replace(ours, other))
        (down,) = talk(join, kind, HELLO)
        assert isinstance(down, Down) and down.final


def test_a_version_that_is_not_spoken(site: Server) -> None:
    *_, refused = talk(site.enrol("newer"), "sensor", Hello("afterfact-agent", "7.0", 90, 99, 1, 0))
    assert isinstance(refused, Refused) and refused.code == "version" and "update this server" in refused.reason


def test_an_account_disabled_while_logged_in(site: Server) -> None:
    console = site.console_file()
    site.add_user("leaver")
    with connect(console, "leaver", PASSWORD) as client:
        client.status()
        site.do("user", "disable", site.dir, "leaver")
        deadline = time.monotonic() + 1.5
        while client.link.state.phase is not LinkPhase.REFUSED and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.link.state.phase is LinkPhase.REFUSED
        assert "disabled" in client.link.state.reason
    with pytest.raises(ConnectError, match="does not know user"):
        connect(console, "leaver", PASSWORD)


def test_wrong_password_and_user(site: Server) -> None:
    console = site.console_file()
    for user in ("ana", "nobody"):
        done = call(module("afterfact_client", "status", "--join", console, "--user", user),
                    env={"AFTERFACT_PASSWORD": "wrong"})  # fmt: skip
        assert done.returncode == 1
        assert done.stderr == f"afterfact: the server does not know user '{user}' with this password\n"


def test_new_password_counts_at_once(site: Server, tmp_path: Path) -> None:
    site.add_user("changer")
    (tmp_path / "new").write_text("another password\n")
    site.do("user", "passwd", site.dir, "changer", "--password-file", tmp_path / "new")
    assert ask(site.console_file(), "", user="changer").returncode == 1


def test_two_agents_on_one_spool(site: Server, tmp_path: Path) -> None:
    join = site.enrol("shared")
    first = Process(agent(join, tmp_path / "spool", "--read", CAPTURES["border"]))
    first.wait_for("connected")
    second = deliver(join, tmp_path / "spool", CAPTURES["border"])
    assert second.returncode == 1
    assert "another afterfact-agent uses this spool" in second.stderr
    assert first.end(signal.SIGTERM) == 0


def test_a_sensor_cannot_write_anothers_stream(site: Server, tmp_path: Path) -> None:
    """A copied spool: the other sensor's batches are refused, and nothing is doubled."""
    border, inside = site.enrol("first"), site.enrol("second")
    assert deliver(border, tmp_path / "spool", CAPTURES["border"]).returncode == 0
    mixed_up = deliver(inside, tmp_path / "spool", CAPTURES["inside"])
    assert mixed_up.returncode == 1 and "this spool is sensor first's" in mixed_up.stderr
    (tmp_path / "spool" / "owner").unlink()
    done = deliver(inside, tmp_path / "spool", CAPTURES["inside"])
    assert done.returncode == 1
    assert "another sensor delivers this stream" in done.stderr
    console = site.console_file()
    rows = ask(console, "sensor = 'second'", "--format", "jsonl").stdout.splitlines()
    assert rows and all('"sensor":"second"' in row.replace(" ", "") for row in rows)
