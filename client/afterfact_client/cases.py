"""Cases from Python: blocking calls over a Link. What a step found is opened by Client.evidence."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from afterfact_client.link import Link
from afterfact_protocol.messages import (
    AddStep,
    AskCase,
    AskCaseFile,
    AskCaseHistory,
    AskCases,
    Belief,
    CaseChange,
    CaseChanged,
    CaseFilePart,
    CaseHistory,
    CaseInfo,
    CaseItem,
    Cases,
    CaseSaved,
    CaseStep,
    CaseTold,
    ChangeCase,
    ChangeStep,
    Confidence,
    MakeCase,
    PutItem,
    RunStep,
)

Status = Literal["open", "closed", "all"]
Changes = MakeCase | ChangeCase | AddStep | ChangeStep | RunStep | PutItem


class CaseBook:
    """RequestFailed for what cannot be, is not allowed, or was changed by somebody else meanwhile: the reason says by
    whom, and nothing was saved. LinkLost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def all(self, status: Status = "all") -> tuple[CaseInfo, ...]:
        """The cases, those changed last first."""
        found: Cases = self._link.request(partial(AskCases, status=status)).result()
        return found.cases

    def subscribe(self, on_change: Callable[[CaseChanged], None]) -> tuple[CaseInfo, ...]:
        """The cases now, and a call of `on_change` for every change from then on, on the link's thread. After a lost
        connection it must be called again."""
        self._link.on_case = on_change
        found: Cases = self._link.request(partial(AskCases, subscribe="on")).result()
        return found.cases

    def get(self, number: int) -> CaseTold:
        """A case with all that is in it."""
        found: CaseTold = self._link.request(partial(AskCase, number=number)).result()
        return found

    def file(self, number: int) -> bytes:
        """A case as a file, with its evidence: casefile.unpacked reads it, `put_file` imports it at another server."""
        parts: list[bytes] = []
        first = 0
        while True:
            part: CaseFilePart = self._link.request(partial(AskCaseFile, number=number, first=first)).result()
            parts.append(part.data)
            first += len(part.data)
            if first >= part.size or not part.data:
                return b"".join(parts)

    def put_file(self, data: bytes) -> CaseInfo:
        """Import a case's file as a new case; who imports it owns it."""
        return self._link.put_case(data).result().case

    def history(self, number: int) -> tuple[CaseChange, ...]:
        """Who changed what, newest first."""
        found: CaseHistory = self._link.request(partial(AskCaseHistory, number=number)).result()
        return found.changes

    def make(self, title: str) -> CaseInfo:
        """A new case, owned by who makes it."""
        return self._saved(partial(MakeCase, title=title)).case

    def change(
        self, case: CaseInfo, *, title: str | None = None, owner: str | None = None, conclusion: str | None = None
    ) -> CaseInfo:
        """Change a case as it was shown."""
        return self._change(
            replace(
                case,
                title=case.title if title is None else title,
                owner=case.owner if owner is None else owner,
                conclusion=case.conclusion if conclusion is None else conclusion,
            )
        )

    def close(self, case: CaseInfo, conclusion: str) -> CaseInfo:
        """Close a case as it was shown. Its evidence stays, and so do its negatives: one that no longer holds is
        told."""
        return self._change(replace(case, status="closed", conclusion=conclusion))

    def reopen(self, case: CaseInfo) -> CaseInfo:
        return self._change(replace(case, status="open"))

    def add_step(self, case: int, text: str, why: str, negative: bool = False) -> int:
        """Ask a query and keep it as the next step, with what it finds and what was watched; its number."""
        return self._saved(partial(AddStep, case=case, text=text, why=why, negative=negative)).number

    def run_step(self, case: int, step: int) -> CaseStep:
        """Ask a step again; the step, whose `run` says what is new, gone and changed."""
        self._saved(partial(RunStep, case=case, step=step))
        return self.step(case, step)

    def step(self, case: int, number: int) -> CaseStep:
        """A step. LookupError if there is none."""
        found = next((step for step in self.get(case).steps if step.number == number), None)
        if found is None:
            raise LookupError(f"there is no step {number} in case {case}")
        return found

    def change_step(
        self, case: int, step: CaseStep, *, why: str | None = None, negative: bool | None = None, settled: bool = False
    ) -> None:
        """Change what is said of a step as it was shown. settled: what its re-run found was looked at."""
        make = partial(
            ChangeStep, case=case, step=step.number, version=step.version, why=step.why if why is None else why,
            negative=step.negative if negative is None else negative, settled=settled,
        )  # fmt: skip
        self._saved(make)

    def note(self, case: int, text: str) -> int:
        """Add a note, in Markdown; its number."""
        return self.put(case, CaseItem(0, "note", text))

    def hypothesis(
        self, case: int, text: str, belief: Belief = "open", confidence: Confidence = "low",
        steps: tuple[int, ...] = (),
    ) -> int:  # fmt: skip
        """Add a hypothesis; its number. steps: what the belief rests on; what is ruled out names at least one."""
        return self.put(case, CaseItem(0, "hypothesis", text, belief, confidence, steps))

    def question(self, case: int, text: str) -> int:
        """Add an open question; its number."""
        return self.put(case, CaseItem(0, "question", text))

    def put(self, case: int, item: CaseItem, remove: bool = False) -> int:
        """Add an item (number 0), or change one as it was shown: `put(3, replace(item, answer="no"))`."""
        return self._saved(partial(PutItem, case=case, item=item, remove=remove)).number

    def _change(self, case: CaseInfo) -> CaseInfo:
        make = partial(
            ChangeCase, number=case.number, version=case.version, title=case.title, owner=case.owner,
            status=case.status, conclusion=case.conclusion,
        )  # fmt: skip
        return self._saved(make).case

    def _saved(self, make: Callable[[int], Changes]) -> CaseSaved:
        saved: CaseSaved = self._link.request(make).result()
        return saved
