"""The consoles' port over real sockets, with a real accounts' database; it asks no store here."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from helpers.talk import HELLO, Talk
from zmq.auth.thread import ThreadAuthenticator

from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import (
    TAGS,
    AddStep,
    Alive,
    Annotation,
    Ask,
    AskAnnotations,
    AskAudit,
    AskAutocats,
    AskCase,
    AskCaseFile,
    AskCaseHistory,
    AskCases,
    AskEvents,
    AskEvidence,
    AskExclusions,
    AskHealth,
    AskHints,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    AskRemoved,
    AskSaved,
    AskSets,
    AskSetValues,
    AskStatus,
    AskWatches,
    AuditFound,
    Autocat,
    Cancel,
    CaseItem,
    ChangeCase,
    ChangeStep,
    ChangeWatch,
    CombineSets,
    Failed,
    LoggedIn,
    Login,
    LoginToken,
    MakeCase,
    Message,
    Pull,
    PutAnnotation,
    PutCaseFile,
    PutItem,
    PutSet,
    QueryWatch,
    Refused,
    RemoveAutocat,
    RemoveExclusion,
    RemoveItem,
    RemoveSet,
    Reported,
    RunStep,
    SavedItem,
    SaveExclusion,
    SaveItem,
    SaveSet,
    SetAutocat,
    SetWatch,
    Triage,
    Welcome,
)
from afterfact_protocol.transport import KeyPair, Up, bind
from afterfact_server.audit.log import Audit
from afterfact_server.cases.service import Reader
from afterfact_server.config import LoginPolicy
from afterfact_server.consoles import ConsolesPort
from afterfact_server.ingest import now_us
from afterfact_server.loginguard import FREE, LoginGuard
from afterfact_server.permissions import PERMISSIONS
from afterfact_server.queue.service import Desk
from afterfact_server.registry.accounts import AccountInfo, Accounts
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.registry.tokens import Tokens
from afterfact_server.roles import ROLES, SCOPES
from afterfact_server.running import Scope

PASSWORD = "correct horse battery"


class Site:
    """The port with one console key and the account ana."""

    def __init__(self, folder: Path, policy: LoginPolicy | None = None) -> None:
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
        self.audit = Audit(folder / "audit", self.said.append)
        self.dropped: list[Scope] = []
        self.tokens, self.guard, self.asked = Tokens(self.database), LoginGuard(), list[str]()
        self.port = ConsolesPort(socket, Admission(enrolment), self.accounts, self.tokens, self.guard,
                                 policy or LoginPolicy(), self.audit, b"i" * 16, self.said.append)  # fmt: skip
        self.port.start(self, self, self, self)  # type: ignore[arg-type]

    def callback(self, domain: str, key: bytes) -> bool:
        return True

    def drop(self, scope: Scope) -> None:
        self.dropped.append(scope)

    def sight(self, bounds: Bounds) -> None:
        """Who is limited sees all of the queue here."""

    def leave(self, desk: Desk | Reader) -> None:
        """As the queue is told, and cases are."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """What would work on a request: it is noted, and answered as a store would that fails."""

        def take(*arguments: Any) -> None:
            message = next(each for each in arguments if hasattr(each, "request"))
            send = next(each for each in arguments if callable(each))
            self.asked.append(name)
            send(Failed(message.request, "store", "none here", -1, -1))

        return take

    def connect(self) -> Talk:
        return Talk(Join(kind="console", name="desk", address=self.address, server_key=self.server_keys.public,
                         public_key=self.keys.public, secret_key=self.keys.secret))  # fmt: skip

    def close(self) -> None:
        self.port.stop()
        self.audit.stop()
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


def test_nobody_waits_for_the_password_of_who_has_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all consoles of a shift come back at once each password waits for those before it."""
    checked: list[str] = []
    gone, login = threading.Event(), site.accounts.login

    def slow(name: str, password: str) -> AccountInfo | None:
        checked.append(name)
        assert gone.wait(20)
        return login(name, password)

    monkeypatch.setattr(site.accounts, "login", slow)
    with site.connect() as first, site.connect() as last:
        first.send(Login("ana", PASSWORD))
        with site.connect() as leaves:
            leaves.send(Login("leaver", PASSWORD))
            leaves.send(Alive())
            leaves.wait(Refused)  # so its login came, and waits
        last.send(Login("ana", PASSWORD))
        gone.set()
        first.wait(LoggedIn)
        last.wait(LoggedIn)
    assert checked == ["ana", "ana"]


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


