"""The cases' tab: what the server tells shows at once, an alert stays until somebody looked, notes make no doors."""

from helpers.desk import CONTROL, Desk, Key
from helpers.fake_link import FakeServer
from helpers.made_cases import HOUR, WHEN, case
from PySide6.QtCore import QUrl

from afterfact_client.console.views.cases_view import markdown
from afterfact_client.link import LinkPhase
from afterfact_protocol.messages import ChangeStep, RunStep


def test_a_negative_that_no_longer_holds_is_noticed_until_somebody_looked(work: Desk, fake: FakeServer) -> None:
    window, view = work.window, work.window.cases
    fake.cases.put(case(1, title="another", reopened=0, changed_at=WHEN), "made")
    fake.cases.put(case(reopened=0), "made")
    work.key(Key.Key_O, CONTROL)
    view.look_at(3)
    work.until(lambda: view.desk.case is not None and view.desk.number == 3)
    assert window.tabs.tabText(1) == "Cases 2" and not view.notice.isVisible()
    work.key(Key.Key_L, CONTROL)
    fake.cases.put(case(changed_at=WHEN + 10 * HOUR), "step 2 no longer holds: 3 rows, 3 new", alert=True)
    work.until(lambda: window.tabs.tabText(1) == "Cases 2 !")
    assert window.summary.whole == "Case 3, the worm on 1034: step 2 no longer holds: 3 rows, 3 new"
    work.key(Key.Key_O, CONTROL)
    assert view.notice.isVisible() and "case 3 (1 step)" in view.notice.text()
    for door, kind in (("settle:2", ChangeStep), ("again:3", RunStep)):
        view.page.anchorClicked.emit(QUrl(door))
        sent = fake.cases.asked[-1]
        assert isinstance(sent, kind) and (sent.case, sent.step) == (3, int(door[-1]))
    fake.cases.put(case(reopened=0, changed_at=WHEN + 11 * HOUR), "looked at")
    work.until(lambda: not view.notice.isVisible())
    assert window.tabs.tabText(1) == "Cases 2"

    fake.role = "viewer"
    fake.link.change(LinkPhase.LOST, "gone")
    fake.link.change(LinkPhase.ONLINE, "connected")
    work.until(lambda: not view.new_button.isEnabled())
    assert "again:" not in view.page.toHtml()
    work.key(Key.Key_N)
    assert window.casework.dialog is None


def test_a_note_opens_and_loads_nothing() -> None:
    made = markdown("# Head\n\n- **bold** [click](settle:2) <a href='x'>y</a> ![p](file:///etc/passwd)")
    assert "bold" in made and "click" in made and "<li" in made
    assert "<a " not in made and "<img" not in made and "font-size" not in made
