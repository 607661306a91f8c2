"""The ZeroMQ sockets of Afterfact: CURVE on every one, bounded queues, and the client's side of a connection.

Only this module sets socket options. It starts no thread: who owns a socket polls it.
"""

import itertools
import socket as resolver
from collections.abc import Iterator
from dataclasses import dataclass

import zmq
from zmq.utils.monitor import parse_monitor_message

from afterfact_protocol.codec import MAX_FRAME_BYTES, decode, encode
from afterfact_protocol.joinfile import Join, split_address
from afterfact_protocol.messages import Message

RECEIVE_QUEUE = 8
"""Messages a peer may have waiting here. ZeroMQ counts messages, not bytes, so it bounds memory only together with
MAX_FRAME_BYTES: 8 MiB a peer."""
SEND_QUEUE = 32
HEARTBEAT_MS = 5_000
HEARTBEAT_TIMEOUT_MS = 15_000
"""A peer whose network died without a word is disconnected after this."""
HANDSHAKE_MS = 10_000
RECONNECT_MS = 200
RECONNECT_MAX_MS = 10_000

_monitor_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, both halves as Z85 text (ZeroMQ RFC 32)."""

    public: str
    secret: str

    @classmethod
    def generate(cls) -> "KeyPair":
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


def _limit(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE)
    socket.setsockopt(zmq.SNDHWM, SEND_QUEUE)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.IPV6, 1)


def bind(context: "zmq.Context[zmq.Socket[bytes]]", address: str, keys: KeyPair, domain: str) -> zmq.Socket[bytes]:
    """A ROUTER bound to `address` that only admits keys which the ZAP handler of `domain` admits.

    With no ZAP handler running nobody is admitted (ZAP_ENFORCE_DOMAIN; without it CURVE lets any key in).
    zmq.ZMQError if the address cannot be bound.
    """
    socket = context.socket(zmq.ROUTER)
    try:
        _limit(socket)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.bind(address)
    except BaseException:
        socket.close()
        raise
    return socket


@dataclass(frozen=True, slots=True)
class Up:
    """The encrypted connection stands; say HELLO."""


@dataclass(frozen=True, slots=True)
class Down:
    """No connection (any more); `reason` is one line for a person. Attempts go on unless `final`."""

    reason: str
    final: bool


Event = Up | Down | Message


class Connection:
    """A client's connection: a DEALER with its monitor, and connection events in order with the messages.

    After Down the socket is made anew, so nothing queued for an old connection reaches the server ahead of HELLO.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", join: Join) -> None:
        self._context = context
        self._join = join
        self._up = False
        self._tried = False
        """Whether a server was sought at an address since the last attempt began."""
        self._socket: zmq.Socket[bytes]
        self._monitor: zmq.Socket[bytes]
        self._open()

    def _open(self) -> None:
        join = self._join
        socket = self._context.socket(zmq.DEALER)
        _limit(socket)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        socket.setsockopt(zmq.CURVE_SERVERKEY, join.server_key.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, join.public_key.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, join.secret_key.encode())
        # Messages wait here, not in ZeroMQ's queue, until the handshake is done.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        self._monitor = socket.get_monitor_socket(addr=f"inproc://connection-monitor-{next(_monitor_numbers)}")
        socket.connect(join.address)
        self._socket = socket

    def register(self, poller: zmq.Poller) -> None:
        """Have `poller` wake up for this connection; call again after every `events`, since the socket may be new."""
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)

    def unregister(self, poller: zmq.Poller) -> None:
        """Undo `register`, before `events` or `close`."""
        poller.unregister(self._socket)
        poller.unregister(self._monitor)

    def send(self, message: Message) -> bool:
        """Queue a message; False if there is no connection or its queue is full."""
        return self.send_frame(encode(message))

    def send_frame(self, frame: bytes) -> bool:
        """Queue a message that is encoded already."""
        if not self._up:
            return False
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def events(self) -> Iterator[Event]:
        """What has come since the last call, without waiting, save for a resolver that just failed. WireError for a
        frame that is no message."""
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())
            kind = event["event"]
            if kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._up = True
                yield Up()
            elif kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                yield self._down(f"{self._join.address} does not admit the key of {self._join.name}: revoked, or never "
                                 "enrolled at this server", final=event["value"] == 400)  # fmt: skip
            elif kind in (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL):
                yield self._down(f"{self._join.address} answers, but is not the server that this join file knows "
                                 "(another server_key), or is shutting down", final=False)  # fmt: skip
            elif kind == zmq.EVENT_CONNECT_RETRIED and not self._up:
                # An attempt that closed no socket never had one: the host's name led to no address.
                if not self._tried and (why := self._unresolved()):
                    yield Down(why, final=False)
                self._tried = False
            elif kind == zmq.EVENT_CLOSED and not self._up:
                self._tried = True
                yield Down(f"no server answers at {self._join.address}", final=False)
            elif kind == zmq.EVENT_DISCONNECTED and self._up:
                yield from self._messages()
                yield self._down(f"connection to {self._join.address} lost", final=False)
                self.reopen()
                return
        yield from self._messages()

    def _unresolved(self) -> str | None:
        """What the resolver says against the server's host, in one line; None if it finds it."""
        host, port = split_address(self._join.address)
        try:
            resolver.getaddrinfo(host, port, type=resolver.SOCK_STREAM)
        except OSError as error:
            return f"cannot resolve the server's name {host}: {error.strerror}"
        return None

    def _down(self, reason: str, final: bool) -> Down:
        self._up = False
        return Down(reason, final)

    def _messages(self) -> Iterator[Message]:
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield decode(frames[0]) if len(frames) == 1 else decode(b"")

    def reopen(self) -> None:
        """Drop the connection and start a new one."""
        self.close()
        self._open()

    def close(self, linger_ms: int = 0) -> None:
        """Give what was sent up to `linger_ms` to leave, or drop it."""
        self._up = False
        self._socket.setsockopt(zmq.LINGER, linger_ms)
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
