"""Rows of cases as messages, and what every change of a case has in common."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from afterfact_protocol.codec import WireError, encode
from afterfact_protocol.messages import (
    Belief,
    CaseInfo,
    CaseItem,
    CaseStatus,
    CaseStep,
    CaseTold,
    Confidence,
    StepRun,
    StepState,
)
from afterfact_protocol.statustext import age_text
from afterfact_server.registry.case_tables import CaseRow, ChangeRow, ItemRow, StepRow

MOST_BYTES = 600_000
"""Of a case as it is told, for people to add to it: it must fit into a message, with what re-runs add."""
UNSETTLED = ("changed", "reopened")
SHOWN = 80
"""Characters of a text in a line of the history."""
WITHOUT_ROWS = (
    defer(StepRow.answer), defer(StepRow.evidence), defer(StepRow.run_answer), defer(StepRow.run_evidence),
)  # fmt: skip
"""Steps are told without the rows that they keep, which are large."""


class CaseRefusal(ValueError):
    """What is asked of a case cannot be done; one line for a person."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A case after a change."""

    case: CaseInfo
    what: str
    number: int = 0
    """Of the step or item."""
    alert: bool = False


def case_row(session: Session, number: int) -> CaseRow:
    row = session.get(CaseRow, number)
    if row is None:
        raise CaseRefusal(f"there is no case {number}; see: afterfact case list")
    return row


def open_case(session: Session, number: int) -> CaseRow:
    """CaseRefusal for one that is closed, too."""
    row = case_row(session, number)
    if row.status != "open":
        raise CaseRefusal(f"case {number} is closed (by {row.changed_by}): reopen it first")
    return row


def noted(
    session: Session, row: CaseRow, user: str, now: int, what: str, number: int = 0, before: str = "",
    alert: bool = False,
) -> Changed:  # fmt: skip
    """Enter a change in the history; the case after it. CaseRefusal if it would no longer fit into a message."""
    session.add(ChangeRow(case_id=row.id, time=now, user=user, what=what[:4000], before=before[:20_000]))
    row.changed_by, row.changed = user or row.changed_by, now
    session.flush()
    try:
        size = len(encode(told_of(session, row, 0)))
    except WireError:
        size = MOST_BYTES + 1
    if size > MOST_BYTES and user:
        raise CaseRefusal(f"case {row.id} is full: its texts and queries may hold {MOST_BYTES:,} bytes; begin another")
    return Changed(info_of(row, counted(session, row.id)), what, number, alert)


def quicker(what: str, user: str, at: int, now: int, shown: str) -> str:
    """That somebody else changed it first."""
    return f"{user} changed {what} {age_text(now - at)} ago: {shown}; nothing of yours was saved, look at it first"[
        :1000
    ]


def short(text: str) -> str:
    """A text in a line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


Counts = tuple[dict[int, int], dict[int, int], dict[int, int]]
"""Steps, unsettled steps, open questions, by case."""


def counted(session: Session, case: int | None = None) -> Counts:
    steps = select(StepRow.case_id, func.count()).group_by(StepRow.case_id)
    open_ = steps.where(StepRow.state.in_(UNSETTLED))
    asked = select(ItemRow.case_id, func.count()).group_by(ItemRow.case_id)
    asked = asked.where(ItemRow.kind == "question", ItemRow.answer == "", ~ItemRow.removed)
    if case is not None:
        steps, open_, asked = (
            steps.where(StepRow.case_id == case), open_.where(StepRow.case_id == case),
            asked.where(ItemRow.case_id == case),
        )  # fmt: skip
    first, second, third = (dict(session.execute(each).tuples().all()) for each in (steps, open_, asked))
    return first, second, third


def info_of(row: CaseRow, counts: Counts) -> CaseInfo:
    steps, reopened, questions = (each.get(row.id, 0) for each in counts)
    return CaseInfo(
        row.id, row.title, row.owner, cast(CaseStatus, row.status), row.conclusion, row.made_by, row.made, row.version,
        row.changed_by, row.changed, steps, reopened, questions, row.origin,
    )  # fmt: skip


def told_of(session: Session, row: CaseRow, request: int) -> CaseTold:
    items = session.scalars(select(ItemRow).where(ItemRow.case_id == row.id, ~ItemRow.removed).order_by(ItemRow.id))
    return CaseTold(request, info_of(row, counted(session, row.id)), steps_of(session, row.id), _items(items.all()))


def _items(rows: Sequence[ItemRow]) -> tuple[CaseItem, ...]:
    return tuple(
        CaseItem(
            row.id, row.kind, row.text, cast(Belief, row.belief), cast(Confidence, row.confidence),  # type: ignore[arg-type]
            tuple(map(int, row.steps.split())), row.answer, row.version, row.made_by, row.made, row.changed_by,
            row.changed,
        )
        for row in rows
    )  # fmt: skip


def steps_of(session: Session, case: int) -> tuple[CaseStep, ...]:
    """A case's steps, in order."""
    asked = select(StepRow).where(StepRow.case_id == case).order_by(StepRow.number).options(*WITHOUT_ROWS)
    return tuple(map(told_step, session.scalars(asked)))


def told_step(row: StepRow) -> CaseStep:
    told = json.loads(row.told)
    for name in ("exclusions", "sets", "notes"):
        told[name] = tuple(told.get(name, ()))
    run = StepRun(**json.loads(row.run)) if row.run else None
    return CaseStep(**told, number=row.number, why=row.why, version=row.version, negative=row.negative,
                    state=cast(StepState, row.state), run=run)  # fmt: skip
