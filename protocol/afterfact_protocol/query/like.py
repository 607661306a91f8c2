"""LIKE patterns: `%` is any characters, `_` exactly one, a backslash takes the next character literally."""

import re
from collections.abc import Iterator
from functools import lru_cache


def like_parts(pattern: str) -> Iterator[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            yield next(characters, "\\"), False
        else:
            yield character, character in "%_"


def like_matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` is as the pattern says; upper and lower case differ."""
    return _expression(pattern).fullmatch(text) is not None


@lru_cache(256)
def _expression(pattern: str) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    # Runs of % mean no more than one, and would make the matcher try every way to share the text among them.
    parts: list[str] = []
    for character, is_wild in like_parts(pattern):
        part = wild[character] if is_wild else re.escape(character)
        if part != ".*" or parts[-1:] != [".*"]:
            parts.append(part)
    return re.compile("".join(parts), re.DOTALL)
