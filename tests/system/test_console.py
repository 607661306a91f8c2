"""The founding case at the console: a real server with what two real sensors delivered, and the real window driven with
keys and mouse over a real connection."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from helpers.case import CASE, INBOUND, WORM, Case
from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.processes import PASSWORD, Server, ask, free_ports
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from afterfact_client import connect
from afterfact_client.console.app import Console
from afterfact_client.console.models.query_run import RunPhase
from afterfact_client.console.views.host_window import HostWindow
from afterfact_client.state import result
from afterfact_client.state.columns import BY_NAME, address
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.session import absent_bits

pytestmark = [
    pytest.mark.qt_log_level_fail("WARNING"),
    pytest.mark.qt_log_ignore("This plugin does not support (raise|propagateSizeHints|grabbing)", extend=True),
]
EXPECTED = {
    " ".join(item["query"].split()): item["rows"]
    for item in json.loads((CASE / "expected.json").read_text())["queries"]
}


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path, case: Case) -> Iterator[Desk]:
    made = Desk(qtbot, Console(read_join(case.console, "console"), tmp_path / "state"))
    made.open()
    yield made
    made.console.close()


def test_the_timeline_of_a_large_result_is_the_timeline_of_its_rows(
    desk: Desk, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log_in("ana", PASSWORD)
    text = "start_time >= '2004-07-26 06:00' and start_time < '2004-07-27 06:00' and not outcome = unknown"
    desk.ask(text)
    view = desk.tab.answer.pictures.timeline
    desk.until(lambda: view.timeline is not None)
    whole = view.timeline
    monkeypatch.setattr(result, "LOCAL_ROWS", 100)  # now it is a large one
    desk.ask(f"{text} order by src_bytes limit 300")
    desk.until(lambda: view.timeline is not None)
    assert whole is not None and view.timeline is not None and view.timeline is not whole
    assert view.words == f"of all {whole.counts.sum():,} sessions that match;" and whole.counts.sum() > 300
    assert (view.timeline.groups, view.timeline.step, view.timeline.start) == (whole.groups, whole.step, whole.start)
    assert view.timeline.counts.tolist() == whole.counts.tolist()
    lists = desk.tab.answer.pictures.tops.lists
    desk.key(Key.Key_G, CONTROL | SHIFT)
    desk.until(lambda: all(bars.tops for bars in lists.values()))
    with connect(case.console, "ana", PASSWORD) as client:
        rows = client.query(text).fetch()
    ports = Counter(rows["dst_port"][rows["absent"] & np.uint64(absent_bits("dst_port")) == 0].tolist())
    assert [top.count for top in lists["dst_port"].tops] == [number for _, number in ports.most_common(5)]
    assert ports[int(lists["dst_port"].tops[0].text)] == lists["dst_port"].tops[0].count
    assert lists["dst_port"].tops[0].condition == f"dst_port = {lists['dst_port'].tops[0].text}"
    assert lists["sensor"].tops[0].condition in ("sensor = 'border'", "sensor = 'inside'")
    view.choice.actions()[1].trigger()
    desk.until(lambda: view.timeline is not None and view.by == "sensor")
    assert set(view.timeline.groups) == {"border", "inside", "others"}
    assert view.timeline.counts.sum() == whole.counts.sum()


def test_the_case_from_login_to_the_inbound_session(desk: Desk, case: Case) -> None:
    desk.log_in("ana", PASSWORD)
    desk.until(lambda: [sensor.name for sensor in desk.window.sensors.sensors] == ["border", "inside"])

    desk.ask(WORM)
    expected = EXPECTED[" ".join(WORM.split())]
    names = ("sensor", "src_ip", "src_port", "dst_ip", "dst_port", "outcome", "src_pkts", "src_bytes", "dst_pkts")
    assert desk.cells(*names) == [
        tuple(f"{row[name]:,}" if BY_NAME[name].type.value == "number" else str(row[name]) for name in names)
        for row in expected
    ]
    told = desk.cells(
        "src_ip", "start_time", "src_port", "dst_ip", "dst_port", "src_pkts", "src_bytes", "dst_pkts", "dst_bytes",
        "src_flags", "outcome",
    )  # fmt: skip
    assert [(row[1][:19], *row[2:]) for row in told if row[0] == "1.2.3.4"] == [
        (f"2004-07-26 {clock}", port, to, "1034", "6", "0", "0", "0", ".S....", "attempted")
        for clock, port, to in (
            ("17:39:13", "47317", "16.133.77.85"),
            ("17:38:52", "47235", "16.49.36.18"),
            ("17:38:31", "47209", "16.190.234.172"),
            ("17:38:10", "47146", "16.138.31.128"),
            ("17:37:49", "47076", "15.136.19.27"),
        )
    ]
    desk.until(lambda: "port 1034 on either side" in desk.tab.said.text())
    assert desk.window.summary.whole.startswith(f"{len(expected)} observations of ")
    assert "searched 2004-07-20 00:00 to now" in desk.window.summary.whole
    assert any("no data since 2004-07-27" in text for text in desk.tab.answer.notes.texts)

    # From a row of the sweep: did anyone come in to that port of the infected host?
    row = [ip for (ip,) in desk.cells("src_ip")].index("1.2.3.4")
    desk.go_to(row, "dst_port")
    desk.key(Key.Key_Return)
    desk.choose("connections to 1.2.3.4:1034")
    desk.answered()
    assert desk.tab.editor.text == "WHERE sessions.start_time > '2004-07-20' AND dst_ip = 1.2.3.4 AND dst_port = 1034"
    outcomes = desk.cells("src_ip", "outcome")
    desk.go_to([outcome for _, outcome in outcomes].index("both_ways"), "outcome")
    desk.key(Key.Key_Return)
    desk.choose("AND outcome = both_ways")
    desk.answered()
    inbound = EXPECTED[" ".join(INBOUND.split())]
    found = desk.cells("src_ip", "src_port", "src_bytes", "dst_bytes")
    assert found == [
        (row["src_ip"], str(row["src_port"]), f"{row['src_bytes']:,}", f"{row['dst_bytes']:,}") for row in inbound
    ]

    # What is copied is what the command line prints.
    desk.window.columns_menu.aboutToShow.emit()
    desk.go_to(0, "src_ip")
    desk.key(Key.Key_Space, SHIFT)
    desk.key(Key.Key_C, CONTROL | SHIFT)
    desk.until(lambda: desk.clipboard.startswith("sensor,"))
    printed = ask(case.console, desk.tab.editor.text, "--format", "csv").stdout.splitlines()
    header, line = (text.split(",") for text in printed)
    copied_header, copied = (text.split(",") for text in desk.clipboard.splitlines())
    values = dict(zip(header, line, strict=True))
    for name, value in zip(copied_header, copied, strict=True):
        assert name == "duration" or values[name] == value, name

    # Back along the trail the first answer is there at once, although the server no longer keeps it.
    desk.key(Key.Key_L, CONTROL)
    desk.window.tab.step(-1)
    desk.window.tab.step(-1)
    assert desk.tab.editor.text == WORM.strip() and len(desk.cells("src_ip")) == len(expected)


def test_what_the_team_shares_at_a_real_server(desk: Desk, case: Case) -> None:
    desk.log_in("ana", PASSWORD)
    desk.ask(WORM)
    sources = {row[0] for row in desk.cells("src_ip")}
    desk.go_to(0, "src_ip")
    desk.key(Key.Key_Return)
    (into,) = [action.menu() for action in desk.menu().actions() if action.text() == "Add to a &set"]
    assert isinstance(into, QMenu)
    next(action for action in into.actions() if action.text().startswith("src_ip of all")).trigger()
    dialog = desk.tab.answer.rows.sets.dialog
    assert dialog is not None
    QTest.keyClicks(dialog.name, "gui_worm")
    QTest.keyClick(dialog.name, Key.Key_Return)
    desk.until(lambda: desk.window.summary.whole.startswith("Saved as @gui_worm"))
    desk.return_to_window()
    desk.ask("src_ip IN @gui_worm AND port = 1034")
    assert sources <= {row[0] for row in desk.cells("src_ip")}
    desk.key(Key.Key_S, CONTROL | SHIFT)
    sets = desk.window.keep.sets_window
    assert sets is not None
    desk.until(lambda: sets.item is not None and sets.item.name == "gui_worm")
    sets.show_values()
    desk.until(lambda: all(f"  {source}" in sets.details.toPlainText().splitlines() for source in sources))
    sets.close()
    with connect(case.console, "ana", PASSWORD) as client:
        assert client.sets("gui_worm")[-1].field == "src_ip"
        client.save_exclusion("gui_tcp", "proto = tcp")
        whole = client.query("port = 1034 EXCLUDING NONE").answer.total
        desk.window.activateWindow()
        desk.until(desk.window.isActiveWindow)
        desk.ask("port = 1034 EXCLUDING gui_tcp")
        line, left = desk.tab.answer.notes.left_out, len(desk.cells("src_ip"))
        assert line.words.startswith("Left out: gui_tcp (proto = tcp; by ana)") and left < whole
        line.follow("count")
        desk.until(lambda: f"gui_tcp (proto = tcp; by ana): {whole - left:,}" in line.words)
        line.follow("see:0")
        desk.answered()
        assert len(desk.cells("src_ip")) == whole - left
        desk.key(Key.Key_S, CONTROL)
        save = desk.window.commands.dialog
        assert save is not None
        save.whose.setCurrentIndex(1)
        save.name.setText("gui saved")
        QTest.keyClick(save.name, Key.Key_Return)
        desk.until(lambda: desk.window.commands.dialog is None)
        item = client.saved.get("gui saved")
        assert (item.text, item.by) == (desk.tab.editor.text, "ana")
        client.saved.remove(item)
        desk.until(lambda: not desk.window.shared.team("query"))
        client.remove_exclusion("gui_tcp")
        client.remove_set("gui_worm")


def test_a_hosts_profile_is_what_its_sessions_say(desk: Desk, case: Case) -> None:
    desk.log_in("ana", PASSWORD)
    desk.ask(WORM)
    desk.go_to(0, "dst_port")
    host = desk.cells("dst_ip")[0][0]
    desk.key(Key.Key_O, CONTROL | SHIFT)
    (page,) = desk.window.findChildren(HostWindow)
    page.all_time.click()
    desk.until(lambda: not page.run.running)
    with connect(case.console, "ana", PASSWORD) as client:
        rows = client.query(f"ip = {host} EXCLUDING NONE").fetch()
        ends = [(address(row["src_ip"].tobytes()), address(row["dst_ip"].tobytes())) for row in rows]
        peers = Counter(dst if src == host else src for src, dst in ends)
        called = rows[[src == host for src, _ in ends]]
    assert {top.text: top.count for top in page.bars["peers"].tops}.items() <= dict(peers).items()
    assert sum(top.count for top in page.bars["peers"].tops) == sum(sorted(peers.values())[-8:])
    assert sum(number for _, _, number in page.days.days) == len(rows) > 0
    there = page.destination.text()
    assert there.startswith(f"Was called by {len({src for src, dst in ends if dst == host}):,} host"), there
    assert f" in {len(rows) - len(called):,} session" in there and "bytes" in there
    assert page.source.text().startswith("Called ")
    top = page.bars["peers"].tops[0]
    QTest.mouseClick(page.bars["peers"], Qt.MouseButton.LeftButton, pos=page.bars["peers"].place(0).center())
    desk.answered()
    assert len(desk.cells("src_ip")) == top.count
    QTest.keyClick(page.days, Key.Key_Right)
    QTest.keyClick(page.days, Key.Key_Return)
    desk.answered()
    assert len(desk.cells("src_ip")) == page.days.days[0][2] > 0
    page.close()


def test_an_answer_without_rows_says_what_was_watched(desk: Desk) -> None:
    desk.log_in("ana", PASSWORD)
    desk.ask("WHERE dst_port = 31337 AND start_time BETWEEN '2004-07-26 10:00' AND '2004-07-26 11:00'")
    assert desk.tab.answer.page.isVisible()
    assert "Searched 2004-07-26 10:00 to 2004-07-26 11:00 (UTC)." in desk.tab.answer.page.text
    assert "there was no such session" in desk.tab.answer.page.text
    desk.ask("WHERE dst_port = 31337")
    assert "There may have been such sessions" in desk.tab.answer.page.text
    assert "border: " in desk.tab.answer.page.text and "no data since" in desk.tab.answer.page.text


def test_the_servers_word_on_a_query_it_cannot_answer(desk: Desk) -> None:
    desk.log_in("ana", PASSWORD)
    desk.write("WHERE port = 1034; DROP TABLE sessions")
    desk.key(Key.Key_Return, CONTROL)
    desk.until(lambda: desk.tab.query.phase is RunPhase.FAILED)
    assert desk.tab.said.objectName() == "error"
    assert len(desk.tab.editor.extraSelections()) == 1


def test_a_cut_off_answer_is_sorted_by_the_server(desk: Desk) -> None:
    desk.log_in("ana", PASSWORD)
    desk.ask("WHERE start_time > '2004-07-20' LIMIT 5")
    assert any(text.startswith("Truncated: 5 sessions") for text in desk.tab.answer.notes.texts)
    desk.click_header("src_bytes")
    desk.answered()
    assert desk.tab.editor.text == "WHERE start_time > '2004-07-20' ORDER BY src_bytes DESC LIMIT 5"
    top = [int(text.replace(",", "")) for (text,) in desk.cells("src_bytes")]
    desk.ask("WHERE start_time > '2004-07-20'")
    every = sorted(
        (int(text.replace(",", "")) for (text,) in desk.cells("src_bytes") if text[0].isdigit()), reverse=True
    )
    assert top == every[:5]


def test_wrong_password(desk: Desk) -> None:
    desk.try_login("ana", "not hers")
    desk.until(lambda: desk.window.login.button.isEnabled() and desk.window.login.line.text() != "")
    assert desk.window.login.line.text() == "The server does not know user 'ana' with this password."
    desk.log_in("ana", PASSWORD)


def test_server_away_and_back_and_account_disabled(qtbot: QtBot, tmp_path: Path, server: Server) -> None:
    console_file = server.console_file()
    console = Console(read_join(console_file, "console"), tmp_path / "state")
    desk = Desk(qtbot, console)
    desk.open()
    desk.log_in("ana", PASSWORD)
    desk.ask("WHERE port = 1034")
    assert "No sensor is enrolled" in desk.tab.answer.page.text
    server.stop()
    desk.until(desk.window.trouble.isVisible)
    assert desk.window.trouble.whole.startswith("Connection lost, last good ")
    desk.write("WHERE port = 1035")
    desk.key(Key.Key_Return, CONTROL)
    desk.until(lambda: desk.tab.query.phase is RunPhase.FAILED)
    assert "Run it again when connected" in desk.tab.said.text()
    server.start()
    desk.until(lambda: not desk.window.trouble.isVisible())
    desk.key(Key.Key_Return, CONTROL)
    desk.answered()
    assert desk.tab.editor.text == "WHERE port = 1035"
    server.do("user", "disable", server.dir, "ana")
    desk.until(lambda: "does not let this console in any more" in desk.window.trouble.whole)
    assert desk.tab.editor.text == "WHERE port = 1035", "nothing typed is lost"
    console.close()


def test_a_key_that_is_not_enrolled_and_a_server_that_is_not_there(qtbot: QtBot, tmp_path: Path, case: Case) -> None:
    join = read_join(case.console, "console")
    public, secret = (half.decode() for half in zmq.curve_keypair())
    for number, (changes, said) in enumerate((
        ({"public_key": public, "secret_key": secret}, "does not admit the key of"),
        ({"address": f"tcp://127.0.0.1:{free_ports(1)[0]}"}, "No server answers at"),
        ({"server_key": public}, "is not the server that this join file knows"),
    )):  # fmt: skip
        console = Console(join.model_copy(update=changes), tmp_path / str(number))
        desk = Desk(qtbot, console)
        desk.open()
        desk.try_login("ana", PASSWORD)
        desk.until(lambda desk=desk, said=said: said in desk.window.login.line.text())  # type: ignore[misc]
        assert desk.window.login.line.objectName() == "error" and "\n" not in desk.window.login.line.text()
        console.close()


def run_console(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    cleared = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    cleared.pop("QT_QPA_PLATFORM", None)
    return subprocess.run(
        [sys.executable, "-m", "afterfact_client", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, env={**cleared, **environment},
    )  # fmt: skip


def test_what_keeps_it_from_starting_is_one_line(tmp_path: Path, case: Case) -> None:
    done = run_console("--join", case.console)
    assert done.returncode == 1
    assert done.stderr == "afterfact: no display: run the console on a desktop, or from a shell: afterfact query\n"
    done = run_console("--join", case.console, DISPLAY=":987")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("afterfact: the console cannot go on: ")
    done = run_console("--join", tmp_path / "none.toml", QT_QPA_PLATFORM="offscreen")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "none.toml: cannot read the join file" in done.stderr
    (tmp_path / "file").write_text("")
    done = run_console("--join", case.console, QT_QPA_PLATFORM="offscreen", XDG_STATE_HOME=str(tmp_path / "file"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot keep the console's files there" in done.stderr and "XDG_STATE_HOME" in done.stderr


def test_the_program_itself_logs_in_asks_and_ends_in_good_order(tmp_path: Path, case: Case) -> None:
    """`afterfact console` as a process of its own; SIGTERM closes it as its window does."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_STATE_HOME": str(tmp_path),
                   "AFTERFACT_PASSWORD": PASSWORD}  # fmt: skip
    command = [sys.executable, "-m", "afterfact_client", "console", "--join", str(case.console), "--user", "ana"]
    log = case.server.process
    assert log is not None
    before = sum("ana (analyst) logged in" in line for line in log.lines)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while sum("ana (analyst) logged in" in line for line in log.lines) == before:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert json.loads((tmp_path / "afterfact" / "preferences.json").read_text())["user"] == "ana"


