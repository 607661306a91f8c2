"""Saved queries and the command palette, with keys."""

import json
from pathlib import Path

from helpers.desk import CONTROL, Desk, Key
from helpers.fake_link import JOIN, FakeServer
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTreeWidgetItem
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console
from afterfact_client.console.views.command_palette import CommandPalette
from afterfact_client.console.views.save_dialog import SaveDialog
from afterfact_protocol.messages import AskSaved


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
    assert folder.child(0).toolTip(0) == "<qt>the sweep<br>port = 1034</qt>"
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


def test_the_teams_queries_are_shared_changed_and_removed(work: Desk, fake: FakeServer) -> None:
    work.write("port = 1034")
    work.key(Key.Key_S, CONTROL)
    dialog = work.window.commands.dialog
    assert dialog is not None
    dialog.name.setText("worm")
    dialog.folder.setCurrentText("case 7")
    dialog.whose.setCurrentIndex(1)
    QTest.keyClick(dialog.name, Key.Key_Return)
    work.until(lambda: work.window.commands.dialog is None)
    work.return_to_window()
    tree = work.window.commands.panel.tree
    assert tree.topLevelItemCount() == 1 and tree.topLevelItem(0).text(0) == "team"  # type: ignore[union-attr]

    def shown(at: int = 0) -> QTreeWidgetItem:
        item = tree.topLevelItem(0).child(0).child(at)  # type: ignore[union-attr]
        assert item is not None
        return item

    assert (shown().text(0), shown().toolTip(0)) == ("worm", "<qt>port = 1034<br>by ana</qt>")
    fake.shared.save("query", "case 7", "worm", "port = 1035", by="bob")
    fake.shared.save("view", "", "narrow", "{}")
    work.window.shared.look_at_saved()
    work.until(lambda: "by bob" in shown().toolTip(0))
    asked = fake.shared.asked[-1]
    work.window.shared.look_at_saved()
    work.until(lambda: fake.shared.asked[-1] is not asked)
    assert fake.shared.asked[-1] == AskSaved(0, fake.shared.revision), "only what is new is told"
    work.window.commands.panel.edited.emit(shown().data(0, Qt.ItemDataRole.UserRole))
    dialog = work.window.commands.dialog
    assert dialog is not None and dialog.whose.currentIndex() == 1
    fake.shared.save("query", "case 7", "worm", "port = 1036", by="cem")
    dialog.folder.setCurrentText("case 8")
    QTest.keyClick(dialog.name, Key.Key_Return)
    work.until(lambda: dialog.said.text() == "somebody was first: worm, by cem")
    dialog.reject()
    work.return_to_window()
    work.window.shared.look_at_saved()
    work.until(lambda: "by cem" in shown().toolTip(0))
    tree.setFocus()
    tree.setCurrentItem(shown())
    work.key(Key.Key_Delete)
    assert work.window.summary.whole == "Once more removes case 7 / worm for the team"
    work.key(Key.Key_Delete)
    work.until(lambda: tree.topLevelItemCount() == 0)


def test_views_of_columns_are_kept_shared_and_taken(work: Desk, fake: FakeServer, tmp_path: Path) -> None:
    work.ask("port = 1034")
    work.window.appearance.set_columns(["src_ip", "dst_port"])
    work.tab.answer.view.setColumnWidth(0, 222)
    columns = work.window.columns_menu
    columns.aboutToShow.emit()
    (named,) = [action for action in columns.forms.actions() if action.text() == "DPort: 443 https"]
    named.trigger()
    assert work.cells("dst_port")[0] == ("1034",), "a port that has no name"
    menu = work.window.views
    menu.keep()
    assert menu.dialog is not None
    menu.dialog.name.setText("narrow")
    QTest.keyClick(menu.dialog.name, Key.Key_Return)
    work.until(lambda: menu.dialog is None)
    menu.copy()
    menu.write_to(tmp_path / "a.view")
    assert work.clipboard == '{"columns": [["src_ip", 222], ["dst_port", 0, "named"]]}'
    listed = [["sensor", 0], ["of_tomorrow", 9], ["src_ip", 90], ["src_bytes", 0, "short"], ["src_port", 0, "x"]]
    fake.shared.save("view", "", "wide", json.dumps({"columns": listed}))
    work.window.shared.look_at_saved()
    work.until(lambda: len(menu.all()) == 2)
    menu.fill()
    narrow, wide = menu.actions()[:2]
    assert (narrow.text(), narrow.isChecked(), wide.text(), wide.isChecked()) == ("narrow", True, "wide  (team)", False)
    wide.trigger()
    assert [column.name for column in work.tab.answer.table.columns] == ["sensor", "src_ip", "src_bytes", "src_port"]
    assert work.cells("src_bytes", "src_port")[1] == ("7.9 KB", "1025")
    assert work.tab.answer.view.columnWidth(1) == 90 and "has no of_tomorrow" in work.window.summary.whole
    work.return_to_window()
    found = palette(work)
    QTest.keyClicks(found.field, "column views narrow")
    QTest.keyClick(found.field, Key.Key_Return)
    work.until(lambda: [column.name for column in work.tab.answer.table.columns] == ["src_ip", "dst_port"])
    assert work.tab.answer.view.columnWidth(0) == 222
    assert not menu.take('{"columns": [["nosuch", 1]]}') and not menu.take("[[[") and not menu.take("")
    menu.read_from(tmp_path / "none")
    assert work.window.summary.whole.startswith("Not taken: ")
    menu.read_from(tmp_path / "a.view")
    assert work.window.summary.whole == "2 columns"
