"""What both ports are: one I/O thread that owns a ROUTER and a conversation for each peer that said HELLO.

SensorsPort and ConsolesPort say which messages they take and what they do with them. The thread never waits for the
store, a password or a query: such work is done elsewhere, and its answers are posted.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

import zmq

from afterfact_protocol.mailbox import Mailbox
from afterfact_protocol.messages import Hello, Message, Refused, Welcome
from afterfact_protocol.session import SCHEMA_VERSION
from afterfact_protocol.versions import SOFTWARE, VersionRefused, agree
from afterfact_server.ingest import now_us
from afterfact_server.router import Peer, Router

POLL_MS = 1000

Talk = TypeVar("Talk")


class Port(ABC, Generic[Talk]):
    """`post` and `recheck` may be called from any thread; all else happens on the port's own."""

    def __init__(self, name: str, socket: zmq.Socket[bytes], store_id: bytes, log: Callable[[str], None]) -> None:
        self._log: Callable[[str], None] = lambda text: log(f"{name}' port: {text}")
        self._store_id = store_id
        self._router = Router(socket, self._log, self._forgotten)
        self._talks: dict[bytes, Talk] = {}
        self._mail: Mailbox[Callable[[], None]] = Mailbox()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"{name}-port")

    # --- what a port decides ------------------------------------------------------------------------------------------

    @abstractmethod
    def _name_of(self, peer: Peer) -> str | None:
        """The name that the peer's key is enrolled under; None if it is not admitted (any more)."""

    @abstractmethod
    def _begin(self, peer: Peer, hello: Hello) -> tuple[Talk, int]:
        """The conversation that a welcomed HELLO opens, and its credit."""

    @abstractmethod
    def _takes(self, talk: Talk) -> Collection[type[Message]]:
        """Messages that are decoded in this state of the conversation. HELLO is none of them: it is said once."""

    @abstractmethod
    def _handle(self, peer: Peer, talk: Talk, message: Message) -> None:
        """Act on a message of those that it takes."""

    def _end(self, talk: Talk) -> None:
        """The conversation is over."""

    def _locked_out(self, talk: Talk) -> tuple[str, str] | None:
        """Code and reason if someone whose key is good must go nevertheless."""
        return None

    def _tick(self) -> None:
        """Called about every second."""

    # --- from any thread ----------------------------------------------------------------------------------------------

    def post(self, action: Callable[[], None]) -> None:
        """Have something done on the port's thread."""
        self._mail.post(action)

    def recheck(self) -> None:
        """Keys or accounts changed: cut who is no longer admitted."""
        self.post(self._cut_locked_out)

    def stop(self) -> None:
        self._stopping = True
        self.post(lambda: None)
        if self._thread.is_alive():
            self._thread.join()
        self._mail.close()

    # --- on the port's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router.socket, zmq.POLLIN)
        poller.register(self._mail.fileno(), zmq.POLLIN)
        ticked = time.monotonic()
        while not self._stopping:
            poller.poll(20 if self._router.waiting else POLL_MS)
            now = time.monotonic()
            if now - ticked >= POLL_MS / 1000:
                ticked = now
                self._tick()
            for action in self._mail.take():
                action()
            for peer, message in self._router.receive(now, self._allowed):
                self._receive(peer, message)
            self._router.flush()
            for peer in self._router.silent(now):
                self._router.forget(peer)
        self._router.socket.close()

    def _allowed(self, peer: Peer) -> Collection[type[Message]]:
        talk = self._talks.get(peer.identity)
        return (Hello,) if talk is None else self._takes(talk)

    def _receive(self, peer: Peer, message: Message) -> None:
        name = self._name_of(peer)
        if name is None:
            self._refuse(peer, "revoked", "this key is not admitted any more; ask for a new join file")
        elif isinstance(message, Hello):
            self._welcome(peer, name, message)
        else:
            self._handle(peer, self._talks[peer.identity], message)

    def _welcome(self, peer: Peer, name: str, hello: Hello) -> None:
        try:
            protocol = agree(hello)
            if hello.schema > SCHEMA_VERSION:
                raise VersionRefused(
                    f"its sessions are of schema {hello.schema}, this server knows {SCHEMA_VERSION}: update this server"
                )
        except VersionRefused as error:
            self._refuse(peer, "version", str(error))
            return
        self._talks[peer.identity], credit = self._begin(peer, hello)
        self._router.send(peer, Welcome(protocol, SOFTWARE, self._store_id, now_us(), name, credit))

    def _refuse(self, peer: Peer, code: str, reason: str) -> None:
        self._log(f"peer {peer.key[:8]}{peer.place} refused: {reason}")
        self._router.cut(peer, Refused(code, reason))

    def _forgotten(self, peer: Peer) -> None:
        talk = self._talks.pop(peer.identity, None)
        if talk is not None:
            self._end(talk)

    def _cut_locked_out(self) -> None:
        for peer in list(self._router.peers.values()):
            talk = self._talks.get(peer.identity)
            if self._name_of(peer) is None:
                self._refuse(peer, "revoked", "this key was revoked")
            elif talk is not None and (why := self._locked_out(talk)) is not None:
                self._refuse(peer, *why)
