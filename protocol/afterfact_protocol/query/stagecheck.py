"""Raw stages to checked ones: functions asked of fields that they are for, columns named once, HAVING typed.

Meaning only, as check.py: the grammar is stages.py's.
"""

from collections.abc import Mapping
from datetime import datetime

from . import binding
from .cursor import CLAUSES, SQL_ONLY
from .errors import QueryError
from .functions import PREDICATES, TIME_WORDS
from .lexer import MAX_NAME_CHARACTERS, Lexeme, Token
from .measures import MEASURES, PERIODIC_MEASURES, WORDS, type_of
from .nodes import And, Arithmetic, Cell, Column, Derived, Either, Expr, Far, Measure, Not, Op, Or, Relation, Term
from .operators import Type
from .rawtree import (
    Binary,
    Call,
    Group,
    Junction,
    Listed,
    Negation,
    NullTest,
    Patterned,
    Ranged,
    Raw,
    RawMeasure,
    RawQuery,
    RawSave,
    RawStage,
    RawTable,
    Recent,
    Window,
)
from .setterms import KINDS
from .stagenodes import TIME, Key, Save, Stage, Table, TableOrder
from .subjects import SESSION, Subject, nearest, resolve, unknown
from .terms import Terms, Typed, compared
from .values import length_of_time

MAX_TOP = 10_000
MAX_LIMIT = 1_000_000

_RESERVED = {*CLAUSES, *SQL_ONLY, *TIME_WORDS, *WORDS, "NOT", "LIMIT", "UNION"}
_COMPARISONS = tuple(op.value for op in Op)


def stages(raw: RawQuery, where: Expr | None, now: datetime) -> tuple[Stage, ...]:
    """The stages of a query with this condition. Raises QueryError."""
    found: list[Stage] = []
    for one in raw.stages:
        found.append(_stage(one, found, raw, where, now))
    return tuple(found)


def _stage(raw: RawStage, before: list[Stage], query: RawQuery, where: Expr | None, now: datetime) -> Stage:
    if before and isinstance(before[-1], Save):
        raise QueryError("SAVE is the last stage of a query", raw.start, raw.end)
    if isinstance(raw, RawSave):
        return _save(raw, before, where)
    if before:
        raise QueryError("a table is made of sessions, not of another table", raw.start, raw.end)
    if query.order or query.limit is not None:
        what, place = ("ORDER BY", query.order[0].name) if query.order else ("LIMIT", query.limit)
        assert place is not None, "one of them is there"
        raise QueryError(f"{what} comes after the functions: a table is made of all sessions that are found",
                         place.start, place.end)  # fmt: skip
    return _Table(raw, where, now).table()


def _save(raw: RawSave, before: list[Stage], where: Expr | None) -> Save:
    name, span = raw.name.text, (raw.start, raw.end)
    subject = resolve(raw.field.text) if raw.field is not None else None
    if raw.field is None or subject == SESSION:
        if before:
            raise QueryError("of a table one of its fields is saved: save @name FIELD", raw.start, raw.end)
        return Save(name, None, span, raw.live, raw.replace)
    if subject is not None and subject.type not in KINDS:
        raise QueryError(f"{subject.name} cannot be saved: sets are of addresses, ports, endpoints, Community IDs or "
                         "sessions", raw.field.start, raw.field.end)  # fmt: skip
    if raw.live and before:
        raise QueryError("a table's values are saved as they are; a live set is of a field of sessions",
                         raw.start, raw.end)  # fmt: skip
    if subject is not None and isinstance(subject.operand, Either) and not before:
        return Save(name, subject.operand, span, raw.live, raw.replace)
    operand = _key(raw.field, where, "saved")
    if before:
        table = before[-1]
        assert isinstance(table, Table), "nothing follows SAVE"
        if operand not in table.keys:
            keys = ", ".join(key.name for key in table.keys) or "and this one has none"
            raise QueryError(f"of a table one of the fields after BY is saved: {keys}", raw.field.start, raw.field.end)
    return Save(name, operand, span, raw.live, raw.replace)


def _key(token: Token, where: Expr | None, used: str) -> Key:
    """The field that is grouped by, or saved."""
    subject = resolve(token.text)
    if subject is None:
        raise QueryError(unknown(token.text), token.start, token.end)
    operand = subject.operand
    if subject.type is Type.NETWORK:
        raise QueryError(f"`{subject.name}` asks for a network's name; sessions are not {used} by it",
                         token.start, token.end)  # fmt: skip
    if isinstance(operand, Far):
        end = binding.far_end(where)
        if end is None:
            raise binding.unbound(token.start, token.end)
        return end
    if isinstance(operand, Either):
        sides = [f"{side}_{subject.name}" for side in ("src", "dst")]
        choice = ", ".join(["its fields"] if subject.type is Type.ENDPOINT else sides)
        far = " or other_ip" if subject.type is Type.ADDRESS else ""
        raise QueryError(f"`{subject.name}` has two sides; take one of them: {choice}{far}", token.start, token.end)
    assert isinstance(operand, Column | Derived), "what else a name stands for is told apart above"
    return operand


