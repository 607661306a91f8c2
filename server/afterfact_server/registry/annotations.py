"""Annotations in the relational store: what is said of hosts, ports and sessions, wherever these show."""

from ipaddress import ip_address
from typing import Literal, cast

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from afterfact_protocol.messages import MAX_ANNOTATIONS, Annotation, PutAnnotation
from afterfact_server.registry.case_rows import CaseRefusal, case_row, quicker, short
from afterfact_server.registry.case_tables import AnnotationRow
from afterfact_server.registry.database import transaction

TOLD_BYTES = 800 * 1024


class AnnotationsTable:
    """Safe from several threads. RegistryError if the database fails; then nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[list[Annotation], int]:
        """Those that changed last first, as many as a message holds; how many there are beyond."""
        with transaction(self._engine) as session:
            rows = session.scalars(
                select(AnnotationRow).where(~AnnotationRow.removed).order_by(AnnotationRow.changed.desc())
            ).all()
            told, left = [], TOLD_BYTES
            for row in rows[:MAX_ANNOTATIONS]:
                left -= 4 * len(row.text) + len(row.subject) + 250
                if left < 0:
                    break
                told.append(_told(row))
        return told, len(rows) - len(told)

    def put(self, message: PutAnnotation, user: str, now: int) -> Annotation:
        """A new one, another text of one, or none any more. CaseRefusal for what cannot be, or if somebody was
        quicker."""
        wanted = message.annotation
        text = " ".join(wanted.text.split())
        if not text and not message.remove:
            raise CaseRefusal("an annotation needs a text")
        with transaction(self._engine) as session:
            if wanted.case:
                case_row(session, wanted.case)
            row = self._standing(session, wanted, now) if wanted.number else self._new(session, wanted, user, now)
            if message.remove:
                row.removed = True
            else:
                row.text, row.case_number = text, wanted.case
            row.version += 1
            row.changed_by, row.changed = user, now
            session.flush()
            return _told(row)

    @staticmethod
    def _standing(session: Session, wanted: Annotation, now: int) -> AnnotationRow:
        row = session.get(AnnotationRow, wanted.number)
        if row is None:
            raise CaseRefusal(f"there is no annotation {wanted.number}")
        if row.version != wanted.version or row.removed:
            shown = "it is removed" if row.removed else f"it says: {short(row.text)}"
            raise CaseRefusal(quicker(f"annotation {row.id}", row.changed_by, row.changed, now, shown))
        return row

    @staticmethod
    def _new(session: Session, wanted: Annotation, user: str, now: int) -> AnnotationRow:
        count = session.scalar(select(func.count()).where(~AnnotationRow.removed)) or 0
        if count >= MAX_ANNOTATIONS:
            raise CaseRefusal(f"there are {MAX_ANNOTATIONS:,} annotations: remove some first")
        row = AnnotationRow(
            kind=wanted.kind, subject=standard(wanted.kind, wanted.subject), version=0, made_by=user, made=now,
            removed=False,
        )  # fmt: skip
        session.add(row)
        return row


def standard(kind: str, subject: str) -> str:
    """The standard spelling of what is annotated. CaseRefusal for what is no such thing."""
    subject = subject.strip()
    if kind == "host":
        try:
            address = ip_address(subject)
        except ValueError:
            raise CaseRefusal(f"{subject!a:.60} is no address") from None
        mapped = getattr(address, "ipv4_mapped", None)
        return str(mapped or address)
    if kind == "port":
        if not (subject.isascii() and subject.isdigit() and int(subject) < 65536):
            raise CaseRefusal(f"{subject!a:.60} is no port: a number up to 65535")
        return str(int(subject))
    sensor, *numbers = subject.rsplit("/", 2)
    if len(numbers) != 2 or not sensor or not all(part.lstrip("-").isascii() and part.lstrip("-").isdigit()
                                                  for part in numbers):  # fmt: skip
        raise CaseRefusal(f"{subject!a:.80} is no session: SENSOR/START/SESSION_ID, START in microseconds since 1970")
    return subject


def _told(row: AnnotationRow) -> Annotation:
    kind = cast(Literal["host", "port", "session"], row.kind)
    return Annotation(row.id, kind, row.subject, row.text, row.case_number, row.version, row.made_by, row.made,
                      row.changed_by, row.changed)  # fmt: skip
