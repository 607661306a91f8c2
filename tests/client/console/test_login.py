"""Logging in, and what goes wrong with it, said in place and in one line."""

from helpers.desk import Desk, Key
from helpers.fake_link import FakeServer
from PySide6.QtWidgets import QLabel

from afterfact_client.link import LinkPhase


def test_user_and_password_by_keys_alone(desk: Desk, fake: FakeServer) -> None:
    assert desk.window.login.isVisible()
    assert "tcp://server.example:7734" in [label.text() for label in desk.window.login.findChildren(QLabel)]
    desk.log_in("ana", "good")
    assert desk.focus is desk.tab.editor, "typing goes on in the query"
    assert "ana" in desk.window.connection.text() and "analyst" in desk.window.connection.text()
    assert desk.window.login.password.text() == "", "the password does not stay around"
    assert desk.window.preferences.user == "ana"


def test_a_wrong_password_is_said_in_place(desk: Desk, fake: FakeServer) -> None:
    desk.try_login("ana", "bad")
    desk.until(lambda: desk.window.login.line.text() != "" and desk.window.login.button.isEnabled())
    assert desk.window.login.line.text() == "The server does not know user 'ana' with this password."
    assert desk.window.login.line.objectName() == "error"
    desk.until(lambda: fake.link.closed)
    assert desk.focus is desk.window.login.password
    desk.type("good")  # over the selected wrong one
    desk.key(Key.Key_Return)
    desk.until(lambda: desk.window.pages.currentWidget() is desk.window.work)


def test_an_unreachable_server_is_tried_on_and_can_be_given_up(desk: Desk, fake: FakeServer) -> None:
    fake.reachable = False
    desk.try_login("ana", "good")
    line = desk.window.login.line
    desk.until(lambda: line.text() != "")
    assert line.text() == "No server answers at tcp://server.example:7734. Still trying."
    assert desk.window.login.cancel.isVisible() and not desk.window.login.button.isEnabled()
    desk.key(Key.Key_Escape)
    assert line.text() == "" and desk.window.login.button.isEnabled()
    desk.until(lambda: fake.link.closed)
    fake.reachable = True
    desk.log_in("ana", "good")


def test_it_gets_in_by_itself_once_the_server_answers(desk: Desk, fake: FakeServer) -> None:
    fake.reachable = False
    desk.try_login("ana", "good")
    desk.until(lambda: "Still trying" in desk.window.login.line.text())
    fake.link.change(LinkPhase.ONLINE, "connected")
    desk.until(lambda: desk.window.pages.currentWidget() is desk.window.work)


def test_a_name_is_needed(desk: Desk, fake: FakeServer) -> None:
    desk.try_login("", "")
    desk.window.login.submit()
    assert desk.window.login.line.text() == "Type the name of your account."
    assert fake.links == []
