"""Values of sets as statements use them: few as a list, many as a copy in the store. Called on workers."""

import hashlib
import threading
import time
from collections import OrderedDict

from clickhouse_connect.driver.client import Client

from afterfact_protocol.query.nodes import Stored
from afterfact_protocol.sets import Values
from afterfact_server.query.setnodes import LISTED, Held, stored_as
from afterfact_server.registry.sets import SavedSet, SetsTable
from afterfact_server.store import sets as store

KEPT = 256
"""Sets whose few values, or whose place in the store, are remembered."""
LOOKED_AT_SECONDS = 86_400.0


class SetCopies:
    """Safe from several threads."""

    def __init__(self, table: SetsTable) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._held: OrderedDict[int, tuple[Held, float]] = OrderedDict()

    def frozen(self, saved: SavedSet, client: Client) -> Held:
        """The values of a version, which never change."""
        held = self._known(saved.token)
        if held is None:
            found = self._table.values(saved.name, saved.number)
            assert found is not None, "the newest version of a set has its values"
            held = self._held_as(saved.kind, found[0], saved.token, client)
            self._remember(saved.token, held)
        return held

    def computed(self, kind: str, values: Values, client: Client) -> Held:
        """Values that were found just now; the same again lie in the store already."""
        digest = hashlib.blake2b(values.tobytes(), digest_size=8, person=kind[:16].encode()).digest()
        token = int.from_bytes(digest, "big") | 1 << 63  # the registry's tokens are below
        held = self._known(token)
        if held is None:
            held = self._held_as(kind, values, token, client)
            if held.stored is not None:
                self._remember(token, held)
        return held

    def _held_as(self, kind: str, values: Values, token: int, client: Client) -> Held:
        if len(values) <= LISTED and (kind != "session" or not len(values)):
            return Held(kind, values)
        if not store.holds(client, token, len(values)):
            store.insert(client, token, values)
        stored: Stored = stored_as(token, values)
        return Held(kind, values if kind == "endpoint" else None, stored)

    def _known(self, token: int) -> Held | None:
        with self._lock:
            held, looked_at = self._held.get(token, (None, 0.0))
            if held is None or time.monotonic() - looked_at > LOOKED_AT_SECONDS:
                return None
            self._held.move_to_end(token)
            return held

    def _remember(self, token: int, held: Held) -> None:
        with self._lock:
            self._held[token] = held, time.monotonic()
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
