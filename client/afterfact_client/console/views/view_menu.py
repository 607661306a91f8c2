"""The menu of column views: one's own and the team's, to take; the columns shown, to keep, copy or write to a file."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu

from afterfact_client.console.views.save_dialog import SaveDialog
from afterfact_client.state import views
from afterfact_client.state.saved import SavedQueries, SavedQuery
from afterfact_protocol.messages import RemoveItem

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow

MOST_BYTES = 64 * 1024
FILTER = "Afterfact views (*.view);;All files (*)"


class ViewMenu(QMenu):
    """Built anew whenever it opens: others share views meanwhile."""

    def __init__(self, window: "MainWindow", own: SavedQueries) -> None:
        super().__init__("Column &views")
        self._window, self._own = window, own
        self.dialog: SaveDialog | None = None
        self.setToolTipsVisible(True)
        self.aboutToShow.connect(self.fill)
        self.fill()

    def fill(self) -> None:
        """List the views that there are now."""
        self.clear()
        found = self.all()
        shown = self._shown().text()
        for view in found:
            action = self.addAction(_label(view), partial(self.take, view.text))
            action.setToolTip(view.comment or view.text)
            action.setCheckable(True)
            action.setChecked(view.text == shown)
        if not found:
            self.addAction("No view yet").setEnabled(False)
        self.addSeparator()
        self.addAction("&Keep these columns as a view ...", self.keep)
        self.addAction("&Copy these columns as text", self.copy)
        self.addAction("&Take columns from the clipboard", self.paste)
        self.addAction("&Write to a file ...", self.write)
        self.addAction("Take from a &file ...", self.read)
        if found:
            remove = self.addMenu("&Remove a view")
            for view in found:
                remove.addAction(_label(view), partial(self._remove, view))

    def all(self) -> list[SavedQuery]:
        """One's own, then the team's."""
        return [*self._own.all(), *self._window.shared.team("view")]

    def take(self, text: str) -> bool:
        """Show the columns of a view; whether it is one."""
        try:
            view = views.read(text)
        except ValueError as error:
            self._window.tell(f"Not taken: {error}")
            return False
        self._window.appearance.set_view(view)
        left = f"; this console has no {', '.join(view.unknown)[:200]}" if view.unknown else ""
        self._window.tell(f"{len(view.columns)} columns{left}")
        return True

    def keep(self) -> None:
        """Ask for a name, and keep the columns shown under it."""
        self.dialog = SaveDialog(self._own, self._window.shared, SavedQuery("", self._shown().text()), None,
                                 self._window, "view")  # fmt: skip
        self.dialog.saved.connect(lambda kept: self._window.tell(f"Kept as {kept.path}"))
        self.dialog.destroyed.connect(self._gone)
        self.dialog.open()

    def copy(self) -> None:
        """The columns shown as text, for a colleague."""
        QGuiApplication.clipboard().setText(self._shown().text())
        self._window.tell("Copied a view of columns: View, Column views takes it from the clipboard")

    def paste(self) -> None:
        """Show the columns that the clipboard has."""
        self.take(QGuiApplication.clipboard().text()[:MOST_BYTES])

    def write(self) -> None:
        """The columns shown into a file."""
        path, _ = QFileDialog.getSaveFileName(self._window, "Write the view", "columns.view", FILTER)
        if path:
            self.write_to(Path(path))

    def write_to(self, path: Path) -> None:
        """Into this file."""
        try:
            path.write_text(self._shown().text() + "\n", encoding="utf-8")
            self._window.tell(f"Written to {path}")
        except OSError as error:
            self._window.tell(f"Not written: {error}")

    def read(self) -> None:
        """Show the columns that a file has."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Take a view", "", FILTER)
        if path:
            self.read_from(Path(path))

    def read_from(self, path: Path) -> None:
        """From this file."""
        try:
            with path.open("rb") as file:
                text = file.read(MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            self._window.tell(f"Not taken: {error}")
            return
        self.take(text)

    def _shown(self) -> views.ColumnView:
        liked = self._window.preferences
        return views.of(liked.columns, liked.widths, liked.formats)

    def _remove(self, view: SavedQuery) -> None:
        if not view.team:
            self._own.remove(view)
            self._window.tell(f"Removed {view.path}")
            return

        def answered(error: Exception | None) -> None:
            self._window.tell(f"Removed {view.path} for the team" if error is None else f"Not removed: {error}")

        make = partial(RemoveItem, kind="view", folder=view.folder, name=view.name, number=view.number)
        self._window.shared.saved.change(make, answered)

    def _gone(self) -> None:
        self.dialog = None


def _label(view: SavedQuery) -> str:
    return (f"{view.path}  (team)" if view.team else view.path).replace("&", "&&")
