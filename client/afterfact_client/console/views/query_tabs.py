"""The tabs of a window: opened, named, duplicated, pinned, closed, brought back, and put into windows of their own.

The first are no queries but places that are always there: the queue, the cases.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Protocol, cast

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QInputDialog, QMenu, QTabBar, QTabWidget, QVBoxLayout, QWidget

from afterfact_client.console.views.parts import ElidedLabel, button
from afterfact_client.console.views.query_tab import QueryTab
from afterfact_client.state import querytext
from afterfact_client.state.session import TabState

CLOSED_TABS = 20
TOLD_MS = 4000
PIN = "\N{BLACK DIAMOND} "
"""Before the names of pinned tabs."""


class Place(Protocol):
    """What a place does with the window's keys."""

    def enter(self) -> None:
        """Take the focus to what it is for."""

    def enter_filter(self) -> None:
        """Take the focus to where its rows are filtered."""

    def escape(self) -> None:
        """Esc."""


class QueryTabs(QTabWidget):
    """`make` builds a tab from its state; `places` (Places) are what the first show.

    Signals:
        changed(): tabs, names or order changed and are to be saved.
        status_changed(): the status of the tab in front changed.
        told(str): a short word for the status line.
    """

    changed = Signal()
    status_changed = Signal()
    told = Signal(str)

    def __init__(
        self, make: Callable[[TabState], QueryTab], places: Sequence[QWidget], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._make = make
        self.places = tuple(places)
        self._front: QueryTab | None = None
        self._closed: list[TabState] = []
        self.detached: list[DetachedTab] = []
        self.menu: QMenu | None = None
        self.keys_of: Callable[[QueryTab], Sequence[tuple[str, Callable[[], object]]]] = lambda tab: ()
        """Further keys of a tab that has a window of its own, and what they do."""
        self.setMovable(True)
        bar = self.tabBar()
        bar.setDrawBase(False)
        bar.setElideMode(Qt.TextElideMode.ElideRight)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        bar.customContextMenuRequested.connect(self._open_menu)
        bar.tabBarDoubleClicked.connect(self.rename)
        bar.tabMoved.connect(lambda *_: self._moved())
        for place in places:
            self.addTab(place, "")
        self.currentChanged.connect(self._turned)
        self.setAccessibleName("Queries")
        plus = button("+", "plain", "New tab (Ctrl-T)", "New tab")
        plus.clicked.connect(lambda: self.new_tab())
        self.setCornerWidget(plus, Qt.Corner.TopRightCorner)

    # --- which there are ----------------------------------------------------------------------------------------------

    @property
    def tab(self) -> QueryTab:
        """The query's tab in front, or that was before the queue."""
        attached = self.attached()
        return self._front if self._front in attached else attached[0]

    def _turned(self, at: int) -> None:
        tab = self.widget(at)
        if isinstance(tab, QueryTab):
            self._front = tab

    def _moved(self) -> None:
        for at, place in enumerate(self.places):
            if self.indexOf(place) != at:
                self.tabBar().moveTab(self.indexOf(place), at)
        self.changed.emit()

    def bring_query(self) -> None:
        """Have a query in front."""
        self.setCurrentWidget(self.tab)

    @property
    def place(self) -> Place | None:
        """The place in front; None: a query is."""
        widget = self.currentWidget()
        return cast(Place, widget) if widget in self.places else None

    @property
    def place_in_front(self) -> bool:
        return self.place is not None

    @property
    def current_query(self) -> int:
        """Which of the queries is in front, from the left; -1: none, but a place."""
        return max(self.currentIndex() - len(self.places), -1)

    @current_query.setter
    def current_query(self, at: int) -> None:
        self.setCurrentIndex(at + len(self.places) if at >= 0 else 0)

    def attached(self) -> list[QueryTab]:
        """Tabs from left to right."""
        found = (self.widget(at) for at in range(self.count()))
        return [tab for tab in found if isinstance(tab, QueryTab)]

    def all_tabs(self) -> list[QueryTab]:
        """Those from left to right, then those in windows of their own."""
        return [*self.attached(), *(window.tab for window in self.detached)]

    # --- opened and closed --------------------------------------------------------------------------------------------

    def new_tab(self, text: str = "", run: bool = False) -> QueryTab:
        """Open a tab in front; with a query, and ask it."""
        tab = self.add(TabState(text))
        self.setCurrentWidget(tab)
        if run:
            tab.run()
        else:
            tab.editor.setFocus()
        return tab

    def add(self, state: TabState) -> QueryTab:
        """Open a tab at the end."""
        tab = self._make(state)
        tab.titled.connect(lambda _title: self.show_name(tab))
        tab.status_changed.connect(lambda: self._status(tab))
        tab.asked_elsewhere.connect(lambda text: self.new_tab(text, run=True))
        self._attach(tab)
        return tab

    def _attach(self, tab: QueryTab) -> None:
        at = self.addTab(tab, "")
        close = button("\N{MULTIPLICATION SIGN}", "close", "Close the tab (Ctrl-W)", "Close the tab")
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.clicked.connect(lambda: self.close_tab(self.indexOf(tab)))
        self.tabBar().setTabButton(at, QTabBar.ButtonPosition.RightSide, close)
        self.show_name(tab)

    def close_tab(self, at: int) -> None:
        """Close a tab; what it held is in the history, and reopen_tab brings it back. Pinned ones stay."""
        tab = self.widget(at)
        if not isinstance(tab, QueryTab):
            return
        if tab.state.pinned:
            self.told.emit("This tab is pinned; unpin it first (right-click on its name)")
            return
        tab.keep_draft()
        tab.close_down()
        if tab.state.text.strip() or tab.state.trail.texts:
            self._closed = [*self._closed, tab.state][-CLOSED_TABS:]
        self.removeTab(at)
        tab.deleteLater()
        if not self.attached():
            self.new_tab()
        self.changed.emit()

    def reopen_tab(self) -> None:
        """Bring back the tab that was closed last."""
        if self._closed:
            self.setCurrentWidget(self.add(self._closed.pop()))

    def duplicate(self, at: int) -> None:
        """Another tab with the same text and trail."""
        tab = self.widget(at)
        if isinstance(tab, QueryTab):
            state = deepcopy(tab.state)
            state.pinned = False
            copy = self.add(state)
            self.tabBar().moveTab(self.indexOf(copy), at + 1)
            self.setCurrentWidget(copy)
            self.changed.emit()

    # --- names and pins -----------------------------------------------------------------------------------------------

    def show_name(self, tab: QueryTab) -> None:
        """The name it was given, or a few words of its query."""
        name = tab.state.name or querytext.title(tab.answer.query or tab.state.text)
        at = self.indexOf(tab)
        if at < 0:
            tab.window().setWindowTitle(name)
            return
        self.setTabText(at, (PIN if tab.state.pinned else "") + name.replace("&", "&&"))
        self.setTabToolTip(at, tab.editor.text)
        close = self.tabBar().tabButton(at, QTabBar.ButtonPosition.RightSide)
        if close is not None:
            close.setVisible(not tab.state.pinned)

    def rename(self, at: int) -> None:
        """Ask for a name; an empty one is again that of the query."""
        tab = self.widget(at)
        if isinstance(tab, QueryTab):
            ask = QInputDialog(self)
            ask.setWindowTitle("Name of the tab")
            ask.setLabelText("Empty: named after its query")
            ask.setTextValue(tab.state.name or querytext.title(tab.state.text))
            ask.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            ask.textValueSelected.connect(lambda name: self._named(tab, name))
            ask.open()

    def _named(self, tab: QueryTab, name: str) -> None:
        name = " ".join(name.split())
        tab.state.name = "" if name == querytext.title(tab.state.text) else name
        self.show_name(tab)
        self.changed.emit()

    def pin(self, at: int) -> None:
        """Pin a tab before the others, or let it go again."""
        tab = self.widget(at)
        if isinstance(tab, QueryTab):
            pinned = sum(other.state.pinned for other in self.attached())
            tab.state.pinned = not tab.state.pinned
            self.tabBar().moveTab(at, len(self.places) + (pinned if tab.state.pinned else max(pinned - 1, 0)))
            self.show_name(tab)
            self.changed.emit()

    # --- windows of their own -----------------------------------------------------------------------------------------

    def detach(self, at: int) -> None:
        """Put a tab into a window of its own; closing that brings it back."""
        tab = self.widget(at)
        if not isinstance(tab, QueryTab):
            return
        self.removeTab(at)
        window = DetachedTab(tab, self.keys_of(tab), self)
        window.closing.connect(lambda: self._back(window))
        self.detached.append(window)
        if not self.attached():
            self.new_tab()
        window.show()
        window.activateWindow()
        tab.show()
        self.show_name(tab)
        tab.editor.setFocus()
        self.changed.emit()

    def _back(self, window: "DetachedTab") -> None:
        self.detached.remove(window)
        self._attach(window.tab)
        self.setCurrentWidget(window.tab)
        window.deleteLater()
        self.changed.emit()

    def _open_menu(self, at: QPoint) -> None:
        index = self.tabBar().tabAt(at)
        tab = self.widget(index)
        if not isinstance(tab, QueryTab):
            return
        self.menu = QMenu(self)
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, do in (
            ("&Rename", self.rename),
            ("&Duplicate", self.duplicate),
            ("Un&pin" if tab.state.pinned else "&Pin", self.pin),
            ("Window of its &own", self.detach),
            ("&Close", self.close_tab),
        ):
            self.menu.addAction(text).triggered.connect(lambda _checked=False, do=do: do(self.indexOf(tab)))
        self.menu.popup(self.tabBar().mapToGlobal(at))

    def _status(self, tab: QueryTab) -> None:
        if tab is self.currentWidget():
            self.status_changed.emit()


class DetachedTab(QWidget):
    """A tab in a window of its own. Signals: closing(): the tab goes back to the others."""

    closing = Signal()

    def __init__(
        self, tab: QueryTab, keys: Sequence[tuple[str, Callable[[], object]]], parent: QWidget
    ) -> None:  # fmt: skip
        super().__init__(parent, Qt.WindowType.Window)
        self.tab = tab
        self._told = QTimer(self, singleShot=True, interval=TOLD_MS)
        self._told.timeout.connect(self._show_status)
        self.resize(parent.size())
        self.status = ElidedLabel()
        self.status.setContentsMargins(8, 3, 8, 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(tab, 1)
        layout.addWidget(self.status)
        tab.status_changed.connect(self._show_status)
        tab.told.connect(self.tell)
        self._show_status()
        own: tuple[tuple[str, Callable[[], object]], ...] = (
            ("Ctrl+Return", tab.run),
            ("Ctrl+Enter", tab.run),
            ("Esc", tab.stop),
            ("Alt+Left", lambda: tab.step(-1)),
            ("Alt+Right", lambda: tab.step(1)),
            ("Ctrl+L", tab.editor.setFocus),
            ("Ctrl+J", tab.answer.view.setFocus),
            ("Ctrl+D", tab.answer.notes.toggle),
            ("Ctrl+W", self.close),
        )
        for key, do in (*own, *keys):
            QShortcut(QKeySequence(key), self).activated.connect(lambda do=do: do())

    def tell(self, text: str) -> None:
        """A short word in place of the status."""
        self.status.show_text(text)
        self._told.start()

    def _show_status(self) -> None:
        self._told.stop()
        self.status.show_text(self.tab.status, self.tab.status_details)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.tab.status_changed.disconnect(self._show_status)
        self.tab.told.disconnect(self.tell)
        self._told.stop()
        super().closeEvent(event)
        self.closing.emit()
