"""What a window offers by name: the command palette, saved queries, and exports."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.command_palette import CommandPalette, of_menus
from afterfact_client.console.views.exporting import ask_path, save_picture
from afterfact_client.console.views.query_tab import QueryTab
from afterfact_client.console.views.save_dialog import SaveDialog
from afterfact_client.console.views.saved_panel import SavedPanel
from afterfact_client.state import querytext
from afterfact_client.state.palette import Command
from afterfact_client.state.saved import SavedQueries, SavedQuery
from afterfact_protocol.messages import RemoveItem

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow


class Commands(QObject):
    """Owns the panel of saved queries."""

    def __init__(self, window: "MainWindow", saved: SavedQueries, shared: Shared) -> None:
        super().__init__(window)
        self._window = window
        self.saved = saved
        self._shared = shared
        self._doomed: SavedQuery | None = None
        """The team's query that a second press removes."""
        self.panel = SavedPanel(saved, shared)
        self.palette: CommandPalette | None = None
        self.dialog: SaveDialog | None = None
        self.file_dialog: QFileDialog | None = None
        self.panel.chosen.connect(self._run)
        self.panel.edited.connect(lambda query: self._ask(query, query))
        self.panel.doomed.connect(self._remove)

    def show_palette(self) -> None:
        """Everything that can be done, by name."""
        window = self._window
        if window.pages.currentWidget() is not window.work:
            return
        tabs = window.tabs
        commands = [
            Command("tab", tabs.tabText(tabs.indexOf(tab)).replace("&&", "&"), " ".join(tab.editor.text.split()),
                    lambda tab=tab: tabs.setCurrentWidget(tab))  # type: ignore[misc]
            for tab in tabs.attached()
        ]  # fmt: skip
        commands += [
            Command("query", f"team / {query.path}" if query.team else query.path,
                    query.comment or " ".join(query.text.split()),
                    lambda query=query: self._run(query.text, False))  # type: ignore[misc]
            for query in (*self.saved.all(), *self._shared.team("query"))
        ]  # fmt: skip
        window.views.fill()
        self.palette = CommandPalette([*commands, *of_menus(window.menus.all)], window)
        self.palette.destroyed.connect(self._palette_gone)
        self.palette.show()

    def _palette_gone(self) -> None:
        self.palette = None

    def save_query(self) -> None:
        """Keep the query of the tab in front under a name."""
        self._window.on_tab(lambda tab: self._offer(tab.editor.text, tab.state.name))

    def _offer(self, text: str, name: str) -> None:
        if text.strip():
            self._ask(SavedQuery(name or querytext.title(text), text.strip()), None)
        else:
            self._window.tell("There is no query to save")

    def keys_of(self, tab: QueryTab) -> list[tuple[str, Callable[[], object]]]:
        """Keys of a tab that has a window of its own, as the menus have them for the one in front."""
        answer = tab.answer
        return [
            ("Ctrl+S", lambda: self._offer(tab.editor.text, tab.state.name)),
            ("Ctrl+E", lambda: self._export_table(tab)),
            ("Ctrl+Shift+E", lambda: self._export_picture(tab)),
            ("Ctrl+F", answer.filter.enter),
            ("Ctrl+Shift+Y", tab.time.open),
            ("Ctrl+Shift+O", lambda: answer.rows.profile_here(answer.query)),
        ]

    def export_table(self) -> None:
        """All rows of the table in front, in its columns, into a CSV file."""
        self._window.on_tab(self._export_table)

    def _export_table(self, tab: QueryTab) -> None:
        if tab.answer.aggregate.table.rowCount():
            tab.answer.aggregate.ask_where()
            return
        if not tab.answer.table.rowCount():
            self._window.tell("There are no rows to export")
            return
        columns = list(tab.answer.table.columns)
        name = "".join(sign if sign.isalnum() else "-" for sign in querytext.title(tab.answer.query)).strip("-")
        self.file_dialog = ask_path(self._window, "Export the table", f"{name or 'sessions'}.csv", "csv",
                                    lambda path: tab.answer.exporter.export(path, columns))  # fmt: skip

    def export_picture(self) -> None:
        """The timeline, and the most frequent values if they show, as a picture."""
        self._window.on_tab(self._export_picture)

    def _export_picture(self, tab: QueryTab) -> None:
        pictures = tab.answer.pictures
        if not pictures.isVisible() or pictures.height() < 2:
            self._window.tell("There is no picture to export (Ctrl-G shows the timeline)")
            return
        self.file_dialog = ask_path(self._window, "Export the picture", "timeline.png", "png",
                                    lambda path: self._picture(pictures, path))  # fmt: skip

    def _picture(self, pictures: QWidget, path: Path) -> None:
        done = save_picture(pictures, path)
        self._window.tell(f"Exported to {path}" if done else f"Not exported: {path} cannot be written")

    def _ask(self, query: SavedQuery, before: SavedQuery | None) -> None:
        self.dialog = SaveDialog(self.saved, self._shared, query, before,
                                 QApplication.activeWindow() or self._window)  # fmt: skip
        self.dialog.saved.connect(lambda kept: self._window.tell(f"Saved as {kept.path}"))
        self.dialog.destroyed.connect(self._dialog_gone)
        self.dialog.open()

    def _dialog_gone(self) -> None:
        self.dialog = None

    def _run(self, text: str, elsewhere: bool) -> None:
        if elsewhere:
            self._window.new_tab(text, run=True)
        else:
            self._window.on_tab(lambda tab: tab.ask(text), bring=True)

    def _remove(self, query: SavedQuery) -> None:
        """At once if it is the analyst's own, at the second press if it is the team's."""
        if not query.team:
            self.saved.remove(query)
            self._removed(query)
        elif not self._shared.may_change:
            self._window.tell("Your role is viewer: what the team saved needs the role analyst")
        elif self._doomed != query:
            self._doomed = query
            self._window.tell(f"Once more removes {query.path} for the team")
        else:
            self._doomed = None
            make = partial(RemoveItem, kind="query", folder=query.folder, name=query.name, number=query.number)
            self._shared.saved.change(make, partial(self._gone, query))

    def _gone(self, query: SavedQuery, error: Exception | None) -> None:
        if error is None:
            self._removed(query)
        else:
            self._window.tell(f"Not removed: {error}")

    def _removed(self, query: SavedQuery) -> None:
        self._window.history.add(query.text, self._window.server.join.address, ran=False)
        self._window.tell(f"Removed {query.path}; its text is in the history (Ctrl-Up)")
