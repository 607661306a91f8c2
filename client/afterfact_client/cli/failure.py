"""How a command ends."""

DONE, FAILED, WRONG_CALL, UNCOVERED = 0, 1, 2, 3


class Failure(Exception):
    """Ends the command with one line and an exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code
