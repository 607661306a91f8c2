"""Writes the console's small files from a thread of its own, so that typing never waits for a disk.

Whole files are replaced atomically and only the newest content of each is written; lines are appended in order. What
cannot be written is told to `on_error`, once per file and reason.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

MODE = 0o600
"""Queries and results name hosts under investigation."""


class Keeper:
    """Owns the directory `place`. Safe from several threads; `on_error` is called on the keeper's own thread."""

    def __init__(self, place: Path, on_error: Callable[[str], None]) -> None:
        self.place = place
        self._on_error = on_error
        self._condition = threading.Condition()
        self._contents: dict[str, str] = {}
        self._lines: list[tuple[str, str]] = []
        self._busy = False
        self._closing = False
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def replace(self, name: str, content: str) -> None:
        """Make `content` the whole of the file `name`."""
        with self._condition:
            self._contents[name] = content
            self._condition.notify_all()

    def append(self, name: str, line: str) -> None:
        """Add a line to the file `name`; several consoles may append to one file."""
        with self._condition:
            self._lines.append((name, line))
            self._condition.notify_all()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything given so far is on disk, or could not be written."""
        with self._condition:
            return self._condition.wait_for(lambda: not (self._contents or self._lines or self._busy), timeout)

    def close(self) -> None:
        """Write what is left and end."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._contents or self._lines or self._closing)
                contents, self._contents = self._contents, {}
                lines, self._lines = self._lines, []
                self._busy = True
                if not contents and not lines:
                    return
            for name, line in lines:
                self._attempt(name, lambda name=name, line=line: _append(self.place / name, line))  # type: ignore[misc]
            for name, content in contents.items():
                self._attempt(name, lambda name=name, content=content: replace_file(self.place / name, content))  # type: ignore[misc]
            with self._condition:
                self._busy = False
                self._condition.notify_all()

    def _attempt(self, name: str, write: Callable[[], None]) -> None:
        try:
            self.place.mkdir(parents=True, exist_ok=True, mode=0o700)
            write()
        except OSError as error:
            text = f"cannot save {self.place / name}: {error.strerror}; what you type now is not kept"
            if text not in self._told:
                self._told.add(text)
                self._on_error(text)


def _append(path: Path, line: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE), "w", encoding="utf-8") as file:
        file.write(line + "\n")


def replace_file(path: Path, content: str) -> None:
    """Replace a file so that a crash leaves either the old or the new content whole."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def claim(place: Path, stem: str) -> tuple[str, TextIO]:
    """A file name of this console's own, `stem`.json, or `stem`-2.json and so on while others are open.

    The second value holds the claim until it is closed or the process ends, however it ends.
    """
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = 1
    while True:
        name = f"{stem}.json" if number == 1 else f"{stem}-{number}.json"
        lock = open(place / f".{name}.lock", "w", encoding="utf-8")  # noqa: SIM115 - held as long as the console runs
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            number += 1
            continue
        return name, lock


def state_place(environment: "os._Environ[str] | dict[str, str]" = os.environ) -> Path:
    """Where the console keeps its files: XDG_STATE_HOME/afterfact, by default ~/.local/state/afterfact."""
    base = environment.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "afterfact"
