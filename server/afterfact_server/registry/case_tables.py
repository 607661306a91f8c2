"""Tables of cases. Times are microseconds since 1970 UTC. What was found is never changed, and a change of what people
wrote leaves what was there before in case_changes.
"""

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from afterfact_server.registry.tables import Base


class CaseRow(Base):
    """See messages.CaseInfo."""

    __tablename__ = "cases"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(255))
    owner: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    conclusion: Mapped[str] = mapped_column(Text())
    made_by: Mapped[str] = mapped_column(String(64))
    made: Mapped[int] = mapped_column(BigInteger())
    version: Mapped[int]
    version_by: Mapped[str] = mapped_column(String(64))
    """Who made that version, and when."""
    version_at: Mapped[int] = mapped_column(BigInteger())
    changed_by: Mapped[str] = mapped_column(String(64))
    """Who last changed anything in it."""
    changed: Mapped[int] = mapped_column(BigInteger(), index=True)
    origin: Mapped[str] = mapped_column(Text())


class StepRow(Base):
    """See messages.CaseStep: `told` is one, as JSON, but for what can change, which stands beside it."""

    __tablename__ = "case_steps"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    number: Mapped[int]
    told: Mapped[str] = mapped_column(Text())
    why: Mapped[str] = mapped_column(Text())
    version: Mapped[int]
    changed_by: Mapped[str] = mapped_column(String(64))
    """Who made that version, and when; empty: the server."""
    changed: Mapped[int] = mapped_column(BigInteger())
    negative: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    left_out: Mapped[str] = mapped_column(Text())
    """The exclusions that acted, as JSON: a list of messages.ExclusionInfo."""
    set_versions: Mapped[str] = mapped_column(Text())
    """Of the named sets that it rested on, as JSON: versions by name."""
    answer: Mapped[bytes] = mapped_column(LargeBinary())
    """The ANSWER, encoded and compressed."""
    evidence: Mapped[bytes] = mapped_column(LargeBinary())
    """Rows as ANSWER's columns say, packed and compressed."""
    watched: Mapped[str] = mapped_column(Text())
    """What was watched of its time when it was last asked; see cases/negatives.py."""
    run: Mapped[str] = mapped_column(Text())
    """The last messages.StepRun as JSON; empty: it was not asked again."""
    run_answer: Mapped[bytes] = mapped_column(LargeBinary())
    run_evidence: Mapped[bytes] = mapped_column(LargeBinary())

    __table_args__ = (UniqueConstraint("case_id", "number"),)


class ItemRow(Base):
    """See messages.CaseItem."""

    __tablename__ = "case_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text())
    belief: Mapped[str] = mapped_column(String(16))
    confidence: Mapped[str] = mapped_column(String(16))
    steps: Mapped[str] = mapped_column(Text())
    """Numbers, apart by blanks."""
    answer: Mapped[str] = mapped_column(Text())
    version: Mapped[int]
    made_by: Mapped[str] = mapped_column(String(64))
    made: Mapped[int] = mapped_column(BigInteger())
    changed_by: Mapped[str] = mapped_column(String(64))
    changed: Mapped[int] = mapped_column(BigInteger())
    removed: Mapped[bool]


class ChangeRow(Base):
    """See messages.CaseChange."""

    __tablename__ = "case_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    time: Mapped[int] = mapped_column(BigInteger())
    user: Mapped[str] = mapped_column(String(64))
    what: Mapped[str] = mapped_column(Text())
    before: Mapped[str] = mapped_column(Text())


class AnnotationRow(Base):
    """See messages.Annotation."""

    __tablename__ = "annotations"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text())
    case_number: Mapped[int]
    version: Mapped[int]
    made_by: Mapped[str] = mapped_column(String(64))
    made: Mapped[int] = mapped_column(BigInteger())
    changed_by: Mapped[str] = mapped_column(String(64))
    changed: Mapped[int] = mapped_column(BigInteger())
    removed: Mapped[bool]
