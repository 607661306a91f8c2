"""Typing, running, stopping, errors where they are, completion, history, the trail: with keys alone."""

from helpers.case import WORM
from helpers.desk import ALT, CONTROL, SHIFT, Desk, Key
from helpers.fake_link import START, FakeServer, covered, sensor_status, sessions
from PySide6.QtGui import QTextCharFormat
from PySide6.QtTest import QTest

from afterfact_client.console.models.query_run import RunPhase
from afterfact_client.link import LinkPhase
from afterfact_protocol.messages import Failed

SECOND = 1_000_000


def underlined(desk: Desk) -> list[str]:
    """The texts that are marked as wrong."""
    marks = desk.tab.editor.extraSelections()
    assert all(mark.format.underlineStyle() is QTextCharFormat.UnderlineStyle.WaveUnderline for mark in marks)
    return [mark.cursor.selectedText() for mark in marks]


def test_the_worm_query_typed_and_run(work: Desk, fake: FakeServer) -> None:
    work.ask(WORM)
    assert fake.asked == [WORM.strip()]
    assert len(work.cells("src_ip")) == 8
    assert work.window.summary.whole.startswith(
        "8 observations of 8 conversations at 2 sensors  |  84 ms  |  searched 2004-07-26 16:37:49 to "
    )
    assert work.window.tabs.tabText(2) == "port = 1034, port != 80, po…"
    work.until(lambda: "port 1034 on either side" in work.tab.said.text())


def test_an_error_is_underlined_while_typing_and_said_below(work: Desk) -> None:
    work.write("WHERE port = 1034 AND prto = tcp")
    work.until(lambda: work.tab.said.objectName() == "error")
    assert underlined(work) == ["prto"]
    assert work.tab.said.text().startswith("✕ column 23: no field `prto`")
    work.write("WHERE port = 1034")
    work.until(lambda: work.tab.said.text() == "sessions with port 1034 on either side")
    assert underlined(work) == [] and work.tab.said.objectName() == "dim"


def test_an_error_at_the_end_and_beyond_the_basic_plane_is_marked_where_it_is(work: Desk) -> None:
    work.write("WHERE port = ")
    work.until(lambda: work.tab.said.objectName() == "error")
    assert underlined(work) == [" "], "what is missing is marked at the end"
    work.tab.editor.replace("WHERE history = '\U0001f600\U0001f600' AND prto = 1")
    work.until(lambda: underlined(work) == ["prto"])
    work.tab.editor.replace("WHERE port = 1\nAND prto = 1")
    work.until(lambda: work.tab.said.text().startswith("✕ line 2, column 5: "))


def test_the_servers_own_errors_are_marked_too(work: Desk, fake: FakeServer) -> None:
    fake.failure = Failed(0, "query", "the server knows no sensor `lab`", 15, 20)
    work.write("  WHERE sensor = 'lab'")
    work.key(Key.Key_Return, CONTROL)
    work.until(lambda: work.tab.query.phase is RunPhase.FAILED)
    assert "knows no sensor `lab`" in work.tab.said.text()
    assert underlined(work) == ["'lab'"]
    work.qtbot.wait(300)
    assert "knows no sensor `lab`" in work.tab.said.text(), "the check of the text does not wipe it away"


