"""What may come next in a stage, behind a `|`: complete.py's part for stages. Checks nothing and never fails."""

from collections.abc import Iterable, Iterator

from .functions import EITHER, TIME_WORDS
from .lexer import Lexeme, Token
from .measures import MEASURES, PERIODIC, WORDS
from .operators import OPERATORS, Type
from .stagenodes import TIME
from .subjects import resolve

Offer = tuple[str, str, str]
"""What to put there, its kind, its help."""

_CLAUSES = ("BY", "EVERY", "HAVING", "ORDER", "TOP", "LIMIT", "SAVE", "PERIODIC")
_HELP = {
    **{name: entry.help for name, entry in WORDS.items()},
    "ORDER BY": "sort the rows by columns",
    "LIMIT": "at most so many rows",
    "ASC": "smallest or earliest first",
    "DESC": "largest or latest first",
}
_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")


def stage_offers(found: list[Token], fields: Iterable[Offer]) -> Iterator[Offer]:
    """What may follow these tokens, of which one is a `|`. `fields` are the names of all fields."""
    bars = [at for at, token in enumerate(found) if token.is_symbol("|")]
    stage = found[bars[-1] + 1 :]
    columns = _columns(found[bars[0] + 1 :])
    fields = [offer for offer in fields if offer[1] == "field"]
    if not stage:
        yield from ((name, "function", f"{entry.help}: {entry.example}") for name, entry in MEASURES.items())
        yield from _words("PERIODIC", "SAVE")
        if columns:
            yield from _words("HAVING", "ORDER BY", "TOP", "LIMIT")
        return
    clause = next((token.keyword for token in reversed(stage) if token.keyword in _CLAUSES), "")
    if clause == "BY":
        before = [token.keyword for token in stage if token.keyword in _CLAUSES]
        clause = "ORDER" if before[-2:-1] == ["ORDER"] else "BY"
    yield from _in_clause(clause, stage[-1], stage, columns, fields)


def _in_clause(
    clause: str, last: Token, stage: list[Token], columns: list[Offer], fields: list[Offer]
) -> Iterator[Offer]:
    listing = last.keyword == clause or last.keyword == "BY" or last.is_symbol(",")
    match clause:
        case "":
            yield from _in_functions(last, stage, fields)
        case "PERIODIC":
            yield from _words("BY")
        case "BY" if listing:
            yield from _keys(fields)
        case "BY":
            yield from _words("EVERY", "HAVING", "ORDER BY", "TOP", "LIMIT", "|")
        case "EVERY" if last.keyword != "EVERY":
            yield from _words("HAVING", "ORDER BY", "TOP", "LIMIT", "|")
        case "HAVING":
            yield from _in_having(last, columns)
        case "ORDER" if last.keyword == "ORDER":
            yield "BY", "keyword", _HELP["ORDER BY"]
        case "ORDER" if listing:
            yield from columns
            yield from ((token.text.lower(), "field", "") for token in _grouped_by(stage))
            if any(token.keyword == "EVERY" for token in stage):
                yield TIME, "field", _HELP["EVERY"]
        case "ORDER":
            turned = last.keyword in ("ASC", "DESC")
            yield from _words(*(() if turned else ("ASC", "DESC")), "TOP", "LIMIT", "|")
        case "TOP" | "LIMIT" if last.keyword != clause:
            yield from _words("|")
        case "SAVE" if last.lexeme is Lexeme.SET:
            yield from _keys(fields)


def _in_functions(last: Token, stage: list[Token], fields: list[Offer]) -> Iterator[Offer]:
    if last.is_symbol(","):
        yield from ((name, "function", f"{entry.help}: {entry.example}") for name, entry in MEASURES.items())
    elif last.is_symbol("("):
        function = MEASURES.get(stage[-2].text.lower()) if len(stage) > 1 else None
        for name, kind, doc in fields:
            subject = resolve(name)
            if function is not None and subject is not None and subject.type in function.of:
                yield name, kind, doc
    elif last.keyword != "AS":
        named = len(stage) > 1 and stage[-2].keyword == "AS"
        yield from _words(*(() if named else ("AS",)), "BY", "EVERY", "HAVING", "ORDER BY", "TOP", "LIMIT", "|")


def _in_having(last: Token, columns: list[Offer]) -> Iterator[Offer]:
    names = {name for name, _, _ in columns}
    if last.keyword in ("HAVING", "AND", "OR", "NOT") or last.is_symbol("(", "+", "-", "*", "/"):
        yield from columns
    elif last.is_symbol(*_COMPARISONS):
        yield from columns
        yield from ((name, "value", entry.help) for name, entry in TIME_WORDS.items())
    elif last.text.lower() in names:
        yield from ((name, "operator", OPERATORS[name].help) for name in (*_COMPARISONS, "*", "/", "+", "-"))
    else:
        yield from ((name, "operator", OPERATORS[name].help) for name in ("AND", "OR"))
        yield from _words("ORDER BY", "TOP", "LIMIT", "|")


def _words(*names: str) -> Iterator[Offer]:
    yield from ((name, "keyword", _HELP[name]) for name in names)


def _keys(fields: list[Offer]) -> Iterator[Offer]:
    """Fields that sessions are grouped by."""
    for name, kind, doc in fields:
        subject = resolve(name)
        if name not in EITHER and subject is not None and subject.type is not Type.NETWORK:
            yield name, kind, doc


def _grouped_by(stage: list[Token]) -> list[Token]:
    start = next((at for at, token in enumerate(stage) if token.keyword == "BY"), len(stage))
    found = []
    for token in stage[start + 1 :]:
        if token.keyword in _CLAUSES:
            break
        if token.lexeme is Lexeme.WORD:
            found.append(token)
    return found


def _columns(tokens: list[Token]) -> list[Offer]:
    """The computed columns of the table that these tokens ask for."""
    if tokens and tokens[0].keyword == "PERIODIC":
        return [(name, "field", entry.help) for name, entry in PERIODIC.items()]
    found: list[Offer] = []
    at = 0
    while at < len(tokens) and tokens[at].text.lower() in MEASURES:
        entry, name = MEASURES[tokens[at].text.lower()], tokens[at].text.lower()
        at += 1
        if at < len(tokens) and tokens[at].is_symbol("("):
            inside = tokens[at + 1].text.lower() if at + 1 < len(tokens) else ""
            name, at = f"{name}({inside})", at + 3
        if at + 1 < len(tokens) and tokens[at].keyword == "AS":
            name, at = tokens[at + 1].text.lower(), at + 2
        found.append((name, "field", entry.help))
        if not (at < len(tokens) and tokens[at].is_symbol(",")):
            break
        at += 1
    return found
