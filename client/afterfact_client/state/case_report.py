"""A case as a report in Markdown, readable without the console: what is concluded first, then what it rests on."""

import re

from afterfact_client.state.case_words import STATES, believed, doubtful, found, kept, ran, span
from afterfact_client.state.columns import BY_NAME
from afterfact_protocol.casefile import FiledCase, FiledStep
from afterfact_protocol.messages import CaseItem, CaseTold
from afterfact_protocol.printable import printable
from afterfact_protocol.records import Records
from afterfact_protocol.statustext import time_text

SHOWN_ROWS = 20
"""Rows of a step that the report shows; the files beside it have all that are kept."""
COLUMNS = (
    "start_time", "sensor", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "src_bytes", "dst_bytes", "outcome",
)  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def plain(text: str) -> str:
    """Text in a line that Markdown leaves as it is."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))


def report(filed: FiledCase) -> str:
    """The whole report. Notes are Markdown already and stand as they were written, under headings of their own."""
    case, told = filed.case, CaseTold(0, filed.case, tuple(each.step for each in filed.steps), filed.items)
    who = f"{case.status}, owner {plain(case.owner or 'nobody')}; made by {plain(case.by)} {time_text(case.made)} UTC"
    whence = f"exported from {plain(filed.server)} by {plain(filed.by)} {time_text(filed.exported)} UTC"
    lines = [f"# Case {case.number}: {plain(case.title)}", ""]
    lines += [f"{who}, last changed {time_text(case.changed_at)}; {whence}."]
    if case.origin:
        lines += ["", f"Imported: {plain(case.origin)}"]
    lines += ["", "## Conclusion", "", plain(case.conclusion) or "None yet."]
    for kind, heading in (("hypothesis", "Hypotheses"), ("question", "Questions")):
        items = [item for item in filed.items if item.kind == kind]
        if items:
            lines += ["", f"## {heading}", "", *(_item(item, told) for item in items)]
    lines += ["", "## Scope chain"]
    for each in filed.steps:
        lines += ["", *_step(each)]
    notes = [item for item in filed.items if item.kind == "note"]
    if notes:
        lines += ["", "## Notes"]
    for note in notes:
        lines += ["", f"### Note {note.number}, {plain(note.changed_by)} {time_text(note.changed_at)}", "",
                  printable_text(note.text)]  # fmt: skip
    lines += ["", "## History", ""]
    lines += [f"- {time_text(change.time)} {plain(change.user or 'the server')}: {plain(change.what)}"
              for change in filed.changes]  # fmt: skip
    return "\n".join(lines) + "\n"


def printable_text(text: str) -> str:
    """The lines of a text, each without control characters."""
    return "\n".join(printable(line) for line in text.splitlines())


def _item(item: CaseItem, told: CaseTold) -> str:
    if item.kind == "question":
        return f"- **{plain(item.text)}** {plain(item.answer) or '(open)'}"
    doubt = doubtful(item, told)
    return f"- **{plain(item.text)}**: {believed(item)}{f'. DOUBTFUL: {doubt}' if doubt else ''}"


def _step(each: FiledStep) -> list[str]:
    step, then = each.step, each.then
    assert then is not None, "an unpacked step has its rows"
    state = f" [{STATES[step.state]}]" if step.state else ""
    lines = [f"### Step {step.number}{', a negative' * step.negative}{state}", ""]
    lines += [plain(step.why) or "No reason given.", "", *fenced(step.query), ""]
    lines += [
        f"- asked by {plain(step.by)} {time_text(step.made)} UTC as `{code(step.text)}`",
        f"- searched {span(step)}",
        f"- found {found(step)}{f'; {kept(step)}' if kept(step) else ''}",
        f"- watched: {plain(step.coverage)}",
    ]
    lines += [f"- {plain(one)}" for one in step.notes]
    lines += [f"- left out: {plain(one)}" for one in step.exclusions]
    lines += [f"- rests on {plain(one)}" for one in step.sets]
    lines += [f"- saved {plain(step.saved)}"] if step.saved else []
    if step.run is not None:
        lines += [f"- {ran(step.run)}; watched by then: {plain(step.run.coverage)}"]
    lines += ["", *_rows(then.rows, then.answer.sensors)] if len(then.rows) else []
    if len(then.rows) > SHOWN_ROWS:
        lines += ["", f"The first {SHOWN_ROWS} of {len(then.rows):,}; the rest is in evidence/."]
    return lines


def fenced(text: str) -> list[str]:
    """Text as a block of code, whatever it holds."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return [fence, *(printable(line) for line in text.splitlines() or [""]), fence]


def code(text: str) -> str:
    """Text within backticks."""
    return printable(" ".join(text.split())).replace("`", "'")


def _rows(rows: Records, sensors: dict[int, str]) -> list[str]:
    columns = [BY_NAME[name] for name in COLUMNS]
    texts = [[text or "-" for text in column.texts(rows[:SHOWN_ROWS], sensors)] for column in columns]
    return [
        f"| {' | '.join(column.title for column in columns)} |",
        f"|{'|'.join('---:' if column.right else '---' for column in columns)}|",
        *(f"| {' | '.join(plain(cell) for cell in row)} |" for row in zip(*texts, strict=True)),
    ]
