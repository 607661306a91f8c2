"""The sensors' port: streams, batches, credit, reports."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import zmq

from afterfact_protocol.messages import MAX_CREDIT, Ack, Batch, BatchRefused, Hello, Message, Open, Report, Reported
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import Ingest, Job, now_us
from afterfact_server.port import Port
from afterfact_server.registry.enrolment import Admission, EnrolledSensor
from afterfact_server.router import Peer


@dataclass(slots=True)
class Conversation:
    """One agent's connection after its HELLO was welcomed."""

    sensor: EnrolledSensor
    in_flight: int = 0
    """Batches sent and not yet answered."""


class SensorsPort(Port[Conversation]):
    """See Port. `answer` may be called from any thread."""

    def __init__(
        self, socket: zmq.Socket[bytes], admission: Admission, health: HealthBoard, store_id: bytes,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__("sensors", socket, store_id, log)
        self._admission = admission
        self._health = health
        self._ingest: Ingest

    def start(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._thread.start()

    def answer(self, peer: Peer, message: Message) -> None:
        """Send a message to a peer, from any thread."""
        self.post(lambda: self._answer(peer, message))

    def _name_of(self, peer: Peer) -> str | None:
        sensor = self._admission.sensor(peer.key)
        return None if sensor is None else sensor.name

    def _begin(self, peer: Peer, hello: Hello) -> tuple[Conversation, int]:
        sensor = self._admission.sensor(peer.key)
        assert sensor is not None
        self._health.hello(sensor.number, hello, now_us())
        return Conversation(sensor), MAX_CREDIT

    def _takes(self, talk: Conversation) -> Collection[type[Message]]:
        return (Hello, Open, Batch, Report)

    def _handle(self, peer: Peer, talk: Conversation, message: Message) -> None:
        number = talk.sensor.number
        now = now_us()
        self._health.heard(number, now)
        match message:
            case Open():
                self._ingest.submit(Job(peer, number, message))
            case Batch():
                talk.in_flight += 1
                if talk.in_flight > MAX_CREDIT:
                    self._refuse(peer, "credit", f"more than {MAX_CREDIT} batches without an acknowledgement")
                else:
                    self._ingest.submit(Job(peer, number, message))
            case Report():
                self._health.report(number, message, now)
                self._router.send(peer, Reported(now))

    def _answer(self, peer: Peer, message: Message) -> None:
        talk = self._talks.get(peer.identity)
        if talk is not None and isinstance(message, Ack | BatchRefused):
            talk.in_flight -= 1
        self._router.send(peer, message)
