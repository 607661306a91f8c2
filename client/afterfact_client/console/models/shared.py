"""What all tabs share: what the team keeps at the server (sets and exclusions, which queries name; saved queries and
views of columns), and what is known of addresses besides."""

import time
from collections.abc import Callable, Sequence
from operator import attrgetter

from PySide6.QtCore import QObject, QTimer

from afterfact_client.console.models.mark_board import MarkBoard
from afterfact_client.console.models.resolver import Resolver
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.server_list import ServerList
from afterfact_client.link import LinkPhase, LinkState
from afterfact_client.state.queue_words import may_act
from afterfact_client.state.saved import SavedQuery, of_team
from afterfact_client.state.set_words import EXCLUSION_COLUMNS, SET_COLUMNS
from afterfact_protocol.messages import (
    AskExclusions,
    AskSaved,
    AskSets,
    Exclusions,
    SavedItem,
    SavedItems,
    SavedKind,
    Sets,
)

FRESH_S = 1.5
"""What was told this long ago is asked for anew when somebody types a name."""


class Shared(QObject):
    """Lists that are asked for at login, while their windows show, and while a query is typed that may name one."""

    def __init__(self, server: Server, resolver: Resolver, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.server = server
        self.marks = MarkBoard(server, self)
        """What is said of hosts, ports and sessions."""
        self.resolver = resolver
        self.sets = ServerList(
            server,
            SET_COLUMNS,
            AskSets,
            lambda answer: answer.sets if isinstance(answer, Sets) else None,
            self,
            attrgetter("name"),
        )
        self.exclusions = ServerList(
            server, EXCLUSION_COLUMNS, AskExclusions,
            lambda answer: answer.exclusions if isinstance(answer, Exclusions) else None, self, attrgetter("name"),
        )  # fmt: skip
        self._revision = 0
        self.saved = ServerList(
            server, (), lambda request: AskSaved(request, self._revision), self._saved, self,
            attrgetter("kind", "folder", "name"),
        )  # fmt: skip
        self._asked = 0.0
        self._again = QTimer(self, singleShot=True)
        self._again.timeout.connect(self._look)
        server.state_changed.connect(self._state_changed)

    @property
    def lists(self) -> tuple[ServerList, ...]:
        """All of them."""
        return self.sets, self.exclusions, self.saved

    @property
    def may_change(self) -> bool:
        """Whether the account may change them; the server decides."""
        return may_act(self.server.state.role)

    def set_kinds(self) -> dict[str, str]:
        """Names of sets with the kind of their values."""
        return {one.name: one.kind for one in self.sets.items}

    def conditions(self) -> dict[str, str]:
        """Names of exclusions with what they leave out."""
        return {one.name: one.condition for one in self.exclusions.items}

    def team(self, kind: SavedKind) -> list[SavedQuery]:
        """The team's queries or views, by folder and name."""
        found = [of_team(one) for one in self.saved.items if one.kind == kind]
        return sorted(found, key=lambda one: (one.folder.casefold(), one.name.casefold()))

    def look(self) -> None:
        """Somebody is about to name one: ask for what others may have changed, at once or in a moment."""
        if not self._again.isActive():
            self._again.start(max(0, int((self._asked + FRESH_S - time.monotonic()) * 1000)))

    def _look(self) -> None:
        if self.server.online:
            self._asked = time.monotonic()
            self.exclusions.refresh()
            if not self.server.state.limits:  # else the server refuses, and notes it down
                self.sets.refresh()

    def look_at_saved(self) -> None:
        """Ask whether what the team saved has changed."""
        if self.server.online:
            self.saved.refresh()

    def _saved(self, answer: SavedItems) -> Sequence[SavedItem]:
        self._revision = answer.revision
        return self.saved.items if answer.same else answer.items

    def on_news(self, call: Callable[[], None]) -> None:
        """Have something called whenever the sets or the exclusions were told."""
        for each in (self.sets, self.exclusions):
            each.told.connect(call)

    def forget(self) -> None:
        """Somebody else logs in."""
        self._asked, self._revision = 0.0, 0
        self.marks.forget()
        for each in self.lists:
            each.forget()

    def _state_changed(self, state: LinkState) -> None:
        if state.phase is LinkPhase.ONLINE:
            self._look()
            self.look_at_saved()
