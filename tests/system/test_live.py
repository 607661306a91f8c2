"""Live capture: real packets of this machine's own TCP stack on a veth pair in a network namespace."""

import csv
import io
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.network import HERE, THERE, Cable, cable, reason_not_to
from helpers.packets import Frame, Talk, pcap_bytes, udp
from helpers.processes import Process, Server, agent, ask, call, module

REASON = reason_not_to()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

ECHO = """
import socket, threading
listening = socket.create_server(("0.0.0.0", 7777))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", 7777))
def answer():
    while True:
        data, peer = datagrams.recvfrom(9000)
        datagrams.sendto(data, peer)
threading.Thread(target=answer, daemon=True).start()
print("listening", flush=True)
while True:
    peer, _ = listening.accept()
    with peer:
        while data := peer.recv(65536):
            peer.sendall(data)
"""
SAME = ("proto", "src_ip", "src_port", "dst_ip", "dst_port", "src_pkts", "dst_pkts", "src_bytes", "dst_bytes",
        "src_ip_bytes", "dst_ip_bytes", "src_flags", "dst_flags", "state", "outcome", "history", "syn_retries",
        "direction_by", "src_retrans_bytes", "dst_retrans_bytes")  # fmt: skip


@pytest.fixture
def wire() -> Iterator[Cable]:
    with cable(str(os.getpid())) as made:
        yield made


def capture(join: Path, spool: Path, *arguments: object) -> Process:
    running = Process(agent(join, spool, "--user", "root", *arguments))
    running.wait_ready()
    running.wait_for("connected")
    return running


