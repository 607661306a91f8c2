"""Alerts from Suricata's file to an analyst's screen, each with its session."""

import csv
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.processes import PASSWORD, Process, Server, agent, ask, call, module

from afterfact_client.client import connect
from afterfact_client.link import LinkLost, RequestFailed

FLOWS = 5
DAY = 86_400_000_000
START = 1_090_800_000_000_000
"""2004-07-26 00:00 UTC, microseconds."""


def eve(alerts: int = 3) -> str:
    """Flows, each with as many alerts while it lasted, and one alert of no flow that is here."""
    lines = []
    for number in range(FLOWS):
        common = {
            "flow_id": 1000 + number, "src_ip": f"10.0.0.{number}", "src_port": 40_000, "dest_ip": "192.0.2.9",
            "dest_port": 1034, "proto": "TCP",
        }  # fmt: skip
        at = [f"2004-07-26T00:{number:02}:{second:02}.000000+0000" for second in range(60)]
        for count in range(alerts):
            back = {"src_ip": "192.0.2.9", "src_port": 1034, "dest_ip": f"10.0.0.{number}", "dest_port": 40_000}
            alert = {"action": "allowed", "gid": 1, "signature_id": 2_001_000 + count, "rev": 3, "severity": count + 1,
                     "signature": f"WORM \N{SNOWMAN} {count}", "category": "A Network Trojan"}  # fmt: skip
            lines.append({"timestamp": at[5 + count], "event_type": "alert", **common, **(back if count else {}),
                          "alert": alert})  # fmt: skip
        lines.append({
            "timestamp": at[40], "event_type": "flow", **common, "tcp": {
                "tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "state": "closed", "syn": True, "fin": True, "ack": True,
            },
            "flow": {"pkts_toserver": 5, "pkts_toclient": 4, "bytes_toserver": 700, "bytes_toclient": 600,
                     "start": at[1], "end": at[20], "age": 19, "state": "closed", "reason": "timeout", "alerted": True},
        })  # fmt: skip
    lines.append({
        "timestamp": "2004-07-27T00:00:00.000000+0000", "event_type": "alert", "flow_id": 7, "src_ip": "10.9.9.9",
        "src_port": 1, "dest_ip": "10.9.9.8", "dest_port": 2, "proto": "UDP",
        "alert": {"action": "blocked", "gid": 1, "signature_id": 5, "rev": 1, "severity": 1, "signature": "alone"},
    })  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines)


def delivered(join: Path, spool: Path, path: Path) -> str:
    done = call(agent(join, spool, "--import", "suricata", path, "--until-delivered"))
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def events(console: Path, *arguments: object) -> "tuple[int, str, str]":
    command = module("afterfact_client", "events", "--join", console, "--user", "ana", *arguments)
    done = call(command, env={"AFTERFACT_PASSWORD": PASSWORD})
    return done.returncode, done.stdout, done.stderr


def rows(console: Path, *arguments: object) -> list[dict[str, str]]:
    code, out, said = events(console, "--format", "csv", *arguments)
    assert code == 0, said
    return list(csv.DictReader(io.StringIO(out)))


def test_each_alert_is_there_once_with_its_session(site: Server, tmp_path: Path) -> None:
    console, join = site.console_file(), site.enrol("eve")
    path = tmp_path / "eve.json"
    path.write_text(eve())
    assert f"{FLOWS} sessions and {3 * FLOWS + 1} alerts in" in delivered(join, tmp_path / "spool", path)
    numbers = {row["event_id"]: row["number"] for row in rows(console, "--sensor", "eve")}
    assert len(set(numbers.values())) == 3 * FLOWS + 1 and "0" not in numbers.values()
    # Again from another spool, and again in another file: the same alerts, under the same numbers.
    delivered(join, tmp_path / "other", path)
    path.write_text(eve() + "\n")
    delivered(join, tmp_path / "other", path)
    found = rows(console, "--sensor", "eve")
    assert len(found) == 3 * FLOWS + 1 and [row["time"] for row in found] == sorted(
        (row["time"] for row in found), reverse=True
    )
    assert {row["event_id"]: row["number"] for row in found} == numbers
    alone, *others = found
    # Acceptance question 6: what an address did about an alert.
    about = f"ip = 10.0.0.0/8 and sensor = 'eve' and during event({others[-1]['number']})"
    for window, count in (("-1s..+1s", 1), ("-10s..+60s", 2), ("+1h..+2h", 0)):
        done = ask(console, f"{about} {window}", "--format", "csv")
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 1 + count), done.stderr
    done = ask(console, "ip = 10.0.0.1 and during event(99999) -10m..+10m")
    assert done.returncode == 2 and "column 19 (during event(99999) -10m..+10m): there is no alert 99999" in done.stderr
    assert (alone["signature"], alone["action"], alone["session_id"]) == ("alone", "blocked", "")
    sessions = csv.DictReader(io.StringIO(ask(console, "sensor = 'eve'", "--format", "csv").stdout))
    flows = {row["foreign_id"]: (row["start_time"], row["sensor"], row["session_id"]) for row in sessions}
    assert len(flows) == FLOWS
    for row in others:
        assert (row["session_start"], row["session_sensor"], row["session_id"]) == flows[row["foreign_id"]]
        assert row["signature"].startswith("WORM \N{SNOWMAN}") and row["source"] == "suricata"
    # What is asked for.
    assert len(rows(console, "--sensor", "eve", "--signature", 2_001_001)) == FLOWS
    assert len(rows(console, "--sensor", "eve", "--since", "2004-07-26 00:01:00", "--until", "2004-07-26 23:00")) == 12
    assert len(rows(console, "--sensor", "eve", "--since", "24h")) == 0
    code, out, said = events(console, "--sensor", "eve", "--limit", 2)
    assert code == 0 and len(out.splitlines()) == 3 and "2 alerts, 1 without a session; older ones follow" in said
    code, out, _ = events(console, "--sensor", "eve", "--format", "json", "--limit", 1)
    (one,) = json.loads(out)
    assert (code, one["session_id"], one["category"], one["signature_id"]) == (0, None, None, 5)
    # Who may see it: any account. What there is not is said in a line.
    site.add_user("vic", "viewer")
    command = module("afterfact_client", "events", "--join", console, "--user", "vic", "--format", "jsonl")
    assert len(call(command, env={"AFTERFACT_PASSWORD": PASSWORD}).stdout.splitlines()) >= 16
    for wrong, says in (
        (("--sensor", "nobody"), "there is no sensor 'nobody'"),
        (("--since", "yesterdayish"), "--since: 'yesterdayish' is no time"),
        (("--since", "2004-07-27", "--until", "2004-07-26"), "--until is before --since"),
        (("--signature", "-1"), "no signature's number"),
    ):
        code, out, said = events(console, *wrong)
        assert code == 2 and says in said and "Traceback" not in said, said
    status = call(module("afterfact_client", "status", "--join", console, "--user", "ana"),
                  env={"AFTERFACT_PASSWORD": PASSWORD}).stdout  # fmt: skip
    (line,) = [line for line in status.splitlines() if line.startswith("alerts: ")]
    assert int(line.split()[1]) >= 3 * FLOWS + 1, "what came twice counts twice until it is merged"


