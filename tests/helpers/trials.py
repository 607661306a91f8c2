"""Faults, as trials: each breaks something while sensors deliver, mends it, and compares (faults.py).

Each is a function of a running server and a folder, and returns how many sessions it was about. The suite runs short
ones, scripts/benchmarks/faults.py long ones.
"""

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import zmq
from helpers.faults import compare, emitter, stored
from helpers.network import HERE, Cable
from helpers.processes import Process, Server
from helpers.talk import HELLO, Talk

from afterfact_agent.delivery.spool import Spool
from afterfact_protocol.codec import decode
from afterfact_protocol.joinfile import Join, read_join
from afterfact_protocol.messages import Ack, Batch, Open, Opened
from afterfact_protocol.transport import Up
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Enrolment


def ended(running: Process, timeout: float = 120) -> None:
    """It has delivered all."""
    assert running.end(timeout=timeout) == 0, "\n".join(running.lines[-20:])


def kills(server: Server, folder: Path, count: int, rate: float = 4000, sensors: int = 2, seed: int = 1) -> int:
    """`kill -9` of agents and server at random moments, each started again at once."""
    chance = random.Random(seed)
    spools = {f"killed{n}": folder / f"spool{n}" for n in range(sensors)}
    joins = [(server.enrol(name), spool) for name, spool in spools.items()]
    running = [emitter(join, spool, rate) for join, spool in joins]
    for each in running:  # on a busy machine the first kill would come before anything is there to lose
        each.wait_for("emitting")
    for _ in range(count):
        time.sleep(chance.uniform(0.1, 1.5))
        victim = chance.randrange(sensors + 1)
        if victim == sensors:
            server.kill()
            server.start()
        else:
            running[victim].end(signal.SIGKILL)
            running[victim] = emitter(*joins[victim], rate)
    for each in running:
        each.wait_for("connected")
        each.wait_for("emitting")
        ended(each)
    return compare(server, spools)


def cut_link(server: Server, folder: Path, cable: Cable, seconds: list[float], rate: float = 2000) -> int:
    """The cable between sensor and server is cut, for less and for more than it takes to notice.

    The server must listen at HERE, too; the sensor lives at the other end.
    """
    join, spool = server.enrol("far"), folder / "spool"
    join.write_text(join.read_text().replace("127.0.0.1", HERE))
    command = ["ip", "netns", "exec", cable.namespace]
    running = emitter(join, spool, rate, within=command)
    running.wait_for("connected")
    for time_cut in seconds:
        time.sleep(2)
        cable.there("ip", "link", "set", cable.far, "down")
        time.sleep(time_cut)
        cable.there("ip", "link", "set", cable.far, "up")
    ended(running)
    return compare(server, {"far": spool})


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of so many megabytes. Needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk_at_the_agent(server: Server, folder: Path, rate: float = 6000) -> int:
    """The spool's disk fills while the server is away. What it no longer takes waits in the agent."""
    join = server.enrol("tight")
    with small_disk(folder / "disk", 8) as disk:
        server.stop()
        running = emitter(join, disk / "spool", rate)
        running.wait_for("sessions are kept in memory until it takes more", timeout=60)
        time.sleep(1)
        server.start()
        running.wait_for("the spool takes batches again", timeout=60)
        time.sleep(1)
        ended(running)
        said = running.wait_for("emitted")
    # A full disk costs acknowledged batches first, so what was emitted cannot be read from this spool.
    rows = stored(server, ["tight"])
    assert said == f"emitted {len(rows)} sessions" and len(set(rows["session_id"].tolist())) == len(rows)
    return len(rows)


def full_disk_at_the_server(server: Server, folder: Path, disk: Path, rate: float = 2000) -> int:
    """The store's disk fills; sensors wait until there is room. `disk`: of the server's own directory."""
    join, spool = server.enrol("waiting"), folder / "spool"
    running = emitter(join, spool, rate)
    running.wait_for("connected")
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while free > 0:
            file.write(bytes(1 << 20))
    assert server.process is not None
    server.process.wait_for("the store does not take sessions in", timeout=60)
    time.sleep(3)
    ballast.unlink()
    ended(running)
    return compare(server, {"waiting": spool})


def shuffled(server: Server, folder: Path, rate: float = 8000, seed: int = 1) -> int:
    """A peer that sends every batch three times and in any order."""
    join, spool = server.enrol("shuffled"), folder / "spool"
    server.stop()
    running = emitter(join, spool, rate)
    running.wait_ready()
    time.sleep(3)
    running.end(signal.SIGKILL)
    server.start()
    held = Spool(spool)
    frames = [
        (info.stream, held.read(info.stream, seq)) for info in held.streams() for seq in held.batches(info.stream)
    ] * 3
    kinds = {info.stream: info for info in held.streams()}
    held.close()
    random.Random(seed).shuffle(frames)
    with Talk(read_join(join, "sensor")) as peer:
        for stream, info in kinds.items():
            peer.send(Open(stream, info.kind, info.content, info.meter, False))
            peer.wait(Opened)
        sent = acknowledged = 0
        while acknowledged < len(frames):
            while sent < len(frames) and sent - acknowledged < 4:
                assert peer.connection.send_frame(frames[sent][1])
                sent += 1
            peer.wait(Ack)
            acknowledged += 1
    assert len(frames) > 9
    return compare(server, {"shuffled": spool})


