"""Running `ra` on a data file or a live stream; what it cannot read, and what it does not say, said.

ra 3.0.8 ends with 0 and without a word for a file of Argus 5 and for one that is cut off, so both are looked for here.
"""

import gzip
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from afterfact_agent.importing import output
from afterfact_agent.importing.lines import Block, ImportFailure, open_text

from .rows import FIELDS

PACKAGE = "argus-client"
_MAGIC = re.compile(rb"[\x83\x85]\x10\x00[\x10-\x80]\x00{4}\xe5\x71[\x00-\xff]\xcb", re.DOTALL)
"""A management record that begins a file: type and version, cause "start", length in words, Argus's cookie."""
_REMOTE = re.compile(r"[\w.\-]*[A-Za-z0-9]:\d{1,5}|\[[0-9A-Fa-f:.]+\]:\d{1,5}")
_SETTINGS = b"RA_PRINT_MAN_RECORDS=yes\n"
_READ_BYTES = 1 << 20
_CONNECT_S = 10.0


def is_data(head: bytes) -> bool:
    return _MAGIC.match(head) is not None


def is_remote(path: Path) -> bool:
    """Whether this is a stream, HOST:PORT, and no file."""
    return _REMOTE.fullmatch(str(path)) is not None and not path.exists()


def lines_of_file(path: Path, head: bytes) -> Iterator[Block]:
    """ra's lines of a data file, its header first. ImportFailure if ra is missing, too old or fails, or the file is cut
    off."""
    ra = output.program("ra", PACKAGE, str(path))
    _readable(path, ra, head)
    try:
        yield from _lines(ra, ["-r", str(path.resolve())], str(path), live=False)
    except ImportFailure as error:
        if is_data(head):
            raise
        raise ImportFailure(f"{error} (the file begins neither as Argus's data do nor with a header of ra's)") from None
    _whole(path)


def lines_of_stream(address: str) -> Iterator[Block]:
    """ra's lines of what HOST:PORT sends, as they come. ImportFailure if ra is missing or nobody is there."""
    ra = output.program("ra", PACKAGE, address)
    host, _, port = address.rpartition(":")
    try:
        # ra itself would try again for ever, without a word.
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ImportFailure(f"{address}: no Argus answers there: {error}") from None
    yield from _lines(ra, ["-S", address], address, live=True)


def _lines(ra: str, where: list[str], name: str, live: bool) -> Iterator[Block]:
    with tempfile.NamedTemporaryFile(suffix=".rarc") as settings:
        settings.write(_SETTINGS)
        settings.flush()
        # -X: no settings of this account's; -nn: numbers; -u -p6: Unix times to the microsecond; -Z b: TCP flags.
        command = [ra, "-X", "-F", settings.name, "-nn", "-u", "-p6", "-c", ",", "-Z", "b", *where, "-s", *FIELDS]
        yield from output.run(command, name, live)


@cache
def version_of(ra: str) -> tuple[int, ...]:
    """ra's version, (3, 0, 8, 2) say; () if it does not tell."""
    told = subprocess.run([ra, "-X", "-h"], capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
    found = re.search(rb"Version (\d+(?:\.\d+)*)", told.stdout + told.stderr)
    return tuple(int(part) for part in found[1].split(b".")) if found else ()


def _readable(path: Path, ra: str, head: bytes) -> None:
    """Whether this ra reads this file's version."""
    written = head[0] & 0x0F if is_data(head) else 0
    have = version_of(ra)
    if have and written > have[0]:
        raise ImportFailure(
            f"{path}: written by Argus {written}, and ra here is {'.'.join(map(str, have))}, which cannot read it: "
            f"install the clients of Argus {written} (https://github.com/openargus/clients), or where they are: "
            f"ra -X -nn -u -p6 -c , -Z b -r FILE -s {' '.join(FIELDS)} > FILE.csv"
        )


def _whole(path: Path) -> None:
    """ImportFailure if the file ends within a record: each begins with its type, its cause and its length in words."""
    at, rest, skip = 0, b"", 0
    try:
        with open_text(path) as file:
            while more := file.read(_READ_BYTES):
                rest += more
                place = skip
                while place + 4 <= len(rest):
                    words = rest[place + 2] << 8 | rest[place + 3]
                    if words == 0:
                        raise ImportFailure(f"{path}: damaged at byte {at + place}: a record of no length")
                    place += words * 4
                if place > len(rest):
                    skip, rest, at = place - len(rest), b"", at + len(rest)
                else:
                    skip, rest, at = 0, rest[place:], at + place
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        raise ImportFailure(f"{path}: cannot be read to its end: {error}") from None
    if skip or rest:
        raise ImportFailure(f"{path}: cut off within its last record, which is lost")
