"""What SANCP's and stream4's lines have in common: cells between bars, known by their number and where the time is."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from afterfact_protocol.records import Records

from .filling import Bools
from .format import NO_RECORDS

_LINES = 100
"""So many are looked at."""
_TIME = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


def share_of_lines(head: bytes, layouts: Mapping[int, int]) -> float:
    """The share of a file's first lines that have so many cells, with a time in the cell that is given and the next."""
    lines = head.split(b"\n", _LINES)
    if len(lines) > 1:
        lines.pop()  # half of one, or all that is left
    filled = [line for line in lines if line.strip()]
    if not filled:
        return 0.0
    return sum(_fits(line.split(b"|"), layouts) for line in filled) / len(filled)


def _fits(cells: Sequence[bytes], layouts: Mapping[int, int]) -> bool:
    at = layouts.get(len(cells))
    return at is not None and all(_TIME.match(cell) is not None for cell in cells[at : at + 2])


def records_of(parts: Sequence[Records]) -> Records:
    """All of them, in one array."""
    if not parts:
        return NO_RECORDS
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def empty_lines(empty: Bools) -> dict[str, int]:
    """What is skipped."""
    count = int(np.count_nonzero(empty))
    return {"empty lines": count} if count else {}
