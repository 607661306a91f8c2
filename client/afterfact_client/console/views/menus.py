"""The menu on a cell and the menu of columns, built from what state/ offers."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QMenu, QWidget

from afterfact_client.state.columns import BY_NAME, DEFAULT
from afterfact_client.state.formats import NAMED, offered
from afterfact_client.state.pivots import Section

Ask = Callable[[str, bool], None]
"""Ask a query; True for a tab of its own."""


def cell_menu(
    parent: QWidget,
    sections: list[Section],
    ask: Ask,
    copies: list[tuple[str, str, Callable[[], None]]],
    tools: list[tuple[str, str, Callable[[], None]]],
    sets: list[tuple[str, str, Callable[[], None]]],
    notes: list[tuple[str, str, Callable[[], None]]],
    pages: list[tuple[str, str, Callable[[], None]]],
) -> QMenu:
    """`copies` are label, keys and what to do; `tools` are name, what it opens or runs, and what to do; `sets`, in a
    menu of their own, label, tool tip and what to do; so are `notes`, which annotate, and `pages`, in this menu."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    for section in sections:
        if section.folded:
            into = menu.addMenu(section.heading.replace("&", "&&"))
            into.setToolTipsVisible(True)
        else:
            into = menu
            _heading(menu, section.heading)
        for entry in section.entries:
            action = into.addAction(entry.label)
            action.setToolTip(entry.text)
            action.triggered.connect(lambda _checked=False, text=entry.text: ask(text, _control()))
    if pages or sets:
        menu.addSeparator()
    for name, tip, do in pages:
        action = menu.addAction(name)
        action.setToolTip(tip)
        action.triggered.connect(lambda _checked=False, do=do: do())
    if sets:
        into = menu.addMenu("Add to a &set")
        into.setToolTipsVisible(True)
        for name, tip, do in sets:
            action = into.addAction(name.replace("&", "&&"))
            action.setToolTip(tip)
            action.triggered.connect(lambda _checked=False, do=do: do())
    for name, tip, do in notes:
        action = menu.addAction(name.replace("&", "&&"))
        action.setToolTip(tip)
        action.triggered.connect(lambda _checked=False, do=do: do())
    if tools:
        _heading(menu, "Outside tools")
        for name, tip, do in tools:
            action = menu.addAction(name.replace("&", "&&"))
            action.setToolTip(tip)
            action.triggered.connect(lambda _checked=False, do=do: do())
    _heading(menu, "Copy")
    for label, keys, do in copies:
        action = menu.addAction(f"{label}\t{keys}" if keys else label)
        action.triggered.connect(lambda _checked=False, do=do: do())
    menu.addSeparator()
    _dead(menu, "Hold Ctrl to ask in a new tab")
    return menu


def _control() -> bool:
    return bool(QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier)


def _heading(menu: QMenu, text: str) -> None:
    if menu.actions():
        menu.addSeparator()
    _dead(menu, text)


def _dead(menu: QMenu, text: str) -> None:
    action = QAction(text.replace("&", "&&"), menu)
    action.setEnabled(False)
    menu.addAction(action)


class ColumnsMenu(QMenu):
    """All columns with a tick on those shown; it stays open while ticks are changed."""

    def __init__(
        self, title: str, shown: Callable[[], list[str]], change: Callable[[list[str]], None],
        form: Callable[[str], str], set_form: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        """`form` and `set_form` are of a column: of formats.NAMED, empty for the usual one."""
        super().__init__(title)
        self._shown = shown
        self._form, self._set_form = form, set_form
        self._change = change
        self._ticks: dict[str, QAction] = {}
        self.setToolTipsVisible(True)
        standard = self.addAction("Standard columns")
        standard.triggered.connect(lambda: change(list(DEFAULT)))
        self.forms = self.addMenu("&Show as")
        self.forms.aboutToShow.connect(self._fill_forms)
        self.addSeparator()
        for column in BY_NAME.values():
            action = self.addAction(f"{column.title}  ({column.name})")
            action.setCheckable(True)
            action.setToolTip(column.doc)
            action.triggered.connect(lambda checked, name=column.name: self._tick(name, checked))
            self._ticks[column.name] = action
        self.aboutToShow.connect(self._refresh)

    def _fill_forms(self) -> None:
        """The other forms of the columns shown."""
        self.forms.clear()
        for column in (BY_NAME[name] for name in self._shown()):
            for form in offered(column.name, column.type):
                action = self.forms.addAction(f"{column.title}: {NAMED[form]}")
                action.setCheckable(True)
                action.setChecked(self._form(column.name) == form)
                action.triggered.connect(
                    lambda on, name=column.name, form=form: self._set_form(name, form if on else "")
                )

    def _refresh(self) -> None:
        self._fill_forms()
        for name, action in self._ticks.items():
            action.setChecked(name in self._shown())

    def _tick(self, name: str, checked: bool) -> None:
        names = [other for other in self._shown() if other != name]
        if checked:
            names.append(name)
        if names:
            self._change(names)
        else:
            self._refresh()  # a table needs a column

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        action = self.actionAt(event.position().toPoint())
        if action is not None and action.isCheckable():
            action.trigger()
        else:
            super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        action = self.activeAction()
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        if event.key() in keys and action is not None and action.isCheckable():
            action.trigger()
        else:
            super().keyPressEvent(event)
