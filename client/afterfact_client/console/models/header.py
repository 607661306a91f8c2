"""The header of a table whose columns say their own titles."""

from collections.abc import Sequence
from typing import Any, Protocol

from PySide6.QtCore import Qt


class Titled(Protocol):
    """A column."""

    @property
    def title(self) -> str: ...

    @property
    def right(self) -> bool:
        """Whether its cells are aligned to the right."""
        ...

    @property
    def about(self) -> str:
        """Its tool tip; empty for none."""
        ...


def header(columns: Sequence[Titled], section: int, orientation: Qt.Orientation, role: int) -> Any:
    """What a model's `headerData` answers: title, alignment and tool tip of a column."""
    if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(columns):
        return None
    column = columns[section]
    if role == Qt.ItemDataRole.DisplayRole:
        return column.title
    if role == Qt.ItemDataRole.TextAlignmentRole:
        side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter
    return (column.about or None) if role == Qt.ItemDataRole.ToolTipRole else None
