"""Accounts of analysts: passwords kept as argon2id hashes, roles, disabling."""

import threading
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from afterfact_server.registry.database import RegistryError, transaction, utc_now
from afterfact_server.registry.enrolment import check_name
from afterfact_server.registry.tables import Account

ROLES = ("admin", "analyst", "viewer")
WRITERS = ("admin", "analyst")
"""Who may change what all analysts share: sets, exclusions."""
MIN_PASSWORD = 8

_hasher = PasswordHasher()


@cache
def _nobody() -> str:
    """Verified when there is no such account, so that a wrong name takes as long as a wrong password."""
    return _hasher.hash("no account has this password")


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """An account without its hash."""

    name: str
    role: str
    created: datetime
    disabled: datetime | None


class Accounts:
    """Changes and checks accounts. Safe from several threads; each call is one transaction.

    RegistryError from any of them if the database fails. Who is enabled is also known without it: while a server runs,
    all changes to its accounts go through its own instance.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._enabled = {account.name for account in self.accounts() if account.disabled is None}

    def add(self, name: str, role: str, password: str) -> None:
        """A new account. RegistryError for a taken name, an unknown role or too short a password."""
        check_name(name, "an account")
        if role not in ROLES:
            raise RegistryError(f"no role {role!r}; roles are {', '.join(ROLES)}")
        _check_password(password)
        with transaction(self._engine) as session:
            if session.scalar(select(Account).where(Account.name == name)):
                raise RegistryError(f"an account {name!r} exists already")
            session.add(Account(name=name, role=role, password_hash=_hasher.hash(password), created=utc_now(),
                                disabled=None))  # fmt: skip
        with self._lock:
            self._enabled.add(name)

    def set_password(self, name: str, password: str) -> None:
        _check_password(password)
        with transaction(self._engine) as session:
            _account(session, name).password_hash = _hasher.hash(password)

    def disable(self, name: str) -> None:
        """No login from now on. The last enabled administrator cannot be disabled."""
        with transaction(self._engine) as session:
            account = _account(session, name)
            others = session.scalar(
                select(Account).where(Account.role == "admin", Account.disabled.is_(None), Account.name != name)
            )
            if account.role == "admin" and others is None:
                raise RegistryError(f"{name!r} is the last enabled administrator; add another first")
            account.disabled = account.disabled or utc_now()
        with self._lock:
            self._enabled.discard(name)

    def accounts(self) -> list[AccountInfo]:
        with transaction(self._engine) as session:
            return [
                AccountInfo(row.name, row.role, row.created, row.disabled)
                for row in session.scalars(select(Account).order_by(Account.name))
            ]

    def enabled(self, name: str) -> bool:
        """Whether the account may (still) do anything. Reads memory only: an I/O thread may ask on every message."""
        with self._lock:
            return name in self._enabled

    def login(self, name: str, password: str) -> AccountInfo | None:
        """The account if name and password are right and it is enabled; RegistryError if the database cannot say.

        Slow on purpose: not for an I/O thread.
        """
        with transaction(self._engine) as session:
            account = session.scalar(select(Account).where(Account.name == name))
            try:
                _hasher.verify(account.password_hash if account else _nobody(), password)
            except (VerificationError, InvalidHashError):
                return None
            if account is None or account.disabled is not None:
                return None
            if _hasher.check_needs_rehash(account.password_hash):
                account.password_hash = _hasher.hash(password)
            return AccountInfo(account.name, account.role, account.created, account.disabled)


def _account(session: Session, name: str) -> Account:
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise RegistryError(f"no account {name!r}; see: afterfact-server user list")
    return account


def _check_password(password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise RegistryError(f"the password has {len(password)} characters; at least {MIN_PASSWORD} are needed")
