"""The formats that are known, and which of them a file is."""

from pathlib import Path

from .argus.format import Argus
from .format import Format
from .lines import ImportFailure, head
from .netflow.format import NetFlow
from .nothing import Nothing
from .sancp import Cxtracker, Sancp
from .snort3 import Snort3
from .stream4 import Stream4
from .suricata.format import Suricata
from .zeek_json import ZeekJson, ZeekOpenJson
from .zeek_tsv import ZeekTsv

FORMATS: tuple[Format, ...] = (
    Argus(),
    NetFlow(),
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
_NOTHING = Nothing()


def names() -> tuple[str, ...]:
    """As `--format` has them."""
    return tuple(dict.fromkeys(known.name for known in FORMATS))


def stream_of(path: Path, chosen: str) -> Format | None:
    """What reads a live stream of the `chosen` format, if this is the address of one."""
    streams = (known.remote(path) for known in FORMATS if known.name == chosen)
    return next((stream for stream in streams if stream is not None), None)


def format_of(path: Path, chosen: str | None = None) -> Format:
    """The format of a file, of the `chosen` name if one is given (a name may have several layouts), or of a live stream
    if it is that.

    ImportFailure if it is of none, or cannot be read.
    """
    candidates = [known for known in FORMATS if chosen is None or known.name == chosen]
    if chosen is not None and (stream := stream_of(path, chosen)) is not None:
        return stream
    text = head(path)
    if _NOTHING.recognise(text, path.name):
        return _NOTHING
    for known in candidates:
        if known.recognise(text, path.name):
            return known
    if chosen is not None and len(candidates) == 1:
        return candidates[0]
    if chosen is not None:
        raise ImportFailure(f"{path}: is in none of the layouts of {chosen}")
    if b"\r" in text and b"\n" not in text:
        raise ImportFailure(f"{path}: its lines end with carriage returns alone: convert it first (tr '\\r' '\\n')")
    raise ImportFailure(
        f"{path}: is in none of the formats that are recognised ({', '.join(names())}): name one with --format"
    )
