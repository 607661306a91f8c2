"""A checked query in English: the line under the query bar that shows an analyst what was understood.

Says the same as the tree, no more; conditions on both sides of a session are told together.
"""

from enum import IntFlag

from . import canonical
from .functions import DURATION_UNITS, EITHER, PREDICATES
from .language import Query
from .measures import function_of
from .nodes import (
    And,
    Applied,
    Arithmetic,
    Between,
    Cell,
    Column,
    Compare,
    Constant,
    Derived,
    Duration,
    During,
    Either,
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
    Network,
    Not,
    Number,
    Op,
    Operand,
    Or,
    Predicate,
    Regexp,
    Relation,
    Stored,
    Term,
    Text,
    Unless,
    Value,
    Whole,
)
from .operators import Type
from .setterms import written
from .stagenodes import Save, Stage
from .subjects import Subject, subject_of

_NOUNS = {
    "proto": "protocol",
    "ip": "address",
    "pkts": "packets",
    "total_pkts": "packets both ways",
    "total_bytes": "bytes both ways",
    "vlan": "VLAN",
    "ip_bytes": "IP bytes",
    "retrans_bytes": "bytes sent again",
    "other_ip": "far end",
    "community_id": "Community ID",
}
_SIDES = {"src": "source", "dst": "destination"}
_TIMES = {"start_time": "started", "end_time": "last seen", "ingest_time": "stored"}
_TIME_WORDS = {
    Op.EQ: "at",
    Op.NE: "at any time but",
    Op.LT: "before",
    Op.LE: "at or before",
    Op.GT: "after",
    Op.GE: "at or after",
}
_NUMBER_WORDS = {Op.LT: "under", Op.LE: "at most", Op.GT: "over", Op.GE: "at least"}


def reading(query: Query) -> str:
    """One English sentence, without a full stop."""
    parts = [_sessions(query.where)]
    if query.excluding is not None:
        parts.append(f"leaving out {_joined(list(query.excluding), 'and')}" if query.excluding else "leaving out none")
    if query.once:
        parts.append("each conversation once")
    if query.order:
        keys = (f"{key.operand.name} {'descending' if key.descending else 'ascending'}" for key in query.order)
        parts.append(f"by {', '.join(keys)}")
    if query.limit is not None:
        parts.append("the first only" if query.limit == 1 else f"at most {query.limit:,}")
    parts += map(_stage, query.stages)
    return "; ".join(parts)


def _stage(stage: Stage) -> str:
    if isinstance(stage, Save):
        what = f"the values of {_noun(stage.operand)}" if stage.operand else "these"
        how = "kept up as" if stage.live else "saved as"
        return f"{how} @{stage.name}: {what}{', in place of what it was' * stage.replace}"
    words = ["how regularly sessions begin" if stage.periodic else _joined([*map(_measure, stage.measures)], "and")]
    keys = [_noun(key) for key in stage.keys]
    if stage.every is not None:
        keys.append(f"start in steps of {canonical.duration(stage.every)}")
    if keys:
        words.append(f"by {_joined(keys, 'and')}")
    if stage.having is not None:
        words.append(f"where {phrase(stage.having)}")
    if stage.order:
        order = (f"{canonical.column_title(key.column)} {'descending' if key.descending else 'ascending'}"
                 for key in stage.order)  # fmt: skip
        words.append(f"in order of {', '.join(order)}")
    if stage.top is not None:
        first = "the first" if stage.top == 1 else f"the first {stage.top:,}"
        words.append(f"- {first}, and all others in one")
    if stage.limit is not None:
        words.append(f"- the first {stage.limit:,} only")
    return " ".join(words)


def _measure(measure: Measure) -> str:
    words = function_of(measure).reading
    if measure.operand is not None:
        words += f" {_noun(measure.operand)}"
        if isinstance(measure.operand, Either):
            words += " of both sides" if measure.function == "sum" else " of either side"
    return f"{words} ({measure.alias})" if measure.alias else words


