"""What a value's menu offers of sets: add it, or what is selected of its column, to one; save a column or the rows."""

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.set_dialog import Chosen, Found, SetDialog, adding
from afterfact_client.link import LinkLost
from afterfact_client.state.columns import BY_NAME, Column, address
from afterfact_client.state.rowquery import row_query
from afterfact_protocol.messages import SetKind
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.canonical import endpoint
from afterfact_protocol.query.nodes import Endpoint, Network
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.setterms import KINDS
from afterfact_protocol.query.subjects import resolve
from afterfact_protocol.records import Records
from afterfact_protocol.sets import told

Entry = tuple[str, str, Callable[[], None]]
"""What it says, its tool tip, and what it does."""
MOST_NAMED = 12
"""Sets that the menu names; the dialogue takes any name."""
_KEY = ("start_time", "sensor", "session_id")


class SetActions(QObject):
    """Signals:
    told(str): a short word for the status line.
    """

    told = Signal(str)

    def __init__(self, shared: Shared, window: QWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._shared = shared
        self._window = window
        self.dialog: SetDialog | None = None

    def entries(self, column: Column, rows: Records, sensors: dict[int, str], asked: str) -> list[Entry]:
        """Of cells of a column, in `rows`, and of the query that found them; none for who may not save."""
        if not self._shared.may_change or self._shared.server.state.limits:
            return []
        found = [entry for chosen in _chosen(column, rows) for entry in self._of(chosen)]
        if column.type in KINDS:
            found.append((f"{column.name} of all that this query finds ...", asked,
                          lambda: self._offer(Found(asked, column.name))))  # fmt: skip
        if len(rows) > 1:
            found.append(
                (f"The {len(rows):,} sessions selected ...", "", lambda: self._offer_rows(rows, sensors, asked))
            )
        found.append(("All sessions that this query finds ...", asked, lambda: self._offer(Found(asked, "session"))))
        return found

    def of_values(self, field: str, texts: Sequence[str]) -> list[Entry]:
        """Of values of a field as the table of a query shows them; none for who may not save."""
        subject = resolve(field)
        kind = KINDS.get(subject.type) if subject is not None else None
        if kind is None or kind == "session" or not self._shared.may_change or self._shared.server.state.limits:
            return []
        return self._of(Chosen(kind, _once(list(texts))))

    def _of(self, chosen: Chosen) -> list[Entry]:
        found: list[Entry] = []
        if chosen.values:
            what = chosen.values[0] if len(chosen.values) == 1 else told(chosen.kind, len(chosen.values))
            fitting = [one for one in self._shared.sets.items if one.kind == chosen.kind and not one.live]
            fitting.sort(key=lambda one: -one.made)
            for one in fitting[:MOST_NAMED]:
                tip = f"{told(one.kind, one.count, one.networks)}, by {one.by}"
                found.append((f"{what} to @{one.name}", tip, lambda name=one.name, c=chosen: self._add(name, c)))  # type: ignore[misc]
            found.append((f"{what} to a new set ...", "", lambda c=chosen: self._offer(c)))  # type: ignore[misc]
        return found

    def _add(self, name: str, chosen: Chosen) -> None:
        what = told(chosen.kind, len(chosen.values))

        def answered(error: Exception | None) -> None:
            if error is None:
                self.told.emit(f"Added {what} to @{name}")
            elif isinstance(error, LinkLost):
                self.told.emit(f"Whether it was added to @{name} is not known: {error}")
            else:
                self.told.emit(f"Not added: {error}")

        self._shared.sets.change(adding(name, chosen), answered)

    def _offer_rows(self, rows: Records, sensors: dict[int, str], asked: str) -> None:
        try:
            text = row_query([BY_NAME[name] for name in _KEY], rows, sensors, asked)
        except (ValueError, QueryError) as error:
            self.told.emit(f"Not saved: {error}")
            return
        self._offer(Found(text, "session"))

    def _offer(self, of: Chosen | Found) -> None:
        self.dialog = SetDialog(self._shared, of, self._window.window())
        self.dialog.made.connect(self.told)
        self.dialog.destroyed.connect(self._gone)
        self.dialog.open()

    def _gone(self) -> None:
        self.dialog = None


def _chosen(column: Column, rows: Records) -> list[Chosen]:
    """The values of these cells by what they can be in a set; of a port its endpoint too."""
    known = rows[~column.absent(rows)]
    if not len(known):
        return []
    kind: SetKind | None = KINDS.get(column.type)
    found: list[Chosen] = []
    if kind == "address":
        found.append(Chosen(kind, _once([address(bytes(row[column.name])) for row in known])))
    elif kind == "port":
        found.append(Chosen(kind, _once([str(int(row[column.name])) for row in known])))
        host = column.name.replace("_port", "_ip")
        found.append(Chosen("endpoint", _once([_endpoint(row, host, column.name) for row in known])))
    elif kind == "community_id" and column.type is Type.COMMUNITY:
        found.append(Chosen(kind, _once(column.exact(known, {}))))
    return found


def _endpoint(row: np.void, host: str, port: str) -> str:
    return endpoint(Endpoint(Network(int.from_bytes(bytes(row[host])), 128), int(row[port])))


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
