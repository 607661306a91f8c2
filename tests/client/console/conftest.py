"""A real window over a fake link; any message of Qt's at warning or above fails the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.desk import Desk
from helpers.fake_link import JOIN, FakeServer
from PySide6.QtCore import QCoreApplication, QEvent
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console

QUIET = "This plugin does not support (raise|propagateSizeHints|grabbing the keyboard)"
"""What the offscreen platform says of every menu and dialogue; a display can do all three."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            item.add_marker(pytest.mark.qt_log_ignore(QUIET, extend=True))


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path, fake: FakeServer) -> Iterator[Desk]:
    """A console at its login."""
    console = Console(JOIN, tmp_path, fake)
    made = Desk(qtbot, console)
    made.open()
    yield made
    console.close()
    QCoreApplication.processEvents()  # answers that were on their way find their window
    # Windows that live on are styled anew with each further one: the hundredth test would take ten seconds to begin.
    console.window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def work(desk: Desk) -> Desk:
    """A console that is logged in."""
    desk.log_in("ana", "good")
    return desk
