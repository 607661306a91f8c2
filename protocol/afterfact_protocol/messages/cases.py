"""Cases: what analysts found out together: a scope chain of queries with evidence, hypotheses, questions, notes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from .limits import I64, MAX_QUERY_BYTES, U32, U64, Line, Name, Rows

MAX_STEPS = 200
"""Steps of a case."""
MAX_ITEMS = 500
"""Notes, hypotheses and questions of a case, removed ones not counted."""
MAX_CASES_TOLD = 2000
MAX_CHANGES_TOLD = 500
MAX_EVIDENCE = 10_000
"""Sessions of a step that are kept as they were, and pinned: the first in its query's order, else the newest."""

MAX_ANNOTATIONS = 5000
"""Annotations that a server keeps, removed ones not counted."""

CaseText = Annotated[str, Field(max_length=20_000)]
"""Markdown."""
FrozenQuery = Annotated[str, Field(max_length=4 * MAX_QUERY_BYTES)]
CaseStatus = Literal["open", "closed"]
Belief = Literal["open", "likely", "unlikely", "confirmed", "ruled out"]
Confidence = Literal["low", "medium", "high"]
StepState = Literal["", "changed", "reopened", "settled"]
"""Empty: as far as is known all is as it was. changed: a re-run found other sessions. reopened: so did the re-run of a
negative. settled: somebody looked at that."""
Which = Literal["then", "now", "new", "gone", "changed"]
"""Of a step's evidence: as it was; of the last re-run all, those that were not there, those that are no more, and those
that have another revision."""


@dataclass(frozen=True, slots=True)
class CaseInfo:
    """A case, without what is in it."""

    number: U32
    title: Name
    owner: Name
    status: CaseStatus
    conclusion: Line
    """What came of it; a closed case has one."""
    by: Name
    made: I64
    version: U32
    """Of title, owner, status and conclusion: changes with each change of these."""
    changed_by: Name
    changed_at: I64
    """When anything in it last changed."""
    steps: U32
    reopened: U32
    """Steps whose re-run found something else, and that nobody has settled."""
    questions: U32
    """Open ones."""
    origin: Line
    """Of an imported case where it came from; empty: made here."""


@dataclass(frozen=True, slots=True)
class StepRun:
    """What a step found when it was asked again."""

    at: I64
    by: Name
    """Empty: the server did, since late data filled a gap."""
    rows: U64
    truncated: bool
    conversations: U64
    observers: U32
    new: U64
    """Sessions that were not there then."""
    gone: U64
    changed: U64
    """Sessions that have another revision."""
    coverage: Line
    complete: bool
    note: Line
    """What must be known to judge the comparison; empty: nothing."""


@dataclass(frozen=True, slots=True)
class CaseStep:
    """A query of a case's scope chain, with what it found when it was asked."""

    number: U32
    """From 1 on, of each case."""
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    """As typed."""
    query: FrozenQuery
    """The same with its times made absolute: it asks for the same time whenever it is asked."""
    why: Line
    by: Name
    made: I64
    version: U32
    negative: bool
    """It rests on what was not found: it is asked again by itself when late data fill a gap."""
    state: StepState
    reading: Line
    span_start: I64
    span_end: I64
    rows: U64
    """Sessions found: each is one sensor's observation."""
    truncated: bool
    """Whether more matched than a result holds."""
    conversations: U64
    """0 where they were not counted."""
    observers: U32
    kept: U32
    """How many of the rows are kept as evidence; at most MAX_EVIDENCE."""
    coverage: Line
    """What was watched and what was not, a sensor at a time; the answer of ASK_EVIDENCE has all of it."""
    complete: bool
    """Whether every sensor that should have seen it watched throughout, and nothing was left out unasked."""
    exclusions: Annotated[tuple[Line, ...], Field(max_length=64)]
    """What was left out, and why: name, condition, note."""
    sets: Annotated[tuple[Line, ...], Field(max_length=100)]
    """Named sets that it rests on, in their versions then."""
    saved: Line
    """The set that it saved; empty: none."""
    run: StepRun | None
    """The last time that it was asked again."""
    notes: Annotated[tuple[Line, ...], Field(max_length=8)] = ()
    """What else must be known to judge it: how many sessions the condition could not judge, say."""


@dataclass(frozen=True, slots=True)
class CaseItem:
    """A note, a hypothesis or a question of a case."""

    number: U32
    """Of the server's items; 0 in PUT_ITEM: a new one."""
    kind: Literal["note", "hypothesis", "question"]
    text: CaseText
    belief: Belief = "open"
    """Of a hypothesis."""
    confidence: Confidence = "low"
    """Of a hypothesis: how sure that belief is."""
    steps: Annotated[tuple[U32, ...], Field(max_length=MAX_STEPS)] = ()
    """Of a hypothesis: the steps that the belief rests on; what is ruled out names at least one."""
    answer: CaseText = ""
    """Of a question; empty while it is open."""
    version: U32 = 0
    by: Name = ""
    """This and what follows is not looked at in PUT_ITEM."""
    made: I64 = 0
    changed_by: Name = ""
    changed_at: I64 = 0


@dataclass(frozen=True, slots=True)
class CaseChange:
    """Somebody changed something. Never changed itself."""

    time: I64
    user: Name
    """Empty: the server."""
    what: Line
    before: CaseText
    """The text that was there before, where one was replaced or removed."""


@dataclass(frozen=True, slots=True)
class AskCases:
    """Send the cases, those that changed last first."""

    request: U32
    status: Literal["open", "closed", "all"] = "all"
    subscribe: Literal["", "on", "off"] = ""
    """on: from now on tell of every change, by CASE_CHANGED; off: no more."""


