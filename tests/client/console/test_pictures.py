"""The timeline and the most frequent values: real drags, clicks and keys."""

from helpers.desk import CONTROL, SHIFT, Desk, Key, Modifier
from helpers.fake_link import SECOND, START, FakeServer, covered, sessions
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from afterfact_client.state.result import LOCAL_ROWS
from afterfact_protocol.messages import Failed

LEFT = Qt.MouseButton.LeftButton


def test_a_drag_asks_again_for_that_time(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(200)
    gap = (START - 150 * SECOND, START - 100 * SECOND)
    fake.changes = {"coverage": (covered("border", gap),), "span_start": START - 199 * SECOND}
    work.ask("WHERE port = 1034 LIMIT 500")
    view = work.tab.answer.pictures.timeline
    counts = view.timeline
    assert view.isVisible() and counts is not None and counts.counts.sum() == 200 and counts.step == SECOND
    assert [gap.sensor for gap in view.gaps] == ["border"]
    assert "border did not watch all of it" in view.told(50, 60) and "6 sessions" in view.told(0, 5)
    first, last = (START - ago * SECOND + SECOND // 2 for ago in (120, 80))  # the middles of their steps
    y = view.height() // 2
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(view.x_of(first), y))
    QTest.mouseMove(view, QPoint(view.x_of(last), y))
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(view.x_of(last), y))
    work.answered()
    assert fake.asked[-1] == (
        "WHERE port = 1034 AND start_time >= '2004-07-26 17:35:49' AND start_time < '2004-07-26 17:36:30' LIMIT 500"
    )


def test_keys_choose_a_time_too(work: Desk, fake: FakeServer) -> None:
    fake.changes = {"span_start": START - 7 * SECOND}
    work.ask("port = 1034")
    view = work.tab.answer.pictures.timeline
    view.setFocus()
    work.key(Key.Key_Right)
    work.key(Key.Key_Right, SHIFT)
    assert view.chosen == (0, 1) and "session" in view.accessibleDescription()
    work.key(Key.Key_Return)
    work.answered()
    assert "start_time >= '2004-07-26 17:37:42' AND start_time < '2004-07-26 17:37:42.1'" in fake.asked[-1]


def test_it_is_stacked_hidden_and_shown_in_all_tabs(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034")
    view = work.tab.answer.pictures.timeline
    view.choice.actions()[1].trigger()
    assert view.timeline is not None and view.timeline.groups == ("border", "inside", "others")
    assert work.window.preferences.stacked_by == "sensor"
    work.key(Key.Key_G, CONTROL)
    assert not view.isVisible() and not work.window.preferences.timeline_shown
    work.key(Key.Key_G, CONTROL)
    assert view.isVisible()


def test_the_server_counts_the_timeline_of_a_result_that_is_not_here_whole(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(LOCAL_ROWS + 1)
    fake.changes = {"span_start": START - 30_000 * SECOND}
    fake.holding_pages = fake.holding_counts = True
    work.ask("port = 1034 ORDER BY src_bytes LIMIT 30000")
    view = work.tab.answer.pictures.timeline
    work.until(lambda: bool(fake.pulled))
    assert not fake.counted and view.timeline is None  # the rows come first
    fake.holding_pages = False
    fake.link.release_pages()
    work.until(lambda: bool(fake.counted))
    fake.link.progress(5_000)
    work.until(lambda: view.words == "Counting all that match ... 5,000 rows read")
    assert view.timeline is None and len(fake.asked) == 1
    fake.holding_counts = False
    fake.link.release()
    work.until(lambda: view.timeline is not None)
    assert fake.counted == ["WHERE port = 1034 | count BY outcome EVERY 5m"]
    assert view.timeline is not None and view.timeline.counts.sum() == 20_001 and view.timeline.step == 300 * SECOND
    assert view.words == "of all 20,001 sessions that match;" and view.button.isVisible()
    view.choice.actions()[2].trigger()
    work.until(lambda: view.timeline is not None and view.by == "port")
    assert fake.counted[1:] == ["WHERE port = 1034 | count BY dst_port EVERY 5m TOP 6"]
    assert view.timeline.groups == ("port 1034", "none, or others")
    assert view.timeline.counts.sum(axis=1).tolist() == [18_001, 2_000]


def test_sessions_in_a_small_part_of_the_time_are_counted_finer(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(LOCAL_ROWS + 1)
    fake.changes = {"span_start": START - 900 * 86_400 * SECOND}
    work.ask("port = 1034")
    view = work.tab.answer.pictures.timeline
    work.until(lambda: view.timeline is not None)
    assert [text.rpartition(" ")[2] for text in fake.counted] == ["7d", "1h", "2m"]
    assert view.timeline is not None and view.timeline.counts.sum() == 20_001 and view.timeline.steps == 167


def test_counting_stops_for_another_query_and_says_why_it_failed(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(LOCAL_ROWS + 1)
    fake.holding_counts = True
    work.ask("port = 1034")
    work.until(lambda: len(fake.counted) == 1)
    counting = work.tab.answer.pictures.counts
    assert counting.running
    fake.holding = True
    work.tab.ask("port = 1035")
    assert not counting.running  # before the other is answered
    fake.holding, fake.holding_counts = False, False
    fake.counts_failure = Failed(0, "busy", "too many rows", -1, -1)
    fake.link.release()
    view = work.tab.answer.pictures.timeline
    work.until(lambda: view.words == "No timeline: too many rows")
    assert view.timeline is None and fake.counted[-1].startswith("WHERE port = 1035 | count")
    fake.counts_failure = None
    work.key(Key.Key_G, CONTROL)
    work.key(Key.Key_G, CONTROL)  # shown again, it is asked again
    work.until(lambda: view.timeline is not None)


def test_a_result_that_is_cut_off_says_so(work: Desk, fake: FakeServer) -> None:
    pictures = work.tab.answer.pictures
    fake.changes = {"truncated": True, "limit": 8}
    work.ask("port = 1035")
    assert pictures.timeline.words == "of the 8 sessions shown; more match;"


def test_a_click_on_a_frequent_value_filters(work: Desk, fake: FakeServer) -> None:
    work.key(Key.Key_G, CONTROL | SHIFT)
    work.ask("WHERE port = 1034 LIMIT 500")
    bars = work.tab.answer.pictures.tops.lists["sensor"]
    assert [(top.text, top.count) for top in bars.tops] == [("border", 4), ("inside", 4)]
    QTest.mouseClick(bars, LEFT, Modifier.NoModifier, bars.place(1).center())
    work.answered()
    assert fake.asked[-1] == "WHERE port = 1034 AND sensor = 'inside' LIMIT 500"
    QTest.mouseClick(bars, LEFT, SHIFT, bars.place(0).center())
    work.answered()
    assert fake.asked[-1] == "WHERE port = 1034 AND sensor = 'inside' AND NOT sensor = 'border' LIMIT 500"
    work.tab.answer.pictures.tops.lists["dst_port"].setFocus()
    work.key(Key.Key_Down)
    work.key(Key.Key_Return)
    work.answered()
    assert " AND dst_port = 1034 LIMIT 500" in fake.asked[-1]
