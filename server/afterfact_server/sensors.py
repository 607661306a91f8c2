"""The sensors' port: HELLO, streams, batches, credit, reports. Owns one I/O thread; never waits for the store."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import zmq

from afterfact_protocol.mailbox import Mailbox
from afterfact_protocol.messages import (
    MAX_CREDIT,
    Ack,
    Batch,
    BatchRefused,
    Hello,
    Message,
    Open,
    Refused,
    Report,
    Reported,
    Welcome,
)
from afterfact_protocol.session import SCHEMA_VERSION
from afterfact_protocol.versions import SOFTWARE, VersionRefused, agree
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import Ingest, Job, now_us
from afterfact_server.registry.enrolment import Admission, EnrolledSensor
from afterfact_server.router import Peer, Router

POLL_MS = 1000


@dataclass(slots=True)
class Conversation:
    """One agent's connection after its HELLO was welcomed."""

    sensor: EnrolledSensor
    in_flight: int = 0
    """Batches sent and not yet answered."""


class SensorsPort:
    """`answer` and `recheck` may be called from any thread."""

    def __init__(
        self, socket: zmq.Socket[bytes], admission: Admission, health: HealthBoard, store_id: bytes,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._router = Router(socket, lambda text: log(f"sensors' port: {text}"))
        self._admission = admission
        self._health = health
        self._store_id = store_id
        self._log = log
        self._ingest: Ingest
        self._talks: dict[bytes, Conversation] = {}
        self._mail: Mailbox[tuple[Peer, Message] | None] = Mailbox()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sensors-port")

    def start(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._thread.start()

    def answer(self, peer: Peer, message: Message) -> None:
        """Send a message to a peer, from any thread."""
        self._mail.post((peer, message))

    def recheck(self) -> None:
        """The set of admitted keys changed: cut who is no longer in it."""
        self._mail.post(None)

    def stop(self) -> None:
        self._stopping = True
        self._mail.post(None)
        if self._thread.is_alive():
            self._thread.join()
        self._mail.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router.socket, zmq.POLLIN)
        poller.register(self._mail.fileno(), zmq.POLLIN)
        while not self._stopping:
            poller.poll(50 if self._router.waiting else POLL_MS)
            now = time.monotonic()
            for letter in self._mail.take():
                if letter is None:
                    self._cut_revoked()
                else:
                    self._deliver(*letter)
            for peer, message in self._router.receive(now, self._allowed):
                self._handle(peer, message)
            self._router.flush()
            for peer in self._router.silent(now):
                self._router.forget(peer)
            for identity in self._talks.keys() - self._router.peers.keys():
                del self._talks[identity]
        self._router.socket.close()

    def _allowed(self, peer: Peer) -> Collection[type[Message]]:
        return (Hello, Open, Batch, Report) if peer.identity in self._talks else (Hello,)

    def _handle(self, peer: Peer, message: Message) -> None:
        sensor = self._admission.sensor(peer.key)
        if sensor is None:
            self._refuse(peer, "revoked", "this sensor's key is revoked; enrol it anew: afterfact-server sensor enrol")
            return
        now = now_us()
        self._health.heard(sensor.number, now)
        talk = self._talks.get(peer.identity)
        match message:
            case Hello():
                try:
                    protocol = agree(message)
                except VersionRefused as error:
                    self._refuse(peer, "version", str(error))
                    return
                if message.schema > SCHEMA_VERSION:
                    reason = f"its sessions are of schema {message.schema}, this server knows {SCHEMA_VERSION}"
                    self._refuse(peer, "version", f"{reason}: update this server")
                    return
                self._talks[peer.identity] = Conversation(sensor)
                self._health.hello(sensor.number, message, now)
                self._router.send(peer, Welcome(protocol, SOFTWARE, self._store_id, now, sensor.name, MAX_CREDIT))
            case Open():
                self._ingest.submit(Job(peer, sensor.number, message))
            case Batch() if talk is not None:
                talk.in_flight += 1
                if talk.in_flight > MAX_CREDIT:
                    self._refuse(peer, "credit", f"more than {MAX_CREDIT} batches without an acknowledgement")
                    return
                self._ingest.submit(Job(peer, sensor.number, message))
            case Report():
                self._health.report(sensor.number, message, now)
                self._router.send(peer, Reported(now))

    def _deliver(self, peer: Peer, message: Message) -> None:
        talk = self._talks.get(peer.identity)
        if talk is not None and isinstance(message, Ack | BatchRefused):
            talk.in_flight -= 1
        self._router.send(peer, message)

    def _refuse(self, peer: Peer, code: str, reason: str) -> None:
        self._log(f"sensors' port: peer {peer.key[:8]} refused: {reason}")
        self._talks.pop(peer.identity, None)
        self._router.cut(peer, Refused(code, reason))

    def _cut_revoked(self) -> None:
        for peer in list(self._router.peers.values()):
            if self._admission.sensor(peer.key) is None:
                self._refuse(peer, "revoked", "this sensor's key was revoked")
