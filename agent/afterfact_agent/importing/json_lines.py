"""Lines of JSON as typed objects, one a line, and what is wrong with the others.

msgspec decodes into the fields that a format names and skips the rest: 1.5 to 2 us a line of conn.log, where orjson
takes 4 to 6. Knows nothing of what the objects mean.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec
import numpy as np

from .filling import Bools
from .format import Reject
from .layouts import empty_lines
from .lines import Block

T = TypeVar("T")

_EXPECTED = re.compile(r"Expected `([^`]*)`(?: (>=|<=) (\S+))?.* - at `\$\.?(.*)`$")
_REQUIRED = re.compile(r"Object missing required field `([^`]*)`")
_INDEX = re.compile(r"\[[^]]*\]")
_KINDS = {"int": "whole number", "float": "number", "str": "text", "array": "list"}


@dataclass(slots=True)
class Decoded(Generic[T]):
    """What the lines of a block say."""

    block: Block
    rows: list[T]
    places: list[int]
    """Which line of the block each row is."""
    rejects: list[Reject] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def refuse(self, place: int, why: str) -> None:
        """Reject the line at this place in the block."""
        self.rejects.append(Reject(int(self.block.numbers[place]), why, self.block.line(place)))

    def in_order(self) -> tuple[Reject, ...]:
        return tuple(sorted(self.rejects, key=lambda reject: reject.line))


class JsonLines(Generic[T]):
    """Reads blocks of lines, each one object of the given msgspec type."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, block: Block) -> Decoded[T]:
        decoded: Decoded[T] = Decoded(block, [], [], skipped=empty_lines(block.starts == block.ends))
        text = memoryview(block.data.tobytes())
        for place, (start, end) in enumerate(zip(block.starts.tolist(), block.ends.tolist(), strict=True)):
            if start == end:
                continue
            try:
                decoded.rows.append(self._decode(text[start:end]))
            except (ValueError, RecursionError) as error:
                decoded.refuse(place, reason(error))
            else:
                decoded.places.append(place)
        return decoded


class Faults:
    """Which of some rows are refused after decoding, and why: the first reason of each counts."""

    def __init__(self, count: int) -> None:
        self._fault = np.zeros(count, np.int64)
        self._reasons: list[str] = []

    def note(self, wrong: Bools, why: str) -> None:
        if wrong.any():
            self._reasons.append(why)
            self._fault[wrong & (self._fault == 0)] = len(self._reasons)

    @property
    def fine(self) -> Bools:
        return np.asarray(self._fault == 0)

    def refused(self) -> Iterator[tuple[int, str]]:
        """Which rows, and why."""
        for row in np.flatnonzero(self._fault).tolist():
            yield row, self._reasons[int(self._fault[row]) - 1]


def reason(error: Exception) -> str:
    """Why a line could not be decoded, the same for all lines with this fault."""
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return "JSON is cut off" if "truncated" in text else "not JSON"
    if missing := _REQUIRED.match(text):
        return f"there is no {missing[1]}"
    expected = _EXPECTED.match(text)
    if expected is None:
        return "not a JSON object" if text.startswith("Expected `object`") else "a value is out of range"
    path = _INDEX.sub("", expected[4]) or "the line"
    kinds = " or ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in expected[1].split("|") if "null" not in kind)
    bound = {">=": f" of {expected[3]} at least", "<=": f" up to {expected[3]}"}.get(expected[2] or "", "")
    return f"{path} is no {kinds}{bound}"
