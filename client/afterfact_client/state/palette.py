"""What the command palette offers for what is typed: the best first."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`kind` says what it is: an action, a saved query, a tab. `more` stands beside it, a key or a comment."""

    kind: str
    title: str
    more: str
    do: Callable[[], object]


def ranked(commands: Iterable[Command], typed: str, most: int = 50) -> list[Command]:
    """Those that have every word typed, in their order: first whose title begins with it, then whose words do, then
    the others."""
    words = typed.casefold().split()
    found = []
    for at, command in enumerate(commands):
        title, whole = command.title.casefold(), f"{command.kind} {command.title} {command.more}".casefold()
        if all(word in whole for word in words):
            starts = all(any(part.startswith(word) for part in title.split()) for word in words)
            begins = bool(words) and title.startswith(" ".join(words))
            found.append(
                (0 if begins else 1 if starts else 2 if all(word in title for word in words) else 3, at, command)
            )
    return [command for _, _, command in sorted(found, key=lambda item: item[:2])[:most]]
