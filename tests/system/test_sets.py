"""Named sets and shared exclusions on a real server: planted answers, who may, what is told, what survives."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.processes import PASSWORD, Server, ask, call, module

from afterfact_client import Client, RequestFailed, connect
from afterfact_client.cli.setlists import read_list
from afterfact_protocol.coveragetext import complete
from afterfact_protocol.messages import AskSaved, SavedItem, SavedItems, SaveItem
from afterfact_protocol.sets import DTYPES, texts

FAR = 20_000
"""Destinations of one scanner: more than a list holds."""
FILL = f"""
import sys
from ipaddress import ip_address
from pathlib import Path
import numpy as np
from afterfact_protocol.session import ROW
from afterfact_server.store import schema, write
from afterfact_server.store.engine import StoreEngine
client = StoreEngine(Path(sys.argv[1]), "").client()
schema.prepare(client)
JULY_21 = 1_090_368_000_000_000
made = []
def session(src, sport, dst, dport, time=JULY_21, proto=6, sent=100):
    made.append((src, sport, dst, dport, time + len(made), proto, sent))
for n in range(1, 6):
    session(f"10.0.0.{{n}}", 40_000 + n, f"203.0.113.{{n}}", 1034)
session("10.0.0.9", 40_000, "203.0.113.9", 1034, JULY_21 - 3 * 86_400_000_000)
session("10.0.0.8", 80, "203.0.113.8", 1034)
for n in range(40):
    session(f"10.0.1.{{n % 7}}", 50_000 + n, "10.0.0.53" if n % 2 else "10.0.0.54", 53, proto=17)
for n in range(3):
    session("10.0.1.77", 50_100 + n, "198.51.100.7", 53, proto=17, sent=5_000_000)
for n in range(30):
    session(f"10.0.2.{{n}}", 50_000 + n, "192.0.2.80", 443 if n % 3 else 80)
session("10.0.0.66", 80, "192.0.2.66", 6667)
for n in range({FAR}):
    session("10.5.0.1", 50_000, f"100.64.{{n // 250}}.{{n % 250}}", 7000)
rows = np.zeros(len(made), ROW)
def address(text):
    return (bytes(10) + b"\\xff\\xff" + ip_address(text).packed)
rows["src_ip"] = np.frombuffer(b"".join(address(one[0]) for one in made), "V16")
rows["dst_ip"] = np.frombuffer(b"".join(address(one[2]) for one in made), "V16")
for name, at in (("src_port", 1), ("dst_port", 3), ("start_time", 4), ("proto", 5), ("src_bytes", 6)):
    rows[name] = [one[at] for one in made]
