"""What a window offers by name of what the team shares: sets and exclusions."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.exclusions_window import ExclusionsWindow
from afterfact_client.console.views.query_tab import QueryTab
from afterfact_client.console.views.sets_window import SetsWindow
from afterfact_client.state import querytext
from afterfact_protocol.query import QueryError

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow


class SetCommands(QObject):
    """Owns the windows of the sets and the exclusions."""

    def __init__(self, window: "MainWindow", shared: Shared) -> None:
        super().__init__(window)
        self._window, self._shared = window, shared
        self.sets_window: SetsWindow | None = None
        self.exclusions_window: ExclusionsWindow | None = None

    def show_sets(self) -> None:
        """The sets, in a window of their own that blocks nothing."""
        if self._at_work:
            if self.sets_window is None:
                self.sets_window = SetsWindow(self._shared, self._window)
                self.sets_window.asked.connect(self._ask)
            _to_front(self.sets_window)

    def show_exclusions(self) -> None:
        """The exclusions, in a window of their own that blocks nothing."""
        if self._at_work:
            if self.exclusions_window is None:
                self.exclusions_window = ExclusionsWindow(self._shared, self._window)
                self.exclusions_window.asked.connect(self._ask)
            _to_front(self.exclusions_window)

    def share_exclusion(self) -> None:
        """Offer the condition of the query in front, without its times, as an exclusion."""
        self._window.on_tab(self._offer)

    @property
    def _at_work(self) -> bool:
        return self._window.pages.currentWidget() is self._window.work

    def _offer(self, tab: QueryTab) -> None:
        try:
            condition = querytext.condition_alone(tab.editor.text)
        except QueryError as error:
            self._window.tell(f"Not a condition: {error}")
            return
        self.show_exclusions()
        if self.exclusions_window is not None:
            self.exclusions_window.offer(condition)

    def _ask(self, text: str) -> None:
        self._window.activateWindow()
        self._window.new_tab(text, run=True)

    def restyle(self) -> None:
        """Theme or text size changed."""
        for window in (self.sets_window, self.exclusions_window):
            if window is not None:
                window.restyle()

    def forget(self) -> None:
        """Somebody else logs in."""
        self._shared.forget()
        for window in (self.sets_window, self.exclusions_window):
            if window is not None:
                window.close()


def _to_front(window: QDialog) -> None:
    window.show()
    window.raise_()
    window.activateWindow()
