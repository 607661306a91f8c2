"""A case in words, the same on the command line, in its report and in the console. No Qt."""

from afterfact_client.state.watch_words import ItemColumn, Tone
from afterfact_protocol.messages import CaseInfo, CaseItem, CaseStep, CaseTold, StepRun
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import time_text

STATES = {"": "", "changed": "CHANGED", "reopened": "REOPENED", "settled": "changed, looked at"}
"""What a step's state says to a person."""


def _tone(case: CaseInfo) -> Tone:
    return "error" if case.reopened else "text" if case.status == "open" else "dim"


def _state(case: CaseInfo) -> str:
    return f"{case.reopened} changed" if case.reopened else case.status


CASE_COLUMNS = (
    ItemColumn("No", "", 3, lambda case: str(case.number), right=True, tone=_tone),
    ItemColumn("Title", "", 22, lambda case: printable(case.title), tone=_tone),
    ItemColumn("State", "open or closed; or how many steps find something else by now, which nobody looked at yet", 9,
               _state, tone=_tone),
    ItemColumn("Owner", "", 8, lambda case: printable(case.owner), tone=_tone),
    ItemColumn("Steps", "Queries of its scope chain", 3, lambda case: str(case.steps), right=True, tone=_tone),
    ItemColumn("Open", "Questions that are open", 3, lambda case: str(case.questions or ""), right=True, tone=_tone),
    ItemColumn("Changed (UTC)", "When anything in it last changed", 19, lambda case: time_text(case.changed_at),
               tone=_tone),
)  # fmt: skip
"""Of the console's list."""


def title(case: CaseInfo) -> str:
    """ "case 3: the worm (open, ana)"."""
    return f"case {case.number}: {case.title} ({case.status}, {case.owner or 'nobody'})"


def found(step: CaseStep) -> str:
    """What a step found: "6 rows of 5 conversations at 2 sensors"."""
    return _counted(step.rows, step.truncated, step.conversations, step.observers)


def _counted(rows: int, truncated: bool, conversations: int, observers: int) -> str:
    text = f"{rows:,} row{'s' * (rows != 1)}"
    if observers > 1 and conversations:
        text += f" of {conversations:,} conversation{'s' * (conversations != 1)} at {observers} sensors"
    return text + (", and more matched" if truncated else "")


def kept(step: CaseStep) -> str:
    """How much of it is kept, where that is not all; else nothing."""
    if step.kept >= step.rows:
        return ""
    return f"the first {step.kept:,} rows are kept as evidence"


def difference(run: StepRun) -> str:
    """What a re-run found beside then: "3 new, 1 gone"; "as then"."""
    parts = [f"{count:,} {what}" for count, what in ((run.new, "new"), (run.gone, "gone"), (run.changed, "changed"))
             if count]  # fmt: skip
    return ", ".join(parts) or "as then"


def ran(run: StepRun) -> str:
    """A re-run in a line."""
    who = run.by or "the server, since late data came"
    counted = _counted(run.rows, run.truncated, run.conversations, run.observers)
    return f"asked again {time_text(run.at)} by {who}: {counted}, {difference(run)}"


def believed(item: CaseItem) -> str:
    """A hypothesis' belief: "ruled out by step 2, confidence high"."""
    by = ""
    if item.steps:
        word = "by" if item.belief == "ruled out" else "on"
        by = f" {word} step{'s' * (len(item.steps) > 1)} {', '.join(map(str, item.steps))}"
    return f"{item.belief}{by}, confidence {item.confidence}"


def doubtful(item: CaseItem, case: CaseTold) -> str:
    """What casts doubt on a hypothesis' belief: a step that it rests on no longer holds, or was not watched
    throughout; else nothing."""
    steps = {step.number: step for step in case.steps}
    said = []
    for number in item.steps:
        step = steps.get(number)
        if step is None:
            continue
        if step.state and step.run is not None and item.changed_at < step.run.at:
            said.append(f"step {number} {STATES[step.state]}: it finds something else now")
        elif not (step.run.complete if step.run is not None else step.complete):
            said.append(f"step {number} was not watched throughout")
        elif step.notes:
            said.append(f"step {number}: {step.notes[0]}")
    return "; ".join(said)


def span(step: CaseStep) -> str:
    """The time that a step searched."""
    return f"{time_text(step.span_start)} to {time_text(step.span_end)} UTC"


def step_lines(step: CaseStep) -> list[str]:
    """A step, a line each of what there is to say."""
    state = f" [{STATES[step.state]}]" if step.state else ""
    lines = [
        f"step {step.number}{', a negative' * step.negative}{state}: {step.text or '(all sessions)'}",
        f"  why: {step.why or '-'}",
        f"  by {step.by} {time_text(step.made)}, searched {span(step)}",
        f"  found: {found(step)}{f'; {kept(step)}' if kept(step) else ''}",
        f"  watched: {step.coverage}",
    ]
    lines += [f"  note: {one}" for one in step.notes]
    lines += [f"  left out: {one}" for one in step.exclusions]
    lines += [f"  rests on: {one}" for one in step.sets]
    if step.saved:
        lines.append(f"  saved: {step.saved}")
    if step.run is not None:
        lines += [f"  {ran(step.run)}", f"  watched by then: {step.run.coverage}"]
        if step.run.note:
            lines.append(f"  note: {step.run.note}")
    return lines


def case_lines(told: CaseTold) -> list[str]:
    """All of a case."""
    case = told.case
    lines = [title(case), f"made by {case.by} {time_text(case.made)}, last changed by {case.changed_by} "
             f"{time_text(case.changed_at)}"]  # fmt: skip
    if case.origin:
        lines.append(f"imported: {case.origin}")
    if case.conclusion:
        lines.append(f"conclusion: {case.conclusion}")
    for step in told.steps:
        lines += ["", *step_lines(step)]
    for item in told.items:
        lines += ["", *item_lines(item, told)]
    return lines


def item_lines(item: CaseItem, told: CaseTold) -> list[str]:
    """A note, hypothesis or question."""
    who = f"{item.changed_by} {time_text(item.changed_at)}"
    if item.kind == "hypothesis":
        doubt = doubtful(item, told)
        lines = [f"hypothesis {item.number} ({believed(item)}): {item.text}"]
        return [*lines, *([f"  DOUBTFUL: {doubt}"] if doubt else []), f"  by {who}"]
    if item.kind == "question":
        return [f"question {item.number}: {item.text}", f"  {f'answer: {item.answer}' if item.answer else 'open'}",
                f"  by {who}"]  # fmt: skip
    return [f"note {item.number} by {who}:", *(f"  {line}" for line in item.text.splitlines())]
