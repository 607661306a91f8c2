"""What an operator does with the stored sessions, by the real programs: backup and restore, retention, pins,
quarantine, days out and in, a start after a crash."""

import csv
import io
import shutil
import struct
from pathlib import Path

import pytest
from helpers.case import CAPTURES
from helpers.processes import Process, Server, ask, call, deliver, free_ports, module

from afterfact_server.backup import restore
from afterfact_server.control import ask_running
from afterfact_server.directory import ServerDir
from afterfact_server.errors import RegistryError
from afterfact_server.store.backup import BackupError

STAMPS = ("sensor", "ingest_time", "stream", "seq")


def stored(console: Path, where: str = "") -> list[dict[str, str]]:
    """The sessions that a query finds, without what the server stamps."""
    done = ask(console, where, "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader(io.StringIO(done.stdout))
    found = [{name: value for name, value in row.items() if name not in STAMPS} for row in rows]
    return sorted(found, key=lambda row: (row["start_time"], row["session_id"]))


def declined(server: Server, command: str, **arguments: str) -> str:
    """Why the running server does not do it, in its one line."""
    with pytest.raises(RegistryError) as failure:
        ask_running(ServerDir(server.dir), command, arguments)
    assert "\n" not in str(failure.value)
    return str(failure.value)


def told(server: Server, command: str, **arguments: str) -> str:
    """What the running server answers."""
    answer = ask_running(ServerDir(server.dir), command, arguments)
    assert answer is not None
    return answer


def refused(*arguments: object) -> str:
    """What a command that must fail says, in its one line."""
    done = call(module("afterfact_server", *arguments))
    assert done.returncode == 1 and done.stdout == "", done
    # The embedded engine may have its own say before, where there is no cgroup for it to read.
    (ours,) = (line for line in done.stderr.splitlines() if line.startswith("afterfact-server: "))
    assert done.stderr.endswith(f"{ours}\n") and "Traceback" not in done.stderr, done.stderr
    return f"{ours}\n"


def started(server: Server) -> str:
    """What the log says of the store that was opened."""
    assert server.process is not None
    return server.process.wait_for("session store opened")


def test_an_older_backup_is_restored_and_agents_send_what_it_lacks(server: Server, tmp_path: Path) -> None:
    console = server.console_file()
    joins = {name: server.enrol(name) for name in CAPTURES}
    assert deliver(joins["border"], tmp_path / "border", CAPTURES["border"]).returncode == 0
    told(server, "pin add", label="worm", by="ana", query="WHERE port = 1034")
    backup = tmp_path / "backups" / "monday"
    said = server.do("backup", server.dir, backup)
    assert "rows of the session store" in said and "registry" in said and "server.keys" in said
    assert not list((server.dir / "sessions" / "shadow").glob("afterfact*")), "nothing stays frozen"
    assert deliver(joins["inside"], tmp_path / "inside", CAPTURES["inside"]).returncode == 0
    wanted = stored(console)

    assert "is not empty" in declined(server, "backup", target=str(backup))
    assert "lies in the server's directory" in declined(server, "backup", target=str(server.dir / "backup"))
    assert "is not empty" in refused("restore", server.dir, backup)
    server.stop()

    # A stopped server is backed up by the same command.
    assert "rows of the session store" in server.do("backup", server.dir, tmp_path / "tuesday")
    assert (tmp_path / "tuesday" / "backup.json").is_file()
    lost = tmp_path / "lost"
    server.dir.rename(lost)
    bad = tmp_path / "bad"
    for damage, says in (
        (lambda: (bad / "backup.json").unlink(), "backup.json is missing"),
        (lambda: shutil.rmtree(next((bad / "sessions" / "sessions").iterdir())), "no whole backup"),
    ):
        shutil.copytree(backup, bad)
        damage()
        with pytest.raises(BackupError, match=says):  # before the engine is opened
            restore(ServerDir(server.dir), bad)
        assert not server.dir.exists(), "nothing is left of it"
        shutil.rmtree(bad)
    shutil.copytree(backup, bad)
    damaged_part(bad)
    assert ": damaged: " in refused("restore", server.dir, bad) and not server.dir.exists()
    assert "rows of the session store" in server.do("restore", server.dir, backup)
    server.start()
    border_only = stored(console)
    assert 0 < len(border_only) < len(wanted)
    assert "worm" in told(server, "pin list")
    for name, capture in CAPTURES.items():
        done = deliver(joins[name], tmp_path / name, capture)
        assert done.returncode == 0, done.stderr
        assert stored(console) == (border_only if name == "border" else wanted)


def damaged_part(backup: Path) -> None:
    """One bit of the sessions' data is another."""
    data = next((backup / "sessions" / "sessions").glob("*/data.bin"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


def test_days_go_for_the_disk_and_pinned_sessions_stay(server: Server, tmp_path: Path) -> None:
    console = server.console_file()
    joins = {name: server.enrol(name) for name in CAPTURES}
    assert deliver(joins["border"], tmp_path / "border", CAPTURES["border"]).returncode == 0
    server.do("pin", server.dir, "add", "WHERE port = 1034 AND established", "--label", "worm", "--by", "ana")
    server.do("network", "add", server.dir, "infected", "--cidr", "1.2.3.4/32", "--home")
    pinned_by_net = server.do("pin", server.dir, "add", "WHERE dst_ip = net('infected') AND dst_port = 1034 AND "
                              "established AND inbound", "--label", "by net", "--by", "ana")  # fmt: skip
    assert "1 session" in pinned_by_net
    server.do("pin", server.dir, "remove", "--label", "by net")
    assert "finds no session" in declined(server, "pin add", label="x", by="ana", query="WHERE port = 9")
    assert "the query, at character 7: no field" in declined(server, "pin add", label="x", by="a", query="WHERE x = 9")
    assert "cannot be a label" in declined(server, "pin add", label="", by="ana", query="WHERE port = 1034")
    assert "nothing is pinned under 'x'" in declined(server, "pin remove", label="x")
    pinned, everything = stored(console, "WHERE port = 1034 AND established"), stored(console)
    server.stop()
    config = server.dir / "server.toml"
    config.write_text(config.read_text().replace("min_free_gb = 0.0", "min_free_gb = 1000000"))
    server.start()
    assert server.process is not None
    server.process.wait_for("there is no older day left to drop: make room on the disk")
    dropped = [line for line in server.process.lines if "is dropped" in line]
    days = sorted({row["start_time"][:10] for row in everything})
    assert len(dropped) == len(days) - 1 and "GB free, 1e+06 are to be" in dropped[0], server.process.lines
    left = stored(console)
    gone = {line.split("retention: ")[1][:10] for line in dropped}
    kept = [row for row in everything if row["start_time"][:10] not in gone or row in pinned]
    assert left == kept and len(pinned) < len(left) < len(everything)
    newest = max(gone)
    assert f"retention dropped the sessions of {newest}" in ask(console, f"WHERE start_time > '{newest}'").stderr
    assert "retention dropped" not in ask(console, f"WHERE start_time > '{days[-1]}'").stderr
    # What comes for these days is acknowledged, counted, and not stored.
    assert deliver(joins["inside"], tmp_path / "inside", CAPTURES["inside"]).returncode == 0
    assert not [row for row in stored(console) if row not in kept and row["start_time"][:10] in gone]
    listed = told(server, "retention list")
    # Of what `inside` brought a further day may have gone since.
    assert "inside" in listed.split("were not stored")[1] and listed.count("drop day") >= len(dropped)
    server.stop()
    config.write_text(config.read_text().replace("min_free_gb = 1000000", "min_free_gb = 0"))
    server.start()
    day = min(gone)
    assert "is stored again" in server.do("retention", server.dir, "admit", "--day", day)
    assert "was not dropped" in declined(server, "retention admit", day=day)
    assert "nothing of 2001-01-01 to drop" in declined(server, "retention drop", day="2001-01-01")
    assert stored(console, "WHERE port = 1034 AND established AND sensor = 'border'") == pinned


def test_quarantine_released_with_its_times_put_right(server: Server, tmp_path: Path) -> None:
    """A capture from a host whose clock stood 25 years back."""
    console, join = server.console_file(), server.enrol("border")
    off = 25 * 365 * 86_400
    early = tmp_path / "early.pcap"
    early.write_bytes(moved(CAPTURES["border"].read_bytes(), -off))
    assert deliver(join, tmp_path / "early", early).returncode == 0
    assert stored(console) == []
    listed = server.do("quarantine", server.dir, "list").splitlines()
    assert listed[1].split()[:2] == ["border", "before-1990"]
    shown = list(csv.DictReader(io.StringIO(server.do("quarantine", server.dir, "show", "--limit", "5"))))
    assert len(shown) == 5 and shown[0]["start_time"].startswith("1979-") and shown[0]["sensor"] == "border"
    which = {"sensor": "", "reason": "", "day": ""}
    assert "no reason 'x'" in declined(server, "quarantine show", **which | {"reason": "x"}, limit="5")
    assert "no sensor 'x'" in declined(server, "quarantine drop", **which | {"sensor": "x"})
    assert "write a length of time" in declined(server, "quarantine release", **which, shift="soon")
    wrong = call(module("afterfact_server", "quarantine", server.dir, "drop"))
    assert wrong.returncode == 2 and "say which" in wrong.stderr
    # By the directory, as with no server running; its sessions are those of a clock that was right.
    server.stop()
    said = server.do("quarantine", server.dir, "release", "--sensor", "border", f"--shift=+{off}s")
    server.start()
    assert "had not been stopped" not in started(server)
    released = stored(console)
    assert said.startswith(f"{len(released)} sessions are released, moved by")
    assert len(told(server, "quarantine list").splitlines()) == 1
    done = call(module("afterfact_agent", "read", CAPTURES["border"]))
    read = [
        {name: value for name, value in row.items() if name not in (*STAMPS, "session_id")}
        for row in csv.DictReader(io.StringIO(done.stdout))
    ]
    without_id = [{name: value for name, value in row.items() if name != "session_id"} for row in released]
    assert sorted(without_id, key=str) == sorted(read, key=str)
    answer = ask(console, "", "--format", "csv")
    assert "set aside" not in answer.stderr and "quarantine" not in answer.stderr, answer.stderr


def moved(pcap: bytes, seconds: int) -> bytes:
    """A little-endian pcap file with other times."""
    out, at = bytearray(pcap[:24]), 24
    while at < len(pcap):
        time, fraction, size, length = struct.unpack_from("<IIII", pcap, at)
        out += struct.pack("<IIII", time + seconds, fraction, size, length) + pcap[at + 16 : at + 16 + size]
        at += 16 + size
    return bytes(out)


def test_a_day_moves_to_another_server_and_a_crash_is_told(server: Server, tmp_path: Path) -> None:
    console, join = server.console_file(), server.enrol("border")
    assert deliver(join, tmp_path / "border", CAPTURES["border"]).returncode == 0
    assert "had not been stopped" not in started(server)
    wanted = stored(console, "WHERE start_time >= '2004-07-26' AND start_time < '2004-07-27'")
    file = tmp_path / "day.parquet"
    assert server.do("export", server.dir, "--day", "2004-07-26", "-o", file).startswith(f"{len(wanted)} sessions")
    assert "is there already" in declined(server, "export", day="2004-07-26", file=str(file))
    server.kill()
    server.start()
    assert "the server had not been stopped; " in started(server)
    (tmp_path / "other").mkdir()
    other = Server(tmp_path / "other")
    assert "'border', which is not enrolled" in refused("import-day", other.dir, file)
    other.enrol("someone")
    other.enrol("border")
    for _ in range(2):
        assert other.do("import-day", other.dir, file) == f"{len(wanted)} sessions of 2004-07-26 taken in\n"
    other.start()
    try:
        assert stored(other.console_file(), "WHERE sensor = 'border'") == wanted
    finally:
        other.kill()


def test_a_store_elsewhere_and_one_that_is_not_there(tmp_path: Path) -> None:
    made = call(module("afterfact_server", "init", tmp_path / "one", "--store", tmp_path / "disk" / "store"))
    assert made.returncode == 0, made.stderr
    sensors, consoles = free_ports(2)
    ports = ("--sensors", f"tcp://127.0.0.1:{sensors}", "--consoles", f"tcp://127.0.0.1:{consoles}")
    running = Process(module("afterfact_server", "run", tmp_path / "one", *ports))
    running.wait_ready()
    assert running.end() == 0
    assert (tmp_path / "disk" / "store" / "store").is_dir() and not (tmp_path / "one" / "sessions").exists()
    made = call(module("afterfact_server", "init", tmp_path / "two", "--store", "https://ana:x@127.0.0.1:1/afterfact"))
    assert made.returncode == 0, made.stderr
    assert "cannot open the ClickHouse server of server.toml's `store`" in refused("run", tmp_path / "two", *ports)
    for wrong, says in (
        (["--store", "ftp://x"], "neither a path nor"),
        (["--store", "http://x/y"], "in the clear"),
        (["--cluster", "soc"], "`cluster` names a"),
    ):
        assert says in refused("init", tmp_path / "three", *wrong)
