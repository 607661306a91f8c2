"""Who is at the console, and what the audit says of everybody."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from .limits import I64, MAX_BATCH_BYTES, U32, U64, Name


@dataclass(frozen=True, slots=True)
class Login:
    """Until it is answered by LOGGED_IN, nothing but HELLO and a login is decoded."""

    user: Name
    password: Annotated[str, Field(max_length=1024)]


@dataclass(frozen=True, slots=True)
class LoginToken:
    """The login of a script."""

    token: Annotated[str, Field(max_length=1024)]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The account's name and role, and what it may."""

    user: Name
    role: Name
    scopes: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """What the token is for; of a password's login none, and whatever the role may."""
    limits: Annotated[str, Field(max_length=65536)] = ""
    """Which sessions alone it may see, in words; empty: all."""
    expires: I64 = 0
    """When the session ends at the latest; 0: not by itself."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The console is still there and wants its results kept, and wants to know that the server is; every 25 s."""


@dataclass(frozen=True, slots=True)
class AskAudit:
    """Send records of the audit, newest first; what is empty does not matter."""

    request: U32
    count: Annotated[int, Field(ge=1, le=4096)]
    of_kind: Name = ""
    of_user: Name = ""
    first: Name = ""
    """Not before this time, ISO 8601 in UTC."""
    last: Name = ""
    before: U64 = 0
    """Those numbered below it; 0: from the newest on."""


@dataclass(frozen=True, slots=True)
class AuditFound:
    """Answer to ASK_AUDIT: as many records as were found in one look, perhaps none."""

    request: U32
    records: Annotated[tuple[Annotated[str, Field(max_length=MAX_BATCH_BYTES)], ...], Field(max_length=4096)]
    """Each a JSON object."""
    reached: U64
    """Ask on with this `before`; 1: there is nothing more."""
