"""What an importer makes of a file's text, with everything it tells of lines."""

import io
from collections import Counter
from dataclasses import dataclass, field

from helpers.packets import Row, as_rows

from afterfact_agent.importing.format import Format, Taken
from afterfact_agent.importing.lines import blocks_of
from afterfact_protocol.messages import Observed
from afterfact_protocol.records import check


@dataclass
class Told:
    rows: list[Row] = field(default_factory=list)
    rejects: list[tuple[int, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    observed: list[Observed] = field(default_factory=list)
    lines: int = 0

    @property
    def accounted(self) -> int:
        return len(self.rows) + len(self.rejects) + self.skipped.total()


def told_of(form: Format, text: bytes, size: int = 4 << 20) -> Told:
    """Read in blocks of `size` bytes. What cannot be delivered fails."""
    reader = form.reader()
    told = Told()
    for block in blocks_of(io.BytesIO(text), "file", size):
        told.lines += len(block) + len(block.overlong)
        _take(told, reader.read(block))
    _take(told, reader.finish())
    return told


def _take(told: Told, taken: Taken) -> None:
    check(taken.records)
    told.rows += as_rows(taken.records)
    told.rejects += [(reject.line, reject.reason) for reject in taken.rejects]
    told.skipped.update(taken.skipped)
    told.observed += taken.observed
