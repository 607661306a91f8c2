"""A case as a page of the console: HTML with doors (links) to what can be done. No Qt; colours are given by name.

Links: `evidence:STEP:WHICH`, `ask:STEP` (its query in a tab), `again:STEP`, `settle:STEP`, `item:NUMBER`, `add:KIND`.
"""

import html
from collections.abc import Callable, Mapping

from afterfact_client.state.case_words import STATES, believed, difference, doubtful, found, kept, span
from afterfact_protocol.messages import CaseItem, CaseStep, CaseTold
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import time_text


def page(
    told: CaseTold, colours: Mapping[str, str], mono: str, may_act: bool, markdown: Callable[[str], str]
) -> str:  # fmt: skip
    """All of a case. mono: the style of fixed-width text. may_act: whether to offer what changes it. markdown: makes
    HTML without links of a note."""
    return _Page(told, colours, mono, may_act and told.case.status == "open", markdown).text()


class _Page:
    def __init__(
        self, told: CaseTold, colours: Mapping[str, str], mono: str, may_act: bool, markdown: Callable[[str], str]
    ) -> None:
        self._told, self._colours, self._mono, self._may_act = told, colours, mono, may_act
        self._markdown = markdown

    def text(self) -> str:
        case, parts = self._told.case, []
        parts.append(self._p(f"<b>Case {case.number}: {_safe(case.title)}</b>", size=3, below=1))
        owner = f"{case.status}, owned by {_safe(case.owner or 'nobody')}"
        parts.append(self._p(f"{owner} &nbsp; made by {_safe(case.by)} {time_text(case.made)}", "dim"))
        if case.origin:
            parts.append(self._p(f"Imported: {_safe(case.origin)}", "dim"))
        if case.conclusion:
            parts.append(self._p(f"<b>Conclusion</b> {_safe(case.conclusion)}"))
        items = self._told.items
        self._section(parts, "HYPOTHESES", "hypothesis", [each for each in items if each.kind == "hypothesis"])
        self._section(parts, "QUESTIONS", "question", [each for each in items if each.kind == "question"])
        parts.append(self._heading("SCOPE CHAIN"))
        parts += [self._step(step) for step in self._told.steps]
        if not self._told.steps:
            parts.append(self._p("No step yet. Ctrl-Shift-A in a query's tab adds that query as the first.", "dim"))
        self._section(parts, "NOTES", "note", [each for each in items if each.kind == "note"])
        return "".join(parts)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _section(self, parts: list[str], title: str, kind: str, items: list[CaseItem]) -> None:
        add = f" &nbsp; {self._link(f'add:{kind}', 'add')}" if self._may_act else ""
        parts.append(self._heading(title, add))
        parts += [self._item(item) for item in items]
        if not items:
            parts.append(self._p("None.", "dim"))

    def _item(self, item: CaseItem) -> str:
        edit = f" {self._link(f'item:{item.number}', 'edit')}" if self._may_act else ""
        who = self._ink(f"{_safe(item.changed_by)} {time_text(item.changed_at)}", "dim")
        match item.kind:
            case "hypothesis":
                tone = {"ruled out": "dim", "confirmed": "good", "likely": "good"}.get(item.belief, "text")
                doubt = doubtful(item, self._told)
                lines = [f"{self._ink(f'<b>{_safe(believed(item))}</b>', tone)} &nbsp; {_safe(item.text)}"]
                lines += [self._ink(f"DOUBTFUL: {_safe(doubt)}", "warning")] if doubt else []
            case "question":
                answer = _safe(item.answer) if item.answer else self._ink("<b>open</b>", "warning")
                lines = [f"{_safe(item.text)} &nbsp; {answer}"]
            case _:
                text = "\n".join(map(printable, item.text.splitlines()))
                return f"{self._p(f'{who}{edit}', below=0)}{self._markdown(text)}"
        return self._p("<br>".join([*lines[:-1], f"{lines[-1]} &nbsp; {who}{edit}"]))

    def _step(self, step: CaseStep) -> str:
        colour = {"reopened": "error", "changed": "warning"}.get(step.state, "dim")
        marks = " ".join(filter(None, (
            self._ink("negative", "dim") if step.negative else "",
            self._ink(f"<b>{STATES[step.state]}</b>", colour) if step.state else "",
        )))  # fmt: skip
        query = f'<span style="{self._mono}">{_safe(" ".join(step.text.split()) or "(all sessions)")}</span>'
        watched = self._ink(f"watched: {_safe(step.coverage)}", "dim" if step.complete else "warning")
        lines = [
            f"<b>{step.number}</b> &nbsp; {_safe(step.why or 'no reason given')} &nbsp; {marks}",
            query,
            f"<b>{_safe(found(step))}</b>{f', {_safe(kept(step))}' if kept(step) else ''} &nbsp; "
            + self._ink(f"{_safe(step.by)} {time_text(step.made)}, searched {span(step)}", "dim"),
            watched,
        ]
        lines += [self._ink(_safe(one), "warning") for one in step.notes]
        lines += [self._ink(f"left out: {_safe(one)}", "dim") for one in step.exclusions]
        lines += [self._ink(f"rests on: {_safe(one)}", "dim") for one in step.sets]
        lines += [self._ink(f"saved: {_safe(step.saved)}", "dim")] if step.saved else []
        if step.run is not None:
            lines.append(self._again(step))
        lines.append(self._doors(step))
        return self._p("<br>".join(lines), below=8)

    def _again(self, step: CaseStep) -> str:
        run = step.run
        assert run is not None
        who = _safe(run.by) if run.by else "the server, since late data came,"
        tone = "text" if difference(run) == "as then" else "warning"
        told = self._ink(f"<b>now {run.rows:,} rows: {difference(run)}</b>", tone)
        note = f"; {_safe(run.note)}" if run.note else ""
        watched = self._ink(f"watched by then: {_safe(run.coverage)}", "dim" if run.complete else "warning")
        return f"{told} &nbsp; {self._ink(f'asked again by {who} {time_text(run.at)}{note}', 'dim')}<br>{watched}"

    def _doors(self, step: CaseStep) -> str:
        number, run = step.number, step.run
        doors = [self._link(f"evidence:{number}:then", f"evidence {step.kept:,}")]
        if run is not None:
            doors.append(self._link(f"evidence:{number}:now", "evidence now"))
            doors += [
                self._link(f"evidence:{number}:{which}", f"{which} {count:,}")
                for which, count in (("new", run.new), ("gone", run.gone), ("changed", run.changed))
                if count
            ]
        doors.append(self._link(f"ask:{number}", "query in a tab"))
        if self._may_act:
            doors.append(self._link(f"again:{number}", "ask again"))
            if step.state in ("changed", "reopened"):
                doors.append(self._link(f"settle:{number}", "looked at"))
        return " &nbsp; ".join(doors)

    # --- words --------------------------------------------------------------------------------------------------------

    def _heading(self, text: str, beside: str = "") -> str:
        return self._p(f"{self._ink(f'<b>{text}</b>', 'dim')}{beside}", above=10, below=3)

    def _p(self, text: str, tone: str = "text", size: int = 0, above: int = 0, below: int = 4) -> str:
        large = "; font-size:large" if size else ""
        return f'<p style="margin:{above}px 0 {below}px 0; color:{self._colours[tone]}{large}">{text}</p>'

    def _ink(self, text: str, tone: str) -> str:
        return f'<span style="color:{self._colours[tone]}">{text}</span>'

    def _link(self, to: str, text: str) -> str:
        return f'<a href="{to}" style="color:{self._colours["accent"]}; text-decoration:none">{text}</a>'


def _safe(text: str) -> str:
    return html.escape(printable(text))
