"""A checked query back to text: the standard spelling, which parses to an equal query. Prints; knows no grammar."""

from datetime import UTC, datetime, timedelta
from enum import IntFlag
from fractions import Fraction

from afterfact_protocol.communityid import text_of

from .functions import DURATION_UNITS
from .nodes import (
    And,
    Applied,
    Arithmetic,
    Between,
    Blob,
    Cell,
    Column,
    Compare,
    Constant,
    Derived,
    Duration,
    During,
    Endpoint,
    EventWindow,
    Expr,
    FirstSeen,
    InSet,
    Instant,
    IsNull,
    Like,
    Masked,
    Measure,
    Member,
    NamedNetwork,
    NamedSet,
    Network,
    Not,
    Number,
    Operand,
    Or,
    Order,
    Predicate,
    Regexp,
    Relation,
    SetTerm,
    Stored,
    Term,
    Text,
    Unless,
    Value,
)
from .operators import Type
from .setterms import written
from .stagenodes import TIME, Key, Save, Stage
from .subjects import Subject, name_of, subject_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def query_text(
    where: Expr | None, order: tuple[Order, ...], limit: int | None, once: bool = False, stages: tuple[Stage, ...] = (),
    excluding: tuple[str, ...] | None = None,
) -> str:  # fmt: skip
    """The standard spelling of a query; empty for the query that asks for everything."""
    parts = []
    if where is not None:
        parts.append(f"WHERE {condition(where)}")
    if excluding is not None:
        parts.append(f"EXCLUDING {', '.join(excluding) or 'NONE'}")
    if once:
        parts.append("ONCE")
    if order:
        keys = (f"{operand(key.operand)}{' DESC' if key.descending else ''}" for key in order)
        parts.append(f"ORDER BY {', '.join(keys)}")
    if limit is not None:
        parts.append(f"LIMIT {limit}")
    parts += (f"| {stage(one)}" for one in stages)
    return " ".join(parts)


def stage(node: Stage) -> str:
    """The standard spelling of a stage, without the `|`."""
    if isinstance(node, Save):
        of = "" if node.operand is None else f" {node.operand.name}"
        return f"SAVE @{node.name}{of}{' LIVE' * node.live}{' REPLACE' * node.replace}"
    parts = ["PERIODIC" if node.periodic else ", ".join(map(_measure, node.measures))]
    if node.keys:
        parts.append(f"BY {', '.join(key.name for key in node.keys)}")
    if node.every is not None:
        parts.append(f"EVERY {duration(node.every)}")
    if node.having is not None:
        parts.append(f"HAVING {condition(node.having)}")
    if node.order:
        keys = (f"{column_title(key.column)}{' DESC' if key.descending else ''}" for key in node.order)
        parts.append(f"ORDER BY {', '.join(keys)}")
    if node.top is not None:
        parts.append(f"TOP {node.top}")
    if node.limit is not None:
        parts.append(f"LIMIT {node.limit}")
    return " ".join(parts)


def _measure(node: Measure) -> str:
    return f"{node.written} AS {node.alias}" if node.alias else node.written


def column_title(column: Measure | Key | None) -> str:
    """The name of a table's column; None is the time that EVERY adds."""
    if column is None:
        return TIME
    return column.title if isinstance(column, Measure) else column.name


def condition(expr: Expr) -> str:
    """The standard spelling of a condition."""
    match expr:
        case And():
            return " AND ".join(_within_and(item) for item in expr.items)
        case Or():
            return " OR ".join(condition(item) for item in expr.items)
        case Not():
            return _negation(expr.item)
        case Predicate():
            return expr.name
        case Relation():
            return f"{term(expr.left)} {expr.op.value} {term(expr.right)}"
        case During():
            return f"DURING '{instant(expr.first)}' .. '{instant(expr.last)}'"
        case FirstSeen():
            where = "" if expr.where is None else f" WHERE {condition(expr.where)}"
            return f"first_seen({', '.join(expr.fields)}{where}) {expr.op.value} '{instant(expr.us)}'"
        case EventWindow():
            return f"DURING event({expr.number}){_shift(expr.before)} .. {_signed(expr.after)}"
        case Unless():
            return f"NOT ({condition(expr.item)})"
    left, subject = operand(expr.operand), subject_of(expr.operand)
    match expr:
        case Compare():
            return f"{left} {expr.op.value} {value(expr.value, subject)}"
        case Member():
            return f"{left} IN {_listed(expr, subject)}"
        case Between():
            return f"{left} BETWEEN {value(expr.low, subject)} AND {value(expr.high, subject)}"
        case Like():
            return f"{left} LIKE {quoted(expr.pattern)}"
        case Regexp():
            return f"{left} REGEXP {quoted(expr.pattern)}"
        case IsNull():
            return f"{left} IS NULL"
        case InSet():
            return f"{left} IN {_sets(expr.sets)}"
        case Stored():
            return f"{left} IN @..."


