"""What becomes of a block's lines, those too that no reader gets to see."""

from collections.abc import Iterator
from dataclasses import replace

from .format import Format, Reader, Reject, Taken
from .lines import Block

TOO_LONG = "longer than 1 MiB"
HALF = "no line feed at its end, so it may be half of a line"


def read_block(known: Format, reader: Reader, block: Block) -> Iterator[Taken]:
    """Each line of the block once, in some Taken.

    A last line without a line feed is rejected where it does not show by itself that it is whole: half of `1310` is a
    number too.
    """
    rejects = [Reject(line, TOO_LONG) for line in block.overlong]
    if block.half and not known.self_ending:
        last = len(block) - 1
        rejects.append(Reject(int(block.numbers[last]), HALF, block.line(last)))
        block = replace(
            block, starts=block.starts[:last], ends=block.ends[:last], numbers=block.numbers[:last], half=False
        )
    if len(block):
        yield reader.read(block)
    if rejects:
        yield Taken(rejects=tuple(rejects))


def lines_in(block: Block) -> int:
    """How many lines a block tells of."""
    return len(block) + len(block.overlong)
