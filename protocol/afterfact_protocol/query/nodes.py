"""The tree of a checked query: names resolved, values typed. What the compiler, the matcher and the reading know.

Nothing here parses, prints or evaluates. Every node is frozen and compares by meaning: spans, which say where in the
typed text a node came from, are left out of comparison.
`And` never holds an `And` directly and `Or` never an `Or`; both hold at least two items. "NOT IN", "NOT LIKE",
"NOT BETWEEN" and "IS NOT NULL" are `Not` around the positive node.
"""

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address

Span = tuple[int, int]
"""First character and the one after the last, in the text as typed."""


class Op(Enum):
    """Comparisons of one operand with one value."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


# --- operands: what a condition is about -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A field of FIELDS, by its name there."""

    name: str


@dataclass(frozen=True, slots=True)
class Either:
    """A field of either side (`ip`, `port`, `bytes`, `pkts`, `endpoint`); see functions.EITHER."""

    name: str


@dataclass(frozen=True, slots=True)
class Derived:
    """A value computed from fields (`duration`, `total_bytes`, `community_id`, ...); see functions.DERIVED."""

    name: str


@dataclass(frozen=True, slots=True)
class Masked:
    """The bits of a flags field that are also in `mask`: `src_flags & 2`."""

    name: str
    mask: int


@dataclass(frozen=True, slots=True)
class Far:
    """The far end of an `ip =` condition that stands beside it, `other_ip`: the destination of a session whose source
    is within `near`, else the source."""

    near: tuple["Network | NamedNetwork", ...]

    @property
    def name(self) -> str:
        """Its name in the language."""
        return "other_ip"


@dataclass(frozen=True, slots=True)
class Whole:
    """The session itself, `session`: only whether it is in a set of saved sessions can be asked."""

    @property
    def name(self) -> str:
        """Its name in the language."""
        return "session"


Operand = Column | Either | Derived | Masked | Far | Whole


# --- values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number: counts, ports, protocols, names and flags by their number, identifiers."""

    value: int


@dataclass(frozen=True, slots=True)
class Instant:
    """A time, in microseconds since 1970-01-01 00:00:00 UTC."""

    us: int


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in microseconds."""

    us: int


@dataclass(frozen=True, slots=True)
class Network:
    """An address or a network, as 128 bits with IPv4 mapped (see session.IPV4_PREFIX).

    `first` has no bits set beyond `bits`, the prefix length of 0 to 128; 128 is a single address.
    """

    first: int
    bits: int

    @property
    def single(self) -> bool:
        """Whether it is one address."""
        return self.bits == 128

    @property
    def is_ipv4(self) -> bool:
        """Whether it lies within the mapped IPv4 addresses."""
        return self.bits >= 96 and self.first >> 32 == IPV4_FIRST >> 32

    @property
    def last(self) -> int:
        """The highest address of the network."""
        return self.first | ((1 << (128 - self.bits)) - 1)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The addresses as inclusive ranges: an IPv6 network that surrounds the mapped IPv4 block leaves it out.

        So `::/0` is all of IPv6 and `0.0.0.0/0` all of IPv4, as an analyst means them.
        """
        if self.bits < 96 and self.first <= IPV4_FIRST and self.last >= IPV4_LAST:
            return ((self.first, IPV4_FIRST - 1), (IPV4_LAST + 1, self.last))
        return ((self.first, self.last),)

    def __str__(self) -> str:
        if self.is_ipv4:
            address, bits, full = str(IPv4Address(self.first & 0xFFFF_FFFF)), self.bits - 96, 32
        else:
            address, bits, full = str(IPv6Address(self.first)), self.bits, 128
        return address if bits == full else f"{address}/{bits}"


@dataclass(frozen=True, slots=True)
class NamedNetwork:
    """A network of the server's networks.toml, by its name; which addresses these are is known when it is asked."""

    name: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address (or network) and a port that belong to the same side."""

    network: Network
    port: int


@dataclass(frozen=True, slots=True)
class Text:
    """Characters: a history, the name of a sensor."""

    value: str


@dataclass(frozen=True, slots=True)
class Blob:
    """Opaque bytes."""

    value: bytes


Value = Number | Instant | Duration | Network | NamedNetwork | Endpoint | Text | Blob

IPV4_FIRST = 0xFFFF_0000_0000
IPV4_LAST = 0xFFFF_FFFF_FFFF


# --- what is computed with fields --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """A number in a computation, exact; lengths of time are in seconds there."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left symbol right` with one of + - * /. Exact, never wrapping round; NULL where a divisor is 0 or a part of it
    is NULL."""

    symbol: str
    left: "Term"
    right: "Term"


@dataclass(frozen=True, slots=True)
class Applied:
    """A function of a time: `UNIX_TIMESTAMP(start_time)`, `TO_DAYS(start_time)`; see functions.FUNCTIONS."""

    function: str
    term: "Term"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a stage computes of each group of sessions; see measures.MEASURES. Without an operand it is of the sessions
    themselves: `count`, `first`."""

    function: str
    operand: "Column | Either | Derived | Far | None" = None
    alias: str = ""

    @property
    def written(self) -> str:
        """The function as it is written: `sum(src_bytes)`."""
        return self.function if self.operand is None else f"{self.function}({self.operand.name})"

    @property
    def title(self) -> str:
        """The name of its column."""
        return self.alias or self.written


