"""The cases of the fake link's server: what the console is told. That it is told rightly is tested in
tests/system/test_cases.py."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from afterfact_client.link import RequestFailed
from afterfact_protocol.messages import (
    AddStep,
    Annotation,
    Annotations,
    AnnotationSaved,
    AskAnnotations,
    AskCase,
    AskCases,
    CaseChanged,
    CaseInfo,
    Cases,
    CaseSaved,
    CaseTold,
    ChangeCase,
    ChangeStep,
    Failed,
    MakeCase,
    Message,
    PutAnnotation,
    PutItem,
    RunStep,
)

ABOUT_CASES = (
    AskCases, AskCase, MakeCase, ChangeCase, AddStep, ChangeStep, RunStep, PutItem, AskAnnotations, PutAnnotation,
)  # fmt: skip


@dataclass
class FakeCases:
    """`tell` is set while somebody is subscribed."""

    cases: dict[int, CaseTold] = field(default_factory=dict)
    tell: Callable[[CaseChanged], None] | None = None
    asked: list[Message] = field(default_factory=list)
    annotations: dict[int, Annotation] = field(default_factory=dict)
    failure: str = ""
    """Every change fails with it."""

    def put(self, told: CaseTold, what: str, alert: bool = False) -> None:
        """A case is new, or not what it was."""
        self.cases[told.case.number] = told
        if self.tell is not None:
            self.tell(CaseChanged(told.case, what, "bob", alert))

    def take(self, message: Message, future: "Future[Any]") -> None:
        self.asked.append(message)
        match message:
            case AskCases():
                infos: list[CaseInfo] = [told.case for told in self.cases.values()]
                future.set_result(Cases(0, tuple(sorted(infos, key=lambda each: -each.changed_at)), 0))
            case AskCase():
                future.set_result(self.cases[message.number])
            case AskAnnotations():
                future.set_result(Annotations(0, tuple(self.annotations.values()), 0))
            case _ if self.failure:
                future.set_exception(RequestFailed(Failed(0, "request", self.failure, -1, -1)))
            case PutAnnotation():
                number = message.annotation.number or len(self.annotations) + 1
                made = replace(message.annotation, number=number, version=message.annotation.version + 1, by="ana")
                self.annotations[number] = made
                future.set_result(AnnotationSaved(0, made, message.remove))
            case _:
                number = getattr(message, "case", 0) or getattr(message, "number", 0) or 1
                future.set_result(CaseSaved(0, self.cases[number].case, 1))
