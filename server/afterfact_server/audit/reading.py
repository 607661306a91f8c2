"""Records of the audit as they are asked for: newest first, filtered, a part at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterfact_protocol.printable import printable
from afterfact_server.audit.chain import files, parsed

FILES_AT_ONCE = 4
"""Looked through for one part, some 64 MB: who asks goes on from there."""
ALWAYS = ("n", "time", "kind", "user", "address")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records; what is empty does not matter."""

    kind: str = ""
    user: str = ""
    first: str = ""
    """Time in ISO 8601, as records have it, or the beginning of one."""
    last: str = ""

    def takes(self, record: dict[str, Any]) -> bool:
        time = str(record.get("time", ""))
        return (
            (not self.kind or record.get("kind") == self.kind)
            and (not self.user or record.get("user") == self.user)
            and time >= self.first
            and (not self.last or time <= self.last)
        )


def newest_first(folder: Path, wanted: Filter, before: int, count: int, size: int) -> tuple[list[str], int]:
    """Up to `count` records, as JSON, together at most `size` bytes, of those numbered below `before`; and the number
    below which to go on, 1 if there is nothing more. OSError if they cannot be read."""
    found: list[str] = []
    left, looked = size, 0
    for first, path in reversed(files(folder)):
        if first >= before:
            continue
        if looked == FILES_AT_ONCE:
            return found, before
        looked += 1
        for text in reversed(path.read_bytes().splitlines()):
            entry = parsed(text)
            if entry is None or int(entry[2]["n"]) >= before:
                continue
            if wanted.takes(entry[2]):
                left -= len(entry[1])
                if found and left < 0:
                    return found, before
                found.append(entry[1].decode("utf-8", "replace"))
            before = int(entry[2]["n"])
            if len(found) == count:
                return found, before
    return found, 1


def all_of(folder: Path, wanted: Filter) -> Iterator[dict[str, Any]]:
    """All that match, oldest first."""
    for _, path in files(folder):
        with path.open("rb") as file:
            for text in file:
                entry = parsed(text.rstrip(b"\n"))
                if entry is not None and wanted.takes(entry[2]):
                    yield entry[2]


def words(record: dict[str, Any]) -> str:
    """What beside number, time, kind and who stands in a record, in one line."""
    said = []
    for name, value in record.items():
        if name not in ALWAYS and value not in ("", None):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            said.append(f"{name}: {printable(text)}")
    return "; ".join(said)
