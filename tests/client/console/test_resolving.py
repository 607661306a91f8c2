"""Names and places of addresses: only where the analyst set it up and turned it on, never of what is at home."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.dns_server import DnsServer
from helpers.fake_link import FakeServer
from helpers.mmdb import write
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from afterfact_client.console.models.resolver import Resolver
from afterfact_client.state.resolving import Known, Resolvers, load

FAR, FAR6, HOME = "16.133.77.85", "2600:1f18::7", "16.9.9.9"
CITY = {"country": {"iso_code": "NL", "names": {"en": "Netherlands"}}, "city": {"names": {"en": "Delft"}}}
ASN = {"autonomous_system_number": 64496, "autonomous_system_organization": "Example <b>\n"}
FOUND = "scan.example.net, AS64496 Example <b>\\n, NL, Netherlands, Delft"


@pytest.fixture
def names() -> Iterator[DnsServer]:
    with DnsServer({FAR: "scan.example.net.", FAR6: "six.example.net.", HOME: "own.example.net."}) as made:
        yield made


@pytest.fixture
def databases(tmp_path: Path) -> tuple[Path, ...]:
    city = write(tmp_path / "city.mmdb", {"16.128.0.0/9": CITY, "2600::/12": CITY})
    return city, write(tmp_path / "asn.mmdb", {"16.133.0.0/16": ASN, "93.184.0.0/16": {"connection": ["dsl"]}})


Make = Callable[[Resolvers], Resolver]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Resolver] = []

    def one(resolvers: Resolvers) -> Resolver:
        made.append(Resolver(resolvers))
        made[-1].turn(True)
        return made[-1]

    yield one
    for each in made:
        each.close()


def configured(folder: Path, names: DnsServer, databases: tuple[Path, ...]) -> None:
    paths = json.dumps([str(path) for path in databases])
    place = folder / "config" / "afterfact"
    place.mkdir(parents=True)
    (place / "resolve.toml").write_text(
        f'[dns]\nservers = ["127.0.0.1:{names.port}"]\ntimeout = 0.3\n[geo]\ndatabases = {paths}\n'
    )


@pytest.fixture
def set_up(tmp_path: Path, names: DnsServer, databases: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, names, databases)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_the_details_tell_of_addresses_once_it_is_turned_on(
    set_up: None, desk: Desk, fake: FakeServer, names: DnsServer
) -> None:
    desk.log_in("ana", "good")
    desk.ask("port = 1034")
    desk.until(lambda: any(line.startswith("Outcome") for line in desk.tab.answer.details.lines))
    lines = desk.tab.answer.details.lines
    assert not desk.window.shared.resolver.on and names.asked == [], "off until it is turned on"
    desk.key(Key.Key_N, CONTROL | SHIFT)
    desk.until(lambda: FOUND in desk.tab.answer.details.text.toPlainText())
    assert [line for line in desk.tab.answer.details.lines if line not in lines] == [f"dst is: {FOUND}"]
    table = desk.tab.answer.table
    at = [column.name for column in table.columns].index("dst_ip")
    assert FOUND in table.index(0, at).data(Qt.ItemDataRole.ToolTipRole)
    desk.go_to(3, "src_ip")
    desk.until(lambda: "10.0.0.3" in desk.tab.answer.details.lines[0])
    assert names.asked == ["85.77.133.16.in-addr.arpa."], "asked once, and never of what is at home"
    desk.key(Key.Key_N, CONTROL | SHIFT)
    desk.until(lambda: not any(" is: " in line for line in desk.tab.answer.details.lines))
    desk.window.save()
    desk.window.storage.keeper.flush()
    assert '"resolving": false' in (desk.window.storage.place / "preferences.json").read_text()


def test_without_a_file_it_says_what_to_do(work: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    work.key(Key.Key_N, CONTROL | SHIFT)
    assert work.window.summary.whole.startswith(f"Nothing to ask: name resolvers or databases in {tmp_path}/afterfact/")
    assert not work.window.shared.resolver.on


def learned(qtbot: QtBot, resolver: Resolver, address: str) -> Known:
    qtbot.waitUntil(lambda: resolver.known(address) is not None, timeout=20_000)
    found = resolver.known(address)
    assert found is not None
    return found


def test_only_what_is_surely_away_is_asked_about(
    qtbot: QtBot, make: Make, names: DnsServer, databases: tuple[Path, ...]
) -> None:
    made = Resolvers((("127.0.0.1", names.port),), 5.0, databases)
    resolver = make(made)
    assert not resolver.may_ask(FAR), "the server has not told which networks are home"
    resolver.set_home(("16.9.0.0/16", "2600:1f18:1::/48"))
    asked = [resolver.may_ask(one) for one in (FAR, FAR6, HOME, "10.1.2.3", "fe80::1", "2600:1f18:1::1", "127.0.0.1")]
    assert asked == [True, True, False, False, False, False, False]
    assert learned(qtbot, resolver, FAR6) == Known("six.example.net", "NL, Netherlands, Delft")
    assert learned(qtbot, resolver, "93.184.216.34") == Known(), "no name, and a record of other fields"
    assert resolver.known(HOME) is None and len(names.asked) == 2
    at_home = make(Resolvers(made.servers, 5.0, (), home=True))
    assert learned(qtbot, at_home, HOME).name == "own.example.net", "where it is set, what is at home too"


def test_silence_and_damage_are_said_and_a_new_database_is_taken(
    qtbot: QtBot, make: Make, names: DnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afterfact_client.console.models.asker.AGAIN_S", -1.0)
    monkeypatch.setattr("afterfact_client.console.models.asker.FAILED_S", -1.0)
    path = tmp_path / "asn.mmdb"
    path.write_bytes(b"no database")
    resolver = make(Resolvers((("127.0.0.1", names.port),), 0.2, (path,), home=True))
    names.silent = True
    with qtbot.waitSignal(resolver.troubled, timeout=20_000) as said:
        assert "did not answer in time" in learned(qtbot, resolver, FAR).trouble
    assert said.args is not None and said.args[0].startswith(f"{path}: ")
    names.silent = False
    write(tmp_path / "new.mmdb", {"16.133.0.0/16": ASN})
    os.replace(tmp_path / "new.mmdb", path)
    qtbot.waitUntil(
        lambda: resolver.known(FAR) == Known("scan.example.net", "", 64496, "Example <b>\\n"), timeout=20_000
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[dns]\nservers = ["dns.example"]', "'dns.example' is no resolver such as 192.0.2.53"),
        ('[dns]\nservers = ["192.0.2.53:0"]', "is no resolver"),
        ("[dns]\ntimeout = 99", "seconds from 0.1 to 30"),
        ('[geo]\ndatabases = ["here.mmdb"]', "whole paths"),
        ("[home]\nresolve = 1", "true or false"),
        ("[dsn]", "`dsn` is no section"),
        ("[dns]\nserver = []", "[dns] has no `server`"),
        ("[dns", ""),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path: Path, text: str, wrong: str) -> None:
    (tmp_path / "resolve.toml").write_text(text)
    found, said = load(tmp_path / "resolve.toml")
    assert not found.any and said.startswith(str(tmp_path)) and wrong in said and "not resolved" in said
    (tmp_path / "resolve.toml").write_text('[dns]\nservers = ["192.0.2.53", "[2001:db8::53]:5353"]')
    assert load(tmp_path / "resolve.toml")[0].servers == (("192.0.2.53", 53), ("2001:db8::53", 5353))
    assert load(tmp_path / "none") == (Resolvers(), "")
