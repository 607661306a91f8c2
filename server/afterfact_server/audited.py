"""What is said at the consoles' port, as the audit has it: logins, queries with what they found, exports, alerts.

What a message asks for is recorded before it is worked on, and no answer leaves before that is on disk.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    AddStep,
    AnnotationSaved,
    Answer,
    Ask,
    AskAudit,
    AskCaseFile,
    AskEvents,
    AskEvidence,
    AuditFound,
    Autocats,
    CaseFilePart,
    CaseSaved,
    ChangeCase,
    ChangeStep,
    ChangeWatch,
    CombineSets,
    EventsFound,
    ExclusionSaved,
    Failed,
    MakeCase,
    Message,
    Page,
    Progress,
    PutAnnotation,
    PutCaseFile,
    PutItem,
    PutSet,
    RemoveAutocat,
    RemoveExclusion,
    RemoveItem,
    RemoveSet,
    RunStep,
    SaveExclusion,
    SaveItem,
    SaveSet,
    SetAutocat,
    SetSaved,
    SetWatch,
    TableAnswer,
    Triage,
    Triaged,
    Watches,
)
from afterfact_server.audit.log import Audit, AuditError
from afterfact_server.audit.reading import Filter, newest_first

Send = Callable[[Message], None]
MAX_REASON = 300
_COMMANDS: dict[type[Message], str] = {
    MakeCase: "case make", ChangeCase: "case change", AddStep: "case step", ChangeStep: "case step change",
    RunStep: "case step again", PutItem: "case item", PutAnnotation: "annotation",
    SaveSet: "set save", CombineSets: "set combine", RemoveSet: "set delete", SaveExclusion: "exclusion add",
    RemoveExclusion: "exclusion remove", SaveItem: "saved save", RemoveItem: "saved remove",
}  # fmt: skip


@dataclass(slots=True)
class Who:
    """Who speaks on a connection."""

    user: str = ""
    address: str = ""
    token: str = ""
    exports: dict[int, tuple[int, dict[int, int]]] = field(default_factory=dict)
    """By request: the record's number, sessions pulled so far."""


