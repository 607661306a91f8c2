"""Shared exclusions in the relational store: what analysts agreed to leave out of answers, by whom, until when."""

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine, func, select

from afterfact_server.errors import RegistryError
from afterfact_server.registry.database import transaction, utc_now
from afterfact_server.registry.tables import ExclusionVersion

MAX_EXCLUSIONS = 200


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A version of an exclusion. Times are naive UTC."""

    name: str
    number: int
    condition: str
    by_default: bool
    """Whether queries that do not say EXCLUDING leave it out."""
    expires: datetime | None
    by: str
    made: datetime
    note: str
    removed: bool = False

    def acts(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or self.expires > now


class ExclusionsTable:
    """Safe from several threads. What counts now is known without the database. RegistryError if it fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        with transaction(engine) as session:
            newest = select(func.max(ExclusionVersion.id)).group_by(ExclusionVersion.name)
            rows = session.scalars(select(ExclusionVersion).where(ExclusionVersion.id.in_(newest)))
            self._current = {row.name: _made(row) for row in rows if not row.removed}

    def current(self) -> dict[str, Exclusion]:
        """All exclusions that there are, expired ones too, by name. Reads memory only."""
        with self._lock:
            return dict(self._current)

    def add(self, made: Exclusion, may_replace: bool) -> Exclusion:
        """A new version of a name; number and time are given here. RegistryError if there is one and it is not to be
        replaced, or if none is there to be removed."""
        with self._lock:
            present = self._current.get(made.name)
            if made.removed and present is None:
                raise RegistryError(f"there is no exclusion {made.name}")
            if present is not None and not (may_replace or made.removed):
                raise RegistryError(
                    f"there is an exclusion {made.name} already, made by {present.by} on {present.made:%Y-%m-%d %H:%M} "
                    f"UTC ({present.condition}): say replace, or choose another name"
                )
            if present is None and len(self._current) >= MAX_EXCLUSIONS:
                raise RegistryError(f"there are {MAX_EXCLUSIONS} exclusions: remove some first")
            with transaction(self._engine) as session:
                highest = session.scalar(
                    select(func.max(ExclusionVersion.number)).where(ExclusionVersion.name == made.name)
                ) or 0  # fmt: skip
                saved = replace(made, number=highest + 1, made=utc_now())
                session.add(
                    ExclusionVersion(
                        name=saved.name, number=saved.number, condition=saved.condition, by_default=saved.by_default,
                        expires=saved.expires, made_by=saved.by, made=saved.made, note=saved.note,
                        removed=saved.removed,
                    )
                )  # fmt: skip
            if saved.removed:
                del self._current[saved.name]
            else:
                self._current[saved.name] = saved
        return saved


def _made(row: ExclusionVersion) -> Exclusion:
    return Exclusion(row.name, row.number, row.condition, row.by_default, row.expires, row.made_by, row.made, row.note,
                     row.removed)  # fmt: skip
