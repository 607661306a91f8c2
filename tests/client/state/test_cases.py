"""Cases in words: as a page, as a report, and what casts doubt on a belief. What others wrote makes no link and no
heading of its own."""

import json
from dataclasses import asdict, replace

from helpers.fake_link import answer_to, sessions
from helpers.made_cases import HOUR, WHEN, case

from afterfact_client.state.case_page import page
from afterfact_client.state.case_report import report
from afterfact_client.state.case_words import case_lines, doubtful
from afterfact_protocol.casefile import FiledCase, FiledRows, FiledStep, packed, unpacked
from afterfact_protocol.messages import CaseChange

INKS = dict.fromkeys(("text", "dim", "good", "warning", "error", "accent"), "#000000")


def test_what_casts_doubt() -> None:
    told = case()
    first, second, *_ = told.items
    assert doubtful(first, told) == "step 2 REOPENED: it finds something else now"
    assert doubtful(second, told) == ""
    assert doubtful(replace(first, changed_at=WHEN + 10 * HOUR), told) == "", "who changed it since has seen that"
    unwatched = replace(told, steps=(replace(told.steps[0], complete=False), *told.steps[1:]))
    assert doubtful(second, unwatched) == "step 1 was not watched throughout"
    unjudged = replace(
        told, steps=(replace(told.steps[0], notes=("12 sessions could not be judged",)), *told.steps[1:])
    )
    assert doubtful(second, unjudged) == "step 1: 12 sessions could not be judged"


def test_the_page_offers_doors_to_who_may_and_escapes_what_others_wrote() -> None:
    told = case(title="<script>alert(1)</script>")
    html = page(told, INKS, "", True, lambda text: f"<i>{len(text)}</i>")
    assert "<script>" not in html and "&lt;script&gt;" in html
    for door in ("evidence:1:then", "evidence:2:now", "evidence:2:new", "settle:2", "again:3", "item:1", "add:note"):
        assert f'href="{door}"' in html, door
    assert "evidence:2:gone" not in html and "settle:1" not in html
    seen = page(told, INKS, "", False, lambda note: "")
    assert 'href="evidence:1:then"' in seen and not any(door in seen for door in ("again:", "settle:", "item:", "add:"))
    closed = page(case(status="closed", conclusion="cleaned"), INKS, "", True, str)
    assert "cleaned" in closed and "again:" not in closed
    assert any(line.startswith("step 2, a negative [REOPENED]: ") for line in case_lines(told))


def test_the_report_and_the_file() -> None:
    rows = sessions(40)
    rows = rows[rows["absent"] == 0]
    told = case(title="a *bold* [title](http://x)")
    again = replace(told.steps[1].run, rows=len(rows))  # type: ignore[type-var]
    steps_told = [replace(each, rows=len(rows), kept=len(rows), run=again if each.run else None) for each in told.steps]
    told = replace(told, steps=tuple(steps_told))
    kept = FiledRows(answer_to(rows), rows)
    steps = tuple(FiledStep(each, (), {}, kept, kept if each.run is not None else None) for each in told.steps)
    changes = (CaseChange(WHEN, "ana", "note 5 added: `x`", ""),)
    filed = FiledCase("soc.example", "eve", WHEN, told.case, steps, told.items, changes)
    text = report(filed)
    assert r"# Case 3: a \*bold\* \[title\](http://x)" in text and r"note 5 added: \`x\`" in text
    assert "DOUBTFUL: step 2 REOPENED" in text and "- from **1.2.3.4**" in text, "notes are Markdown"
    assert "The first 20 of 36; the rest is in evidence/." in text and text.count("| 10.0.0.") == 60
    back = unpacked(packed(filed))
    assert json.dumps(asdict(replace(back, steps=()))) == json.dumps(asdict(replace(filed, steps=())))
    assert [each.step for each in back.steps] == list(told.steps)
    assert back.steps[1].then is not None and (back.steps[1].then.rows == rows).all() and back.steps[0].again is None
