"""The console's files as a whole: preferences, history, saved queries and views, tabs. Read at start, written by their
thread."""

from collections.abc import Callable
from pathlib import Path

from afterfact_client.state import history, preferences, saved, session
from afterfact_client.state.disk import Keeper, claim


class Storage:
    """OSError if the directory cannot be made. Close it last."""

    def __init__(self, place: Path, on_error: Callable[[str], None]) -> None:
        self.place = place
        self._tabs_file, self._lock = claim(place, session.STEM)
        self.keeper = Keeper(place, on_error)
        complaints = []
        self.preferences, complaint = preferences.load(place)
        complaints.append(complaint)
        self.tabs, self.current, complaint = session.load(place / self._tabs_file)
        complaints.append(complaint)
        self.complaint = "; ".join(filter(None, complaints))
        """What could not be read, in one line; mostly empty."""
        self.saved = saved.SavedQueries(saved.load(place), lambda line: self.keeper.append(saved.FILE, line))
        self.views = saved.SavedQueries(
            saved.load(place, saved.VIEWS_FILE), lambda line: self.keeper.append(saved.VIEWS_FILE, line)
        )
        self.history = history.History(history.load(place), lambda line: self.keeper.append(history.FILE, line))

    def save_tabs(self, content: str) -> None:
        self.keeper.replace(self._tabs_file, content)

    def save_preferences(self, content: str) -> None:
        self.keeper.replace(preferences.FILE, content)

    def close(self) -> None:
        """Write what is left."""
        self.keeper.close()
        self._lock.close()
