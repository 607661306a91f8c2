"""Files that nobody but their owner may read."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Durable when it returns. OSError."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
