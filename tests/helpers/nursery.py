"""Starts our programs by forking a process that has imported them: their code, their own process, a hundredth of the
time. A suite starts them a thousand times, and importing is most of what that takes.

Run as a script it is that process: `nursery.py SOCKET MODULE...`. What is forked unwinds to the end of the script and
runs the program there as `python -m` would, so that it ends as any other program ends.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any

PRELOADED = {
    "afterfact_agent": ("afterfact_agent.read", "afterfact_agent.run", "afterfact_agent.convert"),
    "afterfact_client": ("afterfact_client", "afterfact_client.cli.audit", "afterfact_client.cli.events",
                         "afterfact_client.cli.exclusion", "afterfact_client.cli.query", "afterfact_client.cli.queue",
                         "afterfact_client.cli.sets", "afterfact_client.cli.status", "afterfact_client.cli.watch"),
    "afterfact_server": ("afterfact_server.alone", "afterfact_server.app", "afterfact_server.initialise",
                         "afterfact_server.backup"),
}  # fmt: skip
"""What each imports. Nothing that starts threads: the store's engine does, and each program imports that itself."""
MAX_REQUEST = 1 << 20
_NUMBER = struct.Struct("=i")


class Child:
    """What is used of subprocess.Popen, of a program that a nursery forked. Its output is read by whoever made it."""

    def __init__(self, command: list[str], env: Mapping[str, str], stdin: str | None = None) -> None:
        self.args = command
        self.returncode: int | None = None
        ours, theirs = [], []
        for _ in range(2):
            reading, writing = os.pipe()
            ours.append(reading)
            theirs.append(writing)
        given = os.memfd_create("stdin")
        os.write(given, (stdin or "").encode())
        os.lseek(given, 0, os.SEEK_SET)
        try:
            self._connection = _nursery(command[2]).connect()
            request = {"name": command[2], "words": command[3:], "env": dict(env), "folder": os.getcwd()}
            socket.send_fds(self._connection, [json.dumps(request).encode()], [given, *theirs])
            self.pid = _said(self._connection)
        finally:
            for each in (given, *theirs):
                os.close(each)
        self.stdout: IO[str] | None = open(ours[0], encoding="utf-8")  # noqa: SIM115 - closed by whoever reads it
        self.stderr: IO[str] | None = open(ours[1], encoding="utf-8")  # noqa: SIM115

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._ended()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """All that it prints, once it has ended; killed and subprocess.TimeoutExpired if that takes too long."""
        said = ["", ""]

        def read(at: int, stream: IO[str]) -> None:
            said[at] = stream.read()

        assert self.stdout is not None and self.stderr is not None
        readers = [threading.Thread(target=read, args=pair) for pair in enumerate((self.stdout, self.stderr))]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
            raise
        finally:
            for reader in readers:
                reader.join()
            self.stdout.close()
            self.stderr.close()
        return said[0], said[1]

    def _ended(self) -> None:
        self.returncode = os.waitstatus_to_exitcode(_said(self._connection))
        self._connection.close()


def can_start(command: list[str], env: Mapping[str, str]) -> bool:
    """Whether it is one of our programs as `python -m` starts it, in this process's environment or one that only adds
    settings of ours."""
    own = command[:2] == [sys.executable, "-m"] and len(command) > 2 and command[2] in PRELOADED
    return own and "console" not in command[3:4] and all(name.startswith("AFTERFACT_") for name in env)


class _Nursery:
    def __init__(self, name: str) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, __file__, str(theirs.fileno()), *PRELOADED[name]]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def connect(self) -> socket.socket:
        """A connection for one child."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket.send_fds(self._ours, [b"c"], [theirs.fileno()])
        theirs.close()
        return ours


_nurseries: dict[str, _Nursery] = {}
_making = threading.Lock()


def _nursery(name: str) -> _Nursery:
    with _making:
        if name not in _nurseries:
            _nurseries[name] = _Nursery(name)
        return _nurseries[name]


def _said(connection: socket.socket) -> int:
    found = connection.recv(_NUMBER.size)
    if not found:
        raise RuntimeError("a nursery ended: what it said stands in the test's output")
    return int(_NUMBER.unpack(found)[0])


# --- the process that forks -------------------------------------------------------------------------------------------


def _serve(parent: socket.socket) -> dict[str, Any] | None:
    """What to be, in a child; None in the nursery itself once whoever started it is gone."""
    waking, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the children's affair
    children: dict[int, socket.socket] = {}
    while True:
        ready = select.select([parent, waking], [], [])[0]
        if waking in ready:
            os.read(waking, 4096)
        _tell_of_the_dead(children)
        if parent not in ready:
            continue
        told, fds, _, _ = socket.recv_fds(parent, 1, 1)
        if not told:
            return None
        connection = socket.socket(fileno=fds[0])
        said, streams, _, _ = socket.recv_fds(connection, MAX_REQUEST, 3)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for each in (parent, connection, *children.values()):
                each.close()
            os.close(waking)
            os.close(wake)
            for place, fd in enumerate(streams):
                os.dup2(fd, place)
                os.close(fd)
            return dict(json.loads(said))
        for fd in streams:
            os.close(fd)
        children[pid] = connection
        connection.sendall(_NUMBER.pack(pid))


def _tell_of_the_dead(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as connection, contextlib.suppress(OSError):  # nobody asks
            connection.sendall(_NUMBER.pack(status))


def _main() -> None:
    parent = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        import_module(name)
    gc.collect()
    gc.freeze()  # what is there already is not looked through again in each child, which would copy it
    request = _serve(parent)
    if request is None:
        return
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    # As with -m: the folder first, not this script's.
    sys.path[0] = request["folder"]
    sys.argv = [request["name"], *request["words"]]
    runpy.run_module(request["name"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