class _Table:
    def __init__(self, raw: RawTable, where: Expr | None, now: datetime) -> None:
        self._raw = raw
        self._where = where
        self._now = now

    def table(self) -> Table:
        raw = self._raw
        measures = PERIODIC_MEASURES if raw.periodic else tuple(map(self._measure, raw.measures))
        keys: list[Key] = []
        for token in raw.keys:
            key = _key(token, self._where, "grouped")
            if key in keys:
                raise QueryError(f"{key.name} is after BY already", token.start, token.end)
            keys.append(key)
        every = self._every()
        self._named_once(measures, keys, every)
        columns = {measure.title: measure for measure in measures}
        conditions = [_having(one, columns, self._now) for one in raw.having]
        items: list[Expr] = []
        for condition in conditions:
            items.extend(condition.items if isinstance(condition, And) else (condition,))
        having = None if not items else items[0] if len(items) == 1 else And(tuple(items))
        top = _number("TOP", raw.top, MAX_TOP)
        if raw.top is not None and not keys:
            raise QueryError("TOP takes the first of several groups; write BY and what to group by",
                             raw.top.start, raw.top.end)  # fmt: skip
        return Table(measures, tuple(keys), every, having, self._order(columns, keys, every), top,
                     _number("LIMIT", raw.limit, MAX_LIMIT), raw.periodic)  # fmt: skip

    def _measure(self, raw: RawMeasure) -> Measure:
        function = MEASURES[raw.function.text.lower()]
        alias = ""
        if raw.alias is not None:
            alias = raw.alias.text.lower()
            if raw.alias.keyword in _RESERVED or "." in alias or len(alias) > MAX_NAME_CHARACTERS:
                raise QueryError(f"`{raw.alias.text}` cannot name a column", raw.alias.start, raw.alias.end)
        argument = raw.argument
        if not function.of:
            if argument is not None:
                raise QueryError(f"{function.name} is {function.help}; it takes no field", argument.start, argument.end)
            return Measure(function.name, None, alias)
        if argument is None:
            raise QueryError(f"{function.name} takes a field, as in {function.example}", raw.start, raw.end)
        subject = resolve(argument.text)
        if subject is None:
            raise QueryError(unknown(argument.text), argument.start, argument.end)
        return Measure(function.name, self._operand(function.name, subject, argument), alias)

    def _operand(self, name: str, subject: Subject, token: Token) -> Column | Either | Derived | Far:
        types = MEASURES[name].of
        if subject.type not in types:
            takes = "any field but endpoint and networks" if len(types) > 6 else ", ".join(
                kind.value for kind in Type if kind in types
            )  # fmt: skip
            raise QueryError(f"{name} cannot be asked of {subject.name} ({subject.type.value}); it takes {takes}",
                             token.start, token.end)  # fmt: skip
        operand = subject.operand
        if isinstance(operand, Far):
            end = binding.far_end(self._where)
            if end is None:
                raise binding.unbound(token.start, token.end)
            return end
        assert isinstance(operand, Column | Either | Derived), "no name stands for a mask"
        return operand

    def _every(self) -> int | None:
        token = self._raw.every
        if token is None:
            return None
        if self._raw.periodic:
            raise QueryError(
                "PERIODIC measures the whole time; EVERY is for count and the like", token.start, token.end
            )
        length = length_of_time(token)
        if not length:
            raise QueryError("this length of time is 0", token.start, token.end)
        return length

    def _named_once(self, measures: tuple[Measure, ...], keys: list[Key], every: int | None) -> None:
        raw = self._raw
        names = {key.name: (token.start, token.end) for key, token in zip(keys, raw.keys, strict=True)}
        if every is not None and raw.every is not None:
            names[TIME] = (raw.every.start, raw.every.end)
        places = [(one.start, one.end) for one in raw.measures] or [(raw.start, raw.end)] * len(measures)
        for measure, place in zip(measures, places, strict=True):
            if measure.title in names:
                raise QueryError(f"two columns are called {measure.title}; name one with AS", *place)
            names[measure.title] = place

    def _order(self, columns: Mapping[str, Measure], keys: list[Key], every: int | None) -> tuple[TableOrder, ...]:
        found: list[TableOrder] = []
        by_name: dict[str, Key] = {key.name: key for key in keys}
        for sort in self._raw.order:
            item = sort.item
            measure = _column(item, columns)
            column: Measure | Key | None = measure
            if measure is None:
                subject = resolve(item.text) if isinstance(item, Token) else None
                name = subject.name if subject else item.text.lower() if isinstance(item, Token) else ""
                column = by_name.get(name)
                if column is None and not (every is not None and name == TIME):
                    titles = [*([TIME] if every is not None else []), *by_name, *columns]
                    raise QueryError(f"no such column; the table has {', '.join(titles)}", item.start, item.end)
            if any(other.column == column for other in found):
                raise QueryError("this column is in ORDER BY already", item.start, item.end)
            found.append(TableOrder(column, sort.descending))
        return tuple(found)


