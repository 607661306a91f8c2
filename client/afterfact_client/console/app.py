"""Starts the console: join file, Qt, window, and an orderly end.

The only module of the console that the command line imports; it needs PySide6.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from afterfact_client.cli.failure import FAILED, Failure
from afterfact_protocol.joinfile import Join, read_join

try:
    from PySide6.QtCore import QMessageLogContext, QTimer, QtMsgType, qInstallMessageHandler
    from PySide6.QtWidgets import QApplication
except ModuleNotFoundError:
    raise
except ImportError as error:
    raise Failure(
        f"the console cannot load Qt: {error}; install the system packages that scripts/setup names for the console"
    ) from None

from afterfact_client.console.garbage import GuiCollector
from afterfact_client.console.models.server import MakeLink, Server
from afterfact_client.console.views.main_window import MainWindow
from afterfact_client.link import Link
from afterfact_client.state.disk import state_place
from afterfact_client.state.storage import Storage


class Console:
    """A console without its event loop: window, server and storage, wired. `close` ends all three."""

    def __init__(self, join: Join, place: Path, make_link: MakeLink = Link) -> None:
        try:
            self.storage = Storage(place, lambda text: self._unsaved(text))
        except OSError as error:
            raise Failure(f"{place}: cannot keep the console's files there: {error.strerror}; "
                          "set XDG_STATE_HOME to a directory that you may write to") from None  # fmt: skip
        self.server = Server(join, make_link)
        self.window = MainWindow(self.server, self.storage)
        self._collector = GuiCollector()

    def _unsaved(self, text: str) -> None:
        self.window.unsaved.emit(text)

    def close(self) -> None:
        """Save, close the window, log out."""
        self.window.close()
        self.server.close()
        self.storage.close()
        self._collector.stop()


def run(join_path: str, user: str | None = None, password: str | None = None, link: str | None = None) -> int:
    """The desktop console until its window is closed; the exit code. JoinError for a bad join file, Failure for what
    keeps it from starting. With `user` and `password` it logs in at once; `link` is opened in a tab."""
    join = read_join(join_path, "console")
    application = make_application()
    console = Console(join, state_place())
    sys.excepthook = _excepthook(lambda text: console.window.unsaved.emit(text))
    # A handler runs between any two steps of Python, within a paint event too, where a window must not go.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: QTimer.singleShot(0, console.window.close))
    console.window.show()
    if link is not None:
        console.window.open_link(link)
    console.window.begin(user, password)
    code = application.exec()
    console.close()
    return code


def make_application() -> QApplication:
    """The process's QApplication; Failure where there is no display to show it on."""
    asked = os.environ.get("QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not asked:
        if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
            raise Failure("no display: run the console on a desktop, or from a shell: afterfact query", FAILED)
    messages = _Messages()
    qInstallMessageHandler(messages.take)
    application = QApplication.instance() or QApplication(["afterfact"])
    messages.started()
    assert isinstance(application, QApplication)
    application.setApplicationName("afterfact")
    application.setApplicationDisplayName("Afterfact")
    application.setDesktopFileName("afterfact")
    return application


class _Messages:
    """Qt's own messages on stderr, a line each. Those of a start that fails are one line that says what to do: Qt's
    advice there is about its plugins, and then it aborts."""

    def __init__(self) -> None:
        self._early: list[str] | None = []

    def take(self, kind: QtMsgType, _where: QMessageLogContext, text: str) -> None:
        """Called by Qt, on any thread."""
        if kind is QtMsgType.QtFatalMsg:
            asked = os.environ.get("QT_QPA_PLATFORM") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
            first = text.splitlines()[0] if self._early is None else f"Qt cannot use the display {asked!r}"
            sys.stderr.write(f"afterfact: the console cannot go on: {first}; from a shell: afterfact query\n")
            sys.stderr.flush()
            os._exit(FAILED)
        if kind is QtMsgType.QtDebugMsg or "This plugin does not support" in text:
            return
        if self._early is None:
            sys.stderr.write(f"afterfact: Qt: {text}\n")
        else:
            self._early.append(text)

    def started(self) -> None:
        """The application stands: from now on messages are shown as they come."""
        early, self._early = self._early, None
        for text in early or []:
            sys.stderr.write(f"afterfact: Qt: {text}\n")


def _excepthook(
    tell: Callable[[str], None],
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """A fault of the console itself: the window says so and lives on, stderr has the rest."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        tell(f"A fault of the console: {kind.__name__}: {error}. Please report it; stderr says more.")

    return hook
