"""The detail pane: it follows the cursor, its values open menus, and others that saw the session are asked for."""

import numpy as np
from helpers.desk import CONTROL, Desk, Key
from helpers.fake_link import FakeServer, sessions
from PySide6.QtCore import QPoint, QUrl

from afterfact_client.link import LinkPhase


def line(desk: Desk, label: str) -> str:
    """What the pane says under a label."""
    return next((text for text in desk.tab.answer.details.lines if text.startswith(f"{label}: ")), "")


def test_it_follows_the_cursor_and_asks_who_else_saw_it(work: Desk, fake: FakeServer) -> None:
    fake.sightings = np.repeat(sessions(3)[2:], 2)
    fake.sightings["sensor"] = [1, 2]
    work.ask("port = 1034")
    work.key(Key.Key_J, CONTROL)
    work.key(Key.Key_Down)
    work.key(Key.Key_Down)
    pane = work.tab.answer.details
    work.until(lambda: pane.lines[:1] == ["10.0.0.2:1026 → 16.133.77.85:1034 tcp"])
    work.until(lambda: "inside" in line(work, "Also seen"))
    assert line(work, "Also seen") == "Also seen: inside: at the same time, the same counts"
    assert len(fake.beside) == 1, "rows that were passed are not asked about"
    assert "src_ip IN (10.0.0.2, 16.133.77.85)" in fake.beside[0]
    pane.text.anchorClicked.emit(QUrl("ask:0"))
    work.until(lambda: len(work.window.tabs.attached()) == 2)
    assert work.tab.editor.text == fake.beside[0]


def test_a_value_in_it_opens_its_menu(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034")
    work.until(lambda: bool(line(work, "Start")))
    pane = work.tab.answer.details
    link = next(
        pane.text.anchorAt(QPoint(x, y))
        for y in range(4, 40, 4)
        for x in range(4, 200, 4)
        if pane.text.anchorAt(QPoint(x, y))
    )
    assert link == "value:src_ip", "the heading's first value"
    pane.text.anchorClicked.emit(QUrl(link))
    work.choose("10.0.0.0 as destination")
    work.answered()
    assert fake.asked[-1] == "WHERE dst_ip = 10.0.0.0"


def test_it_is_hidden_and_shown_by_a_key_which_is_remembered(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034")
    work.until(lambda: bool(fake.beside))
    work.key(Key.Key_I, CONTROL)
    assert not work.tab.answer.details.isVisible() and not work.window.preferences.details_shown
    asked = len(fake.beside)
    work.go_to(3, "src_ip")
    work.qtbot.wait(400)
    assert len(fake.beside) == asked, "nothing is asked for a pane that is not shown"
    work.key(Key.Key_I, CONTROL)
    work.until(lambda: "10.0.0.3:1027" in "".join(work.tab.answer.details.lines))


def test_without_a_connection_it_says_so(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034")
    fake.link.change(LinkPhase.LOST, "gone")
    work.go_to(2, "src_ip")
    work.until(lambda: "cannot be asked: not connected" in line(work, "Also seen"))
