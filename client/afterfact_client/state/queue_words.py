"""What the console says of the queue: columns of its rows, their events and their history, what came of an act, and the
query around an event. Rows in, words out; nothing here knows a window. Times in UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Literal

from afterfact_client.queue import CATEGORIES, CATEGORY_MEANS, Action
from afterfact_client.state import wording
from afterfact_client.state.packed import Packed
from afterfact_protocol.messages import QueueAction, QueueEvent, Triaged
from afterfact_protocol.printable import printable
from afterfact_protocol.query.canonical import instant, quoted
from afterfact_protocol.session import Proto
from afterfact_protocol.statustext import time_text

Tone = Literal["error", "warning", "dim", "text"]
AROUND = "-10m..+10m"
SHOWN_REFUSALS = 3
NO_ACTION, ESCALATE = 8, 9
DONE_WORDS: dict[Action, str] = {
    "categorise": "", "escalate": "Escalated", "reopen": "Open again", "claim": "Claimed", "assign": "Assigned",
    "release": "Released", "comment": "Commented", "undo": "Taken back",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """`by` names the attribute that it is sorted by; `sample` is as long as its texts mostly are."""

    title: str
    about: str
    by: str
    sample: int
    text: Callable[[Packed, int], str]
    right: bool = False
    tone: Callable[[Packed, int], Tone] = lambda rows, slot: "text"
    largest_first: bool = True


def _text(name: str) -> Callable[[Packed, int], str]:
    return lambda rows, slot: printable(rows.text(name, slot))


def _count(name: str) -> Callable[[Packed, int], str]:
    return lambda rows, slot: f"{rows.number(name, slot):,}"


def _time(name: str) -> Callable[[Packed, int], str]:
    return lambda rows, slot: time_text(rows.number(name, slot))


def _port(name: str) -> Callable[[Packed, int], str]:
    return lambda rows, slot: "-" if (port := rows.number(name, slot)) < 0 else str(port)


def _severity(rows: Packed, slot: int) -> Tone:
    severity = rows.number("severity", slot)
    return "error" if severity == 1 else "warning" if severity == 2 else "text"


def status_word(rows: Packed, slot: int) -> str:
    return CATEGORIES[rows.number("status", slot)]


ROW_COLUMNS = (
    Column("ST", "Status: open, a category, no action (NA), escalated", "status", 5, status_word, tone=_severity),
    Column("CNT", "Events in this row: what a key disposes of", "count", 5, _count("count"), right=True),
    Column("Sev", "Severity; 1 is the most severe", "severity", 3,
           lambda rows, slot: str(rows.number("severity", slot) or "-"), right=True, tone=_severity,
           largest_first=False),
    Column("Owner", "Who claimed it, or was assigned it", "owner", 6, _text("owner"), largest_first=False),
    Column("Sensor", "", "joined_sensors", 8, lambda rows, slot: printable(rows.text("joined_sensors", slot)).replace(
        " ", ", "), largest_first=False),
    Column("Last (UTC)", "Time of the latest event; ◔: an event came long after it happened", "last_time", 21,
           lambda rows, slot: time_text(rows.number("last_time", slot)) + (" ◔" if rows.number("late", slot) else "")),
    Column("Source", "", "src_ip", 15, _text("src_ip"), largest_first=False),
    Column("Peers", "Different destinations", "peers", 5, _count("peers"), right=True),
    Column("Destination", "Of the newest event", "dst_ip", 15, _text("dst_ip"), largest_first=False),
    Column("DPort", "Of the newest event", "dst_port", 5, _port("dst_port"), right=True, largest_first=False),
    Column("Message", "The signature, or the watch's name", "text", 56, _text("text"), largest_first=False),
    Column("Comment", "The last", "comment", 32, _text("comment"), largest_first=False),
    Column("By", "Who did the last thing with it", "changed_by", 6, _text("changed_by"), largest_first=False),
    Column("First (UTC)", "Time of the earliest event", "first_time", 19, _time("first_time")),
    Column("Row", "Its number, as `afterfact queue` takes it", "number", 5,
           lambda rows, slot: str(rows.number("number", slot)), right=True),
    Column("Rule", "generator:signature, or watch:number", "rule", 10, _text("rule"), largest_first=False),
)  # fmt: skip


def row_line(rows: Packed, slot: int) -> str:
    """A row in one line."""
    source, text = printable(rows.text("src_ip", slot)), printable(rows.text("text", slot))
    return f"row {rows.number('number', slot)}, {text}" + (f" from {source}" if source else "")


def row_details(rows: Packed, slot: int) -> str:
    """All that is known of a row, a line a thing."""
    return "\n".join(
        f"{column.title}: {text}" for column in ROW_COLUMNS if (text := column.text(rows, slot)) not in ("", "-")
    )


def plain_tip(text: str) -> str:
    """A tool tip that shows a text as it is: what others wrote may look like markup."""
    return f"<qt>{escape(text).replace(chr(10), '<br>')}</qt>"


# --- events and history -----------------------------------------------------------------------------------------------

EVENT_KINDS: dict[str, str | None] = {
    "number": "u8", "time": "i8", "sensor": None, "src_ip": None, "src_port": "i8", "dst_ip": None, "dst_port": "i8",
    "proto": "i8", "ident": "u8", "late": "?", "alert": "u8",
}  # fmt: skip


def proto_word(number: int) -> str:
    if number < 0:
        return "-"
    try:
        return Proto(number).name.lower()
    except ValueError:
        return str(number)


EVENT_COLUMNS = (
    Column("Time (UTC)", "◔: it came long after it happened", "time", 21,
           lambda rows, slot: time_text(rows.number("time", slot)) + (" ◔" if rows.number("late", slot) else "")),
    Column("Sensor", "", "sensor", 8, _text("sensor")),
    Column("Source", "", "src_ip", 15, _text("src_ip")),
    Column("SPort", "", "src_port", 5, _port("src_port"), right=True),
    Column("Destination", "", "dst_ip", 15, _text("dst_ip")),
    Column("DPort", "", "dst_port", 5, _port("dst_port"), right=True),
    Column("Proto", "", "proto", 5, lambda rows, slot: proto_word(rows.number("proto", slot))),
    Column("Event", "Its number in the queue, for good", "number", 6, lambda rows, slot: str(
        rows.number("number", slot)), right=True),
    Column("Alert", "Its number as DURING event(N) takes it; -: a session that a watch found", "alert", 6,
           lambda rows, slot: str(rows.number("alert", slot) or "-"), right=True),
)  # fmt: skip

ACTION_TITLES = ("Time (UTC)", "Who", "What", "Events", "Comment")


def action_cells(action: QueueAction) -> tuple[str, ...]:
    """One act of the history, by ACTION_TITLES."""
    what = printable(action.action)
    if action.action == "categorise":
        what = CATEGORIES[action.status]
    elif action.action == "assign":
        what = f"assign to {printable(action.owner)}"
    elif action.action == "undo":
        what = f"undo: {CATEGORIES[action.status]}" + (f", {printable(action.owner)}" if action.owner else "")
    return time_text(action.time), printable(action.user), what, f"{action.count:,}", printable(action.comment)


def around_event(event: QueueEvent) -> str:
    """The query for the sessions around an event: of its source address, ten minutes before and after."""
    moment = f"event({event.alert})" if event.alert else quoted(instant(event.time))
    who = f"ip = {event.src_ip} AND " if event.src_ip else ""
    return f"WHERE {who}DURING {moment} {AROUND}"


# --- acts -------------------------------------------------------------------------------------------------------------


def category(status: int) -> str:
    """`Cat III (attempted access)`."""
    return f"{CATEGORIES[status]} ({CATEGORY_MEANS[status]})" if 1 <= status < NO_ACTION else CATEGORIES[status]


def act_word(action: Action, status: int, owner: str) -> str:
    """What is done, for a heading: `Cat III (attempted access)`, `Escalate`."""
    if action == "categorise":
        word = category(status)
        return word[:1].upper() + word[1:]
    return f"Assign to {printable(owner)}" if action == "assign" and owner else action.capitalize()


def done_words(action: Action, status: int, owner: str, done: int, events: int) -> str:
    """`Cat III: 2 rows, 14 events. Ctrl-Z undoes it.`; without the events where they are not known (-1)."""
    word = CATEGORIES[status] if action == "categorise" else DONE_WORDS[action]
    word = word[:1].upper() + word[1:] + (f" to {printable(owner)}" if action == "assign" else "")
    undo = "" if action in ("undo", "comment") else " Ctrl-Z undoes it."
    what = wording.count(done, "row") + (f", {wording.count(events, 'event')}" if events >= 0 else "")
    return f"{word}: {what}.{undo}"


def refused_words(answer: Triaged, name: Callable[[int], str]) -> str:
    """What was not done, and why: "Not changed: row 17, WORM: bob, Cat IV, 2 s ago."; empty if all was."""
    told = [f"{name(number)}: {printable(why)}" for number, why in answer.refused[:SHOWN_REFUSALS]]
    more = len(answer.refused) - len(told)
    if more > 0:
        told.append(f"and {more:,} more")
    return f"Not changed: {'; '.join(told)}." if told else ""


def may_act(role: str) -> bool:
    """Whether an account of this role may dispose of events; the server decides."""
    return role in ("analyst", "lead", "admin")


def may_rule(role: str) -> bool:
    """Whether it may make autocategorise rules."""
    return role in ("lead", "admin")


VIEWER = "Your role is viewer: you see the queue, but may not dispose of events. That needs the role analyst."
