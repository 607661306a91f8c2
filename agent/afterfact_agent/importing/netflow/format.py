"""NetFlow as formats.py knows it: what is recognised, and the reader of its lines."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afterfact_agent.importing.columns import Plan
from afterfact_agent.importing.format import Format, Reader, Reject, Taken
from afterfact_agent.importing.lines import Block, head, read_blocks
from afterfact_protocol.messages import Observed
from afterfact_protocol.session import Source

from . import lines, source
from .pairs import Pairs
from .seen import Seen
from .sessions import Exporters, records_of

_CLOSING = (b"Summary", b"flows,", b"Time window", b"Total flows", b"Sys:", b"No matching flow", b"Date first seen",
            b"No flows")  # fmt: skip
_SUMMARY = b"0123456789.,- "
_ANY_CASE = 0x20


class NetFlow(Format):
    """nfcapd's files, which go on in one another, and nfdump's CSV."""

    name = "netflow"
    source = Source.NETFLOW
    describe = "NetFlow and IPFIX in nfcapd's files (through nfdump), and nfdump's CSV (-o csv)"
    series = True

    def recognise(self, head: bytes, name: str) -> bool:
        return source.is_data(head) or lines.plan_of(head.split(b"\n", 1)[0].rstrip(b"\r")) is not None

    def unfinished(self, path: Path) -> bool:
        return path.name.startswith("nfcapd.current")

    def grows(self, path: Path) -> bool:
        return False

    def reader(self) -> Reader:
        return NetFlowReader()

    def blocks(self, path: Path) -> Iterator[Block]:
        return source.lines_of_file(path) if source.is_data(head(path)) else read_blocks(path)


class NetFlowReader(Reader):
    """Puts together what belongs to a session, over the files of a series."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._closing = False
        """Within the summary that ends nfdump's CSV."""
        self._sampled: frozenset[bytes] = frozenset()
        self._seen = Seen()
        self._pairs = Pairs()
        self._exporters = Exporters()
        self._read = 0

    def read(self, block: Block) -> Taken:
        skipped: dict[str, int] = {}
        rejects: list[Reject] = []
        observed: list[Observed] = []
        over = []
        if len(block) and block.numbers[0] == 1:
            self._seen.next_file()
        worded = _worded(block)
        begin = 0
        for line in [*np.flatnonzero(worded).tolist(), len(block)]:
            if line > begin:
                over.append(self._lines(block, np.arange(begin, line), rejects, skipped))
            if line < len(block):
                self._word(block, line, rejects, skipped, observed)
            begin = line + 1
        rejects.sort(key=lambda reject: reject.line)
        self._count_merged(skipped)
        made = [records_of(rows, self._exporters) for rows in over if len(rows)]
        records = np.concatenate(made) if made else Taken().records
        return Taken(records, tuple(rejects), skipped, tuple(observed))

    def _word(
        self, block: Block, line: int, rejects: list[Reject], skipped: dict[str, int], observed: list[Observed]
    ) -> None:
        """A line that does not begin with a number."""
        text = block.line(line).strip()
        if not text:
            _count(skipped, "empty lines")
        elif (facts := source.facts_of(text)) is not None:
            self._sampled = facts.sampled
            note = f"nfcapd counted {facts.failures} sequence failures: flow records may be missing"
            if facts.failures and facts.first_us:
                observed.append(
                    Observed(facts.first_us, facts.last_us, "import", facts.name[:1000], facts.packets, 0, note)
                )
            _count(skipped, "header lines")
        elif (plan := lines.plan_of(text)) is not None:
            self._plan, self._closing = plan, False
            _count(skipped, "header lines")
        elif text.startswith(_CLOSING):
            self._closing = True
            _count(skipped, "nfdump's summary")
        elif self._plan is not None and not self._closing:
            over = self._lines(block, np.array([line]), rejects, skipped)
            assert not len(over)  # one line never fills a round
        else:
            rejects.append(Reject(int(block.numbers[line]), "no header of nfdump's before it", block.line(line)))

    def _lines(
        self, block: Block, which: NDArray[np.int64], rejects: list[Reject], skipped: dict[str, int]
    ) -> lines.Rows:
        """Flow records; the sessions that are over."""
        if self._closing and self._plan is not None:
            which = self._after_summary(block, which, rejects, skipped)
            if not len(which):
                return lines.no_rows()
        if self._plan is None:
            rejects += [
                Reject(int(block.numbers[line]), "no header of nfdump's before it", block.line(line))
                for line in which.tolist()
            ]
            return lines.no_rows()
        rows, wrong, passed = lines.read(block, which, self._plan, self._sampled, self._read)
        self._read += len(which)
        rejects += wrong
        for kind, count in passed.items():
            _count(skipped, kind, count)
        again = self._seen.again(rows)
        if again.any():
            _count(skipped, "in an earlier file too", int(np.count_nonzero(again)))
            rows = lines.Rows(rows.keys[~again], rows.numbers[~again])
        return self._over(self._pairs.add(rows))

    def _after_summary(
        self, block: Block, which: NDArray[np.int64], rejects: list[Reject], skipped: dict[str, int]
    ) -> NDArray[np.int64]:
        """Which of the lines after nfdump's closing words are flow records, of a file that was put behind another; its
        summary has fewer cells, and numbers only."""
        assert self._plan is not None
        flows = []
        for line in which.tolist():
            text = block.line(line)
            if text.count(lines.SEPARATOR) + 1 == len(self._plan.columns):
                flows.append(line)
            elif text.translate(None, _SUMMARY):
                rejects.append(Reject(int(block.numbers[line]), "neither a flow nor nfdump's summary", text))
            else:
                _count(skipped, "nfdump's summary")
        return np.array(flows, np.int64)

    def _over(self, rows: lines.Rows) -> lines.Rows:
        self._exporters.learn(rows)
        return rows

    def _count_merged(self, skipped: dict[str, int]) -> None:
        pairs = self._pairs
        _count(skipped, "added to the session of another record", pairs.merged - pairs.doubled)
        _count(skipped, "the same packets, metered a second time on their way out", pairs.doubled)
        pairs.merged = pairs.doubled = 0

    @property
    def holding(self) -> bool:
        return self._pairs.holding

    def pause(self) -> Taken:
        over, going = self._pairs.news()
        skipped: dict[str, int] = {}
        self._count_merged(skipped)
        self._exporters.learn(over)
        made = [records_of(over, self._exporters), records_of(going, self._exporters, going_on=True)]
        return Taken(np.concatenate(made), skipped=skipped)

    def finish(self) -> Taken:
        rows = self._over(self._pairs.finish())
        skipped: dict[str, int] = {}
        self._count_merged(skipped)
        return Taken(records_of(rows, self._exporters), skipped=skipped)


def _worded(block: Block) -> NDArray[np.bool_]:
    """Which lines begin with a letter or #, or are empty: few, as a rule."""
    filled = block.ends > block.starts
    first = np.zeros(len(block), np.uint8)
    first[filled] = block.data[block.starts[filled]]
    letter = (first | np.uint8(_ANY_CASE)) - np.uint8(ord("a")) < 26
    return np.asarray(~filled | letter | (first == ord("#")))


def _count(skipped: dict[str, int], kind: str, count: int = 1) -> None:
    if count:
        skipped[kind] = skipped.get(kind, 0) + count
