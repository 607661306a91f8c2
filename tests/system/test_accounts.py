"""What an account may see is all that it gets, in answers, coverage, alerts and status; tokens from a shell; and what
the audit has of it."""

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.case import Case
from helpers.processes import PASSWORD, Server, agent, call, module

from afterfact_client import Client, ConnectError, RequestFailed, connect

EVER = 10_000_000_000_000_000
"""Microseconds: the year 2286."""
ALERTS = "".join(
    json.dumps({
        "timestamp": f"2004-07-2{6 + at}T00:00:00.000000+0000", "event_type": "alert", "flow_id": at, "src_ip": source,
        "src_port": 1, "dest_ip": "10.9.9.8", "dest_port": 2, "proto": "UDP",
        "alert": {"action": "blocked", "gid": 1, "signature_id": 5, "rev": 1, "severity": 1, "signature": "alone"},
    }) + "\n"
    for at, source in enumerate(("10.9.9.9", "192.0.2.7"))
)  # fmt: skip
LIMITS = {
    "by-sensor": ("--sensor", "inside"),
    "by-network": ("--network", "10.9.9.9", "1.2.3.4"),
    "by-time": ("--until", "2004-07-25"),
}


@pytest.fixture(scope="module")
def clients(case: Case) -> Iterator[dict[str, Client]]:
    """Everybody who asks, by name: ana sees all."""
    server = case.server
    alerts = server.folder / "eve.json"
    alerts.write_text(ALERTS)
    done = call(agent(server.enrol("ids"), server.folder / "spool-ids", "--import", "suricata", alerts,
                      "--until-delivered"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    with ExitStack() as stack:
        made = {}
        for name, limits in {"ana": (), **LIMITS}.items():
            if limits:
                server.add_user(name)
                server.do("user", "limit", server.dir, name, *limits)
            made[name] = stack.enter_context(connect(case.console, name, PASSWORD))
        yield made


def keys(client: Client, text: str = "") -> set[tuple[str, int, int]]:
    result = client.query(text)
    names = result.answer.sensors
    return {(names[row["sensor"]], int(row["start_time"]), int(row["session_id"])) for row in result.fetch()}


def test_an_answer_holds_what_the_account_may_see_and_says_so(clients: dict[str, Client]) -> None:
    everything = keys(clients["ana"])
    assert {name for name, *_ in everything} == {"border", "inside"}
    for name, text in (
        ("by-sensor", "sensor = 'inside'"),
        ("by-network", "ip IN ('10.9.9.9', '1.2.3.4')"),
        ("by-time", "start_time <= '2004-07-25'"),
    ):
        expected = keys(clients["ana"], text)
        assert expected != everything, name
        for asked in ("", "sensor IS NOT NULL OR start_time > '1990-01-01'", "NOT (proto = 250) ORDER BY src_ip"):
            assert keys(clients[name], asked) == expected, (name, asked)
        assert keys(clients[name], "ONCE") <= expected
        note = clients[name].query("LIMIT 1").answer.notes[0]
        assert note.startswith("this account is limited to ") and note.endswith(": nothing else was searched")
    assert clients["ana"].query("LIMIT 1").answer.notes == ()


def test_of_other_sensors_nothing_is_told(clients: dict[str, Client]) -> None:
    client, told = clients["by-sensor"], clients["by-sensor"].query("").answer
    assert [each.sensor for each in told.coverage] == ["inside"] == list(told.sensors.values())
    status = client.status()
    assert [sensor.name for sensor in status.sensors] == ["inside"]
    assert status.sessions == status.sensors[0].sessions > 0 and not status.events
    for call_it in (
        lambda: client.query("sensor = 'border'"),
        lambda: client.health("border", 0, 1),
        lambda: list(client.events(0, EVER, "ids")),
    ):
        with pytest.raises(RequestFailed, match=r"no sensor [`']") as caught:
            call_it()
        assert "there are border" not in str(caught.value)
    assert "inside" in {each.sensor for each in clients["ana"].query("").answer.coverage}


def test_alerts_too(clients: dict[str, Client]) -> None:
    found = {name: sum(len(rows) for rows, _ in client.events(0, EVER)) for name, client in clients.items()}
    assert found == {"ana": 2, "by-sensor": 0, "by-network": 1, "by-time": 0}


def test_a_script_asks_with_a_token(case: Case, clients: dict[str, Client]) -> None:
    server = case.server
    token = server.do("token", "add", server.dir, "nightly", "--user", "by-sensor", "--scope", "query").strip()

    def ask(*arguments: str) -> tuple[int, str, str]:
        done = call(module("afterfact_client", *arguments, "--join", case.console), env={"AFTERFACT_TOKEN": token})
        return done.returncode, done.stdout, done.stderr

    code, out, said = ask("query", "", "--format", "jsonl", "--columns", "sensor")
    assert code == 0 and set(out.split("\n")) == {'{"sensor": "inside"}', ""}, said
    assert "this account is limited to sensor inside" in said
    assert ask("status")[::2] == (1, "afterfact: ask_status needs the scope status; this token has query\n")
    listed = server.do("token", "list", server.dir)
    assert "nightly" in listed and token not in listed
    server.do("token", "revoke", server.dir, "nightly")
    assert "does not know this token" in ask("query", "")[2]
    with pytest.raises(ConnectError):
        connect(case.console, token=token)


def records(server: Server, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.do("audit", "export", server.dir, *arguments).splitlines()]


def test_the_audit_has_it_all_and_leads_may_read_it(case: Case, clients: dict[str, Client]) -> None:
    server = case.server
    server.add_user("boss", "lead")
    with pytest.raises(ConnectError):
        connect(case.console, "ana", "wrong password")
    with connect(case.console, "boss", PASSWORD) as boss:
        result = boss.query("port = 1034 LIMIT 5")
        export = boss.query("port = 1034", everything=True)
        exported = sum(len(page) for page in export.pages())
        export.drop()
        with pytest.raises(RequestFailed):
            boss.query("prot = 1034")
        list(boss.events(0, EVER, "ids"))
        while not (left := list(boss.audit(user="boss", kind="exported"))):  # it was dropped, and nothing answers that
            time.sleep(0.05)
        # What is being written while it is read may be missing: the reading itself.
        told = [each["kind"] for each in boss.audit(user="boss") if each["kind"] not in ("audit read", "exported")]
        assert told[:3] == ["alerts", "failed", "query"]
    assert clients["ana"].link.state.role == "analyst"
    with pytest.raises(RequestFailed, match="needs the role lead; this account is analyst") as caught:
        next(clients["ana"].audit())
    assert caught.value.code == "forbidden"
    of_boss = records(server, "--user", "boss")
    kinds = [each["kind"] for each in of_boss if each["kind"] not in ("exported", "logout")]
    assert kinds[:8] == ["login", "query", "answer", "export", "answer", "query", "failed", "alerts"]
    assert set(kinds[8:]) == {"audit read"}
    query, answer = of_boss[1:3]
    assert (query["text"], query["address"], query["user"]) == ("port = 1034 LIMIT 5", "127.0.0.1", "boss")
    assert (answer["of"], answer["rows"]) == (query["n"], result.answer.total)
    assert answer["span"] == [result.answer.span_start, result.answer.span_end]
    assert [each["rows"] for each in left] == [exported] and exported > 0
    assert [each["user"] for each in records(server, "--kind", "login failed")][-1] == "ana"
    assert "ask_audit needs the role lead" in str(records(server, "--kind", "forbidden")[-1]["why"])
    added = next(each for each in records(server, "--kind", "change") if "boss" in str(each.get("with")))
    assert added["command"] == "user add" and added["with"] == {"name": "boss", "role": "lead"} and added["user"]
    assert PASSWORD not in server.do("audit", "export", server.dir)
    shown = call(module("afterfact_client", "audit", "--join", case.console, "--user", "boss", "--kind", "export"),
                 env={"AFTERFACT_PASSWORD": PASSWORD})  # fmt: skip
    assert shown.returncode == 0 and "text: port = 1034" in shown.stdout, shown.stderr


def test_the_chain_goes_on_over_a_crash_and_a_restore_and_tells_of_a_changed_line(
    case: Case, clients: dict[str, Client], tmp_path: Path
) -> None:
    server = case.server
    server.do("backup", server.dir, tmp_path / "backup")
    clients["ana"].query("port = 4711")
    assert server.process is not None
    server.process.end(signal.SIGKILL)
    server.start()
    asked = [each for each in records(server, "--kind", "query") if each["text"] == "port = 4711"]
    assert len(asked) == 1, "it was answered, so it is there"
    assert re.search(r"^\d+ records; head \d+:[0-9a-f]{64}$", server.do("audit", "verify", server.dir), re.M)

    server.do("restore", tmp_path / "restored", tmp_path / "backup")
    said = server.do("audit", "verify", tmp_path / "restored")
    assert re.search(r"^seam: .*: restored: what was recorded after this backup is not here", said, re.M), said
    (file,) = (tmp_path / "restored" / "audit").glob("*.jsonl")
    file.write_text(file.read_text().replace("port = 1034 LIMIT 5", "port = 1035 LIMIT 5"))
    done = call(module("afterfact_server", "audit", "verify", tmp_path / "restored"))
    assert done.returncode == 1 and re.search(rf"^{file}:\d+: record \d+ was changed", done.stdout, re.M), done
