"""Named sets and shared exclusions at the console: completed, listed, added to; what was left out is said."""

from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import START, FakeServer, covered
from helpers.fake_shared import exclusion, set_info
from PySide6.QtGui import QAction
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QMenu

from afterfact_client.console.views.exclusions_window import ExclusionsWindow
from afterfact_client.console.views.list_window import ListWindow
from afterfact_client.console.views.sets_window import SetsWindow
from afterfact_protocol.messages import CombineSets, Failed, LeftOut, PutSet, SaveExclusion, SaveSet
from afterfact_protocol.sets import read_value

WEB = exclusion("web", "port IN (80, 443)")
SCAN = exclusion("scan", "src_ip = 10.9.9.9", by="<bob>", expires=START * 3)


def sets(work: Desk, fake: FakeServer) -> SetsWindow:
    work.key(Key.Key_S, CONTROL | SHIFT)
    window = work.window.keep.sets_window
    assert window is not None
    work.until(lambda: window.isVisible() and window.model.rowCount() == len(fake.shared.sets))
    return window


def exclusions(work: Desk, fake: FakeServer) -> ExclusionsWindow:
    work.key(Key.Key_X, CONTROL | SHIFT)
    window = work.window.keep.exclusions_window
    assert window is not None
    work.until(lambda: window.isVisible() and window.model.rowCount() == len(fake.shared.exclusions))
    return window


def cells(window: ListWindow, row: int) -> list[str]:
    return [window.model.index(row, at).data() for at in range(window.model.columnCount())]


def offered(work: Desk) -> list[str]:
    found = work.tab.completion.list
    return [found.item(at).text().split(" ")[0] for at in range(found.count())] if found.isVisible() else []


def offers(work: Desk) -> list[QAction]:
    """What the current cell's menu offers of sets."""
    work.tab.answer.view.setFocus()
    if work.tab.answer.menu is not None:
        work.key(Key.Key_Escape)
        work.until(lambda: work.tab.answer.menu is None)
    work.key(Key.Key_Return)
    (into,) = [action.menu() for action in work.menu().actions() if action.text() == "Add to a &set"]
    assert isinstance(into, QMenu)
    return into.actions()


def test_names_are_completed_as_other_consoles_change_them(work: Desk, fake: FakeServer) -> None:
    fake.shared.put(set_info("infected"), set_info("ports", kind="port"))
    fake.shared.exclusions["web"] = WEB
    work.write("src_ip IN @")
    work.until(lambda: offered(work) == ["@infected"])
    fake.shared.put(set_info("resolvers"))
    work.window.shared.look()
    work.until(lambda: offered(work) == ["@infected", "@resolvers"])
    work.key(Key.Key_Down)
    work.key(Key.Key_Return)
    assert work.tab.editor.text == "src_ip IN @infected"
    work.type(" EXCLUDING w")
    work.until(lambda: offered(work) == ["web"])


