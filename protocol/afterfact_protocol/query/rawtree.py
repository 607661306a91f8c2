"""The raw tree: what the grammar makes of a query's tokens, before names and values mean anything.

Leaves are the tokens themselves; every node knows its place in the text. Nodes only: the grammar is syntax.py's.
"""

from dataclasses import dataclass

from .lexer import Token


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments [WHERE where])`."""

    name: Token
    arguments: tuple["Raw", ...]
    start: int
    end: int
    where: "Raw | None" = None


@dataclass(frozen=True, slots=True)
class Minus:
    """`- item`."""

    item: "Raw"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`left symbol right` with a comparison, `&`, `+`, `-`, `*` or `/`."""

    symbol: str
    left: "Raw"
    right: "Raw"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Listed:
    """`left [NOT] IN (items)`."""

    left: "Raw"
    items: tuple["Raw", ...]
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ranged:
    """`left [NOT] BETWEEN low AND high`."""

    left: "Raw"
    low: "Raw"
    high: "Raw"
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Patterned:
    """`left [NOT] LIKE right` or `left [NOT] REGEXP right`; `word` is LIKE or REGEXP."""

    word: str
    left: "Raw"
    right: "Raw"
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NullTest:
    """`left IS [NOT] NULL`."""

    left: "Raw"
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Negation:
    """`NOT item`."""

    item: "Raw"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Junction:
    """`a AND b AND ...` or `a OR b OR ...`; `word` is AND or OR."""

    word: str
    items: tuple["Raw", ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Group:
    """`( item )`; kept because its place is wider than its item's."""

    item: "Raw"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """`DURING first [.. last]`. With `sign` the end is so long after ("+") or before ("-") what `first` counts from."""

    first: "Raw"
    last: "Raw | None"
    sign: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Recent:
    """`LAST length`."""

    length: Token
    start: int
    end: int


Raw = (
    Token
    | Call
    | Minus
    | Binary
    | Listed
    | Ranged
    | Patterned
    | NullTest
    | Negation
    | Junction
    | Group
    | Window
    | Recent
)


@dataclass(frozen=True, slots=True)
class RawOrder:
    """One key of ORDER BY."""

    name: Token
    descending: bool


@dataclass(frozen=True, slots=True)
class RawMeasure:
    """`function(argument) AS alias`, a column of a table."""

    function: Token
    argument: Token | None
    alias: Token | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RawSort:
    """One key of a table's ORDER BY: the name of a column, or a function as it stands in the stage."""

    item: Token | Call
    descending: bool


@dataclass(frozen=True, slots=True)
class RawTable:
    """`measures BY keys EVERY length HAVING ... ORDER BY ... TOP n`; PERIODIC has no measures of its own. Several
    HAVINGs must all hold."""

    measures: tuple[RawMeasure, ...]
    periodic: bool
    keys: tuple[Token, ...]
    every: Token | None
    having: tuple[Raw, ...]
    order: tuple[RawSort, ...]
    top: Token | None
    limit: Token | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RawSave:
    """`SAVE @name [field] [LIVE] [REPLACE]`."""

    name: Token
    field: Token | None
    start: int
    end: int
    live: bool = False
    replace: bool = False


RawStage = RawTable | RawSave


@dataclass(frozen=True, slots=True)
class RawQuery:
    """A whole query: the conditions of a UNION are `arms`."""

    arms: tuple[Raw, ...]
    order: tuple[RawOrder, ...]
    limit: Token | None
    once: bool = False
    stages: tuple[RawStage, ...] = ()
    excluding: tuple[Token, ...] | None = None
    """Names after EXCLUDING; None if it does not stand there."""
    excluding_at: tuple[int, int] = (0, 0)
    """Where it stands, or where it could: characters, from the first to after the last."""
