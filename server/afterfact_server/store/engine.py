"""Clients of the session store, one a thread: a connection serialises its queries."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from afterfact_server.store.layout import Layout

StoreFailure = ClickHouseError
"""What a client raises when the store cannot do what was asked."""

CLIENT_SETTINGS = {
    "allow_suspicious_fixed_string_types": 1,
    "max_query_size": 8_000_000,
    "max_ast_elements": 500_000,
    "max_expanded_ast_elements": 2_000_000,
}
"""Settings of every client. The packed column is longer than the 256 bytes that pass unsuspected; and the longest lists
and conditions that the language takes make statements of over 256 KiB, where the engine stops reading otherwise (in a
statement's own SETTINGS it would be told too late)."""


class StoreError(RuntimeError):
    """The store cannot be opened; one line for a person."""


class StoreEngine:
    """Where the sessions are. The embedded engine locks its directory to one process; never query it from the main
    thread, where a signal would wait for the query."""

    def __init__(self, path: Path, dsn: str, cluster: str = "") -> None:
        self.path = path
        """The embedded store's directory; not looked at where a DSN names a server."""
        self.layout = Layout(cluster)
        self._dsn = dsn
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[Client] = []

    def client(self) -> Client:
        """This thread's client. StoreError if the store cannot be opened."""
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._connect()
            self._local.client = client
            with self._lock:
                self._clients.append(client)
        return client

    def _connect(self) -> Client:
        where: dict[str, Any] = {"interface": "chdb", "path": str(self.path)}
        if self._dsn:  # of a DSN the client does not read the scheme: it would speak HTTP, with the password, to https
            where = {"dsn": self._dsn, "interface": urlsplit(self._dsn).scheme}
        # Through a Distributed table an insert is acknowledged when the nodes have it, not when it waits to be sent.
        settings = CLIENT_SETTINGS | ({"distributed_foreground_insert": 1} if self.layout.cluster else {})
        try:
            client = clickhouse_connect.get_client(**where, settings=settings)
        except (ClickHouseError, OSError, RuntimeError, ValueError) as error:
            what = "the ClickHouse server of server.toml's `store`" if self._dsn else f"the store in {self.path}"
            raise StoreError(f"cannot open {what}: {_first_line(error)}") from None
        if self.embedded:
            for name in _ASKING:
                setattr(client, name, _cleared(client, getattr(client, name)))
        return client

    @property
    def embedded(self) -> bool:
        return not self._dsn

    def close(self) -> None:
        """Close all clients. Their threads must have ended: leaving during a query crashes the embedded engine."""
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()


_ASKING = ("query", "command", "insert", "raw_query", "raw_insert")
"""What this server calls of a client that runs a statement to its end."""


def _cleared(client: Client, method: Callable[..., Any]) -> Callable[..., Any]:
    """The client's method; where it fails, nothing of the statement is left behind.

    What a statement put out before it failed (at its time limit, cancelled) the embedded engine's connection gives in
    front of what its next one finds (chdb 26.9): foreign rows in an answer. One statement in between takes it away.
    """
    ask = client.raw_query

    @wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return method(*args, **named)
        except ClickHouseError:
            with suppress(ClickHouseError):
                ask("SELECT 1", fmt="RowBinary")
            raise

    return call


def with_settings(sql: str, settings: Mapping[str, float | str]) -> str:
    """The statement with its settings in its text. Beside the text the embedded engine's client looks each setting up,
    sets it and sets it back, in statements of their own: for ten settings it took 20 ms, whatever was asked."""
    values = ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())
    return f"{sql} SETTINGS {values}" if values else sql


def _literal(value: float | str) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
