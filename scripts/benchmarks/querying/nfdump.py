"""nfdump as a peer: the month's sessions sent as NetFlow version 9 to nfcapd on the loopback, a file a day, one flow
with counters both ways a session; then asked of the files."""

import contextlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from made import month
from querying.questions import WEEK, Question

from afterfact_protocol.records import Records
from afterfact_protocol.session import IPV4_PREFIX

_BY_FAMILY = {4: 260, 6: 261}
# NetFlow's numbers of the fields: in bytes and packets, protocol, flags, ports, out bytes and packets, milliseconds of
# the first and the last packet.
_REST = [(4, ">u1", "proto"), (6, ">u1", "src_flags"), (7, ">u2", "src_port"), (11, ">u2", "dst_port"),
         (2, ">u8", "src_pkts"), (1, ">u8", "src_bytes"), (24, ">u8", "dst_pkts"), (23, ">u8", "dst_bytes"),
         (152, ">u8", "start_time"), (153, ">u8", "end_time")]  # fmt: skip
_ADDRESSES = {4: [(8, "V4", "src_ip"), (12, "V4", "dst_ip")], 6: [(27, "V16", "src_ip"), (28, "V16", "dst_ip")]}
MOST_BYTES = 32_000
"""Of flows a packet: the loopback takes it whole."""
MOST_QUEUED = 60_000
"""Bytes that nfcapd may have unread when more is sent: none are dropped."""
START_SECONDS = 10
END_SECONDS = 60


class NfdumpError(RuntimeError):
    """nfcapd or nfdump did not do what it should; one line."""


def _octets(addresses: Records) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(addresses).view(np.uint8).reshape(len(addresses), 16)


def _packet(family: int, rows: Records, sequence: int) -> bytes:
    fields = [*_ADDRESSES[family], *_REST]
    flows = np.empty(len(rows), [(name, kind) for _, kind, name in fields])
    size = 4 if family == 4 else 16
    for name in ("src_ip", "dst_ip"):
        flows[name] = np.ascontiguousarray(_octets(rows[name])[:, 16 - size :]).view(f"V{size}")[:, 0]
    for _, _, name in _REST:
        flows[name] = rows[name] // 1000 if name.endswith("_time") else rows[name]
    template = struct.pack(">HH", _BY_FAMILY[family], len(fields))
    template += b"".join(struct.pack(">HH", number, np.dtype(kind).itemsize) for number, kind, _ in fields)
    data = flows.tobytes()
    data += bytes(-len(data) % 4)
    body = struct.pack(">HH", 0, 4 + len(template)) + template
    body += struct.pack(">HH", _BY_FAMILY[family], 4 + len(data)) + data
    when = int(rows["end_time"].max()) // 1_000_000
    return struct.pack(">HHIIII", 9, 1 + len(rows), 1000, when, sequence, 1) + body


def _packets(rows: Records) -> Iterator[bytes]:
    prefix = np.frombuffer(IPV4_PREFIX, np.uint8)
    four = (_octets(rows["src_ip"])[:, :12] == prefix).all(axis=1)
    sequence = 0
    for family, own in ((4, rows[four]), (6, rows[~four])):
        most = MOST_BYTES // 86
        for first in range(0, len(own), most):
            yield _packet(family, own[first : first + most], sequence)
            sequence += 1


def _queued(port: int) -> int:
    """Bytes unread at a UDP port of ours."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        parts = line.split()
        if int(parts[1].rpartition(":")[2], 16) == port:
            return int(parts[4].partition(":")[2], 16)
    raise NfdumpError("nfcapd does not listen")


@contextlib.contextmanager
def _collecting(folder: Path) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # A rotation meanwhile would only make two files of a day.
    command = ["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", str(folder), "-t", "3600", "-y"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                _queued(port)
                break
            except NfdumpError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield port
        while _queued(port):
            time.sleep(0.01)
        time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(END_SECONDS)


class Nfdump:
    """The files, in a folder; remove them with `close`."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        folder.mkdir()
        told = subprocess.run(["nfdump", "-V"], capture_output=True, text=True).stdout
        self.version = told.split("Version:")[-1].split()[0]
        began = time.monotonic()
        for day in month.days(count):
            with tempfile.TemporaryDirectory(dir=folder.parent) as own:
                with _collecting(Path(own)) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                    for packet in _packets(day.rows):
                        while _queued(port) > MOST_QUEUED:
                            time.sleep(0.0005)
                        out.sendto(packet, ("127.0.0.1", port))
                for number, file in enumerate(sorted(Path(own).glob("nfcapd.2*"))):
                    shutil.move(file, folder / f"nfcapd.{day.number:02}.{number}")
        self.seconds = time.monotonic() - began
        """Sessions' making included: a day is made, then sent."""
        self.bytes = sum(file.stat().st_size for file in folder.iterdir())
        stored = sum(self._flows(file) for file in folder.iterdir())
        if stored != count:
            raise NfdumpError(f"nfcapd has {stored:,} of {count:,} flows")

    def _flows(self, file: Path) -> int:
        done = subprocess.run(["nfdump", "-r", file, "-I"], capture_output=True, text=True)
        return next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("Flows:"))

    def ask(self, question: Question) -> int:
        """Ask; rows of the answer."""
        first = (WEEK[0] - month.FIRST_US) // 86_400_000_000
        files = [self._folder / f"nfcapd.{first:02}.0", self._folder / f"nfcapd.{first + 6:02}.0"]
        where = f"{files[0]}:{files[1].name}" if question.week else str(self._folder)
        form = [] if "-s" in question.nfdump else ["-q", "-o", "fmt:%ts %te %pr %sap %dap %ipkt %ibyt %opkt %obyt"]
        done = subprocess.run(["nfdump", "-R", where, *form, *question.nfdump], capture_output=True, text=True)
        if done.returncode:
            raise NfdumpError(f"nfdump refuses {question.name}: {(done.stdout + done.stderr)[-200:]}")
        lines = [line for line in done.stdout.splitlines() if line[:2] == "20"]
        return len(lines)

    def close(self) -> None:
        shutil.rmtree(self._folder)