def _sessions(where: Expr | None) -> str:
    if where is None:
        return "all sessions"
    items = _fold(where.items) if isinstance(where, And) else [_fold_or(where)]
    adjectives = [phrase(item) for item in items if _is_adjective(item)]
    times = [phrase(item) for item in items if _is_time(item)]
    others = [_nested(item) for item in items if not (_is_adjective(item) or _is_time(item))]
    if len(items) == 1 and isinstance(items[0], Or | And | Not) and others:
        others = [phrase(items[0])]
    words = [", ".join(adjectives), "sessions", " and ".join(times)]
    if others:
        words.append(f"with {_joined(others, 'and')}")
    return " ".join(word for word in words if word)


def _is_adjective(item: Expr) -> bool:
    return isinstance(item, Predicate) or (isinstance(item, Not) and isinstance(item.item, Predicate))


def _is_time(item: Expr) -> bool:
    if isinstance(item, During | EventWindow):
        return True
    if isinstance(item, Not):
        item = item.item
    if isinstance(item, InSet) and isinstance(item.operand, Whole):
        return True
    return isinstance(item, Compare | Between) and isinstance(item.operand, Column) and item.operand.name in _TIMES


# --- what is said of both sides


def _fold(items: tuple[Expr, ...]) -> list[Expr]:
    """The items of an AND: `src_port != 80 AND dst_port != 80` is about the port of either side."""
    neither: dict[str, list[Value]] = {}
    folded: list[Expr] = []
    for item in items:
        if isinstance(item, Compare) and item.op is Op.NE and (side := _side(item.operand)):
            other = Compare(Column(side[1]), Op.NE, item.value)
            if other in items:
                if item.value not in neither.setdefault(side[0], []):
                    if not neither[side[0]]:
                        folded.append(Not(Member(Either(side[0]), ())))
                    neither[side[0]].append(item.value)
                continue
        folded.append(_fold_or(item))
    return [
        Not(Member(item.item.operand, tuple(neither[item.item.operand.name])))
        if isinstance(item, Not) and isinstance(item.item, Member) and not item.item.values
        else item
        for item in folded
    ]


def _fold_or(item: Expr) -> Expr:
    """`src_port = 80 OR dst_port = 80` as the port of either side."""
    if not (isinstance(item, Or) and len(item.items) == 2):
        return item
    first, second = item.items
    if isinstance(first, Compare) and isinstance(second, Compare) and first.op is second.op is not Op.NE:
        side = _side(first.operand)
        if side and second.operand == Column(side[1]) and first.value == second.value:
            return Compare(Either(side[0]), first.op, first.value)
    return item


def _side(operand: Operand) -> tuple[str, str] | None:
    """The either-side field that a column is one side of, and the other side."""
    for name, entry in EITHER.items():
        columns = [side[0] for side in entry.sides]
        if isinstance(operand, Column) and len(entry.sides[0]) == 1 and operand.name in columns:
            return name, columns[1 - columns.index(operand.name)]
    return None


# --- phrases


def phrase(expr: Expr) -> str:
    """A condition as a phrase to follow "with"."""
    match expr:
        case And():
            return " and ".join(_nested(item) for item in _fold(expr.items))
        case Or():
            return " or ".join(_nested(_fold_or(item)) for item in expr.items)
        case Predicate():
            return PREDICATES[expr.name].reading[0]
        case Not():
            return _negation(expr.item)
        case Relation():
            return _relation(expr)
        case During():
            return _during(expr)
        case FirstSeen():
            return _first_seen(expr)
        case EventWindow():
            return _around(expr)
        case Unless():
            return f"not ({phrase(expr.item)})"
    subject = subject_of(expr.operand)
    noun = _noun(expr.operand)
    match expr:
        case Compare():
            return _comparison(expr, subject, noun)
        case Member():
            return f"{noun} {_alternatives(expr, subject)}{_on(expr.operand, 'either')}"
        case Between():
            if isinstance(expr.low, Instant):
                return f"{noun} from {_value(expr.low, subject)} to {_value(expr.high, subject)}"
            return f"{noun} {_value(expr.low, subject)} to {_value(expr.high, subject)}{_on(expr.operand, 'either')}"
        case Like():
            return f"{noun} like {canonical.quoted(expr.pattern)}"
        case Regexp():
            return f"{noun} matching {canonical.quoted(expr.pattern)}"
        case IsNull():
            return f"{noun} unknown{_on(expr.operand, 'both')}"
        case InSet() if isinstance(expr.operand, Whole):
            return f"in {written(expr.sets)}"
        case InSet():
            return f"{noun} in {written(expr.sets)}{_on(expr.operand, 'either')}"
        case Stored():
            return f"{noun} in a set{_on(expr.operand, 'either')}"