def test_a_table_its_order_and_the_sessions_behind_its_rows(desk: Desk, case: Case, tmp_path: Path) -> None:
    desk.log_in("ana", PASSWORD)
    desk.write("port = 1034 | count, sum(bytes) as b, first by src_ip, dst_ip")
    desk.key(Key.Key_Return, CONTROL)
    view = desk.tab.answer.aggregate
    desk.until(lambda: view.table.table is not None)
    assert view.isVisible() and not desk.tab.answer.view.isVisible()
    rows = [[view.table.text(row, at) for at in range(5)] for row in range(view.table.rowCount())]
    counts = [int(row[2]) for row in rows]
    assert counts == sorted(counts, reverse=True) and len(counts) > 2
    assert desk.tab.status.startswith(f"{len(rows)} rows of {sum(counts)} sessions")

    view.table.sort_by(3)
    sums = [int(view.table.text(row, 3).replace(",", "")) for row in range(len(rows))]
    assert sums == sorted(sums, reverse=True)
    view.table.sort_by(3)
    assert [int(view.table.text(row, 3).replace(",", "")) for row in range(len(rows))] == sums[::-1]

    source = view.table.text(0, 0)
    view.selectColumn(0)
    view._menu_at(view.visualRect(view.table.index(0, 0)).center())
    assert view.menu is not None
    offered = {action.text(): action for action in view.menu.actions()}
    view.menu.close()
    chosen = len({row[0] for row in rows})
    assert {f"AND src_ip = {source}", f"AND NOT src_ip = {source}", f"All sessions with src_ip = {source}",
            f"Profile of {source}", f"{chosen} addresses to a new set ..."} <= set(offered)  # fmt: skip
    tip = offered[f"AND NOT src_ip = {source}"].toolTip()
    assert tip == f"WHERE port = 1034 AND NOT src_ip = {source} | count, sum(bytes) as b, first by src_ip, dst_ip"
    view.clearSelection()
    view.setFocus()
    view.setCurrentIndex(view.table.index(0, 0))
    desk.key(Key.Key_C, CONTROL)
    assert desk.clipboard == view.table.text(0, 0)
    view.selectRow(0)
    desk.key(Key.Key_C, CONTROL | SHIFT)
    assert desk.clipboard.splitlines()[0] == "src_ip,dst_ip,count,b,first"
    view.export(str(tmp_path / "table.csv"))
    desk.until(lambda: (tmp_path / "table.csv").exists() and desk.window.isVisible())
    desk.until(lambda: len((tmp_path / "table.csv").read_text().splitlines()) == len(rows) + 1)

    wanted, before = int(view.table.text(0, 2)), desk.tab
    desk.key(Key.Key_Return)
    desk.until(lambda: desk.tab is not before)
    desk.answered()
    result = desk.tab.answer.table.result
    assert result is not None and result.total == wanted
    assert desk.tab.editor.text.startswith("WHERE port = 1034 AND src_ip = ")
