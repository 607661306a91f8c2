"""Tables of the queue: its events, the rows that they are folded into, what was done. Times are microseconds since 1970
UTC. Events and actions are never changed, but for the row that an event is in.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from afterfact_server.registry.tables import Base

ALERTS, WATCHED = 1, 2


class QueuedRow(Base):
    """See messages.QueueRow."""

    __tablename__ = "queue_rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(8))
    rule: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(String(255))
    severity: Mapped[int]
    src_ip: Mapped[str] = mapped_column(String(45))
    dst_ip: Mapped[str] = mapped_column(String(45))
    dst_port: Mapped[int]
    peers: Mapped[int]
    sensors: Mapped[str] = mapped_column(Text())
    """Numbers, apart by blanks, in order."""
    count: Mapped[int]
    first_event: Mapped[int]
    last_event: Mapped[int]
    first_time: Mapped[int] = mapped_column(BigInteger())
    last_time: Mapped[int] = mapped_column(BigInteger())
    raised: Mapped[int] = mapped_column(BigInteger())
    status: Mapped[int]
    autocat: Mapped[int]
    """The rule that disposed of it; 0: none."""
    owner: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    changed_by: Mapped[str] = mapped_column(String(64))
    changed_at: Mapped[int] = mapped_column(BigInteger())
    comment: Mapped[str] = mapped_column(Text())
    late: Mapped[bool]
    parent: Mapped[int]
    """The row that its first events were in before; 0: none."""

    __table_args__ = (
        Index("queue_rows_by_rule", "rule", "src_ip", "status"),
        Index("queue_rows_by_status", "status", "raised", "id"),
    )


class QueuedEvent(Base):
    """See messages.QueueEvent."""

    __tablename__ = "queue_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    """What makes it one event: of an alert its key in the store, of a match the watch and the session's key."""
    row_id: Mapped[int] = mapped_column(ForeignKey("queue_rows.id"))
    time: Mapped[int] = mapped_column(BigInteger())
    sensor: Mapped[int]
    src_ip: Mapped[str] = mapped_column(String(45))
    src_port: Mapped[int]
    dst_ip: Mapped[str] = mapped_column(String(45))
    dst_port: Mapped[int]
    proto: Mapped[int]
    ident: Mapped[str] = mapped_column(String(20))
    """64 bits without a sign, in decimal."""
    late: Mapped[bool]
    alert: Mapped[int] = mapped_column(BigInteger())
    """Its number in the store; 0 of a session."""

    __table_args__ = (Index("queue_events_by_row", "row_id", "dst_ip"),)


class QueuedAction(Base):
    """See messages.QueueAction."""

    __tablename__ = "queue_actions"

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[int] = mapped_column(BigInteger())
    user: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(16))
    row_id: Mapped[int] = mapped_column(ForeignKey("queue_rows.id"), index=True)
    first_event: Mapped[int]
    last_event: Mapped[int]
    """It was done with the row's events from one to the other."""
    count: Mapped[int]
    before: Mapped[int]
    status: Mapped[int]
    owner_before: Mapped[str] = mapped_column(String(64))
    owner: Mapped[str] = mapped_column(String(64))
    comment: Mapped[str] = mapped_column(Text())
    undoes: Mapped[int]


class AutocatRule(Base):
    """See messages.Autocat."""

    __tablename__ = "autocats"

    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(String(64))
    src: Mapped[str] = mapped_column(String(64))
    dst: Mapped[str] = mapped_column(String(64))
    sensor: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    comment: Mapped[str] = mapped_column(Text())
    owner: Mapped[str] = mapped_column(String(64))
    created: Mapped[int] = mapped_column(BigInteger())
    expires: Mapped[int] = mapped_column(BigInteger())
    removed: Mapped[bool]
    hits: Mapped[int]


class WatchRow(Base):
    """See messages.QueryWatch."""

    __tablename__ = "watches"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text())
    severity: Mapped[int]
    comment: Mapped[str] = mapped_column(Text())
    notify: Mapped[bool]
    owner: Mapped[str] = mapped_column(String(64))
    created: Mapped[int] = mapped_column(BigInteger())
    expires: Mapped[int] = mapped_column(BigInteger())
    paused: Mapped[bool]
    removed: Mapped[bool]
    looked_back: Mapped[bool]
    """Whether it is through with what was stored already."""
    matches: Mapped[int]
    last_match: Mapped[int] = mapped_column(BigInteger())
    problem: Mapped[str] = mapped_column(Text())


class QueueCursor(Base):
    """How far what was stored has come: the ingest time of the alerts that were last taken in (ALERTS), and of the
    sessions that watches last looked at (WATCHED)."""

    __tablename__ = "queue_cursor"

    id: Mapped[int] = mapped_column(primary_key=True)
    stored: Mapped[int] = mapped_column(BigInteger())
