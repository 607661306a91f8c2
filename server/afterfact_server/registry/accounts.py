"""Accounts of analysts: passwords kept as argon2id hashes, roles, what each may see, disabling."""

import threading
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from afterfact_server.errors import RegistryError
from afterfact_server.registry.bounds import NO_BOUNDS, Bounds, checked
from afterfact_server.registry.database import transaction, utc_now
from afterfact_server.registry.enrolment import check_name
from afterfact_server.registry.tables import Account, Sensor
from afterfact_server.roles import ROLES

MIN_PASSWORD = 12
MAX_PASSWORD = 1024
MIN_DIFFERENT = 5
"""Different characters that a password must have."""
_COMMON = ("password", "passw0rd", "123456789", "qwertyuiop", "letmein", "iloveyou", "administrator", "welcome",
           "changeme", "afterfact", "abcdefgh", "111111111")  # fmt: skip
"""What is tried first, as a whole or said twice or with digits around it."""

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
    bounds: Bounds = NO_BOUNDS


class Accounts:
    """Changes and checks accounts. Safe from several threads; each call is one transaction.

    RegistryError from any of them if the database fails. Who is enabled is also known without it: while a server runs,
    all changes to its accounts go through its own instance.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._enabled = {account.name for account in self.accounts() if account.disabled is None}
        self._changes: dict[str, int] = {}
        """How often each account's rights or password changed while this server runs."""

    def add(self, name: str, role: str, password: str) -> None:
        """A new account. RegistryError for a taken name, an unknown role or a password that is none."""
        check_name(name, "an account")
        _check_role(role)
        check_password(password, name)
        with transaction(self._engine) as session:
            if session.scalar(select(Account).where(Account.name == name)):
                raise RegistryError(f"an account {name!r} exists already")
            session.add(Account(name=name, role=role, password_hash=_hasher.hash(password), created=utc_now(),
                                disabled=None, bounds=""))  # fmt: skip
        with self._lock:
            self._enabled.add(name)

    def set_password(self, name: str, password: str) -> None:
        check_password(password, name)
        with transaction(self._engine) as session:
            _account(session, name).password_hash = _hasher.hash(password)
        self._changed(name)

    def set_role(self, name: str, role: str) -> None:
        """Another role. The last enabled administrator stays one."""
        _check_role(role)
        with transaction(self._engine) as session:
            account = _account(session, name)
            if role != "admin":
                _not_the_last(session, account)
            account.role = role
        self._changed(name)

    def set_bounds(self, name: str, bounds: Bounds) -> Bounds:
        """Limit what it may see; as it is kept. RegistryError for what cannot be. An administrator sees everything."""
        with transaction(self._engine) as session:
            account = _account(session, name)
            if bounds and account.role == "admin":
                raise RegistryError(f"{name!r} is an administrator, who sees everything; give the account another role")
            kept = checked(bounds, set(session.scalars(select(Sensor.name))))
            account.bounds = kept.to_json()
        self._changed(name)
        return kept

    def disable(self, name: str) -> None:
        """No login from now on. The last enabled administrator cannot be disabled."""
        with transaction(self._engine) as session:
            account = _account(session, name)
            _not_the_last(session, account)
            account.disabled = account.disabled or utc_now()
        with self._lock:
            self._enabled.discard(name)

    def enable(self, name: str) -> None:
        """Logins again."""
        with transaction(self._engine) as session:
            _account(session, name).disabled = None
        with self._lock:
            self._enabled.add(name)

    def accounts(self) -> list[AccountInfo]:
        with transaction(self._engine) as session:
            return [info_of(row) for row in session.scalars(select(Account).order_by(Account.name))]

    def changes(self, name: str) -> int:
        """Differs once the account's role, limits or password were changed. Reads memory only."""
        with self._lock:
            return self._changes.get(name, 0)

    def _changed(self, name: str) -> None:
        with self._lock:
            self._changes[name] = self._changes.get(name, 0) + 1

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
            return info_of(account)


def _account(session: Session, name: str) -> Account:
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise RegistryError(f"no account {name!r}; see: afterfact-server user list")
    return account


def info_of(row: Account) -> AccountInfo:
    """Without its hash."""
    return AccountInfo(row.name, row.role, row.created, row.disabled, Bounds.from_json(row.bounds))


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise RegistryError(f"no role {role!r}; roles are {', '.join(ROLES)}")


def _not_the_last(session: Session, account: Account) -> None:
    others = session.scalar(
        select(Account).where(Account.role == "admin", Account.disabled.is_(None), Account.name != account.name)
    )
    if account.role == "admin" and others is None:
        raise RegistryError(f"{account.name!r} is the last enabled administrator; add another first")


def check_password(password: str, user: str) -> None:
    """RegistryError for a password that is too easily guessed: length and what is tried first count, not kinds of
    characters, which people put at the end."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise RegistryError(f"the password has {len(password)} characters; {MIN_PASSWORD} to {MAX_PASSWORD} are needed")
    bare = password.casefold()
    for guess in (*_COMMON, user.casefold()):
        bare = bare.replace(guess, "")
    if len(bare.strip("0123456789!.?-_ ")) < len(password) // 3:
        raise RegistryError("the password is little more than the account's name, a common password or digits; several "
                            "words that do not belong together make a good one")  # fmt: skip
    if len(set(password)) < MIN_DIFFERENT:
        raise RegistryError(f"the password has {len(set(password))} different characters; {MIN_DIFFERENT} are needed")
