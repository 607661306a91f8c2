"""Argus as formats.py knows it: what is recognised, and the reader of its lines."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from afterfact_agent.importing.format import NO_RECORDS, Format, Reader, Reject, Taken
from afterfact_agent.importing.lines import Block, head, read_blocks
from afterfact_protocol.messages import Observed
from afterfact_protocol.session import Source

from . import rows, source
from .management import Management
from .merge import Merger
from .sessions import records_of


class Argus(Format):
    """Data files of Argus 3 and 5, live streams (HOST:PORT) and ra's CSV with its header."""

    name = "argus"
    source = Source.ARGUS
    describe = "Argus data files (through ra), and CSV that ra wrote with a header (ra -u -c ,)"

    def recognise(self, head: bytes, name: str) -> bool:
        return source.is_data(head) or rows.header(head.split(b"\n", 1)[0].rstrip(b"\r")) is not None

    def remote(self, path: Path) -> Format | None:
        return ArgusStream() if source.is_remote(path) else None

    def reader(self) -> Reader:
        return ArgusReader(live=False)

    def blocks(self, path: Path) -> Iterator[Block]:
        begins = head(path)
        if source.is_data(begins) or rows.header(begins.split(b"\n", 1)[0].rstrip(b"\r")) is None:
            return source.lines_of_file(path, begins)
        return read_blocks(path)


class ArgusStream(Argus):
    """HOST:PORT, where Argus or radium serves."""

    def reader(self) -> Reader:
        return ArgusReader(live=True)

    def blocks(self, path: Path) -> Iterator[Block]:
        return source.lines_of_stream(str(path))


class ArgusReader(Reader):
    """Adds up status records. live: gives open flows too, as interim records."""

    def __init__(self, live: bool) -> None:
        self._columns: tuple[str, ...] | None = None
        self._merger = Merger(live)
        self._management = Management()

    def read(self, block: Block) -> Taken:
        skipped: dict[str, int] = {}
        if self._columns is None and len(block):
            self._columns = rows.header(block.line(0))
            if self._columns is None:
                rejects = [
                    Reject(int(n), "no header of ra's before it", block.line(i)) for i, n in enumerate(block.numbers)
                ]
                return Taken(rejects=tuple(rejects))
            skipped["header"] = 1
            block = Block(block.data, block.starts[1:], block.ends[1:], block.numbers[1:])
        if self._columns is None:
            return Taken()
        lines = rows.read(block, self._columns)
        observed = self._runs(lines)
        over, news = self._merger.add(lines.rows)
        if self._merger.merged:
            skipped["added to the session of an earlier record"] = self._merger.merged
            self._merger.merged = 0
        records = [records_of(over), records_of(news, going_on=True)]
        for reason, count in lines.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + count
        return Taken(np.concatenate(records), tuple(lines.rejects), skipped, tuple(observed))

    def _runs(self, lines: rows.Lines) -> list[Observed]:
        """Give rows the run of Argus that they are of; the intervals that are complete."""
        observed: list[Observed] = []
        numbers, taken = lines.rows["number"], 0
        for number, cause, start, end, packets, lost in [*lines.managed, (2**62, b"", 0, 0, 0, 0)]:
            before = int(np.searchsorted(numbers, number))
            if before > taken:
                lines.rows["run"][taken:before] = self._management.run
                self._management.flows(int(lines.rows["start"][taken:before].min()))
                taken = before
            if cause == b"Start":
                self._management.starts(end)
            elif cause:
                observed += self._management.tell(start, end, packets, lost)
        return observed

    @property
    def holding(self) -> bool:
        return self._merger.holding

    def finish(self) -> Taken:
        held = self._merger.finish()
        records = records_of(held) if len(held) else NO_RECORDS
        return Taken(records, observed=tuple(self._management.finish()))
