"""docs/console.md lists every key that the console takes."""

from pathlib import Path

from helpers.desk import Desk
from PySide6.QtGui import QKeySequence

from afterfact_client.console.views.keys_help import CASES, EDITOR, QUERIES, QUEUE, SETS, TABLE, TIMELINE, WATCHES

PAGE = Path(__file__).parents[3] / "docs" / "console.md"


def listed() -> set[str]:
    lines = (line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| "))
    return {key.strip() for cells in lines for key in cells[1].split(", ") if key.strip()}


def test_every_key_is_in_the_page_and_no_other(desk: Desk) -> None:
    real = of_the_menus(desk)
    real |= {
        key
        for keys, _ in (*EDITOR, *TABLE, *TIMELINE, *QUERIES, *QUEUE, *CASES, *SETS, *WATCHES)
        for key in keys.split(", ")
    }
    assert listed() == real


def of_the_menus(desk: Desk) -> set[str]:
    actions = [action for menu in desk.window.menus.all for action in menu.actions()]
    form = QKeySequence.SequenceFormat.PortableText
    return {key.toString(form) for action in actions for key in action.shortcuts()}
