"""The tabs of a console and the trail of queries in each: what is saved as it is typed, and found again at start."""

import json
from dataclasses import dataclass, field
from pathlib import Path

STEM = "tabs"
TRAIL_LENGTH = 100


@dataclass(slots=True)
class Trail:
    """The queries of one tab in the order they were run, and where in them it stands."""

    texts: list[str] = field(default_factory=list)
    at: int = -1

    @property
    def current(self) -> str | None:
        """The query whose result is shown; None before the first."""
        return self.texts[self.at] if 0 <= self.at < len(self.texts) else None

    def step(self, text: str) -> None:
        """A query was run: what was ahead is forgotten. The same query again is no new step."""
        if text == self.current:
            return
        self.texts = [*self.texts[: self.at + 1], text][-TRAIL_LENGTH:]
        self.at = len(self.texts) - 1

    def move(self, by: int) -> str | None:
        """Step back (-1) or forward (1); the query there, None at the end."""
        if not 0 <= self.at + by < len(self.texts):
            return None
        self.at += by
        return self.texts[self.at]


@dataclass(slots=True)
class TabState:
    """One tab: what stands in its editor, run or not, and its trail."""

    text: str = ""
    trail: Trail = field(default_factory=Trail)
    name: str = ""
    """Given by the analyst; empty, it is named after its query."""
    pinned: bool = False


def to_json(tabs: list[TabState], current: int) -> str:
    """The file's text."""
    stored = [
        {"text": tab.text, "trail": tab.trail.texts, "at": tab.trail.at, "name": tab.name, "pinned": tab.pinned}
        for tab in tabs
    ]
    return json.dumps({"current": current, "tabs": stored}, ensure_ascii=False, indent=1)


def load(path: Path) -> tuple[list[TabState], int, str]:
    """Tabs, the current one (-1: the queue), and "" or one line saying why the saved ones could not be used."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        tabs = [
            TabState(
                str(item["text"]),
                Trail([str(text) for text in item["trail"]], int(item["at"])),
                str(item.get("name", "")),
                item.get("pinned") is True,
            )
            for item in stored["tabs"]
        ]
        for tab in tabs:
            tab.trail.at = min(max(tab.trail.at, -1), len(tab.trail.texts) - 1)
        return tabs, min(max(int(stored["current"]), -1), max(len(tabs) - 1, 0)), ""
    except FileNotFoundError:
        return [], 0, ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        aside = path.with_suffix(".unreadable")
        try:
            path.replace(aside)
        except OSError:
            return [], 0, f"{path}: cannot read the saved tabs ({error})"
        return [], 0, f"the saved tabs cannot be read ({error}); the file is kept as {aside}"
