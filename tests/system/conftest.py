"""Servers with the case's captures in them, made once a run of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.case import CAPTURES, Case
from helpers.processes import Server, deliver


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("case")
    server = Server(folder)
    server.start()
    server.add_user()
    for name, capture in CAPTURES.items():
        done = deliver(server.enrol(name), folder / f"spool-{name}", capture)
        assert done.returncode == 0, done.stderr
    yield Case(server, server.console_file())
    server.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that a module's tests share, with the account ana; they take names of their own."""
    made = Server(tmp_path_factory.mktemp("site")).start()
    made.add_user()
    yield made
    made.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server of the test's own, with the account ana."""
    made = Server(tmp_path)
    made.start()
    made.add_user()
    yield made
    if made.process is not None:
        made.stop()
