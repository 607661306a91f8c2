"""Real sockets: a peer that does not read is cut before it costs memory, and nobody else notices."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from afterfact_protocol.codec import encode
from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import Hello, Login, Message, Page, Refused, Reported
from afterfact_protocol.transport import Connection, KeyPair, Up, bind
from afterfact_server.router import QUEUE, SILENT_SECONDS, Peer, Router

HELLO = Hello("test", "0", 1, 1, 1, 0)
LARGE = Page(1, 0, 1, b"x" * 200_000, False)


class Anyone:
    def callback(self, domain: str, key: bytes) -> bool:
        return True


class Port:
    def __init__(self) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.zap = ThreadAuthenticator(self.context)
        self.zap.start()
        self.zap.configure_curve_callback("consoles", Anyone())
        self.keys = KeyPair.generate()
        self.said: list[str] = []
        self.forgotten: list[Peer] = []
        self.router = Router(
            bind(self.context, "tcp://127.0.0.1:*", self.keys, "consoles"), self.said.append, self.forgotten.append
        )
        self.connections: list[Connection] = []

    def connect(self) -> Connection:
        own = KeyPair.generate()
        address = self.router.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        join = Join(kind="console", name="desk", address=address, server_key=self.keys.public, public_key=own.public,
                    secret_key=own.secret)  # fmt: skip
        connection = Connection(self.context, join)
        self.connections.append(connection)
        for _ in range(500):
            if any(isinstance(event, Up) for event in connection.events()):
                return connection
            time.sleep(0.01)
        raise AssertionError("not connected")

    def receive(self, allowed: tuple[type[Message], ...] = (Hello,)) -> list[tuple[Peer, Message]]:
        for _ in range(300):
            if got := list(self.router.receive(time.monotonic(), lambda _: allowed)):
                return got
            time.sleep(0.01)
        return []

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.router.socket.close()
        self.zap.stop()
        self.context.term()


@pytest.fixture
def port() -> Iterator[Port]:
    made = Port()
    yield made
    made.close()


def test_a_peer_that_does_not_read_is_cut(port: Port) -> None:
    deaf, good = port.connect(), port.connect()
    assert deaf.send(HELLO)
    ((deaf_peer, _),) = port.receive()
    for _ in range(2000):
        port.router.send(deaf_peer, LARGE)
        if deaf_peer.identity not in port.router.peers:
            break
    else:
        raise AssertionError("never cut")
    assert len(deaf_peer.waiting) == QUEUE + 1
    assert len(port.forgotten) == 1 and port.forgotten[0] is deaf_peer
    assert any("does not read its answers" in line for line in port.said)
    assert good.send(HELLO)
    ((good_peer, _),) = port.receive()
    port.router.send(good_peer, LARGE)
    assert any(event == LARGE for _ in range(100) for event in (time.sleep(0.01), *good.events()))


def test_nothing_is_lost_for_a_peer_that_reads_slowly(port: Port) -> None:
    slow = port.connect()
    assert slow.send(HELLO)
    ((peer, _),) = port.receive()
    got = 0
    for number in range(400):
        port.router.send(peer, Page(1, number, 1, LARGE.rows, False))
        while len(peer.waiting) > QUEUE // 2:
            for event in slow.events():
                assert isinstance(event, Page) and event.first == got
                got += 1
            port.router.flush()
    for _ in range(500):
        port.router.flush()
        got += sum(1 for _ in slow.events())
        if got == 400:
            return
        time.sleep(0.01)
    raise AssertionError(got)


def test_what_cannot_be_encoded_costs_its_peer_the_connection_and_nobody_else(port: Port) -> None:
    one, other = port.connect(), port.connect()
    assert one.send(HELLO)
    ((peer, _),) = port.receive()
    port.router.send(peer, Reported(1 << 70))
    assert peer.identity not in port.router.peers
    assert any("a Reported cannot be sent" in line for line in port.said)
    assert other.send(HELLO)
    ((peer, _),) = port.receive()
    port.router.send(peer, Page(1, 0, 1, b"x" * 2_000_000, False))
    assert port.router.peers == {} and any("exceeds" in line for line in port.said)


def test_what_may_not_be_sent_costs_the_conversation(port: Port) -> None:
    peer = port.connect()
    assert peer.send(Login("ana", "secret"))
    assert port.receive() == [] and port.router.peers == {}
    assert [e for _ in range(50) for e in (time.sleep(0.01), *peer.events()) if isinstance(e, Refused)]


def test_junk_and_several_frames(port: Port) -> None:
    peer = port.connect()
    assert peer.send_frame(b"junk")
    assert port.receive() == [] and port.router.peers == {}
    peer._socket.send_multipart([encode(HELLO), b"more"])
    assert port.receive() == [] and port.router.peers == {}
    assert any("a message of 2 frames" in line for line in port.said)


def test_silent_peers_are_known(port: Port) -> None:
    peer = port.connect()
    assert peer.send(HELLO)
    ((known, _),) = port.receive()
    assert port.router.silent(known.seen + SILENT_SECONDS - 1) == []
    assert port.router.silent(known.seen + SILENT_SECONDS + 1) == [known]