def test_sets_are_listed_asked_combined_and_deleted(work: Desk, fake: FakeServer) -> None:
    live = set_info("talkers", live=True, number=3, query="last 1h | and <b>", note="seen")
    fake.shared.put(set_info("infected"), live, set_info("ports", kind="port", query="", note="from a list", count=1))
    fake.shared.values["infected"] = read_value("address", "10.1.2.3") + read_value("address", "10.9.0.0/16")
    window = sets(work, fake)
    QAbstractItemModelTester(window.model, QAbstractItemModelTester.FailureReportingMode.Fatal, window.model)
    assert cells(window, 0) == ["@infected", "5 addresses", "frozen", "1", "ana", "2004-07-27 06:02:00",
                                "src_ip of port = 1034"]  # fmt: skip
    assert cells(window, 1)[1:] == ["1 port", "frozen", "1", "ana", "2004-07-27 06:02:00", "from a list"]
    assert cells(window, 2)[2] == "live"
    assert [window.other.itemText(at) for at in range(window.other.count())] == ["@talkers"], "of its kind alone"
    QTest.keyClick(window.table, Key.Key_V)
    work.until(lambda: "  10.1.2.3  # patient zero" in window.details.toPlainText())
    assert "10.9.0.0/16" in window.details.toPlainText() and "save by ana: 5 addr" in window.details.toPlainText()
    window.how.setCurrentIndex(1)
    assert window.ask_both.isVisible() and window.name.isVisible()
    window.ask_both.click()
    work.answered()
    window.activateWindow()
    work.until(window.isActiveWindow)
    window.name.setText("Both 1")
    assert not window.save_both.isEnabled()
    window.name.setText("@Both")
    window.save_both.click()
    work.until(lambda: window.said.text() == "@both holds the values of @infected & @talkers.")
    work.until(lambda: window.model.rowCount() == 4)
    assert CombineSets(0, "both", "infected", "&", "talkers") in fake.shared.asked
    assert window.item.name == "infected", "the selected one stays selected"
    QTest.keyClick(window.table, Key.Key_Delete)
    assert "Once more deletes @infected" in window.said.text() and "infected" in fake.shared.sets
    fake.shared.failure = Failed(0, "request", "@infected cannot be deleted: exclusion web rests on it", -1, -1)
    QTest.keyClick(window.table, Key.Key_Delete)
    work.until(lambda: "exclusion web rests on it" in window.said.text())
    fake.shared.failure = None
    QTest.keyClick(window.table, Key.Key_Delete)
    QTest.keyClick(window.table, Key.Key_Delete)
    work.until(lambda: "infected" not in [one.name for one in window.model.items])
    QTest.keyClick(window.table, Key.Key_Return)
    work.answered()
    assert fake.asked == ["WHERE ip IN @infected & @talkers", "WHERE ip IN @both"]


def test_values_columns_and_rows_are_added_to_sets(work: Desk, fake: FakeServer) -> None:
    fake.shared.put(set_info("infected"), set_info("live", live=True), set_info("ports", kind="port"))
    work.window.shared.sets.refresh()
    work.ask("port = 1034")
    work.until(lambda: len(work.window.shared.sets.items) == 3)
    work.go_to(0, "src_ip")
    for _ in range(2):
        work.key(Key.Key_Down, SHIFT)
    work.until(lambda: work.window.summary.whole.startswith("Selected 3"))  # later it would stand over other words
    assert [action.text() for action in offers(work)] == [
        "3 addresses to @infected", "3 addresses to a new set ...", "src_ip of all that this query finds ...",
        "The 3 sessions selected ...", "All sessions that this query finds ...",
    ]  # fmt: skip
    offers(work)[0].trigger()
    work.until(lambda: work.window.summary.whole == "Added 3 addresses to @infected")
    put = next(one for one in fake.shared.asked if isinstance(one, PutSet))
    assert (put.name, put.mode) == ("infected", "add")
    assert put.values == b"".join(read_value("address", f"10.0.0.{n}") for n in range(3))
    offers(work)[2].trigger()
    dialog = work.tab.answer.rows.sets.dialog
    assert dialog is not None and not dialog.button.isEnabled()
    QTest.keyClicks(dialog.name, "Infected")
    assert dialog.said.text().startswith("There is @infected already, 8 addresses, by ana")
    fake.shared.failure = Failed(0, "request", "there is a set @infected, by ana", -1, -1)
    QTest.keyClick(dialog.name, Key.Key_Return)
    work.until(lambda: dialog.said.text() == "there is a set @infected, by ana")
    fake.shared.failure = None
    dialog.live.setChecked(True)
    dialog.replace.setChecked(True)
    QTest.keyClick(dialog.name, Key.Key_Return)
    work.until(lambda: work.tab.answer.rows.sets.dialog is None)
    saved = [one for one in fake.shared.asked if isinstance(one, SaveSet)]
    assert saved[-1] == SaveSet(0, "infected", "port = 1034", "src_ip", True, True, "")
    work.return_to_window()
    offers(work)[1].trigger()
    closed = work.tab.answer.rows.sets.dialog
    assert closed is not None
    closed.name.setText("late")
    fake.shared.holding = True
    closed.button.click()
    closed.reject()
    work.until(lambda: work.tab.answer.rows.sets.dialog is None)
    fake.shared.release()
    work.until(lambda: "late" in [one.name for one in work.window.shared.sets.items])
    work.return_to_window()
    offers(work)[-2].trigger()
    rows = work.tab.answer.rows.sets.dialog
    assert rows is not None and rows.of.toPlainText().count("session_id = ") == 3
    rows.reject()


