"""Tabs with names, pins, copies, and windows of their own."""

from pathlib import Path

from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import JOIN, FakeServer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console


def rename(work: Desk, name: str) -> None:
    work.key(Key.Key_R, CONTROL | SHIFT)
    work.until(lambda: bool(work.window.tabs.findChildren(QInputDialog)))
    (dialog,) = work.window.tabs.findChildren(QInputDialog)
    dialog.setTextValue(name)
    dialog.accept()
    work.until(lambda: not work.window.tabs.findChildren(QInputDialog))
    work.return_to_window()


def test_a_name_stays_and_comes_back(work: Desk, fake: FakeServer, qtbot: QtBot, tmp_path: Path) -> None:
    work.ask("port = 1034")
    rename(work, "the worm")
    assert work.window.tabs.tabText(2) == "the worm"
    work.ask("port = 1035")
    assert work.window.tabs.tabText(2) == "the worm", "a query does not undo it"
    work.key(Key.Key_P, CONTROL | SHIFT)
    work.console.close()
    again = Desk(qtbot, Console(JOIN, tmp_path, fake))
    again.open()
    again.log_in("ana", "good")
    assert again.window.tabs.tabText(2).endswith("the worm") and again.tab.state.pinned
    rename(again, "")
    assert again.window.tabs.tabText(2).endswith("port = 1035")
    again.console.close()


def test_pinned_tabs_stay_left_and_open(work: Desk) -> None:
    work.ask("port = 1")
    work.window.new_tab("port = 2")
    work.key(Key.Key_P, CONTROL | SHIFT)
    assert [tab.editor.text for tab in work.window.all_tabs()] == ["port = 2", "port = 1"]
    work.window.tabs.setCurrentIndex(2)
    work.key(Key.Key_W, CONTROL)
    assert len(work.window.tabs.attached()) == 2 and "pinned" in work.window.summary.whole
    work.key(Key.Key_P, CONTROL | SHIFT)
    work.key(Key.Key_W, CONTROL)
    assert [tab.editor.text for tab in work.window.all_tabs()] == ["port = 1"]


def test_a_duplicate_goes_its_own_way(work: Desk) -> None:
    work.ask("port = 1")
    work.ask("port = 2")
    work.key(Key.Key_D, CONTROL | SHIFT)
    assert len(work.window.tabs.attached()) == 2 and work.tab.editor.text == "port = 2"
    assert work.tab.state.trail.texts == ["port = 1", "port = 2"]
    work.ask("port = 3")
    assert work.window.all_tabs()[0].state.trail.texts == ["port = 1", "port = 2"]


def test_a_tab_in_a_window_of_its_own_works_and_comes_back(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1")
    tab = work.tab
    work.key(Key.Key_W, CONTROL | SHIFT)
    (window,) = work.window.tabs.detached
    assert window.isVisible() and tab.window() is window and work.tab is not tab
    assert tab in work.window.all_tabs()
    work.until(window.isActiveWindow)
    tab.editor.replace("port = 77")
    QTest.keyClick(tab.editor, Key.Key_Return, CONTROL)
    work.until(lambda: fake.asked[-1] == "port = 77" and not tab.query.running)
    assert window.status.whole.startswith("8 observations") and window.windowTitle() == "port = 77"
    QTest.keyClick(tab.editor, Key.Key_F, CONTROL)
    assert tab.answer.filter.isVisible()
    QTest.keyClick(tab.answer.filter.field, Key.Key_Escape)
    QTest.keyClick(tab.answer.view, Key.Key_A, CONTROL)
    QTest.keyClick(tab.answer.view, Key.Key_C, CONTROL)
    work.until(lambda: window.status.whole == "Copied 8 rows")
    QTest.keyClick(tab.editor, Key.Key_S, CONTROL)
    assert work.window.commands.dialog is not None and work.window.commands.dialog.text.toPlainText() == "port = 77"
    work.window.commands.dialog.reject()
    window.activateWindow()
    work.until(window.isActiveWindow)
    QTest.keyClick(tab.editor, Key.Key_W, CONTROL)
    assert not work.window.tabs.detached and work.tab is tab and tab.window() is work.window
    assert work.window.tabs.tabText(work.window.tabs.indexOf(tab)) == "port = 77"
