"""The watches and the autocategorise rules, in windows of their own."""

from dataclasses import replace

from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import FakeServer
from helpers.fake_queue import WHEN, queue_row
from PySide6.QtTest import QAbstractItemModelTester, QTest

from afterfact_client.console.views.rules_window import RulesWindow
from afterfact_client.console.views.watches_window import WatchesWindow
from afterfact_client.link import LinkPhase
from afterfact_protocol.messages import Autocat, Failed, QueryWatch

WORM = QueryWatch(7, "worm", "WHERE dst_port = 1034", 1, "it spreads", True, True, 0, "ana", WHEN, "on", 1234, WHEN)


def opened(work: Desk) -> WatchesWindow:
    work.key(Key.Key_M, CONTROL)
    window = work.window.triage.watches_window
    assert window is not None
    work.until(lambda: window.isVisible() and window.model.known)
    return window


def rules(work: Desk) -> RulesWindow:
    work.window.triage.show_rules()
    window = work.window.triage.rules_window
    assert window is not None
    work.until(lambda: window.isVisible() and window.model.known)
    return window


def cells(window: WatchesWindow | RulesWindow, row: int) -> list[str]:
    return [window.model.index(row, at).data() for at in range(window.model.columnCount())]


def test_watches_are_listed_and_their_query_is_run(work: Desk, fake: FakeServer) -> None:
    gone = replace(WORM, number=5, state="removed")
    rests = replace(WORM, number=6, name="<b>\n", problem="there is no sensor 'dmz'", state="paused", matches=0)
    fake.queue.watches = [WORM, rests, gone]
    window = opened(work)
    QAbstractItemModelTester(window.model, QAbstractItemModelTester.FailureReportingMode.Fatal, window.model)
    assert cells(window, 0) == ["7", "worm", "on", "1", "1,234", "2004-07-26 17:37:49", "ana",
                                "WHERE dst_port = 1034", ""]  # fmt: skip
    assert window.model.rowCount() == 2 and cells(window, 1)[1] == r"<b>\n"
    assert window.model.cell(1, 2) == ("paused", "error")
    assert "never ends" in window.details.toPlainText() and "it spreads" in window.details.toPlainText()
    fake.queue.watches = [replace(WORM, number=8), replace(WORM, matches=1300), rests]
    work.until(lambda: window.model.rowCount() == 3)
    assert window.item.number == 7 and window.item.matches == 1300, "the selected one stays selected"
    QTest.keyClick(window.table, Key.Key_Return)
    work.answered()
    assert fake.asked == ["WHERE dst_port = 1034"]
    window.activateWindow()
    work.until(window.isActiveWindow)
    fake.queue.put(queue_row(1, rule="watch:7", source="watch"), queue_row(2))
    window.rows_button.click()
    view = work.window.queue
    work.until(lambda: view.table.rowCount() == 1 and view.table.word(0, "rule") == "watch:7")


def test_a_watch_rests_goes_on_and_is_removed_at_the_second_press(work: Desk, fake: FakeServer) -> None:
    fake.queue.watches = [WORM]
    window = opened(work)
    QTest.keyClick(window.table, Key.Key_P)
    work.until(lambda: window.item.state == "paused")
    assert window.pause_button.text() == "Resume" and "Watch 7 rests" in window.said.text()
    window.pause_button.click()
    work.until(lambda: window.item.state == "on")
    QTest.keyClick(window.table, Key.Key_Delete)
    assert "Once more removes watch 7, worm" in window.said.text() and fake.queue.watches[0].state == "on"
    QTest.keyClick(window.table, Key.Key_Delete)
    work.until(lambda: window.item is None)
    assert window.table.nothing.startswith("No watch yet.") and not window.remove_button.isEnabled()