def test_a_failed_query_leaves_the_last_answer_in_place(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034")
    fake.failure = Failed(0, "deadline", "not answered within 60 s; narrow it", -1, -1)
    work.write("port = 1035")
    work.key(Key.Key_Return, CONTROL)
    work.until(lambda: work.tab.query.phase is RunPhase.FAILED)
    assert work.tab.said.text() == "✕ not answered within 60 s; narrow it"
    assert work.tab.answer.view.isVisible() and len(work.cells("src_ip")) == 8
    assert work.tab.answer.notes.texts == ["Below is still the answer to the query before: port = 1034"]
    assert work.tab.state.trail.texts == ["port = 1034"]


def test_escape_stops_and_says_so(work: Desk, fake: FakeServer) -> None:
    fake.holding = True
    work.write("port = 1034")
    work.tab.completion.hide()
    work.key(Key.Key_Return, CONTROL)
    assert work.tab.stop_button.isEnabled()
    fake.link.progress(1_234_567)
    work.until(lambda: "1,234,567 rows read" in work.window.summary.whole)
    work.until(lambda: "rows read" in work.tab.answer.page.text)
    work.key(Key.Key_Escape)
    work.until(lambda: work.tab.query.phase is RunPhase.STOPPED)
    assert work.window.summary.whole == "stopped"
    assert work.tab.answer.page.text.startswith("Stopped") and work.tab.answer.page.isVisible()
    assert not work.tab.stop_button.isEnabled()
    assert fake.cancelled == [1]
    assert work.tab.editor.text == "port = 1034", "what was typed stays"


def test_a_lost_connection_fails_the_query_and_nothing_typed_is_lost(work: Desk, fake: FakeServer) -> None:
    fake.holding = True
    work.write("port = 1034")
    work.key(Key.Key_Return, CONTROL)
    fake.link.change(LinkPhase.LOST, "connection to tcp://server.example:7734 lost")
    work.until(lambda: work.tab.query.phase is RunPhase.FAILED)
    assert "Run it again when connected" in work.tab.said.text()
    assert work.tab.editor.text == "port = 1034"
    fake.holding = False
    fake.link.change(LinkPhase.ONLINE, "connected")
    work.until(lambda: work.window.server.online)
    work.key(Key.Key_Return, CONTROL)
    work.answered()


def test_an_empty_answer_says_what_was_searched_and_whether_anyone_watched(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(0)
    gap = (START - 1800 * SECOND, START - 900 * SECOND)
    fake.changes = {"coverage": (covered("border"), covered("inside", gap)), "total": 0, "conversations": 0}
    work.ask("port = 31337")
    text = work.tab.answer.page.text
    assert work.tab.answer.page.isVisible()
    assert text.startswith("No sessions match\n")
    assert "Searched 2004-07-26 16:37:49 to 2004-07-26 17:37:50 (UTC)." in text
    assert "There may have been such sessions" in text
    assert "inside: blind 2004-07-26 17:07:49 to 17:22:49" in text
    assert "border: watched throughout" in text
    fake.changes = {"total": 0, "conversations": 0}
    work.ask("port = 31338")
    assert "there was no such session" in work.tab.answer.page.text


def test_what_was_missed_stands_above_the_rows(work: Desk, fake: FakeServer) -> None:
    gap = (START - 1800 * SECOND, START - 900 * SECOND)
    fake.changes = {"coverage": (covered("border"), covered("inside", gap)), "truncated": True}
    work.ask("port = 1034 LIMIT 8")
    assert work.tab.answer.notes.texts == [
        "Truncated: 8 sessions shown, more match. Narrow the query or raise its LIMIT.",
        "Not everything was seen. inside: blind 2004-07-26 17:07:49 to 17:22:49.",
    ]
    assert "truncated at" in work.window.summary.whole
    assert not work.tab.answer.notes.full.isVisible()
    work.key(Key.Key_D, CONTROL)
    assert work.tab.answer.notes.full.isVisible()
    assert "border" in work.tab.answer.notes.full.toPlainText()
    assert "watched throughout" in work.tab.answer.notes.full.toPlainText()
    fake.changes = {}
    work.ask("port = 1034")
    assert work.tab.answer.notes.texts == []


def test_completion_offers_fields_values_and_sensors(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"), sensor_status("inside"))
    work.window._ask_status()
    work.until(lambda: len(work.window.sensors.sensors) == 2)
    work.write("WHERE dst_po")
    items = work.tab.completion.list
    assert items.isVisible() and items.item(0).text().startswith("dst_port")
    work.key(Key.Key_Tab)
    assert work.tab.editor.text == "WHERE dst_port" and not items.isVisible()
    work.write("WHERE sensor = 'in")
    assert items.isVisible() and items.item(0).text().startswith("inside")
    work.key(Key.Key_Down)
    work.key(Key.Key_Return)
    assert work.tab.editor.text == "WHERE sensor = 'inside'"


def test_completion_never_gets_in_the_way(work: Desk, fake: FakeServer) -> None:
    items = work.tab.completion.list
    work.write("WHERE establ")
    assert items.isVisible()
    work.key(Key.Key_Escape)
    assert not items.isVisible() and work.tab.editor.text == "WHERE establ"
    work.type("i")
    assert items.isVisible()
    work.key(Key.Key_Return)  # nothing was marked: a line end
    assert work.tab.editor.text == "WHERE establi\n" and not items.isVisible()
    work.write("established")
    work.type(" AND por")
    assert items.isVisible()
    work.write("port = 1034 AND established")
    work.key(Key.Key_Return, CONTROL)
    work.answered()
    assert fake.asked == ["port = 1034 AND established"] and not items.isVisible()


def test_completion_on_demand(work: Desk) -> None:
    work.write("")
    work.key(Key.Key_Space, CONTROL)
    assert work.tab.completion.list.isVisible() and work.tab.completion.list.count() > 20
    work.key(Key.Key_Escape)
    assert not work.tab.completion.list.isVisible()


def test_history_is_walked_and_the_draft_comes_back(work: Desk) -> None:
    work.ask("port = 1")
    work.ask("port = 2")
    work.write("port = 3")
    shown = []
    for key, modifiers in ((Key.Key_Up, CONTROL), (Key.Key_Up, ALT), (Key.Key_Up, CONTROL), (Key.Key_Down, ALT),
                           (Key.Key_Down, CONTROL)):  # fmt: skip
        work.key(key, modifiers)
        shown.append(work.tab.editor.text)
    assert shown == ["port = 2", "port = 1", "port = 1", "port = 2", "port = 3"]


def test_the_trail_goes_back_without_asking_again(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(3)
    work.ask("port = 1")
    fake.rows = sessions(5)
    work.ask("port = 2")
    assert len(work.cells("src_ip")) == 5
    work.key(Key.Key_Left, ALT)
    assert work.tab.editor.text == "port = 1" and len(work.cells("src_ip")) == 3
    assert work.window.summary.whole.startswith("3 observations")
    work.key(Key.Key_Right, ALT)
    assert work.tab.editor.text == "port = 2" and len(work.cells("src_ip")) == 5
    assert fake.asked == ["port = 1", "port = 2"]
    work.key(Key.Key_Right, ALT)
    assert work.window.summary.whole == "The trail ends here"


def test_a_step_back_to_a_large_result_asks_again(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(30_000)
    work.ask("port = 1")
    work.until(lambda: work.cells("src_ip")[:1] == [("10.0.0.0",)])
    fake.rows = sessions(2)
    work.ask("port = 2")
    assert 1 in fake.cancelled, "the server is not left to keep what is no longer shown"
    work.key(Key.Key_Left, ALT)
    work.answered()
    assert fake.asked == ["port = 1", "port = 2", "port = 1"]


def test_nothing_to_run_is_nothing_asked(work: Desk, fake: FakeServer) -> None:
    work.write("   ")
    work.key(Key.Key_Return, CONTROL)
    work.answered()
    assert fake.asked == [""], "the query for everything is a query"


def test_another_time_is_asked_about_by_menu_and_dialogue(work: Desk, fake: FakeServer) -> None:
    work.write("WHERE port = 1034")
    work.until(lambda: work.tab.time.text().startswith("all time  (UTC)"))
    work.key(Key.Key_Y, CONTROL | SHIFT)
    menu = work.tab.time.menu_shown
    assert menu is not None
    next(action for action in menu.actions() if action.text().startswith("Last &hour")).trigger()
    work.answered()
    assert work.tab.editor.text == "WHERE port = 1034 AND LAST 1h"
    work.until(lambda: work.tab.time.text().startswith("LAST 1h  (UTC)"))
    work.tab.time.between_wanted.emit()
    dialog = work.tab.time_dialog
    assert dialog is not None and dialog.button.isEnabled() and dialog.first.text() < dialog.last.text()
    dialog.first.setText("2004-07-26 17:37")
    dialog.last.setText("nosuch")
    assert dialog.said.objectName() == "error" and not dialog.button.isEnabled()
    dialog.last.setText("2004-07-26 18:00")
    assert dialog.said.text() == "sessions active from 2004-07-26 17:37:00 UTC to 2004-07-26 18:00:00 UTC"
    QTest.keyClick(dialog.last, Key.Key_Return)
    work.until(lambda: work.tab.time_dialog is None)
    work.answered()
    assert fake.asked[-1] == "WHERE port = 1034 AND DURING '2004-07-26 17:37' .. '2004-07-26 18:00'"
    work.return_to_window()
    work.write("port = ")
    work.tab.time.chosen.emit("LAST 1h")
    assert "First put the query right" in work.window.summary.whole
