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
        self._shared(fake)
        self._cases(fake)
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

    def _shared(self, fake: "FakeServer") -> None:
        """Sets, exclusions and what the team saved, and what was left out of an answer."""
        from afterfact_protocol.messages import LeftOut
        from afterfact_protocol.sets import read_value

        fill_shared(fake)
        window = self._window
        window.new_tab()
        fake.changes = {"exclusions": tuple(fake.shared.exclusions.values())[1:], "by_default": True}
        fake.shared.removed = (LeftOut("scanners", 312, ""), LeftOut("web", 48_210, "port IN (80, 443) EXCLUDING NONE"))
        window.shared.look_at_saved()
        self.ask("WHERE start_time > '2004-07-20' AND dst_ip IN @infected")
        window.tab.answer.notes.left_out.follow("count")
        self.wait(FIRST_MS)
        self.save("left-out")
        window.tab.time.open()
        self.save("time-menu")
        assert window.tab.time.menu_shown is not None
        window.tab.time.menu_shown.close()
        window.tab.time.between_wanted.emit()
        assert window.tab.time_dialog is not None
        window.tab.time_dialog.first.setText("2004-07-26 17:37")
        window.tab.time_dialog.last.setText("2004-07-26 18:00")
        self.save("time-dialog")
        window.tab.time_dialog.reject()
        window.keep.show_sets()
        sets = window.keep.sets_window
        assert sets is not None
        self.wait(FIRST_MS)
        fake.shared.values = {name: b"".join(read_value("address", f"10.0.{n}.7") for n in range(60))
                              for name in fake.shared.sets}  # fmt: skip
        sets.show_values()
        self.wait(FIRST_MS)
        self.save("sets")
        sets.close()
        window.keep.show_exclusions()
        self.wait(FIRST_MS)
        self.save("exclusions")
        assert window.keep.exclusions_window is not None
        window.keep.exclusions_window.close()
        window.activateWindow()
        answer = window.tab.answer
        answer.rows.sets.dialog = None
        answer.view.setCurrentIndex(answer.table.index(2, 4))
        actions = answer.rows.sets.entries(answer.table.columns[4], fake.rows[:3], {}, answer.query)
        next(do for text, _, do in actions if text.startswith("src_ip of all"))()
        self.save("save-set")
        assert answer.rows.sets.dialog is not None
        answer.rows.sets.dialog.reject()
        window.commands.save_query()
        assert window.commands.dialog is not None
        window.commands.dialog.whose.setCurrentIndex(1)
        self.save("save-for-team")
        window.commands.dialog.reject()
        window.views.fill()
        window.views.popup(window.mapToGlobal(window.rect().center()))
        self.save("column-views")
        window.views.close()
        fake.changes = {}

    def _cases(self, fake: "FakeServer") -> None:
        """The cases with a negative that no longer holds, their dialogues, and annotations."""
        from dataclasses import replace

        from helpers.made_cases import HOUR, WHEN, case

        from afterfact_protocol.messages import Annotation, AnnotationChanged

        window = self._window
        for number, title in ((1, "port scan of the dmz"), (2, "beacons every 300 s"), (3, "the worm on 1034")):
            told = case(number, title=title, reopened=int(number == 3), changed_at=WHEN + number * HOUR)
            fake.cases.put(told if number == 3 else replace(told, steps=(), items=()), "made")
        window.casework.show()
        window.cases.look_at(3)
        self.until("the case", lambda: window.cases.desk.case is not None)
        self.save("cases")
        window.casework.add_item("hypothesis")
        self.save("case-hypothesis")
        assert window.casework.dialog is not None
        window.casework.dialog.reject()
        self.wait(FIRST_MS)
        window.activateWindow()
        assert fake.link.on_annotation is not None
        fake.link.on_annotation(AnnotationChanged(Annotation(7, "port", "1034", "the worm's", 3, 1, "bob"), False))
        window.tabs.setCurrentIndex(window.tabs.count() - 1)
        self.ask("WHERE port = 1034")
        self.save("annotations")
        window.casework.add_query()
        self.save("add-to-case")
        assert window.casework.dialog is not None
        window.casework.dialog.reject()

    def _real(self) -> None:
        from afterfact_client.console.views.host_window import HostWindow
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
        answer.rows.profile_here(answer.query)
        (page,) = window.findChildren(HostWindow)
        self.until("the profile", lambda: not page.run.running)
        self.save("host")
        page.close()
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


def fill_shared(fake: "FakeServer") -> None:
    """What a team shares after a week."""
    from helpers.fake_shared import exclusion, set_info

    day = 86_400_000_000
    fake.shared.put(
        set_info(
            "infected",
            note="hosts that swept port 1034",
            query="WHERE port = 1034 AND start_time > '2004-07-20'",
            coverage="border, inside watched throughout",
        ),
        set_info("resolvers", number=3, by="bob", query="", note="from the wiki", count=2),
        set_info("talkers", live=True, query="last 1h | sum(total_bytes) AS b BY src_ip HAVING b > 1GB", count=17),
        set_info("backdoor_ports", kind="port", count=6, query="", note="case 7"),
        set_info("watchlist", count=12_345, networks=87, by="cem", query="", note="indicators of July"),
    )
    now = time.time_ns() // 1000
    for made in (
        exclusion("backups", "src_ip = 10.0.0.20 AND dst_port = 873", by_default=False, expires=now - day),
        exclusion("scanners", "src_ip IN (10.9.9.8, 10.9.9.9)", by="bob", expires=now + 30 * day, note="our own"),
        exclusion("web", "port IN (80, 443)", expires=now + 7 * day, note="looked at by the proxy's own team"),
    ):
        fake.shared.exclusions[made.name] = made
    for folder, name, text in (
        ("case 7", "the sweep", "WHERE dst_port = 1034"), ("case 7", "inbound", "WHERE inbound AND dst_port = 1034"),
        ("morning", "new services", "last 1d AND first_seen(dst_ip, dst_port where established) > now - 1d"),
    ):  # fmt: skip
        fake.shared.save("query", folder, name, text, by="bob")
    for name in ("narrow", "bytes", "tunnels"):
        fake.shared.save("view", "", name, '{"columns": [["src_ip", 0], ["dst_ip", 0], ["dst_port", 0]]}', by="bob")


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
