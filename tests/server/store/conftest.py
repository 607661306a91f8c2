"""The tests of the store run on the embedded engine, and on a server by DSN."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.store import Store, clickhouse, database


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as address:
        yield address


@pytest.fixture(params=["embedded", "dsn"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    if request.param == "embedded":
        yield Store(tmp_path, "")
    else:
        with database(request.getfixturevalue("clickhouse_server")) as dsn:
            yield Store(tmp_path, dsn)


@pytest.fixture
def embedded(tmp_path: Path) -> Store:
    return Store(tmp_path, "")
