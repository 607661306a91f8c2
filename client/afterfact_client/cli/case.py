"""afterfact case: what analysts found out together."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from afterfact_client.cli import casefolder, login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.cli.query import FORMATS, write_sessions
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_client.state.case_words import STATES, case_lines, difference, item_lines, ran, step_lines
from afterfact_protocol.casefile import unpacked
from afterfact_protocol.coveragetext import counted
from afterfact_protocol.messages import Belief, CaseItem, CaseTold, Confidence, Which
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import columns, time_text

Work = Callable[[Client, argparse.Namespace], str]


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    words = commands.add_parser(
        "case", help="what analysts found out together: queries with their evidence, hypotheses, questions, notes"
    ).add_subparsers(required=True, metavar="COMMAND")  # fmt: skip

    def command(name: str, text: str, work: Work, case: bool = True) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
        login.add_arguments(made)
        if case:
            made.add_argument("case", metavar="N", type=int)
        made.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return made

    listing = command("list", "cases, those changed last first", _list, case=False)
    listing.add_argument("--status", choices=("open", "closed", "all"), default="open")
    listing.add_argument("--format", choices=("table", "jsonl"), default="table")
    command("make", "begin a case", _make, case=False).add_argument("title", metavar="TITLE")
    show = command("show", "all of a case", _show)
    show.add_argument("--format", choices=("text", "json"), default="text")
    command("history", "who changed what, newest first", _history)
    step = command("step", "ask a query, and keep it with what it finds as the next step", _step)
    step.add_argument("text", metavar="QUERY", help='"WHERE dst_port = 1034 EXCLUDING web"')
    step.add_argument("--why", metavar="TEXT", required=True, help="the reason for the step")
    step.add_argument("--negative", action="store_true", help="it is to rule something out although it finds rows")
    again = command("again", "ask a step again, and say what changed", _again)
    again.add_argument("step", metavar="STEP", type=int)
    settle = command("settle", "say that what a step's re-run found was looked at", _settle)
    settle.add_argument("step", metavar="STEP", type=int)
    settle.add_argument("--why", metavar="TEXT", help="another reason for the step")
    evidence = command("evidence", "the sessions that a step found, as they were", _show)
    evidence.add_argument("step", metavar="STEP", type=int)
    evidence.add_argument("--which", choices=get_args(Which), default="then",
                          help="of the last re-run: all, or what is new, gone or changed")  # fmt: skip
    evidence.add_argument("--format", choices=FORMATS, default="table")
    evidence.add_argument("-o", metavar="F", dest="out", help="write the sessions to F instead of stdout")
    evidence.set_defaults(work=lambda arguments: _evidence(arguments, password))
    note = command("note", "add a note in Markdown; - reads it from stdin", _item("note"))
    hypothesis = command("hypothesis", "add a hypothesis, or change one", _item("hypothesis"))
    question = command("question", "add an open question, or answer one", _item("question"))
    for parser in (note, hypothesis, question):
        parser.add_argument("text", metavar="TEXT", nargs="?")
        parser.add_argument("--number", metavar="NUMBER", type=int, default=0, help="change this one")
        parser.add_argument("--remove", action="store_true", help="with --number: take it away; its text stays in the "
                            "history")  # fmt: skip
    hypothesis.add_argument("--belief", choices=get_args(Belief))
    hypothesis.add_argument("--confidence", choices=get_args(Confidence))
    hypothesis.add_argument("--steps", metavar="STEPS", help="what the belief rests on, apart by commas: 2,3")
    question.add_argument("--answer", metavar="TEXT")
    export = command("export", "a case as a folder: report, queries, evidence, and a file to import", _export)
    export.add_argument("folder", metavar="FOLDER", help="a new one")
    command("import", "a case that was exported, as a new one here", _import, case=False).add_argument(
        "folder", metavar="FOLDER", help="or its file case.afterfact"
    )
    close = command("close", "close a case with a conclusion", _close)
    close.add_argument("conclusion", metavar="CONCLUSION")
    command("reopen", "open a closed case again", _reopen)
    change = command("change", "another title or owner", _change)
    change.add_argument("--title", metavar="TITLE")
    change.add_argument("--owner", metavar="NAME")


def _work(arguments: argparse.Namespace, password: Callable[[str], str], work: Work) -> int:
    with login.logged_in(arguments, password) as client, output(None) as out:
        try:
            out.write(work(client, arguments))
        except RequestFailed as error:
            raise _failure(error) from None
        except LookupError as error:
            raise Failure(str(error.args[0]), WRONG_CALL) from None
    return DONE


def _failure(error: RequestFailed) -> Failure:
    where = f"query, column {error.start + 1}: " if error.start >= 0 else ""
    return Failure(f"{where}{error}", WRONG_CALL if error.code in ("request", "query") else FAILED)


def _evidence(arguments: argparse.Namespace, password: Callable[[str], str]) -> int:
    with login.logged_in(arguments, password) as client:
        try:
            result = client.evidence(arguments.case, arguments.step, arguments.which)
            write_sessions(result, arguments.format, arguments.out)
        except RequestFailed as error:
            raise _failure(error) from None
    sys.stderr.write(_lines([counted(result.answer), *result.coverage]))
    return DONE


def _list(client: Client, arguments: argparse.Namespace) -> str:
    found = client.cases.all(arguments.status)
    if arguments.format == "jsonl":
        return "".join(json.dumps(asdict(case), ensure_ascii=False) + "\n" for case in found)
    titles = ["No", "Status", "Owner", "Title", "Steps", "Changed steps", "Open questions", "Last change (UTC)", "By"]
    rows = [
        [str(case.number), case.status, case.owner, printable(case.title), str(case.steps), str(case.reopened or "-"),
         str(case.questions or "-"), time_text(case.changed_at), case.changed_by]
        for case in found
    ]  # fmt: skip
    return "".join(line + "\n" for line in columns([titles, *rows]))


def _lines(lines: list[str]) -> str:
    return "".join(printable(line) + "\n" for line in lines)


def _make(client: Client, arguments: argparse.Namespace) -> str:
    return f"case {client.cases.make(arguments.title).number} made\n"


def _show(client: Client, arguments: argparse.Namespace) -> str:
    told = client.cases.get(arguments.case)
    if arguments.format == "json":
        content = asdict(told)
        del content["request"]
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return _lines(case_lines(told))


def _history(client: Client, arguments: argparse.Namespace) -> str:
    lines = []
    for change in client.cases.history(arguments.case):
        lines.append(f"{time_text(change.time)}  {change.user or 'the server'}  {change.what}")
        lines += [f"    was: {line}" for line in change.before.splitlines()]
    return _lines(lines)


def _step(client: Client, arguments: argparse.Namespace) -> str:
    number = client.cases.add_step(arguments.case, arguments.text, arguments.why, arguments.negative)
    return _lines(step_lines(client.cases.step(arguments.case, number)))


def _again(client: Client, arguments: argparse.Namespace) -> str:
    step = client.cases.run_step(arguments.case, arguments.step)
    assert step.run is not None
    state = f" [{STATES[step.state]}]" if step.state else ""
    lines = [
        f"step {step.number}{state}: {difference(step.run)}",
        f"  {ran(step.run)}",
        f"  watched then: {step.coverage}",
        f"  watched now: {step.run.coverage}",
    ]
    return _lines([*lines, *([f"  note: {step.run.note}"] if step.run.note else [])])


def _settle(client: Client, arguments: argparse.Namespace) -> str:
    step = client.cases.step(arguments.case, arguments.step)
    client.cases.change_step(arguments.case, step, why=arguments.why, settled=True)
    return f"step {step.number}: settled\n"


Kind = Literal["note", "hypothesis", "question"]


def _item(kind: Kind) -> Work:
    def work(client: Client, arguments: argparse.Namespace) -> str:
        if arguments.remove and not arguments.number:
            raise Failure(f"--remove needs --number: which {kind}?", WRONG_CALL)
        told = client.cases.get(arguments.case)
        item = CaseItem(0, kind, "")
        if arguments.number:
            item = _standing(told, kind, arguments.number)
        made = replace(item, **_said(arguments))
        number = client.cases.put(arguments.case, made, arguments.remove)
        if arguments.remove:
            return f"{kind} {number} removed\n"
        told = client.cases.get(arguments.case)
        return _lines(item_lines(_standing(told, kind, number), told))

    return work


def _standing(told: CaseTold, kind: str, number: int) -> CaseItem:
    found = next((item for item in told.items if item.number == number and item.kind == kind), None)
    if found is None:
        raise LookupError(f"there is no {kind} {number} in case {told.case.number}")
    return found


def _said(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the call says of an item; what it does not say stays."""
    said = {name: getattr(arguments, name) for name in ("text", "belief", "confidence", "answer")
            if getattr(arguments, name, None) is not None}  # fmt: skip
    if said.get("text") == "-":
        said["text"] = sys.stdin.read()
    steps = cast("str | None", getattr(arguments, "steps", None))
    if steps is not None:
        parts = [part.strip() for part in steps.split(",") if part.strip()]
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise Failure(f"--steps: {steps!a:.40} are no numbers apart by commas", WRONG_CALL)
        said["steps"] = tuple(map(int, parts))
    return said