class AuditedPort:
    """The port's side of the audit; `record` of logins may be called on the port's thread, for it never waits."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._reader = ThreadPoolExecutor(1, "audit-reader")

    def stop(self) -> None:
        self._reader.shutdown(cancel_futures=True)

    def login(self, who: Who, role: str, console: str) -> None:
        """AuditError if it cannot be recorded: then nobody is let in."""
        self._record("login", who, role=role, console=console)

    def refused_login(self, user: str, address: str, console: str, code: str) -> None:
        """A login that failed."""
        with suppress(AuditError):  # nobody was let in, and the log has it
            self._audit.record("login failed", user[:64], address, console=console, code=code)

    def logout(self, who: Who) -> None:
        """The connection is over; with it the exports that it held."""
        with suppress(AuditError):
            for request in list(who.exports):
                self._exported(who, request)
            self._record("logout", who)

    def forbidden(self, who: Who, why: str) -> None:
        """A message that the role or the token is not for."""
        with suppress(AuditError):
            self._record("forbidden", who, why=why)

    def asked(self, who: Who, message: Message, send: Send) -> Send:
        """Record what a message asks for; how its answers are to be sent. AuditError if it cannot be recorded."""
        match message:
            case Ask():
                kind = "export" if message.everything else "query"
                number = self._record(kind, who, text=message.text)
                if message.everything:
                    who.exports[message.request] = (number, {})
                return self._answers(who, number, send)
            case AskEvents():
                asked = {name: getattr(message, name) for name in ("start", "end", "sensor", "signature")}
                return self._answers(who, self._record("alerts", who, **asked), send)
            case AskAudit():
                asked = {name: getattr(message, name) for name in ("of_kind", "of_user", "first", "last", "before")}
                return self._answers(who, self._record("audit read", who, **asked), send)
            case Triage():
                numbers = [number for number, *_ in message.rows]
                number = self._record("triage", who, action=message.action, rows=numbers, status=message.status,
                                      comment=message.comment, owner=message.owner)  # fmt: skip
                return self._answers(who, number, send)
            case SetAutocat() | RemoveAutocat():
                asked = asdict(message.rule) if isinstance(message, SetAutocat) else {"number": message.number}
                command = "autocat add" if isinstance(message, SetAutocat) else "autocat remove"
                return self._answers(who, self._record("change", who, command=command, **{"with": asked}), send)
            case SetWatch():
                number = self._record("change", who, command="watch add", **{"with": asdict(message.watch)})
                return self._answers(who, number, send)
            case ChangeWatch():
                number = self._record("change", who, command=f"watch {message.action}", **{"with": message.number})
                return self._answers(who, number, send)
            case AskEvidence():
                asked = {name: getattr(message, name) for name in ("case", "step", "which")}
                return self._answers(who, self._record("evidence", who, **asked), send)
            case (
                SaveSet() | CombineSets() | RemoveSet() | SaveExclusion() | RemoveExclusion() | SaveItem()
                | RemoveItem() | MakeCase() | ChangeCase() | AddStep() | ChangeStep() | RunStep() | PutItem()
            ):  # fmt: skip
                told = {name: value for name, value in asdict(message).items() if name != "request"}
                command = _COMMANDS[type(message)]
                return self._answers(who, self._record("change", who, command=command, **{"with": told}), send)
            case AskCaseFile() if not message.first:
                return self._answers(who, self._record("export", who, case=message.number), send)
            case PutCaseFile() if message.last:
                return self._answers(who, self._record("change", who, command="case import"), send)
            case PutSet() if message.last:
                told = {name: getattr(message, name) for name in ("name", "kind", "mode", "note")}
                return self._answers(who, self._record("change", who, command="set put", **{"with": told}), send)
        return send

    def dropped(self, who: Who, request: int) -> None:
        """A result is let go."""
        if request in who.exports:
            with suppress(AuditError):
                self._exported(who, request)

    def read(self, message: AskAudit, send: Send) -> None:
        """Answer with records."""

        def work() -> None:
            wanted = Filter(message.of_kind, message.of_user, message.first, message.last)
            try:
                found, reached = newest_first(
                    self._audit.folder, wanted, message.before or 1 << 62, message.count, MAX_BATCH_BYTES
                )
                send(AuditFound(message.request, tuple(found), reached))
            except (OSError, AuditError) as error:
                send(Failed(message.request, "audit", f"the audit cannot be read: {error}"[:MAX_REASON], -1, -1))

        self._reader.submit(work)

    def _record(self, kind: str, who: Who, **details: object) -> int:
        token = {"token": who.token} if who.token else {}
        return self._audit.record(kind, who.user, who.address, **token, **details)

    def _exported(self, who: Who, request: int) -> None:
        number, pages = who.exports.pop(request)
        self._record("exported", who, of=number, rows=sum(pages.values()))

    def _answers(self, who: Who, number: int, send: Send) -> Send:
        def told(answer: Message) -> None:
            match answer:
                case Answer() | TableAnswer():
                    self._audit.until(number)
                    self._record("answer", who, of=number, rows=answer.total, truncated=answer.truncated,
                                 span=[answer.span_start, answer.span_end], elapsed=answer.elapsed)  # fmt: skip
                case Page():  # pages go the way of their question's answer
                    if (counted := who.exports.get(answer.request)) is not None:
                        counted[1][answer.first] = answer.count  # a page may be asked for again
                case (
                    EventsFound()
                    | AuditFound()
                    | Autocats()
                    | Watches()
                    | SetSaved()
                    | ExclusionSaved()
                    | CaseSaved()
                    | CaseFilePart()
                    | AnnotationSaved()
                ):
                    self._audit.until(number)
                case Triaged() if answer.refused:
                    self._record("failed", who, of=number, refused=answer.refused)
                case Failed():
                    with suppress(AuditError):  # it must hear of it all the same
                        self._record("failed", who, of=number, code=answer.code, reason=answer.reason[:MAX_REASON])
                case Progress():
                    pass
            send(answer)

        return told
