"""The formats that are known, and which of them a file is."""

from pathlib import Path

from .argus.format import Argus
from .format import Format
from .lines import ImportFailure, head
from .sancp import Cxtracker, Sancp
from .snort3 import Snort3
from .stream4 import Stream4
from .suricata.format import Suricata
from .zeek_json import ZeekJson, ZeekOpenJson
from .zeek_tsv import ZeekTsv

FORMATS: tuple[Format, ...] = (
    Argus(),
    ZeekTsv(),
    ZeekOpenJson(),
    ZeekJson(),
    Suricata(),
    Snort3(),
    Cxtracker(),
    Sancp(),
    Stream4(),
)
"""In the order in which a file is tried."""


def names() -> tuple[str, ...]:
    """As `--format` has them."""
    return tuple(dict.fromkeys(known.name for known in FORMATS))


def format_of(path: Path, chosen: str | None = None) -> Format:
    """The format of a file, of the `chosen` name if one is given (a name may have several layouts), or of a live stream
    if it is that.

    ImportFailure if it is of none, or cannot be read.
    """
    candidates = [known for known in FORMATS if chosen is None or known.name == chosen]
    if chosen is not None:
        for known in candidates:
            if (stream := known.remote(path)) is not None:
                return stream
    text = head(path)
    for known in candidates:
        if known.recognise(text, path.name):
            return known
    if chosen is not None and len(candidates) == 1:
        return candidates[0]
    if chosen is not None:
        raise ImportFailure(f"{path}: is in none of the layouts of {chosen}")
    raise ImportFailure(
        f"{path}: is in none of the formats that are recognised ({', '.join(names())}): name one with --format"
    )
