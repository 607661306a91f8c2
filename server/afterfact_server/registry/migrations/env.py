"""Alembic's entry: runs the steps on the connection that database.open_database made."""

from alembic import context

from afterfact_server.registry import case_tables, queue_tables  # noqa: F401 - their tables are Base's
from afterfact_server.registry.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
