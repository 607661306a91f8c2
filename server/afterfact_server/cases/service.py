"""Cases as the server has them: answers what is asked of them, has their queries worked on, and tells who subscribed of
every change. What is told is durable.
"""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sqlalchemy import Engine

from afterfact_protocol.casefile import MAX_CASE_FILE
from afterfact_protocol.codec import WireError
from afterfact_protocol.coveragetext import brief, complete
from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    MAX_EVIDENCE,
    AddStep,
    AnnotationChanged,
    Annotations,
    AnnotationSaved,
    Answer,
    AskAnnotations,
    AskCase,
    AskCaseFile,
    AskCaseHistory,
    AskCases,
    AskEvidence,
    CaseChanged,
    CaseFilePart,
    CaseHistory,
    Cases,
    CaseSaved,
    ChangeCase,
    ChangeStep,
    Failed,
    MakeCase,
    Message,
    Progress,
    PutAnnotation,
    PutCaseFile,
    PutItem,
    RunStep,
    StepRun,
    StepState,
)
from afterfact_protocol.records import ROW_COLUMNS, Records
from afterfact_protocol.statustext import time_text
from afterfact_server.answers import Answers
from afterfact_server.cases.comparing import compared
from afterfact_server.cases.finding import kept_of, step_of, versions
from afterfact_server.cases.negatives import Negatives, watched_of
from afterfact_server.errors import RegistryError
from afterfact_server.ingest import now_us
from afterfact_server.keeping import exclusion_of
from afterfact_server.queries import QueryService
from afterfact_server.registry.annotations import AnnotationsTable
from afterfact_server.registry.case_files import CaseFiles
from afterfact_server.registry.case_rows import CaseRefusal, Changed
from afterfact_server.registry.case_steps import StepsTable, Stored, Watched
from afterfact_server.registry.cases import CasesTable
from afterfact_server.registry.enrolment import Admission
from afterfact_server.running import Found, Running, Scope, Send, Unanswerable
from afterfact_server.store.ledger import Ledger

AGAIN_SECONDS = 600.0
"""Waited at most for a negative that is asked again by itself."""
Pin = Callable[[Records, str, str], None]
"""Pins ROWs under a label, in somebody's name; done when it returns."""


@dataclass(slots=True)
class Reader:
    """A connection, as cases know it."""

    user: str = ""
    tell: Send | None = None
    """How it is told of changes; None: it did not subscribe."""
    file: bytes = b""
    """A case's file that it is reading."""
    upload: list[bytes] = field(default_factory=list)
    """One that it sends."""


def label_of(case: int) -> str:
    """Under which a case's evidence is pinned."""
    return f"case {case}"


