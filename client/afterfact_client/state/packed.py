"""Many alike things as columns: numbers in arrays, texts as numbers of the distinct ones. No object stays per thing.

A thing has a slot, a place that is its own until it is given back.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.int64]
FIRST = 256
SPARE_TEXTS = 10_000
"""Texts that nothing has any more are thrown away once there are this many more of them than of slots, doubled."""


class Packed:
    """`kinds` names the attributes to keep, each with its numpy type, or None for a text."""

    def __init__(self, kinds: Mapping[str, str | None]) -> None:
        self._kinds = dict(kinds)
        self._of: dict[str, Callable[[Any], Any]] = {name: attrgetter(name) for name in kinds}
        self._columns = {name: np.zeros(FIRST, kind or np.int64) for name, kind in kinds.items()}
        self._texts: dict[str, list[str]] = {name: [""] for name, kind in kinds.items() if kind is None}
        self._codes: dict[str, dict[str, int]] = {name: {"": 0} for name in self._texts}
        self._keys: dict[str, tuple[int, npt.NDArray[np.int64]]] = {}
        self._used = 0
        self._free: list[int] = []

    @property
    def size(self) -> int:
        """Slots that were ever in use."""
        return self._used

    def take_slots(self, count: int) -> list[int]:
        """So many slots that nothing is in."""
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = range(self._used, self._used + count - len(reused))
        self._used = fresh.stop
        for name, column in self._columns.items():
            if len(column) < self._used:
                self._columns[name] = np.concatenate([column, np.zeros(max(len(column), self._used), column.dtype)])
        return [*reused, *fresh]

    def give_back(self, slots: Sequence[int]) -> None:
        """Nothing is in these any more."""
        self._free.extend(slots)

    def put(self, slots: Sequence[int], things: Sequence[object]) -> None:
        """Keep things in slots, in place of what was there."""
        for name, kind in self._kinds.items():
            values = [self._of[name](thing) for thing in things]
            if kind is None:
                texts, codes = self._texts[name], self._codes[name]
                for at, text in enumerate(values):
                    code = codes.get(text)
                    if code is None:
                        code = codes[text] = len(texts)
                        texts.append(text)
                    values[at] = code
            self._columns[name][slots] = values
        for name, texts in self._texts.items():
            if len(texts) > 2 * self._used + SPARE_TEXTS:
                self._tidy(name)

    def number(self, name: str, slot: int) -> int:
        return int(self._columns[name][slot])

    def text(self, name: str, slot: int) -> str:
        text: str = self._texts[name][int(self._columns[name][slot])]
        return text

    def column(self, name: str) -> npt.NDArray[Any]:
        """The numbers of all slots, those of a text as `texts` counts them. Not to be kept."""
        return self._columns[name][: self._used]

    def sort_key(self, name: str, slots: Slots, addresses: bool = False) -> npt.NDArray[Any]:
        """What things are sorted by: numbers as they are; texts by the alphabet, addresses by their number, IPv4
        first."""
        if self._kinds[name] is not None:
            return self._columns[name][slots]
        texts = self._texts[name]
        if name not in self._keys or self._keys[name][0] != len(texts):
            key: Callable[[int], Any] = (lambda at: _address(texts[at])) if addresses else (lambda at: texts[at])
            order = sorted(range(len(texts)), key=key)
            ranks = np.empty(len(order), np.int64)
            ranks[order] = np.arange(len(order))
            self._keys[name] = (len(texts), ranks)
        ranks_now: npt.NDArray[np.int64] = self._keys[name][1][self._columns[name][slots]]
        return ranks_now

    def holding(self, word: str, slots: Slots) -> npt.NDArray[np.bool_]:
        """Which have a word (in lower case) somewhere in their texts."""
        found = np.zeros(len(slots), bool)
        for name, texts in self._texts.items():
            having = np.array([word in text.casefold() for text in texts])
            found |= having[self._columns[name][slots]]
        return found

    def _tidy(self, name: str) -> None:
        used, codes = np.unique(self._columns[name][: self._used], return_inverse=True)
        self._texts[name] = [self._texts[name][code] for code in used]
        self._codes[name] = {text: code for code, text in enumerate(self._texts[name])}
        self._columns[name][: self._used] = codes
        self._keys.pop(name, None)


def _address(text: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return (1 if family == socket.AF_INET6 else 0), socket.inet_pton(family, text)
    except OSError:
        return 2, text.encode()
