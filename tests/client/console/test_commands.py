"""Saved queries and the command palette, with keys."""

from pathlib import Path

from helpers.desk import CONTROL, Desk, Key
from helpers.fake_link import JOIN, FakeServer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTreeWidgetItem
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console
from afterfact_client.console.views.command_palette import CommandPalette
from afterfact_client.console.views.saved_panel import SaveDialog


def save(work: Desk, name: str, folder: str = "", comment: str = "") -> None:
    work.key(Key.Key_S, CONTROL)
    dialog = work.window.commands.dialog
    assert isinstance(dialog, SaveDialog)
    dialog.name.setText(name)
    dialog.folder.setCurrentText(folder)
    dialog.comment.setText(comment)
    QTest.keyClick(dialog.name, Key.Key_Return)
    work.until(lambda: work.window.commands.dialog is None)
    work.return_to_window()


def palette(work: Desk) -> CommandPalette:
    work.key(Key.Key_K, CONTROL)
    found = work.window.commands.palette
    assert found is not None and found.isVisible()
    return found


def test_a_query_is_saved_found_again_run_and_removed(
    work: Desk, fake: FakeServer, qtbot: QtBot, tmp_path: Path
) -> None:
    work.ask("port = 1034")
    save(work, "worm", "case 7", "the sweep")
    assert work.window.summary.whole == "Saved as case 7 / worm"
    work.console.close()
    again = Desk(qtbot, Console(JOIN, tmp_path, fake))
    again.open()
    again.log_in("ana", "good")
    tree = again.window.commands.panel.tree
    folder = tree.topLevelItem(0)
    assert isinstance(folder, QTreeWidgetItem) and folder.text(0) == "case 7" and folder.child(0).text(0) == "worm"
    assert folder.child(0).toolTip(0) == "the sweep\nport = 1034"
    again.write("port = 5")
    tree.setFocus()
    tree.setCurrentItem(folder.child(0))
    again.key(Key.Key_Return)
    again.answered()
    assert again.tab.editor.text == "port = 1034" and "port = 5" in [one.text for one in again.window.history.entries]
    tree.setFocus()
    tree.setCurrentItem(tree.topLevelItem(0).child(0))  # type: ignore[union-attr]
    again.key(Key.Key_Delete)
    assert tree.topLevelItemCount() == 0 and again.window.commands.panel.empty.isVisible()
    assert "its text is in the history" in again.window.summary.whole
    again.console.close()


def test_saving_under_a_taken_name_says_so_and_nothing_is_not_saved(work: Desk) -> None:
    work.key(Key.Key_S, CONTROL)
    assert work.window.commands.dialog is None and "no query to save" in work.window.summary.whole
    work.write("port = 1")
    save(work, "one")
    work.write("port = 2")
    work.key(Key.Key_S, CONTROL)
    dialog = work.window.commands.dialog
    assert dialog is not None
    dialog.name.setText("one")
    assert dialog.said.text() == "Replaces the query of this name."
    dialog.name.setText(" ")
    assert not dialog.button.isEnabled()
    dialog.reject()


def test_the_palette_does_what_its_entry_says(work: Desk, fake: FakeServer) -> None:
    work.write("port = 1034")
    save(work, "worm")
    found = palette(work)
    QTest.keyClicks(found.field, "timeline")
    assert "View: Timeline" in found.list.item(0).text() and "Ctrl+G" in found.list.item(0).text()
    shown = work.window.preferences.timeline_shown
    QTest.keyClick(found.field, Key.Key_Return)
    assert work.window.preferences.timeline_shown is not shown
    work.until(lambda: work.window.commands.palette is None)
    work.return_to_window()
    work.window.new_tab()
    found = palette(work)
    QTest.keyClicks(found.field, "query worm")
    QTest.keyClick(found.field, Key.Key_Return)
    work.until(lambda: fake.asked == ["port = 1034"])
    work.return_to_window()
    work.answered()
    assert work.window.tabs.current_query == 1
    found = palette(work)
    QTest.keyClicks(found.field, "tab ")
    QTest.keyClick(found.field, Key.Key_Escape)
    assert work.window.tabs.current_query == 1
