"""How the analyst likes the console: theme, text size, columns, their widths. Survives restarts."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from afterfact_client.state.columns import BY_NAME, DEFAULT
from afterfact_client.state.formats import offered
from afterfact_client.state.timeline import STACKS, By

FILE = "preferences.json"
Theme = Literal["system", "dark", "light"]
SIZES = (9, 24)
"""Smallest and largest text, in pixels at 96 dots an inch."""


@dataclass(slots=True)
class Preferences:
    """Changed in place by the window and saved whole."""

    theme: Theme = "system"
    text_px: int = 12
    columns: list[str] = field(default_factory=lambda: list(DEFAULT))
    """Names of columns shown, in their order."""
    widths: dict[str, int] = field(default_factory=dict)
    """Pixels of columns that were resized by hand; the others fit their content."""
    formats: dict[str, str] = field(default_factory=dict)
    """Columns that are shown in another form than the usual one, and which."""
    sensors_shown: bool = True
    details_shown: bool = True
    details_width: int = 356
    """Pixels at the standard text size."""
    timeline_shown: bool = True
    tops_shown: bool = False
    stacked_by: By = "outcome"
    """What timelines are stacked by."""
    resolving: bool = False
    """Whether names, places and networks of addresses are looked up."""
    size: tuple[int, int] = (1440, 900)
    user: str = ""
    """Last account that logged in."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def load(place: Path) -> tuple[Preferences, str]:
    """Preferences as last saved and "", or defaults and one line saying why the file could not be used."""
    path = place / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Preferences(), ""
    except (OSError, UnicodeDecodeError) as error:
        return Preferences(), f"{path}: cannot read the preferences ({error}); using defaults"
    try:
        return _from(json.loads(text)), ""
    except (ValueError, TypeError, AttributeError) as error:
        return Preferences(), f"{path}: not usable preferences ({error}); using defaults"


def usable(forms: dict[str, object]) -> dict[str, str]:
    """Of forms by column those that there are."""
    return {name: str(form) for name, form in forms.items()
            if name in BY_NAME and form in offered(name, BY_NAME[name].type)}  # fmt: skip


def _from(stored: dict[str, object]) -> Preferences:
    """Every value is checked by itself; names that this version does not know (a newer one's) are passed over."""
    found = Preferences()
    theme = stored.get("theme")
    if theme in get_args(Theme):
        found.theme = theme  # type: ignore[assignment]
    text_px = stored.get("text_px")
    if isinstance(text_px, int):
        found.text_px = min(max(text_px, SIZES[0]), SIZES[1])
    columns = stored.get("columns")
    if isinstance(columns, list):
        known = [name for name in dict.fromkeys(map(str, columns)) if name in BY_NAME]
        found.columns = known or list(DEFAULT)
    widths = stored.get("widths")
    if isinstance(widths, dict):
        found.widths = {str(k): int(v) for k, v in widths.items() if k in BY_NAME and 16 <= int(v) <= 2000}
    forms = stored.get("formats")
    if isinstance(forms, dict):
        found.formats = usable(forms)
    for name in ("sensors_shown", "details_shown", "timeline_shown", "tops_shown", "resolving"):
        if isinstance(stored.get(name), bool):
            setattr(found, name, stored[name])
    if stored.get("stacked_by") in STACKS:
        found.stacked_by = stored["stacked_by"]  # type: ignore[assignment]
    width = stored.get("details_width")
    if isinstance(width, int):
        found.details_width = min(max(width, 200), 2000)
    size = stored.get("size")
    if isinstance(size, list) and len(size) == 2:
        found.size = (max(int(size[0]), 640), max(int(size[1]), 400))
    if isinstance(stored.get("user"), str):
        found.user = str(stored["user"])
    return found
