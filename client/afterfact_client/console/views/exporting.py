"""Where to write to: the table as CSV, the pictures over it as PNG."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QWidget

SCALE = 2
"""Dots of a picture for each on the screen: it is printed, or looked at on a better one."""


def ask_path(parent: QWidget, title: str, name: str, suffix: str, do: Callable[[Path], None]) -> QFileDialog:
    """Ask for a file to write; `do` gets it. Blocks nothing but its window."""
    dialog = QFileDialog(parent, title, str(Path.home() / name), f"{suffix.upper()} (*.{suffix})")
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(suffix)
    dialog.fileSelected.connect(lambda path: do(Path(path)))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def save_picture(widget: QWidget, path: Path) -> bool:
    """What a widget shows, as a file; False if it cannot be written."""
    image = QImage(widget.size() * SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(SCALE)
    widget.render(image)
    return image.save(str(path))