def _number(word: str, token: Token | None, most: int) -> int | None:
    if token is None:
        return None
    number = int(token.text) if token.text.isascii() and token.text.isdigit() else 0
    if not 1 <= number <= most:
        raise QueryError(f"{word} takes a whole number from 1 to {most:,}", token.start, token.end)
    return number


def _column(raw: Raw, columns: Mapping[str, Measure]) -> Measure | None:
    """The column that a name, or a function as it stands in the stage, means."""
    if isinstance(raw, Token):
        if raw.lexeme is not Lexeme.WORD:
            return None
        name = raw.text.lower()
        return columns.get(name) or next((one for one in columns.values() if one.written == name), None)
    if not isinstance(raw, Call) or raw.name.text.lower() not in MEASURES:
        return None
    written = raw.name.text.lower()
    if len(raw.arguments) == 1 and isinstance(raw.arguments[0], Token):
        subject = resolve(raw.arguments[0].text)
        written += f"({subject.name if subject else ''})"
    elif raw.arguments:
        return None
    return next((one for one in columns.values() if one.written == written), None)


# --- HAVING


def _having(raw: Raw, columns: Mapping[str, Measure], now: datetime) -> Expr:
    """A condition on the columns of a table."""

    def inner(part: Raw) -> Expr:
        return _having(part, columns, now)

    match raw:
        case Group():
            return inner(raw.item)
        case Junction():
            kind = And if raw.word == "AND" else Or
            return _join(kind, tuple(map(inner, raw.items)))
        case Negation():
            return Not(inner(raw.item))
        case Binary() if raw.symbol in _COMPARISONS:
            return _compare(raw.left, Op(raw.symbol), raw.right, columns, now, (raw.start, raw.end))
        case Listed():
            place = (raw.start, raw.end)
            equal = tuple(_compare(raw.left, Op.EQ, item, columns, now, place) for item in raw.items)
            joined = _join(Or, equal)
            return Not(joined) if raw.negated else joined
        case Ranged():
            place = (raw.start, raw.end)
            bounds = ((Op.GE, raw.low), (Op.LE, raw.high))
            both = And(tuple(_compare(raw.left, op, bound, columns, now, place) for op, bound in bounds))
            return Not(both) if raw.negated else both
        case NullTest() | Patterned() | Window() | Recent():
            raise QueryError("HAVING compares columns with numbers, times and each other", raw.start, raw.end)
        case Token() if raw.keyword.lower() in PREDICATES:
            raise QueryError(f"`{raw.text}` is a condition on sessions; it stands before the |", raw.start, raw.end)
        case _:
            raise QueryError("a value alone is no condition; compare a column with it", raw.start, raw.end)


def _join(kind: type[And] | type[Or], items: tuple[Expr, ...]) -> Expr:
    flat: list[Expr] = []
    for item in items:
        flat.extend(item.items if isinstance(item, kind) else (item,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _compare(
    left: Raw, op: Op, right: Raw, columns: Mapping[str, Measure], now: datetime, span: tuple[int, int]
) -> Relation:
    terms = _Columns(now, columns)
    found = compared(terms, left, op, right, span)
    if not (_has_cell(found.left) or _has_cell(found.right)):
        raise QueryError(f"HAVING compares columns: {', '.join(columns)}", *span)
    return found


def _has_cell(term: Term) -> bool:
    return isinstance(term, Cell) or (isinstance(term, Arithmetic) and (_has_cell(term.left) or _has_cell(term.right)))


class _Columns(Terms):
    """Terms over the columns of a table in place of fields."""

    def __init__(self, now: datetime, columns: Mapping[str, Measure]) -> None:
        super().__init__(now)
        self._columns = columns

    def typed(self, raw: Raw) -> Typed:
        measure = _column(raw, self._columns)
        if measure is not None:
            kind = type_of(measure)
            return Typed(Cell(measure), Type.NUMBER if kind is Type.PORT else kind)
        if isinstance(raw, Call) and raw.name.text.lower() in MEASURES:
            raise self._none(raw)
        return super().typed(raw)

    def _token(self, token: Token) -> Typed:
        if token.lexeme is Lexeme.WORD and token.keyword not in TIME_WORDS:
            raise self._none(token)
        return super()._token(token)

    def _none(self, raw: Token | Call) -> QueryError:
        name = raw if isinstance(raw, Token) else raw.name
        there = ", ".join(self._columns)
        subject = resolve(name.text) if isinstance(raw, Token) else None
        if subject is not None:
            return QueryError(f"HAVING asks of columns that were computed: {there}; what is asked of {subject.name} "
                              "stands before the |", raw.start, raw.end)  # fmt: skip
        hint = nearest(name.text, tuple(self._columns)) or f"; there are {there}"
        return QueryError(f"no column `{name.text}`{hint}", raw.start, raw.end)
