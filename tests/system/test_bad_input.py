"""Bad input: one clear line, the right exit code, never a traceback, nothing lost."""

import fcntl
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.case import CAPTURES, INBOUND, Case
from helpers.processes import PASSWORD, Process, Server, agent, ask, call, deliver, free_ports, module

from afterfact_client import RequestFailed, connect
from afterfact_protocol.messages import MAX_QUERY_BYTES


def one_line(done: subprocess.CompletedProcess[str], code: int, *says: str) -> None:
    """It failed as it should, with one line on stderr that says all of this."""
    assert done.returncode == code, (done.returncode, done.stderr)
    (line,) = [line for line in done.stderr.splitlines() if ": connected to " not in line]
    for part in says:
        assert part in line, line


# --- the agent --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    whole = CAPTURES["border"].read_bytes()
    (tmp_path / "empty.pcap").write_bytes(b"")
    (tmp_path / "text.pcap").write_text("this is no capture\n" * 50)
    (tmp_path / "cut.pcap").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "link.pcap").write_bytes(whole[:20] + (147).to_bytes(4, "little") + whole[24:])
    corrupt = bytearray(whole)
    corrupt[24 + 8 : 24 + 12] = b"\xff\xff\xff\x7f"  # the first record's captured length
    (tmp_path / "corrupt.pcap").write_bytes(bytes(corrupt))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.pcap", "empty"),
        ("text.pcap", "is not a pcap or pcapng file"),
        ("cut.pcap", "cut"),
        ("corrupt.pcap", "corrupt"),
        ("link.pcap", "link type"),
        ("missing.pcap", "No such file"),
    ],
)
def test_captures(bad: Path, name: str, says: str) -> None:
    done = call(module("afterfact_agent", "read", bad / name))
    one_line(done, 1, name)
    assert says.lower() in done.stderr.lower()
    assert done.stdout.startswith("start_time,")


def test_what_came_before_the_damage_is_delivered(case: Case, bad: Path) -> None:
    join = case.server.enrol("damaged")
    done = deliver(join, bad / "spool", bad / "cut.pcap")
    one_line(done, 1, "cut.pcap")
    read = call(module("afterfact_agent", "read", bad / "cut.pcap"))
    stored = ask(case.console, "sensor = 'damaged'", "--format", "csv")
    assert len(stored.stdout.splitlines()) == len(read.stdout.splitlines()) > 50


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--bpf", "port port"), "cannot make a filter of 'port port'"),
        (("--idle", "tcp=never"), "never"),
        (("--idle", "carrier=5"), "carrier"),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], says: str) -> None:
    done = call(module("afterfact_agent", "read", CAPTURES["border"], *arguments))
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1].lower()
    assert "Traceback" not in done.stderr


def test_a_stdout_of_the_agent_that_cannot_be_written() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            module("afterfact_agent", "read", CAPTURES["border"]), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "afterfact-agent: stdout: cannot write: No space left on device\n")


def test_join_files_of_a_sensor(case: Case, tmp_path: Path) -> None:
    def run(join: Path) -> subprocess.CompletedProcess[str]:
        return deliver(join, tmp_path / "spool", CAPTURES["border"])

    one_line(run(tmp_path / "none.toml"), 2, "none.toml", "cannot read the join file")
    one_line(run(case.console), 2, "made for a console")
    (tmp_path / "text.toml").write_text("hello")
    one_line(run(tmp_path / "text.toml"), 2, "text.toml", "not a join file")
    (tmp_path / "star.toml").write_text(case.server.enrol("starred").read_text().replace("127.0.0.1", "*"))
    one_line(run(tmp_path / "star.toml"), 2, "star.toml", "address: '*' is no host name")


