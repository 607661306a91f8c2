"""The sensors' port over real sockets. Its jobs are kept here and answered when the test says: what is in flight is
known."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from helpers.talk import HELLO, Talk
from zmq.auth.thread import ThreadAuthenticator

from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import (
    FIRST_CREDIT,
    MAX_CREDIT,
    MAX_OPENS,
    Ack,
    Batch,
    Message,
    Open,
    Opened,
    Refused,
    Report,
    Reported,
    Welcome,
)
from afterfact_protocol.transport import KeyPair, bind
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import Job
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.sensors import CONNECTIONS, SensorsPort

OPEN = Open(b"s" * 16, "live", b"", "m", False)


def batch(seq: int) -> Batch:
    return Batch(OPEN.stream, seq, 0, 1, (), b"", ())


class Site:
    """The port, its sensors, and the jobs that it took."""

    def __init__(self, folder: Path, batches_mb: int = 256) -> None:
        self.database = open_database(f"sqlite:///{folder}/registry.sqlite")
        enrolment = self.enrolment = Enrolment(self.database)
        self.keys = {name: enrolment.enrol_sensor(name, "dmz") for name in ("one", "two")}
        admission = self.admission = Admission(enrolment)
        self.server_keys = KeyPair.generate()
        self.context: zmq.Context[Any] = zmq.Context()
        self.zap = ThreadAuthenticator(self.context)
        self.zap.configure_curve_callback("sensors", self)
        self.zap.start()
        socket = bind(self.context, "tcp://127.0.0.1:*", self.server_keys, "sensors")
        self.address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.jobs: list[Job] = []
        self.said: list[str] = []
        self.used: list[str] = []
        self.share = 0
        self.port = SensorsPort(
            socket, admission, HealthBoard(), b"i" * 16, batches_mb, self.used.append, self.said.append
        )
        self.port.start(self)  # type: ignore[arg-type]

    def callback(self, domain: str, key: bytes) -> bool:
        return True

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def answer(self) -> None:
        """Answer all jobs taken so far."""
        while self.jobs:
            job = self.jobs.pop(0)
            message: Message = Opened(OPEN.stream, ())
            if isinstance(job.message, Batch):
                message = Ack(OPEN.stream, job.message.seq, 0, 0, 1)
            self.port.answer(job, message)

    def taken(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while len(self.jobs) < count:
            assert time.monotonic() < deadline, (len(self.jobs), self.said)
            time.sleep(0.005)

    def connect(self, name: str = "one", hello: bool = True) -> Talk:
        keys = self.keys[name]
        return Talk(Join(kind="sensor", name=name, address=self.address, server_key=self.server_keys.public,
                         public_key=keys.public, secret_key=keys.secret), hello)  # fmt: skip

    def close(self) -> None:
        self.port.stop()
        self.zap.stop()
        self.context.term()
        self.database.dispose()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_hello_is_said_once(site: Site) -> None:
    with site.connect() as peer:
        peer.send(*(batch(seq) for seq in range(FIRST_CREDIT)), HELLO)
        assert peer.wait(Refused).code == "protocol"
        assert len(site.jobs) == FIRST_CREDIT


def test_credit_is_kept_to(site: Site) -> None:
    with site.connect() as peer:
        peer.send(*(batch(seq) for seq in range(FIRST_CREDIT)))
        site.taken(FIRST_CREDIT)
        site.answer()
        for _ in range(FIRST_CREDIT):
            peer.wait(Ack)
        peer.send(*(batch(seq) for seq in range(FIRST_CREDIT + 1)))
        assert peer.wait(Refused).code == "credit"
        assert len(site.jobs) == FIRST_CREDIT


def test_opens_are_counted_too(site: Site) -> None:
    with site.connect() as peer:
        peer.send(*[OPEN] * MAX_OPENS)
        site.taken(MAX_OPENS)
        site.answer()
        for _ in range(MAX_OPENS):
            peer.wait(Opened)
        peer.send(*[OPEN] * (MAX_OPENS + 1))
        refused = peer.wait(Refused)
        assert refused.code == "credit" and "8 of OPEN" in refused.reason


def test_new_connections_give_a_sensor_no_more_than_its_share(site: Site) -> None:
    """Connections that break, and conversations begun again on one that was refused."""
    most = CONNECTIONS * (MAX_CREDIT + MAX_OPENS)
    refused: Refused | None = None
    for _ in range(most // FIRST_CREDIT):
        with site.connect() as peer:
            peer.send(*[OPEN] * MAX_OPENS, *(batch(seq) for seq in range(FIRST_CREDIT)), Report(0, 0, 0, 0, {}))
            got = peer.wait(Reported | Refused)  # type: ignore[arg-type]
            if isinstance(got, Refused):
                refused = got
                break
            peer.send(HELLO)
            peer.wait(Refused)
    assert refused is not None and refused.code == "credit" and "sensor one" in refused.reason
    assert len(site.jobs) == most
    with site.connect("two") as other:  # is not concerned
        other.send(OPEN, batch(0), Report(0, 0, 0, 0, {}))
        assert isinstance(other.wait(Reported | Refused), Reported)  # type: ignore[arg-type]
    site.answer()
    with site.connect() as peer:  # what was answered counts no more
        peer.send(*(batch(seq) for seq in range(FIRST_CREDIT)), Report(0, 0, 0, 0, {}))
        assert isinstance(peer.wait(Reported | Refused), Reported)  # type: ignore[arg-type]


def test_an_answer_to_a_conversation_that_is_over_frees_no_credit_of_the_next(site: Site) -> None:
    with site.connect() as peer:
        peer.send(*(batch(seq) for seq in range(FIRST_CREDIT)), HELLO)
        peer.wait(Refused)
        peer.send(HELLO, *(batch(seq) for seq in range(FIRST_CREDIT)), Report(0, 0, 0, 0, {}))
        peer.wait(Reported)
        old, site.jobs = site.jobs[:FIRST_CREDIT], site.jobs[FIRST_CREDIT:]
        for job in old:
            site.port.answer(job, Ack(OPEN.stream, 0, 0, 0, 1))
        peer.send(batch(9))
        assert peer.wait(Refused).code == "credit"
        assert not any(isinstance(message, Ack) for message in peer.came)


def test_a_new_key_is_told_of_when_it_is_used(site: Site) -> None:
    with site.connect():
        assert site.used == []
    old, site.keys["one"] = site.keys["one"], site.enrolment.rotate_sensor("one")
    site.admission.reload()
    with site.connect():
        assert site.used == [site.keys["one"].public]
    assert site.admission.sensor(old.public) is not None, "until somebody has acted on it"


def test_credit_is_divided_among_those_who_are_connected(tmp_path: Path) -> None:
    site = Site(tmp_path, batches_mb=4)  # 15 batches
    newer = replace(HELLO, highest=2)
    try:
        with site.connect(hello=False) as first:
            first.send(newer)
            assert first.wait(Welcome).credit == 15
            first.send(*(batch(seq) for seq in range(15)))
            site.taken(15)
            with site.connect("two", hello=False) as second:
                second.send(newer)
                assert second.wait(Welcome).credit == 7
                site.answer()
                assert sum(first.wait(Ack).credit for _ in range(15)) == 7
                first.send(*(batch(seq) for seq in range(8)))
                assert first.wait(Refused).code == "credit"
                first.send(newer)
                assert first.wait(Welcome).credit == 7
                second.send(newer)
                second.wait(Refused)  # its conversation is over
            assert site.share == 15
            site.answer()
            first.send(*(batch(seq) for seq in range(7)))
            site.taken(7)
            site.answer()
            assert sum(first.wait(Ack).credit for _ in range(7)) == 14
    finally:
        site.close()
