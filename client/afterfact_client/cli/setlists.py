"""Lists of values as files: one a line or in the first column of CSV, each with a comment perhaps. Reading alone; what
becomes of the values is sets.py's.

A line is `VALUE`, `VALUE # comment`, `VALUE,comment`, or a comment alone behind `#`. A first line that is no value is
taken for the titles of columns.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from afterfact_protocol.messages import SetKind
from afterfact_protocol.sets import KINDS, SetError, Values, from_parts, kind_of, read_value

MAX_COMMENT = 1000


@dataclass(slots=True)
class Listed:
    """What a file listed."""

    kind: SetKind
    values: Values
    comments: dict[int, str]
    """By the place of the value."""
    bad: list[str] = field(default_factory=list)
    """Lines that are no values: `line 7: ...`."""


def read_list(lines: Iterable[str], kind: SetKind | None) -> Listed:
    """The values of a list. `kind` is told by the first value if it is None. SetError if there is no value at all."""
    parts: list[bytes] = []
    comments: dict[int, str] = {}
    bad: list[str] = []
    first = True
    for number, text, comment in _entries(lines):
        if kind is None:
            kind = kind_of(text)
        try:
            if kind is None:
                raise SetError(f"{text!a:.60} is no address, port, endpoint or Community ID")
            parts.append(read_value(kind, text))
        except SetError as error:
            if not first:  # else the titles of columns
                bad.append(f"line {number}: {error}")
        else:
            if comment:
                comments[len(parts) - 1] = comment[:MAX_COMMENT]
        first = False
    if kind is None or not parts:
        raise SetError(f"no value in it; kinds are {', '.join(KINDS)}")
    return Listed(kind, from_parts(kind, parts), comments, bad)


def _entries(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(lines, 1):
        text, mark, comment = line.lstrip("\ufeff").partition("#")
        text = text.strip()
        if not text:
            continue
        if "," in text or text.startswith('"'):
            cells = next(csv.reader([text]))
            text, rest = cells[0].strip(), ", ".join(cell.strip() for cell in cells[1:] if cell.strip())
            comment = f"{rest} {comment}" if mark and rest else rest or comment
        yield number, text, " ".join(comment.split())
