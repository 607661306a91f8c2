"""What a window offers of the queue by name: the queue itself, the watches, the rules."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from afterfact_client.console.views.query_tab import QueryTab
from afterfact_client.console.views.queue_view import QueueView
from afterfact_client.console.views.rules_window import RulesWindow, rule_list
from afterfact_client.console.views.watches_window import VIEWER, WatchDialog, WatchesWindow, watch_list
from afterfact_client.state import querytext
from afterfact_client.state.queue_rows import Shown
from afterfact_client.state.queue_words import may_act

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow


class QueueCommands(QObject):
    """Owns the windows of the watches and the rules."""

    def __init__(self, window: "MainWindow", view: QueueView) -> None:
        super().__init__(window)
        self._window, self._view = window, view
        self.watches = watch_list(window.server, window)
        self.rules = rule_list(window.server, window)
        self.watches_window: WatchesWindow | None = None
        self.rules_window: RulesWindow | None = None
        self.dialog: WatchDialog | None = None
        view.titled.connect(lambda title: window.tabs.setTabText(0, title))
        view.asked.connect(lambda text: window.new_tab(text, run=True))
        view.rule_wanted.connect(self._offer_rule)

    def show(self, shown: Shown | None = None) -> None:
        """The queue in front, and its table under the keys."""
        window = self._window
        if window.pages.currentWidget() is window.work:
            window.tabs.setCurrentWidget(self._view)
            if shown is not None:
                self._view.show_list(shown)
            self._view.enter()

    def show_watches(self) -> None:
        """The watches, in a window of their own that blocks nothing."""
        if self._window.pages.currentWidget() is not self._window.work:
            return
        if self.watches_window is None:
            self.watches_window = WatchesWindow(self.watches, self._window.server, self._window)
            self.watches_window.asked.connect(self._ask)
            self.watches_window.rows_wanted.connect(self._show_rows)
        _to_front(self.watches_window)

    def show_rules(self) -> None:
        """The autocategorise rules, in a window of their own that blocks nothing."""
        if self._window.pages.currentWidget() is not self._window.work:
            return
        if self.rules_window is None:
            self.rules_window = RulesWindow(self.rules, self._window.server, self._window)
        _to_front(self.rules_window)

    def watch_query(self) -> None:
        """Make a watch of the query in front."""
        if self._window.tabs.place_in_front:
            self._window.tell("A watch is made of a query: go to its tab first (Ctrl-L)")
        else:
            self._window.on_tab(self._offer_watch)

    def _offer_watch(self, tab: QueryTab) -> None:
        text = tab.editor.text.strip()
        if not may_act(self._window.server.state.role):
            self._window.tell(VIEWER)
        elif not text:
            self._window.tell("There is no query to watch")
        else:
            self.dialog = WatchDialog(self.watches, text, tab.state.name or querytext.title(text), self._window)
            self.dialog.made.connect(self._window.tell)
            self.dialog.destroyed.connect(self._dialog_gone)
            self.dialog.open()

    def _dialog_gone(self) -> None:
        self.dialog = None

    def _offer_rule(self, rule: str, src: str) -> None:
        self.show_rules()
        if self.rules_window is not None:
            self.rules_window.offer(rule, src)

    def _ask(self, text: str) -> None:
        self._window.activateWindow()
        self._window.new_tab(text, run=True)

    def _show_rows(self, word: str) -> None:
        self._window.activateWindow()
        self.show("open")
        self._view.filter.setText(word)

    def restyle(self) -> None:
        """Theme or text size changed."""
        self._view.restyle()
        for window in (self.watches_window, self.rules_window):
            if window is not None:
                window.restyle()

    def forget(self) -> None:
        """Somebody else logs in."""
        self._view.desk.forget()
        for each in (self.watches, self.rules):
            each.forget()
        for window in (self.watches_window, self.rules_window):
            if window is not None:
                window.close()


def _to_front(window: WatchesWindow | RulesWindow) -> None:
    window.show()
    window.raise_()
    window.activateWindow()
