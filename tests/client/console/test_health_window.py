"""The sensors' health in a window of its own, over a fake link."""

import time

from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import SECOND, FakeServer, fared, sensor_status, vitals
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QStyleOptionViewItem

from afterfact_client.console.models.health_table import HealthTable
from afterfact_client.console.models.sensor_list import SensorList
from afterfact_client.console.views.health_window import HealthWindow
from afterfact_client.console.views.theme import DARK, LIGHT, LOOK
from afterfact_protocol.messages import Alarm, Status


def news(work: Desk) -> None:
    heard = work.window.sensors.heard
    work.window._ask_status()
    work.until(lambda: work.window.sensors.heard > heard)


def opened(work: Desk) -> HealthWindow:
    work.key(Key.Key_H, CONTROL)
    health = work.window.health
    assert health is not None
    work.until(health.isVisible)
    return health


def names(health: HealthWindow) -> list[str]:
    return [health.model.index(row, 0).data() for row in range(health.model.rowCount())]


def selected(health: HealthWindow) -> str:
    return str(health.table.currentIndex().data(HealthTable.NAME))


def test_the_worst_come_first_and_a_selection_stays_with_its_sensor(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border", vitals=vitals()), sensor_status("dmz", "blind", vitals=vitals()),
                    sensor_status("inside", "lagging", vitals=vitals()), sensor_status("lab", "down"))  # fmt: skip
    news(work)
    health = opened(work)
    assert names(health) == ["✕ lab", "◌ dmz", "◐ inside", "● border"] and selected(health) == "lab"
    QTest.keyClick(health.table, Key.Key_End, CONTROL)
    QTest.keyClick(health.table, Key.Key_Down)
    assert selected(health) == "border" and health.details.toPlainText().startswith("border: up")
    fake.sensors = (sensor_status("border", "down", vitals=vitals(why="nothing heard")), *fake.sensors[1:])
    news(work)
    assert names(health)[:2] == ["✕ border", "✕ lab"] and selected(health) == "border"
    assert health.details.toPlainText().splitlines()[1] == "nothing heard"
    fake.sensors = fake.sensors[:2]
    news(work)
    assert names(health) == ["✕ border", "◌ dmz"] and selected(health) == "border"


def test_enter_asks_about_the_sensor_and_escape_closes(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"), sensor_status("lab", "down"))
    news(work)
    health = opened(work)
    QTest.keyClick(health.table, Key.Key_Return)
    work.answered()
    assert fake.asked == ["WHERE sensor = 'lab'"]
    health.activateWindow()  # the question was asked in the other window, and that is in front now
    work.until(health.isActiveWindow)
    QTest.keyClick(health.table, Key.Key_Escape)
    assert not health.isVisible()
    work.window.activateWindow()  # as a window manager does
    work.until(work.window.isActiveWindow)
    assert opened(work) is health


def test_alarms_are_counted_in_the_panel_and_told_in_the_window(work: Desk, fake: FakeServer) -> None:
    news(work)
    assert not work.window.panel.alarms.isVisible()
    since = 1_800_000_000 * SECOND
    fake.alarms = (Alarm("down", "lab", since, "nothing heard"), Alarm("disk", "", since, "9% free"))
    news(work)
    assert work.window.panel.alarms.isVisible() and work.window.panel.alarms.text() == "! 2 alarms"
    QTest.mouseClick(work.window.panel.alarms, Qt.MouseButton.LeftButton)
    health = work.window.health
    assert health is not None and health.isVisible()
    assert health.alarms.text() == "! 2027-01-15 08:00:00 lab: nothing heard\n! 2027-01-15 08:00:00 server: 9% free"
    fake.alarms = (fake.alarms[0],) * 9
    news(work)
    assert health.alarms.text().count("lab") == 6 and health.alarms.text().endswith("and 3 more")
    fake.alarms = ()
    news(work)
    assert health.alarms.text() == "No alarm stands." and not work.window.panel.alarms.isVisible()


def test_old_news_are_said_to_be_old(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"),)
    news(work)
    health = opened(work)
    assert health.foot.text().startswith("Store: 10 records")
    work.window.sensors.heard = time.time() - 40
    health.refresh()
    assert health.foot.text().startswith("No news for 40.")


def test_states_have_their_colours_in_both_themes(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"), sensor_status("dmz", "blind"), sensor_status("old", "late"))
    news(work)
    health = opened(work)

    def colours() -> list[QColor]:
        found = []
        for row in range(3):
            option = QStyleOptionViewItem()
            health.table.itemDelegate().initStyleOption(option, health.model.index(row, 1))  # type: ignore[attr-defined]
            found.append(option.palette.color(QPalette.ColorRole.Text))
        return found

    assert LOOK.colours is DARK
    assert colours() == [QColor(DARK.error), QColor(DARK.warning), QColor(DARK.good)]
    QTest.keyClick(work.window, Key.Key_L, CONTROL | SHIFT)
    assert LOOK.colours is LIGHT
    assert colours() == [QColor(LIGHT.error), QColor(LIGHT.warning), QColor(LIGHT.good)]


def test_it_is_a_right_model(work: Desk) -> None:
    sensors = SensorList()
    model = HealthTable(sensors, None)
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    border, lab = sensor_status("border", vitals=vitals()), sensor_status("lab", "down")
    for each in ((border,), (border, lab), (sensor_status("border", "down"), sensor_status("lab")), (), (lab,)):
        sensors.take(Status(0, 1, "0.1.0", 0, 0, 0, 0, each))
        assert model.rowCount() == len(each)


def test_a_strip_shows_how_a_sensor_fared_and_what_is_not_known(work: Desk, fake: FakeServer) -> None:
    fake.sensors = (sensor_status("border"), sensor_status("lab", "down"))
    fake.fared = {"border": {95: fared(), 94: fared(kernel_dropped=7), 93: fared(backlog_age=600 * SECOND)}}
    news(work)
    health = opened(work)
    model = health.model
    work.until(lambda: health.strips.get("lab", 1) is not None)
    border, lab = (model.index(names(health).index(name), 2) for name in ("● border", "✕ lab"))
    strip = border.data(HealthTable.STRIP)
    assert strip[-3:] == ("warning", "error", "good") and set(strip[:-3]) == {"none"} and len(strip) == 96
    assert set(lab.data(HealthTable.STRIP)) == {"none"}
    assert model.headerData(2, Qt.Orientation.Horizontal) == "24 h"
    assert model.headerData(4, Qt.Orientation.Horizontal) == "Last data", "the other columns are where they belong"
    tip = border.data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "Last 24 h, 96 steps of 15 min: reported in 1, batches waited in 1, losing in 1, no report in 93"
    area = health.table.visualRect(border)
    drawn = health.table.viewport().grab().toImage()
    row = {drawn.pixelColor(x, area.bottom() - 4).name() for x in range(area.left() + 6, area.left() + 6 + 96)}
    assert {LOOK.colours.error, LOOK.colours.good, LOOK.colours.warning} <= row
