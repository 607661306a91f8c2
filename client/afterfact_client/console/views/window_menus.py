"""The menu bar: what each entry is called, its keys, and which of the window's methods it calls."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu

from afterfact_client.state.preferences import Preferences, Theme

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow

_THEMES: tuple[tuple[Theme, str], ...] = (("system", "As the &system"), ("dark", "&Dark"), ("light", "&Light"))


class WindowMenus:
    """F1 to F9 stay free: they belong to the table of the queue, as in Sguil."""

    def __init__(self, window: "MainWindow") -> None:
        self._window = window
        self._themes: dict[Theme, QAction] = {}
        bar = window.menuBar()
        self.all: list[QMenu] = [
            bar.addMenu(title) for title in ("&File", "&Query", "Q&ueue", "&Case", "&View", "&Help")
        ]
        file, query, queue, case, view, help_menu = self.all
        self._fill_file(file)
        self._fill_query(query)
        self._fill_queue(queue)
        self._fill_case(case)
        self._fill_view(view)
        _add(help_menu, "&Keys", ["Ctrl+/", "?"], window.show_keys)

    def show_theme(self, theme: Theme) -> None:
        """Tick the theme in use."""
        for name, action in self._themes.items():
            action.setChecked(name == theme)

    def _fill_file(self, menu: QMenu) -> None:
        window, tabs = self._window, self._window.tabs
        _add(menu, "New &tab", ["Ctrl+T"], lambda: window.new_tab())
        _add(menu, "&Close tab", ["Ctrl+W"], lambda: tabs.close_tab(tabs.currentIndex()))
        _add(menu, "&Reopen closed tab", ["Ctrl+Shift+T"], tabs.reopen_tab)
        menu.addSeparator()
        _add(menu, "Re&name tab", ["Ctrl+Shift+R"], lambda: tabs.rename(tabs.currentIndex()))
        _add(menu, "&Duplicate tab", ["Ctrl+Shift+D"], lambda: tabs.duplicate(tabs.currentIndex()))
        _add(menu, "&Pin or unpin tab", ["Ctrl+Shift+P"], lambda: tabs.pin(tabs.currentIndex()))
        _add(menu, "Tab in a &window of its own", ["Ctrl+Shift+W"], lambda: tabs.detach(tabs.currentIndex()))
        menu.addSeparator()
        _add(menu, "&Export table ...", ["Ctrl+E"], window.commands.export_table)
        _add(menu, "Export p&icture ...", ["Ctrl+Shift+E"], window.commands.export_picture)
        menu.addSeparator()
        _add(menu, "Log &out", [], window.log_out)
        _add(menu, "&Quit", ["Ctrl+Q"], window.close)

    def _fill_query(self, menu: QMenu) -> None:
        on_tab, in_place = self._window.on_tab, self._window.in_place
        _add(menu, "&Run", ["Ctrl+Return", "Ctrl+Enter"], lambda: on_tab(lambda tab: tab.run()))
        _add(menu, "&Stop", ["Esc"], self._window.stop_or_give_up)
        menu.addSeparator()
        _add(menu, "Another &time ...", ["Ctrl+Shift+Y"], lambda: on_tab(lambda tab: tab.time.open()))
        menu.addSeparator()
        _add(menu, "&Back on the trail", ["Alt+Left"], lambda: on_tab(lambda tab: tab.step(-1)))
        _add(menu, "&Forward on the trail", ["Alt+Right"], lambda: on_tab(lambda tab: tab.step(1)))
        menu.addSeparator()
        _add(menu, "&Sets", ["Ctrl+Shift+S"], self._window.keep.show_sets)
        _add(menu, "E&xclusions", ["Ctrl+Shift+X"], self._window.keep.show_exclusions)
        _add(menu, "Leave this out for a&ll ...", [], self._window.keep.share_exclusion)
        menu.addSeparator()
        _add(menu, "Sa&ve ...", ["Ctrl+S"], self._window.commands.save_query)
        _add(menu, "Co&mmand palette", ["Ctrl+K"], self._window.commands.show_palette)
        menu.addSeparator()
        _add(menu, "Go to the &query", ["Ctrl+L"], lambda: on_tab(lambda tab: tab.editor.setFocus(), bring=True))
        _add(menu, "Go to the t&able", ["Ctrl+J"], lambda: in_place(
            lambda place: place.enter(), lambda tab: tab.answer.view.setFocus()))  # fmt: skip
        _add(menu, "&Profile of the host", ["Ctrl+Shift+O"],
             lambda: on_tab(lambda tab: tab.answer.rows.profile_here(tab.answer.query)))  # fmt: skip
        _add(menu, "&Filter the table", ["Ctrl+F"], lambda: in_place(
            lambda place: place.enter_filter(), lambda tab: tab.answer.filter.enter()))  # fmt: skip
        _add(menu, "Coverage &details", ["Ctrl+D"], lambda: on_tab(lambda tab: tab.answer.notes.toggle()))

    def _fill_queue(self, menu: QMenu) -> None:
        triage = self._window.triage
        _add(menu, "Go to the &queue", ["Ctrl+R"], triage.show)
        _add(menu, "&Open events", [], lambda: triage.show("open"))
        _add(menu, "&Escalated events", [], lambda: triage.show("escalated"))
        _add(menu, "&Closed events", [], lambda: triage.show("closed"))
        menu.addSeparator()
        _add(menu, "&Watches", ["Ctrl+M"], triage.show_watches)
        _add(menu, "Watch &this query ...", ["Ctrl+Shift+M"], triage.watch_query)
        _add(menu, "&Autocategorise rules", [], triage.show_rules)

    def _fill_case(self, menu: QMenu) -> None:
        work = self._window.casework
        _add(menu, "Go to the &cases", ["Ctrl+O"], work.show)
        _add(menu, "&Add this query to a case ...", ["Ctrl+Shift+A"], work.add_query)
        _add(menu, "&New case ...", [], work.new_case)
        menu.addSeparator()
        for title, kind in (("N&ote ...", "note"), ("&Hypothesis ...", "hypothesis"), ("&Question ...", "question")):
            _add(menu, title, [], lambda kind=kind: work.add_item(kind))  # type: ignore[misc]
        _add(menu, "&Title, owner, conclusion ...", [], work.change_case)
        menu.addSeparator()
        _add(menu, "Annotate this &session ...", [], lambda: self._window.on_tab(
            lambda tab: tab.answer.rows.annotate()))  # fmt: skip

    def _fill_view(self, menu: QMenu) -> None:
        window, liked = self._window, self._window.preferences
        menu.addMenu(window.columns_menu)
        menu.addMenu(window.views)
        themes = menu.addMenu("&Theme")
        for name, words in _THEMES:
            self._themes[name] = _add(themes, words, [], lambda name=name: window.appearance.set_theme(name))  # type: ignore[misc]
            self._themes[name].setCheckable(True)
        _add(menu, "Dark or light", ["Ctrl+Shift+L"], window.appearance.other_theme)
        menu.addSeparator()
        _add(menu, "&Larger text", ["Ctrl++", "Ctrl+="], lambda: window.appearance.set_text_size(liked.text_px + 1))
        _add(menu, "S&maller text", ["Ctrl+-"], lambda: window.appearance.set_text_size(liked.text_px - 1))
        _add(menu, "&Standard text", ["Ctrl+0"], lambda: window.appearance.set_text_size(Preferences().text_px))
        menu.addSeparator()
        _add(menu, "S&ensors and queries", ["Ctrl+B"], window.appearance.toggle_sensors)
        _add(menu, "&Details of the session", ["Ctrl+I"], window.appearance.toggle_details)
        _add(menu, "T&imeline", ["Ctrl+G"], window.appearance.toggle_timeline)
        _add(menu, "Most &frequent values", ["Ctrl+Shift+G"], window.appearance.toggle_tops)
        self.names = _add(menu, "Resolve &addresses", ["Ctrl+Shift+N"], window.appearance.toggle_names)
        self.names.setCheckable(True)
        self.names.setChecked(window.shared.resolver.on)
        _add(menu, "Sensors' &health", ["Ctrl+H"], window.show_health)


def _add(menu: QMenu, text: str, keys: list[str], do: Callable[[], object]) -> QAction:
    action = menu.addAction(text)
    action.setShortcuts([QKeySequence(key) for key in keys])
    action.triggered.connect(lambda _checked=False: do())
    return action
