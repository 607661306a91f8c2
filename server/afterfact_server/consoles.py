"""The consoles' port: HELLO, LOGIN, then requests. Owns one I/O thread; passwords and queries run elsewhere."""

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import zmq

from afterfact_protocol.mailbox import Mailbox
from afterfact_protocol.messages import (
    Alive,
    Ask,
    AskStatus,
    Cancel,
    Hello,
    LoggedIn,
    Login,
    Message,
    Pull,
    Refused,
    Welcome,
)
from afterfact_protocol.versions import SOFTWARE, VersionRefused, agree
from afterfact_server.ingest import now_us
from afterfact_server.queries import QueryService, Scope
from afterfact_server.registry.accounts import AccountInfo, Accounts
from afterfact_server.registry.enrolment import Admission
from afterfact_server.router import Peer, Router

POLL_MS = 1000


@dataclass(slots=True)
class Conversation:
    """One console's connection after HELLO."""

    name: str
    account: AccountInfo | None = None
    checking: bool = False
    scope: Scope = field(default_factory=Scope)


class ConsolesPort:
    """`answer` and `recheck` may be called from any thread."""

    def __init__(
        self, socket: zmq.Socket[bytes], admission: Admission, accounts: Accounts, store_id: bytes,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._router = Router(socket, lambda text: log(f"consoles' port: {text}"))
        self._admission = admission
        self._accounts = accounts
        self._store_id = store_id
        self._log = log
        self._queries: QueryService
        self._talks: dict[bytes, Conversation] = {}
        self._mail: Mailbox[Callable[[], None]] = Mailbox()
        self._passwords = ThreadPoolExecutor(1, "passwords")  # argon2 takes its time and 64 MiB, on purpose
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="consoles-port")

    def start(self, queries: QueryService) -> None:
        self._queries = queries
        self._thread.start()

    def recheck(self) -> None:
        """Keys or accounts changed: cut who is no longer admitted."""
        self._mail.post(self._cut_locked_out)

    def stop(self) -> None:
        self._stopping = True
        self._mail.post(lambda: None)
        if self._thread.is_alive():
            self._thread.join()
        self._passwords.shutdown()
        self._mail.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router.socket, zmq.POLLIN)
        poller.register(self._mail.fileno(), zmq.POLLIN)
        while not self._stopping:
            poller.poll(20 if self._router.waiting else POLL_MS)
            now = time.monotonic()
            for action in self._mail.take():
                action()
            for peer, message in self._router.receive(now, self._allowed):
                self._handle(peer, message)
            self._router.flush()
            for peer in self._router.silent(now):
                self._router.forget(peer)
            for identity in self._talks.keys() - self._router.peers.keys():
                self._queries.drop(self._talks.pop(identity).scope)
        self._router.socket.close()

    def _allowed(self, peer: Peer) -> Collection[type[Message]]:
        talk = self._talks.get(peer.identity)
        if talk is None:
            return (Hello,)
        return (Login,) if talk.account is None else (Alive, Ask, Pull, Cancel, AskStatus)

    def _handle(self, peer: Peer, message: Message) -> None:
        name = self._admission.console(peer.key)
        if name is None:
            self._refuse(peer, "revoked", "this console's key is revoked; ask for a new CONSOLE.toml")
            return
        if isinstance(message, Hello):
            try:
                protocol = agree(message)
            except VersionRefused as error:
                self._refuse(peer, "version", str(error))
                return
            self._talks[peer.identity] = Conversation(name)
            self._router.send(peer, Welcome(protocol, SOFTWARE, self._store_id, now_us(), name, 0))
            return
        talk = self._talks[peer.identity]
        if isinstance(message, Login):
            self._check_password(peer, talk, message)
            return

        def send(answer: Message) -> None:
            self._mail.post(lambda: self._router.send(peer, answer))

        match message:
            case Ask():
                self._queries.ask(talk.scope, message, send)
            case Pull():
                self._queries.pull(talk.scope, message, send)
            case Cancel():
                self._queries.cancel(talk.scope, message, send)
            case AskStatus():
                self._queries.status(message, send)

    def _check_password(self, peer: Peer, talk: Conversation, message: Login) -> None:
        if talk.checking:
            self._refuse(peer, "login", "a login is being checked already")
            return
        talk.checking = True

        def check() -> None:
            account = self._accounts.login(message.user, message.password)
            self._mail.post(lambda: self._checked(peer, talk, message.user, account))

        self._passwords.submit(check)

    def _checked(self, peer: Peer, talk: Conversation, user: str, account: AccountInfo | None) -> None:
        talk.checking = False
        if account is None:
            self._log(f"consoles' port: login of {user[:64]!r} from console {talk.name} failed")
            self._refuse(peer, "login", f"the server does not know user {user!r} with this password")
            return
        talk.account = account
        self._log(f"consoles' port: {account.name} ({account.role}) logged in from console {talk.name}")
        self._router.send(peer, LoggedIn(account.name, account.role))

    def _refuse(self, peer: Peer, code: str, reason: str) -> None:
        if code != "login":
            self._log(f"consoles' port: peer {peer.key[:8]} refused: {reason}")
        talk = self._talks.pop(peer.identity, None)
        if talk is not None:
            self._queries.drop(talk.scope)
        self._router.cut(peer, Refused(code, reason))

    def _cut_locked_out(self) -> None:
        for peer in list(self._router.peers.values()):
            talk = self._talks.get(peer.identity)
            if self._admission.console(peer.key) is None:
                self._refuse(peer, "revoked", "this console's key was revoked")
            elif talk is not None and talk.account is not None and not self._accounts.enabled(talk.account.name):
                self._refuse(peer, "disabled", f"the account {talk.account.name} was disabled")
