"""Text of others, as it may be shown on a terminal, in a log or in a table: one line, no control characters."""


def printable(text: str) -> str:
    """`text` with every character that is not printable, a blank apart, written as Python writes it: \\n, \\x1b."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