rows["end_time"] = rows["start_time"] + 1_000_000
rows["session_id"], rows["sensor"], rows["revision"] = np.arange(len(made)), 1, 3
write.insert_sessions(client, rows)
"""
WORM = "port = 1034 and start_time > '2004-07-20' and not port in (80, 443) | save @infected src_ip"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("sets"))
    server.enrol("border")
    subprocess.run([sys.executable, "-c", FILL, str(server.dir / "sessions")], check=True, timeout=120)
    server.start()
    server.add_user("ben")
    server.add_user("vic", "viewer")
    server.console_file()
    yield server
    if server.process is not None:
        server.stop()


@pytest.fixture(scope="module")
def ana(site: Server) -> Iterator[Client]:
    with connect(site.folder / "CONSOLE.toml", "ana", PASSWORD) as made:
        yield made


def by(site: Server, user: str) -> Client:
    return connect(site.folder / "CONSOLE.toml", user, PASSWORD)


def command(site: Server, *words: object, user: str = "ana") -> "subprocess.CompletedProcess[str]":
    group, action, *rest = words
    console = site.folder / "CONSOLE.toml"
    return call(module("afterfact_client", group, action, "--join", console, "--user", user, *rest),
                env={"AFTERFACT_PASSWORD": PASSWORD})  # fmt: skip


def found(client: Client, text: str) -> int:
    result = client.query(text)
    result.drop()
    return result.answer.total


def held(client: Client, name: str) -> list[str]:
    saved = client.set_values(name)
    return texts(saved.info.kind, saved.values, saved.sensors)


def refusal(client: Client, text: str) -> RequestFailed:
    with pytest.raises(RequestFailed) as failed:
        client.query(text)
    return failed.value


def test_the_worm_query_saves_the_infected_hosts(ana: Client) -> None:
    """Acceptance question 1."""
    answer = ana.query(WORM).answer
    assert answer.total == 5
    assert answer.saved is not None
    saved = answer.saved
    assert (saved.name, saved.count, saved.kind, saved.by, saved.number) == ("infected", 5, "address", "ana", 1)
    assert saved.field == "src_ip" and saved.query == WORM.split(" | ")[0] and "border" in saved.coverage
    assert held(ana, "infected") == [f"10.0.0.{n}" for n in range(1, 6)]
    answer = ana.query("src_ip in @infected").answer
    assert answer.total == 5
    assert [one.name for one in answer.sets] == ["infected"]
    assert any(note.startswith("@infected: 5 addresses, frozen, by ana 20") for note in answer.notes), answer.notes
    assert "in @infected" in answer.reading


def test_dns_past_the_resolvers(ana: Client, site: Server) -> None:
    """Acceptance question 10."""
    listed = site.folder / "resolvers.txt"
    listed.write_text("# ours\n10.0.0.53 # old, goes in autumn\n10.0.0.54,new\n")
    done = command(site, "set", "import", "@resolvers", "--file", listed, "--note", "from the wiki")
    assert done.returncode == 0 and done.stdout == "@resolvers: 2 addresses, version 1\n", done.stderr
    assert ana.set_values("resolvers").comments == {0: "old, goes in autumn", 1: "new"}
    rows = ana.query("dst_port = 53 and not dst_ip in @resolvers").fetch()
    assert len(rows) == 3 and set(rows["src_bytes"].tolist()) == {5_000_000}
    assert found(ana, "dst_port = 53 and dst_ip in @resolvers") == 40
    tunnel = "| sum(src_bytes) as b, avg(src_bytes) by src_ip every 1h having b > 10MB"
    done = ask(site.folder / "CONSOLE.toml", f"dst_port = 53 and not dst_ip in @resolvers {tunnel}", "--format", "csv")
    assert done.returncode == 0, done.stderr
    [_, row] = done.stdout.splitlines()
    assert "10.0.1.77" in row and "15000000" in row


def test_sets_are_put_together(ana: Client) -> None:
    for name, values in (
        ("one", ["10.0.0.1", "10.0.0.2"]),
        ("two", ["10.0.0.2", "10.0.0.3"]),
        ("net", ["10.0.0.0/30"]),
    ):
        ana.put_set(name, "address", read_list(values, "address").values)
    for text, count in (
        ("src_ip in @one + @two", 3),
        ("src_ip in (@one & @two)", 1),
        ("src_ip in @one - @two", 1),
        ("src_ip in (@net - @two) and dst_port = 1034", 1),
        ("ip in (@one + @two) and port = 1034", 3),
        ("src_ip in (@one, 10.0.0.5) and dst_port = 1034", 3),
        ("not src_ip in @net and dst_port = 1034 and start_time > '2004-07-20'", 3),
    ):
        assert found(ana, text) == count, text


def test_a_set_may_be_large(ana: Client) -> None:
    """More than a list holds: looked up in the store, alone and with others; with and without FINAL."""
    answer = ana.query("dst_port = 7000 | save @far dst_ip").answer
    assert answer.saved is not None and answer.saved.count == FAR
    assert found(ana, "dst_ip in @far") == FAR
    assert found(ana, "ip in @far and src_bytes < 101") == FAR
    assert found(ana, "dst_port = 1034 and not ip in @far") == 7
    ana.put_set("half", "address", ana.set_values("far").values[: FAR // 2])
    assert found(ana, "dst_ip in @far - @half") == FAR // 2
    assert found(ana, "ip in @half & @far") == FAR // 2
    assert len(ana.set_values("far").values) == FAR


def test_other_kinds(ana: Client) -> None:
    ana.query("dst_port = 1034 | save @worm_ports src_port")
    ana.query("dst_port = 6667 | save @doors endpoint")
    ana.query("dst_port = 6667 | save @talks community_id")
    ana.query("dst_port = 6667 | save @kept")
    ana.query("dst_port = 7000 | save @many session")
    assert sorted(held(ana, "doors")) == ["10.0.0.66:80", "192.0.2.66:6667"]
    assert found(ana, "src_port in @worm_ports and dst_port = 1034") == 7
    for text in ("endpoint in @doors", "community_id in @talks", "session in @kept"):
        assert found(ana, text) == 1, text
    assert found(ana, "session in @many and not session in @kept") == FAR
    assert found(ana, "not session in @many and dst_port = 6667") == 1
    [kept] = held(ana, "kept")
    assert kept.startswith("2004-07-21 00:00:00 border ")


def test_live_sets_follow_and_never_rest_on_themselves(ana: Client) -> None:
    ana.put_set("ports", "port", read_list(["1034"], "port").values)
    ana.save_set("users", "dst_port in @ports and start_time > '2004-07-20'", "src_ip", live=True)
    answer = ana.query("src_ip in @users").answer
    assert answer.total == 6 and any("@users: 6 addresses, live" in note for note in answer.notes)
    ana.put_set("ports", "port", read_list(["6667"], "port").values, mode="add")
    assert found(ana, "src_ip in @users") == 7
    assert "10.0.0.66" in held(ana, "users")
    with pytest.raises(RequestFailed, match="@users would rest on itself: @users -> @users"):
        ana.save_set("users", "src_ip in @users", "src_ip", live=True, replace=True)
    ana.save_set("more", "src_ip in @users", "src_ip", live=True)
    with pytest.raises(RequestFailed, match="@users -> @more -> @users"):
        ana.save_set("users", "src_ip in @more", "src_ip", live=True, replace=True)
    with pytest.raises(RequestFailed, match="cannot be deleted: @more rests on it"):
        ana.remove_set("users")


def test_nothing_is_overwritten_silently(ana: Client, site: Server) -> None:
    ana.query("dst_port = 6667 | save @mine src_ip")
    with by(site, "ben") as ben:
        failed = refusal(ben, "dst_port = 1034 | save @mine src_ip")
        assert "there is a set @mine already, made by ana on 20" in str(failed) and failed.start == 18
        answer = ben.query("dst_port = 1034 and src_port > 40000 | save @mine src_ip replace").answer
        assert answer.saved is not None and (answer.saved.number, answer.saved.by) == (2, "ben")
    history = ana.sets("mine")
    assert [(one.number, one.by, one.count) for one in history] == [(1, "ana", 1), (2, "ben", 5)]
    old = ana.set_values("mine", 1)
    assert texts("address", old.values, {}) == ["10.0.0.66"]
    ana.remove_set("mine")
    assert "there is no set @mine" in str(refusal(ana, "src_ip in @mine"))
    assert [one.action for one in ana.sets("mine")] == ["save", "save", "delete"]
    assert site.process is not None
    assert any("ben: save of set @mine, version 2: 5 addresses" in line for line in site.process.lines)


def test_two_at_once_save_one(ana: Client, site: Server) -> None:
    with by(site, "ben") as ben:
        values = read_list(["1.2.3.4"], "address").values.tobytes()
        tried = [client.link.put_set("race", "address", values, {}, "new") for client in (ana, ben)]
        outcomes = [one.exception(30) for one in tried]
    assert sum(one is None for one in outcomes) == 1
    assert any("made by" in str(one) or "just now" in str(one) for one in outcomes if one is not None)


def test_viewers_use_sets_and_change_none(site: Server, ana: Client) -> None:
    ana.put_set("seen", "address", read_list(["10.0.0.66"], "address").values)
    with by(site, "vic") as vic:
        assert found(vic, "src_ip in @seen") == 1
        for change in (
            lambda: vic.put_set("theirs", "port", np.zeros(1, DTYPES["port"])),
            lambda: vic.save_set("theirs", "", "src_ip"),
            lambda: vic.remove_set("seen"),
            lambda: vic.save_exclusion("theirs", "port = 1"),
            lambda: vic.query("port = 1034 | save @theirs src_ip"),
        ):
            with pytest.raises(RequestFailed, match="needs the role analyst; this account is viewer"):
                change()
    assert "theirs" not in [one.name for one in ana.sets()]


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("src_ip in @infecteds", "there is no set @infecteds; did you mean @infected?", "@infecteds"),
        (
            "src_port in @infected2",
            "@infected2 is a set of addresses; src_port is asked of sets of ports",
            "@infected2",
        ),
        ("port = 1 excluding webb", "there is no exclusion webb", "excluding webb"),
        ("during event(4711) -10m..+10m", "there is no alert 4711", "during event(4711) -10m..+10m"),
    ],
)
def test_what_there_is_not_is_said_where_it_stands(ana: Client, text: str, message: str, at: str) -> None:
    for name in ("infected", "infected2"):
        if name not in [one.name for one in ana.sets()]:
            ana.put_set(name, "address", read_list(["10.0.0.1"], "address").values)
    failed = refusal(ana, text)
    assert message in str(failed) and text[failed.start : failed.end] == at


def test_exclusions_are_told_and_counted(ana: Client) -> None:
    ana.save_exclusion("web", "port in (80, 443)", by_default=True, note="habit")
    try:
        answer = ana.query("start_time > '2004-07-20' and dst_port != 7000").answer
        assert [one.name for one in answer.exclusions] == ["web"] and answer.by_default
        assert any(note.startswith("LEFT OUT by default; say EXCLUDING NONE") for note in answer.notes), answer.notes
        assert not complete(answer)
        whole = found(ana, "start_time > '2004-07-20' and dst_port != 7000 excluding none")
        assert answer.total == whole - 32
        removed = ana.removed("start_time > '2004-07-20' and dst_port != 7000")
        [web] = removed.exclusions
        assert (removed.sessions, web.name, web.sessions) == (32, "web", 32)
        # A click shows what was left out, and there the backdoor's client is that uses port 80.
        rows = ana.query(web.text).fetch()
        assert len(rows) == 32 and 6667 in rows["dst_port"].tolist()
        assert found(ana, "dst_port = 6667") == 0
        assert found(ana, "dst_port = 6667 excluding none") == 1
    finally:
        ana.remove_exclusion("web")
    assert found(ana, "dst_port = 6667") == 1


def test_exclusions_on_request_and_expired(ana: Client, site: Server) -> None:
    done = command(site, "exclusion", "add", "scan", "src_ip = 10.5.0.1", "--until", "2h")
    assert done.returncode == 0 and "EXCLUDING scan" in done.stdout, done.stderr
    ana.save_exclusion("pings", "proto = icmp and src_port in (1, 2)")
    assert found(ana, "") > FAR
    answer = ana.query("excluding scan, pings").answer
    assert answer.total < 200 and not answer.by_default and len(answer.exclusions) == 2
    with pytest.raises(RequestFailed, match="there is an exclusion scan already, made by ana"):
        ana.save_exclusion("scan", "port = 1")
    for condition in ("port = 1 limit 5", "", "port = 1 excluding none", "port = 1 | count"):
        with pytest.raises(RequestFailed, match="an exclusion is a condition and no more"):
            ana.save_exclusion("worse", condition)
    with pytest.raises(RequestFailed, match="this query saves @y itself"):
        ana.save_set("x", "port = 1 | save @y src_ip", "src_ip")
    with pytest.raises(RequestFailed, match="a set is made of a field of sessions"):
        ana.save_set("x", "port = 1 | count by src_ip", "src_ip")
    with pytest.raises(RequestFailed, match="would have expired"):
        ana.save_exclusion("old", "port = 1", expires=1_000_000)
    listed = command(site, "exclusion", "list").stdout
    assert "scan" in listed and "src_ip = 10.5.0.1" in listed
    assert command(site, "exclusion", "remove", "scan").returncode == 0
    assert "there is no exclusion scan" in str(refusal(ana, "excluding scan"))


def test_the_command_line_shows_and_exports(site: Server, ana: Client) -> None:
    console = site.folder / "CONSOLE.toml"
    done = ask(console, "dst_port = 6667 | save @cli src_ip")
    assert done.returncode == 0 and "saved @cli: 1 address" in done.stderr, done.stderr
    done = ask(console, "src_ip in @cli")
    assert "@cli: 1 address, frozen, by ana" in done.stderr
    assert "@cli" in command(site, "set", "list").stdout
    shown = command(site, "set", "show", "@cli").stdout
    assert "src_ip of: dst_port = 6667" in shown and "10.0.0.66" in shown and "watched then:" in shown
    assert command(site, "set", "add", "@cli", "10.0.0.67 # twin").returncode == 0
    assert command(site, "set", "remove", "cli", "10.0.0.66").returncode == 0
    exported = command(site, "set", "export", "@cli").stdout
    assert exported == "address,comment\n10.0.0.67,twin\n"
    bad = site.folder / "bad.txt"
    bad.write_text("10.0.0.1\n10.0.0.300\n")
    done = command(site, "set", "import", "@bad", "--file", bad)
    assert done.returncode == 2 and "line 2: '10.0.0.300' is no address" in done.stderr
    done = command(site, "set", "import", "@bad", "--file", bad, "--skip-bad")
    assert done.returncode == 0 and "passed over 1 lines" in done.stderr
    assert command(site, "set", "delete", "@bad").returncode == 0
    removed = ask(console, "dst_port = 6667", "--removed")
    assert "left out: nothing" in removed.stderr


def test_the_values_of_two_sets_together_are_saved(site: Server, ana: Client) -> None:
    for name, values in (
        ("our_hosts", ["10.0.0.0/30", "10.0.0.9 # lab", "2001:db8::/32"]),
        ("seen_there", ["10.0.0.2", "10.0.0.9", "10.7.0.0/16", "2001:db8::1", "2001:db8:1::/48"]),
        ("lab_hosts", ["10.0.0.9", "10.1.1.1"]),
        ("all_ipv4", ["0.0.0.0/0"]),
    ):
        listed = read_list(values, "address")
        ana.put_set(name, "address", listed.values, comments=listed.comments)
    assert (
        ana.combine_sets("both_here", "our_hosts", "&", "seen_there").note
        == "@our_hosts (version 1) & @seen_there (version 1)"
    )
    assert held(ana, "both_here") == ["10.0.0.2", "10.0.0.9", "2001:db8::1", "2001:db8:1::/48"]
    assert list(ana.set_values("both_here").comments.values()) == ["lab"], "what was said of a value stays with it"
    ana.combine_sets("either_here", "seen_there", "+", "lab_hosts")
    assert len(held(ana, "either_here")) == 6 and {"10.1.1.1", "10.7.0.0/16"} < set(held(ana, "either_here"))
    done = command(site, "set", "combine", "@less_lab", "@our_hosts - @lab_hosts")
    assert done.returncode == 0 and done.stdout == "@less_lab: 2 networks, version 1\n", done.stderr
    assert held(ana, "less_lab") == ["10.0.0.0/30", "2001:db8::/32"]
    ana.combine_sets("none_left", "lab_hosts", "-", "all_ipv4")
    assert held(ana, "none_left") == []
    done = command(site, "set", "combine", "@cut_up", "@our_hosts - @seen_there")
    assert done.returncode == 2 and "10.0.0.0/30 holds 10.0.0.2, which is to go, and more besides" in done.stderr
    ana.save_set("now_called", "port = 1034", "dst_ip", live=True)
    ana.put_set("web_ports", "port", read_list(["80"], "port").values)
    for name, left, right, why in (
        ("lab_hosts", "our_hosts", "seen_there", "there is a set @lab_hosts already"),
        ("x", "our_hosts", "web_ports", "of kind port"),
        ("x", "our_hosts", "gone", "there is no set @gone"),
    ):  # fmt: skip
        with pytest.raises(RequestFailed, match=why):
            ana.combine_sets(name, left, "+", right)
    assert ana.combine_sets("lab_hosts", "now_called", "-", "our_hosts", replace=True).number == 2
    assert held(ana, "lab_hosts") == held(ana, "now_called"), "a live set is as of now"


def test_queries_are_saved_for_the_team(site: Server, ana: Client) -> None:
    done = command(site, "saved", "add", "case 7 / worm", "port = 1034", "--comment", "the sweep")
    assert done.returncode == 0, done.stderr
    (worm,) = ana.saved.all()
    assert (worm.folder, worm.name, worm.text, worm.comment, worm.number, worm.by) == (
        "case 7", "worm", "port = 1034", "the sweep", 1, "ana",
    )  # fmt: skip
    assert command(site, "saved", "show", "case 7 / worm", user="vic").stdout == "port = 1034\n"
    done = command(site, "saved", "add", "case 7 / worm", "port = 1")
    assert done.returncode == 2 and "case 7 / worm, saved by ana" in done.stderr
    done = command(site, "saved", "add", "bad", "nosuch = 1")
    assert done.returncode == 2 and "query, column 1: " in done.stderr
    assert command(site, "saved", "add", "x", "port = 1", user="vic").returncode == 2
    told: SavedItems = ana.link.request(AskSaved).result()
    with by(site, "ben") as ben:
        ben.saved.save("worm", "port = 1035", "case 7", number=1)
        with pytest.raises(RequestFailed, match="somebody was first: case 7 / worm, saved by ben"):
            ana.saved.save("worm", "port = 1036", "case 7", number=1)
        moved = SavedItem("query", "done", "worm", "port = 1035", "", 2)
        ben.link.request(lambda request: SaveItem(request, moved, ("case 7", "worm"))).result()
    after: SavedItems = ana.link.request(lambda request: AskSaved(request, told.revision)).result()
    assert not after.same and [(one.folder, one.number) for one in after.items] == [("done", 1)]
    assert ana.link.request(lambda request: AskSaved(request, after.revision)).result().same
    with pytest.raises(RequestFailed, match="not there any more"):
        ana.saved.remove(worm)
    with pytest.raises(RequestFailed, match="KiB"):
        for number in range(9):
            ana.saved.save(f"v{number}", "x" * 64 * 1024, kind="view")
    assert command(site, "saved", "remove", "done / worm").returncode == 0
    assert ana.saved.all() == () and 0 < len(ana.saved.all("view")) < 9


def test_sets_and_exclusions_survive_a_backup(site: Server, ana: Client, tmp_path: Path) -> None:
    ana.query("dst_port = 7000 | save @backed dst_ip")
    ana.save_exclusion("lasting", "port = 9")
    ana.saved.save("lasting", "port = 9", "kept")
    site.do("backup", site.dir, tmp_path / "backup")
    other = tmp_path / "restored"
    done = call(module("afterfact_server", "restore", other, tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    restored = Server.__new__(Server)
    restored.folder, restored.dir, restored.host = site.folder, other, "127.0.0.1"
    from helpers.processes import free_ports

    restored.sensors_port, restored.consoles_port = free_ports(2)
    restored.process = None
    restored.start()
    try:
        join = tmp_path / "CONSOLE.toml"
        text = (site.folder / "CONSOLE.toml").read_text()
        join.write_text(text.replace(str(site.consoles_port), str(restored.consoles_port)))
        with connect(join, "ana", PASSWORD, timeout=20) as client:
            assert found(client, "dst_ip in @backed") == FAR
            assert client.saved.get("lasting", "kept").text == "port = 9"
            assert "lasting" in [one.name for one in client.exclusions()]
    finally:
        restored.stop()
