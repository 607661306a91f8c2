"""What an importer makes of a file's text, with everything it tells of lines."""

import io
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from helpers.packets import Row, as_rows

from afterfact_agent.importing.format import Format, Taken
from afterfact_agent.importing.lines import blocks_of
from afterfact_protocol.event import EVENT, EVENT_BY_NAME, check_events
from afterfact_protocol.messages import Observed
from afterfact_protocol.records import check
from afterfact_protocol.session import Kind
from afterfact_protocol.text import address_text


@dataclass
class Told:
    rows: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    rejects: list[tuple[int, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    observed: list[Observed] = field(default_factory=list)
    lines: int = 0

    @property
    def accounted(self) -> int:
        return len(self.rows) + len(self.events) + len(self.rejects) + self.skipped.total()


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
    check_events(taken.events)
    told.rows += as_rows(taken.records)
    told.events += [_event(row) for row in taken.events]
    told.rejects += [(reject.line, reject.reason) for reject in taken.rejects]
    told.skipped.update(taken.skipped)
    told.observed += taken.observed


def _event(row: np.void) -> Row:
    """As people read it, None for what is absent."""
    made: Row = {}
    for name in EVENT.names or ():
        known = EVENT_BY_NAME[name]
        value = row[name].item()
        if int(row["absent"]) >> known.id & 1:
            made[name] = None
        elif known.kind is Kind.ADDRESS:
            made[name] = address_text(bytes(value))
        elif known.names is not None:
            made[name] = known.names(value).name.lower()
        else:
            made[name] = value.decode() if isinstance(value, bytes) else value
    return made
