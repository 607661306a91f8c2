"""Cases in the relational store: what people write into them. Steps with their evidence are case_steps.py's.

Whoever changes something says which version of it he saw; if somebody was quicker he is refused, and told who. Every
change is one transaction, durable when it returns, and one line of the case's history.
"""

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from afterfact_protocol.messages import (
    MAX_CASES_TOLD,
    MAX_CHANGES_TOLD,
    MAX_ITEMS,
    CaseChange,
    CaseInfo,
    CaseItem,
    CaseTold,
    ChangeCase,
    PutItem,
)
from afterfact_server.registry.case_rows import (
    CaseRefusal,
    Changed,
    case_row,
    counted,
    info_of,
    noted,
    open_case,
    quicker,
    short,
    told_of,
)
from afterfact_server.registry.case_tables import CaseRow, ChangeRow, ItemRow, StepRow
from afterfact_server.registry.database import transaction

LISTED_BYTES = 768 * 1024


class CasesTable:
    """Safe from several threads. RegistryError if the database fails; then nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cases(self, status: str) -> tuple[list[CaseInfo], int]:
        """Cases, those changed last first, as many as a message holds; how many there are beyond."""
        with transaction(self._engine) as session:
            asked = select(CaseRow).order_by(CaseRow.changed.desc(), CaseRow.id.desc())
            if status != "all":
                asked = asked.where(CaseRow.status == status)
            rows = session.scalars(asked).all()
            counts = counted(session)
            told, left = [], LISTED_BYTES
            for row in rows[:MAX_CASES_TOLD]:
                left -= 4 * (len(row.title) + len(row.conclusion) + len(row.origin)) + 300
                if left < 0:
                    break
                told.append(info_of(row, counts))
        return told, len(rows) - len(told)

    def case(self, request: int, number: int) -> CaseTold:
        """All of a case. CaseRefusal if there is none."""
        with transaction(self._engine) as session:
            return told_of(session, case_row(session, number), request)

    def history(self, number: int) -> tuple[CaseChange, ...]:
        """The newest changes, newest first, as many as a message holds."""
        with transaction(self._engine) as session:
            case_row(session, number)
            rows = session.scalars(
                select(ChangeRow).where(ChangeRow.case_id == number).order_by(ChangeRow.id.desc())
                .limit(MAX_CHANGES_TOLD)
            )  # fmt: skip
            told, left = [], LISTED_BYTES
            for row in rows:
                left -= 4 * (len(row.what) + len(row.before)) + 200
                if left < 0:
                    break
                told.append(CaseChange(row.time, row.user, row.what, row.before))
        return tuple(told)

    def make(self, title: str, user: str, now: int) -> Changed:
        """A new case, owned by who makes it."""
        title = " ".join(title.split())
        if not title:
            raise CaseRefusal("a case needs a title")
        with transaction(self._engine) as session:
            row = CaseRow(title=title, owner=user, status="open", conclusion="", made_by=user, made=now, version=1,
                          version_by=user, version_at=now, changed_by=user, changed=now, origin="")  # fmt: skip
            session.add(row)
            session.flush()
            return noted(session, row, user, now, f"made case {row.id}: {title}")

    def change(self, message: ChangeCase, user: str, now: int) -> Changed:
        """Another title, owner, status, conclusion. CaseRefusal for what cannot be, or if somebody was quicker."""
        title = " ".join(message.title.split())
        if not title:
            raise CaseRefusal("a case needs a title")
        if message.status == "closed" and not message.conclusion.strip():
            raise CaseRefusal("a case is closed with a conclusion: say what came of it")
        with transaction(self._engine) as session:
            row = case_row(session, message.number)
            if row.version != message.version:
                shown = f"it is called {row.title}, owned by {row.owner or 'nobody'}, {row.status}"
                raise CaseRefusal(quicker(f"case {row.id}", row.version_by, row.version_at, now, shown))
            said = []
            if row.title != title:
                said.append(f"title {title} (was {row.title})")
            if row.owner != message.owner:
                said.append(f"owner {message.owner or 'nobody'} (was {row.owner or 'nobody'})")
            if row.status != message.status:
                said.append("closed" if message.status == "closed" else "reopened")
            before = row.conclusion if row.conclusion != message.conclusion else ""
            if row.conclusion != message.conclusion:
                said.append(f"conclusion: {short(message.conclusion)}")
            if not said:
                return Changed(info_of(row, counted(session, row.id)), "")
            row.title, row.owner, row.status, row.conclusion = title, message.owner, message.status, message.conclusion
            row.version += 1
            row.version_by, row.version_at = user, now
            return noted(session, row, user, now, "; ".join(said), before=before)

    def put_item(self, message: PutItem, user: str, now: int) -> Changed:
        """A new note, hypothesis or question, or another text of one, or none any more."""
        item = message.item
        if not item.text.strip() and not message.remove:
            raise CaseRefusal(f"a {item.kind} needs a text")
        with transaction(self._engine) as session:
            case = open_case(session, message.case)
            self._check_steps(session, item, case.id, user, now)
            if not item.number:
                count = session.scalar(select(func.count()).where(ItemRow.case_id == case.id, ~ItemRow.removed)) or 0
                if count >= MAX_ITEMS:
                    raise CaseRefusal(f"a case holds at most {MAX_ITEMS} notes, hypotheses and questions")
                row = ItemRow(case_id=case.id, kind=item.kind, version=0, made_by=user, made=now, removed=False)
                session.add(row)
                before, verb = "", "added"
            else:
                found = session.get(ItemRow, item.number)
                if found is None or found.case_id != case.id or found.kind != item.kind:
                    raise CaseRefusal(f"there is no {item.kind} {item.number} in case {case.id}")
                row = found
                if row.version != item.version or row.removed:
                    shown = "it is removed" if row.removed else f"it says: {short(row.text)}"
                    raise CaseRefusal(quicker(f"{item.kind} {row.id}", row.changed_by, row.changed, now, shown))
                changed = row.text != item.text or row.answer != item.answer
                before = f"{row.text}\n{row.answer}".rstrip() if changed or message.remove else ""
                verb = "removed" if message.remove else "changed"
            if message.remove:
                row.removed = True
            else:
                row.text, row.belief, row.confidence, row.answer = item.text, item.belief, item.confidence, item.answer
                row.steps = " ".join(map(str, sorted(set(item.steps))))
            row.version += 1
            row.changed_by, row.changed = user, now
            session.flush()
            what = f"{item.kind} {row.id} {verb}: {_said(item)}"
            return noted(session, case, user, now, what, row.id, before)

    @staticmethod
    def _check_steps(session: Session, item: CaseItem, case: int, user: str, now: int) -> None:
        """The steps that a belief rests on must be there; those that rule something out are negatives from now on."""
        if item.kind != "hypothesis":
            return
        if item.belief == "ruled out" and not item.steps:
            raise CaseRefusal("name the step that rules it out: its query, and what was watched then, are the reason")
        for number in set(item.steps):
            step = session.scalar(select(StepRow).where(StepRow.case_id == case, StepRow.number == number))
            if step is None:
                raise CaseRefusal(f"there is no step {number} in case {case}")
            if item.belief == "ruled out" and not step.negative:
                step.negative, step.version, step.changed_by, step.changed = True, step.version + 1, user, now


def _said(item: CaseItem) -> str:
    if item.kind == "hypothesis":
        by = f" by step{'s' * (len(item.steps) > 1)} {', '.join(map(str, item.steps))}" if item.steps else ""
        return f"{short(item.text)} ({item.belief}{by}, confidence {item.confidence})"
    if item.kind == "question" and item.answer:
        return f"{short(item.text)} ({short(item.answer)})"
    return short(item.text)