class CaseService:
    """`changed` is told of what the server itself changed, for the audit; `name` is the server's, for case files."""

    def __init__(
        self, database: Engine, queries: QueryService, admission: Admission, ledger: Ledger, pin: Pin,
        log: Callable[[str], None], changed: Callable[[Changed], None], name: str,
    ) -> None:  # fmt: skip
        self._files = CaseFiles(database, name)
        self._annotations = AnnotationsTable(database)
        self.table = CasesTable(database)
        self.steps = StepsTable(database)
        self._queries = queries
        self._admission = admission
        self._ledger = ledger
        self._pin = pin
        self._log = log
        self._by_server = changed
        self._lock = threading.Lock()
        self._readers: list[Reader] = []
        self._clerk = ThreadPoolExecutor(1, "cases")
        self._scope = Scope()
        self._numbers = itertools.count(1)
        self._negatives = Negatives(self.steps.negatives, self._watched_now, self._again, log)

    def start(self) -> None:
        self._negatives.start()

    def stop(self) -> None:
        """Before the queries stop: a negative that is asked again waits for its answer."""
        self._negatives.end()
        self._queries.drop(self._scope)
        self._negatives.join()
        self._clerk.shutdown(cancel_futures=True)

    # --- from the port ------------------------------------------------------------------------------------------------

    def ask(self, reader: Reader, scope: Scope, message: Message, send: Send) -> None:
        """Any message of cases."""
        match message:
            case AddStep():
                self._queries.worked(scope, message.request, send,
                                     lambda running, answers: self._add_step(running, answers, message))  # fmt: skip
            case RunStep():
                self._queries.worked(scope, message.request, send,
                                     lambda running, answers: self._run_step(running, answers, message))  # fmt: skip
            case AskEvidence():
                self._queries.hold(scope, message.request, send, lambda: self._evidence(message))
            case PutCaseFile():
                self._take(reader, message, send)
            case _:
                self._clerk.submit(self._answer, reader, message, send)

    def _take(self, reader: Reader, message: PutCaseFile, send: Send) -> None:
        """The next part of a file that is imported."""
        if not message.part:
            reader.upload.clear()
        if message.part != len(reader.upload):
            if message.last:  # one that was refused already, or out of turn
                send(Failed(message.request, "request", "the parts of the case's file did not come in order", -1, -1))
            return
        reader.upload.append(message.data)
        if sum(map(len, reader.upload)) > MAX_CASE_FILE:
            reader.upload.clear()
            send(Failed(message.request, "request", f"a case's file has at most {MAX_CASE_FILE:,} bytes", -1, -1))
        elif message.last:
            self._clerk.submit(self._answer, reader, message, send)

    def leave(self, reader: Reader) -> None:
        """The connection is gone."""
        with self._lock:
            reader.tell = None
            self._readers = [each for each in self._readers if each is not reader]

    def tell(self, changed: Changed, by: str) -> None:
        """Tell who subscribed, and whoever looks after negatives; from any thread."""
        if not changed.what:
            return
        self._negatives.changed()
        self._tell(CaseChanged(changed.case, changed.what[:4000], by, changed.alert))

    def _tell(self, news: Message) -> None:
        with self._lock:
            tells = [reader.tell for reader in self._readers if reader.tell is not None]
        for tell in tells:
            with suppress(WireError):
                tell(news)

    # --- on the clerk's thread ----------------------------------------------------------------------------------------

    def _answer(self, reader: Reader, message: Any, send: Send) -> None:
        answer: Message
        try:
            answer = self._do(reader, message, send)
        except CaseRefusal as error:
            answer = Failed(message.request, "request", str(error), -1, -1)
        except RegistryError as error:
            self._log(f"cases cannot be asked: {error}")
            answer = Failed(message.request, "store", str(error)[:500], -1, -1)
        try:
            send(answer)
        except WireError as error:
            send(Failed(message.request, "size", f"the case is too large to be sent: {error}", -1, -1))

    def _do(self, reader: Reader, message: Message, send: Send) -> Message:
        user, now = reader.user, now_us()
        match message:
            case AskCases():
                if message.subscribe:
                    self.leave(reader)
                if message.subscribe == "on":  # before they are read: what changes meanwhile is told too
                    with self._lock:
                        reader.tell = send
                        self._readers.append(reader)
                found, more = self.table.cases(message.status)
                return Cases(message.request, tuple(found), more)
            case AskCase():
                return self.table.case(message.request, message.number)
            case AskCaseHistory():
                return CaseHistory(message.request, self.table.history(message.number))
            case AskCaseFile():
                if not message.first:
                    reader.file = self._files.export(message.number, user, now)
                part = reader.file[message.first : message.first + MAX_BATCH_BYTES]
                size = len(reader.file)
                if message.first + len(part) >= size:
                    reader.file = b""
                return CaseFilePart(message.request, part, size)
            case PutCaseFile():
                data = b"".join(reader.upload)
                reader.upload.clear()
                changed = self._files.take_in(data, user, now)
            case AskAnnotations():
                said, beyond = self._annotations.all()
                return Annotations(message.request, tuple(said), beyond)
            case PutAnnotation():
                made = self._annotations.put(message, user, now)
                self._tell(AnnotationChanged(made, message.remove))
                return AnnotationSaved(message.request, made, message.remove)
            case MakeCase():
                changed = self.table.make(message.title, user, now)
            case ChangeCase():
                changed = self.table.change(message, user, now)
            case ChangeStep():
                changed = self.steps.change(message, user, now)
            case PutItem():
                changed = self.table.put_item(message, user, now)
            case _:
                raise AssertionError(message)
        self.tell(changed, user)
        return CaseSaved(message.request, changed.case, changed.number)

    # --- on workers ---------------------------------------------------------------------------------------------------

    def _add_step(self, running: Running, answers: Answers, message: AddStep) -> None:
        user = running.scope.user
        try:
            self.steps.check(message.case)
            found = answers.found(running, message.text, None, MAX_EVIDENCE, judge=True)
            step = step_of(message, found, user)
            self._pin(found.rows, label_of(message.case), user)
            kept = kept_of(found, self._watched(found))
            changed = self.steps.add(message.case, step, kept, user, found.now)
        except (CaseRefusal, RegistryError) as error:
            raise Unanswerable(str(error)) from None
        self.tell(changed, user)
        running.send(CaseSaved(message.request, changed.case, changed.number))

    def _run_step(self, running: Running, answers: Answers, message: RunStep) -> None:
        try:
            changed = self._ran(running, answers, message.case, message.step, running.scope.user)
        except (CaseRefusal, RegistryError) as error:
            raise Unanswerable(str(error)) from None
        self.tell(changed, running.scope.user)
        running.send(CaseSaved(message.request, changed.case, changed.number))

    def _ran(self, running: Running, answers: Answers, case: int, number: int, user: str) -> Changed:
        """Ask a step again, compare, and enter what it found."""
        stored = self.steps.stored(case, number)
        step = stored.told
        found = answers.found(running, step.query, [exclusion_of(one) for one in stored.left_out], MAX_EVIDENCE)
        _, _, then = self.steps.evidence(case, number, again=False)
        cut, cut_now = step.kept < step.rows, len(found.rows) < found.answer.total
        newest_first = not found.asked.order and not found.asked.once
        difference = compared(then, found.rows, cut, cut_now, newest_first)
        notes = [difference.note, *_other_sets(stored.set_versions, versions(found.answer))]
        run = StepRun(
            found.now, user, found.answer.total, found.answer.truncated, found.answer.conversations,
            found.answer.observers, len(difference.new), len(difference.gone), len(difference.changed),
            brief(found.answer), complete(found.answer), "; ".join(note for note in notes if note)[:1000],
        )  # fmt: skip
        differs = difference.differs or found.answer.total != step.rows
        if step.state == "settled" and step.run is not None:  # somebody knows of what the last run found
            _, _, last = self.steps.evidence(case, number, again=True)
            last_cut = len(last) < step.run.rows
            differs = compared(last, found.rows, last_cut, cut_now, newest_first).differs
        state: StepState = ("reopened" if step.negative else "changed") if differs else ""
        others = np.concatenate([difference.new, difference.changed])
        if len(others):  # the others are pinned already
            self._pin(found.rows[others], label_of(case), user or "the server")
        return self.steps.ran(case, number, run, kept_of(found, self._watched(found)), state, found.now)

    def _evidence(self, message: AskEvidence) -> tuple[Answer, Records]:
        """The rows that are asked for, and the answer of then or of the last run, of these rows."""
        try:
            again = message.which in ("now", "new", "changed")
            step, answer, rows = self.steps.evidence(message.case, message.step, again)
            when = step.run.at if again and step.run is not None else step.made
            total, what = answer.total, "" if message.which in ("then", "now") else f", {message.which}"
            if what:
                rows = self._differing(message, step.kept < step.rows, rows)
        except (CaseRefusal, RegistryError) as error:
            raise Unanswerable(str(error)) from None
        kept = f"{len(rows):,} of {total:,} rows are kept" if not what and len(rows) < total else f"{len(rows):,} rows"
        note = f"EVIDENCE of step {message.step} of case {message.case}{what}, as it was {time_text(when)} UTC: {kept}"
        shown = replace(
            answer, total=len(rows), truncated=not what and len(rows) < total, limit=max(len(rows), 1),
            columns=ROW_COLUMNS, notes=(note, *answer.notes)[:256], observations=0, saved=None,
        )  # fmt: skip
        return shown, rows

    def _differing(self, message: AskEvidence, cut: bool, rows: Records) -> Records:
        """Of a step's rows those that are new, gone or changed. rows: what `which` is looked for among."""
        other_step, _, others = self.steps.evidence(message.case, message.step, message.which == "gone")
        then, now = (rows, others) if message.which == "gone" else (others, rows)
        run = other_step.run
        cut_now = run is not None and len(now) < run.rows
        newest_first = " ORDER BY " not in other_step.query and " ONCE" not in other_step.query
        difference = compared(then, now, cut, cut_now, newest_first)
        found: Records = rows[getattr(difference, message.which)]
        return found

    def _watched(self, found: Found) -> Watched:
        first = found.asked.span[0] or 0
        return Watched(first, watched_of(self._ledger, self._admission, first, found.answer.span_end))

    def _watched_now(self, stored: Stored) -> dict[str, tuple[int, int]]:
        return watched_of(self._ledger, self._admission, stored.watched.first, stored.told.span_end)

    # --- on the thread of the negatives -------------------------------------------------------------------------------

    def _again(self, stored: Stored) -> None:
        """Ask a negative again, as a query is asked, in the server's own name."""
        done: Future[Message] = Future()
        outcome: list[Changed] = []

        def work(running: Running, answers: Answers) -> None:
            try:
                outcome.append(changed := self._ran(running, answers, stored.case, stored.number, ""))
            except (CaseRefusal, RegistryError) as error:
                raise Unanswerable(str(error)) from None
            running.send(CaseSaved(running.request, changed.case, changed.number))

        def send(answer: Message) -> None:
            if not isinstance(answer, Progress) and not done.done():
                done.set_result(answer)

        self._queries.worked(self._scope, next(self._numbers), send, work)
        try:
            answer = done.result(AGAIN_SECONDS)
        except TimeoutError:
            self._log(f"step {stored.number} of case {stored.case} was not asked again: the queries are too busy")
            return
        if outcome:
            self._log(f"case {stored.case}: {outcome[0].what}")
            self._by_server(outcome[0])
            self.tell(outcome[0], "")
        elif isinstance(answer, Failed) and answer.code != "cancelled":
            self._log(f"step {stored.number} of case {stored.case} cannot be asked again: {answer.reason}")


def _other_sets(then: dict[str, int], now: dict[str, int]) -> list[str]:
    """What is to be said of named sets that were others then."""
    return [f"@{name} was version {version} then and is {now[name]}" for name, version in then.items()
            if name in now and now[name] != version]  # fmt: skip