def test_what_was_left_out_is_said_counted_shown_and_asked_with(work: Desk, fake: FakeServer) -> None:
    fake.changes = {"exclusions": (SCAN, WEB), "by_default": True, "notes": ("LEFT OUT by default; ...", "late")}
    text = "port = 1034 ORDER BY src_ip LIMIT 5"
    work.ask(text)
    line = work.tab.answer.notes.left_out
    assert line.isVisible() and line.words.startswith(
        "Left out by default: scan (src_ip = 10.9.9.9; by <bob>, until 2073-09-14 04:53) | "
        "web (port IN (80, 443); by ana)"
    )
    assert "&lt;bob&gt;" in line.text() and work.tab.answer.notes.texts[0] == "late.", "each is said once"
    shown = "port = 1034 AND port IN (80, 443) EXCLUDING NONE"
    fake.shared.removed = (LeftOut("scan", 0, ""), LeftOut("web", 48_210, f"WHERE {shown}"))
    line.follow("count")
    work.until(lambda: "web (port IN (80, 443); by ana): 48,210" in line.words)
    assert "see:0" not in line.text() and "see:1" in line.text(), "there is nothing to see of scan"
    line.follow("see:1")
    work.answered()
    work.window.tabs.close_tab(work.window.tabs.currentIndex())
    work.window.tab.answer.notes.left_out.follow("without:0")
    work.answered()
    work.tab.step(-1)
    work.tab.answer.notes.left_out.follow("all")
    work.answered()
    assert fake.asked[1:] == [
        f"WHERE {shown}", "port = 1034 EXCLUDING web ORDER BY src_ip LIMIT 5",
        "port = 1034 EXCLUDING NONE ORDER BY src_ip LIMIT 5",
    ]  # fmt: skip
    fake.changes = {"coverage": (covered("border"),)}
    work.ask("port = 1")
    assert not work.tab.answer.notes.left_out.isVisible()


def test_exclusions_are_made_of_a_query_and_ended(work: Desk, fake: FakeServer) -> None:
    fake.shared.exclusions = {"old": exclusion("old", "port = 53", expires=START, by_default=False)}
    work.write("port IN (80, 443) AND start_time > '2004-07-20' LIMIT 5")
    work.window.keep.share_exclusion()
    window = exclusions(work, fake)
    QAbstractItemModelTester(window.model, QAbstractItemModelTester.FailureReportingMode.Fatal, window.model)
    assert cells(window, 0)[:3] == ["old", "on request", "expired 2004-07-26 17:37:49"]
    assert window.fields["condition"].text() == "port IN (80, 443)"
    window.fields["name"].setText("web")
    window.by_default.setChecked(True)
    window.ends.setCurrentIndex(0)
    QTest.keyClick(window.fields["why"], Key.Key_Return)
    work.until(lambda: window.model.rowCount() == 2)
    assert SaveExclusion(0, "web", "port IN (80, 443)", 0, True, False, "") in fake.shared.asked
    assert cells(window, 1)[:3] == ["web", "by default", "never"] and window.fields["name"].text() == ""
    window.table.setFocus()
    QTest.keyClick(window.table, Key.Key_Delete)
    QTest.keyClick(window.table, Key.Key_Delete)
    work.until(lambda: window.model.rowCount() == 1 and list(fake.shared.exclusions) == ["web"])
    QTest.keyClick(window.table, Key.Key_Return)
    work.answered()
    assert fake.asked == ["WHERE port IN (80, 443) EXCLUDING NONE"]


def test_a_viewer_asks_and_changes_nothing(desk: Desk, fake: FakeServer) -> None:
    fake.role = "viewer"
    fake.shared.put(set_info("infected"))
    fake.shared.exclusions["web"] = WEB
    desk.log_in("vic", "good")
    desk.ask("port = 1034")
    desk.go_to(0, "src_ip")
    desk.key(Key.Key_Return)
    assert "Add to a &set" not in [action.text() for action in desk.menu().actions()]
    desk.key(Key.Key_Escape)
    window = sets(desk, fake)
    assert window.ask_button.isEnabled() and not window.remove_button.isEnabled()
    QTest.keyClick(window.table, Key.Key_Delete)
    assert window.said.text().startswith("Your role is viewer")
    other = exclusions(desk, fake)
    assert not other.add.isEnabled() and not other.remove_button.isEnabled()
