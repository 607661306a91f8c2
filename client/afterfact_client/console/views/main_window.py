"""The console's window: login, then sensors beside tabs of queries; menus, status line, UTC clock.

It wires the parts together and keeps on disk what was typed. The GUI thread waits for nothing.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.models.server import Server
from afterfact_client.console.views.health_window import HealthWindow
from afterfact_client.console.views.keys_help import KeysHelp
from afterfact_client.console.views.login_pane import LoginPane
from afterfact_client.console.views.menus import ColumnsMenu
from afterfact_client.console.views.parts import ElidedLabel, button, label, rename
from afterfact_client.console.views.query_tab import QueryTab
from afterfact_client.console.views.sensor_panel import WIDTH as SENSORS_WIDTH
from afterfact_client.console.views.sensor_panel import SensorPanel
from afterfact_client.console.views.theme import LOOK, resolved
from afterfact_client.console.views.window_menus import WindowMenus
from afterfact_client.link import LinkLost, LinkPhase, LinkState, RequestFailed
from afterfact_client.state import querytext, session
from afterfact_client.state.history import History
from afterfact_client.state.pivots import sensor_condition
from afterfact_client.state.preferences import SIZES, Theme
from afterfact_client.state.session import TabState
from afterfact_client.state.storage import Storage
from afterfact_protocol.messages import Status
from afterfact_protocol.statustext import age_text

STATUS_MS = 3000
"""The sensors are asked about this often."""
SAVE_MS = 200
"""What is typed is on disk this long after the last key."""
TOLD_MS = 4000
CLOSED_TABS = 20


class MainWindow(QMainWindow):
    """Close it with close(); the caller then closes the server and the storage.

    Signals:
        unsaved(str): something could not be saved; emit it from any thread.
    """

    unsaved = Signal(str)

    def __init__(self, server: Server, storage: Storage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.server = server
        self.storage = storage
        self.preferences = storage.preferences
        self.history: History = storage.history
        self.sensors = SensorList(self)
        self.health: HealthWindow | None = None
        self._asked_status = False
        self._closed: list[TabState] = []
        self._role = ""
        self._dress()

        self.login = LoginPane(server.join, self.preferences.user)
        self.panel = SensorPanel(self.sensors)
        self.tabs = QTabWidget(movable=True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.tabBar().setElideMode(Qt.TextElideMode.ElideRight)
        self.tabs.setAccessibleName("Queries")
        self.splitter = QSplitter(Qt.Orientation.Horizontal, handleWidth=1, childrenCollapsible=False)
        self.trouble = ElidedLabel("notice")
        self.again = button("Log in again", "plain")
        self.pages = QStackedWidget()
        self.summary = ElidedLabel()
        self.connection = label()
        self.clock = label(spoken="UTC clock")
        self._told = QTimer(self, singleShot=True, interval=TOLD_MS)
        self._save = QTimer(self, singleShot=True, interval=SAVE_MS)
        self._second = QTimer(self, interval=1000)
        self._poll = QTimer(self, interval=STATUS_MS)
        self.columns_menu = ColumnsMenu("&Columns", lambda: self.preferences.columns, self.set_columns)
        self._lay_out()
        self.menus = WindowMenus(self)
        self._connect()
        self._restore()
        self.menus.show_theme(self.preferences.theme)
        self._tick()
        self._second.start()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.setWindowTitle(f"Afterfact - {self.server.join.address.removeprefix('tcp://')}")
        self.resize(*self.preferences.size)
        self.setMinimumSize(760, 420)
        plus = button("+", "plain", "New tab (Ctrl-T)", "New tab")
        plus.clicked.connect(lambda: self.new_tab())
        self.tabs.setCornerWidget(plus, Qt.Corner.TopRightCorner)
        self.splitter.addWidget(self.panel)
        self.splitter.addWidget(self.tabs)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([SENSORS_WIDTH, self.width() - SENSORS_WIDTH])
        self.panel.setMinimumWidth(120)
        self.panel.setVisible(self.preferences.sensors_shown)
        strip = QFrame()
        inside = QHBoxLayout(strip)
        inside.setContentsMargins(0, 0, 8, 0)
        inside.addWidget(self.trouble, 1)
        inside.addWidget(self.again)
        self._strip = strip
        strip.hide()
        work = QWidget()
        layout = QVBoxLayout(work)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(strip)
        layout.addWidget(self.splitter, 1)
        self.work = work
        self.pages.addWidget(self.login)
        self.pages.addWidget(work)
        self.setCentralWidget(self.pages)
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.summary, 1)
        bar.addPermanentWidget(self.connection)
        bar.addPermanentWidget(self.clock)

    def _connect(self) -> None:
        self.server.state_changed.connect(self._state_changed)
        self.login.submitted.connect(self._log_in)
        self.login.given_up.connect(self._give_up)
        self.again.clicked.connect(self.log_out)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.tabs.tabBar().tabMoved.connect(lambda: self._save.start())
        self.panel.chosen.connect(self._ask_about)
        self.panel.health_wanted.connect(self.show_health)
        self._told.timeout.connect(self._show_summary)
        self._save.timeout.connect(self.save)
        self._second.timeout.connect(self._tick)
        self._poll.timeout.connect(self._ask_status)
        self.unsaved.connect(self._tell)
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda: self.restyle())

    def _restore(self) -> None:
        for state in self.storage.tabs or [TabState()]:
            self._add_tab(state)
        self.tabs.setCurrentIndex(self.storage.current)
        if self.storage.complaint:
            self._tell(self.storage.complaint)

    # --- login --------------------------------------------------------------------------------------------------------

    def begin(self, user: str | None = None, password: str | None = None) -> None:
        """Show the login, filled in with what is known, and log in at once if all is."""
        if user:
            self.login.user.setText(user)
        self.login.begin()
        if user and password is not None:
            self.login.password.setText(password)
            self.login.submit()

    def log_out(self) -> None:
        """Back to the login; tabs stay as they are."""
        self.server.log_out()
        self._poll.stop()
        self._strip.hide()
        self.pages.setCurrentWidget(self.login)
        self.login.stopped()
        self._tick()

    def _log_in(self, user: str, password: str) -> None:
        self.preferences.user = user
        self.server.log_in(user, password)

    def stop_or_give_up(self) -> None:
        """Esc: stop the query, or at the login the attempt."""
        if self.pages.currentWidget() is self.work:
            self.tab.stop()
        elif self.login.connecting:
            self._give_up()

    def _give_up(self) -> None:
        self.server.log_out()
        self.login.stopped()

    def _state_changed(self, state: LinkState) -> None:
        if self.pages.currentWidget() is self.login:
            self.login.show_state(state)
            if state.phase is LinkPhase.REFUSED:
                self.server.log_out()
        if state.phase is LinkPhase.ONLINE:
            self._role = state.role
            first = self.pages.currentWidget() is self.login
            self.pages.setCurrentWidget(self.work)
            self._strip.hide()
            self._poll.start()
            self._ask_status()
            if first:
                self.on_tab(lambda tab: tab.editor.setFocus())
        self._tick()

    # --- every second -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.clock.setText(datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))
        self._show_connection()
        self.panel.refresh()
        if self.health is not None:
            self.health.refresh()

    def _show_connection(self) -> None:
        state = self.server.state
        inside = self.pages.currentWidget() is self.work
        good = age_text(int((time.time() - self.server.last_good) * 1e6)) if self.server.last_good else ""
        match state.phase:
            case LinkPhase.ONLINE:
                name, text, trouble = "good", f"● {self.server.user} ({self._role})", ""
            case LinkPhase.LOST | LinkPhase.CONNECTING:
                name = "error"
                text = f"✕ connection lost, last good {good} ago" if good else "○ connecting"
                trouble = f"Connection lost, last good {good} ago. Trying again: {state.reason}." if good else ""
            case LinkPhase.REFUSED:
                name, text = "error", "✕ refused"
                trouble = f"The server does not let this console in any more: {state.reason}. Your tabs are kept."
            case _:
                name, text, trouble = "dim", "○ not logged in", ""
        self.connection.setText(text)
        self.connection.setToolTip(f"{state.reason}\nserver software {state.server}" if state.server else state.reason)
        rename(self.connection, name)
        self._strip.setVisible(inside and bool(trouble))
        self.again.setVisible(state.phase is LinkPhase.REFUSED)
        self.trouble.show_text(trouble)

    def _ask_status(self) -> None:
        if self.server.online and not self._asked_status:
            self._asked_status = True
            self.server.status(self._take_status)

    def _take_status(self, future: "Future[Status]") -> None:
        self._asked_status = False
        error = future.exception()
        if error is None:
            self.sensors.take(future.result())
        elif isinstance(error, RequestFailed):
            self._tell(f"No news of the sensors: {error}")
        elif not isinstance(error, LinkLost):
            raise error

    # --- tabs ---------------------------------------------------------------------------------------------------------

    @property
    def tab(self) -> QueryTab:
        """The tab in front."""
        tab = self.tabs.currentWidget()
        assert isinstance(tab, QueryTab)
        return tab

    def all_tabs(self) -> list[QueryTab]:
        """All tabs from left to right."""
        found = (self.tabs.widget(at) for at in range(self.tabs.count()))
        return [tab for tab in found if isinstance(tab, QueryTab)]

    def new_tab(self, text: str = "", run: bool = False) -> QueryTab:
        """Open a tab in front; with a query, and ask it."""
        tab = self._add_tab(TabState(text))
        self.tabs.setCurrentWidget(tab)
        if run:
            tab.run()
        else:
            tab.editor.setFocus()
        return tab

    def close_tab(self, at: int) -> None:
        """Close a tab; what it held is in the history, and Ctrl-Shift-T brings it back."""
        tab = self.tabs.widget(at)
        if not isinstance(tab, QueryTab):
            return
        tab.keep_draft()
        tab.close_down()
        if tab.state.text.strip() or tab.state.trail.texts:
            self._closed = [*self._closed, tab.state][-CLOSED_TABS:]
        self.tabs.removeTab(at)
        tab.deleteLater()
        if self.tabs.count() == 0:
            self.new_tab()
        self._save.start()

    def reopen_tab(self) -> None:
        """Bring back the tab that was closed last."""
        if self._closed:
            self.tabs.setCurrentWidget(self._add_tab(self._closed.pop()))

    def _add_tab(self, state: TabState) -> QueryTab:
        tab = QueryTab(
            self.server, self.preferences, self.history, state,
            sensors=lambda: [sensor.name for sensor in self.sensors.sensors], networks=lambda: self.sensors.networks,
        )  # fmt: skip
        tab.titled.connect(lambda title: self._name_tab(tab, title))
        tab.status_changed.connect(lambda: self._tab_status(tab))
        tab.told.connect(self._tell)
        tab.drafted.connect(self._save.start)
        tab.asked_elsewhere.connect(lambda text: self.new_tab(text, run=True))
        tab.columns_changed.connect(self.set_columns)
        tab.columns_menu_wanted.connect(self._popup_columns)
        at = self.tabs.addTab(tab, "")
        close = button("\N{MULTIPLICATION SIGN}", "close", "Close the tab (Ctrl-W)", "Close the tab")
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.clicked.connect(lambda: self.close_tab(self.tabs.indexOf(tab)))
        self.tabs.tabBar().setTabButton(at, QTabBar.ButtonPosition.RightSide, close)
        self._name_tab(tab, querytext.title(state.text))
        return tab

    def _name_tab(self, tab: QueryTab, title: str) -> None:
        at = self.tabs.indexOf(tab)
        self.tabs.setTabText(at, title.replace("&", "&&"))
        self.tabs.setTabToolTip(at, tab.editor.text)

    def _tab_changed(self) -> None:
        self._show_summary()
        self._save.start()

    def _tab_status(self, tab: QueryTab) -> None:
        if tab is self.tabs.currentWidget():
            self._show_summary()

    def on_tab(self, do: Callable[[QueryTab], object]) -> None:
        """Do something with the tab in front; nothing at the login."""
        if self.pages.currentWidget() is self.work and isinstance(self.tabs.currentWidget(), QueryTab):
            do(self.tab)

    # --- status line --------------------------------------------------------------------------------------------------

    def _show_summary(self) -> None:
        self._told.stop()
        tab = self.tabs.currentWidget()
        if isinstance(tab, QueryTab):
            self.summary.show_text(tab.status, tab.status_details)

    def _tell(self, text: str) -> None:
        """A short word in place of the summary."""
        self.summary.show_text(text)
        self._told.start()

    # --- preferences --------------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        LOOK.apply(application, self.preferences.theme, self.preferences.text_px)

    def restyle(self) -> None:
        """Theme or text size changed."""
        self._dress()
        self.menus.show_theme(self.preferences.theme)
        for tab in self.all_tabs():
            tab.restyle()
        self.panel.refresh()
        if self.health is not None:
            self.health.restyle()

    def set_theme(self, theme: Theme) -> None:
        """Dress in another theme, and remember it."""
        self.preferences.theme = theme
        self.restyle()
        self._save.start()

    def other_theme(self) -> None:
        """Dark becomes light, light dark."""
        self.set_theme("light" if resolved(self.preferences.theme) == "dark" else "dark")

    def set_text_size(self, pixels: int) -> None:
        """Make all text so many pixels high, within bounds."""
        self.preferences.text_px = min(max(pixels, SIZES[0]), SIZES[1])
        self.restyle()
        self._save.start()

    def set_columns(self, names: list[str]) -> None:
        """Show these columns in all tabs."""
        self.preferences.columns = list(names)
        for tab in self.all_tabs():
            tab.answer.show_columns(names)
        self._save.start()

    def _popup_columns(self, at: QPoint) -> None:
        self.columns_menu.popup(at)

    def toggle_sensors(self) -> None:
        """Show or hide the sensors."""
        self.preferences.sensors_shown = not self.panel.isVisible()
        self.panel.setVisible(self.preferences.sensors_shown)
        self._save.start()

    def show_health(self) -> None:
        """The sensors' health, in a window of its own that blocks nothing."""
        if self.health is None:
            self.health = HealthWindow(self.sensors, self)
            self.health.chosen.connect(self._ask_about)
        self.health.show()
        self.health.raise_()
        self.health.activateWindow()

    def _ask_about(self, sensor: str) -> None:
        self.activateWindow()
        self.on_tab(lambda tab: tab.add_condition(sensor_condition(sensor)))

    def show_keys(self) -> None:
        """All keys, in a window of their own that blocks nothing."""
        KeysHelp(self.menus.all, self).show()

    # --- keeping ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Put tabs, drafts and preferences on disk, without waiting for it."""
        self._save.stop()
        self.storage.save_tabs(session.to_json([tab.state for tab in self.all_tabs()], self.tabs.currentIndex()))
        self.storage.save_preferences(self.preferences.to_json())

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.isMaximized():
            self.preferences.size = (self.width(), self.height())
        self.save()
        for timer in (self._second, self._poll, self._save, self._told):
            timer.stop()
        for tab in self.all_tabs():
            tab.close_down()
        super().closeEvent(event)
