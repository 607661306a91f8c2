"""The threads that ask resolvers and databases about addresses, and what they found. No Qt: what belongs to the GUI
thread must not be held by another.

The newest wish comes first, and what was wished for long ago is dropped: whoever scrolls by a thousand addresses does
not have a thousand names asked for.
"""

import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from afterfact_client.state.resolving import Known, Resolvers, of_record, shown, together

MOST_KNOWN = 50_000
"""Addresses that are remembered."""
MOST_WAITING = 200
WORKERS = 4
LEAST_S, MOST_S = 60.0, 86_400.0
"""A name is good for as long as its resolver says, within these bounds."""
FAILED_S = 60.0
"""What could not be found out is asked again after this long."""
NONE_S = 600.0
"""That there is no name is good for this long."""
AGAIN_S = 30.0
"""How often it is looked whether a database was replaced."""


class Asker:
    """Safe from several threads."""

    def __init__(self, resolvers: Resolvers) -> None:
        self._resolvers = resolvers
        self._known: OrderedDict[str, tuple[Known, float]] = OrderedDict()
        """With the time.monotonic() until which it is good."""
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._asking: set[str] = set()
        self._condition = threading.Condition()
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._databases = [_Database(path) for path in resolvers.databases]
        self._dns: Any = None
        self._news = False
        self._told: set[str] = set()
        self._troubles: list[str] = []
        """Of the told ones those that `news` has not had."""

    def known(self, address: str) -> Known | None:
        """What is known of an address; what is not, or was too long ago, is asked for."""
        with self._condition:
            found = self._known.get(address)
            if found is None or found[1] < time.monotonic():
                self._wish(address)
            return found[0] if found is not None else None

    def news(self) -> tuple[bool, list[str], bool]:
        """Whether more is known than at the last call, what cannot be used, and whether anything is still asked for."""
        with self._condition:
            news, self._news = self._news, False
            troubles, self._troubles = self._troubles, []
            return news, troubles, bool(self._waiting or self._asking)

    def stop(self) -> None:
        """Ask for nothing that is not asked for already."""
        with self._condition:
            self._waiting.clear()

    def close(self) -> None:
        """Ask nothing more. What is asked just now may still end by its time-out."""
        with self._condition:
            self._closing = True
            self._waiting.clear()
            self._condition.notify_all()

    def _wish(self, address: str) -> None:
        if address in self._asking or self._closing:
            return
        self._waiting[address] = None
        self._waiting.move_to_end(address)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        if len(self._threads) < WORKERS:
            thread = threading.Thread(target=self._work, name="resolver", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._condition.notify()

    # --- on its own threads -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                address, _ = self._waiting.popitem()
                self._asking.add(address)
            found, good = self._ask(address)
            with self._condition:
                self._asking.discard(address)
                self._known[address] = found, time.monotonic() + good
                self._known.move_to_end(address)
                while len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
                self._news = True

    def _ask(self, address: str) -> tuple[Known, float]:
        """What is found of an address, and for how many seconds that is good."""
        found, good = Known(), MOST_S
        if self._resolvers.servers:
            try:
                name, good = self._name(address)
                found = Known(name=name)
            except Exception as error:  # whatever a resolver can do to us
                found, good = Known(trouble=f"no name: {_reason(error)}"), FAILED_S
        for database in self._databases:
            try:
                found = together(found, of_record(database.get(address)))
            except Exception as error:  # a damaged file may raise anything
                self._tell(f"{database.path}: {_reason(error)}; it is not asked")
                good = min(good, FAILED_S)
        return found, good

    def _name(self, address: str) -> tuple[str, float]:
        import dns.nameserver
        import dns.resolver

        with self._condition:
            if self._dns is None:
                self._dns = dns.resolver.Resolver(configure=False)
                self._dns.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in self._resolvers.servers]
                self._dns.lifetime = self._resolvers.timeout
        try:
            answer = self._dns.resolve_address(address, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return "", NONE_S
        except dns.resolver.LifetimeTimeout:
            raise TimeoutError("the resolvers did not answer in time") from None
        except dns.resolver.NoNameservers:
            raise OSError("no resolver gave a usable answer") from None
        names = sorted(str(record.target).rstrip(".") for record in answer)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        good = max(0.0, answer.expiration - time.time())
        return shown(names[0]) + more, min(max(good, LEAST_S), MOST_S)

    def _tell(self, text: str) -> None:
        with self._condition:
            if text not in self._told:
                self._told.add(text)
                self._troubles.append(text)


class _Database:
    """One file, opened anew where it was replaced. Safe from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._reader: Any = None
        self._stamp: tuple[int, int, int] | None = None
        self._looked = 0.0

    def get(self, address: str) -> Any:
        """Its record of an address, None if it has none. OSError and what a damaged file raises."""
        import maxminddb

        with self._lock:
            if self._reader is None or time.monotonic() - self._looked > AGAIN_S:
                facts = self.path.stat()
                stamp = facts.st_ino, facts.st_mtime_ns, facts.st_size
                if self._reader is None or stamp != self._stamp:
                    # Others may still read in the old one: it closes itself when the last lets go of it.
                    self._reader, self._stamp = maxminddb.open_database(str(self.path)), stamp
                self._looked = time.monotonic()
            reader = self._reader
            if ":" in address and reader.metadata().ip_version == 4:
                return None
        return reader.get(address)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200]
