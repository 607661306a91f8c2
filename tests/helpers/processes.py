"""The real programs as child processes: a server in a directory of its own, agents, the command line client."""

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from helpers.nursery import Child, can_start

START_SECONDS = 90.0
"""A first start compiles the meter's kernels; on a busy machine that takes a while."""
PASSWORD = "correct horse battery"


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def module(name: str, *arguments: object) -> list[str]:
    """The command that runs one of our programs."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def call(
    command: list[str], timeout: float = 120, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end; never raises for an exit code."""
    if can_start(command, env or {}):
        child = Child(command, {**os.environ, **(env or {})}, stdin)
        said = child.communicate(timeout)
        return subprocess.CompletedProcess(command, child.wait(), *said)
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, input=stdin or "", env={**os.environ, **(env or {})}
    )


class Process:
    """A child whose output is read as it comes."""

    def __init__(self, command: list[str], env: Mapping[str, str] | None = None) -> None:
        whole = {**os.environ, **(env or {})}
        self.popen: subprocess.Popen[str] | Child
        if can_start(command, env or {}):
            self.popen = Child(command, whole)
        else:
            self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=whole)
        self.lines: list[str] = []
        """Of stdout and stderr, as they came."""
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.popen.stdout, self.popen.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: "object") -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_ready(self) -> None:
        """Until it says `ready`, and nothing but that, on a line."""
        self.wait_for("ready", whole=True)

    def wait_for(self, text: str, timeout: float = START_SECONDS, whole: bool = False) -> str:
        """The first line that holds `text`, or is it; fails when the process ends or time runs out before one comes."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.lines:
                    if text == line if whole else text in line:
                        return line
                ended = self.popen.poll() is not None and not any(reader.is_alive() for reader in self._readers)
                if ended or time.monotonic() > deadline:
                    said = "\n".join(self.lines)
                    raise AssertionError(f"{self.popen.args!r} did not say {text!r} but:\n{said}")
                self._changed.wait(0.2)

    def end(self, how: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Signal it and wait; its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> int:
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.popen.args!r} did not end:\n" + "\n".join(self.lines)) from None
        finally:  # a stream left open would fail another test, later
            for reader in self._readers:
                reader.join()
            for stream in (self.popen.stdout, self.popen.stderr):
                if stream is not None:
                    stream.close()
        return code


@functools.cache
def _made() -> Path:
    """The directory of a server with two accounts, made once a process: a thousand tests need not wait for each."""
    folder = Path(tempfile.mkdtemp(prefix="afterfact-made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    password = folder / "password"
    password.write_text(PASSWORD + "\n")
    for words in (
        ("init", folder / "server", "--admin-password-file", password),
        ("user", "add", folder / "server", "ana", "--role", "analyst", "--password-file", password),
    ):
        done = call(module("afterfact_server", *words))
        assert done.returncode == 0, done.stderr
    return folder / "server"


class Server:
    """A server of its own in `folder`, with the accounts admin and ana (analyst), both with PASSWORD. All have the same
    keys."""

    def __init__(self, folder: Path, init: bool = False) -> None:
        """init: make it by the command and not as a copy, so with keys of its own and admin alone."""
        self.folder = folder
        self.dir = folder / "server"
        self.sensors_port, self.consoles_port = free_ports(2)
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.process: Process | None = None
        self.host = "127.0.0.1"
        """Where it listens for sensors."""
        if init:
            self.do("init", self.dir, "--admin-password-file", self.password_file)
        else:
            shutil.copytree(_made(), self.dir)

    @property
    def run_command(self) -> list[str]:
        return module(
            "afterfact_server", "run", self.dir, "--sensors", f"tcp://{self.host}:{self.sensors_port}",
            "--consoles", f"tcp://127.0.0.1:{self.consoles_port}",
        )  # fmt: skip

    def start(self) -> "Server":
        self.process = Process(self.run_command)
        self.process.wait_ready()
        return self

    def stop(self) -> None:
        if self.process is not None:
            code = self.process.end()
            assert code == 0, "\n".join(self.process.lines)
            self.process = None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.end(signal.SIGKILL)
        self.process = None

    def do(self, *arguments: object) -> str:
        """An afterfact-server command that must succeed; its output."""
        done = call(module("afterfact_server", *arguments))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enrol(self, name: str) -> Path:
        """The new sensor's SENSOR.toml."""
        path = self.folder / f"{name}.toml"
        path.write_text(self.do("sensor", "enrol", self.dir, name))
        return path

    def console_file(self) -> Path:
        """Several threads may ask for it at once."""
        path = self.folder / "CONSOLE.toml"
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
            file.write(self.do("console-file", self.dir))
        os.replace(file.name, path)
        return path

    def add_user(self, name: str, role: str = "analyst") -> None:
        self.do("user", "add", self.dir, name, "--role", role, "--password-file", self.password_file)


def agent(join: Path, spool: Path, *arguments: object) -> list[str]:
    """`afterfact-agent run` with its join file and spool."""
    return module("afterfact_agent", "run", "--join", join, "--spool", spool, *arguments)


def deliver(join: Path, spool: Path, *captures: Path) -> subprocess.CompletedProcess[str]:
    """Meter captures, deliver them, and end."""
    return call(agent(join, spool, "--read", *captures, "--until-delivered"), timeout=START_SECONDS)


def ask(console: Path, text: str, *arguments: object, user: str = "ana") -> subprocess.CompletedProcess[str]:
    """`afterfact query`."""
    command = module("afterfact_client", "query", "--join", console, "--user", user, text, *arguments)
    return call(command, env={"AFTERFACT_PASSWORD": PASSWORD})