def _signed(us: int) -> str:
    return f"{'-' if us < 0 else '+'}{duration(abs(us))}"


def _shift(us: int) -> str:
    return f" {'-' if us < 0 else '+'} {duration(abs(us))}" if us else ""


def _sets(sets: SetTerm) -> str:
    text = written(sets)
    return text if isinstance(sets, NamedSet) else f"({text})"


def _within_and(item: Expr) -> str:
    return f"({condition(item)})" if isinstance(item, Or) else condition(item)


def _negation(item: Expr) -> str:
    match item:
        case And() | Or():
            return f"NOT ({condition(item)})"
        case Member():
            return f"{operand(item.operand)} NOT IN {_listed(item, subject_of(item.operand))}"
        case IsNull():
            return f"{operand(item.operand)} IS NOT NULL"
        case InSet():
            return f"{operand(item.operand)} NOT IN {_sets(item.sets)}"
        case _:
            return f"NOT {condition(item)}"


def _listed(member: Member, subject: Subject) -> str:
    return f"({', '.join(value(item, subject) for item in member.values)})"


def term(node: Term) -> str:
    """The standard spelling of a computation."""
    match node:
        case Column() | Derived():
            return node.name
        case Cell():
            return node.measure.title
        case Constant():
            return _decimal(node.value)
        case Instant():
            return f"'{instant(node.us)}'"
        case Duration():
            return duration(node.us)
        case Applied():
            return f"{node.function}({term(node.term)})"
        case Arithmetic():
            sums = ("+", "-")
            left, right = term(node.left), term(node.right)
            if isinstance(node.left, Arithmetic) and node.left.symbol in sums and node.symbol not in sums:
                left = f"({left})"
            if isinstance(node.right, Arithmetic) and (node.symbol not in sums or node.right.symbol in sums):
                right = f"({right})"
            return f"{left} {node.symbol} {right}"


def _decimal(number: Fraction) -> str:
    """Exact: constants are typed as decimals."""
    digits = 0
    while (number * 10**digits).denominator != 1:
        digits += 1
    whole = str((number * 10**digits).numerator).zfill(digits + 1)
    return f"{whole[: len(whole) - digits]}.{whole[len(whole) - digits :]}" if digits else whole


def operand(node: Operand) -> str:
    """The standard spelling of an operand."""
    return f"{node.name} & {node.mask}" if isinstance(node, Masked) else node.name


def value(node: Value, subject: Subject) -> str:
    """The standard spelling of a value beside a subject."""
    match node:
        case Number():
            if subject.names is None or issubclass(subject.names, IntFlag):
                return str(node.value)
            return name_of(subject.names, node.value) or str(node.value)
        case Instant():
            return f"'{instant(node.us)}'"
        case Duration():
            return duration(node.us)
        case Network():
            return str(node)
        case NamedNetwork():
            return f"net({quoted(node.name)})"
        case Endpoint():
            return f"'{endpoint(node)}'"
        case Text():
            return quoted(node.value)
        case Blob() if subject.type is Type.COMMUNITY:
            return quoted(text_of(node.value))
        case Blob():
            return quoted(node.value.hex())


def quoted(text: str) -> str:
    """Text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def endpoint(node: Endpoint) -> str:
    """An endpoint without quotes; IPv6 in brackets."""
    return f"{node.network}:{node.port}" if node.network.is_ipv4 else f"[{node.network}]:{node.port}"


def instant(us: int) -> str:
    """A time as `2004-07-20 17:37:49.5`, without a fraction where it is 0."""
    time = _EPOCH + timedelta(microseconds=us)
    text = f"{time.year:04}-{time.month:02}-{time.day:02} {time.hour:02}:{time.minute:02}:{time.second:02}"
    return text if not time.microsecond else f"{text}.{time.microsecond:06}".rstrip("0")


def duration(us: int) -> str:
    """A length of time in the largest unit that divides it: `90s`, `6h`."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if us and us % DURATION_UNITS[unit] == 0:
            return f"{us // DURATION_UNITS[unit]}{unit}"
    return "0s"
