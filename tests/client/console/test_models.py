"""The table is a right Qt model over every kind of result, and pulls no more than is looked at."""

import pytest
from helpers.fake_link import JOIN, FakeServer, sensor_status, sessions
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from afterfact_client.console.models.checker import Checked, Checker
from afterfact_client.console.models.query_run import QueryRun, RunPhase
from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.session_table import ABSENT, PULLS, SessionTable
from afterfact_client.link import LinkPhase
from afterfact_client.state.columns import BY_NAME, DEFAULT
from afterfact_client.state.result import LOCAL_ROWS, PAGE_ROWS, ResultRows
from afterfact_protocol.messages import Answer, Failed, Status

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def server(qtbot: QtBot, fake: FakeServer) -> Server:
    made = Server(JOIN, fake)
    with qtbot.waitSignal(made.state_changed):
        made.log_in("ana", "good")
    return made


def answer(qtbot: QtBot, server: Server, text: str = "port = 1034") -> Answer:
    run = QueryRun(server)
    with qtbot.waitSignal(run.answered) as caught:
        run.start(text)
    assert caught.args is not None
    found = caught.args[0]
    assert isinstance(found, Answer)
    return found


@pytest.mark.parametrize("count", [0, 1, 8, PAGE_ROWS, 3 * PAGE_ROWS + 1])
def test_the_table_is_a_right_model_while_it_loads_sorts_and_changes(
    qtbot: QtBot, server: Server, fake: FakeServer, count: int
) -> None:
    fake.rows = sessions(count)
    fake.holding_pages = True
    table = SessionTable(server, list(DEFAULT))
    QAbstractItemModelTester(table, FATAL, table)
    table.show(ResultRows(answer(qtbot, server)))
    assert table.rowCount() == count and table.columnCount() == len(DEFAULT)
    result = table.result
    assert result is not None
    while not result.complete:
        fake.link.release_pages()
        qtbot.wait(1)
    if count:
        table.sort_here(BY_NAME["src_bytes"], True)
        table.sort_here(None)
    table.set_columns(["src_ip", "duration"])
    assert table.columnCount() == 2
    table.show(None)
    assert table.rowCount() == 0
    assert table.rowCount(QModelIndex()) == 0


def test_what_is_shown_is_what_came(qtbot: QtBot, server: Server, fake: FakeServer) -> None:
    fake.rows = sessions(20)
    table = SessionTable(server, ["src_ip", "src_port", "src_flags", "outcome", "src_bytes"])
    with qtbot.waitSignal(table.loaded):
        table.show(ResultRows(answer(qtbot, server)))
    shown = [table.index(9, at).data() for at in range(5)]
    assert shown == ["10.0.0.9", ABSENT, ABSENT, "refused", "71,271"]
    assert table.index(1, 0).data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignLeft
    assert table.index(1, 4).data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    assert table.index(9, 1).data(Qt.ItemDataRole.AccessibleTextRole) == "SPort not known"
    assert table.index(1, 1).data(Qt.ItemDataRole.AccessibleTextRole) == "SPort 1025"
    assert "1025" in table.index(1, 1).data(Qt.ItemDataRole.ToolTipRole)
    assert fake.cancelled == [1], "once all rows are here the server need not keep them"


def test_a_large_result_is_pulled_where_it_is_looked_at(qtbot: QtBot, server: Server, fake: FakeServer) -> None:
    fake.rows = sessions(1_000_000)
    table = SessionTable(server, list(DEFAULT))
    table.show(ResultRows(answer(qtbot, server)))
    assert table.rowCount() == 1_000_000
    qtbot.wait(50)
    assert fake.pulled == [], "nobody looked yet"
    for first in range(0, 900_000, 3_000):  # the scroll bar is dragged
        table.need(first, first + 60)
    table.need(999_900, 999_999)
    qtbot.waitUntil(lambda: table.index(999_999, 4).data() == "10.15.66.63")
    assert len(fake.pulled) <= 2 * PULLS, "what was scrolled past is not pulled"
    assert fake.cancelled == []


