"""The reference sections of docs/query.md, made from the fields and the registries. Text in, text out: no files."""

import re
from collections.abc import Iterable

from afterfact_protocol import sets
from afterfact_protocol.session import FIELDS, Role

from . import check, cursor, firsts, lexer, setterms, stagecheck, stages, syntax, terms
from .functions import (
    DERIVED,
    DURATION_UNITS,
    EITHER,
    FAR_EXAMPLE,
    FAR_HELP,
    FLAG_LETTERS,
    FUNCTIONS,
    NETWORK_FIELDS,
    PREDICATES,
    SIZE_UNITS,
    TIME_WORDS,
)
from .measures import MEASURES, PERIODIC, WORDS
from .operators import OPERATORS, Type
from .services import SERVICES
from .subjects import SESSION_EXAMPLE, SESSION_HELP, resolve, spellings

_SECTION = re.compile(r"(<!-- begin (\w+)[^>]*-->\n).*?(<!-- end \2 -->)", re.DOTALL)

_ROLES = {Role.IDENTITY: "fixed", Role.GROWING: "grows", Role.STAMP: "server's"}


def refreshed(document: str) -> str:
    """The document with every section between `<!-- begin NAME -->` and `<!-- end NAME -->` made anew.

    ValueError if a section is missing, is there twice or is not known.
    """
    made = sections()
    found = [match[2] for match in _SECTION.finditer(document)]
    if sorted(found) != sorted(made):
        raise ValueError(f"sections are {', '.join(sorted(made))}; the document has {', '.join(sorted(found))}")
    return _SECTION.sub(lambda match: f"{match[1]}\n{made[match[2]]}\n\n{match[3]}", document)


def sections() -> dict[str, str]:
    """The sections by name, as Markdown."""
    return {
        "fields": _fields(),
        "names": _names(),
        "sides": _table(
            ("field", "of", "is", "example"),
            ((f"`{e.name}`", " / ".join(" and ".join(f"`{name}`" for name in side) for side in e.sides), e.help,
              f"`{e.example}`") for e in EITHER.values()),
        ),
        "computed": _table(
            ("field", "is", "example"),
            (
                *((f"`{e.name}`", e.help, f"`{e.example}`") for e in DERIVED.values()),
                ("`other_ip`", FAR_HELP, f"`{FAR_EXAMPLE}`"),
                ("`session`", SESSION_HELP, f"`{SESSION_EXAMPLE}`"),
                *((f"`{e.name}`", e.help, f"`{e.example}`") for e in NETWORK_FIELDS.values()),
            ),
        ),
        "services": _services(),
        "conditions": _table(("condition", "holds if"), ((f"`{e.name}`", e.help) for e in PREDICATES.values())),
        "functions": _table(
            ("function", "takes", "is", "example"),
            ((f"`{e.name}`", e.arguments or "nothing", ("true for " if e.condition else "") + e.help, f"`{e.example}`")
             for e in FUNCTIONS.values()),
        ),
        "operators": _operators(),
        "measures": _table(
            ("function", "is", "asked of types", "example"),
            ((f"`{e.name}`", e.help, _of(e.of), f"`{e.example}`") for e in MEASURES.values()),
        ),
        "periodic": _table(("column", "is"), ((f"`{e.name}`", e.help) for e in PERIODIC.values())),
        "stages": _table(
            ("word", "does", "example"), ((f"`{e.name}`", e.help, f"`{e.example}`") for e in WORDS.values())
        ),
        "times": _table(("word", "is"), ((f"`{e.name}`", e.help) for e in TIME_WORDS.values())),
        "units": _units(),
        "limits": _limits(),
    }  # fmt: skip


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _fields() -> str:
    def row(name: str) -> tuple[str, ...]:
        field = next(field for field in FIELDS if field.name == name)
        subject = resolve(name)
        assert subject is not None, "every field can be asked"
        also = ", ".join(f"`{alias}`" for alias in field.aliases)
        unknown = "yes" if field.nullable else ""
        return f"`{name}`", subject.type.value, field.doc, field.unit, also, _ROLES[field.role], unknown

    head = ("field", "type", "is", "unit", "also called", "value", "can be NULL")
    return _table(head, (row(field.name) for field in FIELDS))


def _names() -> str:
    rows = []
    for field in FIELDS:
        subject = resolve(field.name)
        if subject is not None and subject.names is not None:
            rows.append((f"`{field.name}`", ", ".join(f"`{name}`" for name in spellings(subject.names))))
    return _table(("field", "names"), rows)


def _of(types: frozenset[Type]) -> str:
    if len(types) > len(Type) // 2:
        others = ", ".join(t.value for t in Type if t not in types)
        return f"any but {others}" if others else "any"
    return ", ".join(t.value for t in Type if t in types) or "-"


def _operators() -> str:
    def row(name: str) -> tuple[str, ...]:
        entry = OPERATORS[name]
        spelled = ", ".join(f"`{spelling}`" for spelling in (entry.name, *entry.others))
        return spelled, entry.help, _of(entry.types), f"`{entry.example}`"

    return _table(("operator", "means", "asked of types", "example"), map(row, OPERATORS))


def _services() -> str:
    by_port: dict[int, list[str]] = {}
    for name, port in SERVICES.items():
        by_port.setdefault(port, []).append(name)
    return ", ".join(f"{' '.join(f'`{name}`' for name in names)} {port}" for port, names in sorted(by_port.items()))


def _units() -> str:
    def microseconds(number: int) -> str:
        for unit, name in ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s")):
            if number > unit and number % unit == 0:
                return f"{number // unit} {name}"
        return f"{number:,} us"

    rows = [(f"`{name}`", "length of time", microseconds(number)) for name, number in DURATION_UNITS.items()]
    rows += [(f"`{name}`", "size", f"{number:,} bytes") for name, number in SIZE_UNITS.items()]
    rows += [(f"`'{letter}'`", "TCP flag", f"`{name}`") for letter, name in FLAG_LETTERS.items()]
    return _table(("unit", "of", "is"), rows)


def _limits() -> str:
    rows = [
        ("length of a query", f"{lexer.MAX_BYTES:,} bytes"),
        ("parentheses, NOTs and calls within each other", f"{cursor.MAX_DEPTH}"),
        ("conditions", f"{cursor.MAX_CONDITIONS}"),
        ("values in all IN lists together", f"{syntax.MAX_LIST_ITEMS:,}"),
        ("sets, counted as often as they are named", f"{setterms.MAX_SETS}"),
        ("values of a set", f"{sets.MAX_VALUES:,}"),
        ("`+ - * /` in one comparison", f"{terms.MAX_OPERATIONS}"),
        ("`first_seen` in one query", f"{firsts.MAX_FIRSTS}"),
        ("conditions within `first_seen`", f"{firsts.MAX_WHERE}"),
        ("fields of ORDER BY", f"{syntax.MAX_ORDER}"),
        ("LIMIT", f"1 to {check.MAX_LIMIT:,}"),
        ("stages", f"{stages.MAX_STAGES}"),
        ("functions of a table", f"{stages.MAX_MEASURES}"),
        ("fields after BY", f"{stages.MAX_KEYS}"),
        ("TOP", f"1 to {stagecheck.MAX_TOP:,}"),
    ]
    return _table(("what", "at most"), rows)