def test_a_spool_that_cannot_be(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    join = case.server.enrol("spooler")
    one_line(deliver(join, tmp_path / "file", CAPTURES["border"]), 1, "cannot use the spool")


def test_a_missing_file_ends_the_run_at_once(case: Case, tmp_path: Path) -> None:
    command = agent(
        case.server.enrol("early"), tmp_path / "spool", "--read", CAPTURES["border"], tmp_path / "none.pcap"
    )
    one_line(call(command, timeout=30), 1, "none.pcap: cannot read: No such file")


def test_a_name_that_is_no_utf8(case: Case, tmp_path: Path) -> None:
    capture = tmp_path / os.fsdecode(b"caf\xe9.pcap")
    capture.write_bytes(CAPTURES["border"].read_bytes())
    done = deliver(case.server.enrol("latin"), tmp_path / "spool", capture)
    assert done.returncode == 0, done.stderr


def test_a_refusal_of_long_ago_is_told_and_fails_no_later_run(case: Case, tmp_path: Path) -> None:
    join, spool = case.server.enrol("later"), tmp_path / "spool"
    folder = spool / "streams" / ("ab" * 16)
    folder.mkdir(parents=True)
    (folder / "stream.json").write_text(
        json.dumps({"stream": "ab" * 16, "content": "", "kind": "files", "meter": "m", "replace": False, "batches": 1})
    )
    (folder / "000000000000.refused").write_bytes(b"")
    done = deliver(join, spool, CAPTURES["border"])
    one_line(done, 0, "1 batches", "were refused by the server before")


def test_a_damaged_batch_of_the_spool_is_metered_again(case: Case, tmp_path: Path) -> None:
    join, spool = case.server.enrol("damage"), tmp_path / "spool"
    offline = tmp_path / "offline.toml"
    offline.write_text(join.read_text().replace(f":{case.server.sensors_port}", f":{free_ports(1)[0]}"))
    waiting = Process(agent(offline, spool, "--read", CAPTURES["border"], "--until-delivered"))
    waiting.wait_for("no server answers")
    # Batches lie there before the meter is through; only then does a later run not read the files of its own accord.
    while not any(json.loads(stream.read_text())["batches"] for stream in spool.rglob("stream.json")):
        time.sleep(0.05)
    waiting.end()
    kept = sorted(spool.rglob("*.batch"))
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    done = deliver(join, spool, CAPTURES["border"])
    assert done.returncode == 0, done.stderr
    assert "is damaged" in done.stderr and "reading the files again" in done.stderr
    stored = ask(case.console, "sensor = 'damage'", "--format", "csv")
    read = call(module("afterfact_agent", "read", CAPTURES["border"]))
    assert len(stored.stdout.splitlines()) == len(read.stdout.splitlines()) > 100


def test_a_server_with_another_key(case: Case, tmp_path: Path) -> None:
    """The agent goes on trying and says why; nothing of its spool is lost."""
    from afterfact_protocol.transport import KeyPair

    join = case.server.enrol("stranger")
    line = next(line for line in join.read_text().splitlines() if line.startswith("server_key"))
    join.write_text(join.read_text().replace(line, f'server_key = "{KeyPair.generate().public}"'))
    running = Process(agent(join, tmp_path / "spool", "--read", CAPTURES["border"], "--until-delivered"))
    running.wait_for("not the server that this join file knows")
    assert running.end() == 0
    assert list((tmp_path / "spool" / "streams").glob("*/*.batch"))


# --- the command line client ------------------------------------------------------------------------------------------


def test_unreachable_server(case: Case, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    join = tmp_path / "CONSOLE.toml"
    join.write_text(case.console.read_text().replace(f":{case.server.consoles_port}", f":{port}"))
    one_line(ask(join, INBOUND), 1, f"no server answers at tcp://127.0.0.1:{port}")


def test_join_files_of_a_console(case: Case, tmp_path: Path) -> None:
    one_line(ask(tmp_path / "none.toml", INBOUND), 2, "none.toml", "cannot read the join file")
    one_line(ask(case.server.enrol("no-console"), INBOUND), 2, "made for a sensor, and a console's is needed")
    (tmp_path / "star.toml").write_text(case.console.read_text().replace("127.0.0.1", "*"))
    one_line(ask(tmp_path / "star.toml", INBOUND), 2, "star.toml", "address: '*' is no host name")
    (tmp_path / "far.toml").write_text(case.console.read_text().replace("127.0.0.1", "nowhere.invalid"))
    one_line(ask(tmp_path / "far.toml", INBOUND), 1, "cannot resolve the server's name nowhere.invalid")


def test_no_password(case: Case) -> None:
    command = module("afterfact_client", "query", "--join", case.console, "--user", "ana", "")
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    one_line(done, 2, "set AFTERFACT_PASSWORD")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("WHERE src_prot = 80", "no field `src_prot`"),
        ("WHERE src_port = 80; DROP TABLE sessions", "`;`"),
        ("WHERE sleep(5) = 0", "sleep"),
        ("WHERE src_ip IN (SELECT src_ip FROM sessions)", "SELECT"),
        ("WHERE src_port = 70000", "70000"),
        ("WHERE start_time > '2004-13-45'", "2004-13-45"),
        ("WHERE (src_port = 80", ")"),
        ("WHERE " + "(" * 200 + "src_port = 80" + ")" * 200, "50"),
        ("LIMIT 0", "LIMIT"),
        ("WHERE src_bytes > 5 OR 1 = 1", "a field's name"),
        ("WHERE src_bytes * dst_bytes * src_ip_bytes * dst_ip_bytes > 1", "255 bits"),
        ("WHERE sensor = 'nowhere'", "nowhere"),
    ],
)
def test_queries(case: Case, text: str, says: str) -> None:
    done = ask(case.console, text)
    one_line(done, 2, "query, column", says)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("history REGEXP '(a+)+$'", "repeat"),
        ("history REGEXP '(a|a)*(a|a)*$'", "repeat"),
        ("src_p\u043ert = 80", "not part of the query language"),
        ("src_port \uff1d 80", "only looks like"),
        ("history = 'S' OR '\u202e' = ''", "a field"),
        ("NOT " * 16_000 + "open", "at most 16,384 bytes"),
        ("x" * 1_000_000, "at most 16,384 bytes"),
        ("!" * 16_000 + "open", "50 deep"),
        ("port IN (" + "1," * 8_000 + "1)", "2,000 values"),
        (" AND ".join(["first_seen(ip) > now"] * 100), "at most 4 first_seen"),
    ],
    ids=range(10),
)
def test_queries_that_mean_harm(case: Case, text: str, says: str) -> None:
    """Refused by the server itself, whatever asks, with a line that the log has too; the next is answered."""
    with connect(case.console, "ana", PASSWORD) as client:
        with pytest.raises(RequestFailed, match=says) as caught:
            client.query(text)
        assert caught.value.code == "query" and len(str(caught.value).splitlines()) == 1
        assert client.query("port = 1034").answer.total > 0
    if len(text.encode()) <= MAX_QUERY_BYTES:
        assert case.server.process is not None
        case.server.process.wait_for("refused a query of ana: ")