def test_rows_that_cannot_be_pulled_are_said_once(qtbot: QtBot, server: Server, fake: FakeServer) -> None:
    fake.rows = sessions(LOCAL_ROWS + 1)
    table = SessionTable(server, list(DEFAULT))
    table.show(ResultRows(answer(qtbot, server)))
    fake.link.change(LinkPhase.LOST, "connection lost")
    with qtbot.waitSignal(table.trouble) as caught:
        table.need(0, 10)
    assert caught.args is not None and "connection lost" in caught.args[0] and "Run the query again" in caught.args[0]
    with qtbot.assertNotEmitted(table.trouble, wait=60):
        table.need(5_000, 5_010)


def test_a_query_can_be_stopped(qtbot: QtBot, server: Server, fake: FakeServer) -> None:
    fake.holding = True
    run = QueryRun(server)
    run.start("port = 1")
    assert run.phase is RunPhase.RUNNING
    with qtbot.waitSignal(run.changed):
        fake.link.progress(1_234)
    assert run.progress is not None and run.progress.read_rows == 1_234
    run.stop()
    assert run.phase is RunPhase.STOPPING
    qtbot.waitUntil(lambda: run.phase is RunPhase.STOPPED)
    assert fake.cancelled == [1]


def test_only_the_newest_query_is_answered(qtbot: QtBot, server: Server, fake: FakeServer) -> None:
    fake.holding = True
    run = QueryRun(server)
    found: list[Answer] = []
    run.answered.connect(found.append)
    run.start("port = 1")
    run.start("port = 2")
    assert fake.cancelled == [1]
    fake.link.release()
    qtbot.waitUntil(lambda: bool(found))
    assert [item.request for item in found] == [2] and run.text == "port = 2"


def test_failures_say_where(qtbot: QtBot, server: Server, fake: FakeServer) -> None:
    fake.failure = Failed(0, "query", "no field `prt`", 6, 9)
    run = QueryRun(server)
    run.start("WHERE prt = 1")
    qtbot.waitUntil(lambda: run.phase is RunPhase.FAILED)
    assert run.error is not None and (run.error.text, run.error.start, run.error.end) == ("no field `prt`", 6, 9)
    fake.failure, fake.holding = None, True
    run.start("WHERE port = 1")
    fake.link.change(LinkPhase.LOST, "connection to x lost")
    qtbot.waitUntil(lambda: run.phase is RunPhase.FAILED)
    assert run.error is not None and "connection to x lost" in run.error.text and run.error.start == -1


def test_a_new_login_closes_the_old_connection_and_hears_no_more_of_it(
    qtbot: QtBot, server: Server, fake: FakeServer
) -> None:
    first = fake.link
    with qtbot.waitSignal(server.state_changed):
        server.log_in("bob", "good")
    states: list[object] = []
    server.state_changed.connect(states.append)
    first.change(LinkPhase.LOST, "old news")
    qtbot.wait(30)
    assert all(getattr(state, "reason", "") != "old news" for state in states)
    assert server.online and server.user == "bob"
    server.close()
    assert first.closed and fake.link.closed


def test_checks_follow_the_newest_text(qtbot: QtBot) -> None:
    checker = Checker()
    found: list[Checked] = []
    checker.checked.connect(found.append)
    for text in ("po", "port", "port = ", "port = 80"):
        checker.typed(text)
    qtbot.waitUntil(lambda: bool(found))
    assert [item.text for item in found] == ["port = 80"] and "port 80" in found[0].reading
    checker.now("port = ")
    qtbot.waitUntil(lambda: len(found) == 2)
    assert found[1].error and found[1].start == len("port = ")
    checker.close()


def test_sensors_are_a_right_model(qtbot: QtBot) -> None:
    model = SensorList()
    QAbstractItemModelTester(model, FATAL, model)
    sensors = (sensor_status("old", "revoked"), sensor_status("inside"), sensor_status("border", "down"))
    model.take(Status(0, 1, "0.1.0", 0, 0, 0, 0, sensors))
    assert [model.index(at).data(SensorList.NAME) for at in range(3)] == ["border", "inside", "old"]
    assert model.index(0).data(Qt.ItemDataRole.AccessibleTextRole).startswith("border: down, silent")
    model.take(Status(0, 2, "0.1.0", 0, 0, 0, 0, sensors[:1]))
    assert model.rowCount() == 1
