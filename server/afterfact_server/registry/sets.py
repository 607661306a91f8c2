"""Named result sets in the relational store: every version, with its origin and its values."""

import json
import secrets
import threading
import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer

from afterfact_protocol.messages import SetKind
from afterfact_protocol.sets import DTYPES, Values, from_parts
from afterfact_server.errors import RegistryError
from afterfact_server.registry.database import transaction, utc_now
from afterfact_server.registry.tables import SetVersion

KEPT_VERSIONS = 10
"""Versions of a set whose values are kept; of older ones the origin stays."""
MAX_SETS = 2000
DELETED = "delete"


@dataclass(frozen=True, slots=True)
class SavedSet:
    """A version of a set without its values. Times are naive UTC."""

    name: str
    number: int
    token: int
    action: str
    """save, import, add, remove or delete."""
    kind: SetKind
    live: bool
    query: str
    """What found its values, or finds them when it is used; empty for one that was brought in."""
    field: str
    by: str
    made: datetime
    count: int
    """Values; of a live one when it was saved."""
    networks: int
    """How many of them are networks."""
    coverage: str
    """What was watched of the query's time, in words, when it was saved."""
    note: str

    @property
    def deleted(self) -> bool:
        return self.action == DELETED


class SetTaken(RegistryError):
    """There is a set of that name already, or somebody was quicker."""


class SetsTable:
    """Safe from several threads. What counts now is known without the database: while a server runs, all changes go
    through its own instance. RegistryError if the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._current: dict[str, SavedSet] = {}
        with transaction(engine) as session:
            newest = select(func.max(SetVersion.id)).group_by(SetVersion.name)
            rows = session.scalars(
                select(SetVersion)
                .where(SetVersion.id.in_(newest))
                .options(defer(SetVersion.content), defer(SetVersion.comments))
            )
            self._current = {row.name: _saved(row) for row in rows if row.action != DELETED}

    def current(self) -> dict[str, SavedSet]:
        """All sets that there are, by name. Reads memory only."""
        with self._lock:
            return dict(self._current)

    def history(self, name: str) -> list[SavedSet]:
        """Every version of a name, oldest first."""
        with transaction(self._engine) as session:
            rows = session.scalars(
                select(SetVersion)
                .where(SetVersion.name == name)
                .order_by(SetVersion.number)
                .options(defer(SetVersion.content), defer(SetVersion.comments))
            )
            return [_saved(row) for row in rows]

    def add(self, made: SavedSet, values: Values | None, comments: dict[int, str], expected: int | None) -> SavedSet:
        """A new version of a name; number, token and time are given here. `expected`: the number of the version that
        it replaces, None if there must be no set of that name. SetTaken if that is not how it is."""
        content = None if values is None else zlib.compress(values.tobytes(), 1)
        said = zlib.compress(json.dumps(comments).encode(), 1) if comments else None
        with self._lock:
            present = self._current.get(made.name)
            if (present.number if present else None) != expected:
                raise SetTaken(_changed(made.name, present, expected))
            if present is None and len(self._current) >= MAX_SETS:
                raise RegistryError(f"there are {MAX_SETS:,} sets: delete some first")
            try:
                with transaction(self._engine) as session:
                    highest = session.scalar(
                        select(func.max(SetVersion.number)).where(SetVersion.name == made.name)
                    ) or 0  # fmt: skip
                    saved = replace(made, number=highest + 1, token=secrets.randbits(62) + 1, made=utc_now())
                    session.add(
                        SetVersion(
                            name=saved.name, number=saved.number, token=saved.token, action=saved.action,
                            kind=saved.kind, live=saved.live, query=saved.query, field=saved.field, made_by=saved.by,
                            made=saved.made, count=saved.count, networks=saved.networks, coverage=saved.coverage,
                            note=saved.note, content=content, comments=said,
                        )
                    )  # fmt: skip
                    session.execute(
                        update(SetVersion)
                        .where(SetVersion.name == made.name, SetVersion.number <= saved.number - KEPT_VERSIONS)
                        .values(content=None, comments=None)
                    )
            except IntegrityError:
                raise SetTaken(f"somebody else saved @{made.name} just now") from None
            if saved.deleted:
                del self._current[saved.name]
            else:
                self._current[saved.name] = saved
        return saved

    def values(self, name: str, number: int) -> tuple[Values, dict[int, str]] | None:
        """The values of a version, and what was said of some of them, by their place. None if they are not kept."""
        with transaction(self._engine) as session:
            row = session.scalar(select(SetVersion).where(SetVersion.name == name, SetVersion.number == number))
            if row is None or row.content is None:
                return None
            values = from_parts(row.kind, [zlib.decompress(row.content)])
            said = json.loads(zlib.decompress(row.comments)) if row.comments else {}
        return values, {int(place): text for place, text in said.items()}


def _changed(name: str, present: SavedSet | None, expected: int | None) -> str:
    if present is None:
        return f"there is no set @{name} any more"
    if expected is None:
        return taken(present)
    return f"{present.by} changed @{name} just now (version {present.number}): look at it, and try again"


def taken(present: SavedSet) -> str:
    """That a name is in use, and whose it is."""
    return (f"there is a set @{present.name} already, made by {present.by} on {present.made:%Y-%m-%d %H:%M} UTC "
            f"(version {present.number}): say replace, or choose another name")  # fmt: skip


def empty(kind: str) -> Values:
    """No value of a kind."""
    return from_parts(kind, []).astype(DTYPES[kind])


def _saved(row: SetVersion) -> SavedSet:
    kind = cast(SetKind, row.kind)
    return SavedSet(row.name, row.number, row.token, row.action, kind, row.live, row.query, row.field, row.made_by,
                    row.made, row.count, row.networks, row.coverage, row.note)  # fmt: skip
