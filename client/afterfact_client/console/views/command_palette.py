"""Ctrl-K: every action of the menus, every saved query and every tab, by typing a part of its name."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QMenu, QVBoxLayout, QWidget

from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.palette import Command, ranked

WIDTH = 620
ROWS = 14


class CommandPalette(QDialog):
    """Closes itself once one was chosen, or on Esc. Blocks nothing that runs."""

    def __init__(self, commands: list[Command], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("palette")
        self._commands = commands
        self._shown: list[Command] = []
        self.field = QLineEdit()
        self.field.setPlaceholderText("Action, saved query or tab")
        self.field.setAccessibleName("Command")
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setFont(LOOK.mono)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("Commands")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.field)
        layout.addWidget(self.list)
        self.field.installEventFilter(self)
        self.field.textChanged.connect(self._type)
        self.list.itemClicked.connect(lambda item: self._take(self.list.row(item)))
        width = min(WIDTH, parent.width() - 40)
        height = self.field.sizeHint().height() + ROWS * (LOOK.row_height + 2) + 24
        corner = parent.mapToGlobal(parent.rect().topLeft())
        self.setGeometry(corner.x() + (parent.width() - width) // 2, corner.y() + 48, width,
                         min(height, parent.height() - 60))  # fmt: skip
        self._type("")
        self.field.setFocus()

    def _type(self, text: str) -> None:
        self._shown = ranked(self._commands, text)
        self.list.clear()
        room = int((self.width() - 48) / LOOK.advance)
        for command in self._shown:
            left = f"{command.kind:<8}{command.title}"
            more = command.more[: max(room - len(left) - 2, 0)]
            item = QListWidgetItem(f"{left}{more:>{max(room - len(left), 0)}}")
            item.setToolTip(f"{command.title}\n{command.more}" if command.more else command.title)
            self.list.addItem(item)
        self.list.setCurrentRow(0 if self._shown else -1)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            key, count = event.key(), max(len(self._shown), 1)
            steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: ROWS, Qt.Key.Key_PageUp: -ROWS}
            step = steps.get(Qt.Key(key))
            if step is not None:
                at = self.list.currentRow() + step
                self.list.setCurrentRow(at % count if abs(step) == 1 else min(max(at, 0), count - 1))
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._take(self.list.currentRow())
                return True
        return super().eventFilter(watched, event)

    def _take(self, row: int) -> None:
        if 0 <= row < len(self._shown):
            do = self._shown[row].do
            self.close()
            do()


def of_menus(menus: list[QMenu]) -> list[Command]:
    """Every action of some menus and of the menus in them."""
    found = []
    for menu in menus:
        for action in menu.actions():
            inner = action.menu()
            title = f"{menu.title().replace('&', '')}: {action.text().replace('&', '')}"
            if isinstance(inner, QMenu):
                found += of_menus([inner])
            elif not action.isSeparator() and action.isEnabled():
                keys = ", ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts())
                do: Callable[[], object] = action.trigger
                found.append(Command("action", title, keys, do))
    return found
