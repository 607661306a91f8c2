"""The consoles' port over real sockets, with a real accounts' database; it asks no store here."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from helpers.talk import HELLO, Talk
from zmq.auth.thread import ThreadAuthenticator

from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import Alive, LoggedIn, Login, Refused, Reported, Welcome
from afterfact_protocol.transport import KeyPair, Up, bind
from afterfact_server.answers import Scope
from afterfact_server.consoles import ConsolesPort
from afterfact_server.ingest import now_us
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment

PASSWORD = "correct horse battery"


class Site:
    """The port with one console key and the account ana."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder}/registry.sqlite")
        enrolment = Enrolment(self.database)
        self.keys = enrolment.add_console("desk")
        self.accounts = Accounts(self.database)
        self.accounts.add("ana", "analyst", PASSWORD)
        self.server_keys = KeyPair.generate()
        self.context: zmq.Context[Any] = zmq.Context()
        self.zap = ThreadAuthenticator(self.context)
        self.zap.configure_curve_callback("consoles", self)
        self.zap.start()
        socket = bind(self.context, "tcp://127.0.0.1:*", self.server_keys, "consoles")
        self.address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.said: list[str] = []
        self.dropped: list[Scope] = []
        self.port = ConsolesPort(socket, Admission(enrolment), self.accounts, b"i" * 16, self.said.append)
        self.port.start(self)  # type: ignore[arg-type]

    def callback(self, domain: str, key: bytes) -> bool:
        return True

    def drop(self, scope: Scope) -> None:
        self.dropped.append(scope)

    def connect(self) -> Talk:
        return Talk(Join(kind="console", name="desk", address=self.address, server_key=self.server_keys.public,
                         public_key=self.keys.public, secret_key=self.keys.secret))  # fmt: skip

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


def test_a_console_that_asks_nothing_hears_that_the_server_lives(site: Site) -> None:
    with site.connect() as peer:
        peer.send(Login("ana", PASSWORD))
        assert peer.wait(LoggedIn).role == "analyst"
        before = now_us()
        peer.send(Alive())
        assert before <= peer.wait(Reported).time <= now_us()
    with site.connect() as peer:
        peer.send(Alive())
        assert peer.wait(Refused).code == "protocol", "nothing but LOGIN before the login"


def test_a_login_that_cannot_be_checked_is_answered_and_can_be_tried_again(site: Site) -> None:
    with site.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE accounts RENAME TO away")
    with site.connect() as peer:
        peer.send(Login("ana", PASSWORD))
        refused = peer.wait(Refused)
        assert refused.code == "unavailable" and "cannot check a login now" in refused.reason
        assert any("login of 'ana' cannot be checked: " in line for line in site.said), site.said
        with site.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO accounts")
        peer.connection.reopen()
        peer.wait(Up)
        peer.send(HELLO)
        peer.wait(Welcome)
        peer.send(Login("ana", PASSWORD))
        peer.wait(LoggedIn)


def test_who_is_disabled_is_out_although_the_database_is_away(site: Site) -> None:
    """The port's thread, which serves everybody, asks no database."""
    site.accounts.add("leaver", "analyst", PASSWORD)
    with site.connect() as stays, site.connect() as leaves:
        stays.send(Login("ana", PASSWORD))
        stays.wait(LoggedIn)
        leaves.send(Login("leaver", PASSWORD))
        leaves.wait(LoggedIn)
        site.accounts.disable("leaver")
        with site.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE accounts RENAME TO away")
        site.port.recheck()
        assert leaves.wait(Refused).code == "disabled"
        stays.send(Alive())
        stays.wait(Reported)
        deadline = time.monotonic() + 10
        while not site.dropped:
            assert time.monotonic() < deadline, "its results are dropped"
            time.sleep(0.01)