def rows(console: Path, where: str) -> list[dict[str, str]]:
    done = ask(console, where, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def wait_for_rows(console: Path, where: str, count: int, seconds: float = 20) -> list[dict[str, str]]:
    deadline = time.monotonic() + seconds
    while len(found := rows(console, where)) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def talk_tcp(data: bytes = b"x" * 100_000) -> int:
    """Send it there and read it back; the local port."""
    with socket.create_connection((THERE, 7777), timeout=10) as peer:
        port = int(peer.getsockname()[1])
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        got = 0
        while part := peer.recv(65536):
            got += len(part)
        assert got == len(data)
    return port


@pytest.fixture
def echo(wire: Cable) -> Iterator[None]:
    """The far end sends back whatever comes to port 7777."""
    with wire.serving(ECHO):
        yield


def test_the_machines_own_traffic(server: Server, wire: Cable, echo: None, tmp_path: Path) -> None:
    """Whole sessions, right direction and bytes; a silent link ends what is idle; a stop delivers what is open."""
    console = server.console_file()
    running = capture(server.enrol("live"), tmp_path / "spool", "--interface", wire.near, "--idle", "udp=2s,linger=1s")
    port = talk_tcp()
    (session,) = wait_for_rows(console, f"src_port = {port} AND end_reason = 'closed'", 1)
    assert (session["src_ip"], session["dst_ip"], session["dst_port"]) == (HERE, THERE, "7777")
    assert (session["src_bytes"], session["dst_bytes"]) == ("100000", "100000"), (
        "by IP headers, not by what is captured"
    )
    assert (session["state"], session["outcome"], session["direction_by"]) == ("SF", "both_ways", "syn")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((THERE, 7778), timeout=5)
    assert [row["outcome"] for row in wait_for_rows(console, "dst_port = 7778", 1)] == ["refused"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(10)
        asking.sendto(b"hello", (THERE, 7777))
        asking.recv(100)
    (datagrams,) = wait_for_rows(console, "proto = udp AND port = 7777 AND end_reason = 'idle'", 1)
    assert (datagrams["src_pkts"], datagrams["dst_pkts"], datagrams["dst_bytes"]) == ("1", "1", "5")
    with socket.create_connection((THERE, 7777)) as still_open:
        still_open.sendall(b"hello")
        assert still_open.recv(100) == b"hello"
        time.sleep(0.5)
        assert running.end() == 0, "\n".join(running.lines)
        open_port = still_open.getsockname()[1]
    (last,) = rows(console, f"src_port = {open_port}")
    assert (last["end_reason"], last["src_bytes"], last["outcome"]) == ("forced", "5", "both_ways")
    assert not list((tmp_path / "spool").rglob("*.batch")), "all was acknowledged before the agent ended"


def test_live_gives_the_sessions_that_the_file_gives(server: Server, wire: Cable, tmp_path: Path) -> None:
    frames = [
        *Talk().whole(0),
        *Talk(sport=40001, dport=443).handshake(1),
        *[Talk(sport=40002).out(2 + n, "S", 7) for n in range(3)],
        *[udp(6 + n / 10, "10.0.0.1", 5000 + n, "10.0.0.2", 53, n) for n in range(50)],
        *[frame for n in range(200) for frame in Talk(sport=50000 + n, vlans=(7,)).whole(20 + n / 100)],
    ]
    (tmp_path / "frames.pcap").write_bytes(pcap_bytes(frames))
    console = server.console_file()
    # On the wire they follow one another at once, and a SYN that is sent again so soon is a tap's duplicate.
    arguments = ("--bpf", "net 10.0.0.0/24 or vlan", "--duplicates", "keep")
    running = capture(server.enrol("live"), tmp_path / "spool", "--interface", wire.near, *arguments)
    wire.send(frames)
    time.sleep(0.5)
    assert running.end() == 0, "\n".join(running.lines)
    read = call(module("afterfact_agent", "read", tmp_path / "frames.pcap", "--duplicates", "keep"))
    wanted = sorted(tuple(row[name] for name in SAME) for row in csv.DictReader(io.StringIO(read.stdout)))
    found = sorted(tuple(row[name] for name in SAME) for row in rows(console, ""))
    assert found == wanted and len(found) == 253


def test_an_interface_that_vanishes_and_returns(server: Server, wire: Cable, tmp_path: Path) -> None:
    """Said once, told as a gap, captured from again when it is back."""
    console, join = server.console_file(), server.enrol("live")
    running = capture(join, tmp_path / "spool", "--interface", wire.near, "--idle", "udp=1s")
    wire.send([udp(0, "10.0.0.1", 1111, "10.0.0.2", 53)])
    assert wait_for_rows(console, "src_port = 1111", 1)
    wire.unplug()
    running.wait_for("capturing has ended")
    time.sleep(3)
    wire.plug()
    running.wait_for(f"{wire.near}: capturing again")
    wire.send([udp(0, "10.0.0.1", 2222, "10.0.0.2", 53)])
    assert wait_for_rows(console, "src_port = 2222", 1)
    assert running.end() == 0
    assert len([line for line in running.lines if "no such interface" in line]) == 1
    told = ask(console, "start_time > now() - 10min")
    assert "live: first data " in told.stderr and "; blind " in told.stderr, told.stderr


def test_several_interfaces_are_one_sensor(server: Server, wire: Cable, tmp_path: Path) -> None:
    console, join = server.console_file(), server.enrol("live")
    ours = f"not port {server.sensors_port} and not port {server.consoles_port}"
    both = ("--interface", wire.near, "--interface", "lo", "--bpf", ours)
    running = capture(join, tmp_path / "spool", *both, "--idle", "udp=1s")
    wire.send([udp(0, "10.0.0.1", 1111, "10.0.0.2", 53)])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
        loopback.sendto(b"hello", ("127.0.0.1", 5353))
        port = loopback.getsockname()[1]
        assert wait_for_rows(console, "src_port = 1111", 1)
        assert [row["src_ip"] for row in wait_for_rows(console, f"src_port = {port}", 1)] == ["127.0.0.1"]
    assert running.end() == 0


def test_root_is_given_up(server: Server, wire: Cable, tmp_path: Path) -> None:
    spool = Path(tempfile.mkdtemp(prefix="afterfact-test-"))
    try:
        running = Process(agent(server.enrol("live"), spool, "--interface", wire.near, "--user", "nobody"))
        running.wait_for("connected")
        status = Path(f"/proc/{running.popen.pid}/status").read_text()
        told = dict(line.split(":\t", 1) for line in status.splitlines())
        assert told["Uid"].split() == ["65534"] * 4 and told["Groups"].strip() == ""
        assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == 1 << 13 and told["NoNewPrivs"] == "1"
        wire.unplug()
        running.wait_for("capturing has ended")
        wire.plug()
        running.wait_for("capturing again")
        assert running.end() == 0
        assert spool.stat().st_uid == 65534
    finally:
        shutil.rmtree(spool)


def test_killed_the_next_run_goes_on(server: Server, wire: Cable, tmp_path: Path) -> None:
    console, join, spool = server.console_file(), server.enrol("live"), tmp_path / "spool"
    running = capture(join, spool, "--interface", wire.near, "--idle", "udp=1s")
    wire.send([udp(0, "10.0.0.1", 1111, "10.0.0.2", 53)])
    assert wait_for_rows(console, "src_port = 1111", 1)
    running.end(signal.SIGKILL)
    running = capture(join, spool, "--interface", wire.near, "--idle", "udp=1s")
    wire.send([udp(0, "10.0.0.1", 2222, "10.0.0.2", 53)])
    assert len(wait_for_rows(console, "dst_port = 53", 2)) == 2
    assert running.end() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--interface", "nothing0"), 1, "nothing0: no such interface; there are "),
        (("--interface", "lo", "--bpf", "port port"), 1, "libpcap cannot make a filter of 'port port'"),
        (("--interface", "lo", "--snaplen", "5"), 2, "a snap length is between 64 and 262144 bytes, not 5"),
        (("--interface", "lo", "--user", "no-such-user"), 2, "there is no account no-such-user"),
        (("--interface", "lo", "--max-sessions", "1"), 2, "max_sessions must be between"),
    ],
)
def test_wrong_calls(site: Server, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    join = tmp_path / "SENSOR.toml"
    if not (site.folder / "wrong.toml").exists():
        site.enrol("wrong")
    shutil.copy(site.folder / "wrong.toml", join)
    done = call(agent(join, tmp_path / "spool", *arguments))
    assert done.returncode == code and says in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)")
