"""The link over real sockets, against a server that answers what a test says and keeps silent where it says so."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from afterfact_client import client as client_module
from afterfact_client import link as link_module
from afterfact_client.client import connect
from afterfact_client.link import ConnectError, Link, LinkLost, LinkPhase
from afterfact_protocol.codec import decode, encode
from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import (
    Alive,
    Answer,
    Ask,
    Failed,
    Hello,
    LoggedIn,
    Login,
    Message,
    Page,
    Pull,
    Reported,
    Welcome,
)
from afterfact_protocol.transport import KeyPair, bind

Reply = Callable[[Message], list[Message]]


class Anyone:
    def callback(self, domain: str, key: bytes) -> bool:
        return True


class Desk:
    """A consoles' port: whoever comes is let in, and gets what `reply` says."""

    def __init__(self) -> None:
        self.reply: Reply = admit
        self.came: list[Message] = []
        self._context: zmq.Context[Any] = zmq.Context()
        self._zap = ThreadAuthenticator(self._context)
        self._zap.start()
        self._zap.configure_curve_callback("consoles", Anyone())
        server, console = KeyPair.generate(), KeyPair.generate()
        self._socket = bind(self._context, "tcp://127.0.0.1:*", server, "consoles")
        self.join = Join(
            kind="console", name="desk", address=self._socket.getsockopt_string(zmq.LAST_ENDPOINT),
            server_key=server.public, public_key=console.public, secret_key=console.secret,
        )  # fmt: skip
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(20):
                peer, frame = self._socket.recv_multipart()
                message = decode(frame)
                self.came.append(message)
                for answer in self.reply(message):
                    self._socket.send_multipart([peer, encode(answer)])

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self._zap.stop()
        self._context.term()


def admit(message: Message) -> list[Message]:
    """HELLO, LOGIN and ALIVE as a server answers them; nothing else."""
    match message:
        case Hello():
            return [Welcome(1, "test", b"s" * 16, 0, "desk", 0)]
        case Login():
            return [LoggedIn("ana", "analyst")]
        case Alive():
            return [Reported(0)]
    return []


def silent(message: Message) -> list[Message]:
    return []


def answer(request: int) -> Answer:
    return Answer(request, 0, False, 1, (), {}, "all", 0, 0, 0, 0, 0, ())


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


@pytest.fixture
def link(desk: Desk) -> Iterator[Link]:
    made = Link(desk.join, "ana", "a password")
    until(made, LinkPhase.ONLINE)
    yield made
    made.close()


def until(link: Link, phase: LinkPhase, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while link.state.phase is not phase:
        assert time.monotonic() < deadline, link.state
        time.sleep(0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of silence with seconds that a test can wait for."""
    monkeypatch.setattr(link_module, "ALIVE_SECONDS", 0.5)
    monkeypatch.setattr(link_module, "ANSWER_SECONDS", 2.0)


# --- pulls of the same place ------------------------------------------------------------------------------------------


def pages(message: Message) -> list[Message]:
    """A PULL is answered with as many places as it asks for."""
    if isinstance(message, Pull):
        return [Page(message.request, message.first, message.count, b"", False)]
    return admit(message)


def test_the_same_pull_twice_is_one(desk: Desk, link: Link) -> None:
    held = threading.Event()
    desk.reply = lambda message: pages(message) if held.wait(5) else []
    asked = [link.pull(1, 0, 10), link.pull(1, 0, 10)]
    held.set()
    assert [future.result(5).count for future in asked] == [10, 10]
    assert link.pull(1, 0, 10).result(5).count == 10, "a pull that was answered is asked anew"
    assert desk.came.count(Pull(1, 0, 10)) == 2


def test_pulls_of_one_place_get_each_its_own_page(desk: Desk, link: Link) -> None:
    held = threading.Event()
    desk.reply = lambda message: pages(message) if held.wait(5) else []
    counts = [10, 20, 30, 20]
    asked = [link.pull(1, 0, count) for count in counts]
    other = link.pull(1, 10, 5)
    held.set()
    assert [future.result(5).count for future in asked] == counts
    assert other.result(5).first == 10


def test_a_failed_request_fails_its_pulls(desk: Desk, link: Link) -> None:
    desk.reply = lambda message: [Failed(message.request, "request", "gone", -1, -1)] if isinstance(
        message, Pull) and message.count == 10 else admit(message)  # fmt: skip
    for future in (link.pull(1, 0, 20), link.pull(1, 0, 30), link.pull(1, 5, 10)):
        with pytest.raises(link_module.RequestFailed, match="gone"):
            future.result(5)


# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
def test_a_server_that_answers_nothing_is_lost_and_found_again(desk: Desk, link: Link) -> None:
    desk.reply = silent
    _, asked = link.ask("")
    waiting = [link.pull(1, 0, 10), link.pull(1, 0, 20)]
    for future in (asked, *waiting):
        with pytest.raises(LinkLost, match="has not answered for 2 s"):
            future.result(10)
    assert link.state.phase is LinkPhase.LOST
    desk.reply = pages
    until(link, LinkPhase.ONLINE)
    assert link.pull(1, 0, 10).result(5).count == 10


@pytest.mark.usefixtures("hasty")
def test_an_idle_link_notices_too(desk: Desk, link: Link) -> None:
    desk.reply = silent
    until(link, LinkPhase.LOST)


@pytest.mark.usefixtures("hasty")
def test_a_server_that_only_takes_its_time_is_waited_for(desk: Desk, link: Link) -> None:
    request, asked = link.ask("")
    time.sleep(4)
    assert link.state.phase is LinkPhase.ONLINE and not asked.done()
    assert desk.came.count(Alive()) >= 3
    desk.reply = lambda message: [answer(request), *admit(message)] if isinstance(message, Alive) else admit(message)
    assert isinstance(asked.result(5), Answer)
    assert [type(message) for message in desk.came[:3]] == [Hello, Login, Ask], "one connection all along"
    assert Hello not in map(type, desk.came[1:])


@pytest.mark.usefixtures("hasty")
def test_alive_goes_out_although_the_server_talks(desk: Desk, link: Link) -> None:
    """The server counts what it hears, not what it says."""
    request, asked = link.ask("")
    done: Future[Any] = asked
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        link.pull(request, int(time.monotonic() * 1e3), 1)
        time.sleep(0.05)
    assert desk.came.count(Alive()) >= 2 and not done.done()


@pytest.mark.usefixtures("hasty")
def test_a_login_that_is_not_answered_is_tried_again(desk: Desk) -> None:
    desk.reply = silent
    link = Link(desk.join, "ana", "a password")
    try:
        deadline = time.monotonic() + 10
        while len([message for message in desk.came if isinstance(message, Hello)]) < 2:
            assert time.monotonic() < deadline, desk.came
            time.sleep(0.01)
        assert link.state.phase is LinkPhase.CONNECTING
        desk.reply = admit
        until(link, LinkPhase.ONLINE)
    finally:
        link.close()


def test_a_server_that_was_reached_is_given_time_to_let_us_in(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty consoles may log in before."""
    (tmp_path / "console.toml").write_text(desk.join.to_toml())

    def late(message: Message) -> list[Message]:
        if isinstance(message, Login):
            time.sleep(1)
        return admit(message)

    desk.reply = late
    with connect(tmp_path / "console.toml", "ana", "a password", timeout=0.3):
        pass
    desk.reply = silent
    for module in (link_module, client_module):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 1.0)
    with pytest.raises(ConnectError, match=r"has not answered for 1 s|reached, no answer yet"):
        connect(tmp_path / "console.toml", "ana", "a password", timeout=0.3)
