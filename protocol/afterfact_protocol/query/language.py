"""The language's entry: `parse` text to a Query. Server, console and command line use this one."""

from dataclasses import dataclass, field
from datetime import datetime

from afterfact_protocol.session import FIXED

from . import analysis, canonical, check, stagecheck, syntax
from .cursor import CAPS, Caps
from .nodes import Expr, Order
from .stagenodes import Save, Stage, Table


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query. Two are equal if they ask the same in the same words of the tree, however they were typed."""

    where: Expr | None
    """The condition; None asks for every session."""
    order: tuple[Order, ...] = ()
    """Keys to sort by; empty means newest first: start_time descending, then sensor and session_id."""
    limit: int | None = None
    once: bool = False
    """Each conversation once, however many sensors saw it."""
    excluding: tuple[str, ...] | None = None
    """The shared exclusions to leave out, by name; None: those that the server leaves out by default."""
    text: str = field(default="", compare=False)
    """As typed; spans of nodes and errors point into it."""
    stages: tuple[Stage, ...] = ()
    """What is made of the sessions: at most one Table, and then at most one Save."""
    excluding_at: tuple[int, int] = field(default=(0, 0), compare=False)
    """Where in the text EXCLUDING stands, or where it could."""

    @property
    def fields(self) -> frozenset[str]:
        """The session fields that it rests on."""
        return analysis.fields(self.where, self.order) | analysis.stage_fields(self.stages)

    @property
    def needs_growing(self) -> bool:
        """Whether it rests on a field that changes from revision to revision, so that only the newest may count."""
        return not self.fields <= FIXED

    @property
    def span(self) -> analysis.Span:
        """First and last moment that is asked about, microseconds UTC, both included; None where it has no bound.
        Sessions that match begin within it, or with DURING and LAST may have begun before."""
        return analysis.span(self.where)

    def __str__(self) -> str:
        """The standard spelling, which parses to an equal query; times of asking are fixed in it."""
        return canonical.query_text(self.where, self.order, self.limit, self.once, self.stages, self.excluding)

    @property
    def table(self) -> Table | None:
        """The table that it asks for in place of sessions."""
        return next((stage for stage in self.stages if isinstance(stage, Table)), None)

    @property
    def save(self) -> Save | None:
        """What of the answer is to be kept."""
        return next((stage for stage in self.stages if isinstance(stage, Save)), None)


def parse(text: str, now: datetime, caps: Caps = CAPS) -> Query:
    """The query that `text` asks. `now` (with its zone) is what NOW, TODAYUTC and the like mean. Raises QueryError."""
    if now.tzinfo is None:
        raise ValueError("the time of asking needs a zone")
    raw = syntax.parse(text, caps)
    where = check.where(raw.arms, now)
    order, limit = check.order(raw.order, where), check.limit(raw.limit)
    excluding = check.excluding(raw.excluding)
    return Query(where, order, limit, raw.once, excluding, text, stagecheck.stages(raw, where, now), raw.excluding_at)


def with_excluding(query: Query, names: tuple[str, ...] | None) -> str:
    """The text of a parsed query with other exclusions, else as it was typed: None is the server's default, no name at
    all EXCLUDING NONE."""
    first, last = query.excluding_at
    before, after = query.text[:first].rstrip(), query.text[last:].lstrip()
    clause = "" if names is None else f"EXCLUDING {', '.join(names) or check.NONE}"
    return " ".join(part for part in (before, clause, after) if part)
