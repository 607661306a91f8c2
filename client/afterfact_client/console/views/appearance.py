"""How a window looks, by its analyst's preferences: theme, text size, columns, what shows beside the tables. Every
change is remembered."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from afterfact_client.console.views.theme import LOOK, resolved
from afterfact_client.state.preferences import SIZES, Theme
from afterfact_client.state.resolving import FILE
from afterfact_client.state.timeline import By
from afterfact_client.state.tools import tools_place
from afterfact_client.state.views import ColumnView

if TYPE_CHECKING:
    from afterfact_client.console.views.main_window import MainWindow


class Appearance(QObject):
    """See the module."""

    def __init__(self, window: "MainWindow") -> None:
        super().__init__(window)
        self._window = window
        self._liked = window.preferences

    def dress(self) -> None:
        """Colours and sizes, before there is anything to repaint."""
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        LOOK.apply(application, self._liked.theme, self._liked.text_px)

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.dress()
        self._window.menus.show_theme(self._liked.theme)
        for tab in self._window.all_tabs():
            tab.restyle()
        self._window.triage.restyle()
        self._window.keep.restyle()
        self._window.casework.restyle()
        self._window.panel.refresh()
        if self._window.health is not None:
            self._window.health.restyle()

    def set_theme(self, theme: Theme) -> None:
        """Dress in another theme, and remember it."""
        self._liked.theme = theme
        self.restyle()
        self._window.saving.start()

    def other_theme(self) -> None:
        """Dark becomes light, light dark."""
        self.set_theme("light" if resolved(self._liked.theme) == "dark" else "dark")

    def set_text_size(self, pixels: int) -> None:
        """Make all text so many pixels high, within bounds."""
        self._liked.text_px = min(max(pixels, SIZES[0]), SIZES[1])
        self.restyle()
        self._window.fit_side()
        self._window.saving.start()

    def set_columns(self, names: list[str]) -> None:
        """Show these columns in all tabs."""
        self._liked.columns = list(names)
        for tab in self._window.all_tabs():
            tab.answer.show_columns(names)
        self._window.saving.start()

    def set_view(self, view: ColumnView) -> None:
        """Show the columns of a view, as wide as it says, in all tabs."""
        for name in view.names:
            self._liked.widths.pop(name, None)
        self._liked.widths.update(view.widths)
        for name in view.names:
            self._liked.formats.pop(name, None)
        self._liked.formats.update(view.forms)
        self.set_columns(view.names)
        for tab in self._window.all_tabs():
            tab.answer.view.fit_columns()

    def set_form(self, name: str, form: str) -> None:
        """Show a column in another form; empty: in the usual one."""
        self._liked.formats.pop(name, None)
        if form:
            self._liked.formats[name] = form
        self.set_columns(self._liked.columns)

    def toggle_sensors(self) -> None:
        """Show or hide the sensors and the saved queries."""
        self._liked.sensors_shown = not self._window.side.isVisible()
        self._window.side.setVisible(self._liked.sensors_shown)
        self._window.saving.start()

    def toggle_details(self) -> None:
        """Show or hide the details beside the tables."""
        self._liked.details_shown = not self._liked.details_shown
        for tab in self._window.all_tabs():
            tab.answer.show_details(self._liked.details_shown)
        self._window.saving.start()

    def toggle_timeline(self) -> None:
        """Show or hide the timelines."""
        self._liked.timeline_shown = not self._liked.timeline_shown
        self._refresh_pictures()

    def toggle_names(self) -> None:
        """Look up names, places and networks of addresses, or do so no more."""
        resolver = self._window.shared.resolver
        if not resolver.resolvers.any:
            place = tools_place().with_name(FILE)
            self._window.tell(f"Nothing to ask: name resolvers or databases in {place} (docs/console.md)")
            return
        self._liked.resolving = not resolver.on
        resolver.turn(self._liked.resolving)
        self._window.menus.names.setChecked(resolver.on)
        self._window.tell("Addresses are resolved" if resolver.on else "Addresses are not resolved any more")
        self._window.saving.start()

    def toggle_tops(self) -> None:
        """Show or hide the most frequent values."""
        self._liked.tops_shown = not self._liked.tops_shown
        self._refresh_pictures()

    def stack_by(self, by: By) -> None:
        """Stack timelines by something else."""
        self._liked.stacked_by = by
        self._refresh_pictures()

    def _refresh_pictures(self) -> None:
        for tab in self._window.all_tabs():
            tab.answer.pictures.refresh()
        self._window.saving.start()
