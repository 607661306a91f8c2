"""The table: selection, copies, sorting, columns, and the menu on a value; with keys, and with the mouse."""

import csv
import io

import numpy as np
from helpers.desk import CONTROL, SHIFT, Desk, Key, Modifier
from helpers.fake_link import FakeServer, mapped, sessions
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QFontMetricsF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from afterfact_client.console.models.session_table import ABSENT
from afterfact_client.console.views.session_view import PAD
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.columns import DEFAULT
from afterfact_client.state.result import LOCAL_ROWS

LEFT = Qt.MouseButton.LeftButton


def test_one_cell_is_copied_bare_and_more_with_a_header(work: Desk) -> None:
    work.ask("port = 1034")
    work.go_to(2, "src_ip")
    work.key(Key.Key_C, CONTROL)
    assert work.clipboard == "10.0.0.2"
    assert work.window.summary.whole == "Copied 10.0.0.2"
    work.key(Key.Key_Right, SHIFT)
    work.key(Key.Key_Down, SHIFT)
    work.key(Key.Key_C, CONTROL)
    work.until(lambda: work.clipboard.startswith("src_ip"))
    assert work.clipboard == "src_ip\tsrc_port\n10.0.0.2\t1026\n10.0.0.3\t1027\n"


def test_whole_rows_as_csv(work: Desk) -> None:
    work.ask("port = 1034")
    work.go_to(6, "dst_ip")
    work.key(Key.Key_Space, SHIFT)
    work.key(Key.Key_C, CONTROL | SHIFT)
    work.until(lambda: work.clipboard.startswith("sensor,"))
    header, row = csv.reader(io.StringIO(work.clipboard))
    assert header == list(DEFAULT)
    assert dict(zip(header, row, strict=True))["start_time"] == "2004-07-26T17:37:43.000000Z"
    assert dict(zip(header, row, strict=True))["outcome"] == "both_ways"


