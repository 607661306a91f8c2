"""The registry of stages: the functions of aggregates, what each may be asked of and is, and the words around them.

Parsing, compiling, reading, completion and docs/query.md derive from it. It evaluates nothing.
"""

from dataclasses import dataclass

from .nodes import Measure
from .operators import Type
from .subjects import subject_of

_COUNTED = frozenset({Type.NUMBER, Type.DURATION})
_ORDERED = _COUNTED | {Type.TIME, Type.PORT}
_ALL = frozenset(Type) - {Type.ENDPOINT, Type.NETWORK}
_NOTHING: frozenset[Type] = frozenset()


@dataclass(frozen=True, slots=True)
class Function:
    """A function of an aggregate."""

    name: str
    help: str
    example: str
    of: frozenset[Type]
    """Types of what it is asked of; empty for what is of the sessions themselves."""
    type: Type | None
    """Of its values; None: that of what it is asked of."""
    reading: str
    """How a sentence says it, before the name of what it is asked of."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that begins a stage, or a clause of one."""

    name: str
    help: str
    example: str


MEASURES: dict[str, Function] = {
    entry.name: entry
    for entry in (
        Function("count", "how many sessions", "port = 1034 | count by dst_ip", _NOTHING, Type.NUMBER,
                 "the number of sessions"),
        Function("sum", "the sum, exact; of a field of either side: of both sides", "last 24h | sum(bytes) by src_ip",
                 _COUNTED, None, "the sum of"),
        Function("avg", "the mean of the known values: exact in HAVING, rounded to 53 bits where it is shown",
                 "last 24h | avg(duration) by dst_port", _COUNTED, None, "the mean of"),
        Function("min", "the least, or the earliest", "last 24h | min(src_bytes) by src_ip", _ORDERED, None,
                 "the least of"),
        Function("max", "the greatest, or the latest", "last 24h | max(duration) by src_ip", _ORDERED, None,
                 "the greatest of"),
        Function("distinct", "how many different values, exact", "last 1h | distinct(dst_ip) as hosts by src_ip", _ALL,
                 Type.NUMBER, "the number of different values of"),
        Function("first", "the earliest start of a session", "ip = 203.0.113.7 | first, last by other_ip", _NOTHING,
                 Type.TIME, "the earliest start"),
        Function("last", "the latest end of a session so far", "port = 1034 | last by src_ip", _NOTHING, Type.TIME,
                 "the latest end"),
    )
}  # fmt: skip
"""What a stage may ask for."""

PERIODIC: dict[str, Function] = {
    entry.name: entry
    for entry in (
        Function("n", "how many sessions began", "", _NOTHING, Type.NUMBER, "the number of sessions"),
        Function("period", "the median of the times from one start to the next", "", _NOTHING, Type.DURATION,
                 "the median period"),
        Function("jitter", "the median of how far these times are from their median, divided by that", "", _NOTHING,
                 Type.NUMBER, "the jitter"),
        Function("first", "the first start", "", _NOTHING, Type.TIME, "the earliest start"),
        Function("last", "the latest end of a session so far", "", _NOTHING, Type.TIME, "the latest end"),
    )
}  # fmt: skip
"""The columns of PERIODIC, in their order. All are of the one sensor that saw most of the group's sessions."""

PERIODIC_MEASURES = tuple(Measure(name) for name in PERIODIC)

WORDS: dict[str, Word] = {
    entry.name: entry
    for entry in (
        Word("|", "hands what was found so far on to a stage", "port = 1034 | count"),
        Word("AS", "names a column", "last 24h | sum(src_bytes) as up by src_ip"),
        Word("BY", "groups sessions by fields, each group a row; without it all are one", "last 24h | count by "
             "dst_port, proto"),
        Word("EVERY", "a row for each length of time that sessions began in, aligned to UTC, weeks to Mondays",
             "dst_port = 53 | count by src_ip every 1h"),
        Word("HAVING", "only rows for which a condition on their columns holds", "last 1h | distinct(dst_ip) as n by "
             "src_ip having n > 50"),
        Word("TOP", "the first so many rows, and one row, other, that sums up the rest", "last 24h | sum(bytes) by "
             "dst_port top 10"),
        Word("PERIODIC", "how regularly the sessions of each group begin", "outbound | periodic by src_ip, dst_ip, "
             "dst_port having n >= 24 and jitter < 0.1"),
        Word("SAVE", "keeps what was found, or one field of it, under a name", "port = 1034 | save @infected src_ip"),
    )
}  # fmt: skip


def function_of(measure: Measure) -> Function:
    """The registry's entry of a measure."""
    return MEASURES.get(measure.function) or PERIODIC[measure.function]


def type_of(measure: Measure) -> Type:
    """What its values are."""
    found = function_of(measure).type
    if found is not None:
        return found
    assert measure.operand is not None, "what takes the type of its operand has one"
    return subject_of(measure.operand).type


def unit_of(measure: Measure) -> str:
    """The unit of its values; empty where they have none, or where their type tells."""
    takes = function_of(measure).type is None
    return subject_of(measure.operand).unit if takes and measure.operand is not None else ""
