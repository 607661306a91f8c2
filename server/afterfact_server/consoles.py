"""The consoles' port: login, then queries, pages, status. Passwords and queries are worked on elsewhere; who may send
what is permissions.py's table."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import zmq

from afterfact_protocol.codec import encode
from afterfact_protocol.messages import (
    AddStep,
    Alive,
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
    Cancel,
    ChangeCase,
    ChangeStep,
    ChangeWatch,
    CombineSets,
    Failed,
    Hello,
    LoggedIn,
    MakeCase,
    Message,
    Pull,
    PutAnnotation,
    PutCaseFile,
    PutItem,
    PutSet,
    RemoveAutocat,
    RemoveExclusion,
    RemoveItem,
    RemoveSet,
    Reported,
    RunStep,
    SaveExclusion,
    SaveItem,
    SaveSet,
    SetAutocat,
    SetWatch,
    Triage,
)
from afterfact_protocol.versions import agree
from afterfact_server.audit.log import Audit, AuditError
from afterfact_server.audited import AuditedPort, Who
from afterfact_server.cases.service import CaseService, Reader
from afterfact_server.config import LoginPolicy
from afterfact_server.ingest import now_us
from afterfact_server.loginguard import LoginGuard
from afterfact_server.logins import LoginRefused, Principal, authenticators
from afterfact_server.permissions import PERMISSIONS, forbidden
from afterfact_server.port import Port
from afterfact_server.queries import QueryService
from afterfact_server.queue.service import Desk, QueueService
from afterfact_server.queue.watching import WatchService
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.enrolment import Admission
from afterfact_server.registry.tokens import Tokens
from afterfact_server.router import Peer
from afterfact_server.running import Scope
from afterfact_server.status import for_version_1

_TAKEN = tuple(PERMISSIONS)
"""From a console that logged in: who may not send one is told so, and stays."""
HOUR, MINUTE = 3_600_000_000, 60_000_000


@dataclass(slots=True)
class Conversation:
    """One console's connection after its HELLO was welcomed."""

    console: str
    protocol: int
    principal: Principal | None = None
    checking: bool = False
    began: int = 0
    """When it logged in, microseconds."""
    asked: int = 0
    """When a person last asked something."""
    scope: Scope = field(default_factory=Scope)
    desk: Desk = field(default_factory=Desk)
    """The same for the queue."""
    reader: Reader = field(default_factory=Reader)
    """The same for cases."""
    who: Who = field(default_factory=Who)
    """The same for the audit."""