def test_an_output_that_cannot_be_written(case: Case) -> None:
    one_line(ask(case.console, INBOUND, "-o", "/nonexistent/rows.csv"), 1, "/nonexistent/rows.csv", "cannot write")


@pytest.mark.parametrize("words", [("query", "", "--format", "csv"), ("query", "", "--explain"), ("status",)])
def test_a_stdout_that_cannot_be_written(case: Case, words: tuple[str, ...]) -> None:
    command = module("afterfact_client", *words, "--join", case.console, "--user", "ana")
    env = {**os.environ, "AFTERFACT_PASSWORD": PASSWORD}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (1, "afterfact: stdout: cannot write: No space left on device\n")


def test_a_file_on_a_full_disk(case: Case) -> None:
    for arguments in (("--format", "csv", "-o", "/dev/full"), ("--meta", "/dev/full")):
        one_line(ask(case.console, INBOUND, *arguments), 1, "/dev/full: cannot write: No space left on device")


def test_a_reader_that_leaves(case: Case) -> None:
    command = module("afterfact_client", "query", "--join", case.console, "--user", "ana", "", "--format", "csv")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as left:
        env = {**os.environ, "AFTERFACT_PASSWORD": PASSWORD}
        done = subprocess.run(command, stdout=left, stderr=subprocess.PIPE, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")


# --- the server -------------------------------------------------------------------------------------------------------


def server_call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return call(module("afterfact_server", *arguments))


def test_a_port_already_taken(tmp_path: Path) -> None:
    made = Server(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = server_call("run", made.dir, "--sensors", f"tcp://127.0.0.1:{port}")
    one_line(done, 1, f"cannot listen at tcp://127.0.0.1:{port}", "--sensors")


def test_directories(case: Case, tmp_path: Path) -> None:
    one_line(server_call("run", tmp_path), 1, "is no server's directory", "afterfact-server init")
    one_line(server_call("init", case.server.dir), 1, "is a server's directory already")
    one_line(call(case.server.run_command), 1, "a server runs there already")
    one_line(server_call("status", tmp_path), 1, "is no server's directory")


def test_stopped_server_says_so(tmp_path: Path) -> None:
    made = Server(tmp_path)
    one_line(server_call("status", made.dir), 1, "the server does not run")
    assert "admin" in made.do("user", "list", made.dir), "accounts can be looked after without it"


def test_names_and_passwords(case: Case, tmp_path: Path) -> None:
    directory, password = case.server.dir, case.server.password_file
    one_line(server_call("sensor", "enrol", directory, "border"), 1, "enrolled already")
    one_line(server_call("sensor", "enrol", directory, "a b"), 1, "cannot name a sensor")
    one_line(server_call("sensor", "revoke", directory, "nobody"), 1, "no sensor 'nobody'")
    one_line(server_call("user", "disable", directory, "admin"), 1, "last enabled administrator")
    add = ("user", "add", directory, "ana", "--role", "analyst", "--password-file")
    one_line(server_call(*add, password), 1, "exists already")
    (tmp_path / "short").write_text("short\n")
    one_line(server_call("user", "passwd", directory, "ana", "--password-file", tmp_path / "short"), 1, "12 to 1024")
    one_line(server_call(*add, tmp_path / "none"), 1, "cannot read the password")


def test_broken_configuration(tmp_path: Path) -> None:
    made = Server(tmp_path)
    config = made.dir / "server.toml"
    config.write_text(config.read_text().replace("\n[limits]\n", "\n[limits]\nquery_secnds = 5\n"))
    one_line(call(made.run_command), 1, "server.toml", "query_secnds")


def test_what_init_is_asked_for(tmp_path: Path) -> None:
    """What cannot be is refused before anything is made."""
    one_line(server_call("init", tmp_path / "s", "--address", 'a"b'), 1, "--address: 'a\"b' is no host name")
    assert not (tmp_path / "s").exists()
    assert server_call("init", tmp_path / "s", "--store", 'https://u:"\\p@h/d').returncode == 0
    assert "admin" in server_call("user", "list", tmp_path / "s").stdout


def test_a_servers_files_are_its_own_in_an_open_directory(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server").chmod(0o755)
    made = Server(tmp_path, init=True).start()
    made.stop()
    files = [path for path in made.dir.rglob("*") if not path.is_symlink()]
    assert made.dir / "registry.sqlite" in files
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_damaged_keys(tmp_path: Path) -> None:
    made = Server(tmp_path)
    (made.dir / "server.keys").write_text("garbage two")
    for command in (("console-file", made.dir), ("sensor", "enrol", made.dir, "border")):
        one_line(server_call(*command), 1, "server.keys: damaged")
    one_line(call(made.run_command), 1, "server.keys: damaged")


def test_a_fault_in_a_thread_ends_the_server_loudly(tmp_path: Path) -> None:
    """A server with its ingest gone would look well and take nothing in."""
    made = Server(tmp_path)
    broken = """
import sys
from afterfact_server import __main__, ingest
def fail(*_):
    raise KeyError("broken on purpose")
ingest.Ingest._prepare = fail
sys.exit(__main__.main())
"""
    server = Process([sys.executable, "-c", broken, *made.run_command[3:]])
    server.wait_ready()
    join = made.enrol("border")
    sending = Process(agent(join, tmp_path / "spool", "--read", CAPTURES["border"], "--until-delivered"))
    line = server.wait_for("afterfact-server: a fault of the server in its thread ingest")
    assert "broken on purpose" in line and "Traceback" not in "".join(server.lines)
    assert server.wait() == 1
    sending.wait_for("in the spool")
    assert sending.end() == 0
    assert list((tmp_path / "spool" / "streams").glob("*/*.batch")), "the agent keeps what was not acknowledged"


def break_registry(server: Server) -> None:
    """The accounts' database fails at whatever concerns sensors."""
    database = sqlite3.connect(server.dir / "registry.sqlite")
    database.execute("ALTER TABLE sensors RENAME TO gone")
    database.commit()
    database.close()


def test_a_failing_registry(server: Server) -> None:
    """With the server running and without: one line, at once."""
    break_registry(server)
    at = time.monotonic()
    one_line(server_call("sensor", "enrol", server.dir, "border"), 1, "the accounts' database", "no such table")
    assert time.monotonic() - at < 10
    assert server.process is not None and "Traceback" not in "".join(server.process.lines)
    server.stop()
    one_line(server_call("sensor", "enrol", server.dir, "border"), 1, "the accounts' database", "no such table")
    one_line(call(server.run_command), 1, "the accounts' database", "no such table")


def test_an_output_of_the_server_that_cannot_be_written(case: Case) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            module("afterfact_server", "user", "list", case.server.dir), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "afterfact-server: stdout: cannot write: No space left on device\n")


def test_a_directory_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100)
    folder.mkdir()
    made = Server(folder).start()
    assert "ana" in made.do("user", "list", made.dir)
    made.stop()


def test_run_waits_for_a_command_that_works_on_the_directory(tmp_path: Path) -> None:
    made = Server(tmp_path)
    with open(made.dir / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.process = Process(made.run_command)
        time.sleep(2)
        assert made.process.popen.poll() is None, made.process.lines
    made.process.wait_ready()
    made.stop()


def test_keys_are_written_to_new_private_files(tmp_path: Path) -> None:
    site, join = Server(tmp_path).dir, tmp_path / "border.toml"
    assert server_call("sensor", "enrol", site, "one", "-o", join).returncode == 0
    assert join.stat().st_mode & 0o777 == 0o600 and "secret_key" in join.read_text()
    before = join.read_text()
    one_line(server_call("sensor", "enrol", site, "two", "-o", join), 1, "cannot make it: File exists", "a key")
    assert join.read_text() == before
    one_line(server_call("sensor", "enrol", site, "one", "-o", tmp_path / "other.toml"), 1, "enrolled already")
    assert not (tmp_path / "other.toml").exists()
    assert "two" not in server_call("sensor", "list", site).stdout
    console = tmp_path / "CONSOLE.toml"
    assert server_call("console-file", site, "-o", console).returncode == 0
    assert console.stat().st_mode & 0o777 == 0o600 and 'kind = "console"' in console.read_text()


def test_admin_can_ask(case: Case) -> None:
    assert ask(case.console, INBOUND, user="admin").returncode == 0
    assert PASSWORD not in (case.server.dir / "server.toml").read_text()
