"""What a tab says of who watched: addresses that nobody sees, late deliveries, gaps that were filled since."""

from dataclasses import replace

from helpers.desk import Desk
from helpers.fake_link import SECOND, START, FakeServer, covered, sessions

from afterfact_protocol.messages import Hints, Late

GAP = (START - 1800 * SECOND, START - 900 * SECOND)


def test_what_nobody_sees_does_not_look_like_no_rows(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(0)
    fake.changes = {"coverage": (), "unseen": ("192.0.2.77",)}
    work.ask("WHERE ip = 192.0.2.77")
    said = work.tab.answer.page.text
    assert "No sensor sees 192.0.2.77" in said and "There may have been such sessions" in said
    assert "there was no such session" not in said and "No sensor is enrolled" not in said
    assert "no sensor sees 192.0.2.77" in work.window.summary.whole
    loud = ["Not everything was seen. No sensor sees 192.0.2.77 (networks.toml on the server)."]
    assert work.tab.answer.notes.texts == loud
    fake.rows = sessions(3)
    work.ask("WHERE ip = 192.0.2.78")
    assert work.tab.answer.notes.texts == loud


def test_a_gap_that_was_filled_since_is_told_when_it_is_asked_again(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(0)
    fake.changes = {"coverage": (covered("border", GAP), covered("inside"))}
    work.ask("WHERE port = 1034")
    assert "blind 2004-07-26 17:07:49 to 17:22:49" in work.tab.answer.page.text
    assert work.tab.answer.notes.texts == []
    late = replace(covered("border"), late=(Late(*GAP, START),))
    fake.changes = {"coverage": (late, covered("inside"))}
    work.ask("WHERE port = 1034")
    (told,) = work.tab.answer.notes.texts
    assert told.startswith("Gaps filled since it was asked at 20")
    assert told.endswith(": border: 2004-07-26 17:07:49 to 17:22:49.")
    assert "17:07:49 to 17:22:49 delivered late, at 2004-07-26 17:37:49" in work.tab.answer.page.text
    assert "in part delivered late" in work.window.summary.whole
    work.ask("WHERE port = 1035")
    assert work.tab.answer.notes.texts == [], "another question"


def test_a_note_of_the_server_is_shown(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(3)
    fake.changes = {"notes": ("networks.toml: line 3: Invalid value; what it said before counts",)}
    work.ask("WHERE inbound")
    assert work.tab.answer.notes.texts == ["networks.toml: line 3: Invalid value; what it said before counts."]


def test_what_could_not_be_judged_is_said_of_an_empty_answer_too(work: Desk, fake: FakeServer) -> None:
    fake.hints = Hints(0, 312, ("src_port", "dst_port"), 2, START, "")
    said = ("312 sessions could not be judged and are not among these; not known: src port, dst port. 2 sessions that "
            "began before 2004-07-26 17:37:49 UTC were still open then: DURING or LAST finds them too.")  # fmt: skip
    work.ask("port = 1034")
    work.until(lambda: said in work.tab.answer.notes.texts)
    work.until(lambda: len(fake.cancelled) == 1)
    fake.rows = sessions(0)
    fake.holding_hints = True
    work.ask("port = 99")
    assert said not in work.tab.answer.notes.texts and len(fake.cancelled) == 1, "the server keeps it, to look on"
    fake.link.release_hints()
    work.until(lambda: said in work.tab.answer.notes.texts)
    work.until(lambda: len(fake.cancelled) == 2)
    work.tab.step(-1)
    assert said in work.tab.answer.notes.texts, "a result that is held has what was said of it"
    work.ask("port = 98")
    work.ask("port = 97")
    work.tab.step(-1)
    work.until(lambda: any("not counted: another query came first." in one for one in work.tab.answer.notes.texts))
