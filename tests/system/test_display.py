"""The system packages of scripts/setup let Qt open a real window on an X server and draw legible text on it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SHOW = """
import sys
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

application = QApplication([])
assert application.platformName() == sys.argv[2], application.platformName()
window = QWidget()
layout = QVBoxLayout(window)
labels = [QLabel(text) for text in ("1034", "8765", "1034")]
for label in labels:
    label.setStyleSheet("color: black; background: white; font-size: 32px")
    label.setFixedSize(200, 60)
    layout.addWidget(label)
window.show()
application.processEvents()
screen = window.screen()
picture = screen.grabWindow(window.winId()) if sys.argv[2] == "xcb" else window.grab()
assert picture.save(sys.argv[1])
images = [picture.copy(label.geometry()).toImage() for label in labels]
dark = sum(images[0].pixelColor(x, y).lightness() < 64 for x in range(200) for y in range(60))
assert dark > 100, f"{dark} dark pixels: no text"
assert images[0] == images[2]
assert images[0] != images[1], "different figures look the same: the font has no glyphs"
"""


@pytest.fixture
def display() -> Iterator[str]:
    """An X server of the test's own, by its name; Xvfb picks a free number itself."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait()


def show(picture: Path, platform: str, **environment: str) -> None:
    """Runs the window on a Qt platform in a process of its own, and fails with what it said."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHOW, str(picture), platform],
        env={**os.environ, "QT_QPA_PLATFORM": platform, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert picture.stat().st_size > 0


def test_a_window_shows_on_an_x_server(tmp_path: Path, display: str) -> None:
    show(tmp_path / "window.png", "xcb", DISPLAY=display)


def test_a_window_shows_offscreen(tmp_path: Path) -> None:
    show(tmp_path / "window.png", "offscreen")
