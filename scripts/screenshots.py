"""A picture of every view and state of the console, to be looked at: dark and light, 1280x720 and 3840x2160.

The server is a real one, with the worm's day; what a real server cannot be held in (an answer that does not come, a
connection that breaks) is shown over the tests' fake link.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import demo

if TYPE_CHECKING:
    from helpers.fake_link import FakeServer

    from afterfact_protocol.messages import Autocat, QueryWatch, QueueRow

sys.path.insert(0, str(demo.ROOT / "tests"))
OUT = demo.DEMO / "screenshots"
SIZES = ((1280, 720, 12), (3840, 2160, 18))
"""Width, height, and the text size that suits it."""
GAP = "WHERE start_time > '2004-07-26 18:00' AND start_time < '2004-07-28' AND outcome = both_ways"
FIRST_MS = 400


def main() -> int:
    wanted = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running, tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        _, join, _ = demo.site(running)
        screen = {"name": "all", "x": 0, "y": 0, "width": 3840, "height": 2160, "logicalDpi": 96, "logicalBaseDpi": 96,
                  "dpr": 1}  # fmt: skip
        config = Path(scratch) / "screen.json"
        config.write_text(json.dumps({"synchronousWindowSystemEvents": True, "windowFrameMargins": False,
                                      "screens": [screen]}))  # fmt: skip
        os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={config}"
        photographer = Photographer(join, Path(scratch), wanted)
        for width, height, text_px in SIZES:
            for theme in ("dark", "light"):
                photographer.session(theme, width, height, text_px)
    print(f"{photographer.taken} pictures in {OUT.relative_to(demo.ROOT)}")
    return 0


class Photographer:
    """Drives one console after another through its states."""

    def __init__(self, join: Path, scratch: Path, wanted: list[str]) -> None:
        from afterfact_client.console.app import make_application

        self._application = make_application()
        self._join, self._scratch, self._wanted = join, scratch, wanted
        self.taken = 0

    def session(self, theme: str, width: int, height: int, text_px: int) -> None:
        """All states in one theme and size."""
        from helpers.fake_link import JOIN, FakeServer

        from afterfact_client.link import Link, LinkPhase
        from afterfact_protocol.joinfile import read_join

        self._name = f"{theme}-{width}x{height}"
        self._open(read_join(str(self._join), "console"), Link, theme, width, height, text_px)
        self.save("login")
        self._log_in("ana", demo.PASSWORD)
        self._real()
        self._console.close()
        fake = FakeServer()
        self._open(JOIN, fake, theme, width, height, text_px)
        self._window.begin("ana", "wrong")
        self.save("login-refused")
        self._log_in("ana", "good")
        self.save("new-tab")
        fake.holding = True
        self._window.tab.editor.replace("WHERE start_time > '2004-07-20'")
        self._window.tab.run()
        self.wait(1000)
        fake.link.progress(123_456_789)
        self.save("loading")
        fake.holding = False
        fake.link.release()
        self.wait(FIRST_MS)
        self._window.server.last_good -= 12
        fake.link.change(LinkPhase.LOST, "no server answers at tcp://server.example:7734")
        self.save("connection-lost")
        self._queue(fake)
        self._console.close()

    def _queue(self, fake: "FakeServer") -> None:
        """The queue's states and the windows beside it: only a fake server has as many hands on it."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        from afterfact_client.link import LinkPhase

        fake.queue.put(*queue_rows())
        fake.queue.watches, fake.queue.rules = watches(), rules()
        fake.role = "lead"
        fake.link.change(LinkPhase.ONLINE, "connected")
        window, view = self._window, self._window.queue
        self.until("the server", lambda: not window.trouble.isVisible())
        window.activateWindow()
        self.until("the window", window.isActiveWindow)
        window.triage.show()
        self.until("the queue", lambda: view.desk.phase == "ready" and view.table.rowCount() > 0)
        view.rows.select(1)
        for key in (Qt.Key.Key_C, Qt.Key.Key_F6):
            QTest.keyClick(view.rows, key)
            self.wait(FIRST_MS)
        view.rows.select(0)
        QTest.keyClick(view.rows, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
        self.wait(FIRST_MS)
        self.save("queue")
        tell, fake.queue.tell = fake.queue.tell, None
        fake.queue.other(view.table.number(0), 4)
        QTest.keyClick(view.rows, Qt.Key.Key_F1)
        self.wait(FIRST_MS)
        self.save("queue-refused")
        fake.queue.tell = tell
        QTest.keyClick(view.rows, Qt.Key.Key_F9)
        self.save("queue-escalate")
        view.comment.leave()
        view.rows.open_menu(view.rows.viewport().mapToGlobal(view.rows.viewport().rect().center()))
        self.save("queue-menu")
        assert view.rows.menu is not None
        view.rows.menu.close()
        view.show_list("escalated")
        self.wait(FIRST_MS)
        self.save("queue-escalated")
        view.show_list("open")
        fake.role = "viewer"
        fake.link.change(LinkPhase.LOST, "no server answers")
        self.wait(FIRST_MS)
        self.save("queue-lost")
        fake.link.change(LinkPhase.ONLINE, "connected")
        self.wait(FIRST_MS)
        self.save("queue-viewer")
        fake.role = "lead"
        fake.link.change(LinkPhase.LOST, "no server answers")
        fake.link.change(LinkPhase.ONLINE, "connected")
        self.wait(FIRST_MS)
        window.triage.show_watches()
        self.wait(FIRST_MS)
        self.save("watches")
        assert window.triage.watches_window is not None
        window.triage.watches_window.close()
        window.triage.show_rules()
        self.wait(FIRST_MS)
        self.save("rules")
        assert window.triage.rules_window is not None
        window.triage.rules_window.close()
        window.activateWindow()
        window.tabs.bring_query()
        window.triage.watch_query()
        self.save("watch-query")
        assert window.triage.dialog is not None
        window.triage.dialog.reject()

    def _real(self) -> None:
        from afterfact_client.console.views.keys_help import KeysHelp
        from afterfact_client.state.saved import SavedQuery

        window = self._window
        saved = window.commands.saved
        saved.save(SavedQuery("the sweep", demo.WORM, "worm 1034", "who calls port 1034"))
        saved.save(SavedQuery("inbound", demo.INBOUND, "worm 1034", "did anyone come in?"))
        saved.save(SavedQuery("high ports", "WHERE dst_port > 1024 AND established"))
        self.ask(demo.WORM)
        answer = window.tab.answer
        answer.view.setFocus()
        names = [column.name for column in answer.table.columns]
        answer.view.setCurrentIndex(answer.table.index(3, names.index("dst_port")))
        self.wait(FIRST_MS)
        self.save("full")
        answer.rows.cell_menu(answer.view.currentIndex(), answer.view.mapToGlobal(answer.view.rect().center()),
                              answer.query)  # fmt: skip
        self.save("menu")
        assert answer.menu is not None
        answer.menu.close()
        window.commands.show_palette()
        self.save("palette")
        assert window.commands.palette is not None
        window.commands.palette.close()
        window.commands.save_query()
        self.save("save-query")
        assert window.commands.dialog is not None
        window.commands.dialog.reject()
        window.new_tab()
        window.appearance.toggle_tops()
        self.ask("WHERE start_time > '2004-07-20'")
        window.tab.answer.view.selectAll()
        self.wait(FIRST_MS)
        self.save("tops-and-selection")
        window.appearance.toggle_tops()
        self.ask(GAP)
        window.tab.answer.notes.toggle()
        self.save("gap")
        self.ask("WHERE dst_port = 31337")
        self.save("empty")
        window.tab.editor.replace("WHERE sessions.start_time > '2004-07-20' AND prot = 1034")
        self.until("the error", lambda: window.tab.said.objectName() == "error")
        self.save("error")
        window.show_health()
        self.wait(FIRST_MS)
        self.save("health")
        assert window.health is not None
        window.health.close()
        window.show_keys()
        self.save("keys")
        for page in window.findChildren(KeysHelp):
            page.close()
        window.triage.show()
        self.wait(FIRST_MS)
        self.save("queue-empty")

    # --- steps --------------------------------------------------------------------------------------------------------

    def _open(self, join: object, link: object, theme: str, width: int, height: int, text_px: int) -> None:
        from afterfact_client.console.app import Console

        place = Path(tempfile.mkdtemp(dir=self._scratch))
        self._console = Console(join, place, link)  # type: ignore[arg-type]
        self._window = self._console.window
        self._window.appearance.set_theme(theme)  # type: ignore[arg-type]
        self._window.appearance.set_text_size(text_px)
        self._window.resize(width, height)
        self._window.show()
        self._window.activateWindow()
        self.until("the window", self._window.isActiveWindow)
        self._window.begin("ana")

    def _log_in(self, user: str, password: str) -> None:
        self._window.begin(user, password)
        self.until("the login", lambda: self._window.pages.currentWidget() is self._window.work)
        self.wait(FIRST_MS)

    def ask(self, text: str) -> None:
        """Run a query and wait for all its rows and who else saw the current one."""
        tab = self._window.tab
        tab.editor.replace(text)
        tab.run()
        self.until("an answer", lambda: not tab.query.running)
        result = tab.answer.table.result
        self.until("all rows", lambda: result is None or result.complete)
        self.wait(FIRST_MS)
        self.until("who else saw it", lambda: not any("asking" in line for line in tab.answer.details.lines))

    def until(self, what: str, shown: Callable[[], bool]) -> None:
        """Wait until something shows."""
        deadline = time.monotonic() + 60
        while not shown():
            if time.monotonic() > deadline:
                raise SystemExit(f"screenshots: waited 60 s for {what}")
            self.wait(20)

    def wait(self, ms: int) -> None:
        """Let the window work."""
        from PySide6.QtTest import QTest

        QTest.qWait(ms)

    def save(self, state: str) -> None:
        """A picture of the window and of what stands over it."""
        from PySide6.QtCore import QPoint
        from PySide6.QtGui import QPainter

        if self._wanted and state not in self._wanted:
            return
        self.wait(150)
        picture = self._window.grab()
        painter = QPainter(picture)
        for widget in self._application.topLevelWidgets():
            if widget is not self._window and widget.isVisible():
                place = widget.mapToGlobal(QPoint()) - self._window.mapToGlobal(QPoint())
                painter.drawPixmap(place, widget.grab())
        painter.end()
        picture.save(str(OUT / f"{state}-{self._name}.png"))
        self.taken += 1


def queue_rows() -> "list[QueueRow]":
    """A morning's queue: scans, a worm, a policy, a watch's matches."""
    from helpers.fake_queue import SECOND, WHEN, queue_row

    signatures = (
        ("1:2001219", "ET SCAN Potential SSH Scan", 2), ("1:2003", "MS-SQL Worm propagation attempt", 1),
        ("watch:7", "worm 1034", 1), ("1:2000419", "ET POLICY PE EXE or DLL Windows file download", 3),
        ("1:2010935", "ET SCAN Suspicious inbound to MSSQL port 1433", 2),
    )  # fmt: skip
    rows = []
    for number in range(1, 61):
        rule, text, severity = signatures[number * number % 5]
        rows.append(queue_row(
            number, rule=rule, text=text, severity=severity, source="watch" if rule[0] == "w" else "alert",
            src_ip="2001:db8:85a3::8a2e:370:7334" if number % 17 == 5 else f"{10 + number % 3}.{number}.7.{number * 3}",
            dst_port=(22, 1434, 1034, 80, 1433)[number * number % 5], peers=number * 37 % 1300 + 1,
            sensors=("border", "dmz", "inside")[number % 2 : number % 3 + 1] or ("border",),
            first_time=WHEN + number * 11 * SECOND, last_time=WHEN + number * 61 * SECOND, late=number % 9 == 4,
            status=9 if number % 13 == 6 else 0, owner="bob" if number % 7 == 3 else "",
            changed_by="bob" if number % 13 == 6 else "",
            comment="same host as yesterday's" if number % 13 == 6 else "",
        ))  # fmt: skip
    return rows


def watches() -> "list[QueryWatch]":
    """Watches in every state."""
    from helpers.fake_queue import WHEN

    from afterfact_protocol.messages import QueryWatch

    return [
        QueryWatch(9, "dmz to the inside", "WHERE src_network = dmz AND dst_network = inside AND established", 2, "",
                   True, True, 0, "ana", WHEN, "on", 0, 0, "there is no network 'inside'"),
        QueryWatch(8, "slow beacons", "WHERE outbound AND duration > 6h", 3, "", False, True, 0, "lea", WHEN,
                   "looking back", 17, WHEN),
        QueryWatch(7, "worm 1034", "WHERE dst_port = 1034 AND established", 1, "it spreads", True, True, 0, "ana", WHEN,
                   "on", 1234, WHEN),
        QueryWatch(3, "old ports", "WHERE port IN (31337, 12345)", 4, "", False, False, WHEN, "bob", WHEN, "paused", 2,
                   WHEN),
    ]  # fmt: skip


def rules() -> "list[Autocat]":
    """A rule that stands and one that was removed."""
    from helpers.fake_queue import WHEN

    from afterfact_protocol.messages import Autocat

    return [
        Autocat(2, "1:2001219", "10.9.0.0/16", "", "", 8, "our scanner", "lea", WHEN, WHEN * 2, False, 41_233),
        Autocat(1, "", "10.8.7.6", "", "dmz", 6, "the auditors, until Friday", "lea", WHEN, WHEN, True, 12),
    ]


if __name__ == "__main__":
    sys.exit(main())
