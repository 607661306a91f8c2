"""What the console says of named sets and shared exclusions: their columns, all of one, and the queries that ask them.
Items in, words out; nothing here knows a window. Times in UTC."""

import time
from collections.abc import Sequence
from typing import Literal

from afterfact_client.state.watch_words import ItemColumn, Tone
from afterfact_protocol.messages import ExclusionInfo, LeftOut, SetInfo, SetValues
from afterfact_protocol.printable import printable
from afterfact_protocol.sets import from_bytes, texts, told
from afterfact_protocol.statustext import time_text

FIELDS = {"address": "ip", "port": "port", "endpoint": "endpoint", "community_id": "community_id", "session": "session"}
"""By the kind of a set: the field that asks for its values wherever they stand in a session."""
TOGETHER: tuple[tuple[str, Literal["+", "&", "-"]], ...] = (
    ("or", "+"), ("and", "&"), ("without", "-"),
)  # fmt: skip
"""How two sets are put together, and the language's sign for it."""


def asks_for(kind: str, term: str) -> str:
    """The query of the sessions with a value in a set, or in what a term makes of several."""
    return f"WHERE {FIELDS[kind]} IN {term}"


def _origin(one: SetInfo) -> str:
    if one.query:
        return printable(f"{one.field} of {' '.join(one.query.split())}")
    return printable(one.note) or "brought in"


SET_COLUMNS = (
    ItemColumn("Set", "Its name in queries", 20, lambda one: f"@{one.name}"),
    ItemColumn("Holds", "Values; of a live set when it was saved", 32,
               lambda one: told(one.kind, one.count, one.networks)),
    ItemColumn("Is", "Frozen: what was found then. Live: its query is asked anew whenever it is used", 6,
               lambda one: "live" if one.live else "frozen", tone=lambda one: "good" if one.live else "text"),
    ItemColumn("Version", "How often it was saved or changed", 4, lambda one: str(one.number), right=True),
    ItemColumn("Owner", "Who made this version", 8, lambda one: printable(one.by)),
    ItemColumn("Saved (UTC)", "", 19, lambda one: time_text(one.made)),
    ItemColumn("From", "What found its values", 40, _origin),
)  # fmt: skip


def set_details(one: SetInfo) -> str:
    """All that is known of a set, a line a thing."""
    how = "live: its query is asked anew whenever it is used" if one.live else "frozen: it holds what was found then"
    return "\n".join([
        f"@{one.name}: {told(one.kind, one.count, one.networks)}, {how}",
        f"version {one.number}: {one.action} by {printable(one.by)} {time_text(one.made)}",
        *([f"from: {_origin(one)}"] if one.query else []),
        *([f"watched then: {printable(one.coverage)}"] if one.coverage else []),
        *([f"note: {printable(one.note)}"] if one.note else []),
    ])  # fmt: skip


def value_lines(found: SetValues) -> list[str]:
    """The values of an answer, a line each, with what is said of them."""
    values = from_bytes(found.info.kind, found.values)
    return [
        f"  {text}{f'  # {said}' if (said := printable(found.comments.get(at, ''))) else ''}"
        for at, text in enumerate(texts(found.info.kind, values, found.sensors))
    ]


def version_lines(history: Sequence[SetInfo]) -> list[str]:
    """The versions that a set had, the newest first, a line each."""
    return [
        f"  {one.number}  {time_text(one.made)}  {one.action} by {printable(one.by)}: "
        + ("deleted" if one.action == "delete" else told(one.kind, one.count, one.networks))
        + (f" ({printable(one.note)})" if one.note else "")
        for one in reversed(history)
    ]


# --- exclusions -------------------------------------------------------------------------------------------------------


def expired(one: ExclusionInfo, now: int) -> bool:
    """Whether it leaves nothing out any more; `now` in microseconds."""
    return bool(one.expires) and one.expires <= now


def _expired(one: ExclusionInfo) -> bool:
    return expired(one, time.time_ns() // 1000)


def _until(one: ExclusionInfo) -> str:
    if not one.expires:
        return "never"
    return f"expired {time_text(one.expires)}" if _expired(one) else time_text(one.expires)


def _tone(one: ExclusionInfo) -> Tone:
    return "dim" if _expired(one) else "text"


def _acts(one: ExclusionInfo) -> tuple[str, Tone]:
    return ("by default", "warning") if one.by_default and not _expired(one) else ("on request", "text")


EXCLUSION_COLUMNS = (
    ItemColumn("Name", "In queries: EXCLUDING name", 14, lambda one: one.name, tone=_tone),
    ItemColumn("Acts", "By default: in every query that does not say EXCLUDING", 10, lambda one: _acts(one)[0],
               tone=lambda one: _acts(one)[1]),
    ItemColumn("Ends (UTC)", "From then on it leaves nothing out", 27, _until, tone=_tone),
    ItemColumn("Owner", "Who made it", 8, lambda one: printable(one.by)),
    ItemColumn("Leaves out", "Sessions of which this is true", 40, lambda one: printable(one.condition)),
    ItemColumn("Why", "", 24, lambda one: printable(one.note)),
)  # fmt: skip


def exclusion_details(one: ExclusionInfo) -> str:
    """All that is known of an exclusion, a line a thing."""
    acts = "every query that does not say EXCLUDING" if one.by_default else f"queries that say EXCLUDING {one.name}"
    ends = "it never ends" if not one.expires else f"it {'ended' if _expired(one) else 'ends'} {time_text(one.expires)}"
    return "\n".join([
        f"{one.name}: leaves out of {acts} the sessions of which this is true: {printable(one.condition)}",
        f"made by {printable(one.by)} {time_text(one.made)}, version {one.number}; {ends}",
        *([f"why: {printable(one.note)}"] if one.note else []),
    ])  # fmt: skip


def left_out(one: ExclusionInfo, counted: LeftOut | None) -> str:
    """One exclusion that acted on an answer, in words."""
    until = f", until {time_text(one.expires)[:16]}" if one.expires else ""
    number = f": {counted.sessions:,}" if counted is not None else ""
    return f"{one.name} ({printable(one.condition)}; by {printable(one.by)}{until}){number}"
