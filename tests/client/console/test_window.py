"""The window around the tabs: connection, sensors, theme, text size, and what survives an end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import JOIN, FakeServer, sensor_status, sessions
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console
from afterfact_client.console.views.keys_help import KeysHelp
from afterfact_client.console.views.theme import DARK, LIGHT, LOOK, OUTCOME_COLOURS
from afterfact_client.link import LinkPhase
from afterfact_protocol.session import Outcome


def test_a_lost_connection_is_shown_with_its_age_and_heals(work: Desk, fake: FakeServer) -> None:
    strip = work.window.trouble
    assert not strip.isVisible()
    work.window.server.last_good -= 12
    fake.link.change(LinkPhase.LOST, "no server answers at tcp://server.example:7734")
    work.until(strip.isVisible)
    assert strip.whole.startswith("Connection lost, last good 12.")
    assert "Trying again: no server answers at" in strip.whole
    assert "connection lost" in work.window.connection.text()
    fake.link.change(LinkPhase.ONLINE, "connected")
    work.until(lambda: not strip.isVisible())


def test_a_revoked_key_is_said_in_place_and_the_tabs_stay(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034")
    fake.link.change(LinkPhase.REFUSED, "this console's key was revoked")
    work.until(work.window.trouble.isVisible)
    assert "does not let this console in any more: this console's key was revoked" in work.window.trouble.whole
    assert len(work.cells("src_ip")) == 8
    QTest.mouseClick(work.window.again, Qt.MouseButton.LeftButton)
    assert work.window.login.isVisible()
    work.log_in("ana", "good")
    assert work.tab.editor.text == "port = 1034" and len(work.cells("src_ip")) == 8


def test_sensors_are_listed_and_asked_about(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"), sensor_status("lab", "down"), sensor_status("new", "never", last_data=0))
    work.window._ask_status()
    work.until(lambda: work.window.panel.model.rowCount() == 3)
    titles = [label.text() for label in work.window.panel.findChildren(QLabel)]
    assert "SENSORS   1 of 3 up" in titles
    work.window.panel.list.setFocus()
    work.window.panel.list.setCurrentIndex(work.window.sensors.index(1))
    work.key(Key.Key_Return)
    work.answered()
    assert fake.asked == ["WHERE sensor = 'lab'"]
    work.window.panel.list.setFocus()
    work.window.panel.list.setCurrentIndex(work.window.sensors.index(0))
    work.key(Key.Key_Return)
    work.answered()
    assert fake.asked[-1] == "WHERE sensor = 'lab' AND sensor = 'border'"


def test_old_news_of_the_sensors_are_said_to_be_old(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"),)
    work.window._ask_status()
    work.until(lambda: work.window.panel.model.rowCount() == 1)
    work.window.sensors.heard -= 40
    work.window.panel.refresh()
    assert any(
        label.text().startswith("No news of the sensors for 40") for label in work.window.panel.findChildren(QLabel)
    )


def test_tabs_open_close_and_come_back(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1")
    work.key(Key.Key_T, CONTROL)
    assert len(work.window.tabs.attached()) == 2 and work.focus is work.tab.editor
    work.type("never run")
    work.key(Key.Key_W, CONTROL)
    assert len(work.window.tabs.attached()) == 1
    assert "never run" in [asked.text for asked in work.window.history.entries]
    work.key(Key.Key_T, CONTROL | SHIFT)
    assert work.tab.editor.text == "never run"
    work.key(Key.Key_W, CONTROL)
    work.key(Key.Key_W, CONTROL)
    assert len(work.window.tabs.attached()) == 1 and work.tab.editor.text == "", "there is always a tab"


def test_a_closed_tab_frees_its_result(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(30_000)
    work.ask("port = 1")
    work.key(Key.Key_W, CONTROL)
    assert fake.cancelled == [1]


def test_what_was_typed_is_there_after_a_restart(work: Desk, fake: FakeServer, qtbot: QtBot, tmp_path: Path) -> None:
    work.ask("port = 1")
    work.ask("port = 2")
    work.window.new_tab()
    work.type("WHERE half")
    work.key(Key.Key_L, CONTROL | SHIFT)
    theme = work.window.preferences.theme
    work.console.close()
    again = Desk(qtbot, Console(JOIN, tmp_path, fake))
    again.open()
    assert again.window.login.user.text() == "ana"
    again.log_in("ana", "good")
    assert [tab.editor.text for tab in again.window.all_tabs()] == ["port = 2", "WHERE half"]
    assert again.window.tabs.current_query == 1 and again.window.preferences.theme == theme
    again.window.tabs.setCurrentIndex(2)
    again.tab.editor.setFocus()
    again.key(Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    again.answered()
    assert again.tab.editor.text == "port = 1"
    again.key(Key.Key_Up, CONTROL)
    assert again.tab.editor.text == "port = 2"
    again.console.close()


CRASHER = """
import os, sys
from pathlib import Path
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
sys.path.insert(0, sys.argv[2])
from helpers.fake_link import JOIN, FakeServer
from afterfact_client.console.app import Console
app = QApplication([])
console = Console(JOIN, Path(sys.argv[1]), FakeServer())
console.window.show()
console.window.begin("ana", "good")
while not console.window.server.online: QTest.qWait(10)
QTest.keyClicks(console.window.tab.editor, "WHERE typed and never run")
written = lambda: any(b"typed and never run" in f.read_bytes() for f in Path(sys.argv[1]).rglob("*") if f.is_file())
waited = 0
while not written() and waited < 10_000: QTest.qWait(50); waited += 50
QTest.qWait(300)  # it is there before it counts
print("typed", waited, flush=True)
QTest.qWait(60000)
"""


def test_nothing_typed_is_lost_by_kill_9_of_the_console(qtbot: QtBot, tmp_path: Path, fake: FakeServer) -> None:
    helpers = str(Path(__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", CRASHER, str(tmp_path), helpers], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert child.stdout is not None and child.stdout.readline().startswith("typed ")
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    again = Desk(qtbot, Console(JOIN, tmp_path, fake))
    again.open()
    again.log_in("ana", "good")
    assert again.tab.editor.text == "WHERE typed and never run"
    again.console.close()


def contrast(one: str, other: str) -> float:
    """WCAG 2: contrast ratio of two colours."""

    def luminance(name: str) -> float:
        parts = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
                 for value in QColor(name).getRgbF()[:3]]  # type: ignore[index]  # fmt: skip
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_all_text_has_contrast_in_both_themes() -> None:
    for colours in (DARK, LIGHT):
        for text in (colours.text, colours.dim, colours.error, colours.good, colours.accent, colours.keyword,
                     colours.string, colours.number):  # fmt: skip
            for ground in (colours.base, colours.window, colours.stripe):
                assert contrast(text, ground) >= 4.5, (text, ground)
        assert contrast(colours.warning, colours.warned) >= 4.5
        for ground in (colours.selected, colours.here, colours.raised):
            assert contrast(colours.text, ground) >= 4.5


def test_outcomes_have_colours_of_their_own() -> None:
    assert set(OUTCOME_COLOURS) == set(Outcome) and len(set(OUTCOME_COLOURS.values())) == len(Outcome)


def test_theme_and_size_change_everything_at_once_and_are_kept(work: Desk) -> None:
    work.ask("port = 1034")
    first, height = LOOK.colours, work.tab.answer.view.rowHeight(0)
    assert height == 20
    work.key(Key.Key_L, CONTROL | SHIFT)
    assert LOOK.colours is not first
    pixel = work.window.grab().toImage().pixelColor(work.window.width() // 2, 4 * work.window.height() // 5)
    assert pixel == QColor(LOOK.colours.base)
    work.key(Key.Key_Plus, CONTROL)
    work.key(Key.Key_Plus, CONTROL)
    assert work.tab.answer.view.rowHeight(0) == 22 and work.tab.editor.font().pixelSize() == 14
    work.key(Key.Key_0, CONTROL)
    assert work.tab.answer.view.rowHeight(0) == 20
    work.key(Key.Key_B, CONTROL)
    assert not work.window.panel.isVisible() and not work.window.preferences.sensors_shown


def test_all_keys_are_listed(work: Desk) -> None:
    work.key(Key.Key_Slash, CONTROL)
    pages = work.window.findChildren(KeysHelp)
    assert len(pages) == 1 and pages[0].isVisible() and not pages[0].isModal()
    said = [label.text() for label in pages[0].findChildren(QLabel)]
    for key in ("Ctrl+Return, Ctrl+Enter", "Esc", "Alt+Left", "Ctrl+L", "Ctrl+T", "Ctrl+Up, Alt+Up", "Ctrl+C"):
        assert key in said, said
    QTest.keyClick(pages[0], Key.Key_Escape)


def test_the_clock_is_utc(work: Desk) -> None:
    assert work.window.clock.text().endswith(" UTC")


def test_what_cannot_be_saved_is_said(work: Desk, tmp_path: Path) -> None:
    work.window.unsaved.emit("cannot save x: No space left on device; what you type now is not kept")
    assert "not kept" in work.window.summary.whole