def test_no_privilege(site: Server, tmp_path: Path) -> None:
    command = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    done = subprocess.run(
        [*command, *agent(site.enrol("weak"), tmp_path / "spool", "--interface", "lo", "--user", "root")],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 1 and "lo: cannot capture: no permission: run as root, or give" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def check(wire: Cable, frames: list[Frame], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = module("afterfact_agent", "check", "--interface", wire.near, "--seconds", 4, *arguments)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None:
        wire.send(frames)
        time.sleep(0.3)
    out, err = child.communicate()
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def test_check_tells_what_a_tap_delivers(wire: Cable) -> None:
    one_way = [Talk(sport=1000 + n).out(n, "PA", 5, 9, 100) for n in range(5)]
    both = [frame for n in range(5) for frame in Talk(sport=2000 + n, vlans=(7,)).whole(n)]
    done = check(
        wire, [frame for each in (*one_way, *both) for frame in (each, each)], "--bpf", "net 10.0.0.0/24 or vlan"
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told["losses"].startswith("none")
    assert told["duplicates"].split("(")[1].startswith(("5", "6")), "half of them, and what was sent again at once"
    assert told["directions"].startswith("one only of 5 of 10 answered TCP sessions (50%)")
    assert told["VLANs"].startswith("7 (")
    assert (told["tunnels"], told["lengths"], told["not metered"].split(";")[0]) == (
        "none",
        "154 bytes at most",
        "nothing",
    )
    assert told["checksums"].endswith(" verified, none wrong")


def test_check_of_a_silent_interface(wire: Cable) -> None:
    done = call(module("afterfact_agent", "check", "--interface", wire.near, "--seconds", 1, "--bpf", "port 1"))
    assert done.returncode == 1
    assert done.stdout == f"{wire.near}: no packet in 1 s; is the tap connected, and does the filter fit?\n"
    done = call(module("afterfact_agent", "check", "--interface", "nothing0"))
    assert done.returncode == 1 and "nothing0: no such interface" in done.stderr
