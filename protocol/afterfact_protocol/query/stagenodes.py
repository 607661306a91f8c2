"""The stages of a checked query: what is made of the sessions that its condition finds. Nodes only, as in nodes.py."""

from dataclasses import dataclass, field

from .nodes import Column, Derived, Either, Expr, Far, Measure, Span

TIME = "time"
"""The title of the column that EVERY adds."""

Key = Column | Derived | Far
"""What sessions are grouped by."""


@dataclass(frozen=True, slots=True)
class TableOrder:
    """One key of a table's ORDER BY: a measure, a key, or the time that EVERY adds (None). NULL comes last."""

    column: Measure | Key | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Sessions to a table with a row for each group of them."""

    measures: tuple[Measure, ...]
    keys: tuple[Key, ...] = ()
    every: int | None = None
    """Microseconds; see `bucket`."""
    having: Expr | None = None
    """Of And, Or, Not and Relation over Cells: only rows for which it is true."""
    order: tuple[TableOrder, ...] = ()
    """Empty: as `sorted_by` says."""
    top: int | None = None
    """So many rows, or with `every` so many groups over the whole time, and the rest in one row, or in one for each
    time that there is."""
    limit: int | None = None
    periodic: bool = False
    """Whether it measures the time from start to start: the measures are measures.PERIODIC_MEASURES."""

    @property
    def sorted_by(self) -> tuple[TableOrder, ...]:
        """Its order: as asked; else with `every` the earliest first, the most regular first of PERIODIC, and the
        greatest first of the first measure. What is equal in all of that is in the order of time and keys."""
        if self.order:
            return self.order
        if self.periodic:
            return (TableOrder(self.measures[2], False), TableOrder(self.measures[0], True))
        by_measure = TableOrder(self.measures[0], True)
        return (TableOrder(None, False), by_measure) if self.every is not None else (by_measure,)


@dataclass(frozen=True, slots=True)
class Save:
    """Keep the sessions, or the values of one of their fields, under a name."""

    name: str
    """In small letters, without the @."""
    operand: Key | Either | None
    """The field; after a table one of its keys. None: the sessions themselves."""
    span: Span = field(default=(0, 0), compare=False, repr=False)
    live: bool = False
    """Whether its query is asked anew whenever it is used."""
    replace: bool = False
    """Whether a set of that name gives way, into its own history."""


Stage = Table | Save

WEEK = 7 * 86_400_000_000
MONDAY = 4 * 86_400_000_000
"""1970-01-05, the first Monday."""


def bucket(us: int, every: int) -> int:
    """The beginning of the length of time `every` that a time lies in: aligned to 1970-01-01 UTC, or if these are whole
    weeks to Mondays."""
    offset = MONDAY if every % WEEK == 0 else 0
    return (us - offset) // every * every + offset
