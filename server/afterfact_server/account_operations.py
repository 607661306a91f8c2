"""What an operator does with accounts and tokens, as text: see operations.py."""

import re
from datetime import UTC, datetime

from afterfact_protocol.query import QueryError
from afterfact_protocol.query.lexer import Lexeme, Token
from afterfact_protocol.query.values import time_value
from afterfact_server.errors import RegistryError
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.database import utc_now
from afterfact_server.registry.tokens import Tokens

_DAYS = re.compile(r"([1-9]\d{0,3})d?")


def role(accounts: Accounts, name: str, role: str) -> str:
    """Another role; who is logged in must log in again, within a second."""
    accounts.set_role(name, role)
    return f"account {name} is {role}\n"


def limit(accounts: Accounts, name: str, sensors: str, networks: str, first: str, last: str, days: str) -> str:
    """Sets all limits of an account; what is not said is unlimited."""
    bounds = Bounds(
        tuple(sensors.split()), tuple(networks.split()), _time("--from", first), _time("--until", last),
        _days("--last", days) if days else 0,
    )  # fmt: skip
    kept = accounts.set_bounds(name, bounds)
    return f"account {name} is limited to {kept.words()}\n" if kept else f"account {name} sees everything\n"


def enable(accounts: Accounts, name: str) -> str:
    """A disabled account may log in again."""
    accounts.enable(name)
    return f"account {name} is enabled\n"


def token_add(tokens: Tokens, name: str, user: str, scopes: str, days: str) -> str:
    """The token itself, shown this once."""
    return tokens.add(name, user, frozenset(scopes.split()), _days("--expires", days)) + "\n"


def token_revoke(tokens: Tokens, name: str) -> str:
    """Out within a second."""
    tokens.revoke(name)
    return f"token {name} is revoked\n"


def token_rows(tokens: Tokens) -> list[tuple[str, ...]]:
    """A line of text a token."""
    now = utc_now()
    return [
        (
            token.name,
            token.user,
            " ".join(sorted(token.scopes)),
            _minute(token.created),
            _minute(token.expires),
            _minute(token.used) if token.used else "never",
            f"revoked {_minute(token.revoked)}" if token.revoked else "expired" if token.expires <= now else "",
        )
        for token in tokens.tokens()
    ]


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _days(option: str, text: str) -> int:
    if not (found := _DAYS.fullmatch(text)):
        raise RegistryError(f"{option}: {text!a:.40} is no number of days; say 90d")
    return int(found[1])


def _time(option: str, text: str) -> int:
    """Microseconds since 1970; 0 for nothing said."""
    if not text:
        return 0
    try:
        return max(1, time_value(Token(Lexeme.STRING, text, 0, len(text)), datetime.now(UTC)).us)
    except QueryError:
        raise RegistryError(f"{option}: {text!a:.40} is no time; say '2026-11-24' or '2026-11-24 17:30:00'") from None
