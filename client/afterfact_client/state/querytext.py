"""Surgery on the text of a query, as typed: add a condition, change the order, take its time terms, name it.

Keeps the analyst's own spelling where it can. Works on texts that parse; QueryError otherwise.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeGuard

from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.canonical import instant, query_text, quoted
from afterfact_protocol.query.language import with_excluding
from afterfact_protocol.query.lexer import Lexeme, tokens
from afterfact_protocol.query.nodes import And, Between, Column, Compare, During, EventWindow, Expr
from afterfact_protocol.query.rawtree import Group, Junction, Raw
from afterfact_protocol.query.syntax import parse as parse_raw

TITLE_LENGTH = 28


def _condition(text: str) -> tuple[str, str]:
    """The condition of a query, fit to stand beside AND, and what follows it (ORDER BY, LIMIT)."""
    raw = parse_raw(text)
    if not raw.arms:
        return "", _without_where(text).strip()
    tail = text[raw.arms[-1].end :].strip()
    # `(WHERE ...)` of a UNION is a Group whose text cannot stand inside a condition; its item's can.
    inner = [arm.item if isinstance(arm, Group) else arm for arm in raw.arms]
    arms = [text[item.start : item.end] for item in inner]
    if len(arms) > 1:
        return f"({' OR '.join(f'({arm})' for arm in arms)})", tail
    only = inner[0]
    return (f"({arms[0]})" if isinstance(only, Junction) and only.word == "OR" else arms[0]), tail


def _without_where(text: str) -> str:
    first = tokens(text)[0]
    return text[first.end :] if first.keyword == "WHERE" else text


def refined(text: str, condition: str, negated: bool = False) -> str:
    """The query with a further condition, or its negation, that must hold too."""
    before, tail = _condition(text)
    added = f"NOT {condition}" if negated else condition
    return " ".join(part for part in ("WHERE", f"{before} AND {added}" if before else added, tail) if part)


def ordered(text: str, keys: Sequence[tuple[str, bool]]) -> str:
    """The query with another ORDER BY in place of its own: columns and whether they go down, the greatest key first."""
    found = tokens(text)
    depth = 0
    start = end = len(text.rstrip())
    for at, token in enumerate(found):
        depth += token.is_symbol("(") - token.is_symbol(")")
        if depth == 0 and token.keyword == "ORDER":
            start = token.start
            later = (other for other in found[at:] if other.keyword == "LIMIT" or other.lexeme is Lexeme.END)
            end = min(next(later).start, len(text.rstrip()))
            break
        if depth == 0 and token.keyword == "LIMIT":
            start = end = token.start
            break
    before, after = text[:start].rstrip(), text[end:].strip()
    clause = f"ORDER BY {', '.join(f'{column} DESC' if down else column for column, down in keys)}"
    return " ".join(part for part in (before, clause, after) if part)


def excluding(text: str, names: tuple[str, ...], now: datetime | None = None) -> str:
    """The query, else as typed, that leaves out these exclusions and no others."""
    return with_excluding(parse(text, now or datetime.now(UTC)), names)


def time_terms(text: str, now: datetime | None = None) -> list[str]:
    """The conditions on start_time and end_time that every row of the query meets, as typed."""
    where = parse(text, now or datetime.now(UTC)).where
    return [text[item.span[0] : item.span[1]] for item in _terms(where) if _of_time(item)]


def _terms(where: Expr | None) -> tuple[Expr, ...]:
    return where.items if isinstance(where, And) else () if where is None else (where,)


def _of_time(item: Expr) -> TypeGuard[During | EventWindow | Compare | Between]:
    """Whether it is a condition on when the session was."""
    times = (Column("start_time"), Column("end_time"))
    return isinstance(item, During | EventWindow) or (isinstance(item, Compare | Between) and item.operand in times)


def without_times(text: str, now: datetime | None = None) -> str:
    """The query in its standard spelling without the conditions that `time_terms` gives."""
    query = parse(text, now or datetime.now(UTC))
    rest = tuple(item for item in _terms(query.where) if not _of_time(item))
    where = None if not rest else rest[0] if len(rest) == 1 else And(rest)
    return query_text(where, query.order, query.limit, query.once, query.stages, query.excluding)


def timed(text: str, condition: str, now: datetime | None = None) -> str:
    """The query about another time: `condition` in place of its own conditions on time; empty: about all time. Else as
    typed, where its time stands in one place."""
    where = parse(text, now or datetime.now(UTC)).where
    own = [item for item in _terms(where) if _of_time(item)]
    if len(own) == 1 and condition and own[0].span[1]:
        start, end = own[0].span
        return f"{text[:start]}{condition}{text[end:]}"
    rest = without_times(text, now) if own else text
    return refined(rest, condition) if condition else rest


def times_between(text: str, now: datetime | None = None) -> tuple[str, str]:
    """The first and last moment that a query asks about, to be typed over; empty where it has no such bound, or several
    conditions on it."""
    try:
        own = [item for item in _terms(parse(text, now or datetime.now(UTC)).where) if _of_time(item)]
    except QueryError:
        return "", ""
    if len(own) == 1 and isinstance(own[0], During):
        return instant(own[0].first), instant(own[0].last)
    return "", ""


def as_time(text: str) -> str:
    """What somebody typed as a time, as the language takes it: a time with blanks in it needs quotes."""
    text = " ".join(text.split())
    return quoted(text) if text[:1].isdigit() and " " in text and not set(text) & set("+") else text


def condition_alone(text: str) -> str:
    """The condition of the query without its times, in its standard spelling; empty if there is no other."""
    return _condition(without_times(text))[0]


def within(text: str, start: int, end: int) -> str:
    """The query of sessions that began from `start` on and before `end` (microseconds), whatever times it asked for."""
    try:
        span = f"start_time >= {quoted(instant(start))} AND start_time < {quoted(instant(end))}"
    except OverflowError:
        raise ValueError("the time is out of the language's range") from None
    return refined(without_times(text), span)


def title(text: str) -> str:
    """A few words that tell a tab from others."""
    try:
        raw = parse_raw(text)
        conditions = [text[item.start : item.end] for arm in raw.arms for item in _leaves(arm)]
    except ValueError:
        conditions = [text]
    conditions = _both_sides([" ".join(part.split()) for part in conditions])
    telling = [part for part in conditions if "start_time" not in part and "end_time" not in part] or conditions
    words = ", ".join(telling)
    if not words:
        return "all sessions" if text.strip() else "new query"
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1].rstrip(" ,") + "…"


def _both_sides(conditions: list[str]) -> list[str]:
    """`src_port = 80`, `dst_port = 80` as the one `port = 80`."""
    plain = [part.replace("sessions.", "").replace("sancp.", "") for part in conditions]
    keys = {part.replace(" ", "").lower() for part in plain}
    folded = []
    for part in plain:
        side, rest = part[:4].lower(), part[4:]
        other = {"src_": "dst_", "dst_": "src_"}.get(side)
        both = other is not None and (other + rest).replace(" ", "").lower() in keys
        folded.append(rest if both else part)
    return list({part.replace(" ", "").lower(): part for part in reversed(folded)}.values())[::-1]


def _leaves(node: Raw) -> list[Raw]:
    if isinstance(node, Group):
        return _leaves(node.item)
    if isinstance(node, Junction):
        return [leaf for item in node.items for leaf in _leaves(item)]
    return [node]
