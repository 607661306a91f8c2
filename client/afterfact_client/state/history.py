"""The queries an analyst has run, oldest first, kept over restarts and crashes; and walking through them."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from afterfact_client.state.disk import replace_file

FILE = "history.jsonl"
KEPT = 2000
"""Queries read back at start; the file is cut to these once it holds twice as many."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query's text, when it was run (or put aside unrun), and at which server."""

    text: str
    time: float
    """time.time()."""
    server: str
    ran: bool = True


def load(place: Path) -> list[Asked]:
    """What the file holds, oldest first, each text once at its latest place. Damaged lines are passed over."""
    path = place / FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    entries: dict[str, Asked] = {}
    for line in lines:
        try:
            item = json.loads(line)
            asked = Asked(str(item["text"]), float(item["time"]), str(item["server"]), bool(item.get("ran", True)))
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a full disk, say
        entries.pop(asked.text, None)
        entries[asked.text] = asked
    kept = list(entries.values())[-KEPT:]
    if len(lines) > 2 * KEPT:
        replace_file(path, "".join(_line(asked) + "\n" for asked in kept))
    return kept


def _line(asked: Asked) -> str:
    return json.dumps(
        {"time": asked.time, "server": asked.server, "ran": asked.ran, "text": asked.text}, ensure_ascii=False
    )


class History:
    """All queries of this and earlier runs. `append` gets each new line for the file."""

    def __init__(self, entries: list[Asked], append: Callable[[str], None]) -> None:
        self.entries = entries
        self._append = append

    def add(self, text: str, server: str, ran: bool = True) -> None:
        """Remember a query; the same text again moves to the end. Blank text is nothing."""
        text = text.strip()
        if not text or (self.entries and self.entries[-1].text == text and self.entries[-1].ran >= ran):
            return
        asked = Asked(text, time.time(), server, ran)
        self.entries = [entry for entry in self.entries if entry.text != text]
        self.entries.append(asked)
        self._append(_line(asked))


class Walk:
    """Up and down through the history from what is being typed, which waits at the lower end."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._at: int | None = None
        self._draft = ""

    def older(self, current: str) -> str | None:
        """The query before the one shown; None at the upper end."""
        entries = self._history.entries
        at = len(entries) if self._at is None else self._at
        if self._at is None:
            self._draft = current
        while at > 0:
            at -= 1
            if entries[at].text != current.strip():
                self._at = at
                return entries[at].text
        return None

    def newer(self) -> str | None:
        """The query after the one shown, at last what was being typed; None at the lower end."""
        if self._at is None:
            return None
        self._at += 1
        if self._at >= len(self._history.entries):
            self._at = None
            return self._draft
        return self._history.entries[self._at].text

    def leave(self) -> None:
        """The text was edited or run: it is the draft now."""
        self._at = None
