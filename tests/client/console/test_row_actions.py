"""Menus' further entries: other times, copies in several forms, links, outside tools."""

import sys
from pathlib import Path

import pytest
from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import FakeServer
from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices

from afterfact_client.state import tools
from afterfact_client.state.links import to_link

LINK = to_link("tcp://server.example:7734", "WHERE port = 9 AND sensor = 'border'")


def open_menu(work: Desk, row: int, name: str) -> None:
    work.go_to(row, name)
    work.key(Key.Key_Return)
    work.menu()


def test_other_times_open_from_the_menu(work: Desk, fake: FakeServer) -> None:
    work.ask("WHERE start_time > '2004-07-20' AND port = 1034 LIMIT 500")
    open_menu(work, 0, "dst_ip")
    (folded,) = (action.menu() for action in work.menu().actions() if action.text().startswith("Around"))
    entries = {action.text(): action for action in folded.actions()}
    assert len(entries) == 15 and "this conversation, ± 1 day" in entries
    entries["ip 16.133.77.85, ± 5 min"].trigger()
    work.answered()
    near = "start_time BETWEEN '2004-07-26 17:32:49' AND '2004-07-26 17:42:49'"
    assert fake.asked[-1] == f"WHERE ip = 16.133.77.85 AND {near}"
    assert entries["this query, ± 1 hour"].toolTip().startswith("WHERE port = 1034 AND start_time BETWEEN")


def test_copies_as_query_filter_and_link(work: Desk) -> None:
    work.ask("WHERE start_time > '2004-07-20' AND port = 1034 LIMIT 500")
    work.go_to(1, "src_ip")
    work.key(Key.Key_Right, SHIFT)
    work.key(Key.Key_Down, SHIFT)
    work.key(Key.Key_Return)
    work.choose("Copy as query")
    assert work.clipboard == (
        "WHERE start_time > '2004-07-20' AND ((src_ip = 10.0.0.1 AND src_port = 1025)"
        " OR (src_ip = 10.0.0.2 AND src_port = 1026))"
    )
    work.key(Key.Key_Return)
    work.choose("Copy as BPF filter")
    assert work.clipboard.startswith("# 2004-07-26 17:37:47.000 to ") and "src host 10.0.0.2" in work.clipboard
    work.key(Key.Key_Return)
    work.choose("Copy link to this query")
    assert work.clipboard == to_link("tcp://server.example:7734", work.tab.answer.query)
    assert work.window.summary.whole == "Copied a link"
    work.key(Key.Key_L, CONTROL)
    work.key(Key.Key_A, CONTROL)
    work.key(Key.Key_V, CONTROL)
    assert work.tab.editor.text == "WHERE start_time > '2004-07-20' AND port = 1034 LIMIT 500"


def test_a_link_is_opened_and_not_run(work: Desk, fake: FakeServer) -> None:
    work.window.open_link(LINK)
    assert work.tab.editor.text == "WHERE port = 9 AND sensor = 'border'" and not fake.asked
    assert work.window.summary.whole == "From a link; Ctrl-Enter runs it."
    work.window.open_link(LINK.replace("server.example", "other.example"))
    assert "The link is to other.example:7734, this console asks server.example:7734" in work.window.summary.whole
    work.window.open_link("afterfact://nonsense")
    assert "not a link to a query" in work.window.summary.whole and len(work.window.tabs.attached()) == 3


class Browser(QObject):
    """Takes the URLs that would be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(bytes(url.toEncoded().data()).decode())


@pytest.fixture
def with_tools(work: Desk, tmp_path: Path) -> Desk:
    path = tmp_path / "tools.toml"
    script = "import sys; open(sys.argv[1], 'w').write(repr(sys.argv[2:]))"
    path.write_text(
        f"[[tool]]\nname = 'Reputation'\nfor = ['address']\nurl = 'https://reputation.example/{{value}}'\n"
        f'[[tool]]\nname = "Packets"\nfor = ["session"]\n'
        f'command = ["{sys.executable}", "-c", "{script}", "{tmp_path}/done", "{{src_ip}}; rm", "{{start_time}}"]\n'
        f"[[tool]]\nname = 'Missing'\nfor = ['session']\ncommand = ['/nowhere/program']\n"
    )
    work.window.tools, complaint = tools.load(path)
    assert not complaint
    return work


def test_outside_tools(with_tools: Desk, tmp_path: Path) -> None:
    work, browser = with_tools, Browser()
    QDesktopServices.setUrlHandler("https", browser, "open")
    work.ask("port = 1034")
    open_menu(work, 0, "dst_ip")
    work.choose("Reputation")
    QDesktopServices.unsetUrlHandler("https")
    assert browser.opened == ["https://reputation.example/16.133.77.85"]
    open_menu(work, 1, "dst_port")
    labels = [action.text() for action in work.menu().actions()]
    assert "Packets" in labels and "Reputation" not in labels
    work.choose("Packets")
    done = tmp_path / "done"
    work.until(lambda: done.exists() and done.read_text().endswith("]"))
    assert done.read_text() == "['10.0.0.1; rm', '2004-07-26T17:37:48.000000Z']"
    open_menu(work, 1, "dst_port")
    work.choose("Missing")
    assert work.window.summary.whole == "Missing: cannot start /nowhere/program"
