"""The queue in a tab: what its keys do, to which rows, and what is said where they do nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import JOIN, FakeServer
from helpers.fake_queue import queue_row
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from afterfact_client.console.app import Console
from afterfact_client.console.views.queue_view import QueueView
from afterfact_client.console.views.theme import DARK, LIGHT, LOOK
from afterfact_client.link import LinkPhase
from afterfact_client.state.queue_words import ROW_COLUMNS
from afterfact_protocol.messages import MAX_QUEUE_ROWS, QueueChanged, QueueRow

TITLES = [column.title for column in ROW_COLUMNS]


def opened(work: Desk) -> QueueView:
    """The queue in front, loaded."""
    work.key(Key.Key_R, CONTROL)
    view = work.window.queue
    work.until(lambda: view.desk.phase == "ready")
    work.until(view.rows.hasFocus)
    if not view.rows.chosen():
        view.enter()
    return view


def filled(work: Desk, fake: FakeServer, *numbers: int) -> QueueView:
    return put(work, fake, *(queue_row(number) for number in numbers))


def put(work: Desk, fake: FakeServer, *rows: QueueRow) -> QueueView:
    fake.queue.put(*rows)
    view = work.window.queue
    work.until(lambda: view.table.rowCount() == len(rows))
    return opened(work)


def numbers(view: QueueView) -> list[int]:
    return [view.table.number(row) for row in range(view.table.rowCount())]


def chosen(view: QueueView) -> list[int]:
    return [view.table.number(row) for row in view.rows.chosen()]


def cells(view: QueueView, row: int) -> dict[str, str]:
    return {title: view.table.text(row, at) for at, title in enumerate(TITLES)}


def said(work: Desk, view: QueueView, text: str) -> None:
    work.until(lambda: text in view.said.text())


def test_rows_show_what_the_server_tells(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    assert numbers(view) == [3, 2, 1], "those raised last first"
    assert cells(view, 0) == {
        "ST": "open", "CNT": "3", "Sev": "1", "Owner": "", "Sensor": "border", "Last (UTC)": "2004-07-26 17:37:52",
        "Source": "10.0.0.3", "Peers": "3", "Destination": "192.0.2.7", "DPort": "1034", "Message": "WORM 3",
        "Comment": "", "By": "", "First (UTC)": "2004-07-26 17:37:49", "Rule": "1:2001219", "Row": "3",
    }  # fmt: skip
    assert work.window.tabs.tabText(0) == "Queue 3" and view.lists.tabText(0) == "Open 3"
    assert work.window.summary.whole == "3 rows open, 0 escalated"
    fake.queue.put(replace(queue_row(2, count=7, last_event=206, late=True), raised=queue_row(9).raised))
    work.until(lambda: numbers(view) == [2, 3, 1])
    assert cells(view, 0)["CNT"] == "7" and cells(view, 0)["Last (UTC)"].endswith("51 ◔")


def test_a_key_disposes_of_what_is_shown_and_the_next_row_is_selected(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    assert chosen(view) == [3]
    work.key(Key.Key_F4)
    work.until(lambda: numbers(view) == [2, 1])
    (act,) = fake.queue.acts
    assert (act.action, act.status, act.rows, act.comment) == ("categorise", 4, ((3, 1, 302),), "")
    assert chosen(view) == [2] and view.said.text() == "Cat IV: 1 row, 3 events. Ctrl-Z undoes it."
    work.key(Key.Key_F8)
    work.until(lambda: numbers(view) == [1])
    assert fake.queue.acts[-1].status == 8 and chosen(view) == [1]
    assert "No action: 1 row, 2 events." in view.said.text()
    work.key(Key.Key_F1)
    work.until(lambda: not numbers(view))
    assert view.rows.nothing.startswith("No event waits.")


def test_keys_do_not_wait_for_the_server_and_act_on_no_row_twice(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    fake.queue.holding = True
    work.key(Key.Key_F5)
    assert chosen(view) == [2] and view.table.cell(0, 0) == ("open", "dim")
    work.key(Key.Key_Up)
    assert chosen(view) == [3]
    work.key(Key.Key_F6)
    assert len(fake.queue.acts) == 1 and "No row is selected" in view.said.text()
    work.key(Key.Key_Down)
    work.key(Key.Key_F6)
    assert [act.rows[0][0] for act in fake.queue.acts] == [3, 2] and chosen(view) == [1]
    fake.queue.release()
    work.until(lambda: numbers(view) == [1])


def test_events_that_came_since_it_was_shown_stay(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 2)
    fake.queue.holding = True
    work.key(Key.Key_F3)
    fake.queue.put(replace(fake.queue.rows[2], count=5, last_event=204))
    fake.queue.release()
    work.until(lambda: numbers(view) == [1002])
    assert fake.queue.acts[0].rows == ((2, 1, 201),)


def test_a_second_press_is_refused_in_words(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    tell, fake.queue.tell = fake.queue.tell, None
    fake.queue.other(2, 4)  # the news of it are on their way
    work.key(Key.Key_F1)
    said(work, view, "Not changed: row 2, WORM 2 from 10.0.0.2: bob, Cat IV, 2 s ago.")
    assert view.said.objectName() == "error" and view.said.isVisible() and work.focus is view.rows
    assert QApplication.activeModalWidget() is None
    assert fake.queue.rows[2].status == 4
    fake.queue.tell = tell
    fake.queue.put(fake.queue.rows[2])
    work.until(lambda: numbers(view) == [1])


def test_a_row_that_somebody_else_took_leaves_and_no_other_is_under_the_key(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    assert chosen(view) == [3]
    fake.queue.other(3, 2)
    work.until(lambda: numbers(view) == [2, 1])
    assert chosen(view) == []
    work.key(Key.Key_F1)
    assert not fake.queue.acts and "No row is selected" in view.said.text()
    work.key(Key.Key_Down)
    assert chosen(view) == [2], "the one in its place"
    work.key(Key.Key_F1)
    work.until(lambda: numbers(view) == [1])


def test_a_selected_row_keeps_its_selection_wherever_it_goes(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, *range(1, 6))
    work.key(Key.Key_Down)
    work.key(Key.Key_Down, SHIFT)
    assert chosen(view) == [4, 3]
    fake.queue.put(replace(fake.queue.rows[3], raised=queue_row(90).raised), queue_row(80))
    work.until(lambda: numbers(view) == [3, 80, 5, 4, 2, 1])
    assert sorted(chosen(view)) == [3, 4]
    fake.queue.put(*(queue_row(number) for number in range(1000, 1200, 2)))
    work.until(lambda: view.table.rowCount() == 106)
    work.until(lambda: sorted(chosen(view)) == [3, 4])
    assert view.rows.in_sight(), "what is raised over it does not push it out of sight"
    work.key(Key.Key_F2)
    assert {row[0] for row in fake.queue.acts[0].rows} == {3, 4}


def test_keys_act_only_while_the_table_has_the_focus(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    for place in (view.filter, view.lists, view.events_view, view.history_view):
        place.setFocus()
        for key in range(int(Key.Key_F1), int(Key.Key_F9) + 1):
            work.key(Key(key))
    assert "only while the table has the focus" in view.hint.whole
    work.key(Key.Key_L, CONTROL)
    assert work.focus is work.tab.editor, "the query that was in front before"
    for key in range(int(Key.Key_F1), int(Key.Key_F9) + 1):
        work.key(Key(key))
    assert not fake.queue.acts and not view.comment.isVisible()


def test_a_key_that_is_held_down_disposes_of_one_row(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    none = Qt.KeyboardModifier.NoModifier
    for repeated in (False, True, True):
        QApplication.sendEvent(view.rows, QKeyEvent(QEvent.Type.KeyPress, Key.Key_F8, none, "", repeated))
    work.until(lambda: numbers(view) == [2, 1])
    assert len(fake.queue.acts) == 1


def test_an_escalation_needs_its_comment_and_no_box_is_in_the_way(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    work.key(Key.Key_F9)
    assert work.focus is view.comment.field and view.comment.title.text() == "Escalate: 1 row, 2 events"
    work.key(Key.Key_Return)
    assert view.comment.said.text() == "Say why, in a comment." and not fake.queue.acts
    work.key(Key.Key_Escape)
    assert work.focus is view.rows and not view.comment.isVisible() and not fake.queue.acts and chosen(view) == [2]
    work.key(Key.Key_F9)
    work.type("spreads by 1034")
    work.key(Key.Key_F1)  # no act from within the comment
    work.key(Key.Key_Return)
    work.until(lambda: numbers(view) == [1])
    (act,) = fake.queue.acts
    assert (act.action, act.comment, act.status) == ("escalate", "spreads by 1034", 0)
    assert work.focus is view.rows and chosen(view) == [1]
    view.lists.setCurrentIndex(1)
    assert numbers(view) == [2] and view.lists.tabText(1) == "Escalated 1"
    assert (cells(view, 0)["ST"], cells(view, 0)["Comment"]) == ("escalated", "spreads by 1034")
    work.key(Key.Key_O)
    work.until(lambda: not numbers(view))
    assert fake.queue.acts[-1].action == "reopen"


def test_shift_asks_for_a_comment_that_may_be_empty(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    work.key(Key.Key_F6, SHIFT)
    assert view.comment.title.text() == "Cat VI (reconnaissance): 1 row, 2 events"
    fake.queue.put(queue_row(9))  # while it is written
    work.type("a scan")
    work.until(lambda: view.table.rowCount() == 3)
    work.key(Key.Key_Return)
    work.until(lambda: numbers(view) == [9, 1])
    assert [(act.rows[0][0], act.status, act.comment) for act in fake.queue.acts] == [(2, 6, "a scan")]
    assert chosen(view) == [1], "the row under it, not the one that came"


def test_undo_takes_back_what_was_done_here_and_the_row_is_selected(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    work.key(Key.Key_F1)
    work.key(Key.Key_F2)
    work.until(lambda: numbers(view) == [1])
    work.key(Key.Key_Z, CONTROL)
    assert chosen(view) == [], "until it is back a key acts on nothing"
    work.until(lambda: numbers(view) == [2, 1] and chosen(view) == [2])
    assert fake.queue.acts[-1].action == "undo" and fake.queue.acts[-1].rows[0][:2] == (2, 2)
    assert view.said.text() == "Taken back: Cat II (unauthorised user's access), 1 row."
    work.key(Key.Key_F5)
    work.until(lambda: numbers(view) == [1])
    work.key(Key.Key_Z, CONTROL)
    work.until(lambda: numbers(view) == [2, 1])
    work.key(Key.Key_Z, CONTROL)
    work.until(lambda: numbers(view) == [3, 2, 1])
    said(work, view, "Taken back: Cat I")
    work.key(Key.Key_Z, CONTROL)
    said(work, view, "Nothing was done here")


def test_undo_never_takes_back_what_somebody_else_did(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    work.key(Key.Key_F6)
    work.until(lambda: numbers(view) == [2, 1])
    work.key(Key.Key_F1)
    work.until(lambda: numbers(view) == [1])
    fake.queue.other(2, 4)
    work.key(Key.Key_Z, CONTROL)
    said(work, view, "Not changed: row 2, WORM 2 from 10.0.0.2: bob, Cat IV, 2 s ago.")
    assert fake.queue.rows[2].status == 4


def test_an_undo_of_what_was_refused_takes_back_nothing(work: Desk, fake: FakeServer) -> None:
    """Neither what somebody else did, nor what was done here before."""
    view = filled(work, fake, 1, 2)
    work.key(Key.Key_F6)
    work.until(lambda: numbers(view) == [1])
    tell, fake.queue.tell = fake.queue.tell, None
    fake.queue.other(1, 5)
    fake.queue.holding = True
    work.key(Key.Key_F1)
    work.key(Key.Key_Z, CONTROL)
    fake.queue.holding, fake.queue.tell = False, tell
    fake.queue.release()
    said(work, view, "Not changed: row 1")
    QTest.qWait(50)
    assert (fake.queue.rows[1].status, fake.queue.rows[2].status) == (5, 6)
    assert fake.queue.acts[-1].action == "categorise"


def test_claim_release_assign_and_note(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    work.key(Key.Key_C)
    work.until(lambda: cells(view, 0)["Owner"] == "ana")
    assert chosen(view) == [2], "it stays where it is"
    work.key(Key.Key_A)
    work.type("cy")
    work.key(Key.Key_Return)
    work.until(lambda: cells(view, 0)["Owner"] == "cy")
    work.key(Key.Key_N)
    work.type("seen before")
    work.key(Key.Key_Return)
    work.until(lambda: cells(view, 0)["Comment"] == "seen before")
    work.key(Key.Key_R)
    work.until(lambda: cells(view, 0)["Owner"] == "")
    assert [(act.action, act.owner, act.comment) for act in fake.queue.acts] == [
        ("claim", "", ""), ("assign", "cy", ""), ("comment", "", "seen before"), ("release", "", ""),
    ]  # fmt: skip


def test_events_and_history_of_the_row_stand_below(work: Desk, fake: FakeServer) -> None:
    many = queue_row(3, last_event=300 + MAX_QUEUE_ROWS + 5, count=MAX_QUEUE_ROWS + 6)
    view = put(work, fake, queue_row(1), many)
    work.until(lambda: view.events.rowCount() == MAX_QUEUE_ROWS)
    assert not view.events.whole, "the rest is asked for as it is looked at"
    view.events_view.scrollToBottom()
    work.until(lambda: view.events.rowCount() == MAX_QUEUE_ROWS + 6)
    first = [view.events.index(0, at).data() for at in range(view.events.columnCount())]
    assert first == ["2004-07-26 17:42:49", "border", "10.0.0.3", "4000", "192.0.2.7", "1034", "tcp", "300", "299"]
    work.key(Key.Key_C)
    work.until(lambda: view.history.rowCount() == 1)
    assert [view.history.index(0, at).data() for at in (1, 2)] == ["ana", "claim"]
    view.rows.clearSelection()
    work.until(lambda: view.events.rowCount() == 0 and view.history.rowCount() == 0)


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("alert", "WHERE ip = 10.0.0.2 AND DURING event(200) -10m..+10m"),
        ("watch", "WHERE ip = 10.0.0.2 AND DURING '2004-07-26 17:41:10' -10m..+10m"),
    ],
)
def test_enter_asks_for_the_sessions_around_it(work: Desk, fake: FakeServer, source: str, asked: str) -> None:
    put(work, fake, queue_row(2, source=source))
    work.key(Key.Key_Return)
    work.until(lambda: not work.window.tabs.place_in_front)
    work.answered()
    assert fake.asked == [asked]


def test_one_of_its_events_is_asked_about(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 2)
    work.until(lambda: view.events.rowCount() == 2)
    view.events_view.setFocus()
    view.events_view.setCurrentIndex(view.events.index(0, 0))
    work.key(Key.Key_Return)
    work.until(lambda: fake.asked == ["WHERE ip = 10.0.0.2 AND DURING event(199) -10m..+10m"])


def test_a_viewer_sees_and_is_told_why_nothing_is_done(desk: Desk, fake: FakeServer) -> None:
    fake.role = "viewer"
    desk.log_in("vic", "good")
    view = filled(desk, fake, 1)
    assert view.notice.isVisible() and view.notice.text().startswith("Your role is viewer")
    for key in (Key.Key_F1, Key.Key_F9, Key.Key_C):
        desk.key(key)
        assert view.said.text().startswith("Your role is viewer") and not view.comment.isVisible()
    assert not fake.queue.acts and numbers(view) == [1]


def test_a_lost_connection_keeps_the_rows_and_says_so(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2, 3)
    fake.queue.holding = True
    work.key(Key.Key_F1)
    fake.link.change(LinkPhase.LOST, "no server answers")
    work.until(view.notice.isVisible)
    assert "Not connected: this is the queue as it was last told" in view.notice.text() and numbers(view) == [3, 2, 1]
    assert "whether it was done shows once it is back" in view.said.text()
    work.key(Key.Key_F2)
    assert "Not connected: nothing was done." in view.said.text() and len(fake.queue.acts) == 1
    view.rows.select(2)
    work.until(lambda: view.events.rowCount() == 0 and view.events_view.nothing.startswith("Not connected"))
    fake.queue.holding = False
    del fake.queue.rows[1]
    fake.queue.other(2, 3)
    fake.link.change(LinkPhase.ONLINE, "connected")
    work.until(lambda: numbers(view) == [3])
    assert not view.notice.isVisible()
    fake.queue.put(queue_row(9))
    work.until(lambda: numbers(view) == [9, 3])


def test_a_queue_that_cannot_be_told_says_so(desk: Desk, fake: FakeServer) -> None:
    fake.queue.failure = "this token may not do that"
    desk.log_in("ana", "good")
    desk.key(Key.Key_R, CONTROL)
    view = desk.window.queue
    desk.until(view.notice.isVisible)
    assert view.notice.text() == "The queue cannot be shown: this token may not do that."


def test_the_server_asks_to_ask_again(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1)
    fake.queue.rows = {number: queue_row(number) for number in range(5, 8)}
    assert fake.queue.tell is not None
    fake.queue.tell(QueueChanged((), True))
    work.until(lambda: numbers(view) == [7, 6, 5])


def test_sorting_filtering_and_escape(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 2, 9, 10, 20)
    header = view.rows.horizontalHeader()

    def click(title: str) -> None:
        at = TITLES.index(title)
        place = QPoint(header.sectionViewportPosition(at) + 8, header.height() // 2)
        QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    click("CNT")
    assert numbers(view) == [20, 10, 9, 2] and header.model().headerData(1, Qt.Orientation.Horizontal) == "CNT ▾"
    click("CNT")
    assert numbers(view) == [2, 9, 10, 20]
    click("Source")
    assert numbers(view) == [2, 9, 10, 20], "as addresses, not as words"
    click("Source")
    click("Source")
    assert numbers(view) == [20, 10, 9, 2] and view.table.by == "raised"
    work.key(Key.Key_F, CONTROL)
    work.type("worm 0.20")
    assert numbers(view) == [20] and view.state.whole == "1 of 4 rows have these words"
    work.key(Key.Key_Return)
    work.key(Key.Key_Down)
    work.key(Key.Key_F8)
    work.until(lambda: not numbers(view))
    assert view.rows.nothing.startswith("No row has these words.")
    work.key(Key.Key_Escape)
    assert numbers(view) == [10, 9, 2] and work.focus is view.rows


def test_closed_rows_are_fetched_when_they_are_looked_at(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    fake.queue.other(2, 7)
    work.until(lambda: numbers(view) == [1])
    view.lists.setCurrentIndex(2)
    work.until(lambda: numbers(view) == [2])
    assert (cells(view, 0)["ST"], cells(view, 0)["By"]) == ("Cat VII", "bob")
    fake.queue.other(1, 8)
    work.until(lambda: numbers(view) == [2, 1])
    view.lists.setCurrentIndex(0)
    work.until(lambda: len(view.desk.rows) == 0)


def test_a_row_out_of_sight_is_shown_before_a_key_disposes_of_it(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, *range(1, 200))
    assert chosen(view) == [199]
    view.rows.verticalScrollBar().setValue(view.rows.verticalScrollBar().maximum())
    work.key(Key.Key_F8)
    assert not fake.queue.acts and "out of sight" in view.said.text() and view.rows.in_sight()
    work.key(Key.Key_F8)
    assert len(fake.queue.acts) == 1


def test_more_than_one_message_holds_is_refused_whole(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, *range(1, MAX_QUEUE_ROWS + 2))
    view.rows.selectAll()
    work.key(Key.Key_F8)
    assert not fake.queue.acts and view.said.text().startswith(f"At most {MAX_QUEUE_ROWS} rows at a time; 501")


def test_what_others_wrote_is_shown_as_text(work: Desk, fake: FakeServer) -> None:
    view = put(work, fake, queue_row(1, text="<b>x</b>\x1b[2J\n"))
    assert cells(view, 0)["Message"] == r"<b>x</b>\x1b[2J\n"
    work.key(Key.Key_C, CONTROL)
    assert len(work.clipboard.splitlines()) == 2


def test_the_menu_of_a_row_does_what_its_keys_do(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    at = view.rows.visualRect(view.table.index(1, 2)).center()
    view.rows.open_menu(view.rows.viewport().mapToGlobal(at))
    menu = view.rows.menu
    assert menu is not None
    titles = [action.text().replace("&", "") for action in menu.actions() if action.text()]
    assert titles[1] == "Cat I (unauthorised administrator's access)\tF1" and titles[8:10] == [
        "No action\tF8", "Escalate ...\tF9",
    ]  # fmt: skip
    next(action for action in menu.actions() if action.text().endswith("F7")).trigger()
    menu.close()
    work.until(lambda: numbers(view) == [1])
    assert fake.queue.acts[0].status == 7


def test_another_account_sees_nothing_of_the_queue_before_it(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 1, 2)
    work.key(Key.Key_F1)
    work.until(lambda: numbers(view) == [1])
    work.window.log_out()
    assert not numbers(view) and work.window.tabs.tabText(0) == "Queue"
    work.log_in("bob", "good")
    work.until(lambda: numbers(view) == [1])
    opened(work)
    work.key(Key.Key_Z, CONTROL)
    said(work, view, "Nothing was done here")


def test_the_queue_is_in_front_again_after_a_restart(
    work: Desk, fake: FakeServer, qtbot: QtBot, tmp_path: "object", request: pytest.FixtureRequest
) -> None:
    filled(work, fake, 1)
    work.console.close()
    again = Desk(qtbot, Console(JOIN, request.getfixturevalue("tmp_path"), fake))
    again.open()
    again.log_in("ana", "good")
    assert again.window.tabs.place_in_front
    again.until(again.window.queue.rows.hasFocus)
    again.key(Key.Key_W, CONTROL)
    assert again.window.tabs.place_in_front, "it cannot be closed"
    again.window.tabs.tabBar().moveTab(0, 1)
    assert again.window.tabs.indexOf(again.window.queue) == 0, "nor moved"
    again.console.close()


def test_colours_follow_the_theme(work: Desk, fake: FakeServer) -> None:
    view = filled(work, fake, 3)

    def painted() -> set[str]:
        """Colours of the first cell, what is behind its text and lines of it that are as wide as a pixel."""
        image = view.rows.viewport().grab().toImage()
        area = view.rows.visualRect(view.table.index(0, 0))
        return {image.pixelColor(x, y).name() for x in range(area.left(), area.right()) for y in range(area.height())}

    view.rows.setFocus()
    for theme in (DARK, LIGHT):
        assert LOOK.colours is theme and {theme.selected, theme.accent} <= painted()
        view.rows.clearSelection()
        assert theme.selected not in painted()
        view.rows.select(0)
        work.key(Key.Key_L, CONTROL | SHIFT)
        view.rows.setFocus()


def test_it_is_a_right_model(work: Desk, fake: FakeServer) -> None:
    view = opened(work)
    mode = QAbstractItemModelTester.FailureReportingMode.Fatal
    testers = [QAbstractItemModelTester(model, mode, model) for model in (view.table, view.events, view.history)]
    steps: list[Callable[[], None]] = [
        lambda: fake.queue.put(*(queue_row(number) for number in range(1, 40))),
        lambda: fake.queue.put(*(replace(fake.queue.rows[number], raised=queue_row(100 - number).raised)
                                 for number in range(1, 40, 3))),
        lambda: fake.queue.put(*(replace(fake.queue.rows[number], status=number % 2) for number in range(1, 40)),
                               queue_row(50)),
        lambda: fake.queue.put(*(queue_row(number) for number in range(200, 700, 2))),
    ]  # fmt: skip
    for step in steps:
        step()
        expected = sum(row.status == 0 for row in fake.queue.rows.values())
        work.until(lambda expected=expected: view.table.rowCount() == expected)  # type: ignore[misc]
        view.rows.select(view.table.rowCount() // 2)
        work.until(lambda: view.events.rowCount() > 0)
        view.table.sort_by(1)
    view.rows.clearSelection()
    work.until(lambda: view.events.rowCount() == 0)
    assert len(testers) == 3