@dataclass(frozen=True, slots=True)
class Cell:
    """A measure's value in a row of a table, in HAVING."""

    measure: Measure


Term = Column | Derived | Constant | Instant | Duration | Arithmetic | Applied | Cell


# --- named sets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set that the server keeps, by its name without the `@`; what is in it is known when it is asked."""

    name: str
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SetAlgebra:
    """`left symbol right`: `+` is in either, `&` in both, `-` in the left and not in the right."""

    symbol: str
    left: "SetTerm"
    right: "SetTerm"


SetTerm = NamedSet | SetAlgebra


# --- conditions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    """`operand op value`."""

    operand: Operand
    op: Op
    value: Value
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Relation:
    """`left op right` where more than one field or a computation is involved: `src_bytes > 10 * dst_bytes`."""

    left: Term
    op: Op
    right: Term
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class During:
    """The session was there at some moment from `first` to `last`, both included: it began by `last`, and its last
    packet so far is not before `first`. Microseconds since 1970 UTC."""

    first: int
    last: int
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """`operand IN (values)`; at least one value."""

    operand: Operand
    values: tuple[Value, ...]
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Between:
    """`operand BETWEEN low AND high`, both included, `low <= high`."""

    operand: Operand
    low: Value
    high: Value
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Like:
    """`operand LIKE pattern`: `%` any characters, `_` one, a backslash takes the next literally. Case counts."""

    operand: Column
    pattern: str
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Regexp:
    """`operand REGEXP pattern`: found anywhere in the text; see regexp.py for what a pattern may hold."""

    operand: Column
    pattern: str
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """`operand IS NULL`: the source did not know it. Of an either-side field: neither side is known."""

    operand: Operand
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class InSet:
    """`operand IN @name`, or in what is made of several sets. Of an either-side field: one side is in it."""

    operand: Operand
    sets: SetTerm
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """`operand` is in a set whose values lie in the store. The server puts it in place of a large set; no text says
    it."""

    operand: Operand
    token: int
    """Under which the store has the values; meaningless where there are none."""
    bits: tuple[int, ...] = ()
    """Of addresses: the prefix lengths among the values. Of others (128,); empty where there is no value."""
    first: int = 0
    """Of sessions: the first and the last start time, microseconds."""
    last: int = 0
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EventWindow:
    """DURING around an event (alert) by its number: from `before` to `after` microseconds after its time, both of which
    may be negative. When it was is known when it is asked."""

    number: int
    before: int
    after: int
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unless:
    """The item is not TRUE: what an exclusion leaves. Unlike NOT it is TRUE also where the item is NULL. No text says
    it."""

    item: "Expr"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition by its name (`established`); see functions.PREDICATES."""

    name: str
    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """`first_seen(fields [WHERE where]) op time`: when what the session has in `fields` was first seen together, by any
    sensor in all that is stored, counting only sessions for which `where` is TRUE. Not to be judged from a row."""

    fields: tuple[str, ...]
    """Session fields of one side or of none, or either-side fields (functions.FIRST_SEEN_FIELDS); at least one."""
    where: "Expr | None"
    """Holds no FirstSeen."""
    op: Op
    """< <= > >="""
    us: int
    """Microseconds since 1970 UTC."""
    span: Span = field(default=(0, 0), compare=False, repr=False)
    judged: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)
    """Filled in when it is asked: of each sensor (its number) that has watched for long enough, the time from which on
    what it sees first is new. What the others see first may have been there before."""


@dataclass(frozen=True, slots=True)
class Not:
    """Three-valued negation."""

    item: "Expr"


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two conditions."""

    items: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two conditions."""

    items: tuple["Expr", ...]


Test = Compare | Member | Between | Like | Regexp | IsNull | InSet | Stored
"""Conditions on one operand."""
Condition = Test | Relation | During | EventWindow | FirstSeen | Predicate
Expr = Condition | Not | And | Or | Unless


@dataclass(frozen=True, slots=True)
class Order:
    """One key of ORDER BY. Rows where it is absent come last, whichever the direction."""

    operand: Column | Derived | Far
    descending: bool
