"""What the console says of watches and of autocategorise rules: their columns, all of one, and what came of a change.
Items in, words out; nothing here knows a window. Times in UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from afterfact_client.queue import CATEGORIES
from afterfact_protocol.messages import Autocat, QueryWatch
from afterfact_protocol.printable import printable
from afterfact_protocol.statustext import time_text

Tone = Literal["good", "warning", "error", "dim", "text"]
DAY = 86_400_000_000
LASTS: tuple[tuple[str, int], ...] = (
    ("never", 0), ("after 1 day", DAY), ("after 7 days", 7 * DAY), ("after 30 days", 30 * DAY),
    ("after 90 days", 90 * DAY), ("after 1 year", 365 * DAY),
)  # fmt: skip
"""When a watch or a rule ends, and in how many microseconds from now."""
SEVERITIES = ("1, most severe", "2", "3", "4, least severe")
_STATE_TONES: dict[str, Tone] = {"on": "good", "looking back": "warning", "expired": "dim", "removed": "dim"}


@dataclass(frozen=True, slots=True)
class ItemColumn:
    """`sample` is how many characters its texts mostly have."""

    title: str
    about: str
    sample: int
    text: Callable[[Any], str]
    right: bool = False
    tone: Callable[[Any], Tone] = lambda item: "text"


def watch_tone(watch: QueryWatch) -> Tone:
    """How much its state should be looked at."""
    return "error" if watch.problem and watch.state != "removed" else _STATE_TONES.get(watch.state, "text")


WATCH_COLUMNS = (
    ItemColumn("No", "Its rule in the queue is watch:NUMBER", 3, lambda watch: str(watch.number), right=True),
    ItemColumn("Name", "", 20, lambda watch: printable(watch.name)),
    ItemColumn("State", "", 12, lambda watch: watch.state, tone=watch_tone),
    ItemColumn("Sev", "Severity of its rows in the queue; 1 is the most severe", 3, lambda watch: str(watch.severity),
               right=True),
    ItemColumn("Matches", "Sessions that it found", 7, lambda watch: f"{watch.matches:,}", right=True),
    ItemColumn("Last match (UTC)", "When it found the last, by the server's clock", 19,
               lambda watch: time_text(watch.last_match)),
    ItemColumn("Owner", "Who made it; it sees what its owner may see", 8, lambda watch: printable(watch.owner)),
    ItemColumn("Query", "", 40, lambda watch: printable(" ".join(watch.text.split()))),
    ItemColumn("Problem", "Why it finds nothing, or not all", 24, lambda watch: printable(watch.problem),
               tone=lambda watch: "error"),
)  # fmt: skip


def watch_details(watch: QueryWatch) -> str:
    """All that is known of a watch, a line a thing."""
    told = [
        f"watch {watch.number}, {printable(watch.name)}: {watch.state}",
        *([f"problem: {printable(watch.problem)}"] if watch.problem else []),
        f"query: {printable(' '.join(watch.text.split()))}",
        f"found {watch.matches:,}, the last {time_text(watch.last_match)}" if watch.matches else "found nothing yet",
        f"made by {printable(watch.owner)} {time_text(watch.created)}; "
        + (f"ends {time_text(watch.expires)}" if watch.expires else "never ends"),
        ("looks through what is stored already" if watch.history else "only for what is stored after it was made")
        + ("; tells syslog and webhook" if watch.notify else ""),
        *([f"comment: {printable(watch.comment)}"] if watch.comment else []),
    ]
    return "\n".join(told)


CHANGED_WORDS = {
    "pause": "Watch {} rests. What is stored meanwhile is looked through when it goes on.",
    "resume": "Watch {} goes on.",
    "remove": "Watch {} is removed; what it found stays in the queue.",
}


# --- rules ------------------------------------------------------------------------------------------------------------


def _ends(rule: Autocat) -> str:
    return "removed" if rule.removed else time_text(rule.expires) if rule.expires else "never"


def _any(text: str) -> str:
    return printable(text) or "any"


RULE_COLUMNS = (
    ItemColumn("No", "In the history of what it did: autocat NUMBER", 3, lambda rule: str(rule.number), right=True),
    ItemColumn("Rule", "As the queue shows it", 11, lambda rule: _any(rule.rule)),
    ItemColumn("Source", "Address or CIDR", 18, lambda rule: _any(rule.src)),
    ItemColumn("Destination", "Address or CIDR", 18, lambda rule: _any(rule.dst)),
    ItemColumn("Sensor", "", 10, lambda rule: _any(rule.sensor)),
    ItemColumn("As", "", 9, lambda rule: CATEGORIES[rule.status]),
    ItemColumn("Events", "How many it disposed of", 6, lambda rule: f"{rule.hits:,}", right=True),
    ItemColumn("Ends (UTC)", "", 19, _ends, tone=lambda rule: "dim" if rule.removed else "text"),
    ItemColumn("Owner", "Who made it", 8, lambda rule: printable(rule.owner)),
    ItemColumn("Why", "", 24, lambda rule: printable(rule.comment)),
)  # fmt: skip


def rule_details(rule: Autocat) -> str:
    """All that is known of a rule, a line a thing."""
    whom = f"rule {_any(rule.rule)}, from {_any(rule.src)} to {_any(rule.dst)}, sensor {_any(rule.sensor)}"
    return "\n".join([
        f"autocat {rule.number}: events of {whom} become {CATEGORIES[rule.status]} as they come",
        f"why: {printable(rule.comment)}",
        f"made by {printable(rule.owner)} {time_text(rule.created)}; "
        + ("removed" if rule.removed else f"ends {time_text(rule.expires)}" if rule.expires else "never ends")
        + f"; disposed of {rule.hits:,} so far",
    ])  # fmt: skip
