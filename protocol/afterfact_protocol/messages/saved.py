"""What the team saved for all consoles: queries, and views of columns."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from .limits import I64, MAX_SAVED, U32, U64, Line, Name

SavedKind = Literal["query", "view"]
Title = Annotated[str, Field(max_length=128)]


@dataclass(frozen=True, slots=True)
class SavedItem:
    """One of them. Kind, folder and name together tell it from others."""

    kind: SavedKind
    folder: Title
    """May be empty: it stands beside the folders."""
    name: Title
    text: Annotated[str, Field(max_length=64 * 1024)]
    """The query, or the view as the consoles write it."""
    comment: Line = ""
    number: U32 = 0
    """Of the version, counted from 1 for each."""
    by: Name = ""
    """Who made this version."""
    made: I64 = 0


@dataclass(frozen=True, slots=True)
class AskSaved:
    """Tell all of them, unless they are still as they were at a revision that is known."""

    request: U32
    known: U64 = 0


@dataclass(frozen=True, slots=True)
class SavedItems:
    """Answer to ASK_SAVED, SAVE_ITEM and REMOVE_ITEM."""

    request: U32
    revision: U64
    """Counts their changes."""
    same: bool
    """Whether they are as they were at the revision that is known: then none is told."""
    items: Annotated[tuple[SavedItem, ...], Field(max_length=MAX_SAVED)] = ()


@dataclass(frozen=True, slots=True)
class SaveItem:
    """Save one. `number` is the version that it was made from, 0 for a new one: if somebody was first it is refused."""

    request: U32
    item: SavedItem
    moved: tuple[Title, Title] | None = None
    """Folder and name that it had until now, where it had others."""


@dataclass(frozen=True, slots=True)
class RemoveItem:
    """Remove one, if it is still the version that was seen; its versions are kept."""

    request: U32
    kind: SavedKind
    folder: Title
    name: Title
    number: U32
