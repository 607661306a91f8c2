"""Drives the console as an analyst would, with keys and mouse, and saves a picture of each state.

    demo_console.py --join CONSOLE.toml --user ana --out DIR [--size 1440x900] --query "WHERE ..." [--empty "WHERE ..."]

The password is in AFTERFACT_PASSWORD. It needs no display (QT_QPA_PLATFORM=offscreen, or an X server such as Xvfb).
It ends with 0 once all pictures are saved, with 1 and one line if the console did not show what it should.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

WAIT_SECONDS = 60.0


class NotShown(Exception):
    """The console did not come to show something in time."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Drives the console and saves pictures of it.")
    parser.add_argument("--join", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--query", required=True, help="a query with rows")
    parser.add_argument("--empty", default="WHERE dst_port = 31337", help="a query without")
    parser.add_argument("--size", default="1440x900")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_STATE_HOME"] = scratch
        if not os.environ.get("QT_QPA_PLATFORM") and not os.environ.get("DISPLAY"):
            os.environ["QT_QPA_PLATFORM"] = _offscreen(Path(scratch), width, height)
        try:
            _drive(arguments, width, height)
        except NotShown as error:
            sys.stderr.write(f"demo_console: {error}\n")
            return 1
    return 0


def _offscreen(scratch: Path, width: int, height: int) -> str:
    """Qt's platform without a display, with a screen on which menus have room."""
    screen = {"name": "demo", "x": 0, "y": 0, "width": width, "height": height, "logicalDpi": 96,
              "logicalBaseDpi": 96, "dpr": 1}  # fmt: skip
    path = scratch / "screen.json"
    path.write_text(json.dumps({"synchronousWindowSystemEvents": True, "windowFrameMargins": False,
                                "screens": [screen]}))  # fmt: skip
    return f"offscreen:configfile={path}"


def _drive(arguments: argparse.Namespace, width: int, height: int) -> None:
    # Qt reads its platform when it is loaded.
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtGui import QPainter
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    from afterfact_client.console.app import Console, make_application
    from afterfact_client.console.models.query_run import RunPhase
    from afterfact_client.console.views.query_editor import QueryEditor
    from afterfact_client.state.disk import state_place
    from afterfact_protocol.joinfile import read_join

    make_application()
    console = Console(read_join(arguments.join, "console"), state_place())
    window = console.window
    window.resize(width, height)
    window.show()
    window.activateWindow()  # a bare X server has no window manager to do so
    arguments.out.mkdir(parents=True, exist_ok=True)
    control = Qt.KeyboardModifier.ControlModifier

    def until(what: str, shown: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not shown():
            if time.monotonic() > deadline:
                raise NotShown(f"waited {WAIT_SECONDS:.0f} s for {what}")
            QTest.qWait(20)

    def save(name: str) -> None:
        QTest.qWait(100)
        picture = window.grab()
        painter = QPainter(picture)
        for widget in QApplication.topLevelWidgets():
            if widget is not window and widget.isVisible():
                painter.drawPixmap(widget.mapToGlobal(QPoint()) - window.mapToGlobal(QPoint()), widget.grab())
        painter.end()
        path = arguments.out / f"{name}.png"
        if not picture.save(str(path)):
            raise NotShown(f"cannot save {path}")

    def type_in(editor: QueryEditor, text: str) -> None:
        editor.setFocus()
        QTest.keyClick(editor, Qt.Key.Key_A, control)
        QTest.keyClick(editor, Qt.Key.Key_Delete)
        lines = text.splitlines()
        for at, line in enumerate(lines):
            QTest.keyClicks(editor, line)
            if at + 1 < len(lines):
                QTest.keyClick(editor, Qt.Key.Key_Return)

    def run() -> None:
        tab = window.tab
        QTest.keyClick(tab.editor, Qt.Key.Key_Return, control)
        until("an answer", lambda: tab.query.phase in (RunPhase.ANSWERED, RunPhase.FAILED))
        if tab.query.error is not None:
            raise NotShown(f"the query was not answered: {tab.query.error.text}")
        until("all rows", lambda: tab.answer.table.result is not None and tab.answer.table.result.complete)

    until("the keyboard", window.isActiveWindow)
    window.begin(arguments.user)
    QTest.keyClicks(window.login.password, os.environ.get("AFTERFACT_PASSWORD", ""))
    save("login")
    QTest.keyClick(window.login.password, Qt.Key.Key_Return)
    until("the login", lambda: window.server.online or not window.login.cancel.isVisible())
    if not window.server.online:
        raise NotShown(f"not logged in: {window.login.line.text()}")
    until("the sensors", lambda: bool(window.sensors.heard))

    first = window.tab
    type_in(first.editor, arguments.query)
    run()
    if not first.answer.table.rowCount():
        raise NotShown("the query found no sessions")
    save("console-dark")
    QTest.keyClick(window, Qt.Key.Key_L, control | Qt.KeyboardModifier.ShiftModifier)
    save("console-light")
    QTest.keyClick(window, Qt.Key.Key_L, control | Qt.KeyboardModifier.ShiftModifier)

    view = first.answer.view
    names = [column.name for column in first.answer.table.columns]
    at = first.answer.table.index(min(4, first.answer.table.rowCount() - 1), names.index("dst_port"))
    view.setCurrentIndex(at)
    QTest.keyClick(view, Qt.Key.Key_Return)
    until("the menu", lambda: first.answer.menu is not None and first.answer.menu.isVisible())
    save("console-menu")
    assert first.answer.menu is not None
    QTest.keyClick(first.answer.menu, Qt.Key.Key_Escape)

    second = window.new_tab()
    type_in(second.editor, "WHERE sessions.start_time > '2004-07-20' AND prot = 1034 LIMIT 500")
    second.completion.hide()
    until("the error", lambda: second.said.objectName() == "error")
    save("console-error")
    type_in(second.editor, arguments.empty)
    run()
    save("console-empty")
    console.close()


if __name__ == "__main__":
    sys.exit(main())
