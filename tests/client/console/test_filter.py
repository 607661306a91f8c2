"""The filter over a table: by words and by a condition, with sorting, and gone with Esc."""

from helpers.desk import CONTROL, Desk, Key
from helpers.fake_link import FakeServer, sessions

from afterfact_client.state.result import LOCAL_ROWS


def write(work: Desk, text: str) -> None:
    work.key(Key.Key_F, CONTROL)
    assert work.focus is work.tab.answer.filter.field
    work.key(Key.Key_A, CONTROL)
    work.type(text)


def said(work: Desk) -> str:
    return work.tab.answer.filter.said.text()


def test_words_and_conditions_leave_what_fits(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(40)
    work.ask("port = 1034")
    work.click_header("src_bytes")
    write(work, "inside UDP")
    work.until(lambda: said(work) == "Filter by text: 0 of 40 sessions shown")
    write(work, "inside icmp")
    work.until(lambda: said(work) == "Filter by text: 4 of 40 sessions shown")
    assert {proto for (proto,) in work.cells("proto")} == {"icmp"}
    write(work, "src_port > 1055 AND sensor = 'border'")
    work.until(lambda: said(work) == "Filter by condition: 4 of 40 sessions shown")
    work.until(lambda: "border" in "".join(work.tab.answer.details.lines))
    numbers = [int(text.replace(",", "")) for (text,) in work.cells("src_bytes")]
    assert numbers == sorted(numbers, reverse=True), "the order stays"
    work.click_header("src_port")
    assert [port for (port,) in work.cells("src_port")] == ["1056", "1058", "1060", "1062"]
    assert work.tab.answer.pictures.timeline.timeline.counts.sum() == 40, "pictures are of the whole"  # type: ignore[union-attr]
    work.tab.answer.filter.field.setFocus()
    work.key(Key.Key_Escape)
    work.until(lambda: work.tab.answer.table.rowCount() == 40)
    assert (
        not work.tab.answer.filter.isVisible() and work.focus is work.tab.answer.view and fake.asked == ["port = 1034"]
    )


def test_another_answer_is_not_filtered_and_the_one_gone_back_to_is_whole(work: Desk, fake: FakeServer) -> None:
    work.ask("port = 1")
    write(work, "border")
    work.until(lambda: work.tab.answer.table.rowCount() == 4)
    work.ask("port = 2")
    assert work.tab.answer.table.rowCount() == 8 and not work.tab.answer.filter.isVisible()
    work.window.tab.step(-1)
    assert work.tab.answer.table.rowCount() == 8


def test_a_part_of_a_result_is_not_filtered(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(LOCAL_ROWS + 1)
    work.ask("port = 1")
    write(work, "border")
    work.until(lambda: said(work).startswith("A filter looks through whole results"))
    assert work.tab.answer.table.rowCount() == LOCAL_ROWS + 1