_DAY = DURATION_UNITS["d"]


def _during(window: During) -> str:
    if window.first % _DAY == 0 and (window.last + 1) % _DAY == 0:
        first, last = (canonical.instant(day * _DAY).split()[0] for day in (window.first // _DAY, window.last // _DAY))
        return f"active on {first} UTC" if first == last else f"active from {first} to {last} UTC, both days included"
    if window.first == window.last:
        return f"active at {canonical.instant(window.first)} UTC"
    return f"active from {canonical.instant(window.first)} UTC to {canonical.instant(window.last)} UTC"


def _first_seen(first: FirstSeen) -> str:
    nouns = [_noun(Either(name) if name in EITHER else Column(name)) for name in first.fields]
    what = f"{_joined(nouns, 'and')}{' of either side' if any(name in EITHER for name in first.fields) else ''}"
    among = "" if first.where is None else f" among {_sessions(first.where)},"
    return f"{what} first seen{among} {_TIME_WORDS[first.op]} {canonical.instant(first.us)} UTC"


def _around(window: EventWindow) -> str:
    alert = f"alert {window.number}"
    if window.before == window.after == 0:
        return f"active at the time of {alert}"
    first, last = (f"{canonical.duration(abs(us))} {'before' if us < 0 else 'after'} it" if us else "it" for us in
                   (window.before, window.after))  # fmt: skip
    return f"active about {alert}, from {first} to {last}"


def _relation(relation: Relation) -> str:
    left, right = _term(relation.left), _term(relation.right)
    if relation.op in (Op.EQ, Op.NE):
        return f"{left} {'equal to' if relation.op is Op.EQ else 'other than'} {right}"
    return f"{left} {_NUMBER_WORDS[relation.op]} {right}"


def _term(node: Term) -> str:
    match node:
        case Column() if node.name in _TIMES:
            return {"start_time": "start", "end_time": "end", "ingest_time": "time of storing"}[node.name]
        case Column() | Derived():
            return _noun(node)
        case Cell():
            return node.measure.title
        case Constant() if node.value.denominator == 1:
            return f"{node.value.numerator:,}"
        case Instant():
            return f"{canonical.instant(node.us)} UTC"
        case Applied():
            return f"{'day' if node.function == 'TO_DAYS' else 'Unix time'} of ({_term(node.term)})"
        case Arithmetic():
            symbols = {"*": "times", "/": "per", "+": "plus", "-": "minus"}
            left, right = _term(node.left), _term(node.right)
            if isinstance(node.left, Arithmetic) and node.left.symbol != node.symbol:
                left = f"({left})"
            return f"{left} {symbols[node.symbol]} {f'({right})' if isinstance(node.right, Arithmetic) else right}"
        case _:
            return canonical.term(node)


def _nested(expr: Expr) -> str:
    expr = _fold_or(expr)
    return f"({phrase(expr)})" if isinstance(expr, And | Or) else phrase(expr)


def _negation(item: Expr) -> str:
    match item:
        case Predicate():
            return PREDICATES[item.name].reading[1]
        case IsNull():
            return f"{_noun(item.operand)} known{_on(item.operand, 'either')}"
        case InSet() if isinstance(item.operand, Whole):
            return f"not in {written(item.sets)}"
        case InSet() if isinstance(item.operand, Either):
            return f"{_noun(item.operand)} in {written(item.sets)} on neither side"
        case InSet():
            return f"{_noun(item.operand)} not in {written(item.sets)}"
        case Member() if isinstance(item.operand, Either):
            return f"{_noun(item.operand)} {_alternatives(item, subject_of(item.operand))} on neither side"
        case Member():
            return f"{_noun(item.operand)} other than {_alternatives(item, subject_of(item.operand))}"
        case Not():
            return f"not ({_negation(item.item)})"
        case _:
            return f"not ({phrase(item)})"


def _comparison(test: Compare, subject: Subject, noun: str) -> str:
    value = _value(test.value, subject)
    if isinstance(test.operand, Masked) and isinstance(test.value, Number):
        return _masked(test.operand, test.op, test.value.value, noun, value, subject)
    if subject.type is Type.TIME:
        return f"{noun} {_TIME_WORDS[test.op]} {value}"
    if test.op in _NUMBER_WORDS:
        return f"{noun} {_NUMBER_WORDS[test.op]} {value}{_on(test.operand, 'either')}"
    many = isinstance(test.value, NamedNetwork) or (isinstance(test.value, Network) and not test.value.single)
    within = "in " if many else ""
    if subject.type is Type.FLAGS:
        within = "exactly "
    if test.op is Op.EQ:
        return f"{noun} {within}{value}{_on(test.operand, 'either')}"
    if isinstance(test.operand, Either):
        return f"{noun} {within}{value} on neither side"
    return f"{noun} not {within}{value}" if within else f"{noun} other than {value}"


def _masked(operand: Masked, op: Op, number: int, noun: str, value: str, subject: Subject) -> str:
    mask = _flags(operand.mask, subject)
    if number == operand.mask:
        return f"{noun} with {mask}" if op is Op.EQ else f"{noun} without all of {mask}"
    if number == 0:
        return f"{noun} without {mask}" if op is Op.EQ else f"{noun} with any of {mask}"
    return f"{noun} {'with' if op is Op.EQ else 'without'} {value} only, of {mask}"


def _alternatives(member: Member, subject: Subject) -> str:
    return _joined([_value(value, subject) for value in member.values], "or")


def _on(operand: Operand, which: str) -> str:
    if not isinstance(operand, Either):
        return ""
    return " on both sides" if which == "both" else f" on {which} side"


def _noun(operand: Operand) -> str:
    name = operand.name
    if name in _TIMES and isinstance(operand, Column):
        return _TIMES[name]
    if isinstance(operand, Either | Derived):
        return _NOUNS.get(name, name)
    prefix, _, rest = name.partition("_")
    if prefix in _SIDES:
        return f"{_SIDES[prefix]} {_NOUNS.get(rest, rest.replace('_', ' '))}"
    return _NOUNS.get(name, name.replace("_", " ").replace("icmp", "ICMP").replace("syn", "SYN"))


def _value(value: Value, subject: Subject) -> str:
    match value:
        case Instant():
            return f"{canonical.instant(value.us)} UTC"
        case Duration():
            return canonical.duration(value.us)
        case NamedNetwork():
            return f"network {value.name}"
        case Text():
            return value.value if subject.type is Type.SENSOR else canonical.quoted(value.value)
        case Number() if subject.type is Type.FLAGS:
            return _flags(value.value, subject)
        case Number() if subject.type is Type.NUMBER:
            return f"{value.value:,}"
        case _:
            return canonical.value(value, subject).strip("'")


def _flags(number: int, subject: Subject) -> str:
    names = subject.names
    assert names is not None and issubclass(names, IntFlag), "flags have names"
    found = [name for name, member in names.__members__.items() if number & member]
    return "+".join(found) if found and sum(names[name] for name in found) == number else str(number)


def _joined(parts: list[str], word: str) -> str:
    if len(parts) > 12:
        parts = [*parts[:10], f"{len(parts) - 10} more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"
