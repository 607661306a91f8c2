"""The control socket with a real registry behind it: everything asked is answered, and by nobody but the server."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from afterfact_protocol.messages import Status
from afterfact_protocol.transport import KeyPair
from afterfact_server import control
from afterfact_server.control import ControlServer, ask_running, locked, wait_or_run
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError, RegistryError
from afterfact_server.loginguard import LoginGuard
from afterfact_server.networks import NetworksFile
from afterfact_server.operations import Operations
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Enrolment
from afterfact_server.registry.tokens import Tokens


def late() -> Status:
    raise TimeoutError


def broken() -> None:
    raise ZeroDivisionError("broken on purpose")


class Site:
    """A control server on a directory of its own."""

    def __init__(self, path: Path) -> None:
        self.directory = ServerDir(path)
        self.database = open_database(f"sqlite:///{self.directory.registry}")
        self.said: list[str] = []
        self.operations = Operations(
            Enrolment(self.database), Accounts(self.database), Tokens(self.database), LoginGuard(), KeyPair.generate(),
            "tcp://127.0.0.1:7736",
            "tcp://127.0.0.1:7734", lambda: None, late, NetworksFile(self.directory, list, self.said.append),
        )  # fmt: skip
        self.control = ControlServer(self.directory.control, self.operations, self.said.append)
        self.control.start()

    def close(self) -> None:
        self.control.stop()
        self.database.dispose()


@contextmanager
def serving(path: Path) -> Iterator[Site]:
    site = Site(path)
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as made:
        yield made


def raw(site: Site, request: bytes) -> dict[str, str]:
    """The answer to any bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(site.directory.control))
        connection.sendall(request)
        with connection.makefile("rb") as answers:
            assert answers.readline() == control.READY
            answer: dict[str, str] = json.loads(answers.readline())
            return answer


def test_an_operation(site: Site) -> None:
    enrolled = ask_running(site.directory, "sensor enrol", {"name": "border", "net": "dmz"})
    assert enrolled is not None and 'name = "border"' in enrolled
    with pytest.raises(RegistryError, match="enrolled already"):
        ask_running(site.directory, "sensor enrol", {"name": "border", "net": "dmz"})


@pytest.mark.parametrize(
    ("request_line", "says"),
    [
        (b"junk", "not a request"),
        (b"", "not a request"),
        (b"\xff\xfe", "not a request"),
        (b"[]", "not a request"),
        (b"[" * 900_000, "not a request: RecursionError"),
        (b'{"command": 5, "arguments": {}}', "no operation '5'"),
        (b'{"command": "user list", "arguments": 7}', "not a request"),
        (b'{"command": "user list", "arguments": {"name": "x"}}', "user list: got an unexpected keyword argument"),
        (b'{"command": "user disable", "arguments": {}}', "user disable: missing a required argument: 'name'"),
        (b'{"command": "user disable", "arguments": {"name": ["x"]}}', "user disable: name is not text"),
        (b'{"command": "user disable", "arguments": {"name": "\\ud800"}}', "user disable: name is not text"),
        (b'{"command": "user disable", "arguments": {"name": "a\\u0000"}}', "no account"),
        (b'{"command": "status", "arguments": {}}', "the server is too busy to answer this; try again"),
    ],
)  # fmt: skip
def test_bad_requests_are_answered(site: Site, request_line: bytes, says: str) -> None:
    answer = raw(site, request_line + b"\n")
    assert says in answer["error"] and "\n" not in answer["error"]
    assert site.said == [], "none of it is a fault of the server"


def test_a_fault_is_told_and_logged(site: Site) -> None:
    object.__setattr__(site.operations, "changed", broken)
    with pytest.raises(RegistryError, match="a fault of the server at 'sensor enrol': ZeroDivisionError: broken on"):
        ask_running(site.directory, "sensor enrol", {"name": "border", "net": "dmz"})
    assert len(site.said) == 1


def test_a_failing_database_is_told_at_once(site: Site) -> None:
    with site.database.begin() as connection:
        connection.execute(text("ALTER TABLE sensors RENAME TO gone"))
    at = time.monotonic()
    with pytest.raises(RegistryError, match="no such table"):
        next(wait_or_run(site.directory, "sensor enrol", {"name": "border", "net": "dmz"}))
    assert time.monotonic() - at < 5


def test_nobody_there(tmp_path: Path) -> None:
    directory = ServerDir(tmp_path)
    assert ask_running(directory, "status", {}) is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory.control))
    assert ask_running(directory, "status", {}) is None


@contextmanager
def half_a_server(directory: ServerDir, *says: bytes) -> Iterator[None]:
    """Takes one connection, says these after one another, each but the first after a line has come, and ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory.control))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                for at, part in enumerate(says):
                    if at:
                        lines.readline()
                    connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("half", [b"", b'{"output": "do'])
def test_taken_and_not_answered_is_an_error(tmp_path: Path, half: bytes) -> None:
    """Running it again might do it twice."""
    directory = ServerDir(tmp_path)
    with half_a_server(directory, control.READY, half), pytest.raises(ConfigError, match="look whether it was done"):
        ask_running(directory, "sensor enrol", {"name": "border", "net": "dmz"})


def test_not_taken_is_nobody_there(tmp_path: Path) -> None:
    directory = ServerDir(tmp_path)
    with half_a_server(directory):
        assert ask_running(directory, "sensor enrol", {"name": "border", "net": "dmz"}) is None


def test_a_server_that_does_not_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.2)
    (site.directory.path / "other").mkdir()
    mute = ServerDir(site.directory.path / "other")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(mute.control))
        listener.listen()
        with pytest.raises(ConfigError, match="the running server does not answer"):
            ask_running(mute, "status", {})


def test_a_long_path(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100)
    path.mkdir(parents=True)
    with serving(path) as site:
        listed = ask_running(site.directory, "user list", {})
        assert listed is not None and listed.startswith("user")
        assert stat.S_IMODE(site.directory.control.stat().st_mode) == 0o600
    assert not site.directory.control.exists()
    assert ask_running(ServerDir(path), "user list", {}) is None


def test_the_socket_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode is right from the moment that it has a name, whatever the umask, which no other thread sees changed."""
    modes: list[int] = []
    listen = socket.socket.listen

    def watched(self: socket.socket, *backlog: int) -> None:
        modes.append(stat.S_IMODE((tmp_path / "control").stat().st_mode))
        listen(self, *backlog)

    masks: list[int] = []
    monkeypatch.setattr(socket.socket, "listen", watched)
    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "umask", masks.append)
        with serving(tmp_path):
            pass
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert modes == [0o600] and masks == []


def test_a_lock_that_is_soon_free(tmp_path: Path) -> None:
    directory = ServerDir(tmp_path)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(directory) as ours:
            assert ours
            held.set()
            free.wait(10)
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with locked(directory) as ours:
        assert not ours
    with locked(directory, 0.1) as ours:
        assert not ours
    free.set()
    with locked(directory, 10) as ours:
        assert ours
    thread.join()
