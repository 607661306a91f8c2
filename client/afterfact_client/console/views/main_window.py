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
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from afterfact_client.console.models.case_desk import CaseDesk
from afterfact_client.console.models.queue_desk import QueueDesk
from afterfact_client.console.models.resolver import Resolver
from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.appearance import Appearance
from afterfact_client.console.views.case_commands import CaseCommands
from afterfact_client.console.views.cases_view import CasesView
from afterfact_client.console.views.commands import Commands
from afterfact_client.console.views.health_window import HealthWindow
from afterfact_client.console.views.keys_help import KeysHelp
from afterfact_client.console.views.login_pane import LoginPane
from afterfact_client.console.views.menus import ColumnsMenu
from afterfact_client.console.views.parts import ElidedLabel, button, label, rename
from afterfact_client.console.views.query_tab import QueryTab
from afterfact_client.console.views.query_tabs import Place, QueryTabs
from afterfact_client.console.views.queue_commands import QueueCommands
from afterfact_client.console.views.queue_view import QueueView
from afterfact_client.console.views.sensor_panel import WIDTH as SENSORS_WIDTH
from afterfact_client.console.views.sensor_panel import SensorPanel
from afterfact_client.console.views.set_commands import SetCommands
from afterfact_client.console.views.theme import LOOK
from afterfact_client.console.views.view_menu import ViewMenu
from afterfact_client.console.views.window_menus import WindowMenus
from afterfact_client.link import LinkLost, LinkPhase, LinkState, RequestFailed
from afterfact_client.state import resolving, session, tools
from afterfact_client.state.connection import connection_words
from afterfact_client.state.history import History
from afterfact_client.state.links import from_link
from afterfact_client.state.pivots import sensor_condition
from afterfact_client.state.session import TabState
from afterfact_client.state.storage import Storage
from afterfact_protocol.messages import Status
from afterfact_protocol.statustext import age_text