def corrupt_spool(server: Server, folder: Path, rate: float = 8000, seed: int = 1) -> int:
    """Files of the spool are cut, overwritten, emptied: set aside, counted; the rest is delivered."""
    join, spool = server.enrol("damaged"), folder / "spool"
    server.stop()
    running = emitter(join, spool, rate)
    running.wait_ready()
    time.sleep(4)
    running.end(signal.SIGKILL)
    chance = random.Random(seed)
    batches = sorted(spool.glob("streams/*/*.batch"))
    broken = chance.sample(batches, len(batches) // 3)
    assert len(broken) > 2
    for number, path in enumerate(broken):
        content = path.read_bytes()
        at = chance.randrange(len(content) // 2)
        path.write_bytes((content[: at + 1], b"", content[:at] + chance.randbytes(99) + content[at + 99 :])[number % 3])
    server.start()
    running = emitter(join, spool, rate)
    running.wait_for("connected")
    ended(running)
    aside = sorted(spool.glob("streams/*/*.refused"))
    assert len(aside) == sum(not _still_a_batch(path) for path in broken)
    assert not any(path.exists() for path in broken)
    return compare(server, {"damaged": spool})


def _still_a_batch(path: Path) -> bool:
    """Random bytes in the middle of rows may make other rows, which is what nobody can tell."""
    return path.with_suffix(".acked").exists()


def many_sensors(server: Server, folder: Path, count: int) -> int:
    """So many sensors connect at once, each with a batch to deliver."""
    join, spool = server.enrol("template"), folder / "template"
    running = emitter(join, spool, 500)
    running.wait_for("connected")
    time.sleep(2.5)
    ended(running)
    held = Spool(spool)
    template = decode(held.read(held.streams()[0].stream, 0), (Batch,))
    held.close()
    assert isinstance(template, Batch)

    server.stop()
    pattern = read_join(join, "sensor")
    database = open_database(f"sqlite:///{server.dir / 'registry.sqlite'}")
    names = [f"many{number:03}" for number in range(count)]
    keys = [Enrolment(database).enrol_sensor(name, "default") for name in names]
    database.dispose()
    server.start()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    joins = [
        Join(kind="sensor", name=name, address=pattern.address, server_key=pattern.server_key, public_key=key.public,
             secret_key=key.secret)
        for name, key in zip(names, keys, strict=True)
    ]  # fmt: skip
    peers = [Talk(each, hello=False, context=context, wait=False) for each in joins]
    try:
        for peer in peers:
            peer.wait(Up, seconds=60)
            peer.send(HELLO)
        for number, peer in enumerate(peers):
            stream = (number + 1).to_bytes(16, "big")
            peer.send(Open(stream, "live", b"", "many", False))
            peer.wait(Opened, seconds=60)
            peer.send(replace(template, stream=stream, observed=()))
        stored_of = [peer.wait(Ack, seconds=60).stored for peer in peers]
    finally:
        for peer in peers:
            peer.connection.close()
        context.term()
    rows = stored(server, names)
    assert len(set(stored_of)) == 1 and stored_of[0] > 0
    each = len(set(stored(server, ["template"])["session_id"].tolist()))
    assert len(rows) == len(set(zip(rows["sensor"].tolist(), rows["session_id"].tolist(), strict=True)))
    assert len(rows) % count == 0 and 0 < len(rows) // count <= each
    return len(rows)


def without_admission(folder: Path) -> None:
    """The ZAP handler of a running server ends: from then on nobody is admitted; who was, goes on."""
    server = _ServerThatStopsAdmitting(folder)
    server.start()
    try:
        assert server.process is not None
        running = emitter(server.enrol("inside"), folder / "spool", 500)
        running.wait_for("connected")
        (server.dir / "admit-nobody").touch()
        server.process.wait_for("nobody is asked any more", timeout=60)
        late = emitter(server.enrol("late"), folder / "late", 500)
        late.wait_ready()
        time.sleep(6)
        assert not any("connected" in line for line in late.lines)
        ended(running)
        late.end(signal.SIGKILL)
    finally:
        server.kill()


class _ServerThatStopsAdmitting(Server):
    @property
    def run_command(self) -> list[str]:
        return [sys.executable, "-c", _STOPS_ADMITTING, *super().run_command[3:]]


_STOPS_ADMITTING = """
import sys, threading, time
from pathlib import Path
from afterfact_server.admission import ZapHandler
mark = Path(sys.argv[2], "admit-nobody")
real = ZapHandler.start
def start(self):
    real(self)
    def end():
        while not mark.exists():
            time.sleep(0.05)
        self.stop()
        self.stop = lambda: None
        print("nobody is asked any more", file=sys.stderr, flush=True)
    threading.Thread(target=end, daemon=True).start()
ZapHandler.start = start
from afterfact_server.__main__ import main
sys.exit(main())
"""