EVERYBODY = {"alive", "ask", "pull", "cancel", "ask_status", "ask_health", "ask_events", "ask_queue",
             "ask_queue_events", "ask_history", "ask_autocats", "ask_watches",
             "ask_sets", "ask_set_values", "ask_exclusions", "ask_removed", "ask_hints", "ask_saved", "ask_cases",
             "ask_case", "ask_evidence", "ask_case_history", "ask_case_file",
             "ask_annotations"}  # fmt: skip
MAY: dict[str, set[str]] = {
    "viewer": set(),
    "analyst": {
        "triage",
        "set_watch",
        "change_watch",
        "save_set",
        "put_set",
        "combine_sets",
        "save_item",
        "remove_item",
        "remove_set",
        "save_exclusion",
        "remove_exclusion",
        "make_case",
        "change_case",
        "add_step",
        "change_step",
        "run_step",
        "put_item",
        "put_case_file",
        "put_annotation",
    },
    "lead": {"ask_audit", "set_autocat", "remove_autocat"},
    "admin": set(),
}
"""What each role may beside what those before it may."""
SAMPLES: tuple[Message, ...] = (
    Alive(), Ask(1, "", False), Pull(2, 0, 1), Cancel(3), AskStatus(4), AskHealth(5, "border", 0, 1, 1),
    AskEvents(6, 0, 1, 1), AskAudit(7, 1), AskQueue(8, "open", 1),
    AskQueueEvents(9), AskHistory(10), AskAutocats(11), Triage(12, ((1, 1, 1),), "claim"),
    SetAutocat(13, Autocat(0, "1:1", "", "", "", 8, "noise", "", 0, 0, False, 0)), RemoveAutocat(14, 1),
    AskWatches(15), SetWatch(16, QueryWatch(0, "worm", "port = 1034", 1, "", False, True, 0)),
    ChangeWatch(17, 1, "pause"),
    AskSets(18), AskSetValues(19, "a", 0, 0, 1), AskExclusions(20), AskRemoved(21, ""),
    SaveSet(22, "a", "", "src_ip", False, False),
    PutSet(23, "a", "port", "new", 0, True, b"", {}), RemoveSet(24, "a"),
    SaveExclusion(25, "a", "port = 1", 0, False, False),
    RemoveExclusion(26, "a"), AskHints(27),
    AskCases(28), AskCase(29, 1), AskEvidence(30, 1, 1), AskCaseHistory(31, 1), MakeCase(32, "worm"),
    ChangeCase(33, 1, 1, "worm", "ana", "open", ""), AddStep(34, 1, "port = 1034", "why"),
    ChangeStep(35, 1, 1, 1, "why", False), RunStep(36, 1, 1), PutItem(37, 1, CaseItem(0, "note", "x")),
    CombineSets(38, "a", "b", "+", "c"), AskSaved(39), SaveItem(40, SavedItem("query", "", "a", "")),
    RemoveItem(41, "query", "", "a", 1),
    AskCaseFile(42, 1), PutCaseFile(43, 0, True, b""), AskAnnotations(44),
    PutAnnotation(45, Annotation(0, "port", "1034", "worm")),
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def allowed(role: str) -> set[str]:
    return EVERYBODY.union(*(MAY[each] for each in ROLES[: ROLES.index(role) + 1]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("shared"))
    for role in ROLES:
        made.accounts.add(f"a-{role}", role, PASSWORD)
    yield made
    made.close()


def test_every_message_of_a_console_has_its_permission() -> None:
    documented = re.findall(r"^\| `(\w+)` \| console \|", (ROOT / "docs" / "protocol.md").read_text(), re.M)
    tags = {tag for tag, message in TAGS.items() if message in PERMISSIONS}
    assert tags == set(documented) - {"login", "login_token"} == allowed("admin")
    assert {type(sample) for sample in SAMPLES} == set(PERMISSIONS)
    assert {permission.scope for permission in PERMISSIONS.values()} == {"", *SCOPES}


def forbidden(peer: Talk, message: Message) -> bool:
    """Whether the server refuses it, by what it answers."""
    peer.send(message)
    if isinstance(message, Alive):
        peer.wait(Reported)
        return False
    answer = peer.wait(Failed | AuditFound, lambda said: said.request == message.request)  # type: ignore
    return isinstance(answer, Failed) and answer.code == "forbidden"


@pytest.mark.parametrize("role", ROLES)
def test_what_each_role_may(shared: Site, role: str) -> None:
    with shared.connect() as peer:
        peer.send(Login(f"a-{role}", PASSWORD))
        peer.wait(LoggedIn)
        tags = {message: tag for tag, message in TAGS.items()}
        for sample in SAMPLES:
            shared.asked.clear()
            refused = forbidden(peer, sample)
            assert refused == (tags[type(sample)] not in allowed(role)), sample
            assert not (refused and shared.asked), "what is forbidden is not worked on"


def test_a_token_is_for_what_it_says_and_ends_when_it_is_revoked(shared: Site) -> None:
    secret = shared.tokens.add("nightly", "a-admin", frozenset({"status"}), 30)
    with shared.connect() as peer:
        peer.send(LoginToken(secret))
        told = peer.wait(LoggedIn)
        assert (told.user, told.role, told.scopes) == ("a-admin", "admin", ("status",)) and told.expires > now_us()
        assert not forbidden(peer, AskStatus(1)) and not forbidden(peer, Alive())
        assert forbidden(peer, Ask(2, "", False)) and forbidden(peer, AskEvents(3, 0, 1, 1))
        shared.tokens.revoke("nightly")
        shared.port.recheck()
        assert peer.wait(Refused).reason == "the token nightly was revoked"
    with shared.connect() as peer:
        peer.send(LoginToken(secret))
        assert peer.wait(Refused).code == "login"


def test_who_guesses_is_slowed_down_and_locks_out_nobody_else(shared: Site) -> None:
    for attempt in range(FREE + 1):
        with shared.connect() as peer:
            peer.send(Login("a-lead", PASSWORD if attempt == FREE else "wrong"))
            refused = peer.wait(Refused)
            assert refused.code == ("locked" if attempt == FREE else "login"), attempt
    assert re.fullmatch(
        r"too many failed logins of a-lead from 127.0.0.1: it is checked again in \d+ s", refused.reason
    )
    with shared.connect() as peer:
        peer.send(Login("a-viewer", PASSWORD))
        peer.wait(LoggedIn)
    shared.guard.unlock("a-lead")
    with shared.connect() as peer:
        peer.send(Login("a-lead", PASSWORD))
        peer.wait(LoggedIn)


def test_new_rights_and_passwords_end_what_was_logged_in_before(shared: Site) -> None:
    shared.accounts.add("moved", "analyst", PASSWORD)
    for change in (
        lambda: shared.accounts.set_role("moved", "lead"),
        lambda: shared.accounts.set_bounds("moved", Bounds(networks=("10.0.0.0/8",))),
        lambda: shared.accounts.set_password("moved", PASSWORD),
    ):
        with shared.connect() as peer:
            peer.send(Login("moved", PASSWORD))
            told = peer.wait(LoggedIn)
            change()
            shared.port.recheck()
            assert peer.wait(Refused).code == "changed"
    assert (told.role, told.limits) == ("lead", "sessions with an end in 10.0.0.0/8")


def test_sessions_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps stands for the hours."""
    made = Site(tmp_path, LoginPolicy(idle_minutes=10, session_hours=1))
    ahead = 0
    monkeypatch.setattr("afterfact_server.consoles.now_us", lambda: now_us() + ahead)
    try:
        with made.connect() as idle, made.connect() as busy:
            for peer in (idle, busy):
                peer.send(Login("ana", PASSWORD))
                peer.wait(LoggedIn)
            ahead = 9 * 60_000_000
            idle.send(Alive())  # the program's, not the person's
            idle.wait(Reported)
            assert not forbidden(busy, AskStatus(1))
            ahead = 11 * 60_000_000
            made.port.recheck()
            assert idle.wait(Refused).reason == "nothing was asked for 10 min: log in again"
            for minutes in (18, 27, 36, 45, 54):
                ahead = minutes * 60_000_000
                assert not forbidden(busy, AskStatus(minutes))
            ahead = 61 * 60_000_000
            made.port.recheck()
            assert busy.wait(Refused).reason == "a login is good for 1 h: log in again"
    finally:
        made.close()