STATUS_MS = 3000
"""The sensors are asked about this often."""
SAVE_MS = 200
"""What is typed is on disk this long after the last key."""
TOLD_MS = 4000


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
        resolvers, unusable = resolving.load(tools.tools_place().with_name(resolving.FILE))
        self.shared = Shared(server, Resolver(resolvers, self), self)
        self.shared.resolver.turn(self.preferences.resolving)
        self.health: HealthWindow | None = None
        self._asked_status = False
        self._role = ""
        self.tools, complaint = tools.load(tools.tools_place())
        self._complaints = "; ".join(filter(None, (storage.complaint, complaint, unusable)))
        self.appearance = Appearance(self)
        self.appearance.dress()

        self.login = LoginPane(server.join, self.preferences.user)
        self.panel = SensorPanel(self.sensors)
        self.commands = Commands(self, storage.saved, self.shared)
        self.side = QSplitter(Qt.Orientation.Vertical, handleWidth=1, childrenCollapsible=False)
        self.queue = QueueView(QueueDesk(server, self))
        self.cases = CasesView(CaseDesk(server, self))
        self.tabs = QueryTabs(self._make_tab, (self.queue, self.cases))
        self.triage = QueueCommands(self, self.queue)
        self.casework = CaseCommands(self, self.cases)
        self.keep = SetCommands(self, self.shared)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, handleWidth=1, childrenCollapsible=False)
        self.trouble = ElidedLabel("notice")
        self.again = button("Log in again", "plain")
        self.pages = QStackedWidget()
        self.summary = ElidedLabel()
        self.connection = label()
        self.clock = label(spoken="UTC clock")
        self._told = QTimer(self, singleShot=True, interval=TOLD_MS)
        self.saving = QTimer(self, singleShot=True, interval=SAVE_MS)
        self._second = QTimer(self, interval=1000)
        self._poll = QTimer(self, interval=STATUS_MS)
        liked, looks = self.preferences, self.appearance
        self.columns_menu = ColumnsMenu("&Columns", lambda: liked.columns, looks.set_columns,
                                        lambda name: liked.formats.get(name, ""), looks.set_form)  # fmt: skip
        self.views = ViewMenu(self, storage.views)
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
        self.side.addWidget(self.panel)
        self.side.addWidget(self.commands.panel)
        self.splitter.addWidget(self.side)
        self.splitter.addWidget(self.tabs)
        self.splitter.setStretchFactor(1, 1)
        self.fit_side()
        self.side.setMinimumWidth(120)
        self.side.setVisible(self.preferences.sensors_shown)
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

    def fit_side(self) -> None:
        """The left column as wide as its text needs."""
        width = SENSORS_WIDTH * LOOK.text_px // 12
        self.splitter.setSizes([width, self.width() - width])

    def _connect(self) -> None:
        self.server.state_changed.connect(self._state_changed)
        self.login.submitted.connect(self._log_in)
        self.login.given_up.connect(self._give_up)
        self.again.clicked.connect(self.log_out)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.tabs.changed.connect(self.saving.start)
        self.tabs.status_changed.connect(self._show_summary)
        self.tabs.told.connect(self.tell)
        self.tabs.keys_of = self.commands.keys_of
        self.queue.status_changed.connect(self._queue_status)
        self.cases.status_changed.connect(self._queue_status)
        self.panel.chosen.connect(self._ask_about)
        self.panel.health_wanted.connect(self.show_health)
        self._told.timeout.connect(self._show_summary)
        self.saving.timeout.connect(self.save)
        self._second.timeout.connect(self._tick)
        self._poll.timeout.connect(self._ask_status)
        self.unsaved.connect(self.tell)
        self.shared.resolver.troubled.connect(self.tell)
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda: self.appearance.restyle())

    def _restore(self) -> None:
        for state in self.storage.tabs or [TabState()]:
            self.tabs.add(state)
        self.tabs.current_query = self.storage.current
        if self._complaints:
            self.tell(self._complaints)

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
        self.triage.forget()
        self.casework.forget()
        self.keep.forget()
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
            if (place := self.tabs.place) is not None:
                place.escape()
            else:
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
            if first and (place := self.tabs.place) is not None:
                place.enter()
            elif first:
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
        state, server = self.server.state, self.server
        inside = self.pages.currentWidget() is self.work
        good = age_text(int((time.time() - server.last_good) * 1e6)) if server.last_good else ""
        name, text, trouble = connection_words(state, good, server.user, self._role)
        self.connection.setText(text)
        limits = f"This account sees only {state.limits}" if state.limits else ""
        software = f"server software {state.server}" if state.server else ""
        self.connection.setToolTip("\n".join(filter(None, (state.reason, software, limits))))
        rename(self.connection, name)
        self._strip.setVisible(inside and bool(trouble))
        self.again.setVisible(state.phase is LinkPhase.REFUSED)
        self.trouble.show_text(trouble)

    def _ask_status(self) -> None:
        self.shared.look_at_saved()
        if self.server.online and not self._asked_status:
            self._asked_status = True
            self.server.status(self._take_status)

    def _take_status(self, future: "Future[Status]") -> None:
        self._asked_status = False
        error = future.exception()
        if error is None:
            self.sensors.take(future.result())
            self.shared.resolver.set_home(self.sensors.home)
        elif isinstance(error, RequestFailed):
            self.tell(f"No news of the sensors: {error}")
        elif not isinstance(error, LinkLost):
            raise error

    # --- tabs ---------------------------------------------------------------------------------------------------------

    @property
    def tab(self) -> QueryTab:
        """The tab in front."""
        return self.tabs.tab

    def all_tabs(self) -> list[QueryTab]:
        """All tabs, those in windows of their own last."""
        return self.tabs.all_tabs()

    def new_tab(self, text: str = "", run: bool = False) -> QueryTab:
        """Open a tab in front; with a query, and ask it."""
        return self.tabs.new_tab(text, run)

    def _make_tab(self, state: TabState) -> QueryTab:
        tab = QueryTab(
            self.server, self.preferences, self.history, state, self.shared,
            sensors=lambda: [sensor.name for sensor in self.sensors.sensors], networks=lambda: self.sensors.networks,
            tools=lambda: self.tools,
        )  # fmt: skip
        tab.told.connect(self.tell)
        tab.drafted.connect(self.saving.start)
        tab.columns_changed.connect(self.appearance.set_columns)
        tab.columns_menu_wanted.connect(self._popup_columns)
        tab.stacked.connect(self.appearance.stack_by)
        return tab

    def open_link(self, text: str) -> None:
        """Put the query of an afterfact:// link into a tab; it is not run, since anybody may have written it."""
        try:
            linked = from_link(text)
        except ValueError as error:
            self.tell(str(error))
            return
        own = self.server.join.address.removeprefix("tcp://")
        self.new_tab(linked.query)
        other = f" The link is to {linked.server}, this console asks {own}." if linked.server != own else ""
        self.tell(f"From a link; Ctrl-Enter runs it.{other}")

    def _tab_changed(self) -> None:
        self._show_summary()
        self.saving.start()

    def on_tab(self, do: Callable[[QueryTab], object], bring: bool = False) -> None:
        """Do something with the query's tab in front; nothing at the login, nor in the queue, unless `bring` puts the
        query in front that was there before."""
        if self.pages.currentWidget() is self.work and (bring or not self.tabs.place_in_front):
            if bring:
                self.tabs.bring_query()
            do(self.tab)

    def in_place(self, do: Callable[[Place], object], otherwise: Callable[[QueryTab], object]) -> None:
        """Do the one in the queue or the cases, the other with a query's tab."""
        place = self.tabs.place
        if self.pages.currentWidget() is self.work and place is not None:
            do(place)
        else:
            self.on_tab(otherwise)

    def _queue_status(self) -> None:
        if self.tabs.place_in_front:
            self._show_summary()

    # --- status line --------------------------------------------------------------------------------------------------

    def _show_summary(self) -> None:
        self._told.stop()
        tab = self.tabs.currentWidget()
        if isinstance(tab, QueryTab):
            self.summary.show_text(tab.status, tab.status_details)
        elif tab is self.queue:
            self.summary.show_text(self.queue.status)
        elif tab is self.cases:
            self.summary.show_text(self.cases.status)

    def tell(self, text: str) -> None:
        """A short word in place of the summary."""
        self.summary.show_text(text)
        self._told.start()

    # --- windows of their own -----------------------------------------------------------------------------------------

    def _popup_columns(self, at: QPoint) -> None:
        self.columns_menu.popup(at)

    def show_health(self) -> None:
        """The sensors' health, in a window of its own that blocks nothing."""
        if self.health is None:
            self.health = HealthWindow(self.sensors, self.server, self)
            self.health.chosen.connect(self._ask_about)
        self.health.show()
        self.health.raise_()
        self.health.activateWindow()

    def _ask_about(self, sensor: str) -> None:
        self.activateWindow()
        self.on_tab(lambda tab: tab.add_condition(sensor_condition(sensor)), bring=True)

    def show_keys(self) -> None:
        """All keys, in a window of their own that blocks nothing."""
        KeysHelp(self.menus.all, self).show()

    # --- keeping ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Put tabs, drafts and preferences on disk, without waiting for it."""
        self.saving.stop()
        self.storage.save_tabs(session.to_json([tab.state for tab in self.all_tabs()], self.tabs.current_query))
        self.storage.save_preferences(self.preferences.to_json())

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.isMaximized():
            self.preferences.size = (self.width(), self.height())
        self.save()
        for timer in (self._second, self._poll, self.saving, self._told):
            timer.stop()
        for tab in self.all_tabs():
            tab.close_down()
        self.shared.resolver.close()
        super().closeEvent(event)
