"""Cases: their steps with evidence, notes, hypotheses and questions, and who changed what."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _text(name: str, size: int | None = None) -> "sa.Column[str]":
    return sa.Column(name, sa.String(size) if size else sa.Text(), nullable=False)


def _number(name: str, big: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger() if big else sa.Integer(), nullable=False)


def _flag(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False)


def _bytes(name: str) -> "sa.Column[bytes]":
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _case() -> "sa.Column[int]":
    return sa.Column("case_id", sa.Integer(), sa.ForeignKey("cases.id"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("title", 255), _text("owner", 64), _text("status", 16), _text("conclusion"), _text("made_by", 64),
        _number("made", True), _number("version"), _text("version_by", 64), _number("version_at", True),
        _text("changed_by", 64), _number("changed", True), _text("origin"),
    )  # fmt: skip
    op.create_index("ix_cases_changed", "cases", ["changed"])
    op.create_table(
        "case_steps",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case(), _number("number"), _text("told"), _text("why"), _number("version"), _text("changed_by", 64),
        _number("changed", True), _flag("negative"), _text("state", 16), _text("left_out"), _text("set_versions"),
        _bytes("answer"), _bytes("evidence"), _text("watched"), _text("run"), _bytes("run_answer"),
        _bytes("run_evidence"),
        sa.UniqueConstraint("case_id", "number"),
    )  # fmt: skip
    op.create_table(
        "case_items",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case(), _text("kind", 16), _text("text"), _text("belief", 16), _text("confidence", 16), _text("steps"),
        _text("answer"), _number("version"), _text("made_by", 64), _number("made", True), _text("changed_by", 64),
        _number("changed", True), _flag("removed"),
    )  # fmt: skip
    op.create_index("ix_case_items_case_id", "case_items", ["case_id"])
    op.create_table(
        "case_changes",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case(), _number("time", True), _text("user", 64), _text("what"), _text("before"),
    )  # fmt: skip
    op.create_index("ix_case_changes_case_id", "case_changes", ["case_id"])
