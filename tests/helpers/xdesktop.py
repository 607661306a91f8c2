"""A virtual X display and what a hand does there: real key and mouse events, by xdotool."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAIT_SECONDS = 60.0


class XDesktop:
    """`environment` is for programs that are to show their windows there."""

    def __init__(self, display: str) -> None:
        self.environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        self.environment.pop("WAYLAND_DISPLAY", None)

    def window(self, title: str) -> str:
        """Wait for a window with this in its title, give it the focus, and name it."""
        found: list[str] = []

        def shown() -> bool:
            found[:] = self._do("search", "--onlyvisible", "--name", title).stdout.split()
            return bool(found)

        until(f"the window {title!r}", shown)
        self._do("windowfocus", "--sync", found[-1])
        return found[-1]

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._do("type", "--delay", "2", text)

    def keys(self, *keys: str) -> None:
        """Press keys, as `ctrl+Return`, one after the other."""
        self._do("key", "--delay", "20", *keys)

    def click(self, window: str, x: int, y: int) -> None:
        """Click with the left button at a place in a window."""
        self._do("mousemove", "--window", window, str(x), str(y), "click", "1")

    def width(self, window: str) -> int:
        """How wide a window is."""
        lines = self._do("getwindowgeometry", "--shell", window).stdout.splitlines()
        return int(dict(line.split("=") for line in lines)["WIDTH"])

    def _do(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=30)


def until(what: str, shown: Callable[[], bool]) -> None:
    """Wait until something is so: it happens in another process, which sends no word."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not shown():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s for {what}"
        time.sleep(0.05)


@contextmanager
def x_desktop() -> Iterator[XDesktop]:
    """An X server on a display number that it chose itself, until the end."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as answer:
        number = answer.readline().strip()
    try:
        assert number, "Xvfb did not start"
        yield XDesktop(f":{number}")
    finally:
        process.terminate()
        process.wait()
