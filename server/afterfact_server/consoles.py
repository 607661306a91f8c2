"""The consoles' port: login, then queries, pages, status. Passwords and queries are worked on elsewhere."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import zmq

from afterfact_protocol.codec import encode
from afterfact_protocol.messages import (
    Alive,
    Ask,
    AskEvents,
    AskExclusions,
    AskHealth,
    AskHints,
    AskRemoved,
    AskSets,
    AskSetValues,
    AskStatus,
    Cancel,
    Failed,
    Hello,
    LoggedIn,
    Login,
    Message,
    Pull,
    PutSet,
    RemoveExclusion,
    RemoveSet,
    Reported,
    SaveExclusion,
    SaveSet,
)
from afterfact_protocol.versions import agree
from afterfact_server.answers import Scope
from afterfact_server.ingest import now_us
from afterfact_server.port import Port
from afterfact_server.queries import QueryService
from afterfact_server.registry.accounts import ROLES, WRITERS, AccountInfo, Accounts
from afterfact_server.registry.enrolment import Admission
from afterfact_server.router import Peer
from afterfact_server.status import for_version_1

_EVERYBODY = frozenset(ROLES)
_WRITERS = frozenset(WRITERS)
MAY: dict[type[Message], frozenset[str]] = {
    Alive: _EVERYBODY,
    Ask: _EVERYBODY,
    Pull: _EVERYBODY,
    Cancel: _EVERYBODY,
    AskStatus: _EVERYBODY,
    AskHealth: _EVERYBODY,
    AskEvents: _EVERYBODY,
    AskHints: _EVERYBODY,
    AskSets: _EVERYBODY,
    AskSetValues: _EVERYBODY,
    SaveSet: _WRITERS,
    PutSet: _WRITERS,
    RemoveSet: _WRITERS,
    AskExclusions: _EVERYBODY,
    SaveExclusion: _WRITERS,
    RemoveExclusion: _WRITERS,
    AskRemoved: _EVERYBODY,
}
"""What is taken from a console that logged in, and from which roles; from others it is refused as a request."""


_DONE_BY: dict[type[Message], str] = {
    SaveSet: "saving a set",
    PutSet: "saving a set",
    RemoveSet: "deleting a set",
    SaveExclusion: "adding an exclusion",
    RemoveExclusion: "removing an exclusion",
}


@dataclass(slots=True)
class Conversation:
    """One console's connection after its HELLO was welcomed."""

    console: str
    protocol: int
    account: AccountInfo | None = None
    checking: bool = False
    scope: Scope = field(default_factory=Scope)


class ConsolesPort(Port[Conversation]):
    """See Port."""

    def __init__(
        self, socket: zmq.Socket[bytes], admission: Admission, accounts: Accounts, store_id: bytes,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__("consoles", socket, store_id, log)
        self._admission = admission
        self._accounts = accounts
        self._queries: QueryService
        self._passwords = ThreadPoolExecutor(1, "passwords")  # argon2 takes its time and 64 MiB, on purpose

    def start(self, queries: QueryService) -> None:
        self._queries = queries
        self._thread.start()

    def stop(self) -> None:
        super().stop()
        self._passwords.shutdown()

    def _name_of(self, peer: Peer) -> str | None:
        return self._admission.console(peer.key)

    def _begin(self, peer: Peer, hello: Hello) -> tuple[Conversation, int]:
        return Conversation(self._name_of(peer) or "", agree(hello)), 0

    def _takes(self, talk: Conversation) -> Collection[type[Message]]:
        return (Login,) if talk.account is None else MAY

    def _end(self, talk: Conversation) -> None:
        self._queries.drop(talk.scope)

    def _locked_out(self, talk: Conversation) -> tuple[str, str] | None:
        if talk.account is None or self._accounts.enabled(talk.account.name):
            return None
        return "disabled", f"the account {talk.account.name} was disabled"

    def _handle(self, peer: Peer, talk: Conversation, message: Message) -> None:
        def send(answer: Message) -> None:
            told = answer if talk.protocol >= 2 else for_version_1(answer)
            frame = encode(told)  # where it was made: what is too large is its maker's failure, not the port's
            self.post(lambda: self._router.send_frame(peer, frame))

        role = talk.account.role if talk.account is not None else ""
        if talk.account is not None and role not in MAY[type(message)]:
            what = _DONE_BY[type(message)]
            request = getattr(message, "request", 0)
            send(Failed(request, "role", f"{what} is not for the role {role}", -1, -1))
            return
        match message:
            case Login():
                self._check_password(peer, talk, message)
            case Ask():
                self._queries.ask(talk.scope, message, send)
            case Pull():
                self._queries.pull(talk.scope, message, send)
            case Cancel():
                self._queries.cancel(talk.scope, message, send)
            case Alive():
                self._router.send(peer, Reported(now_us()))
            case AskStatus():
                self._queries.status(message, send)
            case AskEvents():
                self._queries.events(talk.scope, message, send)
            case AskHints():
                self._queries.hints(talk.scope, message, send)
            case AskHealth():
                self._queries.health(message, send)
            case (
                AskSets() | AskSetValues() | SaveSet() | PutSet() | RemoveSet() | AskExclusions() | SaveExclusion()
                | RemoveExclusion() | AskRemoved()
            ):  # fmt: skip
                self._queries.keep(talk.scope, message, send)

    def _check_password(self, peer: Peer, talk: Conversation, message: Login) -> None:
        if talk.checking:
            self._refuse(peer, "login", "a login is being checked already")
            return
        talk.checking = True

        def check() -> None:
            try:
                account = self._accounts.login(message.user, message.password)
            except Exception as error:  # not only what the accounts' database fails at: nobody waits for this thread
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                self.post(lambda: self._unchecked(peer, message.user, reason))
            else:
                self.post(lambda: self._checked(peer, talk, message.user, account))

        self._passwords.submit(check)

    def _unchecked(self, peer: Peer, user: str, reason: str) -> None:
        self._log(f"login of {user[:64]!r} cannot be checked: {reason}")
        self._refuse(peer, "unavailable", "the server cannot check a login now; its log says why")

    def _checked(self, peer: Peer, talk: Conversation, user: str, account: AccountInfo | None) -> None:
        talk.checking = False
        if account is None:
            self._log(f"login of {user[:64]!r} from console {talk.console} failed")
            self._refuse(peer, "login", f"the server does not know user {user!r} with this password")
            return
        talk.account = account
        talk.scope.role, talk.scope.user = account.role, account.name
        self._log(f"{account.name} ({account.role}) logged in from console {talk.console}")
        self._router.send(peer, LoggedIn(account.name, account.role))
