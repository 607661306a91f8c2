"""All keys on one page, from the menus' own actions and from what only the editor, the table and the tabs know."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from afterfact_client.console.views.parts import label

EDITOR = (
    ("Ctrl+Up, Alt+Up", "Older query from the history"),
    ("Ctrl+Down, Alt+Down", "Newer query, at last what was being typed"),
    ("Ctrl+Space", "What may come next"),
    ("Tab", "Take the completion; else go on to the table"),
)
QUERIES = (
    ("Return", "Run it in the tab; with Ctrl in a new one"),
    ("Delete", "Remove it"),
)
TIMELINE = (
    ("Left, Right", "Choose a step; with Shift several"),
    ("Return", "Ask again for the time chosen"),
)
QUEUE = (
    ("F1 to F7", "Category I to VII for the selected rows, with the events shown"),
    ("F8", "No action"),
    ("F9", "Escalate, with a comment"),
    ("Shift+F1 to Shift+F8", "The same with a comment"),
    ("C, R, A", "Claim, release, assign"),
    ("N", "Note: add a comment"),
    ("O", "Open again"),
    ("Ctrl+Z", "Take back the last act"),
    ("Return", "The sessions around the newest event, or the selected one"),
)
CASES = (
    ("N, H, Q", "Note, hypothesis, question"),
    ("E", "Title, owner, conclusion; close it"),
    ("Return", "Into the case; Tab walks from door to door, Enter opens one"),
)
WATCHES = (
    ("Return", "Run its query"),
    ("P", "Pause it, or let it go on"),
    ("Delete", "Remove it, at the second press"),
)
SETS = (
    ("Return", "Ask for it; in the exclusions what one leaves out"),
    ("V", "Its values and versions"),
    ("O", "Ask what made it"),
    ("Delete", "Delete it, at the second press"),
)
TABLE = (
    ("Enter, Menu, Shift+F10", "Menu of the cell: ask again around it"),
    ("Shift+Space", "Select whole rows"),
    ("Ctrl+C", "Copy the selection, tab-separated; one cell as its bare value"),
    ("Ctrl+Shift+C", "Copy the selection as CSV"),
    ("Ctrl+A", "Select all"),
    ("S", "Sort by the column; once more the other way; then as it was. Or a click on its title"),
    ("Shift+S", "Sort by it too, where those before are equal. Or Shift and a click"),
)


class KeysHelp(QDialog):
    """Does not block the window; Esc closes it."""

    def __init__(self, menus: list[QMenu], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns = (QVBoxLayout(), QVBoxLayout())
        heights = [0, 0]
        groups = [(menu.title().replace("&", ""), _of_menu(menu)) for menu in menus]
        groups = [
            group
            for group in (
                *groups,
                ("In the queue", QUEUE),
                ("In the cases", CASES),
                ("In the watches", WATCHES),
                ("In the sets and exclusions", SETS),
                ("In the query", EDITOR),
                ("In the table", TABLE),
                ("In the timeline", TIMELINE),
                ("In the saved queries", QUERIES),
            )
            if group[1]
        ]
        for title, keys in groups:
            part = QGridLayout()
            part.setHorizontalSpacing(16)
            part.setVerticalSpacing(0)
            part.addWidget(label(title.upper(), "section"), 0, 0, 1, 2)
            for row, (key, what) in enumerate(keys, 1):
                part.addWidget(label(key), row, 0)
                part.addWidget(label(what, "dim"), row, 1)
            part.setColumnStretch(1, 1)
            at = heights.index(min(heights))
            columns[at].addLayout(part)
            heights[at] += len(keys) + 2
        page = QWidget()
        layout = QHBoxLayout(page)
        layout.setContentsMargins(24, 16, 24, 16)
        layout.setSpacing(32)
        for column in columns:
            column.setSpacing(7)
            column.addStretch(1)
            layout.addLayout(column)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(page)
        area.setAccessibleName("All keys")
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        room, needed = self.screen().availableSize(), page.sizeHint()
        self.resize(min(needed.width() + 16, room.width()), min(needed.height(), room.height() - 48))


def _of_menu(menu: QMenu) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            ", ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts()),
            action.text().replace("&", ""),
        )
        for action in menu.actions()
        if action.shortcuts()
    )
