"""Files in which there is nothing, as rotation leaves them: of no format, and nothing to complain of."""

from pathlib import Path

from afterfact_protocol.session import Source

from .format import Format, Reader, Reject, Taken
from .lines import Block, packed


class _NoLines(Reader):
    def read(self, block: Block) -> Taken:
        """Lines that came since the file was looked at."""
        why = "the file was empty when its format was looked for"
        return Taken(rejects=tuple(Reject(int(n), why, block.line(i)) for i, n in enumerate(block.numbers)))


class Nothing(Format):
    name = "empty"
    source = Source.AFTERFACT
    describe = "an empty file"

    def recognise(self, head: bytes, name: str) -> bool:
        return not head

    def unfinished(self, path: Path) -> bool:
        return not packed(path)

    def reader(self) -> Reader:
        return _NoLines()
