"""Session stores for tests: the embedded one, and one by DSN.

AFTERFACT_TEST_STORE names a ClickHouse server (https://user:password@host:8443, without a database) to run the tests of
stores by DSN against; without it they run against helpers/clickhouse_http.py.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect

HTTP = Path(__file__).with_name("clickhouse_http.py")

SCRIPT = """
import sys, numpy as np
from pathlib import Path
from afterfact_protocol.session import FIELDS, KEY, ROW, BY_NAME, absent_bits
from afterfact_protocol.messages import Observed
from afterfact_server.store import backup, days, packed, parquet, pins, quarantine, schema, write
from afterfact_server.store.engine import StoreEngine, StoreError
from afterfact_server.store.ledger import Ledger, Stream
DAY = 86_400_000_000
engine = StoreEngine(Path(sys.argv[1]), sys.argv[2])
layout = engine.layout
client = engine.client()
def rows(*times, **values):
    made = np.zeros(len(times), ROW)
    made["start_time"] = times
    made["end_time"] = times
    for name, value in values.items():
        made[name] = value
    return made
def ask(sql):
    return client.query(sql).result_rows
"""


@contextmanager
def clickhouse(folder: Path) -> Iterator[str]:
    """The address of a ClickHouse server, without a database."""
    named = os.environ.get("AFTERFACT_TEST_STORE")
    if named:
        yield named.rstrip("/")
        return
    server = subprocess.Popen([sys.executable, HTTP, folder], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


@contextmanager
def database(server: str) -> Iterator[str]:
    """The DSN of a database of the test's own."""
    name = f"afterfact_{secrets.token_hex(6)}"
    client = clickhouse_connect.get_client(dsn=server)
    client.command(f"CREATE DATABASE {name} ENGINE = Atomic")
    try:
        yield f"{server}/{name}"
    finally:
        client.command(f"DROP DATABASE {name} SYNC")
        client.close()


class Store:
    """Where a test's sessions are; each script runs in a process of its own, for the engine is one to a process."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        self.path = folder / "store"
        self.dsn = dsn

    def run(self, script: str, *arguments: object, prepare: bool = True) -> str:
        """Run a script after SCRIPT, with the store's tables made; what it prints. sys.argv[3:] are the arguments."""
        made = "identity = schema.prepare(client)\n" if prepare else ""
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT + made + script, str(self.path), self.dsn, *map(str, arguments)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout
