"""The queue: rows, events, actions, autocategorise rules; watches."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, size: int | None = None) -> "sa.Column[str]":
    return sa.Column(name, sa.String(size) if size else sa.Text(), nullable=False)


def _number(name: str, big: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger() if big else sa.Integer(), nullable=False)


def _flag(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "queue_rows",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("source", 8), _text("rule", 64), _text("text", 255), _number("severity"), _text("src_ip", 45),
        _text("dst_ip", 45), _number("dst_port"), _number("peers"), _text("sensors"), _number("count"),
        _number("first_event"), _number("last_event"), _number("first_time", True), _number("last_time", True),
        _number("raised", True), _number("status"), _number("autocat"), _text("owner", 64), _number("version"),
        _text("changed_by", 64), _number("changed_at", True), _text("comment"), _flag("late"), _number("parent"),
    )  # fmt: skip
    op.create_index("queue_rows_by_rule", "queue_rows", ["rule", "src_ip", "status"])
    op.create_index("queue_rows_by_status", "queue_rows", ["status", "raised", "id"])
    op.create_table(
        "queue_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(80), nullable=False, unique=True),
        sa.Column("row_id", sa.Integer(), sa.ForeignKey("queue_rows.id"), nullable=False),
        _number("time", True), _number("sensor"), _text("src_ip", 45), _number("src_port"), _text("dst_ip", 45),
        _number("dst_port"), _number("proto"), _text("ident", 20), _flag("late"),
        _number("alert", True),
    )  # fmt: skip
    op.create_index("queue_events_by_row", "queue_events", ["row_id", "dst_ip"])
    op.create_table(
        "queue_actions",
        sa.Column("id", sa.Integer(), primary_key=True),
        _number("time", True), _text("user", 64), _text("action", 16),
        sa.Column("row_id", sa.Integer(), sa.ForeignKey("queue_rows.id"), nullable=False),
        _number("first_event"), _number("last_event"), _number("count"), _number("before"), _number("status"),
        _text("owner_before", 64), _text("owner", 64), _text("comment"), _number("undoes"),
    )  # fmt: skip
    op.create_index("ix_queue_actions_row_id", "queue_actions", ["row_id"])
    op.create_table(
        "autocats",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("rule", 64), _text("src", 64), _text("dst", 64), _text("sensor", 64), _number("status"),
        _text("comment"), _text("owner", 64), _number("created", True), _number("expires", True), _flag("removed"),
        _number("hits"),
    )  # fmt: skip
    op.create_table("queue_cursor", sa.Column("id", sa.Integer(), primary_key=True), _number("stored", True))
    op.create_table(
        "watches",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("name", 255), _text("text"), _number("severity"), _text("comment"), _flag("notify"), _text("owner", 64),
        _number("created", True), _number("expires", True), _flag("paused"), _flag("removed"), _flag("looked_back"),
        _number("matches"), _number("last_match", True), _text("problem"),
    )  # fmt: skip
