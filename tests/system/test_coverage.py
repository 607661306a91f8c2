"""An answer never claims more than was watched: the real server, an agent, the command line."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from helpers.case import CAPTURES
from helpers.processes import PASSWORD, Server, ask, call, deliver, module
from scapy.utils import rdpcap, wrpcap

from afterfact_client.client import connect
from afterfact_client.link import RequestFailed
from afterfact_protocol.coveragetext import complete
from afterfact_server.control import ask_running
from afterfact_server.directory import ServerDir


def told(console: Path, query: str) -> tuple[int, str]:
    """Exit code under --require-coverage, and what stderr says."""
    done = ask(console, query, "--require-coverage", "--format", "csv")
    return done.returncode, done.stderr


def test_what_nobody_watched_is_not_called_watched(server: Server, tmp_path: Path) -> None:
    console = server.console_file()
    assert told(console, "")[0] == 3, "nothing is enrolled"
    join = server.enrol("border")
    code, said = told(console, "")
    assert code == 3 and "border: has never delivered data" in said

    assert deliver(join, tmp_path / "spool", CAPTURES["border"]).returncode == 0
    within = "WHERE start_time BETWEEN '2004-07-26 17:00' AND '2004-07-26 17:30'"
    code, said = told(console, within)
    assert code == 0 and "border: watched throughout" in said

    code, said = told(console, "WHERE start_time > '2100-01-01'")
    assert code == 3 and "watched throughout" not in said and "searched: sessions started 2100-01-01" in said
    code, said = told(console, "WHERE start_time > '2100-01-01' AND start_time < '2100-01-02'")
    assert code == 3 and "to 2100-01-0" in said

    server.do("sensor", "revoke", server.dir, "border")
    code, said = told(console, "")
    assert code == 3 and "border: revoked; no data since 2004-07-27" in said
    assert told(console, within)[0] == 0, "what it watched before it was revoked stays watched"


def test_networks_count_with_the_next_query(server: Server, tmp_path: Path) -> None:
    """Commands while the server runs, an editor, a broken file: each is seen by the next query, or said to be wrong."""
    console = server.console_file()
    assert deliver(server.enrol("border"), tmp_path / "spool", CAPTURES["border"]).returncode == 0
    server.enrol("inside")
    within = "start_time BETWEEN '2004-07-26 17:00' AND '2004-07-26 17:30'"
    path = server.dir / "networks.toml"

    def network(command: str, **arguments: str) -> str:
        """What `afterfact-server network` has the running server do."""
        said = ask_running(ServerDir(server.dir), f"network {command}", arguments)
        assert said is not None
        return said

    with connect(console, "ana", PASSWORD) as client:

        def covered(condition: str) -> tuple[list[str], list[str], bool]:
            """The sensors told of, addresses that nobody sees, and whether that is all."""
            answer = client.query(f"WHERE {within} AND {condition}").answer
            return [own.sensor for own in answer.coverage], list(answer.unseen), complete(answer)

        with pytest.raises(RequestFailed, match="`inbound` rests on home networks, and none is configured"):
            client.query("WHERE inbound")
        assert covered("ip = 192.0.2.77") == (["border", "inside"], [], False), "inside never delivered anything"

        server.do("network", "add", server.dir, "office", "--cidr", "1.2.3.0/24", "--home", "--sensor", "border")
        assert client.status().home == ("1.2.3.0/24",), "a console asks nobody about these"
        home = int(ip_address("::ffff:1.2.3.0")) >> 8
        rows = client.query("").fetch()
        at_home = [[int.from_bytes(ip) >> 8 == home for ip in rows[side].tolist()] for side in ("src_ip", "dst_ip")]
        comes_in = [not src and dst for src, dst in zip(*at_home, strict=True)]
        inbound = client.query("WHERE inbound").fetch()
        assert 0 < sum(comes_in) < len(rows) and inbound["session_id"].tolist() == rows["session_id"][comes_in].tolist()

        # Only who should have seen it is told of, and what nobody sees is no such session's absence.
        assert covered("ip = 1.2.3.4") == (["border"], [], True)
        assert covered("ip = 192.0.2.77") == ([], ["192.0.2.77"], False)
        assert covered("ip = net('office') AND sensor = inside") == (["inside"], ["1.2.3.0/24"], False)

        # An editor's change counts at once; a broken one does not, and is said with every answer until it is put right.
        good = path.read_text()
        path.write_text(good + '\n[lab]\ncidrs = ["192.0.2.0/24"]\nsensors = ["border"]\n')
        assert covered("ip = 192.0.2.77") == (["border"], [], True)
        path.write_text(good.replace("home = true", "home = perhaps"))
        assert covered("ip = net('lab')") == (["border"], [], True)
        problem = "networks.toml: line 3: Invalid value; what it said before counts"
        assert client.query("").answer.notes == (problem,)
        assert server.process is not None and server.process.wait_for(problem)
        assert f"BROKEN: {problem}" in network("list")
        network("revert", number="1", by="ana")
        assert path.read_text() == good and client.query("").answer.notes == ()
        assert [line.split("  ")[-1].strip() for line in network("history").splitlines()[1:]] == [
            "add office", "edited by hand", "revert to version 1",
        ]  # fmt: skip

    code, said = told(console, f"WHERE {within} AND ip = 192.0.2.77")
    assert code == 3 and "NOT WATCHED: no sensor sees 192.0.2.77 (networks.toml on the server)" in said
    meta = tmp_path / "meta.json"
    ask(console, f"WHERE {within} AND ip IN (1.2.3.4, 192.0.2.77)", "--meta", meta)
    content = json.loads(meta.read_text())
    assert content["unseen"] == ["192.0.2.77"] and content["complete"] is False
    (own,) = content["coverage"]
    assert own["sensor"] == "border" and own["gaps"] == [] and own["late"][0]["delivered"] > own["last"]
    wrong = call(module("afterfact_server", "network", "add", server.dir, "lab", "--cidr", "1.2.3.4/24"))
    assert (wrong.returncode, wrong.stderr) == (
        1, "afterfact-server: 1.2.3.4/24 has bits set beyond its prefix; write 1.2.3.0/24\n",
    )  # fmt: skip


def test_a_gap_that_was_filled_is_told(server: Server, tmp_path: Path) -> None:
    """The same question before and after what was missing came."""
    console = server.console_file()
    join = server.enrol("border")
    whole = CAPTURES["border"]
    packets = rdpcap(str(whole))
    third = len(packets) // 3
    parts = [packets[:third], packets[third : 2 * third], packets[2 * third :]]
    names = [tmp_path / f"{number}.pcap" for number in range(3)]
    for name, part in zip(names, parts, strict=True):
        wrpcap(str(name), part)
    first, middle, last = names
    assert deliver(join, tmp_path / "spool", first).returncode == 0
    assert deliver(join, tmp_path / "spool", last).returncode == 0
    start, end = float(parts[0][-1].time) + 2, float(parts[2][0].time) - 2
    times = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in (start, end)]
    query = f"WHERE start_time BETWEEN '{times[0]}' AND '{times[1]}' AND port = 31337"
    code, said = told(console, query)
    assert code == 3 and "0 sessions" in said and f"blind {times[0]} to" in said and "delivered late" not in said
    assert deliver(join, tmp_path / "spool", middle).returncode == 0
    code, said = told(console, query)
    assert "0 sessions" in said and f"blind {times[0]}" not in said and " delivered late, at 20" in said
