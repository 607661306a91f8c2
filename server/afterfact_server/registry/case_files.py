"""Cases to files and back: see the protocol's casefile.py. An imported case keeps who wrote what and when; it is a new
case here, owned by who imported it, and its rows are not in this store: so its steps are asked again by hand only.
"""

import json
from dataclasses import asdict

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from afterfact_protocol.casefile import MAX_CASE_FILE, FiledCase, FiledStep, packed_parts, unpacked
from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import CaseChange, ExclusionInfo
from afterfact_protocol.statustext import time_text
from afterfact_server.registry.case_rows import CaseRefusal, Changed, case_row, noted, told_of, told_step
from afterfact_server.registry.case_steps import Kept, Watched, packed_rows, step_row
from afterfact_server.registry.case_tables import CaseRow, ChangeRow, ItemRow, StepRow
from afterfact_server.registry.database import transaction


class CaseFiles:
    """`name` is what this server calls itself in a file. RegistryError if the database fails."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def export(self, number: int, user: str, now: int) -> bytes:
        """A case's file. CaseRefusal if there is none, or it is too large."""
        with transaction(self._engine) as session:
            told = told_of(session, case_row(session, number), 0)
            rows = session.scalars(select(StepRow).where(StepRow.case_id == number).order_by(StepRow.number))
            steps, parts, size = [], [], 0
            for row in rows:  # as they lie in the registry: nothing is unpacked
                again = (row.run_answer, row.run_evidence) if row.run else None
                parts.append(((row.answer, row.evidence), again))
                steps.append(_filed(row))
                size += sum(map(len, (row.answer, row.evidence, row.run_answer, row.run_evidence)))
                if size > MAX_CASE_FILE:
                    raise CaseRefusal(f"the case's evidence is more than a file holds, {MAX_CASE_FILE:,} bytes")
            changes = session.scalars(select(ChangeRow).where(ChangeRow.case_id == number).order_by(ChangeRow.id))
            history = tuple(CaseChange(row.time, row.user, row.what, row.before) for row in changes)
        try:
            return packed_parts(FiledCase(self._name, user, now, told.case, tuple(steps), told.items, history), parts)
        except WireError as error:
            raise CaseRefusal(str(error)) from None

    def take_in(self, data: bytes, user: str, now: int) -> Changed:
        """A new case of a file. CaseRefusal for what is none."""
        try:
            filed = unpacked(data)
        except WireError as error:
            raise CaseRefusal(str(error)) from None
        of = filed.case
        whence = f"case {of.number} of {filed.server or 'another server'}, made by {of.by} {time_text(of.made)} UTC"
        origin = f"{whence}, exported by {filed.by} {time_text(filed.exported)} UTC"
        if of.origin:
            origin += f"; that was {of.origin}"
        with transaction(self._engine) as session:
            row = CaseRow(
                title=of.title, owner=user, status=of.status, conclusion=of.conclusion, made_by=of.by, made=of.made,
                version=1, version_by=user, version_at=now, changed_by=user, changed=now, origin=origin[:2000],
            )  # fmt: skip
            session.add(row)
            session.flush()
            _enter(session, row.id, filed)
            return noted(session, row, user, now, f"imported as case {row.id}: {origin[:1500]}")


def _filed(row: StepRow) -> FiledStep:
    """A step without its rows."""
    left_out = tuple(ExclusionInfo(**one) for one in json.loads(row.left_out))
    return FiledStep(told_step(row), left_out, json.loads(row.set_versions), None, None)


def _enter(session: Session, case: int, filed: FiledCase) -> None:
    for each in filed.steps:
        step = each.step
        assert each.then is not None, "an unpacked step has its rows"
        made = step_row(case, step, Kept(each.then.answer, each.then.rows, each.left_out, each.set_versions, Watched()))
        made.state = step.state
        if each.again is not None and step.run is not None:
            made.run = json.dumps(asdict(step.run))
            made.run_answer, made.run_evidence = packed_rows(each.again.answer, each.again.rows)
        session.add(made)
    for item in filed.items:
        session.add(
            ItemRow(
                case_id=case, kind=item.kind, text=item.text, belief=item.belief, confidence=item.confidence,
                steps=" ".join(map(str, item.steps)), answer=item.answer, version=item.version, made_by=item.by,
                made=item.made, changed_by=item.changed_by, changed=item.changed_at, removed=False,
            )
        )  # fmt: skip
    for change in filed.changes:
        session.add(ChangeRow(case_id=case, time=change.time, user=change.user, what=change.what, before=change.before))
    session.flush()
