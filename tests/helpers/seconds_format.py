"""A format of the tests' own, as small as one can be: a line is a start time in seconds, `#` a
comment. A last even number is held back until more comes, as lines are that may be merged with later ones."""

import numpy as np

from afterfact_agent.importing.format import Format, Reader, Reject, Taken
from afterfact_agent.importing.ids import identify
from afterfact_agent.importing.lines import Block
from afterfact_protocol.session import RECORD, Source


class Seconds(Format):
    name = "seconds"
    source = Source.SANCP
    describe = "a number a line"

    def recognise(self, head: bytes, name: str) -> bool:
        return head.startswith(b"#seconds")

    def reader(self) -> Reader:
        return SecondsReader()


class SecondsReader(Reader):
    def __init__(self) -> None:
        self._held: list[int] = []

    def read(self, block: Block) -> Taken:
        rejects, comments = [], 0
        for index in range(len(block)):
            line = block.line(index)
            if line.startswith(b"#"):
                comments += 1
            elif line.isdigit():
                self._held.append(int(line))
            else:
                rejects.append(Reject(int(block.numbers[index]), "no number", line))
        given, self._held = (
            (self._held, []) if not self._held or self._held[-1] % 2 else (self._held[:-1], self._held[-1:])
        )
        return Taken(records(given), tuple(rejects), {"comment": comments} if comments else {})

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def finish(self) -> Taken:
        held, self._held = self._held, []
        return Taken(records(held))


def records(seconds: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    rows = np.zeros(len(seconds), RECORD)
    rows["start_time"] = np.array(seconds, np.int64) * 1_000_000
    rows["end_time"] = rows["start_time"] + 5
    identify(rows)
    return rows
