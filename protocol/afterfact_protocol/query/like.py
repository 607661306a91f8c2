"""LIKE patterns: `%` is any characters, `_` exactly one, a backslash takes the next character literally."""

from collections.abc import Iterator


def like_parts(pattern: str) -> Iterator[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            yield next(characters, "\\"), False
        else:
            yield character, character in "%_"


def like_matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` is as the pattern says; upper and lower case differ.

    On a mismatch only the last `%` takes one character more, so the time is at most the product of the lengths; a
    backtracking expression would try every way to share the text among all of them.
    """
    parts = list(like_parts(pattern))
    at = position = 0
    retry: tuple[int, int] | None = None
    while position < len(text):
        part, wild = parts[at] if at < len(parts) else ("", False)
        if wild and part == "%":
            retry = at + 1, position
            at += 1
        elif at < len(parts) and (wild or part == text[position]):
            at, position = at + 1, position + 1
        elif retry is not None:
            retry = retry[0], retry[1] + 1
            at, position = retry
        else:
            return False
    return all(part == "%" and wild for part, wild in parts[at:])