def test_a_query_becomes_a_watch(work: Desk, fake: FakeServer) -> None:
    work.key(Key.Key_M, CONTROL | SHIFT)
    assert work.window.triage.dialog is None and "no query to watch" in work.window.summary.whole
    work.write("WHERE dst_port = 1034 AND nosuch = 1")
    work.key(Key.Key_M, CONTROL | SHIFT)
    dialog = work.window.triage.dialog
    assert dialog is not None and dialog.name.text() == "dst_port = 1034, nosuch = 1"
    fake.queue.watch_failure = Failed(0, "query", "there is no field nosuch", 26, 32)
    dialog.button.click()
    work.until(lambda: dialog.said.objectName() == "error")
    assert dialog.said.text() == "there is no field nosuch" and dialog.text.textCursor().selectedText() == "nosuch"
    fake.queue.watch_failure = None
    dialog.text.setPlainText("WHERE dst_port = 1034")
    dialog.name.setText("worm")
    dialog.severity.setCurrentIndex(0)
    dialog.ends.setCurrentIndex(2)
    dialog.history.setChecked(False)
    dialog.button.click()
    work.until(lambda: work.window.triage.dialog is None)
    (made,) = fake.queue.watches
    assert (made.name, made.text, made.severity, made.history, made.notify) == (
        "worm", "WHERE dst_port = 1034", 1, False, False,
    )  # fmt: skip
    assert made.expires > WHEN and "Watch 1, worm, stands." in work.window.summary.whole


def test_a_viewer_looks_and_a_lost_connection_is_said(desk: Desk, fake: FakeServer) -> None:
    fake.role = "viewer"
    fake.queue.watches = [WORM]
    desk.log_in("vic", "good")
    desk.write("port = 1")
    desk.key(Key.Key_M, CONTROL | SHIFT)
    assert desk.window.triage.dialog is None and "Your role is viewer" in desk.window.summary.whole
    window = opened(desk)
    QTest.keyClick(window.table, Key.Key_P)
    assert window.said.text().startswith("Your role is viewer") and fake.queue.watches[0].state == "on"
    assert not window.pause_button.isEnabled() and not window.remove_button.isEnabled()
    fake.link.change(LinkPhase.LOST, "no server answers")
    desk.until(lambda: window.said.text().startswith("Not connected"))
    assert window.model.rowCount() == 1
    fake.link.change(LinkPhase.ONLINE, "connected")
    desk.until(lambda: not window.said.text().strip())


def test_a_lead_makes_and_removes_rules_from_a_row(desk: Desk, fake: FakeServer) -> None:
    fake.role = "lead"
    fake.queue.put(queue_row(1))
    desk.log_in("lea", "good")
    view = desk.window.queue
    desk.window.triage.show()
    desk.until(lambda: view.table.rowCount() == 1)
    view.enter()
    view.rows.rule_wanted.emit()
    window = desk.window.triage.rules_window
    assert window is not None and window.isVisible()
    assert (window.fields["rule"].text(), window.fields["src"].text()) == ("1:2001219", "10.0.0.1")
    fake.queue.watch_failure = Failed(0, "request", "say why, in a comment", -1, -1)
    window.add.click()
    desk.until(lambda: window.said.text() == "Nothing was changed: say why, in a comment.")
    fake.queue.watch_failure = None
    QTest.keyClicks(window.fields["why"], "our scanner")
    QTest.keyClick(window.fields["why"], Key.Key_Return)
    desk.until(lambda: window.model.rowCount() == 1)
    assert cells(window, 0)[:6] == ["1", "1:2001219", "10.0.0.1", "any", "any", "no action"]
    assert window.fields["why"].text() == ""
    window.table.setFocus()
    QTest.keyClick(window.table, Key.Key_Delete)
    QTest.keyClick(window.table, Key.Key_Delete)
    desk.until(lambda: cells(window, 0)[7] == "removed")


def test_an_analyst_sees_the_rules_and_is_told_who_makes_them(work: Desk, fake: FakeServer) -> None:
    fake.queue.rules = [Autocat(3, "1:5", "", "", "", 8, "noise", "lea", WHEN, 0, False, 12)]
    window = rules(work)
    assert cells(window, 0)[6:] == ["12", "never", "lea", "noise"]
    assert not window.add.isEnabled() and "made and removed by leads; your role is analyst" in window.said.text()