def _export(client: Client, arguments: argparse.Namespace) -> str:
    data = client.cases.file(arguments.case)
    said = casefolder.write(unpacked(data), data, Path(arguments.folder))
    return _lines([f"case {arguments.case} is in {arguments.folder}", *said])


def _import(client: Client, arguments: argparse.Namespace) -> str:
    case = client.cases.put_file(casefolder.read(Path(arguments.folder)))
    return _lines([f"case {case.number}: {case.title}", f"imported: {case.origin}"])


def _close(client: Client, arguments: argparse.Namespace) -> str:
    case = client.cases.close(client.cases.get(arguments.case).case, arguments.conclusion)
    return f"case {case.number} is closed\n"


def _reopen(client: Client, arguments: argparse.Namespace) -> str:
    case = client.cases.reopen(client.cases.get(arguments.case).case)
    return f"case {case.number} is open\n"


def _change(client: Client, arguments: argparse.Namespace) -> str:
    if arguments.title is None and arguments.owner is None:
        raise Failure("say what is to change: --title, --owner", WRONG_CALL)
    case = client.cases.get(arguments.case).case
    case = client.cases.change(case, title=arguments.title, owner=arguments.owner)
    return f"case {case.number}: {printable(case.title)}, owned by {case.owner or 'nobody'}\n"
