"""Slows down who guesses passwords. In memory only, and bounded: a server that restarts forgets it.

What is refused here is not even checked, and does not count. Delays grow with every failure and end by themselves. They
hold for an account from an address, and for an address; from elsewhere the account can log in at once. Against guesses
from many addresses an account's further logins are apart by at most ACCOUNT_SECONDS, but never from an address where it
has logged in before. So nobody can lock anybody out for ever, and the account's own desk not at all.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

FREE = 3
"""Failures of an account from an address that cost nothing: people mistype."""
FREE_ADDRESS = 20
"""The same of an address, whatever the account."""
FREE_ACCOUNT = 30
"""The same of an account, from whatever address."""
MOST_SECONDS = 900.0
ADDRESS_SECONDS = 60.0
ACCOUNT_SECONDS = 30.0
FORGET_SECONDS = 3600.0
"""Failures older than this do not count."""
MOST_KEPT = 20_000
"""Accounts, addresses and pairs remembered; beyond, the oldest are forgotten."""


_Key = tuple[str, str, str]
"""What kind of, account, address."""


@dataclass(slots=True)
class _Failures:
    count: int
    last: float
    until: float


class LoginGuard:
    """Times are monotonic seconds. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, user: str, address: str, now: float) -> float:
        """Seconds until a login of this account from this address is checked again; 0: now. No account: a token's."""
        with self._lock:
            keys = [
                key for key, *_ in _rules(user, address) if key[0] != "account" or (user, address) not in self._known
            ]
            until = max(self._until(key, now) for key in keys)
        return max(0.0, until - now)

    def failed(self, user: str, address: str, now: float) -> None:
        """A login was wrong."""
        with self._lock:
            for key, free, most in _rules(user, address):
                kept = self._failures.pop(key, None)
                count = kept.count + 1 if kept is not None and now - kept.last < FORGET_SECONDS else 1
                delay = min(most, 2.0 ** min(count - free, 30)) if count >= free else 0.0
                self._failures[key] = _Failures(count, now, now + delay)
            while len(self._failures) > MOST_KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """A login was right: this address is one of the account's own."""
        with self._lock:
            self._failures.pop(("pair", user, address), None)
            self._known[user, address] = None
            self._known.move_to_end((user, address))
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)

    def unlock(self, user: str) -> None:
        """Forget what failed for an account."""
        with self._lock:
            for key in [key for key in self._failures if key[0] != "address" and key[1] == user]:
                del self._failures[key]

    def _until(self, key: _Key, now: float) -> float:
        kept = self._failures.get(key)
        return kept.until if kept is not None and now - kept.last < FORGET_SECONDS else 0.0


def _rules(user: str, address: str) -> list[tuple[_Key, int, float]]:
    """What a failure is counted for, how many cost nothing, the longest delay."""
    if not user:
        return [(("token", "", address), FREE_ADDRESS, ADDRESS_SECONDS)]
    return [
        (("pair", user, address), FREE, MOST_SECONDS),
        (("address", "", address), FREE_ADDRESS, ADDRESS_SECONDS),
        (("account", user, ""), FREE_ACCOUNT, ACCOUNT_SECONDS),
    ]
