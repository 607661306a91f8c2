"""Real sockets: who is let in, and what a client is told."""

import contextlib
import time
from collections.abc import Iterator
from types import UnionType
from typing import Any

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import Hello, Reported
from afterfact_protocol.transport import Connection, Down, Event, KeyPair, Up, bind


class Allowed:
    def __init__(self) -> None:
        self.keys: set[bytes] = set()

    def callback(self, domain: str, key: bytes) -> bool:
        return domain == "sensors" and key in self.keys


class Site:
    """A ROUTER behind a ZAP handler, and its join files."""

    def __init__(self) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.allowed = Allowed()
        self.keys = KeyPair.generate()
        self.zap = ThreadAuthenticator(self.context)
        self.zap.start()
        self.zap.configure_curve_callback("sensors", self.allowed)
        self.router = bind(self.context, "tcp://127.0.0.1:*", self.keys, "sensors")
        self.address = self.router.getsockopt_string(zmq.LAST_ENDPOINT)
        self.connections: list[Connection] = []

    def join(self, keys: KeyPair, server: KeyPair | None = None, address: str | None = None) -> Join:
        return Join(
            kind="sensor",
            name="border",
            address=address or self.address,
            server_key=(server or self.keys).public,
            public_key=keys.public,
            secret_key=keys.secret,
        )

    def connect(self, join: Join) -> Connection:
        self.connections.append(Connection(self.context, join))
        return self.connections[-1]

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.router.close()
        if self.zap.is_alive():
            self.zap.stop()
        self.context.term()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def first(connection: Connection, kind: type | UnionType, seconds: float = 5) -> Event | None:
    """The first event of a kind within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in connection.events():
            if isinstance(event, kind):
                return event
        time.sleep(0.01)
    return None


def enrolled(site: Site) -> KeyPair:
    keys = KeyPair.generate()
    site.allowed.keys.add(keys.public.encode())
    return keys


def test_enrolled_key_is_let_in_and_known_on_every_message(site: Site) -> None:
    keys = enrolled(site)
    connection = site.connect(site.join(keys))
    assert first(connection, Up)
    assert connection.send(Hello("a", "1", 1, 1, 1, 0))
    frames = site.router.recv_multipart(copy=False)
    assert frames[-1].get("User-Id") == keys.public
    site.router.send_multipart([frames[0].bytes, b"\x92\xa8reported\x81\xa4time\x05"])
    assert first(connection, Reported) == Reported(5)


def test_unknown_key(site: Site) -> None:
    down = first(site.connect(site.join(KeyPair.generate())), Down)
    assert isinstance(down, Down) and down.final and "does not admit the key of border" in down.reason


def test_wrong_server_key(site: Site) -> None:
    down = first(site.connect(site.join(enrolled(site), server=KeyPair.generate())), Down)
    assert isinstance(down, Down) and not down.final and "not the server that this join file knows" in down.reason


def test_nobody_there(site: Site) -> None:
    down = first(site.connect(site.join(enrolled(site), address="tcp://127.0.0.1:9")), Down)
    assert isinstance(down, Down) and not down.final and down.reason == "no server answers at tcp://127.0.0.1:9"


def test_a_name_that_leads_nowhere(site: Site) -> None:
    down = first(site.connect(site.join(enrolled(site), address="tcp://nowhere.invalid:7736")), Down, 20)
    assert isinstance(down, Down) and not down.final
    assert down.reason.startswith("cannot resolve the server's name nowhere.invalid: ")


def test_without_a_zap_handler_nobody_is_let_in(site: Site) -> None:
    site.zap.stop()
    connection = site.connect(site.join(enrolled(site)))
    # A handshake that began while the handler was going waits for HANDSHAKE_IVL, 10 s.
    assert isinstance(first(connection, Up | Down, 15), Down)
    assert first(connection, Up, 1) is None


def test_plain_peer_is_not_let_in(site: Site) -> None:
    plain = site.context.socket(zmq.DEALER)
    plain.setsockopt(zmq.LINGER, 0)
    plain.connect(site.address)
    plain.send(b"\x92\xa8reported\x81\xa4time\x05")
    assert not site.router.poll(1000)
    plain.close()


def test_too_large_a_frame_ends_the_connection(site: Site) -> None:
    connection = site.connect(site.join(enrolled(site)))
    assert first(connection, Up)
    assert connection.send_frame(b"x" * (1024 * 1024 + 1))
    assert isinstance(first(connection, Down), Down)
    assert not site.router.poll(100)
    assert first(connection, Up), "a new connection is made by itself"


def test_nothing_is_sent_before_the_handshake(site: Site) -> None:
    connection = site.connect(site.join(enrolled(site), address="tcp://127.0.0.1:9"))
    assert not connection.send(Reported(1))


def test_secret_does_not_cross_the_wire(site: Site) -> None:
    """A relay between the two sees no plaintext."""
    import socket
    import threading

    seen = bytearray()
    listener = socket.create_server(("127.0.0.1", 0))
    port = site.address.rpartition(":")[2]

    def relay(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            seen.extend(data)
            target.sendall(data)

    def serve() -> None:
        inner, _ = listener.accept()
        outer = socket.create_connection(("127.0.0.1", int(port)))
        with inner, outer:
            back = threading.Thread(target=relay, args=(outer, inner), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                relay(inner, outer)
            outer.shutdown(socket.SHUT_RDWR)
            back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    connection = site.connect(site.join(enrolled(site), address=f"tcp://127.0.0.1:{listener.getsockname()[1]}"))
    assert first(connection, Up)
    assert connection.send(Hello("a telling word", "1", 1, 1, 1, 0))
    assert b"a telling word" in site.router.recv_multipart()[1]
    connection.close()
    site.connections.remove(connection)
    thread.join()
    listener.close()
    assert len(seen) > 200 and b"telling" not in seen
