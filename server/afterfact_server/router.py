"""A ROUTER socket as a port serves it: who speaks is known on every message, and no slow peer grows our memory."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

import zmq

from afterfact_protocol.codec import WireError, decode, encode
from afterfact_protocol.messages import Message, Refused

QUEUE = 64
"""Messages that may wait for a peer beyond ZeroMQ's own queue; a peer that reads none of them is cut."""
SILENT_SECONDS = 90.0
"""A peer that said nothing for this long is forgotten (its connection's heartbeat died long before)."""


@dataclass(slots=True)
class Peer:
    """One connection. Its identity was given by ZeroMQ, never by the peer, so nobody can take another's."""

    identity: bytes
    key: str
    """Public key that CURVE proved."""
    seen: float
    """Monotonic time of its last message."""
    address: str = ""
    """IP address that it is connected from, as far as ZeroMQ can tell."""
    waiting: deque[bytes] = field(default_factory=deque)

    @property
    def place(self) -> str:
        """For the log: " at ADDRESS", or nothing."""
        return f" at {self.address}" if self.address else ""


def _address(frame: zmq.Frame) -> str:
    try:
        address = ip_address(str(frame.get("Peer-Address")))
    except (zmq.ZMQError, ValueError):  # not every transport has one
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class Router:
    """Receives and sends for one port. Belongs to one thread. `forgotten` is told of every peer that is let go."""

    def __init__(
        self, socket: zmq.Socket[bytes], report: Callable[[str], None], forgotten: Callable[[Peer], None]
    ) -> None:
        self.socket = socket
        self._report = report
        self._forgotten = forgotten
        self.peers: dict[bytes, Peer] = {}

    def receive(
        self, now: float, allowed: Callable[[Peer], Collection[type[Message]]]
    ) -> Iterator[tuple[Peer, Message]]:
        """Messages that have come, without waiting, at most a few dozen. What is no message costs its sender the
        connection. `allowed` says which messages a peer may send."""
        for _ in range(QUEUE):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            identity = frames[0].bytes
            key = str(frames[-1].get("User-Id") or "")
            peer = self.peers.get(identity)
            if peer is not None and peer.key != key:
                self.forget(peer)
                peer = None
            if peer is None:
                peer = self.peers[identity] = Peer(identity, key, now, _address(frames[-1]))
            peer.seen = now
            try:
                if len(frames) != 2:
                    raise WireError(f"a message of {len(frames) - 1} frames")
                message = decode(frames[1].buffer, allowed(peer))
            except WireError as error:
                self._report(f"peer {key[:8]}{peer.place}: {error}")
                self.cut(peer, Refused("protocol", str(error)))
                continue
            yield peer, message

    def send(self, peer: Peer, message: Message) -> None:
        """Send, or queue up to QUEUE messages; a peer over that is cut, and so is one that cannot be told something:
        it would wait for it for ever."""
        try:
            frame = encode(message)
        except (ValueError, OverflowError) as error:
            self._report(
                f"peer {peer.key[:8]}{peer.place}: a {type(message).__name__} cannot be sent to it: {error}; cut"
            )
            self.forget(peer)
            return
        self.send_frame(peer, frame)

    def send_frame(self, peer: Peer, frame: bytes) -> None:
        """`send` for a message that is encoded already."""
        if self.peers.get(peer.identity) is not peer:
            return
        peer.waiting.append(frame)
        self._flush(peer)
        if len(peer.waiting) > QUEUE:
            self._report(f"peer {peer.key[:8]}{peer.place}: does not read its answers; cut")
            self.forget(peer)

    def _flush(self, peer: Peer) -> None:
        try:
            while peer.waiting:
                self.socket.send_multipart([peer.identity, peer.waiting[0]], zmq.NOBLOCK)
                peer.waiting.popleft()
        except zmq.Again:
            pass
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.forget(peer)

    def flush(self) -> None:
        """Try again to send what waits."""
        for peer in [peer for peer in self.peers.values() if peer.waiting]:
            self._flush(peer)

    @property
    def waiting(self) -> bool:
        return any(peer.waiting for peer in self.peers.values())

    def cut(self, peer: Peer, refusal: Refused) -> None:
        """Tell the peer why and forget it; what it sends from now on comes from a new peer, which must begin with
        HELLO."""
        self.send(peer, refusal)
        self.forget(peer)

    def forget(self, peer: Peer) -> None:
        if self.peers.get(peer.identity) is peer:
            del self.peers[peer.identity]
            self._forgotten(peer)

    def silent(self, now: float) -> list[Peer]:
        """Peers that said nothing for SILENT_SECONDS."""
        return [peer for peer in self.peers.values() if now - peer.seen > SILENT_SECONDS]
