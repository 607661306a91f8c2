"""Servers with the case's captures in them, made once a run of tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.case import CAPTURES, Case
from helpers.processes import Server, deliver


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A running server with the account ana; it is stopped whatever happens."""
    server = Server(folder)
    try:
        server.start()
        yield server
    except BaseException:
        if server.process is not None:
            server.kill()
        raise
    if server.process is not None:
        server.stop()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("case")
    with running(folder) as server:
        for name, capture in CAPTURES.items():
            done = deliver(server.enrol(name), folder / f"spool-{name}", capture)
            assert done.returncode == 0, done.stderr
        yield Case(server, server.console_file())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that a module's tests share, with the account ana; they take names of their own."""
    with running(tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server of the test's own, with the account ana."""
    with running(tmp_path) as server:
        yield server
