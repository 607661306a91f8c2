"""Tokens: what scripts log in with, in an account's name, for some purposes and for a time. Only digests are kept."""

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import joinedload

from afterfact_server.errors import RegistryError
from afterfact_server.registry.accounts import AccountInfo, info_of
from afterfact_server.registry.database import transaction, utc_now
from afterfact_server.registry.enrolment import check_name
from afterfact_server.registry.tables import Account, Token
from afterfact_server.roles import SCOPES

PREFIX = "aft_"
MAX_DAYS = 3660


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token without its digest."""

    name: str
    user: str
    scopes: frozenset[str]
    created: datetime
    expires: datetime
    revoked: datetime | None
    used: datetime | None


class Tokens:
    """Makes, checks and revokes tokens. Safe from several threads. RegistryError if the database fails. As with
    Accounts, what is revoked is known without the database too."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._revoked: set[str] = {token.name for token in self.tokens() if token.revoked is not None}

    def add(self, name: str, user: str, scopes: frozenset[str], days: int) -> str:
        """A new token; it is told this once. RegistryError for a taken name, an unknown account or scope."""
        check_name(name, "a token")
        if not scopes:
            raise RegistryError(f"say what the token is for: {', '.join(SCOPES)}")
        for scope in sorted(scopes):
            if scope not in SCOPES:
                raise RegistryError(f"no scope {scope!r}; scopes are {', '.join(SCOPES)}")
        if not 1 <= days <= MAX_DAYS:
            raise RegistryError(f"a token is good for 1 to {MAX_DAYS} days, not {days}")
        secret = PREFIX + secrets.token_urlsafe(32)
        with transaction(self._engine) as session:
            account = session.scalar(select(Account).where(Account.name == user))
            if account is None or account.disabled is not None:
                raise RegistryError(f"no enabled account {user!r}; see: afterfact-server user list")
            if session.scalar(select(Token).where(Token.name == name)):
                raise RegistryError(f"a token {name!r} exists already; its name stands in the audit: choose another")
            now = utc_now()
            session.add(Token(name=name, account=account, digest=_digest(secret), scopes=" ".join(sorted(scopes)),
                              created=now, expires=now + timedelta(days=days), revoked=None, used=None))  # fmt: skip
        return secret

    def revoke(self, name: str) -> None:
        """No login with it from now on."""
        with transaction(self._engine) as session:
            token = session.scalar(select(Token).where(Token.name == name))
            if token is None:
                raise RegistryError(f"no token {name!r}; see: afterfact-server token list")
            token.revoked = token.revoked or utc_now()
        with self._lock:
            self._revoked.add(name)

    def tokens(self) -> list[TokenInfo]:
        """All that there ever were."""
        with transaction(self._engine) as session:
            return [_info(row) for row in session.scalars(
                select(Token).order_by(Token.id).options(joinedload(Token.account)))]  # fmt: skip

    def live(self, name: str) -> bool:
        """Whether it is not revoked. Reads memory only."""
        with self._lock:
            return name not in self._revoked

    def login(self, secret: str) -> tuple[TokenInfo, AccountInfo] | None:
        """The token and its account, if it is good and its account is enabled."""
        with transaction(self._engine) as session:
            token = session.scalar(select(Token).where(Token.digest == _digest(secret)))
            now = utc_now()
            if token is None or token.revoked is not None or token.expires <= now or token.account.disabled is not None:
                return None
            token.used = now
            return _info(token), info_of(token.account)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _info(row: Token) -> TokenInfo:
    return TokenInfo(row.name, row.account.name, frozenset(row.scopes.split()), row.created, row.expires, row.revoked,
                     row.used)  # fmt: skip
