"""Cases by the real programs: what a step keeps, who is refused, a negative whose gap late data fill, retention, and
the command line."""

import csv
import io
import json
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.case import CAPTURES
from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.processes import PASSWORD, Server, call, deliver, module
from PySide6.QtCore import QUrl
from pytestqt.qtbot import QtBot
from scapy.utils import rdpcap, wrpcap

from afterfact_client import Client, connect
from afterfact_client.client import Result
from afterfact_client.console.app import Console
from afterfact_client.console.views.case_dialogs import ItemDialog, StepDialog
from afterfact_client.link import RequestFailed
from afterfact_client.state.case_words import doubtful
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.messages import AnnotationChanged, CaseChanged
from afterfact_protocol.records import Records
from afterfact_server.control import ask_running
from afterfact_server.directory import ServerDir


@dataclass(frozen=True)
class Site:
    """A server that has the first and the last third of the border's capture; `deliver_rest` brings the middle."""

    server: Server
    console: Path
    within: str
    """A condition: the middle's time, of which nothing is known yet."""
    join: Path
    middle: Path

    def deliver_rest(self) -> None:
        assert deliver(self.join, self.server.folder / "spool", self.middle).returncode == 0


@pytest.fixture(scope="module")
def gap(site: Server) -> Iterator[Site]:
    packets = rdpcap(str(CAPTURES["border"]))
    third = len(packets) // 3
    parts = [packets[:third], packets[third : 2 * third], packets[2 * third :]]
    names = [site.folder / f"{number}.pcap" for number in range(3)]
    for name, part in zip(names, parts, strict=True):
        wrpcap(str(name), part)
    join = site.enrol("border")
    for name in (names[0], names[2]):
        assert deliver(join, site.folder / "spool", name).returncode == 0
    ends = (float(parts[0][-1].time) + 2, float(parts[2][0].time) - 2)
    first, last = (datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%S") for end in ends)
    site.add_user("bob")
    yield Site(site, site.console_file(), f"start_time BETWEEN '{first}' AND '{last}'", join, names[1])


def shell(site: Site, *arguments: object) -> tuple[int, str, str]:
    command = module("afterfact_client", "case", *arguments, "--join", site.console, "--user", "ana")
    done = call(command, env={"AFTERFACT_PASSWORD": PASSWORD})
    return done.returncode, done.stdout, done.stderr


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(RequestFailed) as failure:
        work()
    return str(failure.value)


def until(told: "queue.Queue[CaseChanged]", part: str) -> CaseChanged:
    while part not in (change := told.get(timeout=60)).what:
        pass
    return change


def test_a_case_from_its_first_step_to_a_negative_that_no_longer_holds(gap: Site) -> None:
    with connect(gap.console, "ana", PASSWORD) as ana, connect(gap.console, "bob", PASSWORD) as bob:
        told: queue.Queue[CaseChanged] = queue.Queue()
        assert bob.cases.subscribe(told.put) == ()
        case = ana.cases.make("  the worm \n on 1034 ")
        assert (case.title, case.owner, case.status) == ("the worm on 1034", "ana", "open")
        assert told.get(timeout=30).what == "made case 1: the worm on 1034"

        # A step keeps what it found, what was watched, what was left out and why, and asks for that time for ever.
        ana.save_exclusion("web", "port IN (80, 443)", note="business")
        text = "WHERE proto = 6 EXCLUDING web | save @talkers src_ip"
        assert ana.cases.add_step(1, text, "who talked") == 1
        assert until(told, "step 1").case.steps == 1
        first = bob.cases.step(1, 1)
        whole = ana.query("WHERE proto = 6 EXCLUDING web").fetch()
        assert first.rows == first.kept == len(whole) > 10 and not first.negative and not first.complete
        assert first.exclusions == ("web: port IN (80, 443) (business)",) and "border: blind 2004-" in first.coverage
        assert first.saved.startswith("@talkers, version 1: ") and "save" not in first.query.lower()
        assert "start_time <= '" in first.query and first.query.endswith("EXCLUDING web")
        assert "cannot be used" not in refused(lambda: ana.cases.add_step(1, "WHERE bogus = 1", "x"))

        # A negative, and a hypothesis that it rules out.
        assert ana.cases.add_step(1, f"WHERE {gap.within} AND proto = 6", "nothing between") == 2
        negative = ana.cases.step(1, 2)
        assert (negative.rows, negative.negative, negative.complete) == (0, True, False)
        assert "name the step" in refused(lambda: ana.cases.hypothesis(1, "it was there", "ruled out"))
        guess = ana.cases.hypothesis(1, "it was there at noon", "ruled out", "high", (2,))

        # Somebody was quicker: refused in words, and nothing is lost.
        note = ana.cases.note(1, "# first look")
        shown = {item.number: item for item in bob.cases.get(1).items}
        ana.cases.put(1, replace(shown[note], text="# second look"))
        why = refused(lambda: bob.cases.put(1, replace(shown[note], text="mine")))
        assert (
            why.startswith(f"ana changed note {note} ") and "it says: # second look; nothing of yours was saved" in why
        )
        assert bob.cases.change(case, owner="bob").owner == "bob"
        why = refused(lambda: ana.cases.close(case, "all clear"))
        assert why.startswith("bob changed case 1 ") and "owned by bob, open" in why
        assert bob.cases.history(1)[1].before == "# first look"

        # Late data fill the gap: the negative is asked again by itself, reopened, and everybody is told.
        gap.deliver_rest()
        alarm = until(told, "no longer holds")
        assert alarm.alert and alarm.by == "" and alarm.case.reopened == 1
        later = ana.cases.get(1)
        step = later.steps[1]
        assert step.state == "reopened" and step.run is not None and step.run.by == ""
        assert step.rows == 0 < step.run.new == step.run.rows and step.run.gone == 0
        assert "blind" in step.coverage and "blind" not in step.run.coverage
        (doubt,) = (doubtful(item, later) for item in later.items if item.number == guess)
        assert "step 2 REOPENED" in doubt
        new = ana.evidence(1, 2, "new")
        assert len(new.fetch()) == step.run.new and new.answer.notes[0].startswith("EVIDENCE of step 2 of case 1, new")
        assert ana.evidence(1, 2).answer.total == 0
        bob.cases.change_step(1, step, settled=True)
        assert ana.cases.get(1).case.reopened == 0

        # Asked again by hand, with the exclusion of then although there is none any more.
        ana.remove_exclusion("web")
        again = ana.cases.run_step(1, 1)
        assert again.state == "changed" and again.run is not None and again.run.by == "ana"
        assert again.run.new > 0 and again.run.rows == len(
            ana.query("WHERE proto = 6 AND NOT port IN (80, 443)").fetch()
        )
        assert [len(ana.evidence(1, 1, which).fetch()) for which in ("then", "now", "gone")] == [  # type: ignore[arg-type]
            first.rows, again.run.rows, again.run.gone,
        ]  # fmt: skip


def test_evidence_survives_retention_and_a_crash(gap: Site) -> None:
    with connect(gap.console, "ana", PASSWORD) as ana:
        before, stored = kept(ana), ana.query("").answer.total
    assert "case 1" in (ask_running(ServerDir(gap.server.dir), "pin list", {}) or "")
    gap.server.kill()
    gap.server.start()
    days = {str(time)[:10] for time in before["start_time"].astype("datetime64[us]")}
    for day in days:
        ask_running(ServerDir(gap.server.dir), "retention drop", {"day": day})
    with connect(gap.console, "ana", PASSWORD) as ana:
        assert (kept(ana) == before).all()
        assert ana.query("").answer.total < stored, "days are dropped"
        gone = ana.cases.run_step(1, 1).run
        assert gone is not None and gone.gone == 0


def kept(client: Client) -> Records:
    return client.evidence(1, 1).fetch()


def test_a_folder_that_another_server_imports(gap: Site, tmp_path: Path) -> None:
    folder = tmp_path / "worm"
    code, out, said = shell(gap, "export", 1, folder)
    assert (code, out) == (0, f"case 1 is in {folder}\n"), said
    assert shell(gap, "export", 1, folder)[::2] == (
        2, f"afterfact: {folder}: there is something in it; name a new folder\n",
    )  # fmt: skip
    with connect(gap.console, "ana", PASSWORD) as ana:
        told, then = ana.cases.get(1), kept(ana)
        rows = list(csv.DictReader((folder / "evidence" / "step-01.csv").read_text().splitlines()))
        assert [int(row["session_id"]) for row in rows] == then["session_id"].tolist()
        assert (folder / "evidence" / "step-02-again.parquet").exists() == bool(find_spec("pyarrow"))
        report = (folder / "report.md").read_text()
        assert "# Case 1: the worm on 1034" in report and "# second look" in report and "DOUBTFUL" in report
        assert told.steps[1].query in (folder / "queries.txt").read_text()
        code, out, said = shell(gap, "import", folder)
        assert code == 0 and "imported: case 1 of 127.0.0.1, made by ana" in out, said
        number = int(out.split(":")[0].removeprefix("case "))
        there = ana.cases.get(number)
        assert [step.query for step in there.steps] == [step.query for step in told.steps]
        assert [(item.kind, item.text, item.steps) for item in there.items] == [
            (item.kind, item.text, item.steps) for item in told.items
        ]
        assert (there.case.owner, there.steps[0].by, there.steps[0].run) == ("ana", "ana", told.steps[0].run)
        for which in ("then", "now", "new"):
            found, other = (ana.evidence(case, 1, which).fetch() for case in (1, number))
            assert (found == other).all() and len(found)
        damaged = bytearray((folder / "case.afterfact").read_bytes())
        damaged[len(damaged) // 2] ^= 1
        assert "case's file" in refused(lambda: ana.cases.put_file(bytes(damaged)))
        assert refused(lambda: ana.cases.put_file(b"no")) == "this is no case's file"


def test_from_a_shell(gap: Site) -> None:
    code, out, said = shell(gap, "make", "second")
    assert (code, out) == (0, "case 3 made\n"), said
    code, out, said = shell(gap, "step", 3, "WHERE port = 9 LAST", "--why", "x")
    assert code == 2 and said.startswith("afterfact: query, column "), said
    code, out, _ = shell(gap, "step", 3, "WHERE ip = 1.2.3.4 AND port = 9", "--why", "discard")
    assert code == 0 and out.startswith("step 1, a negative: WHERE ip = 1.2.3.4") and "found: 0 rows" in out
    assert "open\n" in shell(gap, "question", 3, "who owns it?")[1]
    number = json.loads(shell(gap, "show", 3, "--format", "json")[1])["items"][0]["number"]
    assert "answer: ana" in shell(gap, "question", 3, "--number", number, "--answer", "ana")[1]
    assert shell(gap, "hypothesis", 3, "h", "--belief", "ruled out", "--steps", "7")[2] == (
        "afterfact: there is no step 7 in case 3\n"
    )
    assert shell(gap, "close", 3, "harmless")[1] == "case 3 is closed\n"
    assert "case 3 is closed (by ana): reopen it first" in shell(gap, "note", 3, "x")[2]
    assert "step 1: as then" in shell(gap, "again", 3, 1)[1]
    code, out, said = shell(gap, "evidence", 1, 1, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and len(rows) > 10 and {row["sensor"] for row in rows} == {"border"}
    assert "EVIDENCE of step 1 of case 1" in said
    lines = shell(gap, "list", "--status", "all")[1].splitlines()
    assert len(lines) == 4 and "second" in lines[1] and "closed" in lines[1]
    with connect(gap.console, "admin", PASSWORD) as admin:
        commands = {record.get("command") for record in admin.audit(kind="change")}
        assert {"case make", "case step", "case change", "case item", "case step again"} <= commands
        assert next(admin.audit(kind="evidence", limit=1))["case"] == 1


def test_annotations_show_beside_rows_and_are_told(gap: Site) -> None:
    def shell(*words: object) -> tuple[int, str, str]:
        done = call(module("afterfact_client", *words, "--join", gap.console, "--user", "ana"),
                    env={"AFTERFACT_PASSWORD": PASSWORD})  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    with connect(gap.console, "bob", PASSWORD) as bob:
        told: queue.Queue[AnnotationChanged] = queue.Queue()
        assert bob.annotations.subscribe(told.put) == ()
        assert shell("annotation", "add", "host", "::ffff:1.2.3.4", "  the first\n one ", "--case", 1)[1] == (
            "annotation 1 of host 1.2.3.4\n"
        )
        seen = told.get(timeout=30)
        assert (seen.annotation.text, seen.annotation.by, seen.annotation.case) == ("the first one", "ana", 1)
        found = bob.query("WHERE ip = 1.2.3.4 LIMIT 3")
        assert isinstance(found, Result)
        first, sensors = found.fetch()[0], found.answer.sensors
        sensor = sensors[int(first["sensor"])]
        bob.annotations.session(sensor, int(first["start_time"]), int(first["session_id"]), "look here")
        port = bob.annotations.port(int(first["dst_port"]), "odd")
        said = bob.annotations.marks().of_rows(found.fetch(), sensors)
        assert said[0].startswith("session: look here (bob); 1.2.3.4: the first one (ana, case 1); ")
        assert all("the first one" in line for line in said) and "look here" not in said[1]
        assert "odd" in said[0] and "there is no case 99" in refused(lambda: bob.annotations.host("1.1.1.1", "x", 99))
        assert "is no address" in refused(lambda: bob.annotations.host("1.2.3", "x"))
        assert shell("annotation", "change", port.number, "known")[0] == 0
        assert "ana changed annotation" in refused(lambda: bob.annotations.change(port, "mine"))
        text = f"WHERE ip = 1.2.3.4 AND dst_port = {int(first['dst_port'])} LIMIT 1"
        for form in ("table", "jsonl", "csv"):
            out = shell("query", text, "--annotations", "--format", form)[1]
            assert f"{int(first['dst_port'])}: known (ana)" in out, out
        assert "known" not in shell("query", text, "--format", "csv")[1]
        assert shell("annotation", "remove", port.number)[1] == f"annotation {port.number} is removed\n"
        while not told.get(timeout=30).removed:
            pass
        assert [one.text for one in bob.annotations.all()] == ["look here", "the first one"]


@pytest.mark.qt_log_level_fail("WARNING")
@pytest.mark.qt_log_ignore("This plugin does not support (raise|propagateSizeHints|grabbing)", extend=True)
def test_in_the_console(gap: Site, qtbot: QtBot, tmp_path: Path) -> None:
    """Another's change shows, evidence opens, a query becomes a step, and who is second is told and loses nothing."""
    desk = Desk(qtbot, Console(read_join(gap.console, "console"), tmp_path))
    try:
        desk.open()
        desk.log_in("ana", PASSWORD)
        window = desk.window
        view, work = window.cases, window.casework
        desk.key(Key.Key_O, CONTROL)
        desk.until(lambda: view.desk.cases.rowCount() > 0)
        with connect(gap.console, "bob", PASSWORD) as bob:
            number = bob.cases.make("seen at once").number
            desk.until(lambda: view.desk.cases.items[0].number == number)
            view.look_at(1)
            desk.until(lambda: view.desk.case is not None and view.desk.number == 1)
            assert "REOPENED" not in view.page.toPlainText() and "DOUBTFUL" in view.page.toPlainText()
            view.page.anchorClicked.emit(QUrl("evidence:2:now"))
            desk.answered()
            kept_rows = bob.evidence(1, 2, "now").fetch()
            assert len(desk.cells("src_ip")) == len(kept_rows) > 0
            assert any("EVIDENCE of step 2 of case 1" in text for text in desk.tab.answer.notes.texts)
            assert window.tabs.tabText(window.tabs.currentIndex()) == "case 1 step 2, now"
            desk.tab.run()
            desk.answered()
            assert not any("EVIDENCE" in text for text in desk.tab.answer.notes.texts)

            desk.ask("WHERE ip = 1.2.3.4 AND port = 1034")
            view.look_at(number)
            desk.key(Key.Key_A, CONTROL | SHIFT)
            dialog = work.dialog
            assert isinstance(dialog, StepDialog)
            dialog.why.setText("the founding case")
            dialog.button.click()
            desk.until(lambda: work.dialog is None)
            assert bob.cases.step(number, 1).why == "the founding case"
            desk.until(lambda: view.desk.case is not None and len(view.desk.case.steps) == 1)

            question = bob.cases.question(number, "who?")
            desk.until(lambda: view.desk.case is not None and len(view.desk.case.items) == 1)
            window.tabs.setCurrentWidget(view)
            view.page.anchorClicked.emit(QUrl(f"item:{question}"))
            other = work.dialog
            assert isinstance(other, ItemDialog)
            bob.cases.put(number, replace(bob.cases.get(number).items[0], answer="eve"))
            desk.until(lambda: view.desk.case is not None and view.desk.case.items[0].answer == "eve")
            other.answer.setText("mallory")
            other.button.click()
            desk.until(lambda: other.button.text() == "Save over it")
            assert other.said.text().startswith(f"bob changed question {question} ")
            other.button.click()
            desk.until(lambda: work.dialog is None)
            assert bob.cases.get(number).items[0].answer == "mallory"
            assert "eve" in bob.cases.history(number)[0].before
    finally:
        desk.console.close()
