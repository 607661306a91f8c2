"""The analyst's own saved queries: named, in folders, with comments; kept over restarts and crashes.

The file is lines, the last of a folder and name counts: several consoles can add to it and none overwrites another's.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILE = "saved.jsonl"


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """`folder` may be empty: the query stands beside the folders."""

    name: str
    text: str
    folder: str = ""
    comment: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return self.folder, self.name

    @property
    def path(self) -> str:
        """Folder and name in one."""
        return f"{self.folder} / {self.name}" if self.folder else self.name


def load(place: Path) -> dict[tuple[str, str], SavedQuery]:
    """What the file holds. Damaged lines are passed over."""
    try:
        lines = (place / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    found: dict[tuple[str, str], SavedQuery] = {}
    for line in lines:
        try:
            item = json.loads(line)
            query = SavedQuery(*(str(item[name]) for name in ("name", "text", "folder", "comment")))
        except (ValueError, KeyError, TypeError):
            continue
        found.pop(query.key, None)
        if not item.get("removed"):
            found[query.key] = query
    return found


class SavedQueries:
    """All of them; `append` gets each new line for the file."""

    def __init__(self, queries: dict[tuple[str, str], SavedQuery], append: Callable[[str], None]) -> None:
        self._queries = queries
        self._append = append
        self.on_change: Callable[[], None] = lambda: None

    def all(self) -> list[SavedQuery]:
        """By folder and name, those without a folder first."""
        return sorted(self._queries.values(), key=lambda query: (query.folder.casefold(), query.name.casefold()))

    def folders(self) -> list[str]:
        """The folders that hold any, by name."""
        return sorted({query.folder for query in self._queries.values() if query.folder}, key=str.casefold)

    def get(self, folder: str, name: str) -> SavedQuery | None:
        return self._queries.get((folder, name))

    def save(self, query: SavedQuery, instead_of: SavedQuery | None = None) -> None:
        """Keep a query under its folder and name, in place of what was there; `instead_of` is one that it replaces."""
        if instead_of is not None and instead_of.key != query.key:
            self._write(instead_of, removed=True)
        self._write(query, removed=False)
        self.on_change()

    def remove(self, query: SavedQuery) -> None:
        """Keep it no longer."""
        self._write(query, removed=True)
        self.on_change()

    def _write(self, query: SavedQuery, removed: bool) -> None:
        self._queries.pop(query.key, None)
        if not removed:
            self._queries[query.key] = query
        item = {"name": query.name, "text": query.text, "folder": query.folder, "comment": query.comment,
                "time": time.time(), "removed": removed}  # fmt: skip
        self._append(json.dumps(item, ensure_ascii=False))
