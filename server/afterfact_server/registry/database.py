"""Opens the relational store (SQLite by default, PostgreSQL by URL) and brings it to the newest schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session


class RegistryError(RuntimeError):
    """The relational store cannot do what was asked; one line for a person."""


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
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (SQLAlchemyError, CommandError) as error:
        engine.dispose()
        if isinstance(error, CommandError) and "Can't locate revision" in str(error):
            raise RegistryError(
                f"the accounts' database {engine.url} was made by a newer Afterfact ({_reason(error)}): update this "
                "program, or restore a backup into an empty directory"
            ) from None
        raise RegistryError(f"cannot open the accounts' database {engine.url}: {_reason(error)}") from None
    return engine


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
