"""What the team saved for all consoles (queries, views of columns) in the relational store: every version of each."""

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine, func, select

from afterfact_protocol.messages import MAX_SAVED
from afterfact_server.errors import RegistryError
from afterfact_server.registry.database import transaction, utc_now
from afterfact_server.registry.tables import SavedVersion

MAX_BYTES = 512 * 1024
"""Of all of a kind together, so that one message tells them."""
Key = tuple[str, str, str]
"""Kind, folder and name."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A version of one. Times are naive UTC."""

    kind: str
    folder: str
    name: str
    text: str
    comment: str
    number: int
    by: str
    made: datetime
    removed: bool = False

    @property
    def key(self) -> Key:
        return self.kind, self.folder, self.name

    @property
    def path(self) -> str:
        """Folder and name in one."""
        return f"{self.folder} / {self.name}" if self.folder else self.name

    @property
    def size(self) -> int:
        """Bytes that telling it takes, a little more than less."""
        return 100 + sum(len(text.encode()) for text in (self.folder, self.name, self.text, self.comment, self.by))


class SavedTable:
    """Safe from several threads. What there is now is known without the database. RegistryError if it fails, and for
    what cannot be done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        with transaction(engine) as session:
            newest = select(func.max(SavedVersion.id)).group_by(
                SavedVersion.kind, SavedVersion.folder, SavedVersion.name
            )
            rows = session.scalars(select(SavedVersion).where(SavedVersion.id.in_(newest)))
            self._current = {one.key: one for one in map(_made, rows) if not one.removed}
            self._revision = session.scalar(select(func.max(SavedVersion.id))) or 0

    def current(self) -> tuple[int, list[Saved]]:
        """The revision, and all that there are, by kind, folder and name. Reads memory only."""
        with self._lock:
            return self._revision, sorted(self._current.values(), key=lambda one: one.key)

    def save(self, made: Saved, moved: Key | None = None) -> Saved:
        """Enter a version that was made from the one of its number, 0 for a new one; `moved` is the key that it had.
        Number and time are given here."""
        with self._lock:
            before = self._seen(moved or made.key, made.number, made.number > 0)
            if (moved or made.number == 0) and made.key in self._current:
                raise RegistryError(
                    f"there is {_words(self._current[made.key])} already: choose another name, or change it"
                )
            room = [one.size for one in self._current.values() if one is not before]
            if len(room) >= MAX_SAVED or sum(room) + made.size > MAX_BYTES:
                raise RegistryError(f"there is room for {MAX_SAVED:,} queries and views of the team, of "
                                    f"{MAX_BYTES // 1024} KiB together: remove some first")  # fmt: skip
            gone = [replace(before, by=made.by, removed=True)] if before is not None and moved else []
            return self._enter([*gone, made])[-1]

    def remove(self, key: Key, number: int, by: str) -> Saved:
        """Enter that one is removed, if it is still the version that was seen."""
        with self._lock:
            before = self._seen(key, number, True)
            assert before is not None
            return self._enter([replace(before, by=by, removed=True)])[0]

    def _seen(self, key: Key, number: int, needed: bool) -> Saved | None:
        present = self._current.get(key)
        if not needed:
            return None
        if present is None:
            raise RegistryError(f"{' / '.join(filter(None, key[1:]))} is not there any more: somebody removed it")
        if present.number != number:
            raise RegistryError(f"somebody was first: {_words(present)}")
        return present

    def _enter(self, made: list[Saved]) -> list[Saved]:
        entered = []
        with transaction(self._engine) as session:
            for one in made:
                highest = session.scalar(select(func.max(SavedVersion.number)).where(
                    SavedVersion.kind == one.kind, SavedVersion.folder == one.folder, SavedVersion.name == one.name
                )) or 0  # fmt: skip
                saved = replace(one, number=highest + 1, made=utc_now())
                row = SavedVersion(
                    kind=saved.kind, folder=saved.folder, name=saved.name, text=saved.text, comment=saved.comment,
                    number=saved.number, made_by=saved.by, made=saved.made, removed=saved.removed,
                )  # fmt: skip
                session.add(row)
                session.flush()
                entered.append((saved, row.id))
        for saved, revision in entered:
            self._revision = revision
            if saved.removed:
                self._current.pop(saved.key, None)
            else:
                self._current[saved.key] = saved
        return [saved for saved, _ in entered]


def _words(one: Saved) -> str:
    return f"{one.path}, saved by {one.by} {one.made:%Y-%m-%d %H:%M} UTC"


def _made(row: SavedVersion) -> Saved:
    return Saved(row.kind, row.folder, row.name, row.text, row.comment, row.number, row.made_by, row.made, row.removed)
