"""The one exception that leaves the query language: what is wrong, and where in the text."""


class QueryError(ValueError):
    """A query that cannot be understood. One clear sentence and the characters it is about.

    `start` and `end` are character offsets into the text as it was typed, `start <= end`; both are the length of the
    text where something is missing at its end.
    """

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message, start, end)
        self.message = message
        self.start = start
        self.end = end

    def __str__(self) -> str:
        return f"{self.message} (at character {self.start + 1})"
