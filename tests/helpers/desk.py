"""An analyst at the console: types, clicks, and looks. Works on real widgets with real key and mouse events."""

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu, QWidget
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console
from afterfact_client.console.models.query_run import RunPhase
from afterfact_client.console.views.main_window import MainWindow
from afterfact_client.console.views.query_tab import QueryTab

Key = Qt.Key
Modifier = Qt.KeyboardModifier
CONTROL, ALT, SHIFT = Modifier.ControlModifier, Modifier.AltModifier, Modifier.ShiftModifier
WAIT_MS = 20_000


class Desk:
    """`qtbot` waits; everything else goes through the window."""

    def __init__(self, qtbot: QtBot, console: Console) -> None:
        self.qtbot = qtbot
        self.console = console

    @property
    def window(self) -> MainWindow:
        return self.console.window

    @property
    def tab(self) -> QueryTab:
        return self.window.tab

    def until(self, shown: Callable[[], bool]) -> None:
        """Wait until something is so."""
        self.qtbot.waitUntil(shown, timeout=WAIT_MS)

    def open(self, width: int = 1280, height: int = 720) -> None:
        """Show the window at its login."""
        self.window.resize(width, height)
        self.window.show()
        self.window.activateWindow()
        self.qtbot.waitExposed(self.window)
        self.until(self.window.isActiveWindow)
        self.window.begin()

    def log_in(self, user: str, password: str) -> None:
        """Type user and password, and be let in."""
        self.try_login(user, password)
        self.until(lambda: self.window.pages.currentWidget() is self.window.work)

    def try_login(self, user: str, password: str) -> None:
        """Type user and password, and press Enter."""
        login = self.window.login
        login.user.clear()
        login.password.clear()
        login.user.setFocus()
        self.type(user)
        self.key(Key.Key_Return)
        self.type(password)
        self.key(Key.Key_Return)

    @property
    def focus(self) -> QWidget:
        """The widget that keys go to: what is focused, or the menu that is open."""
        popup = QGuiApplication.instance().activePopupWidget()  # type: ignore[union-attr]
        widget = popup or self.window.focusWidget() or self.window
        assert isinstance(widget, QWidget)
        return widget

    def type(self, text: str) -> None:
        """Type a text, lines with Enter."""
        for at, line in enumerate(text.split("\n")):
            if at:
                self.key(Key.Key_Return)
            QTest.keyClicks(self.focus, line)

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Modifier.NoModifier) -> None:
        """Press a key."""
        QTest.keyClick(self.focus, key, modifiers)

    def write(self, text: str) -> None:
        """Put a query in the editor by typing it over what is there."""
        self.key(Key.Key_L, CONTROL)
        self.key(Key.Key_A, CONTROL)
        self.key(Key.Key_Delete)
        self.type(text)

    def ask(self, text: str) -> None:
        """Type a query, run it, and wait until all of a small result is there."""
        self.write(text)
        self.key(Key.Key_Return, CONTROL)
        self.answered()

    def answered(self) -> None:
        """Wait for the answer and, if it is small, its rows."""
        self.until(lambda: not self.tab.query.running)
        assert self.tab.query.phase is RunPhase.ANSWERED, (self.tab.query.phase, self.tab.said.text())
        result = self.tab.answer.table.result
        assert result is not None
        if result.small:
            self.until(lambda: result.complete)

    def cells(self, *names: str) -> list[tuple[str, ...]]:
        """What the table shows in some columns."""
        model = self.tab.answer.table
        at = [[column.name for column in model.columns].index(name) for name in names]
        return [tuple(model.index(row, column).data() for column in at) for row in range(model.rowCount())]

    def go_to(self, row: int, name: str) -> None:
        """Put the cursor of the table on a cell."""
        model = self.tab.answer.table
        self.tab.answer.view.setFocus()
        column = [column.name for column in model.columns].index(name)
        self.tab.answer.view.setCurrentIndex(model.index(row, column))

    def cell_place(self, row: int, name: str) -> QPoint:
        """The middle of a cell, in the table's viewport."""
        model = self.tab.answer.table
        index = model.index(row, [column.name for column in model.columns].index(name))
        self.tab.answer.view.scrollTo(index)
        return self.tab.answer.view.visualRect(index).center()

    def menu(self) -> QMenu:
        """The menu that is open."""
        self.until(lambda: self.tab.answer.menu is not None and self.tab.answer.menu.isVisible())
        assert self.tab.answer.menu is not None
        return self.tab.answer.menu

    def choose(self, label: str, modifiers: Qt.KeyboardModifier = Modifier.NoModifier) -> None:
        """Walk down the open menu to an entry and take it with Enter."""
        menu = self.menu()
        wanted = [action for action in menu.actions() if action.text().replace("&", "").split("\t")[0] == label]
        assert len(wanted) == 1, [action.text() for action in menu.actions()]
        for _ in menu.actions():
            if menu.activeAction() is wanted[0]:
                break
            QTest.keyClick(menu, Key.Key_Down)
        QTest.keyClick(menu, Key.Key_Return, modifiers)

    def click_header(self, name: str) -> None:
        """Click on the title of a column."""
        header = self.tab.answer.view.horizontalHeader()
        at = [column.name for column in self.tab.answer.table.columns].index(name)
        self.tab.answer.view.scrollTo(self.tab.answer.table.index(0, at))
        place = QPoint(header.sectionViewportPosition(at) + header.sectionSize(at) // 2, header.height() // 2)
        QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, Modifier.NoModifier, place)

    def return_to_window(self) -> None:
        """A dialogue has closed. On a desktop its window manager does this; the test's platform has none."""
        self.window.activateWindow()
        self.until(self.window.isActiveWindow)

    @property
    def clipboard(self) -> str:
        return QGuiApplication.clipboard().text()
