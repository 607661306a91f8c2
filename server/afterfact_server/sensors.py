"""The sensors' port: streams, batches, credit, reports."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import zmq

from afterfact_protocol.messages import (
    FIRST_CREDIT,
    MAX_BATCH_BYTES,
    MAX_CREDIT,
    MAX_OPENS,
    Ack,
    Batch,
    BatchRefused,
    Hello,
    Message,
    Open,
    Report,
    Reported,
)
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import Ingest, Job, now_us
from afterfact_server.port import Port
from afterfact_server.registry.enrolment import Admission, EnrolledSensor
from afterfact_server.router import Peer

CONNECTIONS = 4
"""What all connections of a sensor may have in flight together, those included that broke while their batches were
being written, is that of four: room for a second agent (one captures, one reads files) and for connections that break,
and a bound on the memory that one key can take."""


@dataclass(slots=True)
class Conversation:
    """One agent's connection after its HELLO was welcomed."""

    sensor: EnrolledSensor
    peer: Peer
    most_credit: int
    """Batches that it may ever have in flight: what its version of the protocol allows."""
    credit: int
    """Batches that it may send now."""
    in_flight: Counter[type[Message]] = field(default_factory=Counter)
    """Batches and OPENs sent and not yet answered."""


class SensorsPort(Port[Conversation]):
    """See Port. `answer` may be called from any thread."""

    def __init__(
        self, socket: zmq.Socket[bytes], admission: Admission, health: HealthBoard, store_id: bytes,
        batches_mb: int, key_in_use: Callable[[str], None], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        """batches_mb: what batches in flight may take together, of all sensors, if each has no more than its share.

        key_in_use: told of a key that rotation made, when it is first used; it must not wait."""
        super().__init__("sensors", socket, store_id, log)
        self._key_in_use = key_in_use
        self._batches = batches_mb * 1_000_000 // MAX_BATCH_BYTES
        self._share = MAX_CREDIT
        """Batches in flight that each connection may have, so many as there are."""
        self._admission = admission
        self._health = health
        self._in_flight: Counter[int] = Counter()
        """Batches and OPENs by sensor, of all its connections, those that are gone too."""
        self._ingest: Ingest

    def start(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._thread.start()

    def answer(self, job: Job, message: Message) -> None:
        """Send a job's answer to its peer, from any thread."""
        self.post(lambda: self._answer(job, message))

    def _name_of(self, peer: Peer) -> str | None:
        sensor = self._admission.sensor(peer.key)
        return None if sensor is None else sensor.name

    def _begin(self, peer: Peer, hello: Hello) -> tuple[Conversation, int]:
        sensor = self._admission.sensor(peer.key)
        assert sensor is not None
        self._health.hello(sensor.number, hello, now_us(), peer.address)
        self._log(f"{sensor.name} connected{peer.place}: {hello.program!r} {hello.software!r}")
        if sensor.new_key == peer.key:
            self._key_in_use(peer.key)
        most = MAX_CREDIT if hello.highest >= 2 else FIRST_CREDIT
        self._divide(len(self._talks) + 1)
        credit = min(most, self._share)
        return Conversation(sensor, peer, most, credit), credit

    def _end(self, talk: Conversation) -> None:
        self._health.gone(talk.sensor.number, talk.peer.identity)
        self._log(f"{talk.sensor.name}{talk.peer.place} is disconnected")
        self._divide(len(self._talks))

    def _divide(self, connections: int) -> None:
        self._share = max(1, min(MAX_CREDIT, self._batches // max(1, connections)))
        self._ingest.share = self._share

    def _takes(self, talk: Conversation) -> Collection[type[Message]]:
        return (Open, Batch, Report)

    def _handle(self, peer: Peer, talk: Conversation, message: Message) -> None:
        number = talk.sensor.number
        now = now_us()
        self._health.heard(number, now)
        match message:
            case Open():
                self._submit(peer, talk, message, MAX_OPENS)
            case Batch():
                self._submit(peer, talk, message, talk.in_flight[Batch] + talk.credit)
            case Report():
                self._health.report(number, message, now, peer.identity)
                self._router.send(peer, Reported(now))

    def _submit(self, peer: Peer, talk: Conversation, message: Open | Batch, most: int) -> None:
        number, kind = talk.sensor.number, type(message)
        if talk.in_flight[kind] >= most:
            self._refuse(peer, "credit", f"more than {most} of {kind.__name__.upper()} without an answer")
        elif self._in_flight[number] >= CONNECTIONS * (self._share + MAX_OPENS):
            self._refuse(peer, "credit", f"connections of sensor {talk.sensor.name} have {self._in_flight[number]} "
                                         "messages without an answer; come again when some are answered")  # fmt: skip
        else:
            talk.in_flight[kind] += 1
            talk.credit -= kind is Batch
            self._in_flight[number] += 1
            self._ingest.submit(Job(peer, number, message))

    def _answer(self, job: Job, message: Message) -> None:
        self._in_flight[job.sensor] -= 1
        if isinstance(message, Ack):
            self._health.acknowledged(job.sensor, message.stored + message.quarantined)
        if self._router.peers.get(job.peer.identity) is job.peer:  # else its conversation is over
            talk = self._talks[job.peer.identity]
            talk.in_flight[type(job.message)] -= 1
            if isinstance(message, Ack | BatchRefused):
                # One more for the one answered; two or none while its share changes with the number of connections.
                wanted = min(talk.most_credit, self._share) - talk.in_flight[Batch] - talk.credit
                message = replace(message, credit=max(0, min(wanted, 2)))
                talk.credit += message.credit
            self._router.send(job.peer, message)
