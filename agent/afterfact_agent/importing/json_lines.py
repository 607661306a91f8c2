"""Lines of JSON as typed objects, one a line, and what is wrong with the others.

msgspec decodes into the fields that a format names and skips the rest, many lines at once: 1 to 1.5 us a line of
conn.log, where orjson takes 4 to 6. Knows nothing of what the objects mean.
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
_FEW_LINES = 16
"""Are decoded one by one if something is wrong among them."""
_OPENS, _CLOSES = ord("{"), ord("}")
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
        decoder = msgspec.json.Decoder(kind)
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines

    def read(self, block: Block) -> Decoded[T]:
        empty = block.starts == block.ends
        decoded: Decoded[T] = Decoded(block, [], [], skipped=empty_lines(empty))
        filled = np.flatnonzero(~empty)
        # Where each line begins and ends with braces, no object goes on in another line, for a brace that opens never
        # follows one that closes within an object. So as many objects as lines are one a line.
        starts, ends = block.starts[filled], block.ends[filled]
        plain = (block.data[starts] == _OPENS) & (block.data[ends - 1] == _CLOSES)
        odd = np.cumsum(~plain)
        text = memoryview(block.data.tobytes())
        waiting = [(0, len(filled))]
        while waiting:
            first, end = waiting.pop()
            count = end - first
            if count > _FEW_LINES:
                if odd[end - 1] == odd[first] and plain[first]:
                    try:
                        rows = self._decode_lines(text[starts[first] : ends[end - 1]])
                    except (ValueError, RecursionError):
                        rows = []
                    if len(rows) == count:
                        decoded.rows += rows
                        decoded.places += filled[first:end].tolist()
                        continue
                middle = first + count // 2
                waiting += [(middle, end), (first, middle)]
                continue
            for place in filled[first:end].tolist():
                try:
                    row = self._decode(text[block.starts[place] : block.ends[place]])
                except (ValueError, RecursionError) as error:
                    decoded.refuse(place, reason(error))
                else:
                    decoded.rows.append(row)
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
