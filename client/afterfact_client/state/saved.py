"""Saved queries and views: named, in folders, with comments. The analyst's own are kept over restarts and crashes; the
team's are the server's.

The file is lines, the last of a folder and name counts: several consoles can add to it and none overwrites another's.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from afterfact_protocol.messages import SavedItem

FILE = "saved.jsonl"
VIEWS_FILE = "views.jsonl"
"""Of the analyst's own views of columns."""


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A query, or a view of columns as its text. `folder` may be empty: it stands beside the folders."""

    name: str
    text: str
    folder: str = ""
    comment: str = ""
    number: int = 0
    """Of the team's: the version; 0 of one's own."""
    by: str = ""
    """Of the team's: who made this version."""

    @property
    def team(self) -> bool:
        """Whether it is the team's."""
        return self.number > 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return self.folder, self.name

    @property
    def path(self) -> str:
        """Folder and name in one."""
        return f"{self.folder} / {self.name}" if self.folder else self.name


def load(place: Path, file: str = FILE) -> dict[tuple[str, str], SavedQuery]:
    """What the file holds. Damaged lines are passed over."""
    try:
        lines = (place / file).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    found: dict[tuple[str, str], SavedQuery] = {}
    for line in lines:
        try:
            item = json.loads(line)
            name, text, folder, comment = (str(item[name]) for name in ("name", "text", "folder", "comment"))
            query = SavedQuery(name, text, folder, comment)
        except (ValueError, KeyError, TypeError):
            continue
        found.pop(query.key, None)
        if not item.get("removed"):
            found[query.key] = query
    return found


def of_team(item: SavedItem) -> SavedQuery:
    """What the server tells of one."""
    return SavedQuery(item.name, item.text, item.folder, item.comment, item.number, item.by)


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
