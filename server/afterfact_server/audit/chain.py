"""The lines of the audit and how they hang together: what a line is, which files there are, whether all are as written.

DIR/audit/ holds files named by the number of their first record, and `head`, which says the last record that is known
to be on disk. A line is its hash, a blank, and a JSON object; the hash is SHA-256 over the hash of the line before, a
blank and the object. So a line that is changed, removed, moved or put in breaks the chain where it is, and what is cut
off at the end is behind `head`. Who can write all of these files can make a whole other chain: keep the head elsewhere,
too.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_HASH = "0" * 64
"""Before the first line."""
_NAME = re.compile(r"(\d{12})\.jsonl")
_LINE = re.compile(rb"([0-9a-f]{64}) (\{.*\})")
_HEAD = re.compile(r"(\d{20}) ([0-9a-f]{64})\n")
MOST_FAULTS = 20
"""Told by one verification."""
SEAMS = ("restored", "recovered", "damaged")
"""Kinds of records where what came before may not be all that was written."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record known: its number, 0 for none, and its hash."""

    number: int = 0
    hash: str = FIRST_HASH

    def to_text(self) -> str:
        """As the file `head` has it."""
        return f"{self.number:020d} {self.hash}\n"


def chained(before: str, content: bytes) -> str:
    """The hash of a line."""
    return hashlib.sha256(before.encode() + b" " + content).hexdigest()


def line(before: str, record: dict[str, Any]) -> tuple[str, bytes]:
    """A record's hash and its line."""
    content = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    own = chained(before, content)
    return own, own.encode() + b" " + content + b"\n"


def parsed(text: bytes) -> tuple[str, bytes, dict[str, Any]] | None:
    """A line without its end: hash, object's bytes, object; None if it is none."""
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    try:
        record = json.loads(found[2])
    except (ValueError, RecursionError):
        return None
    return (found[1].decode(), found[2], record) if isinstance(record.get("n"), int) else None


def files(folder: Path) -> list[tuple[int, Path]]:
    """The files, in order, each with the number of its first record."""
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(name[1]), path) for name, path in named if name)


def name_of(first: int) -> str:
    """The name of the file that begins with this record."""
    return f"{first:012d}.jsonl"


def read_head(folder: Path) -> Head | None:
    """What `head` says; None if there is none, or it is damaged."""
    try:
        found = _HEAD.fullmatch((folder / "head").read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return Head(int(found[1]), found[2]) if found else None


def verify(folder: Path) -> tuple[Head, list[str], list[str]]:
    """The last record that there is; what is wrong, a line each, at most MOST_FAULTS; seams, a line each. OSError if it
    cannot be read."""
    faults: list[str] = []
    seams: list[str] = []
    told = read_head(folder)  # before the files: what is written meanwhile comes after it
    last = Head()
    seen_head = told is None or told.number == 0
    if told is None:
        faults.append(f"{folder / 'head'}: missing or damaged: whether the end was cut off cannot be said")
    for first, path in files(folder):
        if first != last.number + 1:
            faults.append(f"{path}: begins with record {first}, the file before ends with {last.number}: "
                          "a file is missing or was renamed")  # fmt: skip
        for at, fault, reached, seam in _walk(path, last):
            last = reached
            if seam:
                seams.append(f"{path}:{at}: record {last.number}: {seam}")
            if fault:
                faults.append(f"{path}:{at}: {fault}")
            if told is not None and last.number == told.number and last.hash == told.hash:
                seen_head = True
            if len(faults) >= MOST_FAULTS:
                return last, faults, seams
    if told is not None and not seen_head:
        if last.number < told.number:
            faults.append(f"{folder}: ends with record {last.number}, but {told.number} were written: the end was cut "
                          "off")  # fmt: skip
        else:
            faults.append(f"{folder}: record {told.number} is not the one that was written")
    return last, faults, seams


def _walk(path: Path, last: Head) -> Iterator[tuple[int, str, Head, str]]:
    """Each line's number in the file, what is wrong with it, the last record so far, and what seam it is."""
    with path.open("rb") as file:
        for at, text in enumerate(file, 1):
            whole = text.endswith(b"\n")
            found = parsed(text.rstrip(b"\n")) if whole else None
            if found is None:
                yield at, "no record" if whole else "the line is cut off", last, ""
                continue
            own, content, record = found
            number = int(record["n"])
            fault = ""
            if number > last.number + 1:
                gone = f"record {last.number + 1} is" if number == last.number + 2 else (
                    f"records {last.number + 1} to {number - 1} are")  # fmt: skip
                fault = f"{gone} missing before record {number}"
            elif number <= last.number:
                fault = f"record {number} comes after record {last.number}: out of order, or twice"
            elif own != chained(last.hash, content):
                fault = f"record {number} was changed, or the one before it"
            last = Head(number, own)
            kind = str(record.get("kind"))
            seam = f"{kind}: {record.get('note', '')} ({record.get('time')})" if kind in SEAMS else ""
            yield at, fault, last, seam
