"""What else must be known to judge an answer, in words."""

from afterfact_protocol.messages import Hints
from afterfact_protocol.statustext import time_text


def told(hints: Hints) -> list[str]:
    """A line for each thing that there is to say."""
    lines = []
    if hints.unjudged > 0:
        unknown = ", ".join(name.replace("_", " ") for name in hints.unknown)
        lines.append(
            f"{_sessions(hints.unjudged)} could not be judged and {_are(hints.unjudged)} not among these"
            f"{f'; not known: {unknown}' if unknown else ''}"
        )
    if hints.open_before > 0:
        were = "was" if hints.open_before == 1 else "were"
        before = f"{_sessions(hints.open_before)} that began before {time_text(hints.since)} UTC {were} still open then"
        lines.append(f"{before}: DURING or LAST finds them too")
    if hints.why:
        what = "what could not be judged" if hints.unjudged < 0 else "what was open before"
        lines.append(f"{what} was not counted: {hints.why}")
    return lines


def _sessions(count: int) -> str:
    return f"{count:,} session{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
