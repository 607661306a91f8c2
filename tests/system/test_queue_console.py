"""Two consoles on one real queue: they press on the same row, and what one does leaves the other's screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.alerts import delivered, eve
from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.processes import PASSWORD, Server
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from afterfact_client import connect
from afterfact_client.console.app import Console
from afterfact_client.console.views.queue_view import QueueView
from afterfact_protocol.joinfile import read_join

pytestmark = [
    pytest.mark.qt_log_level_fail("WARNING"),
    pytest.mark.qt_log_ignore("This plugin does not support (raise|propagateSizeHints|grabbing)", extend=True),
]


@pytest.fixture
def desks(qtbot: QtBot, tmp_path: Path, site: Server) -> Iterator[list[Desk]]:
    """Ana's and Bob's consoles, both with the queue in front and in it two rows."""
    site.add_user("bob")
    join = site.console_file()
    delivered(site, site.enrol("ids"), eve({"10.0.0.1": 3, "10.0.0.2": 1}))
    made = []
    for name in ("ana", "bob"):
        desk = Desk(qtbot, Console(read_join(join, "console"), tmp_path / name))
        made.append(desk)
        desk.open()
        desk.log_in(name, PASSWORD)
        desk.window.triage.show()
    for desk in made:
        desk.until(lambda desk=desk: desk.window.queue.desk.phase == "ready")  # type: ignore[misc]
        desk.until(lambda desk=desk: sources(desk.window.queue) == ["10.0.0.1", "10.0.0.2"])  # type: ignore[misc]
        desk.window.queue.table.sort_by(6)
    yield made
    for desk in made:
        desk.console.close()


def sources(view: QueueView) -> list[str]:
    return sorted(view.table.text(row, 6) for row in range(view.table.rowCount()))


def select(view: QueueView, source: str) -> None:
    view.rows.select(next(row for row in range(view.table.rowCount()) if view.table.text(row, 6) == source))


def test_two_consoles_meet_on_a_row(desks: list[Desk], site: Server) -> None:
    ana, bob = desks
    views = {"ana": ana.window.queue, "bob": bob.window.queue}
    for view in views.values():
        select(view, "10.0.0.1")
    number = views["ana"].table.number(views["ana"].rows.chosen()[0])
    # Both press before either was told of the other.
    QTest.keyClick(views["ana"].rows, Key.Key_F4)
    QTest.keyClick(views["bob"].rows, Key.Key_F7)
    for desk in desks:
        desk.until(lambda: all(sources(view) == ["10.0.0.2"] for view in views.values()))
        desk.until(lambda: all(view.said.text().strip() for view in views.values()))
    words = {name: view.said.text() for name, view in views.items()}
    (loser,) = [name for name in words if words[name].startswith("Not changed: row ")]
    winner = "bob" if loser == "ana" else "ana"
    category = {"ana": "Cat IV", "bob": "Cat VII"}[winner]
    assert f"row {number}, WORM from 10.0.0.1: {winner}, {category}, 0 s ago." in words[loser].replace("1 s", "0 s")
    assert words[winner] == f"{category}: 1 row, 3 events. Ctrl-Z undoes it."

    # It is back for both by the winner's undo, and only his.
    QTest.keyClick(views[loser].rows, Key.Key_Z, CONTROL)
    ana.until(lambda: "Nothing was done here" in views[loser].said.text())
    QTest.keyClick(views[winner].rows, Key.Key_Z, CONTROL)
    ana.until(lambda: all(sources(view) == ["10.0.0.1", "10.0.0.2"] for view in views.values()))

    # A shell escalates it: it leaves the open rows of both, and its history says all of it.
    with connect(site.console_file(), "ana", PASSWORD) as client:
        (row,) = client.queue.numbered([number])
        assert client.queue.escalate([row], "spreads").done == (number,)
    ana.until(lambda: all(sources(view) == ["10.0.0.2"] for view in views.values()))
    view = views["ana"]
    view.show_list("escalated")
    assert sources(view) == ["10.0.0.1"]
    view.rows.select(0)
    ana.until(lambda: view.history.rowCount() == 3 and view.events.rowCount() == 3)
    told = [[view.history.index(at, column).data() for column in (1, 2, 4)] for at in range(3)]
    assert told == [[winner, category, ""], [winner, "undo: open", ""], ["ana", "escalate", "spreads"]]
    QTest.keyClick(view.rows, Key.Key_Return)
    ana.until(lambda: not ana.window.tabs.place_in_front)
    ana.answered()
    alert = client_alert(view)
    assert ana.tab.editor.text == f"WHERE ip = 10.0.0.1 AND DURING event({alert}) -10m..+10m"

    watched(ana, views["ana"])


def client_alert(view: QueueView) -> str:
    """The alert's own number of the newest event."""
    return str(view.events.index(view.events.rowCount() - 1, 8).data())


def watched(desk: Desk, view: QueueView) -> None:
    """A query becomes a watch; what is wrong with another is said and marked."""
    window = desk.window
    window.activateWindow()
    desk.until(window.isActiveWindow)
    desk.write("WHERE dst_port = 1034 LIMIT 5")
    desk.key(Key.Key_M, CONTROL | SHIFT)
    dialog = window.triage.dialog
    assert dialog is not None
    dialog.button.click()
    desk.until(lambda: dialog.said.objectName() == "error")
    assert "no ORDER BY, LIMIT" in dialog.said.text()
    dialog.text.setPlainText("WHERE dst_port = 1034 AND nonsense = 3")
    dialog.button.click()
    desk.until(lambda: "nonsense" in dialog.said.text())
    assert "nonsense" in dialog.text.textCursor().selectedText()
    dialog.text.setPlainText("WHERE dst_port = 1034")
    dialog.name.setText("the worm")
    dialog.button.click()
    desk.until(lambda: window.triage.dialog is None)
    window.triage.show_watches()
    shown = window.triage.watches_window
    assert shown is not None
    desk.until(lambda: shown.item is not None and shown.item.state == "on")
    assert (shown.item.name, shown.item.owner, shown.item.matches) == ("the worm", "ana", 0)
    QTest.keyClick(shown.table, Key.Key_P)
    desk.until(lambda: shown.item.state == "paused")
    QTest.keyClick(shown.table, Key.Key_Delete)
    assert shown.said.text().startswith("Once more removes watch")
    QTest.keyClick(shown.table, Key.Key_Delete)
    desk.until(lambda: shown.item is None)
    assert "is removed" in shown.said.text()
    shown.close()
