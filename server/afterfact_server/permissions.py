"""Who may say what at the consoles' port: one table, message by role. Nothing else in the server asks for a role.

A message of a console that is not in PERMISSIONS is taken from nobody. A test tries every role with every message.
"""

from dataclasses import dataclass

from afterfact_protocol.messages import (
    TAGS,
    AddStep,
    Alive,
    Ask,
    AskAnnotations,
    AskAudit,
    AskAutocats,
    AskCase,
    AskCaseFile,
    AskCaseHistory,
    AskCases,
    AskEvents,
    AskEvidence,
    AskExclusions,
    AskHealth,
    AskHints,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    AskRemoved,
    AskSaved,
    AskSets,
    AskSetValues,
    AskStatus,
    AskWatches,
    Cancel,
    ChangeCase,
    ChangeStep,
    ChangeWatch,
    CombineSets,
    MakeCase,
    Message,
    Pull,
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
    SetWatch,
    Triage,
)
from afterfact_server.roles import ROLES


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may send a message: `role` and those above it; with a token only if it has the scope. No scope: any."""

    role: str
    scope: str


PERMISSIONS: dict[type[Message], Permission] = {
    Alive: Permission("viewer", ""),
    Cancel: Permission("viewer", ""),
    Ask: Permission("viewer", "query"),
    Pull: Permission("viewer", "query"),
    AskEvents: Permission("viewer", "events"),
    AskHints: Permission("viewer", "query"),
    AskStatus: Permission("viewer", "status"),
    AskHealth: Permission("viewer", "status"),
    AskSets: Permission("viewer", "query"),
    AskSetValues: Permission("viewer", "query"),
    AskExclusions: Permission("viewer", "query"),
    AskRemoved: Permission("viewer", "query"),
    AskSaved: Permission("viewer", "query"),
    SaveItem: Permission("analyst", "sets"),
    RemoveItem: Permission("analyst", "sets"),
    SaveSet: Permission("analyst", "sets"),
    CombineSets: Permission("analyst", "sets"),
    PutSet: Permission("analyst", "sets"),
    RemoveSet: Permission("analyst", "sets"),
    SaveExclusion: Permission("analyst", "sets"),
    RemoveExclusion: Permission("analyst", "sets"),
    AskAudit: Permission("lead", "audit"),
    AskQueue: Permission("viewer", "queue"),
    AskQueueEvents: Permission("viewer", "queue"),
    AskHistory: Permission("viewer", "queue"),
    AskAutocats: Permission("viewer", "queue"),
    Triage: Permission("analyst", "triage"),
    SetAutocat: Permission("lead", "triage"),
    RemoveAutocat: Permission("lead", "triage"),
    AskWatches: Permission("viewer", "queue"),
    SetWatch: Permission("analyst", "watch"),
    ChangeWatch: Permission("analyst", "watch"),
    AskCases: Permission("viewer", "cases"),
    AskCase: Permission("viewer", "cases"),
    AskEvidence: Permission("viewer", "cases"),
    AskCaseHistory: Permission("viewer", "cases"),
    AskCaseFile: Permission("viewer", "cases"),
    AskAnnotations: Permission("viewer", "cases"),
    MakeCase: Permission("analyst", "casework"),
    ChangeCase: Permission("analyst", "casework"),
    AddStep: Permission("analyst", "casework"),
    ChangeStep: Permission("analyst", "casework"),
    RunStep: Permission("analyst", "casework"),
    PutItem: Permission("analyst", "casework"),
    PutCaseFile: Permission("analyst", "casework"),
    PutAnnotation: Permission("analyst", "casework"),
}

OF_ALL: frozenset[type[Message]] = frozenset({
    AskSets, AskSetValues, AskRemoved, SaveSet, PutSet, CombineSets, RemoveSet, SaveExclusion, RemoveExclusion,
    AskCases, AskCase, AskEvidence, AskCaseHistory, MakeCase, ChangeCase, AddStep, ChangeStep, RunStep, PutItem,
    AskCaseFile, PutCaseFile, AskAnnotations, PutAnnotation,
})  # fmt: skip
"""Not for accounts with limits: they tell of all that is stored, or act on what everybody is told."""

_TAG = {message: tag for tag, message in TAGS.items()}


def forbidden(kind: type[Message], role: str, scopes: frozenset[str] | None, limited: bool = False) -> str:
    """Why an account of this role, or with `scopes` a token of it, may not send such a message; empty if it may.
    limited: whether it may see but a part of what is stored."""
    needed = PERMISSIONS[kind]
    rank = ROLES.index(role) if role in ROLES else -1
    if rank < ROLES.index(needed.role):
        return f"{_TAG[kind]} needs the role {needed.role}; this account is {role}"
    if scopes is not None and needed.scope and needed.scope not in scopes:
        return f"{_TAG[kind]} needs the scope {needed.scope}; this token has {', '.join(sorted(scopes))}"
    if limited and kind in OF_ALL:
        return f"{_TAG[kind]} is of all that is stored, and this account may not see all of it"
    return ""