class ConsolesPort(Port[Conversation]):
    """See Port."""

    def __init__(
        self, socket: zmq.Socket[bytes], admission: Admission, accounts: Accounts, tokens: Tokens, guard: LoginGuard,
        policy: LoginPolicy, audit: Audit, store_id: bytes, log: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__("consoles", socket, store_id, log)
        self._admission = admission
        self._accounts = accounts
        self._tokens = tokens
        self._authenticators = authenticators(accounts, tokens, guard)
        self._policy = policy
        self._audit = AuditedPort(audit)
        self._queries: QueryService
        self._queue: QueueService
        self._watches: WatchService
        self._cases: CaseService
        self._passwords = ThreadPoolExecutor(1, "passwords")  # argon2 takes its time and 64 MiB, on purpose

    def start(self, queries: QueryService, queue: QueueService, watches: WatchService, cases: CaseService) -> None:
        self._queries = queries
        self._queue = queue
        self._watches = watches
        self._cases = cases
        self._thread.start()

    def stop(self) -> None:
        super().stop()
        self._passwords.shutdown()
        self._audit.stop()

    def _name_of(self, peer: Peer) -> str | None:
        return self._admission.console(peer.key)

    def _begin(self, peer: Peer, hello: Hello) -> tuple[Conversation, int]:
        return Conversation(self._name_of(peer) or "", agree(hello)), 0

    def _takes(self, talk: Conversation) -> Collection[type[Message]]:
        return tuple(self._authenticators) if talk.principal is None else _TAKEN

    def _end(self, talk: Conversation) -> None:
        if talk.principal is not None:
            self._audit.logout(talk.who)
            self._queue.leave(talk.desk)
            self._cases.leave(talk.reader)
        self._queries.drop(talk.scope)

    def _locked_out(self, talk: Conversation) -> tuple[str, str] | None:
        who = talk.principal
        if who is None:
            return None
        name = who.account.name
        if not self._accounts.enabled(name):
            return "disabled", f"the account {name} was disabled"
        if who.token and not self._tokens.live(who.token):
            return "expired", f"the token {who.token} was revoked"
        if self._accounts.changes(name) != who.changes:
            return "changed", f"the account {name} was changed: log in again"
        return self._ended(talk, who, now_us())

    def _ended(self, talk: Conversation, who: Principal, now: int) -> tuple[str, str] | None:
        """Whether its time is over, for whichever reason comes first."""
        if who.expires:
            return ("expired", f"the token {who.token} has expired") if now >= who.expires else None
        policy = self._policy
        if policy.session_hours and now - talk.began >= policy.session_hours * HOUR:
            return "expired", f"a login is good for {policy.session_hours} h: log in again"
        if policy.idle_minutes and now - talk.asked >= policy.idle_minutes * MINUTE:
            return "expired", f"nothing was asked for {policy.idle_minutes} min: log in again"
        return None

    def _tick(self) -> None:
        self._cut_locked_out()

    def _handle(self, peer: Peer, talk: Conversation, message: Message) -> None:
        def send(answer: Message) -> None:
            told = answer if talk.protocol >= 2 else for_version_1(answer)
            frame = encode(told)  # where it was made: what is too large is its maker's failure, not the port's
            self.post(lambda: self._router.send_frame(peer, frame))

        if talk.principal is None:
            self._check_login(peer, talk, message)
            return
        account = talk.principal.account
        if why := forbidden(type(message), account.role, talk.principal.scopes, bool(account.bounds)):
            self._log(f"{account.name}: {why}")
            self._audit.forbidden(talk.who, why)
            send(Failed(getattr(message, "request", 0), "forbidden", why, -1, -1))
            return
        if not isinstance(message, Alive):
            talk.asked = now_us()
        try:
            answered = self._audit.asked(talk.who, message, send)
        except AuditError as error:
            send(Failed(getattr(message, "request", 0), "audit", str(error), -1, -1))
            return
        match message:
            case Ask():
                self._queries.ask(talk.scope, message, answered)
            case Pull():
                self._queries.pull(talk.scope, message, answered)
            case Cancel():
                self._queries.cancel(talk.scope, message, answered)
                self._audit.dropped(talk.who, message.request)
            case Alive():
                self._router.send(peer, Reported(now_us()))
            case AskStatus():
                self._queries.status(message, answered, talk.scope)
            case AskEvents():
                self._queries.events(talk.scope, message, answered)
            case AskHints():
                self._queries.hints(talk.scope, message, answered)
            case (
                AskQueue() | AskQueueEvents() | AskHistory() | AskAutocats() | Triage() | SetAutocat() | RemoveAutocat()
            ):
                self._queue.ask(talk.desk, message, answered)
            case AskWatches() | SetWatch() | ChangeWatch():
                self._watches.ask(talk.scope.user, message, answered)
            case (
                AskCases() | AskCase() | AskEvidence() | AskCaseHistory() | MakeCase() | ChangeCase() | AddStep()
                | ChangeStep() | RunStep() | PutItem() | AskCaseFile() | PutCaseFile()
                | AskAnnotations() | PutAnnotation()
            ):  # fmt: skip
                self._cases.ask(talk.reader, talk.scope, message, answered)
            case AskAudit():
                self._audit.read(message, answered)
            case AskHealth():
                self._queries.health(message, answered, talk.scope)
            case (
                AskSets() | AskSetValues() | SaveSet() | PutSet() | CombineSets() | RemoveSet() | AskExclusions()
                | SaveExclusion() | RemoveExclusion() | AskRemoved() | AskSaved() | SaveItem() | RemoveItem()
            ):  # fmt: skip
                self._queries.keep(talk.scope, message, answered)

    def _check_login(self, peer: Peer, talk: Conversation, message: Message) -> None:
        if talk.checking:
            self._refuse(peer, "login", "a login is being checked already")
            return
        talk.checking = True

        def check() -> None:
            if self._talks.get(peer.identity) is not talk:
                return  # it has left meanwhile; those who wait behind it need not wait for it
            try:
                who = self._authenticators[type(message)].check(message, peer.address)
            except LoginRefused as refused:
                code, reason, user = refused.code, str(refused), refused.user
                self.post(lambda: self._not_let_in(peer, talk, code, reason, user))
            except Exception as error:  # not only what the accounts' database fails at: nobody waits for this thread
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                self.post(lambda: self._unchecked(peer, getattr(message, "user", "a token"), reason))
            else:
                self.post(lambda: self._checked(peer, talk, who))

        self._passwords.submit(check)

    def _unchecked(self, peer: Peer, user: str, reason: str) -> None:
        self._log(f"login of {user[:64]!r} cannot be checked: {reason}")
        self._refuse(peer, "unavailable", "the server cannot check a login now; its log says why")

    def _not_let_in(self, peer: Peer, talk: Conversation, code: str, reason: str, user: str) -> None:
        talk.checking = False
        whose = f"of {user[:64]!r}" if user else "with a token"
        self._log(f"login {whose} from console {talk.console}{peer.place} failed")
        self._audit.refused_login(user, peer.address, talk.console, code)
        self._refuse(peer, code, reason)

    def _checked(self, peer: Peer, talk: Conversation, who: Principal) -> None:
        talk.checking = False
        if self._talks.get(peer.identity) is not talk:
            return  # it has left
        talk.principal, account = who, who.account
        talk.began = talk.asked = now_us()
        talk.scope.role, talk.scope.user, talk.scope.bounds = account.role, account.name, account.bounds
        talk.scope.scopes = who.scopes
        if (why := self._locked_out(talk)) is not None:  # changed while it was checked
            self._refuse(peer, *why)
            return
        talk.desk.user = talk.reader.user = account.name
        talk.desk.sight = self._queries.sight(account.bounds) if account.bounds else None
        talk.who.user, talk.who.address, talk.who.token = account.name, peer.address, who.token
        try:
            self._audit.login(talk.who, account.role, talk.console)
        except AuditError as error:
            talk.principal = None
            self._refuse(peer, "unavailable", str(error))
            return
        by = f" with the token {who.token}" if who.token else ""
        self._log(f"{account.name} ({account.role}) logged in{by} from console {talk.console}{peer.place}")
        expires = who.expires or (self._policy.session_hours and talk.began + self._policy.session_hours * HOUR)
        self._router.send(peer, LoggedIn(account.name, account.role, tuple(sorted(who.scopes or ())),
                                         account.bounds.words(), expires))  # fmt: skip
