"""Steps of cases in the relational store: what a query found, its evidence as it was, and what a re-run found.

Rows are kept packed with the ANSWER that describes them, so they can be shown when the store has them no more, or never
had, of an imported case.
"""

import json
import zlib
from dataclasses import asdict, dataclass, field, replace

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from afterfact_protocol.codec import decode, encode
from afterfact_protocol.messages import (
    MAX_STEPS,
    Answer,
    CaseStep,
    ChangeStep,
    ExclusionInfo,
    StepRun,
    StepState,
)
from afterfact_protocol.records import Records, from_bytes
from afterfact_protocol.session import ROW
from afterfact_server.registry.case_rows import (
    WITHOUT_ROWS,
    CaseRefusal,
    Changed,
    case_row,
    noted,
    open_case,
    quicker,
    short,
    told_step,
)
from afterfact_server.registry.case_tables import StepRow
from afterfact_server.registry.database import transaction

_BESIDE = ("number", "why", "version", "negative", "state", "run")
"""Fields of CASE_STEP that have a column of their own."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What was watched of the time that a step asks about, from `first` (microseconds; 0 without a bound) on, when it
    was last asked: by sensor the seconds, and whether all of them must have been told; see cases/negatives.py."""

    first: int = 0
    sensors: dict[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Watched":
        kept = json.loads(text)
        return cls(kept["first"], {name: (one[0], one[1]) for name, one in kept["sensors"].items()})


@dataclass(frozen=True, slots=True)
class Kept:
    """What a query found, as it is kept."""

    answer: Answer
    rows: Records
    """ROWs: the first of what it found."""
    left_out: tuple[ExclusionInfo, ...]
    set_versions: dict[str, int]
    watched: Watched


@dataclass(frozen=True, slots=True)
class Stored:
    """A step as it is asked again."""

    case: int
    number: int
    told: CaseStep
    left_out: tuple[ExclusionInfo, ...]
    set_versions: dict[str, int] = field(default_factory=dict)
    watched: Watched = Watched()
    closed: bool = False
    imported: bool = False


class StepsTable:
    """Safe from several threads. RegistryError if the database fails; then nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check(self, case: int) -> None:
        """CaseRefusal if a step cannot be added: said before a query is asked."""
        with transaction(self._engine) as session:
            open_case(session, case)
            if (session.scalar(select(func.count()).where(StepRow.case_id == case)) or 0) >= MAX_STEPS:
                raise CaseRefusal(f"a case holds at most {MAX_STEPS} steps; begin another")

    def add(self, case: int, step: CaseStep, kept: Kept, user: str, now: int) -> Changed:
        """A new last step; its number is given here."""
        with transaction(self._engine) as session:
            row = open_case(session, case)
            number = (session.scalar(select(func.max(StepRow.number)).where(StepRow.case_id == case)) or 0) + 1
            session.add(step_row(case, replace(step, number=number), kept))
            what = f"step {number}: {short(step.text) or 'all sessions'}: {step.rows:,} rows"
            return noted(session, row, user, now, what, number)

    def change(self, message: ChangeStep, user: str, now: int) -> Changed:
        """Another reason, whether it is a negative, whether what a re-run found was looked at."""
        with transaction(self._engine) as session:
            case = open_case(session, message.case)
            row = _row(session, message.case, message.step)
            if row.version != message.version:
                shown = f"its reason: {short(row.why)}" + (f"; {row.state}" if row.state else "")
                raise CaseRefusal(
                    quicker(f"step {row.number}", row.changed_by or "the server", row.changed, now, shown)
                )
            said = [f"reason: {short(message.why)}"] if row.why != message.why else []
            before = row.why if row.why != message.why else ""
            if row.negative != message.negative:
                said.append("a negative" if message.negative else "no negative any more")
            if message.settled and row.state:
                said.append("what the re-run found was looked at")
                row.state = "settled"
            row.why, row.negative = message.why, message.negative
            row.version += 1
            row.changed_by, row.changed = user, now
            what = f"step {row.number}: {'; '.join(said) or 'unchanged'}"
            return noted(session, case, user, now, what, row.number, before)

    def stored(self, case: int, number: int) -> Stored:
        """A step to be asked again. CaseRefusal if there is none."""
        with transaction(self._engine) as session:
            return _stored(session, _row(session, case, number))

    def negatives(self) -> list[Stored]:
        """Negatives that hold as far as is known, of cases that were made here, closed ones too: a conclusion rests on
        them."""
        with transaction(self._engine) as session:
            rows = session.scalars(
                select(StepRow).where(StepRow.negative, StepRow.state.in_(("", "settled"))).options(*WITHOUT_ROWS)
            )
            found = [_stored(session, row) for row in rows]
        return [each for each in found if not each.imported]

    def ran(self, case: int, number: int, run: StepRun, kept: Kept, state: StepState, now: int) -> Changed:
        """Enter what a re-run found. state: of the step from now on, unless that is empty."""
        with transaction(self._engine) as session:
            found = case_row(session, case)
            row = _row(session, case, number)
            row.run = json.dumps(asdict(run))
            row.run_answer, row.run_evidence = packed_rows(kept.answer, kept.rows)
            row.watched = kept.watched.to_json()
            if state:
                row.state, row.version = state, row.version + 1
                row.changed_by, row.changed = run.by, now
            what = f"step {number} asked again: {run_words(run)}"
            alert = state == "reopened"
            if alert:
                what = f"step {number} no longer holds: {run_words(run)}"
            return noted(session, found, run.by, now, what, number, alert=alert)

    def evidence(self, case: int, number: int, again: bool) -> tuple[CaseStep, Answer, Records]:
        """A step, what its query was answered by when it was asked, or asked again, and the rows that are kept of
        it. CaseRefusal if there is no such step, or it was not asked again."""
        with transaction(self._engine) as session:
            row = _row(session, case, number)
            if again and not row.run:
                raise CaseRefusal(f"step {number} of case {case} was not asked again yet")
            answer, rows = (
                unpacked_rows(row.run_answer, row.run_evidence) if again else unpacked_rows(row.answer, row.evidence)
            )
            return told_step(row), answer, rows


def run_words(run: StepRun) -> str:
    """What a re-run found, in a line."""
    parts = [f"{count:,} {what}" for count, what in ((run.new, "new"), (run.gone, "gone"), (run.changed, "changed"))
             if count]  # fmt: skip
    return f"{run.rows:,} rows, {', '.join(parts) or 'nothing else than then'}"


def step_row(case: int, step: CaseStep, kept: Kept) -> StepRow:
    told = {name: value for name, value in asdict(step).items() if name not in _BESIDE}
    answer, evidence = packed_rows(kept.answer, kept.rows)
    return StepRow(
        case_id=case, number=step.number, told=json.dumps(told), why=step.why, version=1, changed_by=step.by,
        changed=step.made, negative=step.negative, state="",
        left_out=json.dumps([asdict(one) for one in kept.left_out]), set_versions=json.dumps(kept.set_versions),
        answer=answer, evidence=evidence, watched=kept.watched.to_json(), run="", run_answer=b"", run_evidence=b"",
    )  # fmt: skip


def packed_rows(answer: Answer, rows: Records) -> tuple[bytes, bytes]:
    """Answer and rows as they are kept."""
    return zlib.compress(encode(answer), 6), zlib.compress(rows.tobytes(), 6)


def unpacked_rows(answer: bytes, rows: bytes) -> tuple[Answer, Records]:
    """The same back, in the layout of this program."""
    told = decode(zlib.decompress(answer))
    assert isinstance(told, Answer), "nothing else is kept"
    return told, from_bytes(told.columns, zlib.decompress(rows), ROW)


def _row(session: Session, case: int, number: int) -> StepRow:
    row = session.scalar(select(StepRow).where(StepRow.case_id == case, StepRow.number == number))
    if row is None:
        case_row(session, case)
        raise CaseRefusal(f"there is no step {number} in case {case}")
    return row


def _stored(session: Session, row: StepRow) -> Stored:
    case = case_row(session, row.case_id)
    left_out = tuple(ExclusionInfo(**one) for one in json.loads(row.left_out))
    return Stored(row.case_id, row.number, told_step(row), left_out, json.loads(row.set_versions),
                  Watched.from_json(row.watched), case.status == "closed", bool(case.origin))  # fmt: skip