def test_pages_of_many_alerts_and_a_dropped_day(site: Server, tmp_path: Path) -> None:
    console, join = site.console_file(), site.enrol("many")
    path = tmp_path / "eve.json"
    text = eve(1).splitlines()[0].replace("07-26", "07-30")  # a day of its own, to be dropped
    path.write_text(
        "".join(text.replace("00:00:05.000000", f"01:{n // 60:02}:{n % 60:02}.000000") + "\n" for n in range(1600))
    )
    delivered(join, tmp_path / "spool", path)
    with connect(console, "ana", PASSWORD) as client:
        pages = list(client.events(0, START + 9 * DAY, "many"))
        assert len(pages) > 2
        found = np.concatenate([page for page, _ in pages])
        assert len(found) == len(np.unique(found["event_id"])) == 1600 and (np.diff(found["time"]) < 0).all()
        assert sum(len(page) for page, _ in client.events(0, START + 9 * DAY, "many", limit=900)) == 900
        for _ in range(40):  # nothing is left open of them
            list(client.events(0, START, "many", limit=1))
        with pytest.raises(RequestFailed, match="ends before it begins"):
            list(client.events(5, 4))
        site.do("retention", site.dir, "drop", "--day", "2004-07-30")
        assert list(client.events(0, START + 9 * DAY, "many")) == []


def test_alerts_that_wait_are_not_sent_to_a_server_that_would_lose_them(tmp_path: Path) -> None:
    """The server of today, but for what it says that it speaks."""
    server = Server(tmp_path)
    path = tmp_path / "eve.json"
    path.write_text(eve())
    older = [sys.executable, "-c", "import sys; from afterfact_protocol import versions; versions.HIGHEST = 2; "
             "from afterfact_server.__main__ import main; sys.exit(main())", *server.run_command[3:]]  # fmt: skip
    server.process = Process(older)
    server.process.wait_ready()
    join, console = server.enrol("eve"), server.console_file()
    command = agent(join, tmp_path / "spool", "--import", "suricata", path, "--until-delivered")
    done = call(command)
    said = [line for line in done.stderr.splitlines() if "does not know alerts" in line]
    assert done.returncode == 1 and len(said) == 1 and "update the server" in said[0], done.stderr
    with connect(console, "ana", PASSWORD) as client, pytest.raises(LinkLost, match="does not know alerts"):
        list(client.events(0, START))
    server.stop()
    server.start()
    done = call(command)
    assert done.returncode == 0, done.stderr
    assert len(rows(console)) == 3 * FLOWS + 1
    server.stop()


def test_followed_as_they_are_written(site: Server, tmp_path: Path) -> None:
    console, join = site.console_file(), site.enrol("followed")
    logs = tmp_path / "logs"
    logs.mkdir()
    following = Process(agent(join, tmp_path / "spool", "--follow", logs))
    lines = eve().replace("10.0.0.", "10.7.0.").splitlines(keepends=True)
    for at in range(0, len(lines), 8):
        with open(logs / "eve.json", "a") as file:
            file.writelines(lines[at : at + 8])
        time.sleep(0.3)
    deadline = time.monotonic() + 30
    while len(found := rows(console, "--sensor", "followed")) < 3 * FLOWS + 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert following.end() == 0
    assert len(found) == 3 * FLOWS + 1
