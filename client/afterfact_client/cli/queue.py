"""afterfact queue: the alerts and matches that wait for somebody, and what was done with them."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TextIO

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, WRONG_CALL, Failure
from afterfact_client.cli.lengths import expiry
from afterfact_client.client import Client
from afterfact_client.link import RequestFailed
from afterfact_client.queue import CATEGORIES, CATEGORY_MEANS, Queue
from afterfact_protocol.messages import QueueRow, Triaged
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import columns, time_text

LIMIT = 200
Work = Callable[[Client, argparse.Namespace, TextIO], int]
Act = Callable[[Queue, list[QueueRow], argparse.Namespace], Triaged]


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    group = commands.add_parser("queue", help="alerts and matches that wait: list, dispose of, escalate, history")
    words = group.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, work: Work, words: Any = words) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
        login.add_arguments(made)
        made.set_defaults(work=lambda arguments: _work(arguments, password, work))
        return made

    def acting(name: str, text: str, act: Act) -> argparse.ArgumentParser:
        made = command(name, text, partial(_act, act))
        made.add_argument("rows", metavar="ROW", nargs="+", type=_number, help="numbers that `queue list` shows")
        made.add_argument("--upto", metavar="EVENT", type=_number, help="only events up to this one (of one row)")
        return made

    listing = command("list", "rows, those raised last first", _list)
    listing.add_argument("--status", choices=("open", "escalated", "closed", "all"), default="open")
    listing.add_argument("--limit", metavar="N", type=_number, default=LIMIT)
    show = command("show", "the events of a row", _show)
    show.add_argument("row", metavar="ROW", type=_number)
    history = command("history", "what was done with an event, or with --row with a row", _history)
    history.add_argument("number", metavar="N", type=_number)
    history.add_argument("--row", action="store_true", help="N is a row's number, not an event's")
    for made in (listing, show, history):
        made.add_argument("--format", choices=("table", "jsonl"), default="table")
    categorise = acting("categorise", "dispose of rows", lambda queue, rows, a: queue.categorise(
        rows, a.status, a.comment))  # fmt: skip
    _add_status(categorise)
    categorise.add_argument("--comment", metavar="TEXT", default="")
    escalate = acting("escalate", "hand rows to somebody who knows more; say why",
                      lambda queue, rows, a: queue.escalate(rows, a.comment))  # fmt: skip
    comment = acting("comment", "add a comment to rows", lambda queue, rows, a: queue.comment(rows, a.comment))
    for made in (escalate, comment):
        made.add_argument("--comment", metavar="TEXT", required=True)
    reopen = acting("reopen", "put rows back into the queue", lambda queue, rows, a: queue.reopen(rows, a.comment))
    reopen.add_argument("--comment", metavar="TEXT", default="")
    acting("claim", "say that you work on rows", lambda queue, rows, a: queue.claim(rows))
    acting("release", "say that you do not", lambda queue, rows, a: queue.release(rows))
    acting("undo", "take back the last act with rows", lambda queue, rows, a: queue.undo(rows))
    assign = acting("assign", "give rows to somebody", lambda queue, rows, a: queue.assign(rows, a.to))
    assign.add_argument("--to", metavar="NAME", required=True)

    rules = words.add_parser("autocat", help="rules that dispose of events as they come").add_subparsers(
        required=True, metavar="COMMAND"
    )
    command("list", "rules, newest first", _autocats, rules)
    add = command("add", "a rule for what comes from now on (leads)", _autocat_add, rules)
    add.add_argument("--rule", metavar="GID:SID", default="", help="as `queue list` shows it")
    for name, what in (("src", "CIDR"), ("dst", "CIDR"), ("sensor", "NAME")):
        add.add_argument(f"--{name}", metavar=what, default="")
    _add_status(add)
    add.add_argument("--comment", metavar="TEXT", required=True, help="why")
    add.add_argument("--expires", metavar="LENGTH", default="30d", help="after 24h, 30d; default 30d; `never`")
    remove = command("remove", "end a rule (leads); what it did stays", _autocat_remove, rules)
    remove.add_argument("number", metavar="N", type=_number)


def _add_status(parser: argparse.ArgumentParser) -> None:
    means = "; ".join(f"{at} {text}" for at, text in enumerate(CATEGORY_MEANS) if text)
    parser.add_argument("--as", dest="status", type=int, required=True, choices=range(1, 9), metavar="1-8",
                        help=f"{means}; 8 no action")  # fmt: skip


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!a:.40} is no number")
    return int(text)


def _work(arguments: argparse.Namespace, password: Callable[[str], str], work: Work) -> int:
    with login.logged_in(arguments, password) as client, output(None) as out:
        try:
            return work(client, arguments, out)
        except RequestFailed as error:
            raise Failure(str(error), WRONG_CALL if error.code == "request" else FAILED) from None


def _table(out: TextIO, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    for line in columns([list(titles), *([printable(cell) for cell in row] for row in rows)]):
        out.write(line + "\n")


def _jsonl(out: TextIO, found: Any) -> int:
    for each in found:
        out.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
    return DONE


def _list(client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    found = client.queue.rows(arguments.status, arguments.limit)
    if arguments.format == "jsonl":
        return _jsonl(out, found)
    rows = [
        (str(row.number), CATEGORIES[row.status], f"{row.count:,}", str(row.severity or "-"), time_text(row.last_time),
         row.rule, row.text, row.src_ip or "-", row.dst_ip or "-", "-" if row.dst_port < 0 else str(row.dst_port),
         f"{row.peers:,}", ",".join(row.sensors), row.owner or "-", row.changed_by or "-",
         ("late; " if row.late else "") + row.comment)
        for row in found
    ]  # fmt: skip
    _table(out, ("Row", "Status", "Count", "Sev", "Last (UTC)", "Rule", "Text", "Src IP", "Dst IP", "DPort", "Peers",
                 "Sensors", "Owner", "By", "Comment"), rows)  # fmt: skip
    return DONE


def _show(client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    found = client.queue.events(arguments.row)
    if arguments.format == "jsonl":
        return _jsonl(out, found)
    rows = [
        (str(event.number), time_text(event.time), event.sensor, event.src_ip, _port(event.src_port), event.dst_ip,
         _port(event.dst_port), _port(event.proto), str(event.alert or "-"), str(event.ident),
         "late" if event.late else "")
        for event in found
    ]  # fmt: skip
    _table(
        out, ("Event", "Time (UTC)", "Sensor", "Src IP", "SPort", "Dst IP", "DPort", "Proto", "Alert", "ID", ""), rows
    )
    return DONE


def _port(number: int) -> str:
    return "-" if number < 0 else str(number)


def _history(client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    wanted = {"row": arguments.number} if arguments.row else {"event": arguments.number}
    found = client.queue.history(**wanted)
    if arguments.format == "jsonl":
        return _jsonl(out, found)
    rows = [
        (str(act.number), time_text(act.time), act.user, act.action + (f" of {act.undoes}" if act.undoes else ""),
         CATEGORIES[act.before], CATEGORIES[act.status], act.owner or "-", f"{act.count:,}", act.comment)
        for act in found
    ]  # fmt: skip
    _table(out, ("Act", "Time (UTC)", "By", "What", "Before", "After", "Owner", "Events", "Comment"), rows)
    return DONE


def _act(act: Act, client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    rows = list(client.queue.numbered(arguments.rows))
    if missing := set(arguments.rows) - {row.number for row in rows}:
        raise Failure(f"there is no row {min(missing)}", WRONG_CALL)
    if arguments.upto:
        if len(rows) > 1:
            raise Failure("--upto is for one row", WRONG_CALL)
        rows = [replace(rows[0], last_event=arguments.upto)]
    said = act(client.queue, rows, arguments)
    for number in said.done:
        out.write(f"row {number}: done\n")
    for number, why in said.refused:
        sys.stderr.write(f"afterfact: row {number} refused: {printable(why)}\n")
    return FAILED if said.refused else DONE


def _autocats(client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    rows = [
        (str(rule.number), CATEGORIES[rule.status], rule.rule or "-", rule.src or "-", rule.dst or "-",
         rule.sensor or "-", rule.owner, time_text(rule.created), time_text(rule.expires), f"{rule.hits:,}",
         "removed" if rule.removed else "", rule.comment)
        for rule in client.queue.autocats()
    ]  # fmt: skip
    _table(out, ("No", "As", "Rule", "Src", "Dst", "Sensor", "Owner", "Made (UTC)", "Expires", "Hits", "", "Comment"),
           rows)  # fmt: skip
    return DONE


def _autocat_add(client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    made = client.queue.add_autocat(
        arguments.status, arguments.comment, arguments.rule, arguments.src, arguments.dst, arguments.sensor,
        expiry(arguments.expires),
    )  # fmt: skip
    out.write(f"rule {made.number} made\n")
    return DONE


def _autocat_remove(client: Client, arguments: argparse.Namespace, out: TextIO) -> int:
    client.queue.remove_autocat(arguments.number)
    out.write(f"rule {arguments.number} removed\n")
    return DONE
