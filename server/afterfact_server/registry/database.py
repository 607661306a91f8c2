"""Opens the relational store (SQLite by default, PostgreSQL by URL) and brings it to the newest schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from afterfact_server.errors import RegistryError

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "0007"
"""The newest step in there; a test compares."""


def utc_now() -> datetime:
    """Naive UTC, as the tables keep it."""
    return datetime.now(UTC).replace(tzinfo=None)


def open_database(url: str) -> Engine:
    """An engine on `url`, migrated. RegistryError if it cannot be opened."""
    try:
        engine = create_engine(url)
    except (SQLAlchemyError, ImportError) as error:
        raise RegistryError(f"cannot open the accounts' database: {_reason(error)}") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_durable)
    try:
        with engine.begin() as connection:
            if _version(connection) != NEWEST:
                _migrate(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise RegistryError(f"cannot open the accounts' database {engine.url}: {_reason(error)}") from None
    except RegistryError:
        engine.dispose()
        raise
    return engine


def _version(connection: Connection) -> str:
    """Of the schema that is there; empty for none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def _migrate(connection: Connection) -> None:
    """By alembic, which nobody waits for whose database is of the newest schema: it takes long to import."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        if "Can't locate revision" in str(error):
            raise RegistryError(
                f"the accounts' database {connection.engine.url} was made by a newer Afterfact ({_reason(error)}): "
                "update this program, or restore a backup into an empty directory"
            ) from None
        raise RegistryError(f"cannot open the accounts' database {connection.engine.url}: {_reason(error)}") from None


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction, committed at the end of the block. Whatever the database fails at is a RegistryError."""
    try:
        with Session(engine) as session, session.begin():
            yield session
    except SQLAlchemyError as error:
        raise RegistryError(f"the accounts' database {engine.url} failed: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What the database's driver said, in one line."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return next(iter(str(said).splitlines()), type(said).__name__)


def _sqlite_durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.close()
