"""How a console or a script shows who it is. One Authenticator a kind of login message; a single sign-on would be one
more, with a message of its own. They are called on a thread that may wait."""

import time
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from afterfact_protocol.messages import Login, LoginToken, Message
from afterfact_protocol.printable import printable
from afterfact_server.loginguard import LoginGuard
from afterfact_server.registry.accounts import AccountInfo, Accounts
from afterfact_server.registry.tokens import Tokens


class LoginRefused(Exception):
    """Not let in; `code` is one of docs/protocol.md's, the text one line for a person, `user` who it said it was."""

    def __init__(self, code: str, reason: str, user: str) -> None:
        super().__init__(reason)
        self.code = code
        self.user = user


@dataclass(frozen=True, slots=True)
class Principal:
    """Who logged in, and for what."""

    account: AccountInfo
    changes: int
    """Accounts.changes() before it was checked."""
    token: str = ""
    """The token's name; empty for a person."""
    scopes: frozenset[str] | None = None
    """What a token is for; None: whatever the role may."""
    expires: int = 0
    """When the session ends by itself, microseconds since 1970; 0: as server.toml says."""


class Authenticator(Protocol):
    """Checks one kind of login."""

    def check(self, message: Message, address: str) -> Principal:
        """LoginRefused if it is wrong; RegistryError if that cannot be said now."""


class PasswordLogin:
    """A person's name and password."""

    def __init__(self, accounts: Accounts, guard: LoginGuard) -> None:
        self._accounts = accounts
        self._guard = guard

    def check(self, message: Message, address: str) -> Principal:
        assert isinstance(message, Login)
        user = message.user
        _not_yet(self._guard, user, address)
        changes = self._accounts.changes(user)
        account = self._accounts.login(user, message.password)
        if account is None:
            self._guard.failed(user, address, time.monotonic())
            raise LoginRefused("login", f"the server does not know user {user!r} with this password", user)
        self._guard.succeeded(user, address)
        return Principal(account, changes)


class TokenLogin:
    """A script's token."""

    def __init__(self, accounts: Accounts, tokens: Tokens, guard: LoginGuard) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._guard = guard

    def check(self, message: Message, address: str) -> Principal:
        assert isinstance(message, LoginToken)
        _not_yet(self._guard, "", address)
        found = self._tokens.login(message.token)
        if found is None:
            self._guard.failed("", address, time.monotonic())
            raise LoginRefused("login", "the server does not know this token, or it is revoked or expired", "")
        token, account = found
        expires = int(token.expires.replace(tzinfo=UTC).timestamp() * 1e6)
        return Principal(account, self._accounts.changes(account.name), token.name, token.scopes, expires)


def _not_yet(guard: LoginGuard, user: str, address: str) -> None:
    wait = guard.wait(user, address, time.monotonic())
    if wait > 0:
        whose = f"of {printable(user[:64])} " if user else ""
        raise LoginRefused("locked", f"too many failed logins {whose}from {address or 'there'}: it is checked again in "
                           f"{wait:.0f} s", user)  # fmt: skip


def authenticators(accounts: Accounts, tokens: Tokens, guard: LoginGuard) -> dict[type[Message], Authenticator]:
    """Those that there are, by the message that they take."""
    return {Login: PasswordLogin(accounts, guard), LoginToken: TokenLogin(accounts, tokens, guard)}