def test_everything_is_copied_though_most_is_not_loaded(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(LOCAL_ROWS + 1000)
    work.ask("port = 1034")
    work.tab.answer.show_columns(["src_ip", "src_port"])
    work.go_to(0, "src_ip")
    work.key(Key.Key_A, CONTROL)
    work.key(Key.Key_C, CONTROL)
    work.until(lambda: work.clipboard.count("\n") == LOCAL_ROWS + 1001)
    lines = work.clipboard.splitlines()
    assert lines[0] == "src_ip\tsrc_port" and lines[-1] == "10.0.82.7\t" and lines[-2] == "10.0.82.6\t22022"


def test_more_than_a_clipboard_takes_is_refused_with_the_way_to_do_it(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(200_000)
    work.ask("port = 1034")
    work.go_to(0, "src_ip")
    work.key(Key.Key_A, CONTROL)
    work.key(Key.Key_C, CONTROL)
    assert work.window.summary.whole.startswith("Not copied: 200,000 rows are more than the 100,000")
    assert "afterfact query --format csv" in work.window.summary.whole


def test_a_whole_result_is_sorted_here(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(20)
    work.ask("port = 1034")
    as_given = work.cells("src_bytes")
    work.click_header("src_bytes")
    numbers = [int(text.replace(",", "")) for (text,) in work.cells("src_bytes")]
    assert numbers == sorted(numbers, reverse=True), "numbers: the largest first"
    assert work.tab.answer.table.headerData(DEFAULT.index("src_bytes"), Qt.Orientation.Horizontal) == "S Bytes ▾"
    work.click_header("src_bytes")
    numbers = [int(text.replace(",", "")) for (text,) in work.cells("src_bytes")]
    assert numbers == sorted(numbers)
    work.click_header("src_bytes")
    assert work.cells("src_bytes") == as_given
    work.click_header("src_port")
    assert [text for (text,) in work.cells("src_port")][-2:] == [ABSENT, ABSENT], "what is not known comes last"
    assert fake.asked == ["port = 1034"]


def test_a_cut_off_result_is_asked_for_in_the_new_order(work: Desk, fake: FakeServer) -> None:
    fake.changes = {"truncated": True}
    work.ask("WHERE port = 1034 LIMIT 8")
    work.click_header("src_bytes")
    work.answered()
    assert fake.asked[-1] == "WHERE port = 1034 ORDER BY src_bytes DESC LIMIT 8"
    assert work.tab.editor.text == fake.asked[-1]
    assert work.tab.answer.table.headerData(DEFAULT.index("src_bytes"), Qt.Orientation.Horizontal) == "S Bytes ▾"
    work.click_header("src_bytes")
    work.answered()
    assert fake.asked[-1] == "WHERE port = 1034 ORDER BY src_bytes LIMIT 8"
    assert work.tab.state.trail.texts[0] == "WHERE port = 1034 LIMIT 8", "back undoes it"


def test_columns_are_hidden_shown_and_moved_in_all_tabs(work: Desk) -> None:
    work.ask("port = 1034")
    other = work.window.new_tab()
    work.window.tabs.setCurrentIndex(2)
    ticks = {action.text(): action for action in work.window.columns_menu.actions()}
    work.window.columns_menu.aboutToShow.emit()
    assert ticks["Src IP  (src_ip)"].isChecked() and not ticks["History  (history)"].isChecked()
    ticks["Session ID  (session_id)"].trigger()
    ticks["History  (history)"].trigger()
    names = [column.name for column in work.tab.answer.table.columns]
    assert "session_id" not in names and names[-1] == "history"
    assert work.cells("history")[0] == ("S",)
    header = work.tab.answer.view.horizontalHeader()
    header.moveSection(header.visualIndex(names.index("outcome")), 0)
    assert [column.name for column in work.tab.answer.table.columns][:2] == ["outcome", "sensor"]
    assert [column.name for column in other.answer.table.columns] == [
        column.name for column in work.tab.answer.table.columns
    ]
    assert work.window.preferences.columns[0] == "outcome"
    assert header.visualIndex(0) == 0, "the header and the model agree again"
    ticks["Standard columns"].trigger()
    assert tuple(work.window.preferences.columns) == DEFAULT


def test_a_width_set_by_hand_stays(work: Desk) -> None:
    work.ask("port = 1034")
    work.tab.answer.view.horizontalHeader().resizeSection(DEFAULT.index("src_ip"), 222)
    work.ask("port = 1035")
    assert work.tab.answer.view.columnWidth(DEFAULT.index("src_ip")) == 222


def test_every_text_fits_its_column(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(40)
    fake.rows["dst_ip"] = np.frombuffer(bytes.fromhex("20010db8111122223333444455556666"), "V16")
    work.ask("port = 1034")
    view, model = work.tab.answer.view, work.tab.answer.table
    for column in range(model.columnCount()):
        for row in range(model.rowCount()):
            wanted = QFontMetricsF(LOOK.mono).horizontalAdvance(model.index(row, column).data())
            assert view.columnWidth(column) >= wanted + 2 * PAD - 0.5, model.columns[column].name


def infected(fake: FakeServer) -> None:
    """1.2.3.4:47317 calls 16.133.77.85:1034."""
    fake.rows = sessions(8)
    fake.rows["src_ip"] = np.frombuffer(mapped(1, 2, 3, 4), "V16")[0]


def test_the_menu_asks_around_the_value_in_the_same_tab(work: Desk, fake: FakeServer) -> None:
    infected(fake)
    work.ask("WHERE start_time > '2004-07-20' AND port = 1034 LIMIT 500")
    work.go_to(0, "dst_port")
    work.key(Key.Key_Return)
    work.choose("connections to 1.2.3.4:1034")
    work.answered()
    assert fake.asked[-1] == "WHERE start_time > '2004-07-20' AND dst_ip = 1.2.3.4 AND dst_port = 1034"
    assert work.tab.editor.text == fake.asked[-1]
    assert len(work.tab.state.trail.texts) == 2 and len(work.window.tabs.attached()) == 1


def test_with_control_it_asks_in_a_new_tab(work: Desk, fake: FakeServer) -> None:
    infected(fake)
    work.ask("port = 1034")
    work.go_to(0, "src_ip")
    work.key(Key.Key_Return)
    work.choose("1.2.3.4 as destination", CONTROL)
    work.until(lambda: len(work.window.tabs.attached()) == 2)
    work.answered()
    assert fake.asked[-1] == "WHERE dst_ip = 1.2.3.4"
    assert work.window.all_tabs()[0].editor.text == "port = 1034"


def test_right_click_is_on_the_cell_under_the_mouse(work: Desk, fake: FakeServer) -> None:
    infected(fake)
    work.ask("port = 1034")
    place = work.cell_place(3, "dst_ip")
    viewport = work.tab.answer.view.viewport()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, viewport.mapToGlobal(place))
    QApplication.sendEvent(viewport, event)
    labels = [action.text().replace("&", "") for action in work.menu().actions()]
    assert "16.133.77.85 as destination" in labels and "Hold Ctrl to ask in a new tab" in labels
    assert work.tab.answer.view.currentIndex().row() == 3
    work.choose("AND NOT dst_ip = 16.133.77.85")
    work.answered()
    assert fake.asked[-1] == "WHERE port = 1034 AND NOT dst_ip = 16.133.77.85"


def test_the_menu_key_and_copy_value(work: Desk) -> None:
    work.ask("port = 1034")
    work.go_to(1, "src_ip")
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(), QPoint())
    QApplication.sendEvent(work.tab.answer.view.viewport(), event)
    work.choose("Copy value")
    assert work.clipboard == "10.0.0.1"


def test_what_the_menu_replaces_is_kept_in_the_history(work: Desk) -> None:
    work.ask("port = 1034")
    work.write("half a thought")
    work.go_to(0, "dst_ip")
    work.key(Key.Key_Return)
    work.choose("16.133.77.85, either side")
    work.answered()
    assert "half a thought" in [asked.text for asked in work.window.history.entries]


def test_keys_walk_between_query_and_table(work: Desk) -> None:
    work.ask("port = 1034")
    work.key(Key.Key_J, CONTROL)
    assert work.focus is work.tab.answer.view
    work.key(Key.Key_Down)
    assert work.tab.answer.view.currentIndex().row() == 1
    work.key(Key.Key_L, CONTROL)
    assert work.focus is work.tab.editor


def test_function_keys_do_nothing_here(work: Desk, fake: FakeServer) -> None:
    """F1 to F9 are Sguil's categories and belong to a queue alone."""
    work.ask("port = 1034")
    work.go_to(0, "src_ip")
    before = (work.tab.editor.text, len(fake.asked), len(work.window.tabs.attached()), work.window.summary.whole)
    for key in range(int(Key.Key_F1), int(Key.Key_F9) + 1):
        work.key(Key(key))
    assert (
        work.tab.editor.text,
        len(fake.asked),
        len(work.window.tabs.attached()),
        work.window.summary.whole,
    ) == before


def test_rows_select_by_their_numbers(work: Desk) -> None:
    work.ask("port = 1034")
    numbers = work.tab.answer.view.verticalHeader()
    for row, modifiers in ((1, Modifier.NoModifier), (3, CONTROL)):
        place = QPoint(5, numbers.sectionViewportPosition(row) + 5)
        QTest.mouseClick(numbers.viewport(), LEFT, modifiers, place)
    assert work.tab.answer.view.selected_cells() == ([(1, 1), (3, 3)], list(range(len(DEFAULT))))


def test_several_columns_are_sorted_by_the_server(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1034 LIMIT 50")
    work.go_to(0, "sensor")
    work.key(Key.Key_S)
    assert fake.asked == ["port = 1034 LIMIT 50"], "a whole result by one column is sorted here"
    work.go_to(0, "src_bytes")
    work.key(Key.Key_S, SHIFT)
    work.answered()
    work.go_to(0, "sensor")
    work.key(Key.Key_S, SHIFT)
    work.answered()
    assert fake.asked[1:] == [
        "port = 1034 ORDER BY sensor, src_bytes DESC LIMIT 50",
        "port = 1034 ORDER BY sensor DESC, src_bytes DESC LIMIT 50",
    ]  # fmt: skip
    titles = [work.tab.answer.table.title(at) for at in range(len(DEFAULT))]
    assert titles[DEFAULT.index("sensor")] == "Sensor ▾1" and titles[DEFAULT.index("src_bytes")] == "S Bytes ▾2"