@dataclass(frozen=True, slots=True)
class Cases:
    """Answer to ASK_CASES."""

    request: U32
    cases: Annotated[tuple[CaseInfo, ...], Field(max_length=MAX_CASES_TOLD)]
    more: U64
    """Cases that found no room."""


@dataclass(frozen=True, slots=True)
class AskCase:
    """Send a case."""

    request: U32
    number: U32


@dataclass(frozen=True, slots=True)
class CaseTold:
    """Answer to ASK_CASE."""

    request: U32
    case: CaseInfo
    steps: Annotated[tuple[CaseStep, ...], Field(max_length=MAX_STEPS)]
    items: Annotated[tuple[CaseItem, ...], Field(max_length=MAX_ITEMS)]


@dataclass(frozen=True, slots=True)
class CaseChanged:
    """To whom subscribed: a case is new, or something in it changed."""

    case: CaseInfo
    what: Line
    by: Name
    """Empty: the server."""
    alert: bool = False
    """A negative no longer holds: everybody should know."""


@dataclass(frozen=True, slots=True)
class MakeCase:
    """Begin a case; who asks owns it."""

    request: U32
    title: Name


@dataclass(frozen=True, slots=True)
class ChangeCase:
    """Change what a case is called, who owns it, whether it is closed. Refused if it is no longer of this version."""

    request: U32
    number: U32
    version: U32
    title: Name
    owner: Name
    status: CaseStatus
    conclusion: Line


@dataclass(frozen=True, slots=True)
class AddStep:
    """Ask a query, and keep it with what it finds as a case's next step."""

    request: U32
    case: U32
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    why: Line
    negative: bool = False
    """Whether it is to be a negative although it finds something; one that finds nothing always is."""


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """Change what is said of a step. Refused if it is no longer of this version."""

    request: U32
    case: U32
    step: U32
    version: U32
    why: Line
    negative: bool
    settled: bool = False
    """Whether somebody looked at what a re-run found: takes the mark away."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """Ask a step's query again, with the exclusions of then, and compare."""

    request: U32
    case: U32
    step: U32


@dataclass(frozen=True, slots=True)
class PutItem:
    """Add a note, a hypothesis or a question, change or remove one. Refused if it is no longer of this version."""

    request: U32
    case: U32
    item: CaseItem
    remove: bool = False


@dataclass(frozen=True, slots=True)
class CaseSaved:
    """Answer to what changes a case, once it is durable."""

    request: U32
    case: CaseInfo
    number: U32 = 0
    """Of the step or item."""


@dataclass(frozen=True, slots=True)
class AskEvidence:
    """Open the evidence of a step; answered by ANSWER as it was when the step was asked, or asked again, and PAGEs."""

    request: U32
    case: U32
    step: U32
    which: Which = "then"


@dataclass(frozen=True, slots=True)
class AskCaseHistory:
    """Send who changed what in a case."""

    request: U32
    number: U32


@dataclass(frozen=True, slots=True)
class CaseHistory:
    """Answer to ASK_CASE_HISTORY: the newest first, as many as a message holds."""

    request: U32
    changes: Annotated[tuple[CaseChange, ...], Field(max_length=MAX_CHANGES_TOLD)]


@dataclass(frozen=True, slots=True)
class AskCaseFile:
    """Send a case as a file (casefile.py), from byte `first` on; 0 makes it anew."""

    request: U32
    number: U32
    first: U64 = 0


@dataclass(frozen=True, slots=True)
class CaseFilePart:
    """Answer to ASK_CASE_FILE."""

    request: U32
    data: Rows
    size: U64
    """Of the whole file."""


@dataclass(frozen=True, slots=True)
class PutCaseFile:
    """Part of a case's file, to be imported as a new case; answered by CASE_SAVED after the last."""

    request: U32
    part: U32
    """Counted from 0."""
    last: bool
    data: Rows


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is said of a host, a port or a session wherever it shows."""

    number: U32
    """0 in PUT_ANNOTATION: a new one."""
    kind: Literal["host", "port", "session"]
    subject: Name
    """An address; a number; SENSOR/START/SESSION_ID, its start in microseconds since 1970."""
    text: Annotated[str, Field(max_length=1000)]
    case: U32 = 0
    """In which case it matters; 0: none."""
    version: U32 = 0
    by: Name = ""
    """This and what follows is not looked at in PUT_ANNOTATION."""
    made: I64 = 0
    changed_by: Name = ""
    changed_at: I64 = 0


@dataclass(frozen=True, slots=True)
class AskAnnotations:
    """Send all annotations. Who subscribed to cases is told of every change of these too."""

    request: U32


@dataclass(frozen=True, slots=True)
class Annotations:
    """Answer to ASK_ANNOTATIONS: those that changed last first."""

    request: U32
    annotations: Annotated[tuple[Annotation, ...], Field(max_length=MAX_ANNOTATIONS)]
    more: U64
    """Such that found no room."""


@dataclass(frozen=True, slots=True)
class PutAnnotation:
    """Add an annotation, change or remove one. Refused if it is no longer of this version."""

    request: U32
    annotation: Annotation
    remove: bool = False


@dataclass(frozen=True, slots=True)
class AnnotationSaved:
    """Answer to PUT_ANNOTATION, once it is durable."""

    request: U32
    annotation: Annotation
    removed: bool


@dataclass(frozen=True, slots=True)
class AnnotationChanged:
    """An annotation is new, another or gone."""

    annotation: Annotation
    removed: bool
