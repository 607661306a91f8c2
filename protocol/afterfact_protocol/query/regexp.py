"""What a regular expression of the language may hold: the part that RE2 and Python's `re` read alike, and that a
backtracking matcher cannot be made to explode on.

The store matches with RE2 (linear time); match.py with `re`. A pattern that passes `check` means the same to both.
Repeats of groups that repeat or choose are refused, and few repeats are allowed: over the few characters of a
history the worst pattern then stays in the milliseconds.
"""

import re

MAX_PATTERN = 200
MAX_REPEATS = 6

_CLASS_ESCAPES = "dDwWsS"
_LITERAL_ESCAPES = r".^$*+?()[]{}|\/-"
_REPEAT = re.compile(r"[*+?]\??|\{(\d{1,2})(?:(,)(\d{0,2}))?\}\??", re.ASCII)
_ITEM = re.compile(rf"\\[{_CLASS_ESCAPES}{re.escape(_LITERAL_ESCAPES)}]|[^\\\[\](){{}}|*+?]", re.ASCII)
_CLASS = re.compile(r"\[\^?(?:[A-Za-z0-9 _.,:^]|-(?!-)|\\[dwsDWS\\\]\[^-])+\]", re.ASCII)


def check(pattern: str) -> str | None:
    """What is wrong with a pattern, or None."""
    if len(pattern) > MAX_PATTERN:
        return f"a regular expression is at most {MAX_PATTERN} characters long"
    if not pattern.isascii() or not pattern.isprintable():
        return "a regular expression holds printable ASCII characters only"
    groups: list[bool] = [False]
    """Per open group, outermost first: whether it repeats or chooses inside."""
    repeats, at, repeatable, complex_item = 0, 0, False, False
    while at < len(pattern):
        character = pattern[at]
        if repeat := _REPEAT.match(pattern, at):
            if not repeatable:
                return f"nothing to repeat before `{repeat.group()}` in the regular expression"
            if complex_item:
                return "in a regular expression a group that repeats or chooses inside cannot itself be repeated"
            low, high = int(repeat[1] or 0), int(repeat[3] or 99)
            if repeat[1] and repeat[2] and low > high:
                return f"`{repeat.group()}` counts down in the regular expression"
            repeats += 1
            if repeats > MAX_REPEATS:
                return f"a regular expression has at most {MAX_REPEATS} repeats"
            groups[-1] = True
            repeatable, at = False, repeat.end()
            continue
        if character == "(":
            at += 3 if pattern.startswith("(?:", at) else 1
            groups.append(False)
            repeatable = False
        elif character == ")":
            if len(groups) == 1:
                return "`)` without `(` in the regular expression"
            complex_item = groups.pop()
            groups[-1] |= complex_item
            repeatable, at = True, at + 1
        elif character == "|":
            groups[-1] = True
            repeatable, at = False, at + 1
        else:
            item = _CLASS.match(pattern, at) or _ITEM.match(pattern, at)
            if item is None:
                return f"`{pattern[at : at + 2]}` is not among what a regular expression may hold here"
            repeatable, complex_item, at = character not in "^$", False, item.end()
    if len(groups) > 1:
        return "`(` without `)` in the regular expression"
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        return f"not a regular expression: {error}"
    return None
